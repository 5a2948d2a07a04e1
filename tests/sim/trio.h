/* Up to five nodes of a cluster in one process, on one loop, over loopback. */
#pragma once
#include <uv.h>

#include "base/clock.h"
#include "cluster/node.h"

struct trio_node {
    char name[NODE_NAME_MAX + 1];
    char path[256];
    struct data_dir dir;
    struct chat chat;
    struct node *node;
    bool is_running;
    uint64_t events, index, last_event_ns;
    struct digest digest;
    unsigned told[CLUSTER_DISK_FREE + 1]; /* cluster events by kind */
    struct cluster_event last_told;
};

struct trio {
    uv_loop_t loop;
    char root[128];
    struct peer peers[PEERS_MAX];
    size_t peers_count, count;
    int first_port;
    struct trio_node nodes[5];
};

void trio_init(struct trio *trio, size_t count, int first_port);
void trio_start(struct trio *trio, size_t i);
/* Gently; runs the loop until it is done. */
void trio_stop(struct trio *trio, size_t i);
void trio_close(struct trio *trio);
/* One that leads and is ready, or NULL. */
struct trio_node *trio_leader(struct trio *trio);
bool trio_run_until(struct trio *trio, bool (*is_so)(struct trio *trio), uint64_t most_ms);
