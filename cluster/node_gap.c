/* A node that may not lead, and what it does about it: with a gap it fetches what is missing and tells how
 * far it is, with a full disk it waits, when its log stands still it says so; leading in that state, it looks
 * for somebody better.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cluster/node_state.h"

enum { PROGRESS_EVERY_MS = 10 * 1000 };

/* Not at the next tick: whoever asks for the status in between must not be told that all is well. */
static void drop_readiness(struct node *node)
{
    node->was_level = false;
    node->options.handler.on_change(node->options.handler.owner);
}

/* ---- a gap ---- */

static void want(struct node *node)
{
    const struct machine *machine = &node->machine;
    bool is_missing = machine->has_gap && !machine->is_filled;
    uint64_t number = node->options.chat->number;
    uint64_t goal = is_missing ? machine->goal.number : 0;
    if (goal == node->gap.goal) return;
    node->gap.goal = goal;
    backfill_want(node->backfill, number, goal == 0 ? number : goal, clock_ms());
}

static void gap_opens(struct node *node)
{
    const struct machine *machine = &node->machine;
    node->gap.is_open = true;
    node->gap.from = node->options.chat->number;
    node->gap.opened_ms = node->gap.told_ms = clock_ms();
    log_warn("history behind", "number=%" PRIu64 " goal=%" PRIu64 " index=%" PRIu64, node->gap.from,
             machine->goal.number, machine->goal.index);
    node_event(node, CLUSTER_CATCHING_UP, node->id, 0);
}

static void gap_closes(struct node *node)
{
    uint64_t took_ms = clock_ms() - node->gap.opened_ms;
    uint64_t events = node->machine.goal.number - node->gap.from;
    node->gap.is_open = false;
    log_info("history caught up",
             "events=%" PRIu64 " seconds=%.1f events_per_second=%" PRIu64 " number=%" PRIu64,
             events, (double)took_ms / 1000, events * 1000 / (took_ms == 0 ? 1 : took_ms),
             node->options.chat->number);
    node_event(node, CLUSTER_CAUGHT_UP, node->id, took_ms);
}

void node_gap_changed(void *owner)
{
    struct node *node = owner;
    const struct machine *machine = &node->machine;
    bool opens = machine->has_gap && !node->gap.is_open;
    bool closes = !machine->has_gap && node->gap.is_open;
    guard_gap(&node->guard, machine->has_gap, machine->waiting_bytes);
    if (opens) gap_opens(node);
    want(node);
    if (closes) gap_closes(node);
    if (opens) drop_readiness(node);
    if (closes) node->options.handler.on_change(node->options.handler.owner);
}

static void tell_progress(struct node *node, uint64_t now_ms)
{
    const struct machine *machine = &node->machine;
    if (!machine->has_gap || now_ms - node->gap.told_ms < PROGRESS_EVERY_MS) return;
    node->gap.told_ms = now_ms;
    uint64_t number = node->options.chat->number;
    log_info("history catching up",
             "number=%" PRIu64 " goal=%" PRIu64 " waiting_mib=%zu seconds=%" PRIu64, number,
             machine->goal.number, machine->waiting_bytes >> 20,
             (now_ms - node->gap.opened_ms) / 1000);
}

void node_give_away(struct node *node, raft_id to, const char *reason)
{
    if (node_begin_transfer(node, to) != 0) return;
    log_info("hands over leadership", "to=%s reason=%s", to == 0 ? "any" : node_name_of(node, to),
             reason);
}

/* ---- the disk ---- */

/* The one who is asked may have gone just now: it is tried again. Once somebody has taken over, this node is done
 * with it, should it lead again: the others may have no more room than we. */
static void hand_over_low(struct node *node)
{
    if (!node->is_leading) {
        if (node->disk_low_tries > 0) node->disk_low_tries = DISK_LOW_TRIES_MAX;
        return;
    }
    if (node->is_transferring || node->disk_low_tries >= DISK_LOW_TRIES_MAX) return;
    node->disk_low_tries++;
    node_give_away(node, 0, "disk_low");
}

void node_disk(struct node *node, uint64_t free_bytes)
{
    if (node->phase != NODE_RUNNING) return;
    const char *path = node->options.dir->path;
    bool was_full = node->guard.is_disk_full;
    bool is_full = free_bytes < (was_full ? DISK_FREE_AGAIN : DISK_FREE_MIN);
    bool is_low = free_bytes < DISK_FREE_LOW;
    if (is_low && !node->is_disk_low) {
        log_error("disk nearly full", "path=%s free_mib=%" PRIu64, path, free_bytes >> 20);
    }
    node->is_disk_low = is_low;
    if (is_low)
        hand_over_low(node);
    else
        node->disk_low_tries = 0;
    if (is_full == was_full) return;

    guard_disk_full(&node->guard, is_full);
    node_event(node, is_full ? CLUSTER_DISK_FULL : CLUSTER_DISK_FREE, node->id, 0);
    if (is_full) {
        log_error("disk full", "path=%s free_mib=%" PRIu64, path, free_bytes >> 20);
        drop_readiness(node);
    } else {
        log_info("disk has room again", "path=%s free_mib=%" PRIu64, path, free_bytes >> 20);
    }
}

/* ---- the log ---- */

/* A leader goes on without its own disk, but not well. Not at each tick: who is asked may have the same
 * trouble, and while raft waits for it nothing is taken. */
static void look_at_log(struct node *node, uint64_t now_ms)
{
    const struct guard *guard = &node->guard;
    if (!watchdog_stands_still(&guard->watchdog)) {
        if (node->log_still_ms != 0) {
            log_info("raft's log goes on", "stored=%" PRIu64, (uint64_t)node->raft.last_stored);
        }
        node->log_still_ms = 0;
        return;
    }
    if (node->log_still_ms != 0 && now_ms - node->log_still_ms < LOG_STILL_LEADER_MS) return;
    node->log_still_ms = now_ms;
    log_error("raft's log stands still", "stored=%" PRIu64 " last=%" PRIu64 " still_ms=%u",
              (uint64_t)node->raft.last_stored, (uint64_t)raft_last_index(&node->raft),
              guard->watchdog.not_stored_ms);
    if (!node->is_leading) return;
    node_give_away(node, 0, "log_still");
}

/* ---- leading all the same ---- */

static bool says_unfit(const struct neighbour *neighbour)
{
    return (neighbour->last.flags & (BEAT_CATCHING_UP | BEAT_DISK_FULL)) != 0;
}

static bool is_sound(const struct neighbour *neighbour)
{
    return neighbour->is_known && !neighbour->is_away && !says_unfit(neighbour);
}

/* The voter that lacks nothing and has applied most; 0 = none. */
static raft_id sound_voter(struct node *node)
{
    const struct raft_configuration *members = &node->raft.configuration;
    const struct neighbour *best = NULL;
    for (unsigned i = 0; i < members->n; i++) {
        if (members->servers[i].role != RAFT_VOTER) continue;
        const struct neighbour *other = beats_find(&node->beats, members->servers[i].id);
        if (other == NULL || !is_sound(other)) continue;
        bool is_better = best == NULL || other->last.applied_index > best->last.applied_index;
        if (is_better) best = other;
    }
    return best == NULL ? 0 : best->id;
}

raft_id node_heir(struct node *node)
{
    for (size_t i = 0; i < node->beats.count; i++) {
        const struct neighbour *other = &node->beats.neighbours[i];
        if (says_unfit(other) || other->is_away) return sound_voter(node);
    }
    return 0;
}

static void maybe_hand_over(struct node *node)
{
    if (!node->is_leading || !guard_is_unfit(&node->guard) || node->is_transferring) return;
    raft_id to = sound_voter(node);
    if (to == 0) return;
    node_give_away(node, to, node->guard.has_gap ? "gap" : "disk_full");
}

void node_gap_tick(struct node *node, uint64_t now_ms)
{
    tell_progress(node, now_ms);
    look_at_log(node, now_ms);
    maybe_hand_over(node);
}

void node_gap_status(const struct node *node, struct cluster_status *status)
{
    const struct machine *machine = &node->machine;
    struct backfill_progress progress = {.peer = 0};
    backfill_progress(node->backfill, &progress, clock_ms());
    status->backfilled_in = progress.events;
    if (node->reads != NULL) status->backfilled_out = backfill_read_events(node->reads);
    status->has_gap = machine->has_gap;
    if (!machine->has_gap) return;
    status->gap.from = node->gap.from;
    status->gap.goal = machine->goal.number;
    /* What waited is beyond it. */
    status->gap.number = machine->is_filled ? machine->goal.number : node->options.chat->number;
    status->gap.events_per_second = progress.events_per_second;
    status->gap.waiting_bytes = machine->waiting_bytes;
    snprintf(status->gap.peer, sizeof status->gap.peer, "%s",
             progress.peer == 0 ? "" : node_name_of(node, progress.peer));
}
