/* Deadlines of many connections with one timer: a wheel of lists, one list a tick.
 *
 * Setting, moving and removing a deadline is constant work. Nobody moves it for good news: whoever
 * is taken out looks what really is due and sets itself again. One web thread.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { WHEEL_TICK_MS = 250, WHEEL_SLOTS = 512 };

struct wheel_node { /* embedded by its owner; all zero = not set */
    struct wheel_node *prev, *next;
    uint64_t tick;
};

struct wheel {
    uint64_t tick; /* up to and with this one all lists are worked off */
    struct wheel_node slots[WHEEL_SLOTS];
};

/* Stands where it is. */
void wheel_init(struct wheel *wheel, uint64_t now_ms);

/* Comes up at `at_ms`, rounded down to a tick, at the earliest with the next one; what lies too far
 * ahead comes up earlier. */
void wheel_set(struct wheel *wheel, struct wheel_node *node, uint64_t at_ms);
/* The same, but a deadline that is sooner stays. */
void wheel_set_sooner(struct wheel *wheel, struct wheel_node *node, uint64_t at_ms);
void wheel_remove(struct wheel_node *node);

/* Takes out one whose tick has come; NULL when there is none. */
struct wheel_node *wheel_pop(struct wheel *wheel, uint64_t now_ms);
