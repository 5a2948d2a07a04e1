#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "live/token.h"

enum { NOW_S = 1764000000, DAY_S = 24 * 3600 };

static const struct token_keys keys = {
    .secrets = {SLICE("one secret of at least 32 bytes..."), {NULL, 0}}};
static const struct token_keys others = {
    .secrets = {SLICE("another secret of 32 bytes or so.."), {NULL, 0}}};

static struct identity ann(void)
{
    struct identity who = {.issued_s = NOW_S, .name_len = 4, .node_len = 5};
    memcpy(who.session, "0123456789abcdef", 16);
    memcpy(who.name, "\xc3\x85nn", 4);
    memcpy(who.node, "tea-1", 5);
    identity_derive(&who, &keys);
    return who;
}

static struct buf token;

static void make_session(const struct identity *who, const struct token_keys *with)
{
    buf_reset(&token);
    token_add_session(&token, with, who);
}

static void a_session_brings_back_who_it_was_for(void **state)
{
    struct identity who = ann();
    struct identity read;
    (void)state;
    make_session(&who, &keys);
    assert_true(token.len <= TOKEN_MAX);
    assert_true(token_read_session(&read, &keys, buf_slice(&token), NOW_S + 5));
    assert_memory_equal(read.session, who.session, 16);
    assert_memory_equal(read.csrf, who.csrf, 16);
    assert_memory_equal(read.sender_id.bytes, who.sender_id.bytes, 16);
    assert_int_equal(read.issued_s, NOW_S);
    assert_true(slice_is(identity_name(&read), "\xc3\x85nn"));
    assert_int_equal(read.node_len, 5);
    assert_memory_equal(read.node, "tea-1", 5);
}

static void a_cookie_brings_back_who_it_was_for_without_a_node(void **state)
{
    struct identity who = ann();
    struct identity read;
    (void)state;
    buf_reset(&token);
    token_add_cookie(&token, &keys, &who);
    assert_true(token_read_cookie(&read, &keys, buf_slice(&token), NOW_S));
    assert_memory_equal(read.session, who.session, 16);
    assert_true(slice_is(identity_name(&read), "\xc3\x85nn"));
    assert_int_equal(read.node_len, 0);
}

static void the_longest_name_fits(void **state)
{
    struct identity who = ann();
    struct identity read;
    (void)state;
    who.name_len = NAME_MAX_BYTES;
    who.node_len = NODE_NAME_MAX;
    memset(who.name, 'x', NAME_MAX_BYTES);
    memset(who.node, 'y', NODE_NAME_MAX);
    make_session(&who, &keys);
    assert_true(token.len <= TOKEN_MAX);
    assert_true(token_read_session(&read, &keys, buf_slice(&token), NOW_S));
    assert_memory_equal(read.name, who.name, NAME_MAX_BYTES);
}

static void a_csrf_token_brings_back_its_id(void **state)
{
    struct identity who = ann();
    uint8_t id[16];
    (void)state;
    buf_reset(&token);
    token_add_csrf(&token, &keys, who.csrf);
    assert_true(token_read_csrf(id, &keys, buf_slice(&token)));
    assert_memory_equal(id, who.csrf, 16);
}

static void one_kind_never_passes_for_another(void **state)
{
    struct identity who = ann();
    uint8_t id[16];
    (void)state;
    make_session(&who, &keys);
    assert_false(token_read_cookie(&who, &keys, buf_slice(&token), NOW_S));
    assert_false(token_read_csrf(id, &keys, buf_slice(&token)));
    buf_reset(&token);
    token_add_cookie(&token, &keys, &who);
    assert_false(token_read_session(&who, &keys, buf_slice(&token), NOW_S));
    buf_reset(&token);
    token_add_csrf(&token, &keys, who.csrf);
    assert_false(token_read_session(&who, &keys, buf_slice(&token), NOW_S));
}

static void one_wrong_bit_anywhere_is_noticed(void **state)
{
    struct identity who = ann();
    struct identity read;
    uint8_t id[16];
    (void)state;
    make_session(&who, &keys);
    for (size_t i = 0; i < token.len * 8; i++) {
        token.at[i / 8] = (char)(token.at[i / 8] ^ (1 << (i % 8)));
        assert_false(token_read_session(&read, &keys, buf_slice(&token), NOW_S));
        token.at[i / 8] = (char)(token.at[i / 8] ^ (1 << (i % 8)));
    }
    assert_true(token_read_session(&read, &keys, buf_slice(&token), NOW_S));
    buf_reset(&token);
    token_add_csrf(&token, &keys, who.csrf);
    for (size_t i = 0; i < token.len * 8; i++) {
        token.at[i / 8] = (char)(token.at[i / 8] ^ (1 << (i % 8)));
        assert_false(token_read_csrf(id, &keys, buf_slice(&token)));
        token.at[i / 8] = (char)(token.at[i / 8] ^ (1 << (i % 8)));
    }
}

static void no_part_of_a_token_is_one(void **state)
{
    struct identity who = ann();
    struct identity read;
    (void)state;
    make_session(&who, &keys);
    for (size_t len = 0; len < token.len; len++)
        assert_false(token_read_session(&read, &keys, slice_first(buf_slice(&token), len), NOW_S));
    buf_add_char(&token, 'A');
    assert_false(token_read_session(&read, &keys, buf_slice(&token), NOW_S));
    while (token.len <= TOKEN_MAX)
        buf_add_char(&token, 'A');
    assert_false(token_read_session(&read, &keys, buf_slice(&token), NOW_S));
}

static void an_old_secret_is_accepted_until_it_is_gone(void **state)
{
    struct identity who = ann();
    struct identity read;
    struct token_keys both = {.secrets = {others.secrets[0], keys.secrets[0]}};
    (void)state;
    make_session(&who, &keys);
    assert_true(token_read_session(&read, &both, buf_slice(&token), NOW_S));
    assert_memory_equal(read.csrf, who.csrf, 16);
    assert_memory_equal(read.sender_id.bytes, who.sender_id.bytes, 16);
    assert_false(token_read_session(&read, &others, buf_slice(&token), NOW_S));
    make_session(&who, &both); /* the first signs */
    assert_true(token_read_session(&read, &others, buf_slice(&token), NOW_S));
}

static void tokens_age(void **state)
{
    struct identity who = ann();
    struct identity read;
    (void)state;
    make_session(&who, &keys);
    struct slice text = buf_slice(&token);
    assert_true(token_read_session(&read, &keys, text, NOW_S + TOKEN_AGE_MAX_S));
    assert_false(token_read_session(&read, &keys, text, NOW_S + TOKEN_AGE_MAX_S + 1));
    assert_true(token_read_session(&read, &keys, text, NOW_S - DAY_S));
    assert_false(token_read_session(&read, &keys, text, NOW_S - DAY_S - 1));
    buf_reset(&token);
    token_add_cookie(&token, &keys, &who);
    assert_true(token_read_cookie(&read, &keys, buf_slice(&token), NOW_S + COOKIE_AGE_S));
    assert_false(token_read_cookie(&read, &keys, buf_slice(&token), NOW_S + COOKIE_AGE_S + 1));
}

static void ids_follow_from_the_session_and_tell_nothing_of_it(void **state)
{
    struct identity one = ann();
    struct identity two = ann();
    (void)state;
    identity_derive(&two, &others);
    assert_memory_equal(one.csrf, two.csrf, 16);
    assert_memory_not_equal(one.csrf, one.session, 16);
    assert_memory_not_equal(one.csrf, one.sender_id.bytes, 16);
    two.session[0] ^= 1;
    identity_derive(&two, &keys);
    assert_memory_not_equal(one.csrf, two.csrf, 16);
    assert_memory_not_equal(one.sender_id.bytes, two.sender_id.bytes, 16);
}

static int close_token(void **state)
{
    (void)state;
    buf_close(&token);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_brings_back_who_it_was_for),
        cmocka_unit_test(a_cookie_brings_back_who_it_was_for_without_a_node),
        cmocka_unit_test(the_longest_name_fits),
        cmocka_unit_test(a_csrf_token_brings_back_its_id),
        cmocka_unit_test(one_kind_never_passes_for_another),
        cmocka_unit_test(one_wrong_bit_anywhere_is_noticed),
        cmocka_unit_test(no_part_of_a_token_is_one),
        cmocka_unit_test(an_old_secret_is_accepted_until_it_is_gone),
        cmocka_unit_test(tokens_age),
        cmocka_unit_test(ids_follow_from_the_session_and_tell_nothing_of_it),
    };
    buf_init(&token, 4096);
    return cmocka_run_group_tests(tests, NULL, close_token);
}
