/* A survivor's files into the beginning of a new cluster, when the majority is lost for good.
 *
 * What is in the event store is kept. Entries of the raft log behind it are taken up as a committed entry
 * would be, for this node had acknowledged them; that the others had too is likely, but nobody knows. The
 * events are durable before the raft directory is moved aside, that before the store gets its new owner,
 * and VERSION is last: after an end in between, `recover` is said again.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "app/data_commands.h"
#include "app/progress.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/file.h"
#include "base/mem.h"
#include "cluster/node.h"
#include "cluster/scan.h"

enum { PATH_SIZE = 512, BATCH_EVENTS = 16 * 1024, ASIDE_MAX = 1000 };

static const struct option_spec recover_options[] = {
    {.name = "data-dir", .argument = "DIR", .help = "The data directory of the node that is left."},
    {.name = "yes", .help = "Does not ask."}};

struct recover {
    const struct cli *cli;
    struct data_dir dir;
    char raft_path[PATH_SIZE];
    struct event_store *store;
    struct event_meta meta;
    struct chat chat;
    struct scan_found raft;
    bool is_raft_bad;
    uint64_t index, last; /* of the entry that is being applied; of the last one that can be */
    uint64_t taken;       /* events */
    uint64_t missing_to;  /* events behind the store's, up to here, were never here; 0: none */
    struct shared **events;
    size_t count;
    struct errmsg errmsg;
};

/* ---- what is there ---- */

static int open_history(struct recover *recover)
{
    char path[PATH_SIZE];
    struct progress progress;
    struct event_store_damage damage;
    data_dir_path(&recover->dir, "history", path, sizeof path);
    bool is_there;
    int rv = file_exists(path, &is_there, &recover->errmsg);
    if (rv != 0) return rv;
    if (!is_there) {
        errmsg_set(&recover->errmsg, "%s is missing: there is no history to begin with", path);
        return ERR_DATA;
    }
    rv = event_store_open(&recover->store, &(struct event_store_options){.dir = path},
                          &recover->errmsg);
    if (rv != 0) return rv;
    progress_begin(&progress, recover->cli, "checking events");
    rv = event_store_verify(recover->store, progress_tell, &progress, &damage, &recover->errmsg);
    progress_end(&progress);
    if (rv == ERR_DATA && damage.is_derived)
        rv = event_store_rebuild(recover->store, NULL, NULL, &damage, &recover->errmsg);
    if (rv != 0) return rv;
    event_store_meta(recover->store, &recover->meta);
    return event_store_restore(recover->store, &recover->chat, &recover->errmsg);
}

/* An entry that is a manifest stands for events that this node would have fetched: what is behind it goes on
 * from them, and not from what is here. ERR_CLOSED then. */
static int look_at_entry(struct recover *recover, struct slice bytes)
{
    struct manifest manifest;
    if (manifest_decode(&manifest, bytes, NULL) != 0) return 0;
    if (manifest.number <= recover->chat.number) return 0;
    recover->missing_to = manifest.number;
    return ERR_CLOSED;
}

static int count_entry(void *owner, uint64_t index, struct slice bytes)
{
    (void)index;
    return look_at_entry(owner, bytes);
}

static int look_at_raft(struct recover *recover)
{
    struct errmsg reason;
    data_dir_path(&recover->dir, "raft", recover->raft_path, sizeof recover->raft_path);
    int rv = scan_raft_dir(&recover->raft, recover->raft_path, SCAN_ALL, &reason);
    if (rv == ERR_IO) {
        recover->errmsg = reason;
        return rv;
    }
    recover->is_raft_bad = rv != 0;
    if (rv != 0) fprintf(recover->cli->err, "livetea recover: %s.\n", reason.text);
    rv = scan_entries(recover->raft_path, recover->meta.index, count_entry, recover, &recover->last,
                      &recover->errmsg);
    if (rv == ERR_CLOSED) {
        recover->last--; /* it was read, and cannot be used */
        return 0;
    }
    const struct manifest *manifest = &recover->raft.manifest;
    if (recover->raft.has_snapshot && manifest->number > recover->meta.number &&
        recover->last < manifest->index)
        recover->missing_to = manifest->number;
    return rv;
}

/* ---- telling, asking ---- */

static void tell_loss(const struct recover *recover)
{
    const struct scan_found *raft = &recover->raft;
    const struct event_meta *meta = &recover->meta;
    uint64_t log_end = raft->segments > 0 ? raft->last : raft->snapshot_index;
    FILE *out = recover->cli->out;
    if (recover->missing_to > 0) {
        fprintf(out,
                "This node was catching up: events %" PRIu64 " to %" PRIu64
                " were never here, and what came behind them cannot be used. All that is lost. "
                "Another survivor may have more.\n",
                meta->number + 1, recover->missing_to);
        return;
    }
    if (recover->is_raft_bad)
        fprintf(out, "The raft log is damaged: what lies behind the damage is lost.\n");
    else if (log_end > recover->last)
        fprintf(out, "Entries %" PRIu64 " to %" PRIu64 " of the raft log cannot be used.\n",
                recover->last + 1, log_end);
    fprintf(out, "May be lost: messages that the nodes which are gone had accepted, and that had "
                 "not reached this one.\n");
}

static void tell(const struct recover *recover)
{
    char count[GROUPED_SIZE];
    struct buf text;
    buf_init(&text, 64);
    if (recover->meta.number > 0) clock_add_rfc3339(&text, recover->meta.at_ms, 0);
    FILE *out = recover->cli->out;
    fprintf(out,
            "This makes %s the start of a NEW cluster of one node, %s. It is for when the "
            "majority of the old one is lost for good: should old members come back, they must "
            "never be started again.\n",
            recover->dir.path, recover->dir.node);
    if (recover->dir.state == DATA_DIR_REMOVED)
        fprintf(out, "It was REMOVED from that cluster, which had gone on without it: what was "
                     "sent since is not here.\n");
    fprintf(out, "Events here: %s", progress_grouped(count, recover->meta.number));
    if (text.len > 0) fprintf(out, ", the last of %.*s", (int)text.len, text.at);
    fprintf(out, ".\n");
    buf_close(&text);
    if (recover->last > recover->meta.index)
        fprintf(out,
                "Entries %" PRIu64 " to %" PRIu64
                " of the raft log are taken up too: this node had accepted them.\n",
                recover->meta.index + 1, recover->last);
    tell_loss(recover);
    fflush(out);
}

static int confirm(const struct recover *recover, bool yes)
{
    char answer[16] = "";
    int fd = fileno(recover->cli->in);
    if (yes) return CLI_DONE;
    if (fd < 0 || isatty(fd) != 1)
        return cli_usage_error(recover->cli, "recover", "nothing was done: say --yes to go on");
    fprintf(recover->cli->out, "Go on? Type yes: ");
    fflush(recover->cli->out);
    if (fgets(answer, sizeof answer, recover->cli->in) != NULL && strcmp(answer, "yes\n") == 0)
        return CLI_DONE;
    fprintf(recover->cli->err, "livetea recover: nothing was done.\n");
    return CLI_REFUSED;
}

/* ---- doing ---- */

static int flush(struct recover *recover)
{
    struct event_append append = {
        .events = recover->events, .events_count = recover->count, .index = recover->index};
    int rv = event_store_append(recover->store, &append, &recover->errmsg);
    shared_unref_all(recover->events, recover->count);
    recover->count = 0;
    return rv;
}

static void on_command(void *owner, const struct send_message *command)
{
    struct recover *recover = owner;
    struct message_sent event = {.number = 0};
    if (chat_apply(&recover->chat, command, recover->index, &event) != CHAT_APPLIED) return;
    struct shared *bytes = event_encode(&event);
    chat_remember(&recover->chat, &event, bytes);
    recover->events[recover->count++] = bytes;
    recover->taken++;
}

/* As machine_apply: an entry that cannot be read counts as one without commands, on every node. */
static int apply_entry(void *owner, uint64_t index, struct slice bytes)
{
    struct recover *recover = owner;
    int rv = look_at_entry(recover, bytes);
    if (rv != 0) return rv;
    recover->index = index;
    (void)batch_read(bytes, on_command, recover, NULL);
    return recover->count + BATCH_COMMANDS_MAX > BATCH_EVENTS ? flush(recover) : 0;
}

static int take_up(struct recover *recover)
{
    uint64_t last;
    recover->events = mem_new_array(BATCH_EVENTS, sizeof(struct shared *));
    recover->index = recover->meta.index;
    int rv = scan_entries(recover->raft_path, recover->meta.index, apply_entry, recover, &last,
                          &recover->errmsg);
    if (rv == 0 || rv == ERR_CLOSED) rv = flush(recover);
    shared_unref_all(recover->events, recover->count);
    mem_free(recover->events);
    return rv;
}

static int move_raft_aside(struct recover *recover, char aside[PATH_SIZE])
{
    aside[0] = '\0';
    bool is_there;
    int rv = file_exists(recover->raft_path, &is_there, &recover->errmsg);
    if (rv != 0 || !is_there) return rv;
    for (int i = 1; i <= ASIDE_MAX; i++) {
        char name[64];
        snprintf(name, sizeof name, "raft.before-recover-%d", i);
        data_dir_path(&recover->dir, name, aside, PATH_SIZE);
        if (access(aside, F_OK) != 0) break;
    }
    int fd = open(recover->dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rv = fd < 0 || rename(recover->raft_path, aside) != 0 || fsync(fd) != 0 ? ERR_IO : 0;
    if (rv != 0)
        errmsg_set(&recover->errmsg, "cannot move %s aside: %s", recover->raft_path,
                   strerror(errno));
    if (fd >= 0) close(fd);
    return rv;
}

static int make_alone(struct recover *recover, char aside[PATH_SIZE])
{
    uint8_t cluster[16];
    crypto_random(cluster, sizeof cluster);
    int rv = take_up(recover);
    if (rv == 0) rv = move_raft_aside(recover, aside);
    if (rv == 0) rv = event_store_rebind(recover->store, cluster, &recover->errmsg);
    if (rv != 0) return rv;
    memcpy(recover->dir.cluster, cluster, sizeof cluster);
    recover->dir.raft_id = peer_id(recover->dir.node);
    recover->dir.joined = 0;
    recover->dir.has_begun = false;
    return data_dir_mark(&recover->dir, DATA_DIR_ALONE, &recover->errmsg);
}

static int recover_dir(struct recover *recover, bool yes)
{
    char aside[PATH_SIZE], count[GROUPED_SIZE];
    const struct cli *cli = recover->cli;
    if (recover->dir.state == DATA_DIR_ALONE) {
        fprintf(cli->err, "livetea recover: %s is the start of a new cluster already.\n",
                recover->dir.path);
        return CLI_REFUSED;
    }
    if (recover->dir.state == DATA_DIR_JOINING) {
        fprintf(cli->err,
                "livetea recover: %s is of a node that was never let into a cluster: there is "
                "nothing in it.\n",
                recover->dir.path);
        return CLI_REFUSED;
    }
    int rv = open_history(recover);
    if (rv == 0) rv = look_at_raft(recover);
    if (rv != 0) return data_failed(cli, &recover_command, data_exit(rv), &recover->errmsg);
    tell(recover);
    int code = confirm(recover, yes);
    if (code != CLI_DONE) return code;
    rv = make_alone(recover, aside);
    if (rv != 0) return data_failed(cli, &recover_command, data_exit(rv), &recover->errmsg);
    fprintf(cli->out, "Recovered %s events", progress_grouped(count, recover->chat.number));
    fprintf(cli->out, ", %s of them from the raft log", progress_grouped(count, recover->taken));
    fprintf(cli->out, aside[0] == '\0' ? ".%s\n" : "; the log is kept in %s.\n", aside);
    data_tell_start(cli, recover->dir.path, recover->dir.node);
    return cli_finish(cli, CLI_DONE);
}

static int run_recover(const struct cli *cli, int argc, char *const *argv)
{
    static const struct chat_limits no_limits;
    struct data_options options;
    int code = data_options_read(cli, &recover_command, false, argc, argv, &options);
    if (code != 0) return code;
    struct recover *recover = mem_new(sizeof *recover);
    recover->cli = cli;
    chat_init(&recover->chat, &no_limits);
    int rv = data_open(&recover->dir, options.data_dir, &recover->errmsg);
    if (rv != 0) {
        code = data_failed(cli, &recover_command, data_exit(rv), &recover->errmsg);
    } else {
        code = recover_dir(recover, options.yes);
        chat_close(&recover->chat);
        event_store_close(recover->store);
        data_dir_close(&recover->dir);
    }
    mem_free(recover);
    return code;
}

const struct cli_command recover_command = {
    .name = "recover",
    .arguments = "--data-dir DIR [--yes]",
    .summary = "makes what one node has left the start of a new one-node cluster",
    .help =
        "The last resort, when the majority of a cluster is lost for good. Choose the survivor\n"
        "with the most events (livetea verify tells). Says what is there and what may be lost,\n"
        "asks, takes up the end of the raft log, and moves that aside. Old members must never\n"
        "be started again: they come back empty, as new ones.\n"
        "Exit: 0 done, 1 failed or refused, 2 bad option, 3 the history is not usable.",
    .options = recover_options,
    .options_count = sizeof recover_options / sizeof *recover_options,
    .run = run_recover};
