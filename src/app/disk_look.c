#include "app/disk_look.h"

#include <assert.h>

static void on_pool(uv_work_t *work)
{
    struct disk_look *look = work->data;
    look->free_bytes = data_dir_free_bytes(look->dir);
    if (look->wants_raft) look->raft_bytes = data_dir_used_bytes(look->dir, "raft");
}

static void on_done(uv_work_t *work, int status)
{
    struct disk_look *look = work->data;
    look->is_running = false;
    if (status == 0) look->on_looked(look);
}

void disk_look(struct disk_look *look, uv_loop_t *loop, bool wants_raft)
{
    if (look->is_running) return;
    look->is_running = true;
    look->wants_raft = wants_raft;
    look->work.data = look;
    int rv = uv_queue_work(loop, &look->work, on_pool, on_done);
    assert(rv == 0);
}
