/* Requests as bytes, and what web/http makes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "web/http.h"

#define HOST "Host: tea.example\r\n"

struct reading {
    struct http_reader *reader;
    enum http_progress progress;
    size_t used;
};

/* Feeds `text` in steps of `step` bytes until something is decided. */
static struct reading read_in_steps(struct slice text, size_t step)
{
    struct reading reading = {.reader = http_reader_new(), .progress = HTTP_READ_MORE};

    while (text.len > 0) {
        size_t used = 0;
        struct slice part = slice_first(text, step);
        reading.progress = http_read(reading.reader, part, &used);
        reading.used += used;
        if (reading.progress == HTTP_READ_ALL || reading.progress == HTTP_READ_BAD) break;
        text = slice_skip(text, used);
    }
    return reading;
}

static int status_of(struct slice text, size_t step)
{
    struct reading reading = read_in_steps(text, step);
    int status = reading.progress == HTTP_READ_ALL   ? 0
                 : reading.progress == HTTP_READ_BAD ? http_reader_status(reading.reader)
                                                     : -1;
    http_reader_free(reading.reader);
    return status;
}

static void a_request_is_taken_apart(void **state)
{
    struct slice text =
        slice_of("GET /lobby?x=%41&y=a+b HTTP/1.1\r\n" HOST
                 "Cookie: a=1; sid=abc ; b=2\r\nX-Empty:\r\nX-Pad: \t v \t\r\n\r\n");
    (void)state;
    for (size_t step = 1; step <= text.len; step += 7) {
        struct buf out;
        struct reading reading = read_in_steps(text, step);
        const struct http_request *request = http_reader_request(reading.reader);

        assert_int_equal(reading.progress, HTTP_READ_ALL);
        assert_int_equal(request->method, HTTP_METHOD_GET);
        assert_true(slice_is(request->method_name, "GET"));
        assert_true(slice_is(request->path, "/lobby"));
        assert_true(slice_is(request->query, "x=%41&y=a+b"));
        assert_true(slice_is(request->target, "/lobby?x=%41&y=a+b"));
        assert_true(slice_is(request->host, "tea.example"));
        assert_true(slice_is(http_cookie_get(request, "sid"), "abc"));
        assert_int_equal(http_cookie_get(request, "none").len, 0);
        assert_true(slice_is(http_header_get(request, "x-pad"), "v"));
        assert_int_equal(http_header_get(request, "x-empty").len, 0);
        assert_int_equal(request->headers_count, 4);
        assert_true(request->keep);
        buf_init(&out, 100);
        assert_true(http_query_get(request, "x", &out));
        assert_true(http_query_get(request, "y", &out));
        assert_true(slice_is(buf_slice(&out), "Aa b"));
        assert_false(http_query_get(request, "z", &out));
        buf_close(&out);
        http_reader_free(reading.reader);
    }
}

static void a_body_comes_by_length_or_in_chunks(void **state)
{
    static const struct slice texts[] = {
        SLICE("POST /api HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\nhello world"),
        SLICE("POST /api HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n"
              "5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n"),
    };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        for (size_t step = 1; step <= texts[i].len; step++) {
            struct reading reading = read_in_steps(texts[i], step);
            assert_int_equal(reading.progress, HTTP_READ_ALL);
            assert_int_equal(reading.used, texts[i].len);
            assert_true(slice_is(http_reader_request(reading.reader)->body, "hello world"));
            http_reader_free(reading.reader);
        }
    }
}

static void what_follows_a_request_is_not_part_of_it(void **state)
{
    static const struct slice firsts[] = {
        SLICE("GET / HTTP/1.1\r\n" HOST "\r\n"),
        SLICE("POST / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nab"),
        SLICE("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
        SLICE("GET / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++) {
        struct buf both;
        buf_init(&both, 4096);
        buf_add(&both, firsts[i]);
        buf_add(&both, slice_of("GET /second HTTP/1.1\r\n"));
        struct reading reading = read_in_steps(buf_slice(&both), both.len);
        assert_int_equal(reading.progress, HTTP_READ_ALL);
        assert_int_equal(reading.used, firsts[i].len);
        http_reader_free(reading.reader);
        buf_close(&both);
    }
}

static void what_the_rfc_forbids_is_refused(void **state)
{
#define GET_WITH(lines)  SLICE("GET / HTTP/1.1\r\n" HOST lines "\r\n")
#define POST_WITH(lines) SLICE("POST / HTTP/1.1\r\n" HOST lines)
#define CHUNKED          "Transfer-Encoding: chunked\r\n\r\n"
    static const struct {
        struct slice text;
        int status; /* 0 accepted, -1 not decided yet */
    } table[] = {
        {GET_WITH(""), 0},
        {SLICE("\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), 0},
        {SLICE("\r\n\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), 400},
        /* lengths */
        {POST_WITH("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"),
         400},
        {POST_WITH("Content-Length: 1\r\nContent-Length: 1\r\n\r\na"), 400},
        {POST_WITH("Content-Length: +5\r\n\r\nhello"), 400},
        {POST_WITH("Content-Length: 0x5\r\n\r\nhello"), 400},
        {POST_WITH("Content-Length: 5,5\r\n\r\nhello"), 400},
        {POST_WITH("Content-Length: 5 5\r\n\r\nhello"), 400},
        {POST_WITH("Content-Length: -5\r\n\r\nhello"), 400},
        {POST_WITH("Content-Length:\r\n\r\n"), 400},
        {POST_WITH("Content-Length: 9223372036854775808\r\n\r\n"), 400},
        {POST_WITH("Content-Length: 18446744073709551621\r\n\r\nhello"), 400},
        {POST_WITH("Content-Length: 65537\r\n\r\n"), 413},
        {POST_WITH("Content-Length: 5\r\n\r\nhello"), 0},
        {POST_WITH("Content-Length: 0\r\n\r\n"), 0},
        {POST_WITH("\r\n"), 0},
        {POST_WITH("Content-Length : 5\r\n\r\nhello"), 400},
        /* transfer codings */
        {POST_WITH("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), 400},
        {POST_WITH("Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"), 400},
        {POST_WITH("Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), 400},
        {POST_WITH("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 400},
        {POST_WITH("Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"), 400},
        {POST_WITH("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
         400},
        {POST_WITH("Transfer-Encoding: chunked\r\n \r\n\r\n0\r\n\r\n"), 400},
        {POST_WITH("Transfer-Encoding:\r\n\r\n0\r\n\r\n"), 400},
        {SLICE("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
        {POST_WITH("Transfer-Encoding:\x0b"
                   "chunked\r\n\r\n0\r\n\r\n"),
         400},
        /* chunks */
        {POST_WITH(CHUNKED "0\r\n\r\n"), 0},
        {POST_WITH(CHUNKED "0_2e\r\n\r\n"), 400},
        {POST_WITH(CHUNKED "0x2\r\nab\r\n0\r\n\r\n"), 400},
        {POST_WITH(CHUNKED "+2\r\nab\r\n0\r\n\r\n"), 400},
        {POST_WITH(CHUNKED "-2\r\nab\r\n0\r\n\r\n"), 400},
        {POST_WITH(CHUNKED "11111111111111111111\r\nab"), 400},
        {POST_WITH(CHUNKED "00000000000000000002\r\nab"), 400},
        {POST_WITH(CHUNKED "2\r\nabc\r\n0\r\n\r\n"), 400},
        {POST_WITH(CHUNKED "2\r\nab0\r\n\r\n"), 400},
        {POST_WITH(CHUNKED "2\nab\n0\n\n"), 400},
        {POST_WITH(CHUNKED "2\r\nab\n0\r\n\r\n"), 400},
        {POST_WITH(CHUNKED "2\r\nab\r\n0\r\n\n"), 400},
        {POST_WITH(CHUNKED "2;x\ny\r\nab\r\n0\r\n\r\n"), 400},
        {POST_WITH(CHUNKED "2;x\ry\r\nab\r\n0\r\n\r\n"), 400},
        {POST_WITH(CHUNKED "\r\n2\r\nab\r\n0\r\n\r\n"), 400},
        {POST_WITH(CHUNKED "2\r\nab\r\n0\r\nTrailer: x\r\n\r\n"), 400},
        {POST_WITH(CHUNKED "2\r\nab\r\n0\r\nGET /smuggled HTTP/1.1\r\n\r\n"), 400},
        {POST_WITH(CHUNKED "10001\r\n"), -1},
        /* line ends and bytes */
        {SLICE("GET / HTTP/1.1\n" HOST "\r\n"), 400},
        {SLICE("GET / HTTP/1.1\r\nHost: x\n\r\n"), 400},
        {SLICE("GET / HTTP/1.1\r\nHost: x\r\n\n"), 400},
        {SLICE("GET / HTTP/1.1\r\nHost: x\rX: y\r\n\r\n"), 400},
        {SLICE("GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n"), 400},
        {SLICE("GET / HTTP/1.1\r\nHost: x\r\nX: a\x01"
               "b\r\n\r\n"),
         400},
        {SLICE("GET / HTTP/1.1\r\nHost: x\r\nX\0: ab\r\n\r\n"), 400},
        {GET_WITH("X : y\r\n"), 400},
        {GET_WITH("X\t: y\r\n"), 400},
        {GET_WITH(" X: y\r\n"), 400},
        {GET_WITH("X: y\r\n folded\r\n"), 400},
        {GET_WITH("X: y\r\n\tfolded\r\n"), 400},
        {GET_WITH("no colon\r\n"), 400},
        {GET_WITH(": no name\r\n"), 400},
        {GET_WITH("X(y): z\r\n"), 400},
        {GET_WITH("X: caf\xc3\xa9\r\n"), 0},
        /* request line */
        {SLICE("GET /\r\n\r\n"), 400},
        {SLICE("GET  / HTTP/1.1\r\n" HOST "\r\n"), 400},
        {SLICE("GET / HTTP/1.1 \r\n" HOST "\r\n"), 400},
        {SLICE("GET /a b HTTP/1.1\r\n" HOST "\r\n"), 400},
        {SLICE("GET\t/ HTTP/1.1\r\n" HOST "\r\n"), 400},
        {SLICE("GET http://tea.example/ HTTP/1.1\r\n" HOST "\r\n"), 400},
        {SLICE("GET * HTTP/1.1\r\n" HOST "\r\n"), 400},
        {SLICE("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), 405},
        {SLICE("OPTIONS / HTTP/1.1\r\n" HOST "\r\n"), 0},
        {SLICE("PUT / HTTP/1.1\r\n" HOST "\r\n"), 0},
        {SLICE("TRACE / HTTP/1.1\r\n" HOST "\r\n"), 0},
        {SLICE("CONNECT tea.example:443 HTTP/1.1\r\n" HOST "\r\n"), 405},
        {SLICE("BREW /pot HTTP/1.1\r\n" HOST "\r\n"), 405},
        {SLICE("get / HTTP/1.1\r\n" HOST "\r\n"), 405},
        {SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505},
        {SLICE("GET / HTTP/1.2\r\n" HOST "\r\n"), 400},
        {SLICE("GET / HTTP/0.9\r\n" HOST "\r\n"), 400},
        {SLICE("GET / http/1.1\r\n" HOST "\r\n"), 400},
        {SLICE("GET / HTTP/11\r\n" HOST "\r\n"), 400},
        {SLICE("GET /caf\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n"), 400},
        {SLICE("GET /#x HTTP/1.1\r\n" HOST "\r\n"), 400},
        {SLICE("\x16\x03\x01\x02"), 400},
        {SLICE("\0"), 400},
        /* host */
        {SLICE("GET / HTTP/1.1\r\n\r\n"), 400},
        {SLICE("GET / HTTP/1.1\r\n" HOST HOST "\r\n"), 400},
        {SLICE("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 400},
        {SLICE("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400},
        {SLICE("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400},
        {SLICE("GET / HTTP/1.1\r\nHost: [::1]:4000\r\n\r\n"), 0},
        {SLICE("GET / HTTP/1.0\r\n\r\n"), 0},
        {SLICE("GET / HTTP/1.0\r\n" HOST HOST "\r\n"), 400},
        /* bodies where none belongs; expectations */
        {GET_WITH("Content-Length: 0\r\n"), 0},
        {GET_WITH("Content-Length: 1\r\n"), 400},
        {GET_WITH("Transfer-Encoding: chunked\r\n"), 400},
        {SLICE("HEAD / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"), 400},
        {GET_WITH("Expect: tea\r\n"), 417},
        {GET_WITH("Upgrade: h2c\r\nConnection: upgrade, http2-settings\r\n"), 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        for (size_t step = 1; step < 100000; step = step == 1 ? 3 : step == 3 ? 17 : step * 5000) {
            int status = status_of(table[i].text, step);
            if (status != table[i].status) {
                print_error("%.*s\nin steps of %zu\n", (int)table[i].text.len, table[i].text.at,
                            step);
            }
            assert_int_equal(status, table[i].status);
        }
    }
}

static void add_many(struct buf *text, char c, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_add_char(text, c);
}

static void too_much_is_refused_before_its_end(void **state)
{
    struct buf text;

    (void)state;
    buf_init(&text, 1 << 20);
    buf_add(&text, slice_of("GET /"));
    add_many(&text, 'a', HTTP_LINE_MAX);
    assert_int_equal(status_of(buf_slice(&text), 1000), 414);

    buf_reset(&text);
    buf_add(&text, slice_of("GET / HTTP/1.1\r\nX: "));
    add_many(&text, 'a', HTTP_LINE_MAX);
    assert_int_equal(status_of(buf_slice(&text), 1000), 431);

    buf_reset(&text);
    buf_add(&text, slice_of("GET / HTTP/1.1\r\n"));
    for (int i = 0; i < 3; i++) {
        buf_add(&text, slice_of("X: "));
        add_many(&text, 'a', HTTP_LINE_MAX - 100);
        buf_add(&text, slice_of("\r\n"));
    }
    assert_int_equal(status_of(buf_slice(&text), 1000), 431);

    buf_reset(&text);
    buf_add(&text, slice_of("GET / HTTP/1.1\r\n" HOST));
    for (int i = 0; i < HTTP_HEADERS_MAX - 1; i++)
        buf_add(&text, slice_of("a:b\r\n"));
    size_t len = text.len;
    buf_add(&text, slice_of("\r\n"));
    assert_int_equal(status_of(buf_slice(&text), 1000), 0);
    buf_truncate(&text, len);
    buf_add(&text, slice_of("a:b\r\n"));
    assert_int_equal(status_of(buf_slice(&text), 1000), 431);

    buf_reset(&text);
    buf_add(&text, slice_of("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"));
    for (int i = 0; i < 17; i++) {
        buf_add(&text, slice_of("1000\r\n"));
        add_many(&text, 'a', 4096);
        buf_add(&text, slice_of("\r\n"));
    }
    assert_int_equal(status_of(buf_slice(&text), 1000), 413);

    buf_reset(&text);
    buf_add(&text, slice_of("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1;"));
    add_many(&text, 'x', 2000);
    assert_int_equal(status_of(buf_slice(&text), 100), 400);
    buf_close(&text);
}

static void an_upgrade_needs_both_words_in_any_case(void **state)
{
    static const struct {
        struct slice text;
        bool is_upgrade;
    } table[] = {
        {GET_WITH("Connection: Upgrade\r\nUpgrade: websocket\r\n"), true},
        {GET_WITH("connection: keep-alive, upgrade\r\nUPGRADE: WebSocket\r\n"), true},
        {GET_WITH("Connection: keep-alive\r\nConnection: UPGRADE\r\nUpgrade: websocket\r\n"), true},
        {GET_WITH("Upgrade: websocket\r\n"), false},
        {GET_WITH("Connection: upgraded\r\nUpgrade: websocket\r\n"), false},
        {GET_WITH("Connection: upgrade\r\nUpgrade: h2c\r\n"), false},
        {SLICE("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"), false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct reading reading = read_in_steps(table[i].text, 9);
        assert_int_equal(reading.progress, HTTP_READ_ALL);
        assert_int_equal(http_reader_request(reading.reader)->is_upgrade, table[i].is_upgrade);
        http_reader_free(reading.reader);
    }
}

static void an_answer_says_how_long_it_is_and_whether_we_stay(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 4096);
    http_add_head(&out,
                  &(struct http_response){.status = 200,
                                          .type = slice_of("text/plain"),
                                          .headers = slice_of("A: b\r\n")},
                  &(struct http_frame){.keep = true, .every = slice_of("X-Node: n1\r\n")}, 5);
    assert_true(slice_is(buf_slice(&out), "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                                          "Content-Length: 5\r\nX-Node: n1\r\nA: b\r\n\r\n"));
    buf_reset(&out);
    http_add_head(&out, &(struct http_response){.status = 304}, &(struct http_frame){.keep = false},
                  5);
    assert_true(
        slice_is(buf_slice(&out), "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"));
    buf_close(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_taken_apart),
        cmocka_unit_test(a_body_comes_by_length_or_in_chunks),
        cmocka_unit_test(what_follows_a_request_is_not_part_of_it),
        cmocka_unit_test(what_the_rfc_forbids_is_refused),
        cmocka_unit_test(too_much_is_refused_before_its_end),
        cmocka_unit_test(an_upgrade_needs_both_words_in_any_case),
        cmocka_unit_test(an_answer_says_how_long_it_is_and_whether_we_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
