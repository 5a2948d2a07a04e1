/* The guard on raft's simulator: what the library does without it, and that it does not with it.
 * One file, though longer than 500 lines: the rows of guard.h's table are tried on one fixture. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "promise.h"
#include "rig.h"

static bool elect(struct rig *rig, unsigned i)
{
    raft_fixture_elect(&rig->fixture, i);
    return raft_fixture_leader_index(&rig->fixture) == i;
}

static void on_change_done(struct raft_change *change, int status)
{
    (void)change;
    (void)status;
}

/* ---- a membership change behind other entries ---- */

static struct raft_change change;

/* Node 2 misses some entries, a change among them, and gets them in one message. */
static void catch_up_over_a_change(struct rig *rig)
{
    assert_true(elect(rig, 0));
    assert_int_equal(rig_propose(rig, 0, 1), 0);
    rig_run(rig, 500);
    rig_cut(rig, 2);
    for (uint64_t value = 2; value < 5; value++)
        assert_int_equal(rig_propose(rig, 0, value), 0);
    assert_int_equal(raft_add(rig_raft(rig, 0), &change, 77, "77", on_change_done), 0);
    for (uint64_t value = 5; value < 8; value++)
        assert_int_equal(rig_propose(rig, 0, value), 0);
    rig_run(rig, 500);
    rig_join(rig, 2);
    rig_run(rig, 2000);
    assert_int_equal(rig->nodes[2].values_count, 7);
}

static void without_the_guard_a_change_is_booked_wrongly(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, &(struct rig_options){.count = 3, .is_unguarded = true});
    catch_up_over_a_change(&rig);
    assert_int_not_equal(rig_raft(&rig, 2)->configuration_uncommitted_index, 0);
    assert_int_equal(rig_raft(&rig, 2)->configuration_committed.n,
                     3); /* what a snapshot would say */
    rig_close(&rig);
}

static void a_message_is_cut_before_a_change(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, &(struct rig_options){.count = 3});
    catch_up_over_a_change(&rig);
    assert_true(rig.nodes[2].guard.trimmed > 0);
    assert_int_equal(rig_raft(&rig, 2)->configuration_uncommitted_index, 0);
    assert_int_equal(rig_raft(&rig, 2)->configuration_committed.n, 4);
    rig_check_agreement(&rig);
    rig_close(&rig);
}

/* ---- a snapshot that comes while one is being written ---- */

enum { SMALL = 4 };

/* Node 2 writes its own snapshot, very slowly, while the leader's log moves away from it. */
static void install_while_taking(struct rig *rig)
{
    for (unsigned i = 0; i < 3; i++) {
        rig->nodes[i].gives_manifests = true;
        rig->nodes[i].guard.durable = UINT64_MAX;
        raft_set_snapshot_threshold(rig_raft(rig, i), SMALL);
        raft_set_snapshot_trailing(rig_raft(rig, i), 1);
        raft_set_install_snapshot_timeout(rig_raft(rig, i), 1000);
    }
    elect(rig, 0);
    struct raft *follower = rig_raft(rig, 2);
    uint64_t value = 1;
    while (!follower->legacy.snapshot_taking) {
        rig_propose(rig, 0, value++);
        raft_index last = raft_last_index(rig_raft(rig, 0));
        for (int i = 0; i < 1000 && follower->last_stored < last; i++) {
            raft_fixture_step(&rig->fixture);
        }
        raft_fixture_set_disk_latency(&rig->fixture, 2, 8000);
        for (int i = 0; i < 1000 && follower->last_applied < last; i++) {
            raft_fixture_step(&rig->fixture);
        }
        rig_run(rig, 2 * RIG_HEARTBEAT_MS); /* it is begun at the event after */
        if (!follower->legacy.snapshot_taking) {
            raft_fixture_set_disk_latency(&rig->fixture, 2, 10);
        }
    }
    rig_cut(rig, 2);
    for (int i = 0; i < 3 * SMALL; i++) {
        rig_propose(rig, 0, value++);
        rig_run(rig, 300);
    }
    raft_fixture_set_disk_latency(&rig->fixture, 2, 10);
    rig_join(rig, 2);
    rig_run(rig, 20000);
}

/* A leader writes its own snapshot, very slowly, and is cut off with entries that nobody else has. */
static void a_log_is_not_cut_while_a_snapshot_is_written(void **state)
{
    (void)state;
    struct rig rig;
    uint64_t value = 1;
    rig_init(&rig, &(struct rig_options){.count = 3});
    struct raft *old = rig_raft(&rig, 2);
    rig.nodes[2].gives_manifests = true;
    rig.nodes[2].guard.durable = UINT64_MAX;
    raft_set_snapshot_threshold(old, SMALL);
    elect(&rig, 2);
    raft_fixture_set_disk_latency(&rig.fixture, 2, 20000);
    while (!rig.nodes[2].guard.is_putting) {
        rig_propose(&rig, 2, value++);
        rig_run(&rig, 100);
    }
    rig_cut(&rig, 2);
    rig_propose(&rig, 2, 1000);
    raft_index own = raft_last_index(old);
    raft_term term = guard_term_at(old, own);
    while (rig_raft(&rig, 0)->state != RAFT_LEADER && rig_raft(&rig, 1)->state != RAFT_LEADER)
        rig_run(&rig, 100);
    unsigned leader = rig_raft(&rig, 0)->state == RAFT_LEADER ? 0 : 1;
    for (int i = 0; i < 2 * SMALL; i++) {
        rig_propose(&rig, leader, value++);
        rig_run(&rig, 100);
    }
    rig_join(&rig, 2);
    uint64_t dropped = rig.nodes[2].guard.dropped;
    rig_run(&rig, 1000);
    assert_true(rig.nodes[2].guard.is_putting);
    assert_true(rig.nodes[2].guard.dropped > dropped);
    while (rig.nodes[2].guard.is_putting) {
        assert_int_equal(guard_term_at(old, own), term);
        raft_fixture_step(&rig.fixture);
    }
    raft_fixture_set_disk_latency(&rig.fixture, 2, 10);
    rig_run(&rig, 30000);
    assert_int_not_equal(guard_term_at(old, own), term);
    assert_int_equal(old->last_applied, rig_raft(&rig, leader)->last_applied);
    rig_check_agreement(&rig);
    rig_close(&rig);
}

static void install_without_guard(void)
{
    static struct rig rig;
    rig_init(&rig, &(struct rig_options){.count = 3, .is_unguarded = true});
    install_while_taking(&rig);
}

static void without_the_guard_a_snapshot_in_a_snapshot_crashes(void **state)
{
    (void)state;
    assert_int_equal(rig_in_child(install_without_guard), 1000 + SIGSEGV);
}

static void a_snapshot_that_comes_while_one_is_taken_is_dropped(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, &(struct rig_options){.count = 3});
    install_while_taking(&rig);
    assert_true(rig.nodes[2].guard.dropped > 0);
    assert_true(rig.nodes[2].restored > 0); /* a later one was let in */
    assert_int_equal(rig.nodes[2].values_count, rig.nodes[0].values_count);
    rig_check_agreement(&rig);
    rig_close(&rig);
}

/* ---- our own snapshot waits for the store ---- */

static void a_snapshot_is_held_until_the_store_is_durable(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, &(struct rig_options){.count = 3});
    rig.nodes[0].gives_manifests = true;
    raft_set_snapshot_threshold(rig_raft(&rig, 0), SMALL);
    assert_true(elect(&rig, 0));
    for (uint64_t value = 1; value <= 30; value++) {
        assert_int_equal(rig_propose(&rig, 0, value), 0);
        rig_run(&rig, 100);
    }
    struct guard *guard = &rig.nodes[0].guard;
    assert_non_null(guard->held);
    assert_int_equal(rig_raft(&rig, 0)->trail.snapshot.index, 0);
    assert_true(guard->manifest > 0 && guard->manifest < 30);
    assert_int_equal(rig.nodes[0].values_count, 30);

    guard_durable(guard, guard->manifest - 1);
    rig_run(&rig, 500);
    assert_int_equal(rig_raft(&rig, 0)->trail.snapshot.index, 0);
    guard_durable(guard, guard->manifest);
    rig_run(&rig, 500);
    assert_int_not_equal(rig_raft(&rig, 0)->trail.snapshot.index, 0);
    rig_close(&rig);
}

static void a_held_snapshot_goes_with_the_close(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, &(struct rig_options){.count = 1});
    rig.nodes[0].gives_manifests = true;
    raft_set_snapshot_threshold(rig_raft(&rig, 0), SMALL);
    rig_run(&rig, 300);
    for (uint64_t value = 1; value <= 10; value++) {
        assert_int_equal(rig_propose(&rig, 0, value), 0);
        rig_run(&rig, 100);
    }
    assert_non_null(rig.nodes[0].guard.held);
    rig_close(&rig); /* the address sanitizer looks for what is left */
    assert_null(rig.nodes[0].guard.held);
}

/* The disk is full for a while: each snapshot_put ends without space. */
static int (*put_below)(struct raft_io *, unsigned, struct raft_io_snapshot_put *,
                        const struct raft_snapshot *, raft_io_snapshot_put_cb);
static bool has_space;
static unsigned puts_tried;
static raft_io_snapshot_put_cb put_done;

static void tell_no_space(struct raft_io_snapshot_put *request, int status)
{
    put_done(request, has_space ? status : RAFT_NOSPACE);
}

static int put_without_space(struct raft_io *io, unsigned trailing,
                             struct raft_io_snapshot_put *request,
                             const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb done)
{
    puts_tried++;
    put_done = done;
    return put_below(io, trailing, request, snapshot, tell_no_space);
}

static void a_snapshot_that_finds_no_space_is_tried_again(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, &(struct rig_options){.count = 1});
    struct guard *guard = &rig.nodes[0].guard;
    put_below = guard->real.snapshot_put;
    guard->real.snapshot_put = put_without_space;
    has_space = false;
    puts_tried = 0;
    rig.nodes[0].gives_manifests = true;
    guard_durable(guard, UINT64_MAX);
    raft_set_snapshot_threshold(rig_raft(&rig, 0), SMALL);
    rig_run(&rig, 300);
    for (uint64_t value = 1; value <= 10; value++) {
        assert_int_equal(rig_propose(&rig, 0, value), 0);
        rig_run(&rig, 100);
    }
    assert_true(puts_tried > 1);
    assert_int_equal(guard->snapshots, 0);
    assert_int_equal(rig_raft(&rig, 0)->trail.snapshot.index, 0);
    assert_int_equal(rig.nodes[0].values_count, 10); /* nothing else is held up */
    has_space = true;
    rig_run(&rig, 500);
    assert_true(guard->snapshots > 0);
    assert_int_not_equal(rig_raft(&rig, 0)->trail.snapshot.index, 0);
    rig_close(&rig);
}

/* ---- a gap ---- */

static void on_transfer_done(struct raft_transfer *transfer)
{
    (void)transfer;
}

static void a_node_with_a_gap_is_not_made_leader(void **state)
{
    (void)state;
    struct rig rig;
    static struct raft_transfer transfer;
    rig_init(&rig, &(struct rig_options){.count = 3});
    assert_true(elect(&rig, 0));
    guard_gap(&rig.nodes[1].guard, true, 0);
    assert_int_equal(
        raft_transfer(rig_raft(&rig, 0), &transfer, rig_raft(&rig, 1)->id, on_transfer_done), 0);
    rig_run(&rig, 3 * RIG_ELECTION_MS);
    assert_int_equal(rig_raft(&rig, 0)->state, RAFT_LEADER);
    assert_int_equal(rig.nodes[1].guard.dropped, 1);
    rig_close(&rig);
}

static void a_node_without_a_gap_is_elected_before_one_with(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, &(struct rig_options){.count = 3});
    assert_true(elect(&rig, 0));
    rig_run(&rig, 500);
    guard_gap(&rig.nodes[1].guard, true, 0);
    raft_fixture_kill(&rig.fixture, 0);
    rig_run(&rig, 4 * RIG_ELECTION_MS);
    assert_int_equal(rig_raft(&rig, 2)->state, RAFT_LEADER);
    assert_int_not_equal(rig_raft(&rig, 1)->state, RAFT_LEADER);
    assert_true(guard_ready(&rig.nodes[2].guard));
    rig_close(&rig);
}

static bool somebody_leads(struct raft_fixture *fixture, void *owner)
{
    struct rig *rig = owner;
    (void)fixture;
    return rig_raft(rig, 1)->state == RAFT_LEADER || rig_raft(rig, 2)->state == RAFT_LEADER;
}

static void when_all_have_gaps_one_leads_after_five_timeouts_and_is_not_ready(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, &(struct rig_options){.count = 3});
    assert_true(elect(&rig, 0));
    rig_run(&rig, 500);
    guard_gap(&rig.nodes[1].guard, true, 0);
    guard_gap(&rig.nodes[2].guard, true, 0);
    raft_time since = raft_fixture_time(&rig.fixture);
    raft_fixture_kill(&rig.fixture, 0);
    assert_true(raft_fixture_step_until(&rig.fixture, somebody_leads, &rig, 20 * RIG_ELECTION_MS));
    assert_true(raft_fixture_time(&rig.fixture) - since >= 5 * RIG_ELECTION_MS - RIG_HEARTBEAT_MS);
    rig_run(&rig, RIG_ELECTION_MS);
    unsigned leader = rig_raft(&rig, 1)->state == RAFT_LEADER ? 1 : 2;
    assert_false(guard_ready(&rig.nodes[leader].guard));
    guard_gap(&rig.nodes[leader].guard, false, 0);
    assert_true(guard_ready(&rig.nodes[leader].guard));
    rig_close(&rig);
}

/* For longer than it would take it to stand for election: node 2 follows on, and acknowledges nothing that it
 * does not have. */
static void follow_and_take_nothing(struct rig *rig)
{
    struct raft *leader = rig_raft(rig, 0), *follower = rig_raft(rig, 2);
    raft_index before = raft_last_index(follower), match;
    raft_id id;
    const char *address;
    uint64_t dropped = rig->nodes[2].guard.dropped;
    rig_cut(
        rig,
        2); /* so that the leader has lost sight of it, and sends what it lacks with each tick */
    for (uint64_t value = 1; value <= 3; value++)
        assert_int_equal(rig_propose(rig, 0, value), 0);
    rig_run(rig, RIG_ELECTION_MS / 2);
    rig_join(rig, 2);
    for (uint64_t value = 4; value <= 5; value++) {
        assert_int_equal(rig_propose(rig, 0, value), 0);
        for (int ms = 0; ms < 2 * RIG_ELECTION_MS; ms += 50) {
            rig_run(rig, 50);
            assert_int_equal(follower->state, RAFT_FOLLOWER);
            assert_int_equal(raft_match_index(leader, follower->id, &match), 0);
            assert_true(match <= before);
        }
    }
    raft_leader(follower, &id, &address);
    assert_int_equal(id, leader->id);
    assert_int_equal(leader->state, RAFT_LEADER);
    assert_int_equal(raft_last_index(follower), before);
    assert_true(follower->commit_index <= before);
    assert_true(rig->nodes[2].guard.dropped > dropped);
    assert_int_equal(rig->nodes[1].values_count, 5);
}

static void a_node_with_a_full_gap_takes_no_entries(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, &(struct rig_options){.count = 3});
    assert_true(elect(&rig, 0));
    rig_run(&rig, 500);
    guard_gap(&rig.nodes[2].guard, true, (size_t)GAP_BYTES_MAX + 1);
    follow_and_take_nothing(&rig);

    guard_gap(&rig.nodes[2].guard, false, 0);
    rig_run(&rig, 2000);
    assert_int_equal(rig.nodes[2].values_count, 5);
    rig_close(&rig);
}

static void a_node_whose_store_lags_takes_no_entries(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, &(struct rig_options){.count = 3});
    assert_true(elect(&rig, 0));
    rig_run(&rig, 500);
    guard_lag(&rig.nodes[2].guard, (size_t)STORE_LAG_BYTES_MAX + 1);
    follow_and_take_nothing(&rig);

    guard_lag(&rig.nodes[2].guard, STORE_LAG_BYTES_MAX);
    rig_run(&rig, 2000);
    assert_int_equal(rig.nodes[2].values_count, 5);
    rig_close(&rig);
}

static void a_node_whose_disk_is_full_takes_no_entries_and_does_not_lead(void **state)
{
    (void)state;
    struct rig rig;
    static struct raft_transfer transfer;
    rig_init(&rig, &(struct rig_options){.count = 3});
    assert_true(elect(&rig, 0));
    rig_run(&rig, 500);
    guard_disk_full(&rig.nodes[2].guard, true);
    follow_and_take_nothing(&rig);

    guard_disk_full(&rig.nodes[2].guard, false);
    rig_run(&rig, 2000);
    assert_int_equal(rig.nodes[2].values_count, 5);
    guard_disk_full(&rig.nodes[2].guard, true);
    assert_int_equal(
        raft_transfer(rig_raft(&rig, 0), &transfer, rig_raft(&rig, 2)->id, on_transfer_done), 0);
    rig_run(&rig, 3 * RIG_ELECTION_MS);
    assert_int_equal(rig_raft(&rig, 0)->state, RAFT_LEADER);

    assert_true(guard_ready(&rig.nodes[0].guard));
    guard_disk_full(&rig.nodes[0].guard, true);
    assert_false(guard_ready(&rig.nodes[0].guard));
    rig_close(&rig);
}

/* ---- failures end the process ---- */

static void fail_on(unsigned node, int delay)
{
    static struct rig rig;
    rig_init(&rig, &(struct rig_options){.count = 3});
    elect(&rig, 0);
    rig_run(&rig, 500);
    raft_fixture_io_fault(&rig.fixture, node, delay, 50); /* messages fail too, that is no matter */
    for (uint64_t value = 1; value <= 10; value++) {
        rig_propose(&rig, 0, value);
        rig_run(&rig, 200);
    }
}

static void fail_leader(void)
{
    fail_on(0, 3);
}

static void fail_follower(void)
{
    fail_on(1, 3);
}

static void a_failed_write_ends_the_process(void **state)
{
    (void)state;
    assert_int_equal(rig_in_child(fail_leader), RIG_FATAL);
    assert_int_equal(rig_in_child(fail_follower), RIG_FATAL);
}

/* Each thing that raft has its disk do, by a disk that fails: at once, or when it is done. */
static bool fails_late;
static struct raft_io_snapshot_put *put_asked;

static int fail_append(struct raft_io *io, struct raft_io_append *request,
                       const struct raft_entry entries[], unsigned n, raft_io_append_cb done)
{
    (void)io;
    (void)entries;
    (void)n;
    if (!fails_late) return RAFT_IOERR;
    done(request, RAFT_IOERR);
    return 0;
}

static int fail_index(struct raft_io *io, raft_index index)
{
    (void)io;
    (void)index;
    return RAFT_IOERR;
}

static int fail_snapshot(struct raft_io *io, unsigned trailing,
                         struct raft_io_snapshot_put *request, const struct raft_snapshot *snapshot,
                         raft_io_snapshot_put_cb done)
{
    (void)io;
    (void)trailing;
    (void)snapshot;
    request->cb = done; /* called later */
    put_asked = request;
    return 0;
}

static void on_nothing_appended(struct raft_io_append *request, int status)
{
    (void)request;
    assert_int_equal(status, RAFT_IOERR);
}

static void on_nothing_put(struct raft_io_snapshot_put *request, int status)
{
    (void)request;
    assert_int_equal(status, RAFT_IOERR);
}

static void whatever_the_disk_fails_at_ends_the_process(void **state)
{
    (void)state;
    struct rig rig;
    struct raft_io_append append;
    struct raft_io_snapshot_put put;
    struct raft_snapshot snapshot = {.index = 1};
    rig_init(&rig, &(struct rig_options){.count = 1});
    rig.survives_fatal = true;
    struct raft_io *io = rig_raft(&rig, 0)->io, *real = &rig.nodes[0].guard.real, kept = *real;
    real->append = fail_append;
    real->truncate = real->set_term = real->set_vote = fail_index;
    real->snapshot_put = fail_snapshot;
    for (unsigned late = 0; late < 2; late++) {
        fails_late = late == 1;
        io->append(io, &append, NULL, 0, on_nothing_appended);
        assert_int_equal(rig.fatals, late + 1);
    }
    io->truncate(io, 1);
    assert_int_equal(rig.fatals, 3);
    io->set_term(io, 7);
    assert_int_equal(rig.fatals, 4);
    io->set_vote(io, 1);
    assert_int_equal(rig.fatals, 5);
    io->snapshot_put(io, 0, &put, &snapshot, on_nothing_put);
    put_asked->cb(put_asked, RAFT_IOERR);
    assert_int_equal(rig.fatals, 6);
    *real = kept;
    rig_close(&rig);
}

static void trace(struct rig *rig, const char *message)
{
    struct raft_tracer *tracer = &rig->nodes[0].guard.tracer;
    struct raft_tracer_info event = {.version = 1, .diagnostic = {.message = message}};
    tracer->emit(tracer, RAFT_TRACER_DIAGNOSTIC, &event);
}

static void the_trace_of_a_failed_write_ends_the_process(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, &(struct rig_options){.count = 1});
    rig.survives_fatal = true;
    trace(&rig, "enqueue 1 entries");
    trace(&rig, "retry creating segment open-3");
    trace(&rig, "retry snapshot write");
    for (unsigned i = 0; i < 2; i++) {
        trace(&rig, "set truncate work");
        trace(&rig, "uv truncate work cb");
        trace(&rig, "uv truncate work cb ok");
        trace(&rig, "uv truncate after work cb status:0");
        trace(&rig, "clear truncate work");
    }
    assert_int_equal(rig.fatals, 0);
    trace(&rig, "retry failed write (write failed: -5)");
    trace(&rig, "unlink segment 0001: no");
    trace(&rig, "sync data directory: no");
    trace(&rig, "truncate segment open-1: no"); /* when it is closed */
    assert_int_equal(rig.fatals, 4);
    trace(&rig, "set truncate work");
    trace(&rig, "uv truncate work cb");
    assert_int_equal(rig.fatals, 4);
    trace(&rig, "clear truncate work");
    assert_int_equal(rig.fatals, 5);
    rig_close(&rig);
}

/* The library swallows errors of its own: then what is committed is not applied, and the node looks alive. */
static void a_node_that_stands_still_ends_itself(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, &(struct rig_options){.count = 3});
    rig.survives_fatal = true;
    assert_true(elect(&rig, 0));
    assert_int_equal(rig_propose(&rig, 0, 1), 0);
    rig_run(&rig, 12000); /* nothing to apply is no matter */
    assert_int_equal(rig.fatals, 0);
    rig_cut(&rig, 2);
    rig_raft(&rig, 2)->commit_index++;
    rig_run(&rig, 9000);
    assert_int_equal(rig.fatals, 0);
    rig_run(&rig, 2000);
    assert_true(rig.fatals > 0);
    rig_close(&rig);
}

/* What the network calls: the guard's own function, seen on its way down. */
static raft_io_recv_cb network_calls;
static int (*start_below)(struct raft_io *, unsigned, raft_io_tick_cb, raft_io_recv_cb);

static int note_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick,
                      raft_io_recv_cb recv)
{
    network_calls = recv;
    return start_below(io, msecs, tick, recv);
}

static void contradict_a_committed_entry(void)
{
    static struct rig rig;
    rig_init(&rig, &(struct rig_options){.count = 3, .is_stopped = true});
    start_below = rig.nodes[1].guard.real.start;
    rig.nodes[1].guard.real.start = note_start;
    rig_start(&rig);
    elect(&rig, 0);
    rig_propose(&rig, 0, 1);
    rig_run(&rig, 1000);
    struct raft *raft = rig_raft(&rig, 1);
    raft_term term = raft->current_term + 1;
    struct raft_message message = {.type = RAFT_APPEND_ENTRIES,
                                   .server_id = rig_raft(&rig, 2)->id,
                                   .server_address = "2",
                                   .append_entries = {.term = term,
                                                      .prev_log_index = raft->commit_index,
                                                      .prev_log_term = term}};
    network_calls(raft->io, &message);
}

static void a_leader_that_contradicts_a_committed_entry_ends_the_process(void **state)
{
    (void)state;
    assert_int_equal(rig_in_child(contradict_a_committed_entry), RIG_FATAL);
}

/* ---- an answer that cannot be sent ---- */

/* Counts how often one block is freed, and frees it once. */
static struct raft_heap counting;
static void (*free_below)(void *data, void *at);
static void *watched;
static unsigned watched_frees;

static void count_free(void *data, void *at)
{
    if (at != NULL && at == watched && ++watched_frees > 1) return;
    free_below(data, at);
}

/* Entries that node 1 has already come again, and its answer fails at once. Returns how often they
 * were freed. */
static unsigned answer_into_the_void(bool is_unguarded)
{
    struct rig rig;
    rig_init(&rig,
             &(struct rig_options){.count = 3, .is_stopped = true, .is_unguarded = is_unguarded});
    struct raft *raft = rig_raft(&rig, 1);
    struct raft_io *below = is_unguarded ? raft->io : &rig.nodes[1].guard.real;
    start_below = below->start;
    below->start = note_start;
    rig_start(&rig);
    elect(&rig, 0);
    rig_propose(&rig, 0, 1);
    rig_run(&rig, 1000);
    raft_index last = raft_last_index(raft);
    struct raft_entry *entry = raft_malloc(sizeof *entry);
    *entry = (struct raft_entry){.term = raft->current_term, .type = RAFT_COMMAND};
    entry->batch = raft_calloc(1, 8);
    entry->buf = (struct raft_buffer){.base = entry->batch, .len = 8};
    struct raft_message message = {
        .type = RAFT_APPEND_ENTRIES,
        .server_id = rig_raft(&rig, 0)->id,
        .server_address = "1",
        .append_entries = {.term = raft->current_term,
                           .prev_log_index = last - 1,
                           .prev_log_term = guard_term_at(raft, last - 1),
                           .leader_commit = last,
                           .entries = entry,
                           .n_entries = 1}};
    counting = *raft_heap_get();
    free_below = counting.free;
    counting.free = count_free;
    watched = entry->batch;
    watched_frees = 0;
    raft_heap_set(&counting);
    raft_fixture_io_fault(&rig.fixture, 1, 0, 1);
    network_calls(raft->io, &message);
    raft_heap_set_default();
    rig_run(&rig, 1000);
    rig_close(&rig);
    return watched_frees;
}

static void an_answer_that_cannot_be_sent_is_a_lost_message(void **state)
{
    (void)state;
    assert_int_equal(answer_into_the_void(true), 2);
    assert_int_equal(answer_into_the_void(false), 1);
}

/* ---- a snapshot that is sent with the term of another ---- */

static raft_term sent_term;

static int note_snapshot(struct raft_io *io, struct raft_io_send *request,
                         const struct raft_message *message, raft_io_send_cb done)
{
    (void)io;
    sent_term = message->install_snapshot.last_term;
    done(request, 0);
    return 0;
}

static unsigned snapshots_done;

static void on_snapshot_sent(struct raft_io_send *request, int status)
{
    (void)request;
    (void)status;
    snapshots_done++;
}

static void send_snapshot(struct rig *rig, raft_index index)
{
    struct raft *raft = rig_raft(rig, 0);
    struct raft_io_send request;
    struct raft_message message = {.type = RAFT_INSTALL_SNAPSHOT,
                                   .server_id = 3,
                                   .server_address = "3",
                                   .install_snapshot = {.term = raft->current_term,
                                                        .last_index = index,
                                                        .last_term = raft->current_term - 1}};
    assert_int_equal(raft->io->send(raft->io, &request, &message, on_snapshot_sent), 0);
}

/* The library reads the latest snapshot from the disk, and tells its index with the term of the one that
 * was the latest when it began. */
static void a_snapshot_goes_with_its_own_term(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, &(struct rig_options){.count = 3});
    assert_true(elect(&rig, 0));
    assert_int_equal(rig_propose(&rig, 0, 1), 0);
    rig_run(&rig, 500);
    rig.nodes[0].guard.real.send = note_snapshot;
    snapshots_done = 0;
    sent_term = 0;
    send_snapshot(&rig, raft_last_index(rig_raft(&rig, 0)));
    assert_int_equal(sent_term, rig_raft(&rig, 0)->current_term);
    sent_term = 0;
    send_snapshot(&rig, raft_last_index(rig_raft(&rig, 0)) + 10); /* of which nothing is known */
    assert_int_equal(sent_term, 0);
    assert_int_equal(snapshots_done, 2);
    rig_close(&rig);
}

/* ---- a snapshot that is read for a follower, and cannot be, or must not be sent ---- */

static int fail_to_read(struct raft_io *io, struct raft_io_snapshot_get *request,
                        raft_io_snapshot_get_cb done)
{
    (void)io;
    done(request, NULL, RAFT_IOERR);
    return 0;
}

static raft_index read_index;

static void on_read(struct raft_io_snapshot_get *request, struct raft_snapshot *snapshot,
                    int status)
{
    struct raft_io *io = request->data;
    struct raft_io_send sending;
    struct raft_message message = {.type = RAFT_INSTALL_SNAPSHOT, .server_id = 3};
    assert_int_equal(status, 0);
    read_index = snapshot->index;
    /* What the library does: it sends, frees what was sent, and asks for no more. */
    message.install_snapshot.last_index = snapshot->index;
    message.server_address = "3";
    assert_int_equal(io->send(io, &sending, &message, on_snapshot_sent), 0);
    raft_configuration_close(&snapshot->configuration);
    raft_free(snapshot->bufs[0].base);
    raft_free(snapshot->bufs);
    raft_free(snapshot);
}

static void read_what_cannot_be_read(struct rig *rig, bool is_closing)
{
    struct raft *raft = rig_raft(rig, 0);
    struct raft_io_snapshot_get request = {.data = raft->io};
    rig->nodes[0].guard.real.snapshot_get = fail_to_read;
    rig->nodes[0].guard.real.send = note_snapshot;
    rig->survives_fatal = true;
    raft->legacy.closing = is_closing;
    snapshots_done = 0;
    sent_term = 1;
    read_index = 0;
    assert_int_equal(raft->io->snapshot_get(raft->io, &request, on_read), 0);
    raft->legacy.closing = false;
    assert_int_equal(read_index, UINT64_MAX);
    assert_int_equal(snapshots_done, 1);
    assert_int_equal(sent_term, 1); /* as it was: it went nowhere */
}

static void a_snapshot_that_cannot_be_read_ends_the_process(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, &(struct rig_options){.count = 3});
    assert_true(elect(&rig, 0));
    read_what_cannot_be_read(&rig, true);
    assert_int_equal(rig.fatals, 0);
    read_what_cannot_be_read(&rig, false);
    assert_int_equal(rig.fatals, 1);
    rig_close(&rig);
}

/* raft_uv ends with an assertion when it is asked to send while it closes; a snapshot may have been read
 * by then. */
static void a_node_that_closes_sends_nothing(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, &(struct rig_options){.count = 3});
    assert_true(elect(&rig, 0));
    struct raft *raft = rig_raft(&rig, 0);
    rig.nodes[0].guard.real.send = note_snapshot;
    snapshots_done = 0;
    sent_term = 0;
    raft->legacy.closing = true;
    send_snapshot(&rig, raft_last_index(raft));
    raft->legacy.closing = false;
    assert_int_equal(sent_term, 0);
    assert_int_equal(snapshots_done, 1);
    rig_close(&rig);
}

/* ---- a message that begins below the log ---- */

/* The leader's entries 1 .. last, as one that heard no answer sends them again. */
static void send_from_the_first(struct rig *rig, unsigned to, raft_index last)
{
    const struct raft *leader = rig_raft(rig, 0);
    struct raft *raft = rig_raft(rig, to);
    struct raft_entry *entries = raft_calloc(last, sizeof *entries);
    char *batch = raft_calloc(last, 8);
    for (raft_index i = 0; i < last; i++) {
        char *value = batch + 8 * i;
        if (i + 1 == last) *value = (char)last;
        entries[i] = (struct raft_entry){.term = guard_term_at(leader, i + 1),
                                         .type = RAFT_COMMAND,
                                         .buf = {.base = value, .len = 8},
                                         .batch = batch};
    }
    struct raft_message message = {.type = RAFT_APPEND_ENTRIES,
                                   .server_id = leader->id,
                                   .server_address = "1",
                                   .append_entries = {.term = leader->current_term,
                                                      .leader_commit = leader->commit_index,
                                                      .entries = entries,
                                                      .n_entries = (unsigned)last}};
    network_calls(raft->io, &message);
}

/* Node 2 has a snapshot, and its log begins behind entry 1; the leader has one entry more. */
static raft_index cut_the_log_of_a_follower(struct rig *rig, bool is_unguarded)
{
    rig_init(rig,
             &(struct rig_options){.count = 3, .is_stopped = true, .is_unguarded = is_unguarded});
    struct raft *raft = rig_raft(rig, 2);
    struct raft_io *below = is_unguarded ? raft->io : &rig->nodes[2].guard.real;
    start_below = below->start;
    below->start = note_start;
    rig->nodes[2].gives_manifests = true;
    rig->nodes[2].guard.durable = UINT64_MAX;
    raft_set_snapshot_threshold(raft, SMALL);
    raft_set_snapshot_trailing(raft, 1);
    rig_start(rig);
    assert_true(elect(rig, 0));
    for (uint64_t value = 1; value <= 10; value++) {
        assert_int_equal(rig_propose(rig, 0, value), 0);
        rig_run(rig, 300);
    }
    assert_true(raft->trail.offset > 2);
    rig_cut(rig, 2);
    raft_index last = raft_last_index(raft) + 1;
    assert_int_equal(rig_propose(rig, 0, last), 0);
    assert_int_equal(raft_last_index(rig_raft(rig, 0)), last);
    return last;
}

static void send_from_the_first_without_guard(void)
{
    static struct rig rig;
    send_from_the_first(&rig, 2, cut_the_log_of_a_follower(&rig, true));
}

static void without_the_guard_a_message_from_below_the_log_crashes(void **state)
{
    (void)state;
    assert_int_equal(rig_in_child(send_from_the_first_without_guard), 1000 + SIGSEGV);
}

static void of_a_message_from_below_the_log_the_rest_is_taken(void **state)
{
    (void)state;
    struct rig rig;
    raft_index last = cut_the_log_of_a_follower(&rig, false);
    struct raft *raft = rig_raft(&rig, 2);

    /* Nothing new in it: that is an answer too. */
    unsigned answers = raft_fixture_n_send(&rig.fixture, 2, RAFT_APPEND_ENTRIES_RESULT);
    send_from_the_first(&rig, 2, 2);
    rig_run(&rig, 50);
    assert_int_equal(rig.nodes[2].guard.trimmed, 1);
    assert_int_equal(raft_last_index(raft), last - 1);
    assert_true(raft_fixture_n_send(&rig.fixture, 2, RAFT_APPEND_ENTRIES_RESULT) > answers);

    send_from_the_first(&rig, 2, last);
    assert_int_equal(rig.nodes[2].guard.trimmed, 2);
    assert_int_equal(raft_last_index(raft), last);
    rig_join(&rig, 2);
    rig_run(&rig, 2000);
    assert_int_equal(rig.nodes[2].values_count, 11);
    rig_check_agreement(&rig);
    rig_close(&rig);
}

static void what_an_earlier_term_sent_late_is_not_answered(void **state)
{
    (void)state;
    struct rig rig;
    raft_index last = cut_the_log_of_a_follower(&rig, false);
    struct raft *raft = rig_raft(&rig, 2);
    struct guard *guard = &rig.nodes[2].guard;
    unsigned answers = raft_fixture_n_send(&rig.fixture, 2, RAFT_APPEND_ENTRIES_RESULT);
    struct raft_message message = {.type = RAFT_INSTALL_SNAPSHOT,
                                   .server_id = rig_raft(&rig, 0)->id,
                                   .server_address = "1",
                                   .install_snapshot = {.term = raft->current_term - 1,
                                                        .last_index = last,
                                                        .last_term = 1,
                                                        .data = {.len = 8}}};
    message.install_snapshot.data.base = raft_malloc(8);
    raft_configuration_init(&message.install_snapshot.conf);
    network_calls(raft->io, &message);
    assert_int_equal(guard->dropped, 1);
    message.type = RAFT_APPEND_ENTRIES;
    message.append_entries = (struct raft_append_entries){.term = raft->current_term - 1};
    network_calls(raft->io, &message);
    assert_int_equal(guard->dropped, 2);
    rig_run(&rig, 50);
    assert_int_equal(raft_fixture_n_send(&rig.fixture, 2, RAFT_APPEND_ENTRIES_RESULT), answers);
    rig_close(&rig);
}

/* ---- a new leader ---- */

static void a_new_leader_is_ready_when_the_old_terms_are_applied(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, &(struct rig_options){.count = 3});
    assert_true(elect(&rig, 0));
    assert_true(guard_ready(&rig.nodes[0].guard));
    rig_run(&rig, 500);
    /* Both followers store entries, but the leader goes before it can tell that they are committed. */
    raft_fixture_saturate(&rig.fixture, 1, 0);
    raft_fixture_saturate(&rig.fixture, 2, 0);
    for (uint64_t value = 1; value <= 3; value++)
        assert_int_equal(rig_propose(&rig, 0, value), 0);
    rig_run(&rig, 100);
    raft_fixture_kill(&rig.fixture, 0);
    assert_int_equal(rig.nodes[1].values_count, 0);
    while (rig_raft(&rig, 1)->state != RAFT_LEADER && rig_raft(&rig, 2)->state != RAFT_LEADER) {
        raft_fixture_step(&rig.fixture);
    }
    unsigned leader = rig_raft(&rig, 1)->state == RAFT_LEADER ? 1 : 2;
    assert_false(guard_ready(&rig.nodes[leader].guard));
    while (!guard_ready(&rig.nodes[leader].guard)) {
        assert_true(rig.nodes[leader].values_count < 3);
        raft_fixture_step(&rig.fixture);
    }
    assert_int_equal(rig.nodes[leader].values_count, 3);
    rig_close(&rig);
}

static void a_new_leader_begins_its_term_with_an_entry(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, &(struct rig_options){.count = 3});
    assert_true(elect(&rig, 0));
    rig_run(&rig, 100);
    struct raft *raft = rig_raft(&rig, 0);
    assert_int_equal(guard_term_at(raft, raft_last_index(raft)), raft->current_term);
    assert_int_equal(raft->commit_index, raft_last_index(raft));
    rig_close(&rig);
}

/* ---- a leader that nobody elects ---- */

static raft_term term_set;
static raft_id vote_set;
static int (*set_term_below)(struct raft_io *, raft_term);
static int (*set_vote_below)(struct raft_io *, raft_id);

static int note_term(struct raft_io *io, raft_term term)
{
    term_set = term;
    vote_set = 0;
    return set_term_below(io, term);
}

static int note_vote(struct raft_io *io, raft_id id)
{
    vote_set = id;
    return set_vote_below(io, id);
}

static void note_terms(struct raft_io *io)
{
    set_term_below = io->set_term;
    set_vote_below = io->set_vote;
    io->set_term = note_term;
    io->set_vote = note_vote;
    term_set = 0;
    vote_set = 0;
}

/* It may have ended before its disk had what it had sent. */
static void an_only_voter_starts_with_a_term_of_its_own(void **state)
{
    (void)state;
    for (unsigned guarded = 0; guarded < 2; guarded++) {
        struct rig rig;
        rig_init(&rig, &(struct rig_options){
                           .count = 1, .is_stopped = true, .is_unguarded = guarded == 0});
        struct raft *raft = rig_raft(&rig, 0);
        note_terms(guarded == 0 ? raft->io : &rig.nodes[0].guard.real);
        rig_start(&rig);
        assert_int_equal(raft->state, RAFT_LEADER);
        assert_int_equal(raft->current_term, 1 + guarded); /* 1 is what the disk has */
        assert_int_equal(term_set, 2 * guarded);
        assert_int_equal(vote_set, guarded == 0 ? 0 : raft->id);
        assert_int_equal(rig_propose(&rig, 0, 1), 0);
        assert_int_equal(guard_term_at(raft, raft_last_index(raft)), 1 + guarded);
        rig_run(&rig, 500);
        assert_int_equal(rig.nodes[0].values_count, 1);
        rig_close(&rig);
    }
}

/* Of two voters the leader takes itself out, and nothing comes from it any more: the other one is the only voter
 * now, and may lack what the leader had sent to others in its term. */
static void who_becomes_the_only_voter_leads_in_a_term_of_its_own(void **state)
{
    (void)state;
    for (unsigned guarded = 0; guarded < 2; guarded++) {
        struct rig rig;
        rig_init(&rig, &(struct rig_options){.count = 2, .is_unguarded = guarded == 0});
        assert_true(elect(&rig, 0));
        rig_run(&rig, 500);
        struct raft *first = rig_raft(&rig, 0), *second = rig_raft(&rig, 1);
        note_terms(guarded == 0 ? second->io : &rig.nodes[1].guard.real);
        assert_int_equal(raft_remove(first, &change, first->id, on_change_done), 0);
        while (second->last_stored < raft_last_index(first))
            raft_fixture_step(&rig.fixture);
        rig_cut(&rig, 0);
        while (second->state != RAFT_LEADER)
            raft_fixture_step(&rig.fixture);
        assert_int_equal(second->current_term, first->current_term + guarded);
        assert_int_equal(term_set, guarded == 0 ? 0 : second->current_term);
        assert_int_equal(vote_set, guarded == 0 ? 0 : second->id);
        rig_run(&rig, 500);
        assert_int_equal(second->state, RAFT_LEADER);
        assert_int_equal(second->last_applied, raft_last_index(second));
        rig_close(&rig);
    }
}

/* ---- nobody waits for a heartbeat ---- */

static bool all_applied(struct raft_fixture *fixture, void *owner)
{
    struct rig *rig = owner;
    (void)fixture;
    return rig->nodes[1].values_count == rig->nodes[0].values_count &&
           rig->nodes[2].values_count == rig->nodes[0].values_count;
}

/* How long it takes until all have applied it, when the one before was `pause_ms` ago. */
static raft_time time_of_a_lone_value(struct rig *rig, unsigned pause_ms)
{
    assert_int_equal(rig_propose(rig, 0, 1), 0);
    rig_run(rig, pause_ms);
    size_t before = rig->nodes[2].values_count;
    raft_time since = raft_fixture_time(&rig->fixture);
    assert_int_equal(rig_propose(rig, 0, 2), 0);
    while (rig->nodes[2].values_count == before)
        raft_fixture_step(&rig->fixture);
    assert_true(raft_fixture_step_until(&rig->fixture, all_applied, rig, 1000));
    return raft_fixture_time(&rig->fixture) - since;
}

static void a_lone_value_waits_for_no_heartbeat(void **state)
{
    (void)state;
    /* network 15 ms each way and disk 10 ms: there, stored, back, told */
    enum { ROUND_MS = 15 + 10 + 15 + 15 };
    for (unsigned pause_ms = 500; pause_ms < 620; pause_ms += 17) {
        struct rig rig;
        rig_init(&rig, &(struct rig_options){.count = 3});
        rig.tells = true;
        rig.checks_match = true;
        assert_true(elect(&rig, 0));
        rig_run(&rig, 300);
        assert_true(time_of_a_lone_value(&rig, pause_ms) <= ROUND_MS + 1);
        rig_close(&rig);

        rig_init(&rig, &(struct rig_options){.count = 3, .is_unguarded = true});
        assert_true(elect(&rig, 0));
        rig_run(&rig, 300);
        assert_true(time_of_a_lone_value(&rig, pause_ms) > ROUND_MS + 1);
        rig_close(&rig);
    }
}

/* ---- regressions of the library itself ---- */

static void add_entry(struct rig *rig, unsigned i, raft_term term, uint64_t value)
{
    struct raft_entry entry = {.term = term, .type = RAFT_COMMAND};
    entry.buf = (struct raft_buffer){.base = raft_malloc(8), .len = 8};
    memcpy(entry.buf.base, &value, 8);
    raft_fixture_add_entry(&rig->fixture, i, &entry);
}

/* Figure 8 of the Raft paper: 0 and 1 get to share an entry of an old term, which is a majority, and 2
 * has a later one in its place. It must not count as committed before an entry of the new term is. */
static void an_entry_of_an_old_term_is_not_committed_by_counting(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, &(struct rig_options){.count = 3, .is_stopped = true});
    add_entry(&rig, 0, 2, 20);
    add_entry(&rig, 2, 3, 30);
    for (unsigned i = 0; i < 3; i++)
        raft_fixture_set_term(&rig.fixture, i, 3);
    raft_set_max_inflight_entries(rig_raft(&rig, 0), 1);
    rig_start(&rig);
    rig_cut(&rig, 2);
    raft_fixture_start_elect(&rig.fixture, 0);
    struct raft *raft = rig_raft(&rig, 0);
    while (raft_last_index(rig_raft(&rig, 1)) < 2) {
        assert_int_equal(raft->commit_index, 1);
        raft_fixture_step(&rig.fixture);
    }
    raft_index match = 0;
    while (match < 2) {
        raft_fixture_step(&rig.fixture);
        assert_int_equal(raft_match_index(raft, rig_raft(&rig, 1)->id, &match), 0);
    }
    if (match == 2) assert_int_equal(raft->commit_index, 1); /* by counting it would be 2 */
    rig_cut(&rig, 0);
    raft_fixture_kill(&rig.fixture, 0);
    assert_int_equal(rig.nodes[0].values_count, 0);
    rig_close(&rig);
}

/* A leader that was cut off has entries that nobody else got. When it comes back it must not seem to
 * have acknowledged the new leader's entries with their indexes. */
static void a_leader_that_comes_back_acknowledges_only_what_it_got(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, &(struct rig_options){.count = 3});
    rig.checks_match = true;
    rig.tells = true;
    assert_true(elect(&rig, 0));
    rig_run(&rig, 500);
    rig_cut(&rig, 0);
    for (uint64_t value = 100; value < 110; value++)
        rig_propose(&rig, 0, value);
    assert_true(raft_fixture_step_until_state_is(&rig.fixture, 0, RAFT_FOLLOWER, 5000));
    rig_run(&rig, 3 * RIG_ELECTION_MS);
    unsigned leader = rig_raft(&rig, 1)->state == RAFT_LEADER ? 1 : 2;
    assert_int_equal(rig_raft(&rig, leader)->state, RAFT_LEADER);
    assert_int_equal(rig_propose(&rig, leader, 1), 0);
    rig_run(&rig, 50);
    rig_join(&rig, 0);
    for (uint64_t value = 2; value < 6; value++) {
        assert_int_equal(rig_propose(&rig, leader, value), 0);
        rig_run(&rig, 30);
    }
    rig_run(&rig, 2000);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(rig.nodes[i].values_count, 5);
    rig_check_agreement(&rig);
    rig_close(&rig);
}

/* ---- any trouble, many seeds ---- */

static unsigned draw(unsigned *seed, unsigned below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % below;
}

static void trouble(unsigned seed)
{
    struct rig rig;
    unsigned random = seed, cut = RIG_NODES;
    uint64_t value = 1;
    rig_init(&rig, &(struct rig_options){.count = 3});
    rig.tells = true;
    rig.checks_match = true;
    for (unsigned i = 0; i < 3; i++) {
        raft_fixture_set_network_latency(&rig.fixture, i, 1 + draw(&random, 40));
        raft_fixture_set_disk_latency(&rig.fixture, i, 1 + draw(&random, 40));
    }
    for (int round = 0; round < 60; round++) {
        unsigned what = draw(&random, 8);
        if (what == 0 && cut == RIG_NODES) rig_cut(&rig, cut = draw(&random, 3));
        if (what == 1 && cut != RIG_NODES) {
            rig_join(&rig, cut);
            cut = RIG_NODES;
        }
        for (unsigned i = 0; i < 3; i++) {
            for (unsigned k = draw(&random, 4); k > 0; k--) {
                if (rig_propose(&rig, i, value) == 0) value++;
            }
        }
        rig_run(&rig, 20 + draw(&random, 500));
        rig_check_agreement(&rig);
    }
    if (cut != RIG_NODES) rig_join(&rig, cut);
    rig_run(&rig, 10 * RIG_ELECTION_MS);
    rig_check_agreement(&rig);
    for (unsigned i = 1; i < 3; i++) {
        assert_int_equal(rig.nodes[i].values_count, rig.nodes[0].values_count);
    }
    assert_true(rig.nodes[0].values_count > 0);
    rig_close(&rig);
}

static void logs_agree_whatever_the_network_does(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 25; seed++) {
        print_message("seed %u\n", seed);
        trouble(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_the_guard_a_change_is_booked_wrongly),
        cmocka_unit_test(a_message_is_cut_before_a_change),
        cmocka_unit_test(without_the_guard_a_snapshot_in_a_snapshot_crashes),
        cmocka_unit_test(a_snapshot_that_comes_while_one_is_taken_is_dropped),
        PROMISE("P1", a_snapshot_is_held_until_the_store_is_durable),
        cmocka_unit_test(a_log_is_not_cut_while_a_snapshot_is_written),
        cmocka_unit_test(a_held_snapshot_goes_with_the_close),
        cmocka_unit_test(a_snapshot_that_finds_no_space_is_tried_again),
        PROMISE("P12", a_node_with_a_gap_is_not_made_leader),
        cmocka_unit_test(a_node_without_a_gap_is_elected_before_one_with),
        cmocka_unit_test(when_all_have_gaps_one_leads_after_five_timeouts_and_is_not_ready),
        cmocka_unit_test(a_node_with_a_full_gap_takes_no_entries),
        cmocka_unit_test(a_node_whose_store_lags_takes_no_entries),
        cmocka_unit_test(a_node_whose_disk_is_full_takes_no_entries_and_does_not_lead),
        cmocka_unit_test(an_answer_that_cannot_be_sent_is_a_lost_message),
        cmocka_unit_test(a_snapshot_goes_with_its_own_term),
        PROMISE("P12", a_snapshot_that_cannot_be_read_ends_the_process),
        cmocka_unit_test(a_node_that_closes_sends_nothing),
        PROMISE("P12", a_failed_write_ends_the_process),
        PROMISE("P12", whatever_the_disk_fails_at_ends_the_process),
        PROMISE("P12", the_trace_of_a_failed_write_ends_the_process),
        PROMISE("P12", a_node_that_stands_still_ends_itself),
        PROMISE("P12", a_leader_that_contradicts_a_committed_entry_ends_the_process),
        cmocka_unit_test(without_the_guard_a_message_from_below_the_log_crashes),
        cmocka_unit_test(of_a_message_from_below_the_log_the_rest_is_taken),
        PROMISE("P1", what_an_earlier_term_sent_late_is_not_answered),
        PROMISE("P3 P6", a_new_leader_is_ready_when_the_old_terms_are_applied),
        cmocka_unit_test(a_new_leader_begins_its_term_with_an_entry),
        PROMISE("P1 P2", an_only_voter_starts_with_a_term_of_its_own),
        PROMISE("P1 P2", who_becomes_the_only_voter_leads_in_a_term_of_its_own),
        cmocka_unit_test(a_lone_value_waits_for_no_heartbeat),
        PROMISE("P1 P7", an_entry_of_an_old_term_is_not_committed_by_counting),
        PROMISE("P1 P5", a_leader_that_comes_back_acknowledges_only_what_it_got),
        PROMISE("P2", logs_agree_whatever_the_network_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
