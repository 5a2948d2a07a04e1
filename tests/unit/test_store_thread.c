/* What the store thread makes of its mail. The event store behind it only takes notes: it may be held in
 * the middle of a commit, or have no room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/store_thread.h"
#include "base/mem.h"
#include "promise.h"

enum { COMMITS_MAX = 16 };

struct commit {
    size_t count;
    uint64_t index, raft_durable;
};

/* Written by the store thread; read when it has told of a commit, or ended. */
static struct commit commits[COMMITS_MAX];
static size_t commits_count, no_room_left; /* so often there is no room */
static bool is_held;
static uv_sem_t entered, go_on;

static uv_loop_t loop;
static struct mailbox domain;
static struct event_store *event_store;
static struct store_thread *store_thread;
static struct shared *event;
static char dir[64];
static uint64_t durable, durable_wanted, told;

int __wrap_event_store_append(struct event_store *store, const struct event_append *append,
                              struct errmsg *errmsg);

int __wrap_event_store_append(struct event_store *store, const struct event_append *append,
                              struct errmsg *errmsg)
{
    (void)store;
    assert_true(commits_count < COMMITS_MAX);
    commits[commits_count++] = (struct commit){.count = append->events_count,
                                               .index = append->index,
                                               .raft_durable = append->raft_durable};
    if (is_held) {
        uv_sem_post(&entered);
        uv_sem_wait(&go_on);
    }
    if (no_room_left == 0) return 0;
    no_room_left--;
    errmsg_set(errmsg, "the disk is full");
    return ERR_FULL;
}

static void on_mail(void *owner, struct mail *mail)
{
    (void)owner;
    assert_int_equal(mail->kind, MAIL_DURABLE);
    durable = ((const struct durable_mail *)mail)->number;
    told++;
    mem_free(mail);
    if (durable >= durable_wanted) uv_stop(&loop);
}

static int start(void **state)
{
    struct errmsg errmsg;
    char history[80];
    (void)state;
    commits_count = no_room_left = 0;
    durable = durable_wanted = told = 0;
    is_held = false;
    snprintf(dir, sizeof dir, "/tmp/livetea-test-thread-XXXXXX");
    if (mkdtemp(dir) == NULL) return -1;
    snprintf(history, sizeof history, "%s/history", dir);
    struct event_store_options options = {.dir = history};
    if (event_store_open(&event_store, &options, &errmsg) != 0) return -1;
    uv_sem_init(&entered, 0);
    uv_sem_init(&go_on, 0);
    uv_loop_init(&loop);
    mailbox_init(&domain, &loop, on_mail, NULL);
    event = shared_copy(slice_of("an event"));
    return store_thread_start(&store_thread, event_store, &domain, &errmsg);
}

/* To its end: what it has written is ours to read then. */
static void stop_thread(void)
{
    struct mail *mail = mem_new(sizeof *mail);
    mail->kind = MAIL_STOP;
    mailbox_send(store_thread_mailbox(store_thread), mail);
    store_thread_join(store_thread);
    store_thread = NULL;
}

static int stop(void **state)
{
    static const char *const files[] = {"history/data.mdb", "history/lock.mdb", "history", ""};
    (void)state;
    if (store_thread != NULL) stop_thread();
    durable_wanted = UINT64_MAX; /* nothing stops the loop any more */
    mailbox_close(&domain);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    uv_sem_destroy(&entered);
    uv_sem_destroy(&go_on);
    event_store_close(event_store);
    shared_unref(event);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        remove(path);
    }
    return 0;
}

static void mail_events(size_t count, uint64_t index, uint64_t raft_durable)
{
    struct events_mail *mail = mem_new(sizeof *mail + count * sizeof *mail->events);
    mail->mail.kind = MAIL_APPEND;
    mail->index = index;
    mail->raft_durable = raft_durable;
    mail->count = count;
    for (size_t i = 0; i < count; i++)
        mail->events[i] = shared_ref(event);
    mailbox_send(store_thread_mailbox(store_thread), &mail->mail);
}

static void wait_until_durable(uint64_t number)
{
    durable_wanted = number;
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(durable, number);
}

static void hold_in_a_commit(void)
{
    is_held = true;
    mail_events(STORE_BATCH_EVENTS, 1, 1);
    uv_sem_wait(&entered);
    is_held = false;
}

/* ---- batches ---- */

static void what_comes_within_a_moment_is_one_commit(void **state)
{
    (void)state;
    hold_in_a_commit();
    for (uint64_t i = 0; i < 5; i++)
        mail_events(3, 10 + i, 9 + i);
    uv_sem_post(&go_on);
    wait_until_durable(STORE_BATCH_EVENTS + 15);
    assert_int_equal(commits_count, 2);
    assert_int_equal(commits[1].count, 15);
    assert_int_equal(commits[1].index, 14);
    assert_int_equal(commits[1].raft_durable, 13);
}

static void the_more_wait_the_larger_is_a_commit(void **state)
{
    (void)state;
    enum { MAILS = STORE_BATCH_EVENTS_MAX / STORE_BATCH_EVENTS };
    hold_in_a_commit();
    for (uint64_t i = 0; i < MAILS + 2; i++)
        mail_events(STORE_BATCH_EVENTS, 2 + i, 2);
    uv_sem_post(&go_on);
    wait_until_durable((MAILS + 3) * STORE_BATCH_EVENTS);
    assert_int_equal(commits_count, 3);
    assert_int_equal(commits[0].count, STORE_BATCH_EVENTS);
    assert_int_equal(commits[1].count, STORE_BATCH_EVENTS_MAX);
    assert_int_equal(commits[1].index, 1 + MAILS);
    assert_int_equal(commits[2].count, 2 * STORE_BATCH_EVENTS);
}

static void marks_move_also_without_events(void **state)
{
    (void)state;
    mail_events(0, 7, 6);
    stop_thread();
    assert_int_equal(commits_count, 1);
    assert_int_equal(commits[0].count, 0);
    assert_int_equal(commits[0].index, 7);
    assert_int_equal(commits[0].raft_durable, 6);
}

static void without_mail_nothing_is_written(void **state)
{
    (void)state;
    stop_thread();
    assert_int_equal(commits_count, 0);
}

static void what_waits_at_the_end_is_written(void **state)
{
    (void)state;
    mail_events(3, 7, 6);
    stop_thread();
    assert_int_equal(commits_count, 1);
    assert_int_equal(commits[0].count, 3);
}

/* ---- no room ---- */

static void without_room_the_batch_is_kept_and_tried_again(void **state)
{
    (void)state;
    no_room_left = 2;
    hold_in_a_commit();
    mail_events(5, 2, 2);
    uv_sem_post(&go_on);
    wait_until_durable(STORE_BATCH_EVENTS + 5);
    assert_int_equal(told, 1); /* of nothing before it was true */
    assert_int_equal(commits_count, 3);
    assert_int_equal(commits[0].count, STORE_BATCH_EVENTS);
    assert_int_equal(commits[1].count, STORE_BATCH_EVENTS + 5);
    assert_int_equal(commits[2].count, STORE_BATCH_EVENTS + 5);
    mail_events(1, 3, 3); /* and all is as it was */
    wait_until_durable(STORE_BATCH_EVENTS + 6);
}

static void however_much_waits_for_room_it_is_not_tried_at_each_mail(void **state)
{
    (void)state;
    no_room_left = 1;
    hold_in_a_commit();
    for (uint64_t i = 0; i < 20; i++)
        mail_events(STORE_BATCH_EVENTS, 2 + i, 2);
    uv_sem_post(&go_on);
    wait_until_durable(21 * STORE_BATCH_EVENTS);
    assert_int_equal(commits_count, 2);
}

static void a_stop_does_not_wait_for_room(void **state)
{
    (void)state;
    no_room_left = SIZE_MAX;
    mail_events(5, 2, 2);
    stop_thread();
    assert_int_equal(commits_count, 1);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(told, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(what_comes_within_a_moment_is_one_commit),
        TEST(the_more_wait_the_larger_is_a_commit),
        TEST(marks_move_also_without_events),
        TEST(without_mail_nothing_is_written),
        PROMISE_WITH("P1", what_waits_at_the_end_is_written, start, stop),
        TEST(without_room_the_batch_is_kept_and_tried_again),
        TEST(however_much_waits_for_room_it_is_not_tried_at_each_mail),
        TEST(a_stop_does_not_wait_for_room),
    };
    return cmocka_run_group_tests_name("store_thread", tests, NULL, NULL);
}
