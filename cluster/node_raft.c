/* A node and raft: opening its log, bootstrapping, what the guard and the machine tell, entries, closing.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/node_state.h"
#include "cluster/scan.h"

static_assert(GUARD_WRITE_SUBMIT == RAFT_UV_TRACER_WRITE_SUBMIT, "as in raft/uv.h");
static_assert(GUARD_WRITE_COMPLETE == RAFT_UV_TRACER_WRITE_COMPLETE, "as in raft/uv.h");

enum {
    CONNECT_RETRY_MS = 100,
    DISK_RETRY_MS = 500,             /* a full disk: prepare the next segment again */
    SEGMENT_BYTES = 8 * 1024 * 1024, /* raft's own choice */
    INSTALL_TIMEOUT_MS = 5000,
    /* An entry is up to 256 KiB; this is how many one message may hold. */
    INFLIGHT_ENTRIES = 256
};

struct in_flight { /* lives until raft's callback, whoever still waits for it */
    union {
        struct raft_apply apply;
        struct raft_barrier barrier;
    };
    struct node *node;
};

/* ---- what the guard tells ---- */

static void on_guard_fatal(void *owner, const char *what, int status)
{
    const struct node *node = owner;
    char sentence[256];
    snprintf(sentence, sizeof sentence, "%s (%s)", what, raft_strerror(status));
    node->options.handler.on_fatal(node->options.handler.owner, 1, sentence);
}

static void on_snapshot(void *owner, raft_index index, uint64_t number, uint64_t took_us)
{
    (void)owner;
    log_info("snapshot", "index=%" PRIu64 " number=%" PRIu64 " took_us=%" PRIu64, (uint64_t)index,
             number, took_us);
}

/* Nobody else has the file: raft makes one at a time, and has closed it. Why it failed the library does not
 * say. */
static bool on_retry(void *owner, const char *file)
{
    const struct node *node = owner;
    if (file != NULL) {
        char dir[512], path[512 + 64];
        data_dir_path(node->options.dir, "raft", dir, sizeof dir);
        snprintf(path, sizeof path, "%s/%s", dir, file);
        (void)unlink(path); /* mostly there is none; if it stays, the try fails again */
    }
    bool has_room = data_dir_has_room(node->options.dir, "raft", SEGMENT_BYTES);
    log_warn("file of the log not made, tried again", "file=%s room=%s",
             file == NULL ? "snapshot" : file, has_room ? "true" : "false");
    return !has_room;
}

static void stop_leading(struct node *node)
{
    node->is_leading = false;
    /* Whatever was on its way may still be committed by the next leader. */
    node->entry = NULL;
    propose_drop(node->propose);
    node->fence = NULL;
    node->base = NULL;
    barrier_committed(node->barrier, false);
    node_changes_stop_leading(node);
}

static void announce(struct node *node)
{
    node->leader_changes++;
    node->elected = node->leader;
    node->elected_term = node->leader_term;
    log_info("leader elected", "leader=%s term=%" PRIu64, node_name_of(node, node->leader),
             (uint64_t)node->leader_term);
    node_event(node, CLUSTER_ELECTED, node->leader, (uint64_t)node->guard.silence);
    forward_leader_changed(node->forward);
    barrier_leader_changed(node->barrier);
}

static void on_guard_change(void *owner)
{
    struct node *node = owner;
    raft_id leader = node->guard.picture.leader;
    if (node->is_leading && node->raft.state != RAFT_LEADER) stop_leading(node);
    node->is_leading = node->raft.state == RAFT_LEADER;

    raft_id before = node->leader;
    node->leader = leader;
    node->leader_term = raft_current_term(&node->raft);
    if (leader == 0 && before != 0) {
        log_info("leader lost", "leader=%s", node_name_of(node, before));
        node_event(node, CLUSTER_LOST_LEADER, before, 0);
    }
    bool is_news = leader != node->elected || node->leader_term != node->elected_term;
    if (leader != 0 && is_news) announce(node);
    node->options.handler.on_change(node->options.handler.owner);
}

/* ---- what the machine tells ---- */

static void on_event(void *owner, const struct message_sent *event, struct shared *bytes)
{
    struct node *node = owner;
    node->options.handler.on_event(node->options.handler.owner, event, bytes);
}

static void on_outcome(void *owner, const struct command_id *id, enum chat_outcome outcome,
                       const struct message_sent *event)
{
    struct node *node = owner;
    forward_applied(node->forward, id, outcome, event);
}

static void on_entry(void *owner, uint64_t index)
{
    struct node *node = owner;
    node->options.handler.on_entry(node->options.handler.owner, index);
    barrier_applied(node->barrier, index);
}

static bool is_log_large(const struct node *node)
{
    uint64_t most = node->options.keep_log_bytes;
    return node->machine.log_bytes > (most == 0 ? LOG_BYTES_MAX : most);
}

/* raft has its log in memory, back to the last snapshot and to what is kept behind that, and counts entries only.
 * Large ones are too many before they are keep_log: then the next snapshot comes at once, and behind it stays what
 * came since the last one. */
void node_bound_log(struct node *node)
{
    raft_set_snapshot_threshold(&node->raft, is_log_large(node) ? 1 : node->options.keep_log);
}

static void on_manifest(void *owner, const struct manifest *manifest)
{
    struct node *node = owner;
    uint64_t trailing = node->options.keep_log;
    uint64_t since = manifest->index - node->raft.trail.snapshot.index;
    if (is_log_large(node) && since > 0 && since < trailing) trailing = since;
    raft_set_snapshot_trailing(&node->raft, (unsigned)trailing);
    guard_manifest(&node->guard, manifest->number);
}

/* Of an event in the store: for a manifest that is behind it, at start. */
static int digest_at(void *owner, uint64_t number, struct digest *digest)
{
    struct node *node = owner;
    struct event_reader *reader;
    struct event_meta meta;
    struct message_sent event;
    int rv = event_reader_open(&reader, node->options.store, NULL);
    if (rv != 0) return rv;
    rv = event_reader_begin(reader, &meta);
    if (rv == 0) {
        rv = event_reader_get(reader, number, &event, NULL);
        if (rv == 0) *digest = event.digest;
        event_reader_end(reader);
    }
    event_reader_close(reader);
    return rv;
}

static void on_machine_fatal(void *owner, int exit_code, const char *sentence)
{
    (void)exit_code; /* it knows of one reason only */
    node_fatal_data(owner, sentence);
}

/* ---- proposing ---- */

static void on_applied(struct raft_apply *apply, int status, void *result)
{
    struct in_flight *entry = (struct in_flight *)apply;
    struct node *node = entry->node;
    bool is_current = node->entry == entry;
    (void)result;
    mem_free(entry);
    if (!is_current) return; /* we have stopped leading since */
    node->entry = NULL;
    if (status == 0) {
        propose_done(node->propose);
    } else {
        propose_drop(node->propose);
    }
}

enum submitted node_submit(void *owner, struct slice entry)
{
    struct node *node = owner;
    assert(entry.len > 0 && entry.len % 8 == 0 && node->entry == NULL);
    struct raft_buffer buffer = {.base = raft_malloc(entry.len), .len = entry.len};
    memcpy(buffer.base, entry.at, entry.len);
    struct in_flight *request = mem_new(sizeof *request);
    request->node = node;
    int rv = raft_apply(&node->raft, &request->apply, &buffer, 1, on_applied);
    if (rv == 0) {
        node->entry = request;
        return SUBMITTED;
    }
    /* Of any other answer nobody knows what it has done to the buffer. */
    if (rv != RAFT_NOTLEADER && rv != RAFT_NOSPACE) on_guard_fatal(node, "raft_apply", rv);
    raft_free(buffer.base);
    mem_free(request);
    return rv == RAFT_NOSPACE ? SUBMIT_FULL : SUBMIT_LATER;
}

static void on_fence(struct raft_barrier *barrier, int status)
{
    struct in_flight *fence = (struct in_flight *)barrier;
    struct node *node = fence->node;
    bool is_current = node->fence == fence;
    mem_free(fence);
    if (!is_current) return;
    node->fence = NULL;
    barrier_committed(node->barrier, status == 0);
}

bool node_append_barrier(void *owner)
{
    struct node *node = owner;
    struct in_flight *fence = mem_new(sizeof *fence);
    fence->node = node;
    if (raft_barrier(&node->raft, &fence->barrier, on_fence) != 0) {
        mem_free(fence);
        return false;
    }
    node->fence = fence;
    return true;
}

/* ---- a log that begins behind a history ---- */

static void on_base(struct raft_apply *apply, int status, void *result)
{
    struct in_flight *base = (struct in_flight *)apply;
    struct node *node = base->node;
    (void)status; /* not in the log: tried again at the next turn */
    (void)result;
    if (node->base == base) node->base = NULL;
    mem_free(base);
}

bool node_begins_log(struct node *node)
{
    const struct chat *chat = node->options.chat;
    if (chat->number == 0 || chat->index > 0) return false;
    if (node->base != NULL) return true;
    struct raft_buffer buffer = {.base = raft_malloc(MANIFEST_SIZE), .len = MANIFEST_SIZE};
    machine_base_entry(&node->machine, buffer.base);
    struct in_flight *base = mem_new(sizeof *base);
    base->node = node;
    int rv = raft_apply(&node->raft, &base->apply, &buffer, 1, on_base);
    if (rv == 0) {
        node->base = base;
        log_info("the log begins behind a history", "number=%" PRIu64, chat->number);
        return true;
    }
    if (rv != RAFT_NOTLEADER && rv != RAFT_NOSPACE) on_guard_fatal(node, "raft_apply", rv);
    raft_free(buffer.base);
    mem_free(base);
    return true;
}

/* ---- opening ---- */

static void raft_fatal(struct node *node, const char *what, int rv)
{
    char sentence[512];
    const char *reason = node->io.errmsg[0] != '\0' ? node->io.errmsg : raft_strerror(rv);
    snprintf(sentence, sizeof sentence, "%s: %s", what, reason);
    if (rv == RAFT_CORRUPT || rv == RAFT_MALFORMED) node_fatal_data(node, sentence);
    node_fatal(node, 1, sentence);
}

static void bootstrap(struct node *node)
{
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    for (size_t i = 0; i < node->founders_count; i++) {
        char address[SELF_SIZE];
        const struct peer *founder = &node->founders[i];
        snprintf(address, sizeof address, "%s=%s", founder->name, founder->address);
        bool is_self = strcmp(founder->name, node->options.name) == 0;
        uint64_t id = is_self ? node->id : peer_id(founder->name);
        int rv = raft_configuration_add(&configuration, id, address, RAFT_VOTER);
        if (rv != 0) raft_fatal(node, "the first list of members", rv);
    }
    /* Already done, when the process ended before the mark was written. */
    int rv = raft_bootstrap(&node->raft, &configuration);
    raft_configuration_close(&configuration);
    if (rv != 0 && rv != RAFT_CANTBOOTSTRAP) raft_fatal(node, "the raft log cannot be begun", rv);

    struct errmsg errmsg;
    if (data_dir_mark(node->options.dir, DATA_DIR_FORMED, &errmsg) != 0) {
        node_fatal(node, 1, errmsg.text);
    }
    log_info("cluster formed", "name=%s members=%zu", node->options.cluster_name,
             node->founders_count);
    node_event(node, CLUSTER_FORMED, node->id, 0);
}

/* Of an allocation that failed the library tells nobody: its errors end inside of it. */
static void *take(void *owner, size_t size)
{
    (void)owner;
    return mem_grow(NULL, size);
}

static void *take_zeroed(void *owner, size_t count, size_t size)
{
    (void)owner;
    return mem_new_array(count, size);
}

static void *grow(void *owner, void *at, size_t size)
{
    (void)owner;
    return mem_grow(at, size);
}

static void *take_aligned(void *owner, size_t alignment, size_t size)
{
    (void)owner;
    return mem_aligned(alignment, size);
}

static void give_back(void *owner, void *at)
{
    (void)owner;
    mem_free(at);
}

static void give_back_aligned(void *owner, size_t alignment, void *at)
{
    (void)owner;
    (void)alignment;
    mem_free(at);
}

static void open_raft(struct node *node, const char *path)
{
    static struct raft_heap heap = {.malloc = take,
                                    .calloc = take_zeroed,
                                    .realloc = grow,
                                    .aligned_alloc = take_aligned,
                                    .free = give_back,
                                    .aligned_free = give_back_aligned};
    raft_heap_set(&heap); /* what the default one gave out may be freed by this one */
    const struct guard_handler guard_handler = {.owner = node,
                                                .on_fatal = on_guard_fatal,
                                                .on_change = on_guard_change,
                                                .on_snapshot = on_snapshot,
                                                .on_retry = on_retry};
    const struct machine_handler machine_handler = {.owner = node,
                                                    .on_event = on_event,
                                                    .on_outcome = on_outcome,
                                                    .on_entry = on_entry,
                                                    .on_gap = node_gap_changed,
                                                    .on_manifest = on_manifest,
                                                    .digest_at = digest_at,
                                                    .on_fatal = on_machine_fatal};
    machine_init(&node->machine, &node->raft, node->options.chat, node->options.dir->cluster,
                 node->options.meta.index, &machine_handler);
    int rv = raft_uv_init(&node->io, node->options.loop, path, transport_raft(node->transport));
    if (rv != 0) raft_fatal(node, path, rv);
    raft_uv_set_tracer(&node->io, NULL); /* its own talks to standard error */
    raft_uv_set_auto_recovery(&node->io, false);
    raft_uv_set_connect_retry_delay(&node->io, CONNECT_RETRY_MS);
    raft_uv_set_disk_retry(&node->io, DISK_RETRY_MS);
    rv = raft_init(&node->raft, &node->io, &node->machine.fsm, node->id, node->self);
    if (rv != 0) raft_fatal(node, path, rv);
    raft_set_election_timeout(&node->raft, node->options.election_timeout_ms);
    raft_set_heartbeat_timeout(&node->raft, node->options.heartbeat_ms);
    raft_set_pre_vote(&node->raft, true);
    raft_set_snapshot_threshold(&node->raft, node->options.keep_log);
    raft_set_snapshot_trailing(&node->raft, node->options.keep_log);
    raft_set_install_snapshot_timeout(&node->raft, INSTALL_TIMEOUT_MS);
    raft_set_max_inflight_entries(&node->raft, INFLIGHT_ENTRIES);
    node->raft.tracer = NULL; /* it formats every message, even when nobody listens */
    guard_install(&node->guard, &node->raft, &guard_handler);
    raft_uv_set_tracer(&node->io, &node->guard.tracer);
    guard_durable(&node->guard, node->options.meta.number);
}

/* A log that is shorter than what it had acknowledged must not vote: that could lose what others
 * count on. The store remembers how far the log was (raft_durable). One that was let in later begins
 * with an empty log, once (node_members.c notes it); a founder's never is. */
static void check_log(struct node *node)
{
    char sentence[512];
    const struct data_dir *dir = node->options.dir;
    uint64_t last = raft_last_index(&node->raft), mark = node->options.meta.raft_durable;
    bool may_be_empty = dir->joined > 0 && !dir->has_begun;
    if (last == 0 && may_be_empty) {
        log_info("waiting for the first entries", "address=%s note=\"%s\"",
                 strchr(node->self, '=') + 1, "a member has let this node in and reaches it there");
    }
    if ((last > 0 || may_be_empty) && last >= mark) return;
    snprintf(sentence, sizeof sentence,
             "the raft log in %s/raft ends at entry %" PRIu64 " but had acknowledged %" PRIu64
             ": this node has forgotten its promises and must not vote. Bring the directory back "
             "from where it was",
             dir->path, last, mark);
    node_fatal_data(node, sentence);
}

/* What is missing below the log comes from other nodes, if there are any. */
static void check_history(struct node *node)
{
    char sentence[512];
    if (!node->machine.has_gap || node->raft.configuration.n > 1) return;
    snprintf(
        sentence, sizeof sentence,
        "the history in %s ends at event %" PRIu64 " but the raft log begins behind event %" PRIu64
        ", and no other node is there that has what is between: restore a backup into an empty "
        "directory (livetea restore), or go on with what is here (livetea recover)",
        node->options.dir->path, node->options.chat->number, node->machine.goal.number);
    node_fatal(node, 3, sentence);
}

/* raft calls a file that was cut a failure of the disk: whoever reads it all knows better. */
static void cannot_start(struct node *node, const char *path, int rv)
{
    struct scan_found found;
    struct errmsg errmsg;
    if (scan_raft_dir(&found, path, SCAN_ALL, &errmsg) == ERR_DATA)
        node_fatal_data(node, errmsg.text);
    raft_fatal(node, "raft cannot start", rv);
}

void node_raft_start(struct node *node, bool must_bootstrap)
{
    char path[512];
    struct errmsg errmsg;
    struct scan_found found;
    data_dir_path(node->options.dir, "raft", path, sizeof path);
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        errmsg_set(&errmsg, "cannot make %s: %s", path, strerror(errno));
        node_fatal(node, 1, errmsg.text);
    }
    /* One that is not there after a power loss would be a promise that is forgotten. */
    if (data_dir_sync(node->options.dir, &errmsg) != 0) node_fatal(node, 1, errmsg.text);
    int rv = must_bootstrap ? scan_forget_beginning(path, &errmsg) : scan_clear(path, &errmsg);
    if (rv == 0) rv = scan_raft_dir(&found, path, SCAN_START, &errmsg);
    if (rv == ERR_DATA) node_fatal_data(node, errmsg.text);
    if (rv != 0) node_fatal(node, 1, errmsg.text);
    node->phase = NODE_RUNNING;
    node->raft_is_open = true;
    open_raft(node, path);
    if (must_bootstrap) bootstrap(node);
    rv = raft_start(&node->raft);
    if (rv != 0) cannot_start(node, path, rv);
    check_log(node);
    check_history(node);
    node_sync_members(node, clock_ms());
    node_compare_peers(node);
    on_guard_change(node);
}

bool node_is_level(const struct node *node, raft_index slack)
{
    const struct guard *guard = &node->guard;
    if (!node->raft_is_open || guard_is_unfit(&node->guard) || node->leader == 0) return false;
    if (node->is_leading) return guard->picture.is_ready;
    return guard->leader_commit > 0 &&
           machine_decided(&node->machine) + slack >= guard->leader_commit;
}

/* ---- closing ---- */

static void on_raft_closed(struct raft *raft)
{
    const struct guard *guard = raft->data;
    struct node *node = guard->handler.owner;
    raft_uv_close(&node->io);
    machine_close(&node->machine);
    node->raft_is_open = false;
    node_close(node);
}

void node_raft_close(struct node *node)
{
    if (node->is_leading) stop_leading(node);
    raft_close(&node->raft, on_raft_closed);
}
