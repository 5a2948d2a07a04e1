/* The files inside of the program, as a browser asks for them. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "web/assets.h"

struct asking {
    uv_loop_t loop;
    struct conn_server *server;
    int fd; /* the browser's end */
};

static void on_request(void *owner, struct conn *conn, const struct http_request *request)
{
    (void)owner;
    assets_respond(conn, request, slice_skip(request->path, sizeof "/assets/" - 1));
}

static int on_upgrade(void *owner, struct conn *conn, const struct http_request *request)
{
    (void)owner;
    (void)conn;
    (void)request;
    return 404;
}

static void on_message(void *owner, struct conn *conn, struct slice text)
{
    (void)owner;
    (void)conn;
    (void)text;
}

static void on_closed(void *owner, struct conn *conn, enum conn_end end)
{
    (void)owner;
    (void)conn;
    (void)end;
}

/* Asks once and gives back all that came. */
static void ask(const char *method, const char *target, const char *lines, struct buf *answer)
{
    struct asking asking;
    struct buf request;
    char bytes[4096];
    int fds[2];

    (void)signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&asking.loop);
    asking.server =
        conn_server_new(&(struct conn_server_options){.loop = &asking.loop,
                                                      .handler = {.owner = NULL,
                                                                  .on_request = on_request,
                                                                  .on_upgrade = on_upgrade,
                                                                  .on_message = on_message,
                                                                  .on_closed = on_closed}});
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    conn_accept(asking.server, fds[0]);
    buf_init(&request, 4096);
    buf_printf(&request, "%s %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n%s\r\n", method, target,
               lines);
    assert_int_equal(send(fds[1], request.at, request.len, 0), (ssize_t)request.len);
    buf_close(&request);
    buf_reset(answer);
    for (;;) {
        uv_run(&asking.loop, UV_RUN_NOWAIT);
        ssize_t count = recv(fds[1], bytes, sizeof bytes, MSG_DONTWAIT);
        if (count == 0) break;
        if (count > 0) buf_append(answer, bytes, (size_t)count);
    }
    (void)close(fds[1]);
    conn_server_stop(asking.server, NULL, NULL);
    uv_run(&asking.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&asking.loop), 0);
}

static bool has(const struct buf *answer, const char *words)
{
    return memmem(answer->at, answer->len, words, strlen(words)) != NULL;
}

static bool ends_with(const struct buf *answer, const unsigned char *at, size_t len)
{
    return answer->len >= len && memcmp(answer->at + answer->len - len, at, len) == 0;
}

static void every_file_is_there_with_its_hash(void **state)
{
    (void)state;
    assert_true(assets_count >= 4);
    for (size_t i = 0; i < assets_count; i++) {
        assert_int_equal(strlen(assets[i].hash), 16);
        assert_ptr_equal(assets_find(slice_from(assets[i].name)), &assets[i]);
        if (assets[i].gzip != NULL) assert_true(assets[i].gzip_len < assets[i].plain_len);
        if (assets[i].brotli != NULL) assert_true(assets[i].brotli_len < assets[i].plain_len);
    }
    assert_null(assets_find(slice_of("../etc/passwd")));
    assert_null(assets_find(slice_of("")));
}

static void the_browser_gets_the_encoding_that_it_takes(void **state)
{
    static const struct {
        const char *line;
        int encoding; /* 0 plain, 1 gzip, 2 brotli */
    } table[] = {
        {"", 0},
        {"Accept-Encoding: gzip, deflate, br\r\n", 2},
        {"Accept-Encoding: gzip, deflate\r\n", 1},
        {"Accept-Encoding: GZIP;q=0.5\r\n", 1},
        {"Accept-Encoding: br;q=0, gzip;q=1.0\r\n", 1},
        {"Accept-Encoding: br;q=0.000, gzip;q=0\r\n", 0},
        {"Accept-Encoding: *\r\n", 2},
        {"Accept-Encoding: *;q=0\r\n", 0},
        {"Accept-Encoding: br;q=0, *\r\n", 1},
        {"Accept-Encoding: identity\r\n", 0},
        {"Accept-Encoding: brx, xgzip\r\n", 0},
    };
    const struct asset *asset = assets_find(slice_of("phoenix.min.js"));
    struct buf answer;

    (void)state;
    buf_init(&answer, 1 << 22);
    assert_non_null(asset);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        ask("GET", "/assets/phoenix.min.js", table[i].line, &answer);
        assert_true(has(&answer, "HTTP/1.1 200 OK\r\n"));
        assert_true(has(&answer, "Content-Type: text/javascript; charset=utf-8\r\n"));
        assert_true(has(&answer, "Vary: Accept-Encoding\r\n"));
        assert_true(has(&answer, "X-Content-Type-Options: nosniff\r\n"));
        assert_true(has(&answer, "Cache-Control: no-cache\r\n"));
        assert_int_equal(has(&answer, "Content-Encoding: gzip\r\n"), table[i].encoding == 1);
        assert_int_equal(has(&answer, "Content-Encoding: br\r\n"), table[i].encoding == 2);
        if (table[i].encoding == 0) assert_true(ends_with(&answer, asset->plain, asset->plain_len));
        if (table[i].encoding == 1) assert_true(ends_with(&answer, asset->gzip, asset->gzip_len));
        if (table[i].encoding == 2) {
            assert_true(ends_with(&answer, asset->brotli, asset->brotli_len));
        }
    }
    buf_close(&answer);
}

static void a_name_with_its_hash_is_good_for_a_year(void **state)
{
    struct buf answer;
    struct buf url;

    (void)state;
    buf_init(&answer, 1 << 22);
    buf_init(&url, 200);
    assets_add_url(&url, "favicon.svg");
    buf_add_char(&url, '\0');
    ask("GET", url.at, "", &answer);
    assert_true(has(&answer, "Cache-Control: public, max-age=31536000, immutable\r\n"));
    ask("GET", "/assets/favicon.svg?v=0000000000000000", "", &answer);
    assert_true(has(&answer, "Cache-Control: no-cache\r\n"));
    buf_close(&url);
    buf_close(&answer);
}

static void what_the_browser_has_is_not_sent_again(void **state)
{
    const struct asset *asset = assets_find(slice_of("favicon.svg"));
    struct buf answer;
    struct buf line;

    (void)state;
    buf_init(&answer, 1 << 22);
    buf_init(&line, 200);
    buf_printf(&line, "If-None-Match: \"x\", W/\"%s\"\r\n%c", asset->hash, '\0');
    ask("GET", "/assets/favicon.svg", line.at, &answer);
    assert_true(has(&answer, "HTTP/1.1 304 Not Modified\r\n"));
    assert_true(has(&answer, "ETag: W/\""));
    assert_true(ends_with(&answer, (const unsigned char *)"\r\n\r\n", 4));
    ask("GET", "/assets/favicon.svg", "If-None-Match: \"0000000000000000\"\r\n", &answer);
    assert_true(has(&answer, "HTTP/1.1 200 OK\r\n"));
    ask("HEAD", "/assets/favicon.svg", "", &answer);
    assert_true(has(&answer, "HTTP/1.1 200 OK\r\n"));
    assert_true(ends_with(&answer, (const unsigned char *)"\r\n\r\n", 4));
    ask("POST", "/assets/favicon.svg", "", &answer);
    assert_true(has(&answer, "HTTP/1.1 405 "));
    assert_true(has(&answer, "Allow: GET, HEAD\r\n"));
    ask("GET", "/assets/../CMakeLists.txt", "", &answer);
    assert_true(has(&answer, "HTTP/1.1 404 "));
    buf_close(&line);
    buf_close(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file_is_there_with_its_hash),
        cmocka_unit_test(the_browser_gets_the_encoding_that_it_takes),
        cmocka_unit_test(a_name_with_its_hash_is_good_for_a_year),
        cmocka_unit_test(what_the_browser_has_is_not_sent_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
