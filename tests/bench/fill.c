/* A long history in no time: N events in the data directories of a cluster that has never run.
 *
 * The history is made once, in the first directory, by the same two calls that make every other one:
 * chat_apply numbers the commands, event_store_append keeps them, in transactions far larger than a node's.
 * Then the file is copied to the other directories, and each gets a VERSION in state forming, as if its node
 * had been ended just before it began raft. The nodes form their cluster at the next start and find the
 * history there, no entry of the log behind it (mark "index" 0), as after a restore.
 *
 * The same seed makes the same history, except for its times: they end with now.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "bench/figures.h"
#include "bench/loop.h"
#include "chat/chat.h"
#include "cluster/node.h"
#include "store/data_dir.h"
#include "store/event_store.h"

enum {
    TEXT_SIZE_MAX = 4000,
    ROOMS_COUNT_MAX = 100000,
    PEOPLE_COUNT_MAX = 100000,
    NAME_SIZE = 32,
    BATCH_MAX = 1 << 22,
    COMMANDS_PER_ENTRY = 128, /* so many events have one index, as under load */
    PATH_SIZE = 512
};

static const char usage[] =
    "bench_fill --events N --peers NAME=HOST:PORT,... [OPTION...] DIR...\n"
    "  Fills the data directories of the nodes in --peers, in the order of that line; they must be "
    "new.\n"
    "  --cluster NAME     as cluster.name (livetea)\n"
    "  --rooms N          (200), some much fuller than others\n"
    "  --people N         (2000)\n"
    "  --text BYTES       of a message (100)\n"
    "  --ids rising|random    as forms have them (UUIDv7), or all over the table, which is slower\n"
    "  --days N           of history, up to now (365)\n"
    "  --batch N          events a transaction (65536; with random ids 500000)\n"
    "  --seed N           (1)\n";

struct fill {
    uint64_t events, seed, random;
    size_t rooms_count, people_count, text_size, batch_max;
    bool is_random;
    int64_t from_ms, to_ms;
    const char *cluster_name;
    struct peer peers[PEERS_MAX];
    size_t peers_count;
    uint8_t cluster[16];

    char (*rooms)[NAME_SIZE], (*people)[NAME_SIZE];
    struct chat chat;
    struct event_store *store;
    struct shared **batch;
    size_t batch_count;
    uint64_t make_ns, append_ns, copy_ns, file_bytes;
};

/* ---- chance: splitmix64 ---- */

static uint64_t draw(struct fill *fill)
{
    uint64_t z = fill->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static size_t draw_below(struct fill *fill, size_t limit)
{
    return (size_t)(draw(fill) % limit);
}

/* Few get most of it: the square of a number between 0 and 1. */
static size_t draw_uneven(struct fill *fill, size_t limit)
{
    double part = (double)(draw(fill) >> 11) / (double)(UINT64_C(1) << 53);
    return (size_t)(part * part * (double)limit);
}

static void draw_bytes(struct fill *fill, uint8_t *out, size_t size)
{
    for (size_t i = 0; i < size; i += 8) {
        uint64_t some = draw(fill);
        memcpy(out + i, &some, size - i < 8 ? size - i : 8);
    }
}

/* ---- one command ---- */

static size_t put_text(struct fill *fill, char out[TEXT_SIZE_MAX])
{
    static const char *const words[] = {"the",  "kettle", "is",    "on",   "and",  "tea",   "for",
                                        "all",  "who",    "come",  "late", "with", "cake",  "from",
                                        "here", "there",  "green", "or",   "else", "black", "leaf"};
    size_t len = 0;
    while (len < fill->text_size) {
        const char *word = words[draw_below(fill, sizeof words / sizeof *words)];
        size_t part = strlen(word);
        if (len > 0) out[len++] = ' ';
        if (part > fill->text_size - len) part = fill->text_size - len;
        memcpy(out + len, word, part);
        len += part;
    }
    if (out[len - 1] == ' ') out[len - 1] = '.';
    return len;
}

static void make_id(struct fill *fill, struct command_id *id, int64_t at_ms)
{
    uint8_t random[16];
    draw_bytes(fill, random, sizeof random);
    if (fill->is_random)
        memcpy(id->bytes, random, sizeof random);
    else
        command_id_make(id, at_ms, random);
}

static void flush_batch(struct fill *fill)
{
    struct errmsg errmsg = {{0}};
    struct event_append append = {.events = fill->batch, .events_count = fill->batch_count};
    uint64_t start_ns = clock_ns();
    if (event_store_append(fill->store, &append, &errmsg) != 0) die("%s", errmsg.text);
    shared_unref_all(fill->batch, fill->batch_count);
    fill->batch_count = 0;
    fill->append_ns += clock_ns() - start_ns;
}

static void make_event(struct fill *fill)
{
    char text[TEXT_SIZE_MAX + 32];
    size_t person = draw_uneven(fill, fill->people_count);
    size_t room = draw_uneven(fill, fill->rooms_count);
    uint64_t done = fill->chat.number;
    double share = (double)done / (double)fill->events;
    struct send_message command = {
        .room = slice_from(fill->rooms[room]),
        .sender = slice_from(fill->people[person]),
        .text = slice_make(text, put_text(fill, text)),
        .unseen_up_to = done,
        .at_ms = fill->from_ms + (int64_t)(share * (double)(fill->to_ms - fill->from_ms))};
    sender_id_of_session(&command.sender_id, command.sender);
    make_id(fill, &command.id, command.at_ms);

    struct message_sent event;
    uint64_t index = done / COMMANDS_PER_ENTRY + 2; /* the first entry is the configuration */
    enum chat_outcome outcome = chat_apply(&fill->chat, &command, index, &event);
    if (outcome != CHAT_APPLIED) die("a command was not applied: outcome %d", (int)outcome);
    fill->batch[fill->batch_count++] = event_encode(&event);
}

static void make_history(struct fill *fill)
{
    bool is_told = isatty(STDERR_FILENO) == 1;
    while (fill->chat.number < fill->events) {
        uint64_t start_ns = clock_ns();
        while (fill->batch_count < fill->batch_max && fill->chat.number < fill->events)
            make_event(fill);
        fill->make_ns += clock_ns() - start_ns;
        flush_batch(fill);
        if (is_told)
            fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " events", fill->chat.number, fill->events);
    }
    if (is_told) fputc('\n', stderr);
}

/* ---- directories ---- */

static void open_directory(struct data_dir *dir, const struct fill *fill, const char *path,
                           const char *name)
{
    struct errmsg errmsg = {{0}};
    char history[PATH_SIZE], file[PATH_SIZE];
    if (data_dir_open(dir, path, name, &errmsg) != 0) die("%s", errmsg.text);
    data_dir_path(dir, "history", history, sizeof history);
    data_dir_path(dir, "history/data.mdb", file, sizeof file);
    if (dir->state != DATA_DIR_EMPTY || access(file, F_OK) == 0)
        die("%s is in use already: give a directory that is not there, or empty", path);
    if (mkdir(history, 0700) != 0 && errno != EEXIST)
        die("cannot make %s: %s", history, strerror(errno));
    dir->raft_id = peer_id(name);
    memcpy(dir->cluster, fill->cluster, sizeof dir->cluster);
}

static void mark_directory(struct data_dir *dir)
{
    struct errmsg errmsg = {{0}};
    if (data_dir_mark(dir, DATA_DIR_FORMING, &errmsg) != 0) die("%s", errmsg.text);
    data_dir_close(dir);
}

static void copy_bytes(int from, int to, const char *path)
{
    struct stat found;
    if (fstat(from, &found) != 0) die("cannot look at %s: %s", path, strerror(errno));
    if (ioctl(to, FICLONE, from) == 0) return;
    for (off_t left = found.st_size; left > 0;) {
        ssize_t some = copy_file_range(from, NULL, to, NULL, (size_t)left, 0);
        if (some <= 0)
            die("cannot copy to %s: %s", path, some == 0 ? "too short" : strerror(errno));
        left -= some;
    }
}

static void copy_history(const struct data_dir *from, const struct data_dir *to)
{
    char source[PATH_SIZE], target[PATH_SIZE];
    data_dir_path(from, "history/data.mdb", source, sizeof source);
    data_dir_path(to, "history/data.mdb", target, sizeof target);
    int in = open(source, O_RDONLY | O_CLOEXEC);
    int out = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (in < 0 || out < 0) die("cannot open %s: %s", in < 0 ? source : target, strerror(errno));
    copy_bytes(in, out, target);
    if (fsync(out) != 0 || close(out) != 0) die("cannot write %s: %s", target, strerror(errno));
    close(in);
}

static void fill_directories(struct fill *fill, char *const *paths)
{
    struct errmsg errmsg = {{0}};
    struct data_dir dirs[PEERS_MAX];
    for (size_t i = 0; i < fill->peers_count; i++)
        open_directory(&dirs[i], fill, paths[i], fill->peers[i].name);

    char history[PATH_SIZE];
    data_dir_path(&dirs[0], "history", history, sizeof history);
    struct event_store_options options = {.dir = history};
    if (event_store_open(&fill->store, &options, &errmsg) != 0 ||
        event_store_bind(fill->store, fill->cluster, &errmsg) != 0)
        die("%s", errmsg.text);
    make_history(fill);
    fill->file_bytes = event_store_disk_bytes(fill->store);
    event_store_close(fill->store);

    uint64_t start_ns = clock_ns();
    for (size_t i = 1; i < fill->peers_count; i++)
        copy_history(&dirs[0], &dirs[i]);
    for (size_t i = 0; i < fill->peers_count; i++)
        mark_directory(&dirs[i]);
    fill->copy_ns = clock_ns() - start_ns;
}

/* ---- options ---- */

enum {
    OPTION_EVENTS = 1,
    OPTION_PEERS,
    OPTION_CLUSTER,
    OPTION_ROOMS,
    OPTION_PEOPLE,
    OPTION_TEXT,
    OPTION_IDS,
    OPTION_DAYS,
    OPTION_BATCH,
    OPTION_SEED
};

static const struct option options[] = {{"events", required_argument, NULL, OPTION_EVENTS},
                                        {"peers", required_argument, NULL, OPTION_PEERS},
                                        {"cluster", required_argument, NULL, OPTION_CLUSTER},
                                        {"rooms", required_argument, NULL, OPTION_ROOMS},
                                        {"people", required_argument, NULL, OPTION_PEOPLE},
                                        {"text", required_argument, NULL, OPTION_TEXT},
                                        {"ids", required_argument, NULL, OPTION_IDS},
                                        {"days", required_argument, NULL, OPTION_DAYS},
                                        {"batch", required_argument, NULL, OPTION_BATCH},
                                        {"seed", required_argument, NULL, OPTION_SEED},
                                        {NULL, 0, NULL, 0}};

static uint64_t count_from(struct slice text, uint64_t min, uint64_t max)
{
    uint64_t value = 0;
    if (!slice_to_u64(text, &value) || value < min || value > max)
        die("'%.*s' is no number from %" PRIu64 " to %" PRIu64, (int)text.len, text.at, min, max);
    return value;
}

static void take_peers(struct fill *fill, struct slice line)
{
    struct errmsg errmsg = {{0}};
    if (peers_parse(fill->peers, &fill->peers_count, line, &errmsg) != 0) die("%s", errmsg.text);
}

static void take_option(struct fill *fill, int option)
{
    struct slice value = slice_from(optarg);
    switch (option) {
    case OPTION_EVENTS: fill->events = count_from(value, 1, UINT64_C(1) << 40); break;
    case OPTION_PEERS: take_peers(fill, value); break;
    case OPTION_CLUSTER: fill->cluster_name = optarg; break;
    case OPTION_ROOMS: fill->rooms_count = count_from(value, 1, ROOMS_COUNT_MAX); break;
    case OPTION_PEOPLE: fill->people_count = count_from(value, 1, PEOPLE_COUNT_MAX); break;
    case OPTION_TEXT: fill->text_size = count_from(value, 1, TEXT_SIZE_MAX); break;
    case OPTION_DAYS:
        fill->from_ms = fill->to_ms - (int64_t)count_from(value, 1, 10000) * 24 * 3600 * 1000;
        break;
    case OPTION_BATCH: fill->batch_max = count_from(value, 1, BATCH_MAX); break;
    case OPTION_SEED: fill->seed = count_from(value, 0, UINT64_MAX); break;
    case OPTION_IDS:
        if (!slice_is(value, "rising") && !slice_is(value, "random"))
            die("--ids is rising or random");
        fill->is_random = slice_is(value, "random");
        break;
    default: fputs(usage, stderr); exit(2);
    }
}

static void take_options(struct fill *fill, int argc, char **argv)
{
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        take_option(fill, option);
    if (fill->events == 0 || fill->peers_count == 0) take_option(fill, 0);
    if ((size_t)(argc - optind) != fill->peers_count)
        die("%zu nodes are in --peers, and %d directories are given", fill->peers_count,
            argc - optind);
    if (fill->batch_max == 0) fill->batch_max = fill->is_random ? 500000 : 65536;
}

static char (*names_new(const char *format_first, size_t count))[NAME_SIZE]
{
    char(*names)[NAME_SIZE] = mem_new_array(count, sizeof *names);
    for (size_t i = 0; i < count; i++)
        snprintf(names[i], sizeof names[i], "%s%zu", format_first, i + 1);
    return names;
}

int main(int argc, char **argv)
{
    static struct fill fill = {.rooms_count = 200,
                               .people_count = 2000,
                               .text_size = 100,
                               .seed = 1,
                               .cluster_name = "livetea"};
    const struct chat_limits limits = {.text_code_points_max = CHAT_TEXT_CODE_POINTS_MAX};
    fill.to_ms = clock_wall_ms() - 1000;
    fill.from_ms = fill.to_ms - INT64_C(365) * 24 * 3600 * 1000;
    take_options(&fill, argc, argv);
    fill.random = fill.seed;
    fill.rooms = names_new("room-", fill.rooms_count);
    fill.people = names_new("Visitor ", fill.people_count);
    fill.batch = mem_new_array(fill.batch_max, sizeof *fill.batch);
    chat_init(&fill.chat, &limits);
    cluster_id_of(fill.cluster, fill.cluster_name, fill.peers, fill.peers_count);

    uint64_t start_ns = clock_ns();
    fill_directories(&fill, argv + optind);
    double made_s = (double)(fill.make_ns + fill.append_ns) / 1e9;
    figures_begin("fill");
    figures_number("events", (double)fill.chat.number);
    figures_number("file_bytes", (double)fill.file_bytes);
    figures_number("events_per_s", (double)fill.chat.number / made_s);
    figures_number("seconds", (double)(clock_ns() - start_ns) / 1e9);
    figures_number("make_s", (double)fill.make_ns / 1e9);
    figures_number("append_s", (double)fill.append_ns / 1e9);
    figures_number("copy_s", (double)fill.copy_ns / 1e9);
    figures_end();

    chat_close(&fill.chat);
    mem_free(fill.batch);
    mem_free(fill.rooms);
    mem_free(fill.people);
    return 0;
}
