/* A directory of a target's own, in memory where there is such a place, for what reads files; it goes when the
 * process ends by itself. One for each process, in LIVETEA_TEST_DIR if that is given. */
#pragma once
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/slice.h"
#include "fuzz.h"

enum { FOLDER_PATH_MAX = 256 };

static char folder_root[FOLDER_PATH_MAX / 2];
static bool folder_is_made;

static inline int folder_remove_one(const char *path, const struct stat *what, int kind,
                                    struct FTW *where)
{
    (void)what;
    (void)kind;
    (void)where;
    return remove(path);
}

/* It and all that is in it. */
static inline void folder_remove(const char *path)
{
    (void)nftw(path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void folder_at_exit(void)
{
    folder_remove(folder_root);
}

/* "FOLDER/name" into out; the first call makes the folder. */
static inline void folder_path(char out[FOLDER_PATH_MAX], const char *name)
{
    if (!folder_is_made) {
        const char *in = getenv("LIVETEA_TEST_DIR");
        if (in == NULL) in = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        snprintf(folder_root, sizeof folder_root, "%s/livetea-fuzz-XXXXXX", in);
        FUZZ_HOLDS(mkdtemp(folder_root) != NULL);
        atexit(folder_at_exit);
        folder_is_made = true;
    }
    int len = snprintf(out, FOLDER_PATH_MAX, "%s/%s", folder_root, name);
    FUZZ_HOLDS(len > 0 && len < FOLDER_PATH_MAX);
}

static inline void folder_write(const char *path, struct slice bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_HOLDS(fd >= 0 && write(fd, bytes.at, bytes.len) == (ssize_t)bytes.len);
    close(fd);
}
