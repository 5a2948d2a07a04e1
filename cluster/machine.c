#include "cluster/machine.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <utlist.h>

#include "base/log.h"
#include "base/mem.h"

struct machine_waiting {
    struct machine_waiting *next, *prev;
    uint64_t index;
    size_t len;
    char bytes[];
};

/* ---- telling ---- */

static void tell_gap(struct machine *machine)
{
    if (machine->handler.on_gap != NULL) machine->handler.on_gap(machine->handler.owner);
}

static void tell_entry(struct machine *machine, uint64_t index)
{
    machine->handler.on_entry(machine->handler.owner, index);
}

static void tell_fatal(struct machine *machine, const char *sentence)
{
    machine->handler.on_fatal(machine->handler.owner, 3, sentence);
}

/* An event that is part of the chat now. */
static void tell_event(struct machine *machine, const struct message_sent *event,
                       struct shared *bytes)
{
    chat_remember(machine->chat, event, bytes);
    machine->handler.on_event(machine->handler.owner, event, bytes);
}

/* ---- what waits behind a gap ---- */

static void add_waiting(struct machine *machine, uint64_t index, struct slice entry)
{
    struct machine_waiting *waiting = mem_new(sizeof *waiting + entry.len);
    waiting->index = index;
    waiting->len = entry.len;
    if (entry.len > 0) memcpy(waiting->bytes, entry.at, entry.len);
    DL_APPEND(machine->waiting, waiting);
    machine->waiting_bytes += sizeof *waiting + entry.len;
    tell_gap(machine);
}

static void free_waiting(struct machine *machine, struct machine_waiting *waiting)
{
    DL_DELETE(machine->waiting, waiting);
    machine->waiting_bytes -= sizeof *waiting + waiting->len;
    mem_free(waiting);
}

/* Their events are below a manifest. */
static void drop_waiting(struct machine *machine, uint64_t index)
{
    while (machine->waiting != NULL && machine->waiting->index <= index)
        free_waiting(machine, machine->waiting);
}

/* ---- manifests ---- */

/* What the chat stands at, as far as it has decided. */
static struct manifest manifest_of(const struct machine *machine, uint64_t index)
{
    const struct chat *chat = machine->chat;
    struct manifest manifest = {
        .index = index, .number = chat->number, .at_ms = chat->at_ms, .digest = chat->digest};
    memcpy(manifest.cluster, machine->cluster, sizeof manifest.cluster);
    return manifest;
}

/* The digest of an event that is here: the last one, or one in the store. */
static int digest_of(struct machine *machine, uint64_t number, struct digest *digest)
{
    if (number == machine->chat->number) {
        *digest = machine->chat->digest;
        return 0;
    }
    if (machine->handler.digest_at == NULL) return ERR_NOT_FOUND;
    return machine->handler.digest_at(machine->handler.owner, number, digest);
}

/* The manifest speaks of what is here: does it say the same? 0 or ERR_DATA. */
static int check_digest(struct machine *machine, const struct manifest *manifest,
                        struct errmsg *errmsg)
{
    struct digest digest;
    if (manifest->number == 0) return 0;
    int rv = digest_of(machine, manifest->number, &digest);
    if (rv != 0) {
        errmsg_set(errmsg,
                   "event %" PRIu64 ", of which the raft log's snapshot speaks, cannot be "
                   "read in this history: %s",
                   manifest->number, err_words(rv));
        return ERR_DATA;
    }
    if (memcmp(&digest, &manifest->digest, sizeof digest) == 0) return 0;
    errmsg_set(errmsg, "event %" PRIu64 " is another one in this history than in the cluster's",
               manifest->number);
    return ERR_DATA;
}

/* Of two places in one history the one with the higher index has no lower number. A goal is never
 * behind the one before it. */
static int check_order(const struct machine *machine, const struct manifest *manifest,
                       struct errmsg *errmsg)
{
    bool is_missing = machine->has_gap && !machine->is_filled;
    uint64_t index = is_missing ? machine->goal.index : machine->chat->index;
    uint64_t number = is_missing ? machine->goal.number : machine->chat->number;
    bool is_later = manifest->index > index && manifest->number >= number;
    bool is_earlier = manifest->index < index && manifest->number <= number;
    bool is_same = manifest->index == index && manifest->number == number;
    if (is_later || is_same || (is_earlier && !is_missing)) return 0;
    errmsg_set(errmsg,
               "this history has event %" PRIu64 " at entry %" PRIu64
               " of the raft log, the cluster's has event %" PRIu64 " at entry %" PRIu64,
               number, index, manifest->number, manifest->index);
    return ERR_DATA;
}

static void maybe_close_gap(struct machine *machine)
{
    if (!machine->is_filled || machine->waiting != NULL) return;
    machine->has_gap = machine->is_filled = false;
    tell_gap(machine);
}

/* The chat has all events of the manifest: what else is in the entries up to there made none. */
static void move_index(struct machine *machine, uint64_t index)
{
    if (index <= machine->chat->index) return;
    machine->chat->index = index;
    tell_entry(machine, index);
}

static void open_gap(struct machine *machine, const struct manifest *manifest)
{
    machine->goal = *manifest;
    machine->has_gap = true;
    machine->is_filled = false;
    tell_gap(machine);
}

/* Everything up to the manifest counts as applied: what of it is here? 0, or ERR_DATA when it is of
 * another history than ours. */
static int take_manifest(struct machine *machine, const struct manifest *manifest,
                         struct errmsg *errmsg)
{
    int rv = check_order(machine, manifest, errmsg);
    if (rv != 0) return rv;
    drop_waiting(machine, manifest->index);
    machine->floor = *manifest;
    if (manifest->number > machine->chat->number) {
        open_gap(machine, manifest);
        return 0;
    }
    rv = check_digest(machine, manifest, errmsg);
    if (rv != 0) return rv;
    move_index(machine, manifest->index);
    maybe_close_gap(machine);
    return 0;
}

static int check_cluster(const struct machine *machine, const struct manifest *manifest,
                         struct errmsg *errmsg)
{
    if (memcmp(manifest->cluster, machine->cluster, sizeof machine->cluster) == 0) return 0;
    errmsg_set(errmsg, "the raft log's snapshot is of another cluster");
    return ERR_DATA;
}

/* ---- one entry ---- */

static void on_command(void *owner, const struct send_message *command)
{
    struct machine *machine = owner;
    struct message_sent event = {.number = 0};
    enum chat_outcome outcome = chat_apply(machine->chat, command, machine->index, &event);
    if (outcome == CHAT_APPLIED) {
        struct shared *bytes = event_encode(&event);
        tell_event(machine, &event, bytes);
        shared_unref(bytes);
    }
    machine->handler.on_outcome(machine->handler.owner, &command->id, outcome, &event);
}

bool machine_is_base(struct slice entry)
{
    return entry.len == MANIFEST_SIZE && slice_starts(entry, slice_of("LTEAMAN"));
}

void machine_base_entry(const struct machine *machine, char out[MANIFEST_SIZE])
{
    struct manifest manifest = manifest_of(machine, 0); /* nobody knows before it is in the log */
    manifest_encode(out, &manifest);
}

static void decide_base(struct machine *machine, uint64_t index, struct slice entry)
{
    struct errmsg errmsg;
    struct manifest manifest;
    int rv = manifest_decode(&manifest, entry, &errmsg);
    if (rv == 0) rv = check_cluster(machine, &manifest, &errmsg);
    manifest.index = index;
    if (rv == 0) rv = take_manifest(machine, &manifest, &errmsg);
    if (rv != 0) tell_fatal(machine, errmsg.text);
}

static void decide(struct machine *machine, uint64_t index, struct slice entry)
{
    struct errmsg errmsg;
    machine->index = index;
    if (machine_is_base(entry)) {
        decide_base(machine, index, entry);
        return;
    }
    if (batch_read(entry, on_command, machine, &errmsg) != 0) {
        machine->damaged++;
        log_error("an entry of the log cannot be read", "index=%" PRIu64 " reason=\"%s\"", index,
                  errmsg.text);
    }
    /* Also for an entry that brought nothing. */
    if (machine->chat->index < index) machine->chat->index = index;
    tell_entry(machine, index);
}

void machine_apply(struct machine *machine, uint64_t index, struct slice entry)
{
    machine->log_bytes += entry.len;
    if (index <= machine->stored_index) return;
    if (machine->has_gap) {
        add_waiting(machine, index, entry);
    } else {
        decide(machine, index, entry);
    }
}

uint64_t machine_decided(const struct machine *machine)
{
    return machine->has_gap ? machine->chat->index : raft_last_applied(machine->raft);
}

/* ---- events from a peer ---- */

static void fill_gap(struct machine *machine)
{
    struct errmsg errmsg;
    if (check_digest(machine, &machine->goal, &errmsg) != 0) {
        tell_fatal(machine, errmsg.text);
        return;
    }
    machine->is_filled = true;
    move_index(machine, machine->goal.index);
    tell_gap(machine);
    machine_drain(machine);
}

int machine_backfill(struct machine *machine, struct slice bytes, struct errmsg *errmsg)
{
    struct message_sent event;
    if (!machine->has_gap || machine->is_filled) {
        errmsg_set(errmsg, "no events are missing");
        return ERR_DATA;
    }
    struct shared *copy = shared_copy(bytes);
    int rv = event_decode(&event, shared_slice(copy), errmsg);
    if (rv == 0) rv = chat_take(machine->chat, &event, errmsg);
    if (rv == 0) {
        tell_event(machine, &event, copy);
        /* Somebody here may wait for it: its entry was not applied here and never will be. */
        machine->handler.on_outcome(machine->handler.owner, &event.id, CHAT_APPLIED, &event);
    }
    shared_unref(copy);
    if (rv == 0 && event.number == machine->goal.number) fill_gap(machine);
    return rv;
}

void machine_backfill_flush(struct machine *machine)
{
    if (machine->has_gap && !machine->is_filled) tell_entry(machine, machine->chat->index);
}

void machine_drain(struct machine *machine)
{
    size_t drained = 0;
    if (!machine->is_filled) return;
    while (machine->is_filled && machine->waiting != NULL && drained < MACHINE_DRAIN_BYTES) {
        struct machine_waiting *first = machine->waiting;
        drained += first->len;
        DL_DELETE(machine->waiting, first); /* a manifest among them drops others */
        machine->waiting_bytes -= sizeof *first + first->len;
        decide(machine, first->index, slice_make(first->bytes, first->len));
        mem_free(first);
    }
    if (machine->waiting != NULL) {
        tell_gap(machine);
    } else {
        maybe_close_gap(machine);
    }
}

/* ---- what raft calls ---- */

static int apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    struct machine *machine = fsm->data;
    *result = NULL;
    machine_apply(machine, raft_last_applied(machine->raft) + 1, slice_make(buf->base, buf->len));
    return 0;
}

static int snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *bufs_count)
{
    struct machine *machine = fsm->data;
    raft_index applied = raft_last_applied(machine->raft);
    *bufs = NULL;
    *bufs_count = 0;
    if (machine->has_gap || applied < machine->chat->index) return RAFT_BUSY;
    /* raft learns that a change of members is committed only in a step of its own, behind the one that
     * applied it. In between it would write the members before the change into the snapshot, and believe
     * them after the next start. It asks again. */
    raft_index change = machine->raft->configuration_uncommitted_index;
    if (change != 0 && change <= applied) return RAFT_BUSY;

    struct manifest manifest = manifest_of(machine, applied);
    if (machine->handler.on_manifest != NULL) {
        machine->handler.on_manifest(machine->handler.owner, &manifest);
    }
    struct raft_buffer *buf = raft_malloc(sizeof *buf);
    if (buf == NULL) return RAFT_NOMEM;
    *buf = (struct raft_buffer){.base = raft_malloc(MANIFEST_SIZE), .len = MANIFEST_SIZE};
    if (buf->base == NULL) {
        raft_free(buf);
        return RAFT_NOMEM;
    }
    manifest_encode(buf->base, &manifest);
    machine->floor = manifest;
    machine->manifests++;
    machine->log_bytes = 0;
    *bufs = buf;
    *bufs_count = 1;
    return 0;
}

static int restore(struct raft_fsm *fsm, struct raft_buffer *buf)
{
    struct machine *machine = fsm->data;
    struct manifest manifest;
    struct errmsg errmsg;
    int rv = manifest_decode(&manifest, slice_make(buf->base, buf->len), &errmsg);
    if (rv == 0) rv = check_cluster(machine, &manifest, &errmsg);
    if (rv == 0) rv = take_manifest(machine, &manifest, &errmsg);
    if (rv != 0) {
        tell_fatal(machine, errmsg.text);
        return RAFT_MALFORMED; /* raft keeps the buffer then */
    }
    machine->log_bytes = 0;
    raft_free(buf->base);
    return 0;
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

void machine_close(struct machine *machine)
{
    drop_waiting(machine, UINT64_MAX);
}
