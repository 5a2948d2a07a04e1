/* The n-th allocation fails: of our code, of libc's callers among the libraries, of all that goes to malloc, calloc,
 * realloc, aligned_alloc and posix_memalign from outside of libc. Only those of the thread that has armed it count.
 *
 * Each trial is a child process, for without memory ours end. It must come to its end, say "out of memory" (or that
 * libcrypto failed) and abort, or fail with a sentence: anything else fails the test.
 */
#pragma once
#include <stddef.h>

#include "base/err.h"

struct faulty_memory_trial {
    const char *name;
    void (*prepare)(void);                 /* in the parent, for each trial; may be NULL */
    int (*attempt)(struct errmsg *errmsg); /* in the child: 0, or a code with a sentence */
    void (*check)(void);                   /* in the parent: what is on disk now; may be NULL */
};

/* n = 1, 2, 3, ... up to 200, then in wider and wider steps, until nothing fails. */
void faulty_memory_try(const struct faulty_memory_trial *trial, unsigned calls_min);
