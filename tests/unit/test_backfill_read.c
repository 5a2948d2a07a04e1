/* Events read for other nodes, out of a real event store in a directory of its own. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "chat/chat.h"
#include "cluster/backfill_read.h"
#include "promise.h"

enum { EVENTS_MAX = 3000, REPLIES_MAX = 16, PEER = 5 };

struct reply {
    uint64_t peer, request;
    struct backfill_head head;
    size_t body_len;
};

struct world {
    char dir[64], store_dir[80], file[96];
    struct event_store *store;
    struct chat chat;
    struct shared *events[EVENTS_MAX]; /* number - 1 */
    size_t count;
    uv_loop_t loop;
    struct backfill_read *reads;
    struct reply replies[REPLIES_MAX];
    size_t replies_count;
    uint64_t reached;    /* events up to here came, one after the other, as they are stored */
    uint64_t damaged_at; /* as on_damaged told; 0 = not */
    bool is_stopped;
};

static const struct chat_limits limits = {.text_code_points_max = 4000};

static void on_reply(void *owner, uint64_t peer, uint64_t request, struct slice body)
{
    struct world *world = owner;
    struct slice events;
    assert_true(world->replies_count < REPLIES_MAX);
    assert_int_equal(world->damaged_at, 0);
    struct reply *reply = &world->replies[world->replies_count++];
    *reply = (struct reply){.peer = peer, .request = request, .body_len = body.len};
    assert_int_equal(backfill_head_decode(&reply->head, body, &events), 0);
    for (uint32_t i = 0; i < reply->head.count; i++) {
        uint64_t number = reply->head.from + i;
        struct slice event = backfill_event_take(&events);
        assert_true(slice_equal(event, shared_slice(world->events[number - 1])));
        if (number == world->reached + 1) world->reached = number;
    }
    assert_int_equal(events.len, 0);
}

static void on_damaged(void *owner, uint64_t number)
{
    struct world *world = owner;
    world->damaged_at = number;
}

static void on_stopped(void *owner)
{
    struct world *world = owner;
    world->is_stopped = true;
    world->reads = NULL;
}

static void open_store(struct world *world)
{
    struct errmsg errmsg = {.text = ""};
    struct event_store_options options = {.dir = world->store_dir};
    if (event_store_open(&world->store, &options, &errmsg) != 0) fail_msg("%s", errmsg.text);
}

static void open_reads(struct world *world)
{
    world->reads =
        backfill_read_new(&world->loop, world->store,
                          &(struct backfill_read_handler){
                              .owner = world, .reply = on_reply, .on_damaged = on_damaged});
}

static int start(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    snprintf(world->dir, sizeof world->dir, "/tmp/livetea-test-read-XXXXXX");
    if (mkdtemp(world->dir) == NULL) return -1;
    snprintf(world->store_dir, sizeof world->store_dir, "%s/history", world->dir);
    snprintf(world->file, sizeof world->file, "%s/data.mdb", world->store_dir);
    chat_init(&world->chat, &limits);
    uv_loop_init(&world->loop);
    open_store(world);
    open_reads(world);
    *state = world;
    return 0;
}

static int stop(void **state)
{
    struct world *world = *state;
    char path[128];
    if (world->reads != NULL) backfill_read_stop(world->reads, on_stopped, world);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    uv_loop_close(&world->loop);
    event_store_close(world->store);
    chat_close(&world->chat);
    for (size_t i = 0; i < world->count; i++)
        shared_unref(world->events[i]);
    unlink(world->file);
    snprintf(path, sizeof path, "%s/lock.mdb", world->store_dir);
    unlink(path);
    rmdir(world->store_dir);
    rmdir(world->dir);
    free(world);
    return 0;
}

static void say(struct world *world, struct slice text)
{
    struct message_sent event;
    uint64_t n = world->count + 1;
    struct send_message command = {.room = slice_of("tea"),
                                   .sender = slice_of("Maja"),
                                   .text = text,
                                   .unseen_up_to = world->count,
                                   .at_ms = 1000 + (int64_t)n};
    memcpy(command.id.bytes, &n, sizeof n);
    assert_int_equal(chat_apply(&world->chat, &command, n, &event), CHAT_APPLIED);
    world->events[world->count] = event_encode(&event);
    chat_remember(&world->chat, &event, world->events[world->count]);
    world->count++;
}

/* So many messages more, on disk. */
static void history(struct world *world, size_t count)
{
    struct errmsg errmsg = {.text = ""};
    size_t before = world->count;
    for (size_t i = 0; i < count; i++) {
        char text[32];
        snprintf(text, sizeof text, "message %zu.", world->count + 1);
        say(world, slice_from(text));
    }
    struct event_append append = {
        .events = world->events + before, .events_count = count, .index = world->count};
    if (event_store_append(world->store, &append, &errmsg) != 0) fail_msg("%s", errmsg.text);
}

static int ask_as(struct world *world, uint64_t peer, uint64_t from, uint64_t up_to, uint32_t bytes)
{
    struct buf body;
    buf_init(&body, 64);
    backfill_ask_encode(&body, from, up_to, bytes);
    int rv = backfill_read_ask(world->reads, peer, 100 + from, buf_slice(&body));
    buf_close(&body);
    return rv;
}

static const struct reply *ask(struct world *world, uint64_t from, uint64_t up_to, uint32_t bytes)
{
    size_t before = world->replies_count;
    assert_int_equal(ask_as(world, PEER, from, up_to, bytes), 0);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->replies_count, before + 1);
    const struct reply *reply = &world->replies[before];
    assert_int_equal(reply->peer, PEER);
    assert_int_equal(reply->request, 100 + from);
    assert_int_equal(reply->head.from, from);
    return reply;
}

/* ---- reading ---- */

static void chunks_are_bounded_and_follow_one_another(void **state)
{
    struct world *world = *state;
    enum { BYTES = 8000 };
    history(world, 300);
    while (world->reached < 300) {
        const struct reply *reply = ask(world, world->reached + 1, 300, BYTES);
        assert_int_equal(reply->head.status, BACKFILL_OK);
        assert_int_equal(reply->head.last, 300);
        assert_true(reply->body_len <= BACKFILL_HEAD_SIZE + BYTES);
    }
    assert_true(world->replies_count > 5);
    assert_int_equal(backfill_read_events(world->reads), 300);
}

static void no_more_is_given_than_was_asked_for(void **state)
{
    struct world *world = *state;
    history(world, 50);
    assert_int_equal(ask(world, 11, 20, BACKFILL_CHUNK_BYTES)->head.count, 10);
    assert_int_equal(ask(world, 50, UINT64_MAX, UINT32_MAX)->head.count, 1);
}

static void an_event_that_is_larger_than_asked_for_comes_alone(void **state)
{
    struct world *world = *state;
    history(world, 3);
    const struct reply *reply = ask(world, 1, 3, 1);
    assert_int_equal(reply->head.status, BACKFILL_OK);
    assert_int_equal(reply->head.count, 1);
}

/* However much is asked for, one answer holds what a frame can. */
static void a_chunk_ends_where_a_frame_would_be_full(void **state)
{
    struct world *world = *state;
    struct errmsg errmsg;
    char text[4 * CHAT_TEXT_CODE_POINTS_MAX];
    for (size_t i = 0; i < sizeof text; i += 4)
        memcpy(text + i, "\xf0\x9f\x8d\xb5", 4);
    for (int i = 0; i < 100; i++)
        say(world, slice_make(text, sizeof text));
    struct event_append append = {.events = world->events, .events_count = 100, .index = 100};
    assert_int_equal(event_store_append(world->store, &append, &errmsg), 0);
    const struct reply *reply = ask(world, 1, 100, UINT32_MAX);
    assert_true(reply->head.count > 50 && reply->head.count < 100);
    assert_true(reply->body_len <= BACKFILL_HEAD_SIZE + BACKFILL_CHUNK_BYTES);
}

static void behind_the_last_event_there_is_nothing(void **state)
{
    struct world *world = *state;
    assert_int_equal(ask(world, 1, 10, 1000)->head.status, BACKFILL_NONE);
    history(world, 10);
    const struct reply *reply = ask(world, 11, 20, 1000);
    assert_int_equal(reply->head.status, BACKFILL_NONE);
    assert_int_equal(reply->head.last, 10);
    assert_int_equal(reply->head.count, 0);
}

static void a_node_that_asks_twice_at_once_is_told_to_wait(void **state)
{
    struct world *world = *state;
    history(world, 10);
    for (uint64_t peer = 1; peer <= BACKFILL_READS_MAX; peer++)
        assert_int_equal(ask_as(world, peer, 1, 10, 1000000), 0);
    assert_int_equal(world->replies_count, 0);
    ask_as(world, 1, 1, 10, 1000000);
    ask_as(world, BACKFILL_READS_MAX + 1, 1, 10, 1000000); /* too many at once */
    assert_int_equal(world->replies_count, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(world->replies[i].head.status, BACKFILL_BUSY);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->replies_count, 2 + BACKFILL_READS_MAX);
    for (size_t i = 2; i < world->replies_count; i++) {
        assert_int_equal(world->replies[i].head.status, BACKFILL_OK);
        assert_int_equal(world->replies[i].head.count, 10);
    }
    assert_int_equal(ask(world, 1, 10, 1000000)->head.status, BACKFILL_OK);
}

static void what_is_no_question_is_refused(void **state)
{
    struct world *world = *state;
    struct slice junk = slice_of("who knows");
    assert_int_equal(backfill_read_ask(world->reads, PEER, 1, junk), ERR_FORMAT);
    assert_int_equal(ask_as(world, PEER, 0, 10, 1000), ERR_FORMAT);
    assert_int_equal(ask_as(world, PEER, 11, 10, 1000), ERR_FORMAT);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->replies_count, 0);
}

/* ---- damage ---- */

/* Changes a byte of a stopped store's file: the first letter of this text. */
static void spoil(const struct world *world, const char *text)
{
    struct stat found;
    int fd = open(world->file, O_RDWR);
    assert_true(fd >= 0 && fstat(fd, &found) == 0);
    size_t size = (size_t)found.st_size;
    char *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(bytes != MAP_FAILED);
    char *at = memmem(bytes, size, text, strlen(text));
    assert_non_null(at);
    for (; at != NULL; at = memmem(bytes, size, text, strlen(text)))
        at[0] ^= 1;
    munmap(bytes, size);
    close(fd);
}

static void spoilt_history(struct world *world, const char *text)
{
    history(world, 30);
    backfill_read_stop(world->reads, on_stopped, world);
    assert_true(world->is_stopped);
    event_store_close(world->store);
    spoil(world, text);
    open_store(world);
    open_reads(world);
}

static void a_damaged_event_is_never_given_away(void **state)
{
    struct world *world = *state;
    spoilt_history(world, "message 17.");
    assert_int_equal(ask(world, 18, 30, BACKFILL_CHUNK_BYTES)->head.status, BACKFILL_OK);
    assert_int_equal(ask(world, 1, 16, BACKFILL_CHUNK_BYTES)->head.status, BACKFILL_OK);
    assert_int_equal(world->damaged_at, 0);

    /* on_reply sees that the answer goes out before the node is told. */
    const struct reply *reply = ask(world, 1, 30, BACKFILL_CHUNK_BYTES);
    assert_int_equal(reply->head.status, BACKFILL_DAMAGED);
    assert_int_equal(reply->head.count, 0);
    assert_int_equal(reply->body_len, BACKFILL_HEAD_SIZE);
    assert_int_equal(world->damaged_at, 17);
}

/* ---- stopping ---- */

static void what_is_being_read_at_the_end_is_waited_for_and_not_answered(void **state)
{
    struct world *world = *state;
    history(world, 10);
    assert_int_equal(ask_as(world, 1, 1, 10, 1000), 0);
    assert_int_equal(ask_as(world, 2, 1, 10, 1000), 0);
    backfill_read_stop(world->reads, on_stopped, world);
    assert_false(world->is_stopped);
    assert_int_equal(ask_as(world, 3, 1, 10, 1000), 0);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_true(world->is_stopped);
    assert_int_equal(world->replies_count, 0);
}

/* ---- both sides ---- */

static struct { /* a node without a history, that asks the world's */
    struct world *world;
    struct backfill *backfill;
    struct chat chat;
    struct buf arrived; /* an answer that is on its way */
    uint64_t request;
} client;

static bool client_ask(void *owner, uint64_t peer, uint64_t request, uint64_t from, uint64_t up_to,
                       uint32_t bytes)
{
    struct buf body;
    (void)owner;
    buf_init(&body, 64);
    backfill_ask_encode(&body, from, up_to, bytes / 64); /* so that there are many answers */
    int rv = backfill_read_ask(client.world->reads, peer, request, buf_slice(&body));
    buf_close(&body);
    return rv == 0;
}

static int client_event(void *owner, struct slice bytes, struct errmsg *errmsg)
{
    struct message_sent event;
    (void)owner;
    if (event_decode(&event, bytes, errmsg) != 0) return ERR_FORMAT;
    return chat_take(&client.chat, &event, errmsg);
}

static void client_chunk(void *owner)
{
    (void)owner;
}

static void client_shunned(void *owner, uint64_t peer, const char *why)
{
    (void)owner;
    (void)peer;
    fail_msg("%s", why);
}

static void to_client(void *owner, uint64_t peer, uint64_t request, struct slice body)
{
    (void)owner;
    assert_int_equal(peer, PEER);
    assert_int_equal(client.arrived.len, 0);
    client.request = request;
    buf_add(&client.arrived, body);
}

/* Until no answer brings another question: there are no ticks here. */
static void exchange(struct world *world)
{
    struct buf body;
    for (;;) {
        uv_run(&world->loop, UV_RUN_DEFAULT);
        if (client.arrived.len == 0) return;
        body = client.arrived;
        buf_init(&client.arrived, RPC_FRAME_MAX);
        assert_int_equal(
            backfill_heard(client.backfill, PEER, client.request, buf_slice(&body), 1000), 0);
        buf_close(&body);
    }
}

static void an_empty_node_gets_the_same_history(void **state)
{
    struct world *world = *state;
    history(world, 2500);
    backfill_read_stop(world->reads, on_stopped, world);
    world->reads =
        backfill_read_new(&world->loop, world->store,
                          &(struct backfill_read_handler){.owner = world, .reply = to_client});
    client.world = world;
    buf_init(&client.arrived, RPC_FRAME_MAX);
    chat_init(&client.chat, &limits);
    client.backfill = backfill_new(0, &(struct backfill_handler){.ask = client_ask,
                                                                 .on_event = client_event,
                                                                 .on_chunk = client_chunk,
                                                                 .on_shunned = client_shunned});

    struct backfill_peer peer = {.id = PEER, .number = 2500, .is_up = true};
    backfill_want(client.backfill, 0, 2500, 1000);
    backfill_tick(client.backfill, &peer, 1, 1000);
    exchange(world);
    assert_int_equal(client.chat.number, 2500);
    assert_memory_equal(&client.chat.digest, &world->chat.digest, sizeof world->chat.digest);
    backfill_free(client.backfill);
    chat_close(&client.chat);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(chunks_are_bounded_and_follow_one_another),
        TEST(no_more_is_given_than_was_asked_for),
        TEST(an_event_that_is_larger_than_asked_for_comes_alone),
        TEST(a_chunk_ends_where_a_frame_would_be_full),
        TEST(behind_the_last_event_there_is_nothing),
        TEST(a_node_that_asks_twice_at_once_is_told_to_wait),
        TEST(what_is_no_question_is_refused),
        PROMISE_WITH("P12", a_damaged_event_is_never_given_away, start, stop),
        TEST(what_is_being_read_at_the_end_is_waited_for_and_not_answered),
        TEST(an_empty_node_gets_the_same_history),
    };
    return cmocka_run_group_tests_name("backfill_read", tests, NULL, NULL);
}
