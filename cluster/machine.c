#include "cluster/machine.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"

static void on_command(void *owner, const struct send_message *command)
{
    struct machine *machine = owner;
    struct message_sent event = {.number = 0};
    enum chat_outcome outcome = chat_apply(machine->chat, command, machine->index, &event);
    if (outcome == CHAT_APPLIED) {
        struct shared *bytes = event_encode(&event);
        chat_remember(machine->chat, &event, bytes);
        machine->handler.on_event(machine->handler.owner, &event, bytes);
        shared_unref(bytes);
    }
    machine->handler.on_outcome(machine->handler.owner, &command->id, outcome, &event);
}

void machine_apply(struct machine *machine, uint64_t index, struct slice entry)
{
    struct errmsg errmsg;
    if (index <= machine->stored_index) return;
    machine->index = index;
    if (batch_read(entry, on_command, machine, &errmsg) != 0) {
        machine->damaged++;
        log_error("an entry of the log cannot be read", "index=%" PRIu64 " reason=\"%s\"", index,
                  errmsg.text);
    }
    /* Also for an entry that brought nothing. */
    if (machine->chat->index < index) machine->chat->index = index;
    machine->handler.on_entry(machine->handler.owner, index);
}

static int apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    struct machine *machine = fsm->data;
    *result = NULL;
    machine_apply(machine, raft_last_applied(machine->raft) + 1, slice_make(buf->base, buf->len));
    return 0;
}

static int snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *bufs_count)
{
    (void)fsm;
    *bufs = NULL;
    *bufs_count = 0;
    return RAFT_BUSY;
}

static int restore(struct raft_fsm *fsm, struct raft_buffer *buf)
{
    struct machine *machine = fsm->data;
    (void)buf;
    machine->handler.on_fatal(
        machine->handler.owner, 3,
        "the raft log begins with a snapshot, made by a newer Live Tea: start "
        "that version again");
    return RAFT_MALFORMED;
}

void machine_init(struct machine *machine, struct raft *raft, struct chat *chat,
                  const uint8_t cluster[16], uint64_t stored_index,
                  const struct machine_handler *handler)
{
    *machine = (struct machine){
        .fsm = {.version = 2, .apply = apply, .snapshot = snapshot, .restore = restore},
        .raft = raft,
        .chat = chat,
        .handler = *handler,
        .stored_index = stored_index};
    machine->fsm.data = machine;
    memcpy(machine->cluster, cluster, sizeof machine->cluster);
}
