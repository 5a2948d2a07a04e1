#include "bench/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { READY_MAX = 256 };

void die(const char *format, ...)
{
    va_list args;
    fflush(stdout);
    fputs("bench: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

void loop_open(struct loop *loop)
{
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0) die("epoll: %s", strerror(errno));
}

void loop_close(struct loop *loop)
{
    close(loop->epoll);
    loop->epoll = -1;
}

static void control(struct loop *loop, int operation, struct watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(loop->epoll, operation, watch->fd, &event) != 0)
        die("epoll_ctl: %s", strerror(errno));
}

void loop_add(struct loop *loop, struct watch *watch, uint32_t events)
{
    control(loop, EPOLL_CTL_ADD, watch, events);
}

void loop_change(struct loop *loop, struct watch *watch, uint32_t events)
{
    control(loop, EPOLL_CTL_MOD, watch, events);
}

void loop_turn(struct loop *loop, uint64_t until_ns)
{
    struct epoll_event ready[READY_MAX];
    uint64_t now = clock_ns();
    uint64_t wait = until_ns > now ? until_ns - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(wait / 1000000000U),
                               .tv_nsec = (long)(wait % 1000000000U)};

    int count = epoll_pwait2(loop->epoll, ready, READY_MAX, &timeout, NULL);
    if (count < 0 && errno != EINTR) die("epoll_pwait2: %s", strerror(errno));
    for (int i = 0; i < count; i++) {
        struct watch *watch = ready[i].data.ptr;
        if (watch->fd >= 0) watch->on_ready(watch, ready[i].events);
    }
}

void watch_close(struct watch *watch)
{
    if (watch->fd >= 0) close(watch->fd);
    watch->fd = -1;
}

struct place place_from(const char *url)
{
    struct place place = {.url = slice_from(url)};
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[INET_ADDRSTRLEN] = "";
    uint64_t port = 0;

    struct slice rest = place.url;
    if (!slice_starts(rest, slice_of("http://"))) die("'%s' is not http://ADDRESS:PORT", url);
    rest = place.host = slice_skip(rest, strlen("http://"));
    struct slice name = slice_cut(&rest, ':');
    if (name.len > 0 && name.len < sizeof host) memcpy(host, name.at, name.len);
    if (!slice_to_u64(rest, &port) || port == 0 || port > UINT16_MAX ||
        inet_pton(AF_INET, host, &address.sin_addr) != 1)
        die("'%s' is not http://ADDRESS:PORT with an IPv4 address and no path", url);
    address.sin_port = htons((uint16_t)port);
    memcpy(&place.address, &address, sizeof address);
    place.address_len = sizeof address;
    return place;
}

int place_connect(const struct place *place)
{
    int one = 1;
    int fd = socket(place->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) die("socket: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    const struct sockaddr *address = (const struct sockaddr *)&place->address;
    if (connect(fd, address, place->address_len) != 0 && errno != EINPROGRESS) {
        int error = errno;
        close(fd);
        if (error == ECONNREFUSED) return -1;
        die("connect to %.*s: %s", (int)place->host.len, place->host.at, strerror(error));
    }
    return fd;
}
