/* md4c finds the structure, everything that is written is written here. Its own HTML renderer would let
 * "javascript:" links through.
 *
 * What is open is a stack: for each level the tag that closes it, which is empty for what is shown as
 * its bare text (a link of a scheme that is not allowed) and for everything below DEPTH_MAX.
 */
#include "pages/markdown.h"

#include <md4c.h>

#include "base/crypto.h"
#include "base/limits.h"
#include "base/text.h"

enum { DEPTH_MAX = 16, HREF_MAX = 4 * 1024, WORD_MAX = NAME_MAX_BYTES, OWN_TEXT_MAX = 64 };

struct writer {
    struct buf *out;
    struct slice text; /* all of it */
    struct buf href;   /* scratch: of the link that begins */
    const char *closers[DEPTH_MAX];
    unsigned depth;        /* may be far above DEPTH_MAX */
    unsigned blocks;       /* the lower ones of these; above them are spans */
    unsigned links, codes; /* how many of the open levels are links, code */
};

static void add(struct buf *out, const char *markup)
{
    buf_add(out, slice_from(markup));
}

static void enter(struct writer *w, const char *opener, const char *closer)
{
    if (w->depth < DEPTH_MAX) {
        add(w->out, opener);
        w->closers[w->depth] = closer;
    }
    w->depth++;
}

static void leave(struct writer *w)
{
    if (w->depth == 0) return;
    w->depth--;
    if (w->depth < DEPTH_MAX) add(w->out, w->closers[w->depth]);
}

static int on_enter_block(MD_BLOCKTYPE type, void *detail, void *owner)
{
    struct writer *w = owner;
    w->blocks++;
    switch (type) {
    case MD_BLOCK_QUOTE: enter(w, "<blockquote>", "</blockquote>"); break;
    case MD_BLOCK_UL: enter(w, "<ul>", "</ul>"); break;
    case MD_BLOCK_OL: {
        unsigned start = ((const MD_BLOCK_OL_DETAIL *)detail)->start;
        bool shown = w->depth < DEPTH_MAX;
        enter(w, start == 1 ? "<ol>" : "<ol start=\"", "</ol>");
        if (shown && start != 1) buf_printf(w->out, "%u\">", start);
        break;
    }
    case MD_BLOCK_LI: enter(w, "<li>", "</li>"); break;
    case MD_BLOCK_HR: enter(w, "<hr>", ""); break;
    case MD_BLOCK_H: enter(w, "<p><b>", "</b></p>"); break;
    case MD_BLOCK_CODE:
        w->codes++;
        enter(w, "<pre><code>", "</code></pre>");
        break;
    case MD_BLOCK_P: enter(w, "<p>", "</p>"); break;
    case MD_BLOCK_DOC:
    case MD_BLOCK_HTML: /* the flags keep it and tables out */
    case MD_BLOCK_TABLE:
    case MD_BLOCK_THEAD:
    case MD_BLOCK_TBODY:
    case MD_BLOCK_TR:
    case MD_BLOCK_TH:
    case MD_BLOCK_TD:
    default: enter(w, "", ""); break;
    }
    return 0;
}

/* md4c 0.4.8 forgets to close a span now and then: "**[]((*)*)". */
static int on_leave_block(MD_BLOCKTYPE type, void *detail, void *owner)
{
    (void)detail;
    struct writer *w = owner;
    if (w->depth != w->blocks) return -1;
    w->blocks--;
    if (type == MD_BLOCK_CODE) w->codes--;
    leave(w);
    return 0;
}

static bool scheme_is(struct slice href, struct slice scheme)
{
    if (href.len <= scheme.len) return false;
    for (size_t i = 0; i < scheme.len; i++) {
        char c = href.at[i];
        if (c >= 'A' && c <= 'Z') c = (char)(c + ('a' - 'A'));
        if (c != scheme.at[i]) return false;
    }
    return true;
}

static bool is_allowed(struct slice href)
{
    return scheme_is(href, slice_of("http://")) || scheme_is(href, slice_of("https://")) ||
           scheme_is(href, slice_of("mailto:"));
}

/* Entities stay as they were written, as in the text. */
static struct slice href_of(struct writer *w, const MD_ATTRIBUTE *attribute)
{
    buf_reset(&w->href);
    buf_append(&w->href, attribute->text, attribute->size);
    return w->href.overflowed ? slice_of("") : buf_slice(&w->href);
}

static void enter_link(struct writer *w, const MD_SPAN_A_DETAIL *link)
{
    w->links++;
    struct slice href = href_of(w, &link->href);
    if (!is_allowed(href) || w->depth >= DEPTH_MAX) {
        enter(w, "", "");
        return;
    }
    enter(w, "<a href=\"", "</a>");
    buf_add_html(w->out, href);
    add(w->out, "\" rel=\"noopener nofollow ugc\" target=\"_blank\">");
}

static int on_enter_span(MD_SPANTYPE type, void *detail, void *owner)
{
    struct writer *w = owner;
    switch (type) {
    case MD_SPAN_EM: enter(w, "<em>", "</em>"); break;
    case MD_SPAN_STRONG: enter(w, "<strong>", "</strong>"); break;
    case MD_SPAN_DEL: enter(w, "<del>", "</del>"); break;
    case MD_SPAN_CODE:
        w->codes++;
        enter(w, "<code>", "</code>");
        break;
    case MD_SPAN_A: enter_link(w, detail); break;
    case MD_SPAN_IMG: enter(w, "![", "]"); break;
    case MD_SPAN_LATEXMATH: /* not asked for */
    case MD_SPAN_LATEXMATH_DISPLAY:
    case MD_SPAN_WIKILINK:
    case MD_SPAN_U:
    default: enter(w, "", ""); break;
    }
    return 0;
}

static int on_leave_span(MD_SPANTYPE type, void *detail, void *owner)
{
    struct writer *w = owner;
    if (w->depth == w->blocks) return -1;
    if (type == MD_SPAN_A) w->links--;
    if (type == MD_SPAN_CODE) w->codes--;
    leave(w);
    if (type == MD_SPAN_IMG && w->depth < DEPTH_MAX) {
        const MD_SPAN_IMG_DETAIL *image = detail;
        buf_add_char(w->out, '(');
        buf_add_html(w->out, slice_make(image->src.text, image->src.size));
        buf_add_char(w->out, ')');
    }
    return 0;
}

/* Letters and digits of any script, '_' and '-'. */
static bool is_word_point(uint32_t point)
{
    if (point < 0x80) {
        return (point >= '0' && point <= '9') || (point >= 'A' && point <= 'Z') ||
               (point >= 'a' && point <= 'z') || point == '_' || point == '-';
    }
    if (point < 0xc0) return point == 0xaa || point == 0xb5 || point == 0xba;
    return point != 0xd7 && point != 0xf7 && !(point >= 0x2000 && point <= 0x2bff) &&
           !(point >= 0x3000 && point <= 0x303f) && !(point >= 0xfe00 && point <= 0xfe0f) &&
           !(point >= 0xff00 && point <= 0xff0f) && point < 0x1f000 && point != 0xfffd;
}

static size_t word_len(struct slice text)
{
    struct slice rest = text;
    size_t len = 0;
    while (rest.len > 0 && is_word_point(text_next(&rest)))
        len = text.len - rest.len;
    return len;
}

static void add_mention(struct buf *out, struct slice word)
{
    add(out, "<span class=\"mention ");
    markdown_word_class(out, word);
    add(out, "\">@");
    buf_add_html(out, word);
    add(out, "</span>");
}

/* "@" begins a mention unless it stands behind a letter or a digit, as in an address. */
static void add_text(struct buf *out, struct slice text)
{
    size_t done = 0;
    for (size_t at = 0; at < text.len; at++) {
        if (text.at[at] != '@') continue;
        unsigned char before = at == 0 ? ' ' : (unsigned char)text.at[at - 1];
        if (before >= 0x80 || is_word_point(before) || before == '@') continue;
        size_t len = word_len(slice_skip(text, at + 1));
        if (len == 0 || len > WORD_MAX) continue;
        buf_add_html(out, slice_make(text.at + done, at - done));
        add_mention(out, slice_make(text.at + at + 1, len));
        done = at + 1 + len;
        at = done - 1;
    }
    buf_add_html(out, slice_skip(text, done));
}

/* What md4c gives is a piece of the message, or a few blanks of its own. */
static bool is_sane(struct slice text, const MD_CHAR *at, MD_SIZE len)
{
    uintptr_t start = (uintptr_t)text.at;
    uintptr_t place = (uintptr_t)at;
    if (place < start || place > start + text.len) return len <= OWN_TEXT_MAX;
    return len <= text.len - (place - start);
}

static int on_text(MD_TEXTTYPE type, const MD_CHAR *at, MD_SIZE len, void *owner)
{
    struct writer *w = owner;
    if (!is_sane(w->text, at, len)) return -1;
    switch (type) {
    case MD_TEXT_BR:
    case MD_TEXT_SOFTBR: add(w->out, "<br>"); break;
    case MD_TEXT_NULLCHAR: add(w->out, "\xef\xbf\xbd"); break;
    case MD_TEXT_NORMAL:
        if (w->links == 0 && w->codes == 0) {
            add_text(w->out, slice_make(at, len));
            break;
        }
        buf_add_html(w->out, slice_make(at, len));
        break;
    case MD_TEXT_ENTITY:
    case MD_TEXT_CODE:
    case MD_TEXT_HTML:
    case MD_TEXT_LATEXMATH:
    default: buf_add_html(w->out, slice_make(at, len)); break;
    }
    return w->out->overflowed ? 1 : 0;
}

void markdown_html(struct buf *out, struct slice text)
{
    static const MD_PARSER parser = {
        .flags = MD_FLAG_NOHTML | MD_FLAG_PERMISSIVEAUTOLINKS | MD_FLAG_STRIKETHROUGH |
                 MD_FLAG_NOINDENTEDCODEBLOCKS,
        .enter_block = on_enter_block,
        .leave_block = on_leave_block,
        .enter_span = on_enter_span,
        .leave_span = on_leave_span,
        .text = on_text,
    };
    /* md4c 0.4.8 looks behind the end of the text for the end of a link, and goes astray if what stands
     * there looks like one: it works on a copy with an end that it cannot miss. */
    static const char end[32] = "\n";
    struct buf copy;
    buf_init(&copy, text.len + sizeof end);
    buf_add(&copy, text);
    buf_append(&copy, end, sizeof end);

    struct writer writer = {.out = out, .text = slice_first(buf_slice(&copy), text.len)};
    size_t start = out->len;
    buf_init(&writer.href, HREF_MAX);
    int rv = md_parse(writer.text.at, (MD_SIZE)text.len, &parser, &writer);
    buf_close(&writer.href);
    buf_close(&copy);
    if (rv == 0) return;

    /* Whatever went wrong, the words are shown. */
    buf_truncate(out, start);
    buf_add_html(out, text);
}

void markdown_word_class(struct buf *out, struct slice word)
{
    struct buf lower;
    buf_init(&lower, 4 * CHAT_TEXT_MAX);
    text_lower(&lower, word);
    buf_printf(out, "w-%04x", (unsigned)(hash_fnv1a(buf_slice(&lower)) >> 48));
    buf_close(&lower);
}
