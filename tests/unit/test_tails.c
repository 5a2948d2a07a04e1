/* What is kept because it is not on disk yet: it grows with a flood, and goes with it. And a tail that is read
 * from the store while events come has each of them once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/tails.h"
#include "base/mem.h"
#include "chat/chat.h"
#include "promise.h"

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

/* ---- a tail from the store, and what is not in it yet ---- */

enum { STORED = 40, LATER = 25 };

struct reading {
    struct chat chat;
    struct event_store *store;
    struct room_mail *tail;
    int thread_number; /* whose tail comes next */
    char dir[64];
};

static void on_read_tail(void *owner, int thread_number, struct room_mail *tail)
{
    struct reading *reading = owner;
    assert_int_equal(thread_number, reading->thread_number);
    assert_null(reading->tail);
    reading->tail = tail;
}

/* The next event of the history: every third one is in another room. */
static struct shared *next_event(struct reading *reading, struct message_sent *event)
{
    struct chat *chat = &reading->chat;
    struct send_message command = {.room = chat->number % 3 == 2 ? slice_of("kitchen")
                                                                 : slice_of("lobby"),
                                   .sender = slice_of("Maja"),
                                   .text = slice_of("tea"),
                                   .unseen_up_to = chat->number,
                                   .at_ms = 1};
    memcpy(command.id.bytes, &chat->number, sizeof chat->number);
    assert_int_equal(chat_apply(chat, &command, chat->index + 1, event), CHAT_APPLIED);
    return event_encode(event);
}

static void store_events(struct reading *reading, size_t count)
{
    struct message_sent event;
    struct shared *events[STORED + LATER];
    struct errmsg errmsg = {.text = ""};
    for (size_t i = 0; i < count; i++)
        events[i] = next_event(reading, &event);
    struct event_append append = {
        .events = events, .events_count = count, .index = reading->chat.index};
    if (event_store_append(reading->store, &append, &errmsg) != 0) fail_msg("%s", errmsg.text);
    shared_unref_all(events, count);
}

static uint32_t add_event(struct reading *reading)
{
    struct message_sent event;
    struct shared *bytes = next_event(reading, &event);
    uint32_t threads = tails_add(tails, &event, bytes);
    shared_unref(bytes);
    return threads;
}

static int begin_reading(void **state)
{
    static struct reading reading;
    struct errmsg errmsg;
    const struct chat_limits limits = {.text_code_points_max = CHAT_TEXT_CODE_POINTS_MAX};
    reading = (struct reading){.thread_number = 3, .dir = "/tmp/livetea-test-tails-XXXXXX"};
    if (mkdtemp(reading.dir) == NULL) return -1;
    struct event_store_options options = {.dir = reading.dir};
    if (event_store_open(&reading.store, &options, &errmsg) != 0) return -1;
    chat_init(&reading.chat, &limits);
    store_events(&reading, STORED);
    uv_loop_init(&loop);
    tails = tails_new(&loop, reading.store, STORED, on_read_tail, &reading);
    *state = &reading;
    return 0;
}

static int end_reading(void **state)
{
    static const char *const files[] = {"data.mdb", "lock.mdb", ""};
    struct reading *reading = *state;
    char path[96];
    if (reading->tail != NULL) {
        shared_unref_all(reading->tail->messages, reading->tail->count);
        mem_free(reading->tail);
    }
    tails_free(tails);
    event_store_close(reading->store);
    chat_close(&reading->chat);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", reading->dir, files[i]);
        if (remove(path) != 0) return -1;
    }
    return uv_loop_close(&loop);
}

/* All of the room, once, in order, up to this seq. */
static void assert_whole(const struct room_mail *tail, uint64_t last_seq)
{
    assert_int_equal(tail->status, 0);
    assert_int_equal(tail->next_seq, last_seq + 1);
    assert_int_equal(tail->count, last_seq);
    for (size_t i = 0; i < tail->count; i++) {
        struct message_sent event;
        assert_int_equal(event_decode(&event, shared_slice(tail->messages[i]), NULL), 0);
        assert_int_equal(event.seq, i + 1);
        assert_true(slice_equal(event.room, slice_of("lobby")));
    }
}

/* The read begins, and events come before it is done: some are on disk by then and are told to be, but it does not
 * have to have seen them. */
static void a_tail_that_is_read_while_events_come_has_each_once(void **state)
{
    struct reading *reading = *state;
    tails_open(tails, slice_of("lobby"), 3);
    for (size_t i = 0; i < LATER; i++)
        assert_int_equal(add_event(reading), 0); /* nobody has the tail yet */
    tails_durable(tails, STORED + LATER / 2);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_non_null(reading->tail);
    uint64_t seq = chat_find_room(&reading->chat, slice_of("lobby"))->seq;
    assert_whole(reading->tail, seq);
    assert_true(tails_kept_bytes(tails) > 0);

    /* From now on each goes there, beginning behind the tail's last. */
    unsigned told = 0;
    for (size_t i = 0; i < 3; i++)
        told += add_event(reading) == 1u << 3;
    assert_int_equal(told, 2);
    assert_int_equal(chat_find_room(&reading->chat, slice_of("lobby"))->seq, seq + 2);
    tails_durable(tails, reading->chat.number);
    assert_int_equal(tails_kept_bytes(tails), 0);
}

/* The store may have got further than the domain thread was told. */
static void a_tail_has_nothing_twice_that_is_durable_and_kept(void **state)
{
    struct reading *reading = *state;
    struct shared *events[LATER];
    struct message_sent event;
    struct errmsg errmsg = {.text = ""};
    for (size_t i = 0; i < LATER; i++) {
        events[i] = next_event(reading, &event);
        tails_add(tails, &event, events[i]);
    }
    struct event_append append = {
        .events = events, .events_count = LATER, .index = reading->chat.index};
    assert_int_equal(event_store_append(reading->store, &append, &errmsg), 0);
    shared_unref_all(events, LATER);
    tails_open(tails, slice_of("lobby"), 3);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_non_null(reading->tail);
    assert_whole(reading->tail, chat_find_room(&reading->chat, slice_of("lobby"))->seq);
}

/* ---- many rooms ---- */

static struct {
    size_t came, refused;
    unsigned most_at_once;
} crowd;

static void on_some_tail(void *owner, int thread_number, struct room_mail *tail)
{
    (void)owner;
    (void)thread_number;
    if (tail->status == ERR_BUSY)
        crowd.refused++;
    else
        crowd.came++;
    assert_true(tail->status == 0 || tail->status == ERR_BUSY);
    if (loop.active_reqs.count > crowd.most_at_once) crowd.most_at_once = loop.active_reqs.count;
    shared_unref_all(tail->messages, tail->count);
    mem_free(tail);
}

/* As many rooms as may be read or wait for it, and `more`. */
static void fill_all_places(struct reading *reading, size_t more)
{
    char name[32];
    memset(&crowd, 0, sizeof crowd);
    tails_free(tails);
    tails = tails_new(&loop, reading->store, STORED, on_some_tail, NULL);
    for (size_t i = 0; i < TAIL_LOADS_RUNNING_MAX + TAIL_LOADS_WAITING_MAX + more; i++) {
        snprintf(name, sizeof name, "x%zu", i);
        tails_open(tails, slice_from(name), 0);
    }
}

/* Names are for the asking: a few rooms are read at a time, so many wait, and the others are refused. */
static void rooms_wait_for_their_turn_and_only_so_many(void **state)
{
    const size_t most = TAIL_LOADS_RUNNING_MAX + TAIL_LOADS_WAITING_MAX;
    fill_all_places(*state, 3);
    assert_int_equal(crowd.refused, 3);
    assert_int_equal(loop.active_reqs.count, TAIL_LOADS_RUNNING_MAX);
    tails_close(tails, slice_from("x1000"), 0); /* nobody wants it any more: it is not read */
    tails_open(tails, slice_from("x2000"), 1);  /* another thread wants it, too: it is read once */
    assert_false(tails_idle(tails));
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(tails_idle(tails));
    assert_int_equal(crowd.came, most - 1 + 1);
    assert_true(crowd.most_at_once <= TAIL_LOADS_RUNNING_MAX);
    tails_open(tails, slice_of("late"), 0); /* one that was refused may come again */
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(crowd.came, most + 1);
}

/* With all places taken a room without messages is there at once, and takes none: it is read nowhere. Its first
 * message comes right behind it, and goes to who has the empty tail. */
static void a_room_without_messages_is_not_read(void **state)
{
    struct reading *reading = *state;
    const size_t most = TAIL_LOADS_RUNNING_MAX + TAIL_LOADS_WAITING_MAX;
    char name[16];
    fill_all_places(reading, 0);
    assert_int_equal(crowd.came, 0);
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "nobody%zu", i);
        assert_null(chat_find_room(&reading->chat, slice_from(name)));
        tails_open_empty(tails, slice_from(name), 0);
        tails_open_empty(tails, slice_from(name), 1);
        assert_int_equal(crowd.came, 2 * (i + 1));
    }
    assert_int_equal(crowd.refused, 0);
    tails_close(tails, slice_of("nobody1"), 0);
    tails_close(tails, slice_of("nobody1"), 1);
    tails_open_empty(tails, slice_of("nobody1"), 0); /* let go, and wanted again */
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(crowd.refused, 0);
    assert_int_equal(crowd.came, most + 7);
}

static void the_first_message_comes_behind_an_empty_tail(void **state)
{
    struct reading *reading = *state;
    struct message_sent event;
    tails_open_empty(tails, slice_of("attic"), 3);
    assert_non_null(reading->tail);
    assert_int_equal(reading->tail->status, 0);
    assert_int_equal(reading->tail->count, 0);
    assert_int_equal(reading->tail->next_seq, 1);
    mem_free(reading->tail);
    reading->tail = NULL;

    for (int i = 0; i < 2; i++) {
        struct send_message command = {.room = slice_of("attic"),
                                       .sender = slice_of("Maja"),
                                       .text = slice_of("tea"),
                                       .id.bytes = {(uint8_t)(i + 1), 'a'},
                                       .unseen_up_to = reading->chat.number,
                                       .at_ms = 1};
        struct chat *chat = &reading->chat;
        assert_int_equal(chat_apply(chat, &command, chat->index + 1, &event), CHAT_APPLIED);
        struct shared *bytes = event_encode(&event);
        assert_int_equal(tails_add(tails, &event, bytes), 1u << 3);
        shared_unref(bytes);
    }
    /* Another thread gets them from here, before the store has them. */
    reading->thread_number = 5;
    tails_open(tails, slice_of("attic"), 5);
    assert_non_null(reading->tail);
    assert_int_equal(reading->tail->count, 2);
    assert_int_equal(reading->tail->next_seq, 3);
    shared_unref_all(reading->tail->messages, 2);
    mem_free(reading->tail);
    reading->tail = NULL;

    /* Let go by both: the room is known now, and is read, with what the store lacks behind it. */
    tails_close(tails, slice_of("attic"), 3);
    tails_close(tails, slice_of("attic"), 5);
    tails_open(tails, slice_of("attic"), 5);
    assert_null(reading->tail);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_non_null(reading->tail);
    assert_int_equal(reading->tail->count, 2);
    assert_int_equal(reading->tail->next_seq, 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rooms_wait_for_their_turn_and_only_so_many, begin_reading,
                                        end_reading),
        cmocka_unit_test_setup_teardown(a_room_without_messages_is_not_read, begin_reading,
                                        end_reading),
        PROMISE_WITH("P8", the_first_message_comes_behind_an_empty_tail, begin_reading,
                     end_reading),
        TEST(what_is_kept_goes_when_it_is_durable),
        TEST(after_a_flood_it_goes_on_as_before_it),
        PROMISE_WITH("P8", a_tail_that_is_read_while_events_come_has_each_once, begin_reading,
                     end_reading),
        PROMISE_WITH("P8", a_tail_has_nothing_twice_that_is_durable_and_kept, begin_reading,
                     end_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
