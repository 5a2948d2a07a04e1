/* From how things stand to what pages show of it: the board. Pure. */
#pragma once
#include "app/snapshot.h"

struct board_input {
    const struct cluster_status *cluster;
    struct chat *chat; /* its rooms, newest first */
    const struct presence *presence;
    const struct cluster_event *events; /* newest first */
    size_t events_count;
    const struct slice *shown; /* rooms whose people are listed: those shown on this node */
    size_t shown_count;
    int64_t now_ms; /* wall clock */
    uint64_t version, uptime_ms, browsers, disk_bytes;
    const char *self;
    const float *messages_per_second, *commit_p99_ms, *browsers_spark, *fsync_p99_ms;
};

/* One reference. */
struct shared *make_board(const struct board_input *input);

/* ok, degraded, electing, no_majority */
enum board_health board_health_of(const struct cluster_status *cluster);
/* How many nodes may fail in any order, so that the rest still decides: voters that are up beyond the
 * majority, and one that has the whole history among those that stay. */
size_t board_may_fail(const struct cluster_status *cluster);
/* "All 3 nodes are up. Any one may fail." Counts voters alone. */
void board_sentence(char out[BOARD_SENTENCE_MAX], const struct cluster_status *cluster);
