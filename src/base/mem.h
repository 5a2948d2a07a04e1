/* Memory or death: nothing here returns NULL.
 *
 * A node that is out of memory ends; the cluster is there for that. What keeps it from running out
 * is limits (base/limits.h). malloc and its kin are called in mem.c and nowhere else. Libraries that let us
 * choose get their memory here too (jansson, raft); what another one could not do for want of memory is
 * told to mem_exhausted, where it would pass for an answer.
 */
#pragma once
#include <stddef.h>

/* Zeroed. */
void *mem_new(size_t size);
/* Zeroed, count * size, checked for overflow. */
void *mem_new_array(size_t count, size_t size);
/* As realloc; bytes beyond the old size are not set. */
void *mem_grow(void *at, size_t size);
void *mem_copy(const void *at, size_t size);
/* A string of our own with a final NUL. */
char *mem_string(const char *at, size_t len);
/* As aligned_alloc. */
void *mem_aligned(size_t alignment, size_t size);
/* Says so on standard error and aborts. */
_Noreturn void mem_exhausted(size_t size);
/* NULL is fine. */
void mem_free(void *at);
