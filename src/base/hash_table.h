/* uthash with memory of base/mem.h, for its own ends the process without a word, and with the hash of
 * base/crypto.h, for strangers choose most keys: names of rooms, ids, addresses. With the library's own, names
 * that share a bucket are easily made, and each look-up would walk through all of them.
 */
#pragma once
#include "base/crypto.h"
#include "base/mem.h"

#define uthash_malloc(size)          mem_grow(NULL, size)
#define uthash_free(at, size)        mem_free(at)
#define HASH_FUNCTION(at, len, hash) (hash) = (unsigned)hash_keyed((at), (len))
#include <uthash.h> /* IWYU pragma: export */
