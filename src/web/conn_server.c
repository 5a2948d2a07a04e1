/* The server of a thread's connections: accept, deadlines, what leaves at the end of a turn, the end. */
#include <assert.h>
#include <stddef.h>

#include <utlist.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "web/conn_state.h"

enum { TURNED_AWAY_MAX = 64 }; /* connections beyond the limit that still get a 503 */

/* ---- time ---- */

uint64_t conn_server_now(const struct conn_server *server)
{
    return uv_now(server->loop) + server->skipped_ms;
}

void conn_look_in(struct conn *conn, uint32_t ms)
{
    wheel_set_sooner(&conn->server->wheel, &conn->deadline, conn_server_now(conn->server) + ms);
}

struct slice conn_server_date(struct conn_server *server)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t wall_ms = clock_wall_ms();
    uint64_t second = (uint64_t)wall_ms / 1000;

    if (second != server->date_second) {
        struct civil civil = clock_civil(wall_ms);
        struct buf text;
        buf_init(&text, CONN_DATE_MAX - 1);
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

static void conn_server_add(struct conn_server *server, struct conn *conn)
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

void conn_server_remove(struct conn_server *server, struct conn *conn)
{
    if (server->drain_at == conn) server->drain_at = conn->next;
    if (conn->prev != NULL) conn->prev->next = conn->next;
    if (conn->next != NULL) conn->next->prev = conn->prev;
    if (server->conns == conn) server->conns = conn->next;
    if (server->conns_last == conn) server->conns_last = conn->prev;
    server->counters.connections--;
}

void conn_line_up(struct conn *conn, struct conn **line)
{
    conn_leave_line(conn);
    DL_APPEND2(*line, conn, line_prev, line_next);
    conn->line = line;
    if (line == &conn->server->slow) conn->server->answers_held += conn->answer_held;
}

void conn_leave_line(struct conn *conn)
{
    if (conn->line == NULL) return;
    if (conn->line == &conn->server->slow) conn->server->answers_held -= conn->answer_held;
    DL_DELETE2(*conn->line, conn, line_prev, line_next);
    conn->line = NULL;
}

/* Who reads fast is never long in this line. To refuse the next answer instead would let those who hardly
 * read keep everybody from large ones; and what was asked for may be done by now, so a 503 would be wrong. */
void conn_is_slow(struct conn *conn)
{
    struct conn_server *server = conn->server;

    if (conn->was_websocket || conn->line == &server->slow) return;
    if (conn->answer_held <= HTTP_HEAD_MAX) return; /* little would be won by its end */
    conn_line_up(conn, &server->slow);
    while (server->answers_held > server->limits.answers_max && server->slow != conn) {
        log_warn("an answer is not sent to its end: too many are read too slowly",
                 "held_bytes=%zu bytes=%u", server->answers_held, server->slow->answer_len);
        conn_end(server->slow, CONN_END_SLOW);
    }
}

/* ---- deadlines ---- */

/* How long an answer may be on its way, however slowly it gets on. */
static uint32_t answer_ms(const struct conn *conn)
{
    return CONN_STALLED_MS + (uint32_t)((uint64_t)conn->answer_len * 1000 / ANSWER_BYTES_PER_S_MIN);
}

/* A write waits. True when it has waited for too long. */
static bool conn_is_stalled(struct conn *conn)
{
    uint32_t left = (uint32_t)uv_stream_get_write_queue_size((uv_stream_t *)&conn->tcp);

    if (left != conn->write_left) {
        conn->write_left = left;
        conn->moved_ms = conn_now(conn->server);
    }
    if (conn_ms_since(conn, conn->moved_ms) + WHEEL_TICK_MS >= CONN_STALLED_MS) return true;
    bool is_answer =
        !conn->was_websocket && (conn->state == CONN_DRAINING || conn->phase == PHASE_NEXT);
    return is_answer && conn_ms_since(conn, conn->since_ms) > answer_ms(conn);
}

/* `limit` after `since_ms`: true when that is over, else the connection is looked at again then. */
static bool conn_is_over(struct conn *conn, uint32_t since_ms, uint32_t limit_ms)
{
    uint32_t passed = conn_ms_since(conn, since_ms);

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
        /* While an answer is on its way it is not idle as long as something moves. */
        if (conn_is_over(conn, conn->out.count > 0 ? conn->moved_ms : conn->since_ms, HTTP_IDLE_MS))
            conn_end(conn, CONN_END_IDLE);
        break;
    case PHASE_HEAD:
    case PHASE_BODY:
        if (!conn_is_over(conn, conn->since_ms, HTTP_HEAD_DEADLINE_MS)) break;
        conn->server->counters.http_bad++;
        conn_refuse(conn, 408, CONN_END_IDLE);
        break;
    case PHASE_ANSWER:
        if (!conn_is_over(conn, conn->since_ms, HTTP_ANSWER_MAX_MS)) break;
        conn_give_up(conn);
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
    bool was_heard = conn_ms_since(conn, conn->heard_ms) < conn_ms_since(conn, conn->pinged_ms);
    if (conn_is_over(conn, was_heard ? conn->heard_ms : conn->pinged_ms, WS_PING_EVERY_MS)) {
        conn->pinged_ms = conn_now(conn->server);
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
        conn_look_in(conn, CONN_STALLED_MS / CONN_STALL_LOOKS);
    }
    switch ((enum conn_state)conn->state) {
    case CONN_HTTP: conn_check_http(conn); break;
    case CONN_WEBSOCKET: conn_check_websocket(conn); break;
    case CONN_DRAINING:
        /* A last answer may take its time as long as it gets on; a closing handshake may not. */
        if (!conn->was_websocket && conn->out.count > 0) {
            conn_look_in(conn, CONN_STALLED_MS / CONN_STALL_LOOKS);
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

    while ((node = wheel_pop(&server->wheel, conn_server_now(server))) != NULL) {
        char *at = (char *)node;
        conn_check((struct conn *)(void *)(at - offsetof(struct conn, deadline)));
    }
}

/* ---- accept ---- */

/* What counts of the address at the other end; nothing when it is gone already. */
static struct slice peer_address(const uv_tcp_t *tcp, char counted[ADDRESS_TEXT_MAX + 1])
{
    union {
        struct sockaddr any;
        struct sockaddr_storage room;
    } name;
    char text[ADDRESS_TEXT_MAX + 1] = "";
    int len = sizeof name;

    memset(&name, 0, sizeof name);
    if (uv_tcp_getpeername(tcp, &name.any, &len) != 0 ||
        uv_ip_name(&name.any, text, sizeof text) != 0)
        return (struct slice){NULL, 0};
    return address_counted(slice_from(text), counted);
}

static uint64_t server_living(const struct conn_server *server)
{
    return server->counters.connections - server->ending;
}

/* Too many: 429 of the address, 503 of the node; 0 when there is room. Places are for those who ask: for one
 * more than there may be, the one goes that has asked for nothing for longest. To turn the newcomer away
 * instead would let those who connect, say nothing and come again keep everybody outside. */
static int server_turns_away(struct conn_server *server, const struct conn *conn)
{
    const struct conn_limits *limits = &server->limits;

    if (limits->per_address_max > 0 && !limits->behind_proxy &&
        address_connections(conn->address) > 2 * limits->per_address_max)
        return 429;
    if (server_living(server) <= limits->connections_max) return 0;
    if (server->quiet == NULL) return 503;
    conn_end(server->quiet, CONN_END_LIMIT);
    return 0;
}

void conn_accept(struct conn_server *server, int fd)
{
    struct conn *conn = NULL;
    char counted[ADDRESS_TEXT_MAX + 1];

    if (server->is_stopping ||
        server_living(server) >= server->limits.connections_max + TURNED_AWAY_MAX) {
        uv_fs_t request;
        (void)uv_fs_close(NULL, &request, fd, NULL);
        uv_fs_req_cleanup(&request);
        return;
    }
    conn = mem_new(sizeof *conn);
    conn->server = server;
    conn->tcp.data = conn;
    conn->since_ms = conn->heard_ms = conn_now(server);
    out_init(&conn->out);
    conn_server_add(server, conn);
    int rv = uv_tcp_init(server->loop, &conn->tcp);
    assert(rv == 0); /* without a socket it cannot fail */
    conn->tcp.data = conn;
    rv = uv_tcp_open(&conn->tcp, fd);
    if (rv == 0) (void)uv_tcp_nodelay(&conn->tcp, 1);
    conn->address = addresses_enter(&server->addresses, peer_address(&conn->tcp, counted));
    if (rv == 0) rv = conn_start_reading(conn);
    if (rv != 0) {
        conn_end(conn, CONN_END_CLIENT);
        return;
    }
    int status = server_turns_away(server, conn);
    if (status != 0) {
        conn_refuse(conn, status, CONN_END_LIMIT);
    } else {
        conn_line_up(conn, &server->quiet);
        conn_look_in(conn, HTTP_HEAD_DEADLINE_MS);
    }
}

/* ---- what was queued ---- */

static void on_again(uv_idle_t *handle)
{
    (void)handle;
}

/* Each connection once: who has sent many requests at a time gets on by one, and then the others are
 * heard. While somebody has more to do the loop turns without waiting. */
static void conn_server_flush(struct conn_server *server)
{
    assert(server->flushing == NULL);
    server->flushing = server->dirty;
    server->dirty = NULL;
    while (server->flushing != NULL) {
        struct conn *conn = server->flushing;
        conn_leave_dirty(conn);
        conn_flush(conn);
    }
    /* cppcheck-suppress knownConditionTrueFalse; who has more to do was queued again */
    if (server->dirty != NULL) {
        uv_idle_start(&server->again, on_again);
    } else {
        uv_idle_stop(&server->again);
    }
}

void conn_server_finish(struct conn_server *server)
{
    void (*on_stopped)(void *owner) = server->on_stopped;
    void *owner = server->stop_owner;

    if (!server->is_stopping || server->handles_open > 0 || server->conns != NULL) return;
    buf_close(&server->every);
    buf_close(&server->scratch);
    ws_pool_free(server->ws_pool);
    shared_unref(server->ping);
    shared_unref_all(server->kept, server->kept_count);
    mem_free(server->kept);
    mem_free(server);
    if (on_stopped != NULL) on_stopped(owner);
}

/* ---- the server ---- */

static void on_prepare(uv_prepare_t *handle)
{
    struct conn_server *server = handle->data;

    server->turns++;
    conn_server_flush(server);
}

static void on_check(uv_check_t *handle)
{
    conn_server_flush(handle->data);
}

static void on_tick(uv_timer_t *handle)
{
    server_check_deadlines(handle->data);
}

struct conn_server *conn_server_new(const struct conn_server_options *options)
{
    struct conn_server *server = mem_new(sizeof *server);

    server->loop = options->loop;
    server->handler = options->handler;
    server->limits = options->limits;
    if (server->limits.connections_max == 0) server->limits.connections_max = UINT32_MAX;
    if (server->limits.out_max == 0) server->limits.out_max = CONN_OUT_MAX;
    if (server->limits.answers_max == 0) server->limits.answers_max = ANSWERS_HELD_MAX;
    server->admin = options->admin;
    buf_init(&server->every, HTTP_HEAD_MAX);
    buf_add(&server->every, options->every);
    buf_init(&server->scratch, 2 * HTTP_HEAD_MAX);
    if (server->limits.message_max == 0) server->limits.message_max = WS_MESSAGE_MAX;
    server->ws_pool =
        conn_ws_pool_new(server->handler.on_binary != NULL, server->limits.message_max);
    server->ping = ws_ping_frame();
    wheel_init(&server->wheel, uv_now(options->loop));

    server->prepare.data = server->check.data = server->tick.data = server->turn.data =
        server->again.data = server;
    server->turns = 1;
    uv_prepare_init(server->loop, &server->prepare);
    uv_check_init(server->loop, &server->check);
    uv_timer_init(server->loop, &server->tick);
    uv_idle_init(server->loop, &server->turn);
    uv_idle_init(server->loop, &server->again);
    server->handles_open = 5;
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
    conn_server_finish(server);
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
    uv_close((uv_handle_t *)&server->again, on_handle_closed);
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
