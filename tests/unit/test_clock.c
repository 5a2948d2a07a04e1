#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"

static void days_of_all_centuries_agree_with_the_library(void **state)
{
    (void)state;
    for (int64_t day = -800000; day < 3000000; day += 17) {
        time_t seconds = day * 86400 + 86399;
        struct tm expected;
        assert_non_null(gmtime_r(&seconds, &expected));
        struct civil civil = clock_civil((int64_t)seconds * 1000 + 999);
        assert_int_equal(civil.year, expected.tm_year + 1900);
        assert_int_equal(civil.month, expected.tm_mon + 1);
        assert_int_equal(civil.day, expected.tm_mday);
        assert_int_equal(civil.weekday, expected.tm_wday);
        assert_int_equal(civil.hour * 3600 + civil.minute * 60 + civil.second, 86399);
        assert_int_equal(civil.days, day);
    }
}

static void times_are_written_as_rfc_3339(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 200);
    clock_add_rfc3339(&buf, 1763886771204, 1);
    buf_add_char(&buf, ' ');
    clock_add_rfc3339(&buf, 0, 0);
    buf_add_char(&buf, ' ');
    clock_add_rfc3339(&buf, -1, 1);
    assert_true(slice_is(buf_slice(&buf),
                         "2025-11-23T08:32:51.204Z 1970-01-01T00:00:00Z 1969-12-31T23:59:59.999Z"));
    buf_reset(&buf);
    clock_add_rfc3339(&buf, INT64_MAX, 1);
    clock_add_rfc3339(&buf, INT64_MIN, 1);
    assert_true(buf.len > 0);
    buf_close(&buf);
}

static void the_monotonic_clock_does_not_go_back(void **state)
{
    (void)state;
    uint64_t before = clock_ns();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_ns();
        assert_true(now >= before);
        before = now;
    }
    assert_true(clock_wall_ms() > 1700000000000);
    assert_true(clock_ms() <= clock_ns() / 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_of_all_centuries_agree_with_the_library),
        cmocka_unit_test(times_are_written_as_rfc_3339),
        cmocka_unit_test(the_monotonic_clock_does_not_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
