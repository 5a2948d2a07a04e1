/* Without memory a process ends and says so, or fails with a sentence; it never goes on with half of something. Each
 * allocation fails in turn, in a child (tests/lib/faulty_memory.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "faulty_memory.h"
#include "pages/markdown.h"
#include "scratch.h"
#include "store/event_store.h"
#include "web/ws.h"

enum { BEFORE = 10, AFTER = 30 };

static char root[SCRATCH_MAX], path[80];
static struct shared *events[AFTER];

/* ---- the event store ---- */

static int setup(void **state)
{
    static const struct chat_limits limits = {.text_code_points_max = 4000};
    struct chat chat;
    (void)state;
    scratch_make(root, "memory");
    snprintf(path, sizeof path, "%s/it", root);
    chat_init(&chat, &limits);
    for (size_t i = 0; i < AFTER; i++) {
        struct message_sent event;
        struct send_message command = {.room = slice_of("tea"),
                                       .sender = slice_of("Maja"),
                                       .text = slice_of("one more cup"),
                                       .id = {.bytes = {(uint8_t)(i + 1), 7}},
                                       .unseen_up_to = i,
                                       .at_ms = 1000 + (int64_t)i};
        assert_int_equal(chat_apply(&chat, &command, i + 1, &event), CHAT_APPLIED);
        events[i] = event_encode(&event);
        chat_remember(&chat, &event, events[i]);
    }
    chat_close(&chat);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    shared_unref_all(events, AFTER);
    return scratch_remove(root);
}

static int append(size_t from, size_t to, struct errmsg *errmsg)
{
    struct event_store *store;
    int rv = event_store_open(&store, &(struct event_store_options){.dir = path}, errmsg);
    if (rv != 0) return rv;
    rv = event_store_append(
        store,
        &(struct event_append){.events = events + from, .events_count = to - from, .index = to},
        errmsg);
    event_store_close(store);
    return rv;
}

static void with_a_store(void)
{
    struct errmsg errmsg;
    scratch_empty(root);
    assert_int_equal(append(0, BEFORE, &errmsg), 0);
}

static int append_and_take_up(struct errmsg *errmsg)
{
    static const struct chat_limits limits = {.text_code_points_max = 4000};
    struct event_store *store;
    struct chat chat;
    int rv = append(BEFORE, AFTER, errmsg);
    if (rv != 0) return rv;
    rv = event_store_open(&store, &(struct event_store_options){.dir = path}, errmsg);
    if (rv != 0) return rv;
    chat_init(&chat, &limits);
    rv = event_store_restore(store, &chat, errmsg);
    chat_close(&chat);
    event_store_close(store);
    return rv;
}

static void it_is_whole(void)
{
    struct errmsg errmsg = {.text = ""};
    struct event_store *store;
    struct event_store_damage damage;
    struct event_meta meta;
    if (event_store_open(&store, &(struct event_store_options){.dir = path}, &errmsg) != 0 ||
        event_store_verify(store, NULL, NULL, &damage, &errmsg) != 0)
        fail_msg("%s", errmsg.text);
    event_store_meta(store, &meta);
    assert_true(meta.number == BEFORE || meta.number == AFTER);
    event_store_close(store);
}

static void what_was_stored_is_there(void **state)
{
    (void)state;
    faulty_memory_try(&(struct faulty_memory_trial){.name = "events appended and taken up",
                                                    .prepare = with_a_store,
                                                    .attempt = append_and_take_up,
                                                    .check = it_is_whole},
                      40);
}

/* ---- what comes from outside ---- */

/* What is right stays right: want of memory must not pass for an answer. */
static int read_json(struct errmsg *errmsg)
{
    struct json *json;
    int rv =
        json_parse(&json,
                   slice_of("[\"4\",\"5\",\"lv:phx-1\",\"event\",{\"value\":{\"a\":[1,2.5,null,"
                            "true,\"\\u00e4\"]},\"type\":\"form\"}]"),
                   errmsg);
    if (rv != 0 || json_count(json) != 5) {
        fprintf(stderr, "JSON that is some was refused\n");
        _exit(99);
    }
    json_free(json);
    return 0;
}

static int read_name(struct errmsg *errmsg)
{
    (void)errmsg;
    struct buf name, room;
    buf_init(&name, 1024);
    buf_init(&room, 1024);
    if (!text_name(&name, slice_of(" Zoe\xcc\x88  ")) ||
        !slice_is(buf_slice(&name), "Zo\xc3\xab") ||
        !text_room(&room, slice_of("Cafe\xcc\x81 bar"))) {
        fprintf(stderr, "a name that is one was refused\n");
        _exit(99);
    }
    buf_close(&name);
    buf_close(&room);
    return 0;
}

static int heard;

static void on_text(void *owner, struct slice text)
{
    (void)owner;
    if (slice_is(text, "Hallo")) heard++;
}

static void on_ping(void *owner, struct slice payload)
{
    (void)owner;
    if (slice_is(payload, "hi")) heard++;
}

/* Masked with zeros: "Hal" and "lo" with a ping between them, then a close frame. */
static int read_frames(struct errmsg *errmsg)
{
    static const char frames[] = "\x01\x83\0\0\0\0Hal"
                                 "\x89\x82\0\0\0\0hi"
                                 "\x80\x82\0\0\0\0lo"
                                 "\x88\x82\0\0\0\0\x03\xe8";
    const struct ws_handler handler = {.on_text = on_text, .on_ping = on_ping};
    struct ws_stream stream = {.reader = NULL};
    struct ws_pool *pool = ws_pool_new(&handler, 1024);
    int code = 0;
    heard = 0;
    enum ws_result result =
        ws_read(pool, &stream, NULL, slice_make(frames, sizeof frames - 1), 0, &code);
    ws_stream_close(&stream);
    ws_pool_free(pool);
    if (result == WS_PEER_CLOSED && heard == 2) return 0;
    /* A connection that is closed is an honest answer. */
    errmsg_set(errmsg, "the connection was closed with %d", code);
    return result == WS_FAILED ? ERR_CLOSED : 0;
}

static int show_markdown(struct errmsg *errmsg)
{
    struct buf html;
    (void)errmsg;
    buf_init(&html, 64 * 1024);
    markdown_html(&html, slice_of("**bold** `code` [a](https://tea.example/) * x\n\n- 1\n- <b>\n"));
    if (html.len == 0 || memmem(html.at, html.len, "<b>", 3) != NULL) abort();
    buf_close(&html);
    return 0;
}

static void want_of_memory_is_no_answer(void **state)
{
    (void)state;
    faulty_memory_try(&(struct faulty_memory_trial){.name = "JSON", .attempt = read_json}, 10);
    faulty_memory_try(&(struct faulty_memory_trial){.name = "names", .attempt = read_name}, 4);
    faulty_memory_try(&(struct faulty_memory_trial){.name = "frames", .attempt = read_frames}, 4);
    faulty_memory_try(&(struct faulty_memory_trial){.name = "Markdown", .attempt = show_markdown},
                      3);
}

/* ---- ourselves ---- */

static int ask_for_all(struct errmsg *errmsg)
{
    (void)errmsg;
    mem_free(mem_new(10));
    mem_free(mem_grow(mem_copy("tea", 3), 100));
    mem_free(mem_string("tea", 3));
    mem_free(mem_aligned(4096, 4096));
    return 0;
}

static void nothing_returns_null(void **state)
{
    (void)state;
    faulty_memory_try(&(struct faulty_memory_trial){.name = "mem.h", .attempt = ask_for_all}, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_stored_is_there, setup, teardown),
        cmocka_unit_test(want_of_memory_is_no_answer),
        cmocka_unit_test(nothing_returns_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
