/* One browser's connection, from accept to close.
 *
 *           101            close frame          both sides are done, or WS_CLOSE_MS
 *  HTTP ----------> WEBSOCKET --------> DRAINING --------------------------------> CLOSED
 *    |                  |                  ^                                          ^
 *    +--- last answer --|------------------+                                          |
 *    +------------------+------------------ error, deadline --------------------------+
 *
 * A connection belongs to one web thread, and so does its server (struct conn_server): the limits,
 * what every answer carries, and whom to call. What is queued on a connection in one turn of the
 * loop leaves in one writev at the end of that turn; queued bytes are shared, by reference. While
 * the kernel takes no more, one write waits for it, of no more than the frame that was begun; all
 * that is queued meanwhile leaves together. A browser that does not read is closed with 4000 when
 * CONN_OUT_MAX bytes or CONN_OUT_FRAMES_MAX frames wait for it (only what was begun is still sent),
 * or after CONN_STALLED_MS without progress.
 *
 * An HTTP answer may be on its way for CONN_STALLED_MS and then as long as it needs at
 * ANSWER_BYTES_PER_S_MIN, and no longer, also while it gets on. When a server holds more than
 * ANSWERS_HELD_MAX bytes of answers that the kernel did not take at once, the connection ends whose answer
 * has waited for longest. What is sent by reference to bytes of the server's (assets) holds nothing.
 *
 * One connection does not keep the others of its thread waiting: in a turn it is read from once, at most
 * CONN_READ_SIZE bytes, and of requests that came one behind the other it gets one answered in each flush.
 *
 * An idle WebSocket connection is small (no buffer, no parser, no frame context, no timer of its
 * own: all deadlines are on one wheel). Bytes are read into one buffer of the server.
 *
 * A connection that we end first says so (close frame or last answer), then our half of the TCP
 * stream is shut, and what still comes in is read and thrown away until the other side is done or
 * WS_CLOSE_MS are over: closing at once would reset the stream and take the last answer with it.
 *
 * The program must ignore SIGPIPE.
 */
#pragma once
#include <uv.h>

#include "web/http.h"
#include "web/ws.h"

struct conn;

/* Why a connection ended; the label of websocket_closed_total. */
enum conn_end {
    CONN_END_CLIENT,   /* the other side closed, or went away */
    CONN_END_SLOW,     /* 4000 */
    CONN_END_PROTOCOL, /* 1002, 1003, 1007, 1008, 1009; bad HTTP */
    CONN_END_DRAIN,    /* 1012 */
    CONN_END_IDLE,     /* deadlines, silence */
    CONN_END_LIMIT,    /* too many */
    CONN_ENDS
};

struct conn_counters { /* of one thread; read by it alone */
    uint64_t http_requests, http_bad;
    uint64_t opened, closed[CONN_ENDS]; /* WebSockets */
    uint64_t connections, websockets;   /* now */
    uint64_t received_bytes, sent_bytes, sent_frames, writes;
    uint64_t queued_bytes; /* now */
};

struct conn_handler { /* all are called in the loop of the thread, as its caller's last act */
    void *owner;
    /* A complete request. Answer it with http_respond now or later. While it is not answered the
     * connection may end: on_closed tells. After HTTP_ANSWER_MAX_MS it is answered 504 from within: nobody
     * knows then what the owner has done of it, or will do. */
    void (*on_request)(void *owner, struct conn *conn, const struct http_request *request);
    /* A well-formed WebSocket upgrade for `request->path`. Return 0 to accept it (and set conn_user),
     * or the HTTP status with which it is refused (its body is the status's words). */
    int (*on_upgrade)(void *owner, struct conn *conn, const struct http_request *request);
    /* A whole text message of valid UTF-8. */
    void (*on_message)(void *owner, struct conn *conn, struct slice text);
    /* A whole binary message. NULL, as for our own pages: such a frame is refused with 1003. */
    void (*on_binary)(void *owner, struct conn *conn, struct slice bytes);
    /* Once for each connection that was handed to on_request (and not answered yet) or accepted by
     * on_upgrade; the connection must not be used afterwards. */
    void (*on_closed)(void *owner, struct conn *conn, enum conn_end end);
};

struct conn_limits {
    uint64_t connections_max; /* of this thread; 0 = off */
    /* WebSockets of one address (addresses.h) of this thread, and half of its connections; 0 = off. */
    uint32_t per_address_max;
    size_t out_max;     /* bytes; CONN_OUT_MAX unless set */
    size_t answers_max; /* bytes; ANSWERS_HELD_MAX unless set */
    size_t message_max; /* bytes in one message; WS_MESSAGE_MAX unless set */
    bool behind_proxy;  /* believe the last element of X-Forwarded-For */
};

struct conn_server;

struct conn_server_options {
    uv_loop_t *loop;
    struct conn_handler handler;
    struct conn_limits limits;
    struct slice every; /* header lines for every answer, each with CRLF ("X-Livetea-Node: ..."),
                         * copied */
    bool admin;         /* conn_is_admin of its connections */
};

struct conn_server *conn_server_new(const struct conn_server_options *options);
const struct conn_counters *conn_server_counters(const struct conn_server *server);

/* Drains: idle HTTP connections end, WebSockets are closed with 1012 (at most `per_turn` a turn of
 * the loop, 0 = all at once), later requests are answered with Connection: close. */
void conn_server_drain(struct conn_server *server, unsigned per_turn);
/* Ends all connections at once; on_stopped when the last is gone, then the server is freed. */
void conn_server_stop(struct conn_server *server, void (*on_stopped)(void *owner), void *owner);

/* Takes an accepted socket. Beyond connections_max the connection ends that has been longest without a whole
 * request, or an answer on its way; when all are at work, or are WebSockets, the new one is answered 503, and
 * far beyond simply closed. Called by listener. */
void conn_accept(struct conn_server *server, int fd);

/* For tests: as if so many milliseconds had passed since the last turn of the loop. */
void conn_server_skip(struct conn_server *server, uint64_t ms);

/* ---- one connection ---- */

/* A pointer of the owner's. */
void conn_set_user(struct conn *conn, void *user);
void *conn_user(const struct conn *conn);

/* What counts of the address at the other end, or of the one a trusted proxy names: "192.0.2.1",
 * "2001:db8:0:1::/64" (addresses.h). Borrowed. */
struct slice conn_address(const struct conn *conn);
bool conn_is_admin(const struct conn *conn);

/* Queues a whole frame; takes its own reference. Nothing happens on a connection that is closing;
 * one that cannot keep up is closed from within (on_closed comes in a later turn, never from
 * inside of conn_send). */
void conn_send(struct conn *conn, struct shared *frame);

/* Queues one frame made of several pieces, sent one behind the other as if they were one. */
void conn_send_pieces(struct conn *conn, struct shared *const pieces[], size_t pieces_count);

/* Starts the closing handshake of a WebSocket, or ends an HTTP connection. on_closed comes later. */
void conn_close(struct conn *conn, int code, enum conn_end end);

/* The join came: the deadline for it is over. */
void conn_joined(struct conn *conn);

/* While a request waits for its answer: whoever asks is to learn when this process ends. The answer is the
 * connection's last, and behind it our half of the stream stays open with a descriptor that nobody closes:
 * only the end of the process does. For the server the connection ends as any other. False: there is no
 * descriptor to be had. The caller counts them, for they are gone for good. */
bool conn_outlive(struct conn *conn);

/* ---- for http.c and assets.c ---- */

/* Begins the answer to the request that the connection works on: an empty buffer for its head, and
 * what the head must know. NULL when there is nothing to answer. */
struct buf *conn_answer_begin(struct conn *conn, struct http_frame *frame);
/* Queues it; takes both (body may be NULL). */
void conn_answer_end(struct conn *conn, struct shared *head, struct shared *body, bool keep);

/* A place of the server's for bytes that are made once and sent often, NULL at first; `count` places
 * in all, the same at each call. The server drops the references at its end. */
struct shared **conn_kept(struct conn *conn, size_t place, size_t count);
