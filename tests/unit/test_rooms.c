/* Rooms of a web thread that is made up here, with the real page and engine above them: events in, and
 * what a reader's page shows, as its tree has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "app/rooms.h"
#include "app/viewers.h"
#include "base/json.h"
#include "base/mem.h"
#include "client_tree.h"
#include "live/channel.h"
#include "pages/pages.h"
#include "promise.h"

enum { BYTES_MAX = 8 * 1024 * 1024, FLOOD = 100000, FLOOD_MAIL = 4000 };

struct web_thread { /* the one of this test */
    uv_loop_t loop;
    struct config config;
    struct web_counters counters;
    struct rooms *rooms;
};

static struct {
    struct web_thread thread;
    struct live_host host;
    struct buf scratch, words;
    struct channel channel;
    struct identity kari;
    struct room_waiter waiter;
    struct live *live;
    /* the browser */
    struct client_tree tree;
    size_t sent_bytes, diffs;
    unsigned waiter_told;
    struct board board;
    unsigned closed_count; /* rooms, as the domain thread is told */
    char closed_first[ROOM_MAX + 1];
    uint64_t number; /* of the last event, which is the room's seq too */
} world;

/* ---- what rooms ask of the thread ---- */

const struct config *web_thread_config(const struct web_thread *thread)
{
    return &thread->config;
}

uv_loop_t *web_thread_loop(struct web_thread *thread)
{
    return &thread->loop;
}

const struct board *web_thread_board(const struct web_thread *thread)
{
    (void)thread;
    return NULL;
}

struct viewers *web_thread_viewers(struct web_thread *thread)
{
    (void)thread;
    return NULL;
}

struct web_counters *web_thread_counters(struct web_thread *thread)
{
    return &thread->counters;
}

void web_thread_mail_domain(struct web_thread *thread, struct mail *mail)
{
    (void)thread;
    if (mail->kind == MAIL_ROOM_CLOSE && world.closed_count++ == 0) {
        const struct room_mail *room = (const struct room_mail *)mail;
        memcpy(world.closed_first, room->room, room->room_len);
    }
    mem_free(mail); /* or it asks for the tail, which a test brings by itself */
}

const struct live_host *viewers_host(const struct viewers *viewers)
{
    (void)viewers;
    return &world.host;
}

void viewers_applied(struct viewers *viewers, const struct message_sent *event)
{
    (void)viewers;
    (void)event;
}

/* ---- the browser ---- */

static void take_frame(struct slice frame)
{
    struct json *json = NULL;
    const char *problem = NULL;
    struct errmsg errmsg;
    world.sent_bytes += frame.len;
    assert_int_equal(json_parse(&json, frame, &errmsg), 0);
    const struct json *payload = json_at(json, 4);
    const struct json *response = json_get(payload, "response");
    if (slice_is(json_slice(json_at(json, 3)), "diff")) {
        world.diffs++;
        problem = client_tree_diff(&world.tree, payload);
    } else if (json_get(response, "rendered") != NULL) {
        problem = client_tree_join(&world.tree, json_get(response, "rendered"));
    } else if (json_get(response, "diff") != NULL) {
        problem = client_tree_diff(&world.tree, json_get(response, "diff"));
    }
    if (problem != NULL) fail_msg("%s", problem);
    json_free(json);
}

static void on_send(void *owner, void *connection, struct shared *const pieces[], size_t count)
{
    struct buf frame;
    (void)owner;
    (void)connection;
    buf_init(&frame, BYTES_MAX);
    for (size_t i = 0; i < count; i++)
        buf_add(&frame, shared_slice(pieces[i]));
    take_frame(buf_slice(&frame));
    buf_close(&frame);
}

static struct shared *on_frame(void *owner, struct slice payload)
{
    (void)owner;
    return shared_copy(payload);
}

static void on_send_frame(void *owner, void *connection, struct shared *frame)
{
    (void)owner;
    (void)connection;
    take_frame(shared_slice(frame));
}

static enum live_find on_find(void *owner, struct slice path, struct live_address *address,
                              struct buf *to)
{
    (void)owner;
    return pages_find(path, address, to);
}

static void on_ready(struct room_waiter *waiter, int status)
{
    assert_int_equal(status, 0);
    live_opened(world.live, room_topic(world.thread.rooms, waiter->room, 0), false);
}

static void on_messages(struct room_waiter *waiter)
{
    (void)waiter;
    world.waiter_told++;
}

static void on_open(void *owner, struct live *live, uint64_t seen)
{
    (void)owner;
    (void)seen;
    world.live = live;
    world.waiter = (struct room_waiter){.on_ready = on_ready, .on_messages = on_messages};
    rooms_open(world.thread.rooms, &world.waiter, slice_of("lobby"));
}

static void on_close(void *owner, struct live *live)
{
    (void)owner;
    (void)live;
    rooms_leave(world.thread.rooms, &world.waiter);
}

static void on_wake(void *owner, struct live *live, uint32_t ms)
{
    (void)owner;
    (void)live;
    (void)ms;
}

static int64_t on_wall(void *owner)
{
    (void)owner;
    return 1795596423000;
}

static uint64_t on_now(void *owner)
{
    (void)owner;
    return 1795596423000;
}

static void on_random(void *owner, void *out, size_t len)
{
    (void)owner;
    memset(out, 7, len);
}

static void join(void)
{
    struct buf session, frame;
    buf_init(&session, TOKEN_MAX);
    token_add_session(&session, &world.host.keys, &world.kari);
    buf_init(&frame, 8 * 1024);
    buf_printf(&frame,
               "[\"4\",\"4\",\"lv:lt\",\"phx_join\",{\"url\":\"http://h/lobby\",\"params\":{"
               "\"tz\":0},\"session\":\"%.*s\"}]",
               (int)session.len, session.at);
    assert_int_equal(channel_receive(&world.channel, buf_slice(&frame)), 0);
    buf_close(&frame);
    buf_close(&session);
}

/* ---- the world ---- */

static int begin(void **state)
{
    static const char secret[] = "0123456789abcdef0123456789abcdef";
    (void)state;
    memset(&world, 0, sizeof world);
    uv_loop_init(&world.thread.loop);
    world.thread.rooms = rooms_new(&world.thread);
    buf_init(&world.scratch, BYTES_MAX);
    buf_init(&world.words, 8 * 1024);
    client_tree_init(&world.tree);
    world.host = (struct live_host){.keys = {.secrets = {SLICE(secret)}},
                                    .node = "tea-2",
                                    .scratch = &world.scratch,
                                    .words = &world.words,
                                    .send = on_send,
                                    .frame = on_frame,
                                    .send_frame = on_send_frame,
                                    .find = on_find,
                                    .open = on_open,
                                    .close = on_close,
                                    .wake = on_wake,
                                    .wall_ms = on_wall,
                                    .now_ms = on_now,
                                    .random = on_random};
    world.kari = (struct identity){.issued_s = 1795596423, .name_len = 4, .name = "Kari"};
    identity_derive(&world.kari, &world.host.keys);
    channel_init(&world.channel, &world.host, NULL, world.kari.csrf);

    struct room_mail tail = {.room_len = 5, .room = "lobby", .next_seq = 1};
    join();
    rooms_tail_came(world.thread.rooms, &tail);
    assert_non_null(world.tree.root);
    return 0;
}

static int end(void **state)
{
    (void)state;
    channel_close(&world.channel);
    rooms_free(world.thread.rooms);
    client_tree_close(&world.tree);
    buf_close(&world.scratch);
    buf_close(&world.words);
    assert_int_equal(uv_loop_close(&world.thread.loop), 0);
    return 0;
}

/* So many messages of so many bytes, in one mail of the domain thread. */
static void say(size_t count, size_t text_len)
{
    struct events_mail *mail = mem_new(sizeof *mail + count * sizeof *mail->events);
    char *text = mem_new(text_len);
    memset(text, 'a', text_len);
    for (size_t i = 0; i < count; i++) {
        uint64_t number = ++world.number;
        struct message_sent event = {.number = number,
                                     .index = number,
                                     .seq = number,
                                     .room = slice_of("lobby"),
                                     .sender = slice_of("Maja"),
                                     .text = slice_make(text, text_len),
                                     .sender_id = {{1}},
                                     .at_ms = 1795596423000,
                                     .previous_at_ms = number == 1 ? 0 : 1795596423000,
                                     .run = (uint32_t)(number % RUN_MAX)};
        memcpy(event.id.bytes, &number, sizeof number);
        mail->events[mail->count++] = event_encode(&event);
    }
    mail->number = world.number;
    rooms_events_came(world.thread.rooms, mail);
    shared_unref_all(mail->events, mail->count);
    mem_free(mail);
    mem_free(text);
}

static void turn_ends(void)
{
    uv_update_time(&world.thread.loop);
    rooms_flush(world.thread.rooms);
}

/* The page has the last `count` messages of the room, each once, in order. */
static void assert_shows_last(uint64_t count)
{
    assert_int_equal(world.tree.children_count, count);
    for (size_t i = 0; i < count; i++) {
        char id[32];
        snprintf(id, sizeof id, "m-%llu", (unsigned long long)(world.number - count + 1 + i));
        assert_string_equal(world.tree.children[i].id, id);
    }
}

static bool shows(const char *text)
{
    struct buf html;
    buf_init(&html, BYTES_MAX);
    assert_null(client_tree_html(&world.tree, &html));
    buf_add_char(&html, '\0');
    bool found = strstr(html.at, text) != NULL;
    buf_close(&html);
    return found;
}

static void on_timer(uv_timer_t *timer)
{
    (void)timer;
    rooms_flush(world.thread.rooms);
}

/* The loop's turns, until something has gone out. */
static void turns_until_a_diff(void)
{
    uv_timer_t timer;
    size_t before = world.diffs;
    uv_timer_init(&world.thread.loop, &timer);
    uv_timer_start(&timer, on_timer, 1, 1);
    while (world.diffs == before)
        uv_run(&world.thread.loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&world.thread.loop, UV_RUN_DEFAULT);
}

/* ---- what is seen ---- */

static void all_of_a_turn_goes_out_as_one_diff(void **state)
{
    (void)state;
    say(1, 10);
    say(2, 10);
    assert_int_equal(world.diffs, 0);
    turn_ends();
    assert_int_equal(world.diffs, 1);
    assert_shows_last(3);
    assert_int_equal(world.waiter_told, 1);
    turn_ends();
    assert_int_equal(world.diffs, 1);
}

static void as_many_as_the_tail_holds_are_all_shown(void **state)
{
    (void)state;
    say(7, 10);
    turn_ends();
    say(TAIL_MAX, 10);
    turn_ends();
    assert_int_equal(world.diffs, 2);
    assert_shows_last(7 + TAIL_MAX);
    assert_true(shows("This is the start of #lobby"));
}

static void long_ones_go_out_in_diffs_that_fit(void **state)
{
    (void)state;
    say(40, CHAT_TEXT_MAX);
    turn_ends();
    assert_int_equal(world.diffs, 5); /* 128 KiB and a little each */
    assert_shows_last(40);
}

static void of_a_flood_the_newest_take_the_place_of_all(void **state)
{
    (void)state;
    say(7, 10);
    turn_ends();
    assert_true(shows("This is the start of #lobby"));
    say(TAIL_MAX + 1, 10);
    turn_ends();
    assert_shows_last(PAGE_MESSAGES);
    assert_false(shows("This is the start of #lobby")); /* it is not above these */
}

static void a_hundred_thousand_messages_are_not_megabytes_to_a_page(void **state)
{
    (void)state;
    say(3, 10);
    turn_ends();
    size_t before = world.sent_bytes;
    for (int i = 0; i < FLOOD / FLOOD_MAIL; i++) {
        say(FLOOD_MAIL, 200);
        rooms_flush(world.thread.rooms); /* in the same moment, for the loop's clock stands still */
    }
    assert_true(world.sent_bytes - before < 100 * 1024);
    turns_until_a_diff();
    assert_true(world.sent_bytes - before < 200 * 1024);
    assert_shows_last(PAGE_MESSAGES);
}

static void after_a_flood_each_message_is_added_again(void **state)
{
    (void)state;
    say(TAIL_MAX + 1, 10);
    turn_ends();
    size_t diffs = world.diffs;
    say(1, 10);
    rooms_flush(world.thread.rooms); /* too soon */
    assert_int_equal(world.diffs, diffs);
    assert_true(rooms_is_resting(world.thread.rooms, slice_of("lobby")));
    assert_false(rooms_is_resting(world.thread.rooms, slice_of("garden")));
    say(1, 10);
    turns_until_a_diff();
    assert_false(rooms_is_resting(world.thread.rooms, slice_of("lobby")));
    assert_shows_last(PAGE_MESSAGES + 2);
}

static void who_joins_within_the_pause_has_all_and_nothing_twice(void **state)
{
    (void)state;
    say(TAIL_MAX + 1, 10);
    turn_ends();
    say(2, 10);
    channel_close(&world.channel);
    join();
    assert_shows_last(PAGE_MESSAGES);
    size_t diffs = world.diffs;
    rooms_flush(world.thread.rooms);
    assert_int_equal(world.diffs, diffs);
    assert_shows_last(PAGE_MESSAGES);
}

/* ---- what anybody may ask for ---- */

static void on_visit_ready(struct room_waiter *waiter, int status)
{
    assert_int_equal(status, 0);
    room_topic(world.thread.rooms, waiter->room, 0); /* what the page is rendered from */
    rooms_leave(world.thread.rooms, waiter);
}

/* Somebody gets the page of a room with so many messages, and does not go live. */
static void visit_room(const char *name, size_t messages)
{
    struct room_waiter waiter = {.on_ready = on_visit_ready};
    struct room_mail *tail = mem_new(sizeof *tail);
    rooms_open(world.thread.rooms, &waiter, slice_from(name));
    tail->room_len = (uint8_t)strlen(name);
    memcpy(tail->room, name, tail->room_len);
    tail->next_seq = 1 + messages;
    for (size_t i = 0; i < messages; i++) {
        struct message_sent event = {.number = 1,
                                     .index = 1,
                                     .seq = 1 + i,
                                     .room = slice_from(name),
                                     .sender = slice_of("Maja"),
                                     .text = slice_of("tea"),
                                     .at_ms = 1795596423000};
        tail->messages[tail->count++] = event_encode(&event);
    }
    rooms_tail_came(world.thread.rooms, tail);
    shared_unref_all(tail->messages, tail->count);
    mem_free(tail);
    assert_null(waiter.room);
}

static void of_rooms_that_nobody_is_in_only_so_many_stay(void **state)
{
    char name[16];
    (void)state;
    for (int i = 0; i < ROOMS_IDLE_MAX + 3; i++) {
        snprintf(name, sizeof name, "x%d", i);
        visit_room(name, 1);
        if (i == 1) visit_room("x0", 1); /* somebody looks again */
    }
    say(1, 10);
    turn_ends();
    rooms_trim(world.thread.rooms);
    assert_int_equal(rooms_count(world.thread.rooms), 1 + ROOMS_IDLE_MAX);
    assert_int_equal(world.closed_count, 3);
    assert_string_equal(world.closed_first, "x1"); /* which nobody wanted for the longest */
    assert_shows_last(1);                          /* a room with somebody in it is none of them */
}

static void an_empty_room_goes_with_the_next_sweep(void **state)
{
    (void)state;
    visit_room("garden", 1);
    visit_room("nowhere", 0);
    rooms_sweep(world.thread.rooms);
    assert_int_equal(world.closed_count, 1);
    assert_string_equal(world.closed_first, "nowhere");
    assert_int_equal(rooms_count(world.thread.rooms), 2); /* the lobby has a reader */
}

static void a_topic_without_readers_is_told_of_no_board(void **state)
{
    (void)state;
    visit_room("garden", 1);
    rooms_home_topic(world.thread.rooms, 0);
    assert_int_equal(rooms_topics(world.thread.rooms), 3);
    rooms_board(world.thread.rooms, &world.board);
    assert_int_equal(rooms_topics(world.thread.rooms), 1);
    visit_room("garden", 1); /* and is made again, from the tail that is there */
    assert_int_equal(rooms_topics(world.thread.rooms), 2);
    assert_int_equal(rooms_count(world.thread.rooms), 2);
}

/* ---- many who wait for one tail ---- */

enum { CROWD = 6 };

static struct {
    struct room_waiter waiters[CROWD + 1]; /* the last comes when the others are told */
    unsigned told[CROWD + 1];
    int status;
} crowd;

static void on_crowd_ready(struct room_waiter *waiter, int status)
{
    struct rooms *rooms = world.thread.rooms;
    size_t i = (size_t)(waiter - crowd.waiters);
    assert_int_equal(status, crowd.status);
    assert_int_equal(crowd.told[i]++, 0);
    waiter->is_ready = false; /* who was told is not looked at again, whatever it says */
    if (i == 0) rooms_leave(rooms, &crowd.waiters[1]); /* the next */
    if (i == 2) rooms_leave(rooms, &crowd.waiters[0]); /* one that was told */
    if (i == 3) rooms_leave(rooms, waiter);
    if (i == CROWD - 1) {
        rooms_open(rooms, &crowd.waiters[CROWD], slice_of("attic"));
        rooms_leave(rooms, waiter);
    }
}

static void crowd_waits(int status)
{
    memset(&crowd, 0, sizeof crowd);
    crowd.status = status;
    for (size_t i = 0; i <= CROWD; i++)
        crowd.waiters[i].on_ready = on_crowd_ready;
    for (size_t i = 0; i < CROWD; i++)
        rooms_open(world.thread.rooms, &crowd.waiters[i], slice_of("attic"));
    struct room_mail tail = {.room_len = 5, .room = "attic", .next_seq = 1, .status = status};
    rooms_tail_came(world.thread.rooms, &tail);
    for (size_t i = 0; i <= CROWD; i++)
        assert_int_equal(crowd.told[i], i == 1 ? 0 : 1);
}

static void all_who_wait_are_told_once_whoever_leaves_meanwhile(void **state)
{
    (void)state;
    crowd_waits(0);
    for (size_t i = 0; i <= CROWD; i++) {
        bool is_in = i == 2 || i == 4 || i == CROWD;
        assert_int_equal(crowd.waiters[i].room != NULL, is_in);
        rooms_leave(world.thread.rooms, &crowd.waiters[i]);
    }
    assert_int_equal(rooms_count(world.thread.rooms), 2);
}

static void all_who_wait_are_sent_away_once_whoever_comes_meanwhile(void **state)
{
    (void)state;
    crowd_waits(ERR_BUSY);
    for (size_t i = 0; i <= CROWD; i++)
        assert_null(crowd.waiters[i].room);
    assert_int_equal(rooms_count(world.thread.rooms), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        PROMISE_WITH("P8", all_of_a_turn_goes_out_as_one_diff, begin, end),
        PROMISE_WITH("P8", as_many_as_the_tail_holds_are_all_shown, begin, end),
        PROMISE_WITH("P8", long_ones_go_out_in_diffs_that_fit, begin, end),
        PROMISE_WITH("P8", of_a_flood_the_newest_take_the_place_of_all, begin, end),
        TEST(a_hundred_thousand_messages_are_not_megabytes_to_a_page),
        TEST(of_rooms_that_nobody_is_in_only_so_many_stay),
        TEST(all_who_wait_are_told_once_whoever_leaves_meanwhile),
        TEST(all_who_wait_are_sent_away_once_whoever_comes_meanwhile),
        TEST(an_empty_room_goes_with_the_next_sweep),
        TEST(a_topic_without_readers_is_told_of_no_board),
        PROMISE_WITH("P8", after_a_flood_each_message_is_added_again, begin, end),
        PROMISE_WITH("P8", who_joins_within_the_pause_has_all_and_nothing_twice, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
