#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "pages/pages.h"

static struct live_address address;
static struct buf to;

static enum live_find find(const char *path)
{
    buf_close(&to);
    buf_init(&to, 4 * 1024);
    return pages_find(slice_from(path), &address, &to);
}

static void every_path_shows_its_page(void **state)
{
    (void)state;
    assert_int_equal(find("/"), LIVE_FOUND);
    assert_ptr_equal(address.view, &home_view);
    assert_int_equal(find("/?e=too_fast"), LIVE_FOUND);
    assert_int_equal(address.hint, CHAT_TOO_FAST);
    assert_int_equal(find("/cluster"), LIVE_FOUND);
    assert_ptr_equal(address.view, &cluster_view);
    assert_int_equal(find("/lobby?a=b&e=no_leader#latest"), LIVE_FOUND);
    assert_ptr_equal(address.view, &chat_view);
    assert_true(slice_is(slice_make(address.room, address.room_len), "lobby"));
    assert_int_equal(address.hint, CHAT_NO_LEADER);
    assert_int_equal(find("/lobby?e=unknown"), LIVE_FOUND);
    assert_int_equal(address.hint, LIVE_HINT_UNKNOWN);
    assert_int_equal(find("/lobby#latest"), LIVE_FOUND);
    assert_int_equal(address.hint, CHAT_ACCEPTED);
    assert_int_equal(find("/lobby?e=nonsense"), LIVE_FOUND);
    assert_int_equal(address.hint, CHAT_ACCEPTED);
    assert_int_equal(find("/r%C3%B8m"), LIVE_FOUND);
    assert_true(slice_is(slice_make(address.room, address.room_len), "r\xc3\xb8m"));
    assert_int_equal(find("/%6Cobby"), LIVE_FOUND);
}

static void a_room_has_one_address(void **state)
{
    (void)state;
    assert_int_equal(find("/Lobby"), LIVE_ELSEWHERE);
    assert_true(slice_is(buf_slice(&to), "/lobby"));
    assert_int_equal(find("/tea%20and%20biscuits"), LIVE_ELSEWHERE);
    assert_true(slice_is(buf_slice(&to), "/tea-and-biscuits"));
    assert_int_equal(find("/R%C3%98M"), LIVE_ELSEWHERE);
    assert_true(slice_is(buf_slice(&to), "/r%C3%B8m"));
}

static void what_can_be_no_room_is_nowhere(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "",
        "lobby",
        "/api",
        "/assets/app.js",
        "/live/websocket",
        "/status",
        "/API",
        "/a/b",
        "/lobby/",
        "//",
        "/.hidden",
        "/%zz",
        "/%00",
        "/%ff",
        "/-a",
        "/a%2Fb",
        "/rooms",
        "/session",
        "/favicon.ico",
        "/%3Cb%3E",
        "/robots.txt",
    };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        assert_int_equal(find(paths[i]), LIVE_NOWHERE);

    char path[400] = "/";
    memset(path + 1, 'a', 65);
    assert_int_equal(find(path), LIVE_NOWHERE);
    path[65] = '\0';
    assert_int_equal(find(path), LIVE_FOUND);
}

static const char *text_of(struct buf *buf)
{
    buf_add_char(buf, '\0');
    return buf->at;
}

static void the_frame_carries_what_the_client_reads(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 64 * 1024);
    pages_frame(&out, &(struct frame){.title = slice_of("#a<b"),
                                      .ui_title = slice_of("Tea & Co"),
                                      .csrf = slice_of("CSRF"),
                                      .session = slice_of("SESSION"),
                                      .nodes = slice_of("http://a:1 http://b:2"),
                                      .content = slice_of("<p>inside</p>")});
    const char *html = text_of(&out);
    assert_non_null(strstr(html, "<div id=\"lt\" data-phx-main data-phx-session=\"SESSION\" "
                                 "data-phx-static=\"\"><p>inside</p></div>"));
    assert_non_null(strstr(html, "<title data-suffix=\" - Tea &amp; Co\">#a&lt;b - Tea &amp; Co<"));
    assert_non_null(strstr(html, "<meta name=\"csrf-token\" content=\"CSRF\">"));
    assert_non_null(strstr(html, "<meta name=\"nodes\" content=\"http://a:1 http://b:2\">"));
    assert_non_null(strstr(html, "src=\"/assets/phoenix.min.js\""));
    assert_null(strstr(html, "style="));
    buf_close(&out);

    buf_init(&out, 64 * 1024);
    pages_frame(&out, &(struct frame){.title = slice_of("x"), .ui_title = slice_of("Tea")});
    html = text_of(&out);
    assert_null(strstr(html, "data-phx-"));
    assert_null(strstr(html, "<script"));
    buf_close(&out);
}

static void the_policy_allows_the_nodes_sockets_and_nothing_else(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 4 * 1024);
    pages_csp(&out, slice_of("http://a:1 https://b ftp://c http://x;script-src"), "N");
    assert_string_equal(text_of(&out),
                        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-N'; "
                        "img-src 'self' data:; connect-src 'self' ws://a:1 wss://b; "
                        "font-src 'none'; base-uri 'none'; form-action 'self'; "
                        "frame-ancestors 'none'");
    buf_close(&out);
}

static void a_style_nonce_follows_from_the_page(void **state)
{
    (void)state;
    struct identity who = {.session = {1}, .issued_s = 1795596423};
    char first[PAGES_NONCE], again[PAGES_NONCE], later[PAGES_NONCE], other[PAGES_NONCE];
    pages_style_nonce(first, &who);
    who.name_len = 4;
    pages_style_nonce(again, &who);
    who.issued_s++;
    pages_style_nonce(later, &who);
    who.session[0] = 2;
    pages_style_nonce(other, &who);
    assert_int_equal(strlen(first), PAGES_NONCE - 1);
    assert_string_equal(first, again);
    assert_string_not_equal(first, later);
    assert_string_not_equal(later, other);
}

static void a_page_that_is_not_there_says_so(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 4 * 1024);
    pages_not_found(&out, slice_of("/a/<script>"));
    const char *html = text_of(&out);
    assert_non_null(strstr(html, "/a/&lt;script&gt;"));
    assert_non_null(strstr(html, "href=\"/\""));
    buf_close(&out);

    buf_init(&out, 4 * 1024);
    pages_unavailable(&out, slice_of("This node is catching up."), NULL, slice_of("/"));
    assert_non_null(strstr(text_of(&out), "This node is catching up."));
    buf_close(&out);
}

static int end(void **state)
{
    (void)state;
    buf_close(&to);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_path_shows_its_page),
        cmocka_unit_test(a_room_has_one_address),
        cmocka_unit_test(what_can_be_no_room_is_nowhere),
        cmocka_unit_test(the_frame_carries_what_the_client_reads),
        cmocka_unit_test(the_policy_allows_the_nodes_sockets_and_nothing_else),
        cmocka_unit_test(a_style_nonce_follows_from_the_page),
        cmocka_unit_test(a_page_that_is_not_there_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
