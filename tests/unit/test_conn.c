/* A server and its clients in one loop, over loopback: no waiting but for what must happen, and time
 * that is skipped where a deadline is meant. One file, though longer than 500 lines: every test needs all of the
 * server and the clients that are made up here. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "base/limits.h"
#include "base/mem.h"
#include "promise.h"
#include "web/conn.h"
#include "web/listener.h"

#define HOST "Host: t\r\n"
#define UPGRADE                                                                   \
    "GET /live HTTP/1.1\r\n" HOST "Upgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

enum {
    CLIENTS_MAX = 64,
    PATIENCE_MS = 60000,
    SLOW_SIZE = 16 * 1024,      /* of a send buffer */
    LARGE = 3 * 1024 * 1024,    /* bytes of some answers */
    CONN_READ_SIZE = 64 * 1024, /* of a turn, and */
    CONN_LOOKS = 3              /* while a write waits, as in conn_state.h */
};

/* ---- the fixture ---- */

struct house {
    uv_loop_t loop;
    struct conn_server *server;
    struct listener *listener;
    struct conn *waiting;               /* a request for /later that is not answered yet */
    struct conn *browsers[CLIENTS_MAX]; /* accepted WebSockets that are not closed */
    size_t browsers_count;
    struct buf heard;  /* messages, and what was asked for, each with a '|' */
    unsigned closed;   /* calls of on_closed */
    enum conn_end end; /* of the last one */
    int refuse;        /* status for the next upgrades */
    bool is_stopped;
};

static void on_request(void *owner, struct conn *conn, const struct http_request *request)
{
    struct house *house = owner;

    buf_add(&house->heard, request->target);
    buf_add(&house->heard, request->body);
    buf_add_char(&house->heard, '|');
    if (slice_is(request->path, "/later")) {
        house->waiting = conn;
    } else if (slice_is(request->path, "/large")) {
        static char body[LARGE];
        memset(body, 'x', sizeof body);
        http_respond(conn,
                     &(struct http_response){.status = 200, .body = slice_make(body, sizeof body)});
    } else if (slice_is(request->path, "/asset")) {
        struct shared **asset = conn_kept(conn, 0, 1);
        if (*asset == NULL) {
            *asset = shared_new(LARGE);
            memset((*asset)->bytes, 'x', LARGE);
        }
        http_respond(conn,
                     &(struct http_response){.status = 200, .body_shared = shared_ref(*asset)});
    } else if (request->method == HTTP_METHOD_OTHER) {
        http_respond_method(conn, "GET, HEAD, POST");
    } else if (slice_starts(request->path, slice_of("/error/"))) {
        uint64_t status = 0;
        assert_true(slice_to_u64(slice_skip(request->path, 7), &status));
        http_respond_error(conn, (int)status, "word", "A sentence.");
    } else if (slice_is(request->path, "/hangup")) {
        conn_close(conn, 0, CONN_END_CLIENT);
    } else {
        http_respond_text(conn, 200, request->path);
    }
}

static int on_upgrade(void *owner, struct conn *conn, const struct http_request *request)
{
    struct house *house = owner;

    (void)request;
    if (house->refuse != 0) return house->refuse;
    conn_set_user(conn, house);
    house->browsers[house->browsers_count++] = conn;
    return 0;
}

static void on_message(void *owner, struct conn *conn, struct slice text)
{
    struct house *house = owner;

    buf_add(&house->heard, text);
    buf_add_char(&house->heard, '|');
    if (slice_is(text, "join")) conn_joined(conn);
    if (slice_is(text, "bye")) conn_close(conn, WS_POLICY, CONN_END_PROTOCOL);
}

static void on_closed(void *owner, struct conn *conn, enum conn_end end)
{
    struct house *house = owner;
    size_t kept = 0;

    house->closed++;
    house->end = end;
    if (house->waiting == conn) house->waiting = NULL;
    for (size_t i = 0; i < house->browsers_count; i++) {
        if (house->browsers[i] != conn) house->browsers[kept++] = house->browsers[i];
    }
    house->browsers_count = kept;
}

static void house_open(struct house *house, const struct conn_limits *limits)
{
    struct errmsg errmsg;

    (void)signal(SIGPIPE, SIG_IGN);
    *house = (struct house){.closed = 0};
    uv_loop_init(&house->loop);
    buf_init(&house->heard, 1 << 22);
    house->server =
        conn_server_new(&(struct conn_server_options){.loop = &house->loop,
                                                      .handler = {.owner = house,
                                                                  .on_request = on_request,
                                                                  .on_upgrade = on_upgrade,
                                                                  .on_message = on_message,
                                                                  .on_closed = on_closed},
                                                      .limits = *limits,
                                                      .every = slice_of("X-Node: n1\r\n")});
    int rv =
        listener_start(&house->listener,
                       &(struct listen_options){
                           .loop = &house->loop, .server = house->server, .address = "127.0.0.1:0"},
                       &errmsg);
    assert_int_equal(rv, 0);
}

static const struct conn_counters *counters(const struct house *house)
{
    return conn_server_counters(house->server);
}

static void on_stopped(void *owner)
{
    struct house *house = owner;
    house->is_stopped = true;
}

static void house_close(struct house *house)
{
    listener_stop(house->listener, NULL, NULL);
    conn_server_stop(house->server, on_stopped, house);
    uv_run(&house->loop, UV_RUN_DEFAULT);
    assert_true(house->is_stopped);
    assert_int_equal(house->browsers_count, 0);
    assert_int_equal(uv_loop_close(&house->loop), 0);
    buf_close(&house->heard);
}

/* One turn of the loop that waits for nothing. */
/* Every attempt to take a connection is counted. */
int __real_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags);
static unsigned accepts;

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    accepts++;
    return __real_accept4(fd, address, len, flags);
}

static void turn(struct house *house)
{
    uv_run(&house->loop, UV_RUN_NOWAIT);
}

#define UNTIL(house, condition)                                                       \
    do {                                                                              \
        uint64_t until_end = uv_hrtime() + PATIENCE_MS * 1000000ull;                  \
        while (!(condition)) {                                                        \
            if (uv_hrtime() > until_end) fail_msg("never came true: %s", #condition); \
            turn(house);                                                              \
        }                                                                             \
    } while (0)

/* What a deadline has not ended yet is only looked at when that has not come by itself: a busy machine is slow. */
static bool was_quick(uint64_t begun_ns, uint64_t deadline_ms)
{
    return uv_hrtime() - begun_ns < deadline_ms * 1000000;
}

/* ---- clients ---- */

struct client {
    int fd;
    struct buf got;
    bool is_over; /* the server has ended the stream */
};

/* Whatever descriptor of this process has this client at its other end; -1: none. */
static int other_end(const struct client *client)
{
    struct sockaddr_in mine, name;
    socklen_t len = sizeof mine;
    assert_int_equal(getsockname(client->fd, (struct sockaddr *)&mine, &len), 0);
    for (int fd = 0; fd < 1024; fd++) {
        len = sizeof name;
        if (getpeername(fd, (struct sockaddr *)&name, &len) == 0 && name.sin_family == AF_INET &&
            name.sin_port == mine.sin_port)
            return fd;
    }
    return -1;
}

static void client_open_small(struct client *client, struct house *house, int receive_size)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)listener_port(house->listener)),
                             .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};

    *client = (struct client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    buf_init(&client->got, 1 << 24);
    if (receive_size > 0) {
        setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &receive_size, sizeof receive_size);
    }
    assert_int_equal(connect(client->fd, (const struct sockaddr *)&to, sizeof to), 0);
    UNTIL(house, other_end(client) >= 0);
}

static void client_open(struct client *client, struct house *house)
{
    client_open_small(client, house, 0);
}

static void client_close(struct client *client)
{
    if (client->fd >= 0) (void)close(client->fd);
    buf_close(&client->got);
}

/* Takes what has come so far; true at the end of the stream. */
static bool client_read(struct client *client)
{
    char bytes[65536];

    for (;;) {
        ssize_t count = recv(client->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (count < 0 && errno == EAGAIN) return false;
        if (count <= 0) {
            client->is_over = true;
            return true;
        }
        buf_append(&client->got, bytes, (size_t)count);
    }
}

static void client_send(struct client *client, struct house *house, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t count = send(client->fd, bytes.at, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count < 0 && errno != EAGAIN) return;
        if (count > 0) bytes = slice_skip(bytes, (size_t)count);
        turn(house);
    }
}

/* The kernel holds little for it, in both directions. */
static void client_open_slow(struct client *client, struct house *house)
{
    const int size = SLOW_SIZE;

    client_open_small(client, house, 4096);
    assert_int_equal(setsockopt(other_end(client), SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
}

static bool has(const struct buf *buf, const char *words)
{
    return buf->len > 0 && memmem(buf->at, buf->len, words, strlen(words)) != NULL;
}

static size_t count_of(const struct buf *buf, const char *words)
{
    size_t count = 0;
    const char *at = buf->at;
    while (at != NULL) {
        at = memmem(at, buf->len - (size_t)(at - buf->at), words, strlen(words));
        if (at == NULL) break;
        count++;
        at++;
    }
    return count;
}

static void client_upgrade(struct client *client, struct house *house)
{
    size_t before = house->browsers_count;

    client_open(client, house);
    client_send(client, house, slice_of(UPGRADE));
    UNTIL(house, house->browsers_count > before && (client_read(client) || client->got.len > 0));
    assert_true(has(&client->got, "HTTP/1.1 101 "));
    assert_true(has(&client->got, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    buf_reset(&client->got);
}

/* A text frame masked with zeros. */
static void client_say(struct client *client, struct house *house, const char *text)
{
    struct buf frame;
    buf_init(&frame, 1000);
    buf_add(&frame, slice_of("\x81"));
    buf_add_char(&frame, (char)(0x80 | strlen(text)));
    buf_add(&frame, slice_of("\0\0\0\0"));
    buf_add(&frame, slice_from(text));
    client_send(client, house, buf_slice(&frame));
    buf_close(&frame);
}

static void send_text(struct conn *conn, const char *text)
{
    struct shared *frame = ws_text_frame(slice_from(text));
    conn_send(conn, frame);
    shared_unref(frame);
}

static const struct conn_limits no_limits = {.connections_max = 1000};

/* ---- HTTP ---- */

static void a_request_is_answered_and_the_connection_stays(void **state)
{
    struct house house;
    struct client client;

    (void)state;
    house_open(&house, &no_limits);
    client_open(&client, &house);
    for (int i = 0; i < 3; i++) {
        buf_reset(&client.got);
        client_send(&client, &house, slice_of("GET /tea HTTP/1.1\r\n" HOST "\r\n"));
        UNTIL(&house, client_read(&client) || has(&client.got, "/tea\n"));
        assert_true(has(&client.got, "HTTP/1.1 200 OK\r\n"));
        assert_true(has(&client.got, "Content-Length: 5\r\n"));
        assert_true(has(&client.got, "X-Node: n1\r\n"));
        assert_true(has(&client.got, "\r\nDate: "));
        assert_false(has(&client.got, "Connection: "));
        assert_false(client.is_over);
    }
    assert_int_equal(counters(&house)->http_requests, 3);
    client_close(&client);
    UNTIL(&house, counters(&house)->connections == 0);
    assert_int_equal(house.closed, 0); /* all were answered: the owner is owed nothing */
    house_close(&house);
}

static void a_request_may_come_byte_by_byte(void **state)
{
    struct slice text = slice_of("POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                                 "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    struct house house;
    struct client client;

    (void)state;
    house_open(&house, &no_limits);
    client_open(&client, &house);
    for (size_t i = 0; i < text.len; i++)
        client_send(&client, &house, slice_make(text.at + i, 1));
    UNTIL(&house, client_read(&client) || has(&client.got, "/a\n"));
    assert_true(slice_is(buf_slice(&house.heard), "/aabcde|"));
    client_close(&client);
    house_close(&house);
}

static void a_head_has_no_body_and_the_same_length(void **state)
{
    struct house house;
    struct client client;

    (void)state;
    house_open(&house, &no_limits);
    client_open(&client, &house);
    client_send(&client, &house,
                slice_of("HEAD /tea HTTP/1.1\r\n" HOST "\r\n"
                         "GET /end HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"));
    UNTIL(&house, client_read(&client));
    assert_false(has(&client.got, "/tea\n"));
    assert_int_equal(count_of(&client.got, "Content-Length: 5\r\n"), 2);
    assert_int_equal(count_of(&client.got, "Connection: close\r\n"), 1);
    client_close(&client);
    house_close(&house);
}

static void pipelined_requests_are_answered_in_order_one_at_a_time(void **state)
{
    struct house house;
    struct client client;

    (void)state;
    house_open(&house, &no_limits);
    client_open(&client, &house);
    client_send(&client, &house,
                slice_of("GET /1 HTTP/1.1\r\n" HOST "\r\nGET /later HTTP/1.1\r\n" HOST
                         "\r\nGET /3 HTTP/1.1\r\n" HOST "\r\nGET /4 HTTP/1.1\r\n" HOST "\r\n"));
    UNTIL(&house, client_read(&client) || has(&client.got, "/1\n"));
    UNTIL(&house, house.waiting != NULL);
    for (int i = 0; i < 5; i++)
        turn(&house);
    assert_true(slice_is(buf_slice(&house.heard), "/1|/later|"));
    http_respond_text(house.waiting, 200, slice_of("now"));
    UNTIL(&house, client_read(&client) || has(&client.got, "/4\n"));
    assert_true(slice_is(buf_slice(&house.heard), "/1|/later|/3|/4|"));
    assert_true(memmem(client.got.at, client.got.len, "now\n", 4) <
                memmem(client.got.at, client.got.len, "/3\n", 3));
    client_close(&client);
    house_close(&house);
}

static void an_error_says_when_to_come_again_where_that_may_help(void **state)
{
    struct house house;
    struct client client;
    (void)state;
    house_open(&house, &no_limits);
    client_open(&client, &house);
    client_send(&client, &house, slice_of("GET /error/500 HTTP/1.1\r\n" HOST "\r\n"));
    UNTIL(&house, client_read(&client) ||
                      has(&client.got, "{\"error\":\"word\",\"message\":\"A sentence.\"}\n"));
    assert_false(has(&client.got, "Retry-After"));
    buf_reset(&client.got);
    client_send(&client, &house, slice_of("GET /error/503 HTTP/1.1\r\n" HOST "\r\n"));
    UNTIL(&house, client_read(&client) ||
                      has(&client.got, "{\"error\":\"word\",\"message\":\"A sentence.\"}\n"));
    assert_true(has(&client.got, "\r\nRetry-After: 1\r\n"));
    client_close(&client);
    house_close(&house);
}

/* All at once, before the server turns: no more than a socket holds. */
static void client_put(struct client *client, const struct buf *bytes)
{
    int size = 1 << 20;
    assert_int_equal(setsockopt(client->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    assert_int_equal(send(client->fd, bytes->at, bytes->len, MSG_NOSIGNAL | MSG_DONTWAIT),
                     bytes->len);
}

static void who_sends_many_requests_does_not_keep_others_waiting(void **state)
{
    enum { MANY = 2000 };
    struct house house;
    struct client many;
    struct client one;
    struct buf bytes;

    (void)state;
    house_open(&house, &no_limits);
    client_open(&many, &house);
    client_open(&one, &house);
    buf_init(&bytes, CONN_READ_SIZE);
    for (int i = 0; i < MANY; i++)
        buf_add(&bytes, slice_of("HEAD /x HTTP/1.1\r\n" HOST "\r\n"));
    client_put(&many, &bytes);
    buf_reset(&bytes);
    buf_add(&bytes, slice_of("GET /one HTTP/1.1\r\n" HOST "\r\n"));
    client_put(&one, &bytes);
    UNTIL(&house, client_read(&one) || has(&one.got, "/one\n"));
    assert_in_range(counters(&house)->http_requests, 1, MANY / 2);

    /* And the loop does not sleep over it. */
    while (counters(&house)->http_requests < MANY + 1) {
        assert_int_equal(uv_backend_timeout(&house.loop), 0);
        turn(&house);
    }
    UNTIL(&house, uv_backend_timeout(&house.loop) != 0);
    UNTIL(&house, client_read(&many) || count_of(&many.got, "HTTP/1.1 200 OK\r\n") == MANY);
    buf_close(&bytes);
    client_close(&many);
    client_close(&one);
    house_close(&house);
}

/* What is behind the requests that a connection may have waiting is read when there is room, and nothing of it
 * is lost or read twice. */
static void requests_of_any_length_may_wait_for_one_another(void **state)
{
    enum { MANY = 500 };
    struct house house;
    struct client client;
    struct buf expected;
    struct buf bytes;

    (void)state;
    house_open(&house, &no_limits);
    client_open(&client, &house);
    buf_init(&expected, 1 << 22);
    buf_init(&bytes, 1 << 22);
    for (unsigned i = 0; i < MANY; i++) {
        unsigned len = i * 7919 % 1500;
        buf_printf(&bytes, "POST /%u HTTP/1.1\r\n" HOST "Content-Length: %u\r\n\r\n", i, len);
        buf_printf(&expected, "/%u", i);
        for (struct buf *to = &bytes; to != NULL; to = to == &bytes ? &expected : NULL) {
            for (unsigned at = 0; at < len; at++)
                buf_add_char(to, (char)('a' + (i + at) % 26));
        }
        buf_add_char(&expected, '|');
    }
    client_send(&client, &house, buf_slice(&bytes));
    UNTIL(&house, counters(&house)->http_requests == MANY);
    assert_true(slice_equal(buf_slice(&house.heard), buf_slice(&expected)));
    UNTIL(&house, client_read(&client) || count_of(&client.got, "HTTP/1.1 200 OK\r\n") == MANY);
    buf_close(&bytes);
    buf_close(&expected);
    client_close(&client);
    house_close(&house);
}

static void who_ends_its_half_still_gets_its_answers(void **state)
{
    struct house house;
    struct client client;

    (void)state;
    house_open(&house, &no_limits);
    client_open(&client, &house);
    client_send(&client, &house,
                slice_of("GET /later HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n" HOST
                         "\r\nGET /3 HTTP/1.1\r\n" HOST "\r\n"));
    shutdown(client.fd, SHUT_WR);
    UNTIL(&house, house.waiting != NULL);
    for (int i = 0; i < 5; i++)
        turn(&house);
    http_respond_text(house.waiting, 200, slice_of("now"));
    UNTIL(&house, client_read(&client));
    assert_true(has(&client.got, "now\n"));
    assert_true(has(&client.got, "/2\n"));
    assert_true(has(&client.got, "/3\n"));
    assert_int_equal(count_of(&client.got, "Connection: close\r\n"), 1);
    UNTIL(&house, counters(&house)->connections == 0);
    client_close(&client);
    house_close(&house);
}

static void old_http_stays_only_when_asked(void **state)
{
    struct house house;
    struct client client;

    (void)state;
    house_open(&house, &no_limits);
    client_open(&client, &house);
    client_send(&client, &house, slice_of("GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    UNTIL(&house, client_read(&client) || has(&client.got, "/1\n"));
    assert_true(has(&client.got, "Connection: keep-alive\r\n"));
    client_send(&client, &house, slice_of("GET /2 HTTP/1.0\r\n\r\n"));
    UNTIL(&house, client_read(&client));
    assert_true(has(&client.got, "/2\n"));
    assert_true(has(&client.got, "Connection: close\r\n"));
    client_close(&client);
    house_close(&house);
}

static void a_bad_request_gets_one_answer_and_the_end(void **state)
{
    static const struct {
        struct slice text;
        const char *status;
    } table[] = {
        {SLICE("GET / HTTP/1.1\r\n\r\nGET /smuggled HTTP/1.1\r\n" HOST "\r\n"), "400"},
        {SLICE("POST / HTTP/1.1\r\n" HOST "Content-Length: 44\r\nTransfer-Encoding: chunked\r\n\r\n"
               "0\r\n\r\nGET /smuggled HTTP/1.1\r\n" HOST "\r\n"),
         "400"},
        {SLICE("GET / HTTP/1.1\r\n" HOST "Content-Length: 40\r\n\r\nGET /smuggled HTTP/1.1\r\n" HOST
               "\r\n"),
         "400"},
        {SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "505"},
        {SLICE("CONNECT t:1 HTTP/1.1\r\n" HOST "\r\nGET /smuggled HTTP/1.1\r\n\r\n"), "405"},
        {SLICE("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), "400"},
        {SLICE("POST / HTTP/1.1\r\n" HOST "Content-Length: 70000\r\n\r\n"), "413"},
        {SLICE("POST / HTTP/1.1\r\n" HOST "Expect: tea\r\nContent-Length: 1\r\n\r\n"), "417"},
    };
    struct house house;

    (void)state;
    house_open(&house, &no_limits);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct client client;
        char line[32];
        client_open(&client, &house);
        client_send(&client, &house, table[i].text);
        UNTIL(&house, client_read(&client));
        (void)snprintf(line, sizeof line, "HTTP/1.1 %s ", table[i].status);
        assert_int_equal(count_of(&client.got, "HTTP/1.1 "), 1);
        assert_true(has(&client.got, line));
        assert_true(has(&client.got, "Connection: close\r\n"));
        client_close(&client);
        UNTIL(&house, counters(&house)->connections == 0);
    }
    assert_int_equal(house.heard.len, 0);
    assert_int_equal(house.closed, 0);
    assert_int_equal(counters(&house)->http_bad, sizeof table / sizeof *table);
    house_close(&house);
}

static void other_methods_come_to_the_owner(void **state)
{
    static const char *const methods[] = {"PUT", "PATCH", "OPTIONS", "TRACE"};
    struct house house;
    struct client client;

    (void)state;
    house_open(&house, &no_limits);
    client_open(&client, &house);
    for (size_t i = 0; i < 4; i++) {
        struct buf text;
        buf_init(&text, 200);
        buf_printf(&text, "%s / HTTP/1.1\r\n" HOST "\r\n", methods[i]);
        client_send(&client, &house, buf_slice(&text));
        UNTIL(&house, client_read(&client) || count_of(&client.got, " 405 ") == i + 1);
        buf_close(&text);
    }
    assert_int_equal(count_of(&client.got, "Allow: GET, HEAD, POST\r\n"), 4);
    client_close(&client);
    house_close(&house);
}

static void a_body_is_asked_for_when_it_waits_to_be(void **state)
{
    struct house house;
    struct client client;

    (void)state;
    house_open(&house, &no_limits);
    client_open(&client, &house);
    client_send(
        &client, &house,
        slice_of("POST /x HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"));
    UNTIL(&house, client_read(&client) || has(&client.got, "HTTP/1.1 100 Continue\r\n\r\n"));
    client_send(&client, &house, slice_of("abc"));
    UNTIL(&house, client_read(&client) || has(&client.got, "/x\n"));
    assert_true(slice_is(buf_slice(&house.heard), "/xabc|"));
    client_close(&client);
    house_close(&house);
}

static void a_large_answer_goes_out_as_fast_as_it_is_read(void **state)
{
    struct house house;
    struct client client;

    (void)state;
    house_open(&house, &no_limits);
    client_open_small(&client, &house, 4096);
    client_send(&client, &house,
                slice_of("GET /large HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"));
    UNTIL(&house, counters(&house)->queued_bytes > 0);
    conn_server_skip(house.server, WS_CLOSE_MS * 5); /* it is the last one, but not stalled */
    UNTIL(&house, client_read(&client));
    assert_true(client.got.len > 3 * 1024 * 1024);
    assert_int_equal(counters(&house)->queued_bytes, 0);
    client_close(&client);
    UNTIL(&house, counters(&house)->connections == 0);
    house_close(&house);
}

static void who_does_not_read_its_answer_is_let_go(void **state)
{
    struct house house;
    struct client client;

    (void)state;
    house_open(&house, &no_limits);
    client_open_small(&client, &house, 4096);
    client_send(&client, &house, slice_of("GET /large HTTP/1.1\r\n" HOST "\r\n"));
    UNTIL(&house, counters(&house)->queued_bytes > 0);
    for (int i = 0; i < 8 && counters(&house)->connections > 0; i++) {
        for (int j = 0; j < 5; j++)
            turn(&house);
        conn_server_skip(house.server, CONN_STALLED_MS / 3);
        turn(&house);
    }
    assert_int_equal(counters(&house)->connections, 0);
    assert_int_equal(counters(&house)->queued_bytes, 0);
    client_close(&client);
    house_close(&house);
}

/* Some bytes each ten seconds: it gets on, and would for hours. */
static void who_reads_its_answer_too_slowly_is_let_go(void **state)
{
    static const struct slice requests[] = {
        SLICE("GET /large HTTP/1.1\r\n" HOST "\r\n"),
        SLICE("GET /large HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n")};
    const unsigned looks =
        (CONN_STALLED_MS + LARGE / ANSWER_BYTES_PER_S_MIN * 1000) / (CONN_STALLED_MS / CONN_LOOKS);
    struct house house;

    (void)state;
    house_open(&house, &no_limits);
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        struct client client;
        uint64_t begun_ns = uv_hrtime();
        unsigned look = 0;
        client_open_slow(&client, &house);
        client_send(&client, &house, requests[i]);
        UNTIL(&house, counters(&house)->queued_bytes > 0);
        for (; look < looks + 3 && counters(&house)->connections > 0; look++) {
            size_t before = client.got.len;
            UNTIL(&house, client_read(&client) || client.got.len >= before + 3 * SLOW_SIZE);
            conn_server_skip(house.server, CONN_STALLED_MS / CONN_LOOKS);
            turn(&house);
        }
        assert_int_equal(counters(&house)->connections, 0);
        assert_true(client.got.len < LARGE);
        if (was_quick(begun_ns, CONN_STALLED_MS / CONN_LOOKS)) assert_true(look >= looks - 1);
        client_close(&client);
    }
    house_close(&house);
}

/* Three large answers fit, with their heads; more are one too many. */
static void for_one_slow_reader_too_many_the_longest_goes(void **state)
{
    struct house house;
    struct client clients[5];
    struct client assets[5];
    struct client quick;

    (void)state;
    house_open(&house, &(struct conn_limits){.answers_max = 4 * LARGE});
    for (size_t i = 0; i < 5; i++) {
        /* These are read from one place, and hold nothing. */
        client_open_slow(&assets[i], &house);
        client_send(&assets[i], &house, slice_of("GET /asset HTTP/1.1\r\n" HOST "\r\n"));
        UNTIL(&house, counters(&house)->http_requests == i + 1);
    }
    for (size_t i = 0; i < 5; i++) {
        client_open_slow(&clients[i], &house);
        client_send(&clients[i], &house, slice_of("GET /large HTTP/1.1\r\n" HOST "\r\n"));
        UNTIL(&house, counters(&house)->http_requests == 5 + i + 1);
        turn(&house);
        turn(&house);
    }
    client_open(&quick, &house);
    client_send(&quick, &house, slice_of("GET /large HTTP/1.1\r\n" HOST "\r\n"));
    UNTIL(&house, client_read(&quick) || quick.got.len > LARGE);
    assert_false(quick.is_over);

    /* Of those that came first nothing more comes, and the others get all; the third is between them, as the
     * quick one may have waited for a moment. */
    for (size_t i = 0; i < 5; i++) {
        UNTIL(&house, client_read(&clients[i]) || clients[i].got.len > LARGE);
        if (i < 2) assert_true(clients[i].is_over && clients[i].got.len < LARGE);
        if (i > 2) assert_false(clients[i].is_over);
    }
    for (size_t i = 0; i < 5; i++) {
        UNTIL(&house, client_read(&assets[i]) || assets[i].got.len > LARGE);
        assert_false(assets[i].is_over);
        client_close(&assets[i]);
        client_close(&clients[i]);
    }
    client_close(&quick);
    house_close(&house);
}

static void deadlines_end_what_does_not_get_on(void **state)
{
    static const struct {
        struct slice text;
        uint64_t ms;
        const char *status; /* NULL: no word */
    } table[] = {
        {SLICE(""), HTTP_HEAD_DEADLINE_MS, NULL},
        {SLICE("GET / HT"), HTTP_HEAD_DEADLINE_MS, " 408 "},
        {SLICE("POST / HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nab"), HTTP_HEAD_DEADLINE_MS,
         " 408 "},
        {SLICE("GET / HTTP/1.1\r\n" HOST "\r\n"), HTTP_IDLE_MS, NULL},
        {SLICE("GET /later HTTP/1.1\r\n" HOST "\r\n"), HTTP_ANSWER_MAX_MS, " 504 "},
    };
    struct house house;

    (void)state;
    house_open(&house, &no_limits);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct client client;
        uint64_t begun_ns = uv_hrtime();
        client_open(&client, &house);
        client_send(&client, &house, table[i].text);
        for (int j = 0; j < 10; j++)
            turn(&house);
        conn_server_skip(house.server, table[i].ms - 1000);
        for (int j = 0; j < 10; j++)
            turn(&house);
        (void)client_read(&client);
        if (was_quick(begun_ns, 1000)) assert_false(client.is_over);
        conn_server_skip(house.server, 1000);
        UNTIL(&house, client_read(&client));
        if (table[i].status != NULL) assert_true(has(&client.got, table[i].status));
        client_close(&client);
        UNTIL(&house, counters(&house)->connections == 0);
    }
    assert_int_equal(house.closed, 1); /* /later: the owner had not answered it */
    assert_null(house.waiting);
    house_close(&house);
}

static void an_answer_that_comes_too_late_does_nothing(void **state)
{
    struct house house;
    struct client client;

    (void)state;
    house_open(&house, &no_limits);
    client_open(&client, &house);
    client_send(&client, &house, slice_of("GET /later HTTP/1.1\r\n" HOST "\r\n"));
    UNTIL(&house, house.waiting != NULL);
    conn_server_skip(house.server, HTTP_ANSWER_MAX_MS);
    assert_non_null(house.waiting); /* not told yet */
    http_respond_text(house.waiting, 200, slice_of("late"));
    UNTIL(&house, client_read(&client));
    assert_true(has(&client.got, " 504 "));
    assert_false(has(&client.got, "late"));
    client_close(&client);
    house_close(&house);
}

/* It may be done all the same, so it is not told as if nothing was. */
static void what_is_not_answered_in_time_is_told_as_unknown(void **state)
{
    static const struct {
        struct slice text;
        const char *type, *said;
    } table[] = {
        {SLICE("POST /later HTTP/1.1\r\n" HOST "Accept: */*\r\nContent-Length: 1\r\n\r\nx"),
         "\r\nContent-Type: application/json\r\n",
         "\r\n\r\n{\"error\":\"unknown\",\"message\":\"There"},
        {SLICE("POST /later HTTP/1.1\r\n" HOST
               "Accept: text/html, */*;q=0.8\r\nContent-Length: 1\r\n\r\nx"),
         "\r\nContent-Type: text/plain; charset=utf-8\r\n", "\r\n\r\nThere was no answer"},
        {SLICE("DELETE /later HTTP/1.1\r\n" HOST "\r\n"), "\r\nContent-Type: application/json\r\n",
         "\"unknown\""},
    };
    struct house house;

    (void)state;
    house_open(&house, &no_limits);
    for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
        struct client client;
        client_open(&client, &house);
        client_send(&client, &house, table[i].text);
        UNTIL(&house, house.waiting != NULL);
        conn_server_skip(house.server, HTTP_ANSWER_MAX_MS);
        UNTIL(&house, client_read(&client));
        assert_true(has(&client.got, "HTTP/1.1 504 Gateway Timeout\r\n"));
        assert_false(has(&client.got, "Retry-After"));
        assert_true(has(&client.got, table[i].type));
        assert_true(has(&client.got, table[i].said));
        client_close(&client);
        UNTIL(&house, house.closed == i + 1); /* the owner hears of it */
        assert_int_equal(house.end, CONN_END_IDLE);
    }
    house_close(&house);
}

static void the_owner_hears_of_a_connection_that_went_before_its_answer(void **state)
{
    struct house house;
    struct client client;
    struct linger reset = {.l_onoff = 1};

    (void)state;
    house_open(&house, &no_limits);
    client_open(&client, &house);
    client_send(&client, &house, slice_of("GET /later HTTP/1.1\r\n" HOST "\r\n"));
    UNTIL(&house, house.waiting != NULL);
    setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    client_close(&client);
    UNTIL(&house, house.closed == 1);
    assert_int_equal(house.end, CONN_END_CLIENT);

    client_open(&client, &house);
    client_send(&client, &house, slice_of("GET /hangup HTTP/1.1\r\n" HOST "\r\n"));
    UNTIL(&house, client_read(&client));
    assert_int_equal(client.got.len, 0);
    assert_int_equal(house.closed, 2);
    client_close(&client);

    /* Behind others, when nothing more will come. */
    struct buf bytes;
    buf_init(&bytes, 4096);
    for (unsigned before = 1; before < 8; before++) {
        buf_reset(&bytes);
        for (unsigned i = 0; i < before; i++)
            buf_add(&bytes, slice_of("GET /1 HTTP/1.1\r\n" HOST "\r\n"));
        buf_add(&bytes, slice_of("GET /hangup HTTP/1.1\r\n" HOST "\r\n"
                                 "GET /2 HTTP/1.1\r\n" HOST "\r\n"));
        client_open(&client, &house);
        client_put(&client, &bytes);
        shutdown(client.fd, SHUT_WR);
        UNTIL(&house, client_read(&client));
        assert_int_equal(count_of(&client.got, "/1\n"), before);
        assert_false(has(&client.got, "/2\n"));
        UNTIL(&house, counters(&house)->connections == 0);
        if (before < 7) client_close(&client);
    }
    buf_close(&bytes);
    client_close(&client);
    house_close(&house);
}

/* ---- limits ---- */

static void too_many_connections_are_told_so(void **state)
{
    struct house house;
    struct client page, asks, drains, other;

    (void)state;
    house_open(&house, &(struct conn_limits){.connections_max = 3});
    client_upgrade(&page, &house);
    client_open(&asks, &house);
    client_send(&asks, &house, slice_of("GET /later HTTP/1.1\r\n" HOST "\r\n"));
    UNTIL(&house, house.waiting != NULL);
    client_open_slow(&drains, &house);
    client_send(&drains, &house, slice_of("GET /large HTTP/1.1\r\n" HOST "\r\n"));
    UNTIL(&house, counters(&house)->queued_bytes > 0);

    client_open(&other, &house);
    UNTIL(&house, client_read(&other));
    assert_true(has(&other.got, " 503 "));
    assert_true(has(&other.got, "Retry-After: 1\r\n"));
    client_close(&other);
    UNTIL(&house, counters(&house)->connections == 3);

    /* Its answer is out: now it is the one that goes. */
    UNTIL(&house, client_read(&drains) || drains.got.len > LARGE);
    UNTIL(&house, counters(&house)->queued_bytes == 0);
    client_open(&other, &house);
    client_send(&other, &house, slice_of("GET /tea HTTP/1.1\r\n" HOST "\r\n"));
    UNTIL(&house, client_read(&other) || has(&other.got, " 200 "));
    UNTIL(&house, client_read(&drains));
    assert_int_equal(house.browsers_count, 1);
    http_respond_text(house.waiting, 200, slice_of("now"));
    UNTIL(&house, client_read(&asks) || has(&asks.got, "now\n"));
    client_close(&page);
    client_close(&asks);
    client_close(&drains);
    client_close(&other);
    house_close(&house);
}

/* In whatever way it waits. And a request that is whole is answered, however many come after it. */
static void for_one_connection_too_many_the_longest_idle_goes(void **state)
{
    static const struct slice said[] = {
        SLICE(""), SLICE("GET / HT"), SLICE("GET /tea HTTP/1.1\r\n" HOST "\r\n"),
        SLICE("GET /tea HTTP/1.1\r\n" HOST "\r\nGET / HT"),
        SLICE("POST /tea HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nab")};
    enum { IDLE = sizeof said / sizeof *said, MORE = 40 };
    struct house house;
    struct client idle[IDLE], more[MORE], asks;

    (void)state;
    house_open(&house, &(struct conn_limits){.connections_max = IDLE + 1});
    client_open(&asks, &house);
    client_send(&asks, &house, slice_of("GET /later HTTP/1.1\r\n" HOST "\r\n"));
    UNTIL(&house, house.waiting != NULL);
    for (size_t i = 0; i < IDLE; i++) {
        client_open(&idle[i], &house);
        client_send(&idle[i], &house, said[i]);
        for (int j = 0; j < 5; j++)
            turn(&house);
    }
    for (size_t i = 0; i < MORE; i++) {
        client_open(&more[i], &house);
        struct client *gone = i < IDLE ? &idle[i] : &more[i - IDLE];
        UNTIL(&house, client_read(gone));
        assert_false(has(&gone->got, " 503 "));
        for (size_t j = i + 1; j < IDLE; j++)
            assert_false(client_read(&idle[j]));
        UNTIL(&house, counters(&house)->connections == IDLE + 1);
    }
    client_send(&more[MORE - 1], &house, slice_of("GET /tea HTTP/1.1\r\n" HOST "\r\n"));
    UNTIL(&house, client_read(&more[MORE - 1]) || has(&more[MORE - 1].got, "/tea\n"));
    assert_false(more[MORE - 1].is_over);
    http_respond_text(house.waiting, 200, slice_of("now"));
    UNTIL(&house, client_read(&asks) || has(&asks.got, "now\n"));
    for (size_t i = 0; i < IDLE; i++)
        client_close(&idle[i]);
    for (size_t i = 0; i < MORE; i++)
        client_close(&more[i]);
    client_close(&asks);
    house_close(&house);
}

/* All within one turn: what has ended counts no more, though it is not gone. */
static void many_that_come_at_once_are_not_closed_without_a_word(void **state)
{
    enum { MANY = 200 };
    static int fds[MANY];
    struct house house;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    struct client last = {.fd = -1};

    (void)state;
    house_open(&house, &(struct conn_limits){.connections_max = 2});
    to.sin_port = htons((uint16_t)listener_port(house.listener));
    for (int i = 0; i < MANY; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(fds[i] >= 0);
        int rv = connect(fds[i], (const struct sockaddr *)&to, sizeof to);
        assert_true(rv == 0 || errno == EINPROGRESS);
    }
    last.fd = fds[MANY - 1];
    buf_init(&last.got, 4096);
    client_send(&last, &house, slice_of("GET /tea HTTP/1.1\r\n" HOST "\r\n"));
    UNTIL(&house, client_read(&last) || has(&last.got, "/tea\n"));
    assert_false(last.is_over);
    UNTIL(&house, counters(&house)->connections == 2);
    for (int i = 0; i < MANY - 1; i++)
        (void)close(fds[i]);
    client_close(&last);
    house_close(&house);
}

static void one_address_gets_no_more_than_its_share(void **state)
{
    struct house house;
    struct client clients[3];

    (void)state;
    house_open(&house, &(struct conn_limits){.connections_max = 100, .per_address_max = 2});
    for (int i = 0; i < 2; i++)
        client_upgrade(&clients[i], &house);
    assert_true(slice_is(conn_address(house.browsers[0]), "127.0.0.1"));
    client_open(&clients[2], &house);
    client_send(&clients[2], &house, slice_of(UPGRADE));
    UNTIL(&house, client_read(&clients[2]) || has(&clients[2].got, " 429 "));
    client_close(&clients[0]);
    UNTIL(&house, house.browsers_count == 1);
    client_close(&clients[2]);
    UNTIL(&house, counters(&house)->connections == 1);
    client_upgrade(&clients[2], &house);
    for (int i = 1; i < 3; i++)
        client_close(&clients[i]);
    house_close(&house);
}

static void who_is_gone_before_it_is_accepted_has_no_address(void **state)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0}; /* close resets */
    struct house house;
    struct client client;

    (void)state;
    house_open(&house, &no_limits);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)listener_port(house.listener)),
                             .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    for (int i = 0; i < 5; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
        (void)close(fd);
    }
    client_open(&client, &house); /* behind them */
    client_send(&client, &house, slice_of("GET /tea HTTP/1.1\r\n" HOST "\r\n"));
    UNTIL(&house, client_read(&client) || has(&client.got, "/tea\n"));
    UNTIL(&house, counters(&house)->connections == 1);
    client_close(&client);
    house_close(&house);
}

static void a_proxy_is_believed_only_behind_one(void **state)
{
    static const struct {
        const char *forwarded, *counted; /* NULL: the proxy's own */
    } table[] = {
        {"6.6.6.6, 192.0.2.7", "192.0.2.7"}, {"6.6.6.6, 192.0.2.7:51234", "192.0.2.7"},
        {"2001:db8::1", "2001:db8::/64"},    {"192.0.2.7, [2001:db8::2]:51234", "2001:db8::/64"},
        {"::ffff:192.0.2.7", "192.0.2.7"},   {"192.0.2.7, unknown", NULL},
    };

    (void)state;
    for (size_t i = 0; i < 2 * sizeof table / sizeof *table; i++) {
        const char *counted = i % 2 == 0 ? NULL : table[i / 2].counted;
        struct house house;
        struct client client;
        struct buf request;
        buf_init(&request, 1024);
        buf_printf(&request,
                   "GET /live HTTP/1.1\r\n" HOST "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                   "X-Forwarded-For: %s\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                   table[i / 2].forwarded);
        house_open(&house, &(struct conn_limits){.behind_proxy = i % 2 == 1});
        client_open(&client, &house);
        client_send(&client, &house, buf_slice(&request));
        UNTIL(&house, house.browsers_count == 1);
        assert_true(
            slice_is(conn_address(house.browsers[0]), counted == NULL ? "127.0.0.1" : counted));
        client_close(&client);
        house_close(&house);
        buf_close(&request);
    }
}

/* Over IPv6, of one subscriber's addresses and of another's. */
static void a_network_of_ipv6_gets_no_more_than_one_address(void **state)
{
    struct house house;
    struct client clients[4];

    (void)state;
    house_open(&house, &(struct conn_limits){.per_address_max = 2, .behind_proxy = true});
    for (int i = 0; i < 4; i++) {
        struct buf request;
        buf_init(&request, 1024);
        buf_printf(&request,
                   "GET /live HTTP/1.1\r\n" HOST "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                   "X-Forwarded-For: 2001:db8:0:%d::%d\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                   i < 3 ? 1 : 2, i + 1);
        client_open(&clients[i], &house);
        client_send(&clients[i], &house, buf_slice(&request));
        UNTIL(&house, client_read(&clients[i]) || has(&clients[i].got, "HTTP/1.1 "));
        assert_true(has(&clients[i].got, i == 2 ? " 429 " : " 101 "));
        buf_close(&request);
    }
    for (int i = 0; i < 4; i++)
        client_close(&clients[i]);
    house_close(&house);
}

static void out_of_descriptors_accepting_pauses_and_goes_on(void **state)
{
    struct house house;
    struct client client;
    struct rlimit before;

    (void)state;
    house_open(&house, &no_limits);
    client_open(&client, &house);
    UNTIL(&house, counters(&house)->connections == 1);
    struct client second = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    buf_init(&second.got, 4096);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)listener_port(house.listener)),
                             .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {.rlim_cur = (rlim_t)second.fd + 1, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(connect(second.fd, (const struct sockaddr *)&to, sizeof to), 0);
    accepts = 0;
    uint64_t start = uv_hrtime();
    for (int i = 0; i < 1000; i++)
        turn(&house);
    /* One attempt, and one more for each tenth of a second: it does not go round and round. */
    assert_true(accepts >= 1 && accepts <= 2 + (uv_hrtime() - start) / 100000000);
    assert_int_equal(counters(&house)->connections, 1);
    client_send(&client, &house, slice_of("GET /tea HTTP/1.1\r\n" HOST "\r\n"));
    UNTIL(&house, client_read(&client) || has(&client.got, "/tea\n"));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    UNTIL(&house, counters(&house)->connections == 2);
    client_close(&client);
    client_close(&second);
    house_close(&house);
}

/* ---- WebSockets ---- */

static void a_handshake_that_is_wrong_is_refused(void **state)
{
#define WS(lines)  SLICE("GET /live HTTP/1.1\r\n" HOST lines "\r\n")
#define KEY        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION    "Sec-WebSocket-Version: 13\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
    static const struct {
        struct slice text;
        const char *status;
    } table[] = {
        {WS("Upgrade: websocket\r\n" CONNECTION KEY VERSION), " 101 "},
        {WS("upgrade: WEBSOCKET\r\nconnection: keep-alive, UPGRADE\r\n" KEY VERSION), " 101 "},
        {WS("Upgrade: websocket\r\n" CONNECTION KEY), " 426 "},
        {WS("Upgrade: websocket\r\n" CONNECTION KEY "Sec-WebSocket-Version: 8\r\n"), " 426 "},
        {WS("Upgrade: websocket\r\n" CONNECTION VERSION), " 400 "},
        {WS("Upgrade: websocket\r\n" CONNECTION VERSION "Sec-WebSocket-Key: YWJj\r\n"), " 400 "},
        {WS("Upgrade: websocket\r\n" KEY VERSION), " 400 "},
        {WS(CONNECTION KEY VERSION), " 400 "},
        {SLICE("GET / HTTP/1.0\r\nUpgrade: websocket\r\n" CONNECTION KEY VERSION "\r\n"), " 400 "},
        {SLICE("POST / HTTP/1.1\r\n" HOST "Upgrade: websocket\r\n" CONNECTION KEY VERSION "\r\n"),
         " 400 "},
        {WS("Content-Length: 1\r\nUpgrade: websocket\r\n" CONNECTION KEY VERSION), " 400 "},
    };
    struct house house;

    (void)state;
    house_open(&house, &no_limits);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct client client;
        client_open(&client, &house);
        client_send(&client, &house, table[i].text);
        UNTIL(&house, client_read(&client) || has(&client.got, "\r\n\r\n"));
        if (!has(&client.got, table[i].status)) print_error("row %zu\n", i);
        assert_true(has(&client.got, table[i].status));
        if (strcmp(table[i].status, " 426 ") == 0) {
            assert_true(has(&client.got, "Sec-WebSocket-Version: 13\r\n"));
        }
        client_close(&client);
        UNTIL(&house, counters(&house)->connections == 0);
    }
    assert_int_equal(counters(&house)->opened, 2);

    struct client client;
    house.refuse = 403;
    client_open(&client, &house);
    client_send(&client, &house, slice_of(UPGRADE));
    UNTIL(&house, client_read(&client) || has(&client.got, " 403 "));
    assert_int_equal(house.closed, 2); /* nothing more than the two that were accepted */
    client_close(&client);
    house_close(&house);
}

static void frames_may_follow_the_handshake_at_once(void **state)
{
    struct house house;
    struct client client;

    (void)state;
    house_open(&house, &no_limits);
    client_open(&client, &house);
    client_send(&client, &house, slice_of(UPGRADE "\x81\x82\0\0\0\0hi\x89\x81\0\0\0\0p"));
    UNTIL(&house, client_read(&client) || has(&client.got, "\x8a\x01p"));
    assert_true(slice_is(buf_slice(&house.heard), "hi|"));
    client_close(&client);
    UNTIL(&house, house.closed == 1);
    assert_int_equal(house.end, CONN_END_CLIENT);
    assert_int_equal(counters(&house)->closed[CONN_END_CLIENT], 1);
    assert_int_equal(counters(&house)->websockets, 0);
    house_close(&house);
}

static void who_sends_many_messages_does_not_keep_others_waiting(void **state)
{
    struct house house;
    struct client many;
    struct client one;
    struct buf bytes;

    (void)state;
    house_open(&house, &no_limits);
    client_upgrade(&many, &house);
    client_upgrade(&one, &house);
    buf_init(&bytes, 3 * CONN_READ_SIZE);
    while (bytes.len + 7 <= bytes.max)
        buf_add(&bytes, slice_of("\x81\x81\0\0\0\0m"));
    client_put(&many, &bytes);
    size_t messages = bytes.len / 7;
    buf_reset(&bytes);
    buf_add(&bytes, slice_of("\x81\x81\0\0\0\0o"));
    client_put(&one, &bytes);
    UNTIL(&house, has(&house.heard, "o|"));
    assert_true(count_of(&house.heard, "m|") < messages);
    UNTIL(&house, count_of(&house.heard, "m|") == messages);
    buf_close(&bytes);
    client_close(&many);
    client_close(&one);
    house_close(&house);
}

static void a_masked_frame_may_come_byte_by_byte(void **state)
{
    struct slice text = slice_of("\x81\x83\x01\x02\x03\x04\x75\x67\x62"); /* "tea" */
    struct house house;
    struct client client;

    (void)state;
    house_open(&house, &no_limits);
    client_upgrade(&client, &house);
    for (size_t i = 0; i < text.len; i++)
        client_send(&client, &house, slice_make(text.at + i, 1));
    UNTIL(&house, house.heard.len > 0);
    assert_true(slice_is(buf_slice(&house.heard), "tea|"));
    client_close(&client);
    house_close(&house);
}

static void bad_frames_end_with_their_code(void **state)
{
    static const struct {
        struct slice bytes;
        struct slice close;
    } table[] = {
        {SLICE("\x81\x01"
               "a"),
         SLICE("\x88\x02\x03\xea")},                                             /* 1002 */
        {SLICE("\x82\x81\0\0\0\0a"), SLICE("\x88\x02\x03\xeb")},                 /* 1003 */
        {SLICE("\x81\x81\0\0\0\0\xff"), SLICE("\x88\x02\x03\xef")},              /* 1007 */
        {SLICE("\x81\xff\0\0\0\0\0\1\0\1\0\0\0\0h"), SLICE("\x88\x02\x03\xf1")}, /* 1009 */
    };
    struct house house;

    (void)state;
    house_open(&house, &no_limits);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct client client;
        client_upgrade(&client, &house);
        client_send(&client, &house, table[i].bytes);
        UNTIL(&house, client_read(&client));
        assert_true(slice_equal(buf_slice(&client.got), table[i].close));
        /* It goes on sending; nobody listens, and after a second the connection is gone. */
        client_send(&client, &house, slice_of("\x81\x82\0\0\0\0hi"));
        conn_server_skip(house.server, WS_CLOSE_MS);
        UNTIL(&house, house.closed == i + 1);
        assert_int_equal(house.end, CONN_END_PROTOCOL);
        client_close(&client);
    }
    assert_int_equal(house.heard.len, 0);
    house_close(&house);
}

static void a_ping_flood_is_stopped(void **state)
{
    struct house house;
    struct client client;

    (void)state;
    house_open(&house, &no_limits);
    client_upgrade(&client, &house);
    for (int i = 0; i < 200; i++)
        client_send(&client, &house, slice_of("\x89\x80\0\0\0\0"));
    UNTIL(&house, client_read(&client));
    assert_true(has(&client.got, "\x88\x02\x03\xf0")); /* 1008 */
    client_close(&client);
    house_close(&house);
}

static void who_closes_gets_its_code_back_and_then_the_end(void **state)
{
    struct house house;
    struct client client;

    (void)state;
    house_open(&house, &no_limits);
    client_upgrade(&client, &house);
    client_send(&client, &house, slice_of("\x88\x82\0\0\0\0\x03\xe9"));
    UNTIL(&house, client_read(&client));
    assert_true(slice_equal(buf_slice(&client.got), slice_of("\x88\x02\x03\xe9")));
    UNTIL(&house, house.closed == 1);
    client_close(&client);
    house_close(&house);
}

static void our_close_waits_for_theirs(void **state)
{
    struct house house;
    struct client client;

    (void)state;
    house_open(&house, &no_limits);
    client_upgrade(&client, &house);
    uint64_t begun_ns = uv_hrtime();
    conn_close(house.browsers[0], WS_RESTART, CONN_END_DRAIN);
    send_text(house.browsers[0], "nothing any more");
    UNTIL(&house, client_read(&client) || client.got.len > 0);
    assert_true(slice_equal(buf_slice(&client.got), slice_of("\x88\x02\x03\xf4")));
    client_say(&client, &house, "still here");
    for (int i = 0; i < 10; i++)
        turn(&house);
    assert_int_equal(house.heard.len, 0);
    if (was_quick(begun_ns, WS_CLOSE_MS)) assert_int_equal(house.closed, 0);
    client_send(&client, &house, slice_of("\x88\x82\0\0\0\0\x03\xf4"));
    UNTIL(&house, client_read(&client));
    UNTIL(&house, house.closed == 1);
    assert_int_equal(house.end, CONN_END_DRAIN);
    client_close(&client);

    client_upgrade(&client, &house); /* and one that does not answer */
    begun_ns = uv_hrtime();
    conn_close(house.browsers[0], WS_RESTART, CONN_END_DRAIN);
    for (int i = 0; i < 10; i++)
        turn(&house);
    if (was_quick(begun_ns, WS_CLOSE_MS)) assert_int_equal(house.closed, 1);
    conn_server_skip(house.server, WS_CLOSE_MS);
    UNTIL(&house, house.closed == 2);
    client_close(&client);
    house_close(&house);
}

static void a_connection_may_break_off_at_any_byte(void **state)
{
    struct slice text = slice_of("GET /later HTTP/1.1\r\n" HOST "\r\n");
    struct slice frames = slice_of(UPGRADE "\x01\x82\0\0\0\0hi\x89\x81\0\0\0\0p\x80\x80\0\0\0\0"
                                           "\x88\x80\0\0\0\0");
    struct linger reset = {.l_onoff = 1};
    struct house house;

    (void)state;
    house_open(&house, &no_limits);
    for (size_t len = 0; len <= frames.len; len++) {
        for (int how = 0; how < 4; how++) {
            struct client client;
            client_open(&client, &house);
            client_send(&client, &house, slice_first(how < 2 ? text : frames, len));
            if (how % 2 == 0) setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
            client_close(&client);
            if (how == 1) { /* it may have ended its half only: until we answer, or give up */
                for (int i = 0; i < 3; i++)
                    turn(&house);
                if (house.waiting != NULL) http_respond_text(house.waiting, 200, slice_of("x"));
                house.waiting = NULL;
            }
            UNTIL(&house, counters(&house)->connections == 0);
        }
    }
    assert_int_equal(counters(&house)->websockets, 0);
    assert_int_equal(counters(&house)->queued_bytes, 0);
    house_close(&house);
}

static void the_owner_may_close_within_a_message(void **state)
{
    struct house house;
    struct client client;

    (void)state;
    house_open(&house, &no_limits);
    client_upgrade(&client, &house);
    client_send(&client, &house, slice_of("\x81\x83\0\0\0\0bye\x81\x82\0\0\0\0no"));
    UNTIL(&house, client_read(&client) || client.got.len > 0);
    assert_true(slice_is(buf_slice(&house.heard), "bye|"));
    assert_int_equal(house.closed, 0); /* never from within */
    client_send(&client, &house, slice_of("\x88\x80\0\0\0\0"));
    UNTIL(&house, house.closed == 1);
    client_close(&client);
    house_close(&house);
}

static void what_is_queued_in_a_turn_leaves_in_one_write(void **state)
{
    struct house house;
    struct client client;
    struct shared *pieces[3] = {shared_copy(slice_of("\x81\x06")), shared_copy(slice_of("one")),
                                shared_copy(slice_of("two"))};

    (void)state;
    house_open(&house, &no_limits);
    client_upgrade(&client, &house);
    uint64_t writes = counters(&house)->writes;
    uint64_t frames = counters(&house)->sent_frames;
    send_text(house.browsers[0], "a");
    conn_send_pieces(house.browsers[0], pieces, 3);
    for (int i = 0; i < 10; i++)
        send_text(house.browsers[0], "b");
    assert_int_equal(counters(&house)->writes, writes);
    UNTIL(&house, client_read(&client) || client.got.len >= 3 + 8 + 30);
    assert_int_equal(counters(&house)->writes, writes + 1);
    assert_int_equal(counters(&house)->sent_frames, frames + 12);
    assert_true(slice_starts(buf_slice(&client.got), slice_of("\x81\x01"
                                                              "a\x81\x06onetwo\x81\x01"
                                                              "b")));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(atomic_load(&pieces[i]->references), 1); /* ours */
        shared_unref(pieces[i]);
    }
    client_close(&client);
    house_close(&house);
}

static void many_frames_in_one_turn_do_not_make_a_quick_reader_slow(void **state)
{
    struct house house;
    struct client client;

    (void)state;
    house_open(&house, &no_limits);
    client_upgrade(&client, &house);
    for (int i = 0; i < 3 * CONN_OUT_FRAMES_MAX; i++)
        send_text(house.browsers[0], "x");
    UNTIL(&house, client_read(&client) || client.got.len == 9 * CONN_OUT_FRAMES_MAX);
    assert_int_equal(house.browsers_count, 1);
    client_close(&client);
    house_close(&house);
}

static void who_does_not_read_is_closed_with_4000(void **state)
{
    struct house house;
    struct client client;
    struct buf text;

    (void)state;
    house_open(&house, &no_limits);
    client_open_small(&client, &house, 4096);
    client_send(&client, &house, slice_of(UPGRADE));
    UNTIL(&house, house.browsers_count == 1);
    buf_init(&text, 10000);
    memset(buf_extend(&text, 10000), 'x', 10000);
    struct shared *frame = ws_text_frame(buf_slice(&text));
    for (int i = 0; i < 2000 && counters(&house)->queued_bytes < CONN_OUT_MAX; i++) {
        conn_send(house.browsers[0], frame);
        turn(&house);
    }
    assert_true(counters(&house)->queued_bytes < CONN_OUT_MAX + frame->len);
    conn_send(house.browsers[0], frame);
    assert_int_equal(house.closed, 0);
    /* What was not begun is dropped at once. */
    assert_true(counters(&house)->queued_bytes <= frame->len + 4);

    /* It wakes up: whole frames, and the close frame as the last. */
    UNTIL(&house,
          client_read(&client) || (client.got.len > 4 && counters(&house)->queued_bytes == 0));
    for (int i = 0; i < 10; i++)
        turn(&house);
    (void)client_read(&client);
    const char *head = memmem(client.got.at, client.got.len, "\r\n\r\n", 4);
    assert_non_null(head);
    size_t len = client.got.len - (size_t)(head + 4 - client.got.at);
    assert_int_equal(len % frame->len, 4);
    assert_memory_equal(client.got.at + client.got.len - 4, "\x88\x02\x0f\xa0", 4);
    client_send(&client, &house, slice_of("\x88\x82\0\0\0\0\x0f\xa0"));
    UNTIL(&house, house.closed == 1);
    assert_int_equal(house.end, CONN_END_SLOW);
    assert_int_equal(counters(&house)->queued_bytes, 0);
    assert_int_equal(atomic_load(&frame->references), 1);
    shared_unref(frame);
    buf_close(&text);
    client_close(&client);
    house_close(&house);
}

static void who_reads_nothing_for_long_is_closed_too(void **state)
{
    struct house house;
    struct client client;
    struct buf text;

    (void)state;
    house_open(&house, &no_limits);
    client_open_small(&client, &house, 4096);
    client_send(&client, &house, slice_of(UPGRADE));
    UNTIL(&house, house.browsers_count == 1);
    conn_joined(house.browsers[0]);
    buf_init(&text, 10000);
    memset(buf_extend(&text, 10000), 'x', 10000);
    struct shared *frame = ws_text_frame(buf_slice(&text));
    while (counters(&house)->queued_bytes < 20000) {
        conn_send(house.browsers[0], frame);
        turn(&house);
    }
    for (int i = 0; i < 8 && house.closed == 0; i++) {
        conn_server_skip(house.server, CONN_STALLED_MS / 3);
        turn(&house);
    }
    assert_int_equal(house.closed, 1);
    assert_int_equal(house.end, CONN_END_SLOW);
    shared_unref(frame);
    buf_close(&text);
    client_close(&client);
    house_close(&house);
}

static void a_join_has_a_deadline_and_silence_too(void **state)
{
    struct house house;
    struct client client;

    (void)state;
    house_open(&house, &no_limits);
    client_upgrade(&client, &house);
    conn_server_skip(house.server, WS_JOIN_DEADLINE_MS);
    UNTIL(&house, client_read(&client) || client.got.len > 0);
    assert_true(slice_equal(buf_slice(&client.got), slice_of("\x88\x02\x03\xe9"))); /* 1001 */
    client_close(&client);
    UNTIL(&house, house.closed == 1);
    assert_int_equal(house.end, CONN_END_IDLE);

    client_upgrade(&client, &house);
    client_say(&client, &house, "join");
    UNTIL(&house, has(&house.heard, "join|"));
    conn_server_skip(house.server, WS_PING_EVERY_MS);
    UNTIL(&house, client_read(&client) || client.got.len > 0);
    assert_true(slice_equal(buf_slice(&client.got), slice_of("\x89\x00")));
    client_send(&client, &house, slice_of("\x8a\x80\0\0\0\0"));
    for (int i = 0; i < 5; i++)
        turn(&house);
    buf_reset(&client.got);
    for (int i = 0; i < 3; i++) {
        conn_server_skip(house.server, WS_PING_EVERY_MS);
        for (int j = 0; j < 5; j++)
            turn(&house);
    }
    UNTIL(&house, client_read(&client) || has(&client.got, "\x88\x02\x03\xe9"));
    assert_true(slice_starts(buf_slice(&client.got), slice_of("\x89\x00\x89\x00")));
    client_close(&client);
    UNTIL(&house, house.closed == 2);
    assert_int_equal(house.end, CONN_END_IDLE);
    house_close(&house);
}

/* ---- the end of a server ---- */

static void a_drain_sends_all_browsers_away(void **state)
{
    struct house house;
    struct client clients[5];
    struct client idle;
    struct client working;

    (void)state;
    house_open(&house, &no_limits);
    for (int i = 0; i < 5; i++)
        client_upgrade(&clients[i], &house);
    client_open(&idle, &house);
    client_open(&working, &house);
    client_send(&working, &house, slice_of("GET /later HTTP/1.1\r\n" HOST "\r\n"));
    UNTIL(&house, house.waiting != NULL);
    conn_server_drain(house.server, 2);
    UNTIL(&house, client_read(&idle));
    for (int i = 0; i < 5; i++) {
        UNTIL(&house, client_read(&clients[i]) || clients[i].got.len > 0);
        assert_true(slice_equal(buf_slice(&clients[i].got), slice_of("\x88\x02\x03\xf4")));
        client_close(&clients[i]);
    }
    UNTIL(&house, house.closed == 5);
    assert_int_equal(counters(&house)->closed[CONN_END_DRAIN], 5);
    http_respond_text(house.waiting, 200, slice_of("done"));
    UNTIL(&house, client_read(&working));
    assert_true(has(&working.got, "Connection: close\r\n"));
    assert_true(has(&working.got, "done\n"));
    client_close(&idle);
    client_close(&working);
    house_close(&house);
}

static void a_connection_outlives_its_server(void **state)
{
    struct house house;
    struct client asks, idle;

    (void)state;
    house_open(&house, &no_limits);
    client_open(&asks, &house);
    client_send(&asks, &house, slice_of("GET /later HTTP/1.1\r\n" HOST "\r\n"));
    UNTIL(&house, house.waiting != NULL);
    assert_true(conn_outlive(house.waiting));
    http_respond_text(house.waiting, 202, slice_of("wait"));
    UNTIL(&house, counters(&house)->connections == 0); /* no drain waits for it */
    assert_false(client_read(&asks));
    assert_true(has(&asks.got, "Connection: close\r\n"));
    assert_true(has(&asks.got, "wait\n"));
    client_open(&idle, &house);
    house_close(&house);
    assert_true(client_read(&idle));
    assert_false(client_read(&asks));

    int fd = other_end(&asks);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    (void)close(fd); /* as the end of the process would */
    assert_int_equal(other_end(&asks), -1);
    assert_true(client_read(&asks));
    client_close(&asks);
    client_close(&idle);
}

static void a_stop_ends_everything_at_once(void **state)
{
    struct house house;
    struct client clients[3];

    (void)state;
    house_open(&house, &no_limits);
    client_upgrade(&clients[0], &house);
    send_text(house.browsers[0], "queued and never sent");
    client_open(&clients[1], &house);
    client_send(&clients[1], &house, slice_of("GET /later HTTP/1.1\r\n" HOST "\r\n"));
    client_open(&clients[2], &house);
    client_send(&clients[2], &house, slice_of("GET / HT"));
    UNTIL(&house, house.waiting != NULL);
    house_close(&house);
    assert_int_equal(house.closed, 2);
    for (int i = 0; i < 3; i++)
        client_close(&clients[i]);
}

static void an_address_that_is_taken_or_wrong_is_told(void **state)
{
    static const char *const wrong[] = {"",           "4000",        "host",
                                        "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536",
                                        "::1:4000",   "[::1:4000"};
    struct house house;
    struct listener *second = NULL;
    struct errmsg errmsg;
    char address[32];

    (void)state;
    house_open(&house, &no_limits);
    (void)snprintf(address, sizeof address, "127.0.0.1:%d", listener_port(house.listener));
    struct listen_options options = {.loop = &house.loop,
                                     .server = house.server,
                                     .address = address,
                                     .is_shared = true,
                                     .is_first = true};
    assert_int_equal(listener_start(&second, &options, &errmsg), ERR_BIND);
    assert_non_null(strstr(errmsg.text, address));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        options.address = wrong[i];
        assert_int_equal(listener_start(&second, &options, &errmsg), ERR_BIND);
    }
    house_close(&house);
}

static void threads_share_a_port(void **state)
{
    struct house house;
    struct listener *first = NULL;
    struct listener *second = NULL;
    struct errmsg errmsg;
    char address[32];

    (void)state;
    house_open(&house, &no_limits);
    struct listen_options options = {.loop = &house.loop,
                                     .server = house.server,
                                     .address = "127.0.0.1:0",
                                     .is_shared = true,
                                     .is_first = true};
    assert_int_equal(listener_start(&first, &options, &errmsg), 0);
    (void)snprintf(address, sizeof address, "127.0.0.1:%d", listener_port(first));
    options.address = address;
    options.is_first = false;
    assert_int_equal(listener_start(&second, &options, &errmsg), 0);
    assert_int_equal(listener_port(second), listener_port(first));
    options.is_first = true; /* as another program would */
    struct listener *third = NULL;
    assert_int_equal(listener_start(&third, &options, &errmsg), ERR_BIND);
    listener_stop(first, NULL, NULL);
    listener_stop(second, NULL, NULL);
    house_close(&house);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_answered_and_the_connection_stays),
        cmocka_unit_test(a_request_may_come_byte_by_byte),
        cmocka_unit_test(a_head_has_no_body_and_the_same_length),
        cmocka_unit_test(pipelined_requests_are_answered_in_order_one_at_a_time),
        cmocka_unit_test(an_error_says_when_to_come_again_where_that_may_help),
        cmocka_unit_test(who_sends_many_requests_does_not_keep_others_waiting),
        cmocka_unit_test(requests_of_any_length_may_wait_for_one_another),
        cmocka_unit_test(who_ends_its_half_still_gets_its_answers),
        cmocka_unit_test(old_http_stays_only_when_asked),
        cmocka_unit_test(a_bad_request_gets_one_answer_and_the_end),
        cmocka_unit_test(other_methods_come_to_the_owner),
        cmocka_unit_test(a_body_is_asked_for_when_it_waits_to_be),
        cmocka_unit_test(a_large_answer_goes_out_as_fast_as_it_is_read),
        cmocka_unit_test(who_does_not_read_its_answer_is_let_go),
        cmocka_unit_test(who_reads_its_answer_too_slowly_is_let_go),
        cmocka_unit_test(for_one_slow_reader_too_many_the_longest_goes),
        cmocka_unit_test(deadlines_end_what_does_not_get_on),
        cmocka_unit_test(an_answer_that_comes_too_late_does_nothing),
        cmocka_unit_test(what_is_not_answered_in_time_is_told_as_unknown),
        cmocka_unit_test(the_owner_hears_of_a_connection_that_went_before_its_answer),
        cmocka_unit_test(too_many_connections_are_told_so),
        cmocka_unit_test(for_one_connection_too_many_the_longest_idle_goes),
        cmocka_unit_test(many_that_come_at_once_are_not_closed_without_a_word),
        cmocka_unit_test(one_address_gets_no_more_than_its_share),
        cmocka_unit_test(who_is_gone_before_it_is_accepted_has_no_address),
        cmocka_unit_test(a_proxy_is_believed_only_behind_one),
        cmocka_unit_test(a_network_of_ipv6_gets_no_more_than_one_address),
        cmocka_unit_test(out_of_descriptors_accepting_pauses_and_goes_on),
        cmocka_unit_test(a_connection_may_break_off_at_any_byte),
        cmocka_unit_test(a_handshake_that_is_wrong_is_refused),
        cmocka_unit_test(frames_may_follow_the_handshake_at_once),
        cmocka_unit_test(who_sends_many_messages_does_not_keep_others_waiting),
        cmocka_unit_test(a_masked_frame_may_come_byte_by_byte),
        cmocka_unit_test(bad_frames_end_with_their_code),
        cmocka_unit_test(a_ping_flood_is_stopped),
        cmocka_unit_test(who_closes_gets_its_code_back_and_then_the_end),
        cmocka_unit_test(our_close_waits_for_theirs),
        cmocka_unit_test(the_owner_may_close_within_a_message),
        cmocka_unit_test(what_is_queued_in_a_turn_leaves_in_one_write),
        cmocka_unit_test(many_frames_in_one_turn_do_not_make_a_quick_reader_slow),
        PROMISE("P8", who_does_not_read_is_closed_with_4000),
        PROMISE("P8", who_reads_nothing_for_long_is_closed_too),
        cmocka_unit_test(a_join_has_a_deadline_and_silence_too),
        cmocka_unit_test(a_drain_sends_all_browsers_away),
        cmocka_unit_test(a_connection_outlives_its_server),
        cmocka_unit_test(a_stop_ends_everything_at_once),
        cmocka_unit_test(an_address_that_is_taken_or_wrong_is_told),
        cmocka_unit_test(threads_share_a_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
