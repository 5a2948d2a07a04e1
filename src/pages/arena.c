#include "pages/arena.h"

#include <stdalign.h>

#include "base/mem.h"

enum { BLOCK_SIZE = 4000 };

struct arena_block {
    struct arena_block *before;
    size_t size;
    alignas(max_align_t) char bytes[];
};

static void *take(struct arena *arena, size_t size, size_t alignment)
{
    size_t at = (arena->used + alignment - 1) / alignment * alignment;
    if (arena->last == NULL || at > arena->last->size || arena->last->size - at < size) {
        size_t block_size = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        struct arena_block *block = mem_new(sizeof *block + block_size);
        block->before = arena->last;
        block->size = block_size;
        arena->last = block;
        at = 0;
    }
    arena->used = at + size;
    return arena->last->bytes + at;
}

struct slice arena_keep(struct arena *arena, struct slice text)
{
    if (text.len == 0) return slice_of("");
    char *bytes = take(arena, text.len, 1);
    memcpy(bytes, text.at, text.len);
    return slice_make(bytes, text.len);
}

void *arena_take(struct arena *arena, size_t size)
{
    return take(arena, size, alignof(max_align_t));
}

void arena_drop(struct arena *arena)
{
    while (arena->last != NULL) {
        struct arena_block *block = arena->last;
        arena->last = block->before;
        mem_free(block);
    }
    arena->used = 0;
}
