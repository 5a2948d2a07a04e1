#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mem_exhausted(size_t size)
{
    /* Not through the log, which allocates. */
    fprintf(stderr, "error: out of memory: %zu bytes cannot be had\n", size);
    abort();
}

void *mem_new_array(size_t count, size_t size)
{
    void *at = calloc(count == 0 ? 1 : count, size == 0 ? 1 : size);
    if (at == NULL) mem_exhausted(count * size);
    return at;
}

void *mem_new(size_t size)
{
    return mem_new_array(1, size);
}

void *mem_grow(void *at, size_t size)
{
    void *grown = realloc(at, size == 0 ? 1 : size);
    if (grown == NULL) mem_exhausted(size);
    return grown;
}

void *mem_copy(const void *at, size_t size)
{
    void *copy = mem_grow(NULL, size);
    if (size > 0) memcpy(copy, at, size);
    return copy;
}

char *mem_string(const char *at, size_t len)
{
    if (len == SIZE_MAX) mem_exhausted(len);
    char *copy = mem_grow(NULL, len + 1);
    if (len > 0) memcpy(copy, at, len);
    copy[len] = '\0';
    return copy;
}

void *mem_aligned(size_t alignment, size_t size)
{
    void *at = aligned_alloc(alignment, size);
    if (at == NULL) mem_exhausted(size);
    return at;
}

void mem_free(void *at)
{
    free(at);
}
