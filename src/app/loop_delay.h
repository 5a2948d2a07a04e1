/* How late the timers of a loop come, and so how long it was busy with one thing: a timer that measures
 * itself. In the loop's own thread.
 */
#pragma once
#include <uv.h>

#include "base/histogram.h"

struct loop_delay {
    uv_timer_t timer;
    uint64_t due_ms;
    struct histogram *histogram;
    void (*on_tick)(void *owner);
    void *owner;
};

/* Adds to the histogram, ten times a second, and then calls on_tick, unless it is NULL. Must not move in
 * memory. */
void loop_delay_start(struct loop_delay *delay, uv_loop_t *loop, struct histogram *histogram,
                      void (*on_tick)(void *owner), void *owner);
void loop_delay_stop(struct loop_delay *delay);
