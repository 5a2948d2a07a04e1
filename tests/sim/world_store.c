/* The event store of a simulated node, and the look into it that a command gets. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "world_parts.h"

enum { RETRY_EVERY_MS = 100 };

/* ---- what is told ---- */

static uint64_t hash_text(struct slice text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (uint8_t)text.at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static struct checker_line line_of(const struct message_sent *event)
{
    struct checker_line line = {.number = event->number, .room = world_room_of(event->room)};
    memcpy(&line.id, event->id.bytes, sizeof line.id);
    if (world_is_other(event->text)) line.id |= WORLD_OTHER;
    memcpy(&line.digest, event->digest.bytes, sizeof line.digest);
    line.text = hash_text(event->text);
    return line;
}

void store_add(struct world_node *node, const struct message_sent *event, struct shared *bytes)
{
    struct store *store = &node->store;
    assert(event->number == store->told + 1);
    if (event->at_ms < store->at_ms)
        world_fatal(node->world, node, "the time of an event goes back");
    store->at_ms = event->at_ms;
    if (store->told == store->size) {
        store->size = store->size == 0 ? 256 : 2 * store->size;
        store->events = mem_grow(store->events, store->size * sizeof(*store->events));
        store->lines = mem_grow(store->lines, store->size * sizeof(*store->lines));
    }
    store->lines[store->told] = line_of(event);
    store->events[store->told++] = shared_ref(bytes);
}

uint64_t node_mark(const struct world_node *node)
{
    uint64_t stored = node->raft.last_stored, committed = node->raft.commit_index;
    return stored < committed ? stored : committed;
}

void store_entry(struct world_node *node, uint64_t index)
{
    struct store *store = &node->store;
    store->told_index = index;
    if (node_mark(node) > store->told_mark) store->told_mark = node_mark(node);
    store_commit(node);
}

/* ---- commits ---- */

struct commit {
    struct host_event event;
    struct world_node *node;
    uint64_t number, index, mark;
};

static void take_commit(struct store *store, const struct commit *commit)
{
    store->number = commit->number;
    if (commit->index > store->index) store->index = commit->index;
    if (commit->mark > store->mark) store->mark = commit->mark;
}

static void on_committed(struct host_event *event, bool is_dropped)
{
    struct commit *commit = (struct commit *)event;
    struct world_node *node = commit->node;
    struct store *store = &node->store;
    if (!is_dropped) {
        take_commit(store, commit);
        store->is_committing = false;
        if (node->world->mistake != SNAPSHOT_NOT_HELD) guard_durable(&node->guard, store->number);
        guard_lag(&node->guard, (size_t)(store->told - store->number) * 100);
        store_commit(node);
    }
    mem_free(commit);
}

static bool has_news(const struct store *store)
{
    return store->told > store->number || store->told_index > store->index ||
           store->told_mark > store->mark;
}

void store_commit(struct world_node *node)
{
    struct store *store = &node->store;
    struct sim *sim = &node->world->sim;
    if (store->is_committing || store->is_stuck || !has_news(store)) return;
    struct commit *commit = mem_new(sizeof *commit);
    *commit = (struct commit){.event.on_due = on_committed,
                              .node = node,
                              .number = store->told,
                              .index = store->told_index,
                              .mark = store->told_mark};
    store->is_committing = true;
    host_later(&node->host, sim_between(sim, 1, store->latency_ms), &commit->event);
}

/* A commit that was under way is on the disk or is not; what was not begun is not. */
void store_lose(struct world_node *node)
{
    struct store *store = &node->store;
    struct sim *sim = &node->world->sim;
    if (store->is_committing && sim_chance(sim, 50)) {
        store->number = store->told;
        store->index = store->told_index;
    }
    if (node->world->mistake == STORE_AHEAD) store->index = store->told_index;
    while (store->told > store->number)
        shared_unref(store->events[--store->told]);
    store->told_index = store->index;
    store->told_mark = store->mark;
    store->at_ms = 0;
    store->is_committing = false;
}

void store_free(struct store *store)
{
    while (store->told > 0)
        shared_unref(store->events[--store->told]);
    mem_free(store->events);
    mem_free(store->lines);
}

/* ---- taking up ---- */

static void event_at(const struct store *store, uint64_t number, struct message_sent *event)
{
    struct errmsg errmsg;
    int rv = event_decode(event, shared_slice(store->events[number - 1]), &errmsg);
    if (rv != 0) abort();
}

static int by_last_number(const void *a, const void *b)
{
    const struct chat_room *left = a, *right = b;
    return left->last_number < right->last_number ? -1 : 1;
}

static void restore_rooms(struct world_node *node)
{
    struct chat_room rooms[WORLD_ROOMS] = {{.seq = 0}};
    /* Only the last message of each room is looked at. */
    for (uint64_t number = node->store.number; number > 0; number--) {
        struct message_sent event;
        struct chat_room *room = &rooms[node->store.lines[number - 1].room];
        if (room->seq > 0) continue;
        event_at(&node->store, number, &event);
        memcpy(room->name, event.room.at, event.room.len);
        room->name_len = (uint8_t)event.room.len;
        room->seq = event.seq;
        room->last_number = number;
        room->last_at_ms = event.at_ms;
        room->last_sender_id = event.sender_id;
        room->run = event.run;
    }
    qsort(rooms, WORLD_ROOMS, sizeof *rooms, by_last_number);
    for (unsigned i = 0; i < WORLD_ROOMS; i++)
        if (rooms[i].seq > 0) chat_restore_room(&node->chat, &rooms[i]);
}

void store_restore(struct world_node *node)
{
    struct store *store = &node->store;
    struct message_sent event = {.number = 0};
    uint64_t window = node->world->window;
    uint64_t first = store->number > window ? store->number - window + 1 : 1;
    restore_rooms(node);
    for (uint64_t number = first; number <= store->number; number++) {
        event_at(store, number, &event);
        if (node->world->mistake != WINDOW_NOT_REBUILT) chat_restore_event(&node->chat, &event);
    }
    chat_restore(&node->chat, store->number, store->index, event.at_ms, &event.digest);
}

/* ---- the look ---- */

static bool searches(enum mistake mistake)
{
    return mistake != DEDUP_IN_LEADER && mistake != WINDOW_NOT_REBUILT && mistake != DEDUP_EXPIRES;
}

static bool trusts_any_search(enum mistake mistake)
{
    return !searches(mistake) || mistake == DEDUP_BEFORE_APPEND || mistake == NOT_READY ||
           mistake == WINDOW_TOO_SHORT;
}

/* Number of the event of this id, as far as is durable; 0 = none. */
static uint64_t find(const struct world_node *node, const struct send_message *command,
                     bool *is_same)
{
    uint64_t id, number = node->store.number;
    memcpy(&id, command->id.bytes, sizeof id);
    while (number > 0 && (node->store.lines[number - 1].id & ~WORLD_OTHER) != id)
        number--;
    if (number == 0) return 0;
    bool is_other = (node->store.lines[number - 1].id & WORLD_OTHER) != 0;
    *is_same = is_other == world_is_other(command->text);
    return number;
}

static void deliver(struct taken *taken, const struct answer *answer)
{
    crowd_answered(taken->node->world->crowd, taken->attempt, answer);
    mem_free(taken);
}

static void on_looked(struct host_event *event, bool is_dropped)
{
    struct taken *taken = (struct taken *)event;
    if (is_dropped) {
        deliver(taken, &(struct answer){.kind = ANSWER_UNKNOWN});
        return;
    }
    forward_add(taken->node->forward, &taken->request, taken->node->world->sim.now_ms);
}

static void look(struct taken *taken)
{
    struct world_node *node = taken->node;
    struct world *world = node->world;
    struct send_message *command = &taken->request.command;
    bool is_same = false;
    uint64_t number = searches(world->mistake) ? find(node, command, &is_same) : 0;
    command->unseen_up_to = node->store.number;
    if (trusts_any_search(world->mistake)) command->unseen_up_to = UINT64_MAX;
    if (number > 0) {
        world->known++;
        if (world->mistake == NUMBER_OVERWRITTEN) number = node->chat.number;
        deliver(taken, is_same ? &(struct answer){.kind = ANSWER_ACCEPTED, .number = number}
                               : &(struct answer){.kind = ANSWER_REFUSED, .refusal = CHAT_ID_USED});
        return;
    }
    taken->event.on_due = on_looked;
    host_later(&node->host, sim_draw(&world->sim, world->lookup_ms + 1), &taken->event);
}

static void on_look_again(struct host_event *event, bool is_dropped)
{
    struct taken *taken = (struct taken *)event;
    if (is_dropped) {
        deliver(taken, &(struct answer){.kind = ANSWER_UNKNOWN});
    } else {
        look(taken);
    }
}

void world_take(struct world_node *node, const struct send_message *command, uint64_t attempt)
{
    struct taken *taken = mem_new(sizeof *taken + command_texts_len(command));
    taken->node = node;
    taken->attempt = attempt;
    taken->deadline_ms = node->world->sim.now_ms + FORWARD_DEADLINE_MS;
    taken->request.on_answer = node_on_answer;
    command_copy(&taken->request.command, command, taken->bytes);
    look(taken);
}

void node_on_answer(struct command_request *request, const struct answer *answer)
{
    struct taken *taken = (struct taken *)((char *)request - offsetof(struct taken, request));
    struct world_node *node = taken->node;
    struct world *world = node->world;
    struct answer given = *answer;
    if (given.kind == ANSWER_RETRY && !node->is_closing && world->sim.now_ms < taken->deadline_ms) {
        world->retries++;
        request->command.retried = true;
        crowd_asks_again(world->crowd, taken->attempt);
        taken->event.on_due = on_look_again;
        host_later(&node->host, RETRY_EVERY_MS, &taken->event);
        return;
    }
    if (given.kind == ANSWER_RETRY) given.kind = ANSWER_UNKNOWN;
    if (node->in_entry && !node->is_closing) {
        taken->answer = given;
        taken->next = NULL;
        *node->answered_last = taken;
        node->answered_last = &taken->next;
        return;
    }
    deliver(taken, &given);
}

bool world_is_other(struct slice text)
{
    return text.len > 0 && text.at[text.len - 1] == '!';
}

unsigned world_room_of(struct slice room)
{
    return (unsigned)(room.at[room.len - 1] - '0') % WORLD_ROOMS;
}

void store_wake(struct world_node *node)
{
    if (node->host.is_up) store_commit(node);
}
