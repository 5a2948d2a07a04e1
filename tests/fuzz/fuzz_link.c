/* The cluster's port, through a real socket. Byte 0:
 *
 *   'p'  what a stranger sends: whatever it is, nobody gets a link for it
 *   'k'  so, but begun with a right hello; the rest stands where the proof is due
 *   'f'  what somebody sends who knows the secret: byte 1 is the size of a piece, the rest are frames,
 *        and each that arrives is as long as its head said
 *   'h'  somebody who knows the secret says a hello that is right but for some bytes: place u16, byte. With
 *        another cluster, another id or another protocol there is no link
 *
 * The stranger sends, ends its half, and waits for the end of the other one.
 */
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/limits.h"
#include "base/little_endian.h"
#include "base/log.h"
#include "call.h"
#include "cluster/rpc.h"

enum { HELLO_SIZE = 384, CHALLENGE_SIZE = 64, PROOF_SIZE = 32, WANTED_MAX = 256 };

static const char secret[] = "a shared secret of thirty-two bytes";

static struct {
    uv_loop_t loop;
    struct transport *transport;
    struct rpc *rpc;
    unsigned links, frames;
    bool is_open;
} port;

static bool may_link(void *owner, enum link_kind kind, uint64_t id)
{
    (void)owner;
    (void)kind;
    return id == 2;
}

static void on_link(void *owner, uint64_t id, uv_stream_t *stream)
{
    (void)owner;
    port.links++;
    rpc_accept(port.rpc, id, stream);
}

static int on_frame(void *owner, const struct rpc_frame *frame)
{
    uint8_t sum = 0;
    (void)owner;
    port.frames++;
    FUZZ_HOLDS(frame->peer == 2 && frame->body.len <= RPC_FRAME_MAX);
    for (size_t i = 0; i < frame->body.len; i++)
        sum = (uint8_t)(sum + (uint8_t)frame->body.at[i]);
    return frame->type == 0xff && sum % 2 == 1 ? ERR_FORMAT : 0; /* some are not to our liking */
}

/* raft's own decoder is no part of this. */
static void on_raft(struct raft_uv_transport *raft, raft_id id, const char *address,
                    struct uv_stream_s *stream)
{
    (void)raft;
    FUZZ_HOLDS(id == 2 && strlen(address) > 0 && strlen(address) < HELLO_SIZE);
    port.links++;
    transport_close_stream(stream);
}

static void on_link_state(void *owner, uint64_t peer)
{
    (void)owner;
    (void)peer;
}

static void open_port(void)
{
    struct errmsg errmsg;
    static const struct log_options quiet = {.level = LOG_ERROR};
    (void)signal(SIGPIPE, SIG_IGN);
    log_open(&quiet);
    uv_loop_init(&port.loop);
    struct transport_options options = {.loop = &port.loop,
                                        .listen = "127.0.0.1:0",
                                        .self = "n1=127.0.0.1:1",
                                        .id = 1,
                                        .secret = slice_of(secret),
                                        .may_link = may_link,
                                        .on_link = on_link};
    memset(options.cluster, 7, sizeof options.cluster);
    FUZZ_HOLDS(transport_open(&port.transport, &options, &errmsg) == 0);
    struct raft_uv_transport *raft = transport_raft(port.transport);
    FUZZ_HOLDS(raft->listen(raft, on_raft) == 0);
    port.rpc = rpc_new(&port.loop, port.transport,
                       &(struct rpc_handler){.on_frame = on_frame, .on_link = on_link_state});
    /* Who dials it gets no answer: nobody listens there. */
    rpc_add_peer(port.rpc, 2, "n2=127.0.0.1:1");
    port.is_open = true;
}

static void say(int fd, struct slice bytes)
{
    call_say(&port.loop, fd, bytes);
}

static size_t hear(int fd, void *out, size_t wanted)
{
    return call_hear(&port.loop, fd, out, wanted);
}

static void fill_hello(uint8_t hello[HELLO_SIZE])
{
    memset(hello, 0, HELLO_SIZE);
    memcpy(hello, "LVTEAC01", 8);
    hello[8] = LINK_RPC;
    memset(hello + 16, 7, 16);
    little_store(hello + 32, 2, 8);
    little_store(hello + 40, 1, 8);
    memcpy(hello + 80, "n2=127.0.0.1:1", 14);
}

/* False when there was no challenge. */
static bool prove(int fd, const uint8_t hello[HELLO_SIZE])
{
    uint8_t proof[PROOF_SIZE];
    char challenge[CHALLENGE_SIZE];
    say(fd, slice_make(hello, HELLO_SIZE));
    if (hear(fd, challenge, sizeof challenge) < sizeof challenge) return false;
    struct slice parts[] = {slice_of("cli"), slice_make(hello, HELLO_SIZE),
                            slice_make(challenge, CHALLENGE_SIZE)};
    crypto_hmac(proof, slice_of(secret), parts, 3);
    say(fd, slice_make(proof, PROOF_SIZE));
    return true;
}

/* False when this process stood still for so long that the deadline for it passed. */
static bool prove_ourselves(int fd)
{
    uint8_t hello[HELLO_SIZE];
    char next;
    unsigned links = port.links;
    uint64_t begun_ms = clock_ms();
    fill_hello(hello);
    bool goes_on = prove(fd, hello);
    while (goes_on && port.links == links) {
        goes_on = recv(fd, &next, 1, MSG_PEEK | MSG_DONTWAIT) != 0;
        uv_run(&port.loop, goes_on ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    }
    FUZZ_HOLDS(port.links > links || clock_ms() - begun_ms >= LINK_DEADLINE_MS);
    return port.links > links;
}

/* Ends our half; the other side has seen all we sent when it ends its own. */
static void leave(int fd)
{
    char rest[WANTED_MAX];
    shutdown(fd, SHUT_WR);
    hear(fd, rest, sizeof rest);
    close(fd);
}

static void as_member(int fd, struct slice bytes)
{
    if (bytes.len < 1) return;
    size_t step = bytes.at[0] == 0 ? SIZE_MAX : (unsigned char)bytes.at[0];
    if (!prove_ourselves(fd)) return;
    for (bytes = slice_skip(bytes, 1); bytes.len > 0; bytes = slice_skip(bytes, step)) {
        say(fd, slice_first(bytes, step));
        uv_run(&port.loop, UV_RUN_NOWAIT);
    }
}

static void as_somebody(int fd, struct slice changes)
{
    uint8_t hello[HELLO_SIZE], right[HELLO_SIZE];
    unsigned links = port.links;
    fill_hello(right);
    memcpy(hello, right, HELLO_SIZE);
    for (; changes.len >= 3; changes = slice_skip(changes, 3))
        hello[little_load(changes.at, 2) % HELLO_SIZE] = (uint8_t)changes.at[2];
    bool is_known_kind = hello[8] == LINK_RAFT || hello[8] == LINK_RPC;
    bool is_right = memcmp(hello, right, 8) == 0 && memcmp(hello + 16, right + 16, 32) == 0 &&
                    hello[80] != 0 && hello[HELLO_SIZE - 1] == 0 && is_known_kind;
    FUZZ_HOLDS(prove(fd, hello) == is_right);
    leave(fd);
    FUZZ_HOLDS((port.links == links + 1) == is_right);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t hello[HELLO_SIZE];
    if (size < 1) return 0;
    if (!port.is_open) open_port();
    struct slice rest = slice_make(data + 1, size - 1);
    unsigned links = port.links;
    int fd = call_port(transport_port(port.transport));
    if (data[0] == 'h') {
        as_somebody(fd, rest);
        return 0;
    }
    if (data[0] == 'k') {
        fill_hello(hello);
        say(fd, slice_make(hello, HELLO_SIZE));
    }
    if (data[0] == 'f')
        as_member(fd, rest);
    else
        say(fd, rest);
    leave(fd);
    FUZZ_HOLDS(data[0] == 'f' || port.links == links);
    return 0;
}
