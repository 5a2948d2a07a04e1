/* A backup file into a new data directory. The file is read once, front to back, so it may come through a
 * pipe; what it holds is believed when its end was seen, and nothing stays of it before that.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "app/data_commands.h"
#include "app/fresh_dir.h"
#include "app/progress.h"
#include "base/clock.h"
#include "base/little_endian.h"
#include "store/backup.h"

static const struct option_spec restore_options[] = {
    {.name = "data-dir", .argument = "DIR", .help = "The directory to make: empty, or not there."},
    {.name = "node-name",
     .argument = "NAME",
     .help = "The node's name. Default: as in the backup."}};

struct restore {
    const struct cli *cli;
    const char *name; /* of the file */
    FILE *file;
    struct backup_head head;
    struct fresh_dir *dir;
    struct progress progress;
    struct errmsg errmsg;
};

/* Up to `len` bytes; fewer at the end of the file. */
static int read_bytes(struct restore *restore, char *into, size_t len, size_t *got)
{
    *got = fread(into, 1, len, restore->file);
    if (*got == len || !ferror(restore->file)) return 0;
    errmsg_set(&restore->errmsg, "cannot read %s: %s", restore->name, strerror(errno));
    return ERR_IO;
}

static int read_head(struct restore *restore)
{
    static char bytes[BACKUP_HEAD_MAX];
    size_t got, more;
    struct errmsg why;
    int rv = read_bytes(restore, bytes, BACKUP_HEAD_FIXED, &got);
    if (rv != 0) return rv;
    size_t len = backup_head_size(slice_make(bytes, got), &why);
    if (len == 0) goto fail;
    rv = read_bytes(restore, bytes + got, len - got, &more);
    if (rv != 0) return rv;
    if (backup_head_decode(&restore->head, slice_make(bytes, got + more), &why) != 0) goto fail;
    if (data_problem("node", "name", restore->head.node) == NULL &&
        data_problem("cluster", "name", restore->head.cluster_name) == NULL)
        return 0;
    errmsg_set(&why, "it is no backup of Live Tea: no node or no cluster can have that name");

fail:
    errmsg_set(&restore->errmsg, "%s: %s", restore->name, why.text);
    return ERR_FORMAT;
}

static int bad(struct restore *restore, const char *why)
{
    errmsg_set(&restore->errmsg, "%s is damaged behind event %" PRIu64 ": %s", restore->name,
               fresh_dir_chat(restore->dir)->number, why);
    return ERR_FORMAT;
}

static int read_end(struct restore *restore, const char length[4])
{
    char end[BACKUP_END_SIZE + 1];
    size_t got;
    struct errmsg why;
    const struct chat *chat = fresh_dir_chat(restore->dir);
    memcpy(end, length, 4);
    int rv = read_bytes(restore, end + 4, sizeof end - 4, &got);
    if (rv != 0) return rv;
    if (got > BACKUP_END_SIZE - 4) return bad(restore, "there are bytes behind its end");
    rv = backup_end_check(&restore->head, slice_make(end, 4 + got), &why);
    if (rv != 0) return bad(restore, why.text);
    if (chat->number != restore->head.number) return bad(restore, "events are missing");
    if (memcmp(&chat->digest, &restore->head.digest, sizeof chat->digest) != 0)
        return bad(restore, "the last event is not the one its head speaks of");
    return 0;
}

static int take_event(struct restore *restore, size_t len)
{
    struct message_sent event;
    struct errmsg why;
    size_t got;
    if (len > EVENT_BYTES_MAX) return bad(restore, "what follows is no event");
    struct shared *bytes = shared_new(len);
    int rv = read_bytes(restore, bytes->bytes, len, &got);
    if (rv == 0 && got < len) rv = bad(restore, "it is cut off");
    if (rv == 0 && (event_decode(&event, shared_slice(bytes), &why) != 0 ||
                    chat_take(fresh_dir_chat(restore->dir), &event, &why) != 0))
        rv = bad(restore, why.text);
    if (rv == 0) rv = fresh_dir_add(restore->dir, bytes, &restore->errmsg);
    shared_unref(bytes);
    return rv;
}

static int read_events(struct restore *restore)
{
    char length[4];
    size_t got;
    for (;;) {
        int rv = read_bytes(restore, length, sizeof length, &got);
        if (rv != 0) return rv;
        if (got < sizeof length) return bad(restore, "it is cut off");
        uint32_t len = little_load_u32(length);
        if (len == BACKUP_END) return read_end(restore, length);
        rv = take_event(restore, len);
        if (rv != 0) return rv;
        progress_tell(&restore->progress, fresh_dir_chat(restore->dir)->number,
                      restore->head.number);
    }
}

static int fill(struct restore *restore, const struct data_options *options, const char *node)
{
    int rv = fresh_dir_begin(&restore->dir, options->data_dir, node, &restore->errmsg);
    if (rv != 0) return rv;
    progress_begin(&restore->progress, restore->cli, "restoring");
    rv = read_events(restore);
    progress_end(&restore->progress);
    if (rv == 0) return fresh_dir_finish(restore->dir, &restore->errmsg);
    fresh_dir_abandon(restore->dir);
    return rv;
}

static void tell(const struct restore *restore, const struct data_options *options,
                 const char *node)
{
    char count[GROUPED_SIZE];
    struct buf text;
    buf_init(&text, 256);
    clock_add_rfc3339(&text, restore->head.at_ms, 0);
    buf_add(&text, slice_of(", digest "));
    buf_add_hex(&text, restore->head.digest.bytes, sizeof restore->head.digest.bytes);
    fprintf(restore->cli->out,
            "Restored %s events into %s.\nThe backup was made by %s of cluster %s at %.*s.\n",
            progress_grouped(count, restore->head.number), options->data_dir, restore->head.node,
            restore->head.cluster_name, (int)text.len, text.at);
    buf_close(&text);
    data_tell_start(restore->cli, options->data_dir, node);
}

static int run_restore(const struct cli *cli, int argc, char *const *argv)
{
    struct data_options options;
    static struct restore restore;
    int code = data_options_read(cli, &restore_command, true, argc, argv, &options);
    if (code != 0) return code;
    restore = (struct restore){.cli = cli, .name = options.file, .file = cli->in};
    if (strcmp(options.file, "-") != 0) {
        restore.file = fopen(options.file, "rbe");
    } else {
        restore.name = "standard input";
    }
    if (restore.file == NULL) {
        errmsg_set(&restore.errmsg, "cannot open %s: %s", options.file, strerror(errno));
        return data_failed(cli, &restore_command, CLI_REFUSED, &restore.errmsg);
    }
    int rv = read_head(&restore);
    const char *node = options.node_name == NULL ? restore.head.node : options.node_name;
    if (rv == 0) rv = fill(&restore, &options, node);
    if (restore.file != cli->in) fclose(restore.file);
    if (rv != 0) return data_failed(cli, &restore_command, data_exit(rv), &restore.errmsg);
    tell(&restore, &options, node);
    return cli_finish(cli, CLI_DONE);
}

const struct cli_command restore_command = {
    .name = "restore",
    .arguments = "FILE --data-dir DIR [--node-name NAME]",
    .summary = "makes the data directory of a new one-node cluster from a backup",
    .help =
        "FILE is what `livetea backup` wrote; - is standard input. All of it is checked on the\n"
        "way: checksums, the chain of digests, its end. Numbers, times and digests come out as\n"
        "they were; the cluster gets an id of its own, so old members cannot take it for theirs.\n"
        "Exit: 0 done, 1 failed or refused, 2 bad option, 3 the file is not usable. Unless it is\n"
        "done nothing stays on disk.",
    .options = restore_options,
    .options_count = sizeof restore_options / sizeof *restore_options,
    .run = run_restore};
