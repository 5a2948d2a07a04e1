#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "cluster/propose.h"
#include "promise.h"

struct log { /* stands in for raft and for those who wait */
    struct chat chat;
    struct propose *propose;
    enum submitted answer;
    unsigned entries, commands, odd_lengths;
    unsigned refused, dropped, maybe_dropped;
    enum chat_refusal last_refusal;
    uint64_t last_origin;
    uint64_t last_sending;
    unsigned last_id; /* of the command that was applied last */
    bool is_out_of_order;
};

enum { QUEUE_MAX = 2000 };

static void on_command(void *owner, const struct send_message *command)
{
    struct log *log = owner;
    struct message_sent event;
    unsigned id;
    memcpy(&id, command->id.bytes, sizeof id);
    if (id < log->last_id) log->is_out_of_order = true;
    log->last_id = id;
    assert_true(command->at_ms > 0);
    chat_apply(&log->chat, command, log->entries + 1, &event);
    log->commands++;
}

static enum submitted submit(void *owner, struct slice entry)
{
    struct log *log = owner;
    struct errmsg errmsg;
    if (log->answer != SUBMITTED) return log->answer;
    if (entry.len == 0 || entry.len % 8 != 0) log->odd_lengths++;
    assert_true(entry.len <= BATCH_BYTES_MAX);
    assert_int_equal(batch_read(entry, on_command, log, &errmsg), 0);
    log->entries++;
    return SUBMITTED;
}

static void on_refused(void *owner, const struct proposal *proposal, enum chat_refusal refusal,
                       uint32_t wait_ms)
{
    struct log *log = owner;
    (void)wait_ms;
    log->refused++;
    log->last_refusal = refusal;
    log->last_origin = proposal->origin;
    log->last_sending = proposal->sending;
}

static void on_dropped(void *owner, const struct proposal *proposal, bool may_be_in_log)
{
    struct log *log = owner;
    (void)proposal;
    log->dropped++;
    if (may_be_in_log) log->maybe_dropped++;
}

static int setup(void **state)
{
    static struct log log;
    static const struct chat_limits limits = {
        .text_code_points_max = 4000, .rate = 2, .rate_window_ms = 1000};
    log = (struct log){.answer = SUBMITTED};
    chat_init(&log.chat, &limits);
    log.propose = propose_new(
        &log.chat, QUEUE_MAX,
        &(struct propose_handler){
            .owner = &log, .submit = submit, .on_refused = on_refused, .on_dropped = on_dropped});
    *state = &log;
    return 0;
}

static int teardown(void **state)
{
    struct log *log = *state;
    propose_free(log->propose);
    chat_close(&log->chat);
    return 0;
}

/* Each from a sender of its own, unless told otherwise. */
static struct send_message command(unsigned id, const char *text)
{
    struct send_message made = {
        .room = slice_of("tea"), .sender = slice_of("Ann"), .text = slice_from(text)};
    memcpy(made.id.bytes, &id, sizeof id);
    memcpy(made.sender_id.bytes, &id, sizeof id);
    return made;
}

static void add(struct log *log, unsigned id, const char *text)
{
    struct send_message made = command(id, text);
    propose_add(log->propose, &made, 5, 0);
}

static void a_turns_commands_are_one_entry_of_a_lawful_length(void **state)
{
    struct log *log = *state;
    char text[64] = "";
    for (unsigned i = 1; i <= 40; i++) {
        text[i] = '\0';
        text[i - 1] = 'x'; /* every remainder of the length by 8 */
        add(log, i, text);
        propose_pump(log->propose, 0, 1000);
        propose_done(log->propose);
    }
    assert_int_equal(log->entries, 40);
    for (unsigned i = 101; i <= 140; i++)
        add(log, i, "hello");
    propose_pump(log->propose, 0, 1000);
    assert_int_equal(log->entries, 41);
    assert_int_equal(log->commands, 80);
    assert_int_equal(log->odd_lengths, 0);
}

static void there_is_one_entry_in_flight(void **state)
{
    struct log *log = *state;
    add(log, 1, "one");
    propose_pump(log->propose, 0, 1000);
    add(log, 2, "two");
    add(log, 3, "three");
    propose_pump(log->propose, 0, 1000);
    assert_int_equal(log->entries, 1);
    assert_int_equal(propose_waiting(log->propose), 3);
    propose_done(log->propose);
    propose_pump(log->propose, 0, 1000);
    assert_int_equal(log->entries, 2);
    assert_int_equal(log->commands, 3);
}

static void an_entry_has_its_limits(void **state)
{
    struct log *log = *state;
    static char big[8 * 1024];
    memset(big, 'x', sizeof big - 1);
    log->chat.limits.text_code_points_max = 3000;
    big[3000] = '\0';
    for (unsigned i = 1; i <= 900; i++)
        add(log, i, i % 2 == 0 ? big : "small");
    unsigned rounds = 0;
    while (propose_waiting(log->propose) > 0) {
        assert_true(++rounds < 20);
        propose_pump(log->propose, 0, 1000);
        propose_done(log->propose);
    }
    assert_int_equal(log->commands, 900);
    assert_true(log->entries >= 4);
}

static void an_id_that_is_waiting_is_not_taken_twice(void **state)
{
    struct log *log = *state;
    add(log, 1, "hello");
    add(log, 1, "hello");
    propose_pump(log->propose, 0, 1000);
    add(log, 1, "hello"); /* in flight now */
    propose_pump(log->propose, 0, 1000);
    assert_int_equal(log->commands, 1);
    assert_int_equal(log->refused, 0);
    add(log, 1, "something else");
    assert_int_equal(log->refused, 1);
    assert_int_equal(log->last_refusal, CHAT_ID_USED);
}

static void what_is_applied_already_is_a_duplicate(void **state)
{
    struct log *log = *state;
    add(log, 1, "hello");
    propose_pump(log->propose, 0, 1000);
    propose_done(log->propose);
    add(log, 1, "hello");
    propose_pump(log->propose, 0, 1000);
    assert_int_equal(log->commands, 1);
    assert_int_equal(log->last_refusal, CHAT_DUPLICATE);
}

static void commands_of_peers_are_judged_again(void **state)
{
    struct log *log = *state;
    static char big[CHAT_TEXT_MAX + 2];
    memset(big, 'x', sizeof big - 1);
    add(log, 1, big);
    add(log, 2, " \t ");
    add(log, 3, "fine");
    propose_pump(log->propose, 0, 1000);
    assert_int_equal(log->refused, 2);
    assert_int_equal(log->commands, 1);
    assert_int_equal(log->last_origin, 5);
}

/* What may be in a log already has as much again, and no more. */
static void who_writes_too_fast_is_refused_and_so_is_who_only_repeats(void **state)
{
    struct log *log = *state;
    for (unsigned i = 1; i <= 6; i++) {
        struct send_message made = command(i, "hello");
        memset(&made.sender_id, 1, sizeof made.sender_id);
        made.retried = i >= 4;
        propose_add(log->propose, &made, 5, 100 + i);
        propose_pump(log->propose, 0, 1000);
        propose_done(log->propose);
        if (i < 3) continue;
        assert_int_equal(log->refused, i < 6 ? 1 : 2);
        assert_int_equal(log->last_refusal, CHAT_TOO_FAST);
        assert_int_equal(log->last_sending, i < 6 ? 103 : 106);
    }
    assert_int_equal(log->commands, 4);
}

static void a_refusal_is_for_the_last_copy_that_came_from_its_node(void **state)
{
    struct log *log = *state;
    struct send_message made = command(1, " \t ");
    propose_add(log->propose, &made, 5, 101);
    propose_add(log->propose, &made, 5, 102);
    propose_add(log->propose, &made, 6, 103);
    propose_pump(log->propose, 0, 1000);
    assert_int_equal(log->refused, 1);
    assert_int_equal(log->last_origin, 5);
    assert_int_equal(log->last_sending, 102);
}

static void a_leader_that_is_none_keeps_the_queue_and_asks_no_token_twice(void **state)
{
    struct log *log = *state;
    for (unsigned i = 1; i <= 4; i++) {
        struct send_message made = command(i, "hello");
        memset(&made.sender_id, 1, sizeof made.sender_id);
        made.retried = i > 2;
        propose_add(log->propose, &made, 5, 0);
    }
    log->answer = SUBMIT_LATER;
    for (int i = 0; i < 5; i++)
        propose_pump(log->propose, 0, 1000);
    assert_int_equal(propose_waiting(log->propose), 4);
    log->answer = SUBMITTED;
    propose_pump(log->propose, 0, 1000);
    assert_int_equal(log->commands, 4);
    assert_int_equal(log->refused, 0);
}

/* In one entry, over several, and when an entry came back because nobody leads. */
static void commands_leave_in_the_order_in_which_they_came(void **state)
{
    enum { EARLY = BATCH_COMMANDS_MAX + 40 }; /* some stay in the queue */
    struct log *log = *state;
    for (unsigned i = 1; i <= EARLY; i++)
        add(log, i, "hello");
    log->answer = SUBMIT_LATER;
    propose_pump(log->propose, 0, 1000);
    assert_int_equal(log->commands, 0);
    for (unsigned i = EARLY + 1; i <= 2 * BATCH_COMMANDS_MAX; i++)
        add(log, i, "hello");
    log->answer = SUBMITTED;
    while (propose_waiting(log->propose) > 0) {
        propose_pump(log->propose, 0, 1000);
        propose_done(log->propose);
    }
    assert_int_equal(log->commands, 2 * BATCH_COMMANDS_MAX);
    assert_int_equal(log->entries, 2);
    assert_false(log->is_out_of_order);
}

static void a_disk_that_is_short_of_space_refuses(void **state)
{
    struct log *log = *state;
    log->answer = SUBMIT_FULL;
    add(log, 1, "hello");
    propose_pump(log->propose, 0, 1000);
    assert_int_equal(log->last_refusal, CHAT_BUSY);
    assert_int_equal(propose_waiting(log->propose), 0);
}

static void lost_leadership_drops_all_and_says_what_may_be_in_the_log(void **state)
{
    struct log *log = *state;
    add(log, 1, "one");
    propose_pump(log->propose, 0, 1000);
    add(log, 2, "two");
    add(log, 3, "three");
    propose_drop(log->propose);
    assert_int_equal(log->dropped, 3);
    assert_int_equal(log->maybe_dropped, 1);
    assert_int_equal(propose_waiting(log->propose), 0);
    add(log, 2, "two");
    propose_pump(log->propose, 0, 1000);
    assert_int_equal(log->entries, 2);
}

static void a_full_queue_is_busy(void **state)
{
    struct log *log = *state;
    for (unsigned i = 1; i <= QUEUE_MAX; i++)
        add(log, i, "hello");
    assert_int_equal(log->refused, 0);
    add(log, QUEUE_MAX + 1, "hello");
    assert_int_equal(log->last_refusal, CHAT_BUSY);
}

static void a_queue_of_long_texts_is_busy_before_it_is_long(void **state)
{
    static char text[64 * 1024 + 1]; /* longer than execute lets pass: the queue looks at no text */
    const unsigned fit = PROPOSE_BYTES_MAX / sizeof text;
    struct log *log = *state;
    assert_true(fit < QUEUE_MAX);
    memset(text, 'x', sizeof text - 1);
    for (unsigned i = 1; i <= fit; i++)
        add(log, i, text);
    assert_int_equal(log->refused, 0);
    add(log, fit + 1, text);
    add(log, fit + 2, text);
    assert_int_equal(log->last_refusal, CHAT_BUSY);
    propose_drop(log->propose);
    add(log, fit + 3, text);
    assert_true(log->refused <= 2);
    assert_int_equal(propose_waiting(log->propose), 1);
}

static void a_mark_is_passed_when_all_before_it_left_the_queue(void **state)
{
    struct log *log = *state;
    assert_true(propose_passed(log->propose, propose_mark(log->propose)));
    add(log, 1, "one");
    uint64_t mark = propose_mark(log->propose);
    add(log, 2, "two");
    assert_false(propose_passed(log->propose, mark));
    log->answer = SUBMIT_LATER;
    propose_pump(log->propose, 0, 1000);
    assert_false(propose_passed(log->propose, mark));
    log->answer = SUBMITTED;
    propose_pump(log->propose, 0, 1000);
    assert_true(propose_passed(log->propose, mark));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_turns_commands_are_one_entry_of_a_lawful_length),
        PROMISE_WITH("P4", there_is_one_entry_in_flight, setup, teardown),
        TEST(an_entry_has_its_limits),
        PROMISE_WITH("P3", an_id_that_is_waiting_is_not_taken_twice, setup, teardown),
        PROMISE_WITH("P3", what_is_applied_already_is_a_duplicate, setup, teardown),
        TEST(commands_of_peers_are_judged_again),
        TEST(who_writes_too_fast_is_refused_and_so_is_who_only_repeats),
        PROMISE_WITH("P6", a_refusal_is_for_the_last_copy_that_came_from_its_node, setup, teardown),
        TEST(a_leader_that_is_none_keeps_the_queue_and_asks_no_token_twice),
        PROMISE_WITH("P4", commands_leave_in_the_order_in_which_they_came, setup, teardown),
        TEST(a_disk_that_is_short_of_space_refuses),
        PROMISE_WITH("P6", lost_leadership_drops_all_and_says_what_may_be_in_the_log, setup,
                     teardown),
        TEST(a_full_queue_is_busy),
        TEST(a_queue_of_long_texts_is_busy_before_it_is_long),
        TEST(a_mark_is_passed_when_all_before_it_left_the_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
