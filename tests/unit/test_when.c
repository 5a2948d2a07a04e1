#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "pages/when.h"

static const int64_t hour_ms = 3600 * 1000;
static const int64_t day_ms = 24 * 3600 * 1000;
static const int64_t now_ms = 1795596423000; /* Wednesday 25 November 2026, 08:47:03 UTC */

static struct buf words;

static const char *said(void)
{
    static char text[64];
    assert_true(words.len < sizeof text);
    if (words.len > 0) memcpy(text, words.at, words.len);
    text[words.len] = '\0';
    buf_close(&words);
    buf_init(&words, sizeof text);
    return text;
}

static const char *day(int64_t ms, int16_t offset)
{
    when_add_day(&words, ms, now_ms, offset);
    return said();
}

static const char *brief(int64_t ms, int16_t offset)
{
    when_add_short(&words, ms, now_ms, offset);
    return said();
}

static void a_day_is_called_by_how_far_it_is(void **state)
{
    (void)state;
    assert_string_equal(day(now_ms, 0), "Today");
    assert_string_equal(day(now_ms - 9 * hour_ms, 0), "Yesterday");
    assert_string_equal(day(now_ms - 2 * day_ms, 0), "Monday 23 November");
    assert_string_equal(day(now_ms - 299 * day_ms, 0), "Friday 30 January");
    assert_string_equal(day(now_ms - 300 * day_ms, 0), "Thursday 29 January 2026");
}

static void a_day_begins_at_the_readers_midnight(void **state)
{
    (void)state;
    int64_t before_midnight = now_ms - 9 * hour_ms;
    assert_string_equal(day(before_midnight, 0), "Yesterday");
    assert_string_equal(day(before_midnight, 60), "Today");
    assert_string_equal(day(now_ms, -9 * 60), "Today");
    assert_int_equal(when_day(before_midnight, 60), when_day(before_midnight, 0) + 1);
}

static void lists_are_brief(void **state)
{
    (void)state;
    assert_string_equal(brief(now_ms, 0), "08:47");
    assert_string_equal(brief(now_ms, 90), "10:17");
    assert_string_equal(brief(now_ms - 4 * day_ms, 0), "Sat");
    assert_string_equal(brief(now_ms - 22 * day_ms, 0), "3 Nov");
    assert_string_equal(brief(now_ms - 387 * day_ms, 0), "3 Nov 2025");
    when_add_seconds(&words, now_ms, 0);
    assert_string_equal(said(), "08:47:03");
}

static void durations_have_two_parts_at_most(void **state)
{
    (void)state;
    static const struct {
        uint64_t seconds;
        const char *text;
    } examples[] = {
        {0, "0 s"},
        {41, "41 s"},
        {60, "1 min"},
        {11 * 60 + 5, "11 min"},
        {3 * 3600 + 20 * 60, "3 h 20 min"},
        {6 * 86400 + 4 * 3600, "6 d 4 h"},
    };
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        when_add_duration(&words, examples[i].seconds * 1000);
        assert_string_equal(said(), examples[i].text);
    }
}

static void numbers_are_grouped(void **state)
{
    (void)state;
    when_add_number(&words, 48213);
    assert_string_equal(said(), "48\xe2\x80\xaf"
                                "213");
    when_add_number(&words, 0);
    assert_string_equal(said(), "0");
    when_add_count(&words, 1204000);
    assert_string_equal(said(), "1,204,000");
    when_add_count(&words, UINT64_MAX);
    assert_string_equal(said(), "18,446,744,073,709,551,615");
}

static void bytes_have_a_unit(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } examples[] = {
        {0, "-"}, {999, "999 B"}, {224395264, "224 MB"}, {1500000, "1.5 MB"}, {999600, "1.0 MB"},
    };
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        when_add_bytes(&words, examples[i].bytes);
        assert_string_equal(said(), examples[i].text);
    }
}

static int begin(void **state)
{
    (void)state;
    buf_init(&words, 64);
    return 0;
}

static int end(void **state)
{
    (void)state;
    buf_close(&words);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_day_is_called_by_how_far_it_is),
        cmocka_unit_test(a_day_begins_at_the_readers_midnight),
        cmocka_unit_test(lists_are_brief),
        cmocka_unit_test(durations_have_two_parts_at_most),
        cmocka_unit_test(numbers_are_grouped),
        cmocka_unit_test(bytes_have_a_unit),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
