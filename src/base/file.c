#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int file_write(int fd, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t count = write(fd, bytes.at, bytes.len);
        if (count < 0 && errno != EINTR) return -1;
        if (count > 0) bytes = slice_skip(bytes, (size_t)count);
    }
    return 0;
}

int file_read(int fd, char *into, size_t size, size_t *len)
{
    *len = 0;
    while (*len < size) {
        ssize_t count = read(fd, into + *len, size - *len);
        if (count < 0 && errno != EINTR) return -1;
        if (count == 0) break;
        if (count > 0) *len += (size_t)count;
    }
    return 0;
}

int file_sync_directory(const char *path, struct errmsg *errmsg)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rv = fd < 0 || fsync(fd) != 0 ? ERR_IO : 0;
    if (rv != 0) errmsg_set(errmsg, "cannot sync %s: %s", path, strerror(errno));
    if (fd >= 0) close(fd);
    return rv;
}

int file_sync_parent(const char *path, struct errmsg *errmsg)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int parent = fd < 0 ? -1 : openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rv = parent < 0 ? -1 : fsync(parent);
    /* One that we may not list cannot be synced by itself; one that nobody can write to needs it not. */
    if (fd >= 0 && parent < 0 && errno == EACCES) rv = syncfs(fd);
    if (parent >= 0 && rv != 0 && (errno == EINVAL || errno == EROFS)) rv = 0;
    if (rv != 0) errmsg_set(errmsg, "cannot sync the directory of %s: %s", path, strerror(errno));
    if (parent >= 0) close(parent);
    if (fd >= 0) close(fd);
    return rv == 0 ? 0 : ERR_IO;
}

int file_exists(const char *path, bool *is_there, struct errmsg *errmsg)
{
    *is_there = access(path, F_OK) == 0;
    if (*is_there || errno == ENOENT || errno == ENOTDIR) return 0;
    errmsg_set(errmsg, "cannot look for %s: %s", path, strerror(errno));
    return ERR_IO;
}

int file_list(const char *path, file_name_fn on_name, void *owner, struct errmsg *errmsg)
{
    DIR *listing = opendir(path);
    int rv = 0, error = listing == NULL ? errno : 0;
    while (listing != NULL && rv == 0) {
        errno = 0; /* the end and a failure differ by it alone */
        struct dirent *entry = readdir(listing);
        error = errno;
        if (entry == NULL) break;
        error = 0;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        rv = on_name(owner, entry->d_name);
    }
    if (listing != NULL) closedir(listing);
    if (error == 0) return rv;
    errmsg_set(errmsg, "cannot list %s: %s", path, strerror(error));
    return listing == NULL && error == ENOENT ? ERR_NOT_FOUND : ERR_IO;
}
