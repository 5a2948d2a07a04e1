/* One thread that waits for many sockets.
 *
 * The generator must cost less than what it measures, so there is nothing between it and epoll: a
 * watch is inside of its owner, and a turn of the loop hands out what one wait has brought, then
 * gives its caller the chance to look at the clock. A generator that cannot go on says why and ends:
 * a figure of half a run is none.
 */
#pragma once
#include <stdint.h>
#include <sys/socket.h>

#include "base/slice.h"

struct watch {
    int fd; /* -1: closed; what an earlier wait brought for it is then left out */
    void (*on_ready)(struct watch *watch, uint32_t events);
};

struct loop {
    int epoll;
};

void loop_open(struct loop *loop);
void loop_close(struct loop *loop);
/* Level-triggered, for EPOLLIN and EPOLLOUT. */
void loop_add(struct loop *loop, struct watch *watch, uint32_t events);
void loop_change(struct loop *loop, struct watch *watch, uint32_t events);
/* Waits until something is ready, or `until_ns` of clock_ns() has come, and hands out what is. */
void loop_turn(struct loop *loop, uint64_t until_ns);
/* Ends the connection and the watch; fine when it is closed already. */
void watch_close(struct watch *watch);

/* A node as a browser sees it. */
struct place {
    struct sockaddr_storage address;
    socklen_t address_len;
    struct slice url;  /* "http://127.0.0.1:4001" */
    struct slice host; /* "127.0.0.1:4001", a part of it */
};

/* From http://A.B.C.D:PORT; the text must live as long. Ends the program when it is none. */
struct place place_from(const char *url);
/* A socket that has begun to connect, without delay and without blocking; -1: nobody listens. */
int place_connect(const struct place *place);

/* "bench: SENTENCE" to standard error, and exit 1. */
__attribute__((format(printf, 1, 2), noreturn)) void die(const char *format, ...);
