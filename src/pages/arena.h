/* Small texts that are made together and dropped together; what was kept does not move.
 *
 * A shared model makes its words anew for each board: it drops the old ones and keeps the new ones.
 */
#pragma once
#include "base/buf.h"

struct arena_block;

struct arena { /* zeroed = empty */
    struct arena_block *last;
    size_t used; /* bytes of the last block */
};

/* A copy that lives until arena_drop. */
struct slice arena_keep(struct arena *arena, struct slice text);
/* Room for `size` bytes, zeroed, aligned for any type. */
void *arena_take(struct arena *arena, size_t size);
void arena_drop(struct arena *arena);
