/* Not with the checked variants of libc's functions: these are they. */
#undef _FORTIFY_SOURCE
#include "faulty_io.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

enum { TAKES_ROOM = 1, MOVES_BYTES = 2, FILE_ERROR = 0x20 /* glibc's own flag */ };

static _Thread_local struct {
    bool is_armed;
    enum faulty_kind kind;
    unsigned left; /* calls to go; at 0 it fails */
    const char *hit;
} faulty;

void faulty_arm(enum faulty_kind kind, unsigned n)
{
    faulty.kind = kind;
    faulty.left = n;
    faulty.hit = NULL;
    faulty.is_armed = true;
}

const char *faulty_disarm(void)
{
    faulty.is_armed = false;
    return faulty.hit;
}

/* Is it this call's turn? `traits`: what kinds can happen to it besides FAULTY_ERROR. */
static bool is_turn(const char *name, unsigned traits)
{
    if (!faulty.is_armed || faulty.hit != NULL) return false;
    if (faulty.kind == FAULTY_FULL && (traits & TAKES_ROOM) == 0) return false;
    if (faulty.kind == FAULTY_SHORT && (traits & MOVES_BYTES) == 0) return false;
    if (--faulty.left > 0) return false;
    faulty.hit = name;
    static const int errors[] = {[FAULTY_ERROR] = EIO, [FAULTY_FULL] = ENOSPC, [FAULTY_SHORT] = 0};
    errno = errors[faulty.kind];
    return true;
}

static bool is_short(void)
{
    return faulty.kind == FAULTY_SHORT;
}

#define SEEN_BY_LIBRARIES __attribute__((visibility("default")))

/* result name(parameters), which calls REAL(arguments) unless it fails. */
#define REAL(name)                 \
    static __typeof__(name) *real; \
    if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, #name)

#define FAILS(result, name, traits, failure, parameters, arguments) \
    SEEN_BY_LIBRARIES result name parameters                        \
    {                                                               \
        REAL(name);                                                 \
        if (is_turn(#name, traits)) return failure;                 \
        return real arguments;                                      \
    }

/* Of `len` bytes half, if it is to be short. */
#define MOVES(result, name, traits, failure, parameters, arguments) \
    SEEN_BY_LIBRARIES result name parameters                        \
    {                                                               \
        REAL(name);                                                 \
        if (is_turn(#name, (traits) | MOVES_BYTES)) {               \
            if (!is_short()) return failure;                        \
            if (len > 1) len /= 2;                                  \
        }                                                           \
        return real arguments;                                      \
    }

/* ---- descriptors ---- */

static mode_t mode_behind(int flags, va_list more)
{
    return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
}

SEEN_BY_LIBRARIES int open(const char *path, int flags, ...)
{
    REAL(open);
    va_list more;
    va_start(more, flags);
    mode_t mode = mode_behind(flags, more);
    va_end(more);
    if (is_turn("open", TAKES_ROOM)) return -1;
    return real(path, flags, mode);
}

SEEN_BY_LIBRARIES int openat(int dir, const char *path, int flags, ...)
{
    REAL(openat);
    va_list more;
    va_start(more, flags);
    mode_t mode = mode_behind(flags, more);
    va_end(more);
    if (is_turn("openat", TAKES_ROOM)) return -1;
    return real(dir, path, flags, mode);
}

SEEN_BY_LIBRARIES int close(int fd)
{
    REAL(close);
    int rv = real(fd);
    return is_turn("close", 0) ? -1 : rv;
}

SEEN_BY_LIBRARIES int fcntl(int fd, int command, ...)
{
    REAL(fcntl);
    va_list more;
    va_start(more, command);
    void *argument = va_arg(more, void *);
    va_end(more);
    bool is_lock = command == F_SETLK || command == F_SETLKW || command == F_GETLK;
    if (is_lock && is_turn("fcntl", 0)) return -1;
    return real(fd, command, argument);
}

MOVES(ssize_t, read, 0, -1, (int fd, void *into, size_t len), (fd, into, len))
MOVES(ssize_t, pread, 0, -1, (int fd, void *into, size_t len, off_t at), (fd, into, len, at))
MOVES(ssize_t, write, TAKES_ROOM, -1, (int fd, const void *from, size_t len), (fd, from, len))
MOVES(ssize_t, pwrite, TAKES_ROOM, -1, (int fd, const void *from, size_t len, off_t at),
      (fd, from, len, at))
FAILS(int, fsync, TAKES_ROOM, -1, (int fd), (fd))
FAILS(int, fdatasync, TAKES_ROOM, -1, (int fd), (fd))
FAILS(int, ftruncate, TAKES_ROOM, -1, (int fd, off_t len), (fd, len))
FAILS(off_t, lseek, 0, -1, (int fd, off_t to, int from), (fd, to, from))
FAILS(int, flock, 0, -1, (int fd, int operation), (fd, operation))
FAILS(int, fstat, 0, -1, (int fd, struct stat *status), (fd, status))

SEEN_BY_LIBRARIES ssize_t writev(int fd, const struct iovec *parts, int count)
{
    REAL(writev);
    if (!is_turn("writev", TAKES_ROOM | MOVES_BYTES)) return real(fd, parts, count);
    if (!is_short()) return -1;
    return real(fd, parts, count > 1 ? count / 2 : count);
}

SEEN_BY_LIBRARIES void *mmap(void *at, size_t len, int rights, int flags, int fd, off_t from)
{
    REAL(mmap);
    if (fd >= 0 && is_turn("mmap", 0)) return MAP_FAILED;
    return real(at, len, rights, flags, fd, from);
}

/* ---- names ---- */

FAILS(int, rename, TAKES_ROOM, -1, (const char *from, const char *to), (from, to))
FAILS(int, unlink, 0, -1, (const char *path), (path))
FAILS(int, rmdir, 0, -1, (const char *path), (path))
FAILS(int, mkdir, TAKES_ROOM, -1, (const char *path, mode_t mode), (path, mode))
FAILS(int, access, 0, -1, (const char *path, int how), (path, how))
FAILS(int, stat, 0, -1, (const char *path, struct stat *status), (path, status))
FAILS(int, lstat, 0, -1, (const char *path, struct stat *status), (path, status))
FAILS(DIR *, opendir, 0, NULL, (const char *path), (path))
FAILS(struct dirent *, readdir, 0, NULL, (DIR * listing), (listing))

/* ---- streams ---- */

FAILS(FILE *, fopen, TAKES_ROOM, NULL, (const char *path, const char *mode), (path, mode))
FAILS(FILE *, fdopen, 0, NULL, (int fd, const char *mode), (fd, mode))

SEEN_BY_LIBRARIES size_t fread(void *into, size_t size, size_t len, FILE *file)
{
    REAL(fread);
    if (is_turn("fread", 0)) {
        file->_flags |= FILE_ERROR;
        return 0;
    }
    return real(into, size, len, file);
}

SEEN_BY_LIBRARIES size_t fwrite(const void *from, size_t size, size_t len, FILE *file)
{
    REAL(fwrite);
    if (is_turn("fwrite", TAKES_ROOM)) {
        file->_flags |= FILE_ERROR;
        return 0;
    }
    return real(from, size, len, file);
}

SEEN_BY_LIBRARIES int fflush(FILE *file)
{
    REAL(fflush);
    if (file != NULL && is_turn("fflush", TAKES_ROOM)) {
        file->_flags |= FILE_ERROR;
        return EOF;
    }
    return real(file);
}

/* ---- trials ---- */

static unsigned open_files(void)
{
    unsigned count = 0;
    DIR *listing = opendir("/proc/self/fd");
    assert_non_null(listing);
    while (readdir(listing) != NULL)
        count++;
    closedir(listing);
    return count;
}

/* Returns how many calls could fail. */
static unsigned try_kind(const struct faulty_trial *trial, enum faulty_kind kind)
{
    for (unsigned n = 1;; n++) {
        struct errmsg errmsg = {.text = ""};
        trial->prepare();
        unsigned before = open_files();
        faulty_arm(kind, n);
        int rv = trial->attempt(&errmsg);
        const char *call = faulty_disarm();
        if (open_files() != before)
            fail_msg("%s: call %u, %s: a file stays open", trial->name, n, call);
        if (rv != 0 && call == NULL) fail_msg("%s: without a fault: %s", trial->name, errmsg.text);
        if (rv != 0 && (strlen(errmsg.text) < 10 || strstr(errmsg.text, "Success") != NULL))
            fail_msg("%s: call %u, %s: \"%s\" tells nothing", trial->name, n, call, errmsg.text);
        if (getenv("FAULTY_VERBOSE") != NULL)
            print_message("%s %u %s: %d %s\n", trial->name, n, call == NULL ? "-" : call, rv,
                          errmsg.text);
        trial->check(rv == 0);
        if (call == NULL) return n - 1;
    }
}

void faulty_try(const struct faulty_trial *trial, unsigned calls_min)
{
    unsigned calls[FAULTY_KINDS];
    for (int kind = 0; kind < FAULTY_KINDS; kind++)
        calls[kind] = try_kind(trial, (enum faulty_kind)kind);
    print_message("%s: %u calls failed in turn, %u without room, %u short\n", trial->name,
                  calls[FAULTY_ERROR], calls[FAULTY_FULL], calls[FAULTY_SHORT]);
    assert_true(calls[FAULTY_ERROR] >= calls_min);
}
