#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "world_parts.h"

static const struct {
    unsigned number;
    const char *words;
} mistakes[] = {
#define MISTAKE_ROW(name, number, words) {number, words},
    MISTAKE_TABLE(MISTAKE_ROW)
#undef MISTAKE_ROW
};

unsigned mistake_number(enum mistake mistake)
{
    return mistakes[mistake].number;
}

const char *mistake_words(enum mistake mistake)
{
    return mistakes[mistake].words;
}

void world_fatal(struct world *world, const struct world_node *node, const char *words)
{
    sim_trace(&world->sim, "%s ends: %s", node->address, words);
    world->is_fatal = true;
    if (!world->jumps) {
        fprintf(stderr, "%s ends: %s\n", node->address, words);
        exit(1);
    }
    snprintf(world->fatal, sizeof world->fatal, "%s: %s", node->address, words);
    longjmp(world->on_fatal, 1);
}

/* ---- nodes ---- */

static void make_node(struct world *world, unsigned i)
{
    struct world_node *node = &world->nodes[i];
    node->world = world;
    snprintf(node->address, sizeof node->address, "tea-%u", i + 1);
    host_init(&node->host, &world->sim, i, node_turn);
    node->disk.host = &node->host;
    node->disk.id = i + 1;
    node->disk.address = node->address;
    node->disk.disk.latency_ms = world->disk_ms;
    node->store.latency_ms = 30;
    net_add(&world->net, &node->disk);
    for (unsigned k = 0; k < SIM_HOSTS; k++) {
        const struct net_link link = {.latency_ms = 2, .jitter_ms = 8};
        world->net.links[i][k] = world->net.links[k][i] = link;
    }
    world->count = i + 1;
}

void world_init(struct world *world, const struct world_options *options)
{
    memset(world, 0, sizeof *world);
    sim_init(&world->sim, options->seed);
    world->sim.traces = options->traces;
    world->mistake = options->mistake;
    world->window = options->window;
    world->keep_log = options->keep_log;
    world->lookup_ms = 5;
    world->disk_ms = 4;
    world->checker = checker_new();
    net_init(&world->net, &world->sim);
    for (unsigned i = 0; i < options->count; i++)
        make_node(world, i);
    for (unsigned i = 0; i < options->count; i++) {
        world->nodes[i].is_member = true;
        node_open(&world->nodes[i], true);
    }
}

void world_close(struct world *world)
{
    for (unsigned i = 0; i < world->count; i++)
        if (world->nodes[i].host.is_up) node_shut(&world->nodes[i]);
    sim_close(&world->sim);
    for (unsigned i = 0; i < world->count; i++) {
        sim_io_free(&world->nodes[i].disk);
        store_free(&world->nodes[i].store);
    }
    checker_free(world->checker);
}

void world_run(struct world *world, uint64_t for_ms)
{
    sim_run(&world->sim, world->sim.now_ms + for_ms);
}

unsigned world_leader(const struct world *world)
{
    unsigned leader = world->count;
    raft_term term = 0;
    for (unsigned i = 0; i < world->count; i++) {
        const struct world_node *node = &world->nodes[i];
        if (!node->host.is_up || node->raft.state != RAFT_LEADER) continue;
        if (node->raft.current_term <= term) continue;
        term = node->raft.current_term;
        leader = i;
    }
    return leader;
}

/* ---- faults ---- */

void world_kill(struct world *world, unsigned i)
{
    struct world_node *node = &world->nodes[i];
    if (!node->host.is_up) return;
    sim_trace(&world->sim, "kill %s", node->address);
    world->kills++;
    if (node->host.is_paused) node->stood_ms = world->sim.now_ms;
    node_shut(node);
    crowd_node_gone(world->crowd, node);
}

void world_start(struct world *world, unsigned i)
{
    struct world_node *node = &world->nodes[i];
    if (node->host.is_up) return;
    node_open(node, false);
    sim_trace(&world->sim, "start %s: log up to %llu, store up to %llu", node->address,
              raft_last_index(&node->raft), (unsigned long long)node->store.number);
}

void world_pause(struct world *world, unsigned i)
{
    sim_trace(&world->sim, "pause %s", world->nodes[i].address);
    host_pause(&world->nodes[i].host);
}

void world_resume(struct world *world, unsigned i)
{
    struct world_node *node = &world->nodes[i];
    if (!node->host.is_paused) return;
    sim_trace(&world->sim, "resume %s", node->address);
    node->resumed_ms = node->stood_ms = world->sim.now_ms;
    host_resume(&node->host);
}

void world_fill_disk(struct world *world, unsigned i, bool is_full)
{
    struct world_node *node = &world->nodes[i];
    node->is_full = is_full;
    if (node->host.is_up && node->guard.is_disk_full != is_full)
        guard_disk_full(&node->guard, is_full);
}

void world_cut(struct world *world, unsigned from, unsigned to, bool is_cut)
{
    world->net.links[from][to].is_cut = is_cut;
}

/* ---- members ---- */

unsigned world_grow(struct world *world)
{
    unsigned i = world->count;
    make_node(world, i);
    world->nodes[i].has_joined = true;
    node_open(&world->nodes[i], false);
    return i;
}

static void on_change_done(struct raft_change *change, int status)
{
    const struct member_change *done = (struct member_change *)change;
    struct world *world = done->world;
    struct world_node *node = &world->nodes[done->node];
    sim_trace(&world->sim, "change of %s: %s", node->address,
              status == 0 ? "done" : raft_strerror(status));
    if (status != 0) return;
    world->changed++;
    node->is_member = done->is_member;
}

static struct raft *leading(struct world *world)
{
    unsigned leader = world_leader(world);
    if (leader == world->count || world->nodes[leader].host.is_paused) return NULL;
    return &world->nodes[leader].raft;
}

/* The leader, if it takes a change now: for one that it refuses the library forgets some memory. */
static struct raft *changing(struct world *world)
{
    struct raft *raft = leading(world);
    if (raft == NULL || raft_transferee(raft) != 0) return NULL;
    bool is_busy = raft->configuration_uncommitted_index != 0 || raft->legacy.change != NULL;
    return is_busy ? NULL : raft;
}

static struct raft_change *change_of(struct world *world, unsigned i, bool is_member)
{
    struct member_change *change = &world->changes[world->changes_count % WORLD_CHANGES];
    world->changes_count++;
    *change = (struct member_change){.world = world, .node = i, .is_member = is_member};
    return &change->change;
}

bool world_add(struct world *world, unsigned i)
{
    struct raft *raft = changing(world);
    const struct world_node *node = &world->nodes[i];
    return raft != NULL &&
           raft_add(raft, change_of(world, i, false), i + 1, node->address, on_change_done) == 0;
}

static bool assign(struct world *world, unsigned i, int role)
{
    struct raft *raft = changing(world);
    bool is_member = role == RAFT_VOTER;
    return raft != NULL &&
           raft_assign(raft, change_of(world, i, is_member), i + 1, role, on_change_done) == 0;
}

bool world_stand_by(struct world *world, unsigned i)
{
    return assign(world, i, RAFT_STANDBY);
}

bool world_promote(struct world *world, unsigned i)
{
    return assign(world, i, RAFT_VOTER);
}

bool world_remove(struct world *world, unsigned i)
{
    struct raft *raft = changing(world);
    return raft != NULL &&
           raft_remove(raft, change_of(world, i, false), i + 1, on_change_done) == 0;
}

void world_sync_members(struct world *world)
{
    const struct raft *raft = leading(world);
    if (raft == NULL || raft->configuration_uncommitted_index != 0) return;
    for (unsigned i = 0; i < world->count; i++) {
        struct world_node *node = &world->nodes[i];
        node->is_member = false;
        for (unsigned k = 0; k < raft->configuration.n; k++) {
            const struct raft_server *server = &raft->configuration.servers[k];
            if (server->id == i + 1 && server->role == RAFT_VOTER) node->is_member = true;
        }
    }
}

static void on_transferred(struct raft_transfer *transfer)
{
    mem_free(transfer);
}

bool world_transfer(struct world *world, unsigned i)
{
    struct raft *raft = leading(world);
    if (raft == NULL || raft->transfer != NULL) return false;
    struct raft_transfer *transfer = mem_new(sizeof *transfer);
    if (raft_transfer(raft, transfer, i + 1, on_transferred) == 0) return true;
    mem_free(transfer);
    return false;
}

/* ---- the end ---- */

/* Nobody waits for a change of members, and all know the same ones. */
static bool knows_members(const struct world_node *node, const struct raft *leader)
{
    const struct raft_configuration *ours = &node->raft.configuration;
    const struct raft_configuration *theirs = &leader->configuration;
    if (node->raft.configuration_uncommitted_index != 0 || ours->n != theirs->n) return false;
    for (unsigned i = 0; i < ours->n; i++) {
        const struct raft_server *a = &ours->servers[i], *b = &theirs->servers[i];
        if (a->id != b->id || a->role != b->role) return false;
    }
    return true;
}

static bool has_ready_leader(struct world *world)
{
    unsigned leader = world_leader(world);
    return leader < world->count && guard_ready(&world->nodes[leader].guard);
}

bool world_is_level(struct world *world)
{
    uint64_t number = 0;
    if (!has_ready_leader(world)) return false;
    for (unsigned i = 0; i < world->count; i++) {
        const struct world_node *node = &world->nodes[i];
        if (node->is_member && node->store.number > number) number = node->store.number;
    }
    for (unsigned i = 0; i < world->count; i++) {
        const struct world_node *node = &world->nodes[i];
        if (!node->is_member) continue;
        if (!node->host.is_up || node->machine.has_gap) return false;
        if (!knows_members(node, &world->nodes[world_leader(world)].raft)) return false;
        if (node->store.number != number || node->store.told != number) return false;
    }
    return true;
}

void world_trace(struct world *world)
{
    for (unsigned i = 0; i < world->count && world->sim.traces; i++) {
        struct world_node *node = &world->nodes[i];
        struct raft *raft = &node->raft;
        if (!node->is_member || !node->host.is_up) continue;
        sim_trace(
            &world->sim,
            "%s state %u term %llu: last %llu stored %llu committed %llu applied %llu, number "
            "%llu, in the store %llu of %llu%s, %u writes wait",
            node->address, raft->state, raft->current_term, raft_last_index(raft),
            raft->last_stored, raft->commit_index, raft->last_applied,
            (unsigned long long)node->chat.number, (unsigned long long)node->store.number,
            (unsigned long long)node->store.told, node->machine.has_gap ? ", gap" : "",
            sim_io_waiting(&node->disk));
    }
}

void world_tell_finals(struct world *world)
{
    static const struct checker_line none;
    for (unsigned i = 0; i < world->count; i++) {
        const struct store *store = &world->nodes[i].store;
        if (!world->nodes[i].is_member) continue;
        checker_final(world->checker, i, store->number == 0 ? &none : store->lines, store->number);
    }
}
