/* The commands for files, and the raft log before a start, with each call to the operating system failing in turn
 * (tests/lib/faulty_io.h). They stand on a node's directory as an earlier build made it (tests/fixtures). */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/data_commands.h"
#include "app/settings.h"
#include "base/little_endian.h"
#include "cluster/scan.h"
#include "fake_node.h"
#include "faulty_io.h"
#include "scratch.h"
#include "store/backup.h"
#include "store/event_store.h"

enum { EVENTS = 22, STORED = 9, LAST_ENTRY = 25 };

static char root[SCRATCH_MAX], path[96]; /* what the trials work on */
static struct shared *events[EVENTS];
static uint64_t indexes[EVENTS]; /* of the entries that they came with */

__attribute__((format(printf, 1, 2))) static void shell(const char *format, ...)
{
    char command[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    if (system(command) != 0) fail_msg("%s", command);
}

/* ---- what there is to begin with ---- */

static bool take_event(void *owner, const struct message_sent *event, struct slice bytes)
{
    (void)owner;
    indexes[event->number - 1] = event->index;
    events[event->number - 1] = shared_copy(bytes);
    return true;
}

static void take_history(uint8_t cluster[16], struct event_meta *meta)
{
    struct errmsg errmsg;
    struct event_store *store;
    struct event_reader *reader;
    char dir[128];
    snprintf(dir, sizeof dir, "%s/node/history", root);
    assert_int_equal(event_store_open(&store, &(struct event_store_options){.dir = dir}, &errmsg),
                     0);
    assert_int_equal(event_reader_open(&reader, store, &errmsg), 0);
    assert_int_equal(event_reader_begin(reader, meta), 0);
    assert_int_equal(event_reader_from(reader, 1, EVENTS + 1, take_event, NULL), 0);
    event_reader_end(reader);
    event_reader_close(reader);
    event_store_close(store);
    assert_int_equal(meta->number, EVENTS);
    memcpy(cluster, meta->cluster, 16);
}

/* A node whose store is behind its log. */
static void make_behind(const uint8_t cluster[16])
{
    struct errmsg errmsg = {.text = ""};
    struct event_store *store;
    char dir[128];
    shell("cp -r %s/node %s/behind && rm -r %s/behind/history", root, root, root);
    snprintf(dir, sizeof dir, "%s/behind/history", root);
    assert_int_equal(event_store_open(&store, &(struct event_store_options){.dir = dir}, &errmsg),
                     0);
    assert_int_equal(event_store_bind(store, cluster, &errmsg), 0);
    assert_true(indexes[STORED - 1] < indexes[STORED]);
    const struct event_append append = {
        .events = events, .events_count = STORED, .index = indexes[STORED - 1]};
    if (event_store_append(store, &append, &errmsg) != 0) fail_msg("%s", errmsg.text);
    event_store_close(store);
}

static struct buf backup, portion; /* all of it; the events alone */
static struct buf head_bytes;

static void make_backup(const uint8_t cluster[16], const struct event_meta *meta)
{
    struct backup_head head = {.number = EVENTS,
                               .at_ms = 1,
                               .digest = meta->digest,
                               .node = "tea-1",
                               .cluster_name = "tea"};
    char end[BACKUP_END_SIZE], len[4], name[128];
    memcpy(head.cluster, cluster, 16);
    buf_init(&head_bytes, BACKUP_HEAD_MAX);
    buf_init(&portion, 1 << 20);
    buf_init(&backup, 1 << 20);
    backup_head_encode(&head_bytes, &head);
    for (size_t i = 0; i < EVENTS; i++) {
        little_store(len, events[i]->len, sizeof len);
        buf_append(&portion, len, sizeof len);
        buf_add(&portion, shared_slice(events[i]));
    }
    backup_end_encode(end, &head);
    buf_add(&backup, buf_slice(&head_bytes));
    buf_add(&backup, buf_slice(&portion));
    buf_append(&backup, end, sizeof end);
    snprintf(name, sizeof name, "%s/backup", root);
    FILE *file = fopen(name, "wb");
    assert_int_equal(fwrite(backup.at, 1, backup.len, file), backup.len);
    assert_int_equal(fclose(file), 0);
}

static int make_all(void **state)
{
    uint8_t cluster[16];
    struct event_meta meta;
    (void)state;
    scratch_make(root, "faults");
    snprintf(path, sizeof path, "%s/it", root);
    shell("tar xzf '%s/three.tar.gz' -C %s && mv %s/tea-1/data %s/node && chmod 700 %s/node",
          FIXTURES, root, root, root, root);
    take_history(cluster, &meta);
    make_behind(cluster);
    make_backup(cluster, &meta);
    return 0;
}

static int drop_all(void **state)
{
    (void)state;
    shell("rm -rf %s", root);
    shared_unref_all(events, EVENTS);
    buf_close(&backup);
    buf_close(&portion);
    buf_close(&head_bytes);
    return 0;
}

/* ---- running a command ---- */

static int give_tokens(const struct cli *cli, const char *secret_file, const char *config_file,
                       struct cli_tokens *tokens, struct errmsg *errmsg)
{
    (void)cli, (void)secret_file, (void)config_file, (void)errmsg;
    *tokens = (struct cli_tokens){.count = 1, .text = {"token"}, .from = "FILE"};
    return 0;
}

static int run(const struct cli_command *command, const char *const *environment,
               struct errmsg *errmsg, const char *const *words)
{
    char *argv[8] = {NULL}, *out = NULL, *err = NULL;
    size_t out_len, err_len;
    int argc = 0;
    for (; words[argc] != NULL; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    struct cli cli = {.in = stdin,
                      .out = open_memstream(&out, &out_len),
                      .err = open_memstream(&err, &err_len),
                      .environment = (char *const *)(uintptr_t)environment,
                      .tokens = give_tokens};
    int code = command->run(&cli, argc, argv);
    fclose(cli.out);
    fclose(cli.err);
    if (code != 0) errmsg_set(errmsg, "%.400s", err);
    free(out);
    free(err);
    return code;
}

#define RUN(command, ...) \
    run(&(command), (const char *const[]){NULL}, errmsg, (const char *const[]){__VA_ARGS__, NULL})

static void clear(void)
{
    shell("rm -rf %s %s.partial", path, path);
}

static bool exists(const char *name)
{
    char file[160];
    snprintf(file, sizeof file, "%s/%s", path, name);
    return access(file, F_OK) == 0;
}

/* All events are in, and nothing of it is damaged. */
static void assert_whole(uint64_t number)
{
    struct errmsg errmsg = {.text = ""};
    struct event_store *store;
    struct event_store_damage damage;
    struct event_meta meta;
    char dir[128];
    snprintf(dir, sizeof dir, "%s/history", path);
    if (event_store_open(&store, &(struct event_store_options){.dir = dir}, &errmsg) != 0 ||
        event_store_verify(store, NULL, NULL, &damage, &errmsg) != 0)
        fail_msg("%s", errmsg.text);
    event_store_meta(store, &meta);
    event_store_close(store);
    assert_int_equal(meta.number, number);
}

static enum data_dir_state state_of_it(void)
{
    struct errmsg errmsg = {.text = ""};
    struct data_dir dir;
    if (data_dir_open(&dir, path, NULL, &errmsg) != 0) fail_msg("%s", errmsg.text);
    data_dir_close(&dir);
    return dir.state;
}

/* ---- restore, import ---- */

static int restore(struct errmsg *errmsg)
{
    char file[128];
    snprintf(file, sizeof file, "%s/backup", root);
    return RUN(restore_command, file, "--data-dir", path);
}

static int import(struct errmsg *errmsg)
{
    return RUN(import_command, FIXTURES "/three.ndjson", "--data-dir", path, "--node-name",
               "tea-1");
}

/* Nothing is left of it, but for a lock that nobody has; or whole. */
static void all_or_nothing(bool is_done)
{
    struct errmsg errmsg = {.text = ""};
    if (!exists("VERSION")) {
        assert_false(is_done);
        assert_false(exists("VERSION.new"));
        assert_false(exists("history") || exists("history.partial"));
        if (restore(&errmsg) != 0) fail_msg("%s", errmsg.text);
    }
    assert_int_equal(state_of_it(), DATA_DIR_ALONE);
    assert_whole(EVENTS);
}

static void restoring_is_done_or_leaves_nothing(void **state)
{
    (void)state;
    faulty_try(&(struct faulty_trial){"restore", clear, restore, all_or_nothing}, 60);
    faulty_try(&(struct faulty_trial){"import", clear, import, all_or_nothing}, 60);
}

/* ---- recover, verify ---- */

static void with_a_node_behind(void)
{
    shell("rm -rf %s && cp -r %s/behind %s", path, root, path);
}

static int recover(struct errmsg *errmsg)
{
    return RUN(recover_command, "--data-dir", path, "--yes");
}

/* What the log has is in the store, or still in the log: said again, recover takes it up. */
static void nothing_of_the_log_is_lost(bool is_done)
{
    struct errmsg errmsg = {.text = ""};
    if (state_of_it() != DATA_DIR_ALONE) {
        assert_false(is_done);
        if (recover(&errmsg) != 0) fail_msg("%s", errmsg.text);
    }
    assert_int_equal(state_of_it(), DATA_DIR_ALONE);
    assert_whole(EVENTS);
    assert_false(exists("raft")); /* or the new cluster would begin with the old one's log */
    assert_true(exists("raft.before-recover-1/0000000000000002-0000000000000025"));
}

static void recovering_loses_nothing(void **state)
{
    (void)state;
    faulty_try(
        &(struct faulty_trial){"recover", with_a_node_behind, recover, nothing_of_the_log_is_lost},
        60);
}

static void with_a_node(void)
{
    shell("rm -rf %s && cp -r %s/node %s", path, root, path);
}

static int verify(struct errmsg *errmsg)
{
    return RUN(verify_command, "--data-dir", path, "--rebuild");
}

static void it_is_a_whole_node(bool is_done)
{
    struct errmsg errmsg = {.text = ""};
    (void)is_done;
    if (verify(&errmsg) != 0) fail_msg("%s", errmsg.text);
    assert_whole(EVENTS);
    assert_int_equal(state_of_it(), DATA_DIR_FORMED);
}

static void verifying_harms_nothing(void **state)
{
    (void)state;
    faulty_try(&(struct faulty_trial){"verify --rebuild", with_a_node, verify, it_is_a_whole_node},
               30);
}

/* ---- the raft log before a start ---- */

/* A truncation that was cut off: what is kept of a segment lies beside it. */
static void with_a_cut_segment(void)
{
    with_a_node();
    shell("head -c 600 %s/raft/0000000000000002-0000000000000025 >"
          "%s/raft/0000000000000002-0000000000000007",
          path, path);
}

static void raft_path(char out[128])
{
    snprintf(out, 128, "%s/raft", path);
}

static int on_entry(void *owner, uint64_t index, struct slice bytes)
{
    uint64_t *last = owner;
    (void)bytes;
    *last = index;
    return 0;
}

static int scan(struct errmsg *errmsg)
{
    char raft[128];
    struct scan_found found;
    uint64_t last, seen = 0;
    raft_path(raft);
    int rv = scan_clear(raft, errmsg);
    if (rv == 0) rv = scan_forget_beginning(raft, errmsg);
    if (rv == 0) rv = scan_raft_dir(&found, raft, SCAN_ALL, errmsg);
    if (rv != 0) return rv;
    assert_int_equal(found.last, LAST_ENTRY); /* never a log that is shorter than it is */
    assert_true(found.has_metadata);
    rv = scan_entries(raft, 0, on_entry, &seen, &last, errmsg);
    if (rv == 0) assert_int_equal(last, LAST_ENTRY);
    return rv;
}

static void the_log_is_all_there(bool is_done)
{
    struct errmsg errmsg = {.text = ""};
    if (is_done) assert_false(exists("raft/0000000000000002-0000000000000007"));
    assert_true(exists("raft/metadata1") && exists("raft/metadata2"));
    if (scan(&errmsg) != 0) fail_msg("%s", errmsg.text);
}

static void a_raft_log_is_never_taken_for_a_shorter_one(void **state)
{
    (void)state;
    faulty_try(
        &(struct faulty_trial){"raft log scanned", with_a_cut_segment, scan, the_log_is_all_there},
        30);
}

static void with_a_beginning(void)
{
    with_a_node();
    shell("rm %s/raft/0000000000000002-0000000000000025", path);
}

static int forget(struct errmsg *errmsg)
{
    char raft[128];
    raft_path(raft);
    return scan_forget_beginning(raft, errmsg);
}

static void it_can_be_forgotten_now(bool is_done)
{
    struct errmsg errmsg = {.text = ""};
    if (!is_done) assert_int_equal(forget(&errmsg), 0);
    assert_false(exists("raft/0000000000000001-0000000000000001"));
    assert_false(exists("raft/metadata1") || exists("raft/metadata2"));
}

static void a_beginning_is_forgotten_in_the_end(void **state)
{
    (void)state;
    faulty_try(&(struct faulty_trial){"beginning forgotten", with_a_beginning, forget,
                                      it_can_be_forgotten_now},
               8);
}

/* ---- backup ---- */

static struct fake_node node;
static char place[64];

static void with_a_node_that_runs(void)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\n\r\n";
    static struct buf answers[2];
    struct fake_answer said[2];
    const struct buf *bodies[] = {&head_bytes, &portion};
    clear();
    shell("echo older >%s", path);
    for (size_t i = 0; i < 2; i++) {
        buf_init(&answers[i], 1 << 20);
        buf_add(&answers[i], slice_from(ok));
        buf_add(&answers[i], buf_slice(bodies[i]));
        said[i] = (struct fake_answer){answers[i].at, answers[i].len};
    }
    fake_node_start(&node, said, 2);
    for (size_t i = 0; i < 2; i++)
        buf_close(&answers[i]);
    snprintf(place, sizeof place, "LIVETEA_NODE=127.0.0.1:%u", node.port);
}

static int back_up(struct errmsg *errmsg)
{
    return run(&backup_command, (const char *const[]){place, NULL}, errmsg,
               (const char *const[]){path, "--force", NULL});
}

/* The backup that was there before is not lost for one that could not be made. */
static void the_old_one_or_the_new_one(bool is_done)
{
    static char bytes[1 << 16];
    kill(node.child, SIGKILL); /* it may not have been asked everything */
    assert_int_equal(waitpid(node.child, NULL, 0), node.child);
    close(node.heard_fd);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    bool is_new = len == backup.len && memcmp(bytes, backup.at, len) == 0;
    bool is_old = len == 6 && memcmp(bytes, "older\n", 6) == 0;
    assert_true(is_new || (is_old && !is_done));
}

static void a_backup_is_whole_under_its_name(void **state)
{
    (void)state;
    faulty_try(&(struct faulty_trial){"backup", with_a_node_that_runs, back_up,
                                      the_old_one_or_the_new_one},
               15);
}

/* ---- the configuration ---- */

static void with_a_configuration(void)
{
    clear();
    shell("printf '[node]\\nname = tea-7\\n[chat]\\nrate = 77\\n' >%s", path);
}

/* A file that cannot be read is not an empty one: its settings would silently be the defaults. */
static int load(struct errmsg *errmsg)
{
    static char option[] = "-c", state[] = "STATE_DIRECTORY=/nowhere";
    char *argv[] = {option, path, NULL}, *environment[] = {state, NULL};
    static struct config config;
    struct buf errors, warnings;
    buf_init(&errors, 4096);
    buf_init(&warnings, 4096);
    int rv = config_load(
        &config, &(struct config_input){.argc = 2, .argv = argv, .environment = environment},
        &errors, &warnings);
    if (rv != 0) errmsg_set(errmsg, "%.*s", (int)errors.len, errors.at);
    if (rv == 0) assert_string_equal(config.node.name, "tea-7");
    if (rv == 0) assert_int_equal(config.chat.rate, 77);
    buf_close(&errors);
    buf_close(&warnings);
    return rv;
}

static void nothing_more(bool is_done)
{
    (void)is_done;
}

static void a_configuration_is_read_whole_or_refused(void **state)
{
    (void)state;
    faulty_try(&(struct faulty_trial){"configuration", with_a_configuration, load, nothing_more},
               3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(restoring_is_done_or_leaves_nothing),
        cmocka_unit_test(recovering_loses_nothing),
        cmocka_unit_test(verifying_harms_nothing),
        cmocka_unit_test(a_raft_log_is_never_taken_for_a_shorter_one),
        cmocka_unit_test(a_beginning_is_forgotten_in_the_end),
        cmocka_unit_test(a_backup_is_whole_under_its_name),
        cmocka_unit_test(a_configuration_is_read_whole_or_refused),
    };
    return cmocka_run_group_tests(tests, make_all, drop_all);
}
