/* The beginning of the file: LMDB writes its two heads in one go and would take half of that, after a full disk or
 * a power cut, for a file that is not its own. So they are written under another name, which is replaced when they are
 * durable; the tables come with the first transaction. */
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "store/event_store_inside.h"

enum { PATH_SIZE = 512 };

static int write_heads(const char *path)
{
    MDB_env *env = NULL;
    int rv = mdb_env_create(&env);
    if (rv != 0) return rv;
    rv = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK, 0600);
    if (rv == 0) rv = mdb_env_sync(env, 1);
    mdb_env_close(env);
    return rv;
}

static int make_file(const char *path, const char *path_new, struct errmsg *errmsg)
{
    if (unlink(path_new) != 0 && errno != ENOENT)
        return fail(errmsg, errno, "remove what an earlier start has left");
    int rv = write_heads(path_new);
    if (rv == 0 && rename(path_new, path) != 0) rv = errno;
    return rv == 0 ? 0 : fail(errmsg, rv, "make the file");
}

int event_store_make(const char *dir, struct errmsg *errmsg)
{
    char path[PATH_SIZE], path_new[PATH_SIZE];
    int len = snprintf(path_new, sizeof path_new, "%s/data.mdb.new", dir);
    if (len < 0 || (size_t)len >= sizeof path_new) {
        errmsg_set(errmsg, "event store: the path of its directory is too long");
        return ERR_CONFIG;
    }
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    bool is_there;
    int rv = file_exists(path, &is_there, errmsg);
    if (rv == 0 && !is_there) rv = make_file(path, path_new, errmsg);
    /* Each time, for who made it may have been cut off before. LMDB syncs its file; that the file is in its
     * directory, and that in its parent, is ours to sync. */
    if (rv == 0) rv = file_sync_directory(dir, errmsg);
    return rv == 0 ? file_sync_parent(dir, errmsg) : rv;
}
