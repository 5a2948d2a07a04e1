/* What a node says to the others and what it makes of what they say: a part for each kind of frame. The
 * bytes are in docs/formats.md.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "cluster/node_state.h"
#include "cluster/wire.h"

enum { FORWARD_FRAME_BYTES = 512 * 1024, FORWARD_COMMANDS_MAX = 4096, COMMAND_BYTES_MIN = 40 };

/* ---- forming ---- */

void node_tell_form(struct node *node, uint64_t to, bool wants_answer)
{
    buf_reset(&node->scratch);
    wire_put_u8(&node->scratch, (uint8_t)node->options.dir->state);
    wire_put_u8(&node->scratch, wants_answer ? 1 : 0);
    rpc_send(node->rpc, to, RPC_FORM, 0, buf_slice(&node->scratch));
}

static int on_form(struct node *node, const struct rpc_frame *frame)
{
    struct wire wire = wire_of(frame->body);
    struct neighbour *neighbour = beats_find(&node->beats, frame->peer);
    int state = wire_get_u8(&wire);
    bool wants_answer = wire_get_u8(&wire) != 0;
    if (wire.failed || state > DATA_DIR_FORMED) return ERR_FORMAT;
    if (neighbour != NULL) {
        neighbour->is_form_heard = true;
        neighbour->form_state = state;
    }
    if (wants_answer) node_tell_form(node, frame->peer, false);
    return 0;
}

/* ---- beats and presence ---- */

static struct beat my_beat(const struct node *node)
{
    struct beat beat = {.number = node->options.chat->number,
                        .browsers = node->browsers,
                        .disk_bytes = node->disk_bytes,
                        .uptime_ms = clock_ms() - node->started_ms};
    if (node->raft_is_open) {
        beat.applied_index = machine_decided(&node->machine);
        beat.term = raft_current_term(&node->raft);
        beat.leader = node->leader;
        beat.state = (uint8_t)node->raft.state;
        if (node->guard.has_gap) beat.flags |= BEAT_CATCHING_UP;
        if (node->guard.is_disk_full) beat.flags |= BEAT_DISK_FULL;
        if (node->was_level) beat.flags |= BEAT_READY;
    }
    snprintf(beat.version, sizeof beat.version, "%s", node->options.version);
    snprintf(beat.http, sizeof beat.http, "%s", node->options.http_url);
    return beat;
}

void node_beat(struct node *node)
{
    struct beat mine = my_beat(node);
    for (size_t i = 0; i < node->beats.count; i++) {
        const struct neighbour *to = &node->beats.neighbours[i];
        buf_reset(&node->scratch);
        beat_encode(&node->scratch, &mine, to, clock_ns());
        rpc_send(node->rpc, to->id, RPC_BEAT, 0, buf_slice(&node->scratch));
    }
}

static int on_beat(struct node *node, const struct rpc_frame *frame)
{
    struct neighbour *neighbour = beats_find(&node->beats, frame->peer);
    if (neighbour == NULL) return 0;
    uint8_t before = neighbour->last.flags;
    int rv = beat_decode(neighbour, frame->body, clock_ns());
    if (rv != 0) return rv;
    bool is_back = neighbour->is_away;
    bool is_other = ((before ^ neighbour->last.flags) & BEAT_CATCHING_UP) != 0;
    if (is_back) {
        neighbour->is_away = false;
        log_info("node back", "peer=%s", neighbour->name);
        node_event(node, CLUSTER_BACK, neighbour->id, 0);
    }
    if (is_other) {
        bool is_behind = (neighbour->last.flags & BEAT_CATCHING_UP) != 0;
        node_event(node, is_behind ? CLUSTER_CATCHING_UP : CLUSTER_CAUGHT_UP, neighbour->id, 0);
    }
    if (is_back || is_other) node->options.handler.on_change(node->options.handler.owner);
    return 0;
}

void node_presence_tell(struct node *node)
{
    buf_reset(&node->scratch);
    if (!presence_tell(node->presence, &node->scratch, clock_ms())) return;
    if (node->scratch.overflowed) return;
    rpc_send_all(node->rpc, RPC_PRESENCE, 0, buf_slice(&node->scratch));
}

/* ---- commands ---- */

void node_flush_commands(void *owner)
{
    struct node *node = owner;
    if (node->frame_commands == 0) return;
    little_store(node->frame.at, node->frame_commands, 4);
    rpc_send(node->rpc, node->leader, RPC_FORWARD, node->frame_sending, buf_slice(&node->frame));
    node->frame_commands = 0;
    buf_reset(&node->frame);
}

void node_send_command(void *owner, const struct send_message *command, uint64_t sending)
{
    struct node *node = owner;
    if (node->is_leading) {
        propose_add(node->propose, command, node->id, sending);
        return;
    }
    if (node->frame_commands == 0) wire_put_u32(&node->frame, 0);
    command_encode(&node->frame, command);
    node->frame_commands++;
    node->frame_sending = sending;
    bool is_full =
        node->frame.len >= FORWARD_FRAME_BYTES || node->frame_commands == FORWARD_COMMANDS_MAX;
    if (is_full) node_flush_commands(node);
}

static int on_forward(struct node *node, const struct rpc_frame *frame)
{
    struct wire wire = wire_of(frame->body);
    struct errmsg errmsg;
    uint32_t count = wire_get_u32(&wire);
    if (wire.failed || count > FORWARD_COMMANDS_MAX) return ERR_FORMAT;
    if (count > wire.rest.len / COMMAND_BYTES_MIN) return ERR_FORMAT;
    for (uint32_t i = 0; i < count; i++) {
        struct send_message command;
        if (command_decode(&command, &wire.rest, &errmsg) != 0) return ERR_FORMAT;
        /* Not the leader (any more): the sender finds that out by itself, and tries again. */
        if (!node->is_leading) continue;
        command.at_ms = 0;
        propose_add(node->propose, &command, frame->peer, frame->id);
    }
    return 0;
}

void node_refuse(void *owner, const struct proposal *proposal, enum chat_refusal refusal,
                 uint32_t wait_ms)
{
    struct node *node = owner;
    const struct command_id *id = &proposal->command.id;
    if (proposal->origin == node->id) {
        forward_refused(node->forward, id, refusal, wait_ms, proposal->sending);
        return;
    }
    struct buf *buf = &node->scratch;
    buf_reset(buf);
    buf_append(buf, id, sizeof *id);
    wire_put_u8(buf, (uint8_t)refusal);
    wire_put_u32(buf, wait_ms);
    rpc_send(node->rpc, proposal->origin, RPC_REFUSED, proposal->sending, buf_slice(buf));
}

static int on_refused(struct node *node, const struct rpc_frame *frame)
{
    struct wire wire = wire_of(frame->body);
    struct command_id id;
    struct slice bytes = wire_take(&wire, sizeof id);
    int refusal = wire_get_u8(&wire);
    uint32_t wait_ms = wire_get_u32(&wire);
    if (wire.failed || refusal == CHAT_ACCEPTED || refusal > CHAT_NO_LEADER) return ERR_FORMAT;
    memcpy(&id, bytes.at, sizeof id);
    /* A deposed leader's word is no good; a new one judges again. */
    if (frame->peer != node->leader) return 0;
    forward_refused(node->forward, &id, (enum chat_refusal)refusal, wait_ms, frame->id);
    return 0;
}

/* ---- barriers ---- */

void node_ask_barrier(void *owner, uint64_t id)
{
    struct node *node = owner;
    if (node->is_leading) {
        barrier_asked(node->barrier, node->id, id, propose_mark(node->propose));
        return;
    }
    rpc_send(node->rpc, node->leader, RPC_BARRIER, id, (struct slice){NULL, 0});
}

void node_reply_barrier(void *owner, uint64_t to, uint64_t id)
{
    struct node *node = owner;
    uint64_t index = node->raft.last_applied;
    if (to == node->id) {
        barrier_replied(node->barrier, id, index, machine_decided(&node->machine));
        return;
    }
    buf_reset(&node->scratch);
    wire_put_u64(&node->scratch, node->options.chat->number);
    wire_put_u64(&node->scratch, index);
    rpc_send(node->rpc, to, RPC_BARRIER_REPLY, id, buf_slice(&node->scratch));
}

static int on_barrier(struct node *node, const struct rpc_frame *frame)
{
    if (frame->body.len != 0) return ERR_FORMAT;
    if (!node->is_leading) return 0;
    barrier_asked(node->barrier, frame->peer, frame->id, propose_mark(node->propose));
    return 0;
}

static int on_barrier_reply(struct node *node, const struct rpc_frame *frame)
{
    struct wire wire = wire_of(frame->body);
    wire_get_u64(&wire); /* its number, for who reads along */
    uint64_t index = wire_get_u64(&wire);
    if (wire.failed) return ERR_FORMAT;
    if (node->raft_is_open) {
        barrier_replied(node->barrier, frame->id, index, machine_decided(&node->machine));
    }
    return 0;
}

/* ---- all of them ---- */

int node_on_frame(void *owner, const struct rpc_frame *frame)
{
    struct node *node = owner;
    if (node->phase == NODE_CLOSING) return 0;
    switch (frame->type) {
    case RPC_FORM: return on_form(node, frame);
    case RPC_BEAT: return on_beat(node, frame);
    case RPC_FORWARD: return on_forward(node, frame);
    case RPC_REFUSED: return on_refused(node, frame);
    case RPC_BARRIER: return on_barrier(node, frame);
    case RPC_BARRIER_REPLY: return on_barrier_reply(node, frame);
    case RPC_EVENTS_ASK: return node_on_events_ask(node, frame);
    case RPC_EVENTS: return node_on_events(node, frame);
    case RPC_CHANGE: return node_on_change_frame(node, frame);
    case RPC_CHANGE_REPLY: return node_on_change_reply(node, frame);
    case RPC_PRESENCE: return presence_hear(node->presence, frame->peer, frame->body, clock_ms());
    default: log_debug("frame of an unknown type", "type=%d", frame->type); return 0;
    }
}

void node_on_link(void *owner, uint64_t peer)
{
    struct node *node = owner;
    struct rpc_peer_status link;
    if (node->phase == NODE_CLOSING || !rpc_peer_status(node->rpc, peer, &link)) return;
    if (link.is_up && node->phase == NODE_FORMING) node_tell_form(node, peer, true);
    if (!link.is_up) node_changes_link_lost(node, peer);
}
