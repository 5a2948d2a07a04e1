#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/text.h"
#include "pages/markdown.h"

enum { HTML_MAX = 1024 * 1024 };

static struct buf html;

static const char *html_of(struct slice text)
{
    buf_close(&html);
    buf_init(&html, HTML_MAX);
    markdown_html(&html, text);
    assert_false(html.overflowed);
    buf_add_char(&html, '\0');
    html.len--;
    return html.at;
}

struct example {
    const char *text, *html;
};

static void check(const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_string_equal(html_of(slice_from(examples[i].text)), examples[i].html);
    buf_close(&html);
}
#define CHECK(examples) check(examples, sizeof(examples) / sizeof(examples)[0])

static void what_people_write_becomes_markup(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"hi", "<p>hi</p>"},
        {"**a** *b* ~~c~~ `d`", "<p><strong>a</strong> <em>b</em> <del>c</del> <code>d</code></p>"},
        {"one\ntwo", "<p>one<br>two</p>"},
        {"# big", "<p><b>big</b></p>"},
        {"> said", "<blockquote><p>said</p></blockquote>"},
        {"- a\n- b", "<ul><li>a</li><li>b</li></ul>"},
        {"1. a", "<ol><li>a</li></ol>"},
        {"7. a", "<ol start=\"7\"><li>a</li></ol>"},
        {"```c\nif (a < b)\n```", "<pre><code>if (a &lt; b)\n</code></pre>"},
        {"    not code", "<p>not code</p>"},
        {"a | b\n--|--\n1 | 2", "<p>a | b<br>--|--<br>1 | 2</p>"},
        {"![alt](http://a/b.png)", "<p>![alt](http://a/b.png)</p>"},
        {"&copy; &#x3c; &amp;lt;", "<p>&amp;copy; &amp;#x3c; &amp;amp;lt;</p>"},
    };
    CHECK(examples);
}

static void only_harmless_schemes_become_links(void **state)
{
    (void)state;
#define LINK(href, text) \
    "<p><a href=\"" href "\" rel=\"noopener nofollow ugc\" target=\"_blank\">" text "</a></p>"
    static const struct example examples[] = {
        {"https://tea.example/a?b=1&c=2",
         LINK("https://tea.example/a?b=1&amp;c=2", "https://tea.example/a?b=1&amp;c=2")},
        {"[x](HTTP://a)", LINK("HTTP://a", "x")},
        {"www.tea.example", LINK("http://www.tea.example", "www.tea.example")},
        {"kari@tea.example", LINK("mailto:kari@tea.example", "kari@tea.example")},
        {"[x](javascript:alert(1))", "<p>x</p>"},
        {"[x](JaVaScRiPt:alert(1))", "<p>x</p>"},
        {"[x](&#106;avascript:alert(1))", "<p>x</p>"},
        {"[x](data:text/html,<b>)", "<p>x</p>"},
        {"[x](vbscript:a)", "<p>x</p>"},
        {"[x](/lobby)", "<p>x</p>"},
        {"[x](//evil.example)", "<p>x</p>"},
        {"[x](http:)", "<p>x</p>"},
        {"[x](http://a", "<p>[x](http://a</p>"},
        {"[x](kari", "<p>[x](kari</p>"},
        {"<javascript:alert(1)>", "<p>javascript:alert(1)</p>"},
        {"[x](<http://a/\" onclick=\"b>)", LINK("http://a/&quot; onclick=&quot;b", "x")},
        {"[x](http://a \"title\")", LINK("http://a", "x")},
    };
#undef LINK
    CHECK(examples);
}

/* S-8 of the security items */
static void nothing_that_was_written_becomes_a_tag(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"},
        {"\"><img src=x onerror=alert(1)>", "<p>&quot;&gt;&lt;img src=x onerror=alert(1)&gt;</p>"},
        {"</textarea>", "<p>&lt;/textarea&gt;</p>"},
        {"<div>\nblock\n</div>", "<p>&lt;div&gt;<br>block<br>&lt;/div&gt;</p>"},
        {"`</code><b>`", "<p><code>&lt;/code&gt;&lt;b&gt;</code></p>"},
        {"```\"><b>\nx\n```", "<pre><code>x\n</code></pre>"},
        {"'\"&", "<p>&#39;&quot;&amp;</p>"},
        {"\\<b\\>", "<p>&lt;b&gt;</p>"},
        {"<!-- a -->", "<p>&lt;!-- a --&gt;</p>"},
        {"@\"><b>", "<p>@&quot;&gt;&lt;b&gt;</p>"},
    };
    CHECK(examples);
}

static void a_mention_has_the_class_of_its_word(void **state)
{
    (void)state;
#define KARI(word) "<span class=\"mention w-33e5\">@" word "</span>"
    static const struct example examples[] = {
        {"@kari hello", "<p>" KARI("kari") " hello</p>"},
        {"@Kari, hello (@KARI)", "<p>" KARI("Kari") ", hello (" KARI("KARI") ")</p>"},
        {"**@kari**", "<p><strong>" KARI("kari") "</strong></p>"},
        {"`@kari`", "<p><code>@kari</code></p>"},
        {"@ @@ a@ @", "<p>@ @@ a@ @</p>"},
    };
    CHECK(examples);
    assert_null(strstr(html_of(slice_from("[@kari](http://a)")), "mention"));
    assert_null(strstr(html_of(slice_from("kari@kari")), "mention"));
    assert_non_null(strstr(html_of(slice_from("@\xc3\x98yvind")), ">@\xc3\x98yvind</span>"));
    buf_close(&html);
#undef KARI
}

static void nesting_has_an_end(void **state)
{
    (void)state;
    enum { DEEP = CHAT_TEXT_MAX / 2 };
    static char text[CHAT_TEXT_MAX];
    for (size_t i = 0; i < DEEP; i++)
        text[i] = '>';
    text[DEEP] = 'x';
    const char *made = html_of(slice_make(text, DEEP + 1));
    size_t count = 0;
    for (const char *at = made; (at = strstr(at, "<blockquote>")) != NULL; at++)
        count++;
    assert_true(count >= 8 && count <= 16);
    assert_non_null(strchr(made, 'x'));
    buf_close(&html);
}

/* Takes our own tags away; what is left must hold no '<', '>' or '"'. */
static void check_only_our_tags(const char *at)
{
    static const char *const tags[] = {
        "p",    "/p",   "b",     "/b",  "em",   "/em",        "strong",      "/strong", "del",
        "/del", "code", "/code", "pre", "/pre", "blockquote", "/blockquote", "ul",      "/ul",
        "ol",   "/ol",  "li",    "/li", "hr",   "br",         "/a",          "/span",
    };
    while (*at != '\0') {
        assert_true(*at != '>' && *at != '"' && *at != '\'');
        if (*at != '<') {
            at++;
            continue;
        }
        const char *end = strchr(at, '>');
        assert_non_null(end);
        struct slice tag = slice_make(at + 1, (size_t)(end - at) - 1);
        bool known = false;
        for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++)
            if (slice_is(tag, tags[i])) known = true;
        if (slice_starts(tag, slice_of("ol start=\""))) known = true;
        if (slice_starts(tag, slice_of("span class=\"mention w-")) && tag.len == 27) known = true;
        static const struct slice link_end =
            SLICE("\" rel=\"noopener nofollow ugc\" target=\"_blank\"");
        if (slice_starts(tag, slice_of("a href=\"")) && tag.len > link_end.len + 8) {
            struct slice href = slice_skip(slice_first(tag, tag.len - link_end.len), 8);
            known = slice_equal(slice_skip(tag, tag.len - link_end.len), link_end) &&
                    slice_find(href, '"') == href.len && slice_find(href, '<') == href.len;
        }
        assert_true(known);
        at = end + 1;
    }
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 16;
}

static void whatever_is_written_only_our_tags_come_out(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "<",        ">",   "\"",       "'",           "&",
        "*",        "**",  "_",        "~~",          "`",
        "```",      "\n",  "\n\n",     "> ",          "- ",
        "1. ",      "# ",  "[",        "](",          ")",
        "![",       "@",   "a",        "kari",        "http://",
        "www.",     "\\",  "<script>", "</a>",        "&#x3c;",
        "&lt;",     "<b ", "=\"",      "javascript:", "mailto:",
        "\xc3\xb8", "\t",  "|",        "---",         "\xf0\x9f\xab\x96",
    };
    uint32_t seed = 20261125;
    char text[512];
    for (int round = 0; round < 20000; round++) {
        size_t len = 0;
        size_t count = 1 + next_random(&seed) % 30;
        for (size_t i = 0; i < count; i++) {
            const char *piece = pieces[next_random(&seed) % (sizeof pieces / sizeof pieces[0])];
            size_t piece_len = strlen(piece);
            memcpy(text + len, piece, piece_len);
            len += piece_len;
        }
        const char *made = html_of(slice_make(text, len));
        check_only_our_tags(made);
        assert_true(text_valid(buf_slice(&html)));
    }
    buf_close(&html);
}

static void any_bytes_are_survived(void **state)
{
    (void)state;
    uint32_t seed = 7;
    char text[300];
    for (int round = 0; round < 5000; round++) {
        size_t len = next_random(&seed) % sizeof text;
        for (size_t i = 0; i < len; i++)
            text[i] = (char)next_random(&seed);
        (void)html_of(slice_make(text, len));
        check_only_our_tags(html.at);
    }
    buf_close(&html);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_people_write_becomes_markup),
        cmocka_unit_test(only_harmless_schemes_become_links),
        cmocka_unit_test(nothing_that_was_written_becomes_a_tag),
        cmocka_unit_test(a_mention_has_the_class_of_its_word),
        cmocka_unit_test(nesting_has_an_end),
        cmocka_unit_test(whatever_is_written_only_our_tags_come_out),
        cmocka_unit_test(any_bytes_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
