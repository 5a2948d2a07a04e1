/* A connection to a port of a target's own, which is served by the same thread: whoever waits here gives the
 * target's loop its turns.
 */
#pragma once
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <uv.h>

#include "base/slice.h"
#include "fuzz.h"

/* The fuzzer's clock may interrupt it: the connection is made all the same. */
static inline void call_connect(int fd, const struct sockaddr_in *to)
{
    struct pollfd made = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t len = sizeof error;
    if (connect(fd, (const struct sockaddr *)to, sizeof *to) == 0) return;
    FUZZ_HOLDS(errno == EINTR);
    while (poll(&made, 1, -1) < 0)
        FUZZ_HOLDS(errno == EINTR);
    FUZZ_HOLDS(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0);
}

/* Each from another address of this machine: a port that was used is not free again for a minute, and there are
 * thousands of connections a second. */
static inline int call_port(int port)
{
    static uint32_t calls;
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr = {.s_addr = htonl(0x7f010001u + ++calls % 0xfff0u)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    FUZZ_HOLDS(fd >= 0);
    FUZZ_HOLDS(setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes) == 0);
    FUZZ_HOLDS(bind(fd, (const struct sockaddr *)&from, sizeof from) == 0);
    call_connect(fd, &to);
    return fd;
}

static inline void call_say(uv_loop_t *loop, int fd, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t count = send(fd, bytes.at, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count > 0) bytes = slice_skip(bytes, (size_t)count);
        if (count < 0 && errno != EAGAIN) return; /* it has enough of us */
        uv_run(loop, UV_RUN_NOWAIT);
    }
}

/* Until `wanted` bytes are there or the other side ends; returns how many came. */
static inline size_t call_hear(uv_loop_t *loop, int fd, void *out, size_t wanted)
{
    size_t got = 0;
    while (got < wanted) {
        ssize_t count = recv(fd, (char *)out + got, wanted - got, MSG_DONTWAIT);
        if (count > 0) got += (size_t)count;
        if (count == 0 || (count < 0 && errno != EAGAIN)) break;
        if (count < 0) uv_run(loop, UV_RUN_ONCE);
    }
    return got;
}
