/* A room's page behind the real channel and engine: frames in, frames out; the host is made up here.
 * One file, though longer than 500 lines: what becomes of a message and what is shown of it are one page's, and
 * each test needs that host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "live/channel.h"
#include "pages/pages.h"
#include "promise.h"

enum { FRAME_MAX = 1024 * 1024 };

static const int64_t morning_ms = 1795596423000; /* Wednesday 25 November 2026, 08:47:03 UTC */
static const char first_id[] = "018f6c1e-7a40-7cc3-9b1d-2f0e5a6d41c7";

static struct {
    struct live_host host;
    struct buf scratch, words, sent; /* sent: all frames, each with a newline */
    struct topic chat, home, cluster;
    struct shared *board;
    struct identity kari, maja, nobody;
    struct channel channel;
    int64_t now_ms;
    uint8_t random;
    uint64_t number;
    /* what pages asked for */
    struct live *live;
    struct live_ref ref;
    char text[256];
    struct command_id id;
    bool retried;
    unsigned dispatches, checks, histories, watches, wakes, typings;
    uint32_t wake_ms;
    uint64_t before;
} world;

/* ---- the host ---- */

static void on_send(void *owner, void *connection, struct shared *const pieces[], size_t count)
{
    (void)owner;
    (void)connection;
    for (size_t i = 0; i < count; i++)
        buf_add(&world.sent, shared_slice(pieces[i]));
    buf_add_char(&world.sent, '\n');
}

static struct shared *on_frame(void *owner, struct slice payload)
{
    (void)owner;
    return shared_copy(payload);
}

static void on_send_frame(void *owner, void *connection, struct shared *frame)
{
    struct shared *const pieces[] = {frame};
    on_send(owner, connection, pieces, 1);
}

static enum live_find on_find(void *owner, struct slice path, struct live_address *address,
                              struct buf *to)
{
    (void)owner;
    return pages_find(path, address, to);
}

static struct topic *topic_of(const struct live *live)
{
    if (live->address.view == &home_view) return &world.home;
    return live->address.view == &cluster_view ? &world.cluster : &world.chat;
}

static void on_open(void *owner, struct live *live, uint64_t seen)
{
    (void)owner;
    world.live = live;
    live_opened(live, topic_of(live), seen > world.number);
}

static void on_close(void *owner, struct live *live)
{
    (void)owner;
    (void)live;
}

static void keep(struct live *live, const struct live_ref *ref, const struct send_message *command)
{
    (void)live;
    assert_true(command->text.len < sizeof world.text);
    memcpy(world.text, command->text.at, command->text.len);
    world.text[command->text.len] = '\0';
    world.ref = *ref;
    world.id = command->id;
}

static void on_dispatch(void *owner, struct live *live, const struct live_ref *ref,
                        const struct send_message *command)
{
    (void)owner;
    world.dispatches++;
    world.retried = command->retried;
    keep(live, ref, command);
}

static void on_check(void *owner, struct live *live, const struct live_ref *ref,
                     const struct send_message *command)
{
    (void)owner;
    world.checks++;
    keep(live, ref, command);
}

static void on_history(void *owner, struct live *live, const struct live_ref *ref, uint64_t before)
{
    (void)owner;
    (void)live;
    world.histories++;
    world.ref = *ref;
    world.before = before;
}

static void on_watch(void *owner, struct live *live, const struct command_id *id)
{
    (void)owner;
    (void)live;
    world.watches++;
    world.id = *id;
}

static void on_wake(void *owner, struct live *live, uint32_t ms)
{
    (void)owner;
    (void)live;
    world.wakes++;
    world.wake_ms = ms;
}

static void on_typing(void *owner, struct live *live)
{
    (void)owner;
    (void)live;
    world.typings++;
}

static int64_t on_wall(void *owner)
{
    (void)owner;
    return world.now_ms;
}

static uint64_t on_now(void *owner)
{
    (void)owner;
    return (uint64_t)world.now_ms;
}

static void on_random(void *owner, void *out, size_t len)
{
    (void)owner;
    memset(out, ++world.random, len);
}

/* ---- the world ---- */

static struct identity person(uint8_t session, const char *name, const char *node)
{
    struct identity who = {.issued_s = morning_ms / 1000};
    memset(who.session, session, sizeof who.session);
    who.name_len = (uint8_t)strlen(name);
    memcpy(who.name, name, who.name_len);
    who.node_len = (uint8_t)strlen(node);
    memcpy(who.node, node, who.node_len);
    identity_derive(&who, &world.host.keys);
    return who;
}

static void add_room(struct board *board, const char *name, uint64_t messages, uint64_t last_number)
{
    struct board_room *room = &board->rooms[board->rooms_count++];
    room->name_len = (uint8_t)strlen(name);
    memcpy(room->name, name, room->name_len);
    memcpy(room->sender, "Ines", room->sender_len = 4);
    memcpy(room->text, "<b>", room->text_len = 3);
    room->messages = messages;
    room->last_number = last_number;
    room->last_at_ms = morning_ms;
    board->rooms_total++;
}

static void add_person(struct board *board, const struct identity *who, bool is_typing)
{
    struct board_person *person = &board->people[board->people_count++];
    *person = (struct board_person){.room_len = 5,
                                    .name_len = who->name_len,
                                    .is_typing = is_typing,
                                    .sender_id = who->sender_id};
    memcpy(person->room, "lobby", 5);
    memcpy(person->name, who->name, who->name_len);
}

static struct board *new_board(struct shared **bytes)
{
    *bytes = board_new(BOARD_PEOPLE_MAX);
    struct board *board = board_fill(*bytes);
    *board = (struct board){.made_at_ms = morning_ms,
                            .number = world.number,
                            .voters = 3,
                            .voters_up = 3,
                            .health = BOARD_OK,
                            .self = "tea-2",
                            .leader = "tea-3",
                            .sentence = "All 3 nodes are up. Any one may fail."};
    static const char *const names[] = {"tea-1", "tea-2", "tea-3"};
    for (size_t i = 0; i < 3; i++) {
        struct board_node *node = &board->nodes[board->nodes_count++];
        *node = (struct board_node){
            .is_self = i == 1, .is_known = true, .role = i == 2 ? BOARD_LEADER : BOARD_FOLLOWER};
        snprintf(node->name, sizeof node->name, "%s", names[i]);
        snprintf(node->http, sizeof node->http, "http://127.0.0.1:400%zu", i + 1);
        snprintf(node->address, sizeof node->address, "127.0.0.1:700%zu", i + 1);
    }
    return board;
}

/* As the web thread does: the boards, then the broadcasts, then each reader. */
static void show_board(struct shared *bytes)
{
    const struct board *board = board_of(bytes);
    chat_shared_board(world.chat.shared, board);
    home_shared_board(world.home.shared, board);
    cluster_shared_board(world.cluster.shared, board);
    shared_unref(world.board);
    world.board = bytes;
    chat_shared_fresh(world.chat.shared);
    topic_broadcast(&world.chat, &world.host, &world.scratch);
    chat_shared_settle(world.chat.shared);
    topic_broadcast(&world.home, &world.host, &world.scratch);
    topic_broadcast(&world.cluster, &world.host, &world.scratch);
    if (world.channel.live != NULL)
        live_inform(world.channel.live, NULL, &(struct live_info){.kind = LIVE_LISTS});
}

static struct message message_of(const struct identity *who, const char *text, uint64_t seq,
                                 int64_t at_ms, int64_t previous_at_ms, uint32_t run)
{
    return (struct message){.event = {.number = 1000 + seq,
                                      .seq = seq,
                                      .sender = identity_name(who),
                                      .sender_id = who->sender_id,
                                      .room = slice_of("lobby"),
                                      .text = slice_from(text),
                                      .at_ms = at_ms,
                                      .previous_at_ms = previous_at_ms,
                                      .run = run}};
}

static void say(const struct identity *who, const char *text, uint64_t seq, uint32_t run)
{
    struct message message =
        message_of(who, text, seq, morning_ms + (int64_t)seq, morning_ms + (int64_t)seq - 1, run);
    chat_shared_add(world.chat.shared, &message, world.now_ms);
    chat_shared_fresh(world.chat.shared);
    topic_broadcast(&world.chat, &world.host, &world.scratch);
    chat_shared_settle(world.chat.shared);
    topic_stream_changed(&world.chat);
    world.number = message.event.number;
}

static const char *sent(void)
{
    buf_add_char(&world.sent, '\0');
    world.sent.len--;
    return world.sent.at;
}

static bool sent_has(const char *text)
{
    return strstr(sent(), text) != NULL;
}

static void receive(const char *frame)
{
    buf_reset(&world.sent);
    assert_int_equal(channel_receive(&world.channel, slice_from(frame)), 0);
}

static const char *join_word = "url"; /* or "redirect" */

static void join_as(const struct identity *who, const char *path, const char *params)
{
    struct buf session, frame;
    if (world.channel.live != NULL) channel_close(&world.channel);
    channel_init(&world.channel, &world.host, NULL, who->csrf);
    buf_init(&session, TOKEN_MAX);
    token_add_session(&session, &world.host.keys, who);
    buf_init(&frame, 8 * 1024);
    buf_printf(&frame,
               "[\"4\",\"4\",\"lv:lt\",\"phx_join\",{\"%s\":\"http://127.0.0.1:4002%s\","
               "\"params\":{\"_csrf_token\":\"C\",\"tz\":60%s},\"session\":\"%.*s\","
               "\"static\":null,\"sticky\":false}]",
               join_word, path, params, (int)session.len, session.at);
    buf_add_char(&frame, '\0');
    receive(frame.at);
    buf_close(&frame);
    buf_close(&session);
}

static void join(void)
{
    join_as(&world.kari, "/lobby", "");
}

static void event(const char *name, const char *value)
{
    char frame[1024];
    snprintf(frame, sizeof frame,
             "[\"4\",\"8\",\"lv:lt\",\"event\",{\"type\":\"form\",\"event\":\"%s\","
             "\"value\":\"%s\",\"meta\":{}}]",
             name, value);
    receive(frame);
}

static void send_text(const char *text)
{
    char value[512];
    snprintf(value, sizeof value, "nonce=%s&message=%s", first_id, text);
    event("send_message", value);
}

static void inform(struct live_info info)
{
    buf_reset(&world.sent);
    live_inform(world.channel.live, &world.ref, &info);
    world.ref.len = 0;
}

static void answer(enum live_outcome outcome, enum chat_refusal refusal)
{
    inform((struct live_info){.kind = LIVE_ANSWERED,
                              .id = world.id,
                              .text = slice_from(world.text),
                              .outcome = outcome,
                              .refusal = refusal,
                              .number = world.number + 1,
                              .wait_ms = 2100});
}

static void checked(enum live_outcome outcome)
{
    inform((struct live_info){
        .kind = LIVE_CHECKED, .id = world.id, .text = slice_from(world.text), .outcome = outcome});
}

static void applied(const char *text)
{
    inform((struct live_info){.kind = LIVE_APPLIED, .id = world.id, .text = slice_from(text)});
}

/* Whether the page is asked what stands in its box. */
static bool is_asked(void)
{
    return sent_has("name=\\\"settle\\\"");
}

/* What the button of that does. */
static void settle(const char *text)
{
    char value[512];
    snprintf(value, sizeof value, "nonce=%s&message=%s&settle=1", first_id, text);
    event("send_message", value);
}

static void wake(void)
{
    world.now_ms += world.wake_ms;
    inform((struct live_info){.kind = LIVE_WOKEN});
}

static int begin(void **state)
{
    (void)state;
    static const char secret[] = "0123456789abcdef0123456789abcdef";
    memset(&world, 0, sizeof world);
    world.now_ms = morning_ms;
    world.number = 1000;
    buf_init(&world.scratch, FRAME_MAX);
    buf_init(&world.words, 8 * 1024);
    buf_init(&world.sent, FRAME_MAX);
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
                                    .dispatch = on_dispatch,
                                    .check = on_check,
                                    .history = on_history,
                                    .watch = on_watch,
                                    .wake = on_wake,
                                    .typing = on_typing,
                                    .wall_ms = on_wall,
                                    .now_ms = on_now,
                                    .random = on_random};
    world.kari = person(1, "Kari", "tea-2");
    world.maja = person(2, "Maja", "tea-2");
    world.nobody = person(3, "", "tea-2");
    struct shared_options options = {
        .room = slice_of("lobby"), .offset_minutes = 60, .ui_title = slice_of("Live Tea")};
    topic_init(&world.chat, &chat_view, chat_shared_new(&options));
    topic_init(&world.home, &home_view, home_shared_new(&options));
    topic_init(&world.cluster, &cluster_view, cluster_shared_new(&options));
    struct shared *bytes;
    struct board *board = new_board(&bytes);
    add_room(board, "lobby", 0, 0);
    add_room(board, "ops", 7, 900);
    add_person(board, &world.kari, false);
    show_board(bytes);
    return 0;
}

static int end(void **state)
{
    (void)state;
    channel_close(&world.channel);
    void *chat = world.chat.shared;
    void *home = world.home.shared;
    void *cluster = world.cluster.shared;
    topic_close(&world.chat);
    topic_close(&world.home);
    topic_close(&world.cluster);
    chat_shared_free(chat);
    home_shared_free(home);
    cluster_shared_free(cluster);
    shared_unref(world.board);
    buf_close(&world.scratch);
    buf_close(&world.words);
    buf_close(&world.sent);
    return 0;
}

/* ---- what is seen ---- */

static void a_message_is_one_item_for_everybody(void **state)
{
    (void)state;
    join();
    buf_reset(&world.sent);
    say(&world.maja, "**hi** <b>", 1, 0);
    assert_true(sent_has("[[\"m-1001\",-1"));
    assert_true(sent_has("<strong>hi</strong> &lt;b&gt;"));
    assert_true(sent_has("\\u003e") || sent_has(">Maja</span>"));
    assert_true(slice_starts(buf_slice(&world.sent), slice_of("[null,null,\"lv:lt\",\"diff\",")));
    assert_false(sent_has("<style"));
    buf_reset(&world.sent);
    say(&world.maja, "again", 2, 1);
    assert_true(sent_has("\"m-1002\""));
    assert_false(sent_has("m-1001"));
    assert_false(sent_has(" first"));
}

static void a_join_shows_the_newest_and_a_patch_resets_them(void **state)
{
    (void)state;
    for (uint64_t seq = 1; seq <= 60; seq++)
        say(&world.maja, "x", seq, 0);
    join();
    assert_false(sent_has("\"m-1010\""));
    assert_true(sent_has("\"m-1011\""));
    assert_true(sent_has("\"m-1060\""));
    assert_true(sent_has("\"kc\":50"));
    assert_false(sent_has("This is the start of"));
    receive("[\"4\",\"9\",\"lv:lt\",\"live_patch\",{\"url\":\"http://127.0.0.1:4002/\"}]");
    assert_true(sent_has("Open a room"));
    receive("[\"4\",\"10\",\"lv:lt\",\"live_patch\",{\"url\":\"http://127.0.0.1:4002/lobby\"}]");
    assert_true(sent_has(",true]"));
}

/* The page of a GET, with a final NUL. */
static void render_dead(struct buf *html, struct buf *title, const char *path)
{
    struct live_address address;
    buf_reset(html);
    buf_reset(title);
    pages_find(slice_from(path), &address, title);
    live_dead_render(&world.host, &address, &world.kari, &world.chat, 0, "NONCE", html, title);
    buf_add_char(html, '\0');
}

static void the_dead_page_is_readable_and_has_the_forms(void **state)
{
    (void)state;
    struct buf html, title;
    say(&world.maja, "hello", 1, 0);
    buf_init(&html, FRAME_MAX);
    buf_init(&title, 1024);
    render_dead(&html, &title, "/lobby");
    assert_true(slice_starts(buf_slice(&html), slice_of("<style nonce=\"NONCE\">")));
    assert_non_null(strstr(html.at, "<p>hello</p>"));
    assert_non_null(strstr(html.at, "action=\"/lobby\" method=\"post\""));
    assert_non_null(strstr(html.at, "name=\"_csrf_token\" value=\""));
    assert_null(strstr(html.at, " style="));
    assert_null(strstr(html.at, "class=\"err\""));
    assert_true(slice_is(buf_slice(&title), "#lobby"));
    buf_close(&html);
    buf_close(&title);
}

static void without_javascript_an_outcome_is_told_in_words_that_are_true(void **state)
{
    (void)state;
    static const char *const told[][2] = {
        {"/lobby?e=no_leader", "Not sent: no leader.</span>"},
        {"/lobby?e=too_fast", "Slow down a little.</span>"},
        {"/lobby?e=id_used", "Your earlier message was sent, this one not.</span>"},
        {"/lobby?e=unknown", "Not known whether your message was sent."},
    };
    struct buf html, title;
    buf_init(&html, FRAME_MAX);
    buf_init(&title, 1024);
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        render_dead(&html, &title, told[i][0]);
        assert_non_null(strstr(html.at, told[i][1]));
        assert_null(strstr(html.at, "still here"));
    }
    buf_close(&html);
    buf_close(&title);
}

/* The address stays as it is while the page lives. */
static void what_became_of_a_form_is_not_told_again(void **state)
{
    (void)state;
    join_as(&world.kari, "/lobby?e=no_leader", ",\"_mounts\":0");
    assert_true(sent_has("Not sent: no leader."));
    join_as(&world.kari, "/lobby?e=no_leader", ",\"_mounts\":1");
    assert_false(sent_has("Not sent: no leader."));
    join_as(&world.kari, "/?e=invalid_room", ",\"_mounts\":1");
    assert_false(sent_has("There can be no room of that name."));
    receive("[\"4\",\"9\",\"lv:lt\",\"live_patch\","
            "{\"url\":\"http://127.0.0.1:4002/lobby?e=unknown\"}]");
    assert_false(sent_has("Not known whether"));
}

static void who_has_no_name_reads_and_is_asked_for_one(void **state)
{
    (void)state;
    say(&world.maja, "hello", 1, 0);
    join_as(&world.nobody, "/lobby", "");
    assert_true(sent_has("<p>hello</p>"));
    assert_true(sent_has("name-form"));
    assert_false(sent_has("compose-form"));
    send_text("hi");
    assert_int_equal(world.dispatches, 0);
    event("set_name", "name=%20%20");
    assert_true(sent_has("A name has 1 to 40 characters"));
    assert_false(sent_has("phx-trigger-action"));
    event("set_name", "name=%20Ola%20Nordmann%20");
    assert_true(sent_has("phx-trigger-action=\\\"true\\\""));
    assert_true(sent_has("value=\\\"Ola Nordmann\\\""));
}

/* ---- what is sent ---- */

static void an_accepted_message_empties_the_box_under_a_new_id(void **state)
{
    (void)state;
    join();
    send_text("hi%20there%0A");
    assert_int_equal(world.dispatches, 1);
    assert_string_equal(world.text, "hi there");
    assert_int_equal(world.sent.len, 0);
    answer(LIVE_ACCEPTED, CHAT_ACCEPTED);
    assert_true(sent_has("[\"4\",\"8\",\"lv:lt\",\"phx_reply\",{\"status\":\"ok\""));
    assert_true(sent_has("value=\\\"01a2"));
    assert_true(sent_has("j-1"));
}

static void a_blank_message_is_cleared_and_sent_nowhere(void **state)
{
    (void)state;
    join();
    send_text("%20%0A");
    assert_int_equal(world.dispatches, 0);
    assert_true(sent_has("value=\\\"01a2"));
}

static void a_refused_message_stays_in_the_box(void **state)
{
    (void)state;
    join();
    send_text("hi");
    answer(LIVE_REFUSED, CHAT_TOO_FAST);
    assert_true(sent_has("Slow down a little: try again in 3 s."));
    assert_true(sent_has("\"hi\"")); /* the form had another id: its text is put in again */
    send_text("hi");
    answer(LIVE_REFUSED, CHAT_NO_LEADER);
    assert_true(sent_has("Not sent: no leader. Your text is still here."));
    assert_false(sent_has("value="));
}

static void an_id_that_is_spent_keeps_the_text_under_a_new_one(void **state)
{
    (void)state;
    join();
    send_text("other");
    answer(LIVE_REFUSED, CHAT_ID_USED);
    assert_true(sent_has("Your earlier message was sent, this one not yet."));
    assert_true(sent_has("\"other\""));
    assert_true(sent_has("value=\\\"01a2"));
}

static void an_unknown_outcome_is_asked_for_until_it_is_known(void **state)
{
    (void)state;
    join();
    send_text("hi");
    answer(LIVE_UNKNOWN, CHAT_ACCEPTED);
    assert_true(sent_has("Not known yet whether this was sent."));
    assert_int_equal(world.watches, 1);
    for (unsigned i = 1; i <= 3; i++) {
        wake();
        assert_int_equal(world.checks, i);
        checked(LIVE_UNKNOWN);
        assert_false(sent_has("Not sent"));
    }
    wake();
    checked(LIVE_UNKNOWN);
    assert_true(sent_has("Not known whether this was sent."));
    applied("hi");
    assert_true(is_asked());
    assert_true(sent_has("\"\"")); /* the hint is gone */
    assert_false(sent_has("value=\\\"01a2"));
    settle("hi");
    assert_true(sent_has("value=\\\"01a2"));
    assert_false(sent_has("\"hi\""));
    assert_false(is_asked());
    assert_int_equal(world.dispatches, 1);
}

/* The first copy may be in the log of a majority that is not there at the moment. */
static void what_is_sent_again_is_not_called_unsent(void **state)
{
    (void)state;
    static const enum chat_refusal refusals[] = {CHAT_NO_LEADER, CHAT_TOO_FAST, CHAT_BUSY};
    join();
    send_text("hi");
    assert_false(world.retried);
    answer(LIVE_UNKNOWN, CHAT_ACCEPTED);
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        send_text("hi");
        assert_true(world.retried);
        answer(LIVE_REFUSED, refusals[i]);
        assert_false(sent_has("Not sent"));
        assert_false(sent_has("Slow down"));
    }
    wake();
    checked(LIVE_NOT_FOUND);
    assert_true(sent_has("Not sent"));
    send_text("hi");
    assert_true(world.retried);
    answer(LIVE_UNKNOWN, CHAT_ACCEPTED);
    assert_true(sent_has("Not known yet whether this was sent."));
    applied("hi");
    assert_true(is_asked());
    settle("hi");
    assert_true(sent_has("value=\\\"01a2"));

    send_text("next"); /* under another id than the page was given: that is a new command */
    assert_false(world.retried);
}

static void an_id_that_was_used_ends_a_second_send(void **state)
{
    (void)state;
    join();
    send_text("hi");
    answer(LIVE_UNKNOWN, CHAT_ACCEPTED);
    send_text("hi%20there");
    answer(LIVE_REFUSED, CHAT_ID_USED);
    assert_true(sent_has("Your earlier message was sent, this one not yet."));
    assert_true(sent_has("\"hi there\""));
    assert_true(sent_has("value=\\\"01a2"));
}

/* Of two texts under one id each has its answer, and so has each question. */
static void answers_that_cross_are_told_apart(void **state)
{
    (void)state;
    join();
    send_text("one");
    struct live_ref first = world.ref;
    send_text("two");
    struct live_ref second = world.ref;
    struct live_info info = {.kind = LIVE_ANSWERED,
                             .id = world.id,
                             .text = slice_of("one"),
                             .outcome = LIVE_ACCEPTED,
                             .number = 1001};
    world.ref = first;
    inform(info);
    assert_true(sent_has("\"response\":{}"));
    world.ref = second;
    info.text = slice_of("two");
    info.outcome = LIVE_REFUSED;
    info.refusal = CHAT_ID_USED;
    inform(info);
    assert_true(sent_has("\"two\""));
    assert_true(sent_has("Your earlier message was sent, this one not yet."));
}

static void a_message_of_anothers_text_leaves_the_box(void **state)
{
    (void)state;
    join();
    send_text("one");
    answer(LIVE_UNKNOWN, CHAT_ACCEPTED);
    send_text("two");
    answer(LIVE_UNKNOWN, CHAT_ACCEPTED);
    applied("one");
    assert_true(is_asked());
    settle("two");
    assert_true(sent_has("\"two\""));
    assert_true(sent_has("Your earlier message was sent, this one not yet."));
}

static void a_clock_that_is_put_back_holds_up_no_question(void **state)
{
    (void)state;
    join();
    send_text("hi");
    answer(LIVE_UNKNOWN, CHAT_ACCEPTED);
    world.now_ms -= 24 * 3600 * 1000;
    wake();
    assert_int_equal(world.checks, 1);
    checked(LIVE_UNKNOWN);
    world.now_ms -= 24 * 3600 * 1000;
    wake();
    assert_int_equal(world.checks, 2);
    assert_true(world.wake_ms <= 10 * 1000);
}

/* ---- the table of liveview-protocol 6.5 ---- */

static void recover(const char *text)
{
    char value[512];
    snprintf(value, sizeof value, "nonce=%s&message=%s", first_id, text);
    event("recover", value);
}

static void a_recovered_message_that_was_sent_is_not_put_back(void **state)
{
    (void)state;
    join();
    recover("die");
    assert_int_equal(world.checks, 1);
    checked(LIVE_ACCEPTED);
    assert_false(sent_has("\"die\""));
    assert_true(is_asked());
    settle("");
    assert_true(sent_has("value=\\\"01a2"));
    assert_false(sent_has("Your earlier"));
}

/* A box with the focus keeps over a join what is typed into it. */
static void what_is_typed_while_the_page_recovers_is_kept(void **state)
{
    (void)state;
    join();
    recover("die");
    event("typing", "message=die%20hard");
    checked(LIVE_ACCEPTED);
    assert_true(sent_has("\"die hard\""));
    assert_true(sent_has("Your earlier message was sent, this one not yet."));

    recover("die"); /* told by nobody yet */
    checked(LIVE_ACCEPTED);
    settle("die%20hard%20");
    assert_true(sent_has("\"die hard \""));
    assert_true(sent_has("Your earlier message was sent, this one not yet."));

    recover("die");
    event("typing", "message=die%20hard");
    checked(LIVE_NOT_FOUND);
    assert_true(sent_has("\"die hard\""));
}

/* The client lets Enter through while a page that came back waits for its check. */
static void a_check_does_not_answer_what_was_sent_since(void **state)
{
    (void)state;
    join();
    recover("hi");
    struct live_ref check = world.ref;
    send_text("hi");
    struct live_ref send = world.ref;
    assert_true(world.retried);
    world.ref = check;
    checked(LIVE_NOT_FOUND);
    assert_true(sent_has("phx_reply"));
    world.ref = send;
    answer(LIVE_ACCEPTED, CHAT_ACCEPTED);
    assert_true(sent_has("j-1"));
    assert_false(sent_has("\"hi\""));

    send_text("again");
    answer(LIVE_UNKNOWN, CHAT_ACCEPTED);
    wake();
    send_text("again");
    answer(LIVE_UNKNOWN, CHAT_ACCEPTED);
    checked(LIVE_NOT_FOUND); /* asked for before the second one was sent */
    assert_false(sent_has("Not sent"));
}

static void a_recovered_draft_is_put_back_under_its_id(void **state)
{
    (void)state;
    join();
    recover("draft");
    checked(LIVE_NOT_FOUND);
    assert_true(sent_has("\"draft\""));
    assert_true(sent_has(first_id));
    assert_int_equal(world.watches, 1);

    applied("draft");
    assert_true(is_asked());
    assert_false(sent_has("draft"));
    settle("draft");
    assert_false(sent_has("draft"));
    assert_true(sent_has("value=\\\"01a2"));
}

/* Also when nobody was told of it: what is typed without a pause is told at its end. */
static void a_late_message_does_not_take_what_was_typed_since(void **state)
{
    (void)state;
    join();
    recover("draft");
    checked(LIVE_UNKNOWN);
    event("typing", "message=draft%20and");
    assert_true(sent_has("\"response\":{}"));
    assert_int_equal(world.typings, 1);
    applied("draft");
    assert_true(is_asked());
    settle("draft%20and%20more%20");
    assert_true(sent_has("\"draft and more \""));
    assert_true(sent_has("Your earlier message was sent, this one not yet."));
    assert_true(sent_has("value=\\\"01a2"));
    settle("draft"); /* nobody asked */
    assert_true(sent_has("\"response\":{}"));
    assert_int_equal(world.dispatches, 0);
}

/* Enter was on its way when the page was asked. The client sends a form once at a time. */
static void enter_instead_of_what_the_page_was_asked_for(void **state)
{
    (void)state;
    join();
    recover("draft");
    checked(LIVE_UNKNOWN);
    applied("draft");
    send_text("draft");
    assert_true(world.retried);
    answer(LIVE_REFUSED, CHAT_DUPLICATE);
    assert_true(sent_has("value=\\\"01a2"));
    assert_false(is_asked());
}

static void a_recovered_text_under_a_spent_id_gets_a_new_one(void **state)
{
    (void)state;
    join();
    recover("other");
    checked(LIVE_USED);
    assert_true(sent_has("\"other\""));
    assert_true(sent_has("value=\\\"01a2"));
    assert_true(sent_has("Your earlier message was sent, this one not yet."));
}

/* ---- older messages ---- */

static void older_messages_come_before_the_others(void **state)
{
    (void)state;
    for (uint64_t seq = 11; seq <= 60; seq++)
        say(&world.maja, "x", seq, 0);
    join();
    receive("[\"4\",\"8\",\"lv:lt\",\"event\",{\"type\":\"js\",\"event\":\"older\","
            "\"value\":{\"id\":\"m-1011\",\"_overran\":true}}]");
    assert_int_equal(world.before, 1011);
    struct message older[] = {
        message_of(&world.maja, "ten", 10, morning_ms - 100000000, morning_ms - 100000001, 1),
        message_of(&world.maja, "nine", 9, morning_ms - 100000001, 0, 0)};
    inform((struct live_info){
        .kind = LIVE_HISTORY, .messages = older, .messages_count = 2, .reached_start = true});
    assert_true(sent_has("[[\"m-1010\",0"));
    assert_true(sent_has("[\"m-1009\",0"));
    assert_true(strstr(sent(), "<p>ten</p>") < strstr(sent(), "<p>nine</p>"));
    assert_true(sent_has("This is the start of"));
    assert_true(sent_has("aria-live=\\\"off\\\""));
    wake();
    assert_true(sent_has("aria-live=\\\"polite\\\""));
}

static void a_draft_is_not_touched_by_what_others_do(void **state)
{
    (void)state;
    join();
    event("typing", "nonce=x&message=draft");
    struct shared *bytes;
    struct board *board = new_board(&bytes);
    add_room(board, "lobby", 1, 1001);
    add_person(board, &world.maja, true);
    buf_reset(&world.sent);
    say(&world.maja, "hi", 1, 0);
    show_board(bytes);
    assert_true(sent_has("Maja is typing"));
    assert_true(sent_has("m-1001::before"));
    assert_false(sent_has("value="));
    assert_false(sent_has("textarea"));
}

static void a_join_has_the_nonce_of_its_page(void **state)
{
    (void)state;
    char nonce[PAGES_NONCE], style[PAGES_NONCE + 32];
    join();
    pages_style_nonce(nonce, &world.channel.identity);
    snprintf(style, sizeof style, "<style nonce=\\\"%s\\\">", nonce);
    assert_true(sent_has(style));
}

static void a_bad_place_for_older_messages_changes_nothing(void **state)
{
    (void)state;
    static const char *const ids[] = {"m-1", "m-", "36", "m-x", "m-99999999999999999999", ""};
    join();
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        char frame[256];
        snprintf(frame, sizeof frame,
                 "[\"4\",\"8\",\"lv:lt\",\"event\",{\"type\":\"js\",\"event\":\"older\","
                 "\"value\":{\"id\":\"%s\"}}]",
                 ids[i]);
        receive(frame);
        assert_true(sent_has("\"response\":{}"));
    }
    assert_int_equal(world.histories, 0);
}

/* ---- the lists ---- */

static void what_is_unread_elsewhere_is_in_style_and_title(void **state)
{
    (void)state;
    join();
    world.number = 1004;
    struct shared *bytes;
    struct board *board = new_board(&bytes);
    add_room(board, "ops", 10, 1004);
    add_room(board, "lobby", 0, 0);
    add_person(board, &world.kari, false);
    add_person(board, &world.maja, true);
    buf_reset(&world.sent);
    show_board(bytes);
    assert_true(sent_has("content:\\\"3\\\""));
    assert_true(sent_has("\"t\":\"(3) #lobby\""));
    assert_true(sent_has("Maja is typing"));

    receive("[\"4\",\"9\",\"lv:lt\",\"live_patch\",{\"url\":\"http://127.0.0.1:4002/\"}]");
    assert_true(sent_has("\"t\":\"(3) Rooms\""));
    assert_true(sent_has("Ines: &lt;b&gt;"));
}

static void who_is_not_listed_is_counted(void **state)
{
    (void)state;
    join();
    struct shared *bytes;
    struct board *board = new_board(&bytes);
    add_room(board, "lobby", 0, 0);
    add_person(board, &world.kari, false);
    board->people[0].here = 70;
    buf_reset(&world.sent);
    show_board(bytes);
    assert_true(sent_has("\"70\""));
}

static void one_does_not_read_of_ones_own_typing(void **state)
{
    (void)state;
    join();
    struct shared *bytes;
    struct board *board = new_board(&bytes);
    add_room(board, "lobby", 0, 0);
    add_person(board, &world.kari, true);
    buf_reset(&world.sent);
    show_board(bytes);
    assert_false(sent_has("is typing"));
}

static void the_line_of_what_is_new_stands_above_the_first(void **state)
{
    (void)state;
    say(&world.maja, "one", 1, 0);
    join();
    say(&world.maja, "two", 2, 1);
    say(&world.maja, "three", 3, 2);
    struct shared *bytes;
    struct board *board = new_board(&bytes);
    add_room(board, "lobby", 3, 1003);
    buf_reset(&world.sent);
    show_board(bytes);
    assert_true(sent_has("#m-1002::before"));
    send_text("seen");
    answer(LIVE_ACCEPTED, CHAT_ACCEPTED);
    assert_false(sent_has("::before{content:\\\"New\\\""));
    assert_true(sent_has("<style"));
}

static void show_first_node(enum board_role role)
{
    struct shared *bytes;
    struct board *board = new_board(&bytes);
    board->nodes[0].role = role;
    show_board(bytes);
}

static void a_page_that_moved_says_so_for_a_while(void **state)
{
    (void)state;
    struct identity moved = person(1, "Kari", "tea-1");
    show_first_node(BOARD_AWAY);
    join_as(&moved, "/lobby", ",\"_mounts\":1");
    assert_true(sent_has("tea-1 went away. tea-2 serves you now."));
    assert_int_equal(world.wake_ms, 8000);
    wake();
    assert_false(sent_has("went away"));
    assert_true(world.sent.len > 0);
    join_as(&moved, "/lobby", ",\"_mounts\":0");
    assert_false(sent_has("went away"));
}

/* A page comes back elsewhere also when only its connection was lost. */
static void a_page_that_moved_calls_only_a_node_away_that_is(void **state)
{
    (void)state;
    struct identity moved = person(1, "Kari", "tea-1");
    join_as(&moved, "/lobby", ",\"_mounts\":1");
    assert_false(sent_has("went away"));
    buf_reset(&world.sent);
    show_first_node(BOARD_AWAY); /* which is known here a moment later */
    assert_true(sent_has("tea-1 went away. tea-2 serves you now."));
    buf_reset(&world.sent);
    show_first_node(BOARD_FOLLOWER);
    assert_true(world.sent.len > 0);
    assert_false(sent_has("went away"));
}

static void a_page_that_moved_again_tells_who_served_it_last(void **state)
{
    (void)state;
    struct identity moved = person(1, "Kari", "tea-3"); /* which is back by now */
    show_first_node(BOARD_AWAY);
    join_as(&moved, "/lobby", ",\"_mounts\":2,\"from\":\"tea-1\"");
    assert_true(sent_has("tea-1 went away. tea-2 serves you now."));
    join_as(&moved, "/lobby", ",\"_mounts\":3,\"from\":\"tea-2\"");
    assert_false(sent_has("went away"));
    join_as(&moved, "/lobby", ",\"_mounts\":3,\"from\":\"tea-1-and-what-is-longer-than-any-name\"");
    assert_false(sent_has("went away"));
}

/* It says so until the room has what the page had shown, however long that takes. */
static void a_page_that_moved_to_a_node_that_is_behind_says_so(void **state)
{
    (void)state;
    struct identity moved = person(1, "Kari", "tea-1");
    char more[64];
    uint64_t seen = world.number + 1;
    show_first_node(BOARD_AWAY);
    snprintf(more, sizeof more, ",\"_mounts\":1,\"seen\":%llu", (unsigned long long)seen);
    join_as(&moved, "/lobby", more);
    assert_true(sent_has("tea-2 serves you now and is catching up"));
    wake();
    assert_true(sent_has("This node is catching up: the newest messages follow."));
    struct shared *bytes;
    struct board *board = new_board(&bytes);
    say(&world.maja, "here it is", 1, 0);
    assert_int_equal(world.number, seen);
    add_room(board, "lobby", 1, seen);
    buf_reset(&world.sent);
    show_board(bytes);
    assert_false(sent_has("catching up"));
    assert_true(world.sent.len > 0);
}

/* The newest message that it sends then is the other room's, and may be newer than any of this one. */
static void who_comes_from_another_room_waits_for_nothing_of_it(void **state)
{
    (void)state;
    char more[64];
    snprintf(more, sizeof more, ",\"seen\":%llu", (unsigned long long)world.number + 1);
    join_word = "redirect";
    join_as(&world.kari, "/lobby", more);
    assert_false(sent_has("catching up"));
    /* The same page once more, as after a gap: now it is of this room. */
    snprintf(more, sizeof more, ",\"_mounts\":1,\"seen\":%llu",
             (unsigned long long)world.number + 1);
    join_as(&world.kari, "/lobby", more);
    assert_true(sent_has("catching up"));
    join_word = "url";
}

static void without_a_majority_the_room_is_read_only(void **state)
{
    (void)state;
    join();
    struct shared *bytes;
    struct board *board = new_board(&bytes);
    board->health = BOARD_NO_MAJORITY;
    board->voters_up = 1;
    board->leader[0] = '\0';
    buf_reset(&world.sent);
    show_board(bytes);
    assert_true(sent_has("2 of 3 nodes are away, and a message needs 2 to be kept. You can send "
                         "again when one is back."));
    assert_true(sent_has("dot down"));
}

static void a_node_that_fetches_what_it_lacks_shows_how_far_it_is(void **state)
{
    (void)state;
    join();
    struct shared *bytes;
    struct board *board = new_board(&bytes);
    board->door = BOARD_GAP;
    board->number = 12034;
    board->goal = 48213;
    board->behind = 36179;
    buf_reset(&world.sent);
    show_board(bytes);
    assert_true(sent_has("This node is catching up: 12,034 of 48,213 messages. New messages appear "
                         "when it has them."));
    board = new_board(&bytes);
    buf_reset(&world.sent);
    show_board(bytes);
    assert_true(world.sent.len > 0);
    assert_false(sent_has("catching up"));
}

static void a_full_disk_says_where_new_messages_are(void **state)
{
    (void)state;
    join();
    struct shared *bytes;
    struct board *board = new_board(&bytes);
    board->is_disk_full = true;
    board->behind = 3;
    buf_reset(&world.sent);
    show_board(bytes);
    assert_true(sent_has("The disk of this node is full"));
}

static void nothing_changed_is_nothing_sent(void **state)
{
    (void)state;
    join();
    struct shared *bytes;
    struct board *board = new_board(&bytes);
    add_room(board, "lobby", 0, 0);
    add_room(board, "ops", 7, 900);
    add_person(board, &world.kari, false);
    buf_reset(&world.sent);
    show_board(bytes);
    assert_int_equal(world.sent.len, 0);
}

static void a_room_is_opened_by_its_name(void **state)
{
    (void)state;
    join_as(&world.kari, "/", "");
    event("open_room", "room=Tea%20%26%20Cake");
    assert_true(sent_has("There can be no room of that name."));
    event("open_room", "room=Api");
    assert_false(sent_has("live_redirect"));
    event("open_room", "room=My%20Room");
    assert_true(sent_has("\"live_redirect\":{\"to\":\"/my-room\",\"kind\":\"push\"}"));
}

static void the_cluster_page_shows_each_node(void **state)
{
    (void)state;
    join_as(&world.kari, "/cluster", "");
    assert_true(sent_has("All 3 nodes are up. Any one may fail."));
    assert_true(sent_has("follower, serves you"));
    assert_true(sent_has("card leader"));
    assert_true(sent_has("<polyline"));
    assert_true(sent_has("\"t\":\"Cluster\""));
    assert_true(sent_has("href=\\\"/status?pretty\\\""));
}

/* Its one heading is what the first link leads to, past all the rooms. */
static void the_cluster_page_can_be_read_out(void **state)
{
    (void)state;
    join_as(&world.kari, "/cluster", "");
    const char *sent = buf_slice(&world.sent).at;
    const char *heading = memmem(sent, world.sent.len, "<h1", 3);
    assert_true(sent_has("class=\\\"skip\\\" href=\\\"#cluster\\\""));
    assert_true(sent_has("<h1 id=\\\"cluster\\\" tabindex=\\\"-1\\\">"));
    size_t behind = (size_t)(heading + 3 - sent);
    assert_null(memmem(sent + behind, world.sent.len - behind, "<h1", 3));
}

static void no_page_leads_to_where_only_administrators_get(void **state)
{
    (void)state;
    struct shared_options options = {.is_status_apart = true, .ui_title = slice_of("Live Tea")};
    struct shared *bytes;
    cluster_shared_free(world.cluster.shared);
    world.cluster.shared = cluster_shared_new(&options);
    new_board(&bytes);
    show_board(bytes);
    join_as(&world.kari, "/cluster", "");
    assert_true(sent_has("All 3 nodes are up."));
    assert_false(sent_has("/status"));
}

static void the_cluster_page_tells_stand_bys_and_who_catches_up(void **state)
{
    (void)state;
    struct shared *bytes;
    struct board *board = new_board(&bytes);
    board->nodes[0].role = BOARD_CATCHING_UP;
    board->nodes[0].number = 8301;
    board->nodes[0].behind = 1699;
    board->nodes[1].role = BOARD_STANDBY;
    show_board(bytes);
    join_as(&world.kari, "/cluster", "");
    assert_true(sent_has("catching up, 83 %"));
    assert_true(sent_has("stand-by, serves you"));
    /* Whoever must go elsewhere is not sent to a node that would not serve them. */
    assert_false(sent_has("http://127.0.0.1:4001/cluster"));
    assert_true(sent_has("http://127.0.0.1:4003/cluster"));

    board = new_board(&bytes);
    board->nodes[0].role = BOARD_CATCHING_UP;
    board->nodes[0].number = 99999;
    board->nodes[0].behind = 1;
    buf_reset(&world.sent);
    show_board(bytes);
    assert_true(sent_has("catching up, 99 %"));
}

static void a_page_that_is_not_served_leads_to_the_nodes_that_serve_it(void **state)
{
    (void)state;
    struct shared *bytes;
    struct board *board = new_board(&bytes);
    struct buf out;
    board->nodes[2].role = BOARD_AWAY;
    buf_init(&out, 4096);
    pages_unavailable(&out, slice_of("This node is catching up."), board, slice_of("/r%C3%B8m"));
    buf_add_char(&out, '\0');
    assert_non_null(strstr(out.at, "This node is catching up. Or go on at "
                                   "<a href=\"http://127.0.0.1:4001/r%C3%B8m\">tea-1</a>."));
    assert_null(strstr(out.at, "127.0.0.1:4003"));
    buf_close(&out);
    shared_unref(bytes);
}

static void older_messages_of_a_page_that_was_replaced_are_dropped(void **state)
{
    (void)state;
    for (uint64_t seq = 101; seq <= 110; seq++)
        say(&world.maja, "old", seq, 0);
    join();
    event("older", "id=m-1101");
    struct live_ref asked = world.ref;
    struct room_tail tail;
    room_tail_init(&tail);
    chat_shared_restart(world.chat.shared, &tail, world.now_ms);
    topic_broadcast_reset(&world.chat, &world.host, &world.scratch);
    struct message message = message_of(&world.kari, "long ago", 100, morning_ms, morning_ms, 0);
    struct live_info info = {
        .kind = LIVE_HISTORY, .messages = &message, .messages_count = 1, .reached_start = true};
    world.ref = asked;
    inform(info);
    assert_true(sent_has("phx_reply")); /* answered, with nothing that would stand above a hole */
    assert_false(sent_has("long ago"));

    event("older", "id=m-1101");
    inform(info);
    assert_true(sent_has("long ago"));
}

static void a_day_that_passed_is_called_yesterday(void **state)
{
    (void)state;
    struct message message = message_of(&world.maja, "hi", 1, morning_ms, 0, 0);
    chat_shared_add(world.chat.shared, &message, morning_ms);
    chat_shared_settle(world.chat.shared);
    assert_false(chat_shared_day_passed(world.chat.shared, morning_ms + 1000));
    join();
    assert_true(
        sent_has("<div class=\\\"day\\\"><span>Today</span>")); /* no role: it is read out */
    assert_true(chat_shared_day_passed(world.chat.shared, morning_ms + 24 * 3600 * 1000));
    topic_stream_changed(&world.chat);
    join();
    assert_true(sent_has("<span>Yesterday</span>"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_message_is_one_item_for_everybody),
        TEST(a_join_shows_the_newest_and_a_patch_resets_them),
        TEST(the_dead_page_is_readable_and_has_the_forms),
        PROMISE_WITH("P6", without_javascript_an_outcome_is_told_in_words_that_are_true, begin,
                     end),
        TEST(what_became_of_a_form_is_not_told_again),
        TEST(who_has_no_name_reads_and_is_asked_for_one),
        TEST(an_accepted_message_empties_the_box_under_a_new_id),
        TEST(a_blank_message_is_cleared_and_sent_nowhere),
        PROMISE_WITH("P6", a_refused_message_stays_in_the_box, begin, end),
        TEST(an_id_that_is_spent_keeps_the_text_under_a_new_one),
        PROMISE_WITH("P6", an_unknown_outcome_is_asked_for_until_it_is_known, begin, end),
        PROMISE_WITH("P6", what_is_sent_again_is_not_called_unsent, begin, end),
        TEST(an_id_that_was_used_ends_a_second_send),
        TEST(answers_that_cross_are_told_apart),
        TEST(a_message_of_anothers_text_leaves_the_box),
        TEST(a_clock_that_is_put_back_holds_up_no_question),
        PROMISE_WITH("P3", a_recovered_message_that_was_sent_is_not_put_back, begin, end),
        PROMISE_WITH("P3", a_recovered_draft_is_put_back_under_its_id, begin, end),
        TEST(what_is_typed_while_the_page_recovers_is_kept),
        PROMISE_WITH("P6", a_check_does_not_answer_what_was_sent_since, begin, end),
        TEST(a_late_message_does_not_take_what_was_typed_since),
        TEST(enter_instead_of_what_the_page_was_asked_for),
        TEST(a_recovered_text_under_a_spent_id_gets_a_new_one),
        TEST(older_messages_come_before_the_others),
        TEST(older_messages_of_a_page_that_was_replaced_are_dropped),
        PROMISE_WITH("P8", a_draft_is_not_touched_by_what_others_do, begin, end),
        TEST(a_join_has_the_nonce_of_its_page),
        TEST(a_bad_place_for_older_messages_changes_nothing),
        TEST(what_is_unread_elsewhere_is_in_style_and_title),
        TEST(who_is_not_listed_is_counted),
        TEST(one_does_not_read_of_ones_own_typing),
        TEST(the_line_of_what_is_new_stands_above_the_first),
        TEST(a_page_that_moved_says_so_for_a_while),
        TEST(a_page_that_moved_calls_only_a_node_away_that_is),
        TEST(a_page_that_moved_again_tells_who_served_it_last),
        PROMISE_WITH("P9", a_page_that_moved_to_a_node_that_is_behind_says_so, begin, end),
        TEST(who_comes_from_another_room_waits_for_nothing_of_it),
        PROMISE_WITH("P10", without_a_majority_the_room_is_read_only, begin, end),
        TEST(nothing_changed_is_nothing_sent),
        TEST(a_room_is_opened_by_its_name),
        TEST(the_cluster_page_shows_each_node),
        TEST(the_cluster_page_can_be_read_out),
        TEST(no_page_leads_to_where_only_administrators_get),
        TEST(the_cluster_page_tells_stand_bys_and_who_catches_up),
        TEST(a_page_that_is_not_served_leads_to_the_nodes_that_serve_it),
        TEST(a_node_that_fetches_what_it_lacks_shows_how_far_it_is),
        TEST(a_full_disk_says_where_new_messages_are),
        TEST(a_day_that_passed_is_called_yesterday),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
