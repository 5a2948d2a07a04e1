/* What /status and the page /cluster show of the cluster. */
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "cluster/node_state.h"

static enum member_state state_of(uint8_t raft_state, uint8_t flags)
{
    if ((flags & BEAT_CATCHING_UP) != 0) return MEMBER_CATCHING_UP;
    if (raft_state == RAFT_LEADER) return MEMBER_LEADER;
    return raft_state == RAFT_CANDIDATE ? MEMBER_CANDIDATE : MEMBER_FOLLOWER;
}

/* Before raft runs the founders are meant to be voters. */
static bool is_voter(const struct node *node, uint64_t id)
{
    const struct raft_configuration *members = &node->raft.configuration;
    if (!node->raft_is_open) return node->phase != NODE_JOINING;
    for (unsigned i = 0; i < members->n; i++) {
        if (members->servers[i].id == id) return members->servers[i].role == RAFT_VOTER;
    }
    return false;
}

static void show_self(const struct node *node, struct member_status *member)
{
    const struct node_options *options = &node->options;
    *member = (struct member_status){.is_voter = is_voter(node, node->id),
                                     .is_self = true,
                                     .known = true,
                                     .state = MEMBER_FOLLOWER,
                                     .number = options->chat->number,
                                     .browsers = node->browsers,
                                     .disk_bytes = node->disk_bytes,
                                     .uptime_ms = clock_ms() - node->started_ms,
                                     .rtt_ms = NAN};
    if (node->raft_is_open) {
        uint8_t flags = node->machine.has_gap ? BEAT_CATCHING_UP : 0;
        member->state = state_of((uint8_t)node->raft.state, flags);
        member->applied_index = machine_decided(&node->machine);
    }
    snprintf(member->name, sizeof member->name, "%s", options->name);
    snprintf(member->address, sizeof member->address, "%s", options->advertise);
    snprintf(member->http, sizeof member->http, "%s", options->http_url);
    snprintf(member->version, sizeof member->version, "%s", options->version);
}

static void show_neighbour(const struct node *node, const struct neighbour *neighbour,
                           struct member_status *member)
{
    struct rpc_peer_status link = {.frames_in = 0};
    const struct beat *last = &neighbour->last;
    if (node->rpc != NULL) rpc_peer_status(node->rpc, neighbour->id, &link);
    *member = (struct member_status){.is_voter = is_voter(node, neighbour->id),
                                     .known = neighbour->is_known,
                                     .away_ms = clock_ms() - neighbour->heard_ms,
                                     .number = last->number,
                                     .applied_index = last->applied_index,
                                     .browsers = last->browsers,
                                     .disk_bytes = last->disk_bytes,
                                     .uptime_ms = last->uptime_ms,
                                     .rtt_ms = neighbour->rtt_ms,
                                     .messages_in = link.frames_in,
                                     .messages_out = link.frames_out};
    bool is_away = neighbour->is_away || !neighbour->is_known;
    member->state = is_away ? MEMBER_AWAY : state_of(last->state, last->flags);
    /* Who leads raft knows before the next beat tells. */
    if (member->state == MEMBER_LEADER) member->state = MEMBER_FOLLOWER;
    if (!is_away && neighbour->id == node->leader) member->state = MEMBER_LEADER;
    snprintf(member->name, sizeof member->name, "%s", neighbour->name);
    snprintf(member->address, sizeof member->address, "%s", neighbour->address);
    snprintf(member->http, sizeof member->http, "%s", last->http);
    snprintf(member->version, sizeof member->version, "%s", last->version);
}

static void show_raft(const struct node *node, struct cluster_status *status)
{
    const struct raft *raft = &node->raft;
    const struct guard *guard = &node->guard;
    status->is_leader = node->is_leading;
    status->is_ready = node_is_level(node, 0) || (node->was_level && !guard_is_unfit(&node->guard));
    status->is_disk_full = guard->is_disk_full;
    status->term = raft_current_term(raft);
    status->last_index =
        raft->trail.front == raft->trail.back
            ? raft->trail.snapshot.index
            : raft->trail.records[(raft->trail.back + raft->trail.size - 1) % raft->trail.size]
                  .index;
    status->stored_index = raft->last_stored;
    status->commit_index = raft_commit_index(raft);
    status->applied_index = machine_decided(&node->machine);
    status->snapshot_index = raft->trail.snapshot.index;
    status->first_index = raft->trail.offset + 1;
    status->guard_trimmed = guard->trimmed;
    status->guard_dropped = guard->dropped;
    status->fsync = guard->writes;
    status->snapshots = guard->snapshots;
    status->snapshot_us_max = guard->snapshot_us_max;
    if (!node->is_leading && guard->heard_from != 0) {
        status->last_contact_ms = guard->real.time(raft->io) - guard->heard;
    }
    snprintf(status->leader, sizeof status->leader, "%s", node_name_of(node, node->leader));
    snprintf(status->voted_for, sizeof status->voted_for, "%s",
             node_name_of(node, raft_voted_for(raft)));
}

/* By name, as the peers line is. */
static void insert(struct cluster_status *status, const struct member_status *member)
{
    size_t place = status->members_count;
    if (place == MEMBERS_MAX) return;
    while (place > 0 && strcmp(status->members[place - 1].name, member->name) > 0) {
        status->members[place] = status->members[place - 1];
        place--;
    }
    status->members[place] = *member;
    status->members_count++;
}

/* Members that are up and have the history that may be in no log any more. Above that, raft's own count
 * of the entries says what is safe. */
static size_t count_copies(const struct node *node, const struct cluster_status *status)
{
    size_t copies = 0;
    for (size_t i = 0; i < status->members_count; i++) {
        const struct member_status *member = &status->members[i];
        bool has_all = member->state != MEMBER_AWAY && member->state != MEMBER_CATCHING_UP &&
                       member->number >= node->machine.floor.number;
        if (has_all) copies++;
    }
    return copies;
}

void node_status(const struct node *node, struct cluster_status *status)
{
    struct member_status member;
    uint64_t highest = node->options.chat->number;
    *status = (struct cluster_status){.is_forming = node->phase == NODE_FORMING,
                                      .raft_id = node->id,
                                      .leader_changes = node->leader_changes,
                                      .commit = *propose_times(node->propose)};
    snprintf(status->name, sizeof status->name, "%s", node->options.cluster_name);
    if (node->phase == NODE_FORMING) {
        snprintf(status->waiting_for, sizeof status->waiting_for, "%s", node->waits_for);
    }
    if (node->phase == NODE_JOINING) {
        status->is_joining = true;
        snprintf(status->joining_note, sizeof status->joining_note, "%s", node_join_note(node));
    }
    status->is_changing = node_is_changing(node);
    if (node->raft_is_open) {
        show_raft(node, status);
        node_gap_status(node, status);
    }
    if (node->phase != NODE_CLOSING) {
        status->pending = forward_waiting(node->forward) + propose_waiting(node->propose);
        forward_results(node->forward, status->results);
    }
    show_self(node, &member);
    insert(status, &member);
    for (size_t i = 0; i < node->beats.count; i++) {
        show_neighbour(node, &node->beats.neighbours[i], &member);
        if (member.known && member.number > highest) highest = member.number;
        insert(status, &member);
    }
    for (size_t i = 0; i < status->members_count; i++) {
        const struct member_status *shown = &status->members[i];
        if (!shown->is_voter) continue;
        status->voters++;
        if (shown->is_self || shown->state != MEMBER_AWAY) status->voters_up++;
    }
    status->behind = highest - node->options.chat->number;
    status->history_copies = count_copies(node, status);
}
