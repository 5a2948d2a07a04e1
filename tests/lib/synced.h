/* Which files and directories were synced, by their inodes. For cmocka's tests that are linked with
 * --wrap=fsync; one of them includes it.
 */
#pragma once
#include <stdbool.h>
#include <sys/stat.h>

enum { SYNCED_MAX = 32 }; /* the last so many */

static ino_t synced[SYNCED_MAX];
static size_t synced_count;

int __real_fsync(int fd);
int __wrap_fsync(int fd);

int __wrap_fsync(int fd)
{
    struct stat status;
    if (fstat(fd, &status) == 0) synced[synced_count++ % SYNCED_MAX] = status.st_ino;
    return __real_fsync(fd);
}

static inline void synced_forget(void)
{
    synced_count = 0;
}

static inline bool was_synced(const char *name)
{
    struct stat status;
    assert_int_equal(stat(name, &status), 0);
    for (size_t i = 0; i < synced_count && i < SYNCED_MAX; i++) {
        if (synced[i] == status.st_ino) return true;
    }
    return false;
}
