#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chat/chat.h"
#include "promise.h"

/* ---- fixture: a chat, and a person who writes into it ---- */

static const struct chat_limits limits = {
    .text_code_points_max = 100, .rate = 5, .rate_window_ms = 10000};

static int open_chat(void **state)
{
    struct chat *chat = calloc(1, sizeof *chat);
    chat_init(chat, &limits);
    *state = chat;
    return 0;
}

static int close_chat(void **state)
{
    chat_close(*state);
    free(*state);
    return 0;
}

static struct command_id id_of(uint64_t n)
{
    struct command_id id = {.bytes = {0}};
    memcpy(id.bytes, &n, sizeof n);
    return id;
}

static struct send_message says(uint8_t who, uint64_t id, int64_t at_ms)
{
    return (struct send_message){.room = slice_of("tea"),
                                 .sender = slice_of("Maja"),
                                 .text = slice_of("hello"),
                                 .sender_id = {.bytes = {who}},
                                 .id = id_of(id),
                                 .at_ms = at_ms};
}

static struct message_sent applied(struct chat *chat, const struct send_message *command)
{
    struct message_sent event;
    assert_int_equal(chat_apply(chat, command, chat->index + 1, &event), CHAT_APPLIED);
    return event;
}

static enum chat_refusal asked(struct chat *chat, const struct send_message *command)
{
    uint32_t wait_ms = 0;
    return chat_execute(chat, command, 1000, &wait_ms);
}

/* ---- execute ---- */

static void a_good_message_is_accepted_and_changes_nothing(void **state)
{
    struct chat *chat = *state;
    struct send_message command = says(1, 1, 0);
    assert_int_equal(asked(chat, &command), CHAT_ACCEPTED);
    assert_int_equal(chat->number, 0);
    assert_int_equal(chat->rooms_count, 0);
}

static void what_cannot_be_shown_is_refused(void **state)
{
    struct chat *chat = *state;
    static char large[CHAT_TEXT_MAX + 1];
    memset(large, 'x', sizeof large);
    const struct {
        struct slice text;
        enum chat_refusal refusal;
    } cases[] = {{slice_of(""), CHAT_TEXT_EMPTY},
                 {slice_of(" \n\t\xe2\x80\x8b"), CHAT_TEXT_EMPTY},
                 {slice_of("a\0b"), CHAT_TEXT_INVALID},
                 {slice_of("a\x1b[31m"), CHAT_TEXT_INVALID},
                 {slice_of("a\xff"), CHAT_TEXT_INVALID},
                 {slice_make(large, 101), CHAT_TEXT_TOO_LONG},
                 {slice_make(large, sizeof large), CHAT_TEXT_TOO_LONG},
                 {slice_make(large, 100), CHAT_ACCEPTED}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct send_message command = says((uint8_t)i, 100 + i, 0);
        command.text = cases[i].text;
        assert_int_equal(asked(chat, &command), cases[i].refusal);
    }
}

static void names_and_rooms_must_be_written_the_one_way(void **state)
{
    struct chat *chat = *state;
    static const char *const bad_rooms[] = {"",    "Tea", "-tea", "a b", "a/b", "caf\x65\xcc\x81",
                                            "\xff"};
    static const char *const bad_names[] = {"",
                                            " Maja",
                                            "Jose\xcc\x81",
                                            "a\xe2\x80\xae",
                                            "a\nb",
                                            "\xff",
                                            "12345678901234567890123456789012345678901"};
    for (size_t i = 0; i < sizeof bad_rooms / sizeof bad_rooms[0]; i++) {
        struct send_message command = says(1, 1, 0);
        command.room = slice_from(bad_rooms[i]);
        assert_int_equal(asked(chat, &command), CHAT_ROOM_INVALID);
    }
    for (size_t i = 0; i < sizeof bad_names / sizeof bad_names[0]; i++) {
        struct send_message command = says(1, 1, 0);
        command.sender = slice_from(bad_names[i]);
        assert_int_equal(asked(chat, &command), CHAT_NAME_INVALID);
    }
    struct send_message command = says(1, 1, 0);
    command.room = slice_of("caf\xc3\xa9");
    command.sender = slice_of("Jos\xc3\xa9 M.");
    assert_int_equal(asked(chat, &command), CHAT_ACCEPTED);
}

static void a_command_that_was_applied_is_a_duplicate(void **state)
{
    struct chat *chat = *state;
    struct send_message command = says(1, 1, 1000);
    applied(chat, &command);
    assert_int_equal(asked(chat, &command), CHAT_DUPLICATE);
    command.text = slice_of("another");
    assert_int_equal(asked(chat, &command), CHAT_ID_USED);
}

static void who_writes_too_fast_waits_and_has_a_reserve_for_what_is_retried(void **state)
{
    struct chat *chat = *state;
    uint32_t wait_ms = 0;
    uint64_t id = 100;
    for (uint64_t i = 0; i < 5; i++) {
        struct send_message command = says(1, i, 0);
        assert_int_equal(chat_execute(chat, &command, 1000, &wait_ms), CHAT_ACCEPTED);
    }
    struct send_message command = says(1, 9, 0);
    assert_int_equal(chat_execute(chat, &command, 1000, &wait_ms), CHAT_TOO_FAST);
    assert_int_equal(wait_ms, 2000);
    for (int i = 0; i < 5; i++) { /* as many as might have been on their way */
        struct send_message again = says(1, id++, 0);
        again.retried = true;
        assert_int_equal(chat_execute(chat, &again, 1000, &wait_ms), CHAT_ACCEPTED);
        assert_int_equal(wait_ms, 0);
    }
    struct send_message again = says(1, id++, 0);
    again.retried = true;
    assert_int_equal(chat_execute(chat, &again, 1000, &wait_ms), CHAT_TOO_FAST);
    assert_int_equal(wait_ms, 2000);
    assert_int_equal(chat_judge(chat, &again), CHAT_ACCEPTED); /* but for the rate */
    assert_int_equal(chat_execute(chat, &command, 3000, &wait_ms), CHAT_TOO_FAST);
    assert_int_equal(chat_execute(chat, &command, 13000, &wait_ms), CHAT_ACCEPTED);
    struct send_message other = says(2, 10, 0);
    assert_int_equal(chat_execute(chat, &other, 13000, &wait_ms), CHAT_ACCEPTED);
}

static void a_refused_message_costs_no_token(void **state)
{
    struct chat *chat = *state;
    struct send_message command = says(1, 1, 0);
    command.text = slice_of(" ");
    for (int i = 0; i < 100; i++)
        assert_int_equal(asked(chat, &command), CHAT_TEXT_EMPTY);
    command.text = slice_of("x");
    assert_int_equal(asked(chat, &command), CHAT_ACCEPTED);
}

/* ---- apply ---- */

static void events_are_numbered_in_the_history_and_in_their_room(void **state)
{
    struct chat *chat = *state;
    static const char *const rooms[] = {"tea", "cake", "tea", "tea", "cake"};
    static const uint64_t seqs[] = {1, 1, 2, 3, 2};
    for (uint64_t i = 0; i < 5; i++) {
        struct send_message command = says(1, i, 1000 + (int64_t)i);
        command.room = slice_from(rooms[i]);
        struct message_sent event = applied(chat, &command);
        assert_true(event.number == i + 1 && event.seq == seqs[i]);
        assert_true(event.index == i + 1);
    }
    assert_int_equal(chat->rooms_count, 2);
    assert_true(slice_is(chat_room_name(chat->newest), "cake"));
    assert_true(slice_is(chat_room_name(chat->newest->older), "tea"));
    assert_null(chat->newest->older->older);
    assert_true(chat_find_room(chat, slice_of("tea"))->last_number == 4);
    assert_null(chat_find_room(chat, slice_of("te")));
    assert_null(chat_find_room(chat, slice_of("")));
}

static void time_never_goes_back(void **state)
{
    struct chat *chat = *state;
    static const int64_t clocks[] = {5000, 4000, 6000, 0};
    static const int64_t expected[] = {5000, 5000, 6000, 6000};
    static const int64_t previous[] = {0, 5000, 5000, 6000};
    for (uint64_t i = 0; i < 4; i++) {
        struct send_message command = says(1, i, clocks[i]);
        struct message_sent event = applied(chat, &command);
        assert_true(event.at_ms == expected[i]);
        assert_true(event.previous_at_ms == previous[i]);
    }
}

static void messages_of_one_sender_stand_under_one_head(void **state)
{
    struct chat *chat = *state;
    uint64_t id = 0;
    for (uint32_t i = 0; i < 2 * RUN_MAX; i++) {
        struct send_message command = says(1, id++, 1000);
        assert_int_equal(applied(chat, &command).run, i % RUN_MAX);
    }
    struct send_message other = says(2, id++, 1000);
    assert_int_equal(applied(chat, &other).run, 0);
    struct send_message again = says(2, id++, 1000 + RUN_GAP_MS);
    assert_int_equal(applied(chat, &again).run, 1);
    struct send_message late = says(2, id++, 1000 + 2 * RUN_GAP_MS + 1);
    assert_int_equal(applied(chat, &late).run, 0);
    struct send_message elsewhere = says(2, id++, late.at_ms);
    elsewhere.room = slice_of("cake");
    assert_int_equal(applied(chat, &elsewhere).run, 0);
    struct send_message back = says(2, id++, late.at_ms);
    assert_int_equal(applied(chat, &back).run, 1);
}

static void a_command_is_applied_once(void **state)
{
    struct chat *chat = *state;
    struct send_message first = says(1, 1, 1000);
    struct send_message second = says(1, 2, 1000);
    applied(chat, &first);
    applied(chat, &second);
    struct digest digest = chat->digest;

    struct message_sent event;
    first.at_ms = 999999; /* another leader accepted it again */
    first.retried = true;
    assert_int_equal(chat_apply(chat, &first, 9, &event), CHAT_KNOWN);
    assert_int_equal(event.number, 1);
    assert_int_equal(chat->number, 2);
    assert_int_equal(chat->index, 9);
    assert_true(chat->at_ms == 1000);
    assert_memory_equal(&chat->digest, &digest, sizeof digest);

    struct send_message stolen = says(2, 1, 1000);
    assert_int_equal(chat_apply(chat, &stolen, 10, &event), CHAT_USED);
    struct send_message changed = says(1, 1, 1000);
    changed.room = slice_of("cake");
    assert_int_equal(chat_apply(chat, &changed, 11, &event), CHAT_USED);
    assert_int_equal(chat->number, 2);
    assert_null(chat_find_room(chat, slice_of("cake")));
}

static void what_lies_before_the_window_is_not_decided(void **state)
{
    struct chat *chat = *state;
    window_close(&chat->window);
    window_init(&chat->window, 4);
    for (uint64_t i = 1; i <= 10; i++) {
        struct send_message command = says(1, i, 1000);
        command.unseen_up_to = i - 1;
        applied(chat, &command);
    }
    assert_true(chat->window.first == 7);

    struct message_sent event;
    struct send_message old = says(1, 3, 1000); /* was applied, and forgotten by the window */
    old.unseen_up_to = 2;
    assert_int_equal(chat_apply(chat, &old, 20, &event), CHAT_RETRY);
    struct send_message late = says(1, 50, 1000);
    late.unseen_up_to = 5;
    assert_int_equal(chat_apply(chat, &late, 21, &event), CHAT_RETRY);
    assert_int_equal(chat->number, 10);
    late.unseen_up_to = 6;
    assert_int_equal(chat_apply(chat, &late, 22, &event), CHAT_APPLIED);
    assert_int_equal(event.number, 11);
    struct send_message inside = says(1, 9, 1000); /* found, however little its taker has seen */
    assert_int_equal(chat_apply(chat, &inside, 23, &event), CHAT_KNOWN);
    assert_int_equal(event.number, 9);
}

static void the_senseless_in_the_log_is_invalid_and_kills_nobody(void **state)
{
    struct chat *chat = *state;
    static char large[CHAT_TEXT_MAX + 1];
    memset(large, 'x', sizeof large);
    struct send_message cases[16];
    size_t count = sizeof cases / sizeof cases[0];
    for (size_t i = 0; i < count; i++)
        cases[i] = says(1, i, 1000);
    cases[0].text = slice_of("");
    cases[1].text = slice_of(" \n");
    cases[2].text = slice_of("\xff");
    cases[3].text = slice_of("a\0");
    cases[4].text = slice_make(large, CHAT_TEXT_MAX + 1);
    cases[5].text = slice_make(large, CHAT_TEXT_CODE_POINTS_MAX + 1);
    cases[6].room = slice_of("");
    cases[7].room = slice_of("A");
    cases[8].room = slice_make(large, ROOM_MAX + 1);
    cases[9].room = slice_of("a\xff");
    cases[10].sender = slice_of("");
    cases[11].sender = slice_make(large, NAME_MAX_BYTES + 1);
    cases[12].sender = slice_of("\xc3");
    cases[13].at_ms = -1;
    cases[14].at_ms = INT64_MAX;
    cases[15].sender = slice_of("a\nb");
    for (size_t i = 0; i < count; i++) {
        struct message_sent event;
        assert_int_equal(chat_apply(chat, &cases[i], i + 1, &event), CHAT_INVALID);
    }
    assert_int_equal(chat->number, 0);
    assert_int_equal(chat->rooms_count, 0);
    assert_int_equal(chat->index, count);
}

/* The setting chat.message_max may differ between nodes: it must not matter to apply. */
static void apply_does_not_look_at_settings(void **state)
{
    struct chat *chat = *state;
    char text[200];
    memset(text, 'x', sizeof text);
    struct send_message command = says(1, 1, 1000);
    command.text = slice_make(text, sizeof text);
    assert_int_equal(asked(chat, &command), CHAT_TEXT_TOO_LONG);
    applied(chat, &command);
}

static void play(struct chat *chat, unsigned seed, struct digest *digest)
{
    for (int i = 0; i < 3000; i++) {
        char room[8];
        char text[16];
        seed = seed * 1103515245 + 12345;
        unsigned dice = seed >> 8;
        int room_len = snprintf(room, sizeof room, "r%u", dice % 7);
        int text_len = snprintf(text, sizeof text, "%u", dice % 5 == 0 ? 1 : dice);
        struct send_message command = says((uint8_t)(dice % 3), dice % 2000, 1000 + dice % 90000);
        command.room = slice_make(room, (size_t)room_len);
        command.text = slice_make(text, dice % 11 == 0 ? 0 : (size_t)text_len);
        command.unseen_up_to = chat->number > dice % 40 ? chat->number - dice % 40 : 0;
        struct message_sent event;
        chat_apply(chat, &command, (uint64_t)i, &event);
    }
    *digest = chat->digest;
}

static void equal_logs_give_equal_histories(void **state)
{
    struct chat *one = *state;
    struct chat other;
    struct digest a;
    struct digest b;
    chat_init(&other, &(struct chat_limits){.text_code_points_max = 7, .rate = 1});
    one->window.events_max = other.window.events_max = 64;
    play(one, 42, &a);
    play(&other, 42, &b);
    assert_true(one->number > 500);
    assert_true(one->number == other.number);
    assert_memory_equal(&a, &b, sizeof a);
    chat_close(&other);
    chat_init(&other, &limits);
    play(&other, 43, &b);
    assert_memory_not_equal(&a, &b, sizeof a);
    chat_close(&other);
}

/* ---- taking up ---- */

static void a_chat_that_was_taken_up_goes_on_as_if_it_had_not_stopped(void **state)
{
    struct chat *live = *state;
    struct chat later;
    chat_init(&later, &limits);
    struct message_sent events[6];
    for (uint64_t i = 0; i < 6; i++) {
        struct send_message command = says(1, i, 1000);
        command.room = i % 2 == 0 ? slice_of("tea") : slice_of("cake");
        events[i] = applied(live, &command);
    }
    for (const struct chat_room *room = live->newest->older; room != NULL; room = room->newer) {
        chat_restore_room(&later, room);
        if (room == live->newest) break;
    }
    for (size_t i = 2; i < 6; i++)
        chat_restore_event(&later, &events[i]);
    chat_restore(&later, live->number, live->index, live->at_ms, &live->digest);

    struct send_message command = says(1, 77, 1001);
    command.unseen_up_to = 6;
    struct message_sent next = applied(live, &command);
    struct message_sent next_later = applied(&later, &command);
    assert_memory_equal(&next.digest, &next_later.digest, sizeof next.digest);
    assert_true(next.run == next_later.run && next.seq == next_later.seq);

    struct message_sent event;
    struct send_message known = says(1, 3, 1000);
    known.room = slice_of("cake");
    assert_int_equal(chat_apply(&later, &known, 50, &event), CHAT_KNOWN);
    assert_int_equal(event.number, 4);
    struct send_message before = says(1, 0, 1000); /* not restored: before the window */
    assert_int_equal(chat_apply(&later, &before, 51, &event), CHAT_RETRY);
    chat_close(&later);
}

/* Plays one log into `from`, and gives each event to `to` as another node would. */
static void follow(struct chat *from, struct chat *to, unsigned events)
{
    unsigned seed = 7;
    for (uint64_t i = 0; from->number < events; i++) {
        char room[8];
        seed = seed * 1103515245 + 12345;
        unsigned dice = seed >> 8;
        int room_len = snprintf(room, sizeof room, "r%u", dice % 7);
        struct send_message command = says((uint8_t)(dice % 3), i, 1000 + dice % 90000);
        command.room = slice_make(room, (size_t)room_len);
        command.unseen_up_to = from->number;
        struct message_sent event = applied(from, &command);
        struct shared *bytes = event_encode(&event);
        struct message_sent told;
        assert_int_equal(event_decode(&told, shared_slice(bytes), NULL), 0);
        assert_int_equal(chat_take(to, &told, NULL), 0);
        chat_remember(from, &event, bytes);
        chat_remember(to, &told, bytes);
        shared_unref(bytes);
    }
}

static void assert_same_rooms(const struct chat *a, const struct chat *b)
{
    const struct chat_room *left = a->newest;
    const struct chat_room *right = b->newest;
    assert_int_equal(a->rooms_count, b->rooms_count);
    for (; left != NULL && right != NULL; left = left->older, right = right->older) {
        assert_true(slice_equal(chat_room_name(left), chat_room_name(right)));
        assert_true(left->seq == right->seq && left->last_number == right->last_number);
        assert_true(left->last_at_ms == right->last_at_ms && left->run == right->run);
        assert_memory_equal(&left->last_sender_id, &right->last_sender_id, 16);
        assert_true(slice_equal(shared_slice(left->last), shared_slice(right->last)));
    }
    assert_true(left == NULL && right == NULL);
}

static void what_is_taken_leaves_the_same_as_what_is_applied(void **state)
{
    struct chat *live = *state;
    struct chat taken;
    chat_init(&taken, &limits);
    live->window.events_max = taken.window.events_max = 64;
    follow(live, &taken, 500);
    assert_int_equal(taken.number, 500);
    assert_int_equal(taken.index, 0); /* where the log stands is told by others */
    assert_true(taken.at_ms == live->at_ms);
    assert_memory_equal(&taken.digest, &live->digest, sizeof taken.digest);
    assert_same_rooms(live, &taken);
    assert_true(taken.window.first == live->window.first && taken.window.last == 500);
    for (uint64_t number = live->window.first; number <= 500; number++) {
        size_t place = number % live->window.ring_size;
        const struct window_entry *known = window_find(&taken.window, &live->window.ring[place].id);
        assert_non_null(known);
        assert_true(known->number == number);
        assert_true(known->content == live->window.ring[place].content);
    }

    struct send_message command = says(1, 7777, 100000);
    command.unseen_up_to = 500;
    struct message_sent next = applied(live, &command);
    struct message_sent next_taken = applied(&taken, &command);
    assert_memory_equal(&next.digest, &next_taken.digest, sizeof next.digest);
    assert_true(next.run == next_taken.run && next.seq == next_taken.seq);
    struct message_sent event;
    assert_int_equal(chat_apply(&taken, &command, 900, &event), CHAT_KNOWN);
    assert_int_equal(event.number, 501);
    chat_close(&taken);
}

static void assert_not_taken(struct chat *chat, const struct message_sent *event)
{
    struct errmsg errmsg = {.text = ""};
    struct chat before = *chat;
    struct chat_room room = *chat->newest;
    assert_int_equal(chat_take(chat, event, &errmsg), ERR_DATA);
    assert_true(errmsg.text[0] != '\0');
    assert_memory_equal(chat, &before, sizeof before);
    assert_memory_equal(chat->newest, &room, sizeof room);
}

/* As a peer would have made it that believes its own error: the digest fits. */
static void assert_not_taken_signed(struct chat *chat, struct message_sent *event)
{
    event_digest(&event->digest, &chat->digest, event);
    assert_not_taken(chat, event);
}

static void what_does_not_continue_the_history_is_not_taken(void **state)
{
    struct chat *live = *state;
    struct chat taken;
    chat_init(&taken, &limits);
    follow(live, &taken, 20);
    struct send_message command = says(1, 7777, 100000);
    command.room = slice_of("r3");
    command.unseen_up_to = 20;
    const struct message_sent good = applied(live, &command);
    struct message_sent bad = good;

    bad.digest.bytes[15] ^= 1;
    assert_not_taken(&taken, &bad);
    bad = good;
    bad.number = 22;
    assert_not_taken_signed(&taken, &bad);
    bad = good;
    bad.number = 20;
    assert_not_taken_signed(&taken, &bad);
    bad = good;
    bad.seq++;
    assert_not_taken_signed(&taken, &bad);
    bad = good;
    bad.seq--;
    assert_not_taken_signed(&taken, &bad);
    bad = good;
    bad.at_ms = taken.at_ms - 1;
    assert_not_taken_signed(&taken, &bad);
    bad = good;
    bad.at_ms = AT_MS_MAX + 1;
    assert_not_taken_signed(&taken, &bad);
    bad = good;
    bad.previous_at_ms++; /* neither this nor run is in the digest */
    assert_not_taken(&taken, &bad);
    bad = good;
    bad.run++;
    assert_not_taken(&taken, &bad);
    bad = good;
    bad.room = slice_of("new"); /* begins with seq 1 */
    assert_not_taken_signed(&taken, &bad);
    bad = good;
    bad.text = slice_of(" ");
    assert_not_taken_signed(&taken, &bad);
    bad = good;
    bad.id = id_of(3); /* was there before */
    assert_not_taken_signed(&taken, &bad);
    assert_null(chat_find_room(&taken, slice_of("new")));

    assert_int_equal(chat_take(&taken, &good, NULL), 0);
    assert_memory_equal(&taken.digest, &live->digest, sizeof taken.digest);
    chat_close(&taken);
}

static void the_last_message_of_a_room_is_remembered(void **state)
{
    struct chat *chat = *state;
    for (uint64_t i = 0; i < 3; i++) {
        struct send_message command = says(1, i, 1000);
        struct message_sent event = applied(chat, &command);
        struct shared *bytes = event_encode(&event);
        chat_remember(chat, &event, bytes);
        shared_unref(bytes);
    }
    struct message_sent last;
    assert_int_equal(event_decode(&last, shared_slice(chat->newest->last), NULL), 0);
    assert_int_equal(last.number, 3);
}

static void every_refusal_has_a_word_and_a_sentence(void **state)
{
    (void)state;
    for (int refusal = CHAT_ACCEPTED; refusal <= CHAT_NO_LEADER; refusal++) {
        assert_true(strlen(chat_refusal_word((enum chat_refusal)refusal)) > 0);
        assert_true(strlen(chat_refusal_sentence((enum chat_refusal)refusal)) > 0);
    }
    assert_string_equal(chat_refusal_word(CHAT_TOO_FAST), "too_fast");
}

#define CHAT_TEST(name) cmocka_unit_test_setup_teardown(name, open_chat, close_chat)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE_WITH("P7", a_good_message_is_accepted_and_changes_nothing, open_chat, close_chat),
        CHAT_TEST(what_cannot_be_shown_is_refused),
        CHAT_TEST(names_and_rooms_must_be_written_the_one_way),
        PROMISE_WITH("P3", a_command_that_was_applied_is_a_duplicate, open_chat, close_chat),
        PROMISE_WITH("P6", who_writes_too_fast_waits_and_has_a_reserve_for_what_is_retried,
                     open_chat, close_chat),
        CHAT_TEST(a_refused_message_costs_no_token),
        PROMISE_WITH("P1", events_are_numbered_in_the_history_and_in_their_room, open_chat,
                     close_chat),
        PROMISE_WITH("P2", time_never_goes_back, open_chat, close_chat),
        CHAT_TEST(messages_of_one_sender_stand_under_one_head),
        PROMISE_WITH("P3", a_command_is_applied_once, open_chat, close_chat),
        PROMISE_WITH("P3 P11", what_lies_before_the_window_is_not_decided, open_chat, close_chat),
        CHAT_TEST(the_senseless_in_the_log_is_invalid_and_kills_nobody),
        PROMISE_WITH("P2", apply_does_not_look_at_settings, open_chat, close_chat),
        PROMISE_WITH("P2", equal_logs_give_equal_histories, open_chat, close_chat),
        PROMISE_WITH("P3 P11", a_chat_that_was_taken_up_goes_on_as_if_it_had_not_stopped, open_chat,
                     close_chat),
        PROMISE_WITH("P2 P11", what_is_taken_leaves_the_same_as_what_is_applied, open_chat,
                     close_chat),
        PROMISE_WITH("P12", what_does_not_continue_the_history_is_not_taken, open_chat, close_chat),
        CHAT_TEST(the_last_message_of_a_room_is_remembered),
        cmocka_unit_test(every_refusal_has_a_word_and_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
