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
        assert_int_equal(rate_take(&rate, &maja, 1) + rate_take_again(&rate, &maja, 1), 0);
    assert_null(rate.buckets);
    rate_close(&rate);
}

/* A sender that only repeats itself has as much again, once, and pays for it: then both kinds come as slowly
 * as the tokens grow, and first the one that may use the reserve. */
static void what_comes_again_has_a_reserve_and_no_more(void **state)
{
    (void)state;
    struct rate rate;
    rate_init(&rate, 10, 10000);
    uint64_t now = 500000;
    for (int i = 0; i < 10; i++)
        assert_int_equal(rate_take(&rate, &maja, now), 0);
    assert_int_equal(rate_take(&rate, &maja, now), 1000);
    for (int i = 0; i < 10; i++)
        assert_int_equal(rate_take_again(&rate, &maja, now), 0);
    assert_int_equal(rate_take_again(&rate, &maja, now), 1000);
    assert_int_equal(rate_take(&rate, &maja, now), 11000);
    assert_int_equal(rate_take_again(&rate, &ola, now), 0);

    unsigned taken = 0;
    for (uint64_t ms = 0; ms < 60000; ms += 100) {
        if (rate_take_again(&rate, &maja, now + ms) == 0) taken++;
    }
    assert_int_equal(taken, 59); /* one a second */
    assert_int_equal(rate_take(&rate, &maja, now + 60000), 10000);
    assert_int_equal(rate_take(&rate, &maja, now + 70000), 0);
    rate_close(&rate);
}

/* What is swept while it owes something would be forgiven. */
static void what_is_owed_is_not_swept(void **state)
{
    (void)state;
    struct rate rate;
    rate_init(&rate, 4, 1000);
    for (int i = 0; i < 8; i++)
        assert_int_equal(rate_take_again(&rate, &maja, 1000), 0);
    assert_int_equal(rate_take(&rate, &ola, 2500), 0);
    assert_int_equal(rate_senders(&rate), 2);
    assert_int_equal(rate_take(&rate, &maja, 2500), 0); /* 6 of 8 have grown again */
    assert_int_equal(rate_take(&rate, &maja, 2500), 0);
    assert_true(rate_take(&rate, &maja, 2500) > 0);
    rate_close(&rate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_is_allowed_and_then_one_at_a_time),
        cmocka_unit_test(the_told_wait_is_enough),
        cmocka_unit_test(a_quiet_sender_is_forgotten_and_has_a_full_bucket),
        cmocka_unit_test(what_comes_again_has_a_reserve_and_no_more),
        cmocka_unit_test(what_is_owed_is_not_swept),
        cmocka_unit_test(zero_is_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
