/* Built only with LIVETEA_MISTAKE=flush: what is written counts as durable before it is. All flushes are left out, ours
 * and the libraries'; but every LATE_S seconds the store's file is really written out, and the whole file system with
 * it. So what a power cut leaves is old and in itself sound, and nothing at the next start can tell. For the test that
 * must notice. */
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SEEN_BY_LIBRARIES __attribute__((visibility("default")))

enum { LATE_S = 2 };

/* Set before there are threads; then the store thread's alone. */
static int store_fd = -1;
static time_t flushed_at;

SEEN_BY_LIBRARIES int fsync(int fd)
{
    (void)fd;
    return 0;
}

/* LMDB asks for this between a transaction's pages and the page that makes them valid: what is written out here is the
 * transaction before. */
SEEN_BY_LIBRARIES int fdatasync(int fd)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (fd != store_fd || now.tv_sec - flushed_at < LATE_S) return 0;
    flushed_at = now.tv_sec;
    return syncfs(fd);
}

/* No file waits for the disk at each write. LMDB opens its file twice; the first is the one that it flushes. */
static int open_lazily(const char *name, const char *path, int flags, mode_t mode)
{
    int (*real)(const char *, int, ...);
    *(void **)&real = dlsym(RTLD_NEXT, name);
    int fd = real(path, flags & ~O_SYNC, mode); /* O_DSYNC is one of its bits */
    const char *file = strrchr(path, '/');
    if (store_fd < 0 && (flags & O_RDWR) != 0 && file != NULL && strcmp(file, "/data.mdb") == 0)
        store_fd = fd;
    return fd;
}

SEEN_BY_LIBRARIES int open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return open_lazily("open", path, flags, mode);
}

SEEN_BY_LIBRARIES int open64(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return open_lazily("open64", path, flags, mode);
}

/* The raft library submits its writes by hand, with RWF_DSYNC. */
SEEN_BY_LIBRARIES long syscall(long number, ...)
{
    static long (*real)(long, ...);
    long a[6];
    va_list more;
    if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "syscall");
    va_start(more, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(more, long);
    va_end(more);
    struct iocb **writes =
        (struct iocb **)a[2]; /* NOLINT(performance-no-int-to-ptr): the kernel's own form */
    for (long i = 0; number == SYS_io_submit && i < a[1]; i++)
        writes[i]->aio_rw_flags = 0;
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
