/* Built only with LIVETEA_MISTAKE=flush: nothing that is written is flushed, neither by us nor by a library, and all
 * believe it was. For the test that must notice. */
#include <dlfcn.h>
#include <linux/aio_abi.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SEEN_BY_LIBRARIES __attribute__((visibility("default")))

SEEN_BY_LIBRARIES int fsync(int fd)
{
    (void)fd;
    return 0;
}

SEEN_BY_LIBRARIES int fdatasync(int fd)
{
    (void)fd;
    return 0;
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
