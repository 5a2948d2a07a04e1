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
 * Snapshots are manifests (manifest.h). One that raft restores, at start or because this node was away
 * for long, may speak of events that are not here: a gap.
 *
 *              restore: manifest ahead of the chat                     the manifest's number reached,
 *   LEVEL ---------------------------------------> GAP --------------> its digest is the same
 *     ^                                             | machine_backfill     |
 *     |                                             | one event            | the waiting entries are
 *     +---------------------------------------------+----------------------+ applied in order
 *
 * Within a gap nothing is decided: committed entries wait in RAM, copied, in order, and events come from
 * other nodes through machine_backfill. They go the same way up as events that were applied: to the
 * store, the tails and the pages that show their rooms. on_gap tells how things stand at each change.
 * In a gap there is no manifest to give: raft is answered RAFT_BUSY.
 *
 * Raft's thread.
 */
#pragma once
#include <raft.h>

#include "chat/chat.h"
#include "cluster/manifest.h"

struct machine_handler {
    void *owner;
    void (*on_event)(void *owner, const struct message_sent *event, struct shared *bytes);
    /* Of every command in the log, also of one that made no event. For APPLIED all of *event, for
     * KNOWN its number. */
    void (*on_outcome)(void *owner, const struct command_id *id, enum chat_outcome outcome,
                       const struct message_sent *event);
    /* After the last event of an entry; in a gap after each chunk, with the index before the gap. */
    void (*on_entry)(void *owner, uint64_t index);
    /* A gap begins, grows (another manifest), gets more waiting bytes, or is closed. May be NULL. */
    void (*on_gap)(void *owner);
    /* The manifest that raft is about to write. May be NULL. */
    void (*on_manifest)(void *owner, const struct manifest *manifest);
    /* Digest of an event that is in the store, for a manifest that is behind it: 0 or an ERR_ code. */
    int (*digest_at)(void *owner, uint64_t number, struct digest *digest);
    void (*on_fatal)(void *owner, int exit_code, const char *sentence);
};

struct machine_waiting; /* one entry behind a gap */

struct machine {
    struct raft_fsm fsm;
    struct raft *raft;
    struct chat *chat;
    struct machine_handler handler;
    uint8_t cluster[16];
    uint64_t stored_index; /* of the store at start */
    uint64_t index;        /* of the entry being applied */
    uint64_t damaged;      /* entries that could not be read */
    uint64_t manifests;    /* given to raft */

    bool has_gap;
    struct manifest goal; /* with a gap: where it ends */
    struct machine_waiting *waiting;
    size_t waiting_bytes;
};

void machine_init(struct machine *machine, struct raft *raft, struct chat *chat,
                  const uint8_t cluster[16], uint64_t stored_index,
                  const struct machine_handler *handler);
void machine_close(struct machine *machine);

/* One entry; what the fsm's apply does with raft's. */
void machine_apply(struct machine *machine, uint64_t index, struct slice entry);

/* The index up to which everything is decided here: raft's last applied one, or with a gap the chat's. */
uint64_t machine_decided(const struct machine *machine);

/* With a gap: the next event, as a peer gave it. ERR_FORMAT or ERR_DATA and nothing happened when it is
 * none or does not continue the history: the peer is no good. Closes the gap with the last one, then
 * everything that waited has been applied on return. `bytes` is borrowed. */
int machine_backfill(struct machine *machine, struct slice bytes, struct errmsg *errmsg);
/* Behind the last event of a chunk. */
void machine_backfill_flush(struct machine *machine);
