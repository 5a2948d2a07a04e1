/* Closing a gap: fetches the events that are missing here from any node that has them.
 *
 *   IDLE --backfill_want--> ASKING <----> waiting for a peer that has more than we, or for the store
 *     ^                       | one request at a time; the next leaves before its answer is taken in
 *     +------goal reached-----+ silence, a broken link, or bad events: another peer
 *
 * Peers need not lead, nor be level: one that has events beyond ours is good for those. A peer that is
 * silent, whose events do not continue the history, or that says that its own are damaged, is not asked
 * again for BACKFILL_SHUN_MS; one that is busy, or has nothing yet, for BACKFILL_PAUSE_MS. How much is asked
 * for at once begins with BACKFILL_BYTES_FIRST, doubles with each answer that comes quickly, and is halved when
 * one takes longer than BACKFILL_SLOW_MS: what fills a slow line delays the beats on it, and the peer would
 * seem to be away. When the store's disk is behind
 * (backfill_lag over BACKFILL_LAG_MAX) nothing is asked for until it is not. So a fetch may be begun and
 * broken off at any event, also by the end of this process: the store has a prefix, and the next start
 * goes on behind it.
 *
 *   RPC_EVENTS_ASK   from u64 | up to u64 | bytes u32          (request id: of this asking)
 *   RPC_EVENTS       status u8 (enum backfill_status) | from u64 | last u64 (that the answerer has)
 *                    | count u32 | count times: length u32, an event with its own checksum
 *
 * An answer says in its first bytes where the next one begins, so that is asked for at once, and the peer
 * reads it while we take this one in. An answer that nobody waits for any more is passed over.
 *
 * Knows neither raft nor libuv. The domain thread.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/slice.h"

enum {
    BACKFILL_SHUN_MS = 5000,
    BACKFILL_PAUSE_MS = 100,
    BACKFILL_SLOW_MS = 250,
    BACKFILL_BYTES_FIRST = 64 * 1024, /* of events, that one answer is asked for at first, */
    BACKFILL_BYTES_MIN = 8 * 1024,    /* and at least: a line of 256 kbit/s has them over in time */
    BACKFILL_PEERS_MAX = 2 * MEMBERS_MAX
};

enum backfill_status {
    BACKFILL_OK,
    BACKFILL_NONE,   /* has nothing from there on */
    BACKFILL_BUSY,   /* is asked for too much at once */
    BACKFILL_DAMAGED /* cannot read its own */
};

struct backfill_peer { /* as the beats tell */
    uint64_t id;       /* not 0 */
    uint64_t number;
    bool is_up;
};

struct backfill_handler {
    void *owner;
    /* Sends RPC_EVENTS_ASK to a peer; false when there is no link. */
    bool (*ask)(void *owner, uint64_t peer, uint64_t request, uint64_t from, uint64_t up_to,
                uint32_t bytes);
    /* One event of an answer, in order. 0 to go on; an ERR_ code: this peer is no good. */
    int (*on_event)(void *owner, struct slice bytes, struct errmsg *errmsg);
    /* Behind the last event of each answer. */
    void (*on_chunk)(void *owner);
    /* The peer is left for BACKFILL_SHUN_MS: for the log. May be NULL. */
    void (*on_shunned)(void *owner, uint64_t peer, const char *why);
};

struct backfill;

/* The first request has the id behind `last_id`. */
struct backfill *backfill_new(uint64_t last_id, const struct backfill_handler *handler);
void backfill_free(struct backfill *backfill);

/* Events from `number` + 1 to `goal` are missing. goal <= number: nothing is missing (any more). Asks at
 * the next tick. May be called from within on_event. */
void backfill_want(struct backfill *backfill, uint64_t number, uint64_t goal, uint64_t now_ms);
/* Every 50 ms or so: asks, gives up on silent peers, chooses others. At most BACKFILL_PEERS_MAX. */
void backfill_tick(struct backfill *backfill, const struct backfill_peer *peers, size_t peers_count,
                   uint64_t now_ms);
/* So many bytes wait for the store's disk. Asks if that is what was waited for. */
void backfill_lag(struct backfill *backfill, size_t bytes, uint64_t now_ms);
/* The body of an RPC_EVENTS. 0, or ERR_FORMAT: the link is to be closed. */
int backfill_heard(struct backfill *backfill, uint64_t peer, uint64_t request, struct slice body,
                   uint64_t now_ms);

struct backfill_progress {
    uint64_t from;   /* number at which the gap began */
    uint64_t number; /* reached */
    uint64_t goal;
    uint64_t peer;              /* asked now, or next when the disk has caught up; 0 = none */
    uint64_t events_per_second; /* over the last seconds */
    uint64_t events, bytes;     /* taken in since the process began */
};

void backfill_progress(const struct backfill *backfill, struct backfill_progress *progress,
                       uint64_t now_ms);

/* ---- the frames ---- */

void backfill_ask_encode(struct buf *out, uint64_t from, uint64_t up_to, uint32_t bytes);
int backfill_ask_decode(struct slice body, uint64_t *from, uint64_t *up_to, uint32_t *bytes);

enum { BACKFILL_HEAD_SIZE = 1 + 8 + 8 + 4 };

struct backfill_head { /* of an RPC_EVENTS */
    enum backfill_status status;
    uint64_t from, last;
    uint32_t count;
};

void backfill_head_encode(char out[BACKFILL_HEAD_SIZE], const struct backfill_head *head);
/* Checks the whole body: so many events as it says, each with the length that it says. `events` gets what
 * is behind the head. 0 or ERR_FORMAT. */
int backfill_head_decode(struct backfill_head *head, struct slice body, struct slice *events);
/* Takes one event off the front of what backfill_head_decode gave. */
struct slice backfill_event_take(struct slice *events);
