/* What is kept because it is not on disk yet: it grows with a flood, and goes with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/tails.h"

enum { FLOOD = 10000 };

static uv_loop_t loop;
static struct tails *tails;
static uint64_t number;

static void on_tail(void *owner, int thread_number, struct room_mail *tail)
{
    (void)owner;
    (void)thread_number;
    (void)tail;
    fail(); /* no room is shown here */
}

static int begin(void **state)
{
    (void)state;
    number = 0;
    uv_loop_init(&loop);
    tails = tails_new(&loop, NULL, 0, on_tail, NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    tails_free(tails);
    return uv_loop_close(&loop);
}

static size_t add(size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        number++;
        struct message_sent event = {.number = number,
                                     .index = number,
                                     .seq = number,
                                     .room = slice_of("lobby"),
                                     .sender = slice_of("Maja"),
                                     .text = slice_of("tea"),
                                     .at_ms = 1};
        struct shared *encoded = event_encode(&event);
        assert_int_equal(tails_add(tails, &event, encoded), 0);
        bytes += encoded->len;
        shared_unref(encoded);
    }
    return bytes;
}

static void what_is_kept_goes_when_it_is_durable(void **state)
{
    (void)state;
    size_t first = add(300), rest = add(FLOOD);
    assert_int_equal(tails_kept_bytes(tails), first + rest);
    tails_durable(tails, 300);
    assert_int_equal(tails_kept_bytes(tails), rest);
    tails_durable(tails, number);
    assert_int_equal(tails_kept_bytes(tails), 0);
}

/* The memory of a flood is given back with its last event; the next one begins anew. */
static void after_a_flood_it_goes_on_as_before_it(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        size_t bytes = add(FLOOD);
        assert_int_equal(tails_kept_bytes(tails), bytes);
        tails_durable(tails, number);
        assert_int_equal(tails_kept_bytes(tails), 0);
        bytes = add(1);
        tails_durable(tails, number - 1);
        assert_int_equal(tails_kept_bytes(tails), bytes);
        tails_durable(tails, number);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(what_is_kept_goes_when_it_is_durable),
        TEST(after_a_flood_it_goes_on_as_before_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
