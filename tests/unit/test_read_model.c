#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "chat/read_model.h"
#include "promise.h"

static bool add(struct room_tail *tail, uint64_t seq)
{
    char text[32];
    int len = snprintf(text, sizeof text, "message %llu", (unsigned long long)seq);
    struct message_sent event = {.number = seq + 10,
                                 .seq = seq,
                                 .room = slice_of("tea"),
                                 .sender = slice_of("Maja"),
                                 .text = slice_make(text, (size_t)len)};
    struct shared *bytes = event_encode(&event);
    bool added = room_tail_add(tail, bytes, &event);
    shared_unref(bytes);
    memset(text, '#', sizeof text); /* the event that was given stood on this */
    return added;
}

static void the_newest_messages_stay_in_order(void **state)
{
    (void)state;
    struct room_tail tail;
    room_tail_init(&tail);
    assert_true(room_tail_whole(&tail));
    for (uint64_t seq = 1; seq <= 3 * TAIL_MAX; seq++) {
        assert_true(add(&tail, seq));
        assert_int_equal(tail.count, seq < TAIL_MAX ? seq : TAIL_MAX);
        assert_true(room_tail_whole(&tail) == (seq <= TAIL_MAX));
        assert_true(room_tail_at(&tail, tail.count - 1)->event.seq == seq);
    }
    for (size_t place = 0; place < tail.count; place++)
        assert_true(room_tail_at(&tail, place)->event.seq == 2 * TAIL_MAX + 1 + place);
    room_tail_close(&tail);
}

static void a_message_stands_on_its_own_bytes(void **state)
{
    (void)state;
    struct room_tail tail;
    room_tail_init(&tail);
    assert_true(add(&tail, 1));
    const struct message *message = room_tail_at(&tail, 0);
    assert_true(slice_is(message->event.text, "message 1"));
    assert_true(message->event.text.at > message->bytes->bytes);
    assert_true(message->event.text.at < message->bytes->bytes + message->bytes->len);
    room_tail_close(&tail);
}

static void what_is_known_already_is_not_added_again(void **state)
{
    (void)state;
    struct room_tail tail;
    room_tail_init(&tail);
    for (uint64_t seq = 1; seq <= 5; seq++)
        assert_true(add(&tail, seq));
    assert_false(add(&tail, 5));
    assert_false(add(&tail, 1));
    assert_int_equal(tail.count, 5);
    assert_true(add(&tail, 6));
    room_tail_close(&tail);
}

static void a_tail_may_begin_in_the_middle(void **state)
{
    (void)state;
    struct room_tail tail;
    room_tail_init(&tail);
    for (uint64_t seq = 1; seq <= 5; seq++)
        assert_true(add(&tail, seq));
    room_tail_reset(&tail, 100);
    assert_int_equal(tail.count, 0);
    assert_false(add(&tail, 99));
    assert_true(add(&tail, 100));
    assert_false(room_tail_whole(&tail));
    room_tail_close(&tail);
    room_tail_close(&tail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE("P2", the_newest_messages_stay_in_order),
        cmocka_unit_test(a_message_stands_on_its_own_bytes),
        PROMISE("P8", what_is_known_already_is_not_added_again),
        cmocka_unit_test(a_tail_may_begin_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
