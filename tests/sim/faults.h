/* One run: a cluster, its people, and a schedule of faults that follows from the seed. */
#pragma once
#include "world.h"

#define FAULT_TABLE(X)                                            \
    X(KILL_ONE, "kill one")                                       \
    X(KILL_MAJORITY, "kill a majority")                           \
    X(KILL_ALL, "kill all")                                       \
    X(KILL_AND_BACK, "kill and start") /* at once */              \
    X(PAUSE, "pause one")                                         \
    X(ISOLATE, "isolate")                                         \
    X(SPLIT, "split")                                             \
    X(ONE_WAY_IN, "one way in")                                   \
    X(ONE_WAY_OUT, "one way out")                                 \
    X(EVERYBODY_ALONE, "everybody alone")                         \
    X(LOSS, "lose 30 %")                                          \
    X(SLOW_LINKS, "slow links")                                   \
    X(SLOW_DISK, "slow disk")                                     \
    X(DISK_ERROR, "disk error") /* the next write, or read */     \
    X(DISK_FULL, "disk full")                                     \
    X(CLOCK, "clock jumps") /* the wall's, for good */            \
    X(STORE_STUCK, "store stuck")                                 \
    X(TRANSFER, "transfer")                                       \
    X(MEMBER, "one more member")                                  \
    X(MEMBER_GOES, "one member less")                             \
    X(POWER_LOSS, "power loss") /* of all, no store keeping up */ \
    X(FLICKER, "flicker") /* one after another is alone for about as long as an election takes */

#define FAULT_ENUM(name, words) FAULT_##name,
enum fault_kind { FAULT_TABLE(FAULT_ENUM) FAULTS };
#undef FAULT_ENUM

const char *fault_words(enum fault_kind kind);

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
        lost, kept, repeated, changed, ended, level_ms, wait_max_ms, proof_max_ms;
    unsigned faults, kinds[FAULTS];
};

void run_seed(const struct run_options *options, struct run_result *result);
