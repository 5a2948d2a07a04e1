/* Raft's state machine: from a committed entry to events.
 *
 * raft calls apply on every node, for each committed entry, in order. The machine decodes the batch,
 * lets the aggregate apply each command, gives out the encoded event of each that made one, and tells
 * the outcome for whoever waits for that command here. What the store has already (index up to the
 * one it stood at when this node started) is passed over.
 *
 * apply never fails, for the library would stand still without a word. An entry that cannot be read
 * is the same on every node: it counts as one without commands, and is logged as an error.
 *
 * There are no snapshots of ours yet: raft is told to ask for none, and is answered
 * RAFT_BUSY if it does. One made by a newer Live Tea ends the process: it stands for history that we
 * cannot fetch.
 *
 * Raft's thread.
 */
#pragma once
#include <raft.h>

#include "chat/chat.h"

struct machine_handler {
    void *owner;
    void (*on_event)(void *owner, const struct message_sent *event, struct shared *bytes);
    /* Of every command in the log, also of one that made no event. For APPLIED all of *event, for
     * KNOWN its number. */
    void (*on_outcome)(void *owner, const struct command_id *id, enum chat_outcome outcome,
                       const struct message_sent *event);
    void (*on_entry)(void *owner, uint64_t index);
    void (*on_fatal)(void *owner, int exit_code, const char *sentence);
};

struct machine {
    struct raft_fsm fsm; /* for raft_init */
    struct raft *raft;
    struct chat *chat;
    struct machine_handler handler;
    uint64_t stored_index; /* the store's last raft index at start */
    uint64_t index;        /* of the entry that is being applied */
    uint64_t damaged;      /* entries that could not be read */
};

/* The machine must not move. raft_init comes after it. */
void machine_init(struct machine *machine, struct raft *raft, struct chat *chat,
                  uint64_t stored_index, const struct machine_handler *handler);

/* What apply does with an entry's bytes; also for tests. */
void machine_apply(struct machine *machine, uint64_t index, struct slice entry);
