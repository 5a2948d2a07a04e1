/* The administrator's token, and what is read from an administrator's requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "app/admin.h"
#include "app/admin_api.h"
#include "app/backup_api.h"
#include "base/json.h"
#include "base/mem.h"

/* ---- the token ---- */

#define OLD "an-old-secret-of-more-than-32-characters"
#define NEW "a-new-secret-of-more-than-32-characters!"

static void secret_of(struct secret *secret, const char *first, const char *second)
{
    *secret = (struct secret){.count = second == NULL ? 1 : 2};
    secret->lens[0] = strlen(first);
    memcpy(secret->bytes[0], first, secret->lens[0]);
    if (second == NULL) return;
    secret->lens[1] = strlen(second);
    memcpy(secret->bytes[1], second, secret->lens[1]);
}

static bool believes(const struct secret *secret, const char *authorization)
{
    return admin_believes(secret, slice_from(authorization));
}

/* From another implementation: `printf admin | openssl dgst -sha256 -hmac SECRET -binary`, base64url. */
static void a_token_is_the_code_of_a_word_under_the_secret(void **state)
{
    char token[ADMIN_TOKEN_LEN + 1];
    (void)state;
    admin_token(token, slice_of(OLD));
    assert_string_equal(token, "QSSKXp68PaxV_PbVOnzKFp6_3b92u9nuUbMXemefLFQ");
}

static void a_token_of_either_line_is_believed(void **state)
{
    struct secret both, newest;
    char of_old[16 + ADMIN_TOKEN_LEN] = "Bearer ", of_new[16 + ADMIN_TOKEN_LEN] = "bearer  ";
    (void)state;
    secret_of(&both, NEW, OLD);
    secret_of(&newest, NEW, NULL);
    admin_token(of_old + 7, slice_of(OLD));
    admin_token(of_new + 8, slice_of(NEW));
    assert_true(believes(&both, of_old));
    assert_true(believes(&both, of_new));
    assert_true(believes(&newest, of_new));
    assert_false(believes(&newest, of_old));
}

static void nothing_else_is_believed(void **state)
{
    struct secret secret;
    char right[16 + ADMIN_TOKEN_LEN] = "Bearer ";
    (void)state;
    secret_of(&secret, OLD, NULL);
    admin_token(right + 7, slice_of(OLD));
    const char *const wrong[] = {"",           "Bearer",  "Bearer ", "Bearer x",
                                 "Basic YTpi", right + 7, OLD,       "Bearer " OLD};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(believes(&secret, wrong[i]));
    assert_false(admin_believes(&secret, (struct slice){NULL, 0}));

    /* One bit of any of its characters. */
    for (size_t i = 7; right[i] != '\0'; i++) {
        right[i] ^= 1;
        assert_false(believes(&secret, right));
        right[i] ^= 1;
    }
    assert_true(believes(&secret, right));

    /* A part of it, more than it, and very much more than it. */
    assert_false(admin_believes(&secret, slice_make(right, strlen(right) - 1)));
    char *longer = mem_new(1024 * 1024);
    memset(longer, 'x', 1024 * 1024);
    memcpy(longer, right, strlen(right));
    assert_false(admin_believes(&secret, slice_make(longer, strlen(right) + 1)));
    assert_false(admin_believes(&secret, slice_make(longer, 1024 * 1024)));
    mem_free(longer);
}

/* ---- changes ---- */

static int parse(struct change_request *change, enum web_route route, const char *name,
                 const char *text, struct errmsg *errmsg)
{
    struct json *body = NULL;
    if (text != NULL) assert_int_equal(json_parse(&body, slice_from(text), errmsg), 0);
    int rv = admin_change_parse(change, route, text == NULL && route == ROUTE_MEMBER,
                                slice_from(name), body, errmsg);
    json_free(body);
    return rv;
}

static void a_transfer_may_name_the_next_leader(void **state)
{
    struct change_request change;
    (void)state;
    assert_int_equal(parse(&change, ROUTE_TRANSFER, NULL, NULL, NULL), 0);
    assert_int_equal(change.kind, CHANGE_TRANSFER);
    assert_string_equal(change.name, "");
    assert_int_equal(parse(&change, ROUTE_TRANSFER, NULL, "{}", NULL), 0);
    assert_int_equal(parse(&change, ROUTE_TRANSFER, NULL, "{\"to\":\"tea-2\"}", NULL), 0);
    assert_string_equal(change.name, "tea-2");
}

static void members_come_become_voters_and_go(void **state)
{
    struct change_request change;
    (void)state;
    assert_int_equal(parse(&change, ROUTE_MEMBERS, NULL,
                           "{\"name\":\"tea-4\",\"address\":\"10.0.0.14:7000\"}", NULL),
                     0);
    assert_int_equal(change.kind, CHANGE_ADD);
    assert_string_equal(change.name, "tea-4");
    assert_string_equal(change.address, "10.0.0.14:7000");
    assert_int_equal(parse(&change, ROUTE_MEMBER, "tea-4", "{\"role\":\"voter\"}", NULL), 0);
    assert_int_equal(change.kind, CHANGE_PROMOTE);
    assert_int_equal(parse(&change, ROUTE_MEMBER, "tea-4", NULL, NULL), 0);
    assert_int_equal(change.kind, CHANGE_REMOVE);
    assert_string_equal(change.name, "tea-4");
}

static void a_change_that_is_none_is_refused_with_a_sentence(void **state)
{
    static const struct {
        enum web_route route;
        const char *name, *body, *words;
    } bad[] = {
        {ROUTE_TRANSFER, NULL, "[]", "must be {\"to\"}"},
        {ROUTE_TRANSFER, NULL, "{\"too\":\"tea-2\"}", "hold nothing else"},
        {ROUTE_TRANSFER, NULL, "{\"to\":2}", "'to' must be a string"},
        {ROUTE_TRANSFER, NULL, "{\"to\":\"\"}", "A node's name"},
        {ROUTE_TRANSFER, NULL, "{\"to\":\"Tea 2\"}", "A node's name"},
        {ROUTE_MEMBERS, NULL, "{}", "'name' is missing"},
        {ROUTE_MEMBERS, NULL, "{\"name\":\"tea-4\"}", "'address' is missing"},
        {ROUTE_MEMBERS, NULL, "{\"name\":\"tea-4\",\"address\":\"h:1\",\"x\":1}", "nothing else"},
        {ROUTE_MEMBERS, NULL, "{\"name\":\"tea 4\",\"address\":\"h:1\"}", "A node's name"},
        {ROUTE_MEMBERS, NULL, "{\"name\":\"a=b:1, c\",\"address\":\"h:1\"}", "A node's name"},
        {ROUTE_MEMBERS, NULL, "{\"name\":\" tea-4\",\"address\":\"h:1\"}", "A node's name"},
        {ROUTE_MEMBERS, NULL, "{\"name\":\"tea-4\",\"address\":\"h:1 \"}", "host:port"},
        {ROUTE_MEMBERS, NULL, "{\"name\":\"tea-4\",\"address\":\"h\"}", "host:port"},
        {ROUTE_MEMBERS, NULL, "{\"name\":\"tea-4\",\"address\":\"h:1, tea-5=h:2\"}", "host:port"},
        {ROUTE_MEMBERS, NULL, "{\"name\":\"tea-4\",\"address\":\"h:99999\"}", "host:port"},
        {ROUTE_MEMBER, "tea-4", "{}", "'role' is missing"},
        {ROUTE_MEMBER, "tea-4", "{\"role\":\"standby\"}", "\"voter\", and nothing else"},
        {ROUTE_MEMBER, "tea 4", "{\"role\":\"voter\"}", "A node's name"},
        {ROUTE_MEMBER, "-tea", NULL, "A node's name"},
        {ROUTE_MEMBER, "a-name-that-is-longer-than-32-chars", NULL, "A node's name"},
    };
    struct change_request change;
    struct errmsg errmsg;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int rv = parse(&change, bad[i].route, bad[i].name, bad[i].body, &errmsg);
        if (rv != ERR_FORMAT) fail_msg("taken: %s", bad[i].body == NULL ? "-" : bad[i].body);
        if (strstr(errmsg.text, bad[i].words) == NULL)
            fail_msg("'%s' is not in: %s", bad[i].words, errmsg.text);
    }
}

static void a_refusal_and_what_is_not_known_have_their_status(void **state)
{
    struct change_answer answer = {.result = CHANGE_DONE};
    (void)state;
    assert_int_equal(admin_change_status(&answer), 200);
    answer = (struct change_answer){.result = CHANGE_REFUSED, .word = "name_used"};
    assert_int_equal(admin_change_status(&answer), 409);
    answer = (struct change_answer){.result = CHANGE_REFUSED, .word = "no_leader"};
    assert_int_equal(admin_change_status(&answer), 503);
    answer = (struct change_answer){.result = CHANGE_UNKNOWN, .word = "no_leader"};
    assert_int_equal(admin_change_status(&answer), 504);
}

/* ---- drain ---- */

static int parse_drain(uint32_t *timeout_ms, const char *text, struct errmsg *errmsg)
{
    struct json *body = NULL;
    if (text != NULL) assert_int_equal(json_parse(&body, slice_from(text), errmsg), 0);
    int rv = admin_drain_parse(timeout_ms, body, errmsg);
    json_free(body);
    return rv;
}

static void a_drain_has_a_time_limit(void **state)
{
    static const char *const bad[] = {"[]",
                                      "{\"timeout\":1}",
                                      "{\"timeout_ms\":-1}",
                                      "{\"timeout_ms\":\"1\"}",
                                      "{\"timeout_ms\":300001}",
                                      "{\"timeout_ms\":1,\"x\":2}"};
    uint32_t timeout_ms;
    struct errmsg errmsg;
    (void)state;
    assert_int_equal(parse_drain(&timeout_ms, NULL, NULL), 0);
    assert_int_equal(timeout_ms, DRAIN_DEFAULT_MS);
    assert_int_equal(parse_drain(&timeout_ms, "{\"timeout_ms\":300000}", NULL), 0);
    assert_int_equal(timeout_ms, 300000);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(parse_drain(&timeout_ms, bad[i], &errmsg), ERR_FORMAT);
}

/* ---- a backup ---- */

static void a_portion_has_both_its_ends(void **state)
{
    static const char *const bad[] = {"from=1",      "to=1",          "from=0&to=1",
                                      "from=2&to=1", "from=1&to=x",   "from=1&from=2&to=3",
                                      "x=1",         "from=1&to=2&x", "&"};
    struct backup_portion portion;
    struct errmsg errmsg;
    (void)state;
    assert_int_equal(backup_portion_parse(&portion, slice_of(""), NULL), 0);
    assert_int_equal(portion.from, 0);
    assert_int_equal(backup_portion_parse(&portion, slice_of("from=7&to=7"), NULL), 0);
    assert_int_equal(portion.from, 7);
    assert_int_equal(backup_portion_parse(&portion, slice_of("to=9&from=8"), NULL), 0);
    assert_int_equal(portion.to, 9);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(backup_portion_parse(&portion, slice_from(bad[i]), &errmsg), ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_the_code_of_a_word_under_the_secret),
        cmocka_unit_test(a_token_of_either_line_is_believed),
        cmocka_unit_test(nothing_else_is_believed),
        cmocka_unit_test(a_transfer_may_name_the_next_leader),
        cmocka_unit_test(members_come_become_voters_and_go),
        cmocka_unit_test(a_change_that_is_none_is_refused_with_a_sentence),
        cmocka_unit_test(a_refusal_and_what_is_not_known_have_their_status),
        cmocka_unit_test(a_drain_has_a_time_limit),
        cmocka_unit_test(a_portion_has_both_its_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
