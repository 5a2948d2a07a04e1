/* The n-th call to the operating system about files fails, n = 1, 2, 3, ... until none does.
 *
 * Linked into a test, it stands before libc for the test, for our code and for the libraries that are loaded with it
 * (LMDB), because the dynamic linker looks into the program first. Only calls of the thread that has armed it count: open,
 * openat, close, read, pread, fread, write, pwrite, writev, fwrite, fflush, fsync, fdatasync, ftruncate, fcntl with a
 * lock, flock, rename, unlink, rmdir, mkdir, opendir, readdir, access, fopen, fdopen, fstat, stat, lstat, lseek, and
 * mmap of a file. What libc calls within itself does not pass here: that is why fread and its kin are in the list.
 */
#pragma once
#include <stdbool.h>

#include "base/err.h"

enum faulty_kind {
    FAULTY_ERROR, /* EIO; a file that is closed is closed all the same */
    FAULTY_FULL, /* ENOSPC, of what takes room: open, mkdir, rename, the writing calls and the syncing ones */
    FAULTY_SHORT, /* half of it is read or written; the next call goes on */
    FAULTY_KINDS
};

void faulty_arm(enum faulty_kind kind, unsigned n);
/* Nothing fails any more. The name of the call that did, or NULL: there were fewer than n. */
const char *faulty_disarm(void);

struct faulty_trial {
    const char *name;
    void (*prepare)(void);                 /* nothing fails in it */
    int (*attempt)(struct errmsg *errmsg); /* 0, or a code with a sentence */
    void (*check)(bool is_done);           /* what must be on disk now; nothing fails in it */
};

/* The attempt with each of its calls failing in turn, in each of the kinds, and once with none. Fails the test when
 * there is no sentence, when a descriptor stays open, or when fewer than `calls_min` calls could fail. */
void faulty_try(const struct faulty_trial *trial, unsigned calls_min);
