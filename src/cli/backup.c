/* A copy of the history of a running node, in a file: its head, its events in portions, and the end. Each
 * event is looked at on its way (checksum, number, digest), so what is in the file when it gets its
 * name is whole and is what the head says; until then it is called FILE.partial.
 */
#include "store/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/little_endian.h"
#include "chat/event.h"
#include "cli/admin.h"
#include "cli/table.h"

enum { ASK_MS = 30 * 1000, BUSY_MAX = 20, BUSY_REST_MS = 500, PATH_BYTES_MAX = 1024 };

enum { OPTION_FORCE = ADMIN_OPTIONS };
static const struct option_spec backup_options[] = {
    ADMIN_OPTION_ROWS, [OPTION_FORCE] = {.name = "force", .help = "Replace FILE if it is there."}};

struct copy {
    struct admin admin;
    const char *path;
    bool force;
    char partial[PATH_BYTES_MAX];
    FILE *file;
    struct backup_head head;
    uint64_t number; /* of the last event that was written */
    struct digest digest;
    uint64_t bytes;
};

static int fail(const struct copy *copy, int code, const char *why)
{
    fprintf(copy->admin.cli->err, "livetea backup: %s\n", why);
    return code;
}

static int fail_file(const struct copy *copy, const char *path)
{
    struct errmsg why;
    errmsg_set(&why, "%s: %s", path, strerror(errno));
    return fail(copy, CLI_REFUSED, why.text);
}

static int fail_node(const struct copy *copy, const char *what)
{
    struct errmsg why;
    errmsg_set(&why, "%s: %s", copy->admin.client.nodes[copy->admin.client.preferred].url, what);
    return fail(copy, CLI_REFUSED, why.text);
}

static int put(struct copy *copy, struct slice bytes)
{
    if (fwrite(bytes.at, 1, bytes.len, copy->file) != bytes.len)
        return fail_file(copy, copy->partial);
    copy->bytes += bytes.len;
    return 0;
}

/* ---- from the node ---- */

/* A node that is busy is asked again; any other answer is told. 0 with a body, or an exit code. */
static int ask(struct copy *copy, struct slice path, struct client_answer *answer)
{
    struct errmsg errmsg = {{0}};
    struct client_request request = {.method = "GET", .path = path, .deadline_ms = ASK_MS};
    int rv = 0;
    for (int tries = 0; tries < BUSY_MAX; tries++) {
        rv = admin_ask(&copy->admin, &request, answer, &errmsg);
        if (rv != 0 || answer->status != 503) break;
        admin_rest(BUSY_REST_MS);
    }
    if (rv == 0 && answer->status == 200) return 0;
    answer->was_sent = false; /* nothing is changed by it */
    return admin_tell(&copy->admin, rv, answer, &errmsg);
}

/* Of several nodes the first that answers; the rest comes from that one alone. */
static int copy_head(struct copy *copy, struct client_answer *answer)
{
    struct errmsg errmsg;
    struct client *client = &copy->admin.client;
    int code = ask(copy, slice_of("/api/cluster/backup"), answer);
    if (code != 0) return code;
    if (backup_head_decode(&copy->head, buf_slice(&answer->body), &errmsg) != 0)
        return fail_node(copy, errmsg.text);
    client->nodes[0] = client->nodes[client->preferred];
    client->nodes_count = 1;
    client->preferred = 0;
    return put(copy, buf_slice(&answer->body));
}

/* Is it the event that comes next? */
static bool check_event(struct copy *copy, struct slice bytes)
{
    struct message_sent event;
    struct digest digest;
    if (event_decode(&event, bytes, NULL) != 0 || event.number != copy->number + 1) return false;
    event_digest(&digest, &copy->digest, &event);
    if (memcmp(digest.bytes, event.digest.bytes, sizeof digest.bytes) != 0) return false;
    copy->number = event.number;
    copy->digest = digest;
    return true;
}

static bool check_portion(struct copy *copy, struct slice rest)
{
    uint64_t before = copy->number;
    while (rest.len > 0 && copy->number < copy->head.number) {
        if (rest.len < 4) return false;
        uint32_t len = little_load_u32(rest.at);
        rest = slice_skip(rest, 4);
        if (len > rest.len || !check_event(copy, slice_first(rest, len))) return false;
        rest = slice_skip(rest, len);
    }
    return rest.len == 0 && copy->number > before;
}

static void tell_progress(const struct copy *copy)
{
    if (!copy->admin.cli->is_terminal) return;
    fprintf(copy->admin.cli->err, "\r%" PRIu64 " of %" PRIu64 " events", copy->number,
            copy->head.number);
    if (copy->number == copy->head.number) fputc('\n', copy->admin.cli->err);
    fflush(copy->admin.cli->err);
}

static int copy_events(struct copy *copy, struct client_answer *answer)
{
    char path[128];
    while (copy->number < copy->head.number) {
        int len = snprintf(path, sizeof path, "/api/cluster/backup?from=%" PRIu64 "&to=%" PRIu64,
                           copy->number + 1, copy->head.number);
        int code = ask(copy, slice_make(path, (size_t)len), answer);
        if (code != 0) return code;
        if (!check_portion(copy, buf_slice(&answer->body)))
            return fail_node(copy, "what it sent is not the history that it spoke of");
        code = put(copy, buf_slice(&answer->body));
        if (code != 0) return code;
        tell_progress(copy);
    }
    if (memcmp(copy->digest.bytes, copy->head.digest.bytes, sizeof copy->digest.bytes) == 0)
        return 0;
    return fail_node(copy, "its history does not end with the digest that it spoke of");
}

static int copy_all(struct copy *copy)
{
    struct client_answer answer;
    char end[BACKUP_END_SIZE];
    client_answer_init(&answer);
    int code = copy_head(copy, &answer);
    if (code == 0) code = copy_events(copy, &answer);
    client_answer_close(&answer);
    if (code != 0) return code;
    backup_end_encode(end, &copy->head);
    return put(copy, slice_make(end, sizeof end));
}

/* ---- the file ---- */

/* The name in its directory is durable too: else a power cut might take a backup that was told of. */
static int sync_directory(const char *path)
{
    char dir[PATH_BYTES_MAX];
    snprintf(dir, sizeof dir, "%s", path);
    char *slash = strrchr(dir, '/');
    if (slash == NULL)
        snprintf(dir, sizeof dir, ".");
    else
        slash[slash == dir ? 1 : 0] = '\0';
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -1;
    int rv = fsync(fd);
    close(fd);
    return rv;
}

/* Renaming would put a file in the place of whatever is there: of a device, or of a link to one. */
static int check_place(const struct copy *copy)
{
    struct stat about;
    struct errmsg why;
    if (lstat(copy->path, &about) != 0) return 0; /* the file beside it will tell what is wrong */
    if (!S_ISREG(about.st_mode))
        errmsg_set(&why, "%s is no regular file, and is not replaced", copy->path);
    else if (!copy->force)
        errmsg_set(&why, "%s is there already; --force replaces it", copy->path);
    else
        return 0;
    return fail(copy, CLI_REFUSED, why.text);
}

/* Of two that write to the same FILE at once the second gives up. The lock goes with the file; it is held
 * until that has its name, and one that got it after that holds a file which is called otherwise. */
static bool lock_partial(const struct copy *copy, int fd)
{
    struct stat ours, named;
    return flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &ours) == 0 &&
           lstat(copy->partial, &named) == 0 && ours.st_ino == named.st_ino &&
           ours.st_dev == named.st_dev;
}

/* Whoever reads it knows by its end that it is whole. */
static bool is_stream(const struct copy *copy)
{
    return strcmp(copy->path, "-") == 0;
}

static int open_stream(struct copy *copy)
{
    const struct cli *cli = copy->admin.cli;
    if (cli->is_terminal) return cli_usage_error(cli, "backup", "a backup is nothing to read");
    snprintf(copy->partial, sizeof copy->partial, "standard output");
    copy->file = cli->out;
    return 0;
}

static int open_file(struct copy *copy)
{
    if (is_stream(copy)) return open_stream(copy);
    int len = snprintf(copy->partial, sizeof copy->partial, "%s.partial", copy->path);
    if (len < 0 || (size_t)len >= sizeof copy->partial)
        return cli_usage_error(copy->admin.cli, "backup", "the path is too long");
    int code = check_place(copy);
    if (code != 0) return code;
    int fd = open(copy->partial, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return fail_file(copy, copy->partial);
    if (!lock_partial(copy, fd)) {
        struct errmsg why;
        errmsg_set(&why, "%s is being written by another backup", copy->partial);
        close(fd);
        return fail(copy, CLI_REFUSED, why.text);
    }
    copy->file = ftruncate(fd, 0) == 0 ? fdopen(fd, "wb") : NULL;
    if (copy->file != NULL) return 0;
    code = fail_file(copy, copy->partial);
    close(fd);
    return code;
}

static int close_file(struct copy *copy, int code)
{
    if (is_stream(copy)) {
        if (code == 0 && fflush(copy->file) != 0) code = fail_file(copy, copy->partial);
        return code;
    }
    if (code == 0 && (fflush(copy->file) != 0 || fsync(fileno(copy->file)) != 0))
        code = fail_file(copy, copy->partial);
    if (code == 0 && (rename(copy->partial, copy->path) != 0 || sync_directory(copy->path) != 0))
        code = fail_file(copy, copy->path);
    if (code != 0) unlink(copy->partial);
    fclose(copy->file); /* all of it is on the disk, or it counts for nothing; lets the lock go */
    return code;
}

static int make_backup(struct copy *copy)
{
    int code = open_file(copy);
    if (code != 0) return code;
    code = close_file(copy, copy_all(copy));
    if (code != 0) return code;
    struct buf line;
    buf_init(&line, 2048);
    buf_printf(&line, "%" PRIu64 " events of ", copy->head.number);
    table_add_plain(&line, slice_from(copy->head.cluster_name));
    buf_add(&line, slice_of(" from "));
    table_add_plain(&line, slice_from(copy->head.node));
    buf_add(&line, slice_of(", "));
    table_add_bytes(&line, copy->bytes);
    FILE *out = is_stream(copy) ? copy->admin.cli->err : copy->admin.cli->out;
    fprintf(out, "%.*s: %s\n", (int)line.len, line.at, copy->path);
    buf_close(&line);
    return CLI_DONE;
}

static int run_backup(const struct cli *cli, int argc, char *const *argv)
{
    struct options options = {.argc = argc, .argv = argv};
    struct copy copy = {.admin = {.cli = cli, .command = "backup"}};
    struct errmsg errmsg;
    const char *value;
    for (;;) {
        int place = options_next(&options, backup_options,
                                 sizeof backup_options / sizeof *backup_options, &value, &errmsg);
        if (place == OPTIONS_END) break;
        if (place == OPTIONS_BAD) return cli_usage_error(cli, "backup", "%s", errmsg.text);
        if (place == OPTIONS_WORD && copy.path != NULL)
            return cli_usage_error(cli, "backup", "unexpected argument '%s'", value);
        if (place == OPTIONS_WORD) copy.path = value;
        if (place == OPTION_FORCE) copy.force = true;
        admin_option(&copy.admin, place, value);
    }
    if (copy.path == NULL || copy.path[0] == '\0')
        return cli_usage_error(cli, "backup", "into which file?");
    int code = admin_open(&copy.admin);
    return cli_finish(cli, code != 0 ? code : make_backup(&copy));
}

const struct cli_command backup_command = {
    .name = "backup",
    .arguments = "FILE [--force]",
    .summary = "copies the whole history of a running node into a file",
    .help =
        "Consistent whatever is written meanwhile: all events up to the moment it began, and who\n"
        "the members were. It is checked on the way, and is called FILE.partial until it is\n"
        "whole and on disk. FILE may be -, for standard output: then it is whole if the exit\n"
        "code is 0. 'livetea restore' makes a cluster of it.\n"
        "Exit: 0 done, 1 refused or not written, 2 bad option, 4 no node could be reached.",
    .options = backup_options,
    .options_count = sizeof backup_options / sizeof *backup_options,
    .run = run_backup};
