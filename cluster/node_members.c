/* The list of members as raft has it, and what follows from it: to whom there are links, and what is told.
 *
 * Links follow the newest list in the log, as raft does. What is told follows the newest one that is
 * committed: what was told is never taken back.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cluster/node_state.h"

enum { UNSETTLED_MS = 5000 };

static const struct raft_server *find(const struct raft_configuration *list, uint64_t id)
{
    for (unsigned i = 0; i < list->n; i++) {
        if (list->servers[i].id == id) return &list->servers[i];
    }
    return NULL;
}

/* "name=host:port" in two. False if it is not that. */
static bool split(const char *self, char name[NODE_NAME_MAX + 1], const char **address)
{
    struct slice rest = slice_from(self);
    struct slice first = slice_cut(&rest, '=');
    if (first.len == 0 || first.len > NODE_NAME_MAX || rest.len == 0 || rest.len > ADDRESS_MAX) {
        return false;
    }
    memcpy(name, first.at, first.len);
    name[first.len] = '\0';
    *address = rest.at; /* goes on to the end of self */
    return true;
}

bool node_has_member(const struct node *node, uint64_t id)
{
    if (node->raft_is_open && node->raft.configuration.n > 0) {
        return find(&node->raft.configuration, id) != NULL;
    }
    for (size_t i = 0; i < node->founders_count; i++) {
        if (peer_id(node->founders[i].name) == id) return true;
    }
    for (size_t i = 0; i < node->told_count; i++) {
        if (node->told[i].id == id) return true;
    }
    return false;
}

raft_index node_joined(const struct node *node)
{
    const struct raft *raft = &node->raft;
    raft_index joined = node->options.dir->joined;
    bool is_in = node->raft_is_open && find(&raft->configuration_committed, node->id) != NULL;
    if (is_in && raft->configuration_committed_index > joined) {
        joined = raft->configuration_committed_index;
    }
    return joined;
}

/* ---- links ---- */

static void link_to(struct node *node, uint64_t id, const char *self, uint64_t now_ms)
{
    char name[NODE_NAME_MAX + 1];
    const char *address;
    if (id == node->id || beats_find(&node->beats, id) != NULL) return;
    if (!split(self, name, &address)) return;
    beats_add(&node->beats, id, name, address, now_ms);
    rpc_add_peer(node->rpc, id, self);
}

static void link_to_members(struct node *node, uint64_t now_ms)
{
    const struct raft_configuration *list = &node->raft.configuration;
    if (list->n == 0) {
        for (size_t i = 0; i < node->told_count; i++)
            link_to(node, node->told[i].id, node->told[i].self, now_ms);
        return;
    }
    size_t i = 0;
    while (i < node->beats.count) {
        uint64_t id = node->beats.neighbours[i].id;
        if (find(list, id) != NULL) {
            i++;
            continue;
        }
        rpc_remove_peer(node->rpc, id);
        beats_remove(&node->beats, id);
        node->options.handler.on_change(node->options.handler.owner);
    }
    for (unsigned k = 0; k < list->n; k++)
        link_to(node, list->servers[k].id, list->servers[k].address, now_ms);
}

/* ---- what is told ---- */

static void tell(struct node *node, enum cluster_event_kind kind, const char *words,
                 const char *name)
{
    struct cluster_event event = {.at_ms = clock_wall_ms(), .kind = kind};
    event.term = raft_current_term(&node->raft);
    snprintf(event.node, sizeof event.node, "%s", name);
    log_info(words, "member=%s", name);
    node->options.handler.on_cluster_event(node->options.handler.owner, &event);
}

static const struct known_member *find_known(const struct known_member *list, size_t count,
                                             uint64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].id == id) return &list[i];
    }
    return NULL;
}

static void tell_differences(struct node *node, const struct known_member *now, size_t now_count)
{
    for (size_t i = 0; i < now_count; i++) {
        const struct known_member *was = find_known(node->known, node->known_count, now[i].id);
        if (was == NULL) tell(node, CLUSTER_ADDED, "member added", now[i].name);
        bool had_vote = was != NULL && was->role == RAFT_VOTER;
        if (was != NULL && !had_vote && now[i].role == RAFT_VOTER) {
            tell(node, CLUSTER_PROMOTED, "member promoted", now[i].name);
        }
    }
    for (size_t i = 0; i < node->known_count; i++) {
        if (find_known(now, now_count, node->known[i].id) != NULL) continue;
        tell(node, CLUSTER_REMOVED, "member removed", node->known[i].name);
    }
}

static void look_at_committed(struct node *node)
{
    const struct raft *raft = &node->raft;
    const struct raft_configuration *list = &raft->configuration_committed;
    struct known_member now[MEMBERS_MAX];
    size_t count = 0;
    raft_index index = raft->configuration_committed_index;
    if (index == node->known_index || list->n == 0) return;
    for (unsigned i = 0; i < list->n && count < MEMBERS_MAX; i++) {
        const char *address;
        struct known_member *member = &now[count];
        *member = (struct known_member){.id = list->servers[i].id, .role = list->servers[i].role};
        if (split(list->servers[i].address, member->name, &address)) count++;
    }
    /* What is taken up after a start is no news. */
    bool is_news = node->known_index != 0 && (node->has_been_level || node->is_leading);
    if (is_news) tell_differences(node, now, count);
    memcpy(node->known, now, count * sizeof *now);
    node->known_count = count;
    node->known_index = index;
    node->options.handler.on_change(node->options.handler.owner);
}

/* The library has booked a change at a wrong place, or nobody commits any more. */
static void look_at_unsettled(struct node *node, uint64_t now_ms)
{
    raft_index index = node->raft.configuration_uncommitted_index;
    if (index == 0 || !node_has_leader(node)) {
        node->unsettled_ms = 0;
        node->is_unsettled_told = false;
        return;
    }
    if (node->unsettled_ms == 0) node->unsettled_ms = now_ms;
    if (node->is_unsettled_told || now_ms - node->unsettled_ms < UNSETTLED_MS) return;
    node->is_unsettled_told = true;
    log_error("a change of the members does not end", "index=%" PRIu64 " commit_index=%" PRIu64,
              (uint64_t)index, (uint64_t)node->raft.commit_index);
}

/* A node that was let in may have an empty log, but not a second time: written down while it has no vote
 * yet, so that one whose log is lost is not taken for one that is still to begin. */
static void note_begun(struct node *node)
{
    struct data_dir *dir = node->options.dir;
    struct errmsg errmsg;
    if (dir->joined == 0 || dir->has_begun || node->raft.last_stored == 0) return;
    dir->has_begun = true;
    if (data_dir_mark(dir, dir->state, &errmsg) != 0) node_fatal(node, 1, errmsg.text);
}

void node_sync_members(struct node *node, uint64_t now_ms)
{
    const struct raft *raft = &node->raft;
    if (!node->raft_is_open) return;
    note_begun(node);
    link_to_members(node, now_ms);
    look_at_committed(node);
    look_at_unsettled(node, now_ms);
    bool is_out = raft->configuration_committed.n > 0 &&
                  find(&raft->configuration_committed, node->id) == NULL &&
                  raft->configuration_committed_index > node->options.dir->joined;
    if (is_out) node_was_removed(node);
}

/* ---- the peers line, once there is a list ---- */

static bool is_listed(const struct raft_configuration *list, const struct peer *peer)
{
    char self[SELF_SIZE];
    snprintf(self, sizeof self, "%s=%s", peer->name, peer->address);
    for (unsigned i = 0; i < list->n; i++) {
        if (strcmp(list->servers[i].address, self) == 0) return true;
    }
    return false;
}

void node_compare_peers(const struct node *node)
{
    const struct raft_configuration *list = &node->raft.configuration;
    const struct node_options *options = &node->options;
    const struct raft_server *self = find(list, node->id);
    if (self != NULL && strcmp(self->address, node->self) != 0) {
        log_warn("this node's address differs from what the cluster knows", "known=%s here=%s",
                 self->address, node->self);
    }
    if (options->peers_count == 0 || list->n == 0) return;
    bool is_same = options->peers_count == list->n;
    for (size_t i = 0; i < options->peers_count; i++)
        is_same = is_same && is_listed(list, &options->peers[i]);
    if (is_same) return;
    log_warn("the peers line differs from the members",
             "peers=%zu members=%u note=\"the members hold; see livetea members\"",
             options->peers_count, list->n);
}

/* ---- for a decision ---- */

static void view_member(const struct node *node, const struct raft_server *server,
                        struct change_member *member)
{
    const char *address;
    *member = (struct change_member){.id = server->id, .role = server->role};
    if (!split(server->address, member->name, &address)) return;
    snprintf(member->address, sizeof member->address, "%s", address);
    if (server->id == node->id) {
        member->is_catching_up = node->guard.has_gap;
        member->is_sound = !guard_is_unfit(&node->guard);
        return;
    }
    for (size_t i = 0; i < node->beats.count; i++) {
        const struct neighbour *neighbour = &node->beats.neighbours[i];
        if (neighbour->id != server->id || !neighbour->is_known) continue;
        uint64_t mine = node->options.chat->number, theirs = neighbour->last.number;
        member->is_catching_up = (neighbour->last.flags & BEAT_CATCHING_UP) != 0;
        bool is_full = (neighbour->last.flags & BEAT_DISK_FULL) != 0;
        member->is_sound = !neighbour->is_away && !member->is_catching_up && !is_full;
        member->behind = mine > theirs ? mine - theirs : 0;
    }
}

void node_view(const struct node *node, struct change_view *view)
{
    const struct raft_configuration *list = &node->raft.configuration;
    *view = (struct change_view){.self = node->leader,
                                 .is_changing = node_is_changing(node),
                                 .is_transferring = node->is_transferring};
    if (!node->raft_is_open) return;
    view->is_leader_ready = node->is_leading && node->guard.picture.is_ready;
    for (unsigned i = 0; i < list->n && view->members_count < MEMBERS_MAX; i++)
        view_member(node, &list->servers[i], &view->members[view->members_count++]);
}
