#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/json.h"
#include "live/params.h"

static struct params params;

static void read_form(const char *form)
{
    params_close(&params);
    params_init(&params);
    params_read_form(&params, slice_from(form));
}

static void read_json(const char *text)
{
    struct json *json;
    assert_int_equal(json_parse(&json, slice_from(text), NULL), 0);
    params_close(&params);
    params_init(&params);
    params_read_json(&params, json);
    json_free(json);
}

static void assert_field(const char *name, const char *value)
{
    assert_true(params_has(&params, name));
    assert_true(slice_is(params_get(&params, name), value));
}

static void a_form_is_decoded_once(void **state)
{
    (void)state;
    read_form("nonce=n1&message=a+b%2B%0A%C3%BC%26&empty=&alone&=nameless&a%20b=c");
    assert_field("nonce", "n1");
    assert_field("message", "a b+\n\xc3\xbc&");
    assert_field("empty", "");
    assert_field("alone", "");
    assert_field("a b", "c");
    assert_false(params_has(&params, "absent"));
    assert_int_equal(params_get(&params, "absent").len, 0);
    assert_false(params.is_broken);
}

static void a_value_may_hold_what_separates_fields(void **state)
{
    (void)state;
    read_form("a=b=c&&d=%3D%26");
    assert_field("a", "b=c");
    assert_field("d", "=&");
    assert_int_equal(params.count, 2);
}

static void the_first_of_two_fields_stays(void **state)
{
    (void)state;
    read_form("a=1&a=2");
    assert_field("a", "1");
    assert_int_equal(params.count, 1);
}

static void what_nobody_touched_is_left_out(void **state)
{
    (void)state;
    read_form("_unused_a=&a=&_unused_b=&b=x");
    assert_int_equal(params.count, 2);
    assert_field("b", "x");
}

static void what_is_no_text_breaks_the_whole_form(void **state)
{
    static const char *const forms[] = {"a=1&b=%FF", "a=1&b=%",  "a=1&b=%4",   "a=1&b=%zz",
                                        "%FF=1",     "a=%C0%80", "a=%ED%A0%80"};
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        read_form(forms[i]);
        assert_true(params.is_broken);
        assert_int_equal(params.count, 0);
        assert_int_equal(params_get(&params, "a").len, 0);
    }
}

static void more_fields_than_allowed_break_the_form(void **state)
{
    char form[PARAMS_MAX * 8 + 64];
    size_t len = 0;
    (void)state;
    for (int i = 0; i < PARAMS_MAX; i++)
        len += (size_t)snprintf(form + len, sizeof form - len, "f%d=1&", i);
    read_form(form);
    assert_false(params.is_broken);
    assert_int_equal(params.count, PARAMS_MAX);
    snprintf(form + len, sizeof form - len, "more=1");
    read_form(form);
    assert_true(params.is_broken);
}

static void members_of_a_json_value_are_fields(void **state)
{
    (void)state;
    read_json("{\"id\":\"m-36\",\"_overran\":true,\"n\":-12,\"f\":1.5,\"off\":false,\"null\":null,"
              "\"list\":[1],\"object\":{\"a\":1},\"_unused_x\":\"y\",\"big\":9007199254740991}");
    assert_field("id", "m-36");
    assert_field("_overran", "true");
    assert_field("off", "false");
    assert_field("n", "-12");
    assert_field("f", "1.5");
    assert_field("big", "9007199254740991");
    assert_int_equal(params.count, 6);
}

static void what_is_no_object_has_no_fields(void **state)
{
    static const char *const texts[] = {"[1,2]", "\"text\"", "7", "null", "{}"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        read_json(texts[i]);
        assert_int_equal(params.count, 0);
        assert_false(params.is_broken);
    }
    params_read_json(&params, NULL);
    assert_int_equal(params.count, 0);
}

static void reading_again_starts_anew(void **state)
{
    (void)state;
    read_form("a=%FF");
    params_read_form(&params, slice_from("b=2"));
    assert_false(params.is_broken);
    assert_int_equal(params.count, 1);
    assert_field("b", "2");
    params_read_form(&params, slice_from(""));
    assert_int_equal(params.count, 0);
}

static int close_params(void **state)
{
    (void)state;
    params_close(&params);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_form_is_decoded_once),
        cmocka_unit_test(a_value_may_hold_what_separates_fields),
        cmocka_unit_test(the_first_of_two_fields_stays),
        cmocka_unit_test(what_nobody_touched_is_left_out),
        cmocka_unit_test(what_is_no_text_breaks_the_whole_form),
        cmocka_unit_test(more_fields_than_allowed_break_the_form),
        cmocka_unit_test(members_of_a_json_value_are_fields),
        cmocka_unit_test(what_is_no_object_has_no_fields),
        cmocka_unit_test(reading_again_starts_anew),
    };
    params_init(&params);
    return cmocka_run_group_tests(tests, NULL, close_params);
}
