#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/histogram.h"

static void an_empty_one_has_no_quantile(void **state)
{
    struct histogram histogram = {0};
    (void)state;
    assert_true(isnan(histogram_quantile_ms(&histogram, 0.5)));
}

static void a_duration_counts_up_to_and_with_its_bound(void **state)
{
    struct histogram histogram = {0};
    (void)state;
    histogram_add(&histogram, 0);
    histogram_add(&histogram, 50);
    histogram_add(&histogram, 51);
    histogram_add(&histogram, 10000000);
    histogram_add(&histogram, 10000001);
    assert_int_equal(histogram.counts[0], 2);
    assert_int_equal(histogram.counts[1], 1);
    assert_int_equal(histogram.counts[HISTOGRAM_BOUNDS - 1], 1);
    assert_int_equal(histogram.counts[HISTOGRAM_BOUNDS], 1);
    assert_int_equal(histogram.count, 5);
    assert_int_equal(histogram.sum_us, 0 + 50 + 51 + 10000000 + 10000001);
}

static void a_quantile_lies_within_the_bounds_of_its_bucket(void **state)
{
    struct histogram histogram = {0};
    (void)state;
    for (int i = 0; i < 99; i++)
        histogram_add(&histogram, 700);
    histogram_add(&histogram, 40000);
    double median = histogram_quantile_ms(&histogram, 0.5);
    double last = histogram_quantile_ms(&histogram, 1);
    assert_true(median > 0.5 && median <= 1.0);
    assert_true(last > 25 && last <= 50);
}

static void what_came_since_a_copy_is_the_difference(void **state)
{
    struct histogram before = {0}, now, since, whole;
    (void)state;
    histogram_add(&before, 100);
    now = before;
    histogram_add(&now, 3000);
    since = histogram_since(&now, &before);
    assert_int_equal(since.count, 1);
    assert_int_equal(since.sum_us, 3000);
    whole = before;
    histogram_merge(&whole, &since);
    assert_memory_equal(&whole, &now, sizeof now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_one_has_no_quantile),
        cmocka_unit_test(a_duration_counts_up_to_and_with_its_bound),
        cmocka_unit_test(a_quantile_lies_within_the_bounds_of_its_bucket),
        cmocka_unit_test(what_came_since_a_copy_is_the_difference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
