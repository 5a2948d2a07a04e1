#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/barrier.h"
#include "cluster/forward.h"
#include "promise.h"

/* Requests are static: what a test leaves behind when it fails is answered at the end of it. */
enum { ELECTION_MS = 400, AGAIN_MS = 600, BEFORE_SENDINGS = 1000 };

struct asked { /* one command and its answer */
    struct command_request request;
    unsigned answers;
    struct answer answer;
};

struct desk {
    struct chat chat;
    struct forward *forward;
    unsigned sent, sent_retried, flushed;
    uint64_t sending; /* the last one */
};

static void on_send(void *owner, const struct send_message *command, uint64_t sending)
{
    struct desk *desk = owner;
    desk->sent++;
    if (command->retried) desk->sent_retried++;
    desk->sending = sending;
}

static void on_flush(void *owner)
{
    struct desk *desk = owner;
    desk->flushed++;
}

static int setup(void **state)
{
    static struct desk desk;
    const struct chat_limits limits = {.text_code_points_max = 4000};
    desk = (struct desk){.sent = 0};
    chat_init(&desk.chat, &limits);
    desk.forward =
        forward_new(&desk.chat, ELECTION_MS, BEFORE_SENDINGS,
                    &(struct forward_handler){.owner = &desk, .send = on_send, .flush = on_flush});
    *state = &desk;
    return 0;
}

static int teardown(void **state)
{
    struct desk *desk = *state;
    forward_free(desk->forward);
    chat_close(&desk->chat);
    return 0;
}

static void on_answer(struct command_request *request, const struct answer *answer)
{
    struct asked *asked = (struct asked *)request;
    asked->answers++;
    asked->answer = *answer;
}

static void make(struct asked *asked, uint8_t id, const char *text)
{
    *asked = (struct asked){.request = {.on_answer = on_answer}};
    asked->request.command = (struct send_message){
        .room = slice_of("tea"), .sender = slice_of("Ann"), .text = slice_from(text)};
    asked->request.command.id.bytes[0] = id;
    asked->request.command.at_ms = 1;
}

static void ask(struct desk *desk, struct asked *asked, uint8_t id, const char *text, uint64_t now)
{
    make(asked, id, text);
    forward_add(desk->forward, &asked->request, now);
}

/* As a page does that has sent it before. */
static void ask_again(struct desk *desk, struct asked *asked, uint8_t id, const char *text,
                      uint64_t now)
{
    make(asked, id, text);
    asked->request.command.retried = true;
    forward_add(desk->forward, &asked->request, now);
}

/* As the machine does it. */
static void apply(struct desk *desk, const struct asked *asked)
{
    struct message_sent event;
    const struct send_message *command = &asked->request.command;
    enum chat_outcome outcome = chat_apply(&desk->chat, command, desk->chat.index + 1, &event);
    forward_applied(desk->forward, &command->id, outcome, &event);
}

static void assert_answer(const struct asked *asked, enum answer_kind kind)
{
    assert_int_equal(asked->answers, 1);
    assert_int_equal(asked->answer.kind, kind);
}

static void assert_refused(const struct asked *asked, enum chat_refusal refusal)
{
    assert_answer(asked, ANSWER_REFUSED);
    assert_int_equal(asked->answer.refusal, refusal);
}

static void a_command_is_answered_when_it_is_applied_here(void **state)
{
    struct desk *desk = *state;
    static struct asked one;
    ask(desk, &one, 1, "hello", 0);
    assert_int_equal(desk->sent, 0);
    forward_flush(desk->forward, true, 0);
    assert_int_equal(desk->sent, 1);
    assert_int_equal(desk->flushed, 1);
    assert_int_equal(one.answers, 0);
    apply(desk, &one);
    assert_answer(&one, ANSWER_ACCEPTED);
    assert_int_equal(one.answer.number, 1);
    assert_int_equal(forward_waiting(desk->forward), 0);
}

static void it_is_sent_again_with_the_mark_after_silence(void **state)
{
    struct desk *desk = *state;
    static struct asked one;
    ask(desk, &one, 1, "hello", 0);
    forward_flush(desk->forward, true, 0);
    forward_tick(desk->forward, AGAIN_MS - 1);
    forward_flush(desk->forward, true, AGAIN_MS - 1);
    assert_int_equal(desk->sent, 1);
    forward_tick(desk->forward, AGAIN_MS);
    forward_flush(desk->forward, true, AGAIN_MS);
    assert_int_equal(desk->sent, 2);
    assert_int_equal(desk->sent_retried, 1);
    apply(desk, &one);
    assert_answer(&one, ANSWER_ACCEPTED);
}

static void another_leader_gets_it_at_once(void **state)
{
    struct desk *desk = *state;
    static struct asked one;
    ask(desk, &one, 1, "hello", 0);
    forward_flush(desk->forward, true, 0);
    forward_leader_changed(desk->forward);
    forward_flush(desk->forward, true, 10);
    assert_int_equal(desk->sent_retried, 1);
    apply(desk, &one);
}

static void without_a_leader_a_new_command_waits_a_while_and_is_refused(void **state)
{
    struct desk *desk = *state;
    static struct asked one, two;
    ask(desk, &one, 1, "hello", 0);
    forward_flush(desk->forward, false, 0);
    forward_tick(desk->forward, 2 * ELECTION_MS + 999);
    assert_int_equal(one.answers, 0);
    forward_tick(desk->forward, 2 * ELECTION_MS + 1000);
    assert_refused(&one, CHAT_NO_LEADER);
    assert_int_equal(desk->sent, 0);
    ask(desk, &two, 2, "hello", 5000);
    forward_flush(desk->forward, true, 5000);
    assert_int_equal(desk->sent, 1);
    apply(desk, &two);
}

/* It comes with the mark when a copy of it was applied in vain: another one may be on its way. */
static void one_that_may_be_in_a_log_is_not_refused_when_it_is_not_taken(void **state)
{
    struct desk *desk = *state;
    static struct asked first, other;
    struct send_message command = {.retried = false};
    assert_int_equal(forward_not_taken(&command, CHAT_NO_LEADER).kind, ANSWER_REFUSED);
    assert_int_equal(forward_not_taken(&command, CHAT_NO_LEADER).refusal, CHAT_NO_LEADER);
    command.retried = true;
    assert_int_equal(forward_not_taken(&command, CHAT_NO_LEADER).kind, ANSWER_UNKNOWN);
    ask(desk, &first, 1, "hello", 0);
    other = (struct asked){.request = {.on_answer = on_answer}};
    other.request.command = first.request.command;
    other.request.command.text = slice_of("another");
    other.request.command.retried = true;
    forward_add(desk->forward, &other.request, 0);
    assert_answer(&other, ANSWER_UNKNOWN);
}

static void what_was_sent_and_has_no_answer_is_unknown_at_the_deadline(void **state)
{
    struct desk *desk = *state;
    static struct asked one;
    ask(desk, &one, 1, "hello", 0);
    forward_flush(desk->forward, true, 0);
    forward_tick(desk->forward, FORWARD_DEADLINE_MS - 1);
    assert_int_equal(one.answers, 0);
    forward_tick(desk->forward, FORWARD_DEADLINE_MS);
    assert_answer(&one, ANSWER_UNKNOWN);
}

/* Nobody is left to answer it: whoever waits is told so, and not only at the deadline. */
static void what_was_sent_is_unknown_when_no_leader_comes(void **state)
{
    struct desk *desk = *state;
    static struct asked one, two;
    ask(desk, &one, 1, "hello", 0);
    forward_flush(desk->forward, true, 0);
    ask(desk, &two, 2, "hello", 1000);
    forward_flush(desk->forward, true, 1000);
    forward_flush(desk->forward, false, 2000);
    forward_tick(desk->forward, NO_LEADER_WAIT_MAX_MS - 1);
    assert_int_equal(one.answers, 0);
    forward_tick(desk->forward, NO_LEADER_WAIT_MAX_MS);
    assert_answer(&one, ANSWER_UNKNOWN);
    forward_flush(desk->forward, true, NO_LEADER_WAIT_MAX_MS); /* one comes: */
    forward_tick(desk->forward, NO_LEADER_WAIT_MAX_MS + 1000);
    assert_int_equal(two.answers, 0); /* it may still be told */
    apply(desk, &two);
    assert_answer(&two, ANSWER_ACCEPTED);
}

static void a_leaders_refusal_is_passed_on(void **state)
{
    struct desk *desk = *state;
    static struct asked one;
    ask(desk, &one, 1, "hello", 0);
    forward_flush(desk->forward, true, 0);
    forward_refused(desk->forward, &one.request.command.id, CHAT_TOO_FAST, 250, desk->sending);
    assert_refused(&one, CHAT_TOO_FAST);
    assert_int_equal(one.answer.wait_ms, 250);
}

/* A leader without a token for it, without room, or that leads no more cannot know where its first copy is. */
static void what_is_retried_is_not_refused_by_who_cannot_take_it_now(void **state)
{
    static const enum chat_refusal refusals[] = {CHAT_TOO_FAST, CHAT_BUSY, CHAT_NO_LEADER};
    struct desk *desk = *state;
    static struct asked one, two;
    ask_again(desk, &one, 1, "hello", 0);
    ask_again(desk, &two, 2, "hello", 0);
    for (unsigned i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        uint64_t now = i * AGAIN_MS;
        forward_tick(desk->forward, now);
        forward_flush(desk->forward, true, now);
        assert_int_equal(desk->sent_retried, 2 * (i + 1));
        forward_refused(desk->forward, &one.request.command.id, refusals[i], 250, desk->sending);
        forward_refused(desk->forward, &two.request.command.id, refusals[i], 250, desk->sending);
        assert_int_equal(one.answers + two.answers, 0);
    }
    apply(desk, &one);
    assert_answer(&one, ANSWER_ACCEPTED);
    forward_tick(desk->forward, FORWARD_DEADLINE_MS);
    assert_answer(&two, ANSWER_UNKNOWN);
}

static void the_refusal_of_an_earlier_copy_counts_no_more(void **state)
{
    struct desk *desk = *state;
    static struct asked one;
    ask(desk, &one, 1, "hello", 0);
    forward_flush(desk->forward, true, 0);
    uint64_t first = desk->sending;
    forward_leader_changed(desk->forward);
    forward_refused(desk->forward, &one.request.command.id, CHAT_TEXT_TOO_LONG, 0, first);
    forward_flush(desk->forward, true, 10);
    forward_refused(desk->forward, &one.request.command.id, CHAT_TEXT_TOO_LONG, 0, first);
    assert_int_equal(one.answers, 0);
    forward_refused(desk->forward, &one.request.command.id, CHAT_BUSY, 0, desk->sending);
    assert_int_equal(one.answers, 0); /* tried again */
    forward_refused(desk->forward, &one.request.command.id, CHAT_TEXT_TOO_LONG, 0, desk->sending);
    assert_answer(&one, ANSWER_UNKNOWN); /* the first leader may have let it in */
}

/* A program asks again for what was answered UNKNOWN, and does not say so. What the leader said of the first
 * try was on its way all the while, and it has taken this one. */
static void the_late_refusal_of_an_earlier_request_counts_for_nothing(void **state)
{
    struct desk *desk = *state;
    static struct asked before, now;
    ask(desk, &before, 1, "hello", 0);
    forward_flush(desk->forward, true, 0);
    assert_int_equal(desk->sending, BEFORE_SENDINGS + 1);
    forward_tick(desk->forward, AGAIN_MS);
    forward_flush(desk->forward, true, AGAIN_MS);
    uint64_t first = BEFORE_SENDINGS + 1, second = desk->sending;
    forward_tick(desk->forward, FORWARD_DEADLINE_MS);
    assert_answer(&before, ANSWER_UNKNOWN);
    ask(desk, &now, 1, "hello", FORWARD_DEADLINE_MS);
    forward_flush(desk->forward, true, FORWARD_DEADLINE_MS);
    forward_refused(desk->forward, &now.request.command.id, CHAT_TOO_FAST, 250, first);
    forward_refused(desk->forward, &now.request.command.id, CHAT_TOO_FAST, 250, second);
    assert_int_equal(now.answers, 0);
    apply(desk, &now);
    assert_answer(&now, ANSWER_ACCEPTED);
}

static void two_requests_with_one_id_share_the_answer(void **state)
{
    struct desk *desk = *state;
    static struct asked one, two, other;
    ask(desk, &one, 1, "hello", 0);
    ask(desk, &two, 1, "hello", 0);
    ask(desk, &other, 1, "something else", 0);
    assert_refused(&other, CHAT_ID_USED);
    forward_flush(desk->forward, true, 0);
    assert_int_equal(desk->sent, 1);
    apply(desk, &one);
    assert_answer(&one, ANSWER_ACCEPTED);
    assert_answer(&two, ANSWER_ACCEPTED);
    assert_int_equal(two.answer.number, 1);
}

static void a_second_time_is_a_duplicate_with_the_first_number(void **state)
{
    struct desk *desk = *state;
    static struct asked one, two;
    uint64_t results[5];
    ask(desk, &one, 1, "hello", 0);
    forward_flush(desk->forward, true, 0);
    apply(desk, &one);
    ask(desk, &two, 1, "hello", 0);
    forward_flush(desk->forward, true, 0);
    forward_refused(desk->forward, &two.request.command.id, CHAT_DUPLICATE, 0, desk->sending);
    assert_answer(&two, ANSWER_ACCEPTED);
    assert_int_equal(two.answer.number, 1);
    forward_results(desk->forward, results);
    assert_int_equal(results[0], 1);
    assert_int_equal(results[4], 1);
}

static void a_duplicate_that_is_not_applied_here_yet_waits_for_it(void **state)
{
    struct desk *desk = *state;
    static struct asked one;
    ask(desk, &one, 1, "hello", 0);
    forward_flush(desk->forward, true, 0);
    forward_refused(desk->forward, &one.request.command.id, CHAT_DUPLICATE, 0, desk->sending);
    assert_int_equal(one.answers, 0);
    apply(desk, &one); /* the first copy arrives */
    assert_answer(&one, ANSWER_ACCEPTED);
}

static void an_id_that_somebody_used_for_another_message_is_refused(void **state)
{
    struct desk *desk = *state;
    static struct asked mine, theirs;
    ask(desk, &mine, 1, "mine", 0);
    forward_flush(desk->forward, true, 0);
    theirs = mine;
    theirs.request.command.text = slice_of("theirs");
    apply(desk, &theirs); /* by another node, under the same id */
    assert_refused(&mine, CHAT_ID_USED);
}

/* The first copy may be in an old leader's log. A new leader that has another message under the id in its
 * queue says so, but has decided nothing. */
static void that_an_id_is_used_counts_for_a_retry_only_once_it_is_applied(void **state)
{
    struct desk *desk = *state;
    static struct asked mine, theirs;
    ask(desk, &mine, 1, "mine", 0);
    forward_flush(desk->forward, true, 0);
    forward_leader_changed(desk->forward);
    forward_flush(desk->forward, true, 10);
    forward_refused(desk->forward, &mine.request.command.id, CHAT_ID_USED, 0, desk->sending);
    assert_int_equal(mine.answers, 0);
    apply(desk, &mine); /* the first copy */
    assert_answer(&mine, ANSWER_ACCEPTED);

    ask(desk, &mine, 2, "mine", 0);
    theirs = mine;
    theirs.request.command.text = slice_of("theirs");
    forward_flush(desk->forward, true, 0);
    forward_leader_changed(desk->forward);
    forward_flush(desk->forward, true, 10);
    apply(desk, &theirs);
    assert_refused(&mine, CHAT_ID_USED);
}

static void what_our_own_queue_gives_back_unsent_is_new_again(void **state)
{
    struct desk *desk = *state;
    static struct asked one, two;
    ask(desk, &one, 1, "hello", 0);
    ask(desk, &two, 2, "hello", 0);
    forward_flush(desk->forward, true, 0);
    forward_dropped(desk->forward, &one.request.command.id, false);
    forward_dropped(desk->forward, &two.request.command.id, true);
    forward_tick(desk->forward, 2 * ELECTION_MS + 1000); /* still no leader */
    assert_refused(&one, CHAT_NO_LEADER);
    assert_int_equal(two.answers, 0);
    forward_flush(desk->forward, true, 2000);
    assert_int_equal(desk->sent_retried, 1);
    apply(desk, &two);
}

static void too_many_are_busy(void **state)
{
    struct desk *desk = *state;
    static struct asked many[COMMANDS_WAITING_MAX + 1];
    for (unsigned i = 0; i <= COMMANDS_WAITING_MAX; i++) {
        many[i] = (struct asked){.request = {.on_answer = on_answer}};
        many[i].request.command = (struct send_message){.text = slice_of("x")};
        memcpy(many[i].request.command.id.bytes, &i, sizeof i);
        forward_add(desk->forward, &many[i].request, 0);
    }
    assert_refused(&many[COMMANDS_WAITING_MAX], CHAT_BUSY);
    assert_int_equal(many[0].answers, 0);
    assert_int_equal(forward_waiting(desk->forward), COMMANDS_WAITING_MAX);
}

/* ---- barriers ---- */

struct fence {
    struct barrier *barrier;
    unsigned asked, appended, replied;
    uint64_t last_id, passed;
    bool cannot;
};

struct waiting {
    struct barrier_request request;
    unsigned answers;
    int status;
};

static void on_ask(void *owner, uint64_t id)
{
    struct fence *fence = owner;
    fence->asked++;
    fence->last_id = id;
}

static void on_reply(void *owner, uint64_t to, uint64_t id)
{
    struct fence *fence = owner;
    (void)to;
    (void)id;
    fence->replied++;
}

static bool on_append(void *owner)
{
    struct fence *fence = owner;
    fence->appended++;
    return !fence->cannot;
}

static bool has_passed(void *owner, uint64_t mark)
{
    const struct fence *fence = owner;
    return mark <= fence->passed;
}

static void on_barrier(struct barrier_request *request, int status)
{
    struct waiting *waiting = (struct waiting *)request;
    waiting->answers++;
    waiting->status = status;
}

static struct barrier *new_barrier(struct fence *fence)
{
    *fence = (struct fence){.asked = 0};
    fence->barrier =
        barrier_new(ELECTION_MS, 0,
                    &(struct barrier_handler){
                        .owner = fence, .ask = on_ask, .reply = on_reply, .append = on_append});
    return fence->barrier;
}

static void a_barrier_is_passed_when_the_leaders_index_is_applied_here(void **state)
{
    (void)state;
    struct fence fence;
    struct barrier *barrier = new_barrier(&fence);
    struct waiting one = {.request = {.on_barrier = on_barrier}};
    barrier_add(barrier, &one.request, 0);
    barrier_flush(barrier, false, 0);
    assert_int_equal(fence.asked, 0);
    barrier_flush(barrier, true, 0);
    barrier_flush(barrier, true, 1);
    assert_int_equal(fence.asked, 1);
    barrier_flush(barrier, true, AGAIN_MS);
    assert_int_equal(fence.asked, 2);
    barrier_replied(barrier, fence.last_id, 9, 8);
    assert_int_equal(one.answers, 0);
    barrier_applied(barrier, 9);
    assert_int_equal(one.answers, 1);
    assert_int_equal(one.status, 0);
    barrier_free(barrier);
}

static void a_barrier_without_an_answer_ends_at_its_deadline(void **state)
{
    (void)state;
    struct fence fence;
    struct barrier *barrier = new_barrier(&fence);
    struct waiting one = {.request = {.on_barrier = on_barrier}}, two = one, three = one;
    barrier_add(barrier, &one.request, 0);
    barrier_tick(barrier, true, BARRIER_DEADLINE_MS);
    assert_int_equal(one.status, ERR_TIMEOUT);
    barrier_add(barrier, &two.request, 0);
    barrier_tick(barrier, false, BARRIER_DEADLINE_MS);
    assert_int_equal(two.status, ERR_NO_LEADER);
    barrier_add(barrier, &three.request, 0);
    barrier_free(barrier);
    assert_int_equal(three.status, ERR_CLOSED);
}

static void the_leader_answers_behind_what_it_had_queued(void **state)
{
    (void)state;
    struct fence fence;
    struct barrier *barrier = new_barrier(&fence);
    barrier_asked(barrier, 7, 1, 10);
    barrier_asked(barrier, 8, 1, 12);
    fence.passed = 9;
    barrier_pump(barrier, has_passed, &fence);
    assert_int_equal(fence.appended, 0);
    fence.passed = 11;
    barrier_pump(barrier, has_passed, &fence);
    barrier_pump(barrier, has_passed, &fence); /* one at a time */
    assert_int_equal(fence.appended, 1);
    barrier_committed(barrier, true);
    assert_int_equal(fence.replied, 1);
    fence.passed = 12;
    barrier_pump(barrier, has_passed, &fence);
    barrier_committed(barrier, false); /* lost leadership: no promise */
    assert_int_equal(fence.replied, 1);
    barrier_free(barrier);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        PROMISE_WITH("P1 P9", a_command_is_answered_when_it_is_applied_here, setup, teardown),
        PROMISE_WITH("P10", it_is_sent_again_with_the_mark_after_silence, setup, teardown),
        PROMISE_WITH("P10", another_leader_gets_it_at_once, setup, teardown),
        PROMISE_WITH("P6 P10", without_a_leader_a_new_command_waits_a_while_and_is_refused, setup,
                     teardown),
        PROMISE_WITH("P6", one_that_may_be_in_a_log_is_not_refused_when_it_is_not_taken, setup,
                     teardown),
        PROMISE_WITH("P6", what_was_sent_and_has_no_answer_is_unknown_at_the_deadline, setup,
                     teardown),
        PROMISE_WITH("P6 P10", what_was_sent_is_unknown_when_no_leader_comes, setup, teardown),
        TEST(a_leaders_refusal_is_passed_on),
        PROMISE_WITH("P6", what_is_retried_is_not_refused_by_who_cannot_take_it_now, setup,
                     teardown),
        PROMISE_WITH("P6", the_refusal_of_an_earlier_copy_counts_no_more, setup, teardown),
        PROMISE_WITH("P6", the_late_refusal_of_an_earlier_request_counts_for_nothing, setup,
                     teardown),
        TEST(two_requests_with_one_id_share_the_answer),
        PROMISE_WITH("P3", a_second_time_is_a_duplicate_with_the_first_number, setup, teardown),
        PROMISE_WITH("P9", a_duplicate_that_is_not_applied_here_yet_waits_for_it, setup, teardown),
        PROMISE_WITH("P6", an_id_that_somebody_used_for_another_message_is_refused, setup,
                     teardown),
        PROMISE_WITH("P6", that_an_id_is_used_counts_for_a_retry_only_once_it_is_applied, setup,
                     teardown),
        PROMISE_WITH("P6", what_our_own_queue_gives_back_unsent_is_new_again, setup, teardown),
        TEST(too_many_are_busy),
        cmocka_unit_test(a_barrier_is_passed_when_the_leaders_index_is_applied_here),
        cmocka_unit_test(a_barrier_without_an_answer_ends_at_its_deadline),
        cmocka_unit_test(the_leader_answers_behind_what_it_had_queued),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
