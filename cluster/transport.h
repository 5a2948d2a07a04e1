/* The cluster port: one listener, and every connection to and from other nodes.
 *
 * Nothing of raft and nothing of ours is read from a connection before both sides have proved that
 * they know the cluster's secret: raft's decoder believes any length that it is told, so who is not
 * a member must never reach it. The preface, fixed sizes, numbers little-endian:
 *
 *   client  "LVTEAC01" | kind u8 (1 raft, 2 rpc, 3 ask) | 7 zeros | cluster id 16 | its id u64 | wanted id u64
 *           | nonce 32 | its name=host:port, zero padded to 304              = 384 bytes
 *   server  nonce 32 | HMAC("srv" | all of the above and this nonce) 32      =  64 bytes
 *   client  HMAC("cli" | all of the above) 32                                =  32 bytes
 *
 * HMAC-SHA-256 with the secret as key. Nonces are fresh on both sides, so a recorded session is of no
 * use. The server checks cluster, wanted id (somebody may have taken over an address), membership and
 * proof; whoever fails is closed without a word, and logged with the reason. Both sides read exactly
 * these bytes: what stands behind them is left to whoever gets the stream.
 *
 * Kind 3, a question (ask.h), is open to nodes that are no members: there cluster and ids are not looked
 * at, the proof is. A node that has no cluster yet (its id is all zero) takes no other kind. Raft goes on
 * calling a node that it has once called, also when that is no member any more; such calls end at
 * the deadline without leaving this machine.
 *
 * This proves who has begun a connection, not each byte of it: enough on a private network.
 *
 * All steps, looking the name up and connecting too, share one deadline, LINK_DEADLINE_MS; at most
 * LINK_HALF_OPEN_MAX callers are in the middle of it at once: for one more the oldest is closed. Names
 * are looked up at each attempt. Streams have TCP_NODELAY, and TCP_USER_TIMEOUT so that a cable that was
 * pulled is noticed.
 *
 * A stream that is handed over is one block of raft_malloc that begins with the uv_tcp_t: its owner
 * closes it and then calls raft_free (transport_close_stream does both).
 */
#pragma once
#include <raft/uv.h>
#include <uv.h>

#include "base/err.h"
#include "base/slice.h"

struct transport;

enum link_kind { LINK_RAFT = 1, LINK_RPC = 2, LINK_ASK = 3 };

struct transport_options {
    uv_loop_t *loop;
    const char *listen; /* host:port, an address or a name */
    const char *self;   /* name=host:port, as the others shall call us */
    uint64_t id;
    uint8_t cluster[16];
    struct slice secret;
    void *owner;
    /* May that node be on such a link with us? */
    bool (*may_link)(void *owner, enum link_kind kind, uint64_t id);
    /* Somebody's rpc link. Takes the stream. */
    void (*on_link)(void *owner, uint64_t id, uv_stream_t *stream);
    /* A question is about to come on it. Takes the stream. NULL: none are taken. */
    void (*on_ask)(void *owner, uv_stream_t *stream);
};

/* Listens. 0; ERR_BIND; ERR_CONFIG for what is no address. Strings are borrowed for its life. */
int transport_open(struct transport **out, const struct transport_options *options,
                   struct errmsg *errmsg);

/* The cluster that this node has joined; before that raft and rpc links are refused. */
void transport_set_cluster(struct transport *transport, const uint8_t cluster[16]);

/* For raft_uv_init. Raft's connections are refused until raft listens. */
struct raft_uv_transport *transport_raft(struct transport *transport);

struct dial {
    void *owner;
    /* The stream is the owner's when status is 0; else NULL and a libuv error. Never called from
     * within transport_dial. */
    void (*on_dialed)(struct dial *dial, uv_stream_t *stream, int status);
    struct hand *hand; /* the transport's */
};

/* `address` is host:port or name=host:port. `id`: whom we want there; 0 for a question, to whoever it is. */
void transport_dial(struct transport *transport, struct dial *dial, enum link_kind kind,
                    uint64_t id, const char *address);
/* No on_dialed any more. Also fine when nothing is under way. */
void transport_hang_up(struct dial *dial);

/* Closes and frees a stream that was handed over. */
void transport_close_stream(uv_stream_t *stream);

/* Raft is closed before. Frees the transport, then calls on_closed. */
void transport_close(struct transport *transport, void (*on_closed)(void *owner), void *owner);

/* The port it listens on (tests listen on port 0). */
int transport_port(const struct transport *transport);
