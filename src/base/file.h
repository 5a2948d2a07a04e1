/* Files and directories, where libc's own calls leave half of it to whoever calls: a read or a write may be
 * short or interrupted, a listing that failed looks like one that ended, and a new name is durable only when
 * its directory was synced. Any thread.
 */
#pragma once
#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"

/* All of `bytes`. 0, or -1 with errno. */
int file_write(int fd, struct slice bytes);

/* Up to `size` bytes; fewer are the file's end. 0, or -1 with errno. */
int file_read(int fd, char *into, size_t size, size_t *len);

/* What was made, renamed and removed in it stays so after a power cut. 0 or ERR_IO. */
int file_sync_directory(const char *path, struct errmsg *errmsg);

/* And so does this directory itself, in the one above it. 0 or ERR_IO. */
int file_sync_parent(const char *path, struct errmsg *errmsg);

/* Something is there; false also when that cannot be told. 0, or ERR_IO then. */
int file_exists(const char *path, bool *is_there, struct errmsg *errmsg);

/* 0 to go on. */
typedef int (*file_name_fn)(void *owner, const char *name);

/* Calls for each name in a directory, without "." and "..", in no order. 0; what on_name returned;
 * ERR_NOT_FOUND when there is no such directory; ERR_IO. */
int file_list(const char *path, file_name_fn on_name, void *owner, struct errmsg *errmsg);
