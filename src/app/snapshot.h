/* What a node knows of itself, as one value: for /status, /metrics, /readyz and the command line.
 *
 * The domain thread makes one each second, and at once when the cluster changed, from its own figures
 * and from what the web threads told it (struct web_counters), and mails it to every web thread. So
 * any of them answers at once, from memory, without asking anybody. Immutable once mailed.
 */
#pragma once
#include "app/routes.h"
#include "base/histogram.h"
#include "cluster/node.h"
#include "pages/board.h"
#include "web/conn.h"

enum { HTTP_COUNTS_MAX = 160 };

struct http_count {
    uint8_t route, method; /* enum web_route, enum http_method */
    uint16_t code;
    uint64_t count;
};

struct web_counters { /* of one web thread; summed over all in a snapshot */
    struct conn_counters conn;
    uint64_t views;         /* mounted now */
    uint64_t subscriptions; /* readers of topics now */
    uint64_t rooms_shown;
    size_t http_counts_used;
    struct http_count http_counts[HTTP_COUNTS_MAX];
    struct histogram http_duration[WEB_ROUTES];
    struct histogram command_duration; /* taken from the browser to answered */
    struct histogram push;             /* applied to last local frame queued */
    struct histogram loop_delay;       /* how late a timer of 100 ms came */
};

struct snapshot {
    struct cluster_status cluster;
    struct web_counters web;
    struct histogram domain_delay;
    struct histogram store_fsync;
    /* the last 60 s */
    double commit_p50_ms, commit_p99_ms, fsync_p50_ms, fsync_p99_ms, push_p99_ms;
    double messages_per_second;
    /* the node */
    const char *name, *cluster_name, *http, *address, *data_dir; /* live as long as the process */
    uint64_t made_ms;                                            /* monotonic */
    int64_t made_at_ms, started_at_ms;                           /* wall clock */
    uint64_t uptime_ms;
    int pid;
    bool draining;
    bool ready; /* /readyz would answer 200 (app/status.h) */
    uint64_t events, durable, rooms, people;
    uint64_t history_bytes, raft_bytes, free_bytes;
    struct cluster_event happened[CLUSTER_EVENTS_MAX]; /* newest first */
    size_t happened_count;
    struct shared *board; /* the board of the same moment; a reference of the snapshot's */
    atomic_uint references;
};

struct snapshot *snapshot_ref(struct snapshot *snapshot);
void snapshot_unref(struct snapshot *snapshot); /* any thread; NULL is fine */
