#include "app/loop_delay.h"

#include "base/clock.h"

enum { EVERY_MS = 100 };

static void on_timer(uv_timer_t *timer)
{
    struct loop_delay *delay = timer->data;
    uint64_t now_ms = clock_ms();
    if (delay->due_ms != 0) { /* not for the first: nobody knows when the loop began to turn */
        uint64_t late_ms = now_ms > delay->due_ms ? now_ms - delay->due_ms : 0;
        histogram_add(delay->histogram, late_ms * 1000);
    }
    delay->due_ms = now_ms + EVERY_MS;
    if (delay->on_tick != NULL) delay->on_tick(delay->owner);
}

void loop_delay_start(struct loop_delay *delay, uv_loop_t *loop, struct histogram *histogram,
                      void (*on_tick)(void *owner), void *owner)
{
    delay->due_ms = 0;
    delay->histogram = histogram;
    delay->on_tick = on_tick;
    delay->owner = owner;
    uv_timer_init(loop, &delay->timer);
    delay->timer.data = delay;
    uv_timer_start(&delay->timer, on_timer, EVERY_MS, EVERY_MS);
}

void loop_delay_stop(struct loop_delay *delay)
{
    uv_close((uv_handle_t *)&delay->timer, NULL);
}
