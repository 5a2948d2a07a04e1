#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "fake_host.h"
#include "promise.h"

static struct fake_host fake;

static int start(void **state)
{
    (void)state;
    fake_host_init(&fake);
    fake_host_open(&fake, 'A', slice_of("ann"));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fake_host_close(&fake);
    return 0;
}

static int send(const char *frame)
{
    buf_reset(&fake.out);
    return fake_host_receive(&fake, 'A', slice_from(frame));
}

static void expect(const char *frames)
{
    if (!slice_is(buf_slice(&fake.out), frames))
        fail_msg("came %.*s", (int)fake.out.len, fake.out.at);
}

static bool came(const char *words)
{
    return fake.out.len > 0 && memmem(fake.out.at, fake.out.len, words, strlen(words)) != NULL;
}

static void join_with(const char *ref, const char *url, const char *params)
{
    struct buf frame;
    buf_init(&frame, 4096);
    buf_printf(&frame,
               "[\"%s\",\"%s\",\"lv:lt\",\"phx_join\",{\"url\":\"%s\",\"params\":%s,\"session\":\"",
               ref, ref, url, params);
    fake_host_session(&fake, &frame, slice_of("ann"));
    buf_add(&frame, slice_of("\"}]"));
    buf_reset(&fake.out);
    assert_int_equal(fake_host_receive(&fake, 'A', buf_slice(&frame)), 0);
    buf_close(&frame);
}

static void join(const char *ref)
{
    join_with(ref, "http://h/lobby", "{}");
    assert_true(came("\"status\":\"ok\""));
}

static struct live *live(void)
{
    return fake_host_browser(&fake, 'A')->channel.live;
}

static void what_the_page_says_of_itself_is_kept(void **state)
{
    (void)state;
    join_with("4", "http://h/lobby", "{\"tz\":-210,\"touch\":true,\"_mounts\":2,\"seen\":0}");
    assert_int_equal(live()->offset_minutes, -210);
    assert_true(live()->touch);
    assert_true(live()->is_rejoin);
    assert_false(live()->behind);
    assert_true(slice_is(identity_name(live()->identity), "ann"));
    join_with("5", "http://h/lobby", "{\"tz\":840,\"touch\":false,\"_mounts\":0}");
    assert_int_equal(live()->offset_minutes, 840);
    assert_false(live()->touch);
    assert_false(live()->is_rejoin);
}

static void a_time_zone_that_nobody_lives_in_is_none(void **state)
{
    static const char *const params[] = {"{\"tz\":841}",    "{\"tz\":-721}", "{\"tz\":1e300}",
                                         "{\"tz\":\"60\"}", "{\"tz\":null}", "{\"tz\":60.5}",
                                         "{\"tz\":61}",     "{\"tz\":-209}", "[]"};
    (void)state;
    for (size_t i = 0; i < sizeof params / sizeof *params; i++) {
        join_with("4", "http://h/lobby", params[i]);
        assert_int_equal(live()->offset_minutes, 0);
    }
}

static void a_page_ahead_of_this_node_is_told(void **state)
{
    (void)state;
    join_with("4", "http://h/lobby", "{\"seen\":5}");
    assert_true(live()->behind);
    join_with("4", "http://h/lobby", "{\"seen\":-5}");
    assert_false(live()->behind);
}

static void joined_is_who_was_answered_with_ok(void **state)
{
    (void)state;
    struct channel *channel = &fake_host_browser(&fake, 'A')->channel;
    send("[\"4\",\"4\",\"lv:lt\",\"phx_join\",{\"url\":\"http://h/lobby\",\"session\":\"x\"}]");
    assert_false(channel->is_joined_once);
    assert_null(channel->live);
    join("5");
    assert_true(channel->is_joined_once);
    assert_int_equal(channel->live->state, LIVE_MOUNTED);
}

static void an_event_is_answered_once(void **state)
{
    (void)state;
    join("4");
    fake.is_slow = true;
    send("[\"4\",\"5\",\"lv:lt\",\"event\",{\"event\":\"send_message\",\"value\":\"nonce=a&message="
         "x\"}]");
    expect("");
    struct live_ref ref;
    struct live_info info = {.kind = LIVE_ANSWERED, .outcome = LIVE_ACCEPTED};
    live_ref_set(&ref, slice_of("5"));
    live_inform(live(), &ref, &info);
    assert_true(came("[\"4\",\"5\",\"lv:lt\",\"phx_reply\""));
    buf_reset(&fake.out);
    live_inform(live(), &ref, &info); /* nobody waits any more: what changed is a diff */
    assert_false(came("phx_reply"));
    assert_true(came("[\"4\",null,\"lv:lt\",\"diff\""));
}

static void what_waits_is_bounded(void **state)
{
    char frame[256];
    (void)state;
    join("4");
    fake.is_slow = true;
    for (int i = 0; i < EVENTS_PENDING_MAX; i++) {
        snprintf(
            frame, sizeof frame,
            "[\"4\",\"e%d\",\"lv:lt\",\"event\",{\"event\":\"older\",\"value\":{\"id\":\"m-9\"}}]",
            i);
        send(frame);
        expect("");
    }
    send("[\"4\",\"more\",\"lv:lt\",\"event\",{\"event\":\"older\",\"value\":{\"id\":\"m-9\"}}]");
    expect("A> [\"4\",\"more\",\"lv:lt\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]\n");
    fake.is_slow = false;
    buf_reset(&fake.out);
    fake_host_turn(&fake);
    assert_true(came("\"e0\"") && came("\"e15\""));
}

static void an_event_without_a_ref_is_none(void **state)
{
    (void)state;
    join("4");
    send("[\"4\",null,\"lv:lt\",\"event\",{\"event\":\"send_message\",\"value\":\"nonce=a&message="
         "x\"}]");
    expect("");
    send("[\"4\",\"5\",\"lv:lt\",\"event\",{\"event\":\"send_message\",\"value\":\"nonce=a&message="
         "x\"}]");
    assert_true(came("\"m-1\""));
}

static void a_message_that_is_too_long_is_not_read(void **state)
{
    struct buf frame;
    (void)state;
    buf_init(&frame, 2 * WS_MESSAGE_MAX);
    buf_add(&frame, slice_of("[null,\"1\",\"phoenix\",\"heartbeat\",{\"a\":\""));
    while (frame.len < WS_MESSAGE_MAX - 3)
        buf_add_char(&frame, 'a');
    buf_add(&frame, slice_of("\"}]"));
    assert_int_equal(fake_host_receive(&fake, 'A', buf_slice(&frame)), 0);
    buf_add_char(&frame, ' ');
    assert_int_equal(fake_host_receive(&fake, 'A', buf_slice(&frame)), 1009);
    buf_close(&frame);
}

static void any_prefix_of_a_frame_is_harmless(void **state)
{
    static const char frame[] =
        "[\"4\",\"5\",\"lv:lt\",\"event\",{\"type\":\"form\",\"event\":\"send_message\","
        "\"value\":\"nonce=a&message=%C3%BC\",\"meta\":{}}]";
    (void)state;
    join("4");
    for (size_t len = 0; len + 1 < sizeof frame - 1; len++)
        assert_int_equal(fake_host_receive(&fake, 'A', slice_make(frame, len)), 1002);
}

static void one_wrong_byte_in_a_frame_is_harmless(void **state)
{
    static const char frame[] =
        "[\"4\",\"5\",\"lv:lt\",\"event\",{\"event\":\"recover\",\"value\":\"nonce=a&message=b\"}]";
    static const char bytes[] = {'"', '\\', '[', '}', ',', '0', '\x80', '\xff', '\n', '%'};
    char changed[sizeof frame];
    (void)state;
    join("4");
    for (size_t i = 0; i < sizeof frame - 1; i++)
        for (size_t k = 0; k < sizeof bytes; k++) {
            memcpy(changed, frame, sizeof frame);
            changed[i] = bytes[k];
            buf_reset(&fake.out);
            int code = fake_host_receive(&fake, 'A', slice_make(changed, sizeof frame - 1));
            assert_true(code == 0 || code == 1002 || code == 1009);
            if (live() == NULL) join("4");
        }
}

/* As join, and patch to `path`; whatever is answered. */
static int join_again(void)
{
    struct buf frame;
    buf_init(&frame, 4096);
    buf_add(&frame, slice_of("[\"4\",\"4\",\"lv:lt\",\"phx_join\",{\"url\":\"http://h/lobby\","
                             "\"params\":{},\"session\":\""));
    fake_host_session(&fake, &frame, slice_of("ann"));
    buf_add(&frame, slice_of("\"}]"));
    buf_reset(&fake.out);
    int code = fake_host_receive(&fake, 'A', buf_slice(&frame));
    buf_close(&frame);
    return code;
}

static int patch_to(const char *path)
{
    char frame[128];
    snprintf(frame, sizeof frame,
             "[\"4\",\"5\",\"lv:lt\",\"live_patch\",{\"url\":\"http://h/%s\"}]", path);
    return send(frame);
}

/* Each makes a view anew, and what is counted for a view with it. */
static void who_joins_or_patches_without_end_is_closed(void **state)
{
    static const char *const paths[] = {"tea", "lobby"};
    (void)state;
    for (size_t i = 0; i < CHANNEL_JOINS_MAX / 2; i++)
        assert_int_equal(join_again(), 0);
    for (size_t i = 0; i < CHANNEL_JOINS_MAX / 2; i++) {
        assert_int_equal(patch_to(paths[i % 2]), 0);
        assert_true(came("\"diff\""));
    }
    for (size_t i = 0; i < CHANNEL_JOINS_MAX; i++) {
        assert_int_equal(patch_to("lobby"), 0); /* where it is: a key that is held down */
        assert_int_equal(patch_to("%zz"), 0);   /* nowhere */
    }
    assert_int_equal(patch_to("tea"), 1008);
    assert_int_equal(join_again(), 1008);
    expect("");

    fake.now_ms += CHANNEL_JOIN_EVERY_MS - 1;
    assert_int_equal(join_again(), 1008);
    fake.now_ms += 1;
    assert_int_equal(join_again(), 0);
    assert_int_equal(join_again(), 1008);

    /* At the pace that is allowed, for ever; and a rest of any length is worth no more than all. */
    for (size_t i = 0; i < 3u * CHANNEL_JOINS_MAX; i++) {
        fake.now_ms += CHANNEL_JOIN_EVERY_MS;
        assert_int_equal(join_again(), 0);
    }
    fake.now_ms += INT64_C(86400000);
    for (size_t i = 0; i < CHANNEL_JOINS_MAX; i++)
        assert_int_equal(join_again(), 0);
    assert_int_equal(join_again(), 1008);
    assert_non_null(live()); /* the page is whole until the connection goes */
}

/* Also a join that is refused has its cost. */
static void who_is_refused_without_end_is_closed(void **state)
{
    static const char stale[] = "[\"4\",\"4\",\"lv:lt\",\"phx_join\",{\"url\":\"http://h/lobby\"}]";
    (void)state;
    for (size_t i = 0; i < CHANNEL_JOINS_MAX; i++)
        assert_int_equal(send(stale), 0);
    assert_true(came("stale"));
    assert_int_equal(send(stale), 1008);
}

static void an_idle_page_is_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct live) <= 560);
}

static void a_view_that_goes_on_mounting_may_be_sent_elsewhere(void **state)
{
    (void)state;
    join("4");
    send("[\"4\",\"5\",\"lv:lt\",\"event\",{\"event\":\"go\",\"value\":{\"to\":\"/cup\"}}]");
    expect("A> [\"4\",\"5\",\"lv:lt\",\"phx_reply\",{\"status\":\"ok\",\"response\":"
           "{\"live_redirect\":{\"to\":\"/cup\",\"kind\":\"push\"}}}]\n");
    send("[\"4\",\"6\",\"lv:lt\",\"event\",{\"event\":\"nothing\",\"value\":{}}]");
    expect("A> [\"4\",\"6\",\"lv:lt\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]\n");
}

static void the_version_is_that_of_the_client_that_is_built_in(void **state)
{
    (void)state;
    assert_true(strlen(channel_client_version) > 0);
    assert_true(strlen(channel_client_version) <= CHANNEL_CLIENT_VERSION_MAX);
    join("4");
    char words[64];
    snprintf(words, sizeof words, "\"liveview_version\":\"%s\"", channel_client_version);
    assert_true(came(words));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(what_the_page_says_of_itself_is_kept),
        TEST(a_time_zone_that_nobody_lives_in_is_none),
        PROMISE_WITH("P9", a_page_ahead_of_this_node_is_told, start, stop),
        TEST(joined_is_who_was_answered_with_ok),
        TEST(an_event_is_answered_once),
        TEST(what_waits_is_bounded),
        TEST(an_event_without_a_ref_is_none),
        TEST(a_message_that_is_too_long_is_not_read),
        TEST(any_prefix_of_a_frame_is_harmless),
        TEST(one_wrong_byte_in_a_frame_is_harmless),
        TEST(who_joins_or_patches_without_end_is_closed),
        TEST(who_is_refused_without_end_is_closed),
        TEST(an_idle_page_is_small),
        TEST(a_view_that_goes_on_mounting_may_be_sent_elsewhere),
        TEST(the_version_is_that_of_the_client_that_is_built_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
