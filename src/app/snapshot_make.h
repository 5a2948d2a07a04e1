/* From what the domain thread owns to a snapshot for all the others, with its board. Domain thread. */
#pragma once
#include "app/config.h"
#include "app/tails.h"
#include "app/vitals.h"

struct snapshot_input {
    const struct config *config;
    struct node *node;
    struct chat *chat;
    const struct tails *tails;
    struct vitals *vitals; /* its board version goes up */
    uint64_t now_ms;       /* the loop's time */
    int64_t wall_ms;
};

/* One reference. The configuration's strings must live as long as the snapshot. */
struct snapshot *snapshot_make(const struct snapshot_input *input);
