/* A log that stands still, on raft's simulator: who ends, who gives leadership away, and who only waits. When
 * exactly, tests/unit/test_watchdog.c asks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <utlist.h>

#include "promise.h"
#include "rig.h"

enum { NOT_YET = 50, GOES_ON = 51, ENDS_NOW = 52 };

static struct rig still;

/* Node `leads` leads. */
static void begin(unsigned leads)
{
    rig_init(&still, &(struct rig_options){.count = 3});
    raft_fixture_elect(&still.fixture, leads);
    rig_run(&still, 500);
}

/* An append that is begun and never ends. */
static int append_for_ever(struct raft_io *io, struct raft_io_append *request,
                           const struct raft_entry entries[], unsigned n, raft_io_append_cb done)
{
    (void)io;
    (void)entries;
    (void)n;
    request->cb = done;
    return 0;
}

/* All this is run in a process of its own, for it leaves the library in the middle of something. */
static struct guard *stand_still(unsigned node)
{
    begin(0);
    still.nodes[node].guard.real.append = append_for_ever;
    rig_propose(&still, 0, 1);
    while (still.nodes[node].guard.appending_bytes < 8) /* that one */
        rig_run(&still, 1);
    return &still.nodes[node].guard;
}

/* Ends with RIG_FATAL, and not before its time. */
static void end_in_time(void)
{
    still.survives_fatal = true;
    rig_run(&still, LOG_STILL_MAX_MS - 2000);
    if (still.fatals > 0) _exit(NOT_YET);
    still.survives_fatal = false;
    rig_run(&still, 4000);
    _exit(GOES_ON);
}

static void follow_and_stand_still(void)
{
    stand_still(2);
    end_in_time();
}

static void a_follower_whose_append_never_ends_ends(void **state)
{
    (void)state;
    assert_int_equal(rig_in_child(follow_and_stand_still), RIG_FATAL);
}

static void lead_and_stand_still(void)
{
    struct guard *guard = stand_still(0);
    rig_run(&still, LOG_STILL_LEADER_MS - 1000);
    if (watchdog_stands_still(&guard->watchdog)) _exit(NOT_YET);
    rig_run(&still, 2 * LOG_STILL_MAX_MS);
    bool is_still = watchdog_stands_still(&guard->watchdog);
    bool is_committed = still.nodes[1].values_count == 1;
    _exit(is_still && is_committed && guard->raft->state == RAFT_LEADER ? GOES_ON : RIG_FATAL);
}

static void a_leader_whose_append_never_ends_is_to_give_leadership_away(void **state)
{
    (void)state;
    assert_int_equal(rig_in_child(lead_and_stand_still), GOES_ON);
}

/* The library has asked for a segment, and is told that there is no room, twice a second. */
static bool has_no_room(void *owner, const char *file)
{
    bool is_segment = file != NULL && strcmp(file, "open-3") == 0;
    return is_segment || (file == NULL && owner != NULL);
}

static void tell_retries(struct guard *guard, const char *message, unsigned for_ms)
{
    const struct raft_tracer_info told = {.version = 1, .diagnostic = {.message = message}};
    for (unsigned i = 0; i < for_ms / 500; i++) {
        guard->tracer.emit(&guard->tracer, RAFT_TRACER_DIAGNOSTIC, &told);
        rig_run(&still, 500);
    }
}

static void stand_still_without_room(void)
{
    struct guard *guard = stand_still(2);
    guard->handler.on_retry = has_no_room;
    tell_retries(guard, "retry creating segment open-3", 2 * LOG_STILL_MAX_MS);
    tell_retries(guard, "retry snapshot write", 2 * LOG_STILL_MAX_MS);
    guard_disk_full(guard, true);
    rig_run(&still, 2 * LOG_STILL_MAX_MS);
    guard_disk_full(guard, false);
    still.survives_fatal = true;
    tell_retries(guard, "retry creating segment open-4",
                 LOG_STILL_MAX_MS - 2000); /* something else */
    if (still.fatals > 0) _exit(NOT_YET);
    tell_retries(guard, "retry creating segment open-4", 4000);
    _exit(still.fatals > 0 ? ENDS_NOW : GOES_ON);
}

static void a_disk_without_room_ends_nobody(void **state)
{
    (void)state;
    assert_int_equal(rig_in_child(stand_still_without_room), ENDS_NOW);
}

/* An entry that node 2 has given away to be sent to one who is dead, and that was cut since, comes again. */
static void drop_what_is_still_being_sent(void)
{
    struct guard *guard = &still.nodes[2].guard;
    begin(0);
    const struct raft *leader = rig_raft(&still, 0);
    const struct raft_entry entry = {.term = leader->current_term, .type = RAFT_COMMAND};
    struct guard_hold held = {
        .first = raft_last_index(rig_raft(&still, 0)) + 1, .entries = &entry, .n = 1};
    DL_APPEND(guard->holds, &held);
    rig_propose(&still, 0, 1);
    end_in_time();
}

/* A snapshot of node 2's own is never written, and its log is to be cut meanwhile. */
static void drop_what_would_cut(void)
{
    struct guard *guard = &still.nodes[2].guard;
    begin(2);
    rig_cut(&still, 2);
    rig_propose(&still, 2, 1);
    guard->is_putting = true;
    rig_run(&still, 5 * RIG_ELECTION_MS);
    rig_join(&still, 2);
    end_in_time();
}

static void who_waits_in_vain_to_take_an_entry_ends(void **state)
{
    (void)state;
    assert_int_equal(rig_in_child(drop_what_is_still_being_sent), RIG_FATAL);
    assert_int_equal(rig_in_child(drop_what_would_cut), RIG_FATAL);
}

static int (*start_below)(struct raft_io *, unsigned, raft_io_tick_cb, raft_io_recv_cb);

/* It hears the leader and gets none of its entries: they are lost, or too large for the link. */
static raft_io_recv_cb hears;

static void hear_heartbeats(struct raft_io *io, struct raft_message *message)
{
    struct raft_append_entries *entries = &message->append_entries;
    if (message->type == RAFT_APPEND_ENTRIES && entries->n_entries > 0) {
        raft_free(entries->entries[0].batch);
        raft_free(entries->entries);
        return;
    }
    hears(io, message);
}

static int start_deaf(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick,
                      raft_io_recv_cb recv)
{
    hears = recv;
    return start_below(io, msecs, tick, hear_heartbeats);
}

static void a_slow_leader_ends_no_follower(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, &(struct rig_options){.count = 3, .is_stopped = true});
    start_below = rig.nodes[2].guard.real.start;
    rig.nodes[2].guard.real.start = start_deaf;
    rig_start(&rig);
    raft_fixture_elect(&rig.fixture, 0);
    assert_int_equal(rig_propose(&rig, 0, 1), 0);
    rig_run(&rig, 3 * LOG_STILL_MAX_MS);
    assert_true(rig.nodes[2].guard.leader_last > rig_raft(&rig, 2)->last_stored);
    assert_int_equal(rig_raft(&rig, 0)->state, RAFT_LEADER);
    assert_int_equal(rig.nodes[1].values_count, 1);
    assert_int_equal(rig.nodes[1].guard.appending, 0);
    assert_int_equal(rig.nodes[1].guard.appending_bytes, 0);
    assert_int_equal(rig.nodes[1].guard.appended, 2); /* that, and the term's first one */
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE("P12", a_follower_whose_append_never_ends_ends),
        cmocka_unit_test(a_leader_whose_append_never_ends_is_to_give_leadership_away),
        PROMISE("P12", who_waits_in_vain_to_take_an_entry_ends),
        cmocka_unit_test(a_disk_without_room_ends_nobody),
        cmocka_unit_test(a_slow_leader_ends_no_follower),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
