#include "store/data_dir.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"

enum { VERSION_FILE_MAX = 4096, PATH_SIZE = 512 };

static const char *const state_words[] = {
    [DATA_DIR_EMPTY] = "empty",     [DATA_DIR_FORMING] = "forming", [DATA_DIR_FORMED] = "formed",
    [DATA_DIR_JOINING] = "joining", [DATA_DIR_ALONE] = "alone",     [DATA_DIR_REMOVED] = "removed"};

void data_dir_path(const struct data_dir *dir, const char *name, char *out, size_t size)
{
    int len = snprintf(out, size, "%s/%s", dir->path, name);
    assert(len > 0 && (size_t)len < size);
}

/* ---- VERSION ---- */

static bool parse_id(struct slice text, uint64_t *id)
{
    uint8_t bytes[8];
    if (!slice_to_bytes(text, bytes, sizeof bytes)) return false;
    *id = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        *id = *id << 8 | bytes[i];
    return *id != 0;
}

static bool parse_state(struct slice text, enum data_dir_state *state)
{
    for (int i = DATA_DIR_FORMING; i <= DATA_DIR_REMOVED; i++) {
        if (!slice_is(text, state_words[i])) continue;
        *state = (enum data_dir_state)i;
        return true;
    }
    return false;
}

/* A damaged file may say anything, and what it says is told. */
static bool parse_node(struct slice text, struct data_dir *dir)
{
    if (text.len == 0 || text.len > NODE_NAME_MAX) return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] <= ' ' || text.at[i] > '~') return false;
    }
    memcpy(dir->node, text.at, text.len);
    dir->node[text.len] = '\0';
    return true;
}

enum {
    SEEN_FORMAT = 1,
    SEEN_NODE = 2,
    SEEN_ID = 4,
    SEEN_CLUSTER = 8,
    SEEN_STATE = 16,
    SEEN_JOINED = 32,
    SEEN_BEGUN = 64,
    SEEN_NEEDED = 31 /* all but the last two */
};

/* One line; the bit of its key, or 0 when it is not as it must be. Keys that a later release of
 * the same format may add are passed over. */
static unsigned parse_line(struct slice line, struct data_dir *dir, uint64_t *format, bool *known)
{
    struct slice value = line;
    struct slice key = slice_cut(&value, ' ');
    *known = true;
    if (slice_is(key, "format")) return slice_to_u64(value, format) ? SEEN_FORMAT : 0;
    if (slice_is(key, "node")) return parse_node(value, dir) ? SEEN_NODE : 0;
    if (slice_is(key, "id")) return parse_id(value, &dir->raft_id) ? SEEN_ID : 0;
    if (slice_is(key, "cluster")) return slice_to_bytes(value, dir->cluster, 16) ? SEEN_CLUSTER : 0;
    if (slice_is(key, "state")) return parse_state(value, &dir->state) ? SEEN_STATE : 0;
    if (slice_is(key, "joined")) return slice_to_u64(value, &dir->joined) ? SEEN_JOINED : 0;
    if (slice_is(key, "begun")) {
        dir->has_begun = slice_is(value, "1");
        return dir->has_begun ? SEEN_BEGUN : 0;
    }
    *known = false;
    return 0;
}

static int parse_version(struct data_dir *dir, struct slice text, struct errmsg *errmsg)
{
    unsigned seen = 0;
    uint64_t format = 0;
    while (text.len > 0) {
        bool known;
        struct slice line = slice_cut(&text, '\n');
        unsigned bit = parse_line(line, dir, &format, &known);
        if (!known) continue;
        if (bit == 0 || (seen & bit) != 0) {
            char quoted[96];
            errmsg_set(errmsg, "%s/VERSION is damaged: %s", dir->path,
                       log_quote(quoted, sizeof quoted, line));
            return ERR_FORMAT;
        }
        seen |= bit;
        if (bit == SEEN_FORMAT && format > DATA_DIR_FORMAT) {
            errmsg_set(errmsg,
                       "%s has format %" PRIu64
                       ", made by a newer Live Tea; this one reads up to %d",
                       dir->path, format, DATA_DIR_FORMAT);
            return ERR_TOO_LARGE;
        }
    }
    if ((seen & SEEN_NEEDED) != SEEN_NEEDED || format == 0) {
        errmsg_set(errmsg, "%s/VERSION is damaged: something is missing in it", dir->path);
        return ERR_FORMAT;
    }
    return 0;
}

/* What may lie in a directory that was never used: our lock, the leftover of a write that was cut
 * off, and what a file system puts there by itself. The event store is opened, and so made, before the
 * cluster forms. */
static bool is_of_no_matter(const char *name)
{
    static const char *const names[] = {"LOCK", "VERSION.new", "lost+found", "secret", "history"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) return true;
    }
    return false;
}

struct look {
    const char *path;
    struct errmsg *errmsg;
};

static int on_name_inside(void *owner, const char *name)
{
    (void)owner;
    (void)name;
    return ERR_DATA;
}

static int on_name(void *owner, const char *name)
{
    const struct look *look = owner;
    char path[PATH_SIZE + 256];
    if (is_of_no_matter(name)) return 0;
    /* Empty folders are left by a start that ended early. */
    snprintf(path, sizeof path, "%s/%s", look->path, name);
    int rv = ERR_DATA;
    if (strcmp(name, "raft") == 0) rv = file_list(path, on_name_inside, NULL, look->errmsg);
    if (rv == ERR_NOT_FOUND) return 0;
    if (rv == ERR_DATA)
        errmsg_set(look->errmsg,
                   "%s has no VERSION but is not empty (%.80s): it is no data directory",
                   look->path, name);
    return rv;
}

/* Without VERSION there must be nothing in it: files without an owner are somebody's history. */
static int check_unused(struct data_dir *dir, struct errmsg *errmsg)
{
    return file_list(dir->path, on_name, &(struct look){.path = dir->path, .errmsg = errmsg},
                     errmsg);
}

static int read_version(struct data_dir *dir, struct errmsg *errmsg)
{
    char path[PATH_SIZE];
    char text[VERSION_FILE_MAX];
    data_dir_path(dir, "VERSION", path, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        dir->state = DATA_DIR_EMPTY;
        return check_unused(dir, errmsg);
    }
    if (fd < 0) {
        errmsg_set(errmsg, "cannot open %s: %s", path, strerror(errno));
        return ERR_IO;
    }
    size_t len;
    int rv = file_read(fd, text, sizeof text, &len);
    if (rv != 0) errmsg_set(errmsg, "cannot read %s: %s", path, strerror(errno));
    close(fd);
    return rv != 0 ? ERR_IO : parse_version(dir, slice_make(text, len), errmsg);
}

/* ---- writing ---- */

static int write_file(const char *path, struct slice text, struct errmsg *errmsg)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool written = fd >= 0 && file_write(fd, text) == 0 && fsync(fd) == 0;
    if (!written) errmsg_set(errmsg, "cannot write %s: %s", path, strerror(errno));
    if (fd >= 0 && close(fd) != 0 && written) {
        errmsg_set(errmsg, "cannot close %s: %s", path, strerror(errno));
        written = false;
    }
    return written ? 0 : ERR_IO;
}

int data_dir_mark(struct data_dir *dir, enum data_dir_state state, struct errmsg *errmsg)
{
    assert(state != DATA_DIR_EMPTY && dir->raft_id != 0);
    char path[PATH_SIZE], path_new[PATH_SIZE];
    struct buf text;
    buf_init(&text, VERSION_FILE_MAX);
    buf_printf(&text, "format %d\nnode %s\nid %016" PRIx64 "\ncluster ", DATA_DIR_FORMAT, dir->node,
               dir->raft_id);
    buf_add_hex(&text, dir->cluster, sizeof dir->cluster);
    buf_printf(&text, "\nstate %s\n", state_words[state]);
    if (dir->joined != 0) buf_printf(&text, "joined %" PRIu64 "\n", dir->joined);
    if (dir->has_begun) buf_add(&text, slice_of("begun 1\n"));
    assert(!text.overflowed);

    data_dir_path(dir, "VERSION", path, sizeof path);
    data_dir_path(dir, "VERSION.new", path_new, sizeof path_new);
    int rv = write_file(path_new, buf_slice(&text), errmsg);
    buf_close(&text);
    if (rv != 0) return rv;
    if (rename(path_new, path) != 0) {
        errmsg_set(errmsg, "cannot rename %s: %s", path_new, strerror(errno));
        return ERR_IO;
    }
    rv = file_sync_directory(dir->path, errmsg);
    if (rv == 0) dir->state = state;
    return rv;
}

int data_dir_sync(const struct data_dir *dir, struct errmsg *errmsg)
{
    return file_sync_directory(dir->path, errmsg);
}

/* ---- opening ---- */

static int take_lock(struct data_dir *dir, struct errmsg *errmsg)
{
    char path[PATH_SIZE];
    data_dir_path(dir, "LOCK", path, sizeof path);
    dir->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (dir->lock_fd < 0) {
        errmsg_set(errmsg, "cannot open %s: %s", path, strerror(errno));
        return ERR_IO;
    }
    if (flock(dir->lock_fd, LOCK_EX | LOCK_NB) == 0) return 0;
    int error = errno;
    if (error == EWOULDBLOCK) {
        errmsg_set(errmsg, "%s is in use by another process", dir->path);
    } else {
        errmsg_set(errmsg, "cannot lock %s: %s", path, strerror(error));
    }
    close(dir->lock_fd);
    dir->lock_fd = -1;
    return error == EWOULDBLOCK ? ERR_BUSY : ERR_IO;
}

static int make_directory(const char *path, struct errmsg *errmsg)
{
    struct stat status;
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        errmsg_set(errmsg, "cannot make %s: %s", path, strerror(errno));
        return ERR_IO;
    }
    if (stat(path, &status) != 0) {
        errmsg_set(errmsg, "cannot look at %s: %s", path, strerror(errno));
        return ERR_IO;
    }
    if (!S_ISDIR(status.st_mode)) {
        errmsg_set(errmsg, "%s is not a directory", path);
        return ERR_DATA;
    }
    if ((status.st_mode & 077) != 0) {
        errmsg_set(errmsg, "%s can be reached by others (mode %03o): chmod 700 it", path,
                   (unsigned)(status.st_mode & 0777));
        return ERR_DENIED;
    }
    return 0;
}

int data_dir_open(struct data_dir *dir, const char *path, const char *node, struct errmsg *errmsg)
{
    *dir = (struct data_dir){.lock_fd = -1};
    if (strlen(path) == 0 || strlen(path) >= sizeof dir->path) {
        errmsg_set(errmsg, "the path of the data directory is empty or longer than %zu bytes",
                   sizeof dir->path - 1);
        return ERR_CONFIG;
    }
    assert(node == NULL || strlen(node) <= NODE_NAME_MAX);
    memcpy(dir->path, path, strlen(path) + 1);

    int rv = make_directory(path, errmsg);
    if (rv != 0) return rv;
    rv = take_lock(dir, errmsg);
    if (rv != 0) return rv;
    rv = read_version(dir, errmsg);
    if (rv != 0) goto fail;
    if (dir->state == DATA_DIR_EMPTY) {
        /* Made just now, or by one that was cut off before it had done this. What is formed in it must not be
         * gone after a power loss: it would form anew. */
        rv = file_sync_parent(path, errmsg);
        if (rv != 0) goto fail;
        if (node != NULL) memcpy(dir->node, node, strlen(node) + 1);
        return 0;
    }
    if (node != NULL && strcmp(dir->node, node) != 0) {
        errmsg_set(errmsg, "%s belongs to node %s, and this is %s", path, dir->node, node);
        rv = ERR_DATA;
        goto fail;
    }
    return 0;

fail:
    data_dir_close(dir);
    return rv;
}

void data_dir_close(struct data_dir *dir)
{
    if (dir->lock_fd >= 0) close(dir->lock_fd); /* lets the lock go */
    dir->lock_fd = -1;
}

void data_dir_rejoin_words(const struct data_dir *dir, const char *address,
                           char out[REJOIN_WORDS_MAX])
{
    if (dir->state == DATA_DIR_REMOVED) { /* nobody has to remove it */
        snprintf(
            out, REJOIN_WORDS_MAX,
            "Empty %s, start this node with cluster.join, and at another node: livetea members "
            "add %s=%s --promote",
            dir->path, dir->node, address);
        return;
    }
    snprintf(
        out, REJOIN_WORDS_MAX,
        "At another node: livetea members remove %s. Then empty %s, start this node with "
        "cluster.join, and: livetea members add %s=%s --promote. If no other node is left: livetea "
        "restore, from a backup",
        dir->node, dir->path, dir->node, address);
}

/* ---- room ---- */

uint64_t data_dir_free_bytes(const struct data_dir *dir)
{
    struct statvfs status;
    if (statvfs(dir->path, &status) != 0) return 0;
    return (uint64_t)status.f_bavail * status.f_frsize;
}

static bool is_room_error(int error)
{
    return error == ENOSPC || error == EDQUOT;
}

bool data_dir_has_room(const struct data_dir *dir, const char *name, uint64_t bytes)
{
    char path[PATH_SIZE];
    data_dir_path(dir, name, path, sizeof path);
    int fd = open(path, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0) return !is_room_error(errno);
    /* Not posix_fallocate: where a file system cannot do this, it would write all of it. */
    bool has_room = fallocate(fd, 0, 0, (off_t)bytes) == 0 || !is_room_error(errno);
    close(fd);
    return has_room;
}

uint64_t data_dir_used_bytes(const struct data_dir *dir, const char *name)
{
    char path[PATH_SIZE];
    data_dir_path(dir, name, path, sizeof path);
    char *const roots[] = {path, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (tree == NULL) return 0;
    uint64_t sum = 0;
    for (FTSENT *entry = fts_read(tree); entry != NULL; entry = fts_read(tree)) {
        if (entry->fts_info == FTS_F) sum += (uint64_t)entry->fts_statp->st_blocks * 512;
    }
    fts_close(tree);
    return sum;
}
