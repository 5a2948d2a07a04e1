#include "cluster/rpc.h"

#include <assert.h>
#include <string.h>

#include <utlist.h>

#include "base/buf.h"
#include "base/crypto.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/wire.h"

enum {
    HEAD_SIZE = 4 + 1 + 8,
    RETRY_MIN_MS = 100,
    RETRY_MAX_MS = 1000,
    READ_SIZE = 64 * 1024,
    KEEP_SIZE = 256 * 1024 /* of the receive buffer between frames */
};

struct rpc_peer { /* and our link to it */
    struct rpc *rpc;
    struct rpc_peer *next, *prev;
    uint64_t id;
    char address[NODE_NAME_MAX + 1 + ADDRESS_MAX + 1];
    struct dial dial;
    uv_stream_t *out;  /* NULL: being dialed, or waiting to be */
    struct inward *in; /* its newest link to us */
    uv_timer_t retry;
    unsigned wait_ms;
    bool is_refused;
    uint64_t frames_in, frames_out;
    size_t writes;   /* of libuv, still to come back */
    bool is_removed; /* from the list; goes when its timer and its writes have come back */
    bool is_timer_closed;
};

struct inward { /* a link that a peer has opened */
    struct rpc *rpc;
    struct inward *next, *prev;
    uint64_t peer;
    uv_stream_t *stream;
    struct buf buf;
    bool is_reading; /* inside of on_frame: close later */
    bool is_closed;
};

struct outgoing { /* bytes that did not go out at once */
    uv_write_t write;
    char bytes[];
};

struct rpc {
    uv_loop_t *loop;
    struct transport *transport;
    struct rpc_handler handler;
    struct rpc_peer *peers;
    struct inward *inwards;
    unsigned closing_timers;
    size_t writes; /* of libuv, still to come back */
    bool is_stopping;
    void (*on_stopped)(void *owner);
    void *stopped_owner;
};

static struct rpc_peer *find(const struct rpc *rpc, uint64_t id)
{
    struct rpc_peer *peer;
    DL_FOREACH(rpc->peers, peer) {
        if (peer->id == id) return peer;
    }
    return NULL;
}

static void tell_link(struct rpc *rpc, uint64_t peer)
{
    if (!rpc->is_stopping) rpc->handler.on_link(rpc->handler.owner, peer);
}

/* ---- our link to a peer ---- */

static void on_retry(uv_timer_t *timer)
{
    struct rpc_peer *peer = timer->data;
    transport_dial(peer->rpc->transport, &peer->dial, LINK_RPC, peer->id, peer->address);
}

static void dial_later(struct rpc_peer *peer)
{
    uint16_t random;
    if (peer->rpc->is_stopping || peer->is_removed) return;
    crypto_random(&random, sizeof random);
    unsigned wait_ms = peer->wait_ms / 2 + random % peer->wait_ms;
    uv_timer_start(&peer->retry, on_retry, wait_ms, 0);
    peer->wait_ms = peer->wait_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : peer->wait_ms * 2;
}

static void close_out(struct rpc_peer *peer)
{
    if (peer->out == NULL) return;
    transport_close_stream(peer->out);
    peer->out = NULL;
    dial_later(peer);
    tell_link(peer->rpc, peer->id);
}

static void on_out_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    static char nothing[64]; /* whatever comes is not looked at */
    (void)handle;
    (void)suggested;
    *out = uv_buf_init(nothing, sizeof nothing);
}

/* The other side sends nothing on it: reading only tells when it is gone. */
static void on_out_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *bytes)
{
    struct rpc_peer *peer = stream->data;
    (void)bytes;
    if (count == 0) return;
    if (count > 0) {
        log_warn("cluster link closed", "peer=%s reason=\"bytes on a one-way link\"",
                 peer->address);
    }
    close_out(peer);
}

static void on_dialed(struct dial *dial, uv_stream_t *stream, int status)
{
    struct rpc_peer *peer = dial->owner;
    bool was_refused = peer->is_refused;
    peer->is_refused = status == UV_ECONNREFUSED;
    if (status != 0) {
        log_debug("cluster peer not reached", "peer=%s reason=\"%s\"", peer->address,
                  uv_strerror(status));
        dial_later(peer);
        if (peer->is_refused != was_refused) tell_link(peer->rpc, peer->id);
        return;
    }
    peer->out = stream;
    stream->data = peer;
    peer->wait_ms = RETRY_MIN_MS;
    if (uv_read_start(stream, on_out_alloc, on_out_read) != 0) {
        close_out(peer);
        return;
    }
    log_debug("cluster link up", "peer=%s", peer->address);
    tell_link(peer->rpc, peer->id);
}

static void maybe_stopped(struct rpc *rpc)
{
    struct rpc_peer *peer, *next;
    if (!rpc->is_stopping || rpc->closing_timers > 0 || rpc->writes > 0) return;
    void (*on_stopped)(void *) = rpc->on_stopped;
    void *owner = rpc->stopped_owner;
    DL_FOREACH_SAFE(rpc->peers, peer, next) {
        mem_free(peer);
    }
    mem_free(rpc);
    on_stopped(owner);
}

static void maybe_gone(struct rpc_peer *peer)
{
    if (peer->is_removed && peer->is_timer_closed && peer->writes == 0) mem_free(peer);
}

static void on_written(uv_write_t *write, int status)
{
    struct rpc_peer *peer = write->data;
    struct rpc *rpc = peer->rpc;
    bool is_current = peer->out == write->handle;
    mem_free(write);
    rpc->writes--;
    peer->writes--;
    if (status != 0 && is_current) close_out(peer);
    maybe_gone(peer);
    maybe_stopped(rpc);
}

/* Most frames leave with the first system call; what is left over is copied and waits. */
static int write_frame(struct rpc_peer *peer, const char *head, struct slice body)
{
    size_t total = HEAD_SIZE + body.len, done = 0;
    size_t waiting = uv_stream_get_write_queue_size(peer->out);
    if (waiting == 0) {
        char copy[HEAD_SIZE];
        memcpy(copy, head, sizeof copy);
        uv_buf_t parts[2] = {uv_buf_init(copy, HEAD_SIZE)};
        /* libuv only reads it, but its type does not say so. */
        memcpy(&parts[1].base, &body.at, sizeof body.at);
        parts[1].len = body.len;
        int rv = uv_try_write(peer->out, parts, body.len == 0 ? 1 : 2);
        if (rv < 0 && rv != UV_EAGAIN) return ERR_CLOSED;
        done = rv < 0 ? 0 : (size_t)rv;
        if (done == total) return 0;
    } else if (waiting + total > RPC_OUT_MAX) {
        return ERR_FULL;
    }
    struct outgoing *outgoing = mem_new(sizeof *outgoing + total);
    memcpy(outgoing->bytes, head, HEAD_SIZE);
    if (body.len > 0) memcpy(outgoing->bytes + HEAD_SIZE, body.at, body.len);
    outgoing->write.data = peer;
    uv_buf_t rest = uv_buf_init(outgoing->bytes + done, (unsigned)(total - done));
    if (uv_write(&outgoing->write, peer->out, &rest, 1, on_written) == 0) {
        peer->rpc->writes++;
        peer->writes++;
        return 0;
    }
    mem_free(outgoing);
    return ERR_CLOSED;
}

int rpc_send(struct rpc *rpc, uint64_t to, enum rpc_type type, uint64_t id, struct slice body)
{
    uint8_t head[HEAD_SIZE];
    struct rpc_peer *peer = find(rpc, to);
    assert(HEAD_SIZE - 4 + body.len <= RPC_FRAME_MAX);
    if (peer == NULL || peer->out == NULL) return ERR_CLOSED;
    little_store(head, HEAD_SIZE - 4 + body.len, 4);
    head[4] = (uint8_t)type;
    little_store(head + 5, id, 8);
    int rv = write_frame(peer, (const char *)head, body);
    if (rv == 0) {
        peer->frames_out++;
        return 0;
    }
    if (rv == ERR_FULL) {
        log_warn("cluster link closed", "peer=%s reason=\"it does not read\"", peer->address);
    }
    close_out(peer);
    return rv;
}

void rpc_send_all(struct rpc *rpc, enum rpc_type type, uint64_t id, struct slice body)
{
    struct rpc_peer *peer, *next;
    DL_FOREACH_SAFE(rpc->peers, peer, next) {
        rpc_send(rpc, peer->id, type, id, body);
    }
}

void rpc_add_peer(struct rpc *rpc, uint64_t id, const char *address)
{
    if (find(rpc, id) != NULL) return;
    struct rpc_peer *peer = mem_new(sizeof *peer);
    *peer = (struct rpc_peer){.rpc = rpc,
                              .id = id,
                              .wait_ms = RETRY_MIN_MS,
                              .dial = {.owner = peer, .on_dialed = on_dialed}};
    assert(strlen(address) < sizeof peer->address);
    memcpy(peer->address, address, strlen(address) + 1);
    uv_timer_init(rpc->loop, &peer->retry);
    peer->retry.data = peer;
    DL_APPEND(rpc->peers, peer);
    transport_dial(rpc->transport, &peer->dial, LINK_RPC, id, peer->address);
}

/* ---- their links to us ---- */

static void close_inward(struct inward *inward)
{
    struct rpc *rpc = inward->rpc;
    if (inward->is_closed) return;
    inward->is_closed = true;
    struct rpc_peer *peer = find(rpc, inward->peer);
    if (peer != NULL && peer->in == inward) peer->in = NULL;
    transport_close_stream(inward->stream);
    DL_DELETE(rpc->inwards, inward);
    uint64_t id = inward->peer;
    if (!inward->is_reading) {
        buf_close(&inward->buf);
        mem_free(inward);
    }
    tell_link(rpc, id);
}

static void on_in_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct inward *inward = handle->data;
    (void)suggested;
    size_t before = inward->buf.len;
    char *at = buf_extend(&inward->buf, READ_SIZE);
    buf_truncate(&inward->buf, before);
    *out = uv_buf_init(at, at == NULL ? 0 : READ_SIZE);
}

/* One frame off the front of `rest`. False: not whole yet, or the link was closed. */
static bool take_frame(struct inward *inward, struct slice *rest)
{
    if (inward->is_closed || rest->len < 4) return false;
    uint64_t len = little_load(rest->at, 4);
    if (len < HEAD_SIZE - 4 || len > RPC_FRAME_MAX) {
        log_warn("cluster link closed", "reason=\"a frame of %llu bytes\"",
                 (unsigned long long)len);
        close_inward(inward);
        return false;
    }
    if (rest->len < 4 + len) return false;
    struct rpc_frame frame = {.peer = inward->peer,
                              .type = (uint8_t)rest->at[4],
                              .id = little_load(rest->at + 5, 8),
                              .body = slice_make(rest->at + HEAD_SIZE, len + 4 - HEAD_SIZE)};
    *rest = slice_skip(*rest, 4 + len);
    struct rpc_peer *peer = find(inward->rpc, inward->peer);
    if (peer != NULL) peer->frames_in++;
    int rv = inward->rpc->handler.on_frame(inward->rpc->handler.owner, &frame);
    if (rv == 0 || inward->is_closed) return !inward->is_closed;
    log_warn("cluster link closed", "reason=\"a frame of type %d is damaged\"", frame.type);
    close_inward(inward);
    return false;
}

static void on_in_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *bytes)
{
    struct inward *inward = stream->data;
    (void)bytes;
    if (count == 0) return;
    if (count < 0) {
        close_inward(inward);
        return;
    }
    inward->buf.len += (size_t)count;
    struct slice rest = buf_slice(&inward->buf);
    inward->is_reading = true;
    while (take_frame(inward, &rest)) {}
    inward->is_reading = false;
    if (inward->is_closed) {
        buf_close(&inward->buf);
        mem_free(inward);
        return;
    }
    if (rest.len > 0 && rest.at != inward->buf.at) memmove(inward->buf.at, rest.at, rest.len);
    buf_truncate(&inward->buf, rest.len);
    if (rest.len == 0) buf_shrink(&inward->buf, KEEP_SIZE);
}

void rpc_accept(struct rpc *rpc, uint64_t id, uv_stream_t *stream)
{
    struct rpc_peer *peer = find(rpc, id);
    if (rpc->is_stopping || peer == NULL) {
        transport_close_stream(stream);
        return;
    }
    struct inward *inward = mem_new(sizeof *inward), *old = peer->in;
    *inward = (struct inward){.rpc = rpc, .peer = id, .stream = stream};
    buf_init(&inward->buf, 4 + RPC_FRAME_MAX + READ_SIZE);
    stream->data = inward;
    DL_APPEND(rpc->inwards, inward);
    peer->in = inward;
    if (old != NULL) close_inward(old);
    if (uv_read_start(stream, on_in_alloc, on_in_read) != 0) {
        close_inward(inward);
        return;
    }
    /* It lives: no reason to wait long until we dial it. */
    if (peer->out == NULL && uv_is_active((uv_handle_t *)&peer->retry)) {
        peer->wait_ms = RETRY_MIN_MS;
        uv_timer_start(&peer->retry, on_retry, 0, 0);
    }
    tell_link(rpc, id);
}

/* ---- the whole ---- */

bool rpc_peer_status(const struct rpc *rpc, uint64_t id, struct rpc_peer_status *status)
{
    const struct rpc_peer *peer = find(rpc, id);
    if (peer == NULL) return false;
    *status = (struct rpc_peer_status){.is_up = peer->out != NULL,
                                       .is_heard = peer->in != NULL,
                                       .is_refused = peer->is_refused,
                                       .frames_in = peer->frames_in,
                                       .frames_out = peer->frames_out};
    return true;
}

struct rpc *rpc_new(uv_loop_t *loop, struct transport *transport, const struct rpc_handler *handler)
{
    struct rpc *rpc = mem_new(sizeof *rpc);
    *rpc = (struct rpc){.loop = loop, .transport = transport, .handler = *handler};
    return rpc;
}

static void on_retry_closed(uv_handle_t *handle)
{
    struct rpc_peer *peer = handle->data;
    struct rpc *rpc = peer->rpc;
    rpc->closing_timers--;
    peer->is_timer_closed = true;
    maybe_gone(peer);
    maybe_stopped(rpc);
}

static void close_peer(struct rpc_peer *peer)
{
    transport_hang_up(&peer->dial);
    close_out(peer);
    peer->rpc->closing_timers++;
    uv_close((uv_handle_t *)&peer->retry, on_retry_closed);
}

void rpc_remove_peer(struct rpc *rpc, uint64_t id)
{
    struct rpc_peer *peer = find(rpc, id);
    if (peer == NULL || rpc->is_stopping) return;
    if (peer->in != NULL) close_inward(peer->in);
    DL_DELETE(rpc->peers, peer);
    peer->is_removed = true;
    close_peer(peer);
}

void rpc_stop(struct rpc *rpc, void (*on_stopped)(void *owner), void *owner)
{
    struct rpc_peer *peer;
    struct inward *inward, *next;
    rpc->is_stopping = true;
    rpc->on_stopped = on_stopped;
    rpc->stopped_owner = owner;
    DL_FOREACH_SAFE(rpc->inwards, inward, next) {
        close_inward(inward);
    }
    DL_FOREACH(rpc->peers, peer) {
        close_peer(peer);
    }
    maybe_stopped(rpc);
}
