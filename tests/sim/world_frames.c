/* What simulated nodes say to each other besides raft: commands to the leader and its refusals, missing
 * events, and a beat that tells how far a node is.
 */
#include <string.h>

#include "base/mem.h"
#include "cluster/wire.h"
#include "world_parts.h"

enum { FRAME_MAX = 64 * 1024, BEAT_EVERY_MS = 250, AWAY_MS = 2000, EVENTS_MAX = 8, READ_MS = 10 };

struct frame {
    struct host_event event;
    struct world_node *node; /* that it goes to */
    unsigned from;
    enum frame_kind kind;
    uint64_t request;
    struct shared *body;
};

/* ---- commands ---- */

static void hear_forward(struct world_node *node, const struct frame *frame)
{
    struct slice rest = shared_slice(frame->body);
    struct send_message command;
    struct errmsg errmsg;
    if (command_decode(&command, &rest, &errmsg) != 0 || !node->is_leading) return;
    command.at_ms = 0;
    propose_add(node->propose, &command, node->world->nodes[frame->from].disk.id, frame->request);
}

void node_send_command(void *owner, const struct send_message *command, uint64_t sending)
{
    struct world_node *node = owner;
    struct buf buf;
    if (node->is_leading) {
        propose_add(node->propose, command, node->disk.id, sending);
        return;
    }
    buf_init(&buf, FRAME_MAX);
    command_encode(&buf, command);
    frame_send(node, (unsigned)node->leader - 1, FRAME_FORWARD, sending, buf_slice(&buf));
    buf_close(&buf);
}

void node_on_refused(void *owner, const struct proposal *proposal, enum chat_refusal refusal,
                     uint32_t wait_ms)
{
    struct world_node *node = owner;
    const struct command_id *id = &proposal->command.id;
    char body[sizeof *id + 1];
    if (proposal->origin == node->disk.id) {
        forward_refused(node->forward, id, refusal, wait_ms, proposal->sending);
        return;
    }
    memcpy(body, id, sizeof *id);
    body[sizeof *id] = (char)refusal;
    frame_send(node, (unsigned)proposal->origin - 1, FRAME_REFUSED, proposal->sending,
               slice_make(body, sizeof body));
}

static void hear_refused(struct world_node *node, const struct frame *frame)
{
    struct command_id id;
    memcpy(&id, frame->body->bytes, sizeof id);
    if (node->world->nodes[frame->from].disk.id != node->leader) return;
    forward_refused(node->forward, &id, (enum chat_refusal)frame->body->bytes[sizeof id], 0,
                    frame->request);
}

/* ---- missing events ---- */

static bool ask(void *owner, uint64_t peer, uint64_t request, uint64_t from, uint64_t up_to,
                uint32_t bytes)
{
    struct world_node *node = owner;
    struct buf buf;
    if (node->world->mistake == BACKFILL_STOPS && node->chunks > 0) return false;
    buf_init(&buf, FRAME_MAX);
    backfill_ask_encode(&buf, from, up_to, bytes);
    frame_send(node, (unsigned)peer - 1, FRAME_ASK, request, buf_slice(&buf));
    buf_close(&buf);
    return true;
}

/* The answer is sent from what is durable when it is read. */
struct reading {
    struct host_event event;
    struct world_node *node;
    unsigned to;
    uint64_t request, from, up_to;
};

static void on_read(struct host_event *event, bool is_dropped)
{
    struct reading *reading = (struct reading *)event;
    struct world_node *node = reading->node;
    const struct store *store = &node->store;
    struct backfill_head head = {
        .status = BACKFILL_NONE, .from = reading->from, .last = store->number};
    struct buf buf;
    buf_init(&buf, FRAME_MAX);
    buf_extend(&buf, BACKFILL_HEAD_SIZE);
    for (uint64_t number = reading->from; !is_dropped && number <= reading->up_to; number++) {
        if (number > store->number || head.count == EVENTS_MAX) break;
        struct slice bytes = shared_slice(store->events[number - 1]);
        wire_put_u32(&buf, (uint32_t)bytes.len);
        buf_add(&buf, bytes);
        head.status = BACKFILL_OK;
        head.count++;
    }
    if (!is_dropped) {
        backfill_head_encode(buf.at, &head);
        frame_send(node, reading->to, FRAME_EVENTS, reading->request, buf_slice(&buf));
    }
    buf_close(&buf);
    mem_free(reading);
}

static void hear_ask(struct world_node *node, const struct frame *frame)
{
    struct reading *reading = mem_new(sizeof *reading);
    uint32_t bytes;
    reading->event.on_due = on_read;
    reading->node = node;
    reading->to = frame->from;
    reading->request = frame->request;
    backfill_ask_decode(shared_slice(frame->body), &reading->from, &reading->up_to, &bytes);
    host_later(&node->host, sim_between(&node->world->sim, 1, READ_MS), &reading->event);
}

static void hear_events(struct world_node *node, const struct frame *frame)
{
    int rv = backfill_heard(node->backfill, node->world->nodes[frame->from].disk.id, frame->request,
                            shared_slice(frame->body), node->world->sim.now_ms);
    if (rv != 0) world_fatal(node->world, node, "an answer with events cannot be read");
}

static int on_event(void *owner, struct slice bytes, struct errmsg *errmsg)
{
    struct world_node *node = owner;
    node->world->backfilled++;
    return machine_backfill(&node->machine, bytes, errmsg);
}

static void on_chunk(void *owner)
{
    struct world_node *node = owner;
    node->chunks++;
    machine_backfill_flush(&node->machine);
}

static void on_shunned(void *owner, uint64_t peer, const char *why)
{
    const struct world_node *node = owner;
    sim_trace(&node->world->sim, "%s shuns %u: %s", node->address, (unsigned)peer, why);
}

struct backfill *node_backfill_new(struct world_node *node)
{
    return backfill_new(0, &(struct backfill_handler){.owner = node,
                                                      .ask = ask,
                                                      .on_event = on_event,
                                                      .on_chunk = on_chunk,
                                                      .on_shunned = on_shunned});
}

/* ---- beats ---- */

static void beat(struct world_node *node)
{
    char body[9];
    little_store(body, node->chat.number, 8);
    body[8] = guard_is_unfit(&node->guard) ? 1 : 0;
    for (unsigned i = 0; i < node->world->count; i++)
        frame_send(node, i, FRAME_BEAT, 0, slice_make(body, sizeof body));
}

static void hear_beat(struct world_node *node, const struct frame *frame)
{
    node->heard_ms[frame->from] = node->world->sim.now_ms;
    node->heard_number[frame->from] = little_load(frame->body->bytes, 8);
    node->heard_unfit[frame->from] = frame->body->bytes[8] != 0;
}

static bool is_heard(const struct world_node *node, unsigned i)
{
    uint64_t heard_ms = node->heard_ms[i];
    return heard_ms != 0 && node->world->sim.now_ms - heard_ms < AWAY_MS;
}

static void backfill(struct world_node *node)
{
    struct backfill_peer peers[SIM_HOSTS];
    size_t count = 0;
    for (unsigned i = 0; i < node->world->count; i++) {
        if (i == node->host.index) continue;
        peers[count++] = (struct backfill_peer){.id = node->world->nodes[i].disk.id,
                                                .number = node->heard_number[i],
                                                .is_up = is_heard(node, i)};
    }
    backfill_tick(node->backfill, peers, count, node->world->sim.now_ms);
}

/* ---- leading, unfit ---- */

static void on_transferred(struct raft_transfer *transfer)
{
    mem_free(transfer);
}

static void hand_over(struct world_node *node)
{
    if (!node->is_leading || !guard_is_unfit(&node->guard) || node->raft.transfer != NULL) return;
    for (unsigned i = 0; i < node->world->count; i++) {
        if (i == node->host.index || !is_heard(node, i) || node->heard_unfit[i]) continue;
        struct raft_transfer *transfer = mem_new(sizeof *transfer);
        int rv =
            raft_transfer(&node->raft, transfer, node->world->nodes[i].disk.id, on_transferred);
        if (rv == 0) return;
        mem_free(transfer);
    }
}

void node_tick(struct world_node *node)
{
    uint64_t now_ms = node->world->sim.now_ms;
    bool waits = node->world->mistake == NEVER_UNKNOWN && node->leaderless_ms > 0;
    if (!waits) forward_tick(node->forward, now_ms);
    hand_over(node);
    backfill(node);
    if (now_ms - node->beat_ms < BEAT_EVERY_MS) return;
    node->beat_ms = now_ms;
    beat(node);
    if (node_mark(node) > node->store.told_mark) {
        node->store.told_mark = node_mark(node);
        store_commit(node);
    }
}

/* ---- on the wire ---- */

static void on_frame(struct host_event *event, bool is_dropped)
{
    static void (*const hear[])(struct world_node *, const struct frame *) = {
        [FRAME_FORWARD] = hear_forward, [FRAME_REFUSED] = hear_refused, [FRAME_ASK] = hear_ask,
        [FRAME_EVENTS] = hear_events,   [FRAME_BEAT] = hear_beat,
    };
    struct frame *frame = (struct frame *)event;
    struct world_node *node = frame->node;
    if (!is_dropped && net_delivers(&node->world->net, frame->from, node->host.index)) {
        hear[frame->kind](node, frame);
    }
    shared_unref(frame->body);
    mem_free(frame);
}

void frame_send(struct world_node *node, unsigned to, enum frame_kind kind, uint64_t request,
                struct slice body)
{
    struct world *world = node->world;
    uint64_t in_ms;
    if (to == node->host.index || to >= world->count || !world->nodes[to].host.is_up) return;
    if (!net_takes(&world->net, node->host.index, to, &in_ms)) return;
    struct frame *frame = mem_new(sizeof *frame);
    frame->event.on_due = on_frame;
    frame->node = &world->nodes[to];
    frame->from = node->host.index;
    frame->kind = kind;
    frame->request = request;
    frame->body = shared_copy(body);
    host_later(&world->nodes[to].host, in_ms, &frame->event);
}
