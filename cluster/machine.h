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
 * Snapshots are manifests (manifest.h): how far the history reaches, and no part of it. One that raft
 * restores, at start or because this node was away for long, may speak of events that are not here: a
 * gap.
 *
 *              a manifest ahead of the chat                its number is reached, with its digest
 *   LEVEL ----------------------------------> MISSING ------------------------------------> DRAINING
 *     ^                                        |   ^  machine_backfill: one event              |  |
 *     |                                        +---+  a later manifest: the goal moves         |  |
 *     |                                            ^                                           |  |
 *     |                                            +--- a manifest that is ahead again --------+  |
 *     +---- what waited is applied, in order, MACHINE_DRAIN_BYTES at a time (machine_drain) ------+
 *
 * From MISSING to the end of DRAINING there is a gap: what is committed waits in RAM, copied, in order,
 * and machine_decided stands still or lags. Events that come through machine_backfill go the same way up
 * as those that were applied: to the store, the tails and the pages that show their rooms. on_gap tells
 * how things stand at each change. In a gap there is no manifest to give, and neither while raft repeats
 * entries that the store has already, nor while it has yet to learn that a change of members is committed:
 * raft is answered RAFT_BUSY, and asks again.
 *
 * A manifest may also be an entry of the log. A history that was restored or imported belongs to a new
 * cluster, whose log begins at index 1 and knows nothing of the events before; so that log's first entry
 * is the manifest of what there was, and a node that joins later and is given the log from its beginning
 * has a gap there, like one that was given a snapshot.
 *
 * Raft's thread.
 */
#pragma once
#include <raft.h>

#include "chat/chat.h"
#include "cluster/manifest.h"

enum { MACHINE_DRAIN_BYTES = 1024 * 1024 };

struct machine_handler {
    void *owner;
    void (*on_event)(void *owner, const struct message_sent *event, struct shared *bytes);
    /* Of every command in the log, also of one that made no event. For APPLIED all of *event, for
     * KNOWN its number. */
    void (*on_outcome)(void *owner, const struct command_id *id, enum chat_outcome outcome,
                       const struct message_sent *event);
    /* After the last event of an entry; in a gap after each chunk, with the index before the gap. */
    void (*on_entry)(void *owner, uint64_t index);
    /* A gap begins, grows (another manifest), is filled, has more or less waiting, or is closed. May be
     * NULL. */
    void (*on_gap)(void *owner);
    /* raft asks for a manifest, and is given this one: called before anything is done. May be NULL. */
    void (*on_manifest)(void *owner, const struct manifest *manifest);
    /* Digest of an event that is in the store, for a manifest that is behind it: 0 or an ERR_ code. */
    int (*digest_at)(void *owner, uint64_t number, struct digest *digest);
    /* Should not return. `sentence` says what is wrong, not what is to be done. */
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
    uint64_t log_bytes;    /* of entries since the last one that was given or restored */
    struct manifest
        floor; /* the last one that was given or restored: what is below may be in no log */

    bool has_gap;
    bool is_filled;       /* with a gap: the events are all here, entries still wait */
    struct manifest goal; /* with a gap: where the missing events end */
    struct machine_waiting *waiting;
    size_t waiting_bytes;
};

void machine_init(struct machine *machine, struct raft *raft, struct chat *chat,
                  const uint8_t cluster[16], uint64_t stored_index,
                  const struct machine_handler *handler);
void machine_close(struct machine *machine);

/* One entry; what the fsm's apply does with raft's. */
void machine_apply(struct machine *machine, uint64_t index, struct slice entry);

/* Is this entry a manifest? machine_base_entry makes one of where the chat stands; its bytes are a
 * multiple of 8, as raft wants them. */
bool machine_is_base(struct slice entry);
void machine_base_entry(const struct machine *machine, char out[MANIFEST_SIZE]);

/* The index up to which everything is decided here: raft's last applied one, or with a gap the chat's. */
uint64_t machine_decided(const struct machine *machine);

/* With a gap: the next event, as a peer gave it; `bytes` is borrowed. An ERR_ code and nothing happened
 * when it is none (ERR_FORMAT, ERR_TOO_LARGE), or does not continue the history or none is missing
 * (ERR_DATA): the peer is no good. With the last one what waited begins to be applied. */
int machine_backfill(struct machine *machine, struct slice bytes, struct errmsg *errmsg);
/* Behind the last event of a chunk. */
void machine_backfill_flush(struct machine *machine);
/* Applies some of what waited behind a gap that is filled; to be called in every turn of the loop. */
void machine_drain(struct machine *machine);
