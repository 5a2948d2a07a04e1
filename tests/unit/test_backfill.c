#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster/backfill.h"
#include "cluster/wire.h"
#include "promise.h"

/* ---- fixture: a node that lacks events, and three that may have them ----
 *
 * An event is its number and the history that it belongs to, so that a test sees at once what was taken
 * in, and from whom it would have been wrong. */

enum {
    A = 11,
    B = 12,
    C = 13,
    EVENT_BYTES = 16,
    GOOD = 1,
    FOREIGN = 2,
    ASKS_MAX = 64,
    BEFORE_IDS = 7000
};

struct request {
    uint64_t peer, id, from, up_to;
    uint32_t bytes;
};

static struct backfill *backfill;
static struct backfill_peer peers[3];
static struct request asks[ASKS_MAX];
static size_t asks_count;
static uint64_t number;      /* of the last event that was taken in */
static uint64_t goal_within; /* the gap is closed from within on_event at this number; 0 = not */
static size_t chunks, shunned_count;
static uint64_t shunned[ASKS_MAX], no_link_to, now_ms;
static struct buf frame;

static bool ask(void *owner, uint64_t peer, uint64_t request, uint64_t from, uint64_t up_to,
                uint32_t bytes)
{
    (void)owner;
    if (peer == no_link_to) return false;
    assert_true(asks_count < ASKS_MAX);
    asks[asks_count++] = (struct request){peer, request, from, up_to, bytes};
    return true;
}

static int on_event(void *owner, struct slice bytes, struct errmsg *errmsg)
{
    (void)owner;
    if (bytes.len != EVENT_BYTES) {
        errmsg_set(errmsg, "no event");
        return ERR_FORMAT;
    }
    if (little_load(bytes.at, 8) != number + 1 || little_load(bytes.at + 8, 8) != GOOD) {
        errmsg_set(errmsg, "does not continue the history");
        return ERR_DATA;
    }
    number++;
    if (number == goal_within) backfill_want(backfill, number, number, now_ms);
    return 0;
}

static void on_chunk(void *owner)
{
    (void)owner;
    chunks++;
}

static void on_shunned(void *owner, uint64_t peer, const char *why)
{
    (void)owner;
    assert_true(why[0] != '\0');
    shunned[shunned_count++] = peer;
}

static int start(void **state)
{
    (void)state;
    asks_count = chunks = shunned_count = 0;
    number = goal_within = no_link_to = 0;
    now_ms = 1000;
    for (size_t i = 0; i < 3; i++)
        peers[i] = (struct backfill_peer){.id = A + i, .number = 1000, .is_up = true};
    buf_init(&frame, RPC_FRAME_MAX);
    backfill = backfill_new(BEFORE_IDS, &(struct backfill_handler){.ask = ask,
                                                                   .on_event = on_event,
                                                                   .on_chunk = on_chunk,
                                                                   .on_shunned = on_shunned});
    return 0;
}

static int stop(void **state)
{
    (void)state;
    backfill_free(backfill);
    buf_close(&frame);
    return 0;
}

static void tick(void)
{
    backfill_tick(backfill, peers, 3, now_ms);
}

static void want(uint64_t goal)
{
    backfill_want(backfill, number, goal, now_ms);
    tick();
}

static const struct request *last_ask(void)
{
    assert_true(asks_count > 0);
    return &asks[asks_count - 1];
}

/* An answer with `count` events from `from` on. */
static struct slice events(uint64_t from, uint32_t count, uint64_t history)
{
    char head[BACKFILL_HEAD_SIZE];
    backfill_head_encode(head, &(struct backfill_head){.from = from, .last = 1000, .count = count});
    buf_reset(&frame);
    buf_append(&frame, head, sizeof head);
    for (uint64_t i = 0; i < count; i++) {
        wire_put_u32(&frame, EVENT_BYTES);
        wire_put_u64(&frame, from + i);
        wire_put_u64(&frame, history);
    }
    return buf_slice(&frame);
}

static struct slice no_events(enum backfill_status status, uint64_t from)
{
    char head[BACKFILL_HEAD_SIZE];
    backfill_head_encode(head, &(struct backfill_head){.status = status, .from = from, .last = 7});
    buf_reset(&frame);
    buf_append(&frame, head, sizeof head);
    return buf_slice(&frame);
}

static int hear(const struct request *request, struct slice body)
{
    return backfill_heard(backfill, request->peer, request->id, body, now_ms);
}

static int answer(uint32_t count)
{
    struct request request = *last_ask();
    return hear(&request, events(request.from, count, GOOD));
}

static struct backfill_progress progress(void)
{
    struct backfill_progress found;
    backfill_progress(backfill, &found, now_ms);
    return found;
}

/* ---- filling ---- */

static void nothing_is_asked_for_while_nothing_is_missing(void **state)
{
    (void)state;
    tick();
    want(0);
    assert_int_equal(asks_count, 0);
    assert_int_equal(progress().peer, 0);
}

static void a_gap_is_filled_chunk_by_chunk_up_to_the_goal_and_no_further(void **state)
{
    (void)state;
    want(250);
    assert_int_equal(asks_count, 1);
    assert_int_equal(last_ask()->from, 1);
    assert_int_equal(last_ask()->up_to, 250);
    assert_int_equal(answer(100), 0);
    assert_int_equal(answer(100), 0);
    assert_int_equal(last_ask()->from, 201);
    assert_int_equal(answer(50), 0);
    assert_int_equal(number, 250);
    assert_int_equal(chunks, 3);
    assert_int_equal(asks_count, 3);
    now_ms += 10000;
    tick();
    assert_int_equal(asks_count, 3);
    assert_int_equal(shunned_count, 0);
}

static void the_ids_of_requests_rise_from_where_they_are_told_to(void **state)
{
    (void)state;
    want(250);
    assert_int_equal(last_ask()->id, BEFORE_IDS + 1);
    assert_int_equal(answer(100), 0);
    assert_int_equal(last_ask()->id, BEFORE_IDS + 2);
}

static uint64_t number_at_second_ask;

static bool ask_and_note(void *owner, uint64_t peer, uint64_t request, uint64_t from,
                         uint64_t up_to, uint32_t bytes)
{
    if (asks_count == 1) number_at_second_ask = number;
    return ask(owner, peer, request, from, up_to, bytes);
}

static void the_next_is_asked_for_before_the_answer_is_taken_in(void **state)
{
    (void)state;
    backfill_free(backfill);
    backfill = backfill_new(BEFORE_IDS, &(struct backfill_handler){.ask = ask_and_note,
                                                                   .on_event = on_event,
                                                                   .on_chunk = on_chunk});
    number_at_second_ask = 999;
    want(250);
    assert_int_equal(answer(100), 0);
    assert_int_equal(asks_count, 2);
    assert_int_equal(last_ask()->from, 101);
    assert_int_equal(number_at_second_ask, 0);
    assert_int_equal(number, 100);
}

static void a_goal_that_grows_meanwhile_is_reached_too(void **state)
{
    (void)state;
    want(100);
    backfill_want(backfill, 0, 300, now_ms); /* another manifest, with a request on its way */
    assert_int_equal(asks_count, 1);
    assert_int_equal(answer(100), 0);
    assert_int_equal(last_ask()->from, 101);
    assert_int_equal(last_ask()->up_to, 300);
    assert_int_equal(progress().from, 0);
    assert_int_equal(answer(200), 0);
    assert_int_equal(number, 300);
    assert_int_equal(asks_count, 2);
}

static void who_takes_in_may_close_the_gap_from_within(void **state)
{
    (void)state;
    goal_within = 60;
    want(100);
    assert_int_equal(answer(100), 0);
    assert_int_equal(number, 60);
    assert_int_equal(progress().number, 60);
    assert_int_equal(progress().peer, 0);
    assert_int_equal(chunks, 1);
    tick();
    assert_int_equal(asks_count, 1);
}

static void what_is_filled_otherwise_is_not_asked_for_again(void **state)
{
    (void)state;
    want(100);
    struct request old = *last_ask();
    number = 40;
    want(100);
    assert_int_equal(last_ask()->from, 41);
    assert_int_equal(hear(&old, events(1, 100, GOOD)), 0); /* nobody waits for it */
    assert_int_equal(number, 40);
    assert_int_equal(answer(60), 0);
    assert_int_equal(number, 100);
}

/* ---- peers that are no good ---- */

static void a_peer_that_dies_on_the_way_is_left_for_another(void **state)
{
    (void)state;
    want(300);
    assert_int_equal(last_ask()->peer, A);
    assert_int_equal(answer(100), 0);
    peers[0].is_up = false;
    tick();
    assert_int_equal(asks_count, 3);
    assert_int_equal(last_ask()->peer, B);
    assert_int_equal(last_ask()->from, 101);
    assert_int_equal(answer(200), 0);
    assert_int_equal(number, 300);
}

static void a_peer_without_a_link_is_passed_over(void **state)
{
    (void)state;
    no_link_to = A;
    want(100);
    assert_int_equal(asks_count, 1);
    assert_int_equal(last_ask()->peer, B);
}

static void answer_quickly(int times)
{
    for (; times > 0; times--)
        assert_int_equal(answer(1), 0);
}

static void more_is_asked_for_while_answers_come_quickly(void **state)
{
    (void)state;
    want(1000);
    assert_int_equal(last_ask()->bytes, BACKFILL_BYTES_FIRST);
    answer_quickly(1);
    assert_int_equal(last_ask()->bytes, 2 * BACKFILL_BYTES_FIRST);
    answer_quickly(10);
    assert_int_equal(last_ask()->bytes, BACKFILL_CHUNK_BYTES);
    now_ms += BACKFILL_SLOW_MS + 1;
    assert_int_equal(answer(1), 0);
    assert_int_equal(last_ask()->bytes, BACKFILL_CHUNK_BYTES / 2);
    peers[0].is_up = false; /* what was asked for may have been too much for the line */
    tick();
    assert_int_equal(last_ask()->peer, B);
    assert_int_equal(last_ask()->bytes, BACKFILL_CHUNK_BYTES / 4);
}

static void a_silent_peer_is_left_for_another_and_less_is_asked_for(void **state)
{
    (void)state;
    want(200);
    answer_quickly(4);
    struct request old = *last_ask();
    size_t before = asks_count;
    now_ms += BACKFILL_REPLY_MS - 1;
    tick();
    assert_int_equal(asks_count, before);
    now_ms++;
    tick();
    assert_int_equal(asks_count, before + 1);
    assert_int_equal(last_ask()->peer, B);
    assert_int_equal(last_ask()->bytes, BACKFILL_CHUNK_BYTES / 2);
    assert_int_equal(shunned[0], A);
    assert_int_equal(hear(&old, events(old.from, 100, GOOD)), 0); /* too late */
    assert_int_equal(number, 4);
    assert_int_equal(answer(50), 0);
    assert_int_equal(last_ask()->bytes, BACKFILL_CHUNK_BYTES);
    for (int i = 0; i < 12; i++) { /* nobody answers any more */
        now_ms += BACKFILL_REPLY_MS;
        tick();
    }
    assert_int_equal(last_ask()->bytes, BACKFILL_BYTES_MIN);
}

static void a_slow_line_is_asked_for_less_until_that_gets_through(void **state)
{
    (void)state;
    for (size_t i = 1; i < sizeof peers / sizeof *peers; i++)
        peers[i].is_up = false;
    want(1000);
    uint64_t end_ms = now_ms + 20 * 1000;
    while (now_ms < end_ms) {
        uint64_t takes_ms = last_ask()->bytes / 32 + 20; /* 256 kbit/s */
        size_t before = asks_count;
        if (takes_ms < BACKFILL_REPLY_MS) {
            now_ms += takes_ms;
            assert_int_equal(answer(1), 0);
            continue;
        }
        now_ms += BACKFILL_REPLY_MS;
        for (tick(); asks_count == before && now_ms < end_ms; tick())
            now_ms += 50;
    }
    assert_true(number > 20);
}

static void a_foreign_history_is_refused_and_its_peer_shunned(void **state)
{
    (void)state;
    want(300);
    struct request request = *last_ask();
    assert_int_equal(hear(&request, events(1, 100, FOREIGN)), 0);
    assert_int_equal(number, 0);
    assert_int_equal(chunks, 0);
    assert_int_equal(shunned[0], A);
    /* Asked A for more before it was looked at; that answer is passed over. */
    assert_int_equal(asks_count, 3);
    assert_int_equal(asks[1].peer, A);
    assert_int_equal(last_ask()->peer, B);
    assert_int_equal(last_ask()->from, 1);
    assert_int_equal(hear(&asks[1], events(101, 100, GOOD)), 0);
    assert_int_equal(number, 0);

    assert_int_equal(answer(100), 0);
    peers[1].is_up = peers[2].is_up = false;
    tick();
    assert_int_equal(asks_count, 4); /* not A */
    now_ms += BACKFILL_SHUN_MS;
    tick();
    assert_int_equal(last_ask()->peer, A); /* there is nobody else: perhaps now */
}

static void the_good_events_before_a_bad_one_stay(void **state)
{
    (void)state;
    want(300);
    struct request request = *last_ask();
    events(1, 100, GOOD);
    little_store(frame.at + BACKFILL_HEAD_SIZE + (size_t)30 * (EVENT_BYTES + 4) + 4, 99, 8);
    assert_int_equal(hear(&request, buf_slice(&frame)), 0);
    assert_int_equal(number, 30);
    assert_int_equal(chunks, 1);
    assert_int_equal(shunned[0], A);
    assert_int_equal(last_ask()->peer, B);
    assert_int_equal(last_ask()->from, 31);
}

static void a_peer_with_damaged_events_is_shunned(void **state)
{
    (void)state;
    want(100);
    assert_int_equal(hear(last_ask(), no_events(BACKFILL_DAMAGED, 1)), 0);
    assert_int_equal(shunned_count, 1);
    assert_int_equal(shunned[0], A);
    assert_int_equal(last_ask()->peer, B);
}

static void a_busy_peer_rests_for_a_moment(void **state)
{
    (void)state;
    peers[1].is_up = peers[2].is_up = false;
    want(100);
    assert_int_equal(hear(last_ask(), no_events(BACKFILL_BUSY, 1)), 0);
    tick();
    assert_int_equal(asks_count, 1);
    now_ms += BACKFILL_PAUSE_MS;
    tick();
    assert_int_equal(asks_count, 2);
    assert_int_equal(hear(last_ask(), no_events(BACKFILL_NONE, 1)), 0);
    assert_int_equal(asks_count, 2);
    assert_int_equal(shunned_count, 0);
}

static void a_peer_that_lacks_events_itself_gives_what_it_has(void **state)
{
    (void)state;
    peers[0].number = 40;
    peers[1].number = 90;
    peers[2].is_up = false;
    want(100);
    assert_int_equal(last_ask()->peer, B); /* has most of it */
    assert_int_equal(answer(90), 0);
    assert_int_equal(number, 90);
    tick();
    assert_int_equal(asks_count, 1); /* nobody has more */
    peers[0].number = 95;
    tick();
    assert_int_equal(last_ask()->peer, A);
    assert_int_equal(last_ask()->from, 91);
}

/* ---- the store's disk ---- */

static void nothing_is_asked_for_while_the_disk_is_behind(void **state)
{
    (void)state;
    want(300);
    backfill_lag(backfill, BACKFILL_LAG_MAX + 1, now_ms);
    assert_int_equal(answer(100), 0);
    assert_int_equal(number, 100); /* what has come is taken in */
    now_ms += 10000;
    tick();
    assert_int_equal(asks_count, 1);
    assert_int_equal(shunned_count, 0);
    assert_int_equal(progress().peer, A); /* it is not as if nobody had any */
    backfill_lag(backfill, BACKFILL_LAG_MAX, now_ms);
    assert_int_equal(asks_count, 2); /* at once */
    assert_int_equal(last_ask()->from, 101);
}

/* ---- the figures ---- */

static void the_pace_is_that_of_the_last_seconds(void **state)
{
    (void)state;
    want(1000);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(answer(50), 0);
        now_ms += 500;
        tick();
    }
    struct backfill_progress found = progress();
    assert_int_equal(found.events_per_second, 100);
    assert_int_equal(found.events, 400);
    assert_int_equal(found.bytes, 400 * EVENT_BYTES);
    assert_int_equal(found.from, 0);
    assert_int_equal(found.number, 400);
    assert_int_equal(found.goal, 1000);
    assert_int_equal(found.peer, A);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(answer(10), 0);
        now_ms += 500;
        tick();
    }
    assert_int_equal(progress().events_per_second, 20); /* the fast start is forgotten */
    backfill_want(backfill, number, number, now_ms);
    assert_int_equal(progress().events_per_second, 0);
}

/* ---- frames ---- */

static void an_ask_comes_back_as_it_was(void **state)
{
    (void)state;
    uint64_t from, up_to;
    uint32_t bytes;
    backfill_ask_encode(&frame, 7, 1u << 31, 4096);
    assert_int_equal(backfill_ask_decode(buf_slice(&frame), &from, &up_to, &bytes), 0);
    assert_int_equal(from, 7);
    assert_int_equal(up_to, 1u << 31);
    assert_int_equal(bytes, 4096);
    for (size_t len = 0; len < frame.len; len++) {
        int rv = backfill_ask_decode(slice_first(buf_slice(&frame), len), &from, &up_to, &bytes);
        assert_int_equal(rv, ERR_FORMAT);
    }
    buf_reset(&frame);
    backfill_ask_encode(&frame, 8, 7, 4096);
    assert_int_equal(backfill_ask_decode(buf_slice(&frame), &from, &up_to, &bytes), ERR_FORMAT);
    buf_reset(&frame);
    backfill_ask_encode(&frame, 0, 7, 4096);
    assert_int_equal(backfill_ask_decode(buf_slice(&frame), &from, &up_to, &bytes), ERR_FORMAT);
}

static void an_answer_cut_at_any_byte_is_refused_whole(void **state)
{
    (void)state;
    size_t whole = events(1, 5, GOOD).len;
    for (size_t len = 0; len < whole; len++) {
        char *copy = test_malloc(len + 1); /* of its own, so that a read beyond its end is seen */
        now_ms += BACKFILL_SHUN_MS;
        want(5);
        struct request request = *last_ask();
        asks_count = shunned_count = 0;
        events(1, 5, GOOD);
        memcpy(copy, frame.at, len);
        assert_int_equal(hear(&request, slice_make(copy, len)), ERR_FORMAT);
        assert_int_equal(number, 0);
        assert_int_equal(shunned_count, 1);
        assert_int_equal(shunned[0], request.peer);
        assert_int_equal(asks_count, 1); /* another one */
        assert_true(last_ask()->peer != request.peer);
        backfill_want(backfill, 0, 0, now_ms);
        test_free(copy);
    }
}

static void refuses(struct slice body)
{
    want(5);
    struct request request = *last_ask();
    assert_int_equal(hear(&request, body), ERR_FORMAT);
    assert_int_equal(number, 0);
    backfill_want(backfill, 0, 0, now_ms);
    now_ms += BACKFILL_SHUN_MS;
}

static void an_answer_that_lies_is_refused(void **state)
{
    (void)state;
    static const uint32_t counts[] = {0, 6, 7, 1u << 31, UINT32_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        events(1, 5, GOOD);
        little_store(frame.at + 17, counts[i], 4);
        refuses(buf_slice(&frame));
    }
    refuses(events(1, 6, GOOD)); /* more than was asked for */
    refuses(events(2, 4, GOOD)); /* not from there on */
    events(1, 5, GOOD);
    little_store(frame.at + 9, 4, 8); /* gives more than it has */
    refuses(buf_slice(&frame));
    events(1, 5, GOOD);
    little_store(frame.at + BACKFILL_HEAD_SIZE, UINT32_MAX, 4); /* an event without an end */
    refuses(buf_slice(&frame));
    events(1, 5, GOOD);
    frame.at[0] = 4; /* an unknown status */
    refuses(buf_slice(&frame));
    events(1, 5, GOOD);
    frame.at[0] = BACKFILL_BUSY; /* with events */
    refuses(buf_slice(&frame));
}

static void an_answer_to_nobody_is_passed_over(void **state)
{
    (void)state;
    assert_int_equal(backfill_heard(backfill, A, 1, events(1, 5, GOOD), now_ms), 0);
    want(100);
    struct request request = *last_ask();
    assert_int_equal(backfill_heard(backfill, B, request.id, events(1, 5, GOOD), now_ms), 0);
    assert_int_equal(backfill_heard(backfill, A, request.id + 1, events(1, 5, GOOD), now_ms), 0);
    assert_int_equal(number, 0);
    assert_int_equal(answer(100), 0);
    assert_int_equal(hear(&request, events(1, 100, GOOD)), 0); /* twice */
    assert_int_equal(number, 100);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_asked_for_while_nothing_is_missing),
        TEST(a_gap_is_filled_chunk_by_chunk_up_to_the_goal_and_no_further),
        TEST(the_ids_of_requests_rise_from_where_they_are_told_to),
        TEST(the_next_is_asked_for_before_the_answer_is_taken_in),
        TEST(a_goal_that_grows_meanwhile_is_reached_too),
        TEST(who_takes_in_may_close_the_gap_from_within),
        TEST(what_is_filled_otherwise_is_not_asked_for_again),
        TEST(a_peer_that_dies_on_the_way_is_left_for_another),
        TEST(a_peer_without_a_link_is_passed_over),
        TEST(more_is_asked_for_while_answers_come_quickly),
        TEST(a_silent_peer_is_left_for_another_and_less_is_asked_for),
        TEST(a_slow_line_is_asked_for_less_until_that_gets_through),
        TEST(a_foreign_history_is_refused_and_its_peer_shunned),
        TEST(the_good_events_before_a_bad_one_stay),
        PROMISE_WITH("P12", a_peer_with_damaged_events_is_shunned, start, stop),
        TEST(a_busy_peer_rests_for_a_moment),
        TEST(a_peer_that_lacks_events_itself_gives_what_it_has),
        TEST(nothing_is_asked_for_while_the_disk_is_behind),
        TEST(the_pace_is_that_of_the_last_seconds),
        TEST(an_ask_comes_back_as_it_was),
        TEST(an_answer_cut_at_any_byte_is_refused_whole),
        PROMISE_WITH("P12", an_answer_that_lies_is_refused, start, stop),
        TEST(an_answer_to_nobody_is_passed_over),
    };
    return cmocka_run_group_tests_name("backfill", tests, NULL, NULL);
}
