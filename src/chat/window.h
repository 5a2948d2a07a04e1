/* The ids of the last WINDOW_EVENTS events, for duplicates.
 *
 * A function of the log alone: whoever has applied the same events has the same window. It is a
 * ring of (id, number, content) with an open-addressing hash over it; adding the event after the
 * last one drops the oldest. 2^17 entries take about 7 MB, allocated as it fills. Domain thread.
 */
#pragma once
#include "chat/ids.h"

struct window_entry {
    struct command_id id;
    uint64_t number;
    uint64_t content; /* command_content of the event */
};

struct window_slot {
    uint32_t place; /* in the ring, + 1; 0 = free */
    uint32_t hash;  /* of the id, its lower half */
};

struct window {
    struct window_entry *ring;
    struct window_slot *slots; /* linear probing */
    size_t ring_size, slots_size;
    uint64_t first, last; /* numbers of the oldest and newest inside; first > last = empty */
    size_t events_max;    /* WINDOW_EVENTS, smaller in tests */
};

void window_init(struct window *window, size_t events_max);
void window_close(struct window *window);
/* Forgets everything; the next event that is added has the number `next`. */
void window_reset(struct window *window, uint64_t next);
/* number must be last + 1. */
void window_add(struct window *window, uint64_t number, const struct command_id *id,
                uint64_t content);
/* NULL if unknown. */
const struct window_entry *window_find(const struct window *window, const struct command_id *id);
