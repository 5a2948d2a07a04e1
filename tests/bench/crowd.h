/* Many browsers: spread over nodes and rooms, opened together, counted together.
 *
 * Browser i reads room i % rooms on node i % nodes. Those that are closed come back as the stock
 * client does, after 10, 50, 100 ms and so on, when the crowd is told to let them.
 */
#pragma once
#include "bench/browser.h"

struct crowd {
    struct browser *browsers;
    size_t count;
    size_t live;                /* of them */
    uint64_t closed;            /* connections lost after they were live */
    uint64_t refused;           /* connections that did not get so far */
    int last_status;            /* of the last of both: a close code or an HTTP status */
    struct browser_calls calls; /* what the browsers call */
    struct browser_calls given; /* and what that calls in turn */
    void *owner;
};

struct crowd_plan {
    struct loop *loop;
    const struct place *places;
    size_t places_count;
    size_t rooms;
    size_t count;
    const struct visitor *visitors;
    size_t visitors_count;
    struct browser_calls calls; /* its owner is browser->crowd->owner */
    void *owner;
};

/* Opens nothing yet. */
void crowd_init(struct crowd *crowd, const struct crowd_plan *plan);
void crowd_close(struct crowd *crowd);
/* Opens those of the first `wanted` that are not, and turns the loop until all are live. Ends the
 * program when they are not within `patience_s`. Returns nanoseconds. */
uint64_t crowd_gather(struct crowd *crowd, size_t wanted, unsigned patience_s);
/* Opens those of the first `wanted` that are closed and whose time to come back has come. */
void crowd_return(struct crowd *crowd, size_t wanted);
/* Begins to count anew: messages, again, closed, refused. */
void crowd_forget(struct crowd *crowd);
