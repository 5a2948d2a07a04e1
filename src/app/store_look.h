/* How far the store is, for those of a web thread who wait for its next event: however many ask, it is looked up
 * once in STORE_LOOK_MS. In the thread's own loop.
 */
#pragma once
#include "store/event_store.h"

enum { STORE_LOOK_MS = 25 };

struct store_look {
    struct event_reader *reader; /* borrowed */
    uint64_t number;
    uint64_t looked_ms;
    bool has_looked;
};

/* The number of the newest event, as it was at most STORE_LOOK_MS ago. 0, or what event_reader_begin answers. */
int store_look(struct store_look *look, uint64_t now_ms, uint64_t *number);
