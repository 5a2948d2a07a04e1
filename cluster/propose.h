/* The leader's way into the log: a queue, and one entry in flight.
 *
 *   propose_add --> queue --> chat_execute --> one batch = one entry --> raft_apply --> propose_done
 *                                 | no                                       | leadership lost
 *                              on_refused                                on_dropped
 *
 * What arrives while an entry is on its way is the next batch: that is the group commit. A batch is
 * always one entry (the library keeps only the first buffer of a request and drops the others without
 * a word), and its length is a multiple of 8 (else the library frees it twice). chat_execute is asked
 * when the batch is made, and nothing is in flight then: it sees all that was decided before.
 *
 * An id that is queued or in flight is not taken a second time: the second one joins the first, for
 * both are answered by the machine when the id is applied. With other content it is refused (id_used).
 *
 * Knows raft only through `submit`, so that a test can stand in its place. Raft's thread.
 */
#pragma once
#include "base/histogram.h"
#include "chat/chat.h"

struct propose;

struct proposal { /* one command with its own copy of the bytes */
    struct send_message command;
    uint64_t origin;  /* raft id of the node that took it, */
    uint64_t sending; /* and how that calls its last copy that came: it goes back with a refusal */
    uint64_t content;
    uint64_t queued_ns;
    bool has_token; /* of its sender's rate: it came back to the queue, and is not to pay twice */
    struct proposal *next, *prev;
    UT_hash_handle hh;
    char bytes[];
};

/* What became of an entry that was given to raft. */
enum submitted {
    SUBMITTED,    /* taken: propose_done follows */
    SUBMIT_LATER, /* not the leader (any more): stays in the queue until propose_drop */
    SUBMIT_FULL   /* a majority is short of disk space: refused, busy */
};

struct propose_handler {
    void *owner;
    /* Takes nothing: copies the bytes if it returns SUBMITTED. */
    enum submitted (*submit)(void *owner, struct slice entry);
    /* This one will not be in the log because of this proposal. */
    void (*on_refused)(void *owner, const struct proposal *proposal, enum chat_refusal refusal,
                       uint32_t wait_ms);
    /* We lead no more; it may be in the log if it was in flight. */
    void (*on_dropped)(void *owner, const struct proposal *proposal, bool may_be_in_log);
};

struct propose *propose_new(struct chat *chat, size_t queue_max,
                            const struct propose_handler *handler);
void propose_free(struct propose *propose);

/* Copies the command. What it answers at once comes by on_refused. */
void propose_add(struct propose *propose, const struct send_message *command, uint64_t origin,
                 uint64_t sending);

/* Makes a batch and submits it, if nothing is in flight and something is queued. Only for a leader
 * that is ready. */
void propose_pump(struct propose *propose, uint64_t now_ms, int64_t wall_ms);

/* The entry in flight is applied. */
void propose_done(struct propose *propose);
/* Leadership is lost: everything is dropped, queued and in flight. */
void propose_drop(struct propose *propose);

size_t propose_waiting(const struct propose *propose); /* queued and in flight */

/* For a barrier: a mark behind what is queued now, and whether all before it is in the log. */
uint64_t propose_mark(const struct propose *propose);
bool propose_passed(const struct propose *propose, uint64_t mark);

/* From propose_add to propose_done. */
const struct histogram *propose_times(const struct propose *propose);
