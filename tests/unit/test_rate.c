#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "chat/rate.h"

static const struct sender_id maja = {.bytes = {1}};
static const struct sender_id ola = {.bytes = {2}};

static void a_burst_is_allowed_and_then_one_at_a_time(void **state)
{
    (void)state;
    struct rate rate;
    rate_init(&rate, 10, 10000);
    uint64_t now = 123456;
    for (int i = 0; i < 10; i++)
        assert_int_equal(rate_take(&rate, &maja, now), 0);
    assert_int_equal(rate_take(&rate, &maja, now), 1000);
    assert_int_equal(rate_take(&rate, &maja, now + 400), 600);
    assert_int_equal(rate_take(&rate, &ola, now), 0);
    assert_int_equal(rate_take(&rate, &maja, now + 1000), 0);
    assert_int_equal(rate_take(&rate, &maja, now + 1000), 1000);
    assert_int_equal(rate_take(&rate, &maja, now + 2000), 0);
    rate_close(&rate);
}

static void the_told_wait_is_enough(void **state)
{
    (void)state;
    struct rate rate;
    rate_init(&rate, 3, 10000); /* a token every 3,333.3 ms */
    uint64_t now = 0;
    for (int i = 0; i < 3; i++)
        assert_int_equal(rate_take(&rate, &maja, now), 0);
    for (int i = 0; i < 20; i++) {
        uint32_t wait = rate_take(&rate, &maja, now);
        assert_true(wait > 0 && wait <= 3334);
        assert_true(rate_take(&rate, &maja, now + wait - 1) > 0);
        now += wait;
        assert_int_equal(rate_take(&rate, &maja, now), 0);
    }
    rate_close(&rate);
}

static void a_quiet_sender_is_forgotten_and_has_a_full_bucket(void **state)
{
    (void)state;
    struct rate rate;
    rate_init(&rate, 2, 1000);
    for (uint8_t i = 0; i < 200; i++) {
        struct sender_id who = {.bytes = {i, 7}};
        assert_int_equal(rate_take(&rate, &who, 5000), 0);
    }
    assert_int_equal(rate_senders(&rate), 200);
    assert_int_equal(rate_take(&rate, &maja, 7000), 0);
    assert_int_equal(rate_senders(&rate), 1);
    assert_int_equal(rate_take(&rate, &maja, 7000), 0);
    assert_true(rate_take(&rate, &maja, 7000) > 0);
    assert_int_equal(rate_take(&rate, &maja, 9000), 0);
    assert_int_equal(rate_take(&rate, &maja, 9000), 0);
    rate_close(&rate);
}

static void zero_is_no_limit(void **state)
{
    (void)state;
    struct rate rate;
    rate_init(&rate, 0, 10000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(rate_take(&rate, &maja, 1), 0);
    assert_null(rate.buckets);
    rate_close(&rate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_is_allowed_and_then_one_at_a_time),
        cmocka_unit_test(the_told_wait_is_enough),
        cmocka_unit_test(a_quiet_sender_is_forgotten_and_has_a_full_bucket),
        cmocka_unit_test(zero_is_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
