/* Frames of another node that knows the secret, as a member takes them: whatever stands in them, it stays
 * alive, what it reads is within the limits, and what it answers for is the domain's to refuse.
 *
 *   frame    type u8 | length u8 | length u8 (high) | body
 *   types of our own: 'L' this node leads from now on, 'l' it does not; 'O' the other one leads
 *
 * The node is one of two founders that waits for the other one, so that nothing of raft runs.
 */
#include <signal.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "cluster/node_state.h"
#include "folder.h"

enum { MAP_BYTES = 64 << 20 };

static struct {
    uv_loop_t loop;
    struct data_dir dir;
    struct event_store *store;
    struct chat chat;
    struct peer peers[2];
    size_t peers_count;
    struct node *node;
    uint64_t other;
    bool is_open, is_stopped;
} house;

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

static void on_fatal(void *owner, int exit_code, const char *sentence)
{
    (void)owner;
    fprintf(stderr, "fatal %d: %s\n", exit_code, sentence);
    abort();
}

static void open_house(void)
{
    static const struct log_options quiet = {.level = LOG_ERROR};
    static char path[FOLDER_PATH_MAX], history[FOLDER_PATH_MAX + 16];
    struct errmsg errmsg = {""};
    (void)signal(SIGPIPE, SIG_IGN);
    log_open(&quiet);
    folder_path(path, "data");
    FUZZ_HOLDS(peers_parse(house.peers, &house.peers_count,
                           slice_of("n1=127.0.0.1:1,n2=127.0.0.1:2"), &errmsg) == 0);
    house.other = peer_id("n2");
    FUZZ_HOLDS(data_dir_open(&house.dir, path, "n1", &errmsg) == 0);
    snprintf(history, sizeof history, "%s/history", path);
    FUZZ_HOLDS(
        event_store_open(&house.store,
                         &(struct event_store_options){.dir = history, .map_bytes = MAP_BYTES},
                         &errmsg) == 0);
    uv_loop_init(&house.loop);
    house.is_open = true;
}

static void start_node(void)
{
    static const struct chat_limits limits = {.text_code_points_max = CHAT_TEXT_CODE_POINTS_MAX};
    struct errmsg errmsg = {""};
    chat_init(&house.chat, &limits);
    house.is_stopped = false;
    int rv =
        node_start(&house.node,
                   &(struct node_options){.loop = &house.loop,
                                          .handler = {.on_event = on_event,
                                                      .on_entry = on_entry,
                                                      .on_change = on_change,
                                                      .on_cluster_event = on_cluster_event,
                                                      .on_fatal = on_fatal},
                                          .chat = &house.chat,
                                          .dir = &house.dir,
                                          .store = house.store,
                                          .keep_log = 8192,
                                          .name = "n1",
                                          .cluster_name = "fuzz",
                                          .listen = "127.0.0.1:0",
                                          .advertise = "127.0.0.1:1",
                                          .http_url = "http://127.0.0.1:1",
                                          .version = "0.1.0",
                                          .peers = house.peers,
                                          .peers_count = house.peers_count,
                                          .secret = slice_of("a secret of thirty-two bytes..."),
                                          .heartbeat_ms = 40,
                                          .election_timeout_ms = 400},
                   &errmsg);
    if (rv != 0) fprintf(stderr, "%s\n", errmsg.text);
    FUZZ_HOLDS(rv == 0);
}

static void on_stopped(void *owner)
{
    (void)owner;
    house.is_stopped = true;
}

/* What others show of it later. */
static void look_at(struct node *node)
{
    struct present present[PRESENT_MAX];
    struct cluster_status status;
    size_t count = presence_list(node->presence, slice_of("tea"), present, PRESENT_MAX);
    for (size_t i = 0; i < count && i < PRESENT_MAX; i++) {
        FUZZ_HOLDS(present[i].name_len <= NAME_MAX_BYTES);
        FUZZ_HOLDS(text_valid(slice_make(present[i].name, present[i].name_len)));
    }
    node_status(node, &status);
    FUZZ_HOLDS(status.members_count <= MEMBERS_MAX);
}

static void play(struct node *node, struct slice bytes)
{
    while (bytes.len >= 3) {
        uint8_t type = (uint8_t)bytes.at[0];
        size_t len = (size_t)((uint8_t)bytes.at[1] | (uint8_t)bytes.at[2] << 8);
        bytes = slice_skip(bytes, 3);
        if (len > bytes.len) len = bytes.len;
        char *copy = mem_copy(bytes.at, len);
        bytes = slice_skip(bytes, len);
        switch (type) {
        case 'L': node->is_leading = true; break;
        case 'l': node->is_leading = false; break;
        case 'O':
            node->is_leading = false;
            node->leader = house.other;
            break;
        default:
            (void)node_on_frame(node, &(struct rpc_frame){.peer = house.other,
                                                          .type = type,
                                                          .id = len,
                                                          .body = slice_make(copy, len)});
        }
        mem_free(copy);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!house.is_open) open_house();
    start_node();
    play(house.node, slice_make(data, size));
    look_at(house.node);
    house.node->is_leading = false;
    house.node->leader = 0;
    node_stop(house.node, on_stopped, NULL);
    while (!house.is_stopped)
        uv_run(&house.loop, UV_RUN_ONCE);
    chat_close(&house.chat);
    return 0;
}
