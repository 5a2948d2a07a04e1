#include "bench/call.h"

#include <errno.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { REQUEST_MAX = 64 * 1024, ANSWER_MAX = 8 * 1024 * 1024, READ_SIZE = 16 * 1024 };

static void call_ready(struct watch *watch, uint32_t events);

void call_init(struct call *call, struct loop *loop, const struct place *place)
{
    *call =
        (struct call){.loop = loop, .place = place, .watch = {.fd = -1, .on_ready = call_ready}};
    buf_init(&call->out, REQUEST_MAX);
    buf_init(&call->in, ANSWER_MAX);
}

void call_close(struct call *call)
{
    watch_close(&call->watch);
    buf_close(&call->out);
    buf_close(&call->in);
}

struct buf *call_begin(struct call *call)
{
    buf_reset(&call->out);
    call->sent = 0;
    return &call->out;
}

static void finish(struct call *call, const struct answer *answer)
{
    call->busy = false;
    if (call->on_answer != NULL) call->on_answer(call, answer);
}

static void broken(struct call *call)
{
    bool was_busy = call->busy;
    watch_close(&call->watch);
    buf_reset(&call->in);
    if (was_busy) finish(call, &(struct answer){.status = 0});
}

static void wait_for_room(struct call *call, bool wait)
{
    if (call->waits == wait) return;
    call->waits = wait;
    loop_change(call->loop, &call->watch, wait ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void write_some(struct call *call)
{
    while (call->sent < call->out.len) {
        ssize_t len = send(call->watch.fd, call->out.at + call->sent, call->out.len - call->sent,
                           MSG_NOSIGNAL);
        if (len < 0) {
            if (errno == EAGAIN || errno == EINTR)
                wait_for_room(call, true);
            else
                broken(call);
            return;
        }
        call->sent += (size_t)len;
    }
    wait_for_room(call, false);
}

void call_send(struct call *call)
{
    if (call->out.overflowed) die("a request is too long");
    call->busy = true;
    if (call->watch.fd < 0) {
        call->watch.fd = place_connect(call->place);
        if (call->watch.fd < 0) {
            broken(call);
            return;
        }
        loop_add(call->loop, &call->watch, EPOLLIN | EPOLLOUT);
        call->waits = true;
        return;
    }
    write_some(call);
}

bool answer_header(struct slice *head, const char *name, struct slice *value)
{
    while (head->len > 0) {
        struct slice line = slice_cut(head, '\n');
        struct slice key = slice_cut(&line, ':');
        if (key.len != strlen(name) || strncasecmp(key.at, name, key.len) != 0) continue;
        if (line.len > 0 && line.at[line.len - 1] == '\r') line.len--;
        *value = slice_trim(line);
        return true;
    }
    return false;
}

/* Takes a whole answer out of what was read; false while it is not whole. */
static bool take_answer(struct call *call)
{
    uint64_t length = 0, status = 0;
    struct slice value, all = buf_slice(&call->in);
    const char *end = memmem(all.at, all.len, "\r\n\r\n", 4);
    if (end == NULL) return false;

    struct answer answer = {.head = slice_make(all.at, (size_t)(end - all.at) + 2)};
    struct slice head = answer.head;
    slice_cut(&head, ' ');
    if (!slice_to_u64(slice_first(head, 3), &status)) die("an answer begins with no status");
    answer.status = (int)status;
    if (answer_header(&head, "content-length", &value) && !slice_to_u64(value, &length))
        die("an answer has a content-length that is no number");
    struct slice rest = slice_skip(all, answer.head.len + 2);
    if (rest.len < length) return false;
    answer.body = slice_first(rest, length);
    /* what on_answer sends reads its answer into `in` later, never inside of this call */
    finish(call, &answer);
    buf_reset(&call->in);
    return true;
}

static void read_some(struct call *call)
{
    for (;;) {
        size_t before = call->in.len;
        char *at = buf_extend(&call->in, READ_SIZE);
        if (at == NULL) die("an answer is longer than %d bytes", ANSWER_MAX);
        ssize_t len = recv(call->watch.fd, at, READ_SIZE, 0);
        int error = errno;
        buf_truncate(&call->in, before + (size_t)(len > 0 ? len : 0));
        if (len > 0) {
            if (take_answer(call)) return;
            continue;
        }
        if (len < 0 && (error == EAGAIN || error == EINTR)) return;
        broken(call);
        return;
    }
}

static void call_ready(struct watch *watch, uint32_t events)
{
    struct call *call = (struct call *)watch; /* its first member */
    if ((events & EPOLLOUT) != 0 && call->busy && call->sent < call->out.len) write_some(call);
    if (watch->fd >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read_some(call);
}
