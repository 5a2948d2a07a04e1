/* What a web thread has done for it elsewhere or later: reads of the store on the pool, and calls after a
 * while. In the thread's own loop; the callbacks, too, but for a read's `run`.
 */
#pragma once
#include <uv.h>

#include "store/event_store.h"

struct chores;

struct chores *chores_new(uv_loop_t *loop, struct event_store *store);
/* What waits for its time is called now; chores_free once the loop has run out. */
void chores_stop(struct chores *chores);
void chores_free(struct chores *chores);

/* How many threads libuv's pool must have for all reads of so many web threads, with POOL_OTHERS beside them, for
 * raft's disk has the same pool. */
unsigned chores_pool_threads(uint32_t web_threads);

/* Calls `run` on the pool with a reader of its own (begun; NULL when status is not 0), then `done` in the
 * loop. READS_RUNNING_MAX run at once, the others wait in order. 0, or ERR_BUSY when READS_MAX are under way,
 * or READS_PER_ADDRESS_MAX for this address (conn_address; nobody's is one, too): neither is called then. */
int chores_read(struct chores *chores, struct slice address,
                void (*run)(void *owner, struct event_reader *reader, int status),
                void (*done)(void *owner), void *owner);

struct later;

/* Calls back once after `ms`; early only when the thread stops. What it returns may be cancelled until
 * it is called. */
struct later *chores_later(struct chores *chores, uint32_t ms, void (*run)(void *owner),
                           void *owner);
/* It is not called any more. */
void chores_cancel(struct later *later);
