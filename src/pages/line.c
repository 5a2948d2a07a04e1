#include "pages/line.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "pages/markdown.h"
#include "pages/when.h"

enum { LONG_LINES = 25, LONG_CODE_POINTS = 2000, LONG_NAME = 24, HUES = 8 };

static void add(struct buf *out, const char *markup)
{
    buf_add(out, slice_from(markup));
}

static bool is_long(struct slice text)
{
    size_t lines = 1;
    if (text.len > LONG_CODE_POINTS && text_code_points(text) > LONG_CODE_POINTS) return true;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '\n' && ++lines > LONG_LINES) return true;
    }
    return false;
}

static void add_time(struct buf *out, int64_t at_ms, int16_t offset_minutes)
{
    add(out, "<time datetime=\"");
    clock_add_rfc3339(out, at_ms, 0);
    add(out, "\">");
    when_add_time(out, at_ms, offset_minutes);
    add(out, "</time>");
}

static void add_head(struct buf *out, const struct message_sent *event, int16_t offset_minutes)
{
    struct slice id = slice_make(event->sender_id.bytes, sizeof event->sender_id.bytes);
    buf_printf(out, "<span class=\"ava h%u\" aria-hidden=\"true\">",
               (unsigned)(hash_fnv1a(id) % HUES));
    size_t start = out->len;
    text_initial(out, event->sender);
    /* the initial is the sender's text: escaped like all of it */
    char initial[64];
    size_t len = out->len - start;
    if (len > sizeof initial) len = 0;
    if (len > 0) memcpy(initial, out->at + start, len);
    buf_truncate(out, start);
    buf_add_html(out, slice_make(initial, len));
    add(out, "</span><div class=\"meta\"><span class=\"who\"");
    if (text_code_points(event->sender) > LONG_NAME) {
        add(out, " title=\"");
        buf_add_html(out, event->sender);
        buf_add_char(out, '"');
    }
    buf_add_char(out, '>');
    buf_add_html(out, event->sender);
    add(out, "</span>");
    add_time(out, event->at_ms, offset_minutes);
    add(out, "</div>");
}

static void add_body(struct buf *out, const struct message_sent *event, bool is_first)
{
    if (!is_first) {
        add(out, "<span class=\"sr\">");
        buf_add_html(out, event->sender);
        add(out, ": </span>");
    }
    if (text_only_emoji(event->text)) {
        add(out, "<span class=\"big\">");
        buf_add_html(out, event->text);
        add(out, "</span>");
        return;
    }
    if (!is_long(event->text)) {
        markdown_html(out, event->text);
        return;
    }
    add(out, "<div class=\"clip\">");
    markdown_html(out, event->text);
    add(out, "</div><details class=\"more\"><summary><span>Show all</span><span>Show less</span>"
             "</summary></details>");
}

static struct slice part(const char *bytes, size_t from, size_t to)
{
    return slice_make(bytes + from, to - from);
}

static bool starts_day(const struct message_sent *event, int16_t offset_minutes)
{
    return event->previous_at_ms == 0 || when_day(event->previous_at_ms, offset_minutes) !=
                                             when_day(event->at_ms, offset_minutes);
}

static void make_day(struct line *line, int64_t now_ms, int16_t offset_minutes, struct buf *scratch)
{
    buf_reset(scratch);
    add(scratch, "<div class=\"day\"><span>");
    when_add_day(scratch, line->at_ms, now_ms, offset_minutes);
    add(scratch, "</span></div>");
    mem_free(line->day_bytes);
    line->day_bytes = mem_copy(scratch->at, scratch->len);
    line->day.text = slice_make(line->day_bytes, scratch->len);
    buf_reset(scratch);
}

void line_make(struct line *line, const struct message_sent *event, int64_t now_ms,
               int16_t offset_minutes, struct buf *scratch)
{
    bool has_day = starts_day(event, offset_minutes);
    bool is_first = has_day || event->run == 0;

    *line = (struct line){.number = event->number, .seq = event->seq, .at_ms = event->at_ms};
    if (has_day) make_day(line, now_ms, offset_minutes, scratch);

    buf_reset(scratch);
    add(scratch, "m-");
    buf_add_u64(scratch, event->number);
    size_t id_end = scratch->len;
    add(scratch, is_first ? "m first u-" : "m u-");
    buf_add_hex(scratch, event->sender_id.bytes, 2);
    size_t classes_end = scratch->len;
    if (is_first)
        add_head(scratch, event, offset_minutes);
    else
        add_time(scratch, event->at_ms, offset_minutes);
    size_t head_end = scratch->len;
    add_body(scratch, event, is_first);

    line->bytes = mem_copy(scratch->at, scratch->len);
    line->id = part(line->bytes, 0, id_end);
    line->classes = part(line->bytes, id_end, classes_end);
    line->head.text = part(line->bytes, classes_end, head_end);
    line->body.text = part(line->bytes, head_end, scratch->len);
    buf_reset(scratch);
}

void line_make_day(struct line *line, int64_t now_ms, int16_t offset_minutes, struct buf *scratch)
{
    if (line->day.text.len > 0) make_day(line, now_ms, offset_minutes, scratch);
}

void line_close(struct line *line)
{
    mem_free(line->bytes);
    mem_free(line->day_bytes);
}
