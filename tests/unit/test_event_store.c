#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "promise.h"
#include "store/event_store.h"
#include "synced.h"

/* ---- fixture: a store in a directory of its own, and the chat that feeds it ---- */

enum { EVENTS_MAX = 2000 };

struct world {
    char dir[64];
    char store_dir[80];
    char file[96];
    struct event_store *store;
    struct chat chat;
    struct shared *events[EVENTS_MAX]; /* number - 1 */
    size_t count;
};

static const struct chat_limits limits = {.text_code_points_max = 4000};

static void open_store(struct world *world)
{
    struct errmsg errmsg = {.text = ""};
    int rv = event_store_open(&world->store, &(struct event_store_options){.dir = world->store_dir},
                              &errmsg);
    if (rv != 0) fail_msg("%s", errmsg.text);
}

static int open_world(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    snprintf(world->dir, sizeof world->dir, "/tmp/livetea-test-store-XXXXXX");
    if (mkdtemp(world->dir) == NULL) return -1;
    snprintf(world->store_dir, sizeof world->store_dir, "%s/history", world->dir);
    snprintf(world->file, sizeof world->file, "%s/data.mdb", world->store_dir);
    chat_init(&world->chat, &limits);
    open_store(world);
    *state = world;
    return 0;
}

static int close_world(void **state)
{
    struct world *world = *state;
    event_store_close(world->store);
    chat_close(&world->chat);
    for (size_t i = 0; i < world->count; i++)
        shared_unref(world->events[i]);
    char path[128];
    static const char *const files[] = {"data.mdb", "lock.mdb"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", world->store_dir, files[i]);
        unlink(path);
    }
    rmdir(world->store_dir);
    rmdir(world->dir);
    free(world);
    return 0;
}

static struct command_id id_of(uint64_t n)
{
    struct command_id id = {.bytes = {0x77}};
    memcpy(id.bytes + 8, &n, sizeof n);
    return id;
}

/* Applies a message to the chat; the store does not have it yet. */
static void say(struct world *world, const char *room, const char *text)
{
    struct message_sent event;
    struct send_message command = {.room = slice_from(room),
                                   .sender = slice_of("Maja"),
                                   .text = slice_from(text),
                                   .sender_id = {.bytes = {(uint8_t)(world->count % 3)}},
                                   .id = id_of(world->count + 1),
                                   .unseen_up_to = world->count,
                                   .at_ms = 1000 + (int64_t)world->count};
    assert_int_equal(chat_apply(&world->chat, &command, world->count / 2 + 1, &event),
                     CHAT_APPLIED);
    world->events[world->count] = event_encode(&event);
    chat_remember(&world->chat, &event, world->events[world->count]);
    world->count++;
}

static int append_from(struct world *world, uint64_t first, size_t count, struct errmsg *errmsg)
{
    return event_store_append(world->store,
                              &(struct event_append){.events = world->events + (first - 1),
                                                     .events_count = count,
                                                     .index = (first + count - 2) / 2 + 1,
                                                     .raft_durable = first},
                              errmsg);
}

static void append(struct world *world, uint64_t first, size_t count)
{
    struct errmsg errmsg = {.text = ""};
    if (append_from(world, first, count, &errmsg) != 0) fail_msg("%s", errmsg.text);
}

static void reopen(struct world *world)
{
    event_store_close(world->store);
    open_store(world);
}

static uint64_t last_number(struct world *world)
{
    struct event_meta meta;
    event_store_meta(world->store, &meta);
    return meta.number;
}

/* Many messages over three rooms, most of them in "tea". */
static void say_many(struct world *world, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[32];
        snprintf(text, sizeof text, "message %zu", world->count + 1);
        say(world, i % 5 == 0 ? "cake" : i % 7 == 0 ? "tea-room" : "tea", text);
    }
}

struct page {
    uint64_t numbers[EVENTS_MAX], seqs[EVENTS_MAX];
    size_t count, stop_after;
};

static bool collect(void *owner, const struct message_sent *event, struct slice bytes)
{
    struct page *page = owner;
    struct message_sent again;
    assert_int_equal(event_decode(&again, bytes, NULL), 0);
    assert_true(again.number == event->number);
    page->numbers[page->count] = event->number;
    page->seqs[page->count] = event->seq;
    page->count++;
    return page->stop_after == 0 || page->count < page->stop_after;
}

static struct event_reader *begin(struct world *world)
{
    struct event_reader *reader = NULL;
    assert_int_equal(event_reader_open(&reader, world->store, NULL), 0);
    assert_int_equal(event_reader_begin(reader, NULL), 0);
    return reader;
}

/* ---- writing ---- */

static void a_new_store_is_private_and_empty(void **state)
{
    struct world *world = *state;
    struct stat found;
    struct event_meta meta;
    assert_int_equal(stat(world->store_dir, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0700);
    assert_int_equal(stat(world->file, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
    event_store_meta(world->store, &meta);
    assert_int_equal(meta.format, EVENT_STORE_FORMAT);
    assert_int_equal(meta.number, 0);
    assert_true(event_store_disk_bytes(world->store) > 0);
}

static void what_was_appended_is_there_after_reopening(void **state)
{
    struct world *world = *state;
    say_many(world, 30);
    append(world, 1, 10);
    append(world, 11, 20);
    reopen(world);
    struct event_meta meta;
    event_store_meta(world->store, &meta);
    assert_int_equal(meta.number, 30);
    assert_int_equal(meta.index, 15);
    assert_int_equal(meta.raft_durable, 11);
    assert_true(meta.at_ms == world->chat.at_ms);
    assert_memory_equal(&meta.digest, &world->chat.digest, sizeof meta.digest);

    struct event_reader *reader = begin(world);
    for (uint64_t number = 1; number <= 30; number++) {
        struct message_sent event;
        struct slice bytes;
        assert_int_equal(event_reader_get(reader, number, &event, &bytes), 0);
        assert_true(slice_equal(bytes, shared_slice(world->events[number - 1])));
        assert_true(event.number == number);
    }
    struct message_sent event;
    assert_int_equal(event_reader_get(reader, 31, &event, NULL), ERR_NOT_FOUND);
    assert_int_equal(event_reader_get(reader, 0, &event, NULL), ERR_NOT_FOUND);
    event_reader_close(reader);
}

/* Who made its file may have been cut off before the directories were synced. */
static void its_file_is_there_after_a_power_loss(void **state)
{
    struct world *world = *state;
    assert_true(was_synced(world->store_dir) && was_synced(world->dir));
    synced_forget();
    reopen(world);
    assert_true(was_synced(world->store_dir) && was_synced(world->dir));
}

static void a_gap_is_refused_and_nothing_of_it_is_written(void **state)
{
    struct world *world = *state;
    struct errmsg errmsg = {.text = ""};
    say_many(world, 10);
    append(world, 1, 3);
    assert_int_equal(append_from(world, 5, 2, &errmsg), ERR_DATA);
    assert_non_null(strstr(errmsg.text, "event 5"));
    assert_int_equal(last_number(world), 3);

    struct shared *holed[] = {world->events[3], world->events[5]};
    assert_int_equal(event_store_append(world->store,
                                        &(struct event_append){.events = holed, .events_count = 2},
                                        &errmsg),
                     ERR_DATA);
    assert_int_equal(last_number(world), 3);
    reopen(world);
    assert_int_equal(last_number(world), 3);
    append(world, 4, 7);
    assert_int_equal(last_number(world), 10);
}

static void an_event_of_another_history_is_refused(void **state)
{
    struct world *world = *state;
    say_many(world, 4);
    append(world, 1, 3);
    struct message_sent event;
    assert_int_equal(event_decode(&event, shared_slice(world->events[3]), NULL), 0);

    struct message_sent cases[5];
    for (size_t i = 0; i < 5; i++)
        cases[i] = event;
    cases[0].text = slice_of("forged"); /* the digest does not follow */
    cases[1].seq++;                     /* a gap in the room */
    cases[2].at_ms = 1;                 /* back in time */
    cases[3].number = 3;                /* another event where there is one */
    cases[3].digest.bytes[0]++;
    cases[4].id = id_of(1); /* an id that was used */
    struct digest before;
    assert_int_equal(event_decode(&event, shared_slice(world->events[2]), NULL), 0);
    before = event.digest;
    event_digest(&cases[4].digest, &before, &cases[4]);
    for (size_t i = 0; i < 5; i++) {
        struct errmsg errmsg = {.text = ""};
        struct shared *bytes = event_encode(&cases[i]);
        struct event_append append = {.events = &bytes, .events_count = 1};
        assert_int_equal(event_store_append(world->store, &append, &errmsg), ERR_DATA);
        assert_true(strlen(errmsg.text) > 0);
        assert_int_equal(last_number(world), 3);
        shared_unref(bytes);
    }
    struct shared *garbage = shared_copy(slice_of("no event"));
    struct event_append append_garbage = {.events = &garbage, .events_count = 1};
    assert_int_equal(event_store_append(world->store, &append_garbage, NULL), ERR_DATA);
    shared_unref(garbage);
    append(world, 4, 1);
}

/* The event with another id, as if its node had let that pass. */
static struct shared *with_id(const struct world *world, uint64_t number, struct command_id id)
{
    struct message_sent before, event;
    assert_int_equal(event_decode(&before, shared_slice(world->events[number - 2]), NULL), 0);
    assert_int_equal(event_decode(&event, shared_slice(world->events[number - 1]), NULL), 0);
    event.id = id;
    event_digest(&event.digest, &before.digest, &event);
    return event_encode(&event);
}

static void two_events_of_one_id_are_refused_also_in_one_append(void **state)
{
    struct world *world = *state;
    struct errmsg errmsg = {.text = ""};
    say_many(world, 30);
    append(world, 1, 10);
    struct shared *events[10];
    for (uint64_t i = 0; i < 10; i++)
        events[i] = world->events[10 + i];
    events[9] = with_id(world, 20, id_of(13));
    struct event_append twice = {.events = events, .events_count = 10, .index = 10};
    assert_int_equal(event_store_append(world->store, &twice, &errmsg), ERR_DATA);
    assert_non_null(strstr(errmsg.text, "event 20 has the command id"));
    shared_unref(events[9]);
    events[9] = with_id(world, 20, id_of(3));
    assert_int_equal(event_store_append(world->store, &twice, &errmsg), ERR_DATA);
    assert_non_null(strstr(errmsg.text, "event 20 has the command id"));
    shared_unref(events[9]);
    assert_int_equal(last_number(world), 10);
    append(world, 11, 20); /* nothing of it was written */
    assert_int_equal(last_number(world), 30);
}

/* Rows are gathered over an append: many rooms, some with one message, and ids in no order. */
static void one_append_may_hold_many_rooms(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < 1500; i++) {
        char room[32];
        snprintf(room, sizeof room, "room-%zu", i % 2 == 0 ? i % 300 : i % 7);
        say(world, room, "hello");
    }
    append(world, 1, 600);
    append(world, 601, 900);
    struct chat taken_up;
    chat_init(&taken_up, &limits);
    reopen(world);
    assert_int_equal(event_store_restore(world->store, &taken_up, NULL), 0);
    assert_int_equal(taken_up.rooms_count, world->chat.rooms_count);
    struct event_reader *reader = begin(world);
    for (struct chat_room *room = world->chat.newest; room != NULL; room = room->older) {
        struct page page = {.count = 0};
        const struct chat_room *same = chat_find_room(&taken_up, chat_room_name(room));
        assert_true(same != NULL && same->seq == room->seq && same->run == room->run);
        assert_true(same->last_number == room->last_number && same->last_at_ms == room->last_at_ms);
        assert_memory_equal(&same->last_sender_id, &room->last_sender_id, 16);
        assert_int_equal(
            event_reader_room_after(reader, chat_room_name(room), 0, EVENTS_MAX, collect, &page),
            0);
        assert_int_equal(page.count, room->seq);
    }
    for (uint64_t n = 1; n <= 1500; n++) {
        struct command_id id = id_of(n);
        uint64_t number = 0;
        assert_int_equal(event_reader_command(reader, &id, &number), 0);
        assert_true(number == n);
    }
    event_reader_close(reader);
    chat_close(&taken_up);
}

static void a_replay_changes_nothing(void **state)
{
    struct world *world = *state;
    struct event_meta before;
    struct event_meta after;
    say_many(world, 20);
    append(world, 1, 12);
    event_store_meta(world->store, &before);
    append(world, 1, 12);
    append(world, 1, 4);
    event_store_meta(world->store, &after);
    assert_memory_equal(&before, &after, sizeof before);
    append(world, 7, 14); /* half known, half new */
    assert_int_equal(last_number(world), 20);
}

static void marks_move_without_events_and_never_back(void **state)
{
    struct world *world = *state;
    struct event_meta meta;
    struct event_append forward = {.index = 9, .raft_durable = 7};
    struct event_append back = {.index = 4, .raft_durable = 8};
    assert_int_equal(event_store_append(world->store, &forward, NULL), 0);
    assert_int_equal(event_store_append(world->store, &back, NULL), 0);
    reopen(world);
    event_store_meta(world->store, &meta);
    assert_int_equal(meta.index, 9);
    assert_int_equal(meta.raft_durable, 8);
    assert_int_equal(meta.number, 0);
}

static void a_full_map_is_told_and_loses_nothing(void **state)
{
    struct world *world = *state;
    event_store_close(world->store);
    struct event_store_options small = {.dir = world->store_dir, .map_bytes = 256 * 1024};
    assert_int_equal(event_store_open(&world->store, &small, NULL), 0);
    say_many(world, EVENTS_MAX);
    int rv = 0;
    uint64_t next = 1;
    struct errmsg errmsg = {.text = ""};
    for (; rv == 0 && next + 50 <= EVENTS_MAX; next += 50)
        rv = append_from(world, next, 50, &errmsg);
    assert_int_equal(rv, ERR_FULL);
    uint64_t kept = last_number(world);
    assert_true(kept > 0 && kept == next - 50 - 1);
    reopen(world); /* with more room */
    assert_int_equal(last_number(world), kept);
    append(world, kept + 1, EVENTS_MAX - kept);
}

/* ---- whose store it is ---- */

static void a_store_belongs_to_one_cluster(void **state)
{
    struct world *world = *state;
    const uint8_t ours[16] = {1};
    const uint8_t theirs[16] = {2};
    struct errmsg errmsg = {.text = ""};
    struct event_meta meta;
    assert_int_equal(event_store_bind(world->store, ours, &errmsg), 0);
    reopen(world);
    assert_int_equal(event_store_bind(world->store, ours, &errmsg), 0);
    assert_int_equal(event_store_bind(world->store, theirs, &errmsg), ERR_DATA);
    assert_non_null(strstr(errmsg.text, "another cluster"));
    event_store_meta(world->store, &meta);
    assert_memory_equal(meta.cluster, ours, 16);
}

/* Replaces bytes of the closed file; false when they are not found. */
static bool patch_file(const char *path, struct slice from, struct slice to)
{
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    struct stat found;
    assert_int_equal(fstat(fd, &found), 0);
    char *bytes = malloc((size_t)found.st_size);
    assert_int_equal(pread(fd, bytes, (size_t)found.st_size, 0), found.st_size);
    bool patched = false;
    char *at = bytes;
    char *end = bytes + found.st_size;
    while ((at = memmem(at, (size_t)(end - at), from.at, from.len)) != NULL) {
        assert_int_equal(pwrite(fd, to.at, to.len, at - bytes), to.len);
        patched = true;
        at += from.len;
    }
    free(bytes);
    close(fd);
    return patched;
}

static void a_newer_format_is_refused_with_both_numbers(void **state)
{
    struct world *world = *state;
    struct errmsg errmsg = {.text = ""};
    event_store_close(world->store);
    world->store = NULL;
    assert_true(
        patch_file(world->file, slice_of("format\x01\0\0\0"), slice_of("format\x09\0\0\0")));
    struct event_store_options options = {.dir = world->store_dir};
    assert_int_equal(event_store_open(&world->store, &options, &errmsg), ERR_TOO_LARGE);
    assert_non_null(strstr(errmsg.text, "format 9"));
    assert_null(world->store);
}

static void files_that_are_no_event_store_are_refused(void **state)
{
    struct world *world = *state;
    struct errmsg errmsg = {.text = ""};
    struct event_store_options options = {.dir = world->store_dir};
    event_store_close(world->store);
    world->store = NULL;
    int fd = open(world->file, O_WRONLY | O_TRUNC);
    char junk[16384];
    memset(junk, 'j', sizeof junk);
    assert_int_equal(write(fd, junk, sizeof junk), sizeof junk);
    close(fd);
    assert_int_equal(event_store_open(&world->store, &options, &errmsg), ERR_DATA);
    assert_true(strlen(errmsg.text) > 0);

    options.dir = "/nowhere/at/all";
    assert_int_equal(event_store_open(&world->store, &options, &errmsg), ERR_IO);
    options = (struct event_store_options){.dir = world->dir, .read_only = true};
    assert_int_equal(event_store_open(&world->store, &options, &errmsg), ERR_IO);
}

static void a_file_that_was_cut_off_is_refused(void **state)
{
    struct world *world = *state;
    say_many(world, 500);
    append(world, 1, 500);
    event_store_close(world->store);
    world->store = NULL;
    struct stat found;
    assert_int_equal(stat(world->file, &found), 0);
    assert_int_equal(truncate(world->file, found.st_size / 2), 0);
    struct errmsg errmsg = {.text = ""};
    struct event_store_options options = {.dir = world->store_dir};
    assert_int_equal(event_store_open(&world->store, &options, &errmsg), ERR_DATA);
    assert_non_null(strstr(errmsg.text, "shorter"));
}

static void a_changed_text_is_found_and_never_given_out(void **state)
{
    struct world *world = *state;
    say_many(world, 20);
    append(world, 1, 20);
    event_store_close(world->store);
    assert_true(patch_file(world->file, slice_of("message 7"), slice_of("massage 7")));
    open_store(world); /* the last event is well: damage in the middle shows when it is read */
    struct event_reader *reader = begin(world);
    struct message_sent event;
    struct page page = {.count = 0};
    assert_int_equal(event_reader_get(reader, 7, &event, NULL), ERR_DATA);
    assert_int_equal(event_reader_get(reader, 8, &event, NULL), 0);
    assert_int_equal(event_reader_from(reader, 1, 20, collect, &page), ERR_DATA);
    assert_int_equal(page.count, 6);
    event_reader_close(reader);

    event_store_close(world->store);
    world->store = NULL;
    assert_true(patch_file(world->file, slice_of("message 20"), slice_of("massage 20")));
    struct errmsg errmsg = {.text = ""};
    struct event_store_options options = {.dir = world->store_dir};
    assert_int_equal(event_store_open(&world->store, &options, &errmsg), ERR_DATA);
    assert_non_null(strstr(errmsg.text, "damaged"));
}

static void a_stopped_nodes_store_can_be_read_only(void **state)
{
    struct world *world = *state;
    say_many(world, 5);
    append(world, 1, 5);
    event_store_close(world->store);
    struct event_store_options options = {.dir = world->store_dir, .read_only = true};
    assert_int_equal(event_store_open(&world->store, &options, NULL), 0);
    struct event_reader *reader = begin(world);
    struct message_sent event;
    assert_int_equal(event_reader_get(reader, 5, &event, NULL), 0);
    event_reader_close(reader);
    assert_int_not_equal(append_from(world, 1, 5, NULL), 0);
}

/* ---- reading ---- */

static void a_command_is_found_by_its_id_for_ever(void **state)
{
    struct world *world = *state;
    say_many(world, 200);
    append(world, 1, 200);
    struct event_reader *reader = begin(world);
    for (uint64_t n = 1; n <= 200; n++) {
        struct command_id id = id_of(n);
        uint64_t number = 0;
        assert_int_equal(event_reader_command(reader, &id, &number), 0);
        assert_true(number == n);
    }
    struct command_id unknown = id_of(201);
    uint64_t number = 0;
    assert_int_equal(event_reader_command(reader, &unknown, &number), ERR_NOT_FOUND);
    event_reader_close(reader);
}

static void a_reader_sees_the_moment_at_which_it_began(void **state)
{
    struct world *world = *state;
    say_many(world, 20);
    append(world, 1, 10);
    struct event_reader *reader = begin(world);
    append(world, 11, 10);
    struct message_sent event;
    assert_int_equal(event_reader_get(reader, 11, &event, NULL), ERR_NOT_FOUND);
    event_reader_end(reader);
    struct event_meta meta;
    assert_int_equal(event_reader_begin(reader, &meta), 0);
    assert_int_equal(meta.number, 20);
    assert_int_equal(event_reader_get(reader, 11, &event, NULL), 0);
    event_reader_close(reader);
}

static void history_is_read_upwards_from_any_number(void **state)
{
    struct world *world = *state;
    struct page *page = calloc(1, sizeof *page);
    say_many(world, 100);
    append(world, 1, 100);
    struct event_reader *reader = begin(world);
    assert_int_equal(event_reader_from(reader, 95, 50, collect, page), 0);
    assert_int_equal(page->count, 6);
    assert_true(page->numbers[0] == 95 && page->numbers[5] == 100);
    page->count = 0;
    assert_int_equal(event_reader_from(reader, 0, 3, collect, page), 0);
    assert_true(page->count == 3 && page->numbers[0] == 1);
    page->count = 0;
    assert_int_equal(event_reader_from(reader, 101, 3, collect, page), 0);
    assert_int_equal(event_reader_from(reader, 1, 0, collect, page), 0);
    assert_int_equal(page->count, 0);
    page->stop_after = 2;
    assert_int_equal(event_reader_from(reader, 1, 50, collect, page), 0);
    assert_int_equal(page->count, 2);
    event_reader_close(reader);
    free(page);
}

static void a_room_is_paged_backwards_without_its_neighbours(void **state)
{
    struct world *world = *state;
    struct page *page = calloc(1, sizeof *page);
    say_many(world, 300);
    append(world, 1, 300);
    static const char *const rooms[] = {"cake", "tea", "tea-room"};
    struct event_reader *reader = begin(world);
    for (size_t r = 0; r < 3; r++) {
        uint64_t last = chat_find_room(&world->chat, slice_from(rooms[r]))->seq;
        uint64_t expected = last;
        uint64_t before = 0;
        do {
            page->count = 0;
            assert_int_equal(
                event_reader_room_before(reader, slice_from(rooms[r]), before, 7, collect, page),
                0);
            for (size_t i = 0; i < page->count; i++)
                assert_true(page->seqs[i] == expected--);
            if (page->count > 0) before = page->seqs[page->count - 1];
        } while (page->count == 7);
        assert_int_equal(expected, 0);
        page->count = 0;
        assert_int_equal(
            event_reader_room_before(reader, slice_from(rooms[r]), last + 1, 1, collect, page), 0);
        assert_true(page->seqs[0] == last);
    }
    page->count = 0;
    assert_int_equal(event_reader_room_before(reader, slice_of("te"), 0, 9, collect, page), 0);
    assert_int_equal(event_reader_room_before(reader, slice_of("zz"), 0, 9, collect, page), 0);
    assert_int_equal(event_reader_room_before(reader, slice_of("aa"), 5, 9, collect, page), 0);
    assert_int_equal(event_reader_room_before(reader, slice_of("tea"), 1, 9, collect, page), 0);
    assert_int_equal(event_reader_room_before(reader, slice_of(""), 0, 9, collect, page), 0);
    assert_int_equal(event_reader_room_before(reader, slice_of("tea"), 0, 0, collect, page), 0);
    assert_int_equal(page->count, 0);
    event_reader_close(reader);
    free(page);
}

static void a_room_is_read_onwards_from_any_number(void **state)
{
    struct world *world = *state;
    struct page *page = calloc(1, sizeof *page);
    say_many(world, 120);
    append(world, 1, 120);
    struct event_reader *reader = begin(world);
    for (uint64_t after = 0; after <= 121; after++) {
        page->count = 0;
        assert_int_equal(
            event_reader_room_after(reader, slice_of("tea"), after, 1000, collect, page), 0);
        size_t expected = 0;
        for (uint64_t number = after + 1; number <= 120; number++) {
            struct message_sent event;
            assert_int_equal(event_reader_get(reader, number, &event, NULL), 0);
            if (!slice_is(event.room, "tea")) continue;
            assert_true(page->numbers[expected] == number);
            expected++;
        }
        assert_int_equal(page->count, expected);
    }
    page->count = 0;
    assert_int_equal(event_reader_room_after(reader, slice_of("tea"), 0, 5, collect, page), 0);
    assert_int_equal(page->count, 5);
    assert_int_equal(event_reader_room_after(reader, slice_of("no-room"), 0, 5, collect, page), 0);
    assert_int_equal(page->count, 5);
    event_reader_close(reader);
    free(page);
}

static void readers_are_bounded_and_given_back(void **state)
{
    struct world *world = *state;
    struct event_reader *readers[STORE_READERS_MAX];
    struct event_reader *one_more = NULL;
    struct errmsg errmsg = {.text = ""};
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < STORE_READERS_MAX; i++)
            assert_int_equal(event_reader_open(&readers[i], world->store, &errmsg), 0);
        assert_int_equal(event_reader_open(&one_more, world->store, &errmsg), ERR_BUSY);
        for (size_t i = 0; i < STORE_READERS_MAX; i++)
            event_reader_close(readers[i]);
    }
}

/* ---- taking up ---- */

static void assert_same_chat(struct chat *a, struct chat *b)
{
    assert_true(a->number == b->number);
    assert_true(a->at_ms == b->at_ms);
    assert_memory_equal(&a->digest, &b->digest, sizeof a->digest);
    assert_int_equal(a->rooms_count, b->rooms_count);
    assert_true(a->window.first == b->window.first && a->window.last == b->window.last);
    for (uint64_t number = a->window.first; number <= a->window.last; number++) {
        struct command_id id = id_of(number);
        const struct window_entry *x = window_find(&a->window, &id);
        const struct window_entry *y = window_find(&b->window, &id);
        assert_true(x != NULL && y != NULL);
        assert_true(x->number == y->number && x->content == y->content);
    }
    const struct chat_room *y = b->newest;
    for (const struct chat_room *x = a->newest; x != NULL; x = x->older, y = y->older) {
        assert_non_null(y);
        assert_true(slice_equal(chat_room_name(x), chat_room_name(y)));
        assert_true(x->seq == y->seq && x->last_number == y->last_number);
        assert_true(x->last_at_ms == y->last_at_ms && x->run == y->run);
        assert_memory_equal(&x->last_sender_id, &y->last_sender_id, 16);
        assert_true(slice_equal(shared_slice(x->last), shared_slice(y->last)));
        assert_ptr_equal(chat_find_room(b, chat_room_name(x)), y);
    }
    assert_null(y);
}

static void a_chat_taken_up_equals_the_one_that_was_live(void **state)
{
    struct world *world = *state;
    world->chat.window.events_max = 64;
    for (int round = 0; round < 3; round++) {
        struct chat later;
        chat_init(&later, &limits);
        later.window.events_max = 64;
        reopen(world);
        struct errmsg errmsg = {.text = ""};
        assert_int_equal(event_store_restore(world->store, &later, &errmsg), 0);
        assert_same_chat(&world->chat, &later);
        chat_close(&later);

        size_t before = world->count;
        say_many(world, round == 0 ? 10 : 150);
        append(world, before + 1, world->count - before);
    }
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_new_store_is_private_and_empty),
        PROMISE_WITH("P1", what_was_appended_is_there_after_reopening, open_world, close_world),
        PROMISE_WITH("P1", its_file_is_there_after_a_power_loss, open_world, close_world),
        PROMISE_WITH("P1 P12", a_gap_is_refused_and_nothing_of_it_is_written, open_world,
                     close_world),
        PROMISE_WITH("P12", an_event_of_another_history_is_refused, open_world, close_world),
        PROMISE_WITH("P3", two_events_of_one_id_are_refused_also_in_one_append, open_world,
                     close_world),
        STORE_TEST(one_append_may_hold_many_rooms),
        PROMISE_WITH("P1", a_replay_changes_nothing, open_world, close_world),
        STORE_TEST(marks_move_without_events_and_never_back),
        STORE_TEST(a_full_map_is_told_and_loses_nothing),
        STORE_TEST(a_store_belongs_to_one_cluster),
        STORE_TEST(a_newer_format_is_refused_with_both_numbers),
        PROMISE_WITH("P12", files_that_are_no_event_store_are_refused, open_world, close_world),
        PROMISE_WITH("P12", a_file_that_was_cut_off_is_refused, open_world, close_world),
        PROMISE_WITH("P12", a_changed_text_is_found_and_never_given_out, open_world, close_world),
        STORE_TEST(a_stopped_nodes_store_can_be_read_only),
        PROMISE_WITH("P3 P11", a_command_is_found_by_its_id_for_ever, open_world, close_world),
        STORE_TEST(a_reader_sees_the_moment_at_which_it_began),
        STORE_TEST(history_is_read_upwards_from_any_number),
        STORE_TEST(a_room_is_paged_backwards_without_its_neighbours),
        STORE_TEST(a_room_is_read_onwards_from_any_number),
        STORE_TEST(readers_are_bounded_and_given_back),
        PROMISE_WITH("P3 P11", a_chat_taken_up_equals_the_one_that_was_live, open_world,
                     close_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
