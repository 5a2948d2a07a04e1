/* One simulated node: what cluster/node.c and node_raft.c do, on a simulated disk and network. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "world_parts.h"

/* RATE: nobody here writes so much */
enum { TICK_MS = 50, INSTALL_TIMEOUT_MS = 2000, RATE = 40, RATE_MS = 4000 };

struct in_flight {
    struct raft_apply apply; /* first */
    struct world_node *node;
};

/* ---- what the guard tells ---- */

static void on_guard_fatal(void *owner, const char *what, int status)
{
    struct world_node *node = owner;
    char words[160];
    if (node->disk.is_failing) {
        sim_trace(&node->world->sim, "%s ends: %s", node->address, what);
        longjmp(node->disk.ending, 1);
    }
    snprintf(words, sizeof words, "%s (%s)", what, raft_strerror(status));
    world_fatal(node->world, node, words);
}

/* What raft_uv tells of its disk comes this way. */
static void on_disk_trace(struct sim_io *disk, const char *message)
{
    struct world_node *node =
        (struct world_node *)((char *)disk - offsetof(struct world_node, disk));
    struct raft_tracer *tracer = &node->guard.tracer;
    const struct raft_tracer_info told = {.version = 1, .diagnostic = {.message = message}};
    tracer->emit(tracer, RAFT_TRACER_DIAGNOSTIC, &told);
}

static void on_disk_ended(struct sim_io *disk)
{
    struct world_node *node =
        (struct world_node *)((char *)disk - offsetof(struct world_node, disk));
    node->world->ended++;
    node_shut(node);
    crowd_node_gone(node->world->crowd, node);
}

static void stop_leading(struct world_node *node)
{
    node->is_leading = false;
    node->entry = NULL;
    propose_drop(node->propose);
}

static void begin_leading(struct world_node *node)
{
    if (node->is_leading) return;
    sim_trace(&node->world->sim, "%s leads in term %llu", node->address, node->raft.current_term);
    if (node->world->mistake == DEDUP_IN_LEADER) {
        window_reset(&node->chat.window, node->chat.number + 1);
    }
}

static void on_guard_change(void *owner)
{
    struct world_node *node = owner;
    raft_id leader;
    const char *address;
    if (node->is_closing) return;
    raft_leader(&node->raft, &leader, &address);
    bool leads = node->raft.state == RAFT_LEADER;
    if (node->is_leading && !leads) stop_leading(node);
    if (leads) begin_leading(node);
    node->is_leading = leads;
    node->leader = leader;
    node->leader_term = raft_current_term(&node->raft);
    bool is_news = leader != node->elected || node->leader_term != node->elected_term;
    if (leader == 0 || !is_news) return;
    node->elected = leader;
    node->elected_term = node->leader_term;
    if (leads) node->world->elections++;
    forward_leader_changed(node->forward);
}

static void on_snapshot(void *owner, raft_index index, uint64_t number, uint64_t took_us)
{
    struct world_node *node = owner;
    (void)index;
    (void)number;
    (void)took_us;
    node->world->snapshots++;
}

/* ---- what the machine tells ---- */

static void on_event(void *owner, const struct message_sent *event, struct shared *bytes)
{
    struct world_node *node = owner;
    node->in_entry = true;
    store_add(node, event, bytes);
    if (node->world->mistake == GAP_NOT_TOLD && node->machine.has_gap) return;
    crowd_event(node->world->crowd, node, &node->store.lines[event->number - 1]);
}

static void on_outcome(void *owner, const struct command_id *id, enum chat_outcome outcome,
                       const struct message_sent *event)
{
    struct world_node *node = owner;
    struct message_sent told = *event;
    if (outcome == CHAT_KNOWN) node->world->repeated++;
    if (node->world->mistake == NUMBER_OVERWRITTEN && outcome == CHAT_KNOWN) {
        told.number = node->chat.number;
    }
    forward_applied(node->forward, id, outcome, &told);
}

static void on_entry(void *owner, uint64_t index)
{
    struct world_node *node = owner;
    store_entry(node, index);
    node->in_entry = false;
    struct taken *answered = node->answered;
    node->answered = NULL;
    node->answered_last = &node->answered;
    while (answered != NULL) {
        struct taken *next = answered->next;
        crowd_answered(node->world->crowd, answered->attempt, &answered->answer);
        mem_free(answered);
        answered = next;
    }
    crowd_entry(node->world->crowd, node);
}

static void on_gap(void *owner)
{
    struct world_node *node = owner;
    const struct machine *machine = &node->machine;
    bool is_missing = machine->has_gap && !machine->is_filled;
    if (machine->has_gap && !node->guard.has_gap) {
        node->world->gaps++;
        sim_trace(&node->world->sim, "%s has a gap up to %llu", node->address,
                  (unsigned long long)machine->goal.number);
    }
    guard_gap(&node->guard, machine->has_gap, machine->waiting_bytes);
    backfill_want(node->backfill, node->chat.number,
                  is_missing ? machine->goal.number : node->chat.number, node->world->sim.now_ms);
}

static void on_manifest(void *owner, const struct manifest *manifest)
{
    struct world_node *node = owner;
    guard_manifest(&node->guard, manifest->number);
}

static int digest_at(void *owner, uint64_t number, struct digest *digest)
{
    const struct world_node *node = owner;
    struct message_sent event;
    struct errmsg errmsg;
    if (number == 0 || number > node->store.told) return ERR_NOT_FOUND;
    int rv = event_decode(&event, shared_slice(node->store.events[number - 1]), &errmsg);
    if (rv == 0) *digest = event.digest;
    return rv;
}

static void on_machine_fatal(void *owner, int exit_code, const char *sentence)
{
    struct world_node *node = owner;
    (void)exit_code;
    world_fatal(node->world, node, sentence);
}

/* ---- proposing ---- */

static void on_applied(struct raft_apply *apply, int status, void *result)
{
    struct in_flight *entry = (struct in_flight *)apply;
    struct world_node *node = entry->node;
    bool is_current = node->entry == entry;
    (void)result;
    mem_free(entry);
    if (!is_current || node->is_closing) return;
    node->entry = NULL;
    if (status == 0) {
        propose_done(node->propose);
    } else {
        propose_drop(node->propose);
    }
}

static enum submitted submit(void *owner, struct slice bytes)
{
    struct world_node *node = owner;
    struct raft_buffer buffer = {.base = raft_malloc(bytes.len), .len = bytes.len};
    struct in_flight *entry = mem_new(sizeof *entry);
    assert(node->entry == NULL);
    memcpy(buffer.base, bytes.at, bytes.len);
    entry->node = node;
    int rv = raft_apply(&node->raft, &entry->apply, &buffer, 1, on_applied);
    if (rv == 0) {
        node->entry = entry;
        mistake_at_append(node, bytes);
        return SUBMITTED;
    }
    if (rv != RAFT_NOTLEADER && rv != RAFT_NOSPACE) on_guard_fatal(node, "raft_apply", rv);
    raft_free(buffer.base);
    mem_free(entry);
    return rv == RAFT_NOSPACE ? SUBMIT_FULL : SUBMIT_LATER;
}

static void on_dropped(void *owner, const struct proposal *proposal, bool may_be_in_log)
{
    struct world_node *node = owner;
    if (proposal->origin != node->disk.id || node->is_closing) return;
    if (node->world->mistake == LOST_IS_REFUSED) {
        forward_refused(node->forward, &proposal->command.id, CHAT_NO_LEADER, 0, proposal->sending);
        return;
    }
    forward_dropped(node->forward, &proposal->command.id, may_be_in_log);
}

/* ---- a turn of its loop ---- */

static void nothing_to_flush(void *owner)
{
    (void)owner;
}

/* What raft has completed is told by raft_uv between two turns; the library keeps the function to itself,
 * but not the list. */
static void fire_completed(struct raft *raft)
{
    typedef void *link[2];
    link *list = &raft->legacy.requests;
    while ((*list)[0] != (void *)list) {
        link *first = (*list)[0];
        link *next = (*first)[0];
        (*list)[0] = next;
        (*next)[1] = list;
        struct raft_apply *request =
            (struct raft_apply *)((char *)first - offsetof(struct raft_apply, queue));
        int status = request->status;
        switch (request->type) {
        case RAFT_COMMAND: request->cb(request, status, request->result); break;
        case RAFT_BARRIER: {
            struct raft_barrier *barrier = (struct raft_barrier *)request;
            barrier->cb(barrier, status);
            break;
        }
        case RAFT_CHANGE: {
            struct raft_change *change = (struct raft_change *)request;
            change->cb(change, status);
            break;
        }
        default: {
            struct raft_transfer *transfer = (struct raft_transfer *)request;
            transfer->cb(transfer);
            break;
        }
        }
    }
}

/* A leader that looks for no id before an append puts many a command into the log again: then applying alone
 * has to find it. With the look, that never happens. */
static void pump(struct world_node *node)
{
    struct window kept = node->chat.window, none;
    uint64_t now_ms = node->world->sim.now_ms;
    int64_t wall_ms = (int64_t)(WALL_MS + now_ms) + node->clock_ms;
    bool is_blind = node->world->is_blind;
    if (node->world->mistake == RATE_BY_WALL_CLOCK) now_ms = (uint64_t)wall_ms;
    if (is_blind) {
        window_init(&none, 1);
        node->chat.window = none;
    }
    propose_pump(node->propose, now_ms, wall_ms);
    if (!is_blind) return;
    window_close(&node->chat.window);
    node->chat.window = kept;
}

static void settle(struct world_node *node)
{
    struct world *world = node->world;
    uint64_t now_ms = world->sim.now_ms;
    unsigned leader = (unsigned)node->leader;
    bool has_leader = node->is_leading || (leader != 0 && world->nodes[leader - 1].host.is_up &&
                                           !guard_takes_nothing(&node->guard));
    if (has_leader) node->leaderless_ms = 0;
    if (!has_leader && node->leaderless_ms == 0) node->leaderless_ms = now_ms;
    forward_flush(node->forward, has_leader, now_ms);
    machine_drain(&node->machine);
    if (!node->is_leading) return;
    if (guard_ready(&node->guard) || world->mistake == NOT_READY) pump(node);
    guard_tell_commit(&node->guard);
    if (world->mistake == OLD_TERM_COMMIT) mistake_commit_old_terms(node);
}

void node_turn(struct host *host)
{
    struct world_node *node = (struct world_node *)host;
    settle(node);
    fire_completed(&node->raft);
    settle(node);
}

struct ticking {
    struct host_event event;
    struct world_node *node;
};

static void on_tick(struct host_event *event, bool is_dropped)
{
    struct ticking *ticking = (struct ticking *)event;
    if (is_dropped) {
        mem_free(ticking);
        return;
    }
    host_later(&ticking->node->host, TICK_MS, &ticking->event);
    node_tick(ticking->node);
}

/* ---- start and end ---- */

/* Raft's log must not end before what it had acknowledged. */
static void check_log(struct world_node *node)
{
    enum mistake mistake = node->world->mistake;
    if (mistake == ACK_BEFORE_FLUSH || mistake == FORGETS_TAIL) return;
    if (raft_last_index(&node->raft) >= node->store.mark) return;
    world_fatal(node->world, node, "the log is shorter than what it had acknowledged");
}

static void make_parts(struct world_node *node)
{
    static const uint8_t cluster[16] = {1};
    const struct chat_limits limits = {
        .text_code_points_max = CHAT_TEXT_CODE_POINTS_MAX, .rate = RATE, .rate_window_ms = RATE_MS};
    node->answered = NULL;
    node->answered_last = &node->answered;
    chat_init(&node->chat, &limits);
    window_close(&node->chat.window);
    window_init(&node->chat.window, node->world->window);
    store_restore(node);
    machine_init(&node->machine, &node->raft, &node->chat, cluster, node->store.index,
                 &(struct machine_handler){.owner = node,
                                           .on_event = on_event,
                                           .on_outcome = on_outcome,
                                           .on_entry = on_entry,
                                           .on_gap = on_gap,
                                           .on_manifest = on_manifest,
                                           .digest_at = digest_at,
                                           .on_fatal = on_machine_fatal});
    node->propose = propose_new(&node->chat, 1000,
                                &(struct propose_handler){.owner = node,
                                                          .submit = submit,
                                                          .on_refused = node_on_refused,
                                                          .on_dropped = on_dropped});
    node->forward =
        forward_new(&node->chat, WORLD_ELECTION_MS, node->host.life << 32,
                    &(struct forward_handler){
                        .owner = node, .send = node_send_command, .flush = nothing_to_flush});
    node->backfill = node_backfill_new(node);
}

static void bootstrap(struct world_node *node)
{
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    for (unsigned i = 0; i < node->world->count; i++) {
        const struct world_node *founder = &node->world->nodes[i];
        raft_configuration_add(&configuration, i + 1, founder->address, RAFT_VOTER);
    }
    raft_bootstrap(&node->raft, &configuration);
    raft_configuration_close(&configuration);
}

void node_open(struct world_node *node, bool must_bootstrap)
{
    struct world *world = node->world;
    struct raft *raft = &node->raft;
    host_start(&node->host);
    node->is_closing = node->is_leading = node->in_entry = false;
    node->resumed_ms = node->leaderless_ms = 0;
    node->entry = NULL;
    node->leader = node->elected = 0;
    node->leader_term = node->elected_term = 0;
    node->beat_ms = node->chunks = 0;
    node->expired_ms = world->sim.now_ms;
    memset(node->heard_ms, 0, sizeof node->heard_ms);
    make_parts(node);
    memset(raft, 0, sizeof *raft);
    sim_io_open(&node->disk, &node->io, &node->host, &world->net);
    node->disk.on_trace = on_disk_trace;
    node->disk.on_ended = on_disk_ended;
    raft_init(raft, &node->io, &node->machine.fsm, node->host.index + 1, node->address);
    raft->tracer = NULL;
    raft_set_election_timeout(raft, WORLD_ELECTION_MS);
    raft_set_heartbeat_timeout(raft, WORLD_HEARTBEAT_MS);
    raft_set_pre_vote(raft, true);
    raft_set_snapshot_threshold(raft, world->keep_log);
    raft_set_snapshot_trailing(raft, world->keep_log);
    raft_set_install_snapshot_timeout(raft, INSTALL_TIMEOUT_MS);
    raft_set_max_catch_up_rounds(raft, 100);
    raft_set_max_catch_up_round_duration(raft, 5000);
    raft_set_max_inflight_entries(raft, world->mistake == OLD_TERM_COMMIT ? 1 : 256);
    guard_install(&node->guard, raft,
                  &(struct guard_handler){.owner = node,
                                          .on_fatal = on_guard_fatal,
                                          .on_change = on_guard_change,
                                          .on_snapshot = on_snapshot});
    guard_durable(&node->guard, node->store.number);
    guard_disk_full(&node->guard, node->is_full);
    mistake_plant(node);
    if (must_bootstrap) bootstrap(node);
    int rv = raft_start(raft);
    if (rv != 0) world_fatal(world, node, "raft does not start");
    check_log(node);
    on_guard_change(node);
    struct ticking *ticking = mem_new(sizeof *ticking);
    ticking->event.on_due = on_tick;
    ticking->node = node;
    host_later(&node->host, sim_between(&world->sim, 1, TICK_MS), &ticking->event);
}

void node_shut(struct world_node *node)
{
    node->is_closing = true;
    sim_io_lose(&node->disk);
    raft_close(&node->raft, NULL);
    machine_close(&node->machine);
    forward_free(node->forward);
    propose_free(node->propose);
    backfill_free(node->backfill);
    chat_close(&node->chat);
    store_lose(node);
    host_kill(&node->host);
}
