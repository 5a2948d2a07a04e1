/* Messages at a rate, through the HTTP API: an open loop.
 *
 * Message k of a run is due at start + k / rate, whether the node keeps up or not; what is due waits
 * for a free connection, and its text says when it was due, so that a reader can tell how late it
 * is. With rate 0 there is no time: each connection sends when it has its answer.
 */
#pragma once
#include "bench/call.h"
#include "bench/figures.h"

struct sender {
    struct call *calls;
    size_t calls_count;
    size_t rooms;                          /* message k goes to room k % rooms */
    size_t text_size;                      /* bytes */
    char run[17];                          /* part of the messages' ids, new for each sender */
    uint64_t next;                         /* sequence of the next message; goes on over all runs */
    uint64_t *accepted;                    /* per room, in this run */
    uint64_t sent, accepted_count, failed; /* in this run */
    int last_failure;                      /* status */
    double rate;
    uint64_t start_us, end_us, started_at; /* the run; sequence of its first message */
    struct figures late;                   /* due until given to the connection */
    struct figures answer;                 /* due until 201 */
};

void sender_init(struct sender *sender, struct loop *loop, const struct place *places,
                 size_t places_count, size_t calls_count, size_t rooms, size_t text_size);
void sender_close(struct sender *sender);
/* Begins a run of `seconds`. */
void sender_start(struct sender *sender, double rate, double seconds);
/* Sends what is due; what was due in the run and found no connection is sent after its end. Returns
 * when to call again, in clock_ns(); UINT64_MAX: after the next turn of the loop. */
uint64_t sender_turn(struct sender *sender);
/* Messages that were due in this run and are not even sent. */
uint64_t sender_unsent(const struct sender *sender);
/* Gives those up. */
void sender_stop(struct sender *sender);
/* All is sent, or given up, and answered. */
bool sender_is_done(const struct sender *sender);
