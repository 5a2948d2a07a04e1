/* What the machine can do without us: the figures that ours stand beside.
 *
 *   fan-out    one thread writes frames to N loopback sockets, 1, 4 or 16 of them a write; another
 *              process reads them. No parsing, no protocol: the least that a fan-out costs.
 *   append     4 KiB behind a file and down to the disk: fdatasync, and O_DSYNC into space that is
 *              there already
 *   ping-pong  one byte to another process and back over loopback TCP
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "bench/figures.h"
#include "bench/loop.h"

enum { FRAMES_MAX = 16, READ_SIZE = 512 * 1024, BLOCK = 4096, WRITER_CORE = 0, READER_CORE = 1 };

static const char usage[] =
    "bench_limit fanout SOCKETS BYTES SECONDS   deliveries/s at 1, 4 and 16 frames a write\n"
    "bench_limit append DIRECTORY SECONDS       latency of a durable append of 4 KiB\n"
    "bench_limit pingpong SECONDS               round trip of one byte\n";

static void stay_on(size_t core)
{
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(core, &cores);
    sched_setaffinity(0, sizeof cores, &cores); /* with one core there is nothing to choose */
}

/* A listening socket on a free port of the loopback, written back to `address`. */
static int listen_on(struct sockaddr_in *address)
{
    socklen_t len = sizeof *address;
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)address, len) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)address, &len) != 0)
        die("cannot listen on the loopback: %s", strerror(errno));
    return fd;
}

static int connect_to(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof *address) != 0)
        die("cannot connect on the loopback: %s", strerror(errno));
    return fd;
}

/* The other process ends with this one, whatever happens to it. */
static pid_t begin_other(void)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0) die("fork: %s", strerror(errno));
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(0);
    }
    return pid;
}

static void end_other(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void read_for_ever(const struct sockaddr_in *address, int sockets)
{
    char *bytes = mem_new(READ_SIZE);
    struct epoll_event ready[256];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    stay_on(READER_CORE);
    for (int i = 0; i < sockets; i++) {
        int fd = connect_to(address);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) _exit(1);
    }
    for (;;) {
        int count = epoll_wait(epoll, ready, 256, -1);
        for (int i = 0; i < count; i++)
            if (recv(ready[i].data.fd, bytes, READ_SIZE, 0) <= 0) _exit(0);
    }
}

/* Writes `frames` at once to each socket in turn. A reader that is behind makes the writer wait:
 * what counts is what got through. */
static double write_for(const int *fds, int sockets, size_t size, int frames, double seconds)
{
    char *frame = mem_new(size);
    struct iovec parts[FRAMES_MAX];
    uint64_t start = clock_ns(), now = start;
    uint64_t end = start + (uint64_t)(seconds * 1e9), bytes = 0;

    for (int i = 0; i < frames; i++)
        parts[i] = (struct iovec){.iov_base = frame, .iov_len = size};
    while (now < end) {
        for (int i = 0; i < sockets; i++) {
            ssize_t len = writev(fds[i], parts, frames);
            if (len < 0) die("writev: %s", strerror(errno));
            bytes += (uint64_t)len;
        }
        now = clock_ns();
    }
    mem_free(frame);
    return (double)bytes / (double)size / ((double)(now - start) / 1e9);
}

static void limit_fanout(int sockets, size_t size, double seconds)
{
    static const int frames[] = {1, 4, 16};
    struct sockaddr_in address;
    int listener = listen_on(&address);
    int *fds = mem_new_array((size_t)sockets, sizeof *fds);
    pid_t reader = begin_other();
    if (reader == 0) read_for_ever(&address, sockets);

    stay_on(WRITER_CORE);
    for (int i = 0; i < sockets; i++) {
        fds[i] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fds[i] < 0) die("accept: %s", strerror(errno));
    }
    figures_begin("limit_fanout");
    figures_number("sockets", sockets);
    figures_number("bytes", (double)size);
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "deliveries_per_s_%d", frames[i]);
        figures_number(name, write_for(fds, sockets, size, frames[i], seconds));
    }
    figures_end();
    end_other(reader);
    mem_free(fds);
    close(listener);
}

static void append_for(int fd, bool sync_each, double seconds, struct figures *figures)
{
    char *block = mem_new(BLOCK);
    uint64_t end = clock_ns() + (uint64_t)(seconds * 1e9), now;
    do {
        uint64_t start = clock_ns();
        ssize_t len = write(fd, block, BLOCK);
        if (len != BLOCK || (sync_each && fdatasync(fd) != 0)) die("append: %s", strerror(errno));
        now = clock_ns();
        figures_add(figures, (now - start) / 1000);
    } while (now < end);
    mem_free(block);
}

static void limit_append(const char *directory, double seconds)
{
    static struct figures synced, direct;
    char path[4096];
    snprintf(path, sizeof path, "%s/bench-append", directory);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) die("%s: %s", path, strerror(errno));
    append_for(fd, true, seconds, &synced);
    close(fd);

    fd = open(path, O_RDWR | O_DSYNC | O_TRUNC | O_CLOEXEC);
    if (fd < 0 || posix_fallocate(fd, 0, 64 * 1024 * 1024) != 0)
        die("%s: %s", path, strerror(errno));
    append_for(fd, false, seconds, &direct);
    close(fd);
    unlink(path);

    figures_begin("limit_append");
    figures_quantiles("fdatasync_", &synced);
    figures_quantiles("dsync_", &direct);
    figures_end();
}

static void limit_pingpong(double seconds)
{
    static struct figures figures;
    struct sockaddr_in address;
    int listener = listen_on(&address);
    char byte = 0;
    pid_t other = begin_other();
    if (other == 0) {
        int fd = connect_to(&address);
        while (recv(fd, &byte, 1, 0) == 1 && send(fd, &byte, 1, MSG_NOSIGNAL) == 1)
            continue;
        _exit(0);
    }
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    uint64_t end = clock_ns() + (uint64_t)(seconds * 1e9), now;
    do {
        uint64_t start = clock_ns();
        if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1 || recv(fd, &byte, 1, 0) != 1)
            die("ping-pong: %s", strerror(errno));
        now = clock_ns();
        figures_add(&figures, (now - start) / 1000);
    } while (now < end);
    figures_begin("limit_pingpong");
    figures_quantiles("", &figures);
    figures_end();
    end_other(other);
    close(fd);
    close(listener);
}

static double number(const char *text, double min, double max)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= min && value <= max))
        die("'%s' is no number from %g to %g", text, min, max);
    return value;
}

int main(int argc, char **argv)
{
    struct slice kind = argc > 1 ? slice_from(argv[1]) : slice_of("");
    signal(SIGPIPE, SIG_IGN);
    if (slice_is(kind, "fanout") && argc == 5) {
        limit_fanout((int)number(argv[2], 1, 15000), (size_t)number(argv[3], 1, 65536),
                     number(argv[4], 0.1, 600));
    } else if (slice_is(kind, "append") && argc == 4) {
        limit_append(argv[2], number(argv[3], 0.1, 60));
    } else if (slice_is(kind, "pingpong") && argc == 3) {
        limit_pingpong(number(argv[2], 0.1, 600));
    } else {
        fputs(usage, stderr);
        return 2;
    }
    return 0;
}
