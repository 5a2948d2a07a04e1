#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_host.h"
#include "promise.h"

static struct fake_host fake;

static int start(void **state)
{
    (void)state;
    fake_host_init(&fake);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fake_host_close(&fake);
    return 0;
}

static void join(char name, const char *room)
{
    struct buf frame;
    buf_init(&frame, 4096);
    fake_host_open(&fake, name, slice_of("ann"));
    buf_printf(&frame,
               "[\"4\",\"4\",\"lv:lt\",\"phx_join\",{\"url\":\"http://h/%s\",\"session\":\"", room);
    fake_host_session(&fake, &frame, slice_of("ann"));
    buf_add(&frame, slice_of("\"}]"));
    assert_int_equal(fake_host_receive(&fake, name, buf_slice(&frame)), 0);
    buf_close(&frame);
}

static struct topic *topic_of(char name)
{
    return fake_host_browser(&fake, name)->channel.live->topic;
}

static void all_readers_get_the_same_bytes(void **state)
{
    (void)state;
    join('A', "lobby");
    join('B', "lobby");
    join('C', "cup");
    fake_host_say(&fake, slice_of("lobby"), slice_of(""), slice_of("bob"), slice_of("hi"));
    struct shared *frame = fake_host_browser(&fake, 'A')->last;
    assert_non_null(frame);
    assert_ptr_equal(frame, fake_host_browser(&fake, 'B')->last);
    assert_null(fake_host_browser(&fake, 'C')->last);
}

static void readers_come_and_go_in_any_order(void **state)
{
    (void)state;
    for (char name = 'A'; name <= 'E'; name++)
        join(name, "lobby");
    struct topic *topic = topic_of('A');
    assert_int_equal(topic->readers_count, 5);
    fake_host_shut(&fake, 'C');
    fake_host_shut(&fake, 'E');
    fake_host_shut(&fake, 'A');
    assert_int_equal(topic->readers_count, 2);
    size_t before = fake_host_browser(&fake, 'B')->frames_count;
    fake_host_say(&fake, slice_of("lobby"), slice_of(""), slice_of("bob"), slice_of("hi"));
    assert_int_equal(fake_host_browser(&fake, 'B')->frames_count, before + 1);
    assert_int_equal(fake_host_browser(&fake, 'D')->frames_count, before + 1);
    fake_host_shut(&fake, 'B');
    fake_host_shut(&fake, 'D');
    assert_null(topic->readers);
    assert_int_equal(topic->readers_count, 0);
}

static void nothing_is_sent_when_nothing_changed(void **state)
{
    (void)state;
    join('A', "lobby");
    fake_host_away(&fake, slice_of("lobby"), 2);
    size_t before = fake_host_browser(&fake, 'A')->frames_count;
    fake_host_away(&fake, slice_of("lobby"), 2);
    assert_int_equal(fake_host_browser(&fake, 'A')->frames_count, before);
}

static void what_changed_while_nobody_read_is_not_forgotten(void **state)
{
    (void)state;
    join('A', "lobby");
    fake_host_away(&fake, slice_of("lobby"), 2);
    fake_host_shut(&fake, 'A');
    fake_host_away(&fake, slice_of("lobby"), 0);
    join('B', "lobby");
    fake_host_away(&fake, slice_of("lobby"), 2);
    assert_true(slice_is(
        shared_slice(fake_host_browser(&fake, 'B')->last),
        "[null,null,\"lv:lt\",\"diff\",{\"5\":{\"0\":\"2\",\"s\":[\"<p class=\\\"strip\\\">"
        "\",\" away</p>\"]}}]"));
}

static void joins_share_the_encoded_stream_until_it_changes(void **state)
{
    (void)state;
    join('A', "lobby");
    struct shared *first = topic_of('A')->stream_json;
    assert_non_null(first);
    join('B', "lobby");
    assert_ptr_equal(topic_of('B')->stream_json, first);
    fake_host_say(&fake, slice_of("lobby"), slice_of(""), slice_of("bob"), slice_of("hi"));
    assert_null(topic_of('A')->stream_json);
    join('C', "lobby");
    assert_non_null(topic_of('A')->stream_json);
}

static void a_diff_that_does_not_fit_makes_all_join_anew(void **state)
{
    struct buf small;
    (void)state;
    join('A', "lobby");
    join('B', "lobby");
    struct topic *topic = topic_of('A');
    fake_host_say(&fake, slice_of("lobby"), slice_of(""), slice_of("bob"), slice_of("hi"));
    buf_init(&small, 40);
    buf_reset(&fake.out);
    assert_false(topic_broadcast(topic, &fake.host, &small));
    assert_null(topic->readers);
    assert_null(fake_host_browser(&fake, 'A')->channel.live);
    assert_non_null(strstr(fake.out.at, "phx_error"));
    buf_close(&small);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        PROMISE_WITH("P2", all_readers_get_the_same_bytes, start, stop),
        TEST(readers_come_and_go_in_any_order),
        TEST(nothing_is_sent_when_nothing_changed),
        TEST(what_changed_while_nobody_read_is_not_forgotten),
        TEST(joins_share_the_encoded_stream_until_it_changes),
        PROMISE_WITH("P8", a_diff_that_does_not_fit_makes_all_join_anew, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
