/* Who waits for an event is told when it has come, or when its time is over, in a cost of what is told: the others
 * that wait are not looked at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "app/reach.h"
#include "base/mem.h"

enum { MANY = 3000 };

static struct reach reach;
static uint64_t last_viewer;

static int begin(void **state)
{
    (void)state;
    reach = (struct reach){.waiting = NULL};
    last_viewer = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    reach_close(&reach);
    return 0;
}

static void add(uint64_t number, uint64_t now_ms)
{
    struct reach_mail *mail = mem_new(sizeof *mail);
    *mail = (struct reach_mail){.who.viewer = ++last_viewer, .number = number};
    reach_add(&reach, mail, now_ms);
}

/* The next is this viewer's, who is told this. */
static void expect(uint64_t viewer, bool reached, uint64_t number, uint64_t now_ms)
{
    struct reach_mail *mail = reach_next(&reach, number, now_ms);
    assert_non_null(mail);
    assert_int_equal(mail->who.viewer, viewer);
    assert_int_equal(mail->reached, reached);
    mem_free(mail);
}

static void expect_none(uint64_t number, uint64_t now_ms)
{
    assert_null(reach_next(&reach, number, now_ms));
}

static void what_is_there_already_is_told_at_once(void **state)
{
    (void)state;
    expect_none(7, 0);
    add(7, 0);
    expect(1, true, 7, 0);
    expect_none(7, 0);
}

static void each_is_told_when_its_number_has_come(void **state)
{
    (void)state;
    add(30, 0);
    add(10, 0);
    add(20, 0);
    expect_none(9, 0);
    expect(2, true, 10, 0);
    expect_none(19, 0);
    expect(3, true, 40, 0);
    expect(1, true, 40, 0);
    expect_none(40, 0);
}

static void each_is_told_when_its_time_is_over_in_order_of_arrival(void **state)
{
    (void)state;
    add(30, 0);
    add(10, 1);
    add(INT64_MAX, 2);
    expect_none(9, SEEN_HOLD_MS - 1);
    expect(1, false, 9, SEEN_HOLD_MS);
    expect_none(9, SEEN_HOLD_MS);
    expect(2, true, 10, SEEN_HOLD_MS + 2); /* both: it has come */
    expect(3, false, 10, SEEN_HOLD_MS + 2);
    expect_none(10, UINT64_MAX);
}

static void at_the_end_everybody_is_told(void **state)
{
    (void)state;
    add(UINT64_MAX, 0);
    add(5, 0);
    expect(1, false, 0, UINT64_MAX);
    expect(2, false, 0, UINT64_MAX);
    expect_none(0, UINT64_MAX);
}

static void drop(uint64_t viewer)
{
    const struct reach_who who = {.viewer = viewer};
    reach_drop(&reach, &who);
}

/* Also one that is told already, or was dropped: its mail is on its way back, or nowhere. */
static void who_has_gone_is_told_nothing_and_has_no_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < REACH_WAITING_MAX; i++)
        add(100, 0);
    drop(REACH_WAITING_MAX / 2);
    drop(REACH_WAITING_MAX / 2);
    drop(1);
    assert_int_equal(reach.count, REACH_WAITING_MAX - 2);
    add(50, 0);
    expect_none(0, 0);
    expect(REACH_WAITING_MAX + 1, true, 50, 0);
    drop(REACH_WAITING_MAX + 1);
    expect(2, false, 50, SEEN_HOLD_MS);
    drop(2);
    assert_int_equal(reach.count, REACH_WAITING_MAX - 3);
}

/* On each thread the ids begin anew. */
static void a_viewer_of_another_thread_is_another(void **state)
{
    (void)state;
    static int threads[2];
    struct reach_who who = {.viewer = 1};
    for (size_t i = 0; i < 2; i++) {
        struct reach_mail *mail = mem_new(sizeof *mail);
        who.thread = (struct web_thread *)(void *)&threads[i];
        *mail = (struct reach_mail){.who = who, .number = 9};
        reach_add(&reach, mail, 0);
    }
    reach_drop(&reach, &who);
    assert_int_equal(reach.count, 1);
    assert_ptr_equal(reach.waiting->who.thread, &threads[0]);
}

/* The heap in whatever order they come and go: the least is above all, and each knows its place. */
static void assert_heap(void)
{
    for (size_t i = 0; i < reach.count; i++) {
        assert_int_equal(reach.by_number[i]->place, i);
        if (i > 0) assert_true(reach.by_number[(i - 1) / 2]->number <= reach.by_number[i]->number);
    }
}

static void many_come_and_go_in_any_order(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252U, number = 0, now_ms = 0, told = 0;
    for (size_t i = 0; i < MANY; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        add(number + random % 500, now_ms);
        number += random % 3 == 0;
        now_ms += random % 5;
        if (random % 7 == 0) drop(1 + random % last_viewer);
        for (struct reach_mail *mail; (mail = reach_next(&reach, number, now_ms)) != NULL; told++) {
            assert_int_equal(mail->reached, mail->number <= number);
            assert_true(mail->reached || mail->deadline_ms <= now_ms);
            mem_free(mail);
        }
        if (reach.count > 0) assert_true(reach.waiting->deadline_ms > now_ms);
        assert_heap();
    }
    assert_true(told > 0 && told + reach.count < MANY);
    assert_true(reach.count > 0);
}

/* The one more hears that this node is behind; those that wait go on waiting. */
static void one_too_many_is_told_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < REACH_WAITING_MAX; i++)
        add(100, 0);
    expect_none(0, 0);
    add(50, 0);
    expect(REACH_WAITING_MAX + 1, false, 0, 0);
    add(1, 0);
    expect(REACH_WAITING_MAX + 2, true, 1, 0);
    expect_none(1, 0);
    assert_int_equal(reach.count, REACH_WAITING_MAX);
    expect(1, false, 1, SEEN_HOLD_MS);
    add(50, 0);
    expect_none(1, 0);
}

/* A page that joins again and again with numbers that do not come: each join, and each event meanwhile, looks at
 * the oldest, at the least and at those above the new one. Whoever looked at another would be struck by a pointer
 * that leads nowhere. */
static void those_that_wait_are_not_looked_at(void **state)
{
    (void)state;
    static struct reach_mail *by_number[MANY + 1];
    struct reach_mail *nowhere = (struct reach_mail *)sizeof(max_align_t);
    for (size_t i = 0; i < MANY; i++)
        add(1000 + i, 0);
    struct reach_mail *oldest = reach.waiting, *second = oldest->next_waiting;
    memcpy(by_number, reach.by_number, MANY * sizeof *by_number);
    oldest->next_waiting = nowhere;
    for (size_t i = 1; i < MANY; i++)
        reach.by_number[i] = nowhere;
    for (size_t above = (MANY - 1) / 2; above > 0; above = (above - 1) / 2)
        reach.by_number[above] = by_number[above];

    for (uint64_t number = 1; number < 1000; number++)
        expect_none(number, SEEN_HOLD_MS - 1);
    add(INT64_MAX, 1);
    expect_none(999, SEEN_HOLD_MS - 1);

    by_number[MANY] = reach.by_number[MANY];
    memcpy(reach.by_number, by_number, sizeof by_number);
    oldest->next_waiting = second;
    assert_heap();
    assert_int_equal(reach.count, MANY + 1);
    expect(1, true, 1000, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(what_is_there_already_is_told_at_once),
        TEST(each_is_told_when_its_number_has_come),
        TEST(each_is_told_when_its_time_is_over_in_order_of_arrival),
        TEST(at_the_end_everybody_is_told),
        TEST(many_come_and_go_in_any_order),
        TEST(one_too_many_is_told_at_once),
        TEST(who_has_gone_is_told_nothing_and_has_no_place),
        TEST(a_viewer_of_another_thread_is_another),
        TEST(those_that_wait_are_not_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
