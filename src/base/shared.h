/* Immutable bytes with a reference count: the one thing that more than one thread may hold.
 *
 * Made once, filled by its maker while nobody else has it, never changed after it was given away.
 * Whoever keeps it takes a reference; whoever drops the last one frees it, on any thread.
 */
#pragma once
#include <stdatomic.h>

#include "base/slice.h"

struct shared {
    atomic_uint references;
    unsigned tag; /* its maker's, for example bytes of a frame header; never read here */
    size_t len;
    char bytes[];
};

/* One reference, len bytes that the maker fills. */
struct shared *shared_new(size_t len);
/* One reference, a copy. */
struct shared *shared_copy(struct slice text);
struct shared *shared_ref(struct shared *shared);
/* NULL is fine. */
void shared_unref(struct shared *shared);
/* One reference of each. */
void shared_unref_all(struct shared *const *all, size_t count);

static inline struct slice shared_slice(const struct shared *shared)
{
    return slice_make(shared->bytes, shared->len);
}
