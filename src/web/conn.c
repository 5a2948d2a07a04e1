#include "web/conn.h"

#include <assert.h>
#include <stddef.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "web/addresses.h"
#include "web/out.h"
#include "web/wheel.h"

enum {
    READ_SIZE = 64 * 1024,
    WRITE_PIECES_MAX = 64,
    PENDING_PAUSE = 16 * 1024, /* bytes of later requests, then we stop reading */
    PENDING_MAX = PENDING_PAUSE + READ_SIZE,
    TURNED_AWAY_MAX = 64,   /* connections beyond the limit that still get a 503 */
    STALL_LOOKS = 3,        /* within CONN_STALLED_MS */
    PONGS_WAITING_MAX = 16, /* frames; behind so many a pong is left out */
    DATE_MAX = 32
};

enum conn_state { CONN_HTTP, CONN_WEBSOCKET, CONN_DRAINING, CONN_CLOSED };

enum conn_phase {              /* of CONN_HTTP: what we wait for */
                  PHASE_FIRST, /* the first byte of the first request */
                  PHASE_NEXT,  /* of a later one */
                  PHASE_HEAD,  /* the rest of a head */
                  PHASE_BODY,  /* the rest of a body */
                  PHASE_ANSWER /* our owner */
};

struct conn_write { /* one write that waits for the kernel */
    uv_write_t request;
    size_t len;
};

struct conn {
    uv_tcp_t tcp;
    struct conn_server *server;
    void *user;
    struct http_reader *http; /* while a request comes in */
    struct ws_stream ws;
    struct conn_write *write; /* while the kernel takes no more */
    struct buf *pending;      /* what came behind a request that is not answered */
    struct address *address;
    struct conn *prev, *next;             /* server->conns */
    struct conn *dirty_prev, *dirty_next; /* server->dirty */
    struct wheel_node deadline;
    struct out out;
    uint32_t since_ms;  /* begin of the state or phase */
    uint32_t heard_ms;  /* last byte from there */
    uint32_t pinged_ms; /* last ping from here */
    uint32_t moved_ms;  /* last time that the kernel took something while a write waited */
    uint32_t write_left;
    uint8_t state, phase, end;
    bool is_dirty : 1;
    bool is_owed : 1; /* the owner is to hear of its end */
    bool was_websocket : 1;
    bool is_joined : 1;
    bool is_head : 1; /* of the request that is being answered: these three */
    bool keep : 1;
    bool is_old : 1;
    bool is_paused : 1;    /* not reading */
    bool is_eof : 1;       /* the other side has ended its half */
    bool is_shut : 1;      /* we have ended ours */
    bool is_lingering : 1; /* draining: what comes in is thrown away */
    bool is_peer_done : 1; /* draining: their close frame came */
};

struct conn_server {
    uv_loop_t *loop;
    uv_prepare_t prepare; /* before the loop waits, and after: everything queued leaves */
    uv_check_t check;
    uv_timer_t tick;
    uv_idle_t turn; /* keeps the loop turning while a drain is spread over turns */
    unsigned handles_open;
    struct conn_handler handler;
    struct conn_limits limits;
    bool admin, is_draining, is_stopping;
    unsigned drain_per_turn;
    struct conn *drain_at; /* the next one to look at */
    struct buf every;
    struct buf scratch; /* head and body of an answer */
    struct conn *conns, *conns_last, *dirty;
    struct addresses addresses;
    struct wheel wheel;
    struct ws_pool *ws_pool;
    struct shared *ping;
    struct shared **kept;
    size_t kept_count;
    uint64_t skipped_ms;
    uint64_t date_second;
    char date[DATE_MAX];
    struct conn_counters counters;
    void (*on_stopped)(void *owner);
    void *stop_owner;
    char bytes[READ_SIZE];
};

/* ---- time ---- */

static uint64_t server_now(const struct conn_server *server)
{
    return uv_now(server->loop) + server->skipped_ms;
}

static uint32_t now32(const struct conn_server *server)
{
    return (uint32_t)server_now(server);
}

/* Milliseconds since then; right across the wrap after 49 days. */
static uint32_t ms_since(const struct conn *conn, uint32_t then_ms)
{
    return now32(conn->server) - then_ms;
}

static void conn_look_in(struct conn *conn, uint32_t ms)
{
    wheel_set_sooner(&conn->server->wheel, &conn->deadline, server_now(conn->server) + ms);
}

static struct slice server_date(struct conn_server *server)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t wall_ms = clock_wall_ms();
    uint64_t second = (uint64_t)wall_ms / 1000;

    if (second != server->date_second) {
        struct civil civil = clock_civil(wall_ms);
        struct buf text;
        buf_init(&text, DATE_MAX - 1);
        buf_printf(&text, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * civil.weekday,
                   civil.day, months + 3 * (civil.month - 1), civil.year, civil.hour, civil.minute,
                   civil.second);
        memcpy(server->date, text.at, text.len);
        server->date[text.len] = '\0';
        buf_close(&text);
        server->date_second = second;
    }
    return slice_from(server->date);
}

/* ---- lists of a server ---- */

static void conns_add(struct conn_server *server, struct conn *conn)
{
    conn->prev = server->conns_last;
    if (server->conns_last != NULL) {
        server->conns_last->next = conn;
    } else {
        server->conns = conn;
    }
    server->conns_last = conn;
    server->counters.connections++;
}

static void conns_remove(struct conn_server *server, struct conn *conn)
{
    if (server->drain_at == conn) server->drain_at = conn->next;
    if (conn->prev != NULL) conn->prev->next = conn->next;
    if (conn->next != NULL) conn->next->prev = conn->prev;
    if (server->conns == conn) server->conns = conn->next;
    if (server->conns_last == conn) server->conns_last = conn->prev;
    server->counters.connections--;
}

static void dirty_add(struct conn *conn)
{
    struct conn_server *server = conn->server;

    if (conn->is_dirty) return;
    conn->is_dirty = true;
    conn->dirty_prev = NULL;
    conn->dirty_next = server->dirty;
    if (server->dirty != NULL) server->dirty->dirty_prev = conn;
    server->dirty = conn;
}

static void dirty_remove(struct conn *conn)
{
    if (!conn->is_dirty) return;
    conn->is_dirty = false;
    if (conn->dirty_prev != NULL) conn->dirty_prev->dirty_next = conn->dirty_next;
    if (conn->dirty_next != NULL) conn->dirty_next->dirty_prev = conn->dirty_prev;
    if (conn->server->dirty == conn) conn->server->dirty = conn->dirty_next;
}

/* ---- the end ---- */

#define TO(state) (1u << (state))
static const unsigned conn_next[] = {
    [CONN_HTTP] = TO(CONN_WEBSOCKET) | TO(CONN_DRAINING) | TO(CONN_CLOSED),
    [CONN_WEBSOCKET] = TO(CONN_DRAINING) | TO(CONN_CLOSED),
    [CONN_DRAINING] = TO(CONN_CLOSED),
    [CONN_CLOSED] = 0,
};

static void conn_move(struct conn *conn, enum conn_state state)
{
    assert((conn_next[conn->state] & TO(state)) != 0);
    conn->state = (uint8_t)state;
    conn->since_ms = now32(conn->server);
}

static void conn_drop_pending(struct conn *conn)
{
    if (conn->pending == NULL) return;
    buf_close(conn->pending);
    mem_free(conn->pending);
    conn->pending = NULL;
}

static void server_finish(struct conn_server *server)
{
    void (*on_stopped)(void *owner) = server->on_stopped;
    void *owner = server->stop_owner;

    if (!server->is_stopping || server->handles_open > 0 || server->conns != NULL) return;
    buf_close(&server->every);
    buf_close(&server->scratch);
    ws_pool_free(server->ws_pool);
    shared_unref(server->ping);
    for (size_t i = 0; i < server->kept_count; i++)
        shared_unref(server->kept[i]);
    mem_free(server->kept);
    mem_free(server);
    if (on_stopped != NULL) on_stopped(owner);
}

static void on_conn_gone(uv_handle_t *handle)
{
    struct conn *conn = handle->data;
    struct conn_server *server = conn->server;

    if (conn->was_websocket) {
        server->counters.websockets--;
        server->counters.closed[conn->end]++;
        address_count_websocket(conn->address, -1);
    }
    server->counters.queued_bytes -= conn->out.bytes;
    out_close(&conn->out);
    http_reader_free(conn->http);
    ws_stream_close(&conn->ws);
    conn_drop_pending(conn);
    conns_remove(server, conn);
    if (conn->is_owed) server->handler.on_closed(server->handler.owner, conn, conn->end);
    addresses_leave(&server->addresses, conn->address);
    mem_free(conn);
    server_finish(server);
}

/* Once: nothing of it is read or sent any more. The rest comes from the loop. */
static void conn_end(struct conn *conn, enum conn_end end)
{
    if (conn->state == CONN_CLOSED) return;
    if (conn->state != CONN_DRAINING) conn->end = (uint8_t)end;
    conn_move(conn, CONN_CLOSED);
    dirty_remove(conn);
    wheel_remove(&conn->deadline);
    uv_close((uv_handle_t *)&conn->tcp, on_conn_gone);
}

/* ---- out ---- */

static void conn_queue(struct conn *conn, struct shared *piece, bool ends_frame)
{
    conn->server->counters.queued_bytes += piece->len;
    out_push(&conn->out, piece, ends_frame);
    dirty_add(conn);
}

static void conn_sent(struct conn *conn, size_t len)
{
    struct conn_counters *counters = &conn->server->counters;

    counters->sent_bytes += len;
    counters->queued_bytes -= len;
    counters->writes++;
    unsigned frames = out_advance(&conn->out, len);
    if (conn->was_websocket) counters->sent_frames += frames;
}

static void on_written(uv_write_t *request, int status)
{
    struct conn_write *write = request->data;
    struct conn *conn = request->handle->data;
    size_t len = write->len;

    mem_free(write);
    conn->write = NULL;
    if (conn->state == CONN_CLOSED) return;
    if (status != 0) {
        conn_end(conn, CONN_END_CLIENT);
        return;
    }
    conn_sent(conn, len);
    dirty_add(conn);
}

/* The kernel takes no more now. Waits for it with the rest of the frame that was begun, so that
 * what is behind that can still be dropped. */
static void conn_wait_writable(struct conn *conn)
{
    uv_buf_t bufs[WRITE_PIECES_MAX];
    unsigned count = out_fill(&conn->out, bufs, WRITE_PIECES_MAX, true);
    struct conn_write *write = mem_new(sizeof *write);

    write->request.data = write;
    for (unsigned i = 0; i < count; i++)
        write->len += bufs[i].len;
    int rv = uv_write(&write->request, (uv_stream_t *)&conn->tcp, bufs, count, on_written);
    if (rv != 0) {
        mem_free(write);
        conn_end(conn, CONN_END_CLIENT);
        return;
    }
    conn->write = write;
    conn->moved_ms = now32(conn->server);
    conn->write_left = (uint32_t)uv_stream_get_write_queue_size((uv_stream_t *)&conn->tcp);
    conn_look_in(conn, CONN_STALLED_MS / STALL_LOOKS);
}

static void conn_shut(struct conn *conn)
{
    uv_os_fd_t fd = -1;

    if (conn->is_shut) return;
    conn->is_shut = true;
    if (uv_fileno((uv_handle_t *)&conn->tcp, &fd) == 0) (void)shutdown(fd, SHUT_WR);
}

/* With the reading, below. */
static void conn_resume(struct conn *conn);
static void conn_read_on(struct conn *conn);

/* Everything queued is with the kernel. */
static void conn_all_sent(struct conn *conn)
{
    if (conn->state == CONN_HTTP && conn->phase != PHASE_ANSWER && conn->pending != NULL) {
        conn_resume(conn); /* which queues again: the rest comes later */
        return;
    }
    if (conn->state == CONN_HTTP && conn->phase != PHASE_ANSWER && conn->is_eof) {
        conn_end(conn, CONN_END_CLIENT);
    }
    if (conn->state != CONN_DRAINING) return;
    if (conn->is_eof || conn->is_peer_done) {
        conn_end(conn, CONN_END_CLIENT);
    } else if (conn->is_lingering && !conn->is_shut) {
        conn_shut(conn);
        conn->since_ms = now32(conn->server);
        conn_look_in(conn, WS_CLOSE_MS);
    }
}

static void conn_flush(struct conn *conn)
{
    uv_buf_t bufs[WRITE_PIECES_MAX];

    while (conn->out.count > 0 && conn->write == NULL && conn->state != CONN_CLOSED) {
        unsigned count = out_fill(&conn->out, bufs, WRITE_PIECES_MAX, false);
        int rv = uv_try_write((uv_stream_t *)&conn->tcp, bufs, count);
        if (rv >= 0) conn_sent(conn, (size_t)rv);
        if (rv == UV_EAGAIN || (rv >= 0 && conn->out.sent > 0)) {
            conn_wait_writable(conn);
        } else if (rv < 0) {
            conn_end(conn, CONN_END_CLIENT);
        }
    }
    if (conn->out.count == 0) conn_all_sent(conn);
}

static void server_flush(struct conn_server *server)
{
    while (server->dirty != NULL) {
        struct conn *conn = server->dirty;
        dirty_remove(conn);
        conn_flush(conn);
    }
}

/* ---- closing with a word ---- */

/* The last bytes are queued; what now comes in is thrown away. */
static void conn_linger(struct conn *conn, enum conn_end end)
{
    conn->end = (uint8_t)end;
    conn->is_lingering = true;
    conn_move(conn, CONN_DRAINING);
    http_reader_free(conn->http);
    conn->http = NULL;
    conn_drop_pending(conn);
    conn_read_on(conn);
    dirty_add(conn);
    conn_look_in(conn, CONN_STALLED_MS / STALL_LOOKS);
}

static void conn_say_close(struct conn *conn, int code, enum conn_end end)
{
    if (end == CONN_END_SLOW) {
        conn->server->counters.queued_bytes -= conn->out.bytes;
        out_cut(&conn->out, conn->write != NULL);
        conn->server->counters.queued_bytes += conn->out.bytes;
    }
    conn->end = (uint8_t)end;
    conn_move(conn, CONN_DRAINING);
    conn_queue(conn, ws_close_frame(code), true);
    conn_look_in(conn, WS_CLOSE_MS);
}

void conn_close(struct conn *conn, int code, enum conn_end end)
{
    if (conn->state == CONN_WEBSOCKET) {
        conn_say_close(conn, code, end);
    } else if (conn->state == CONN_HTTP) {
        conn_end(conn, end);
    }
}

/* ---- frames ---- */

static bool conn_has_room(struct conn *conn)
{
    const struct out *out = &conn->out;
    size_t bytes_max = conn->server->limits.out_max;

    if (out->bytes < bytes_max && out->frames < CONN_OUT_FRAMES_MAX) return true;
    /* Much was queued in this very turn, and the other side may be quick. */
    if (conn->write == NULL) conn_flush(conn);
    if (conn->state != CONN_WEBSOCKET) return false;
    if (out->bytes < bytes_max && out->frames < CONN_OUT_FRAMES_MAX) return true;
    log_debug("browser is too slow", "bytes=%zu frames=%u", out->bytes, (unsigned)out->frames);
    conn_say_close(conn, WS_SLOW, CONN_END_SLOW);
    return false;
}

void conn_send(struct conn *conn, struct shared *frame)
{
    if (conn->state != CONN_WEBSOCKET || !conn_has_room(conn)) return;
    conn_queue(conn, shared_ref(frame), true);
}

void conn_send_pieces(struct conn *conn, struct shared *const pieces[], size_t pieces_count)
{
    if (conn->state != CONN_WEBSOCKET || !conn_has_room(conn)) return;
    for (size_t i = 0; i < pieces_count; i++) {
        conn_queue(conn, shared_ref(pieces[i]), i + 1 == pieces_count);
    }
}

static void on_ws_text(void *owner, struct slice text)
{
    struct conn *conn = owner;
    const struct conn_handler *handler = &conn->server->handler;

    if (conn->state == CONN_WEBSOCKET) handler->on_message(handler->owner, conn, text);
}

static void on_ws_ping(void *owner, struct slice payload)
{
    struct conn *conn = owner;

    if (conn->state != CONN_WEBSOCKET || conn->out.frames > PONGS_WAITING_MAX) return;
    conn_queue(conn, ws_pong_frame(payload), true);
}

static void conn_take_frames(struct conn *conn, struct slice bytes)
{
    int code = WS_NO_CODE;
    enum ws_result result =
        ws_read(conn->server->ws_pool, &conn->ws, conn, bytes, server_now(conn->server), &code);

    if (result == WS_OPEN || conn->state == CONN_CLOSED) return;
    if (conn->state == CONN_WEBSOCKET) {
        conn_say_close(conn, code, result == WS_FAILED ? CONN_END_PROTOCOL : CONN_END_CLIENT);
    }
    if (result == WS_PEER_CLOSED) {
        conn->is_peer_done = true;
    } else {
        conn->is_lingering = true;
    }
    dirty_add(conn); /* it may be that all is sent: then this was the last word */
}

/* ---- requests ---- */

static const char *const ALLOWED = "GET, HEAD, POST";

static void conn_begin_answer(struct conn *conn, const struct http_request *request)
{
    conn->phase = PHASE_ANSWER;
    conn->since_ms = now32(conn->server);
    conn->is_head = request->method == HTTP_METHOD_HEAD;
    conn->keep = request->keep;
    conn->is_old = request->is_old;
}

struct buf *conn_answer_begin(struct conn *conn, struct http_frame *frame)
{
    struct conn_server *server = conn->server;

    if (conn->state != CONN_HTTP || conn->phase != PHASE_ANSWER) return NULL;
    *frame = (struct http_frame){
        .is_head = conn->is_head,
        .keep = conn->keep && !server->is_draining && (!conn->is_eof || conn->pending != NULL),
        .is_old = conn->is_old,
        .every = buf_slice(&server->every),
        .date = server_date(server),
    };
    buf_shrink(&server->scratch, READ_SIZE);
    buf_reset(&server->scratch);
    return &server->scratch;
}

void conn_answer_end(struct conn *conn, struct shared *head, struct shared *body, bool keep)
{
    conn->is_owed = false;
    conn->phase = PHASE_NEXT;
    conn->since_ms = now32(conn->server);
    conn_queue(conn, head, body == NULL);
    if (body != NULL) conn_queue(conn, body, true);
    if (keep) {
        conn_look_in(conn, HTTP_IDLE_MS);
    } else {
        conn_linger(conn, CONN_END_CLIENT);
    }
}

/* An answer of our own, the last one of the connection. */
static void conn_refuse(struct conn *conn, int status, enum conn_end end)
{
    struct slice headers = {NULL, 0};
    struct buf lines;

    buf_init(&lines, 256);
    if (status == 405) buf_printf(&lines, "Allow: %s\r\n", ALLOWED);
    if (status == 426) buf_printf(&lines, "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n");
    if (status == 503) buf_printf(&lines, "Retry-After: 1\r\n");
    headers = buf_slice(&lines);
    if (conn->phase != PHASE_ANSWER) {
        conn_begin_answer(conn, &(struct http_request){.method = HTTP_METHOD_GET});
    }
    bool is_owed = conn->is_owed;
    http_respond(conn, &(struct http_response){.status = status,
                                               .type = slice_of("text/plain; charset=utf-8"),
                                               .headers = headers,
                                               .body = slice_from(http_status_words(status)),
                                               .close = true});
    conn->is_owed = is_owed; /* it was not the owner who answered */
    conn->end = (uint8_t)end;
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

    for (size_t i = 0; i < request->headers_count; i++) {
        struct slice name = request->headers[i].name;
        struct slice rest = request->headers[i].value;
        if (name.len != 15 || strncasecmp(name.at, "X-Forwarded-For", name.len) != 0) continue;
        while (rest.len > 0)
            text = slice_trim(slice_cut(&rest, ','));
    }
    if (text.len == 0 || text.len >= ADDRESS_TEXT_MAX) return;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '\0' || strchr("0123456789abcdefABCDEF.:", text.at[i]) == NULL) return;
    }
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
    conn->pinged_ms = now32(server);
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
static struct slice conn_take_request(struct conn *conn, struct slice bytes)
{
    size_t used = 0;

    if (conn->http == NULL) {
        conn->http = http_reader_new();
        /* The first head has its deadline since accept. */
        if (conn->phase == PHASE_NEXT) conn->since_ms = now32(conn->server);
        conn->phase = PHASE_HEAD;
        conn_look_in(conn, HTTP_HEAD_DEADLINE_MS);
    }
    enum http_progress progress = http_read(conn->http, bytes, &used);
    if (progress == HTTP_READ_BAD) {
        conn_bad_request(conn);
        return (struct slice){NULL, 0};
    }
    if (progress == HTTP_READ_HEAD) {
        conn->phase = PHASE_BODY;
        conn->since_ms = now32(conn->server);
        if (http_reader_expects(conn->http) && used == bytes.len) {
            conn_queue(conn, shared_copy(slice_of("HTTP/1.1 100 Continue\r\n\r\n")), true);
        }
    } else if (progress == HTTP_READ_ALL) {
        conn_dispatch(conn);
    }
    return slice_skip(bytes, used);
}

static void conn_keep_for_later(struct conn *conn, struct slice bytes)
{
    if (conn->pending == NULL) {
        conn->pending = mem_new(sizeof *conn->pending);
        buf_init(conn->pending, PENDING_MAX);
    }
    buf_add(conn->pending, bytes);
    assert(!conn->pending->overflowed);
    if (conn->pending->len >= PENDING_PAUSE && !conn->is_paused) {
        conn->is_paused = true;
        uv_read_stop((uv_stream_t *)&conn->tcp);
    }
}

static void conn_take(struct conn *conn, struct slice bytes)
{
    while (bytes.len > 0) {
        switch ((enum conn_state)conn->state) {
        case CONN_HTTP:
            if (conn->phase == PHASE_ANSWER || conn->out.count > 0 || conn->pending != NULL) {
                conn_keep_for_later(conn, bytes);
                return;
            }
            bytes = conn_take_request(conn, bytes);
            break;
        case CONN_WEBSOCKET: conn_take_frames(conn, bytes); return;
        case CONN_DRAINING:
            if (conn->was_websocket && !conn->is_lingering && !conn->is_peer_done) {
                conn_take_frames(conn, bytes);
            }
            return;
        case CONN_CLOSED: return;
        }
    }
}

/* ---- in ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct conn *conn = handle->data;

    (void)suggested;
    *buf = uv_buf_init(conn->server->bytes, READ_SIZE);
}

static void conn_on_eof(struct conn *conn)
{
    conn->is_eof = true;
    uv_read_stop((uv_stream_t *)&conn->tcp);
    /* A client may end its half behind its last request and still want the answer. */
    bool is_working = conn->state == CONN_HTTP &&
                      (conn->phase == PHASE_ANSWER || conn->pending != NULL || conn->out.count > 0);
    bool is_sending = conn->state == CONN_DRAINING && !conn->was_websocket && conn->out.count > 0;
    if (!is_working && !is_sending) conn_end(conn, CONN_END_CLIENT);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    struct conn *conn = stream->data;

    if (count == 0) return;
    if (count == UV_EOF) {
        conn_on_eof(conn);
        return;
    }
    if (count < 0) {
        conn_end(conn, CONN_END_CLIENT);
        return;
    }
    conn->server->counters.received_bytes += (uint64_t)count;
    conn->heard_ms = now32(conn->server);
    conn_take(conn, slice_make(buf->base, (size_t)count));
}

static void conn_read_on(struct conn *conn)
{
    if (!conn->is_paused || conn->is_eof) return;
    conn->is_paused = false;
    (void)uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read);
}

/* The answer is out: on with what came behind its request. */
static void conn_resume(struct conn *conn)
{
    struct buf *pending = conn->pending;

    conn->pending = NULL;
    conn_read_on(conn);
    conn_take(conn, buf_slice(pending));
    buf_close(pending);
    mem_free(pending);
    if (conn->is_eof) dirty_add(conn); /* if that was all, it ends */
}

/* ---- deadlines ---- */

/* A write waits. True when it has waited for too long. */
static bool conn_is_stalled(struct conn *conn)
{
    uint32_t left = (uint32_t)uv_stream_get_write_queue_size((uv_stream_t *)&conn->tcp);

    if (left != conn->write_left) {
        conn->write_left = left;
        conn->moved_ms = now32(conn->server);
    }
    return ms_since(conn, conn->moved_ms) + WHEEL_TICK_MS >= CONN_STALLED_MS;
}

/* `limit` after `since_ms`: true when that is over, else the connection is looked at again then. */
static bool conn_is_over(struct conn *conn, uint32_t since_ms, uint32_t limit_ms)
{
    uint32_t passed = ms_since(conn, since_ms);

    if (passed + WHEEL_TICK_MS > limit_ms) return true;
    conn_look_in(conn, limit_ms - passed);
    return false;
}

static void conn_check_http(struct conn *conn)
{
    switch ((enum conn_phase)conn->phase) {
    case PHASE_FIRST:
        if (conn_is_over(conn, conn->since_ms, HTTP_HEAD_DEADLINE_MS))
            conn_end(conn, CONN_END_IDLE);
        break;
    case PHASE_NEXT:
        if (conn_is_over(conn, conn->since_ms, HTTP_IDLE_MS)) conn_end(conn, CONN_END_IDLE);
        break;
    case PHASE_HEAD:
    case PHASE_BODY:
        if (!conn_is_over(conn, conn->since_ms, HTTP_HEAD_DEADLINE_MS)) break;
        conn->server->counters.http_bad++;
        conn_refuse(conn, 408, CONN_END_IDLE);
        break;
    case PHASE_ANSWER:
        if (!conn_is_over(conn, conn->since_ms, HTTP_ANSWER_MAX_MS)) break;
        conn_refuse(conn, 503, CONN_END_IDLE);
        break;
    }
}

static void conn_check_websocket(struct conn *conn)
{
    if (!conn->is_joined && conn_is_over(conn, conn->since_ms, WS_JOIN_DEADLINE_MS)) {
        conn_close(conn, WS_GOING_AWAY, CONN_END_IDLE);
        return;
    }
    if (conn_is_over(conn, conn->heard_ms, WS_SILENCE_MAX_MS)) {
        conn_close(conn, WS_GOING_AWAY, CONN_END_IDLE);
        return;
    }
    bool was_heard = ms_since(conn, conn->heard_ms) < ms_since(conn, conn->pinged_ms);
    if (conn_is_over(conn, was_heard ? conn->heard_ms : conn->pinged_ms, WS_PING_EVERY_MS)) {
        conn->pinged_ms = now32(conn->server);
        /* Somebody for whom a write waits has a shorter deadline than a ping could set. */
        if (conn->write == NULL) conn_queue(conn, shared_ref(conn->server->ping), true);
        conn_look_in(conn, WS_PING_EVERY_MS);
    }
}

static void conn_check(struct conn *conn)
{
    if (conn->write != NULL) {
        if (conn_is_stalled(conn)) {
            if (conn->state == CONN_WEBSOCKET) {
                conn_say_close(conn, WS_SLOW, CONN_END_SLOW);
            } else {
                conn_end(conn, CONN_END_SLOW);
            }
            return;
        }
        conn_look_in(conn, CONN_STALLED_MS / STALL_LOOKS);
    }
    switch ((enum conn_state)conn->state) {
    case CONN_HTTP: conn_check_http(conn); break;
    case CONN_WEBSOCKET: conn_check_websocket(conn); break;
    case CONN_DRAINING:
        /* A last answer may take its time as long as it gets on; a closing handshake may not. */
        if (!conn->was_websocket && conn->out.count > 0) {
            conn_look_in(conn, CONN_STALLED_MS / STALL_LOOKS);
        } else if (conn_is_over(conn, conn->since_ms, WS_CLOSE_MS)) {
            conn_end(conn, CONN_END_CLIENT);
        }
        break;
    case CONN_CLOSED: break;
    }
}

static void server_check_deadlines(struct conn_server *server)
{
    struct wheel_node *node = NULL;

    while ((node = wheel_pop(&server->wheel, server_now(server))) != NULL) {
        char *at = (char *)node;
        conn_check((struct conn *)(void *)(at - offsetof(struct conn, deadline)));
    }
}

/* ---- accept ---- */

static struct slice peer_text(const uv_tcp_t *tcp, char text[ADDRESS_TEXT_MAX + 1])
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage room;
    } name;
    int len = sizeof name;
    int rv = -1;

    memset(&name, 0, sizeof name);
    if (uv_tcp_getpeername(tcp, &name.any, &len) != 0) return (struct slice){NULL, 0};
    if (name.any.sa_family == AF_INET) {
        rv = uv_inet_ntop(AF_INET, &name.v4.sin_addr, text, ADDRESS_TEXT_MAX + 1);
    } else if (name.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&name.v6.sin6_addr)) {
        rv = uv_inet_ntop(AF_INET, name.v6.sin6_addr.s6_addr + 12, text, ADDRESS_TEXT_MAX + 1);
    } else if (name.any.sa_family == AF_INET6) {
        rv = uv_inet_ntop(AF_INET6, &name.v6.sin6_addr, text, ADDRESS_TEXT_MAX + 1);
    }
    return rv == 0 ? slice_from(text) : (struct slice){NULL, 0};
}

/* Too many: 503 of the node, 429 of the address; 0 when there is room. */
static int server_turns_away(const struct conn_server *server, const struct conn *conn)
{
    const struct conn_limits *limits = &server->limits;

    if (server->counters.connections > limits->connections_max) return 503;
    if (limits->per_address_max == 0 || limits->behind_proxy) return 0;
    return address_connections(conn->address) > 2 * limits->per_address_max ? 429 : 0;
}

void conn_accept(struct conn_server *server, int fd)
{
    struct conn *conn = NULL;
    char text[ADDRESS_TEXT_MAX + 1] = "";

    if (server->is_stopping ||
        server->counters.connections >= server->limits.connections_max + TURNED_AWAY_MAX) {
        uv_fs_t request;
        (void)uv_fs_close(NULL, &request, fd, NULL);
        uv_fs_req_cleanup(&request);
        return;
    }
    conn = mem_new(sizeof *conn);
    conn->server = server;
    conn->tcp.data = conn;
    conn->since_ms = conn->heard_ms = now32(server);
    out_init(&conn->out);
    conns_add(server, conn);
    int rv = uv_tcp_init(server->loop, &conn->tcp);
    assert(rv == 0); /* without a socket it cannot fail */
    conn->tcp.data = conn;
    rv = uv_tcp_open(&conn->tcp, fd);
    if (rv == 0) (void)uv_tcp_nodelay(&conn->tcp, 1);
    conn->address = addresses_enter(&server->addresses, peer_text(&conn->tcp, text));
    if (rv == 0) rv = uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read);
    if (rv != 0) {
        conn_end(conn, CONN_END_CLIENT);
        return;
    }
    int status = server_turns_away(server, conn);
    if (status != 0) {
        conn_refuse(conn, status, CONN_END_LIMIT);
    } else {
        conn_look_in(conn, HTTP_HEAD_DEADLINE_MS);
    }
}

/* ---- the server ---- */

static void on_prepare(uv_prepare_t *handle)
{
    server_flush(handle->data);
}

static void on_check(uv_check_t *handle)
{
    server_flush(handle->data);
}

static void on_tick(uv_timer_t *handle)
{
    server_check_deadlines(handle->data);
}

struct conn_server *conn_server_new(const struct conn_server_options *options)
{
    static const struct ws_handler ws_handler = {.on_text = on_ws_text, .on_ping = on_ws_ping};
    struct conn_server *server = mem_new(sizeof *server);

    server->loop = options->loop;
    server->handler = options->handler;
    server->limits = options->limits;
    if (server->limits.connections_max == 0) server->limits.connections_max = UINT32_MAX;
    if (server->limits.out_max == 0) server->limits.out_max = CONN_OUT_MAX;
    server->admin = options->admin;
    buf_init(&server->every, HTTP_HEAD_MAX);
    buf_add(&server->every, options->every);
    buf_init(&server->scratch, RESPONSE_MAX + HTTP_HEAD_MAX);
    server->ws_pool = ws_pool_new(&ws_handler);
    server->ping = ws_ping_frame();
    wheel_init(&server->wheel, uv_now(options->loop));

    server->prepare.data = server->check.data = server->tick.data = server->turn.data = server;
    uv_prepare_init(server->loop, &server->prepare);
    uv_check_init(server->loop, &server->check);
    uv_timer_init(server->loop, &server->tick);
    uv_idle_init(server->loop, &server->turn);
    server->handles_open = 4;
    uv_prepare_start(&server->prepare, on_prepare);
    uv_check_start(&server->check, on_check);
    uv_timer_start(&server->tick, on_tick, WHEEL_TICK_MS, WHEEL_TICK_MS);
    return server;
}

const struct conn_counters *conn_server_counters(const struct conn_server *server)
{
    return &server->counters;
}

void conn_server_skip(struct conn_server *server, uint64_t ms)
{
    server->skipped_ms += ms;
    server_check_deadlines(server);
}

/* One portion of a drain. */
static void on_drain_turn(uv_idle_t *handle)
{
    struct conn_server *server = handle->data;
    unsigned closed = 0;

    while (server->drain_at != NULL && closed < server->drain_per_turn) {
        struct conn *conn = server->drain_at;
        server->drain_at = conn->next;
        if (conn->state != CONN_WEBSOCKET) continue;
        conn_close(conn, WS_RESTART, CONN_END_DRAIN);
        closed++;
    }
    if (server->drain_at == NULL) uv_idle_stop(&server->turn);
}

void conn_server_drain(struct conn_server *server, unsigned per_turn)
{
    if (server->is_draining || server->is_stopping) return;
    server->is_draining = true;
    for (struct conn *conn = server->conns; conn != NULL; conn = conn->next) {
        bool is_idle =
            conn->state == CONN_HTTP && (conn->phase == PHASE_FIRST || conn->phase == PHASE_NEXT);
        if (is_idle && conn->out.count == 0 && conn->pending == NULL) {
            conn_end(conn, CONN_END_DRAIN);
        }
    }
    server->drain_at = server->conns;
    server->drain_per_turn = per_turn == 0 ? UINT32_MAX : per_turn;
    uv_idle_start(&server->turn, on_drain_turn);
    on_drain_turn(&server->turn);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct conn_server *server = handle->data;

    server->handles_open--;
    server_finish(server);
}

void conn_server_stop(struct conn_server *server, void (*on_stopped)(void *owner), void *owner)
{
    assert(!server->is_stopping);
    server->is_stopping = true;
    server->on_stopped = on_stopped;
    server->stop_owner = owner;
    for (struct conn *conn = server->conns; conn != NULL; conn = conn->next) {
        conn_end(conn, CONN_END_DRAIN);
    }
    uv_close((uv_handle_t *)&server->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&server->check, on_handle_closed);
    uv_close((uv_handle_t *)&server->tick, on_handle_closed);
    uv_close((uv_handle_t *)&server->turn, on_handle_closed);
}

/* ---- what the owner asks ---- */

void conn_set_user(struct conn *conn, void *user)
{
    conn->user = user;
}

void *conn_user(const struct conn *conn)
{
    return conn->user;
}

struct slice conn_address(const struct conn *conn)
{
    return address_text(conn->address);
}

bool conn_is_admin(const struct conn *conn)
{
    return conn->server->admin;
}

bool conn_is_websocket(const struct conn *conn)
{
    return conn->was_websocket;
}

void conn_joined(struct conn *conn)
{
    conn->is_joined = true;
}

struct shared **conn_kept(struct conn *conn, size_t place, size_t count)
{
    struct conn_server *server = conn->server;

    if (server->kept == NULL) {
        server->kept = mem_new_array(count, sizeof(struct shared *));
        server->kept_count = count;
    }
    assert(count == server->kept_count && place < count);
    return &server->kept[place];
}
