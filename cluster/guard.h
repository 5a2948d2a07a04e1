/* The guard: stands between raft and its disk and network, and catches what the library gets wrong.
 *
 * raft talks to the world through a public table of functions, struct raft_io. After raft_init the
 * guard keeps a copy of that table and puts its own functions in; each does its check and calls the
 * one below. Nothing of the library is changed, and the guard knows no libuv, so that the same file
 * stands on the simulator's raft_io in the tests. libraft 0.22.1, docs/decisions/0002:
 *
 *   what would go wrong                                   what the guard does
 *   ----------------------------------------------------------------------------------------------
 *   a membership change behind other entries in a         cuts the message before the change; the
 *   message is booked at a wrong index                    leader sends the rest again
 *   a snapshot that arrives while one of ours is being    drops it; the leader tries again
 *   written: NULL pointer
 *   a failed append, snapshot, truncation, term or vote   ends the process
 *   is forgotten; a failed write is retried by a wrong
 *   timer: NULL pointer
 *   a leader that contradicts a committed entry is        ends the process
 *   ignored; so are errors inside: a node stands still    and so does the watchdog, when something
 *   and looks alive                                       committed is not applied for 10 s
 *   a new leader whose disk is short of space gives its   tries again on later ticks
 *   first entry up and commits nothing of old terms
 *
 * And it does what our own design asks for:
 *
 *   ready      a leader takes commands when everything of earlier terms is applied
 *   held       our own snapshot is written only when the event store is durable up to its number
 *   gap        a node whose history lacks events below its log asks for no votes before five election
 *              timeouts without a leader, declines to be handed leadership, and takes no entries when
 *              too much waits for the missing ones
 *   tell       followers learn at once that an entry is committed
 *
 * About the last: when a majority has an entry the library moves the leader's commit index, but tells
 * it only in the next AppendEntries, which without new entries is the heartbeat, up to 40 ms later:
 * that long the page on another node would wait. guard_tell_commit sends what a heartbeat would be:
 * an AppendEntries without entries that stands on the follower's match index, so it cannot be refused
 * by a follower that is what the leader believes, and changes nothing but the commit index there.
 * To be called at the end of a turn of the loop: if the next batch was just sent, it said so already.
 *
 * Raft's thread; the tracer's callback alone may come from another one, and only ends the process.
 */
#pragma once
#include <raft.h>

#include "base/histogram.h"
#include "base/limits.h"

enum { GUARD_SERVERS_MAX = 2 * PEERS_MAX };

struct guard_handler {
    void *owner;
    /* Must not return, and may be called on any thread. */
    void (*on_fatal)(void *owner, const char *what, int status);
    /* State, term, leader or readiness may differ now. Raft's thread. May be NULL. */
    void (*on_change)(void *owner);
};

struct guard_picture { /* of what on_change tells */
    unsigned short state;
    raft_term term;
    raft_id leader;
    bool is_ready;
};

struct guard_told {
    raft_id id;
    raft_index commit; /* the highest that we told this follower and that it can use */
};

struct guard {
    struct raft *raft;
    struct raft_io real; /* the functions that were replaced */
    raft_io_tick_cb tick;
    raft_io_recv_cb recv;
    struct guard_handler handler;
    struct raft_tracer tracer; /* for raft_uv_set_tracer */
    struct guard_picture picture;

    raft_term seen_term;  /* as leader: the term that ready_at belongs to */
    raft_index ready_at;  /* everything up to here is of earlier terms */
    raft_term ready_term; /* the term in which it is all applied */
    struct raft_barrier barrier;
    raft_term barrier_term; /* ours was appended in this term; 0 = it is not in use */

    struct guard_put *held; /* our snapshot that waits for the store, or NULL */
    uint64_t manifest;      /* event number in the manifest that fsm->snapshot returned */
    uint64_t durable;       /* the store is on disk up to this number */

    bool has_gap;     /* events are missing below the log, */
    size_t gap_bytes; /* and so many bytes of entries wait behind the gap */

    raft_time heard;      /* raft_io's clock when a leader last spoke, or we led */
    raft_id heard_from;   /* who that was, */
    raft_term heard_term; /* and in which term */
    raft_time silence;    /* how long nobody had, when the present leader began; 0 = not known */
    raft_index leader_commit; /* as the leader told it last */

    struct guard_told told[GUARD_SERVERS_MAX];
    size_t told_count;
    raft_term told_term;

    raft_index stuck_at; /* watchdog: the applied index, */
    unsigned stuck_ms;   /* and for how long it stands below the commit index */

    uint64_t write_started_ns;
    struct histogram writes;          /* of raft's log to the disk */
    uint64_t trimmed, dropped, tells; /* counters for the status */
};

/* After raft_init (and, with raft_uv, before its tracer is set), before raft_start. raft->data is
 * the guard's from now on. */
void guard_install(struct guard *guard, struct raft *raft, const struct guard_handler *handler);

/* May this node, as leader, take commands? */
bool guard_ready(struct guard *guard);

/* End of a turn of the loop. */
void guard_tell_commit(struct guard *guard);

/* The number in the manifest that fsm->snapshot is about to return. */
void guard_manifest(struct guard *guard, uint64_t number);
/* The event store is on disk up to this number. */
void guard_durable(struct guard *guard, uint64_t number);
/* The machine lacks events below the log, and so many bytes wait for them; or no longer. */
void guard_gap(struct guard *guard, bool has_gap, size_t bytes);

/* The term of the log's entry at `index`, 0 if it is not known (any more). */
raft_term guard_term_at(const struct raft *raft, raft_index index);

/* raft_uv's trace events of its writes, as numbers: see raft/uv.h. */
enum { GUARD_WRITE_SUBMIT = 1 << 8, GUARD_WRITE_COMPLETE = 2 << 8 };
