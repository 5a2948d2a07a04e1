/* What nodes say to each other besides raft: frames over links of our own.
 *
 * Each node dials every other one and keeps that link; on it it sends, and only it. So between two
 * nodes there are two links, each one-way, like raft's; an answer goes the other way over the
 * answerer's own link. A link that breaks is dialed again after 100 ms, growing to 1 s, with jitter.
 * Frames that find no link are not kept: whoever sent one asks again.
 *
 *   frame   length u32 (of all that follows, 9 to RPC_FRAME_MAX) | type u8 | request id u64 | body
 *
 * All little-endian; bodies in cluster/wire.h's coding, documented in docs/formats.md. A length that is
 * not allowed closes the link before anything is reserved for it, a body that is no good too. A type
 * that is not known is passed over: the other node is newer.
 *
 * A link holds up to RPC_OUT_MAX bytes for a node that does not read, then it is closed. The newest
 * link that a node has opened to us counts; an older one, half-open perhaps, is closed.
 */
#pragma once
#include "cluster/transport.h"

struct rpc;

/* The request id is the asker's, or 0. Each run of it begins with them somewhere else. */
enum rpc_type {
    RPC_FORM = 1,      /* my directory's state; answered alike */
    RPC_BEAT,          /* status, four times a second */
    RPC_FORWARD,       /* commands, to the leader */
    RPC_REFUSED,       /* one forwarded command will not be in the log */
    RPC_BARRIER,       /* to the leader: when is all applied that you have now? */
    RPC_BARRIER_REPLY, /* up to here; the asker waits until it has applied as much */
    RPC_PRESENCE,      /* who is at this node */
    RPC_EVENTS_ASK,    /* backfill.h: events from here to there */
    RPC_EVENTS,        /* and they are, or why not */
    RPC_CHANGE,        /* to the leader: a change of the members */
    RPC_CHANGE_REPLY   /* and what became of it */
};

struct rpc_frame {
    uint64_t peer; /* who sent it */
    uint8_t type;
    uint64_t id;
    struct slice body; /* borrowed for the call */
};

struct rpc_handler {
    void *owner;
    /* 0, or an ERR_ code: the link it came on is closed. */
    int (*on_frame)(void *owner, const struct rpc_frame *frame);
    /* Our link to this node is up, or down; or its link to us is. */
    void (*on_link)(void *owner, uint64_t peer);
};

struct rpc *rpc_new(uv_loop_t *loop, struct transport *transport,
                    const struct rpc_handler *handler);

/* Dials it from now on. Known already: nothing. `address` is host:port or name=host:port; copied. */
void rpc_add_peer(struct rpc *rpc, uint64_t id, const char *address);

/* No member any more: its links are closed, nothing comes from it. Unknown: nothing. */
void rpc_remove_peer(struct rpc *rpc, uint64_t id);

/* A link that a peer has opened; takes the stream. */
void rpc_accept(struct rpc *rpc, uint64_t id, uv_stream_t *stream);

/* 0, ERR_CLOSED (no link now), ERR_FULL (it does not read; the link is closed). */
int rpc_send(struct rpc *rpc, uint64_t to, enum rpc_type type, uint64_t id, struct slice body);
void rpc_send_all(struct rpc *rpc, enum rpc_type type, uint64_t id, struct slice body);

struct rpc_peer_status {
    bool is_up;      /* our link to it */
    bool is_heard;   /* its link to us */
    bool is_refused; /* the last time we dialed, nobody listened there */
    uint64_t frames_in, frames_out;
};

/* False for an unknown peer. */
bool rpc_peer_status(const struct rpc *rpc, uint64_t id, struct rpc_peer_status *status);

/* Closes all links; frees the rpc, then calls on_stopped. */
void rpc_stop(struct rpc *rpc, void (*on_stopped)(void *owner), void *owner);
