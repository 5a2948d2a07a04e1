/* One run: a cluster, its people, and a schedule of faults that follows from the seed. */
#pragma once
#include "world.h"

struct run_options {
    uint64_t seed;
    enum mistake mistake;
    bool traces;
};

struct run_result {
    bool is_good;
    char error
        [240]; /* their names, the first one found first: of the checker, or ID_USED_TWICE, FATAL, STUCK */
    char words[240];
    struct checker_report report;
    uint64_t virtual_ms, events, elections, kills, gaps, snapshots, backfilled, retries, known,
        lost, repeated, changed, level_ms;
    unsigned faults;
};

void run_seed(const struct run_options *options, struct run_result *result);
