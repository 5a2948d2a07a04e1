/* WebSocket (RFC 6455): frames in, frames out. The door to wslay.
 *
 * Receiving goes through wslay_event, whose context (some 4 KiB) a connection borrows from a pool of
 * its thread only while a message is coming in: an idle browser holds none. Sending does not: a
 * frame is built once, as immutable bytes, and queued by reference on every connection it is for
 * (conn_send). permessage-deflate is not negotiated.
 *
 * Close codes that we send: 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 4000; never 1000, which
 * makes the stock client reload its page.
 */
#pragma once
#include "base/buf.h"
#include "base/shared.h"

enum { WS_GOING_AWAY = 1001, WS_PROTOCOL = 1002, WS_UNSUPPORTED = 1003, WS_INVALID_TEXT = 1007,
       WS_POLICY = 1008, WS_TOO_LARGE = 1009, WS_INTERNAL = 1011, WS_RESTART = 1012,
       WS_SLOW = 4000 };

/* A whole text frame around `payload`, as a server sends it (not masked). One reference. */
struct shared *ws_text_frame(struct slice payload);

enum { WS_HEAD_MAX = 10 };
/* Only the head of a text frame whose payload of `len` bytes comes in other pieces. Returns its
 * size. */
size_t ws_text_head(uint8_t head[WS_HEAD_MAX], uint64_t len);

/* Sec-WebSocket-Accept for a key; false unless the key is base64 of 16 bytes. Appends. */
bool ws_accept(struct buf *out, struct slice key);
