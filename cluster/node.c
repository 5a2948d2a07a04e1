/* Longer than 500 lines because it is a whole life, from start to stop; what a node does meanwhile is in
 * node_raft.c, node_frames.c and status.c.
 */
#include "cluster/node.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/node_state.h"

enum {
    TICK_MS = 50,
    FORM_EVERY_MS = 200,
    PAUSE_MS = 500,     /* a tick that is later than that: the process was stopped */
    HAND_OVER_MS = 500, /* for commands that wait, after leadership was handed over */
    UNHEARD_MS = 5000,  /* after our start: one that was never heard is not missed before */
    LEVEL_SLACK = 256   /* entries that a node which was level may be behind and still is */
};

/* ---- telling ---- */

void node_fatal(struct node *node, int exit_code, const char *sentence)
{
    node->options.handler.on_fatal(node->options.handler.owner, exit_code, sentence);
}

const char *node_name_of(const struct node *node, uint64_t id)
{
    if (id == node->id) return node->options.name;
    for (size_t i = 0; i < node->beats.count; i++) {
        if (node->beats.neighbours[i].id == id) return node->beats.neighbours[i].name;
    }
    return "";
}

void node_fatal_data(struct node *node, const char *sentence)
{
    char rejoin[REJOIN_WORDS_MAX];
    char text[2 * REJOIN_WORDS_MAX];
    data_dir_rejoin_words(node->options.dir, node->options.advertise, rejoin);
    snprintf(text, sizeof text, "%s. %s", sentence, rejoin);
    node_fatal(node, 3, text);
}

void node_event(struct node *node, enum cluster_event_kind kind, uint64_t peer, uint64_t took_ms)
{
    struct cluster_event event = {.at_ms = clock_wall_ms(), .kind = kind, .took_ms = took_ms};
    if (node->raft_is_open) event.term = raft_current_term(&node->raft);
    snprintf(event.node, sizeof event.node, "%s", node_name_of(node, peer));
    node->options.handler.on_cluster_event(node->options.handler.owner, &event);
}

bool node_has_leader(const struct node *node)
{
    struct rpc_peer_status link;
    if (!node->raft_is_open || node->phase == NODE_CLOSING) return false;
    if (node->is_leading) return true;
    if (node->leader == 0) return false;
    return rpc_peer_status(node->rpc, node->leader, &link) && link.is_up;
}

/* Does it make sense to ask the leader for something? Who takes no entries never sees what became of it. */
static bool can_follow(const struct node *node)
{
    return node_has_leader(node) && (node->is_leading || !guard_takes_nothing(&node->guard));
}

/* ---- the end of a turn of the loop ---- */

static bool has_passed(void *owner, uint64_t mark)
{
    return propose_passed(owner, mark);
}

static bool node_lags(const struct node *node)
{
    return node->guard.lag_bytes > STORE_LAG_BYTES_MAX;
}

void node_settle(struct node *node)
{
    if (!node->raft_is_open || node->phase == NODE_CLOSING) return;
    uint64_t now_ms = clock_ms();
    bool has_leader = can_follow(node);
    forward_flush(node->forward, has_leader, now_ms);
    barrier_flush(node->barrier, has_leader, now_ms);
    /* Raft's own entries (a barrier) are applied without a word to the machine. */
    machine_drain(&node->machine);
    node_bound_log(node);
    barrier_applied(node->barrier, machine_decided(&node->machine));
    if (!node->is_leading) return;
    node_changes_settle(node);
    if (guard_ready(&node->guard) && !node_is_changing(node)) {
        if (!node_lags(node) && !node_begins_log(node))
            propose_pump(node->propose, now_ms, clock_wall_ms());
        barrier_pump(node->barrier, has_passed, node->propose);
    }
    guard_tell_commit(&node->guard);
}

static void on_prepare(uv_prepare_t *prepare)
{
    node_settle(prepare->data);
}

static void on_check(uv_check_t *check)
{
    node_settle(check->data);
}

/* ---- giving leadership away ---- */

static void on_transferred(struct raft_transfer *transfer)
{
    struct node *node = transfer->data;
    raft_id leader;
    const char *address;
    node->is_transferring = false;
    node->is_stepping_down = false;
    node->handed_over_ms = clock_ms();
    raft_leader(&node->raft, &leader, &address);
    node_changes_transferred(node, leader);
    if (leader == 0 || leader == node->id) return;
    log_info("leadership handed over", "to=%s", node_name_of(node, leader));
    node_event(node, CLUSTER_TRANSFERRED, leader, 0);
}

int node_begin_transfer(struct node *node, raft_id to)
{
    if (node->is_transferring) return ERR_BUSY;
    if (to == 0) to = node_heir(node);
    node->transfer.data = node;
    int rv = raft_transfer(&node->raft, &node->transfer, to, on_transferred);
    if (rv == 0) node->is_transferring = true;
    if (rv == RAFT_NOTLEADER) return ERR_DENIED;
    if (rv == RAFT_NOTFOUND || rv == RAFT_BADID) return ERR_NOT_FOUND;
    return rv == 0 ? 0 : ERR_BUSY;
}

/* ---- time ---- */

static void form(struct node *node)
{
    struct form_peer others[2 * MEMBERS_MAX];
    struct data_dir *dir = node->options.dir;
    const char *waits_for;
    struct errmsg errmsg;
    for (size_t i = 0; i < node->beats.count; i++) {
        const struct neighbour *other = &node->beats.neighbours[i];
        others[i] = (struct form_peer){.name = other->name,
                                       .is_heard = other->is_form_heard,
                                       .state = (enum data_dir_state)other->form_state};
    }
    enum form_step step = form_decide(dir->state, others, node->beats.count, &waits_for);
    if (waits_for != NULL) snprintf(node->waits_for, sizeof node->waits_for, "%s", waits_for);
    if (step == FORM_MARK) {
        if (data_dir_mark(dir, DATA_DIR_FORMING, &errmsg) != 0) node_fatal(node, 1, errmsg.text);
        step = form_decide(dir->state, others, node->beats.count, &waits_for);
    }
    if (step == FORM_TOO_LATE) {
        errmsg_set(&errmsg,
                   "%s is part of a cluster that has begun already, and %s is empty: a member that "
                   "has lost its data must not vote again",
                   waits_for, dir->path);
        node_fatal_data(node, errmsg.text);
    }
    if (step != FORM_BOOTSTRAP) return;
    node_raft_start(node, true);
    /* The others may still wait for this word. */
    for (size_t i = 0; i < node->beats.count; i++) {
        node_tell_form(node, node->beats.neighbours[i].id, false);
    }
}

static void tick_forming(struct node *node, uint64_t now_ms)
{
    /* Browsers are let in before the cluster is there. */
    forward_tick(node->forward, now_ms);
    barrier_tick(node->barrier, false, now_ms);
    form(node);
    if (node->phase != NODE_FORMING || now_ms - node->formed_ms < FORM_EVERY_MS) return;
    node->formed_ms = now_ms;
    for (size_t i = 0; i < node->beats.count; i++) {
        node_tell_form(node, node->beats.neighbours[i].id, true);
    }
}

static void look_for_silence(struct node *node, uint64_t now_ms)
{
    if (now_ms < node->trust_ms) return;
    for (size_t i = 0; i < node->beats.count; i++) {
        struct neighbour *neighbour = &node->beats.neighbours[i];
        struct rpc_peer_status link = {.is_up = false};
        if (!neighbour->is_known && now_ms - node->started_ms < UNHEARD_MS) continue;
        if (neighbour->is_away || !rpc_peer_status(node->rpc, neighbour->id, &link)) continue;
        bool is_gone = link.is_refused && !link.is_up && !link.is_heard;
        if (!neighbour_silent(neighbour, is_gone, now_ms)) continue;
        neighbour->is_away = true;
        log_warn("node away", "peer=%s silent_ms=%" PRIu64, neighbour->name,
                 now_ms - neighbour->heard_ms);
        node_event(node, CLUSTER_AWAY, neighbour->id, 0);
        node->options.handler.on_change(node->options.handler.owner);
    }
}

/* With a store that is only slow the leader takes less; with one that hangs it would take nothing. */
static void look_at_store(struct node *node, uint64_t now_ms)
{
    bool is_stuck = node_lags(node) && now_ms - node->durable_ms > STORE_STUCK_MS;
    if (is_stuck && !node->is_store_stuck) {
        log_error("the event store does not move", "waiting_mib=%zu silent_ms=%" PRIu64,
                  node->guard.lag_bytes >> 20, now_ms - node->durable_ms);
    }
    node->is_store_stuck = is_stuck;
    /* Whoever is asked may decline, or be gone. */
    if (!is_stuck || !node->is_leading || now_ms < node->store_again_ms) return;
    node->store_again_ms = now_ms + STORE_STUCK_MS;
    node_give_away(node, 0, "store_hangs");
}

static void look_whether_level(struct node *node)
{
    bool is_level = node_is_level(node, node->was_level ? LEVEL_SLACK : 0);
    if (is_level == node->was_level) return;
    node->was_level = is_level;
    if (is_level) node->has_been_level = true;
    node->options.handler.on_change(node->options.handler.owner);
}

static void tick_running(struct node *node, uint64_t now_ms)
{
    bool has_leader = can_follow(node);
    forward_tick(node->forward, now_ms);
    barrier_tick(node->barrier, has_leader, now_ms);
    presence_expire(node->presence, now_ms);
    node_presence_tell(node);
    node_sync_members(node, now_ms);
    node_changes_tick(node, now_ms);
    look_for_silence(node, now_ms);
    look_whether_level(node);
    look_at_store(node, now_ms);
    node_gap_tick(node, now_ms);
    node_backfill_tick(node, now_ms);
    if (now_ms - node->beat_ms < BEAT_EVERY_MS) return;
    node->beat_ms = now_ms;
    node_beat(node);
}

static void maybe_handed_over(struct node *node, uint64_t now_ms)
{
    /* raft tells of the end of a transfer when a new leader is heard. When all nodes stop at once
     * there is none. */
    uint64_t so_far_ms = now_ms - node->handed_over_ms;
    if (node->is_stepping_down && so_far_ms < node->options.election_timeout_ms) return;
    bool is_over = so_far_ms >= HAND_OVER_MS;
    if (!is_over && forward_waiting(node->forward) > 0) return;
    node->phase = NODE_CLOSING;
    node_raft_close(node);
}

static void on_tick(uv_timer_t *timer)
{
    struct node *node = timer->data;
    uint64_t now_ms = clock_ms();
    if (now_ms - node->ticked_ms > PAUSE_MS) node->trust_ms = now_ms + BEAT_AWAY_MS;
    node->ticked_ms = now_ms;
    if (node->phase == NODE_CLOSING) return;
    node_asking_tick(node, now_ms);
    if (node->phase == NODE_JOINING) node_join_tick(node, now_ms);
    if (node->phase == NODE_FORMING) tick_forming(node, now_ms);
    if (node->phase == NODE_RUNNING || node->phase == NODE_HANDING_OVER) {
        tick_running(node, now_ms);
    }
    if (node->phase == NODE_HANDING_OVER) maybe_handed_over(node, now_ms);
}

/* ---- starting ---- */

static void take_alone(struct node *node)
{
    struct peer *self = &node->founders[0];
    *self = (struct peer){.name = ""};
    snprintf(self->name, sizeof self->name, "%s", node->options.name);
    snprintf(self->address, sizeof self->address, "%s", node->options.advertise);
    node->founders_count = 1;
}

static int take_founders(struct node *node, struct errmsg *errmsg)
{
    const struct node_options *options = &node->options;
    bool is_among = false;
    assert(options->peers_count <= PEERS_MAX);
    for (size_t i = 0; i < options->peers_count; i++) {
        node->founders[i] = options->peers[i];
        if (strcmp(options->peers[i].name, options->name) == 0) is_among = true;
    }
    node->founders_count = options->peers_count;
    if (is_among) return 0;
    errmsg_set(errmsg, "peers does not name this node, %s", options->name);
    return ERR_CONFIG;
}

static bool must_join(const struct node *node)
{
    const char *join = node->options.join;
    return node->options.peers_count == 0 && join != NULL && join[0] != '\0';
}

/* With whom this node begins a cluster, if it does. */
static int take_part(struct node *node, struct errmsg *errmsg)
{
    const struct node_options *options = &node->options;
    const struct data_dir *dir = options->dir;
    bool is_asking = dir->state == DATA_DIR_JOINING;
    if (dir->state == DATA_DIR_REMOVED) {
        char words[REJOIN_WORDS_MAX];
        data_dir_rejoin_words(dir, options->advertise, words);
        errmsg_set(errmsg, "this node was removed from its cluster. %s", words);
        return ERR_DATA;
    }
    if (dir->state == DATA_DIR_ALONE) {
        if (options->peers_count > 1) {
            log_warn("this node begins a cluster of its own",
                     "peers=%zu note=\"its data was restored: the others join it with empty "
                     "directories\"",
                     options->peers_count);
        }
        take_alone(node);
        return 0;
    }
    if (is_asking && !must_join(node)) {
        errmsg_set(errmsg, "%s is of a node that asks to be let in: set cluster.join, or empty it",
                   dir->path);
        return ERR_CONFIG;
    }
    if (dir->state == DATA_DIR_FORMING && must_join(node)) {
        errmsg_set(errmsg, "%s is of a node that forms a cluster: set cluster.peers, or empty it",
                   dir->path);
        return ERR_CONFIG;
    }
    if (must_join(node)) return 0;
    if (options->peers_count > 0) return take_founders(node, errmsg);
    take_alone(node);
    return 0;
}

/* A raft id of its own making, written down before anybody hears it: never used for anything else. */
static int make_identity(struct node *node, struct errmsg *errmsg)
{
    struct data_dir *dir = node->options.dir;
    while (dir->raft_id == 0)
        crypto_random(&dir->raft_id, sizeof dir->raft_id);
    return data_dir_mark(dir, DATA_DIR_JOINING, errmsg);
}

/* Whose directory is it, and does the history in it belong to it? */
static int take_identity(struct node *node, struct errmsg *errmsg)
{
    static const uint8_t unbound[16];
    struct data_dir *dir = node->options.dir;
    const struct event_meta *meta = &node->options.meta;
    bool is_new = dir->state == DATA_DIR_EMPTY || dir->state == DATA_DIR_JOINING;
    if (is_new && meta->number > 0) {
        errmsg_set(
            errmsg,
            "%s has a history but no VERSION of a member: it is no data directory. A restore "
            "or an import that was cut off leaves it so: then remove it, and do that again",
            dir->path);
        return ERR_DATA;
    }
    if (dir->state == DATA_DIR_EMPTY && must_join(node)) {
        int rv = make_identity(node, errmsg);
        if (rv != 0) return rv;
    } else if (dir->state == DATA_DIR_EMPTY) {
        dir->raft_id = peer_id(node->options.name);
        if (memcmp(dir->cluster, unbound, sizeof unbound) == 0) { /* nobody has given it one */
            cluster_id_of(dir->cluster, node->options.cluster_name, node->founders,
                          node->founders_count);
        }
    }
    node->id = dir->raft_id;
    if (dir->state == DATA_DIR_JOINING) return 0; /* bound when it is let in */
    bool is_bound = memcmp(meta->cluster, unbound, sizeof unbound) != 0;
    if (is_bound && memcmp(meta->cluster, dir->cluster, sizeof dir->cluster) != 0) {
        errmsg_set(errmsg, "the history in %s is of another cluster", dir->path);
        return ERR_DATA;
    }
    return 0;
}

/* Members may. And while we know of no leader, raft may hear whoever is of this cluster: the members may have
 * changed while we were away, and the leader be one that we do not know (Ongaro, 4.1). */
static bool may_link(void *owner, enum link_kind kind, uint64_t id)
{
    const struct node *node = owner;
    if (node_has_member(node, id)) return true;
    bool may_be_leader = node->leader == 0 || node->leader == id;
    return kind == LINK_RAFT && node->raft_is_open && may_be_leader && !node->is_removed;
}

static void on_link(void *owner, uint64_t id, uv_stream_t *stream)
{
    struct node *node = owner;
    node_sync_members(node, clock_ms()); /* one that was let in just now: its link is wanted */
    rpc_accept(node->rpc, id, stream);
}

static void on_dropped(void *owner, const struct proposal *proposal, bool may_be_in_log)
{
    struct node *node = owner;
    if (proposal->origin != node->id) return; /* its node asks again */
    forward_dropped(node->forward, &proposal->command.id, may_be_in_log);
}

/* In each run other ones: an answer to the run before may still come. */
static uint64_t before_ids(void)
{
    uint64_t random;
    crypto_random(&random, sizeof random);
    return random >> 1; /* they only rise */
}

static void make_parts(struct node *node)
{
    struct node_options *options = &node->options;
    unsigned timeout_ms = options->election_timeout_ms;
    node->presence = presence_new();
    node->propose = propose_new(options->chat, (size_t)2 * COMMANDS_WAITING_MAX,
                                &(struct propose_handler){.owner = node,
                                                          .submit = node_submit,
                                                          .on_refused = node_refuse,
                                                          .on_dropped = on_dropped});
    node->forward =
        forward_new(options->chat, timeout_ms, node->before_ids,
                    &(struct forward_handler){
                        .owner = node, .send = node_send_command, .flush = node_flush_commands});
    node->barrier = barrier_new(timeout_ms, node->before_ids,
                                &(struct barrier_handler){.owner = node,
                                                          .ask = node_ask_barrier,
                                                          .reply = node_reply_barrier,
                                                          .append = node_append_barrier});
    node_backfill_make(node);
    node->rpc = rpc_new(
        options->loop, node->transport,
        &(struct rpc_handler){.owner = node, .on_frame = node_on_frame, .on_link = node_on_link});
    buf_init(&node->frame, RPC_FRAME_MAX / 2);
    buf_init(&node->scratch, RPC_FRAME_MAX / 2);
}

static void start_handles(struct node *node)
{
    uv_loop_t *loop = node->options.loop;
    uv_timer_init(loop, &node->tick);
    uv_prepare_init(loop, &node->prepare);
    uv_check_init(loop, &node->check);
    node->tick.data = node;
    node->prepare.data = node;
    node->check.data = node;
    node->handles_open = 3;
    uv_timer_start(&node->tick, on_tick, TICK_MS, TICK_MS);
    /* Before raft starts its own: libuv calls the ones that were started last first, and ours is to
     * see what raft's has completed. */
    uv_prepare_start(&node->prepare, on_prepare);
    uv_check_start(&node->check, on_check);
}

static void add_founders(struct node *node)
{
    for (size_t i = 0; i < node->founders_count; i++) {
        char address[SELF_SIZE];
        const struct peer *founder = &node->founders[i];
        uint64_t id = peer_id(founder->name);
        if (id == node->id) continue;
        snprintf(address, sizeof address, "%s=%s", founder->name, founder->address);
        beats_add(&node->beats, id, founder->name, founder->address, clock_ms());
        rpc_add_peer(node->rpc, id, address);
    }
}

static int check_options(const struct node_options *options, struct errmsg *errmsg)
{
    if (options->secret.len == 0) {
        errmsg_set(errmsg, "the cluster's secret is empty");
        return ERR_CONFIG;
    }
    if (options->keep_log == 0) {
        errmsg_set(errmsg, "store.keep_log must not be 0");
        return ERR_CONFIG;
    }
    if (options->heartbeat_ms == 0 || options->heartbeat_ms >= options->election_timeout_ms) {
        errmsg_set(errmsg,
                   "cluster.heartbeat (%u ms) must be less than cluster.election_timeout (%u ms)",
                   options->heartbeat_ms, options->election_timeout_ms);
        return ERR_CONFIG;
    }
    return 0;
}

static void begin(struct node *node)
{
    switch (node->options.dir->state) {
    case DATA_DIR_FORMED: node_raft_start(node, false); break;
    case DATA_DIR_ALONE: node_raft_start(node, true); break;
    case DATA_DIR_JOINING:
        node->phase = NODE_JOINING;
        log_info("asking to be let in", "self=%s join=\"%s\"", node->self, node->options.join);
        break;
    case DATA_DIR_EMPTY:
    case DATA_DIR_FORMING:
        node->phase = NODE_FORMING;
        add_founders(node);
        form(node);
        break;
    case DATA_DIR_REMOVED: break; /* was refused before */
    }
}

int node_start(struct node **out, const struct node_options *options, struct errmsg *errmsg)
{
    int rv = check_options(options, errmsg);
    if (rv != 0) return rv;
    struct node *node = mem_new(sizeof *node);
    node->options = *options;
    node->started_ms = node->ticked_ms = node->durable_ms = clock_ms();
    node->before_ids = before_ids();
    rv = take_part(node, errmsg);
    if (rv == 0) rv = take_identity(node, errmsg);
    if (rv != 0) goto fail;

    snprintf(node->self, sizeof node->self, "%s=%s", options->name, options->advertise);
    struct transport_options transport = {.loop = options->loop,
                                          .listen = options->listen,
                                          .self = node->self,
                                          .id = node->id,
                                          .secret = options->secret,
                                          .owner = node,
                                          .may_link = may_link,
                                          .on_link = on_link,
                                          .on_ask = node_on_ask};
    memcpy(transport.cluster, options->dir->cluster, sizeof transport.cluster);
    rv = transport_open(&node->transport, &transport, errmsg);
    if (rv != 0) goto fail;

    make_parts(node);
    node_asking_start(node);
    node_changes_start(node);
    start_handles(node);
    *out = node; /* what raft has applied at start is told before we return */
    begin(node);
    return 0;

fail:
    mem_free(node);
    return rv;
}

/* ---- stopping ---- */

static void on_all_closed(struct node *node)
{
    void (*on_stopped)(void *) = node->on_stopped;
    void *owner = node->stopped_owner;
    presence_free(node->presence);
    propose_free(node->propose);
    backfill_free(node->backfill);
    buf_close(&node->frame);
    buf_close(&node->scratch);
    mem_free(node);
    on_stopped(owner);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct node *node = handle->data;
    if (--node->handles_open == 0) on_all_closed(node);
}

static void on_transport_closed(void *owner)
{
    struct node *node = owner;
    uv_close((uv_handle_t *)&node->tick, on_handle_closed);
    uv_close((uv_handle_t *)&node->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&node->check, on_handle_closed);
}

static void on_rpc_stopped(void *owner)
{
    struct node *node = owner;
    node->rpc = NULL; /* and the transport may take long: it waits for the name service */
    transport_close(node->transport, on_transport_closed, node);
}

static void on_reads_stopped(void *owner)
{
    struct node *node = owner;
    node->reads = NULL;
    rpc_stop(node->rpc, on_rpc_stopped, node);
}

void node_close(struct node *node)
{
    node->phase = NODE_CLOSING;
    node_asking_close(node);
    node_changes_close(node);
    forward_free(node->forward);
    barrier_free(node->barrier);
    backfill_read_stop(node->reads, on_reads_stopped, node);
}

void node_stop(struct node *node, void (*on_stopped)(void *owner), void *owner)
{
    assert(node->on_stopped == NULL);
    node->on_stopped = on_stopped;
    node->stopped_owner = owner;
    if (node->phase == NODE_FORMING || node->phase == NODE_JOINING) {
        node_close(node);
        return;
    }
    node->phase = NODE_HANDING_OVER;
    node->handed_over_ms = clock_ms();
    if (node->is_leading && (node->is_transferring || node_begin_transfer(node, 0) == 0)) {
        node->is_stepping_down = true;
    }
    /* on_tick goes on. */
}

/* ---- what the domain thread asks ---- */

void node_send(struct node *node, struct command_request *request)
{
    forward_add(node->forward, request, clock_ms());
}

void node_barrier(struct node *node, struct barrier_request *request)
{
    barrier_add(node->barrier, request, clock_ms());
}

void node_durable(struct node *node, uint64_t number)
{
    node->durable_ms = clock_ms();
    if (node->raft_is_open) guard_durable(&node->guard, number);
}

void node_lag(struct node *node, size_t bytes)
{
    if (!node->raft_is_open) return;
    guard_lag(&node->guard, bytes);
    backfill_lag(node->backfill, bytes, clock_ms());
}

uint64_t node_raft_durable(const struct node *node)
{
    if (!node->raft_is_open) return 0;
    uint64_t stored = node->raft.last_stored, committed = node->raft.commit_index;
    return stored < committed ? stored : committed;
}

void node_set_browsers(struct node *node, uint64_t browsers, uint64_t disk_bytes)
{
    node->browsers = browsers;
    node->disk_bytes = disk_bytes;
}

struct presence *node_presence(struct node *node)
{
    return node->presence;
}

int node_transfer(struct node *node, const char *name)
{
    if (node->phase != NODE_RUNNING || !node->is_leading) return ERR_DENIED;
    if (name == NULL) return node_begin_transfer(node, 0);
    if (strcmp(name, node->options.name) == 0) return ERR_DENIED;
    for (size_t i = 0; i < node->beats.count; i++) {
        const struct neighbour *neighbour = &node->beats.neighbours[i];
        if (strcmp(neighbour->name, name) == 0) return node_begin_transfer(node, neighbour->id);
    }
    return ERR_NOT_FOUND;
}
