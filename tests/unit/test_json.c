#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/limits.h"

static void values_are_separated_by_the_writer(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 1000);
    buf_add_char(&buf, '{');
    json_add_u64(&buf, "a", UINT64_MAX);
    json_add_i64(&buf, "b", -5);
    json_add_bool(&buf, "c", true);
    json_add_text(&buf, "d", slice_of("x"));
    json_add_null(&buf, "e");
    json_add_double(&buf, "f", 1.25, 1);
    json_add_double(&buf, "g", (double)NAN, 1);
    json_add_double(&buf, "h", (double)INFINITY, 1);
    json_add_time(&buf, "i", 1795595571204);
    json_add_key(&buf, "j");
    buf_add_char(&buf, '[');
    json_add_u64(&buf, NULL, 1);
    json_add_u64(&buf, NULL, 2);
    buf_add(&buf, slice_of("]}"));
    assert_true(slice_is(buf_slice(&buf),
                         "{\"a\":18446744073709551615,\"b\":-5,\"c\":true,\"d\":\"x\",\"e\":null,"
                         "\"f\":1.2,\"g\":null,\"h\":null,\"i\":\"2026-11-25T08:32:51.204Z\","
                         "\"j\":[1,2]}"));
    buf_close(&buf);
}

static void every_character_survives_writing_and_reading(void **state)
{
    (void)state;
    char all[400];
    size_t len = 0;
    for (int c = 1; c < 0x80; c++)
        all[len++] = (char)c;
    struct slice more =
        slice_of("\xe2\x80\xa8|\xe2\x80\xa9|\xe2\x80\xaa|\xe2\x82\xac|\xf0\x9f\x8d\xb5");
    memcpy(all + len, more.at, more.len);
    len += more.len;

    struct buf buf;
    buf_init(&buf, 4000);
    json_add_string(&buf, slice_make(all, len));
    assert_null(memmem(buf.at, buf.len, "\xe2\x80\xa8", 3));
    assert_null(memmem(buf.at, buf.len, "\xe2\x80\xa9", 3));
    assert_non_null(memmem(buf.at, buf.len, "\\u0001", 6));
    struct json *json = NULL;
    assert_int_equal(json_parse(&json, buf_slice(&buf), NULL), 0);
    assert_true(slice_equal(json_slice(json), slice_make(all, len)));
    json_free(json);
    buf_close(&buf);
}

static void a_tree_is_read_and_absent_values_are_harmless(void **state)
{
    (void)state;
    struct json *json = NULL;
    struct slice text = slice_of("{\"n\":9223372036854775807,\"s\":\"\\u00e9\",\"a\":[1,2.5,null],"
                                 "\"t\":true,\"o\":{}}");
    assert_int_equal(json_parse(&json, text, NULL), 0);
    int64_t value = 0;
    assert_true(json_to_i64(json_get(json, "n"), &value));
    assert_true(value == INT64_MAX);
    assert_true(slice_is(json_slice(json_get(json, "s")), "\xc3\xa9"));
    const struct json *array = json_get(json, "a");
    assert_int_equal(json_count(array), 3);
    assert_false(json_to_i64(json_at(array, 1), &value));
    assert_true(json_to_double(json_at(array, 1), 0) > 2.4);
    assert_true(json_is_null(json_at(array, 2)));
    assert_null(json_at(array, 3));
    assert_true(json_to_bool(json_get(json, "t"), false));
    assert_int_equal(json_type(json_get(json, "o")), JSON_T_OBJECT);

    assert_null(json_get(json, "absent"));
    assert_null(json_get(array, "n"));
    assert_null(json_get(NULL, "n"));
    assert_null(json_at(NULL, 0));
    assert_int_equal(json_slice(NULL).len, 0);
    assert_int_equal(json_slice(array).len, 0);
    assert_int_equal(json_count(NULL), 0);
    assert_int_equal(json_type(NULL), JSON_T_NULL);
    assert_true(json_is_null(NULL));
    assert_false(json_to_i64(NULL, &value));
    assert_true(json_to_bool(NULL, true));
    json_free(json);
    json_free(NULL);
}

static void bad_texts_are_refused_with_a_place(void **state)
{
    (void)state;
    static const struct slice bad[] = {SLICE(""),
                                       SLICE("{"),
                                       SLICE("[1,]"),
                                       SLICE("{\"a\":1,\"a\":2}"),
                                       SLICE("[1] x"),
                                       SLICE("\"\\u0000\""),
                                       SLICE("\"a\0b\""),
                                       SLICE("\"\xff\""),
                                       SLICE("\"\\ud800\""),
                                       SLICE("nul"),
                                       SLICE("[1e999]"),
                                       SLICE("'a'"),
                                       SLICE("\"a\nb\""),
                                       SLICE("[99999999999999999999]")};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct json *json = NULL;
        struct errmsg errmsg = {.text = ""};
        assert_int_equal(json_parse(&json, bad[i], &errmsg), ERR_FORMAT);
        assert_null(json);
        assert_true(strlen(errmsg.text) > 0);
    }
}

static void depth_is_limited_before_the_parser_sees_it(void **state)
{
    (void)state;
    char deep[2 * (JSON_DEPTH_MAX + 1)];
    memset(deep, '[', JSON_DEPTH_MAX);
    memset(deep + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    struct json *json = NULL;
    assert_int_equal(json_parse(&json, slice_make(deep, 2 * JSON_DEPTH_MAX), NULL), 0);
    json_free(json);
    memset(deep, '[', JSON_DEPTH_MAX + 1);
    memset(deep + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    assert_int_equal(json_parse(&json, slice_make(deep, sizeof deep), NULL), ERR_TOO_LARGE);
    assert_int_equal(json_parse(&json, slice_of("\"[[[[[[[[[[[[[[[[[[[[\\\"[[[\""), NULL), 0);
    json_free(json);
    static char large[JSON_TEXT_MAX + 1];
    assert_int_equal(json_parse(&json, slice_make(large, sizeof large), NULL), ERR_TOO_LARGE);
}

static void a_text_cut_anywhere_is_refused(void **state)
{
    (void)state;
    struct slice text =
        slice_of("[\"1\",null,\"lv:x\",\"event\",{\"value\":\"a=\\u00e9&b\",\"n\":-1.5e3}]");
    for (size_t len = 0; len < text.len; len++) {
        struct json *json = NULL;
        assert_int_equal(json_parse(&json, slice_first(text, len), NULL), ERR_FORMAT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_separated_by_the_writer),
        cmocka_unit_test(every_character_survives_writing_and_reading),
        cmocka_unit_test(a_tree_is_read_and_absent_values_are_harmless),
        cmocka_unit_test(bad_texts_are_refused_with_a_place),
        cmocka_unit_test(depth_is_limited_before_the_parser_sees_it),
        cmocka_unit_test(a_text_cut_anywhere_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
