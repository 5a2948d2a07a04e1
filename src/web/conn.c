#include "web/conn.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "web/conn_state.h"

enum {
    WRITE_PIECES_MAX = 64,
    PONGS_WAITING_MAX = 16 /* frames; behind so many a pong is left out */
};

struct conn_write {
    uv_write_t request;
    size_t len;
};

/* ---- who has something to send ---- */

void conn_add_dirty(struct conn *conn)
{
    struct conn_server *server = conn->server;

    if (conn->is_dirty || conn->state == CONN_CLOSED) return;
    conn->is_dirty = true;
    conn->dirty_prev = NULL;
    conn->dirty_next = server->dirty;
    if (server->dirty != NULL) server->dirty->dirty_prev = conn;
    server->dirty = conn;
}

void conn_leave_dirty(struct conn *conn)
{
    if (!conn->is_dirty) return;
    conn->is_dirty = false;
    if (conn->dirty_prev != NULL) conn->dirty_prev->dirty_next = conn->dirty_next;
    if (conn->dirty_next != NULL) conn->dirty_next->dirty_prev = conn->dirty_prev;
    if (conn->server->dirty == conn) conn->server->dirty = conn->dirty_next;
    if (conn->server->flushing == conn) conn->server->flushing = conn->dirty_next;
}

/* ---- the end ---- */

#define TO(state) (1u << (state))
static const unsigned conn_next[] = {
    [CONN_HTTP] = TO(CONN_WEBSOCKET) | TO(CONN_DRAINING) | TO(CONN_CLOSED),
    [CONN_WEBSOCKET] = TO(CONN_DRAINING) | TO(CONN_CLOSED),
    [CONN_DRAINING] = TO(CONN_CLOSED),
    [CONN_CLOSED] = 0,
};

void conn_move(struct conn *conn, enum conn_state state)
{
    assert((conn_next[conn->state] & TO(state)) != 0);
    conn_leave_line(conn);
    conn->state = (uint8_t)state;
    conn->since_ms = conn_now(conn->server);
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
    conn_server_remove(server, conn);
    server->ending--;
    if (conn->is_owed) server->handler.on_closed(server->handler.owner, conn, conn->end);
    addresses_leave(&server->addresses, conn->address);
    mem_free(conn);
    conn_server_finish(server);
}

/* Once: nothing of it is read or sent any more. The rest comes from the loop. */
void conn_end(struct conn *conn, enum conn_end end)
{
    if (conn->state == CONN_CLOSED) return;
    if (conn->state != CONN_DRAINING) conn->end = (uint8_t)end;
    conn_move(conn, CONN_CLOSED);
    conn->server->ending++;
    conn_leave_dirty(conn);
    wheel_remove(&conn->deadline);
    uv_close((uv_handle_t *)&conn->tcp, on_conn_gone);
}

/* ---- out ---- */

void conn_queue(struct conn *conn, struct shared *piece, bool ends_frame)
{
    conn->server->counters.queued_bytes += piece->len;
    out_push(&conn->out, piece, ends_frame);
    conn_add_dirty(conn);
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
    conn_add_dirty(conn);
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
    conn_is_slow(conn);
    conn->moved_ms = conn_now(conn->server);
    conn->write_left = (uint32_t)uv_stream_get_write_queue_size((uv_stream_t *)&conn->tcp);
    conn_look_in(conn, CONN_STALLED_MS / CONN_STALL_LOOKS);
}

static void conn_shut(struct conn *conn)
{
    uv_os_fd_t fd = -1;

    if (conn->is_shut) return;
    conn->is_shut = true;
    if (uv_fileno((uv_handle_t *)&conn->tcp, &fd) == 0) (void)shutdown(fd, SHUT_WR);
}

/* Everything queued is with the kernel. */
static void conn_all_sent(struct conn *conn)
{
    bool is_idle = conn->state == CONN_HTTP && conn->phase != PHASE_ANSWER;

    if (conn->line == &conn->server->slow) conn_leave_line(conn);
    if (is_idle && conn->pending != NULL) {
        conn_resume(conn); /* one request; its answer is flushed the next time */
        return;
    }
    if (conn->is_eof && (is_idle || conn->state == CONN_WEBSOCKET)) {
        conn_end(conn, CONN_END_CLIENT);
    } else if (is_idle && conn->phase == PHASE_NEXT) {
        conn_line_up(conn, &conn->server->quiet);
    }
    if (conn->state != CONN_DRAINING) return;
    if (conn->is_eof || conn->is_peer_done || conn->is_outlived) {
        conn_end(conn, CONN_END_CLIENT);
    } else if (conn->is_lingering && !conn->is_shut) {
        conn_shut(conn);
        conn->since_ms = conn_now(conn->server);
        conn_look_in(conn, WS_CLOSE_MS);
    }
}

void conn_flush(struct conn *conn)
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

/* ---- closing with a word ---- */

/* The last bytes are queued; what now comes in is thrown away. */
void conn_linger(struct conn *conn, enum conn_end end)
{
    conn->end = (uint8_t)end;
    conn->is_lingering = true;
    conn_move(conn, CONN_DRAINING);
    http_reader_free(conn->http);
    conn->http = NULL;
    conn_drop_pending(conn);
    conn_read_on(conn);
    conn_add_dirty(conn);
    conn_look_in(conn, CONN_STALLED_MS / CONN_STALL_LOOKS);
}

void conn_say_close(struct conn *conn, int code, enum conn_end end)
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

static void on_ws_binary(void *owner, struct slice bytes)
{
    struct conn *conn = owner;
    const struct conn_handler *handler = &conn->server->handler;

    if (conn->state == CONN_WEBSOCKET) handler->on_binary(handler->owner, conn, bytes);
}

static void on_ws_ping(void *owner, struct slice payload)
{
    struct conn *conn = owner;

    if (conn->state != CONN_WEBSOCKET || conn->out.frames > PONGS_WAITING_MAX) return;
    conn_queue(conn, ws_pong_frame(payload), true);
}

struct ws_pool *conn_ws_pool_new(bool takes_binary, size_t message_max)
{
    return ws_pool_new(&(struct ws_handler){.on_text = on_ws_text,
                                            .on_binary = takes_binary ? on_ws_binary : NULL,
                                            .on_ping = on_ws_ping},
                       message_max);
}

void conn_take_frames(struct conn *conn, struct slice bytes)
{
    int code = WS_NO_CODE;
    enum ws_result result = ws_read(conn->server->ws_pool, &conn->ws, conn, bytes,
                                    conn_server_now(conn->server), &code);

    if (result == WS_OPEN || conn->state == CONN_CLOSED) return;
    if (conn->state == CONN_WEBSOCKET) {
        conn_say_close(conn, code, result == WS_FAILED ? CONN_END_PROTOCOL : CONN_END_CLIENT);
    }
    if (result == WS_PEER_CLOSED) {
        conn->is_peer_done = true;
    } else {
        conn->is_lingering = true;
    }
    conn_add_dirty(conn); /* it may be that all is sent: then this was the last word */
}

static void conn_take(struct conn *conn, struct slice bytes)
{
    while (bytes.len > 0) {
        switch ((enum conn_state)conn->state) {
        case CONN_HTTP:
            if (!conn_is_between(conn) || conn->pending != NULL) {
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
    /* libuv would go on reading while there is something, and others wait. */
    bool was_read = conn->read_turn == conn->server->turns;

    (void)suggested;
    conn->read_turn = conn->server->turns;
    *buf = uv_buf_init(conn->server->bytes, was_read ? 0 : CONN_READ_SIZE);
}

static void conn_on_eof(struct conn *conn)
{
    conn->is_eof = true;
    uv_read_stop((uv_stream_t *)&conn->tcp);
    /* A client may end its half behind its last request and still want the answer. */
    bool is_working = conn->state == CONN_HTTP &&
                      (conn->phase == PHASE_ANSWER || conn->pending != NULL || conn->out.count > 0);
    bool is_sending = conn->state == CONN_DRAINING && !conn->was_websocket && conn->out.count > 0;
    /* What was said before goes out before, as far as the kernel takes it: that a WebSocket begins, for one. */
    if (conn->state == CONN_WEBSOCKET) conn_flush(conn);
    if (!is_working && !is_sending) conn_end(conn, CONN_END_CLIENT);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    struct conn *conn = stream->data;

    if (count == 0 || count == UV_ENOBUFS) return;
    if (count == UV_EOF) {
        conn_on_eof(conn);
        return;
    }
    if (count < 0) {
        conn_end(conn, CONN_END_CLIENT);
        return;
    }
    conn->server->counters.received_bytes += (uint64_t)count;
    conn->heard_ms = conn_now(conn->server);
    conn_take(conn, slice_make(buf->base, (size_t)count));
}

int conn_start_reading(struct conn *conn)
{
    return uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read);
}

void conn_read_on(struct conn *conn)
{
    if (!conn->is_paused || conn->is_eof) return;
    conn->is_paused = false;
    (void)conn_start_reading(conn);
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

void conn_joined(struct conn *conn)
{
    conn->is_joined = true;
}

bool conn_outlive(struct conn *conn)
{
    uv_os_fd_t fd = -1;

    assert(conn->state == CONN_HTTP && conn->phase == PHASE_ANSWER);
    if (uv_fileno((uv_handle_t *)&conn->tcp, &fd) != 0) return false;
    if (fcntl(fd, F_DUPFD_CLOEXEC, 0) < 0) return false;
    conn->is_outlived = true;
    conn->keep = false;
    return true;
}
