/* The ring holds the event `number` at place number % ring_size, so nothing moves when the oldest is
 * dropped. Over it lies a table of places, open addressing with linear probing, never more than half
 * full; what is dropped is closed up by moving back what probed over it, so there are no tombstones.
 * A slot keeps a half of its id's hash, which says where it wants to be and, nearly always, whether it is the
 * one that is looked for: so the ring, which is larger than a processor's cache, is seldom touched.
 * Both grow by doubling until the ring has events_max places. The ids are chosen by strangers,
 * therefore the hash has a secret key (hash_keyed); it decides where an id lies, never what is found.
 */
#include "chat/window.h"

#include <assert.h>

#include "base/crypto.h"
#include "base/mem.h"

enum { WINDOW_FIRST_SIZE = 64 };

void window_init(struct window *window, size_t events_max)
{
    assert(events_max > 0 && events_max < UINT32_MAX / 4);
    *window = (struct window){.first = 1, .last = 0, .events_max = events_max};
}

void window_close(struct window *window)
{
    mem_free(window->ring);
    mem_free(window->slots);
    window_init(window, window->events_max);
}

void window_reset(struct window *window, uint64_t next)
{
    assert(next > 0);
    window_close(window);
    window->first = next;
    window->last = next - 1;
}

static uint32_t hash_of(const struct command_id *id)
{
    return (uint32_t)hash_keyed(id->bytes, sizeof id->bytes);
}

static size_t home(const struct window *window, uint32_t hash)
{
    return hash & (window->slots_size - 1);
}

static size_t next_slot(const struct window *window, size_t slot)
{
    return (slot + 1) & (window->slots_size - 1);
}

static struct window_entry *entry_of(const struct window *window, uint64_t number)
{
    return &window->ring[number % window->ring_size];
}

static void slot_put(struct window *window, uint64_t number)
{
    uint32_t hash = hash_of(&entry_of(window, number)->id);
    size_t slot = home(window, hash);
    while (window->slots[slot].place != 0)
        slot = next_slot(window, slot);
    window->slots[slot] =
        (struct window_slot){.place = (uint32_t)(number % window->ring_size) + 1, .hash = hash};
}

static void slot_drop(struct window *window, uint64_t number)
{
    uint32_t wanted = (uint32_t)(number % window->ring_size) + 1;
    size_t hole = home(window, hash_of(&entry_of(window, number)->id));
    while (window->slots[hole].place != wanted)
        hole = next_slot(window, hole);

    /* An entry may move into the hole unless its home lies behind the hole on the way to it. */
    size_t mask = window->slots_size - 1;
    size_t slot = hole;
    for (;;) {
        slot = next_slot(window, slot);
        if (window->slots[slot].place == 0) break;
        size_t from = home(window, window->slots[slot].hash);
        if (((slot - from) & mask) < ((slot - hole) & mask)) continue;
        window->slots[hole] = window->slots[slot];
        hole = slot;
    }
    window->slots[hole].place = 0;
}

static void grow(struct window *window)
{
    struct window_entry *old = window->ring;
    size_t old_size = window->ring_size;
    size_t size = old_size == 0 ? WINDOW_FIRST_SIZE : 2 * old_size;
    if (size > window->events_max) size = window->events_max;

    window->slots_size = 2;
    while (window->slots_size < 2 * size)
        window->slots_size *= 2;
    mem_free(window->slots);
    window->slots = mem_new_array(window->slots_size, sizeof *window->slots);
    window->ring = mem_new_array(size, sizeof *window->ring);
    window->ring_size = size;
    for (uint64_t number = window->first; old_size > 0 && number <= window->last; number++) {
        *entry_of(window, number) = old[number % old_size];
        slot_put(window, number);
    }
    mem_free(old);
}

void window_add(struct window *window, uint64_t number, const struct command_id *id,
                uint64_t content)
{
    assert(number == window->last + 1);
    uint64_t count = number - window->first;
    if (count == window->events_max)
        slot_drop(window, window->first++);
    else if (count == window->ring_size)
        grow(window);
    *entry_of(window, number) =
        (struct window_entry){.id = *id, .number = number, .content = content};
    window->last = number;
    slot_put(window, number);
}

const struct window_entry *window_find(const struct window *window, const struct command_id *id)
{
    if (window->slots_size == 0) return NULL;
#ifdef LIVETEA_MISTAKE_DEDUP
    return NULL;
#endif
    uint32_t hash = hash_of(id);
    size_t slot = home(window, hash);
    for (; window->slots[slot].place != 0; slot = next_slot(window, slot)) {
        if (window->slots[slot].hash != hash) continue;
        const struct window_entry *entry = &window->ring[window->slots[slot].place - 1];
        if (command_id_equal(&entry->id, id)) return entry;
    }
    return NULL;
}
