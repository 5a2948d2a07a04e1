/* What a node reads and writes itself, with each call to the operating system failing in turn (tests/lib/faulty_io.h).
 * Nothing that was told as done may be lost: what is opened again without faults is the state before or the state
 * after, whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/secret.h"
#include "app/settings.h"
#include "faulty_io.h"
#include "scratch.h"
#include "store/data_dir.h"
#include "store/event_store.h"

static char root[SCRATCH_MAX], path[80];

static void empty_root(void)
{
    scratch_empty(root);
}

static int setup(void **state)
{
    (void)state;
    scratch_make(root, "faults");
    snprintf(path, sizeof path, "%s/it", root);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return scratch_remove(root);
}

/* ---- the data directory ---- */

static struct data_dir dir;

static void with_a_forming_node(void)
{
    struct errmsg errmsg;
    empty_root();
    assert_int_equal(data_dir_open(&dir, path, "tea-1", &errmsg), 0);
    dir.raft_id = 77;
    memset(dir.cluster, 0xab, sizeof dir.cluster);
    assert_int_equal(data_dir_mark(&dir, DATA_DIR_FORMING, &errmsg), 0);
    data_dir_close(&dir);
}

static int make_it(struct errmsg *errmsg)
{
    int rv = data_dir_open(&dir, path, "tea-1", errmsg);
    if (rv == 0) data_dir_close(&dir);
    return rv;
}

static void it_is_empty(bool is_done)
{
    struct errmsg errmsg;
    (void)is_done;
    assert_int_equal(data_dir_open(&dir, path, "tea-1", &errmsg), 0);
    assert_int_equal(dir.state, DATA_DIR_EMPTY);
    data_dir_close(&dir);
}

static int mark_it(struct errmsg *errmsg)
{
    int rv = data_dir_open(&dir, path, "tea-1", errmsg);
    if (rv != 0) return rv;
    assert_int_equal(dir.state, DATA_DIR_FORMING); /* whatever failed: not taken for a new one */
    dir.joined = 5;
    dir.has_begun = true;
    rv = data_dir_mark(&dir, DATA_DIR_FORMED, errmsg);
    data_dir_close(&dir);
    return rv;
}

static void it_is_forming_or_formed(bool is_done)
{
    struct errmsg errmsg;
    assert_int_equal(data_dir_open(&dir, path, "tea-1", &errmsg), 0);
    bool is_formed = dir.state == DATA_DIR_FORMED && dir.joined == 5 && dir.has_begun;
    bool is_forming = dir.state == DATA_DIR_FORMING && dir.joined == 0 && !dir.has_begun;
    assert_true(is_formed || (is_forming && !is_done));
    assert_int_equal(dir.raft_id, 77);
    data_dir_close(&dir);
}

static void a_data_directory_survives_each_fault(void **state)
{
    (void)state;
    faulty_try(&(struct faulty_trial){"data directory made", empty_root, make_it, it_is_empty}, 6);
    faulty_try(&(struct faulty_trial){"data directory marked", with_a_forming_node, mark_it,
                                      it_is_forming_or_formed},
               10);
}

static int read_state(struct errmsg *errmsg)
{
    int rv = data_dir_open(&dir, path, "tea-1", errmsg);
    if (rv == 0) {
        assert_int_equal(dir.state, DATA_DIR_FORMED);
        assert_int_equal(dir.joined, 5);
        assert_true(dir.has_begun);
        data_dir_close(&dir);
    }
    return rv;
}

static void with_a_formed_node(void)
{
    struct errmsg errmsg;
    with_a_forming_node();
    assert_int_equal(mark_it(&errmsg), 0);
}

/* What is read in part must not pass for the whole. */
static void a_version_is_read_whole_or_not_at_all(void **state)
{
    (void)state;
    faulty_try(&(struct faulty_trial){"VERSION read", with_a_formed_node, read_state,
                                      it_is_forming_or_formed},
               5);
}

static void with_somebodys_files(void)
{
    char command[256];
    empty_root();
    snprintf(command, sizeof command, "umask 077 && mkdir '%s' && echo beach > '%s/holiday'", path,
             path);
    assert_int_equal(system(command), 0);
}

static int take_them_for_ours(struct errmsg *errmsg)
{
    int rv = data_dir_open(&dir, path, "tea-1", errmsg);
    assert_int_not_equal(rv, 0);
    return rv == ERR_DATA ? 0 : rv;
}

static void they_are_there(bool is_done)
{
    char name[160];
    (void)is_done;
    snprintf(name, sizeof name, "%s/holiday", path);
    assert_int_equal(access(name, F_OK), 0);
}

/* A listing that fails is no empty directory. */
static void files_of_somebody_stay_theirs(void **state)
{
    (void)state;
    faulty_try(&(struct faulty_trial){"somebody's files", with_somebodys_files, take_them_for_ours,
                                      they_are_there},
               6);
}

/* ---- the event store ---- */

enum { BEFORE = 40, EVENTS = 200 };

static struct event_store *store;
static struct shared *events[EVENTS];
static const uint8_t cluster[16] = {9, 9, 9};

static int make_events(void **state)
{
    static const struct chat_limits limits = {.text_code_points_max = 4000};
    struct chat chat;
    setup(state);
    chat_init(&chat, &limits);
    for (size_t i = 0; i < EVENTS; i++) {
        struct message_sent event;
        char text[400];
        snprintf(text, sizeof text, "message %zu%*s.", i + 1, (int)(i % 7) * 50, "");
        struct send_message command = {.room = i % 3 == 0 ? slice_of("cake") : slice_of("tea"),
                                       .sender = slice_of("Maja"),
                                       .text = slice_from(text),
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

static int drop_events(void **state)
{
    shared_unref_all(events, EVENTS);
    return teardown(state);
}

static int open_store(struct errmsg *errmsg)
{
    return event_store_open(&store, &(struct event_store_options){.dir = path}, errmsg);
}

static int append(size_t from, size_t to, struct errmsg *errmsg)
{
    return event_store_append(
        store,
        &(struct event_append){
            .events = events + from, .events_count = to - from, .index = to, .raft_durable = to},
        errmsg);
}

static void with_a_store(void)
{
    struct errmsg errmsg;
    empty_root();
    assert_int_equal(open_store(&errmsg), 0);
    assert_int_equal(event_store_bind(store, cluster, &errmsg), 0);
    for (size_t i = 0; i < BEFORE; i += 10)
        assert_int_equal(append(i, i + 10, &errmsg), 0);
    event_store_close(store);
}

/* Number of the last event, of a store that is whole. */
static uint64_t look_at_store(void)
{
    struct errmsg errmsg = {.text = ""};
    struct event_meta meta;
    struct event_store_damage damage;
    if (open_store(&errmsg) != 0) fail_msg("%s", errmsg.text);
    event_store_meta(store, &meta);
    if (event_store_verify(store, NULL, NULL, &damage, &errmsg) != 0) fail_msg("%s", errmsg.text);
    event_store_close(store);
    assert_int_equal(meta.index, meta.number);
    return meta.number;
}

static int make_store(struct errmsg *errmsg)
{
    int rv = open_store(errmsg);
    if (rv != 0) return rv;
    rv = event_store_bind(store, cluster, errmsg);
    event_store_close(store);
    return rv;
}

static void it_is_a_store_without_events(bool is_done)
{
    struct errmsg errmsg;
    struct event_meta meta;
    assert_int_equal(look_at_store(), 0);
    assert_int_equal(open_store(&errmsg), 0);
    event_store_meta(store, &meta);
    if (is_done) assert_memory_equal(meta.cluster, cluster, sizeof cluster);
    event_store_close(store);
}

static int append_events(struct errmsg *errmsg)
{
    int rv = open_store(errmsg);
    if (rv != 0) return rv;
    for (size_t i = BEFORE; rv == 0 && i < EVENTS; i += 80) {
        rv = append(i, i + 80, errmsg);
        if (rv == ERR_FULL) rv = append(i, i + 80, errmsg); /* as the store thread does */
    }
    event_store_close(store); /* as a process that ends: what had failed is not tried again */
    return rv;
}

static void it_has_whole_appends(bool is_done)
{
    uint64_t number = look_at_store();
    if (is_done) assert_int_equal(number, EVENTS);
    assert_true(number == BEFORE || number == BEFORE + 80 || number == EVENTS);
}

static bool count_event(void *owner, const struct message_sent *event, struct slice bytes)
{
    uint64_t *count = owner;
    (void)bytes;
    assert_int_equal(event->number, *count + 1);
    (*count)++;
    return true;
}

static int read_store(struct errmsg *errmsg)
{
    static const struct chat_limits limits = {.text_code_points_max = 4000};
    struct event_reader *reader = NULL;
    struct event_meta meta;
    struct chat chat;
    uint64_t count = 0;
    int rv = open_store(errmsg);
    if (rv != 0) return rv;
    chat_init(&chat, &limits);
    rv = event_store_restore(store, &chat, errmsg);
    if (rv == 0) rv = event_reader_open(&reader, store, errmsg);
    if (rv == 0) {
        rv = event_reader_begin(reader, &meta);
        if (rv == 0) rv = event_reader_from(reader, 1, 1000, count_event, &count);
        if (rv == 0) event_reader_end(reader);
        if (rv == 0) assert_int_equal(count, BEFORE);
        if (rv != 0) errmsg_set(errmsg, "the reader says %d", rv);
        event_reader_close(reader);
    }
    chat_close(&chat);
    event_store_close(store);
    return rv;
}

static void it_is_as_before(bool is_done)
{
    (void)is_done;
    assert_int_equal(look_at_store(), BEFORE);
}

static int rebuild_store(struct errmsg *errmsg)
{
    struct event_store_damage damage;
    int rv = open_store(errmsg);
    if (rv != 0) return rv;
    rv = event_store_rebuild(store, NULL, NULL, &damage, errmsg);
    if (rv == 0) rv = event_store_rebind(store, cluster, errmsg);
    event_store_close(store);
    return rv;
}

/* Rebuilding may be over in part: then it says so, and is done again. */
static void it_is_built_or_is_built_now(bool is_done)
{
    struct errmsg errmsg;
    struct event_meta meta;
    struct event_store_damage damage;
    assert_int_equal(open_store(&errmsg), 0);
    if (is_done) assert_false(event_store_must_rebuild(store));
    if (event_store_must_rebuild(store))
        assert_int_equal(event_store_rebuild(store, NULL, NULL, &damage, &errmsg), 0);
    assert_int_equal(event_store_verify(store, NULL, NULL, &damage, &errmsg), 0);
    event_store_meta(store, &meta);
    assert_int_equal(meta.number, BEFORE);
    event_store_close(store);
}

static void an_event_store_survives_each_fault(void **state)
{
    (void)state;
    faulty_try(&(struct faulty_trial){"event store made", empty_root, make_store,
                                      it_is_a_store_without_events},
               20);
    faulty_try(&(struct faulty_trial){"events appended", with_a_store, append_events,
                                      it_has_whole_appends},
               20);
    faulty_try(&(struct faulty_trial){"events read", with_a_store, read_store, it_is_as_before}, 8);
    faulty_try(&(struct faulty_trial){"event store rebuilt", with_a_store, rebuild_store,
                                      it_is_built_or_is_built_now},
               15);
}

/* ---- the secret ---- */

static struct secret secret, made;

static int make_secret(struct errmsg *errmsg)
{
    return secret_read_or_make(&secret, path, errmsg);
}

static void the_secret_is_whole_or_absent(bool is_done)
{
    struct secret found;
    struct errmsg errmsg;
    int rv = secret_read(&found, path, &errmsg);
    assert_true(rv == 0 || (rv == ERR_NOT_FOUND && !is_done));
    if (is_done) assert_memory_equal(&found, &secret, sizeof found);
    assert_int_equal(secret_read_or_make(&found, path, &errmsg), 0); /* the next start */
}

static void with_a_secret(void)
{
    struct errmsg errmsg;
    empty_root();
    assert_int_equal(secret_read_or_make(&made, path, &errmsg), 0);
}

/* A secret that cannot be read is not replaced: all sessions and tokens would be void. */
static void the_secret_is_the_same(bool is_done)
{
    struct errmsg errmsg;
    if (is_done) assert_memory_equal(&secret, &made, sizeof secret);
    assert_int_equal(secret_read(&secret, path, &errmsg), 0);
    assert_memory_equal(&secret, &made, sizeof secret);
}

static void a_secret_survives_each_fault(void **state)
{
    (void)state;
    faulty_try(&(struct faulty_trial){"secret made", empty_root, make_secret,
                                      the_secret_is_whole_or_absent},
               8);
    faulty_try(
        &(struct faulty_trial){"secret read", with_a_secret, make_secret, the_secret_is_the_same},
        4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_data_directory_survives_each_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(a_version_is_read_whole_or_not_at_all, setup, teardown),
        cmocka_unit_test_setup_teardown(files_of_somebody_stay_theirs, setup, teardown),
        cmocka_unit_test_setup_teardown(an_event_store_survives_each_fault, make_events,
                                        drop_events),
        cmocka_unit_test_setup_teardown(a_secret_survives_each_fault, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
