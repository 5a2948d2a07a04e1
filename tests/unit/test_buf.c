#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

static void assert_holds(const struct buf *buf, const char *expected)
{
    assert_int_equal(buf->len, strlen(expected));
    if (buf->len > 0) assert_memory_equal(buf->at, expected, buf->len);
}

static void what_does_not_fit_is_not_written_and_seen_at_the_end(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 5);
    buf_add(&buf, slice_of("abc"));
    buf_add(&buf, slice_of("defg"));
    assert_true(buf.overflowed);
    assert_holds(&buf, "abc");
    buf_add(&buf, slice_of("de"));
    assert_holds(&buf, "abcde");
    assert_true(buf.overflowed);
    buf_reset(&buf);
    assert_false(buf.overflowed);
    assert_holds(&buf, "");
    assert_null(buf_extend(&buf, 6));
    assert_true(buf.overflowed);
    buf_close(&buf);
}

static void a_buffer_without_room_takes_nothing(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 0);
    buf_add(&buf, slice_of(""));
    assert_false(buf.overflowed);
    buf_add_char(&buf, 'x');
    assert_true(buf.overflowed);
    buf_close(&buf);
}

static void numbers_are_written_in_full(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 200);
    buf_add_u64(&buf, 0);
    buf_add_char(&buf, ' ');
    buf_add_u64(&buf, UINT64_MAX);
    buf_add_char(&buf, ' ');
    buf_add_i64(&buf, INT64_MIN);
    buf_add_char(&buf, ' ');
    buf_add_i64(&buf, -1);
    buf_add_char(&buf, ' ');
    buf_add_hex(&buf, "\x00\xab\x7f", 3);
    assert_holds(&buf, "0 18446744073709551615 -9223372036854775808 -1 00ab7f");
    buf_close(&buf);
}

static void printf_of_any_length_arrives(void **state)
{
    (void)state;
    char long_text[1001];
    memset(long_text, 'x', 1000);
    long_text[1000] = '\0';
    struct buf buf;
    buf_init(&buf, 1003);
    buf_printf(&buf, "%s%03d", long_text, 7);
    assert_false(buf.overflowed);
    assert_int_equal(buf.len, 1003);
    assert_memory_equal(buf.at + 998, "xx007", 5);
    buf_printf(&buf, "%d", 1);
    assert_true(buf.overflowed);
    assert_int_equal(buf.len, 1003);
    buf_close(&buf);
}

static void html_escapes_what_ends_text_or_attributes(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 200);
    buf_add_html(&buf, slice_of("<a href=\"x\" title='y'>&amp; t\xc3\xa9</a>"));
    assert_holds(&buf,
                 "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;amp; t\xc3\xa9&lt;/a&gt;");
    buf_reset(&buf);
    buf_add_html(&buf, slice_of("&"));
    buf_add_html(&buf, slice_of(""));
    buf_add_html(&buf, slice_of("plain"));
    assert_holds(&buf, "&amp;plain");
    buf_close(&buf);
}

static void shrinking_gives_back_only_what_is_large(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 10000);
    buf_add(&buf, slice_of("small"));
    buf_shrink(&buf, 1024);
    assert_true(buf.size > 0);
    assert_int_equal(buf.len, 0);
    assert_non_null(buf_extend(&buf, 5000));
    buf_shrink(&buf, 1024);
    assert_int_equal(buf.size, 0);
    buf_add(&buf, slice_of("again"));
    assert_holds(&buf, "again");
    buf_close(&buf);
}

static void slices_are_cut_trimmed_and_read_as_numbers(void **state)
{
    (void)state;
    struct slice rest = slice_of("a=b=c");
    assert_true(slice_is(slice_cut(&rest, '='), "a"));
    assert_true(slice_is(rest, "b=c"));
    assert_true(slice_is(slice_cut(&rest, '#'), "b=c"));
    assert_int_equal(rest.len, 0);
    assert_true(slice_is(slice_trim(slice_of(" \t x y ")), "x y"));
    uint64_t value = 0;
    assert_true(slice_to_u64(slice_of("9999999999999999999"), &value));
    assert_true(value == 9999999999999999999U);
    assert_false(slice_to_u64(slice_of("10000000000000000000"), &value));
    assert_false(slice_to_u64(slice_of("1x"), &value));
    assert_false(slice_to_u64(slice_of(""), &value));
    assert_false(slice_to_u64(slice_of("-1"), &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_fit_is_not_written_and_seen_at_the_end),
        cmocka_unit_test(a_buffer_without_room_takes_nothing),
        cmocka_unit_test(numbers_are_written_in_full),
        cmocka_unit_test(printf_of_any_length_arrives),
        cmocka_unit_test(html_escapes_what_ends_text_or_attributes),
        cmocka_unit_test(shrinking_gives_back_only_what_is_large),
        cmocka_unit_test(slices_are_cut_trimmed_and_read_as_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
