#include "web/listener.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"

enum { ACCEPTS_PER_TURN_MAX = 256, PAUSE_MS = 100, PORT_TEXT_MAX = 8 };

/* A poll handle rather than uv_listen: only so can we stop taking connections for a while. */
struct listener {
    uv_poll_t poll;
    uv_timer_t pause;
    struct conn_server *server;
    int fd;
    unsigned handles_open;
    bool is_stopping;
    void (*on_stopped)(void *owner);
    void *stop_owner;
};

static void on_readable(uv_poll_t *handle, int status, int events);

static void on_pause_over(uv_timer_t *handle)
{
    struct listener *listener = handle->data;

    if (!listener->is_stopping) uv_poll_start(&listener->poll, UV_READABLE, on_readable);
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
    struct listener *listener = handle->data;

    (void)status;
    (void)events;
    for (unsigned i = 0; i < ACCEPTS_PER_TURN_MAX && !listener->is_stopping; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            conn_accept(listener->server, fd);
            continue;
        }
        if (errno == EAGAIN) return;
        if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) continue;
        log_warn("accepting paused", "error=%s pause_ms=%d", uv_err_name(-errno), PAUSE_MS);
        uv_poll_stop(&listener->poll);
        uv_timer_start(&listener->pause, on_pause_over, PAUSE_MS, 0);
        return;
    }
}

/* "host:port", "[v6]:port", ":port" */
static bool split_address(const char *address, char host[ADDRESS_MAX + 1], char port[PORT_TEXT_MAX])
{
    struct slice text = slice_from(address);
    size_t colon = text.len;
    uint64_t number = 0;

    while (colon > 0 && text.at[colon - 1] != ':')
        colon--;
    if (colon == 0 || text.len > ADDRESS_MAX) return false;
    struct slice digits = slice_skip(text, colon);
    struct slice name = slice_first(text, colon - 1);
    if (name.len >= 2 && name.at[0] == '[' && name.at[name.len - 1] == ']') {
        name = slice_first(slice_skip(name, 1), name.len - 2);
    } else if (slice_find(name, ':') < name.len) {
        return false;
    }
    if (!slice_to_u64(digits, &number) || number > UINT16_MAX || digits.len >= PORT_TEXT_MAX) {
        return false;
    }
    if (name.len > 0) memcpy(host, name.at, name.len);
    host[name.len] = '\0';
    assert(digits.len > 0);
    memcpy(port, digits.at, digits.len);
    port[digits.len] = '\0';
    return true;
}

static int bind_socket(const struct addrinfo *info, bool is_shared)
{
    int on = 1;
    int off = 0;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) goto fail;
    if (is_shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) goto fail;
    if (info->ai_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0) goto fail;
    return fd;

fail:;
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return -1;
}

/* A socket that is bound and listens, or -1 with errno. */
static int listen_on(const struct addrinfo *info, const struct listen_options *options)
{
    if (options->is_shared && options->is_first) {
        int probe = bind_socket(info, false);
        if (probe < 0) return -1;
        (void)close(probe);
    }
    int fd = bind_socket(info, options->is_shared);
    if (fd >= 0 && listen(fd, options->backlog > 0 ? options->backlog : SOMAXCONN) != 0) {
        int saved = errno;
        (void)close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static int open_socket(const struct listen_options *options, struct errmsg *errmsg)
{
    char host[ADDRESS_MAX + 1] = "";
    char port[PORT_TEXT_MAX] = "";
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int fd = -1;

    if (!split_address(options->address, host, port)) {
        errmsg_set(errmsg, "%s is not an address of the form host:port", options->address);
        return -1;
    }
    int rv = getaddrinfo(host[0] == '\0' ? NULL : host, port, &hints, &list);
    if (rv != 0) {
        errmsg_set(errmsg, "%s: %s", options->address, gai_strerror(rv));
        return -1;
    }
    /* For "all addresses" the IPv6 socket first: it takes IPv4 as well. */
    for (int pass = 0; pass < 2 && fd < 0; pass++) {
        for (struct addrinfo *info = list; info != NULL && fd < 0; info = info->ai_next) {
            bool is_early = host[0] != '\0' || info->ai_family == AF_INET6;
            if (is_early != (pass == 0)) continue;
            fd = listen_on(info, options);
            if (fd < 0 && errno == EADDRINUSE) goto fail; /* half of "all" is not all */
        }
    }
fail:
    if (fd < 0) errmsg_set(errmsg, "%s: %s", options->address, uv_strerror(-errno));
    freeaddrinfo(list);
    return fd;
}

int listener_start(struct listener **out, const struct listen_options *options,
                   struct errmsg *errmsg)
{
    int fd = open_socket(options, errmsg);
    if (fd < 0) return ERR_BIND;

    struct listener *listener = mem_new(sizeof *listener);
    listener->server = options->server;
    listener->fd = fd;
    listener->poll.data = listener->pause.data = listener;
    int rv = uv_poll_init(options->loop, &listener->poll, fd);
    if (rv != 0) {
        errmsg_set(errmsg, "%s: %s", options->address, uv_strerror(rv));
        (void)close(fd);
        mem_free(listener);
        return ERR_BIND;
    }
    uv_timer_init(options->loop, &listener->pause);
    listener->handles_open = 2;
    uv_poll_start(&listener->poll, UV_READABLE, on_readable);
    *out = listener;
    return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;
    void (*on_stopped)(void *owner) = listener->on_stopped;
    void *owner = listener->stop_owner;

    if (--listener->handles_open > 0) return;
    mem_free(listener);
    if (on_stopped != NULL) on_stopped(owner);
}

void listener_stop(struct listener *listener, void (*on_stopped)(void *owner), void *owner)
{
    listener->is_stopping = true;
    listener->on_stopped = on_stopped;
    listener->stop_owner = owner;
    uv_close((uv_handle_t *)&listener->poll, on_handle_closed);
    uv_close((uv_handle_t *)&listener->pause, on_handle_closed);
    (void)close(listener->fd); /* not before: the loop would look for it by its number */
    listener->fd = -1;
}

int listener_port(const struct listener *listener)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } name;
    socklen_t len = sizeof name;

    memset(&name, 0, sizeof name);
    if (getsockname(listener->fd, &name.any, &len) != 0) return 0;
    return ntohs(name.any.sa_family == AF_INET6 ? name.v6.sin6_port : name.v4.sin_port);
}
