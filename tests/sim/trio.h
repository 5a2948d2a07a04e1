/* Up to TRIO_NODES nodes of a cluster in one process, on one loop, over loopback, each with an event store. What
 * a node tells is made durable at the next turn of the loop, as the store thread would do it later.
 */
#pragma once
#include <uv.h>

#include "base/clock.h"
#include "cluster/node.h"

struct trio;

enum { TRIO_NODES = 8 };

struct trio_node {
    struct trio *trio;
    char name[NODE_NAME_MAX + 1];
    char path[256];
    char address[ADDRESS_MAX + 1];
    bool joins; /* not one of the founders */
    struct data_dir dir;
    struct chat chat;
    struct node *node;
    bool is_running, is_removed; /* has been told that it is no member any more */
    bool may_end;                /* a fatal error is noted and no more; else the process ends */
    int exit_code;               /* of it; 0 = none */
    struct event_store *store;
    struct shared **waiting; /* for the store */
    size_t waiting_count, waiting_max;
    bool has_entry;                        /* marks may be moved up to `index` */
    uint64_t events, index, last_event_ns; /* of the last one, over all runs */
    struct digest digest;
    unsigned told[CLUSTER_DISK_FREE + 1]; /* cluster events by kind */
    char heir[NODE_NAME_MAX + 1];         /* to whom it has handed over last */
};

struct trio {
    uv_loop_t loop;
    char root[128];
    char line[512]; /* the founders' peers */
    struct peer peers[PEERS_MAX];
    size_t peers_count, count;
    int first_port;
    unsigned keep_log;       /* for the nodes that are started from now on */
    uint64_t keep_log_bytes; /* and this; 0: as ever */
    uv_prepare_t turn;
    struct trio_node nodes[TRIO_NODES];
};

/* Founders tea-1 to tea-COUNT, at that port and those behind it. */
void trio_init(struct trio *trio, size_t count, int first_port);
/* Before the first start: a history that is older than the cluster, as after a restore. */
void trio_fill(struct trio *trio, size_t i, uint64_t events);
/* One more, not started, that joins the founders; returns its place. */
size_t trio_more(struct trio *trio, const char *name);
void trio_start(struct trio *trio, size_t i);
/* What node_start answers. */
int trio_try(struct trio *trio, size_t i, struct errmsg *errmsg);
/* Gently; runs the loop until it is done. */
void trio_stop(struct trio *trio, size_t i);
void trio_close(struct trio *trio);
/* One that leads and is ready, or NULL. */
struct trio_node *trio_leader(struct trio *trio);
/* Of a stopped node: its store is whole, and at this event. */
void trio_verify(struct trio *trio, size_t i, uint64_t number);
bool trio_run_until(struct trio *trio, bool (*is_so)(struct trio *trio), uint64_t most_ms);
