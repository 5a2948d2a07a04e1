/* The metrics page: a snapshot in Prometheus' text format, version 0.0.4.
 *
 * A pure function of its inputs. Rooms, people and addresses are never labels: what counts grows with
 * the program, not with its use.
 */
#pragma once
#include "app/snapshot.h"

enum { METRICS_MAX = 512 * 1024 };

struct process_figures { /* what the system says of this process; -1 = it did not say */
    double cpu_seconds;
    int64_t resident_bytes, open_fds, max_fds;
};

/* Asks the system; a few reads of /proc. Any thread. */
void process_figures_read(struct process_figures *figures);

struct metrics_input {
    const struct snapshot *snapshot;
    const struct process_figures *process;
    const char *version, *commit, *raft, *libuv;
};

void metrics_write(struct buf *out, const struct metrics_input *input);
