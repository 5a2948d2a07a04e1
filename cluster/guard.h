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
 *   a message from entry 1 on reaches a follower whose    cuts off what is in the snapshot, on which
 *   log begins later by now: all of it is appended once   the rest then stands; the answer tells the
 *   more, at wrong indexes, and freed below its           leader how far the follower is
 *   beginning: NULL pointer
 *   an entry that was cut comes again while the first     drops the message; the leader sends it again
 *   one is still being sent or written (two leaders
 *   came between): raft takes it into one of its two
 *   lists and not into the other
 *   a late snapshot, or entries from 1 on, of an earlier  drops it: there is nothing in it for us
 *   term: the answer claims any index, and who leads
 *   again counts it: what few have is committed
 *   a snapshot that arrives while one of ours is being    drops it; the leader tries again
 *   written (NULL pointer), or another one installed
 *   (it is never freed)
 *   a snapshot that arrives when the disk is full: its    drops it; the leader tries again
 *   files are tried again and again, and what is
 *   committed behind it is not applied
 *   a log that is cut while a snapshot of ours is being   drops the message; the leader sends it again
 *   written: on the disk it is not cut, and after the
 *   next start what was cut is there again, and all that
 *   came instead of it stands behind, at wrong indexes
 *   a snapshot that was replaced by a later one while it  puts the right term in
 *   was read for a follower goes with the later index
 *   and the earlier term: the follower takes what is
 *   committed for a contradiction, for ever
 *   who is the only voter makes itself leader without     begins a term of its own
 *   an election, in the term that is there: what it
 *   lost when it ended, or another leader sent, may be
 *   at a stand-by, and what it puts in its place looks
 *   the same
 *   who knows of no vote that it has grants none, and     answers as one who has a vote (Ongaro, 4.2.2);
 *   never notices that its leader is silent: when an      who asks counts those that have one
 *   only voter makes a second one and its change is in
 *   its own log alone, nobody is elected any more
 *   a failed append, snapshot, term or vote, or closing   ends the process
 *   of a segment, is forgotten; a failed write is retried
 *   by a wrong timer: NULL pointer
 *   a log that cannot be cut, for want of a descriptor or  ends the process
 *   of space or because it cannot be read, is gone on
 *   with, without a word: what comes instead is written
 *   behind what was to be cut, and stands at wrong indexes
 *   after the next start
 *   a snapshot that cannot be read for a follower: raft   ends the process
 *   frees what it never got
 *   a snapshot that was read for a follower is sent by    is not sent
 *   a node that closes: an assertion
 *   a leader that contradicts a committed entry is        ends the process
 *   ignored; so are errors inside: a node stands still    and so does the watchdog (watchdog.h), when
 *   and looks alive                                       something committed is not applied for 10 s, or a
 *                                                         follower's log has stood still for 30 s
 *   a new segment whose directory could not be flushed,   removes the file before each further try
 *   for want of a descriptor, stays in the directory, in
 *   the way of all further tries: no more is written
 *   a new leader whose disk is short of space gives its   tries again on later ticks
 *   first entry up and commits nothing of old terms
 *   a send that fails at once, of the answer to an        tells it later, as a message that was lost
 *   AppendEntries: its entries are freed twice
 *
 * And it does what our own design asks for:
 *
 *   ready      a leader takes commands when everything of earlier terms is applied
 *   held       our own snapshot is written only when the event store is durable up to its number; and
 *              one that finds no space is tried again at each tick
 *   unfit      a node whose history lacks events below its log (a gap), or whose disk is full, asks for
 *              no votes before five election timeouts without a leader, and declines to be handed
 *              leadership. It takes no entries: with a gap, when too much waits for the missing events;
 *              with a full disk, none at all, for what raft cannot write it keeps in memory. The message
 *              without them is let in, so that it goes on following its leader
 *   prompt     nobody waits for a heartbeat: see below
 *
 * A lone message in a quiet room would wait for the library's clock, the heartbeat, two times over: for
 * up to 40 ms before it is sent, and for as long again until the followers learn that it is committed.
 * Measured without what follows: 33 ms until the leader's answer, 78 ms until another node shows it;
 * with it 0.4 and 0.5 ms.
 *
 *   commit     When a majority has an entry the leader's commit index moves, but is told only in the
 *              next AppendEntries. guard_tell_commit sends one at once, at the end of a turn of the
 *              loop; if the next batch was just sent, that has said it already.
 *   pipeline   The leader's tick asks whether it has heard of each follower since the last tick. After a
 *              message it skips a heartbeat, so one tick later there was nothing to be heard, the
 *              follower counts as unreachable, and new entries go to it only with the heartbeat (probe
 *              instead of pipeline). So the guard sends at each tick at which raft did not.
 *   first      All followers of a new leader are in that state until they acknowledge an entry. So a new
 *              leader always begins its term with one, a barrier, sent at once.
 *
 * What the guard sends is what a heartbeat is: an AppendEntries without entries in the leader's term
 * that stands on the follower's match index. A follower that is what the leader believes cannot refuse
 * it, it changes nothing there but the commit index, and its answer tells the leader nothing new; a
 * refusal of one that has lost its log is ignored as stale, like that of any heartbeat.
 *
 * Raft's thread; the tracer's callback alone may come from another one, and only ends the process.
 */
#pragma once
#include <raft.h>

#include "base/histogram.h"
#include "base/limits.h"
#include "cluster/watchdog.h"

enum { GUARD_SERVERS_MAX = 2 * MEMBERS_MAX };

struct guard_handler {
    void *owner;
    /* Must not return, and may be called on any thread. */
    void (*on_fatal)(void *owner, const char *what, int status);
    /* State, term, leader or readiness may differ now. Raft's thread. May be NULL. */
    void (*on_change)(void *owner);
    /* A snapshot of ours is on the disk: its manifest's number, and how long raft's thread was busy with
     * it. May be NULL. */
    void (*on_snapshot)(void *owner, raft_index index, uint64_t number, uint64_t took_us);
    /* This file of the log could not be made, and is about to be made again: what is left of it must go.
     * NULL is a file of a snapshot, of which nothing is left. True: there was no room for it. Raft's
     * thread. May be NULL. */
    bool (*on_retry)(void *owner, const char *file);
};

struct guard_picture { /* of what on_change tells */
    unsigned short state;
    raft_term term;
    raft_id
        leader; /* 0: none; nor one who has been silent for so long that a voter had stood for election */
    bool is_ready;
};

struct guard_follower { /* as leader: one that we send to */
    raft_id id;
    raft_index told;   /* the highest commit index that we told it and that it can use */
    raft_time sent_at; /* raft_io's clock when anything went to it */
};

/* Entries that raft has given away to be sent or written, until it is told the end. */
struct guard_hold {
    raft_index first;
    const struct raft_entry *entries; /* raft's; stay as long */
    unsigned n;
    struct guard_hold *next, *prev;
};

struct guard {
    struct raft *raft;
    struct raft_io real; /* the functions that were replaced */
    raft_io_tick_cb tick;
    raft_io_recv_cb recv;
    struct guard_handler handler;
    struct raft_tracer tracer; /* for raft_uv_set_tracer */
    struct guard_picture picture;

    raft_term seen_term;    /* as leader: the term that ready_at belongs to */
    raft_index ready_at;    /* everything up to here is of earlier terms */
    raft_term ready_term;   /* the term in which it is all applied */
    raft_term barrier_term; /* as leader: our barrier was appended in this term */

    struct guard_hold *holds;
    raft_index append_at;               /* of the next append's first entry */
    bool is_cutting;                    /* the disk cuts the log: see follow_cut */
    unsigned appending;                 /* appends that are under way, */
    uint64_t appending_bytes, appended; /* how large they are, and how many have ended */

    bool is_putting;        /* a snapshot of ours is on its way to the disk */
    struct guard_put *held; /* a snapshot that waits for the store or for space, or NULL */
    uint64_t manifest;      /* event number in the manifest that fsm->snapshot returned, */
    uint64_t manifest_ns;   /* and when it was asked for */
    uint64_t durable;       /* the store is on disk up to this number */
    uint64_t snapshots,
        snapshot_us_max; /* of ours: written, and the longest time on raft's thread */

    bool has_gap;     /* events are missing below the log, */
    size_t gap_bytes; /* and so many bytes of entries wait behind the gap */
    size_t lag_bytes; /* of events that are applied and wait for the event store's disk */
    bool is_disk_full;

    raft_time heard;      /* raft_io's clock when a leader last spoke, or we led */
    raft_id heard_from;   /* who that was, */
    raft_term heard_term; /* and in which term */
    raft_time silence;    /* how long nobody had, when the present leader began; 0 = not known */
    raft_index leader_commit; /* as the leader told it last */
    raft_index leader_last;   /* the highest index that the leader of this term has told of */
    raft_term leader_last_term;
    raft_time held_at; /* when its entries were dropped for something of ours; 0 = they pass */
    bool lacks_room;   /* on_retry has said so since the last tick */

    struct guard_follower followers[GUARD_SERVERS_MAX];
    size_t followers_count;
    raft_term followers_term;

    struct watchdog watchdog;

    uint64_t write_started_ns;
    struct histogram writes;          /* of raft's log to the disk */
    uint64_t trimmed, dropped, tells; /* counters for the status */
};

/* After raft_init (and, with raft_uv, before its tracer is set), before raft_start. raft->data is
 * the guard's from now on. */
void guard_install(struct guard *guard, struct raft *raft, const struct guard_handler *handler);

/* It had better not lead: it has a gap, or a full disk. */
static inline bool guard_is_unfit(const struct guard *guard)
{
    return guard->has_gap || guard->is_disk_full;
}

/* No entries: the events of those that it has wait in memory, or nothing can be written. */
static inline bool guard_takes_nothing(const struct guard *guard)
{
    bool gap_is_full = guard->has_gap && guard->gap_bytes > GAP_BYTES_MAX;
    return gap_is_full || guard->lag_bytes > STORE_LAG_BYTES_MAX || guard->is_disk_full;
}

/* May this node, as leader, take commands? */
bool guard_ready(struct guard *guard);

/* End of a turn of the loop. */
void guard_tell_commit(struct guard *guard);

/* fsm->snapshot was called, and is about to return a manifest of this number. */
void guard_manifest(struct guard *guard, uint64_t number);
/* The event store is on disk up to this number. */
void guard_durable(struct guard *guard, uint64_t number);
/* The machine lacks events below the log, and so many bytes wait for them; or no longer. */
void guard_gap(struct guard *guard, bool has_gap, size_t bytes);

/* So many bytes of events wait for the store's disk. Beyond STORE_LAG_BYTES_MAX no entries are taken:
 * the others go on, and memory has an end. */
void guard_lag(struct guard *guard, size_t bytes);

/* There is no room for entries, or there is again. */
void guard_disk_full(struct guard *guard, bool is_full);

/* The term of the log's entry at `index`, 0 if it is not known (any more). */
raft_term guard_term_at(const struct raft *raft, raft_index index);

/* raft_uv's trace events of its writes, as numbers: see raft/uv.h. */
enum { GUARD_WRITE_SUBMIT = 1 << 8, GUARD_WRITE_COMPLETE = 2 << 8 };
