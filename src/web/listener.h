/* Accept: one listening socket for each web thread, all on the same port (SO_REUSEPORT), so that the
 * kernel spreads connections and no thread hands a socket to another.
 */
#pragma once
#include "base/err.h"
#include "web/conn.h"

struct listener;

struct listen_options {
    uv_loop_t *loop;
    struct conn_server *server;
    const char *address; /* host:port; host may be a name, "[::1]" or empty for all */
    int backlog;
    bool is_shared; /* SO_REUSEPORT; several threads listen */
    bool is_first;  /* of those threads: with is_shared, another program that listens there already
                     * is an error (the kernel would give each a part of the connections) */
};

/* Resolves and binds at once (blocking; at start). 0 or ERR_BIND with the address in errmsg. Out of
 * descriptors, accepting pauses for 100 ms: no busy loop. */
int listener_start(struct listener **out, const struct listen_options *options,
                   struct errmsg *errmsg);
/* Stops accepting at once; `on_stopped` when the handle is closed (may be NULL). Frees it. */
void listener_stop(struct listener *listener, void (*on_stopped)(void *owner), void *owner);

/* The port that it got (for port 0). */
int listener_port(const struct listener *listener);
