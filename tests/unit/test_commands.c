/* Answers are told behind the events that were sent to the web thread before, never past them: those of commands
 * that this node's store knows already, and those of pages whose room rests after a flood. The thread, the
 * store's reader and who listens are the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/chores.h"
#include "app/commands.h"
#include "app/rooms.h"
#include "app/viewers.h"
#include "base/mem.h"
#include "chat/chat.h"
#include "promise.h"
#include "store/event_store.h"

struct web_thread {
    struct event_store *store;
    struct event_reader *reader;
    struct chores *chores;
    struct web_counters counters;
    struct mail *mailed; /* to itself */
    struct mail *asked;  /* to the domain thread */
};

static uv_loop_t loop;
static struct web_thread thread;
static struct command_id known = {.bytes = "known"};
static char dir[64];
static unsigned told, told_page;
static bool lobby_is_resting;
static struct answer last;

/* ---- what the thread would do ---- */

struct event_reader *web_thread_reader(struct web_thread *one)
{
    return one->reader;
}

struct web_counters *web_thread_counters(struct web_thread *one)
{
    return &one->counters;
}

struct chores *web_thread_chores(struct web_thread *one)
{
    return one->chores;
}

struct viewers *web_thread_viewers(struct web_thread *one)
{
    (void)one;
    return NULL;
}

void web_thread_mail_domain(struct web_thread *one, struct mail *mail)
{
    assert_null(one->asked);
    one->asked = mail;
}

void web_thread_mail_answer(struct web_thread *one, struct mail *mail)
{
    assert_null(one->mailed);
    one->mailed = mail;
}

struct rooms *web_thread_rooms(struct web_thread *one)
{
    (void)one;
    return NULL;
}

bool rooms_is_resting(const struct rooms *rooms, struct slice name)
{
    (void)rooms;
    return lobby_is_resting && slice_is(name, "lobby");
}

void viewers_answered(struct viewers *viewers, struct command_mail *mail)
{
    (void)viewers;
    told_page++;
    last = mail->answer;
}

static void on_answer(void *owner, struct command_mail *mail)
{
    (void)owner;
    told++;
    last = mail->answer;
}

/* ---- a store of one event ---- */

static int begin(void **state)
{
    static const struct chat_limits limits = {.text_code_points_max = CHAT_TEXT_CODE_POINTS_MAX};
    const struct send_message command = {.id = known,
                                         .room = slice_of("lobby"),
                                         .sender = slice_of("Maja"),
                                         .text = slice_of("tea"),
                                         .at_ms = 1};
    struct errmsg errmsg;
    struct chat chat;
    struct message_sent event;
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/livetea-test-commands-XXXXXX");
    if (mkdtemp(dir) == NULL) return -1;
    thread = (struct web_thread){0};
    if (event_store_open(&thread.store, &(struct event_store_options){.dir = dir}, &errmsg) != 0)
        return -1;
    chat_init(&chat, &limits);
    assert_int_equal(chat_apply(&chat, &command, 1, &event), CHAT_APPLIED);
    struct shared *bytes = event_encode(&event);
    const struct event_append append = {.events = &bytes, .events_count = 1, .index = 1};
    assert_int_equal(event_store_append(thread.store, &append, &errmsg), 0);
    shared_unref(bytes);
    chat_close(&chat);
    if (event_reader_open(&thread.reader, thread.store, &errmsg) != 0) return -1;
    uv_loop_init(&loop);
    thread.chores = chores_new(&loop, thread.store);
    told = told_page = 0;
    lobby_is_resting = false;
    return 0;
}

static int end(void **state)
{
    static const char *const files[] = {"data.mdb", "lock.mdb", ""};
    (void)state;
    uv_run(&loop, UV_RUN_DEFAULT);
    chores_free(thread.chores);
    event_reader_close(thread.reader);
    event_store_close(thread.store);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        if (remove(path) != 0) return -1;
    }
    return uv_loop_close(&loop);
}

static struct command_mail *mail_of(struct command_id id)
{
    const struct send_message command = {
        .id = id, .room = slice_of("lobby"), .sender = slice_of("Maja"), .text = slice_of("tea")};
    struct command_mail *mail = command_mail_new(&thread, &command);
    mail->on_answer = on_answer;
    return mail;
}

/* ---- tests ---- */

/* Its event is in a mail that the thread may not have read yet; a timer would come before that. */
static void what_the_store_has_is_told_behind_what_was_sent_before(void **state)
{
    (void)state;
    for (int check = 0; check < 2; check++) {
        told = 0;
        if (check == 0)
            commands_send(&thread, mail_of(known));
        else
            commands_check(&thread, mail_of(known));
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(told, 0);
        assert_null(thread.asked);
        assert_non_null(thread.mailed);
        struct command_mail *mail = (struct command_mail *)thread.mailed;
        thread.mailed = NULL;
        struct answers answers = {.first = NULL};
        answers_add(&answers, mail);
        assert_int_equal(answers_tell(&thread, &answers, false), 1);
        assert_int_equal(told, 1);
        assert_int_equal(last.kind, ANSWER_ACCEPTED);
        assert_int_equal(last.number, 1);
    }
}

static void what_the_store_has_not_goes_to_the_domain_thread(void **state)
{
    (void)state;
    commands_send(&thread, mail_of((struct command_id){.bytes = "another"}));
    assert_null(thread.mailed);
    struct command_mail *mail = (struct command_mail *)thread.asked;
    assert_non_null(mail);
    assert_int_equal(mail->mail.kind, MAIL_COMMAND);
    assert_int_equal(mail->request.command.unseen_up_to, 1);
    mem_free(mail);
}

static struct command_mail *answered(struct slice room, uint64_t viewer, uint64_t number)
{
    const struct send_message command = {
        .id = known, .room = room, .sender = slice_of("Maja"), .text = slice_of("tea")};
    struct command_mail *mail = command_mail_new(&thread, &command);
    mail->on_answer = on_answer;
    mail->viewer = viewer;
    mail->answer = (struct answer){.kind = ANSWER_ACCEPTED, .number = number};
    return mail;
}

/* The room's readers are told of what came when it has rested; a program that asks over HTTP has no page. */
static void a_page_is_told_when_its_room_has_rested(void **state)
{
    struct answers answers = {.first = NULL};
    (void)state;
    lobby_is_resting = true;
    answers_add(&answers, answered(slice_of("lobby"), 7, 1));
    answers_add(&answers, answered(slice_of("lobby"), 0, 2));
    answers_add(&answers, answered(slice_of("garden"), 8, 3));
    answers_add(&answers, answered(slice_of("lobby"), 9, 4));
    assert_int_equal(answers_tell(&thread, &answers, false), 2);
    assert_int_equal(told, 1);
    assert_int_equal(told_page, 1);
    assert_int_equal(last.number, 3);
    assert_int_equal(answers_tell(&thread, &answers, false), 0);
    assert_int_equal(told_page, 1);

    lobby_is_resting = false;
    assert_int_equal(answers_tell(&thread, &answers, false), 2);
    assert_int_equal(told_page, 3);
    assert_int_equal(last.number, 4);
    assert_null(answers.first);
}

static void who_stops_tells_all_at_once(void **state)
{
    struct answers answers = {.first = NULL};
    (void)state;
    lobby_is_resting = true;
    answers_add(&answers, answered(slice_of("lobby"), 7, 1));
    assert_int_equal(answers_tell(&thread, &answers, true), 1);
    assert_int_equal(told_page, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE_WITH("P9", what_the_store_has_is_told_behind_what_was_sent_before, begin, end),
        cmocka_unit_test_setup_teardown(what_the_store_has_not_goes_to_the_domain_thread, begin,
                                        end),
        PROMISE_WITH("P9", a_page_is_told_when_its_room_has_rested, begin, end),
        cmocka_unit_test_setup_teardown(who_stops_tells_all_at_once, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
