/* Longer than 500 lines because everything that is put between raft and its struct raft_io has to be seen
 * in one place: a part for each line of the table in guard.h.
 */
#include "cluster/guard.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <utlist.h>

#include "base/clock.h"
#include "base/mem.h"

enum {
    UNFIT_PATIENCE = 5,        /* election timeouts */
    APPEND_ENTRIES_VERSION = 0 /* of the message that we make ourselves */
};

static struct guard *guard_of(struct raft_io *io)
{
    const struct raft *raft = io->data;
    return raft->data;
}

static void fatal(struct guard *guard, const char *what, int status)
{
    guard->handler.on_fatal(guard->handler.owner, what, status);
}

/* raft keeps one record for each term: the index of the last entry of that term. */
raft_term guard_term_at(const struct raft *raft, raft_index index)
{
    const struct raft_trail *trail = &raft->trail;
    if (index == 0) return 0;
    if (index == trail->snapshot.index) return trail->snapshot.term;
    if (index <= trail->offset || trail->size == 0) return 0;
    for (unsigned i = trail->front; i != trail->back; i = (i + 1) % trail->size) {
        if (index <= trail->records[i].index) return trail->records[i].term;
    }
    return 0;
}

/* ---- what follows from every step of raft ---- */

static void look_at_readiness(struct guard *guard)
{
    struct raft *raft = guard->raft;
    if (raft->state != RAFT_LEADER) return;
    if (guard->seen_term != raft->current_term) { /* just elected */
        guard->seen_term = raft->current_term;
        guard->ready_at = raft_last_index(raft);
    }
    if (raft_last_applied(raft) >= guard->ready_at) guard->ready_term = raft->current_term;
}

static bool is_ready(const struct guard *guard)
{
    const struct raft *raft = guard->raft;
    return !guard_is_unfit(guard) && raft->state == RAFT_LEADER &&
           guard->ready_term == raft->current_term && raft_transferee(raft) == 0;
}

static void note_leader(struct guard *guard, raft_id id, raft_term term)
{
    raft_time now = guard->real.time(guard->raft->io);
    if (guard->heard_from != id || guard->heard_term != term) {
        guard->silence = guard->heard_from == 0 ? 0 : now - guard->heard;
        guard->heard_from = id;
        guard->heard_term = term;
    }
    guard->heard = now;
}

/* The leader's last index grows within its term; it may tell of entries, or of what is committed only. */
static void note_leaders_log(struct guard *guard, const struct raft_append_entries *message)
{
    raft_index last = message->prev_log_index + message->n_entries;
    if (message->leader_commit > last) last = message->leader_commit;
    guard->leader_commit = message->leader_commit;
    if (guard->leader_last_term == message->term && guard->leader_last >= last) return;
    guard->leader_last_term = message->term;
    guard->leader_last = last;
}

/* In raft's list; NULL if this node is not there. */
static int *own_role(struct raft *raft)
{
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        struct raft_server *server = &raft->configuration.servers[i];
        if (server->id == raft->id) return &server->role;
    }
    return NULL;
}

/* Who has no vote never gives its leader up to raft, however long that is silent; who has one, within two
 * election timeouts. */
static bool has_silent_leader(const struct guard *guard)
{
    struct raft *raft = guard->raft;
    if (raft->state != RAFT_FOLLOWER || raft->snapshot.installing) return false;
    const int *role = own_role(raft);
    if (role != NULL && *role == RAFT_VOTER) return false;
    return guard->real.time(raft->io) - guard->heard >= 2 * raft->election_timeout;
}

static void after_step(struct guard *guard)
{
    struct raft *raft = guard->raft;
    raft_id leader;
    const char *address;
    look_at_readiness(guard);
    if (raft->state == RAFT_LEADER) note_leader(guard, raft->id, raft->current_term);
    raft_leader(raft, &leader, &address);
    if (has_silent_leader(guard)) leader = 0;
    struct guard_picture now = {.state = raft->state,
                                .term = raft->current_term,
                                .leader = leader,
                                .is_ready = is_ready(guard)};
    struct guard_picture *seen = &guard->picture;
    bool is_same = now.state == seen->state && now.term == seen->term &&
                   now.leader == seen->leader && now.is_ready == seen->is_ready;
    if (is_same) return;
    *seen = now;
    if (guard->handler.on_change != NULL) guard->handler.on_change(guard->handler.owner);
}

bool guard_ready(struct guard *guard)
{
    look_at_readiness(guard);
    return is_ready(guard);
}

/* ---- messages that come in ---- */

static void check_entries(struct guard *guard, struct raft_append_entries *message)
{
    const struct raft *raft = guard->raft;
    if (message->term < raft->current_term) return;
    if (message->term == raft->current_term && raft->state == RAFT_LEADER) {
        fatal(guard, "two leaders in one term", RAFT_SHUTDOWN);
    }
    raft_index previous = message->prev_log_index;
    raft_term have = guard_term_at(raft, previous);
    if (have != 0 && have != message->prev_log_term && previous <= raft->commit_index) {
        fatal(guard, "the leader's log disagrees with a committed entry", RAFT_CORRUPT);
    }
    for (unsigned i = 0; i < message->n_entries; i++) {
        raft_index index = previous + 1 + i;
        if (index > raft->commit_index) break;
        have = guard_term_at(raft, index);
        if (have != 0 && have != message->entries[i].term) {
            fatal(guard, "the leader would overwrite a committed entry", RAFT_CORRUPT);
        }
    }
}

/* A change may only be the first in its message. */
static void cut_before_change(struct guard *guard, struct raft_append_entries *message)
{
    for (unsigned i = 1; i < message->n_entries; i++) {
        if (message->entries[i].type != RAFT_CHANGE) continue;
        message->n_entries = i;
        guard->trimmed++;
        return;
    }
}

/* What is left is a heartbeat. */
static void take_out_entries(struct raft_append_entries *message)
{
    if (message->n_entries == 0) return;
    raft_free(message->entries[0].batch);
    raft_free(message->entries);
    message->entries = NULL;
    message->n_entries = 0;
}

/* Entries from below the beginning of our log: they are in our snapshot, which is committed, so the leader
 * has the same there. The message is made to stand on the snapshot. */
static void cut_below_log(struct guard *guard, struct raft_append_entries *message)
{
    const struct raft *raft = guard->raft;
    raft_index first = message->prev_log_index + 1, snapshot = raft->trail.snapshot.index;
    if (message->n_entries == 0 || message->term < raft->current_term) return;
    if (raft->snapshot.installing) return; /* raft ignores it */
    if (first > snapshot || guard_term_at(raft, first) != 0) return;
    raft_index known = snapshot - message->prev_log_index;
    message->prev_log_index = snapshot;
    message->prev_log_term = raft->trail.snapshot.term;
    guard->trimmed++;
    if (known < message->n_entries) {
        message->n_entries -= (unsigned)known;
        memmove(message->entries, message->entries + known,
                message->n_entries * sizeof *message->entries);
        return;
    }
    take_out_entries(message);
}

static void drop_snapshot(struct guard *guard, struct raft_install_snapshot *message)
{
    raft_configuration_close(&message->conf);
    raft_free(message->data.base);
    guard->dropped++;
}

/* The answer to what an earlier term's leader sent says whatever was in memory where it should say how far
 * we are. One who leads in our term again takes it for true, unless it is a refusal. */
static bool drops_stale(struct guard *guard, struct raft_message *message)
{
    raft_term term = guard->raft->current_term;
    struct raft_append_entries *entries = &message->append_entries;
    if (message->type == RAFT_INSTALL_SNAPSHOT && message->install_snapshot.term < term) {
        drop_snapshot(guard, &message->install_snapshot);
        return true;
    }
    if (message->type != RAFT_APPEND_ENTRIES || entries->term >= term) return false;
    if (entries->prev_log_index > 0) return false;
    take_out_entries(entries);
    guard->dropped++;
    return true;
}

/* ---- entries that raft has given away ---- */

static void hold(struct guard *guard, struct guard_hold *hold, raft_index first,
                 const struct raft_entry *entries, unsigned n)
{
    *hold = (struct guard_hold){.first = first, .entries = entries, .n = n};
    DL_APPEND(guard->holds, hold);
}

static void let_go(struct guard *guard, struct guard_hold *hold)
{
    DL_DELETE(guard->holds, hold);
}

static bool is_held(const struct guard *guard, raft_index index, raft_term term)
{
    const struct guard_hold *held;
    DL_FOREACH(guard->holds, held) {
        if (index < held->first || index - held->first >= held->n) continue;
        if (held->entries[index - held->first].term == term) return true;
    }
    return false;
}

/* Would raft append what it has appended before, cut off, and not got back yet? */
static bool comes_too_early(const struct guard *guard, const struct raft_append_entries *message)
{
    for (unsigned i = 0; i < message->n_entries; i++) {
        raft_index index = message->prev_log_index + 1 + i;
        raft_term term = message->entries[i].term;
        bool is_new = guard_term_at(guard->raft, index) != term;
        if (is_new && is_held(guard, index, term)) return true;
    }
    return false;
}

/* Do they contradict what we have? raft would cut that off. */
static bool cuts(const struct guard *guard, const struct raft_append_entries *message)
{
    for (unsigned i = 0; i < message->n_entries; i++) {
        raft_term have = guard_term_at(guard->raft, message->prev_log_index + 1 + i);
        if (have != 0 && have != message->entries[i].term) return true;
    }
    return false;
}

/* False: the message was dropped, and what it owned was freed. */
static bool lets_in(struct guard *guard, struct raft_message *message)
{
    struct raft *raft = guard->raft;
    struct raft_append_entries *entries = &message->append_entries;
    if (raft->legacy.closing) return true; /* raft frees it by itself */
    if (drops_stale(guard, message)) return false;
    if (message->type == RAFT_APPEND_ENTRIES) {
        check_entries(guard, entries);
        if (entries->term >= raft->current_term) {
            note_leader(guard, message->server_id, entries->term);
            note_leaders_log(guard, entries);
        }
        cut_below_log(guard, entries);
        cut_before_change(guard, entries);
        bool is_early =
            comes_too_early(guard, entries) || (guard->is_putting && cuts(guard, entries));
        if (entries->n_entries > 0) guard->held_at = is_early ? guard->real.time(raft->io) : 0;
        /* To one that lags raft sends nothing without entries, so that it soon knows of no leader and asks for
         * votes. Here that is right: it pushes out what waits to be sent. */
        if (is_early && entries->n_entries > 0) {
            take_out_entries(entries);
            guard->dropped++;
            return false;
        }
        /* And here it is not: the message is let in. What is answered is that we have the entry before. */
        if (guard_takes_nothing(guard) && entries->n_entries > 0) {
            take_out_entries(entries);
            guard->dropped++;
        }
    }
    if (message->type == RAFT_INSTALL_SNAPSHOT) {
        raft_term term = message->install_snapshot.term;
        if (term >= raft->current_term) note_leader(guard, message->server_id, term);
        bool is_again = raft->snapshot.installing && term == raft->current_term;
        if (raft->legacy.snapshot_taking || is_again || guard->is_disk_full) {
            drop_snapshot(guard, &message->install_snapshot);
            return false;
        }
    }
    if (message->type == RAFT_TIMEOUT_NOW && guard_is_unfit(guard)) {
        guard->dropped++;
        return false;
    }
    return true;
}

/* ---- messages that go out ---- */

static struct guard_follower *follower_of(struct guard *guard, raft_id id)
{
    if (guard->followers_term != guard->raft->current_term) {
        guard->followers_term = guard->raft->current_term;
        guard->followers_count = 0;
    }
    for (size_t i = 0; i < guard->followers_count; i++) {
        if (guard->followers[i].id == id) return &guard->followers[i];
    }
    if (guard->followers_count == GUARD_SERVERS_MAX) return NULL;
    struct guard_follower *follower = &guard->followers[guard->followers_count++];
    *follower = (struct guard_follower){.id = id};
    return follower;
}

/* What a follower makes of it is the lesser of the commit index and the last entry that the message
 * vouches for. */
static void note_sent(struct guard *guard, const struct raft_message *message)
{
    const struct raft_append_entries *entries = &message->append_entries;
    if (message->type != RAFT_APPEND_ENTRIES || entries->term != guard->raft->current_term) return;
    struct guard_follower *follower = follower_of(guard, message->server_id);
    if (follower == NULL) return;
    raft_index vouched = entries->prev_log_index + entries->n_entries;
    raft_index useful = entries->leader_commit < vouched ? entries->leader_commit : vouched;
    if (useful > follower->told) follower->told = useful;
    follower->sent_at = guard->real.time(guard->raft->io);
}

/* An unfit node must be ticked like any other: a follower that is not goes on believing in a dead
 * leader and refuses its vote to everybody. So it may stand, and is not heard. */
static bool holds_back(struct guard *guard, const struct raft_message *message)
{
    if (message->type != RAFT_REQUEST_VOTE || !guard_is_unfit(guard)) return false;
    raft_time patience = (raft_time)UNFIT_PATIENCE * guard->raft->election_timeout;
    return guard->real.time(guard->raft->io) - guard->heard < patience;
}

/* What was read from the disk may be a later snapshot than the one the message was made for. The library
 * puts the later index in, but leaves the term of the earlier one. False: nobody knows the right one. */
static bool put_right(const struct guard *guard, struct raft_message *message)
{
    struct raft_install_snapshot *install = &message->install_snapshot;
    if (message->type != RAFT_INSTALL_SNAPSHOT) return true;
    raft_term term = guard_term_at(guard->raft, install->last_index);
    if (term != 0) install->last_term = term;
    return term != 0;
}

struct guard_send { /* of entries */
    struct raft_io_send request;
    struct guard *guard;
    struct raft_io_send *original;
    raft_io_send_cb on_done;
    struct guard_hold hold;
};

static void on_entries_sent(struct raft_io_send *request, int status)
{
    struct guard_send *sending = request->data;
    struct raft_io_send *original = sending->original;
    raft_io_send_cb done = sending->on_done;
    let_go(sending->guard, &sending->hold);
    mem_free(sending);
    done(original, status);
}

static int send_entries(struct guard *guard, struct raft_io_send *request,
                        const struct raft_message *message, raft_io_send_cb done)
{
    const struct raft_append_entries *entries = &message->append_entries;
    struct guard_send *sending = mem_new(sizeof *sending);
    *sending = (struct guard_send){.guard = guard, .original = request, .on_done = done};
    sending->request.data = sending;
    hold(guard, &sending->hold, entries->prev_log_index + 1, entries->entries, entries->n_entries);
    int rv = guard->real.send(guard->raft->io, &sending->request, message, on_entries_sent);
    if (rv == 0) return 0;
    let_go(guard, &sending->hold);
    mem_free(sending);
    return rv;
}

static int do_send(struct raft_io *io, struct raft_io_send *request,
                   const struct raft_message *message, raft_io_send_cb done)
{
    struct guard *guard = guard_of(io);
    struct raft_message copy = *message;
    bool is_closing = guard->raft->legacy.closing; /* raft_uv asserts that nothing is sent then */
    if (is_closing || holds_back(guard, message) || !put_right(guard, &copy)) {
        done(request, RAFT_CANCELED);
        return 0;
    }
    note_sent(guard, message);
    bool has_entries =
        message->type == RAFT_APPEND_ENTRIES && message->append_entries.n_entries > 0;
    int rv = has_entries ? send_entries(guard, request, &copy, done)
                         : guard->real.send(io, request, &copy, done);
    /* A message that is lost at once is like one that is lost on its way. */
    if (rv != 0) done(request, rv);
    return 0;
}

static void on_sent(struct raft_io_send *request, int status)
{
    (void)status; /* lost: the next one says it again */
    mem_free(request);
}

/* An AppendEntries without entries, on what the follower has for certain. */
static void send_heartbeat(struct guard *guard, const struct raft_server *server, raft_index match)
{
    struct raft *raft = guard->raft;
    raft_term term = guard_term_at(raft, match);
    if (term == 0) return; /* compacted away: a snapshot is due, not this */
    struct raft_message message = {
        .type = RAFT_APPEND_ENTRIES,
        .server_id = server->id,
        .server_address = server->address,
        .append_entries = {.version = APPEND_ENTRIES_VERSION,
                           .term = raft->current_term,
                           .prev_log_index = match,
                           .prev_log_term = term,
                           .leader_commit = raft->commit_index},
    };
    struct raft_io_send *request = mem_new(sizeof *request);
    if (guard->real.send(raft->io, request, &message, on_sent) != 0) {
        mem_free(request);
        return;
    }
    note_sent(guard, &message);
    guard->tells++;
}

typedef bool (*wants_fn)(struct guard *guard, const struct guard_follower *follower,
                         raft_index match);

static void send_heartbeats(struct guard *guard, wants_fn wants)
{
    struct raft *raft = guard->raft;
    if (raft->state != RAFT_LEADER || raft->legacy.closing) return;
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        raft_index match;
        const struct raft_server *server = &raft->configuration.servers[i];
        if (server->id == raft->id || server->role == RAFT_SPARE) continue;
        if (raft_match_index(raft, server->id, &match) != 0 || match == 0) continue;
        const struct guard_follower *follower = follower_of(guard, server->id);
        if (follower != NULL && wants(guard, follower, match)) {
            send_heartbeat(guard, server, match);
        }
    }
}

static bool can_learn(struct guard *guard, const struct guard_follower *follower, raft_index match)
{
    raft_index commit = guard->raft->commit_index;
    return (commit < match ? commit : match) > follower->told;
}

void guard_tell_commit(struct guard *guard)
{
    send_heartbeats(guard, can_learn);
}

static bool was_passed_over(struct guard *guard, const struct guard_follower *follower,
                            raft_index match)
{
    (void)match;
    return follower->sent_at != guard->real.time(guard->raft->io);
}

/* ---- snapshots ---- */

struct guard_put {
    struct raft_io_snapshot_put request;
    struct guard *guard;
    struct raft_io_snapshot_put *original;
    raft_io_snapshot_put_cb on_put;
    const struct raft_snapshot *snapshot; /* raft's; lives until on_put */
    unsigned trailing; /* entries kept behind it; 0: it was installed, is not ours */
    uint64_t spent_ns; /* of raft's thread */
};

static void count_snapshot(struct guard *guard, const struct guard_put *put)
{
    uint64_t took_us = put->spent_ns / 1000;
    guard->snapshots++;
    if (took_us > guard->snapshot_us_max) guard->snapshot_us_max = took_us;
    if (guard->handler.on_snapshot == NULL) return;
    guard->handler.on_snapshot(guard->handler.owner, put->snapshot->index, guard->manifest,
                               took_us);
}

static void on_put(struct raft_io_snapshot_put *request, int status)
{
    struct guard_put *put = request->data;
    struct guard *guard = put->guard;
    guard->is_putting = false;
    if (status == RAFT_NOSPACE) { /* raft would forget it */
        guard->held = put;
        return;
    }
    if (status != 0 && status != RAFT_CANCELED) {
        fatal(guard, "the snapshot could not be written", status);
    }
    if (status == 0 && put->trailing > 0) count_snapshot(guard, put);
    struct raft_io_snapshot_put *original = put->original;
    raft_io_snapshot_put_cb done = put->on_put;
    mem_free(put);
    done(original, status);
}

static int put_now(struct guard_put *put)
{
    struct guard *guard = put->guard;
    uint64_t from_ns = clock_ns();
    int rv = guard->real.snapshot_put(guard->raft->io, put->trailing, &put->request, put->snapshot,
                                      on_put);
    put->spent_ns += clock_ns() - from_ns;
    guard->is_putting = rv == 0;
    return rv;
}

/* One that was installed waits for no store: the events of it are missing here anyway. */
static bool waits_for_store(const struct guard *guard, const struct guard_put *put)
{
    return put->trailing > 0 && guard->durable < guard->manifest;
}

static int do_snapshot_put(struct raft_io *io, unsigned trailing,
                           struct raft_io_snapshot_put *request,
                           const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb done)
{
    struct guard *guard = guard_of(io);
    struct guard_put *put = mem_new(sizeof *put);
    *put = (struct guard_put){.guard = guard,
                              .original = request,
                              .on_put = done,
                              .snapshot = snapshot,
                              .trailing = trailing,
                              .spent_ns = clock_ns() - guard->manifest_ns};
    put->request.data = put;
    request->cb = done;
    if (waits_for_store(guard, put)) {
        assert(guard->held == NULL); /* raft takes one at a time */
        guard->held = put;
        return 0;
    }
    int rv = put_now(put);
    if (rv != 0) mem_free(put);
    return rv;
}

static void release_held(struct guard *guard)
{
    struct guard_put *put = guard->held;
    if (put == NULL || waits_for_store(guard, put)) return;
    guard->held = NULL;
    int rv = put_now(put);
    /* raft was told that it is on its way. */
    if (rv != 0) fatal(guard, "the snapshot could not be written", rv);
}

/* One that is read for a follower. */
struct guard_get {
    struct raft_io_snapshot_get request;
    struct guard *guard;
    struct raft_io_snapshot_get *original;
    raft_io_snapshot_get_cb on_got;
};

/* raft frees what it was to be given, and that is nowhere. So it is given one that belongs to no place in
 * any log, and goes nowhere either: see put_right. */
static struct raft_snapshot *no_snapshot(void)
{
    struct raft_snapshot *snapshot = raft_calloc(1, sizeof *snapshot);
    assert(snapshot != NULL);
    raft_configuration_init(&snapshot->configuration);
    snapshot->index = UINT64_MAX;
    snapshot->n_bufs = 1;
    snapshot->bufs = raft_calloc(1, sizeof *snapshot->bufs);
    assert(snapshot->bufs != NULL);
    return snapshot;
}

static void on_got(struct raft_io_snapshot_get *request, struct raft_snapshot *snapshot, int status)
{
    struct guard_get get = *(struct guard_get *)request->data;
    bool is_closing = get.guard->raft->legacy.closing;
    if (status != 0 && !is_closing) fatal(get.guard, "the snapshot could not be read", status);
    mem_free(request->data);
    get.on_got(get.original, status == 0 ? snapshot : no_snapshot(), 0);
}

static int do_snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *request,
                           raft_io_snapshot_get_cb done)
{
    struct guard *guard = guard_of(io);
    struct guard_get *get = mem_new(sizeof *get);
    *get = (struct guard_get){.guard = guard, .original = request, .on_got = done};
    get->request.data = get;
    int rv = guard->real.snapshot_get(io, &get->request, on_got);
    if (rv != 0) mem_free(get);
    return rv;
}

void guard_manifest(struct guard *guard, uint64_t number)
{
    guard->manifest = number;
    guard->manifest_ns = clock_ns();
}

void guard_durable(struct guard *guard, uint64_t number)
{
    guard->durable = number;
    release_held(guard);
}

/* ---- time ---- */

static void on_barrier(struct raft_barrier *barrier, int status)
{
    (void)status;
    mem_free(barrier);
}

/* A new leader's first entry. The library appends one itself if there are uncommitted entries, unless
 * space is short at that moment: so again at each tick until the term has one. */
static void begin_term(struct guard *guard)
{
    struct raft *raft = guard->raft;
    if (raft->state != RAFT_LEADER || raft->legacy.closing) return;
    if (guard->barrier_term == raft->current_term) return;
    if (guard_term_at(raft, raft_last_index(raft)) == raft->current_term) return;
    if (raft_transferee(raft) != 0) return;
    /* A heartbeat has just gone to everybody, and to those that are not in the pipeline raft sends only
     * one in so long a time. For this one entry that time is none. */
    unsigned heartbeat_ms = raft->heartbeat_timeout;
    struct raft_barrier *barrier = mem_new(sizeof *barrier);
    raft->heartbeat_timeout = 0;
    int rv = raft_barrier(raft, barrier, on_barrier);
    raft->heartbeat_timeout = heartbeat_ms;
    if (rv == 0) {
        guard->barrier_term = raft->current_term;
    } else {
        mem_free(barrier);
    }
}

/* Not longer ago than a follower waits before it stands for election: then nobody is heard. */
static bool is_recent(const struct guard *guard, raft_time at)
{
    const struct raft *raft = guard->raft;
    return at != 0 && guard->real.time(raft->io) - at < raft->election_timeout;
}

static struct watchdog_view look(const struct guard *guard)
{
    struct raft *raft = guard->raft;
    /* Who drops what a leader sends is soon a candidate to raft, and hears it all the same. */
    bool follows = raft->state != RAFT_LEADER && guard->heard_from != raft->id &&
                   guard->heard_term >= raft->current_term;
    bool knows_last = guard->leader_last_term == guard->heard_term;
    return (struct watchdog_view){.is_leader = raft->state == RAFT_LEADER,
                                  .hears_leader = follows && is_recent(guard, guard->heard),
                                  .committed = raft->commit_index,
                                  .applied = raft_last_applied(raft),
                                  .wanted = knows_last ? guard->leader_last : 0,
                                  .stored = raft->last_stored,
                                  .appended = guard->appended,
                                  .is_appending = guard->appending > 0,
                                  .bytes = guard->appending_bytes,
                                  .is_installing = raft->snapshot.installing,
                                  .is_holding = is_recent(guard, guard->held_at),
                                  .lacks_room = guard->is_disk_full || guard->lacks_room,
                                  .has_gap = guard->has_gap};
}

static void end_still(struct guard *guard)
{
    char sentence[192];
    snprintf(sentence, sizeof sentence,
             "raft's log has stood still for %u s while the leader went on: started again, this "
             "node fetches what it lacks; if it ends like this again, look at its disk",
             guard->watchdog.not_stored_ms / 1000);
    fatal(guard, sentence, RAFT_IOERR);
}

static void watch(struct guard *guard)
{
    struct watchdog_view view = look(guard);
    guard->lacks_room = false;
    switch (watchdog_tick(&guard->watchdog, &view, guard->raft->heartbeat_timeout)) {
    case WATCHDOG_WELL: break;
    case WATCHDOG_NOT_APPLIED:
        fatal(guard, "committed entries are not applied", RAFT_SHUTDOWN);
        break;
    case WATCHDOG_NOT_STORED: end_still(guard); break;
    }
}

static int do_set_term(struct raft_io *io, raft_term term)
{
    struct guard *guard = guard_of(io);
    int rv = guard->real.set_term(io, term);
    if (rv != 0) fatal(guard, "the term could not be stored", rv);
    return rv;
}

static int do_set_vote(struct raft_io *io, raft_id id)
{
    struct guard *guard = guard_of(io);
    int rv = guard->real.set_vote(io, id);
    if (rv != 0) fatal(guard, "the vote could not be stored", rv);
    return rv;
}

/* One who leads without an election leads in a term in which another, or it itself in the life before, may
 * have sent entries that it does not have. So it begins a term, as one that was elected does. */
static void lead_in_own_term(struct guard *guard)
{
    struct raft *raft = guard->raft;
    raft->current_term++;
    raft->voted_for = raft->id;
    do_set_term(raft->io, raft->current_term);
    do_set_vote(raft->io, raft->id);
}

/* After each step of raft that may have changed its state. */
static void settle(struct guard *guard, unsigned short state_before)
{
    const struct raft *raft = guard->raft;
    bool is_elected = state_before == RAFT_CANDIDATE;
    if (raft->state == RAFT_LEADER && state_before != RAFT_LEADER && !is_elected) {
        lead_in_own_term(guard);
    }
    after_step(guard);
    begin_term(guard);
}

/* The change that gives us a vote may be in the log of somebody who cannot lead without it. Who asks counts
 * the votes of those who have one by its log, so whoever is asked answers as if it had; and as one who
 * notices that its leader is silent, which raft without a vote does not. */
static void vote_without_a_vote(struct guard *guard, struct raft_message *message)
{
    struct raft *raft = guard->raft;
    int *role = own_role(raft);
    if (role == NULL || *role == RAFT_VOTER) {
        guard->recv(raft->io, message);
        return;
    }
    int before = *role;
    if (!is_recent(guard, guard->heard)) message->request_vote.disrupt_leader = true;
    *role = RAFT_VOTER;
    guard->recv(raft->io,
                message); /* a request for a vote changes no member: it is the same list */
    *role = before;
}

static void on_recv(struct raft_io *io, struct raft_message *message)
{
    struct guard *guard = guard_of(io);
    if (!lets_in(guard, message)) return;
    unsigned short state = guard->raft->state;
    if (message->type == RAFT_REQUEST_VOTE) {
        vote_without_a_vote(guard, message);
    } else {
        guard->recv(io, message);
    }
    settle(guard, state);
}

static void on_tick(struct raft_io *io)
{
    struct guard *guard = guard_of(io);
    unsigned short state = guard->raft->state;
    guard->tick(io);
    settle(guard, state);
    if (guard->raft->legacy.closing) return;
    send_heartbeats(guard, was_passed_over);
    release_held(guard);
    watch(guard);
}

static int do_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick, raft_io_recv_cb recv)
{
    struct guard *guard = guard_of(io);
    guard->tick = tick;
    guard->recv = recv;
    guard->heard = guard->real.time(io);
    bool leads = guard->raft->state == RAFT_LEADER; /* already: the only voter */
    if (leads) lead_in_own_term(guard);
    int rv = guard->real.start(io, msecs, on_tick, on_recv);
    after_step(guard);
    return rv;
}

/* ---- the disk ---- */

struct guard_append {
    struct raft_io_append request;
    struct guard *guard;
    struct raft_io_append *original;
    raft_io_append_cb on_appended;
    size_t bytes;
    struct guard_hold hold;
};

static void on_appended(struct raft_io_append *request, int status)
{
    struct guard_append append = *(struct guard_append *)request->data;
    if (status != 0 && status != RAFT_CANCELED) {
        fatal(append.guard, "the log could not be written", status);
    }
    struct guard_append *appended = request->data;
    let_go(append.guard, &appended->hold);
    mem_free(appended);
    append.guard->appending--;
    append.guard->appending_bytes -= append.bytes;
    append.guard->appended++;
    append.on_appended(append.original, status);
    after_step(append.guard); /* a single voter commits here */
}

static int do_append(struct raft_io *io, struct raft_io_append *request,
                     const struct raft_entry entries[], unsigned n, raft_io_append_cb done)
{
    struct guard *guard = guard_of(io);
    struct guard_append *append = mem_new(sizeof *append);
    *append = (struct guard_append){.guard = guard, .original = request, .on_appended = done};
    append->request.data = append;
    request->cb = done;
    hold(guard, &append->hold, guard->append_at, entries, n);
    for (unsigned i = 0; i < n; i++)
        append->bytes += entries[i].buf.len;
    guard->appending++;
    guard->appending_bytes += append->bytes;
    int rv = guard->real.append(io, &append->request, entries, n, on_appended);
    if (rv == 0) return 0;
    guard->appending--;
    guard->appending_bytes -= append->bytes;
    let_go(guard, &append->hold);
    mem_free(append);
    fatal(guard, "the log could not be appended to", rv);
    return rv;
}

static int do_truncate(struct raft_io *io, raft_index index)
{
    struct guard *guard = guard_of(io);
    /* raft cuts at each index at which it appends, also when nothing is there. */
    guard->append_at = index;
    int rv = guard->real.truncate(io, index);
    if (rv != 0) fatal(guard, "the log could not be cut", rv);
    return rv;
}

void guard_gap(struct guard *guard, bool has_gap, size_t bytes)
{
    guard->has_gap = has_gap;
    guard->gap_bytes = bytes;
    if (guard->tick != NULL) after_step(guard);
}

void guard_lag(struct guard *guard, size_t bytes)
{
    guard->lag_bytes = bytes;
}

void guard_disk_full(struct guard *guard, bool is_full)
{
    guard->is_disk_full = is_full;
    if (guard->tick != NULL) after_step(guard);
}

static void do_close(struct raft_io *io, raft_io_close_cb on_closed)
{
    struct guard *guard = guard_of(io);
    struct guard_put *put = guard->held;
    guard->held = NULL;
    if (put != NULL) on_put(&put->request, RAFT_CANCELED);
    guard->real.close(io, on_closed);
}

/* ---- the tracer: raft_uv's only way to tell of failed disk work ---- */

static bool begins(const char *message, const char *words)
{
    return strncmp(message, words, strlen(words)) == 0;
}

/* That a log is cut is told by nobody, nor that it could not be: only how the work begins, in raft's own loop, that
 * it has come to its good end, on a thread of the pool, and that it is over, in the loop again. So the flag
 * has one owner at a time: libuv hands it over with the work. */
static void follow_cut(struct guard *guard, const char *message)
{
    if (strcmp(message, "set truncate work") == 0) guard->is_cutting = true;
    if (strcmp(message, "uv truncate work cb ok") == 0) guard->is_cutting = false;
    if (strcmp(message, "clear truncate work") != 0 || !guard->is_cutting) return;
    guard->is_cutting = false;
    fatal(guard, "the log could not be cut", RAFT_IOERR);
}

static void on_diagnostic(struct guard *guard, const char *message)
{
    static const char *const deadly[] = {"retry failed write", "unlink segment",
                                         "sync data directory", "truncate segment"};
    static const char segment[] = "retry creating segment ", snapshot[] = "retry snapshot write";
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++) { /* maybe from a pool thread */
        if (begins(message, deadly[i])) fatal(guard, message, RAFT_IOERR);
    }
    follow_cut(guard, message);
    /* These two come from raft's own loop only. */
    bool is_segment = begins(message, segment);
    if ((!is_segment && !begins(message, snapshot)) || guard->handler.on_retry == NULL) return;
    const char *file = is_segment ? message + sizeof segment - 1 : NULL;
    if (guard->handler.on_retry(guard->handler.owner, file)) guard->lacks_room = true;
}

static void on_trace(struct raft_tracer *tracer, int type, const void *event)
{
    struct guard *guard = tracer->impl;
    if (type == RAFT_TRACER_DIAGNOSTIC) {
        const struct raft_tracer_info *told = event;
        on_diagnostic(guard, told->diagnostic.message);
        return;
    }
    /* So do these. */
    if (type == GUARD_WRITE_SUBMIT) guard->write_started_ns = clock_ns();
    if (type == GUARD_WRITE_COMPLETE && guard->write_started_ns != 0) {
        histogram_add(&guard->writes, (clock_ns() - guard->write_started_ns) / 1000);
        guard->write_started_ns = 0;
    }
}

void guard_install(struct guard *guard, struct raft *raft, const struct guard_handler *handler)
{
    *guard = (struct guard){.raft = raft,
                            .real = *raft->io,
                            .handler = *handler,
                            .tracer = {.version = 2, .emit = on_trace}};
    guard->tracer.impl = guard;
    raft->data = guard;
    raft->io->start = do_start;
    raft->io->close = do_close;
    raft->io->send = do_send;
    raft->io->append = do_append;
    raft->io->truncate = do_truncate;
    raft->io->set_term = do_set_term;
    raft->io->set_vote = do_set_vote;
    raft->io->snapshot_put = do_snapshot_put;
    raft->io->snapshot_get = do_snapshot_get;
}
