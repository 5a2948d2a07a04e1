#include "faults.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "crowd.h"

enum {
    CALM_MS = 3000,
    FAULTS_MIN = 3,
    FAULTS_MAX = 7,
    SETTLE_MS = 2000,
    FINISH_MS = 120000,
    LEVEL_MS = 10000,
    PROOF_MS = 30000,
    HELD_MS = 4500,
    HELD_LONG_MS = 12000
};

static const char *const fault_names[] = {
#define FAULT_NAME(name, words) words,
    FAULT_TABLE(FAULT_NAME)
#undef FAULT_NAME
};

const char *fault_words(enum fault_kind kind)
{
    return fault_names[kind];
}

struct schedule {
    struct world *world;
    unsigned faults, kinds[FAULTS];
};

/* ---- the whole net ---- */

static void cut_node(struct world *world, unsigned i, bool in, bool out, bool is_cut)
{
    for (unsigned k = 0; k < SIM_HOSTS; k++) {
        if (in) world_cut(world, k, i, is_cut);
        if (out) world_cut(world, i, k, is_cut);
    }
}

static void set_links(struct world *world, unsigned latency_ms, unsigned jitter_ms,
                      unsigned loss_percent)
{
    for (unsigned i = 0; i < SIM_HOSTS; i++) {
        for (unsigned k = 0; k < SIM_HOSTS; k++) {
            struct net_link *link = &world->net.links[i][k];
            link->latency_ms = latency_ms;
            link->jitter_ms = jitter_ms;
            link->loss_percent = loss_percent;
        }
    }
}

/* A change of members may turn out to be made when its leader is long gone: then its computer must be on, and
 * so must that of one who may have been made a voter, without whom nobody might lead. */
static void start_members(struct world *world)
{
    world_sync_members(world);
    for (unsigned i = 0; i < world->count; i++) {
        struct world_node *node = &world->nodes[i];
        if (!node->is_member && (!node->has_joined || node->is_gone)) continue;
        world_start(world, i);
        store_wake(&world->nodes[i]);
    }
}

static void heal(struct world *world)
{
    set_links(world, 2, 8, 0);
    for (unsigned i = 0; i < world->count; i++) {
        cut_node(world, i, true, true, false);
        world_resume(world, i);
        world->nodes[i].disk.disk.latency_ms = world->disk_ms;
        world->nodes[i].store.latency_ms = 30;
        world->nodes[i].store.is_stuck = false;
        world->nodes[i].disk.disk.fails_writing = world->nodes[i].disk.disk.fails_reading = false;
        world_fill_disk(world, i, false);
    }
    start_members(world);
}

/* ---- victims ---- */

static unsigned members(const struct world *world)
{
    unsigned count = 0;
    for (unsigned i = 0; i < world->count; i++)
        count += world->nodes[i].is_member;
    return count;
}

static unsigned any_member(struct world *world)
{
    for (;;) {
        unsigned i = (unsigned)sim_draw(&world->sim, world->count);
        if (world->nodes[i].is_member) return i;
    }
}

static unsigned choose_victim(struct world *world)
{
    unsigned leader = world_leader(world);
    bool hits_leader = leader < world->count && sim_chance(&world->sim, 60);
    return hits_leader ? leader : any_member(world);
}

static void kill_some(struct world *world, unsigned count)
{
    unsigned from = any_member(world);
    for (unsigned k = 0; k < world->count && count > 0; k++) {
        unsigned i = (from + k) % world->count;
        if (!world->nodes[i].host.is_up || !world->nodes[i].is_member) continue;
        world_kill(world, i);
        count--;
    }
}

/* What may happen just when a change is on its way. */
static void disturb(struct world *world, unsigned i)
{
    world_run(world, sim_draw(&world->sim, 20));
    unsigned leader = world_leader(world);
    if (sim_chance(&world->sim, 50)) {
        cut_node(world, i, true, true, true);
    } else if (leader < world->count) {
        world_kill(world, leader);
    }
}

/* One more member, which is made a voter. Somebody may be away meanwhile, and get the changes among many
 * other entries. */
static void grow(struct world *world)
{
    unsigned away = any_member(world);
    const struct world_node *last = &world->nodes[world->count - 1];
    if (sim_chance(&world->sim, 60) && away != world_leader(world))
        cut_node(world, away, true, true, true);
    bool is_enough = members(world) >= 3 ? last->has_joined : last->has_joined && !last->is_member;
    if (world->count >= SIM_HOSTS || is_enough) return;
    unsigned i = world_grow(world);
    if (!world_add(world, i)) return;
    world_run(world, 1500);
    if (sim_chance(&world->sim, 50) && world_stand_by(world, i)) world_run(world, 1500);
    bool is_disturbed = sim_chance(&world->sim, 50);
    for (unsigned tries = 0; tries < 10 && !world->nodes[i].is_member; tries++) {
        if (world_promote(world, i) && is_disturbed) disturb(world, i);
        world_run(world, 500);
    }
}

/* A member leaves, and its computer is switched off. One of two hands over before (change.h). */
static void shrink(struct world *world)
{
    unsigned i = any_member(world), count = members(world);
    if (count == 1 || (count == 2 && i == world_leader(world)) || !world_remove(world, i)) return;
    world_run(world, 1000);
    struct world_node *node = &world->nodes[i];
    node->is_gone = !node->is_member;
    if (node->is_gone) world_kill(world, i);
}

static void lose_power(struct world *world)
{
    for (unsigned i = 0; i < world->count; i++)
        world->nodes[i].store.is_stuck = true;
    world_run(world, sim_between(&world->sim, 1000, 5000));
    kill_some(world, world->count);
}

static void flicker(struct world *world)
{
    for (unsigned i = 0; i < 6; i++) {
        unsigned victim = choose_victim(world);
        cut_node(world, victim, true, true, true);
        world_run(world, sim_between(&world->sim, 1, 2 * WORLD_ELECTION_MS));
        if (sim_chance(&world->sim, 80)) cut_node(world, victim, true, true, false);
    }
}

static int64_t jump(struct world *world)
{
    static const int64_t jumps_ms[] = {-3600000, -1000, 1000, 3600000, 86400000};
    return jumps_ms[sim_draw(&world->sim, 5)];
}

static void break_disk(struct world *world, unsigned i)
{
    struct disk *disk = &world->nodes[i].disk.disk;
    bool reads = sim_chance(&world->sim, 30);
    disk->fails_reading = reads;
    disk->fails_writing = !reads;
}

static void begin(struct schedule *schedule, enum fault_kind kind)
{
    struct world *world = schedule->world;
    unsigned count = members(world), victim = choose_victim(world);
    schedule->kinds[kind]++;
    sim_trace(&world->sim, "---- %s (tea-%u)", fault_names[kind], victim + 1);
    switch (kind) {
    case FAULT_KILL_ONE: world_kill(world, victim); break;
    case FAULT_KILL_MAJORITY: kill_some(world, count / 2 + 1); break;
    case FAULT_KILL_ALL: kill_some(world, count); break;
    case FAULT_KILL_AND_BACK:
        world_kill(world, victim);
        world_start(world, victim);
        break;
    case FAULT_PAUSE: world_pause(world, victim); break;
    case FAULT_ISOLATE: cut_node(world, victim, true, true, true); break;
    case FAULT_ONE_WAY_IN: cut_node(world, victim, true, false, true); break;
    case FAULT_ONE_WAY_OUT: cut_node(world, victim, false, true, true); break;
    case FAULT_SPLIT:
        for (unsigned i = 0; i < world->count; i++)
            for (unsigned k = 0; k < world->count; k++)
                if ((i < count / 2) != (k < count / 2)) world_cut(world, i, k, true);
        break;
    case FAULT_EVERYBODY_ALONE:
        for (unsigned i = 0; i < world->count; i++)
            cut_node(world, i, true, true, true);
        break;
    case FAULT_LOSS: set_links(world, 2, 8, 30); break;
    case FAULT_SLOW_LINKS: set_links(world, 20, 400, 0); break;
    case FAULT_SLOW_DISK: world->nodes[victim].disk.disk.latency_ms = 2500; break;
    case FAULT_DISK_ERROR: break_disk(world, victim); break;
    case FAULT_DISK_FULL: world_fill_disk(world, victim, true); break;
    case FAULT_CLOCK: world->nodes[victim].clock_ms += jump(world); break;
    case FAULT_STORE_STUCK: world->nodes[victim].store.is_stuck = true; break;
    case FAULT_TRANSFER: world_transfer(world, any_member(world)); break;
    case FAULT_MEMBER: grow(world); break;
    case FAULT_MEMBER_GOES: shrink(world); break;
    case FAULT_POWER_LOSS: lose_power(world); break;
    case FAULT_FLICKER: flicker(world); break;
    case FAULTS: break;
    }
}

/* ---- a run ---- */

/* Who is alone soon gets company, as a cluster that was restored does. */
static enum fault_kind draw_kind(struct world *world)
{
    bool grows = members(world) == 1 && sim_chance(&world->sim, 50);
    return grows ? FAULT_MEMBER : (enum fault_kind)sim_draw(&world->sim, FAULTS);
}

static void run_faults(struct schedule *schedule)
{
    struct world *world = schedule->world;
    struct sim *sim = &world->sim;
    unsigned count = (unsigned)sim_between(sim, FAULTS_MIN, FAULTS_MAX);
    for (unsigned i = 0; i < count; i++) {
        begin(schedule, draw_kind(world));
        /* Sometimes two of them overlap. */
        if (sim_chance(sim, 30)) {
            world_run(world, sim_between(sim, 50, 1500));
            begin(schedule, draw_kind(world));
            schedule->faults++;
        }
        world_run(world, sim_between(sim, 500, sim_chance(sim, 15) ? HELD_LONG_MS : HELD_MS));
        sim_trace(sim, "---- heal");
        heal(world);
        schedule->faults++;
        if (i + 1 < count) world_run(world, sim_between(sim, 100, 2500));
    }
}

/* Nodes are level soon after the last fault, whatever clients still do. */
static bool settle(struct world *world)
{
    uint64_t healed_ms = world->sim.now_ms;
    uint64_t traced_ms = 0;
    while (!world_is_level(world)) {
        if (world->sim.now_ms - traced_ms >= 1000) {
            world_trace(world);
            traced_ms = world->sim.now_ms;
        }
        if (world->sim.now_ms - healed_ms > LEVEL_MS) return false;
        world_run(world, 50);
        start_members(world);
    }
    world->level_ms = world->sim.now_ms - healed_ms;
    return true;
}

/* And every client is soon heard again. */
static void prove(struct world *world)
{
    uint64_t healed_ms = world->sim.now_ms;
    crowd_prove(world->crowd);
    while (!crowd_is_proved(world->crowd) && world->sim.now_ms - healed_ms < PROOF_MS) {
        world_run(world, 50);
        start_members(world);
    }
    world->proof_max_ms = world->sim.now_ms - healed_ms;
    crowd_end_proof(world->crowd);
}

static bool finish(struct world *world)
{
    crowd_finish(world->crowd);
    if (!settle(world)) return false;
    prove(world);
    uint64_t until_ms = world->sim.now_ms + FINISH_MS;
    world_run(world, SETTLE_MS);
    while (world->sim.now_ms < until_ms) {
        world_run(world, 250);
        start_members(world);
        if (crowd_is_done(world->crowd) && world_is_level(world)) {
            world_run(world, 50);
            if (crowd_is_done(world->crowd) && world_is_level(world)) return true;
        }
    }
    return false;
}

/* All of them, the first one that was found first. */
static void name_errors(const struct checker_report *report, char *out, size_t size)
{
    int len = snprintf(out, size, "%s", checker_name(report->first));
    for (int i = 0; i < CHECKER_ERRORS && len < (int)size; i++) {
        if (report->counts[i] == 0 || (enum checker_error)i == report->first) continue;
        len += snprintf(out + len, size - (size_t)len, " %s", checker_name((enum checker_error)i));
    }
}

/* Did two messages under one id come into the log? */
static bool has_both(const struct world *world)
{
    for (unsigned i = 0; i < world->count; i++) {
        const struct store *store = &world->nodes[i].store;
        for (uint64_t a = 0; a < store->number; a++) {
            if ((store->lines[a].id & WORLD_OTHER) == 0) continue;
            for (uint64_t b = 0; b < store->number; b++)
                if (store->lines[b].id == (store->lines[a].id & ~WORLD_OTHER)) return true;
        }
    }
    return false;
}

static void judge(struct world *world, bool is_finished, struct run_result *result)
{
    world_tell_finals(world);
    bool is_good = checker_run(world->checker, &result->report);
    bool is_both = has_both(world);
    result->is_good = is_good && is_finished && !is_both && !world->is_fatal;
    const struct checker_report *report = &result->report;
    if (!is_good) {
        name_errors(report, result->error, sizeof result->error);
        snprintf(result->words, sizeof result->words, "%s", report->words);
    } else if (is_both) {
        snprintf(result->error, sizeof result->error, "ID_USED_TWICE");
        snprintf(result->words, sizeof result->words, "two messages under one id are in the log");
    } else if (world->is_fatal) {
        snprintf(result->error, sizeof result->error, "FATAL");
        snprintf(result->words, sizeof result->words, "%s", world->fatal);
    } else if (!is_finished) {
        snprintf(result->error, sizeof result->error, "STUCK");
        snprintf(result->words, sizeof result->words, "not all are answered and level in time");
    }
}

static void take_numbers(const struct world *world, struct run_result *result)
{
    result->virtual_ms = world->sim.now_ms;
    result->events = world->sim.events;
    result->elections = world->elections;
    result->kills = world->kills;
    result->gaps = world->gaps;
    result->snapshots = world->snapshots;
    result->backfilled = world->backfilled;
    result->retries = world->retries;
    result->known = world->known;
    result->repeated = world->repeated;
    result->changed = world->changed;
    result->ended = world->ended;
    result->kept = world->net.kept;
    result->level_ms = world->level_ms;
    result->wait_max_ms = world->wait_max_ms;
    result->proof_max_ms = world->proof_max_ms;
    result->lost = world->net.lost;
}

static void begin_world(struct world *world, const struct run_options *options)
{
    static const unsigned windows[] = {8, 16, 64, 1 << 17}, keeps[] = {4, 8, 16, 64};
    static const unsigned disks[] = {1, 1, 4, 4, 25, 25, 300, 700, 1500};
    struct sim chance;
    sim_init(&chance, ~options->seed);
    unsigned dice = (unsigned)sim_draw(&chance, 100);
    unsigned count = dice < 30 ? 5 : dice < 85 ? 3 : dice < 90 ? 2 : 1;
    unsigned window = windows[sim_draw(&chance, 4)], keep_log = keeps[sim_draw(&chance, 4)];
    /* Only what is about the small window is to be found by it. */
    bool is_of_ids = options->mistake == DEDUP_IN_LEADER || options->mistake == NOT_READY ||
                     options->mistake == DEDUP_BEFORE_APPEND;
    if (is_of_ids) window = WINDOW_EVENTS;
    world_init(world, &(struct world_options){.seed = options->seed,
                                              .count = count,
                                              .window = window,
                                              .keep_log = keep_log,
                                              .mistake = options->mistake,
                                              .traces = options->traces});
    world->disk_ms = disks[sim_draw(&chance, 9)];
    world->net.reorders = sim_chance(&chance, 20);
    world->lookup_ms = sim_chance(&chance, 30) ? 1500 : 5;
    world->is_blind = sim_chance(&chance, 30) && !is_of_ids;
    world->net.keeps = sim_chance(&chance, 50);
}

void run_seed(const struct run_options *options, struct run_result *result)
{
    struct world *world = mem_new(sizeof *world);
    struct schedule schedule = {.world = world};
    *result = (struct run_result){.is_good = false};
    begin_world(world, options);
    struct crowd *crowd = crowd_new(
        world, &(struct crowd_options){.clients = 6, .pages = 4, .commands = 200, .pause_ms = 600});
    /* A node that ends itself leaves its library in the middle of something: nothing is put away then. */
    world->jumps = true;
    if (setjmp(world->on_fatal) != 0) {
        judge(world, false, result);
        return;
    }
    world_run(world, CALM_MS);
    crowd_start(crowd);
    world_run(world, 500);
    run_faults(&schedule);
    judge(world, finish(world), result);
    take_numbers(world, result);
    result->faults = schedule.faults;
    memcpy(result->kinds, schedule.kinds, sizeof result->kinds);
    world_close(world);
    crowd_free(crowd);
    mem_free(world);
}
