/* Deadlines come up when they should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "web/wheel.h"

static void a_deadline_comes_up_in_its_tick_and_once(void **state)
{
    static const uint64_t distances[] = {0, 1, 249, 250, 251, 1000, 30000, 90000, 127000};

    (void)state;
    for (size_t i = 0; i < sizeof distances / sizeof *distances; i++) {
        static struct wheel wheel;
        struct wheel_node node = {.tick = 0};
        uint64_t start = 1234567;
        uint64_t at = start + distances[i];
        uint64_t now = start;

        wheel_init(&wheel, start);
        wheel_set(&wheel, &node, at);
        assert_null(wheel_pop(&wheel, start));
        while (wheel_pop(&wheel, now) == NULL)
            now += 10;
        assert_true(now + WHEEL_TICK_MS >= at);
        assert_true(now <= at + WHEEL_TICK_MS + 10);
        assert_null(node.next);
        assert_null(wheel_pop(&wheel, now + 1000000));
    }
}

static void what_lies_too_far_ahead_comes_up_earlier(void **state)
{
    static struct wheel wheel;
    struct wheel_node node = {.tick = 0};

    (void)state;
    wheel_init(&wheel, 0);
    wheel_set(&wheel, &node, 1000000000);
    assert_ptr_equal(wheel_pop(&wheel, (uint64_t)WHEEL_SLOTS * WHEEL_TICK_MS), &node);
}

static void a_sooner_deadline_wins(void **state)
{
    static struct wheel wheel;
    struct wheel_node nodes[3] = {{.tick = 0}, {.tick = 0}, {.tick = 0}};

    (void)state;
    wheel_init(&wheel, 0);
    for (int i = 0; i < 3; i++)
        wheel_set(&wheel, &nodes[i], 10000);
    wheel_set_sooner(&wheel, &nodes[0], 20000);
    wheel_set_sooner(&wheel, &nodes[1], 5000);
    wheel_remove(&nodes[2]);
    wheel_remove(&nodes[2]);
    assert_null(wheel_pop(&wheel, 4000));
    assert_ptr_equal(wheel_pop(&wheel, 6000), &nodes[1]);
    assert_null(wheel_pop(&wheel, 6000));
    assert_ptr_equal(wheel_pop(&wheel, 10000), &nodes[0]);
    assert_null(wheel_pop(&wheel, 30000));
}

static void one_that_sets_itself_again_does_not_come_up_in_the_same_tick(void **state)
{
    static struct wheel wheel;
    struct wheel_node node = {.tick = 0};

    (void)state;
    wheel_init(&wheel, 0);
    wheel_set(&wheel, &node, 250);
    assert_ptr_equal(wheel_pop(&wheel, 260), &node);
    wheel_set(&wheel, &node, 100); /* in the past */
    assert_null(wheel_pop(&wheel, 260));
    assert_ptr_equal(wheel_pop(&wheel, 510), &node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deadline_comes_up_in_its_tick_and_once),
        cmocka_unit_test(what_lies_too_far_ahead_comes_up_earlier),
        cmocka_unit_test(a_sooner_deadline_wins),
        cmocka_unit_test(one_that_sets_itself_again_does_not_come_up_in_the_same_tick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
