#include "base/shared.h"

#include <assert.h>

#include "base/mem.h"

struct shared *shared_new(size_t len)
{
    assert(len <= SIZE_MAX / 2);
    struct shared *shared = mem_grow(NULL, sizeof *shared + len);
    atomic_init(&shared->references, 1);
    shared->tag = 0;
    shared->len = len;
    return shared;
}

struct shared *shared_copy(struct slice text)
{
    struct shared *shared = shared_new(text.len);
    if (text.len > 0) memcpy(shared->bytes, text.at, text.len);
    return shared;
}

struct shared *shared_ref(struct shared *shared)
{
    /* Whoever gives a reference away holds one itself, so no order is needed here. */
    atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    return shared;
}

void shared_unref(struct shared *shared)
{
    if (shared == NULL) return;
    /* Everybody's last look at the bytes happens before they are freed. */
    unsigned before = atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1) mem_free(shared);
}

void shared_unref_all(struct shared *const *all, size_t count)
{
    for (size_t i = 0; i < count; i++)
        shared_unref(all[i]);
}
