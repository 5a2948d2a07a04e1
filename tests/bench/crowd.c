#include "bench/crowd.h"

#include "base/clock.h"
#include "base/mem.h"

enum { NS_PER_MS = 1000000, RETURN_EVERY_NS = 5 * NS_PER_MS };

#define NS_PER_S UINT64_C(1000000000)

/* The stock client's times between its attempts. */
static uint64_t wait_ns(unsigned tries)
{
    static const unsigned ms[] = {10, 50, 100, 150, 200, 250, 500, 1000, 2000, 5000};
    unsigned last = sizeof ms / sizeof ms[0] - 1;
    return (uint64_t)ms[tries < last ? tries : last] * NS_PER_MS;
}

static void came(struct browser *browser)
{
    struct crowd *crowd = browser->crowd;
    crowd->live++;
    browser->tries = 0;
    if (crowd->given.on_live != NULL) crowd->given.on_live(browser);
}

static void went(struct browser *browser, bool was_live, int status)
{
    struct crowd *crowd = browser->crowd;
    crowd->last_status = status;
    if (was_live) {
        crowd->live--;
        crowd->closed++;
    } else {
        crowd->refused++;
    }
    browser->retry_ns = clock_ns() + wait_ns(browser->tries);
    browser->tries++;
    if (crowd->given.on_closed != NULL) crowd->given.on_closed(browser, was_live, status);
}

void crowd_init(struct crowd *crowd, const struct crowd_plan *plan)
{
    *crowd = (struct crowd){.browsers = mem_new_array(plan->count, sizeof(struct browser)),
                            .count = plan->count,
                            .calls = plan->calls,
                            .given = plan->calls,
                            .owner = plan->owner};
    crowd->calls.on_live = came;
    crowd->calls.on_closed = went;
    for (size_t i = 0; i < plan->count; i++) {
        crowd->browsers[i] = (struct browser){.watch = {.fd = -1},
                                              .state = BROWSER_NEW,
                                              .room = (uint32_t)(i % plan->rooms),
                                              .place = &plan->places[i % plan->places_count],
                                              .visitor = &plan->visitors[i % plan->visitors_count],
                                              .loop = plan->loop,
                                              .calls = &crowd->calls,
                                              .crowd = crowd};
    }
}

void crowd_close(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->count; i++)
        browser_close(&crowd->browsers[i]);
    mem_free(crowd->browsers);
    crowd->browsers = NULL;
    crowd->count = crowd->live = 0;
}

void crowd_return(struct crowd *crowd, size_t wanted)
{
    uint64_t now = clock_ns();
    for (size_t i = 0; i < wanted; i++) {
        struct browser *browser = &crowd->browsers[i];
        bool is_due = browser->state == BROWSER_NEW ||
                      (browser->state == BROWSER_CLOSED && browser->retry_ns <= now);
        if (is_due) browser_open(browser);
    }
}

uint64_t crowd_gather(struct crowd *crowd, size_t wanted, unsigned patience_s)
{
    uint64_t start = clock_ns();
    uint64_t deadline = start + patience_s * NS_PER_S;
    uint64_t look = start;
    while (crowd->live < wanted) {
        uint64_t now = clock_ns();
        if (now >= deadline)
            die("only %zu of %zu browsers are live after %u s (last status %d)", crowd->live,
                wanted, patience_s, crowd->last_status);
        if (now >= look) {
            crowd_return(crowd, wanted);
            look = clock_ns() + RETURN_EVERY_NS;
        }
        loop_turn(crowd->browsers[0].loop, look);
    }
    return clock_ns() - start;
}

void crowd_forget(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->count; i++) {
        crowd->browsers[i].messages = 0;
        crowd->browsers[i].again = 0;
    }
    crowd->closed = crowd->refused = 0;
}
