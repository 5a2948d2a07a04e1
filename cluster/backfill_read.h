/* The other side of backfill: reads events for a node that lacks them, on libuv's pool.
 *
 * The domain thread waits for no disk: a request is read by a pool thread with a reader of its own, and
 * answered in a later turn of the loop. One at a time for each peer (another one is answered BUSY), at most
 * BACKFILL_READS_MAX of all. An event that cannot be read is never given away: the answer is DAMAGED,
 * and on_damaged tells, for this node must not go on serving what it has.
 */
#pragma once
#include <uv.h>

#include "cluster/backfill.h"
#include "store/event_store.h"

enum { BACKFILL_READS_MAX = 4 };

struct backfill_read_handler {
    void *owner;
    /* The body of an RPC_EVENTS; borrowed. */
    void (*reply)(void *owner, uint64_t peer, uint64_t request, struct slice body);
    void (*on_damaged)(void *owner, uint64_t number);
};

struct backfill_read;

struct backfill_read *backfill_read_new(uv_loop_t *loop, struct event_store *store,
                                        const struct backfill_read_handler *handler);
/* The body of an RPC_EVENTS_ASK. 0 or ERR_FORMAT. */
int backfill_read_ask(struct backfill_read *reads, uint64_t peer, uint64_t request,
                      struct slice body);
uint64_t backfill_read_events(const struct backfill_read *reads); /* given away so far */
/* Waits for what is being read, answers nothing any more, frees it, then calls on_stopped. */
void backfill_read_stop(struct backfill_read *reads, void (*on_stopped)(void *owner), void *owner);
