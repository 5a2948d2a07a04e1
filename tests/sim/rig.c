#include "rig.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"

static struct rig *current; /* the simulator's hook knows only the fixture */

static void quiet(struct raft_tracer *tracer, int type, const void *event)
{
    (void)tracer;
    (void)type;
    (void)event;
}

static int on_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    struct rig_node *node = fsm->data;
    *result = NULL;
    assert_int_equal(buf->len, 8);
    assert_true(node->values_count < RIG_VALUES);
    memcpy(&node->values[node->values_count++], buf->base, 8);
    return 0;
}

/* A manifest of ours says how many values there were. */
static int on_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *bufs_count)
{
    struct rig_node *node = fsm->data;
    if (!node->gives_manifests) return RAFT_BUSY;
    *bufs = raft_malloc(sizeof **bufs);
    *bufs_count = 1;
    (*bufs)[0].len = 8 + 8 * RIG_VALUES;
    (*bufs)[0].base = raft_malloc((*bufs)[0].len);
    memset((*bufs)[0].base, 0, (*bufs)[0].len);
    uint64_t count = node->values_count;
    memcpy((*bufs)[0].base, &count, 8);
    memcpy((char *)(*bufs)[0].base + 8, node->values, 8 * count);
    guard_manifest(&node->guard, count);
    return 0;
}

static int on_restore(struct raft_fsm *fsm, struct raft_buffer *buf)
{
    struct rig_node *node = fsm->data;
    uint64_t count;
    memcpy(&count, buf->base, 8);
    assert_true(count <= RIG_VALUES);
    memcpy(node->values, (const char *)buf->base + 8, 8 * count);
    node->values_count = count;
    node->restored++;
    raft_free(buf->base);
    return 0;
}

/* ---- the real machine ---- */

static void on_event(void *owner, const struct message_sent *event, struct shared *bytes)
{
    struct rig_node *node = owner;
    assert_int_equal(event->number, node->number + 1); /* each once, in order */
    assert_true(event->number < RIG_VALUES);
    node->history[event->number] = shared_ref(bytes);
    node->number = event->number;
    if (!node->rig->stores_late) guard_durable(&node->guard, node->number);
}

static void on_outcome(void *owner, const struct command_id *id, enum chat_outcome outcome,
                       const struct message_sent *event)
{
    (void)owner;
    (void)id;
    (void)event;
    assert_int_equal(outcome, CHAT_APPLIED);
}

static void on_entry(void *owner, uint64_t index)
{
    struct rig_node *node = owner;
    assert_true(index >= node->entry);
    node->entry = index;
}

static void on_gap(void *owner)
{
    struct rig_node *node = owner;
    guard_gap(&node->guard, node->machine.has_gap, node->machine.waiting_bytes);
}

static void on_manifest(void *owner, const struct manifest *manifest)
{
    struct rig_node *node = owner;
    guard_manifest(&node->guard, manifest->number);
}

static void on_machine_fatal(void *owner, int exit_code, const char *sentence)
{
    (void)owner;
    (void)exit_code;
    fprintf(stderr, "fatal: %s\n", sentence);
    _exit(RIG_FATAL);
}

/* The simulator's disk counts its entries from 1, also behind a snapshot that was installed, and cuts
 * beyond their end. Nobody reads that disk again here: so it keeps everything. */
static int cut_nothing(struct raft_io *io, raft_index index)
{
    (void)io;
    (void)index;
    return 0;
}

static void machine_of(struct rig_node *node)
{
    static const uint8_t cluster[16] = {1};
    const struct chat_limits limits = {.text_code_points_max = CHAT_TEXT_CODE_POINTS_MAX};
    chat_init(&node->chat, &limits);
    machine_init(&node->machine, NULL, &node->chat, cluster, 0,
                 &(struct machine_handler){.owner = node,
                                           .on_event = on_event,
                                           .on_outcome = on_outcome,
                                           .on_entry = on_entry,
                                           .on_gap = on_gap,
                                           .on_manifest = on_manifest,
                                           .on_fatal = on_machine_fatal});
}

static void free_machine(struct rig_node *node)
{
    machine_close(&node->machine);
    chat_close(&node->chat);
    for (uint64_t number = 1; number <= node->number; number++)
        shared_unref(node->history[number]);
}

void rig_feed(struct rig *rig, unsigned to, unsigned from, uint64_t most)
{
    struct rig_node *node = &rig->nodes[to];
    struct errmsg errmsg;
    for (; most > 0 && node->machine.has_gap && !node->machine.is_filled; most--) {
        uint64_t next = node->number + 1;
        if (next > rig->nodes[from].number) break;
        struct slice bytes = shared_slice(rig->nodes[from].history[next]);
        assert_int_equal(machine_backfill(&node->machine, bytes, &errmsg), 0);
    }
    machine_backfill_flush(&node->machine);
}

/* A batch of one message. */
static struct raft_buffer batch_of(const struct rig_node *node, uint64_t value)
{
    struct buf batch;
    struct send_message command = {.room = slice_of("tea"),
                                   .sender = slice_of("Maja"),
                                   .text = slice_of("hello"),
                                   .unseen_up_to = node->number,
                                   .at_ms = 1000 + (int64_t)value};
    memcpy(command.id.bytes, &value, sizeof value);
    buf_init(&batch, BATCH_BYTES_MAX);
    assert_true(batch_add(&batch, &command));
    batch_finish(&batch, 1);
    struct raft_buffer entry = {.base = raft_malloc(batch.len), .len = batch.len};
    memcpy(entry.base, batch.at, batch.len);
    buf_close(&batch);
    return entry;
}

static void on_fatal(void *owner, const char *what, int status)
{
    struct rig_node *node = owner;
    if (!node->rig->survives_fatal) {
        fprintf(stderr, "fatal: %s (%s)\n", what, raft_strerror(status));
        _exit(RIG_FATAL);
    }
    node->rig->fatals++;
}

struct raft *rig_raft(struct rig *rig, unsigned i)
{
    return raft_fixture_get(&rig->fixture, i);
}

static void check_match(struct rig *rig, unsigned leader, unsigned follower)
{
    struct raft *theirs = rig_raft(rig, leader), *ours = rig_raft(rig, follower);
    raft_index match;
    if (theirs->state != RAFT_LEADER || leader == follower) return;
    if (raft_match_index(theirs, ours->id, &match) != 0 || match == 0) return;
    raft_term there = guard_term_at(theirs, match), here = guard_term_at(ours, match);
    /* A leader that was deposed and does not know it may be wrong; nobody counts on it. */
    if (ours->current_term > theirs->current_term) return;
    if (there != 0 && here != 0) assert_int_equal(there, here);
    assert_true(match <= raft_last_index(ours));
}

static void on_step(struct raft_fixture *fixture, struct raft_fixture_event *event)
{
    struct rig *rig = current;
    (void)fixture;
    (void)event;
    for (unsigned i = 0; i < rig->count; i++) {
        if (rig->tells && rig->nodes[i].is_guarded && raft_fixture_alive(&rig->fixture, i)) {
            guard_tell_commit(&rig->nodes[i].guard);
        }
        for (unsigned k = 0; rig->checks_match && k < rig->count; k++)
            check_match(rig, i, k);
    }
}

void rig_init(struct rig *rig, const struct rig_options *options)
{
    struct raft_configuration configuration;
    current = rig;
    *rig = (struct rig){.count = options->count, .has_chats = options->has_chats};
    assert_int_equal(raft_fixture_initialize(&rig->fixture), 0);
    for (unsigned i = 0; i < rig->count; i++) {
        struct rig_node *node = &rig->nodes[i];
        node->rig = rig;
        node->fsm = (struct raft_fsm){
            .version = 2, .apply = on_apply, .snapshot = on_snapshot, .restore = on_restore};
        node->fsm.data = node;
        if (rig->has_chats) machine_of(node);
        struct raft_fsm *fsm = rig->has_chats ? &node->machine.fsm : &node->fsm;
        assert_int_equal(raft_fixture_grow(&rig->fixture, fsm), 0);
        struct raft *raft = rig_raft(rig, i);
        node->machine.raft = raft;
        if (rig->has_chats) raft->io->truncate = cut_nothing;
        raft->tracer->emit = quiet;
        raft_set_pre_vote(raft, true);
        raft_set_snapshot_threshold(raft, 1 << 30);
        if (options->is_unguarded) continue;
        node->is_guarded = true;
        guard_install(&node->guard, raft,
                      &(struct guard_handler){.owner = node, .on_fatal = on_fatal});
    }
    assert_int_equal(raft_fixture_configuration(&rig->fixture, rig->count, &configuration), 0);
    assert_int_equal(raft_fixture_bootstrap(&rig->fixture, &configuration), 0);
    raft_configuration_close(&configuration);
    raft_fixture_hook(&rig->fixture, on_step);
    if (!options->is_stopped) rig_start(rig);
}

void rig_start(struct rig *rig)
{
    assert_int_equal(raft_fixture_start(&rig->fixture), 0);
}

void rig_close(struct rig *rig)
{
    raft_fixture_close(&rig->fixture);
    for (unsigned i = 0; rig->has_chats && i < rig->count; i++)
        free_machine(&rig->nodes[i]);
}

static void on_proposed(struct raft_apply *apply, int status, void *result)
{
    (void)status;
    (void)result;
    mem_free(apply);
}

int rig_propose(struct rig *rig, unsigned i, uint64_t value)
{
    struct raft_buffer buf = {.len = 8};
    struct raft_apply *apply = mem_new(sizeof *apply);
    if (rig->has_chats) {
        buf = batch_of(&rig->nodes[i], value);
    } else {
        buf.base = raft_malloc(8);
        memcpy(buf.base, &value, 8);
    }
    int rv = raft_apply(rig_raft(rig, i), apply, &buf, 1, on_proposed);
    if (rv == 0) return 0;
    raft_free(buf.base);
    mem_free(apply);
    return rv;
}

void rig_run(struct rig *rig, unsigned msecs)
{
    raft_fixture_step_until_elapsed(&rig->fixture, msecs);
}

void rig_cut(struct rig *rig, unsigned i)
{
    for (unsigned k = 0; k < rig->count; k++) {
        if (k == i) continue;
        raft_fixture_saturate(&rig->fixture, i, k);
        raft_fixture_saturate(&rig->fixture, k, i);
    }
}

void rig_join(struct rig *rig, unsigned i)
{
    for (unsigned k = 0; k < rig->count; k++) {
        if (k == i) continue;
        raft_fixture_desaturate(&rig->fixture, i, k);
        raft_fixture_desaturate(&rig->fixture, k, i);
    }
}

void rig_check_agreement(struct rig *rig)
{
    for (unsigned i = 1; i < rig->count; i++) {
        const struct rig_node *a = &rig->nodes[0], *b = &rig->nodes[i];
        uint64_t both = a->number < b->number ? a->number : b->number;
        if (both > 0) {
            assert_true(
                slice_equal(shared_slice(a->history[both]), shared_slice(b->history[both])));
        }
        size_t shorter = a->values_count < b->values_count ? a->values_count : b->values_count;
        if (shorter > 0) assert_memory_equal(a->values, b->values, 8 * shorter);
    }
}

int rig_in_child(void (*run)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL); /* a sanitizer would make an exit of it */
        signal(SIGABRT, SIG_DFL);
        if (freopen("/dev/null", "w", stderr) == NULL) _exit(99);
        run();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}
