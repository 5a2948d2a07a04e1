/* Simulated time, and the computers in it.
 *
 * Nothing in the simulation waits or reads a clock: there is one queue of events, each with the
 * millisecond at which it is due, and those of one millisecond come in the order in which they were
 * added. All chance comes from one generator. So a run is a function of its seed.
 *
 * A host is a computer that can be killed (what was on its way to it is dropped), started again, and
 * paused (what is due meanwhile comes when it goes on, in order).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_event;
/* `is_over`: never mind what was to be done; free what the event holds. */
typedef void (*sim_fn)(struct sim_event *event, bool is_over);

struct sim_event { /* first member of the maker's, who frees it in on_due */
    uint64_t at_ms, order;
    sim_fn on_due;
};

struct sim {
    uint64_t now_ms, order;
    uint64_t random;
    struct sim_event **heap;
    size_t count, size;
    uint64_t events; /* that came due */
    bool traces;
};

void sim_init(struct sim *sim, uint64_t seed);
void sim_close(struct sim *sim);
void sim_later(struct sim *sim, uint64_t in_ms, struct sim_event *event);
/* Until this time has come. */
void sim_run(struct sim *sim, uint64_t until_ms);

/* 0 .. below - 1 */
uint64_t sim_draw(struct sim *sim, uint64_t below);
/* from .. to */
uint64_t sim_between(struct sim *sim, uint64_t from, uint64_t to);
bool sim_chance(struct sim *sim, unsigned percent);
__attribute__((format(printf, 2, 3))) void sim_trace(const struct sim *sim, const char *format,
                                                     ...);

struct host_event;
typedef void (*host_fn)(struct host_event *event, bool is_dropped);

struct host_event { /* first member of the maker's, who frees it in on_due */
    struct sim_event event;
    struct host *host;
    uint64_t life;
    host_fn on_due;
    struct host_event *next;
};

struct host {
    struct sim *sim;
    unsigned index;
    bool is_up, is_paused;
    uint64_t life; /* how often it was started */
    struct host_event *deferred, **deferred_last;
    void (*on_turn)(
        struct host *host); /* after every event of its own: the end of a turn of a loop */
};

void host_init(struct host *host, struct sim *sim, unsigned index, void (*on_turn)(struct host *));
/* For this life of it. */
void host_later(struct host *host, uint64_t in_ms, struct host_event *event);
void host_start(struct host *host);
void host_kill(struct host *host);
void host_pause(struct host *host);
void host_resume(struct host *host);
