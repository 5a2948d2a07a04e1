/* What a browser's connection carries, from its first byte to its last: requests one behind the other, the step to
 * a WebSocket, frames. Byte 0 is the size of the pieces in which it comes, byte 1 is that so many pieces come
 * before the server has a turn.
 *
 *   /later     is answered one turn later         /body   with what was sent, an = before it
 *   /large     with more than a socket takes      /origin  an upgrade that is refused
 *   a message  "join" is one; "bye" is answered with a close frame, anything else with itself
 *
 * What goes out is whole: one answer for each request, in their order, at most one refusal, and that the last
 * one; behind a 101 only frames that a browser takes, and nothing behind a close frame.
 */
#include <signal.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <uv.h>

#include "base/limits.h"
#include "base/text.h"
#include "fuzz.h"
#include "web/conn.h"

enum {
    OUT_MAX = 64 * 1024 * 1024,
    PIECES_MAX = 4096,
    IDLE_TURNS = 4,
    SKIPS_MAX = 64,
    SKIP_MS = 20 * 1000,
    LARGE = 512 * 1024
};

static struct {
    uv_loop_t loop;
    struct conn_server *server;
    struct conn *waiting, *browser;
    unsigned asked, upgrades,
        refused;             /* requests that were seen, 101s, upgrades that were not taken */
    unsigned handed, closed; /* connections that on_closed is owed for, and was called for */
    struct shared *large;
    struct buf out, body;
    bool is_open;
} house;

/* ---- the server's owner ---- */

/* No body begins like an answer. */
static void respond_body(struct conn *conn, struct slice body)
{
    buf_reset(&house.body);
    if (body.len > 0) buf_add_char(&house.body, '=');
    buf_add(&house.body, body);
    http_respond(conn, &(struct http_response){.status = 200, .body = buf_slice(&house.body)});
}

static void on_request(void *owner, struct conn *conn, const struct http_request *request)
{
    (void)owner;
    house.asked++;
    FUZZ_HOLDS(house.waiting == NULL && house.browser == NULL);
    FUZZ_HOLDS(request->target.at[0] == '/' && request->body.len <= HTTP_BODY_MAX);
    if (slice_is(request->path, "/later"))
        house.waiting = conn;
    else if (slice_is(request->path, "/large"))
        http_respond(
            conn, &(struct http_response){.status = 200, .body_shared = shared_ref(house.large)});
    else if (slice_is(request->path, "/hangup"))
        conn_close(conn, 0, CONN_END_CLIENT);
    else if (request->method == HTTP_METHOD_OTHER)
        http_respond_method(conn, "GET, HEAD, POST, DELETE");
    else
        respond_body(conn, request->body);
}

static int on_upgrade(void *owner, struct conn *conn, const struct http_request *request)
{
    (void)owner;
    FUZZ_HOLDS(request->is_upgrade && request->method == HTTP_METHOD_GET && request->body.len == 0);
    house.refused += slice_is(request->path, "/origin") ? 1 : 0;
    if (slice_is(request->path, "/origin")) return 403;
    house.upgrades++;
    house.handed++;
    house.browser = conn;
    return 0;
}

static void on_message(void *owner, struct conn *conn, struct slice text)
{
    (void)owner;
    FUZZ_HOLDS(conn == house.browser && text_valid(text) && text.len <= WS_MESSAGE_MAX);
    if (slice_is(text, "join")) {
        conn_joined(conn);
    } else if (slice_is(text, "bye")) {
        conn_close(conn, WS_POLICY, CONN_END_PROTOCOL);
    } else {
        struct shared *frame = ws_text_frame(text);
        conn_send(conn, frame);
        shared_unref(frame);
    }
}

static void on_closed(void *owner, struct conn *conn, enum conn_end end)
{
    (void)owner;
    FUZZ_HOLDS(end < CONN_ENDS);
    FUZZ_HOLDS(conn == house.browser || conn == house.waiting || house.browser == NULL);
    house.closed++;
    if (conn == house.browser) house.browser = NULL;
    if (conn == house.waiting) house.waiting = NULL;
}

static void open_house(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&house.loop);
    house.server = conn_server_new(
        &(struct conn_server_options){.loop = &house.loop,
                                      .handler = {.on_request = on_request,
                                                  .on_upgrade = on_upgrade,
                                                  .on_message = on_message,
                                                  .on_closed = on_closed},
                                      .limits = {.connections_max = 4, .behind_proxy = true},
                                      .every = slice_of("X-Node: n1\r\n")});
    house.large = shared_new(LARGE);
    memset(house.large->bytes, 'x', LARGE);
    buf_init(&house.body, HTTP_BODY_MAX + 1);
    buf_init(&house.out, OUT_MAX);
    house.is_open = true;
}

/* ---- the browser's side ---- */

static void turn(void)
{
    uv_run(&house.loop, UV_RUN_NOWAIT);
    if (house.waiting == NULL) return;
    struct conn *conn = house.waiting;
    house.waiting = NULL;
    http_respond_text(conn, 200, slice_of("later\n"));
}

/* Takes what has come. False when the stream has ended. */
static bool take(int fd)
{
    char bytes[16 * 1024];
    ssize_t count;
    while ((count = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        buf_append(&house.out, bytes, (size_t)count);
    return count < 0 && errno == EAGAIN;
}

static void send_all(int fd, struct slice bytes, size_t step, size_t at_once)
{
    for (size_t pieces = 0; bytes.len > 0 && pieces < PIECES_MAX;) {
        ssize_t count =
            send(fd, bytes.at, bytes.len < step ? bytes.len : step, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count < 0 && errno != EAGAIN) return;
        if (count > 0) bytes = slice_skip(bytes, (size_t)count);
        if (count > 0 && ++pieces % at_once != 0) continue;
        turn();
        if (!take(fd)) return;
    }
}

/* Until the server has ended it, by itself or because its patience is over. */
static void hear_out(int fd)
{
    shutdown(fd, SHUT_WR);
    unsigned idle = 0;
    for (unsigned skips = 0; conn_server_counters(house.server)->connections > 0;) {
        size_t before = house.out.len;
        turn();
        (void)take(fd);
        idle = house.out.len > before ? 0 : idle + 1;
        if (idle < IDLE_TURNS) continue;
        FUZZ_HOLDS(++skips < SKIPS_MAX);
        conn_server_skip(house.server, SKIP_MS);
    }
    FUZZ_HOLDS(!take(fd));
}

/* ---- what came out ---- */

static void check_frames(struct slice rest)
{
    bool is_over = false;
    while (rest.len > 0) {
        FUZZ_HOLDS(!is_over && rest.len >= 2);
        const unsigned char *head = (const unsigned char *)rest.at;
        size_t len = head[1], place = 2;
        FUZZ_HOLDS((head[0] & 0xf0) == 0x80 && len < 128); /* whole, not masked */
        if (len >= 126) {
            size_t size = len == 126 ? 2 : 8;
            FUZZ_HOLDS(rest.len >= 2 + size);
            len = 0;
            for (; place < 2 + size; place++)
                len = len << 8 | head[place];
        }
        FUZZ_HOLDS(rest.len >= place + len);
        struct slice payload = slice_make(rest.at + place, len);
        int opcode = head[0] & 15;
        FUZZ_HOLDS(opcode == 1 || (opcode >= 8 && opcode <= 10 && len <= 125));
        FUZZ_HOLDS(opcode != 1 || text_valid(payload));
        FUZZ_HOLDS(opcode != 8 || len == 0 || len >= 2);
        is_over = opcode == 8;
        rest = slice_skip(rest, place + len);
    }
}

static bool cut_line(struct slice *rest, struct slice *line)
{
    size_t len = slice_find(*rest, '\r');
    FUZZ_HOLDS(len + 1 < rest->len && rest->at[len + 1] == '\n');
    *line = slice_first(*rest, len);
    *rest = slice_skip(*rest, len + 2);
    return line->len > 0;
}

struct answer {
    unsigned status;
    size_t body_len;
    bool is_last;
};

static void read_head(struct slice *rest, struct answer *answer)
{
    struct slice line;
    cut_line(rest, &line);
    FUZZ_HOLDS(slice_starts(line, slice_of("HTTP/1.1 ")) && line.len >= 13);
    *answer = (struct answer){.status = (unsigned)atoi(line.at + 9)};
    FUZZ_HOLDS(answer->status >= 100 && answer->status < 600);
    while (cut_line(rest, &line)) {
        struct slice value = line;
        struct slice name = slice_cut(&value, ':');
        value = slice_trim(value);
        uint64_t number = 0;
        if (slice_is(name, "Content-Length")) {
            FUZZ_HOLDS(slice_to_u64(value, &number) && number < OUT_MAX);
            answer->body_len = (size_t)number;
        }
        if (slice_is(name, "Connection")) answer->is_last = slice_is(value, "close");
    }
}

/* The bodies of answers to HEAD are not there; as no body begins like an answer, that shows. */
static void check_out(struct slice rest)
{
    unsigned answers = 0, bad = 0, upgrades = 0;
    bool is_over = false;
    while (rest.len > 0) {
        struct answer answer;
        FUZZ_HOLDS(!is_over);
        read_head(&rest, &answer);
        if (answer.status == 100) continue;
        if (answer.status == 101) {
            upgrades++;
            check_frames(rest);
            break;
        }
        is_over = answer.is_last;
        bool has_body = rest.len >= answer.body_len && !slice_starts(rest, slice_of("HTTP/1.1 "));
        if (has_body) rest = slice_skip(rest, answer.body_len);
        if (answer.status >= 400 && (answer.status != 405 || is_over)) bad++;
        answers++;
    }
    FUZZ_HOLDS(upgrades == house.upgrades && upgrades <= 1);
    FUZZ_HOLDS(answers <= house.asked + bad);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int pair[2];
    if (size < 2) return 0;
    if (!house.is_open) open_house();
    house.asked = house.upgrades = house.refused = house.handed = house.closed = 0;
    buf_reset(&house.out);
    FUZZ_HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    conn_accept(house.server, pair[1]);
    size_t step = data[0] == 0 ? SIZE_MAX : data[0];
    send_all(pair[0], slice_make(data + 2, size - 2), step, 1u + data[1]);
    hear_out(pair[0]);
    close(pair[0]);
    FUZZ_HOLDS(house.browser == NULL && house.waiting == NULL && house.closed >= house.handed);
    FUZZ_HOLDS(conn_server_counters(house.server)->queued_bytes == 0);
    check_out(buf_slice(&house.out));
    return 0;
}
