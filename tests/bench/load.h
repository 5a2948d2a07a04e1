/* The load generator: what it is asked to do, and its kinds of load.
 *
 * Each kind prints one line of JSON. None of them starts or stops a node: scripts/bench does.
 */
#pragma once
#include "bench/crowd.h"
#include "bench/figures.h"
#include "bench/process.h"

enum { PLACES_MAX = 16, LEVELS_MAX = 8 };

struct load {
    struct loop loop;
    struct place nodes[PLACES_MAX]; /* that the browsers are on */
    size_t nodes_count;
    struct place posts[PLACES_MAX]; /* that messages are sent to */
    size_t posts_count;
    int pids[PLACES_MAX]; /* of the nodes, for their processor time and memory */
    size_t pids_count;
    size_t browsers, rooms, people, text_size, connections, stages;
    size_t in_flight[LEVELS_MAX];
    size_t in_flight_count;
    double rate, ramp, seconds, warm_seconds, p99_limit_ms;
    bool saturate;
    struct visitor *visitors;
};

/* The browsers that were asked for, before anything is opened. */
struct crowd_plan load_plan(struct load *load, struct browser_calls calls, void *owner);

/* Processor time of the nodes and of this process between two moments. */
struct spent {
    double at_s, nodes_s, own_s;
};

struct spent spent_now(const struct load *load);
/* Prints cores used: "node_cores", "own_cores". */
void spent_print(const struct spent *from, const struct spent *to);

/* Readers of messages at a rate, or at the highest that they take in time. */
void load_fanout(struct load *load);
/* Writers that each wait for the answer. */
void load_commit(struct load *load);
/* Writers that go on when a node goes away: how long nobody, and how long somebody, got no answer. */
void load_failover(struct load *load);
/* Browsers that connect and join, and then stay still. */
void load_join(struct load *load);
