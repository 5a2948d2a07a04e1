#include "trio.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/data_dir.h"

static void end_here(void *owner, int exit_code, const char *sentence)
{
    const struct trio_node *one = owner;
    fprintf(stderr, "%s: fatal %d: %s\n", one->name, exit_code, sentence);
    _exit(exit_code);
}

static void on_fatal(void *owner, int exit_code, const char *sentence)
{
    struct trio_node *one = owner;
    if (!one->may_end) end_here(owner, exit_code, sentence);
    one->exit_code = exit_code;
}

static void on_event(void *owner, const struct message_sent *event, struct shared *bytes)
{
    struct trio_node *one = owner;
    one->events++;
    one->last_event_ns = clock_ns();
    one->digest = event->digest;
    if (event->number != one->events) end_here(owner, 99, "numbers are not dense");
    if (one->waiting_count == one->waiting_max) {
        one->waiting_max = one->waiting_max == 0 ? 64 : 2 * one->waiting_max;
        one->waiting = mem_grow(one->waiting, one->waiting_max * sizeof *one->waiting);
    }
    one->waiting[one->waiting_count++] = shared_ref(bytes);
}

static void on_entry(void *owner, uint64_t index)
{
    struct trio_node *one = owner;
    if (index < one->index) end_here(owner, 99, "an index goes back");
    one->index = index;
    one->has_entry = true;
}

static void store(struct trio_node *one)
{
    struct errmsg errmsg;
    if (!one->has_entry) return;
    const struct event_append append = {.events = one->waiting,
                                        .events_count = one->waiting_count,
                                        .index = one->index,
                                        .raft_durable = node_raft_durable(one->node)};
    one->has_entry = false;
    int rv = event_store_append(one->store, &append, &errmsg);
    if (rv != 0) end_here(one, 99, errmsg.text);
    for (size_t i = 0; i < one->waiting_count; i++)
        shared_unref(one->waiting[i]);
    one->waiting_count = 0;
    node_durable(one->node, one->events);
}

static void on_turn(uv_prepare_t *prepare)
{
    struct trio *trio = prepare->data;
    for (size_t i = 0; i < trio->count; i++) {
        if (trio->nodes[i].is_running) store(&trio->nodes[i]);
    }
}

static void on_change(void *owner)
{
    (void)owner;
}

static void on_cluster_event(void *owner, const struct cluster_event *event)
{
    struct trio_node *one = owner;
    one->told[event->kind]++;
    if (event->kind != CLUSTER_TRANSFERRED) return;
    snprintf(one->heir, sizeof one->heir, "%s", event->node);
}

static void on_removed(void *owner)
{
    struct trio_node *one = owner;
    one->is_removed = true;
}

void trio_init(struct trio *trio, size_t count, int first_port)
{
    struct errmsg errmsg;
    char line[512] = "";
    *trio = (struct trio){.count = count, .first_port = first_port, .keep_log = 8192};
    signal(SIGPIPE, SIG_IGN); /* as main does: libuv does not mask it */
    uv_loop_init(&trio->loop);
    uv_prepare_init(&trio->loop, &trio->turn);
    trio->turn.data = trio;
    uv_prepare_start(&trio->turn, on_turn);
    snprintf(trio->root, sizeof trio->root, "/tmp/livetea-trio-XXXXXX");
    if (mkdtemp(trio->root) == NULL) abort();
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(line);
        snprintf(line + used, sizeof line - used, "%stea-%zu=127.0.0.1:%d", i == 0 ? "" : ",",
                 i + 1, first_port + (int)i);
    }
    if (peers_parse(trio->peers, &trio->peers_count, slice_from(line), &errmsg) != 0) abort();
    for (size_t i = 0; i < count; i++) {
        struct trio_node *one = &trio->nodes[i];
        one->trio = trio;
        snprintf(one->name, sizeof one->name, "%s", trio->peers[i].name);
        snprintf(one->address, sizeof one->address, "%s", trio->peers[i].address);
        snprintf(one->path, sizeof one->path, "%s/%zu", trio->root, i + 1);
    }
    snprintf(trio->line, sizeof trio->line, "%s", line);
}

size_t trio_more(struct trio *trio, const char *name)
{
    size_t place = trio->count++;
    struct trio_node *one = &trio->nodes[place];
    if (place == TRIO_NODES) abort();
    one->joins = true;
    snprintf(one->name, sizeof one->name, "%s", name);
    snprintf(one->address, sizeof one->address, "127.0.0.1:%d", trio->first_port + (int)place);
    snprintf(one->path, sizeof one->path, "%s/%zu", trio->root, place + 1);
    return place;
}

static void open_store(struct trio_node *one, struct event_meta *meta)
{
    const struct chat_limits limits = {.text_code_points_max = CHAT_TEXT_CODE_POINTS_MAX};
    const struct trio *trio = one->trio;
    struct errmsg errmsg = {.text = ""};
    uint8_t cluster[16];
    char path[512];
    data_dir_path(&one->dir, "history", path, sizeof path);
    if (one->dir.state == DATA_DIR_EMPTY) {
        cluster_id_of(cluster, "trio", trio->peers, trio->peers_count);
    } else {
        memcpy(cluster, one->dir.cluster, sizeof cluster);
    }
    chat_init(&one->chat, &limits);
    int rv = event_store_open(&one->store, &(struct event_store_options){.dir = path}, &errmsg);
    bool is_new = one->dir.state == DATA_DIR_EMPTY || one->dir.state == DATA_DIR_JOINING;
    bool is_bound = !one->joins || !is_new; /* else the node does that when it is let in */
    if (rv == 0 && is_bound) rv = event_store_bind(one->store, cluster, &errmsg);
    if (rv == 0) rv = event_store_restore(one->store, &one->chat, &errmsg);
    if (rv != 0) end_here(one, 98, errmsg.text);
    event_store_meta(one->store, meta);
    one->events = meta->number;
    one->index = meta->index;
}

void trio_fill(struct trio *trio, size_t i, uint64_t events)
{
    struct trio_node *one = &trio->nodes[i];
    struct errmsg errmsg = {.text = ""};
    struct event_meta meta;
    int rv = data_dir_open(&one->dir, one->path, one->name, &errmsg);
    one->dir.raft_id = peer_id(one->name);
    cluster_id_of(one->dir.cluster, "trio", trio->peers, trio->peers_count);
    if (rv == 0) rv = data_dir_mark(&one->dir, DATA_DIR_ALONE, &errmsg);
    if (rv != 0) end_here(one, 98, errmsg.text);
    open_store(one, &meta);
    while (one->chat.number < events) {
        struct message_sent event;
        struct send_message command = {.room = slice_of("tea"),
                                       .sender = slice_of("Ann"),
                                       .text = slice_of("long ago"),
                                       .unseen_up_to = one->chat.number};
        memcpy(command.id.bytes, &one->chat.number, sizeof one->chat.number);
        if (chat_apply(&one->chat, &command, 0, &event) != CHAT_APPLIED) abort();
        struct shared *bytes = event_encode(&event);
        const struct event_append append = {.events = &bytes, .events_count = 1};
        if (event_store_append(one->store, &append, &errmsg) != 0) end_here(one, 98, errmsg.text);
        shared_unref(bytes);
    }
    event_store_close(one->store);
    chat_close(&one->chat);
    data_dir_close(&one->dir);
}

static void forget(struct trio_node *one)
{
    one->is_running = false;
    one->node = NULL;
    for (size_t i = 0; i < one->waiting_count; i++) /* told, and not on the disk */
        shared_unref(one->waiting[i]);
    mem_free(one->waiting);
    one->waiting = NULL;
    one->waiting_count = one->waiting_max = 0;
    one->has_entry = false;
    event_store_close(one->store);
    chat_close(&one->chat);
    data_dir_close(&one->dir);
}

int trio_try(struct trio *trio, size_t i, struct errmsg *errmsg)
{
    struct trio_node *one = &trio->nodes[i];
    struct event_meta meta;
    one->trio = trio;
    if (data_dir_open(&one->dir, one->path, one->name, errmsg) != 0) {
        end_here(one, 98, errmsg->text);
    }
    open_store(one, &meta);
    one->is_removed = false;
    int rv = node_start(&one->node,
                        &(struct node_options){.loop = &trio->loop,
                                               .handler = {.owner = one,
                                                           .on_event = on_event,
                                                           .on_entry = on_entry,
                                                           .on_change = on_change,
                                                           .on_cluster_event = on_cluster_event,
                                                           .on_removed = on_removed,
                                                           .on_fatal = on_fatal},
                                               .chat = &one->chat,
                                               .dir = &one->dir,
                                               .store = one->store,
                                               .meta = meta,
                                               .name = one->name,
                                               .cluster_name = "trio",
                                               .listen = one->address,
                                               .advertise = one->address,
                                               .http_url = "http://127.0.0.1:1",
                                               .version = "0.1.0",
                                               .peers = trio->peers,
                                               .peers_count = one->joins ? 0 : trio->peers_count,
                                               .join = one->joins ? trio->line : "",
                                               .secret = slice_of("a secret of the three of them"),
                                               .keep_log = trio->keep_log,
                                               .keep_log_bytes = trio->keep_log_bytes,
                                               .heartbeat_ms = 60,
                                               .election_timeout_ms = 600},
                        errmsg);
    one->is_running = rv == 0;
    if (rv != 0) forget(one);
    return rv;
}

void trio_start(struct trio *trio, size_t i)
{
    struct errmsg errmsg = {.text = ""};
    if (trio_try(trio, i, &errmsg) != 0) end_here(&trio->nodes[i], 97, errmsg.text);
}

static void on_stopped(void *owner)
{
    forget(owner);
}

void trio_stop(struct trio *trio, size_t i)
{
    struct trio_node *one = &trio->nodes[i];
    struct cluster_status status;
    node_stop(one->node, on_stopped, one);
    while (one->is_running) {
        node_status(one->node, &status); /* as a page may ask for it, to the end */
        uv_run(&trio->loop, UV_RUN_ONCE);
    }
}

struct trio_node *trio_leader(struct trio *trio)
{
    for (size_t i = 0; i < trio->count; i++) {
        struct cluster_status status;
        if (!trio->nodes[i].is_running) continue;
        node_status(trio->nodes[i].node, &status);
        if (status.is_leader && status.is_ready) return &trio->nodes[i];
    }
    return NULL;
}

bool trio_run_until(struct trio *trio, bool (*is_so)(struct trio *trio), uint64_t most_ms)
{
    uint64_t end_ms = clock_ms() + most_ms;
    while (!is_so(trio)) {
        if (clock_ms() > end_ms) return false;
        uv_run(&trio->loop, UV_RUN_ONCE);
    }
    return true;
}

static void remove_tree(const char *path)
{
    char command[512];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    if (system(command) != 0) fprintf(stderr, "cannot remove %s\n", path);
}

void trio_verify(struct trio *trio, size_t i, uint64_t number)
{
    struct trio_node *one = &trio->nodes[i];
    struct event_store *opened;
    struct event_meta meta;
    struct errmsg errmsg = {.text = ""};
    char path[512];
    struct event_store_damage damage;
    snprintf(path, sizeof path, "%s/history", one->path);
    const struct event_store_options options = {.dir = path, .read_only = true};
    int rv = event_store_open(&opened, &options, &errmsg);
    if (rv == 0) rv = event_store_verify(opened, NULL, NULL, &damage, &errmsg);
    if (rv != 0) end_here(one, 96, errmsg.text);
    event_store_meta(opened, &meta);
    if (meta.number != number) end_here(one, 96, "the store does not end where it should");
    event_store_close(opened);
}

void trio_close(struct trio *trio)
{
    for (size_t i = 0; i < trio->count; i++) {
        if (trio->nodes[i].is_running) trio_stop(trio, i);
    }
    uv_close((uv_handle_t *)&trio->turn, NULL);
    uv_run(&trio->loop, UV_RUN_DEFAULT);
    uv_loop_close(&trio->loop);
    remove_tree(trio->root);
}
