#include "app/vitals.h"

#include <math.h>

#include "base/mem.h"

void vitals_init(struct vitals *vitals, uint64_t now_ms, int64_t wall_ms, uint64_t events)
{
    *vitals =
        (struct vitals){.started_ms = now_ms, .started_at_ms = wall_ms, .events_second = events};
    for (size_t i = 0; i < VITALS_MINUTE; i++)
        vitals->events_then[i] = events;
    for (size_t i = 0; i < BOARD_SPARK; i++) {
        vitals->messages_per_second[i] = NAN;
        vitals->commit_p99_ms[i] = NAN;
        vitals->browsers[i] = NAN;
        vitals->fsync_p99_ms[i] = NAN;
    }
}

void vitals_event(struct vitals *vitals, const struct cluster_event *event)
{
    size_t kept =
        vitals->events_count < CLUSTER_EVENTS_MAX ? vitals->events_count : CLUSTER_EVENTS_MAX - 1;
    memmove(vitals->events + 1, vitals->events, kept * sizeof *vitals->events);
    vitals->events[0] = *event;
    vitals->events_count = kept + 1;
}

static void add_http_counts(struct web_counters *sum, const struct web_counters *from)
{
    for (size_t i = 0; i < from->http_counts_used; i++) {
        const struct http_count *count = &from->http_counts[i];
        size_t place = 0;
        while (place < sum->http_counts_used && (sum->http_counts[place].route != count->route ||
                                                 sum->http_counts[place].method != count->method ||
                                                 sum->http_counts[place].code != count->code))
            place++;
        if (place == HTTP_COUNTS_MAX) continue;
        if (place == sum->http_counts_used) {
            sum->http_counts[place] = *count;
            sum->http_counts_used++;
        } else {
            sum->http_counts[place].count += count->count;
        }
    }
}

static void add_conn(struct conn_counters *sum, const struct conn_counters *from)
{
    sum->http_requests += from->http_requests;
    sum->http_bad += from->http_bad;
    sum->opened += from->opened;
    for (size_t i = 0; i < CONN_ENDS; i++)
        sum->closed[i] += from->closed[i];
    sum->connections += from->connections;
    sum->websockets += from->websockets;
    sum->received_bytes += from->received_bytes;
    sum->sent_bytes += from->sent_bytes;
    sum->sent_frames += from->sent_frames;
    sum->writes += from->writes;
    sum->queued_bytes += from->queued_bytes;
}

void vitals_web(const struct vitals *vitals, struct web_counters *sum)
{
    memset(sum, 0, sizeof *sum);
    for (size_t i = 0; i < VITALS_THREADS_MAX; i++) {
        const struct web_counters *from = &vitals->threads[i];
        add_conn(&sum->conn, &from->conn);
        add_http_counts(sum, from);
        sum->views += from->views;
        sum->subscriptions += from->subscriptions;
        sum->rooms_shown += from->rooms_shown;
        for (size_t k = 0; k < WEB_ROUTES; k++)
            histogram_merge(&sum->http_duration[k], &from->http_duration[k]);
        histogram_merge(&sum->command_duration, &from->command_duration);
        histogram_merge(&sum->push, &from->push);
        histogram_merge(&sum->loop_delay, &from->loop_delay);
    }
}

static void shift(float spark[BOARD_SPARK], double newest)
{
    memmove(spark, spark + 1, (BOARD_SPARK - 1) * sizeof *spark);
    spark[BOARD_SPARK - 1] = (float)newest;
}

static void mark(struct minute *minute, const struct histogram *now)
{
    memmove(minute->then + 1, minute->then, (VITALS_MINUTE - 1) * sizeof *minute->then);
    minute->then[0] = *now;
}

uint64_t vitals_live(const struct cluster_status *cluster, uint64_t number)
{
    return number > cluster->backfilled_in ? number - cluster->backfilled_in : 0;
}

void vitals_tick(struct vitals *vitals, const struct cluster_status *cluster, uint64_t events)
{
    struct web_counters web;
    vitals_web(vitals, &web);

    struct histogram commit = histogram_since(&web.command_duration, &vitals->commit_second);
    struct histogram fsync = histogram_since(&cluster->fsync, &vitals->fsync_second);
    shift(vitals->messages_per_second,
          events > vitals->events_second ? (double)(events - vitals->events_second) : 0);
    shift(vitals->commit_p99_ms, histogram_quantile_ms(&commit, 0.99));
    shift(vitals->fsync_p99_ms, histogram_quantile_ms(&fsync, 0.99));
    shift(vitals->browsers, (double)web.conn.websockets);
    vitals->commit_second = web.command_duration;
    vitals->fsync_second = cluster->fsync;
    vitals->events_second = events;

    if (++vitals->seconds % 10 != 0) return;
    mark(&vitals->commit, &web.command_duration);
    mark(&vitals->fsync, &cluster->fsync);
    mark(&vitals->push, &web.push);
    memmove(vitals->events_then + 1, vitals->events_then,
            (VITALS_MINUTE - 1) * sizeof *vitals->events_then);
    vitals->events_then[0] = events;
}
