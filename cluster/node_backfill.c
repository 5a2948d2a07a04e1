/* How a node gets events that it lacks and gives its own to others: what backfill.h and backfill_read.h
 * leave to it, which is peers, frames and the end.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "cluster/node_state.h"

/* ---- getting ---- */

static bool ask(void *owner, uint64_t peer, uint64_t request, uint64_t from, uint64_t up_to,
                uint32_t bytes)
{
    struct node *node = owner;
    buf_reset(&node->scratch);
    backfill_ask_encode(&node->scratch, from, up_to, bytes);
    return rpc_send(node->rpc, peer, RPC_EVENTS_ASK, request, buf_slice(&node->scratch)) == 0;
}

static int on_event(void *owner, struct slice bytes, struct errmsg *errmsg)
{
    struct node *node = owner;
    return machine_backfill(&node->machine, bytes, errmsg);
}

static void on_chunk(void *owner)
{
    struct node *node = owner;
    machine_backfill_flush(&node->machine);
}

static void on_shunned(void *owner, uint64_t peer, const char *why)
{
    const struct node *node = owner;
    log_warn("events are asked of another node", "peer=%s number=%" PRIu64 " reason=\"%s\"",
             node_name_of(node, peer), node->options.chat->number, why);
}

/* ---- giving ---- */

static void reply(void *owner, uint64_t peer, uint64_t request, struct slice body)
{
    struct node *node = owner;
    rpc_send(node->rpc, peer, RPC_EVENTS, request, body);
}

static void on_damaged(void *owner, uint64_t number)
{
    struct node *node = owner;
    char sentence[400];
    snprintf(sentence, sizeof sentence, "event %" PRIu64 " of the history in %s cannot be read",
             number, node->options.dir->path);
    node_fatal_data(node, sentence);
}

/* ---- both ---- */

int node_on_events_ask(struct node *node, const struct rpc_frame *frame)
{
    return backfill_read_ask(node->reads, frame->peer, frame->id, frame->body);
}

int node_on_events(struct node *node, const struct rpc_frame *frame)
{
    return backfill_heard(node->backfill, frame->peer, frame->id, frame->body, clock_ms());
}

void node_backfill_tick(struct node *node, uint64_t now_ms)
{
    struct backfill_peer peers[BACKFILL_PEERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < node->beats.count; i++) {
        const struct neighbour *neighbour = &node->beats.neighbours[i];
        struct rpc_peer_status link = {.is_up = false};
        bool is_up = neighbour->is_known && !neighbour->is_away &&
                     rpc_peer_status(node->rpc, neighbour->id, &link) && link.is_up;
        peers[count++] = (struct backfill_peer){
            .id = neighbour->id, .number = neighbour->last.number, .is_up = is_up};
    }
    backfill_tick(node->backfill, peers, count, now_ms);
}

void node_backfill_make(struct node *node)
{
    node->backfill =
        backfill_new(node->before_ids, &(struct backfill_handler){.owner = node,
                                                                  .ask = ask,
                                                                  .on_event = on_event,
                                                                  .on_chunk = on_chunk,
                                                                  .on_shunned = on_shunned});
    node->reads = backfill_read_new(
        node->options.loop, node->options.store,
        &(struct backfill_read_handler){.owner = node, .reply = reply, .on_damaged = on_damaged});
}
