/* The files of a stopped node, all of them, and how they fit one another. Every part is looked at, also
 * behind a bad one: whoever has to decide what to do wants to know what is left.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "app/data_commands.h"
#include "app/progress.h"
#include "base/buf.h"
#include "base/mem.h"
#include "cluster/scan.h"
#include "store/data_dir.h"
#include "store/event_store.h"
#include "store/pages.h"

enum { PATH_SIZE = 512 };

static const struct option_spec verify_options[] = {
    {.name = "data-dir", .argument = "DIR", .help = "The node's data directory."},
    {.name = "rebuild", .help = "Makes what follows from the events again, and then looks."}};

enum part { PART_RAFT, PART_HISTORY, PARTS };

struct verify {
    const struct cli *cli;
    bool must_rebuild;
    struct data_dir dir;
    struct scan_found raft;
    struct event_store *store;
    struct event_meta meta;
    bool is_bad[PARTS];
    bool is_derived_bad, has_failed;
};

/* ---- telling ---- */

__attribute__((format(printf, 3, 4))) static void tell(const struct verify *verify,
                                                       const char *part, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(verify->cli->out, "%-9s", part);
    vfprintf(verify->cli->out, format, args);
    fputc('\n', verify->cli->out);
    fflush(verify->cli->out);
    va_end(args);
}

static void tell_bad(struct verify *verify, enum part part, int rv, const struct errmsg *errmsg)
{
    if (rv == ERR_DATA || rv == ERR_FORMAT || rv == ERR_TOO_LARGE)
        verify->is_bad[part] = true;
    else
        verify->has_failed = true;
    fflush(verify->cli->out);
    fprintf(verify->cli->err, "livetea verify: %s.\n", errmsg->text);
}

/* ---- the parts ---- */

static const char *state_of(const struct data_dir *dir)
{
    switch (dir->state) {
    case DATA_DIR_FORMING: return "forming a cluster";
    case DATA_DIR_FORMED: return "member of a cluster";
    case DATA_DIR_JOINING: return "asking to join a cluster";
    case DATA_DIR_ALONE: return "about to begin a cluster of its own";
    case DATA_DIR_REMOVED: return "removed from its cluster";
    case DATA_DIR_EMPTY:
    default: return "empty";
    }
}

static void look_at_raft(struct verify *verify)
{
    char path[PATH_SIZE];
    struct errmsg errmsg;
    struct scan_found *raft = &verify->raft;
    data_dir_path(&verify->dir, "raft", path, sizeof path);
    int rv = scan_raft_dir(raft, path, SCAN_ALL, &errmsg);
    if (rv != 0) {
        tell_bad(verify, PART_RAFT, rv, &errmsg);
        return;
    }
    if (raft->segments > 0)
        tell(verify, "raft",
             "entries %" PRIu64 " to %" PRIu64 " in %" PRIu64 " segments, term %" PRIu64,
             raft->first, raft->last, raft->segments, raft->term);
    else
        tell(verify, "raft", "no entries, term %" PRIu64, raft->term);
    if (raft->has_snapshot)
        tell(verify, "snapshot", "entry %" PRIu64 ", events up to %" PRIu64, raft->manifest.index,
             raft->manifest.number);
    if (raft->has_snapshot &&
        memcmp(raft->manifest.cluster, verify->dir.cluster, sizeof raft->manifest.cluster) != 0) {
        errmsg_set(&errmsg, "the snapshot in %s is of another cluster", path);
        tell_bad(verify, PART_RAFT, ERR_DATA, &errmsg);
    }
}

static int check_pages(struct verify *verify, struct event_store_damage *damage,
                       struct errmsg *errmsg)
{
    char path[PATH_SIZE];
    struct progress progress;
    data_dir_path(&verify->dir, "history", path, sizeof path);
    progress_begin(&progress, verify->cli, "pages");
    int rv = pages_check(path, progress_tell, &progress, damage, errmsg);
    progress_end(&progress);
    return rv;
}

static int open_history(struct verify *verify, struct errmsg *errmsg)
{
    char path[PATH_SIZE];
    data_dir_path(&verify->dir, "history", path, sizeof path);
    struct event_store_options options = {
        .dir = path, .read_only = !verify->must_rebuild, .is_unchecked = true};
    int rv = event_store_open(&verify->store, &options, errmsg);
    if (rv == 0) event_store_meta(verify->store, &verify->meta);
    return rv;
}

static int rebuild(struct verify *verify, struct event_store_damage *damage, struct errmsg *errmsg)
{
    struct progress progress;
    progress_begin(&progress, verify->cli, "making the derived tables again");
    int rv = event_store_rebuild(verify->store, progress_tell, &progress, damage, errmsg);
    progress_end(&progress);
    if (rv == 0) tell(verify, "derived", "streams, commands and rooms made again from the events");
    return rv;
}

static void look_at_history(struct verify *verify)
{
    struct progress progress;
    struct event_store_damage damage = {.number = 0};
    struct errmsg errmsg;
    char count[GROUPED_SIZE];
    int rv = check_pages(verify, &damage, &errmsg);
    if (rv == 0) rv = open_history(verify, &errmsg);
    if (rv == 0 && verify->must_rebuild) rv = rebuild(verify, &damage, &errmsg);
    if (rv == 0) {
        progress_begin(&progress, verify->cli, "events");
        rv = event_store_verify(verify->store, progress_tell, &progress, &damage, &errmsg);
        progress_end(&progress);
    }
    if (rv != 0) {
        verify->is_derived_bad = damage.is_derived;
        if (damage.number > 0)
            tell(verify, "history", "sound up to event %" PRIu64, damage.number - 1);
        tell_bad(verify, PART_HISTORY, rv, &errmsg);
        return;
    }
    struct buf digest;
    buf_init(&digest, 64);
    buf_add_hex(&digest, verify->meta.digest.bytes, sizeof verify->meta.digest.bytes);
    tell(verify, "history", "%s events, digest %.*s", progress_grouped(count, verify->meta.number),
         (int)digest.len, digest.at);
    buf_close(&digest);
}

/* ---- how they fit ---- */

/* The digest that the history has where the snapshot speaks of it. */
static const char *compare_manifest(struct verify *verify)
{
    const struct manifest *manifest = &verify->raft.manifest;
    struct event_reader *reader = NULL;
    struct message_sent event = {.number = 0};
    if (manifest->number == 0) return NULL;
    if (event_reader_open(&reader, verify->store, NULL) != 0) return NULL;
    int rv = event_reader_begin(reader, NULL);
    if (rv == 0) rv = event_reader_get(reader, manifest->number, &event, NULL);
    bool is_same = rv == 0 && memcmp(&event.digest, &manifest->digest, sizeof event.digest) == 0;
    event_reader_end(reader);
    event_reader_close(reader);
    return is_same ? NULL : "the history is another one than that of the raft snapshot";
}

static void look_whether_they_fit(struct verify *verify)
{
    struct errmsg errmsg = {.text = ""};
    static const uint8_t unbound[16];
    const struct event_meta *meta = &verify->meta;
    const struct scan_found *raft = &verify->raft;
    uint64_t last =
        raft->segments > 0 && raft->last > raft->snapshot_index ? raft->last : raft->snapshot_index;
    bool is_bound = memcmp(meta->cluster, unbound, sizeof unbound) != 0;
    if (is_bound && memcmp(meta->cluster, verify->dir.cluster, sizeof meta->cluster) != 0) {
        errmsg_set(&errmsg, "the history is of another cluster than VERSION says");
    } else if (!verify->is_bad[PART_RAFT] && last < meta->raft_durable) {
        errmsg_set(&errmsg,
                   "the raft log ends at entry %" PRIu64 " but had acknowledged %" PRIu64
                   ": the end of it is lost",
                   last, meta->raft_durable);
    } else if (raft->has_snapshot && raft->manifest.number <= meta->number) {
        const char *wrong = compare_manifest(verify);
        if (wrong != NULL) errmsg_set(&errmsg, "%s", wrong);
    }
    if (errmsg.text[0] != '\0') {
        tell_bad(verify, PART_RAFT, ERR_DATA, &errmsg);
    } else if (raft->has_snapshot && raft->manifest.number > meta->number) {
        tell(verify, "gap",
             "%" PRIu64 " events are missing here and will be fetched from other nodes",
             raft->manifest.number - meta->number);
    }
}

/* ---- the end ---- */

static void tell_what_to_do(struct verify *verify)
{
    char words[REJOIN_WORDS_MAX];
    bool only_derived = verify->is_derived_bad && !verify->is_bad[PART_RAFT];
    if (only_derived) {
        fprintf(verify->cli->err,
                "The events are sound, and what is wrong follows from them. Make it again: "
                "livetea verify --data-dir %s --rebuild\n",
                verify->dir.path);
        return;
    }
    data_dir_rejoin_words(&verify->dir, "HOST:PORT", words);
    fprintf(verify->cli->err,
            "Do not start this node with it. If others have the history, let it come back as a "
            "new member, and keep the directory for a look. %s.\n",
            words);
    if (!verify->is_bad[PART_HISTORY])
        fprintf(
            verify->cli->err,
            "Or, for its history is whole, a new cluster of it: livetea recover --data-dir %s\n",
            verify->dir.path);
}

static int look(struct verify *verify)
{
    tell(verify, "node", "%s, %s", verify->dir.node, state_of(&verify->dir));
    look_at_raft(verify);
    look_at_history(verify);
    if (!verify->is_bad[PART_HISTORY] && !verify->has_failed) look_whether_they_fit(verify);
    event_store_close(verify->store);
    if (verify->is_bad[PART_RAFT] || verify->is_bad[PART_HISTORY]) {
        tell_what_to_do(verify);
        return DATA_NOT_USABLE;
    }
    if (verify->has_failed) return CLI_REFUSED;
    fprintf(verify->cli->out, "All is well.\n");
    return CLI_DONE;
}

static int run_verify(const struct cli *cli, int argc, char *const *argv)
{
    struct data_options options;
    struct errmsg errmsg = {.text = ""};
    int code = data_options_read(cli, &verify_command, false, argc, argv, &options);
    if (code != 0) return code;
    struct verify *verify = mem_new(sizeof *verify);
    verify->cli = cli;
    verify->must_rebuild = options.rebuild;
    int rv = data_open(&verify->dir, options.data_dir, &errmsg);
    if (rv != 0) {
        code = data_failed(cli, &verify_command, data_exit(rv), &errmsg);
    } else {
        code = cli_finish(cli, look(verify));
        data_dir_close(&verify->dir);
    }
    mem_free(verify);
    return code;
}

const struct cli_command verify_command = {
    .name = "verify",
    .arguments = "--data-dir DIR [--rebuild]",
    .summary = "checks all files of a stopped node, and how they fit",
    .help =
        "Reads every event (checksum, order, times, chain of digests), the tables that follow\n"
        "from them, the raft log, its metadata and snapshot. Tells the first thing that is\n"
        "wrong in each, and what to do. --rebuild makes the tables again if the events are\n"
        "sound.\n"
        "Exit: 0 all is well, 1 it could not be read, or the node runs, 2 bad option, 3 damaged.",
    .options = verify_options,
    .options_count = sizeof verify_options / sizeof *verify_options,
    .run = run_verify};
