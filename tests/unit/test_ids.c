#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "chat/ids.h"

static void a_uuid_is_taken_as_it_is(void **state)
{
    (void)state;
    struct command_id id;
    struct command_id upper;
    char text[COMMAND_ID_TEXT];
    assert_true(command_id_from(&id, slice_of("0193f1c2-7a5b-7def-8012-3456789abcde")));
    assert_int_equal(id.bytes[0], 0x01);
    assert_int_equal(id.bytes[15], 0xde);
    command_id_text(text, &id);
    assert_memory_equal(text, "0193f1c2-7a5b-7def-8012-3456789abcde", COMMAND_ID_TEXT);
    assert_true(command_id_from(&upper, slice_of("0193F1C2-7A5B-7DEF-8012-3456789ABCDE")));
    assert_true(command_id_equal(&id, &upper));
}

static void any_other_key_is_hashed(void **state)
{
    (void)state;
    struct command_id a;
    struct command_id b;
    char key[COMMAND_KEY_MAX + 1];
    memset(key, 'k', sizeof key);
    assert_true(command_id_from(&a, slice_of("order-1")));
    assert_true(command_id_from(&b, slice_of("order-2")));
    assert_false(command_id_equal(&a, &b));
    assert_true(command_id_from(&b, slice_of("order-1")));
    assert_true(command_id_equal(&a, &b));
    assert_true(command_id_from(&a, slice_of("0193f1c2-7a5b-7def-8012-3456789abcdg")));
    assert_true(command_id_from(&a, slice_make(key, COMMAND_KEY_MAX)));
    assert_false(command_id_from(&a, slice_make(key, COMMAND_KEY_MAX + 1)));
    assert_false(command_id_from(&a, slice_of("")));
}

static void a_fresh_id_is_a_uuid_of_version_7(void **state)
{
    (void)state;
    const uint8_t random[10] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct command_id id;
    struct command_id later;
    char text[COMMAND_ID_TEXT];
    command_id_make(&id, 0x0193f1c27a5b, random);
    command_id_text(text, &id);
    assert_memory_equal(text, "0193f1c2-7a5b-7fff-bfff-ffffffffffff", COMMAND_ID_TEXT);
    command_id_make(&later, 0x0193f1c27a5c, random);
    assert_true(memcmp(&id, &later, sizeof id) < 0);
}

static void a_session_and_an_api_sender_of_one_name_differ(void **state)
{
    (void)state;
    struct sender_id session;
    struct sender_id api;
    sender_id_of_session(&session, slice_of("maja"));
    sender_id_of_api(&api, slice_of("maja"));
    assert_memory_not_equal(&session, &api, sizeof api);
    sender_id_of_api(&session, slice_of("maja"));
    assert_memory_equal(&session, &api, sizeof api);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_uuid_is_taken_as_it_is),
        cmocka_unit_test(any_other_key_is_hashed),
        cmocka_unit_test(a_fresh_id_is_a_uuid_of_version_7),
        cmocka_unit_test(a_session_and_an_api_sender_of_one_name_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
