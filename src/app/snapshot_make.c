#include "app/snapshot_make.h"

#include <unistd.h>

#include "app/make_board.h"
#include "app/status.h"
#include "base/clock.h"
#include "base/mem.h"

static void fill_quantiles(const struct snapshot_input *input, struct snapshot *snapshot)
{
    const struct vitals *vitals = input->vitals;
    const size_t oldest = VITALS_MINUTE - 1;
    struct histogram commit =
        histogram_since(&snapshot->web.command_duration, &vitals->commit.then[oldest]);
    struct histogram fsync = histogram_since(&snapshot->cluster.fsync, &vitals->fsync.then[oldest]);
    struct histogram push = histogram_since(&snapshot->web.push, &vitals->push.then[oldest]);
    snapshot->commit_p50_ms = histogram_quantile_ms(&commit, 0.5);
    snapshot->commit_p99_ms = histogram_quantile_ms(&commit, 0.99);
    snapshot->fsync_p50_ms = histogram_quantile_ms(&fsync, 0.5);
    snapshot->fsync_p99_ms = histogram_quantile_ms(&fsync, 0.99);
    snapshot->push_p99_ms = histogram_quantile_ms(&push, 0.99);

    uint64_t seconds = (vitals->seconds < 60 ? vitals->seconds : 50 + vitals->seconds % 10);
    uint64_t live = vitals_live(&snapshot->cluster, input->chat->number);
    uint64_t then = vitals->events_then[oldest];
    uint64_t events = live > then ? live - then : 0;
    snapshot->messages_per_second = seconds == 0 ? 0 : (double)events / (double)seconds;
}

static struct shared *board_now(const struct snapshot_input *from, const struct snapshot *snapshot)
{
    struct slice shown[BOARD_SHOWN_MAX];
    struct vitals *vitals = from->vitals;
    struct board_input input = {
        .cluster = &snapshot->cluster,
        .chat = from->chat,
        .presence = node_presence(from->node),
        .events = vitals->events,
        .events_count = vitals->events_count,
        .shown = shown,
        .shown_count = tails_shown(from->tails, shown, BOARD_SHOWN_MAX),
        .now_ms = snapshot->made_at_ms,
        .version = ++vitals->version,
        .uptime_ms = snapshot->uptime_ms,
        .browsers = snapshot->web.conn.websockets,
        .disk_bytes = snapshot->history_bytes + snapshot->raft_bytes,
        .self = from->config->node.name,
        .messages_per_second = vitals->messages_per_second,
        .commit_p99_ms = vitals->commit_p99_ms,
        .browsers_spark = vitals->browsers,
        .fsync_p99_ms = vitals->fsync_p99_ms,
    };
    return make_board(&input);
}

struct snapshot *snapshot_make(const struct snapshot_input *input)
{
    const struct vitals *vitals = input->vitals;
    const struct config *config = input->config;
    struct snapshot *snapshot = mem_new(sizeof *snapshot);

    node_status(input->node, &snapshot->cluster);
    vitals_web(vitals, &snapshot->web);
    snapshot->domain_delay = vitals->domain_delay;
    snapshot->store_fsync = vitals->store_fsync;
    snapshot->name = config->node.name;
    snapshot->cluster_name = config->cluster.name;
    snapshot->http = config->http.public_url;
    snapshot->address = config->cluster.advertise;
    snapshot->data_dir = config->node.data_dir;
    snapshot->made_ms = clock_ms();
    snapshot->made_at_ms = input->wall_ms;
    snapshot->started_at_ms = vitals->started_at_ms;
    snapshot->uptime_ms = input->now_ms - vitals->started_ms;
    snapshot->pid = (int)getpid();
    snapshot->draining = vitals->draining;
    snapshot->events = input->chat->number;
    snapshot->durable = vitals->durable;
    snapshot->rooms = input->chat->rooms_count;
    snapshot->people = presence_total(node_presence(input->node));
    snapshot->history_bytes = vitals->history_bytes;
    snapshot->raft_bytes = vitals->raft_bytes;
    snapshot->free_bytes = vitals->free_bytes;
    snapshot->happened_count = vitals->events_count;
    memcpy(snapshot->happened, vitals->events, vitals->events_count * sizeof *vitals->events);
    fill_quantiles(input, snapshot);
    snapshot->ready = status_ready(NULL, snapshot);
    snapshot->board = board_now(input, snapshot);
    atomic_init(&snapshot->references, 1);
    return snapshot;
}
