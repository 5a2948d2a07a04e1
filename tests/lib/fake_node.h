/* A node that says what it was told to say, once for each connection, in a child process, and remembers
 * what it was asked.
 */
#pragma once
#include <stddef.h>
#include <sys/types.h>

enum { FAKE_NODE_HEARD_MAX = 64 * 1024 };

struct fake_node {
    unsigned port;
    int heard_fd;
    pid_t child;
    char heard[FAKE_NODE_HEARD_MAX]; /* once stopped: the requests, one behind the other */
};

struct fake_answer { /* any bytes; none: the connection is closed in silence */
    const char *at;
    size_t len;
};

/* It ends by itself behind the last answer. */
void fake_node_start(struct fake_node *node, const struct fake_answer *answers,
                     size_t answers_count);
/* Texts, and a NULL behind them. */
void fake_node_say(struct fake_node *node, const char *const *answers);
/* Waits until all was said; fails if it was not. */
void fake_node_stop(struct fake_node *node);
