#include "host.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

void sim_init(struct sim *sim, uint64_t seed)
{
    *sim = (struct sim){.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1};
}

uint64_t sim_draw(struct sim *sim, uint64_t below)
{
    /* splitmix64 */
    uint64_t z = sim->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % below;
}

uint64_t sim_between(struct sim *sim, uint64_t from, uint64_t to)
{
    return from + sim_draw(sim, to - from + 1);
}

bool sim_chance(struct sim *sim, unsigned percent)
{
    return sim_draw(sim, 100) < percent;
}

void sim_trace(const struct sim *sim, const char *format, ...)
{
    va_list arguments;
    if (!sim->traces) return;
    printf("%8" PRIu64 "  ", sim->now_ms);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

/* ---- the queue: a binary heap ---- */

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void swap(struct sim *sim, size_t i, size_t k)
{
    struct sim_event *event = sim->heap[i];
    sim->heap[i] = sim->heap[k];
    sim->heap[k] = event;
}

void sim_later(struct sim *sim, uint64_t in_ms, struct sim_event *event)
{
    event->at_ms = sim->now_ms + in_ms;
    event->order = sim->order++;
    if (sim->count == sim->size) {
        sim->size = sim->size == 0 ? 256 : 2 * sim->size;
        sim->heap = mem_grow(sim->heap, sim->size * sizeof(*sim->heap));
    }
    size_t i = sim->count++;
    sim->heap[i] = event;
    while (i > 0 && is_before(sim->heap[i], sim->heap[(i - 1) / 2])) {
        swap(sim, i, (i - 1) / 2);
        i = (i - 1) / 2;
    }
}

static struct sim_event *take_first(struct sim *sim)
{
    struct sim_event *first = sim->heap[0];
    sim->heap[0] = sim->heap[--sim->count];
    for (size_t i = 0;;) {
        size_t least = i, left = 2 * i + 1, right = left + 1;
        if (left < sim->count && is_before(sim->heap[left], sim->heap[least])) least = left;
        if (right < sim->count && is_before(sim->heap[right], sim->heap[least])) least = right;
        if (least == i) return first;
        swap(sim, i, least);
        i = least;
    }
}

void sim_run(struct sim *sim, uint64_t until_ms)
{
    while (sim->count > 0 && sim->heap[0]->at_ms <= until_ms) {
        struct sim_event *event = take_first(sim);
        assert(event->at_ms >= sim->now_ms);
        sim->now_ms = event->at_ms;
        sim->events++;
        event->on_due(event, false);
    }
    if (sim->now_ms < until_ms) sim->now_ms = until_ms;
}

void sim_close(struct sim *sim)
{
    while (sim->count > 0) {
        struct sim_event *event = take_first(sim);
        event->on_due(event, true);
    }
    mem_free(sim->heap);
    sim->heap = NULL;
}

/* ---- hosts ---- */

static void defer(struct host *host, struct host_event *event)
{
    event->next = NULL;
    *host->deferred_last = event;
    host->deferred_last = &event->next;
}

static void on_due(struct sim_event *at, bool is_over)
{
    struct host_event *event = (struct host_event *)at;
    struct host *host = event->host;
    if (is_over || !host->is_up || host->life != event->life) {
        event->on_due(event, true);
        return;
    }
    if (host->is_paused) {
        defer(host, event);
        return;
    }
    event->on_due(event, false);
    if (host->is_up) host->on_turn(host);
}

void host_init(struct host *host, struct sim *sim, unsigned index, void (*on_turn)(struct host *))
{
    *host = (struct host){.sim = sim, .index = index, .on_turn = on_turn};
    host->deferred_last = &host->deferred;
}

void host_later(struct host *host, uint64_t in_ms, struct host_event *event)
{
    event->host = host;
    event->life = host->life;
    event->event.on_due = on_due;
    sim_later(host->sim, in_ms, &event->event);
}

void host_start(struct host *host)
{
    assert(!host->is_up);
    host->is_up = true;
    host->life++;
}

static void release(struct host *host)
{
    struct host_event *event = host->deferred;
    host->deferred = NULL;
    host->deferred_last = &host->deferred;
    while (event != NULL) {
        struct host_event *next = event->next;
        sim_later(host->sim, 0, &event->event);
        event = next;
    }
}

void host_kill(struct host *host)
{
    host->is_up = host->is_paused = false;
    release(host); /* to be dropped */
}

void host_pause(struct host *host)
{
    host->is_paused = host->is_up;
}

void host_resume(struct host *host)
{
    host->is_paused = false;
    release(host);
}
