/* A connection to a port of a target's own. */
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>

#include "fuzz.h"

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
    FUZZ_HOLDS(connect(fd, (const struct sockaddr *)&to, sizeof to) == 0);
    return fd;
}
