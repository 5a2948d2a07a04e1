/* The watchdog: a node whose log stands still answers, knows who leads, and looks alive.
 *
 * Whatever keeps raft's log from going on, a fault of the library's, a disk that never answers, a file
 * that is in the way, the node would be behind for ever. A new start heals most of it: what was never
 * stored comes from the leader again. So the process ends, and its supervisor starts it. That is right
 * only when the cause is here and does not pass by itself, so there are two counts:
 *
 *   not applied   something is committed and not applied, though no snapshot is being installed
 *   not stored    the leader has more than we have stored, and it is known that this is our doing: an
 *                 append is under way, or the installation of a snapshot, or what comes is dropped until
 *                 something of ours has ended
 *
 * Any step forward, of the log or of one append, begins the second anew: a slow disk moves, and what is
 * large may take its time (LOG_STILL_BYTES_PER_S). So does a disk or a quota that has no room, which is
 * somebody's to mend and must not end the node. While no leader is heard, and in a gap, where all the
 * disk's time goes to the events, the count waits. One that is behind with nothing under way has not got
 * it yet: that is the leader's or the network's doing.
 *
 * A leader goes on by the disks of the others, so it is not ended but to give leadership away, and
 * soon. As a follower it is then one like any other.
 *
 * Time is counted in ticks, each at most for the time that is meant to lie between two: a process that
 * was stopped, or a machine that slept, has had one tick and not an hour.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct watchdog_view { /* how things are at a tick */
    bool is_leader;
    bool hears_leader; /* follows one that spoke just now */
    uint64_t committed, applied;
    uint64_t wanted;    /* the leader's last entry, as far as it has told */
    uint64_t stored;    /* our last one on the disk */
    uint64_t appended;  /* appends that have ended, ever */
    bool is_appending;  /* one is under way, */
    uint64_t bytes;     /* or more, of so many bytes */
    bool is_installing; /* a snapshot of the leader's */
    bool is_holding;    /* what the leader sends is dropped until something of ours has ended */
    bool lacks_room;    /* the disk, or a quota */
    bool has_gap;
};

struct watchdog {
    uint64_t applied;
    uint64_t stored, appended;
    unsigned not_applied_ms, not_stored_ms;
};

enum watchdog_verdict { WATCHDOG_WELL, WATCHDOG_NOT_APPLIED, WATCHDOG_NOT_STORED };

/* Once for each tick; `tick_ms` is the time that is meant to lie between two. Anything but WELL ends the
 * process. */
enum watchdog_verdict watchdog_tick(struct watchdog *watchdog, const struct watchdog_view *view,
                                    unsigned tick_ms);

/* For so long that it should not lead: LOG_STILL_LEADER_MS. */
bool watchdog_stands_still(const struct watchdog *watchdog);
