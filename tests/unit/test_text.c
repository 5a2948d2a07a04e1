#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/text.h"

static struct slice point_text(char out[4], uint32_t point)
{
    if (point < 0x80) {
        out[0] = (char)point;
        return slice_make(out, 1);
    }
    size_t len = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const unsigned char heads[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len; i-- > 1; point >>= 6)
        out[i] = (char)(0x80 | (point & 0x3f));
    out[0] = (char)(heads[len] | point);
    return slice_make(out, len);
}

static void every_code_point_is_valid_and_read_back_but_surrogates(void **state)
{
    (void)state;
    for (uint32_t point = 1; point < 0x110400; point++) {
        char bytes[4];
        struct slice text = point_text(bytes, point);
        bool good = point < 0x110000 && (point < 0xd800 || point > 0xdfff);
        assert_true(text_valid(text) == good);
        struct slice rest = text;
        assert_int_equal(text_next(&rest), good ? point : 0xfffd);
        if (good) assert_int_equal(rest.len, 0);
        if (good) assert_int_equal(text_code_points(text), 1);
    }
}

static void broken_utf8_is_refused_at_every_place(void **state)
{
    (void)state;
    static const struct slice broken[] = {SLICE("\x80"),
                                          SLICE("\xc0\x80"),
                                          SLICE("\xc1\xbf"),
                                          SLICE("\xc3"),
                                          SLICE("\xe0\x9f\xbf"),
                                          SLICE("\xed\xa0\x80"),
                                          SLICE("\xe2\x82"),
                                          SLICE("\xf0\x8f\xbf\xbf"),
                                          SLICE("\xf4\x90\x80\x80"),
                                          SLICE("\xf5\x80\x80\x80"),
                                          SLICE("\xf0\x9f\x98"),
                                          SLICE("\xff"),
                                          SLICE("\xc3\x28")};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        for (size_t before = 0; before < 20; before++) {
            char bytes[40];
            memset(bytes, 'a', sizeof bytes);
            memcpy(bytes + before, broken[i].at, broken[i].len);
            assert_false(text_valid(slice_make(bytes, before + broken[i].len)));
            assert_false(text_valid(slice_make(bytes, sizeof bytes)));
        }
    assert_true(text_valid(slice_of("")));
    assert_true(
        text_valid(slice_of("gr\xc3\xbc\xc3\x9f dich \xf0\x9f\x8d\xb5, 12345678901234567")));
}

static void code_points_are_counted_and_cut_whole(void **state)
{
    (void)state;
    struct slice text = slice_of("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x8d\xb5z, and more than eight");
    assert_int_equal(text_code_points(text), 5 + 21);
    assert_int_equal(text_prefix(text, 0), 0);
    assert_int_equal(text_prefix(text, 2), 3);
    assert_int_equal(text_prefix(text, 4), 10);
    assert_int_equal(text_prefix(text, 1000), text.len);
}

static void a_message_of_nothing_visible_is_blank(void **state)
{
    (void)state;
    assert_true(text_blank(slice_of("")));
    assert_true(text_blank(slice_of(" \t\n\xc2\xa0\xe3\x80\x80\xe2\x80\x8b\xef\xbb\xbf")));
    assert_false(text_blank(slice_of(" \xe2\x80\x8b.")));
    assert_false(text_blank(slice_of("\xf0\x9f\x8d\xb5")));
}

static void controls_are_found_but_for_newline_and_tab(void **state)
{
    (void)state;
    assert_false(text_has_controls(slice_of("a\n\tb \xc3\xa9 \xc2\xa0")));
    assert_true(text_has_controls(slice_of("a\0b")));
    assert_true(text_has_controls(slice_of("a\rb")));
    assert_true(text_has_controls(slice_of("\x7f")));
    assert_true(text_has_controls(slice_of("a\xc2\x85")));
    for (size_t place = 0; place < 20; place++) { /* also where eight are looked at at once */
        for (int byte = 0; byte < 0x80; byte++) {
            char text[20];
            memset(text, place % 2 == 0 ? ' ' : '~', sizeof text);
            text[place] = (char)byte;
            bool is_control = (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f;
            assert_int_equal(text_has_controls(slice_make(text, sizeof text)), is_control);
        }
    }
}

static void assert_name(struct slice raw, const char *expected)
{
    struct buf out;
    buf_init(&out, 1000);
    buf_add(&out, slice_of(">"));
    bool good = text_name(&out, raw);
    assert_true(good == (expected != NULL));
    assert_true(slice_is(slice_skip(buf_slice(&out), 1), expected == NULL ? "" : expected));
    buf_close(&out);
}

static void a_name_is_trimmed_composed_and_free_of_tricks(void **state)
{
    (void)state;
    assert_name(slice_of("  Maja   Ola "), "Maja Ola");
    assert_name(slice_of("Jose\xcc\x81"), "Jos\xc3\xa9");
    assert_name(slice_of("\xe3\x80\x80x\xc2\xa0y"), "x y");
    assert_name(slice_of("   "), NULL);
    assert_name(slice_of(""), NULL);
    assert_name(slice_of("a\nb"), NULL);
    assert_name(slice_of("a\0b"), NULL);
    assert_name(slice_of("a\xe2\x80\xae"
                         "b"),
                NULL); /* right-to-left override */
    assert_name(slice_of("a\xe2\x80\x8b"
                         "b"),
                NULL); /* zero-width space */
    assert_name(slice_of("a\xe2\x80\x8d"
                         "b"),
                NULL); /* a joiner between letters */
    assert_name(slice_of("\xff"), NULL);
    assert_name(slice_of("\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x94\xac"),
                "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x94\xac");
    assert_name(slice_of("<b>&\"'"), "<b>&\"'"); /* escaped where it goes out */
    assert_name(slice_of("1234567890123456789012345678901234567890"),
                "1234567890123456789012345678901234567890");
    assert_name(slice_of("12345678901234567890123456789012345678901"), NULL);
}

static void assert_room(struct slice raw, const char *expected)
{
    struct buf out;
    buf_init(&out, 1000);
    bool good = text_room(&out, raw);
    assert_true(good == (expected != NULL));
    assert_true(slice_is(buf_slice(&out), expected == NULL ? "" : expected));
    assert_false(text_room_lawful(slice_of("")));
    if (good) assert_true(text_room_lawful(buf_slice(&out)));
    buf_close(&out);
}

static void a_room_is_lower_case_without_blanks(void **state)
{
    (void)state;
    assert_room(slice_of("Green Tea"), "green-tea");
    assert_room(slice_of(" v1.2_x "), "v1.2_x");
    assert_room(slice_of("\xc3\x84pfel"), "\xc3\xa4pfel");
    assert_room(slice_of("A\xcc\x88"), "\xc3\xa4");
    assert_room(
        slice_of("\xe0\xa4\xb9\xe0\xa4\xbf\xe0\xa4\xa8\xe0\xa5\x8d\xe0\xa4\xa6\xe0\xa5\x80"),
        "\xe0\xa4\xb9\xe0\xa4\xbf\xe0\xa4\xa8\xe0\xa5\x8d\xe0\xa4\xa6\xe0\xa5\x80");
    assert_room(slice_of(".."), NULL);
    assert_room(slice_of("-x"), NULL);
    assert_room(slice_of("a/b"), NULL);
    assert_room(slice_of("a%2f"), NULL);
    assert_room(slice_of("tea\xf0\x9f\x8d\xb5"), NULL);
    assert_room(slice_of("a\xe2\x80\xae"), NULL);
    assert_room(slice_of("a\0"), NULL);
    assert_room(slice_of(""), NULL);
    assert_room(slice_of("1234567890123456789012345678901234567890123456789012345678901234"),
                "1234567890123456789012345678901234567890123456789012345678901234");
    assert_room(slice_of("12345678901234567890123456789012345678901234567890123456789012345"),
                NULL);
}

/* A name that was made once must not change when it is made again: apply and links rely on it. */
static void names_and_rooms_of_any_code_point_are_stable(void **state)
{
    (void)state;
    struct buf once;
    struct buf twice;
    buf_init(&once, 1000);
    buf_init(&twice, 1000);
    bool (*makers[])(struct buf *, struct slice) = {text_name, text_room};
    for (uint32_t point = 1; point < 0x20000; point += point < 0x3400 ? 1 : 5) {
        if (point >= 0xd800 && point <= 0xdfff) continue;
        char raw[12] = "a ";
        char bytes[4];
        struct slice text = point_text(bytes, point);
        memcpy(raw + 2, text.at, text.len);
        raw[2 + text.len] = 'B';
        for (size_t i = 0; i < 2; i++) {
            buf_reset(&once);
            buf_reset(&twice);
            if (!makers[i](&once, slice_make(raw, text.len + 3))) continue;
            assert_true(makers[i](&twice, buf_slice(&once)));
            assert_true(slice_equal(buf_slice(&once), buf_slice(&twice)));
            if (i == 1) assert_true(text_room_lawful(buf_slice(&once)));
        }
    }
    buf_close(&once);
    buf_close(&twice);
}

static void emoji_alone_are_known_from_text(void **state)
{
    (void)state;
    assert_true(text_only_emoji(slice_of("\xf0\x9f\x8d\xb5")));
    assert_true(
        text_only_emoji(slice_of("\xf0\x9f\x8d\xb5 \xe2\x98\x95 \xe2\x9d\xa4\xef\xb8\x8f")));
    assert_true(text_only_emoji(slice_of("\xf0\x9f\x87\xa9\xf0\x9f\x87\xaa")));
    assert_true(text_only_emoji(slice_of("1\xef\xb8\x8f\xe2\x83\xa3")));
    assert_true(text_only_emoji(slice_of("\xf0\x9f\x91\x8d\xf0\x9f\x8f\xbd")));
    assert_false(text_only_emoji(slice_of("1")));
    assert_false(text_only_emoji(slice_of("\xc2\xa9")));
    assert_false(text_only_emoji(slice_of("\xf0\x9f\x8d\xb5!")));
    assert_false(text_only_emoji(slice_of("   ")));
    assert_false(text_only_emoji(slice_of("\xe2\x98\x95\xe2\x98\x95\xe2\x98\x95\xe2\x98\x95")));
}

static void initials_and_lower_case_follow_unicode(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 100);
    text_initial(&out, slice_of("\xc3\xa9mile"));
    text_initial(&out, slice_of("\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x94\xac x"));
    text_initial(&out, slice_of(""));
    text_lower(&out, slice_of("ABC\xc3\x89"));
    assert_true(slice_is(buf_slice(&out), "\xc3\x89\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x94\xac"
                                          "abc\xc3\xa9"));
    buf_close(&out);
}

static void percent_escapes_go_both_ways(void **state)
{
    (void)state;
    struct buf out;
    struct buf back;
    buf_init(&out, 2000);
    buf_init(&back, 2000);
    char all[256];
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (char)(unsigned char)i;
    text_escape_url(&out, slice_make(all, sizeof all));
    assert_true(text_unescape_url(&back, buf_slice(&out), true));
    assert_true(slice_equal(buf_slice(&back), slice_make(all, sizeof all)));

    buf_reset(&back);
    assert_true(text_unescape_url(&back, slice_of("a+b%20c"), true));
    assert_true(slice_is(buf_slice(&back), "a b c"));
    static const char *const bad[] = {"%", "x%2", "%zz", "%2z", "ab%"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(text_unescape_url(&back, slice_from(bad[i]), false));
        assert_true(slice_is(buf_slice(&back), "a b c"));
    }
    buf_close(&out);
    buf_close(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_is_valid_and_read_back_but_surrogates),
        cmocka_unit_test(broken_utf8_is_refused_at_every_place),
        cmocka_unit_test(code_points_are_counted_and_cut_whole),
        cmocka_unit_test(a_message_of_nothing_visible_is_blank),
        cmocka_unit_test(controls_are_found_but_for_newline_and_tab),
        cmocka_unit_test(a_name_is_trimmed_composed_and_free_of_tricks),
        cmocka_unit_test(a_room_is_lower_case_without_blanks),
        cmocka_unit_test(names_and_rooms_of_any_code_point_are_stable),
        cmocka_unit_test(emoji_alone_are_known_from_text),
        cmocka_unit_test(initials_and_lower_case_follow_unicode),
        cmocka_unit_test(percent_escapes_go_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
