/* How full the disk of a data directory is. Asked on libuv's pool: a disk that hangs must not hold up who
 * asks, which is raft's thread.
 */
#pragma once
#include <stdbool.h>

#include <uv.h>

#include "store/data_dir.h"

struct disk_look {
    const struct data_dir *dir;
    void (*on_looked)(struct disk_look *look); /* in the loop; the figures are new */
    uint64_t free_bytes;
    uint64_t raft_bytes; /* of raft's log; as of the last look that wanted it */
    /* its own */
    uv_work_t work;
    bool is_running, wants_raft;
};

/* Looks; does nothing while the look before is under way. The log's size costs a walk over its files.
 * Must not move in memory until the loop has run out. */
void disk_look(struct disk_look *look, uv_loop_t *loop, bool wants_raft);
