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
#include <lmdb.h>

#include "base/buf.h"
#include "base/checksum.h"
#include "base/little_endian.h"
#include "promise.h"
#include "store/event_store.h"
#include "store/pages.h"

/* ---- fixture: a stopped node's store with 500 events in three rooms, to be damaged ---- */

enum { EVENTS = 500 };

struct world {
    char dir[64];
    char file[80];
    struct event_store *store;
    struct chat chat;
    struct shared *events[EVENTS]; /* number - 1 */
};

static const struct chat_limits limits = {.text_code_points_max = 4000};

static struct command_id id_of(uint64_t n)
{
    struct command_id id = {.bytes = {0x77}};
    memcpy(id.bytes + 8, &n, sizeof n);
    return id;
}

static const char *room_of(uint64_t number)
{
    return number % 5 == 0 ? "cake" : number % 7 == 0 ? "tea-room" : "tea";
}

static int open_store(struct world *world, struct errmsg *errmsg)
{
    struct event_store_options options = {.dir = world->dir, .is_unchecked = true};
    return event_store_open(&world->store, &options, errmsg);
}

static int open_world(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    snprintf(world->dir, sizeof world->dir, "/tmp/livetea-test-verify-XXXXXX");
    if (mkdtemp(world->dir) == NULL) return -1;
    snprintf(world->file, sizeof world->file, "%s/data.mdb", world->dir);
    chat_init(&world->chat, &limits);
    if (open_store(world, NULL) != 0) return -1;
    for (uint64_t number = 1; number <= EVENTS; number++) {
        static char text[3000]; /* some lie on pages of their own */
        struct message_sent event;
        memset(text, 'x', sizeof text - 1);
        int len = snprintf(text, sizeof text, "message %d", (int)number);
        if (number % 50 == 7) text[len] = 'x';
        struct send_message command = {.room = slice_from(room_of(number)),
                                       .sender = slice_of("Maja"),
                                       .text = slice_from(text),
                                       .sender_id = {.bytes = {(uint8_t)(number / 3 % 2)}},
                                       .id = id_of(number),
                                       .unseen_up_to = number - 1,
                                       .at_ms = 1000 * (int64_t)number};
        if (chat_apply(&world->chat, &command, number, &event) != CHAT_APPLIED) return -1;
        world->events[number - 1] = event_encode(&event);
    }
    struct event_append append = {
        .events = world->events, .events_count = EVENTS, .index = EVENTS, .raft_durable = EVENTS};
    if (event_store_append(world->store, &append, NULL) != 0) return -1;
    event_store_close(world->store);
    world->store = NULL;
    *state = world;
    return 0;
}

static int close_world(void **state)
{
    struct world *world = *state;
    char lock[96];
    event_store_close(world->store);
    chat_close(&world->chat);
    for (size_t i = 0; i < EVENTS; i++)
        shared_unref(world->events[i]);
    snprintf(lock, sizeof lock, "%s/lock.mdb", world->dir);
    unlink(lock);
    unlink(world->file);
    rmdir(world->dir);
    free(world);
    return 0;
}

/* ---- damage, through the database itself ---- */

static MDB_val val_of(const void *at, size_t size)
{
    union {
        const void *read;
        void *written;
    } pointer = {.read = at};
    return (MDB_val){.mv_data = pointer.written, .mv_size = size};
}

static void change(const struct world *world, const char *table, MDB_val key, MDB_val *data)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 5), 0);
    assert_int_equal(mdb_env_set_mapsize(env, 64 * 1024 * 1024), 0);
    assert_int_equal(mdb_env_open(env, world->dir, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    unsigned flags = strcmp(table, "events") == 0 ? MDB_INTEGERKEY : 0;
    assert_int_equal(mdb_dbi_open(txn, table, flags, &dbi), 0);
    assert_int_equal(
        data == NULL ? mdb_del(txn, dbi, &key, NULL) : mdb_put(txn, dbi, &key, data, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void change_event(const struct world *world, size_t number, struct slice bytes)
{
    MDB_val data = val_of(bytes.at, bytes.len);
    change(world, "events", val_of(&number, sizeof number), bytes.at == NULL ? NULL : &data);
}

/* The number under a key of a table of numbers; 0 removes the row. */
static void change_number(const struct world *world, const char *table, struct slice key,
                          uint64_t number)
{
    char value[8];
    little_store(value, number, sizeof value);
    MDB_val data = val_of(value, sizeof value);
    change(world, table, val_of(key.at, key.len), number == 0 ? NULL : &data);
}

static struct slice stream_key(char out[64], const char *room, uint64_t seq)
{
    size_t len = strlen(room);
    memcpy(out, room, len + 1);
    for (size_t i = 0; i < 8; i++)
        out[len + 1 + i] = (char)(unsigned char)(seq >> (56 - 8 * i));
    return slice_make(out, len + 9);
}

static struct message_sent event_at(const struct world *world, uint64_t number)
{
    struct message_sent event;
    assert_int_equal(event_decode(&event, shared_slice(world->events[number - 1]), NULL), 0);
    return event;
}

static int verify(struct world *world, struct event_store_damage *damage, struct errmsg *errmsg)
{
    *errmsg = (struct errmsg){.text = ""};
    if (open_store(world, errmsg) != 0) fail_msg("%s", errmsg->text);
    int rv = event_store_verify(world->store, NULL, NULL, damage, errmsg);
    event_store_close(world->store);
    world->store = NULL;
    return rv;
}

static void assert_damage(struct world *world, uint64_t number, bool is_derived, const char *words)
{
    struct event_store_damage damage;
    struct errmsg errmsg;
    assert_int_equal(verify(world, &damage, &errmsg), ERR_DATA);
    if (strstr(errmsg.text, words) == NULL) fail_msg("\"%s\" in \"%s\"", words, errmsg.text);
    assert_true(damage.number == number);
    assert_true(damage.is_derived == is_derived);
}

static void assert_sound(struct world *world)
{
    struct event_store_damage damage;
    struct errmsg errmsg;
    if (verify(world, &damage, &errmsg) != 0) fail_msg("%s", errmsg.text);
}

/* ---- tests ---- */

static void count(void *owner, uint64_t number, uint64_t of)
{
    assert_true(number <= of);
    ++*(size_t *)owner;
}

static void what_was_appended_is_sound(void **state)
{
    assert_sound(*state);
}

static void an_empty_store_is_sound(void **state)
{
    struct world *world = *state;
    unlink(world->file);
    assert_sound(world);
}

static void a_flipped_bit_in_an_event_is_named(void **state)
{
    struct world *world = *state;
    static const uint64_t numbers[] = {1, 2, 250, EVENTS};
    for (size_t i = 0; i < 4; i++) {
        struct shared *good = world->events[numbers[i] - 1];
        struct shared *bad = shared_copy(shared_slice(good));
        bad->bytes[bad->len / 2] ^= 4;
        change_event(world, numbers[i], shared_slice(bad));
        assert_damage(world, numbers[i], false, "checksum does not match");
        change_event(world, numbers[i], shared_slice(good));
        shared_unref(bad);
    }
    assert_sound(world);
}

static void an_event_that_is_missing_is_named(void **state)
{
    struct world *world = *state;
    static const uint64_t numbers[] = {1, 77, EVENTS};
    for (size_t i = 0; i < 3; i++) {
        change_event(world, numbers[i], (struct slice){NULL, 0});
        assert_damage(world, numbers[i], false, "missing");
        change_event(world, numbers[i], shared_slice(world->events[numbers[i] - 1]));
    }
    struct message_sent event = event_at(world, EVENTS);
    event.number++;
    event.seq++;
    struct shared *more = event_encode(&event);
    change_event(world, EVENTS + 1, shared_slice(more));
    assert_damage(world, EVENTS + 1, false, "event 501");
    shared_unref(more);
}

/* With a good checksum: only the history around it shows that it is another one. */
static void a_forged_event_is_named(void **state)
{
    struct world *world = *state;
    struct message_sent cases[6];
    for (size_t i = 0; i < 6; i++)
        cases[i] = event_at(world, 200);
    cases[0].text = slice_of("forged");
    cases[1].digest.bytes[0] ^= 1;
    cases[2].previous_at_ms++;
    cases[3].run ^= 1;
    cases[4].seq++;
    cases[5].at_ms = 1;
    for (size_t i = 0; i < 6; i++) {
        struct shared *bytes = event_encode(&cases[i]);
        change_event(world, 200, shared_slice(bytes));
        assert_damage(world, 200, false, "does not continue the history");
        shared_unref(bytes);
    }
}

static void the_marks_must_speak_of_the_last_event(void **state)
{
    struct world *world = *state;
    struct message_sent last = event_at(world, EVENTS), before = event_at(world, EVENTS - 1);
    last.text = slice_of("another end");
    event_digest(&last.digest, &before.digest, &last);
    struct shared *bytes = event_encode(&last);
    change_event(world, EVENTS, shared_slice(bytes));
    assert_damage(world, EVENTS, false, "another digest");
    shared_unref(bytes);
}

/* The marks of the last event, with a good checksum: `wrong` says what they lie about. */
enum wrong { WRONG_NUMBER, WRONG_DIGEST, WRONG_TIME, WRONG_CHECKSUM };

static void change_marks(const struct world *world, enum wrong wrong)
{
    char value[52];
    struct message_sent last = event_at(world, wrong == WRONG_NUMBER ? EVENTS - 1 : EVENTS);
    if (wrong == WRONG_DIGEST) last.digest.bytes[5] ^= 1;
    if (wrong == WRONG_TIME) last.at_ms--;
    little_store(value, last.number, 8);
    little_store(value + 8, EVENTS, 8);
    little_store(value + 16, EVENTS, 8);
    little_store(value + 24, (uint64_t)last.at_ms, 8);
    memcpy(value + 32, last.digest.bytes, 16);
    little_store(value + 48, crc32c(slice_make(value, 48)) + (wrong == WRONG_CHECKSUM), 4);
    MDB_val data = val_of(value, sizeof value);
    change(world, "meta", val_of("last", 4), &data);
}

static void assert_not_opened(const struct world *world, const char *words)
{
    struct errmsg errmsg = {.text = ""};
    struct event_store *store;
    assert_int_equal(
        event_store_open(&store, &(struct event_store_options){.dir = world->dir}, &errmsg),
        ERR_DATA);
    if (strstr(errmsg.text, words) == NULL) fail_msg("\"%s\" in \"%s\"", words, errmsg.text);
}

static void a_node_does_not_start_with_marks_that_lie(void **state)
{
    struct world *world = *state;
    change_marks(world, WRONG_NUMBER);
    assert_not_opened(world, "the number of events is not the one in the marks");
    assert_damage(world, EVENTS, false, "the marks do not know it");
    change_marks(world, WRONG_DIGEST);
    assert_not_opened(world, "another digest than the marks");
    assert_damage(world, EVENTS, false, "the marks give another digest");
    change_marks(world, WRONG_TIME);
    assert_damage(world, EVENTS, false, "the marks give another time");
    change_marks(world, WRONG_CHECKSUM);
    assert_not_opened(world, "the marks cannot be read");
    change(world, "meta", val_of("format", 6), NULL);
    assert_not_opened(world, "not Live Tea's");
}

static void rows_of_the_derived_tables_are_looked_for_both_ways(void **state)
{
    struct world *world = *state;
    char key[64];
    struct command_id id = id_of(123), strange = id_of(9999);
    struct slice by_id = slice_make(id.bytes, 16), by_strange = slice_make(strange.bytes, 16);
    struct message_sent event = event_at(world, 321);
    struct slice place = stream_key(key, room_of(321), event.seq);

    change_number(world, "commands", by_id, 0);
    assert_damage(world, 123, true, "commands lacks event 123");
    change_number(world, "commands", by_id, 124);
    assert_damage(world, 123, true, "has 124 where event 123 belongs");
    change_number(world, "commands", by_id, 123);
    change_number(world, "commands", by_strange, 45);
    assert_damage(world, 45, true, "has event 45 in another place too");
    change_number(world, "commands", by_strange, 4500);
    assert_damage(world, 0, true, "event 4500, which is not there");
    change_number(world, "commands", by_strange, 0);

    change_number(world, "streams", place, 0);
    assert_damage(world, 321, true, "streams lacks event 321");
    change_number(world, "streams", place, 320);
    assert_damage(world, 321, true, "has 320 where event 321 belongs");
    change_number(world, "streams", place, 321);
    place = stream_key(key, "tea", 100000);
    change_number(world, "streams", place, 321);
    assert_damage(world, 321, true, "in another place too");
    change_number(world, "streams", place, 0);
    assert_sound(world);
}

/* Takes the row of a room; the caller puts it back. */
static void read_room(const struct world *world, const char *room, char out[48])
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val key = val_of(room, strlen(room)), data;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 5), 0);
    assert_int_equal(mdb_env_open(env, world->dir, MDB_RDONLY, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "rooms", 0, &dbi), 0);
    assert_int_equal(mdb_get(txn, dbi, &key, &data), 0);
    assert_int_equal(data.mv_size, 48);
    memcpy(out, data.mv_data, 48);
    mdb_txn_abort(txn);
    mdb_env_close(env);
}

static void change_room(const struct world *world, const char *room, const char *row)
{
    MDB_val data = val_of(row, 48);
    change(world, "rooms", val_of(room, strlen(room)), row == NULL ? NULL : &data);
}

static void a_room_must_speak_of_its_last_event(void **state)
{
    struct world *world = *state;
    char row[48], other[48];
    read_room(world, "cake", row);
    memcpy(other, row, sizeof row);
    other[3] ^= 1;
    change_room(world, "cake", other);
    assert_damage(world, 500, true, "bad checksum at room cake");
    change_room(world, "cake", NULL);
    assert_damage(world, 500, true, "lacks room cake");
    change_room(world, "cake", row);
    change_room(world, "pie", row);
    assert_damage(world, 0, true, "has room pie, of no event");
    change_room(world, "pie", NULL);
    assert_sound(world);
}

static void what_follows_from_the_events_can_be_made_again(void **state)
{
    struct world *world = *state;
    struct event_store_damage damage;
    struct errmsg errmsg = {.text = ""};
    struct command_id id = id_of(9);
    char row[48];
    size_t calls = 0;
    change_number(world, "commands", slice_make(id.bytes, 16), 0);
    read_room(world, "cake", row);
    change_room(world, "tea", row);
    change_room(world, "pie", row);
    assert_int_equal(open_store(world, &errmsg), 0);
    assert_false(event_store_must_rebuild(world->store));
    assert_int_equal(event_store_rebuild(world->store, count, &calls, &damage, &errmsg), 0);
    assert_true(calls > 0);
    assert_false(event_store_must_rebuild(world->store));
    event_store_close(world->store);
    world->store = NULL;
    assert_sound(world);
}

/* There is no room for the new tables: an old reader keeps the pages of the old ones. */
static void what_was_cut_off_is_begun_again(void **state)
{
    struct world *world = *state;
    struct event_store_damage damage;
    struct errmsg errmsg = {.text = ""};
    struct event_reader *reader = NULL;
    struct stat found;
    bool was_cut_off = false;
    assert_int_equal(stat(world->file, &found), 0);
    for (uint64_t more = 0; more < 100 && !was_cut_off; more++) { /* room for the first half only */
        struct event_store_options options = {.dir = world->dir,
                                              .map_bytes = (uint64_t)found.st_size + more * 4096};
        assert_int_equal(event_store_open(&world->store, &options, &errmsg), 0);
        assert_int_equal(event_reader_open(&reader, world->store, &errmsg), 0);
        assert_int_equal(event_reader_begin(reader, NULL), 0);
        assert_int_equal(event_store_rebuild(world->store, NULL, NULL, &damage, &errmsg), ERR_FULL);
        event_reader_end(reader);
        event_reader_close(reader);
        was_cut_off = event_store_must_rebuild(world->store);
        event_store_close(world->store);
    }
    assert_true(was_cut_off);

    assert_int_equal(open_store(world, &errmsg), 0);
    assert_true(event_store_must_rebuild(world->store));
    assert_int_equal(event_store_rebuild(world->store, NULL, NULL, &damage, &errmsg), 0);
    assert_false(event_store_must_rebuild(world->store));
    event_store_close(world->store);
    world->store = NULL;
    assert_sound(world);
}

static void bad_events_leave_the_old_tables_alone(void **state)
{
    struct world *world = *state;
    struct event_store_damage damage;
    struct errmsg errmsg = {.text = ""};
    change_event(world, 40, slice_of("no event"));
    assert_int_equal(open_store(world, &errmsg), 0);
    assert_int_equal(event_store_rebuild(world->store, NULL, NULL, &damage, &errmsg), ERR_DATA);
    assert_int_equal(damage.number, 40);
    event_store_close(world->store);
    world->store = NULL;
    change_event(world, 40, shared_slice(world->events[39]));
    assert_sound(world);
}

static void tables_of_another_version_are_made_again(void **state)
{
    struct world *world = *state;
    struct event_store_damage damage;
    struct errmsg errmsg = {.text = ""};
    static const char versions[2][4] = {{0}, {99}};
    for (size_t i = 0; i < 2; i++) { /* left half done; of another release */
        MDB_val data = val_of(versions[i], 4);
        change(world, "meta", val_of("derived", 7), &data);
        assert_int_equal(open_store(world, &errmsg), 0);
        assert_true(event_store_must_rebuild(world->store));
        assert_int_equal(event_store_rebuild(world->store, NULL, NULL, &damage, &errmsg), 0);
        assert_false(event_store_must_rebuild(world->store));
        event_store_close(world->store);
        world->store = NULL;
        assert_sound(world);
    }
}

static void a_history_gets_another_owner(void **state)
{
    struct world *world = *state;
    static const uint8_t first[16] = {1}, second[16] = {2};
    struct event_meta meta;
    assert_int_equal(open_store(world, NULL), 0);
    assert_int_equal(event_store_bind(world->store, first, NULL), 0);
    assert_int_equal(event_store_rebind(world->store, second, NULL), 0);
    event_store_close(world->store);
    assert_int_equal(open_store(world, NULL), 0);
    event_store_meta(world->store, &meta);
    assert_memory_equal(meta.cluster, second, 16);
    assert_true(meta.number == EVENTS && meta.index == 0 && meta.raft_durable == 0);
    assert_int_equal(event_store_bind(world->store, first, NULL), ERR_DATA);
    event_store_close(world->store);
    world->store = NULL;
    assert_sound(world);
}

static void a_file_that_was_cut_is_not_opened(void **state)
{
    struct world *world = *state;
    struct errmsg errmsg = {.text = ""};
    struct stat found;
    assert_int_equal(stat(world->file, &found), 0);
    assert_int_equal(truncate(world->file, found.st_size - 4096), 0);
    assert_int_equal(open_store(world, &errmsg), ERR_DATA);
    assert_non_null(strstr(errmsg.text, "shorter"));
}

/* ---- a node's own store ---- */

struct heard {
    size_t times;
    char what[128];
};

static void hear(void *owner, const char *what)
{
    struct heard *heard = owner;
    heard->times++;
    snprintf(heard->what, sizeof heard->what, "%s", what);
}

static bool go_on(void *owner, const struct message_sent *event, struct slice bytes)
{
    (void)owner;
    (void)event;
    (void)bytes;
    return true;
}

static void who_owns_a_store_hears_of_damage_first(void **state)
{
    struct world *world = *state;
    struct heard heard = {.times = 0};
    struct event_store_options options = {
        .dir = world->dir, .on_damage = hear, .damage_owner = &heard};
    struct event_reader *reader = NULL;
    struct message_sent event;
    uint64_t number;
    struct command_id id = id_of(70), unknown = id_of(90000);
    change_event(world, 70, slice_of("no event"));
    change_event(world, 80, (struct slice){NULL, 0});
    change_event(world, EVENTS + 1, shared_slice(world->events[79])); /* the count is right */
    assert_int_equal(event_store_open(&world->store, &options, NULL), 0);
    assert_int_equal(event_reader_open(&reader, world->store, NULL), 0);
    assert_int_equal(event_reader_begin(reader, NULL), 0);
    assert_int_equal(event_reader_get(reader, 69, &event, NULL), 0);
    assert_int_equal(event_reader_get(reader, 9999, &event, NULL), ERR_NOT_FOUND);
    assert_int_equal(event_reader_command(reader, &unknown, &number), ERR_NOT_FOUND);
    assert_int_equal(heard.times, 0);

    assert_int_equal(event_reader_get(reader, 70, &event, NULL), ERR_DATA);
    assert_string_equal(heard.what, "event 70 cannot be read");
    assert_int_equal(event_reader_get(reader, 80, &event, NULL), ERR_DATA);
    assert_string_equal(heard.what, "event 80 cannot be read");
    assert_int_equal(event_reader_command(reader, &id, &number), ERR_DATA);
    assert_int_equal(event_reader_from(reader, 60, 100, go_on, NULL), ERR_DATA);
    assert_int_equal(event_reader_from(reader, 75, 100, go_on, NULL), ERR_DATA);
    assert_int_equal(event_reader_room_before(reader, slice_of("cake"), 0, 1000, go_on, NULL),
                     ERR_DATA);
    assert_int_equal(event_reader_room_after(reader, slice_of("cake"), 1, 1000, go_on, NULL),
                     ERR_DATA);
    assert_int_equal(heard.times, 7);
    event_reader_close(reader);
}

/* ---- pages ---- */

static int check_pages(struct world *world, struct event_store_damage *damage,
                       struct errmsg *errmsg)
{
    *errmsg = (struct errmsg){.text = ""};
    return pages_check(world->dir, NULL, NULL, damage, errmsg);
}

static struct buf read_file(const struct world *world)
{
    struct buf bytes;
    buf_init(&bytes, 64 * 1024 * 1024);
    FILE *file = fopen(world->file, "r");
    assert_non_null(file);
    for (size_t got = 1; got > 0;) {
        char *into = buf_extend(&bytes, 65536);
        assert_non_null(into);
        got = fread(into, 1, 65536, file);
        buf_truncate(&bytes, bytes.len - 65536 + got);
    }
    fclose(file);
    return bytes;
}

static void write_byte(const struct world *world, size_t place, char byte)
{
    FILE *file = fopen(world->file, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)place, SEEK_SET), 0);
    assert_int_equal(fputc(byte, file), (unsigned char)byte);
    assert_int_equal(fclose(file), 0);
}

/* A flipped bit anywhere is found, or is in nothing that is read; no reader falls over it. */
static void a_flipped_bit_in_any_page_is_found_or_harmless(void **state)
{
    struct world *world = *state;
    struct event_store_damage damage;
    struct errmsg errmsg;
    size_t in_pages = 0, in_rows = 0, harmless = 0;
    if (check_pages(world, &damage, &errmsg) != 0) fail_msg("%s", errmsg.text);
    struct buf bytes = read_file(world);
    for (size_t place = 0; place < bytes.len; place += place < 300 ? 3 : 509) {
        write_byte(world, place, (char)(bytes.at[place] ^ (1 << place % 8)));
        if (check_pages(world, &damage, &errmsg) != 0) {
            in_pages++;
        } else if (open_store(world, &errmsg) != 0 ||
                   event_store_verify(world->store, NULL, NULL, &damage, &errmsg) != 0) {
            in_rows++;
        } else {
            harmless++;
        }
        event_store_close(world->store);
        world->store = NULL;
        write_byte(world, place, bytes.at[place]);
    }
    assert_true(in_pages > 20 && in_rows > 20 && harmless > 20);
    buf_close(&bytes);
    assert_sound(world);
}

static void put_number(const struct world *world, size_t place, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        write_byte(world, place + i, (char)(unsigned char)(value >> 8 * i));
}

static void assert_bad_page(struct world *world, size_t place, uint64_t value, size_t size,
                            const char *words)
{
    struct event_store_damage damage;
    struct errmsg errmsg;
    struct buf bytes = read_file(world);
    put_number(world, place, value, size);
    assert_int_equal(check_pages(world, &damage, &errmsg), ERR_DATA);
    if (strstr(errmsg.text, words) == NULL) fail_msg("\"%s\" in \"%s\"", words, errmsg.text);
    for (size_t i = 0; i < size; i++)
        write_byte(world, place + i, bytes.at[place + i]);
    buf_close(&bytes);
}

/* The first page of a kind behind the heads. */
static size_t find_page(const struct world *world, unsigned flags, size_t nodes_min)
{
    struct buf bytes = read_file(world);
    size_t at = 2 * 4096;
    while (at < bytes.len &&
           (little_load(bytes.at + at + 10, 2) != flags ||
            (flags != 4 && little_load(bytes.at + at + 12, 2) < 16 + 2 * nodes_min)))
        at += 4096;
    assert_true(at < bytes.len);
    buf_close(&bytes);
    return at;
}

/* How many pages a list of free ones has: the first in the table of the later head. */
static size_t find_free_list(const struct world *world)
{
    struct buf bytes = read_file(world);
    const char *one = bytes.at + 16, *two = one + 4096;
    const char *head = little_load(two + 128, 8) > little_load(one + 128, 8) ? two : one;
    size_t page = (size_t)little_load(head + 24 + 40, 8) * 4096;
    assert_int_equal(little_load(bytes.at + page + 10, 2), 2);
    size_t node = page + (size_t)little_load(bytes.at + page + 16, 2);
    buf_close(&bytes);
    return node + 8 + 8;
}

static void each_kind_of_bad_page_is_told_apart(void **state)
{
    struct world *world = *state;
    size_t leaf = find_page(world, 2, 20), branch = find_page(world, 1, 2);
    size_t overflow = find_page(world, 4, 0);
    assert_bad_page(world, 16, 1, 4, "magic number");
    assert_bad_page(world, 4096 + 16 + 4, 9, 4, "page 1: its version");
    assert_bad_page(world, 40, 4095, 4, "impossible size");
    assert_bad_page(world, 16 + 128, 77, 8, "do not follow one another");
    assert_bad_page(world, leaf, 1, 8, "the number of another one");
    assert_bad_page(world, leaf + 10, 1, 2, "of another kind");
    assert_bad_page(world, leaf + 12, 17, 2, "bounds are impossible");
    assert_bad_page(world, leaf + 14, 8, 2, "bounds are impossible");
    assert_bad_page(world, leaf + 16, 4094, 2, "lies outside");
    assert_bad_page(world, leaf + 18, 16, 2, "lies outside");
    assert_bad_page(world, branch + 16 + 4, 0, 2, "lies outside");
    assert_bad_page(world, overflow + 12, 100, 4, "page of another kind");

    /* The row "format" in whichever page of marks is in use. */
    size_t told = 0;
    struct buf bytes = read_file(world);
    for (size_t at = 8192; at < bytes.len - 6; at++) {
        struct event_store_damage damage;
        struct errmsg errmsg;
        if (memcmp(bytes.at + at, "format", 6) != 0) continue;
        put_number(world, at - 4, 4, 2);
        if (check_pages(world, &damage, &errmsg) != 0 &&
            strstr(errmsg.text, "a node is of another kind") != NULL)
            told++;
        put_number(world, at - 4, 0, 2);
    }
    assert_int_equal(told, 1);
    buf_close(&bytes);

    change_event(world, 3, shared_slice(world->events[2])); /* and so there are free pages */
    bytes = read_file(world);
    size_t list = find_free_list(world);
    uint64_t free_count = little_load(bytes.at + list, 8);
    buf_close(&bytes);
    assert_bad_page(world, list, free_count - 1, 8, "1 pages belong to nothing");
    assert_bad_page(world, list, 1000000, 8, "list of free pages is too long");
    assert_bad_page(world, list + 8, 9, 8, "page 9 is free and in use");
}

static void a_file_that_was_cut_or_emptied_has_bad_pages(void **state)
{
    struct world *world = *state;
    struct event_store_damage damage;
    struct errmsg errmsg;
    struct stat found;
    assert_int_equal(stat(world->file, &found), 0);
    for (off_t size = found.st_size - 1; size >= 0; size -= size > 8192 ? 20000 : 811) {
        assert_int_equal(truncate(world->file, size), 0);
        assert_int_equal(check_pages(world, &damage, &errmsg), ERR_DATA);
        assert_true(strlen(errmsg.text) > 20);
    }
    assert_int_equal(truncate(world->file, 0), 0);
    assert_int_equal(check_pages(world, &damage, &errmsg), ERR_DATA);
    unlink(world->file);
    assert_int_equal(check_pages(world, &damage, &errmsg), ERR_DATA);
}

#define VERIFY_TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        VERIFY_TEST(what_was_appended_is_sound),
        VERIFY_TEST(an_empty_store_is_sound),
        VERIFY_TEST(a_flipped_bit_in_an_event_is_named),
        VERIFY_TEST(an_event_that_is_missing_is_named),
        VERIFY_TEST(a_forged_event_is_named),
        VERIFY_TEST(the_marks_must_speak_of_the_last_event),
        PROMISE_WITH("P12", a_node_does_not_start_with_marks_that_lie, open_world, close_world),
        VERIFY_TEST(rows_of_the_derived_tables_are_looked_for_both_ways),
        VERIFY_TEST(a_room_must_speak_of_its_last_event),
        VERIFY_TEST(what_follows_from_the_events_can_be_made_again),
        VERIFY_TEST(what_was_cut_off_is_begun_again),
        VERIFY_TEST(bad_events_leave_the_old_tables_alone),
        VERIFY_TEST(tables_of_another_version_are_made_again),
        VERIFY_TEST(a_history_gets_another_owner),
        VERIFY_TEST(a_file_that_was_cut_is_not_opened),
        PROMISE_WITH("P12", who_owns_a_store_hears_of_damage_first, open_world, close_world),
        PROMISE_WITH("P12", a_flipped_bit_in_any_page_is_found_or_harmless, open_world,
                     close_world),
        VERIFY_TEST(each_kind_of_bad_page_is_told_apart),
        VERIFY_TEST(a_file_that_was_cut_or_emptied_has_bad_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
