/* Requests of a connection, their answers, those that wait for one before them, and the step from HTTP to
 * WebSocket. */
#include <assert.h>
#include <strings.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "web/conn_state.h"

enum {
    PENDING_PAUSE = 16 * 1024, /* bytes of later requests, then we stop reading */
    PENDING_MAX = PENDING_PAUSE + CONN_READ_SIZE
};

static const char *const ALLOWED = "GET, HEAD, POST";

static void conn_begin_answer(struct conn *conn, const struct http_request *request)
{
    conn_leave_line(conn);
    conn->phase = PHASE_ANSWER;
    conn->since_ms = conn_now(conn->server);
    conn->is_head = request->method == HTTP_METHOD_HEAD;
    conn->keep = request->keep;
    conn->is_old = request->is_old;
    conn->is_read_by_people = http_header_has(request, "accept", "text/html");
}

struct buf *conn_answer_begin(struct conn *conn, struct http_frame *frame)
{
    struct conn_server *server = conn->server;

    if (conn->state != CONN_HTTP || conn->phase != PHASE_ANSWER) return NULL;
    *frame = (struct http_frame){
        .is_head = conn->is_head,
        .keep = conn->keep && !server->is_draining && (!conn->is_eof || conn->has_more),
        .is_old = conn->is_old,
        .every = buf_slice(&server->every),
        .date = conn_server_date(server),
    };
    buf_reset(&server->scratch);
    return &server->scratch;
}

void conn_answer_end(struct conn *conn, struct shared *head, struct shared *body, bool keep)
{
    conn->is_owed = false;
    conn->phase = PHASE_NEXT;
    conn->since_ms = conn_now(conn->server);
    conn_leave_line(conn);
    conn->answer_held = (uint32_t)head->len;
    conn->answer_len = (uint32_t)(head->len + (body == NULL ? 0 : body->len));
    conn_queue(conn, head, body == NULL);
    if (body != NULL) conn_queue(conn, body, true);
    if (keep) {
        conn_look_in(conn, HTTP_IDLE_MS);
    } else {
        conn_linger(conn, CONN_END_CLIENT);
    }
}

/* In the owner's place, who goes on to hear of the connection's end. */
static void conn_respond(struct conn *conn, const struct http_response *response, enum conn_end end)
{
    bool is_owed = conn->is_owed;

    http_respond(conn, response);
    conn->is_owed = is_owed;
    conn->end = (uint8_t)end;
}

void conn_give_up(struct conn *conn)
{
    static const char said[] =
        "There was no answer in time. What was asked for may be done, or be done soon: look first, "
        "and ask again with the same id if it had one.";
    struct buf body;

    buf_init(&body, 512);
    buf_printf(&body,
               conn->is_read_by_people ? "%s\n" : "{\"error\":\"unknown\",\"message\":\"%s\"}\n",
               said);
    conn_respond(conn,
                 &(struct http_response){.status = 504,
                                         .type = conn->is_read_by_people
                                                     ? slice_of("text/plain; charset=utf-8")
                                                     : slice_of("application/json"),
                                         .body = buf_slice(&body),
                                         .close = true},
                 CONN_END_IDLE);
    buf_close(&body);
}

void conn_refuse(struct conn *conn, int status, enum conn_end end)
{
    struct buf lines;
    buf_init(&lines, 256);
    if (status == 405) buf_printf(&lines, "Allow: %s\r\n", ALLOWED);
    if (status == 426) buf_printf(&lines, "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n");
    if (status == 503) buf_printf(&lines, "Retry-After: 1\r\n");
    struct slice headers = buf_slice(&lines);
    if (conn->phase != PHASE_ANSWER) {
        conn_begin_answer(conn, &(struct http_request){.method = HTTP_METHOD_GET});
    }
    conn_respond(conn,
                 &(struct http_response){.status = status,
                                         .type = slice_of("text/plain; charset=utf-8"),
                                         .headers = headers,
                                         .body = slice_from(http_status_words(status)),
                                         .close = true},
                 end);
    buf_close(&lines);
}

/* An answer that leaves the connection as it is. */
static void conn_refuse_upgrade(struct conn *conn, int status)
{
    if (status == 426 || status == 503 || status == 405) {
        conn_refuse(conn, status, CONN_END_CLIENT);
    } else {
        http_respond_text(conn, status, slice_from(http_status_words(status)));
    }
}

/* Of the header that a proxy of ours appends to: its last element, if that is an address. */
static void conn_believe_proxy(struct conn *conn, const struct http_request *request)
{
    struct slice text = {NULL, 0};
    char counted[ADDRESS_TEXT_MAX + 1];

    for (size_t i = 0; i < request->headers_count; i++) {
        struct slice name = request->headers[i].name;
        struct slice rest = request->headers[i].value;
        if (name.len != 15 || strncasecmp(name.at, "X-Forwarded-For", name.len) != 0) continue;
        while (rest.len > 0)
            text = slice_trim(slice_cut(&rest, ','));
    }
    text = address_counted(text, counted);
    if (text.len == 0) return;
    struct address *before = conn->address;
    conn->address = addresses_enter(&conn->server->addresses, text);
    addresses_leave(&conn->server->addresses, before);
}

/* What RFC 6455 asks of a handshake. Returns 0 or a status; the answer's key into `accept`. */
static int check_upgrade(const struct http_request *request, struct buf *accept)
{
    if (request->method != HTTP_METHOD_GET || !request->is_upgrade) return 400;
    if (!slice_is(http_header_get(request, "Sec-WebSocket-Version"), "13")) return 426;
    return ws_accept(accept, http_header_get(request, "Sec-WebSocket-Key")) ? 0 : 400;
}

static void conn_upgraded(struct conn *conn, struct slice accept)
{
    struct conn_server *server = conn->server;
    struct http_frame frame = {.every = buf_slice(&server->every)};
    struct buf headers;

    buf_init(&headers, 256);
    buf_printf(&headers,
               "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %.*s\r\n",
               (int)accept.len, accept.at);
    buf_reset(&server->scratch);
    http_add_head(&server->scratch,
                  &(struct http_response){.status = 101, .headers = buf_slice(&headers)}, &frame,
                  0);
    conn_queue(conn, shared_copy(buf_slice(&server->scratch)), true);
    buf_close(&headers);

    conn_move(conn, CONN_WEBSOCKET);
    conn->is_owed = true;
    conn->was_websocket = true;
    conn->pinged_ms = conn_now(server);
    address_count_websocket(conn->address, 1);
    server->counters.websockets++;
    server->counters.opened++;
    conn_look_in(conn, WS_JOIN_DEADLINE_MS);
}

static void conn_upgrade(struct conn *conn, const struct http_request *request)
{
    struct conn_server *server = conn->server;
    uint32_t per_address_max = server->limits.per_address_max;
    struct buf accept;

    buf_init(&accept, 64);
    int status = check_upgrade(request, &accept);
    if (status == 0 && server->is_draining) status = 503;
    if (status == 0 && per_address_max > 0 &&
        address_websockets(conn->address) >= per_address_max) {
        status = 429;
    }
    if (status == 0) status = server->handler.on_upgrade(server->handler.owner, conn, request);
    if (conn->state == CONN_HTTP) {
        if (status == 0) {
            conn_upgraded(conn, buf_slice(&accept));
        } else {
            conn_refuse_upgrade(conn, status);
        }
    }
    buf_close(&accept);
}

/* The request is complete. Its text goes when the handler returns. */
static void conn_dispatch(struct conn *conn)
{
    struct http_reader *reader = conn->http;
    const struct http_request *request = http_reader_request(reader);
    const struct conn_handler *handler = &conn->server->handler;

    conn->http = NULL;
    conn->server->counters.http_requests++;
    conn_begin_answer(conn, request);
    if (conn->server->limits.behind_proxy) conn_believe_proxy(conn, request);
    bool is_upgrade = request->is_upgrade || http_header_has(request, "upgrade", "websocket") ||
                      http_header_get(request, "Sec-WebSocket-Key").len > 0;
    if (is_upgrade) {
        conn_upgrade(conn, request);
    } else {
        conn->is_owed = true;
        conn_look_in(conn, HTTP_ANSWER_MAX_MS);
        handler->on_request(handler->owner, conn, request);
    }
    http_reader_free(reader);
}

static void conn_bad_request(struct conn *conn)
{
    int status = http_reader_status(conn->http);

    conn->server->counters.http_bad++;
    log_debug("request refused", "status=%d", status);
    conn_refuse(conn, status, CONN_END_PROTOCOL);
}

/* Returns what was not read. */
struct slice conn_take_request(struct conn *conn, struct slice bytes)
{
    size_t used = 0;

    if (conn->http == NULL) {
        conn->http = http_reader_new();
        /* The first head has its deadline since accept. */
        if (conn->phase == PHASE_NEXT) {
            conn->since_ms = conn_now(conn->server);
            conn_line_up(conn, &conn->server->quiet);
        }
        conn->phase = PHASE_HEAD;
        conn->answer_held = 0;
        conn_look_in(conn, HTTP_HEAD_DEADLINE_MS);
    }
    enum http_progress progress = http_read(conn->http, bytes, &used);
    if (progress == HTTP_READ_BAD) {
        conn_bad_request(conn);
        return (struct slice){NULL, 0};
    }
    if (progress == HTTP_READ_HEAD) {
        conn->phase = PHASE_BODY;
        conn->since_ms = conn_now(conn->server);
        if (http_reader_expects(conn->http) && used == bytes.len) {
            conn_queue(conn, shared_copy(slice_of("HTTP/1.1 100 Continue\r\n\r\n")), true);
        }
    } else if (progress == HTTP_READ_ALL) {
        conn->has_more = used < bytes.len;
        conn_dispatch(conn);
    }
    return slice_skip(bytes, used);
}

/* ---- requests that wait for an answer before them ---- */

void conn_drop_pending(struct conn *conn)
{
    if (conn->pending == NULL) return;
    buf_close(conn->pending);
    mem_free(conn->pending);
    conn->pending = NULL;
    conn->pending_read = 0;
}

bool conn_is_between(const struct conn *conn)
{
    return conn->phase != PHASE_ANSWER && conn->out.count == 0;
}

static size_t conn_unread(const struct conn *conn)
{
    return conn->pending == NULL ? 0 : conn->pending->len - conn->pending_read;
}

void conn_keep_for_later(struct conn *conn, struct slice bytes)
{
    if (conn->pending == NULL) {
        conn->pending = mem_new(sizeof *conn->pending);
        buf_init(conn->pending, PENDING_MAX);
    }
    /* Only here is what was read thrown out: all that is moved is less than PENDING_PAUSE. */
    if (conn->pending_read > 0) {
        memmove(conn->pending->at, conn->pending->at + conn->pending_read, conn_unread(conn));
        conn->pending->len = conn_unread(conn);
        conn->pending_read = 0;
    }
    buf_add(conn->pending, bytes);
    assert(!conn->pending->overflowed);
    conn->has_more = true;
    if (conn->pending->len >= PENDING_PAUSE && !conn->is_paused) {
        conn->is_paused = true;
        uv_read_stop((uv_stream_t *)&conn->tcp);
    }
}

void conn_resume(struct conn *conn)
{
    struct buf *pending = conn->pending;
    struct slice rest = slice_skip(buf_slice(pending), conn->pending_read);

    conn->pending = NULL; /* an answer that is the last one drops what is pending */
    while (rest.len > 0 && conn->state == CONN_HTTP && conn_is_between(conn))
        rest = conn_take_request(conn, rest);
    if (rest.len > 0 && conn->state == CONN_HTTP) {
        conn->pending = pending;
        conn->pending_read = (uint32_t)(pending->len - rest.len);
    } else {
        if (conn->state == CONN_WEBSOCKET) conn_take_frames(conn, rest);
        conn->pending_read = 0;
        buf_close(pending);
        mem_free(pending);
    }
    if (conn->state != CONN_CLOSED && conn_unread(conn) < PENDING_PAUSE) conn_read_on(conn);
    if (conn->is_eof) conn_add_dirty(conn); /* if that was all, it ends */
}
