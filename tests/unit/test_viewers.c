/* What the engine asks of its thread, with rooms, connections and the domain thread made up here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "app/chores.h"
#include "app/commands.h"
#include "app/older.h"
#include "app/rooms.h"
#include "app/viewers.h"
#include "base/mem.h"
#include "pages/pages.h"

struct web_thread {
    uv_loop_t loop;
    struct config config;
};

struct later { /* a call that is to come */
    void (*run)(void *owner);
    void *owner;
    uint32_t ms;
    struct later *next;
};

static struct {
    struct web_thread thread;
    struct viewers *viewers;
    const struct live_host *host;
    struct live live;
    struct later *laters;         /* newest first */
    int held;                     /* views that wait for an event, as the domain thread is told */
    unsigned woken, wakes_within; /* wishes from within the call */
} world;

/* ---- what viewers ask of the others ---- */

const struct config *web_thread_config(const struct web_thread *thread)
{
    return &thread->config;
}

uv_loop_t *web_thread_loop(struct web_thread *thread)
{
    return &thread->loop;
}

uint64_t web_thread_applied(const struct web_thread *thread)
{
    (void)thread;
    return 0;
}

struct rooms *web_thread_rooms(struct web_thread *thread)
{
    (void)thread;
    return NULL;
}

struct chores *web_thread_chores(struct web_thread *thread)
{
    (void)thread;
    return NULL;
}

uint32_t web_thread_rate_address(struct web_thread *thread, struct slice address)
{
    (void)thread;
    (void)address;
    return 0;
}

void web_thread_mail_domain(struct web_thread *thread, struct mail *mail)
{
    (void)thread;
    if (mail->kind == MAIL_REACH) world.held++;
    if (mail->kind == MAIL_REACH_END) world.held--;
    mem_free(mail); /* that the view is opened when something is applied: never, but by a test */
}

struct later *chores_later(struct chores *chores, uint32_t ms, void (*run)(void *owner),
                           void *owner)
{
    struct later *later = mem_new(sizeof *later);
    (void)chores;
    *later = (struct later){.run = run, .owner = owner, .ms = ms, .next = world.laters};
    world.laters = later;
    return later;
}

void chores_cancel(struct later *later)
{
    struct later **at = &world.laters;
    while (*at != later)
        at = &(*at)->next;
    *at = later->next;
    mem_free(later);
}

/* The page's side of it. */
void __wrap_live_inform(struct live *live, const struct live_ref *ref,
                        const struct live_info *info);
void __wrap_live_inform(struct live *live, const struct live_ref *ref, const struct live_info *info)
{
    assert_ptr_equal(live, &world.live);
    assert_null(ref);
    assert_int_equal(info->kind, LIVE_WOKEN);
    world.woken++;
    for (; world.wakes_within > 0; world.wakes_within--)
        live_wake(live, 5);
}

/* None of these is called in what is tested here. */
void rooms_open(struct rooms *rooms, struct room_waiter *waiter, struct slice name)
{
    (void)rooms;
    (void)waiter;
    (void)name;
    fail();
}

void rooms_leave(struct rooms *rooms, struct room_waiter *waiter)
{
    (void)rooms;
    assert_null(waiter->room);
}

void rooms_flush(struct rooms *rooms)
{
    (void)rooms;
}

struct topic *room_topic(struct rooms *rooms, struct room *room, int16_t offset_minutes)
{
    (void)rooms;
    (void)room;
    (void)offset_minutes;
    return NULL;
}

struct topic *rooms_home_topic(struct rooms *rooms, int16_t offset_minutes)
{
    return room_topic(rooms, NULL, offset_minutes);
}

struct topic *rooms_cluster_topic(struct rooms *rooms, int16_t offset_minutes)
{
    return room_topic(rooms, NULL, offset_minutes);
}

const struct room_tail *room_tail_of(const struct room *room)
{
    (void)room;
    return NULL;
}

struct command_mail *command_mail_new(struct web_thread *thread, const struct send_message *command)
{
    (void)thread;
    (void)command;
    return NULL;
}

void commands_send(struct web_thread *thread, struct command_mail *mail)
{
    (void)thread;
    (void)mail;
    fail();
}

void commands_check(struct web_thread *thread, struct command_mail *mail)
{
    commands_send(thread, mail);
}

void commands_check_none(struct web_thread *thread, struct command_mail *mail)
{
    commands_send(thread, mail);
}

void commands_refuse(struct web_thread *thread, struct command_mail *mail,
                     enum chat_refusal refusal, uint32_t wait_ms)
{
    (void)refusal;
    (void)wait_ms;
    commands_send(thread, mail);
}

void older_read(struct older *older, const struct room_tail *tail)
{
    (void)older;
    (void)tail;
    fail();
}

bool older_reached_start(const struct older *older)
{
    (void)older;
    return false;
}

struct slice conn_address(const struct conn *conn)
{
    (void)conn;
    return slice_of("");
}

void conn_joined(struct conn *conn)
{
    (void)conn;
}

void conn_send(struct conn *conn, struct shared *frame)
{
    (void)conn;
    (void)frame;
    fail();
}

void conn_send_pieces(struct conn *conn, struct shared *const pieces[], size_t pieces_count)
{
    (void)pieces_count;
    conn_send(conn, pieces[0]);
}

/* ---- one view ---- */

static int begin(void **state)
{
    static const struct token_keys keys;
    (void)state;
    memset(&world, 0, sizeof world);
    assert_int_equal(uv_loop_init(&world.thread.loop), 0);
    world.viewers = viewers_new(&world.thread, &keys);
    world.host = viewers_host(world.viewers);
    world.live = (struct live){.host = world.host, .address = {.view = &home_view}};
    world.host->open(world.host->owner, &world.live, 1);
    return 0;
}

static int end(void **state)
{
    (void)state;
    world.host->close(world.host->owner, &world.live);
    assert_null(world.laters); /* who has gone is not woken any more */
    viewers_stop(world.viewers);
    uv_run(&world.thread.loop, UV_RUN_DEFAULT);
    viewers_free(world.viewers);
    assert_int_equal(uv_loop_close(&world.thread.loop), 0);
    return 0;
}

static size_t laters_count(void)
{
    size_t count = 0;
    for (const struct later *later = world.laters; later != NULL; later = later->next)
        count++;
    return count;
}

static void time_comes(void)
{
    struct later *later = world.laters;
    world.laters = later->next;
    later->run(later->owner);
    mem_free(later);
}

/* ---- tests ---- */

static void however_often_a_page_asks_it_has_one_timer(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 1000; i++)
        live_wake(&world.live, 1000 + i);
    assert_int_equal(laters_count(), 1);
    assert_int_equal(world.laters->ms, 1999); /* of what it asked for last */
    assert_int_equal(world.woken, 0);
}

static void a_page_is_woken_once_and_may_ask_again(void **state)
{
    (void)state;
    live_wake(&world.live, 1000);
    time_comes();
    assert_int_equal(world.woken, 1);
    assert_int_equal(laters_count(), 0);
    live_wake(&world.live, 1000);
    world.wakes_within = 3; /* a page sees then what is next */
    time_comes();
    assert_int_equal(world.woken, 2);
    assert_int_equal(laters_count(), 1);
    time_comes();
    assert_int_equal(world.woken, 3);
    assert_int_equal(laters_count(), 0);
}

/* A page that joins again and again has one place at most among those that wait in the domain thread. */
static void who_goes_while_it_waits_leaves_no_place_taken(void **state)
{
    (void)state;
    assert_int_equal(world.held, 1);
    for (int i = 1; i < JOINS_PER_TURN_MAX; i++) {
        world.host->close(world.host->owner, &world.live);
        assert_int_equal(world.held, 0);
        world.host->open(world.host->owner, &world.live, 1);
        assert_int_equal(world.held, 1);
    }
}

/* That nothing is left is looked at in the end. */
static void who_has_gone_is_woken_no_more(void **state)
{
    (void)state;
    live_wake(&world.live, 1000);
    assert_int_equal(laters_count(), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(however_often_a_page_asks_it_has_one_timer),
        TEST(a_page_is_woken_once_and_may_ask_again),
        TEST(who_goes_while_it_waits_leaves_no_place_taken),
        TEST(who_has_gone_is_woken_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
