/* uthash with memory of base/mem.h: its own ends the process without a word. Whoever wants another HASH_FUNCTION
 * says so as uthash's manual tells.
 */
#pragma once
#include "base/mem.h"

#define uthash_malloc(size)   mem_grow(NULL, size)
#define uthash_free(at, size) mem_free(at)
#include <uthash.h> /* IWYU pragma: export */
