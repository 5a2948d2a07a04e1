/* The node's figures over time: what the domain thread gathers for its snapshots.
 *
 * The web threads tell their counters, the store its commits, the node its status; once a second all of
 * it becomes a snapshot, with the last minute's quantiles and sparklines. Domain thread.
 */
#pragma once
#include "app/make_board.h"
#include "app/snapshot.h"

enum { VITALS_THREADS_MAX = 16, VITALS_MINUTE = 6 /* pictures of 10 s */ };

struct minute { /* a histogram as it was at the last few ten-second marks */
    struct histogram then[VITALS_MINUTE];
};

struct vitals {
    struct web_counters threads[VITALS_THREADS_MAX];
    struct histogram store_fsync, domain_delay;
    struct minute commit, fsync, push;
    struct histogram commit_second, fsync_second; /* as they were a second ago */
    uint64_t events_second, events_then[VITALS_MINUTE];
    unsigned seconds;
    float messages_per_second[BOARD_SPARK], commit_p99_ms[BOARD_SPARK], browsers[BOARD_SPARK],
        fsync_p99_ms[BOARD_SPARK];
    struct cluster_event events[CLUSTER_EVENTS_MAX]; /* newest first */
    size_t events_count;
    uint64_t version, started_ms; /* monotonic */
    int64_t started_at_ms;        /* wall clock */
    uint64_t history_bytes, raft_bytes, free_bytes, durable;
    bool draining;
};

void vitals_init(struct vitals *vitals, uint64_t now_ms, int64_t wall_ms, uint64_t events);
void vitals_event(struct vitals *vitals, const struct cluster_event *event);
/* All threads' counters, added up. */
void vitals_web(const struct vitals *vitals, struct web_counters *sum);
/* Of the history's `number` events those that people have written while this node looked on, and those of
 * its start: what it fetched to close a gap is as old as the history, and no sign of how busy the chat is. */
uint64_t vitals_live(const struct cluster_status *cluster, uint64_t number);
/* A second is over: moves the sparklines on. `events`: as vitals_live counts. */
void vitals_tick(struct vitals *vitals, const struct cluster_status *cluster, uint64_t events);
