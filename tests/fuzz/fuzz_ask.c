/* Questions about membership (cluster/ask.h), both sides, through real sockets, behind the handshake and in
 * the middle of it. Byte 0:
 *
 *   'q' 'Q'  a question, by somebody who knows the secret, to a node that is a cluster of its own; 'Q': the
 *            length before it is put right. What comes back is one answer, or the end
 *   'a' 'A'  a node that wants to be let in has asked, and the rest is the answer; 'A' likewise
 *   's'      so, but the rest stands where the proof is due that the answerer knows the secret
 *
 * Whatever is answered, what a person is shown of it later is a line of text.
 */
#include <signal.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/little_endian.h"
#include "base/log.h"
#include "base/text.h"
#include "call.h"
#include "cluster/node_state.h"
#include "folder.h"

enum {
    HELLO_SIZE = 384,
    NONCE_SIZE = 32,
    PROOF_SIZE = 32,
    CHALLENGE_SIZE = 64,
    MAP_BYTES = 64 << 20
};

static const char secret[] = "a secret of thirty-two bytes...";

struct member { /* a node and what it stands on */
    struct data_dir dir;
    struct event_store *store;
    struct chat chat;
    struct node *node;
};

static struct {
    uv_loop_t loop;
    struct member lone, joining;
    int listener;
    char address[32]; /* of the listener */
    uint64_t now_ms;
    bool is_open;
} world;

/* ---- what the nodes tell ---- */

static void on_event(void *owner, const struct message_sent *event, struct shared *bytes)
{
    (void)owner;
    (void)event;
    (void)bytes;
    abort(); /* nothing was committed */
}

static void on_entry(void *owner, uint64_t index)
{
    (void)owner;
    (void)index;
}

static void on_change(void *owner)
{
    (void)owner;
}

static void on_cluster_event(void *owner, const struct cluster_event *event)
{
    (void)owner;
    (void)event;
}

static void check_line(struct slice line)
{
    FUZZ_HOLDS(text_valid(line) && !text_has_controls(line));
}

/* Of an answer by a cluster of another name. In the program it does not return. */
static void on_fatal(void *owner, int exit_code, const char *sentence)
{
    FUZZ_HOLDS(owner == &world.joining && exit_code == 2);
    check_line(slice_from(sentence));
}

/* ---- the nodes ---- */

static void start_member(struct member *member, const char *name, const char *join)
{
    static const struct chat_limits limits = {.text_code_points_max = CHAT_TEXT_CODE_POINTS_MAX};
    struct errmsg errmsg = {""};
    char path[FOLDER_PATH_MAX], history[FOLDER_PATH_MAX + 16];
    folder_path(path, name);
    snprintf(history, sizeof history, "%s/history", path);
    chat_init(&member->chat, &limits);
    FUZZ_HOLDS(data_dir_open(&member->dir, path, name, &errmsg) == 0);
    FUZZ_HOLDS(
        event_store_open(&member->store,
                         &(struct event_store_options){.dir = history, .map_bytes = MAP_BYTES},
                         &errmsg) == 0);
    int rv = node_start(&member->node,
                        &(struct node_options){.loop = &world.loop,
                                               .handler = {.owner = member,
                                                           .on_event = on_event,
                                                           .on_entry = on_entry,
                                                           .on_change = on_change,
                                                           .on_cluster_event = on_cluster_event,
                                                           .on_fatal = on_fatal},
                                               .chat = &member->chat,
                                               .dir = &member->dir,
                                               .store = member->store,
                                               .keep_log = 8192,
                                               .name = name,
                                               .cluster_name = "fuzz",
                                               .listen = "127.0.0.1:0",
                                               .advertise = "127.0.0.1:1",
                                               .http_url = "http://127.0.0.1:1",
                                               .version = "0.1.0",
                                               .join = join,
                                               .secret = slice_of(secret),
                                               .heartbeat_ms = 40,
                                               .election_timeout_ms = 400},
                        &errmsg);
    if (rv != 0) fprintf(stderr, "%s\n", errmsg.text);
    FUZZ_HOLDS(rv == 0);
}

static void open_world(void)
{
    static const struct log_options quiet = {.level = LOG_ERROR};
    static char join[64];
    struct sockaddr_in here = {.sin_family = AF_INET,
                               .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof here;
    (void)signal(SIGPIPE, SIG_IGN);
    log_open(&quiet);
    uv_loop_init(&world.loop);
    world.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    FUZZ_HOLDS(bind(world.listener, (struct sockaddr *)&here, size) == 0);
    FUZZ_HOLDS(listen(world.listener, 8) == 0);
    FUZZ_HOLDS(getsockname(world.listener, (struct sockaddr *)&here, &size) == 0);
    snprintf(join, sizeof join, "n1=127.0.0.1:%d", ntohs(here.sin_port));
    start_member(&world.lone, "lone", NULL);
    start_member(&world.joining, "joining", join);
    /* It asks when we say, and is not let in, which is for ever. */
    uv_timer_stop(&world.joining.node->tick);
    world.now_ms = clock_ms();
    while (!world.lone.node->raft_is_open ||
           world.lone.node->raft.configuration_committed_index == 0)
        uv_run(&world.loop, UV_RUN_ONCE);
    world.is_open = true;
}

/* ---- our end of a socket ---- */

static void say(int fd, struct slice bytes)
{
    call_say(&world.loop, fd, bytes);
}

static size_t hear(int fd, void *out, size_t wanted)
{
    return call_hear(&world.loop, fd, out, wanted);
}

static void prove(uint8_t out[PROOF_SIZE], const char *side, const void *hello,
                  struct slice challenge)
{
    struct slice parts[] = {slice_from(side), slice_make(hello, HELLO_SIZE), challenge};
    crypto_hmac(out, slice_of(secret), parts, 3);
}

/* The length before what follows, as it should be. */
static struct slice with_length(struct buf *frame, struct slice bytes)
{
    char length[4];
    little_store(length, bytes.len, sizeof length);
    buf_init(frame, bytes.len + sizeof length);
    buf_add(frame, slice_make(length, sizeof length));
    buf_add(frame, bytes);
    return buf_slice(frame);
}

/* ---- asking ---- */

static int call_lone(void)
{
    uint8_t hello[HELLO_SIZE] = "LVTEAC01", challenge[CHALLENGE_SIZE], proof[PROOF_SIZE];
    int fd = call_port(transport_port(world.lone.node->transport));
    hello[8] = LINK_ASK;
    memcpy(hello + 80, "n2=127.0.0.1:1", 14);
    say(fd, slice_make(hello, sizeof hello));
    FUZZ_HOLDS(hear(fd, challenge, sizeof challenge) == sizeof challenge);
    prove(proof, "cli", hello, slice_make(challenge, sizeof challenge));
    say(fd, slice_make(proof, sizeof proof));
    return fd;
}

static void ask(struct slice bytes)
{
    static char back[4 + ASK_BYTES_MAX + 1];
    struct ask_answer answer;
    int fd = call_lone();
    say(fd, bytes);
    shutdown(fd, SHUT_WR);
    size_t got = hear(fd, back, sizeof back);
    close(fd);
    if (got == 0) return;
    FUZZ_HOLDS(got > 4 && little_load(back, 4) == got - 4);
    FUZZ_HOLDS(ask_answer_decode(&answer, slice_make(back + 4, got - 4)) == 0);
    FUZZ_HOLDS(answer.verdict != ASK_FOREIGN || answer.members_count == 0);
    check_line(slice_from(answer.sentence));
}

/* ---- being asked ---- */

/* The joining node's call, with its hello. */
static int take_call(uint8_t hello[HELLO_SIZE])
{
    int fd = -1;
    node_asking_tick(world.joining.node, world.now_ms += ASK_EVERY_MS);
    while (fd < 0) {
        fd = accept4(world.listener, NULL, NULL, SOCK_CLOEXEC);
        FUZZ_HOLDS(fd >= 0 || errno == EAGAIN);
        if (fd < 0) uv_run(&world.loop, UV_RUN_ONCE);
    }
    FUZZ_HOLDS(hear(fd, hello, HELLO_SIZE) == HELLO_SIZE);
    return fd;
}

/* Ends our half; what still comes in has come when the other side ends its own. */
static size_t leave(int fd)
{
    char rest[256];
    shutdown(fd, SHUT_WR);
    size_t got = hear(fd, rest, sizeof rest);
    close(fd);
    return got;
}

static void give_answer(struct slice bytes)
{
    uint8_t hello[HELLO_SIZE], challenge[CHALLENGE_SIZE] = {0}, proof[PROOF_SIZE];
    uint8_t question[4 + ASK_BYTES_MAX];
    int fd = take_call(hello);
    prove(challenge + NONCE_SIZE, "srv", hello, slice_make(challenge, NONCE_SIZE));
    say(fd, slice_make(challenge, sizeof challenge));
    FUZZ_HOLDS(hear(fd, proof, sizeof proof) == sizeof proof);
    FUZZ_HOLDS(hear(fd, question, 4) == 4);
    size_t len = little_load(question, 4);
    FUZZ_HOLDS(len <= ASK_BYTES_MAX && hear(fd, question + 4, len) == len);
    say(fd, bytes);
    leave(fd);
}

static void look_at_joining(void)
{
    struct node *node = world.joining.node;
    check_line(slice_from(node_join_note(node)));
    FUZZ_HOLDS(node->told_count <= MEMBERS_MAX);
    for (size_t i = 0; i < node->told_count; i++)
        check_line(slice_from(node->told[i].self));
    FUZZ_HOLDS(node->phase == NODE_JOINING);
    node->told_count = 0; /* else it would ask there next */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf frame;
    if (size < 1) return 0;
    if (!world.is_open) open_world();
    struct slice rest = slice_make(data + 1, size - 1);
    struct slice whole = with_length(&frame, rest);
    uint8_t hello[HELLO_SIZE];
    switch (data[0]) {
    case 'q': ask(rest); break;
    case 'Q': ask(whole); break;
    case 'a': give_answer(rest); break;
    case 'A': give_answer(whole); break;
    case 's':
        if (rest.len > CHALLENGE_SIZE) break;
        int fd = take_call(hello);
        say(fd, rest);
        FUZZ_HOLDS(leave(fd) == 0); /* no proof for who has given none */
        break;
    default: break;
    }
    look_at_joining();
    buf_close(&frame);
    return 0;
}
