/* Levels: the root is level 0. The first `opened` levels have their brace in `out`; in a diff that
 * may be less than `depth`, and then nothing of the deeper ones was written yet. A level is `full`
 * if all of it is written: always in a tree, in a diff when it came into being just now.
 */
#include "live/render.h"

#include <assert.h>

#include "base/crypto.h"
#include "base/json.h"

enum { SLOT_ABSENT = 1, SLOT_PRESENT = 2 }; /* what a condition keeps in its slot */

void render_init(struct render *r, enum render_mode mode, unsigned scopes, struct buf *out)
{
    *r = (struct render){
        .mode = mode, .scopes = scopes, .out = out, .stream_at = -1, .splice_at = SIZE_MAX};
}

/* A tree with one scope: the structs around the stream stay unopened, as in a diff. */
void render_init_stream(struct render *r, struct buf *out)
{
    render_init(r, RENDER_TREE, RENDER_STREAM, out);
}

static bool is_stream_alone(const struct render *r)
{
    return r->mode == RENDER_TREE && r->scopes == RENDER_STREAM;
}

/* ---- text ---- */

/* HTML first, then JSON, in one walk: what HTML escapes to needs no escape in JSON. */
static const struct slice escapes[256] = {
    ['&'] = SLICE("&amp;"),    ['<'] = SLICE("&lt;"),     ['>'] = SLICE("&gt;"),
    ['"'] = SLICE("&quot;"),   ['\''] = SLICE("&#39;"),   ['\\'] = SLICE("\\\\"),
    [0x00] = SLICE("\\u0000"), [0x01] = SLICE("\\u0001"), [0x02] = SLICE("\\u0002"),
    [0x03] = SLICE("\\u0003"), [0x04] = SLICE("\\u0004"), [0x05] = SLICE("\\u0005"),
    [0x06] = SLICE("\\u0006"), [0x07] = SLICE("\\u0007"), ['\b'] = SLICE("\\b"),
    ['\t'] = SLICE("\\t"),     ['\n'] = SLICE("\\n"),     [0x0b] = SLICE("\\u000b"),
    ['\f'] = SLICE("\\f"),     ['\r'] = SLICE("\\r"),     [0x0e] = SLICE("\\u000e"),
    [0x0f] = SLICE("\\u000f"), [0x10] = SLICE("\\u0010"), [0x11] = SLICE("\\u0011"),
    [0x12] = SLICE("\\u0012"), [0x13] = SLICE("\\u0013"), [0x14] = SLICE("\\u0014"),
    [0x15] = SLICE("\\u0015"), [0x16] = SLICE("\\u0016"), [0x17] = SLICE("\\u0017"),
    [0x18] = SLICE("\\u0018"), [0x19] = SLICE("\\u0019"), [0x1a] = SLICE("\\u001a"),
    [0x1b] = SLICE("\\u001b"), [0x1c] = SLICE("\\u001c"), [0x1d] = SLICE("\\u001d"),
    [0x1e] = SLICE("\\u001e"), [0x1f] = SLICE("\\u001f"),
};

struct slice render_digits_u64(struct render *r, uint64_t value)
{
    size_t place = sizeof r->digits;
    do {
        r->digits[--place] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return slice_make(r->digits + place, sizeof r->digits - place);
}

struct slice render_digits_i64(struct render *r, int64_t value)
{
    if (value >= 0) return render_digits_u64(r, (uint64_t)value);
    struct slice digits = render_digits_u64(r, 0 - (uint64_t)value);
    size_t place = sizeof r->digits - digits.len - 1; /* 19 digits at most: there is room */
    r->digits[place] = '-';
    return slice_make(r->digits + place, digits.len + 1);
}

/* ---- levels ---- */

static struct render_level *top(struct render *r)
{
    assert(r->depth > 0);
    return &r->levels[r->depth - 1];
}

/* The key of the hole that a level is at. */
static void add_key(struct render *r, struct render_level *level)
{
    if (level->any) buf_add_char(r->out, ',');
    level->any = true;
    buf_add_char(r->out, '"');
    buf_add_u64(r->out, level->hole - 1);
    buf_append(r->out, "\":", 2);
}

/* The node of the current hole follows: opens what is around it. */
static void start_node(struct render *r)
{
    for (; r->opened < r->depth; r->opened++) {
        if (r->opened > 0) add_key(r, &r->levels[r->opened - 1]);
        buf_add_char(r->out, '{');
    }
    add_key(r, top(r));
    r->changed = true;
}

static struct render_level *push(struct render *r, const struct fragment *fragment, bool full)
{
    assert(r->depth < RENDER_DEPTH_MAX);
    struct render_level *level = &r->levels[r->depth++];
    *level = (struct render_level){.fragment = fragment, .full = full};
    return level;
}

static void push_struct(struct render *r, const struct fragment *fragment, bool full)
{
    if (r->mode != RENDER_HTML && full) {
        start_node(r);
        buf_add_char(r->out, '{');
        r->opened++;
    }
    push(r, fragment, full);
}

void render_open(struct render *r, const struct fragment *root)
{
    assert(r->depth == 0);
    bool full = r->mode == RENDER_TREE && !is_stream_alone(r);
    push(r, root, full);
    if (is_stream_alone(r)) r->opened = 1; /* in what the node will be put into */
    if (!full) return;
    buf_add_char(r->out, '{');
    r->opened = 1;
    r->changed = true;
}

void render_close(struct render *r)
{
    struct render_level *level = top(r);
    assert(level->hole == level->fragment->holes);
    if (r->mode == RENDER_HTML) {
        buf_add(r->out, level->fragment->statics[level->hole]);
    } else if (r->opened == r->depth && !(is_stream_alone(r) && r->depth == 1)) {
        if (level->full) {
            if (level->any) buf_add_char(r->out, ',');
            buf_add(r->out, level->fragment->json);
        }
        buf_add_char(r->out, '}');
        r->opened--;
    }
    r->depth--;
}

/* ---- holes ---- */

bool render_hole(struct render *r, unsigned scope, unsigned slot)
{
    struct render_level *level = top(r);
    assert(level->hole < level->fragment->holes);
    unsigned hole = level->hole++;
    r->slot = NULL;
    if (r->mode == RENDER_HTML) {
        buf_add(r->out, level->fragment->statics[hole]);
        return true;
    }
    if (scope == RENDER_ITEM) return true;
    if ((r->scopes & scope) == 0) return false;
    if (scope == RENDER_PRIVATE && r->private_hashes != NULL) r->slot = &r->private_hashes[slot];
    if (scope == RENDER_SHARED && r->shared_hashes != NULL) r->slot = &r->shared_hashes[slot];
    return true;
}

/* Must this be written? Remembers it. */
static bool is_news(struct render *r, struct slice text)
{
    if (r->slot == NULL) return true;
    uint64_t hash = hash_keyed(text.at, text.len);
    if (hash == 0) hash = 1;
    if (*r->slot == hash && !top(r)->full) return false;
    *r->slot = hash;
    return true;
}

void render_slice(struct render *r, struct slice text)
{
    if (r->mode == RENDER_HTML) {
        buf_add_html(r->out, text);
        return;
    }
    if (!is_news(r, text)) return;
    start_node(r);
    buf_add_char(r->out, '"');
    buf_add_escaped(r->out, text, escapes);
    buf_add_char(r->out, '"');
}

void render_html(struct render *r, struct html markup)
{
    if (r->mode == RENDER_HTML) {
        buf_add(r->out, markup.text);
        return;
    }
    if (!is_news(r, markup.text)) return;
    start_node(r);
    json_add_string(r->out, markup.text);
}

void render_attribute_slice(struct render *r, struct slice name, struct slice value)
{
    if (r->mode == RENDER_HTML) {
        if (value.len == 0) return;
        buf_add_char(r->out, ' ');
        buf_add(r->out, name);
        buf_append(r->out, "=\"", 2);
        buf_add_html(r->out, value);
        buf_add_char(r->out, '"');
        return;
    }
    if (!is_news(r, value)) return;
    start_node(r);
    buf_add_char(r->out, '"');
    if (value.len > 0) {
        buf_add_char(r->out, ' ');
        buf_add(r->out, name);
        buf_append(r->out, "=\\\"", 3);
        buf_add_escaped(r->out, value, escapes);
        buf_append(r->out, "\\\"", 2);
    }
    buf_add_char(r->out, '"');
}

void render_attribute_bool(struct render *r, struct slice name, bool on)
{
    if (r->mode == RENDER_HTML) {
        if (!on) return;
        buf_add_char(r->out, ' ');
        buf_add(r->out, name);
        return;
    }
    if (!is_news(r, on ? name : slice_of(""))) return;
    start_node(r);
    buf_append(r->out, on ? "\" " : "\"", on ? 2 : 1);
    if (on) buf_add(r->out, name);
    buf_add_char(r->out, '"');
}

bool render_if(struct render *r, bool on, const struct fragment *fragment)
{
    if (r->mode == RENDER_HTML) {
        if (on) push_struct(r, fragment, false);
        return on;
    }
    uint64_t before = r->slot == NULL ? 0 : *r->slot;
    bool full = top(r)->full;
    if (r->slot != NULL) *r->slot = on ? SLOT_PRESENT : SLOT_ABSENT;
    if (on) {
        push_struct(r, fragment, full || before != SLOT_PRESENT);
    } else if (full || before != SLOT_ABSENT) {
        start_node(r);
        buf_append(r->out, "\"\"", 2);
    }
    return on;
}

bool render_form(struct render *r, unsigned scope, const struct fragment *fragment)
{
    if (!render_hole(r, scope, 0)) return false;
    push_struct(r, fragment, top(r)->full);
    return true;
}

/* ---- lists ---- */

bool render_list(struct render *r, size_t count, const struct fragment *fragment)
{
    if (count == 0) {
        if (r->mode != RENDER_HTML) render_slice(r, slice_of(""));
        return false;
    }
    if (r->mode == RENDER_HTML) {
        push(r, fragment, false);
        return true;
    }
    struct render_level before = {.slot = r->slot,
                                  .start = r->out->len,
                                  .opened_before = r->opened,
                                  .any_before = r->opened > 0 && r->levels[r->opened - 1].any,
                                  .changed_before = r->changed};
    start_node(r);
    before.node_start = r->out->len;
    buf_add_char(r->out, '{');
    buf_add(r->out, fragment->json);
    buf_append(r->out, ",\"k\":{", 6);
    r->opened++;
    struct render_level *level = push(r, fragment, true);
    before.fragment = fragment;
    before.full = true;
    *level = before;
    return true;
}

/* The end of the item before, and of the last one. */
static void end_item(struct render *r, const struct render_level *level)
{
    if (level->items == 0) return;
    assert(level->hole == level->fragment->holes);
    if (r->mode == RENDER_HTML)
        buf_add(r->out, level->fragment->statics[level->hole]);
    else
        buf_add_char(r->out, '}');
}

void render_item(struct render *r)
{
    struct render_level *level = top(r);
    end_item(r, level);
    if (r->mode != RENDER_HTML) {
        if (level->items > 0) buf_add_char(r->out, ',');
        buf_add_char(r->out, '"');
        buf_add_u64(r->out, level->items);
        buf_append(r->out, "\":{", 3);
    }
    level->items++;
    level->hole = 0;
    level->any = false;
}

static void add_count(struct render *r, const struct render_level *level)
{
    if (level->items > 0) buf_add_char(r->out, ',');
    buf_append(r->out, "\"kc\":", 5);
    buf_add_u64(r->out, level->items);
    buf_add_char(r->out, '}');
}

/* As if the list had never been begun. */
static void take_back(struct render *r, const struct render_level *level)
{
    buf_truncate(r->out, level->start);
    r->changed = level->changed_before;
    for (unsigned i = level->opened_before; i < r->opened; i++)
        r->levels[i].any = false;
    r->opened = level->opened_before;
    if (r->opened > 0) r->levels[r->opened - 1].any = level->any_before;
}

void render_list_end(struct render *r)
{
    struct render_level level = *top(r);
    end_item(r, &level);
    r->depth--;
    if (r->mode == RENDER_HTML) return;

    add_count(r, &level);
    buf_add_char(r->out, '}');
    r->opened--;
    if (r->out->overflowed) return;
    r->slot = level.slot;
    struct slice node = slice_skip(buf_slice(r->out), level.node_start);
    if (!is_news(r, node)) take_back(r, &level);
}

bool render_stream(struct render *r)
{
    if (!render_hole(r, RENDER_STREAM, 0)) return false;
    if (r->mode != RENDER_TREE || r->stream_json == NULL) return true;
    start_node(r);
    r->splice_at = r->out->len;
    buf_add(r->out, r->stream_reset ? slice_of(",true]}") : slice_of("]}"));
    return false;
}

bool render_stream_list(struct render *r, size_t count, const struct fragment *fragment)
{
    if (r->mode == RENDER_HTML) {
        push(r, fragment, false);
        return true;
    }
    bool full = top(r)->full || is_stream_alone(r);
    if (!full && count == 0 && !r->stream_reset) return false;
    if (is_stream_alone(r))
        r->changed = true;
    else
        start_node(r);
    buf_add_char(r->out, '{');
    if (full) {
        buf_add(r->out, fragment->json);
        buf_add_char(r->out, ',');
    }
    buf_append(r->out, "\"k\":{", 5);
    push(r, fragment, true);
    r->opened++;
    return true;
}

bool render_inserts(struct render *r)
{
    struct render_level *level = top(r);
    end_item(r, level);
    if (r->mode == RENDER_HTML) return false;
    add_count(r, level);
    buf_add(r->out, slice_of(",\"stream\":[\"0\",["));
    level->any = false;
    return true;
}

void render_insert_slice(struct render *r, struct slice id)
{
    struct render_level *level = top(r);
    if (level->any) buf_add_char(r->out, ',');
    level->any = true;
    buf_add_char(r->out, '[');
    json_add_string(r->out, id);
    buf_add_char(r->out, ',');
    buf_add_i64(r->out, r->stream_at);
    buf_append(r->out, ",null]", 6);
}

void render_stream_end(struct render *r)
{
    r->depth--;
    if (r->mode == RENDER_HTML) return;
    r->opened--;
    buf_append(r->out, "],[]", 4);
    if (is_stream_alone(r)) return;
    buf_add(r->out, r->stream_reset ? slice_of(",true]}") : slice_of("]}"));
}
