#include "cli/client.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum { HEAD_MAX = 16 * 1024, REQUEST_MAX = 256 * 1024, STATUS_LINE_MIN = 12 };

/* ---- nodes ---- */

static bool fits(char *out, size_t size, struct slice text)
{
    if (text.len == 0 || text.len >= size) return false;
    memcpy(out, text.at, text.len);
    out[text.len] = '\0';
    return true;
}

static bool is_port(struct slice port)
{
    uint64_t number;
    return slice_to_u64(port, &number) && number >= 1 && number <= 65535;
}

static int parse_node(struct client_node *node, struct slice url, struct errmsg *errmsg)
{
    struct slice rest = url, host, port = slice_of("80");
    if (slice_starts(rest, slice_of("https://"))) {
        errmsg_set(errmsg, "%.*s: this client speaks no TLS; give the node's own http address",
                   (int)url.len, url.at);
        return ERR_CONFIG;
    }
    bool has_scheme = slice_starts(rest, slice_of("http://"));
    if (has_scheme) rest = slice_skip(rest, 7);
    if (!has_scheme) port = slice_of("4000");
    while (rest.len > 0 && rest.at[rest.len - 1] == '/')
        rest.len--;
    if (rest.len > 0 && rest.at[0] == '[') {
        bool is_closed = slice_find(rest, ']') < rest.len;
        rest = slice_skip(rest, 1);
        host = slice_cut(&rest, ']');
        if (!is_closed || (rest.len > 0 && rest.at[0] != ':')) host.len = 0;
        if (rest.len > 0) port = slice_skip(rest, 1);
    } else {
        bool has_port = slice_find(rest, ':') < rest.len;
        host = slice_cut(&rest, ':');
        if (has_port) port = rest;
    }
    bool is_host = host.len > 0;
    for (size_t i = 0; i < host.len; i++) {
        if (!isalnum((unsigned char)host.at[i]) && strchr(".-_:%", host.at[i]) == NULL)
            is_host = false;
    }
    if (!is_host || !is_port(port) || !fits(node->host, sizeof node->host, host) ||
        !fits(node->port, sizeof node->port, port) || !fits(node->url, sizeof node->url, url)) {
        errmsg_set(errmsg, "'%.*s' is no node's address; one looks like http://127.0.0.1:4000",
                   (int)(url.len < 200 ? url.len : 200), url.at);
        return ERR_CONFIG;
    }
    return 0;
}

int client_init(struct client *client, const char *nodes, struct errmsg *errmsg)
{
    struct slice rest = slice_from(nodes);
    *client = (struct client){0};
    while (rest.len > 0) {
        struct slice url = slice_trim(slice_cut(&rest, ','));
        if (url.len == 0) continue;
        if (client->nodes_count == CLIENT_NODES_MAX) {
            errmsg_set(errmsg, "more than %d nodes", (int)CLIENT_NODES_MAX);
            return ERR_CONFIG;
        }
        int rv = parse_node(&client->nodes[client->nodes_count++], url, errmsg);
        if (rv != 0) return rv;
    }
    if (client->nodes_count > 0) return 0;
    errmsg_set(errmsg, "no node's address in it");
    return ERR_CONFIG;
}

/* ---- an answer ---- */

void client_answer_init(struct client_answer *answer)
{
    *answer = (struct client_answer){0};
    buf_init(&answer->body, CLIENT_BODY_MAX);
}

static void let_go(struct client_answer *answer)
{
    if (answer->is_held) close(answer->held_fd);
    answer->is_held = false;
}

void client_answer_close(struct client_answer *answer)
{
    let_go(answer);
    buf_close(&answer->body);
}

static bool same_word(struct slice a, const char *word)
{
    return a.len == strlen(word) && strncasecmp(a.at, word, a.len) == 0;
}

static enum client_parse parse_head(struct slice head, struct client_answer *answer,
                                    uint64_t *length, bool *has_length)
{
    struct slice line = slice_cut(&head, '\n');
    uint64_t number;
    if (line.len < STATUS_LINE_MIN || !slice_starts(line, slice_of("HTTP/1.")) ||
        !slice_to_u64(slice_make(line.at + 9, 3), &number) || number < 100)
        return CLIENT_PARSE_BAD;
    answer->status = (int)number;
    answer->retry_after_s = 0;
    while (head.len > 0) {
        struct slice value = slice_cut(&head, '\n');
        if (value.len > 0 && value.at[value.len - 1] == '\r') value.len--;
        struct slice name = slice_cut(&value, ':');
        value = slice_trim(value);
        if (same_word(name, "transfer-encoding")) return CLIENT_PARSE_BAD;
        if (same_word(name, "retry-after") && slice_to_u64(value, &number))
            answer->retry_after_s = number < 3600 ? (unsigned)number : 3600;
        if (!same_word(name, "content-length")) continue;
        if (!slice_to_u64(value, length) || *length > CLIENT_BODY_MAX) return CLIENT_PARSE_BAD;
        *has_length = true;
    }
    return CLIENT_PARSE_DONE;
}

enum client_parse client_parse(struct slice bytes, bool at_end, bool is_head,
                               struct client_answer *answer)
{
    const char *end = bytes.len == 0 ? NULL : memmem(bytes.at, bytes.len, "\r\n\r\n", 4);
    if (end == NULL) {
        if (at_end || bytes.len > HEAD_MAX) return CLIENT_PARSE_BAD;
        return CLIENT_PARSE_MORE;
    }
    uint64_t length = 0;
    bool has_length = false;
    size_t head_len = (size_t)(end - bytes.at);
    struct slice body = slice_skip(bytes, head_len + 4);
    if (parse_head(slice_first(bytes, head_len), answer, &length, &has_length) == CLIENT_PARSE_BAD)
        return CLIENT_PARSE_BAD;
    if (is_head || answer->status == 204 || answer->status == 304) body.len = length = 0;
    if (has_length && body.len < length) return at_end ? CLIENT_PARSE_BAD : CLIENT_PARSE_MORE;
    if (!has_length && !is_head && !at_end) return CLIENT_PARSE_MORE;
    buf_reset(&answer->body);
    buf_add(&answer->body, has_length ? slice_first(body, (size_t)length) : body);
    return answer->body.overflowed ? CLIENT_PARSE_BAD : CLIENT_PARSE_DONE;
}

/* ---- one node ---- */

static int wait_for(int socket_fd, short events, uint64_t deadline_ms)
{
    for (;;) {
        uint64_t now = clock_ms();
        if (now >= deadline_ms) return ERR_TIMEOUT;
        struct pollfd poll_fd = {.fd = socket_fd, .events = events};
        int rv = poll(&poll_fd, 1, (int)(deadline_ms - now));
        if (rv > 0) return 0;
        if (rv < 0 && errno != EINTR) return ERR_IO;
    }
}

static int connect_to(const struct addrinfo *address, uint64_t deadline_ms, int *socket_fd)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return ERR_IO;
    int rv = connect(fd, address->ai_addr, address->ai_addrlen) == 0 ? 0 : ERR_IO;
    if (rv != 0 && errno == EINPROGRESS) {
        int error = 0;
        socklen_t error_len = sizeof error;
        rv = wait_for(fd, POLLOUT, deadline_ms);
        if (rv == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) == 0 &&
            error != 0) {
            errno = error;
            rv = ERR_IO;
        }
    }
    if (rv == 0) {
        *socket_fd = fd;
        return 0;
    }
    int kept = errno;
    close(fd);
    errno = kept;
    return rv;
}

static int open_node(const struct client_node *node, uint64_t deadline_ms, int *socket_fd,
                     struct errmsg *errmsg)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *found = NULL;
    int rv = getaddrinfo(node->host, node->port, &hints, &found);
    if (rv == EAI_ADDRFAMILY || rv == EAI_NONAME) { /* only loopback is up: AI_ADDRCONFIG */
        hints.ai_flags = 0;
        rv = getaddrinfo(node->host, node->port, &hints, &found);
    }
    if (rv != 0) {
        errmsg_set(errmsg, "%s: %s", node->url, gai_strerror(rv));
        return ERR_IO;
    }
    rv = ERR_IO;
    for (const struct addrinfo *address = found; address != NULL && rv != 0;
         address = address->ai_next)
        rv = connect_to(address, deadline_ms, socket_fd);
    if (rv != 0) {
        errmsg_set(errmsg, "%s: %s", node->url,
                   rv == ERR_TIMEOUT ? "no answer in time" : strerror(errno));
    }
    freeaddrinfo(found);
    return rv;
}

static int send_all(int socket_fd, struct slice bytes, uint64_t deadline_ms)
{
    while (bytes.len > 0) {
        ssize_t sent = send(socket_fd, bytes.at, bytes.len, MSG_NOSIGNAL);
        if (sent >= 0) {
            bytes = slice_skip(bytes, (size_t)sent);
            continue;
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN) return ERR_IO;
        int rv = wait_for(socket_fd, POLLOUT, deadline_ms);
        if (rv != 0) return rv;
    }
    return 0;
}

static int receive(int socket_fd, bool is_head, uint64_t deadline_ms, struct buf *bytes,
                   struct client_answer *answer)
{
    char block[16 * 1024];
    for (;;) {
        ssize_t got = recv(socket_fd, block, sizeof block, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) {
            int rv = wait_for(socket_fd, POLLIN, deadline_ms);
            if (rv != 0) return rv;
            continue;
        }
        if (got < 0) return ERR_IO;
        if (got == 0 && bytes->len == 0) {
            errno = ECONNRESET;
            return ERR_IO;
        }
        buf_append(bytes, block, (size_t)got);
        if (bytes->overflowed) return ERR_FORMAT;
        switch (client_parse(buf_slice(bytes), got == 0, is_head, answer)) {
        case CLIENT_PARSE_DONE: return 0;
        case CLIENT_PARSE_BAD: return ERR_FORMAT;
        case CLIENT_PARSE_MORE: break;
        }
    }
}

static int ask_node(const struct client_node *node, const struct client_request *request,
                    struct client_answer *answer, struct errmsg *errmsg)
{
    uint64_t deadline_ms = clock_ms() + request->deadline_ms;
    int socket_fd = -1;
    int rv = open_node(node, deadline_ms, &socket_fd, errmsg);
    if (rv != 0) return rv;

    struct buf bytes;
    bool is_v6 = strchr(node->host, ':') != NULL;
    buf_init(&bytes, HEAD_MAX + CLIENT_BODY_MAX);
    buf_printf(&bytes, "%s %.*s HTTP/1.1\r\nHost: %s%s%s:%s\r\nConnection: close\r\n",
               request->method, (int)request->path.len, request->path.at, is_v6 ? "[" : "",
               node->host, is_v6 ? "]" : "", node->port);
    if (request->bearer != NULL)
        buf_printf(&bytes, "Authorization: Bearer %s\r\n", request->bearer);
    if (request->body.len > 0) {
        buf_printf(&bytes, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                   request->body.len);
    } else if (strcmp(request->method, "POST") == 0) {
        buf_add(&bytes, slice_of("Content-Length: 0\r\n"));
    }
    buf_add(&bytes, slice_of("\r\n"));
    buf_add(&bytes, request->body);

    bool is_head = strcmp(request->method, "HEAD") == 0;
    rv = send_all(socket_fd, buf_slice(&bytes), deadline_ms);
    /* A node that refuses early closes while we still send; its answer is there all the same. */
    buf_reset(&bytes);
    if (rv != ERR_TIMEOUT) rv = receive(socket_fd, is_head, deadline_ms, &bytes, answer);
    if (rv == ERR_FORMAT) {
        errmsg_set(errmsg, "%s: the answer is not HTTP as Live Tea speaks it", node->url);
    } else if (rv != 0) {
        errmsg_set(errmsg, "%s: %s", node->url,
                   rv == ERR_TIMEOUT ? "no answer in time" : strerror(errno));
    }
    if (rv != 0) answer->was_sent = true;
    buf_close(&bytes);
    if (rv == 0 && request->hold && answer->status == 202) {
        answer->is_held = true;
        answer->held_fd = socket_fd;
    } else {
        close(socket_fd);
    }
    return rv;
}

int client_ask(struct client *client, const struct client_request *request,
               struct client_answer *answer, struct errmsg *errmsg)
{
    int rv = ERR_IO;
    bool answered = false;
    let_go(answer);
    answer->was_sent = false;
    for (size_t i = 0; i < client->nodes_count; i++) {
        size_t place = (client->preferred + i) % client->nodes_count;
        const struct client_node *node = &client->nodes[place];
        bool is_last = i + 1 == client->nodes_count;
        int status = answer->status;
        rv = ask_node(node, request, answer, errmsg);
        if (rv != 0 && request->once && answer->was_sent) return rv;
        if (rv != 0) {
            answer->status = status; /* of a node before, which still holds */
            continue;
        }
        answered = true;
        answer->node = node->url;
        client->preferred = place;
        if (is_last || (answer->status != 502 && answer->status != 503)) return 0;
    }
    return answered ? 0 : rv;
}

int client_wait_end(struct client_answer *answer, unsigned ms)
{
    char block[1024];
    uint64_t deadline_ms = clock_ms() + ms;
    for (;;) {
        ssize_t got = recv(answer->held_fd, block, sizeof block, 0);
        if (got == 0) return 0;
        if (got > 0 || errno == EINTR) continue;
        if (errno != EAGAIN) return ERR_IO;
        int rv = wait_for(answer->held_fd, POLLIN, deadline_ms);
        if (rv != 0) return rv;
    }
}
