/* WebSocket (RFC 6455): frames in, frames out. The door to wslay.
 *
 * Receiving goes through wslay_event, whose context (some 4 KiB) a connection borrows from a pool of
 * its thread only while a message is coming in: an idle browser holds none. The library checks each
 * frame and its UTF-8; the message is put together here, so that a million fragments cost no more
 * than what they hold. Sending does not go through it: a frame is built once, as immutable bytes,
 * and queued by reference on every connection it is for (conn_send). permessage-deflate is not
 * negotiated.
 *
 * Close codes that we send: 1001, 1002, 1003, 1007, 1008, 1009, 1012, 4000, and back what the
 * other side sent; never 1000, which makes the stock client reload its page: its 1000 (it says so
 * when a heartbeat was not answered) is answered without a code.
 */
#pragma once
#include "base/buf.h"
#include "base/shared.h"

enum {
    WS_GOING_AWAY = 1001,
    WS_PROTOCOL = 1002,
    WS_UNSUPPORTED = 1003,
    WS_INVALID_TEXT = 1007,
    WS_POLICY = 1008,
    WS_TOO_LARGE = 1009,
    WS_RESTART = 1012,
    WS_SLOW = 4000
};
enum { WS_NO_CODE = 0 }; /* a close frame without one */

/* A whole text frame around `payload`, as a server sends it (not masked). One reference. */
struct shared *ws_text_frame(struct slice payload);

enum { WS_HEAD_MAX = 10 };
/* Only the head of a text frame whose payload of `len` bytes comes in other pieces. Returns its
 * size. */
size_t ws_text_head(uint8_t head[WS_HEAD_MAX], uint64_t len);

/* Sec-WebSocket-Accept for a key; false unless the key is base64 of 16 bytes. Appends. */
bool ws_accept(struct buf *out, struct slice key);

struct shared *ws_close_frame(int code);
struct shared *ws_ping_frame(void);
struct shared *ws_pong_frame(struct slice payload);

/* ---- receiving ---- */

struct ws_handler {
    /* A whole message of valid UTF-8, good until the return. */
    void (*on_text)(void *owner, struct slice text);
    /* A whole binary message. NULL: none is taken, its first frame ends with WS_UNSUPPORTED. */
    void (*on_binary)(void *owner, struct slice bytes);
    void (*on_ping)(void *owner, struct slice payload);
};

struct ws_pool;   /* of one thread */
struct ws_reader; /* a message that is coming in */

struct ws_stream { /* of one connection; all zero at first */
    struct ws_reader *reader;
    uint32_t second, controls; /* control frames in this second */
};

/* `message_max`: bytes in one message, WS_MESSAGE_MAX for browsers. */
struct ws_pool *ws_pool_new(const struct ws_handler *handler, size_t message_max);
/* All readers must be back. */
void ws_pool_free(struct ws_pool *pool);

enum ws_result {
    WS_OPEN,
    WS_PEER_CLOSED, /* answer with a close frame of *code */
    WS_FAILED       /* the stream is not to be read further; send *code */
};

/* Reads all of `bytes` for `owner`. The reader is NULL between messages, before and after. */
enum ws_result ws_read(struct ws_pool *pool, struct ws_stream *stream, void *owner,
                       struct slice bytes, uint64_t now_ms, int *code);
/* Gives back what a connection held that ends. */
void ws_stream_close(struct ws_stream *stream);
