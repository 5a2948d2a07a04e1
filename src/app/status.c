#include "app/status.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "app/make_board.h"
#include "base/clock.h"
#include "base/json.h"

static const char *const health_words[] = {[BOARD_OK] = "ok",
                                           [BOARD_DEGRADED] = "degraded",
                                           [BOARD_ELECTING] = "electing",
                                           [BOARD_NO_MAJORITY] = "no_majority"};
static const char *const state_words[] = {[MEMBER_AWAY] = "away",
                                          [MEMBER_FOLLOWER] = "follower",
                                          [MEMBER_CANDIDATE] = "candidate",
                                          [MEMBER_LEADER] = "leader",
                                          [MEMBER_CATCHING_UP] = "catching_up"};

static void open_object(struct buf *out, const char *key)
{
    json_add_key(out, key);
    buf_add_char(out, '{');
}

/* "2026-11-17T04:20:01Z" */
static void add_second(struct buf *out, const char *key, int64_t wall_ms)
{
    struct buf text;
    buf_init(&text, 64);
    clock_add_rfc3339(&text, wall_ms, false);
    json_add_text(out, key, buf_slice(&text));
    buf_close(&text);
}

static void add_word_or_null(struct buf *out, const char *key, const char *word)
{
    if (word == NULL || word[0] == '\0') {
        json_add_null(out, key);
    } else {
        json_add_text(out, key, slice_from(word));
    }
}

static void add_u64_or_null(struct buf *out, const char *key, bool known, uint64_t value)
{
    if (known) {
        json_add_u64(out, key, value);
    } else {
        json_add_null(out, key);
    }
}

static const struct member_status *own(const struct cluster_status *cluster)
{
    for (size_t i = 0; i < cluster->members_count; i++)
        if (cluster->members[i].is_self) return &cluster->members[i];
    return NULL;
}

/* What raft is, whatever the history lacks. */
static const char *raft_state(const struct cluster_status *cluster)
{
    const struct member_status *self = own(cluster);
    if (cluster->is_leader) return "leader";
    return self != NULL && self->state == MEMBER_CANDIDATE ? "candidate" : "follower";
}

static const char *state_word(const struct cluster_status *cluster,
                              const struct member_status *member)
{
    return member->is_self && cluster->is_joining ? "joining" : state_words[member->state];
}

static const char *own_role(const struct cluster_status *cluster)
{
    const struct member_status *self = own(cluster);
    if (self == NULL) return raft_state(cluster);
    bool stands_by = !self->is_voter && self->state == MEMBER_FOLLOWER && !cluster->is_joining;
    return stands_by ? "standby" : state_word(cluster, self);
}

static void add_cluster(struct buf *out, const struct snapshot *snapshot)
{
    const struct cluster_status *cluster = &snapshot->cluster;
    const struct board *board = board_of(snapshot->board);
    open_object(out, "cluster");
    json_add_text(out, "name", slice_from(snapshot->cluster_name));
    json_add_text(out, "health", slice_from(health_words[board->health]));
    json_add_text(out, "sentence", slice_from(board->sentence));
    add_word_or_null(out, "leader", cluster->leader);
    json_add_u64(out, "term", cluster->term);
    json_add_u64(out, "voters", cluster->voters);
    json_add_u64(out, "voters_up", cluster->voters_up);
    json_add_u64(out, "may_fail", board_may_fail(cluster));
    json_add_u64(out, "leader_changes", cluster->leader_changes);
    add_word_or_null(out, "waiting_for", cluster->is_forming ? cluster->waiting_for : NULL);
    json_add_u64(out, "history_copies", cluster->history_copies);
    json_add_bool(out, "changing", cluster->is_changing);
    buf_add_char(out, '}');
}

/* What a node that asks to be let in was told; null once it is a member. */
static void add_joining(struct buf *out, const struct cluster_status *cluster)
{
    if (cluster->is_joining)
        json_add_text(out, "joining", slice_from(cluster->joining_note));
    else
        json_add_null(out, "joining");
}

static void add_node(struct buf *out, const struct snapshot *snapshot, const char *version,
                     const char *commit)
{
    struct buf id;
    buf_init(&id, 32);
    buf_printf(&id, "%016" PRIx64, snapshot->cluster.raft_id);
    open_object(out, "node");
    json_add_text(out, "name", slice_from(snapshot->name));
    json_add_text(out, "id", buf_slice(&id));
    json_add_text(out, "role", slice_from(own_role(&snapshot->cluster)));
    json_add_text(out, "version", slice_from(version));
    json_add_text(out, "commit", slice_from(commit));
    json_add_i64(out, "pid", snapshot->pid);
    add_second(out, "started_at", snapshot->started_at_ms);
    json_add_u64(out, "uptime_seconds", snapshot->uptime_ms / 1000);
    json_add_bool(out, "draining", snapshot->draining);
    json_add_bool(out, "ready", status_ready(NULL, snapshot));
    json_add_bool(out, "disk_full", snapshot->cluster.is_disk_full);
    add_joining(out, &snapshot->cluster);
    json_add_text(out, "http", slice_from(snapshot->http));
    json_add_text(out, "address", slice_from(snapshot->address));
    json_add_text(out, "data_dir", slice_from(snapshot->data_dir));
    buf_add_char(out, '}');
    buf_close(&id);
}

static void add_raft(struct buf *out, const struct cluster_status *cluster)
{
    open_object(out, "raft");
    json_add_text(out, "state", slice_from(raft_state(cluster)));
    json_add_u64(out, "term", cluster->term);
    add_word_or_null(out, "voted_for", cluster->voted_for);
    json_add_u64(out, "last_index", cluster->last_index);
    json_add_u64(out, "commit_index", cluster->commit_index);
    json_add_u64(out, "applied_index", cluster->applied_index);
    json_add_u64(out, "snapshot_index", cluster->snapshot_index);
    json_add_u64(out, "log_first_index", cluster->first_index);
    json_add_u64(out, "snapshots", cluster->snapshots);
    json_add_double(out, "snapshot_max_ms",
                    cluster->snapshots > 0 ? (double)cluster->snapshot_us_max / 1000 : (double)NAN,
                    3);
    json_add_u64(out, "pending", cluster->pending);
    add_u64_or_null(out, "last_contact_ms", cluster->leader[0] != '\0', cluster->last_contact_ms);
    buf_add_char(out, '}');
}

/* How far this node is with the events that it lacks; null when it lacks none. */
static void add_backfill(struct buf *out, const struct snapshot *snapshot)
{
    const struct cluster_status *cluster = &snapshot->cluster;
    uint64_t number = snapshot->events, goal = cluster->gap.goal;
    if (!cluster->has_gap) {
        json_add_null(out, "backfill");
        return;
    }
    open_object(out, "backfill");
    json_add_u64(out, "from", cluster->gap.from);
    json_add_u64(out, "number", number);
    json_add_u64(out, "goal", goal);
    json_add_u64(out, "behind", goal > number ? goal - number : 0);
    json_add_u64(out, "events_per_second", cluster->gap.events_per_second);
    add_word_or_null(out, "peer", cluster->gap.peer);
    json_add_u64(out, "waiting_bytes", cluster->gap.waiting_bytes);
    buf_add_char(out, '}');
}

static void add_member(struct buf *out, const struct cluster_status *cluster,
                       const struct member_status *member)
{
    bool is_up = member->state != MEMBER_AWAY, known = member->known || member->is_self;
    open_object(out, NULL);
    json_add_text(out, "name", slice_from(member->name));
    json_add_text(out, "address", slice_from(member->address));
    add_word_or_null(out, "http", member->http);
    json_add_text(out, "role", slice_from(member->is_voter ? "voter" : "standby"));
    json_add_text(out, "state", slice_from(state_word(cluster, member)));
    json_add_u64(out, "away_seconds", is_up ? 0 : member->away_ms / 1000);
    add_u64_or_null(out, "applied_index", known, member->applied_index);
    add_u64_or_null(out, "number", known, member->number);
}

static void add_member_rest(struct buf *out, const struct member_status *member, uint64_t newest)
{
    bool is_up = member->state != MEMBER_AWAY, known = member->known || member->is_self;
    uint64_t behind = newest > member->number ? newest - member->number : 0;
    add_u64_or_null(out, "behind", known, behind);
    json_add_double(out, "rtt_ms", is_up && !member->is_self ? member->rtt_ms : (double)NAN, 3);
    add_u64_or_null(out, "browsers", known && is_up, member->browsers);
    add_u64_or_null(out, "disk_bytes", known, member->disk_bytes);
    add_u64_or_null(out, "uptime_seconds", known && is_up, member->uptime_ms / 1000);
    add_word_or_null(out, "version", member->version);
    buf_add_char(out, '}');
}

/* What this node knows of itself is fresher than what it told the others. */
static struct member_status member_now(const struct snapshot *snapshot, size_t place)
{
    struct member_status member = snapshot->cluster.members[place];
    if (!member.is_self) return member;
    member.applied_index = snapshot->cluster.applied_index;
    member.number = snapshot->events;
    member.browsers = snapshot->web.conn.websockets;
    member.disk_bytes = snapshot->history_bytes + snapshot->raft_bytes;
    member.uptime_ms = snapshot->uptime_ms;
    return member;
}

static void add_members(struct buf *out, const struct snapshot *snapshot)
{
    uint64_t newest = snapshot->events + snapshot->cluster.behind;
    if (snapshot->cluster.has_gap && snapshot->cluster.gap.goal > newest)
        newest = snapshot->cluster.gap.goal;
    for (size_t i = 0; i < snapshot->cluster.members_count; i++) {
        if (snapshot->cluster.members[i].number > newest)
            newest = snapshot->cluster.members[i].number;
    }
    json_add_key(out, "members");
    buf_add_char(out, '[');
    for (size_t i = 0; i < snapshot->cluster.members_count; i++) {
        struct member_status member = member_now(snapshot, i);
        add_member(out, &snapshot->cluster, &member);
        add_member_rest(out, &member, newest);
    }
    buf_add_char(out, ']');
}

static void add_web(struct buf *out, const struct web_counters *web)
{
    open_object(out, "web");
    json_add_u64(out, "browsers", web->conn.websockets);
    json_add_u64(out, "subscriptions", web->subscriptions);
    json_add_u64(out, "queued_bytes", web->conn.queued_bytes);
    open_object(out, "closed");
    json_add_u64(out, "client", web->conn.closed[CONN_END_CLIENT]);
    json_add_u64(out, "slow", web->conn.closed[CONN_END_SLOW]);
    json_add_u64(out, "protocol", web->conn.closed[CONN_END_PROTOCOL]);
    json_add_u64(out, "drain", web->conn.closed[CONN_END_DRAIN]);
    json_add_u64(out, "idle", web->conn.closed[CONN_END_IDLE]);
    json_add_u64(out, "limit", web->conn.closed[CONN_END_LIMIT]);
    buf_add(out, slice_of("}}"));
}

static void add_figures(struct buf *out, const struct snapshot *snapshot)
{
    open_object(out, "chat");
    json_add_u64(out, "events", snapshot->events);
    json_add_u64(out, "durable", snapshot->durable);
    json_add_u64(out, "rooms", snapshot->rooms);
    json_add_u64(out, "present", snapshot->people);
    json_add_double(out, "messages_per_second", snapshot->messages_per_second, 1);
    buf_add_char(out, '}');
    add_web(out, &snapshot->web);
    open_object(out, "latency_ms");
    json_add_double(out, "commit_p50", snapshot->commit_p50_ms, 2);
    json_add_double(out, "commit_p99", snapshot->commit_p99_ms, 2);
    json_add_double(out, "fsync_p50", snapshot->fsync_p50_ms, 2);
    json_add_double(out, "fsync_p99", snapshot->fsync_p99_ms, 2);
    json_add_double(out, "push_p99", snapshot->push_p99_ms, 2);
    buf_add_char(out, '}');
}

static void add_happened(struct buf *out, const struct snapshot *snapshot)
{
    static const char *const words[] = {[CLUSTER_ELECTED] = "elected",
                                        [CLUSTER_AWAY] = "away",
                                        [CLUSTER_BACK] = "back",
                                        [CLUSTER_LOST_LEADER] = "lost_leader",
                                        [CLUSTER_FORMED] = "formed",
                                        [CLUSTER_TRANSFERRED] = "transferred",
                                        [CLUSTER_CATCHING_UP] = "catching_up",
                                        [CLUSTER_CAUGHT_UP] = "caught_up",
                                        [CLUSTER_ADDED] = "added",
                                        [CLUSTER_PROMOTED] = "promoted",
                                        [CLUSTER_REMOVED] = "removed",
                                        [CLUSTER_DISK_FULL] = "disk_full",
                                        [CLUSTER_DISK_FREE] = "disk_free"};
    json_add_key(out, "events");
    buf_add_char(out, '[');
    for (size_t i = snapshot->happened_count; i > 0; i--) { /* oldest first */
        const struct cluster_event *event = &snapshot->happened[i - 1];
        open_object(out, NULL);
        add_second(out, "at", event->at_ms);
        add_word_or_null(out, "node", event->node);
        json_add_text(out, "event", slice_from(words[event->kind]));
        if (event->kind == CLUSTER_ELECTED) {
            json_add_u64(out, "term", event->term);
            add_u64_or_null(out, "took_ms", event->took_ms != 0, event->took_ms);
        }
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}

void status_write(struct buf *out, const struct snapshot *snapshot, const char *version,
                  const char *commit)
{
    buf_add_char(out, '{');
    add_cluster(out, snapshot);
    add_node(out, snapshot, version, commit);
    add_raft(out, &snapshot->cluster);
    add_backfill(out, snapshot);
    add_members(out, snapshot);
    add_figures(out, snapshot);
    add_happened(out, snapshot);
    buf_add_char(out, '}');
}

static void new_line(struct buf *out, size_t depth)
{
    buf_add_char(out, '\n');
    for (size_t i = 0; i < depth; i++)
        buf_append(out, "  ", 2);
}

/* Bytes of the string that `json` begins with, quotes and all. */
static size_t string_len(struct slice json)
{
    size_t i = 1;
    while (i < json.len && json.at[i] != '"')
        i += json.at[i] == '\\' ? 2 : 1;
    return i + 1 < json.len ? i + 1 : json.len;
}

/* Of a string, of an empty object or array, or of one character. */
static size_t piece_len(struct slice json)
{
    if (json.at[0] == '"') return string_len(json);
    bool is_empty = slice_starts(json, slice_of("{}")) || slice_starts(json, slice_of("[]"));
    return is_empty ? 2 : 1;
}

void status_pretty(struct buf *out, struct slice json)
{
    size_t depth = 0;
    while (json.len > 0) {
        char c = json.at[0];
        size_t taken = piece_len(json);
        if (c == '}' || c == ']') new_line(out, depth > 0 ? --depth : 0);
        buf_add(out, slice_first(json, taken));
        if ((c == '{' || c == '[') && taken == 1) new_line(out, ++depth);
        if (c == ',') new_line(out, depth);
        if (c == ':') buf_add_char(out, ' ');
        json = slice_skip(json, taken);
    }
}

/* ---- ready ---- */

/* "behind by 36179, 12034 events/s from tea-2" */
static void say_gap(char why[READY_WORDS_MAX], const struct cluster_status *cluster,
                    uint64_t number)
{
    uint64_t missing = cluster->gap.goal > number ? cluster->gap.goal - number : 0;
    if (cluster->gap.peer[0] == '\0') {
        snprintf(why, READY_WORDS_MAX, "behind by %" PRIu64 ", no node gives them at the moment",
                 missing);
        return;
    }
    snprintf(why, READY_WORDS_MAX, "behind by %" PRIu64 ", %" PRIu64 " events/s from %s", missing,
             cluster->gap.events_per_second, cluster->gap.peer);
}

static void check_level(struct ready_check *check, const struct snapshot *snapshot)
{
    const struct cluster_status *cluster = &snapshot->cluster;
    if (cluster->has_gap) {
        say_gap(check->why, cluster, snapshot->events);
        return;
    }
    /* A full disk is told in a line of its own. */
    check->holds =
        (cluster->is_ready || cluster->is_disk_full) && cluster->behind <= READY_BEHIND_MAX;
    if (cluster->behind > 0)
        snprintf(check->why, sizeof check->why, "behind by %" PRIu64, cluster->behind);
    else
        snprintf(check->why, sizeof check->why, "not level with the cluster yet");
}

static void check_joined(struct ready_check *check, const struct cluster_status *cluster)
{
    check->holds = !cluster->is_joining && !cluster->is_forming;
    if (cluster->is_joining) {
        snprintf(check->why, sizeof check->why, "%s",
                 cluster->joining_note[0] == '\0' ? "asks to be let in" : cluster->joining_note);
    } else {
        snprintf(check->why, sizeof check->why, "waiting for %s to form the cluster",
                 cluster->waiting_for[0] == '\0' ? "the others" : cluster->waiting_for);
    }
}

bool status_checks(struct ready_check checks[READY_CHECKS], const struct snapshot *snapshot)
{
    enum { LEADER, CAUGHT_UP, DISK, NOT_DRAINING, JOINED };
    const struct cluster_status *cluster = &snapshot->cluster;
    bool all = true;
    checks[LEADER] = (struct ready_check){
        .name = "leader", .holds = cluster->leader[0] != '\0', .why = "none is known"};
    checks[CAUGHT_UP] = (struct ready_check){.name = "caught_up"};
    check_level(&checks[CAUGHT_UP], snapshot);
    checks[DISK] = (struct ready_check){
        .name = "disk", .holds = !cluster->is_disk_full, .why = "full: takes nothing new"};
    checks[NOT_DRAINING] = (struct ready_check){
        .name = "not_draining", .holds = !snapshot->draining, .why = "draining"};
    checks[JOINED] = (struct ready_check){.name = "joined"};
    check_joined(&checks[JOINED], cluster);
    for (size_t i = 0; i < READY_CHECKS; i++)
        all = all && checks[i].holds;
    return all;
}

bool status_ready(struct buf *out, const struct snapshot *snapshot)
{
    struct ready_check checks[READY_CHECKS];
    if (snapshot == NULL) {
        if (out != NULL) buf_add(out, slice_of("[-]started not yet\n"));
        return false;
    }
    bool ready = status_checks(checks, snapshot);
    for (size_t i = 0; out != NULL && i < READY_CHECKS; i++) {
        buf_printf(out, "[%c]%s %s\n", checks[i].holds ? '+' : '-', checks[i].name,
                   checks[i].holds ? "ok" : checks[i].why);
    }
    return ready;
}
