/* When a node ends because its log stands still, and when it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "cluster/watchdog.h"

enum { TICK_MS = 40, HOUR_MS = 60 * 60 * 1000 };

/* A follower whose append has been under way since the last tick. */
static const struct watchdog_view stuck = {.hears_leader = true,
                                           .committed = 7,
                                           .applied = 7,
                                           .wanted = 9,
                                           .stored = 5,
                                           .appended = 5,
                                           .is_appending = true};

/* Ticks for so long while things are as in `view`; the first verdict that ends it, and `*at_ms` when. */
static enum watchdog_verdict run(struct watchdog *watchdog, const struct watchdog_view *view,
                                 unsigned for_ms, unsigned *at_ms)
{
    for (*at_ms = TICK_MS; *at_ms <= for_ms; *at_ms += TICK_MS) {
        enum watchdog_verdict verdict = watchdog_tick(watchdog, view, TICK_MS);
        if (verdict != WATCHDOG_WELL) return verdict;
    }
    return WATCHDOG_WELL;
}

static enum watchdog_verdict verdict_of(const struct watchdog_view *view)
{
    struct watchdog watchdog = {.stored = view->stored, .appended = view->appended};
    unsigned at_ms;
    return run(&watchdog, view, HOUR_MS, &at_ms);
}

static void who_follows_and_stands_still_ends(void **state)
{
    (void)state;
    struct watchdog watchdog = {.stored = stuck.stored, .appended = stuck.appended};
    unsigned at_ms;
    assert_int_equal(run(&watchdog, &stuck, HOUR_MS, &at_ms), WATCHDOG_NOT_STORED);
    assert_int_equal(at_ms, LOG_STILL_MAX_MS);

    struct watchdog_view view = stuck;
    view.is_appending = false;
    view.is_installing = true;
    assert_int_equal(verdict_of(&view), WATCHDOG_NOT_STORED);
    /* Nothing is under way, but all that comes is dropped for something that is: a send that never ends. */
    view.is_installing = false;
    view.is_holding = true;
    assert_int_equal(verdict_of(&view), WATCHDOG_NOT_STORED);
}

/* One append may be of a whole message of the leader's. */
static void what_is_large_may_take_its_time(void **state)
{
    (void)state;
    struct watchdog watchdog = {.stored = stuck.stored, .appended = stuck.appended};
    struct watchdog_view view = stuck;
    unsigned at_ms;
    view.bytes = (uint64_t)64 * 1024 * 1024;
    assert_int_equal(run(&watchdog, &view, HOUR_MS, &at_ms), WATCHDOG_NOT_STORED);
    assert_int_equal(at_ms, LOG_STILL_MAX_MS + 256 * 1000);
}

static void what_explains_it_ends_nobody(void **state)
{
    (void)state;
    struct watchdog_view views[] = {stuck, stuck, stuck, stuck, stuck, stuck};
    views[0].is_appending = false;     /* a leader that sends nothing, a slow link */
    views[1].wanted = views[1].stored; /* as far as the leader, by what that has told */
    views[2].hears_leader = false;     /* cut off, or an election */
    views[3].lacks_room = true;        /* a full disk, a quota */
    views[4].has_gap = true;           /* a backfill */
    views[5].is_leader = true;         /* gives leadership away */
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        if (verdict_of(&views[i]) != WATCHDOG_WELL) fail_msg("view %zu", i);
        views[i].is_holding = true; /* then it has something to wait for, and is behind */
        if (i > 1 && verdict_of(&views[i]) != WATCHDOG_WELL) fail_msg("view %zu, holding", i);
    }
}

/* A step every 29 seconds: of the log, or of an append that a new leader has cut off meanwhile. */
static void what_moves_ends_nobody(void **state)
{
    (void)state;
    unsigned at_ms;
    for (int stores = 0; stores < 2; stores++) {
        struct watchdog watchdog = {.stored = 0};
        struct watchdog_view view = stuck;
        view.stored = 1000;
        view.wanted = 2000;
        for (int i = 0; i < 100; i++) {
            if (stores) view.stored--; /* cut off counts, too */
            if (!stores) view.appended++;
            assert_int_equal(run(&watchdog, &view, LOG_STILL_MAX_MS - 1000, &at_ms), WATCHDOG_WELL);
            view.wanted++;
        }
        assert_int_equal(run(&watchdog, &view, LOG_STILL_MAX_MS, &at_ms), WATCHDOG_NOT_STORED);
    }
}

/* So does the word of a disk that has no room, which comes twice a second while the library tries. */
static void a_disk_without_room_is_heard_now_and_then(void **state)
{
    (void)state;
    struct watchdog watchdog = {.stored = stuck.stored, .appended = stuck.appended};
    unsigned at_ms;
    for (int i = 0; i < 10000; i++) {
        struct watchdog_view view = stuck;
        view.lacks_room = i % 12 == 0;
        assert_int_equal(watchdog_tick(&watchdog, &view, TICK_MS), WATCHDOG_WELL);
    }
    assert_int_equal(run(&watchdog, &stuck, HOUR_MS, &at_ms), WATCHDOG_NOT_STORED);
    assert_true(at_ms > LOG_STILL_MAX_MS - 1000);
}

/* Without a leader, and in a gap, time stands and is not forgotten: leaders come and go, the append stays. */
static void where_nobody_is_heard_the_count_waits(void **state)
{
    (void)state;
    struct watchdog watchdog = {.stored = stuck.stored, .appended = stuck.appended};
    struct watchdog_view silence = stuck, gap = stuck;
    unsigned at_ms;
    silence.hears_leader = false;
    gap.has_gap = true;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(run(&watchdog, &stuck, 10 * 1000, &at_ms), WATCHDOG_WELL);
        assert_int_equal(run(&watchdog, i == 0 ? &silence : &gap, HOUR_MS, &at_ms), WATCHDOG_WELL);
    }
    assert_int_equal(run(&watchdog, &stuck, HOUR_MS, &at_ms), WATCHDOG_NOT_STORED);
    assert_int_equal(at_ms, 10 * 1000);
}

static void a_leader_gives_away_first(void **state)
{
    (void)state;
    struct watchdog watchdog = {.stored = stuck.stored, .appended = stuck.appended};
    struct watchdog_view leads = stuck;
    unsigned at_ms;
    leads.is_leader = true;
    leads.hears_leader = false;
    leads.wanted = 0;
    assert_int_equal(run(&watchdog, &leads, LOG_STILL_LEADER_MS - TICK_MS, &at_ms), WATCHDOG_WELL);
    assert_false(watchdog_stands_still(&watchdog));
    assert_int_equal(run(&watchdog, &leads, HOUR_MS, &at_ms), WATCHDOG_WELL);
    assert_true(watchdog_stands_still(&watchdog));
    assert_int_equal(run(&watchdog, &stuck, HOUR_MS, &at_ms), WATCHDOG_NOT_STORED);
    assert_int_equal(at_ms, TICK_MS); /* it was an hour */

    leads.appended++;
    assert_int_equal(watchdog_tick(&watchdog, &leads, TICK_MS), WATCHDOG_WELL);
    assert_false(watchdog_stands_still(&watchdog));
}

static void what_is_committed_must_be_applied(void **state)
{
    (void)state;
    struct watchdog watchdog = {.stored = 0};
    struct watchdog_view view = {.committed = 5, .applied = 5};
    unsigned at_ms;
    assert_int_equal(run(&watchdog, &view, HOUR_MS, &at_ms), WATCHDOG_WELL);
    for (int i = 0; i < 100; i++) { /* slow */
        view.committed += 2;
        view.applied++;
        assert_int_equal(run(&watchdog, &view, COMMIT_STILL_MAX_MS, &at_ms), WATCHDOG_WELL);
    }
    view.is_installing = true; /* tells of what it will have applied */
    assert_int_equal(run(&watchdog, &view, HOUR_MS, &at_ms), WATCHDOG_WELL);
    view.is_installing = false;
    assert_int_equal(run(&watchdog, &view, HOUR_MS, &at_ms), WATCHDOG_NOT_APPLIED);
    view.is_leader = true;
    assert_int_equal(run(&watchdog, &view, HOUR_MS, &at_ms), WATCHDOG_NOT_APPLIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_follows_and_stands_still_ends),
        cmocka_unit_test(what_is_large_may_take_its_time),
        cmocka_unit_test(what_explains_it_ends_nobody),
        cmocka_unit_test(what_moves_ends_nobody),
        cmocka_unit_test(a_disk_without_room_is_heard_now_and_then),
        cmocka_unit_test(where_nobody_is_heard_the_count_waits),
        cmocka_unit_test(a_leader_gives_away_first),
        cmocka_unit_test(what_is_committed_must_be_applied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
