#include "app/fresh_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/file.h"
#include "base/mem.h"
#include "cluster/node.h"

enum {
    PATH_SIZE = 512,
    BATCH_EVENTS = 32 * 1024, /* of one transaction */
    BATCH_BYTES = 64 * 1024 * 1024
};

struct fresh_dir {
    struct data_dir dir;
    bool has_made_dir;
    struct event_store *store;
    struct chat chat;
    struct shared **events; /* that wait; one reference each */
    size_t count, bytes;
};

/* ---- what may lie in it ---- */

static bool may_lie_there(const char *name)
{
    static const char *const names[] = {"LOCK", "VERSION.new", "lost+found", "secret",
                                        "history.partial"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) return true;
    }
    return false;
}

struct look {
    const char *path;
    struct errmsg *errmsg;
};

static int on_name(void *owner, const char *name)
{
    const struct look *look = owner;
    if (may_lie_there(name)) return 0;
    errmsg_set(look->errmsg,
               "%s is not empty (%.80s): give the path of a new directory, or move this one away",
               look->path, name);
    return ERR_DENIED;
}

static int check_empty(const char *path, bool *is_there, struct errmsg *errmsg)
{
    int rv = file_list(path, on_name, &(struct look){.path = path, .errmsg = errmsg}, errmsg);
    *is_there = rv != ERR_NOT_FOUND;
    return *is_there ? rv : 0;
}

/* ---- beginning ---- */

static void remove_partial(const char *dir)
{
    static const char *const names[] = {"history.partial/data.mdb", "history.partial/data.mdb.new",
                                        "history.partial/lock.mdb"};
    char path[PATH_SIZE];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/history.partial", dir);
    rmdir(path);
}

/* What an earlier try left that was killed; unless it still runs. */
static int clear(const char *dir, struct errmsg *errmsg)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/history.partial", dir);
    if (access(path, F_OK) != 0) return 0;
    snprintf(path, sizeof path, "%s/LOCK", dir);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    bool is_ours = fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (is_ours) remove_partial(dir);
    if (fd >= 0) close(fd);
    if (is_ours) return 0;
    errmsg_set(errmsg, "%s is in use by another process", dir);
    return ERR_BUSY;
}

static int open_partial(struct fresh_dir *fresh, struct errmsg *errmsg)
{
    char path[PATH_SIZE];
    data_dir_path(&fresh->dir, "history.partial", path, sizeof path);
    return event_store_open(&fresh->store, &(struct event_store_options){.dir = path}, errmsg);
}

int fresh_dir_begin(struct fresh_dir **out, const char *path, const char *node,
                    struct errmsg *errmsg)
{
    static const struct chat_limits no_limits;
    bool is_there = false;
    *out = NULL;
    if (strlen(path) >= sizeof((struct data_dir *)NULL)->path) return ERR_CONFIG;
    int rv = check_empty(path, &is_there, errmsg);
    if (rv == 0) rv = clear(path, errmsg);
    if (rv != 0) return rv;
    struct fresh_dir *fresh = mem_new(sizeof *fresh);
    rv = data_dir_open(&fresh->dir, path, node, errmsg);
    if (rv != 0) {
        if (!is_there) rmdir(path);
        mem_free(fresh);
        return rv;
    }
    /* Whoever had the lock before may have filled it. */
    bool is_there_now;
    rv = check_empty(path, &is_there_now, errmsg);
    if (rv != 0) {
        data_dir_close(&fresh->dir);
        mem_free(fresh);
        return rv;
    }
    fresh->has_made_dir = !is_there;
    chat_init(&fresh->chat, &no_limits);
    fresh->events = mem_new_array(BATCH_EVENTS, sizeof(struct shared *));
    rv = open_partial(fresh, errmsg);
    if (rv != 0) {
        fresh_dir_abandon(fresh);
        return rv;
    }
    *out = fresh;
    return 0;
}

struct chat *fresh_dir_chat(struct fresh_dir *dir)
{
    return &dir->chat;
}

/* ---- filling ---- */

static int flush(struct fresh_dir *fresh, struct errmsg *errmsg)
{
    struct event_append append = {.events = fresh->events, .events_count = fresh->count};
    int rv = event_store_append(fresh->store, &append, errmsg);
    shared_unref_all(fresh->events, fresh->count);
    fresh->count = fresh->bytes = 0;
    return rv;
}

int fresh_dir_add(struct fresh_dir *dir, struct shared *bytes, struct errmsg *errmsg)
{
    dir->events[dir->count++] = shared_ref(bytes);
    dir->bytes += bytes->len;
    return dir->count == BATCH_EVENTS || dir->bytes >= BATCH_BYTES ? flush(dir, errmsg) : 0;
}

/* ---- the end ---- */

static void dispose(struct fresh_dir *fresh)
{
    event_store_close(fresh->store);
    shared_unref_all(fresh->events, fresh->count);
    mem_free(fresh->events);
    chat_close(&fresh->chat);
}

static int rename_history(struct fresh_dir *fresh, struct errmsg *errmsg)
{
    char partial[PATH_SIZE], history[PATH_SIZE];
    data_dir_path(&fresh->dir, "history.partial", partial, sizeof partial);
    data_dir_path(&fresh->dir, "history", history, sizeof history);
    int fd = open(fresh->dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rv = fd < 0 || rename(partial, history) != 0 || fsync(fd) != 0 ? ERR_IO : 0;
    if (rv != 0) errmsg_set(errmsg, "cannot rename %s: %s", partial, strerror(errno));
    if (fd >= 0) close(fd);
    return rv;
}

/* What is on disk, and the rest; the history is closed. VERSION goes first: it says that the history is whole. */
static void take_back(struct fresh_dir *fresh)
{
    char version[PATH_SIZE], version_new[PATH_SIZE];
    char partial[PATH_SIZE], history[PATH_SIZE], lock[PATH_SIZE];
    data_dir_path(&fresh->dir, "VERSION", version, sizeof version);
    data_dir_path(&fresh->dir, "VERSION.new", version_new, sizeof version_new);
    data_dir_path(&fresh->dir, "history.partial", partial, sizeof partial);
    data_dir_path(&fresh->dir, "history", history, sizeof history);
    data_dir_path(&fresh->dir, "LOCK", lock, sizeof lock);
    unlink(version);
    unlink(version_new);
    (void)rename(history, partial);
    remove_partial(fresh->dir.path);
    unlink(lock);
    if (fresh->has_made_dir) rmdir(fresh->dir.path);
    data_dir_close(&fresh->dir);
    mem_free(fresh);
}

int fresh_dir_finish(struct fresh_dir *dir, struct errmsg *errmsg)
{
    uint8_t cluster[16];
    crypto_random(cluster, sizeof cluster);
    int rv = flush(dir, errmsg);
    if (rv == 0) rv = event_store_rebind(dir->store, cluster, errmsg);
    dispose(dir);
    if (rv == 0) rv = rename_history(dir, errmsg);
    memcpy(dir->dir.cluster, cluster, sizeof cluster);
    dir->dir.raft_id = peer_id(dir->dir.node);
    if (rv == 0) rv = data_dir_mark(&dir->dir, DATA_DIR_ALONE, errmsg);
    if (rv != 0) {
        take_back(dir);
        return rv;
    }
    data_dir_close(&dir->dir);
    mem_free(dir);
    return 0;
}

void fresh_dir_abandon(struct fresh_dir *dir)
{
    if (dir == NULL) return;
    dispose(dir);
    take_back(dir);
}
