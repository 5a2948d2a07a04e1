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
    uint64_t first_ms =
        clock_ms(); /* by name: which operand is looked at first is the compiler's */
    assert_true(first_ms <= clock_ns() / 1000000);
}

static void what_is_written_is_read_again(void **state)
{
    static const int64_t times[] = {
        0, 1, 999, 1763886771204, 951782399999, 951782400000, INT64_C(253402300799999)};
    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        struct buf text;
        int64_t ms = -1;
        buf_init(&text, 64);
        clock_add_rfc3339(&text, times[i], 1);
        assert_true(clock_parse_rfc3339(buf_slice(&text), &ms));
        assert_true(ms == times[i]);
        buf_reset(&text);
        clock_add_rfc3339(&text, times[i], 0);
        assert_true(clock_parse_rfc3339(buf_slice(&text), &ms));
        assert_true(ms == times[i] / 1000 * 1000);
        buf_close(&text);
    }
}

static void what_is_no_time_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "2026-11-25",
        "2026-11-25T16:39:22.025",
        "2026-11-25T16:39:22.025+00:00",
        "2026-11-25 16:39:22.025Z",
        "2026-11-25T16:39:22.25Z",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:60Z",
        "1969-12-31T23:59:59Z",
        "+026-11-25T16:39:22Z",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int64_t ms;
        if (clock_parse_rfc3339(slice_from(texts[i]), &ms)) fail_msg("%s", texts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(days_of_all_centuries_agree_with_the_library),
        cmocka_unit_test(times_are_written_as_rfc_3339),
        cmocka_unit_test(the_monotonic_clock_does_not_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
