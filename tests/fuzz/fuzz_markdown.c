/* No markup of the writer gets out: each '<' begins one of our own tags, each tag is closed in its
 * turn, and an attribute has no value but of our own forms.
 */
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "fuzz.h"
#include "pages/markdown.h"

enum { HTML_MAX = 4 * 1024 * 1024, OPEN_MAX = 256 };

static const struct slice tags[] = {
    SLICE("p"),          SLICE("b"),  SLICE("em"), SLICE("strong"), SLICE("del"),
    SLICE("code"),       SLICE("ul"), SLICE("ol"), SLICE("li"),     SLICE("pre"),
    SLICE("blockquote"), SLICE("a"),  SLICE("br"), SLICE("hr"),     SLICE("span")};

static bool is_tag(struct slice name)
{
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++)
        if (slice_equal(tags[i], name)) return true;
    return false;
}

static bool is_safe_link(struct slice href)
{
    struct buf scheme;
    buf_init(&scheme, 16);
    text_lower(&scheme, slice_first(href, slice_find(href, ':') + 1));
    struct slice lower = buf_slice(&scheme);
    bool is_safe =
        slice_is(lower, "http:") || slice_is(lower, "https:") || slice_is(lower, "mailto:");
    buf_close(&scheme);
    return is_safe;
}

/* What stands behind the name in an opening tag: name="value" ... */
static void check_attributes(struct slice rest)
{
    while (rest.len > 0) {
        FUZZ_HOLDS(rest.at[0] == ' ');
        rest = slice_skip(rest, 1);
        struct slice name = slice_cut(&rest, '=');
        FUZZ_HOLDS(rest.len > 0 && rest.at[0] == '"');
        rest = slice_skip(rest, 1);
        struct slice value = slice_cut(&rest, '"');
        FUZZ_HOLDS(slice_is(name, "href") || slice_is(name, "rel") || slice_is(name, "target") ||
                   slice_is(name, "class") || slice_is(name, "start"));
        if (slice_is(name, "href")) FUZZ_HOLDS(is_safe_link(value));
    }
}

static void check_html(struct slice html)
{
    struct slice open[OPEN_MAX];
    size_t depth = 0;
    while (slice_find(html, '<') < html.len) {
        slice_cut(&html, '<');
        struct slice tag = slice_cut(&html, '>');
        bool is_closing = tag.len > 0 && tag.at[0] == '/';
        if (is_closing) tag = slice_skip(tag, 1);
        struct slice name = slice_first(tag, slice_find(tag, ' '));
        FUZZ_HOLDS(is_tag(name));
        if (is_closing) {
            FUZZ_HOLDS(depth > 0 && slice_equal(open[depth - 1], name) && tag.len == name.len);
            depth--;
            continue;
        }
        check_attributes(slice_skip(tag, name.len));
        if (slice_is(name, "br") || slice_is(name, "hr")) continue;
        FUZZ_HOLDS(depth < OPEN_MAX);
        open[depth++] = name;
    }
    FUZZ_HOLDS(depth == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf html;
    struct slice text = slice_make(data, size);
    if (text.len > CHAT_TEXT_MAX || !text_valid(text)) return 0;
    buf_init(&html, HTML_MAX);
    markdown_html(&html, text);
    FUZZ_HOLDS(!html.overflowed);
    FUZZ_HOLDS(text_valid(buf_slice(&html)));
    check_html(buf_slice(&html));
    buf_close(&html);
    return 0;
}
