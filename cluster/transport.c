/* Longer than 500 lines because both sides of the handshake are here, and both users of it, raft and rpc:
 * they share its states and its end.
 */
#include "cluster/transport.h"

#include <assert.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <utlist.h>

#include "base/crypto.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/wire.h"

enum {
    HELLO_SIZE = 384,
    HELLO_KIND = 8,
    HELLO_CLUSTER = 16,
    HELLO_FROM = 32,
    HELLO_TO = 40,
    HELLO_NONCE = 48,
    HELLO_ADDRESS = 80,
    CHALLENGE_SIZE = 64,
    NONCE_SIZE = 32,
    PROOF_SIZE = SHA256_SIZE,
    HOST_SIZE = 256,
    PORT_SIZE = 8,
    BACKLOG = 64,
    USER_TIMEOUT_MS = 5000
};

static_assert((int)LINK_HALF_OPEN_MAX > (int)BACKLOG,
              "who comes in one turn pushes out nobody of the same");

static const char magic[8] = {'L', 'V', 'T', 'E', 'A', 'C', '0', '1'};

/*           looked up        connected       challenge read
 *  RESOLVING --------> CONNECTING -------> WAITING_CHALLENGE -------> OVER    who dials
 *                      accepted       hello read        proof read
 *                      ------> WAITING_HELLO ----> WAITING_PROOF ---> OVER    who is called
 *  From every state: deadline, error or hang-up -> OVER */
enum hand_state {
    HAND_RESOLVING,
    HAND_CONNECTING,
    HAND_WAITING_CHALLENGE,
    HAND_WAITING_HELLO,
    HAND_WAITING_PROOF,
    HAND_OVER
};

struct hand { /* one handshake, either side */
    struct transport *transport;
    struct hand *next, *prev;
    enum hand_state state;
    bool is_ours; /* we dialed */
    enum link_kind kind;
    struct dial *dial;                 /* kind rpc, ours; NULL = hung up */
    struct raft_uv_connect *raft_dial; /* kind raft, ours */
    uint64_t peer;                     /* whom we want, or who says it calls */
    unsigned handles;                  /* what of libuv's is still to come back */
    uv_stream_t *stream;               /* raft_malloc; given away at the end */
    uv_timer_t deadline;
    uv_getaddrinfo_t lookup;
    struct addrinfo *found;         /* of the lookup, */
    const struct addrinfo *untried; /* and what is left of it */
    uv_connect_t connect;
    char where[ADDRESS_MAX + 1]; /* host:port */
    uint8_t hello[HELLO_SIZE];
    uint8_t challenge[CHALLENGE_SIZE];
    uint8_t proof[PROOF_SIZE];
    size_t got; /* of what is being read */
};

struct transport {
    struct transport_options options;
    struct raft_uv_transport raft;
    raft_uv_accept_cb on_raft; /* NULL: raft does not listen */
    uv_tcp_t listener;
    struct hand *hands;
    size_t half_open; /* accepted, not proved */
    bool is_closing;
    bool listener_closed;
    void (*on_closed)(void *owner);
    void *closed_owner;
};

/* ---- addresses ---- */

static bool split_address(const char *address, char host[HOST_SIZE], char port[PORT_SIZE])
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL) return false;
    size_t len = (size_t)(colon - address);
    bool bracketed = len >= 2 && address[0] == '[' && address[len - 1] == ']';
    if (bracketed) {
        address++;
        len -= 2;
    }
    if (len == 0 || len >= HOST_SIZE || strlen(colon + 1) >= PORT_SIZE) return false;
    uint64_t number;
    if (!slice_to_u64(slice_from(colon + 1), &number) || number > 65535) return false;
    memcpy(host, address, len);
    host[len] = '\0';
    memcpy(port, colon + 1, strlen(colon + 1) + 1);
    return true;
}

static const char *without_name(const char *address)
{
    const char *equals = strchr(address, '=');
    return equals == NULL ? address : equals + 1;
}

static void tune(uv_stream_t *stream)
{
    unsigned timeout_ms = USER_TIMEOUT_MS;
    int fd;
    uv_tcp_nodelay((uv_tcp_t *)stream, 1);
    uv_tcp_keepalive((uv_tcp_t *)stream, 1, 5);
    if (uv_fileno((uv_handle_t *)stream, &fd) == 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
    }
}

static void on_stream_closed(uv_handle_t *handle)
{
    raft_free(handle);
}

void transport_close_stream(uv_stream_t *stream)
{
    uv_close((uv_handle_t *)stream, on_stream_closed);
}

/* ---- the end of a handshake ---- */

static void maybe_closed(struct transport *transport)
{
    if (!transport->is_closing || !transport->listener_closed || transport->hands != NULL) return;
    void (*on_closed)(void *) = transport->on_closed;
    void *owner = transport->closed_owner;
    mem_free(transport);
    on_closed(owner);
}

static void release(struct hand *hand)
{
    assert(hand->handles > 0);
    if (--hand->handles > 0) return;
    struct transport *transport = hand->transport;
    DL_DELETE(transport->hands, hand);
    uv_freeaddrinfo(hand->found);
    crypto_forget(hand, sizeof *hand);
    mem_free(hand);
    maybe_closed(transport);
}

static void on_deadline_closed(uv_handle_t *handle)
{
    release(handle->data);
}

/* Gives the stream to whom it is for, or closes it when status is not 0. The hand itself goes when
 * libuv has given everything back. */
static void over(struct hand *hand, int status)
{
    if (hand->state == HAND_OVER) return;
    struct transport *transport = hand->transport;
    uv_stream_t *stream = hand->stream;
    hand->state = HAND_OVER;
    hand->stream = NULL;
    if (!hand->is_ours) transport->half_open--;
    uv_cancel((uv_req_t *)&hand->lookup);
    if (stream != NULL) uv_read_stop(stream);
    if (stream != NULL && status != 0) {
        transport_close_stream(stream);
        stream = NULL;
    }
    struct dial *dial = hand->dial;
    struct raft_uv_connect *raft_dial = hand->raft_dial;
    hand->dial = NULL;
    hand->raft_dial = NULL;
    uv_close((uv_handle_t *)&hand->deadline, on_deadline_closed);

    if (raft_dial != NULL) {
        int raft_status = status == 0              ? 0
                          : status == UV_ECANCELED ? RAFT_CANCELED
                                                   : RAFT_NOCONNECTION;
        raft_dial->cb(raft_dial, stream, raft_status);
    } else if (dial != NULL) {
        dial->hand = NULL;
        dial->on_dialed(dial, stream, status);
    } else if (stream == NULL) {
        return;
    } else if (hand->is_ours) {
        transport_close_stream(stream); /* hung up meanwhile */
    } else if (hand->kind == LINK_RPC) {
        transport->options.on_link(transport->options.owner, hand->peer, stream);
    } else if (hand->kind == LINK_ASK) {
        transport->options.on_ask(transport->options.owner, stream);
    } else {
        transport->on_raft(&transport->raft, hand->peer, (const char *)hand->hello + HELLO_ADDRESS,
                           stream);
    }
}

static void refuse(struct hand *hand, const char *reason)
{
    log_warn("cluster peer refused", "from=%s reason=\"%s\"", hand->where, reason);
    over(hand, UV_EACCES);
}

static void on_deadline(uv_timer_t *timer)
{
    struct hand *hand = timer->data;
    if (!hand->is_ours) {
        refuse(hand, "it did not finish the handshake in time");
        return;
    }
    over(hand, UV_ETIMEDOUT);
}

/* No reason to be told of: it comes again. */
static void put_off(struct hand *hand, const char *reason)
{
    log_debug("cluster peer put off", "from=%s reason=\"%s\"", hand->where, reason);
    over(hand, UV_EAGAIN);
}

static struct hand *hand_new(struct transport *transport, enum hand_state state)
{
    struct hand *hand = mem_new(sizeof *hand);
    hand->transport = transport;
    hand->state = state;
    hand->is_ours = state == HAND_RESOLVING;
    hand->handles = 1;
    hand->deadline.data = hand;
    uv_timer_init(transport->options.loop, &hand->deadline);
    uv_timer_start(&hand->deadline, on_deadline, LINK_DEADLINE_MS, 0);
    DL_APPEND(transport->hands, hand);
    return hand;
}

static uv_stream_t *stream_new(struct transport *transport, struct hand *hand)
{
    uv_tcp_t *tcp = raft_malloc(sizeof *tcp);
    assert(tcp != NULL);
    uv_tcp_init(transport->options.loop, tcp);
    tcp->data = hand;
    return (uv_stream_t *)tcp;
}

/* ---- the proofs ---- */

static void prove(const struct hand *hand, const char *side, size_t challenge_len,
                  uint8_t out[PROOF_SIZE])
{
    struct slice parts[] = {slice_from(side), slice_make(hand->hello, HELLO_SIZE),
                            slice_make(hand->challenge, challenge_len)};
    crypto_hmac(out, hand->transport->options.secret, parts, 3);
}

/* A few hundred bytes into an empty socket: they fit, or the connection is of no use. */
static bool put(struct hand *hand, const void *bytes, size_t len)
{
    char copy[HELLO_SIZE];
    assert(len <= sizeof copy);
    memcpy(copy, bytes, len);
    uv_buf_t part = uv_buf_init(copy, (unsigned)len);
    return uv_try_write(hand->stream, &part, 1) == (int)len;
}

static void hello_fill(struct hand *hand)
{
    const struct transport_options *options = &hand->transport->options;
    uint8_t *hello = hand->hello;
    memcpy(hello, magic, sizeof magic);
    hello[HELLO_KIND] = (uint8_t)hand->kind;
    memcpy(hello + HELLO_CLUSTER, options->cluster, 16);
    little_store(hello + HELLO_FROM, options->id, 8);
    little_store(hello + HELLO_TO, hand->peer, 8);
    crypto_random(hello + HELLO_NONCE, NONCE_SIZE);
    size_t len = strlen(options->self);
    assert(len < HELLO_SIZE - HELLO_ADDRESS);
    memcpy(hello + HELLO_ADDRESS, options->self, len);
}

static bool has_cluster(const struct transport *transport)
{
    static const uint8_t none[16];
    return memcmp(transport->options.cluster, none, sizeof none) != 0;
}

/* NULL, or what is wrong with it. */
static const char *hello_check(struct hand *hand)
{
    const struct transport_options *options = &hand->transport->options;
    const uint8_t *hello = hand->hello;
    if (memcmp(hello, magic, sizeof magic) != 0) return "it speaks another protocol";
    bool is_question = hello[HELLO_KIND] == LINK_ASK && options->on_ask != NULL;
    if (!is_question && hello[HELLO_KIND] != LINK_RAFT && hello[HELLO_KIND] != LINK_RPC) {
        return "it wants a kind of link that is not known here";
    }
    hand->kind = (enum link_kind)hello[HELLO_KIND];
    hand->peer = little_load(hello + HELLO_FROM, 8);
    if (hello[HELLO_SIZE - 1] != 0 || hello[HELLO_ADDRESS] == 0) return "it has no address";
    if (is_question) return NULL;
    if (memcmp(hello + HELLO_CLUSTER, options->cluster, 16) != 0) return "it is of another cluster";
    if (little_load(hello + HELLO_TO, 8) != options->id) return "it looks for another node";
    if (hand->peer == options->id) return "it has this node's own id";
    if (!options->may_link(options->owner, hand->kind, hand->peer)) return "it is not a member";
    return NULL;
}

static void on_hello(struct hand *hand)
{
    const char *reason = hello_check(hand);
    if (hand->kind != LINK_ASK && !has_cluster(hand->transport)) {
        put_off(hand, "this node is not let in yet"); /* and the others know it before it does */
        return;
    }
    if (reason != NULL) {
        refuse(hand, reason);
        return;
    }
    crypto_random(hand->challenge, NONCE_SIZE);
    prove(hand, "srv", NONCE_SIZE, hand->challenge + NONCE_SIZE);
    hand->state = HAND_WAITING_PROOF;
    hand->got = 0;
    if (!put(hand, hand->challenge, CHALLENGE_SIZE)) over(hand, UV_EIO);
}

static void on_proof(struct hand *hand)
{
    uint8_t expected[PROOF_SIZE];
    prove(hand, "cli", CHALLENGE_SIZE, expected);
    if (!crypto_equal(expected, hand->proof, PROOF_SIZE)) {
        refuse(hand, "it does not know the secret");
    } else if (hand->kind == LINK_RAFT && hand->transport->on_raft == NULL) {
        put_off(hand, "raft does not listen yet");
    } else {
        over(hand, 0);
    }
}

static void on_challenge(struct hand *hand)
{
    uint8_t expected[PROOF_SIZE];
    prove(hand, "srv", NONCE_SIZE, expected);
    if (!crypto_equal(expected, hand->challenge + NONCE_SIZE, PROOF_SIZE)) {
        refuse(hand, "the node that we called does not know the secret");
        return;
    }
    prove(hand, "cli", CHALLENGE_SIZE, expected);
    over(hand, put(hand, expected, PROOF_SIZE) ? 0 : UV_EIO);
}

/* ---- reading exactly what is due ---- */

static uint8_t *due(struct hand *hand, size_t *size)
{
    if (hand->state == HAND_WAITING_HELLO) {
        *size = HELLO_SIZE;
        return hand->hello;
    }
    if (hand->state == HAND_WAITING_CHALLENGE) {
        *size = CHALLENGE_SIZE;
        return hand->challenge;
    }
    *size = PROOF_SIZE;
    return hand->proof;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct hand *hand = handle->data;
    size_t size;
    uint8_t *at = due(hand, &size);
    (void)suggested;
    *out = uv_buf_init((char *)at + hand->got, (unsigned)(size - hand->got));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *into)
{
    struct hand *hand = stream->data;
    size_t size;
    (void)into;
    if (hand->state == HAND_OVER || count == 0) return;
    if (count < 0) {
        /* Whoever is refused is only closed: to the caller that looks like this. */
        over(hand, hand->is_ours && count == UV_EOF ? UV_EACCES : (int)count);
        return;
    }
    due(hand, &size);
    hand->got += (size_t)count;
    if (hand->got < size) return;
    if (hand->state == HAND_WAITING_HELLO) {
        on_hello(hand);
    } else if (hand->state == HAND_WAITING_CHALLENGE) {
        on_challenge(hand);
    } else {
        on_proof(hand);
    }
}

/* ---- who is called ---- */

static void name_caller(struct hand *hand)
{
    struct sockaddr_storage address;
    int len = sizeof address;
    char host[64] = "?";
    int port = 0;
    if (uv_tcp_getpeername((uv_tcp_t *)hand->stream, (struct sockaddr *)&address, &len) == 0) {
        if (address.ss_family == AF_INET6) {
            const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address;
            uv_ip6_name(v6, host, sizeof host);
            port = ntohs(v6->sin6_port);
        } else {
            const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address;
            uv_ip4_name(v4, host, sizeof host);
            port = ntohs(v4->sin_port);
        }
    }
    snprintf(hand->where, sizeof hand->where, "%s:%d", host, port);
}

/* The places are there for whoever knows the secret, and that one is through in two round trips: who has
 * been in the middle of it for longest goes. To turn the newcomer away instead would let strangers who
 * come again at once keep every node outside. */
static void make_room(struct transport *transport)
{
    struct hand *hand;
    if (transport->half_open < LINK_HALF_OPEN_MAX) return;
    DL_FOREACH(transport->hands, hand) {
        if (hand->is_ours || hand->state == HAND_OVER) continue;
        refuse(hand, "others came, and it had not finished the handshake");
        return;
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct transport *transport = listener->data;
    if (status != 0) return;
    make_room(transport);
    struct hand *hand = hand_new(transport, HAND_WAITING_HELLO);
    transport->half_open++;
    hand->stream = stream_new(transport, hand);
    if (uv_accept(listener, hand->stream) != 0) {
        over(hand, UV_EIO);
        return;
    }
    name_caller(hand);
    tune(hand->stream);
    if (uv_read_start(hand->stream, on_alloc, on_read) != 0) over(hand, UV_EIO);
}

/* ---- who dials ---- */

static void on_connected(uv_connect_t *connect, int status);

/* A name may have several addresses, and not every one leads somewhere. */
static int connect_next(struct hand *hand)
{
    int status = UV_EADDRNOTAVAIL;
    while (hand->untried != NULL) {
        const struct addrinfo *address = hand->untried;
        hand->untried = address->ai_next;
        if (hand->stream != NULL) transport_close_stream(hand->stream);
        hand->stream = stream_new(hand->transport, hand);
        hand->connect.data = hand;
        status = uv_tcp_connect(&hand->connect, (uv_tcp_t *)hand->stream, address->ai_addr,
                                on_connected);
        if (status != 0) continue;
        hand->handles++;
        return 0;
    }
    return status;
}

static int say_hello(struct hand *hand)
{
    tune(hand->stream);
    hello_fill(hand);
    hand->state = HAND_WAITING_CHALLENGE;
    if (!put(hand, hand->hello, HELLO_SIZE)) return UV_EIO;
    return uv_read_start(hand->stream, on_alloc, on_read);
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct hand *hand = connect->data;
    if (hand->state != HAND_OVER) {
        if (status == 0) {
            status = say_hello(hand);
        } else if (hand->untried != NULL) {
            status = connect_next(hand);
        }
        if (status != 0) over(hand, status);
    }
    release(hand);
}

static void on_looked_up(uv_getaddrinfo_t *lookup, int status, struct addrinfo *found)
{
    struct hand *hand = lookup->data;
    hand->found = found;
    hand->untried = found;
    if (hand->state != HAND_OVER) {
        if (status == 0) {
            hand->state = HAND_CONNECTING;
            status = connect_next(hand);
        }
        if (status != 0) over(hand, status);
    }
    release(hand);
}

static void on_no_lookup(uv_timer_t *timer)
{
    over(timer->data, UV_EINVAL);
}

/* An address in figures needs nobody's help: a name service that does not answer must not keep us from
 * a node that has no name. Does not block. */
static bool look_at_figures(struct hand *hand, const char *host, const char *port)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    if (getaddrinfo(host, port, &hints, &hand->found) != 0) return false;
    hand->untried = hand->found;
    hand->state = HAND_CONNECTING;
    return true;
}

static struct hand *dial(struct transport *transport, enum link_kind kind, uint64_t id,
                         const char *address)
{
    char host[HOST_SIZE], port[PORT_SIZE];
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct hand *hand = hand_new(transport, HAND_RESOLVING);
    hand->kind = kind;
    hand->peer = id;
    hand->lookup.data = hand;
    snprintf(hand->where, sizeof hand->where, "%s", without_name(address));
    int rv = UV_EINVAL;
    if (split_address(hand->where, host, port)) {
        if (look_at_figures(hand, host, port)) {
            rv = connect_next(hand);
        } else {
            rv = uv_getaddrinfo(transport->options.loop, &hand->lookup, on_looked_up, host, port,
                                &hints);
            if (rv == 0) hand->handles++;
        }
    }
    if (rv != 0) {
        /* Told later, as every other failure. */
        uv_timer_start(&hand->deadline, on_no_lookup, 0, 0);
    }
    return hand;
}

void transport_dial(struct transport *transport, struct dial *dialed, enum link_kind kind,
                    uint64_t id, const char *address)
{
    assert(dialed->hand == NULL);
    dialed->hand = dial(transport, kind, id, address);
    dialed->hand->dial = dialed;
}

void transport_hang_up(struct dial *dialed)
{
    struct hand *hand = dialed->hand;
    if (hand == NULL) return;
    dialed->hand = NULL;
    hand->dial = NULL;
    over(hand, UV_ECANCELED);
}

/* ---- raft's side ---- */

static int raft_init_transport(struct raft_uv_transport *raft, raft_id id, const char *address)
{
    struct transport *transport = raft->impl;
    (void)address;
    assert(id == transport->options.id);
    return 0;
}

static int raft_listen(struct raft_uv_transport *raft, raft_uv_accept_cb on_accept)
{
    struct transport *transport = raft->impl;
    transport->on_raft = on_accept;
    return 0;
}

static int raft_connect(struct raft_uv_transport *raft, struct raft_uv_connect *connect, raft_id id,
                        const char *address, raft_uv_connect_cb on_connect)
{
    struct transport *transport = raft->impl;
    bool may_link = transport->options.may_link(transport->options.owner, LINK_RAFT, id);
    connect->cb = on_connect;
    struct hand *hand = may_link ? dial(transport, LINK_RAFT, id, address)
                                 : hand_new(transport, HAND_RESOLVING); /* until its deadline */
    hand->raft_dial = connect;
    return 0;
}

static void raft_close_transport(struct raft_uv_transport *raft,
                                 raft_uv_transport_close_cb on_closed)
{
    struct transport *transport = raft->impl;
    struct hand *hand, *next;
    transport->on_raft = NULL;
    DL_FOREACH_SAFE(transport->hands, hand, next) {
        if (hand->raft_dial != NULL) over(hand, UV_ECANCELED);
    }
    on_closed(raft);
}

struct raft_uv_transport *transport_raft(struct transport *transport)
{
    return &transport->raft;
}

void transport_set_cluster(struct transport *transport, const uint8_t cluster[16])
{
    memcpy(transport->options.cluster, cluster, 16);
}

/* ---- open and close ---- */

static int bind_to(struct transport *transport, const struct addrinfo *address)
{
    uv_tcp_t *listener = &transport->listener;
    int rv = uv_tcp_bind(listener, address->ai_addr, 0);
    return rv != 0 ? rv : uv_listen((uv_stream_t *)listener, BACKLOG, on_connection);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct transport *transport = handle->data;
    transport->listener_closed = true;
    maybe_closed(transport);
}

static void on_failed_open(void *owner)
{
    (void)owner;
}

int transport_open(struct transport **out, const struct transport_options *options,
                   struct errmsg *errmsg)
{
    char host[HOST_SIZE], port[PORT_SIZE];
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    if (!split_address(options->listen, host, port)) {
        errmsg_set(errmsg, "cluster.listen: \"%s\" is not host:port", options->listen);
        return ERR_CONFIG;
    }
    uv_getaddrinfo_t lookup;
    int rv = uv_getaddrinfo(options->loop, &lookup, NULL, host, port, &hints);
    if (rv != 0) {
        errmsg_set(errmsg, "cluster.listen: %s: %s", options->listen, uv_strerror(rv));
        return ERR_BIND;
    }
    struct transport *transport = mem_new(sizeof *transport);
    transport->options = *options;
    transport->raft = (struct raft_uv_transport){.version = 1,
                                                 .impl = transport,
                                                 .init = raft_init_transport,
                                                 .listen = raft_listen,
                                                 .connect = raft_connect,
                                                 .close = raft_close_transport};
    transport->listener.data = transport;
    uv_tcp_init(options->loop, &transport->listener);
    rv = bind_to(transport, lookup.addrinfo);
    uv_freeaddrinfo(lookup.addrinfo);
    if (rv != 0) {
        errmsg_set(errmsg, "cannot listen on %s: %s", options->listen, uv_strerror(rv));
        transport_close(transport, on_failed_open, NULL);
        return ERR_BIND;
    }
    *out = transport;
    return 0;
}

void transport_close(struct transport *transport, void (*on_closed)(void *owner), void *owner)
{
    struct hand *hand, *next;
    transport->is_closing = true;
    transport->on_closed = on_closed;
    transport->closed_owner = owner;
    DL_FOREACH_SAFE(transport->hands, hand, next) {
        assert(hand->raft_dial == NULL); /* raft was closed first */
        hand->dial = NULL;
        over(hand, UV_ECANCELED);
    }
    uv_close((uv_handle_t *)&transport->listener, on_listener_closed);
}

int transport_port(const struct transport *transport)
{
    struct sockaddr_storage address;
    int len = sizeof address;
    if (uv_tcp_getsockname(&transport->listener, (struct sockaddr *)&address, &len) != 0) return -1;
    return address.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&address)->sin6_port)
                                         : ntohs(((struct sockaddr_in *)&address)->sin_port);
}
