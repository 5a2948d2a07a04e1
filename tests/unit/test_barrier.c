#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "cluster/barrier.h"
#include "promise.h"

enum { ELECTION_MS = 100, BEFORE_IDS = 1000, ASKS_MAX = 8, REQUESTS_MAX = 8 };

struct asker { /* a request, and what became of it */
    struct barrier_request request;
    bool is_answered;
    int status;
};

static struct barrier *barrier;
static struct asker askers[REQUESTS_MAX];
static uint64_t asks[ASKS_MAX], replies[ASKS_MAX];
static size_t asks_count, replies_count, appends;

static void on_barrier(struct barrier_request *request, int status)
{
    struct asker *asker = (struct asker *)request;
    assert_false(asker->is_answered);
    asker->is_answered = true;
    asker->status = status;
}

static void ask(void *owner, uint64_t id)
{
    (void)owner;
    assert_true(asks_count < ASKS_MAX);
    asks[asks_count++] = id;
}

static void reply(void *owner, uint64_t to, uint64_t id)
{
    (void)owner;
    (void)to;
    assert_true(replies_count < ASKS_MAX);
    replies[replies_count++] = id;
}

static bool append(void *owner)
{
    (void)owner;
    appends++;
    return true;
}

static bool passed(void *owner, uint64_t mark)
{
    return mark <= *(uint64_t *)owner;
}

static int start(void **state)
{
    (void)state;
    asks_count = replies_count = appends = 0;
    memset(askers, 0, sizeof askers);
    barrier = barrier_new(ELECTION_MS, BEFORE_IDS,
                          &(struct barrier_handler){.ask = ask, .reply = reply, .append = append});
    return 0;
}

static int stop(void **state)
{
    (void)state;
    barrier_free(barrier);
    return 0;
}

static void add(size_t asker, uint64_t now_ms)
{
    askers[asker].request.on_barrier = on_barrier;
    barrier_add(barrier, &askers[asker].request, now_ms);
}

static void many_requests_of_one_turn_ask_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++)
        add(i, 1000);
    barrier_flush(barrier, true, 1000);
    barrier_flush(barrier, true, 1000);
    assert_int_equal(asks_count, 1);
    barrier_replied(barrier, asks[0], 70, 70);
    for (size_t i = 0; i < 3; i++) {
        assert_true(askers[i].is_answered);
        assert_int_equal(askers[i].status, 0);
    }
}

static void an_answer_is_not_for_requests_that_came_after_its_question(void **state)
{
    (void)state;
    add(0, 1000);
    barrier_flush(barrier, true, 1000);
    add(1, 1001);
    barrier_flush(barrier, true, 1001);
    assert_int_equal(asks_count, 2);
    barrier_replied(barrier, asks[0], 70, 70);
    assert_true(askers[0].is_answered);
    assert_false(askers[1].is_answered);
    barrier_replied(barrier, asks[1], 71, 71);
    assert_true(askers[1].is_answered);
}

/* Its ids are lower, or higher. */
static void an_answer_to_another_run_is_for_nobody(void **state)
{
    (void)state;
    add(0, 1000);
    barrier_flush(barrier, true, 1000);
    assert_int_equal(asks[0], BEFORE_IDS + 1);
    barrier_replied(barrier, 1, 70, 70);
    barrier_replied(barrier, BEFORE_IDS + 2, 70, 70);
    assert_false(askers[0].is_answered);
    barrier_replied(barrier, asks[0], 70, 70);
    assert_true(askers[0].is_answered);
}

static void a_request_waits_until_this_node_has_applied_as_much(void **state)
{
    (void)state;
    add(0, 1000);
    barrier_flush(barrier, true, 1000);
    barrier_replied(barrier, asks[0], 70, 68);
    barrier_applied(barrier, 69);
    assert_false(askers[0].is_answered);
    barrier_applied(barrier, 70);
    assert_true(askers[0].is_answered);
    assert_int_equal(askers[0].status, 0);
}

static void silence_is_asked_again_and_one_answer_is_for_all(void **state)
{
    (void)state;
    add(0, 1000);
    barrier_flush(barrier, true, 1000);
    add(1, 1100);
    barrier_flush(barrier, true, 1100);
    barrier_flush(barrier, true, 1149);
    assert_int_equal(asks_count, 2);
    barrier_flush(barrier, true, 1150); /* the first one again */
    assert_int_equal(asks_count, 3);
    assert_int_equal(asks[2], asks[0]);
    barrier_replied(barrier, asks[1], 70, 70);
    assert_true(askers[0].is_answered);
    assert_true(askers[1].is_answered);
}

static void another_leader_is_asked_at_once(void **state)
{
    (void)state;
    add(0, 1000);
    barrier_flush(barrier, false, 1000);
    assert_int_equal(asks_count, 0);
    barrier_flush(barrier, true, 1000);
    barrier_leader_changed(barrier);
    barrier_flush(barrier, true, 1001);
    assert_int_equal(asks_count, 2);
}

static void what_nobody_answers_ends_with_a_reason(void **state)
{
    (void)state;
    add(0, 1000);
    add(1, 2000);
    barrier_flush(barrier, true, 2000);
    barrier_tick(barrier, true, 1000 + BARRIER_DEADLINE_MS);
    assert_int_equal(askers[0].status, ERR_TIMEOUT);
    assert_false(askers[1].is_answered);
    barrier_tick(barrier, false, 2000 + BARRIER_DEADLINE_MS);
    assert_int_equal(askers[1].status, ERR_NO_LEADER);
}

static void the_leader_answers_behind_what_it_had_queued(void **state)
{
    (void)state;
    uint64_t in_log = 4;
    barrier_asked(barrier, 1, 11, 4);
    barrier_asked(barrier, 2, 12, 5);
    barrier_pump(barrier, passed, &in_log);
    assert_int_equal(appends, 1);
    in_log = 5;
    barrier_pump(barrier, passed, &in_log); /* one is on its way */
    assert_int_equal(appends, 1);
    barrier_committed(barrier, true);
    assert_int_equal(replies_count, 1);
    assert_int_equal(replies[0], 11);
    barrier_pump(barrier, passed, &in_log);
    barrier_committed(barrier, true);
    assert_int_equal(replies_count, 2);
    assert_int_equal(replies[1], 12);
}

static void a_deposed_leader_answers_nobody(void **state)
{
    (void)state;
    uint64_t in_log = 1;
    barrier_asked(barrier, 1, 11, 1);
    barrier_asked(barrier, 1, 12, 2);
    barrier_pump(barrier, passed, &in_log);
    barrier_committed(barrier, false);
    in_log = 2;
    barrier_pump(barrier, passed, &in_log);
    assert_int_equal(replies_count, 0);
    assert_int_equal(appends, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(many_requests_of_one_turn_ask_once, start, stop),
        PROMISE_WITH("P5", an_answer_is_not_for_requests_that_came_after_its_question, start, stop),
        PROMISE_WITH("P5", an_answer_to_another_run_is_for_nobody, start, stop),
        PROMISE_WITH("P9", a_request_waits_until_this_node_has_applied_as_much, start, stop),
        cmocka_unit_test_setup_teardown(silence_is_asked_again_and_one_answer_is_for_all, start,
                                        stop),
        cmocka_unit_test_setup_teardown(another_leader_is_asked_at_once, start, stop),
        PROMISE_WITH("P6", what_nobody_answers_ends_with_a_reason, start, stop),
        cmocka_unit_test_setup_teardown(the_leader_answers_behind_what_it_had_queued, start, stop),
        PROMISE_WITH("P5 P6", a_deposed_leader_answers_nobody, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
