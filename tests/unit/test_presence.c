#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "cluster/presence.h"
#include "cluster/wire.h"

static const struct slice tea = SLICE("tea"), cake = SLICE("cake");
static const struct sender_id ann = {{1}}, bob = {{2}}, eve = {{3}};

struct pair { /* two nodes and what one tells the other */
    struct presence *here, *there;
    struct buf told;
};

static int setup(void **state)
{
    static struct pair pair;
    pair.here = presence_new();
    pair.there = presence_new();
    buf_init(&pair.told, 8 * 1024 * 1024);
    *state = &pair;
    return 0;
}

static int teardown(void **state)
{
    struct pair *pair = *state;
    presence_free(pair->here);
    presence_free(pair->there);
    buf_close(&pair->told);
    return 0;
}

static bool tell(struct pair *pair, uint64_t now_ms)
{
    buf_reset(&pair->told);
    if (!presence_tell(pair->here, &pair->told, now_ms)) return false;
    assert_int_equal(presence_hear(pair->there, 7, buf_slice(&pair->told), now_ms), 0);
    return true;
}

static void a_person_with_three_pages_is_one_name(void **state)
{
    struct pair *pair = *state;
    struct present list[4];
    for (int i = 0; i < 3; i++)
        presence_enter(pair->here, tea, &ann, slice_of("Ann"));
    presence_enter(pair->here, tea, &bob, slice_of("Bob"));
    presence_enter(pair->here, cake, &ann, slice_of("Ann"));
    assert_int_equal(presence_list(pair->here, tea, list, 4), 2);
    assert_memory_equal(list[0].name, "Ann", 3);
    assert_memory_equal(list[1].name, "Bob", 3);
    assert_int_equal(presence_total(pair->here), 2);
    presence_leave(pair->here, tea, &ann);
    presence_leave(pair->here, tea, &ann);
    assert_int_equal(presence_count(pair->here, tea), 2);
    presence_leave(pair->here, tea, &ann);
    assert_int_equal(presence_count(pair->here, tea), 1);
    assert_int_equal(presence_total(pair->here), 2); /* she still has cake */
}

static void a_nameless_reader_is_not_counted(void **state)
{
    struct pair *pair = *state;
    presence_enter(pair->here, tea, &eve, (struct slice){NULL, 0});
    assert_int_equal(presence_count(pair->here, tea), 0);
    assert_int_equal(presence_total(pair->here), 0);
    presence_enter(pair->here, tea, &eve, slice_of("Eve"));
    assert_int_equal(presence_count(pair->here, tea), 1);
    presence_leave(pair->here, tea, &eve);
    presence_leave(pair->here, tea, &eve);
    presence_leave(pair->here, tea, &eve); /* one too many is no matter */
    assert_int_equal(presence_count(pair->here, tea), 0);
}

static void other_nodes_learn_who_is_here_and_who_left(void **state)
{
    struct pair *pair = *state;
    presence_enter(pair->here, tea, &ann, slice_of("Ann"));
    presence_enter(pair->there, tea, &ann, slice_of("Ann")); /* also there */
    presence_enter(pair->here, tea, &bob, slice_of("Bob"));
    assert_true(tell(pair, 1000));
    assert_int_equal(presence_count(pair->there, tea), 2);
    assert_int_equal(presence_total(pair->there), 2);
    presence_leave(pair->here, tea, &ann);
    presence_leave(pair->here, tea, &bob);
    assert_false(tell(pair, 1500)); /* gathered for a second */
    assert_true(tell(pair, 2000));
    assert_int_equal(presence_count(pair->there, tea), 1); /* her page there */
}

static void everything_is_told_every_five_seconds(void **state)
{
    struct pair *pair = *state;
    assert_true(tell(pair, 1000));
    assert_false(tell(pair, 5999));
    assert_true(tell(pair, 6000));
}

static void a_node_that_is_silent_for_ten_seconds_is_forgotten(void **state)
{
    struct pair *pair = *state;
    presence_enter(pair->here, tea, &ann, slice_of("Ann"));
    assert_true(tell(pair, 1000));
    presence_expire(pair->there, 10999);
    assert_int_equal(presence_count(pair->there, tea), 1);
    uint64_t version = presence_version(pair->there);
    presence_expire(pair->there, 11000);
    assert_int_equal(presence_count(pair->there, tea), 0);
    assert_true(presence_version(pair->there) > version);
}

static void typing_is_shown_for_five_seconds_and_everywhere(void **state)
{
    struct pair *pair = *state;
    struct present list[1];
    presence_enter(pair->here, tea, &ann, slice_of("Ann"));
    presence_typing(pair->here, tea, &ann, 1000);
    presence_typing(pair->here, tea, &bob, 1000); /* not in the room: nothing */
    assert_true(tell(pair, 1000));
    assert_int_equal(presence_list(pair->there, tea, list, 1), 1);
    assert_true(list[0].is_typing);
    presence_expire(pair->here, 5999);
    presence_list(pair->here, tea, list, 1);
    assert_true(list[0].is_typing);
    presence_expire(pair->here, 6000);
    presence_list(pair->here, tea, list, 1);
    assert_false(list[0].is_typing);
    assert_true(tell(pair, 6000));
    presence_list(pair->there, tea, list, 1);
    assert_false(list[0].is_typing);
}

static void the_version_moves_only_when_something_can_be_seen(void **state)
{
    struct pair *pair = *state;
    presence_enter(pair->here, tea, &ann, slice_of("Ann"));
    uint64_t version = presence_version(pair->here);
    presence_enter(pair->here, tea, &ann, slice_of("Ann"));
    presence_leave(pair->here, tea, &ann);
    assert_int_equal(presence_version(pair->here), version);
    presence_enter(pair->here, tea, &ann, slice_of("Anne"));
    assert_true(presence_version(pair->here) > version);
}

static void damaged_tellings_are_refused_and_change_nothing(void **state)
{
    struct pair *pair = *state;
    presence_enter(pair->here, tea, &ann, slice_of("Ann"));
    presence_enter(pair->here, tea, &bob, slice_of("Bob"));
    assert_true(tell(pair, 1000));
    for (size_t len = 0; len < pair->told.len; len++) {
        struct slice cut = slice_make(pair->told.at, len);
        assert_int_equal(presence_hear(pair->there, 7, cut, 1000), ERR_FORMAT);
    }
    for (size_t i = 0; i < pair->told.len; i++) { /* of the room, and of a name */
        char byte = pair->told.at[i];
        if (byte != 't' && byte != 'A' && byte != 'B') continue;
        pair->told.at[i] = '\xff';
        assert_int_equal(presence_hear(pair->there, 7, buf_slice(&pair->told), 1000), ERR_FORMAT);
        pair->told.at[i] = byte;
    }
    little_store(pair->told.at, 0xffffffff, 4); /* four milliards of people */
    assert_int_equal(presence_hear(pair->there, 7, buf_slice(&pair->told), 1000), ERR_FORMAT);
    assert_int_equal(presence_count(pair->there, tea), 2);
}

static void at_most_so_many_are_told(void **state)
{
    struct pair *pair = *state;
    for (unsigned i = 0; i < PRESENCE_ENTRIES_MAX + 10; i++) {
        char name[16];
        struct sender_id id = {{(uint8_t)i, (uint8_t)(i >> 8), 9}};
        snprintf(name, sizeof name, "n%u", i);
        presence_enter(pair->here, tea, &id, slice_from(name));
    }
    assert_true(tell(pair, 1000));
    assert_int_equal(presence_count(pair->there, tea), PRESENCE_ENTRIES_MAX);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_person_with_three_pages_is_one_name),
        TEST(a_nameless_reader_is_not_counted),
        TEST(other_nodes_learn_who_is_here_and_who_left),
        TEST(everything_is_told_every_five_seconds),
        TEST(a_node_that_is_silent_for_ten_seconds_is_forgotten),
        TEST(typing_is_shown_for_five_seconds_and_everywhere),
        TEST(the_version_moves_only_when_something_can_be_seen),
        TEST(damaged_tellings_are_refused_and_change_nothing),
        TEST(at_most_so_many_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
