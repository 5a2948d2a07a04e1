/* The inside of a connection and of its server, for conn.c (bytes out and in, closing), conn_http.c
 * (requests, answers, the upgrade) and conn_server.c (accept, deadlines, drain). The outside, and the
 * picture of the states, is conn.h.
 *
 * A connection leaves by conn_end, whatever happened: from then on nothing of it is read or sent, its
 * handle closes, and when the loop says so its owner is told and its memory goes. So a pointer to it
 * stays good for the rest of a callback, and a state is all that must be looked at.
 */
#pragma once
#include "web/addresses.h"
#include "web/conn.h"
#include "web/out.h"
#include "web/wheel.h"

enum {
    CONN_READ_SIZE = 64 * 1024,
    CONN_STALL_LOOKS = 3, /* within CONN_STALLED_MS */
    CONN_DATE_MAX = 32
};

enum conn_state { CONN_HTTP, CONN_WEBSOCKET, CONN_DRAINING, CONN_CLOSED };

/* Of CONN_HTTP: what we wait for. */
enum conn_phase {
    PHASE_FIRST, /* the first byte of the first request */
    PHASE_NEXT,  /* of a later one */
    PHASE_HEAD,  /* the rest of a head */
    PHASE_BODY,  /* the rest of a body */
    PHASE_ANSWER /* our owner */
};

struct conn_write; /* one write that waits for the kernel */

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
    struct conn *dirty_prev, *dirty_next; /* server->dirty, or server->flushing */
    struct conn *line_prev, *line_next;   /* *line */
    struct conn **line;                   /* one of its server's lines, or NULL */
    struct wheel_node deadline;
    struct out out;
    uint32_t since_ms;  /* begin of the state or phase */
    uint32_t heard_ms;  /* last byte from there */
    uint32_t pinged_ms; /* last ping from here */
    uint32_t moved_ms;  /* last time that the kernel took something while a write waited */
    uint32_t write_left;
    uint32_t answer_len;   /* bytes of the last answer */
    uint32_t answer_held;  /* and of it those that are there for this connection alone */
    uint32_t pending_read; /* bytes of `pending` */
    uint32_t read_turn;    /* of server->turns: the last one in which it was read from */
    uint8_t state, phase, end;
    bool is_dirty : 1;
    bool is_owed : 1; /* the owner is to hear of its end */
    bool was_websocket : 1;
    bool is_joined : 1;
    bool is_head : 1; /* of the request that is being answered: these four */
    bool keep : 1;
    bool is_old : 1;
    bool is_read_by_people : 1; /* a browser shows the answer */
    bool has_more : 1;          /* there are bytes behind the request that is worked on */
    bool is_paused : 1;         /* not reading */
    bool is_eof : 1;            /* the other side has ended its half */
    bool is_shut : 1;           /* we have ended ours */
    bool is_lingering : 1;      /* draining: what comes in is thrown away */
    bool is_peer_done : 1;      /* draining: their close frame came */
    bool is_outlived : 1;       /* conn_outlive */
};

struct conn_server {
    uv_loop_t *loop;
    uv_prepare_t prepare; /* before the loop waits, and after: everything queued leaves */
    uv_check_t check;
    uv_timer_t tick;
    uv_idle_t turn;  /* keeps the loop turning while a drain is spread over turns */
    uv_idle_t again; /* and while something became dirty by flushing */
    unsigned handles_open;
    uint64_t ending; /* connections that have ended and are not gone */
    struct conn_handler handler;
    struct conn_limits limits;
    bool admin, is_draining, is_stopping;
    unsigned drain_per_turn;
    struct conn *drain_at; /* the next one to look at */
    struct buf every;
    struct buf scratch; /* the head of an answer */
    struct conn *conns, *conns_last;
    struct conn *dirty;    /* have something to send, or to go on with */
    struct conn *flushing; /* had it when the flush began; the others wait for the next */
    uint32_t turns;        /* of the loop, from 1; it wraps */
    /* Two lines, longest first: of those who have asked for nothing yet or for nothing more, and of those
     * who have begun to wait for a large answer to go out. */
    struct conn *quiet, *slow;
    size_t answers_held; /* bytes of answers, of those in `slow` */
    struct addresses addresses;
    struct wheel wheel;
    struct ws_pool *ws_pool;
    struct shared *ping;
    struct shared **kept;
    size_t kept_count;
    uint64_t skipped_ms;
    uint64_t date_second;
    char date[CONN_DATE_MAX];
    struct conn_counters counters;
    void (*on_stopped)(void *owner);
    void *stop_owner;
    char bytes[CONN_READ_SIZE];
};

/* ---- conn.c ---- */

void conn_move(struct conn *conn, enum conn_state state);
/* Once, from anywhere; the rest comes from the loop. */
void conn_end(struct conn *conn, enum conn_end end);
/* Takes the reference. */
void conn_queue(struct conn *conn, struct shared *piece, bool ends_frame);
/* Gives the kernel what it takes of what is queued. */
void conn_flush(struct conn *conn);
/* The last bytes are queued; what comes in from now on is thrown away. */
void conn_linger(struct conn *conn, enum conn_end end);
/* Queues a close frame, behind all that is queued or, for CONN_END_SLOW, behind what was begun. */
void conn_say_close(struct conn *conn, int code, enum conn_end end);
int conn_start_reading(struct conn *conn);
/* The pool for a server whose owner takes binary messages, or not. */
struct ws_pool *conn_ws_pool_new(bool takes_binary, size_t message_max);
/* It is flushed in this turn of the loop, or in the next. */
void conn_add_dirty(struct conn *conn);
void conn_leave_dirty(struct conn *conn);
void conn_take_frames(struct conn *conn, struct slice bytes);
/* If it was paused. */
void conn_read_on(struct conn *conn);

/* ---- conn_http.c ---- */

/* Returns what was not read. */
struct slice conn_take_request(struct conn *conn, struct slice bytes);
/* Its answers are out, and the next request may be worked on. */
bool conn_is_between(const struct conn *conn);
/* What came behind a request that is not answered, or whose answer is not out. */
void conn_keep_for_later(struct conn *conn, struct slice bytes);
/* The answer is out: on with what is pending, up to the end of one request. */
void conn_resume(struct conn *conn);
void conn_drop_pending(struct conn *conn);
/* An answer of our own, the last one of the connection. */
void conn_refuse(struct conn *conn, int status, enum conn_end end);
/* The owner did not answer in time, and what it was asked to do may be done all the same: 504, with the
 * word of the API for that. Not 503, which says that nothing was done. */
void conn_give_up(struct conn *conn);

/* ---- conn_server.c ---- */

uint64_t conn_server_now(const struct conn_server *server); /* ms, of the loop */
struct slice conn_server_date(struct conn_server *server);
void conn_server_remove(struct conn_server *server, struct conn *conn);
/* If this was the last thing that a stopping server waited for, it is gone afterwards. */
void conn_server_finish(struct conn_server *server);
/* At the end of this line of its server, and in no other. */
void conn_line_up(struct conn *conn, struct conn **line);
void conn_leave_line(struct conn *conn);
/* The kernel takes no more of an answer for now. If that holds much, it may be that another connection
 * ends for it. */
void conn_is_slow(struct conn *conn);
/* The connection is looked at after `ms`, or earlier. */
void conn_look_in(struct conn *conn, uint32_t ms);

static inline uint32_t conn_now(const struct conn_server *server)
{
    return (uint32_t)conn_server_now(server);
}

/* Milliseconds since then; right across the wrap after 49 days. */
static inline uint32_t conn_ms_since(const struct conn *conn, uint32_t then_ms)
{
    return conn_now(conn->server) - then_ms;
}
