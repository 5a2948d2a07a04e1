/* Mistakes that somebody could have made, put between the real parts of a simulated node. Others are where
 * the simulated parts are: the store, the pages, the clients.
 */
#include <string.h>

#include "world_parts.h"

enum { MISTAKE_MS = 3000 };

static struct world_node *node_of_fsm(struct raft_fsm *fsm)
{
    return (struct world_node *)((char *)fsm - offsetof(struct world_node, machine) -
                                 offsetof(struct machine, fsm));
}

/* Applies with no window, then takes the new ids into the one that is only looked into before an append. */
static int apply_without_window(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    struct world_node *node = node_of_fsm(fsm);
    struct window *window = &node->chat.window, kept = *window;
    window_init(window, node->world->window);
    window_reset(window, node->chat.number + 1);
    int rv = node->machine_fsm.apply(fsm, buf, result);
    if (kept.last + 1 != window->first) window_reset(&kept, window->first);
    for (uint64_t number = window->first; number <= window->last; number++) {
        const struct window_entry *entry = &window->ring[number % window->ring_size];
        window_add(&kept, number, &entry->id, entry->content);
    }
    window_close(window);
    *window = kept;
    if (node->world->mistake == DEDUP_BEFORE_APPEND) window_reset(window, node->chat.number + 1);
    return rv;
}

static int apply_by_the_clock(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    struct world_node *node = node_of_fsm(fsm);
    uint64_t now_ms = node->world->sim.now_ms;
    if (node->world->mistake == CLOCK_IN_APPLY) {
        node->chat.at_ms = (int64_t)(2 * WALL_MS + now_ms);
    } else if (now_ms - node->expired_ms > MISTAKE_MS) {
        node->expired_ms = now_ms;
        window_reset(&node->chat.window, node->chat.number + 1);
    }
    return node->machine_fsm.apply(fsm, buf, result);
}

void mistake_plant(struct world_node *node)
{
    enum mistake mistake = node->world->mistake;
    node->machine_fsm = node->machine.fsm;
    if (mistake == DEDUP_IN_LEADER || mistake == DEDUP_BEFORE_APPEND || mistake == NOT_READY)
        node->machine.fsm.apply = apply_without_window;
    if (mistake == DEDUP_EXPIRES || mistake == CLOCK_IN_APPLY)
        node->machine.fsm.apply = apply_by_the_clock;
    if (mistake == SNAPSHOT_NOT_HELD) guard_durable(&node->guard, UINT64_MAX);
    node->disk.disk.flush_ms = mistake == ACK_BEFORE_FLUSH ? MISTAKE_MS : 0;
    node->disk.disk.forgets = mistake == FORGETS_TAIL ? 3 : 0;
}

struct appended { /* what a mistake makes of a command that was only appended */
    struct world_node *node;
    uint64_t number;
    bool is_acknowledged, is_shown;
};

static void on_appended_command(void *owner, const struct send_message *command)
{
    struct appended *appended = owner;
    struct world_node *node = appended->node;
    struct message_sent event = {.number = ++appended->number,
                                 .room = command->room,
                                 .sender = command->sender,
                                 .text = command->text,
                                 .sender_id = command->sender_id,
                                 .id = command->id};
    struct checker_line line = {.number = event.number, .room = world_room_of(event.room)};
    memcpy(&line.id, event.id.bytes, sizeof line.id);
    if (world_is_other(command->text)) line.id |= WORLD_OTHER;
    if (appended->is_shown) crowd_event(node->world->crowd, node, &line);
    if (appended->is_acknowledged) forward_applied(node->forward, &event.id, CHAT_APPLIED, &event);
}

static bool was_just_paused(const struct world_node *node)
{
    return node->resumed_ms > 0 && node->world->sim.now_ms - node->resumed_ms < WORLD_ELECTION_MS;
}

void mistake_at_append(struct world_node *node, struct slice entry)
{
    enum mistake mistake = node->world->mistake;
    struct errmsg errmsg;
    struct appended appended = {
        .node = node,
        .number = node->chat.number,
        .is_shown = mistake == SHOWN_AT_APPEND,
        .is_acknowledged = mistake == ACK_BEFORE_COMMIT ||
                           (mistake == SERVES_AFTER_PAUSE && was_just_paused(node)),
    };
    if (appended.is_shown || appended.is_acknowledged)
        batch_read(entry, on_appended_command, &appended, &errmsg);
}

static bool most_have(struct raft *raft, raft_index index)
{
    unsigned have = 0;
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        raft_index match = raft->last_stored;
        raft_id id = raft->configuration.servers[i].id;
        if (id != raft->id && raft_match_index(raft, id, &match) != 0) match = 0;
        have += match >= index;
    }
    return have > raft->configuration.n / 2;
}

/* A leader that counts who has an entry, whatever its term. */
void mistake_commit_old_terms(struct world_node *node)
{
    struct raft *raft = &node->raft;
    const struct disk *disk = &node->disk.disk;
    if (!node->is_leading || raft->last_applied != raft->commit_index) return;
    for (raft_index index = raft->commit_index + 1; index <= raft->last_stored; index++) {
        if (!most_have(raft, index) || index < disk->first) return;
        const struct disk_entry *entry = &disk->entries[index - disk->first];
        struct raft_buffer buffer = {.base = entry->bytes, .len = entry->len};
        void *result;
        raft->commit_index = index;
        if (entry->type == RAFT_COMMAND) raft->fsm->apply(raft->fsm, &buffer, &result);
        raft->last_applied = index;
    }
}
