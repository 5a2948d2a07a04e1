#include "app/metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- the format ---- */

static void add_head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_value(struct buf *out, const char *name, const char *labels, uint64_t value)
{
    buf_printf(out, "%s%s%s%s ", name, labels[0] == '\0' ? "" : "{", labels,
               labels[0] == '\0' ? "" : "}");
    buf_add_u64(out, value);
    buf_add_char(out, '\n');
}

static void add_double(struct buf *out, const char *name, const char *labels, double value)
{
    buf_printf(out, "%s%s%s%s %.9g\n", name, labels[0] == '\0' ? "" : "{", labels,
               labels[0] == '\0' ? "" : "}", value);
}

static void gauge(struct buf *out, const char *name, uint64_t value, const char *help)
{
    add_head(out, name, "gauge", help);
    add_value(out, name, "", value);
}

static void counter(struct buf *out, const char *name, uint64_t value, const char *help)
{
    add_head(out, name, "counter", help);
    add_value(out, name, "", value);
}

struct span { /* the bounds that are shown; what lies below counts for the first */
    uint64_t first_us, last_us;
};

static void add_histogram(struct buf *out, const char *name, const char *labels,
                          const struct histogram *histogram, struct span span)
{
    const char *comma = labels[0] == '\0' ? "" : ",";
    uint64_t below = 0;
    for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
        uint64_t bound = histogram_bounds_us[i];
        below += histogram->counts[i];
        if (bound < span.first_us || bound > span.last_us) continue;
        buf_printf(out, "%s_bucket{%s%sle=\"%g\"} ", name, labels, comma, (double)bound / 1e6);
        buf_add_u64(out, below);
        buf_add_char(out, '\n');
    }
    buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} ", name, labels, comma);
    buf_add_u64(out, histogram->count);
    const char *open = labels[0] == '\0' ? "" : "{", *close = labels[0] == '\0' ? "" : "}";
    buf_printf(out, "\n%s_sum%s%s%s %.6f\n%s_count%s%s%s ", name, open, labels, close,
               (double)histogram->sum_us / 1e6, name, open, labels, close);
    buf_add_u64(out, histogram->count);
    buf_add_char(out, '\n');
}

/* ---- the parts ---- */

static void add_node(struct buf *out, const struct metrics_input *input)
{
    char labels[256];
    snprintf(labels, sizeof labels, "version=\"%s\",commit=\"%s\",raft=\"%s\",libuv=\"%s\"",
             input->version, input->commit, input->raft, input->libuv);
    add_head(out, "livetea_build_info", "gauge", "What this node was built from.");
    add_value(out, "livetea_build_info", labels, 1);
    gauge(out, "livetea_ready", input->snapshot->ready, "1 if /readyz would answer 200.");
}

static void add_raft(struct buf *out, const struct cluster_status *cluster)
{
    gauge(out, "livetea_raft_has_leader", cluster->leader[0] != '\0',
          "1 if this node knows a leader.");
    gauge(out, "livetea_raft_is_leader", cluster->is_leader, "1 on the leader.");
    gauge(out, "livetea_raft_term", cluster->term, "Current term.");
    counter(out, "livetea_raft_leader_changes_total", cluster->leader_changes,
            "New leaders seen by this node.");
    gauge(out, "livetea_raft_last_index", cluster->last_index, "Last entry of this node's log.");
    gauge(out, "livetea_raft_commit_index", cluster->commit_index,
          "Last entry known as committed.");
    gauge(out, "livetea_raft_applied_index", cluster->applied_index, "Last entry applied here.");
    gauge(out, "livetea_raft_snapshot_index", cluster->snapshot_index,
          "Last entry in the newest snapshot.");
    counter(out, "livetea_snapshots_total", cluster->snapshots,
            "Snapshots that raft has taken: a manifest of the history each.");
    gauge(out, "livetea_raft_pending_entries", cluster->pending,
          "Commands queued, in flight or forwarded.");
}

static void add_peer_messages(struct buf *out, const struct member_status *member)
{
    char labels[128];
    snprintf(labels, sizeof labels, "peer=\"%s\",direction=\"in\"", member->name);
    add_value(out, "livetea_raft_messages_total", labels, member->messages_in);
    snprintf(labels, sizeof labels, "peer=\"%s\",direction=\"out\"", member->name);
    add_value(out, "livetea_raft_messages_total", labels, member->messages_out);
}

enum peer_part { PEER_UP, PEER_BEHIND, PEER_RTT, PEER_MESSAGES };

static void add_peer(struct buf *out, const struct cluster_status *cluster,
                     const struct member_status *member, enum peer_part part)
{
    char labels[64];
    snprintf(labels, sizeof labels, "peer=\"%s\"", member->name);
    uint64_t behind = cluster->last_index > member->applied_index
                          ? cluster->last_index - member->applied_index
                          : 0;
    switch (part) {
    case PEER_UP:
        add_value(out, "livetea_raft_peer_up", labels, member->state != MEMBER_AWAY);
        break;
    case PEER_BEHIND:
        if (member->known) add_value(out, "livetea_raft_peer_behind_entries", labels, behind);
        break;
    case PEER_RTT:
        if (member->rtt_ms >= 0) /* not for NaN: not measured */
            add_double(out, "livetea_raft_peer_rtt_seconds", labels, member->rtt_ms / 1000);
        break;
    case PEER_MESSAGES: add_peer_messages(out, member); break;
    }
}

static void add_peers(struct buf *out, const struct cluster_status *cluster)
{
    static const struct {
        const char *name, *type, *help;
    } parts[] = {[PEER_UP] = {"livetea_raft_peer_up", "gauge", "1 if the peer is heard."},
                 [PEER_BEHIND] = {"livetea_raft_peer_behind_entries", "gauge",
                                  "Entries of this node's log that the peer has not applied."},
                 [PEER_RTT] = {"livetea_raft_peer_rtt_seconds", "gauge", "Round trip to the peer."},
                 [PEER_MESSAGES] = {"livetea_raft_messages_total", "counter",
                                    "Messages from and to the peer."}};
    for (size_t part = 0; part < sizeof parts / sizeof *parts; part++) {
        add_head(out, parts[part].name, parts[part].type, parts[part].help);
        for (size_t i = 0; i < cluster->members_count; i++) {
            if (!cluster->members[i].is_self)
                add_peer(out, cluster, &cluster->members[i], (enum peer_part)part);
        }
    }
}

static void add_commands(struct buf *out, const struct snapshot *snapshot)
{
    static const char *const results[] = {"committed", "refused", "no_leader", "unknown",
                                          "duplicate"};
    char labels[96];
    add_head(out, "livetea_commands_total", "counter", "Commands taken by this node, by outcome.");
    for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
        snprintf(labels, sizeof labels, "command=\"send_message\",result=\"%s\"", results[i]);
        add_value(out, "livetea_commands_total", labels, snapshot->cluster.results[i]);
    }
    add_head(out, "livetea_command_duration_seconds", "histogram",
             "From the browser or program to the answer.");
    add_histogram(out, "livetea_command_duration_seconds", "command=\"send_message\"",
                  &snapshot->web.command_duration, (struct span){250, 10000000});
    add_head(out, "livetea_events_total", "counter", "Events of the history applied here.");
    add_value(out, "livetea_events_total", "event=\"MessageSent\"", snapshot->events);
}

/* Events that this node fetches because raft's log has them no more, and gives to others. */
static void add_backfill(struct buf *out, const struct snapshot *snapshot)
{
    const struct cluster_status *cluster = &snapshot->cluster;
    bool is_missing = cluster->has_gap && cluster->gap.goal > snapshot->events;
    add_head(out, "livetea_backfill_events_total", "counter",
             "Events fetched from other nodes to close a gap, and given to them.");
    add_value(out, "livetea_backfill_events_total", "direction=\"in\"", cluster->backfilled_in);
    add_value(out, "livetea_backfill_events_total", "direction=\"out\"", cluster->backfilled_out);
    gauge(out, "livetea_history_missing_events",
          is_missing ? cluster->gap.goal - snapshot->events : 0,
          "Events of the history that are missing here and being fetched.");
    gauge(out, "livetea_history_copies", cluster->history_copies,
          "Nodes that are up and have every event that may be in no log any more.");
}

static void add_disk(struct buf *out, const struct snapshot *snapshot)
{
    static const char *const raft = "part=\"raft\"", *const history = "part=\"history\"";
    const struct span span = {50, 2500000};
    add_head(out, "livetea_disk_fsync_duration_seconds", "histogram",
             "Durable writes: of the log, of the history.");
    add_histogram(out, "livetea_disk_fsync_duration_seconds", raft, &snapshot->cluster.fsync, span);
    add_histogram(out, "livetea_disk_fsync_duration_seconds", history, &snapshot->store_fsync,
                  span);
    add_head(out, "livetea_store_size_bytes", "gauge", "Bytes on disk.");
    add_value(out, "livetea_store_size_bytes", raft, snapshot->raft_bytes);
    add_value(out, "livetea_store_size_bytes", history, snapshot->history_bytes);
    add_head(out, "livetea_store_free_bytes", "gauge", "Bytes free on its file system.");
    add_value(out, "livetea_store_free_bytes", raft, snapshot->free_bytes);
    add_value(out, "livetea_store_free_bytes", history, snapshot->free_bytes);
    gauge(out, "livetea_disk_full", snapshot->cluster.is_disk_full,
          "1 while this node takes nothing new because its disk is full.");
}

static void add_browsers(struct buf *out, const struct snapshot *snapshot)
{
    static const char *const ends[CONN_ENDS] = {
        [CONN_END_CLIENT] = "client", [CONN_END_SLOW] = "slow", [CONN_END_PROTOCOL] = "protocol",
        [CONN_END_DRAIN] = "drain",   [CONN_END_IDLE] = "idle", [CONN_END_LIMIT] = "limit"};
    const struct conn_counters *conn = &snapshot->web.conn;
    char labels[64];
    add_head(out, "livetea_push_duration_seconds", "histogram",
             "From the commit to the last local frame queued.");
    add_histogram(out, "livetea_push_duration_seconds", "", &snapshot->web.push,
                  (struct span){50, 10000000});
    gauge(out, "livetea_websocket_connections", conn->websockets, "Open WebSockets.");
    gauge(out, "livetea_websocket_queued_bytes", conn->queued_bytes,
          "Waiting for slow connections.");
    counter(out, "livetea_websocket_opened_total", conn->opened, "WebSockets opened.");
    add_head(out, "livetea_websocket_closed_total", "counter", "WebSockets closed, by reason.");
    for (size_t i = 0; i < CONN_ENDS; i++) {
        snprintf(labels, sizeof labels, "reason=\"%s\"", ends[i]);
        add_value(out, "livetea_websocket_closed_total", labels, conn->closed[i]);
    }
    counter(out, "livetea_websocket_received_bytes_total", conn->received_bytes,
            "Bytes received from browsers and programs.");
    counter(out, "livetea_websocket_sent_bytes_total", conn->sent_bytes,
            "Bytes sent to browsers and programs.");
    counter(out, "livetea_websocket_sent_frames_total", conn->sent_frames, "Frames sent.");
    gauge(out, "livetea_views", snapshot->web.views, "Live views mounted here.");
    gauge(out, "livetea_rooms", snapshot->rooms, "Rooms with messages.");
    gauge(out, "livetea_people_present", snapshot->people, "People on all nodes.");
}

static void add_http(struct buf *out, const struct web_counters *web)
{
    static const char *const methods[] = {[HTTP_METHOD_GET] = "GET",
                                          [HTTP_METHOD_HEAD] = "HEAD",
                                          [HTTP_METHOD_POST] = "POST",
                                          [HTTP_METHOD_DELETE] = "DELETE",
                                          [HTTP_METHOD_OTHER] = "other"};
    char labels[160];
    add_head(out, "livetea_http_requests_total", "counter", "Requests, by route and answer.");
    for (size_t i = 0; i < web->http_counts_used; i++) {
        const struct http_count *count = &web->http_counts[i];
        snprintf(labels, sizeof labels, "route=\"%s\",method=\"%s\",code=\"%u\"",
                 web_route_pattern((enum web_route)count->route), methods[count->method],
                 (unsigned)count->code);
        add_value(out, "livetea_http_requests_total", labels, count->count);
    }
    add_head(out, "livetea_http_request_duration_seconds", "histogram",
             "From the request to its answer, by route.");
    for (size_t i = 0; i < WEB_ROUTES; i++) {
        if (web->http_duration[i].count == 0) continue;
        snprintf(labels, sizeof labels, "route=\"%s\"", web_route_pattern((enum web_route)i));
        add_histogram(out, "livetea_http_request_duration_seconds", labels, &web->http_duration[i],
                      (struct span){50, 10000000});
    }
}

static void add_process(struct buf *out, const struct metrics_input *input)
{
    const struct process_figures *process = input->process;
    const struct span span = {250, 2500000};
    add_head(out, "livetea_loop_delay_seconds", "histogram", "How late a thread's timers come.");
    add_histogram(out, "livetea_loop_delay_seconds", "thread=\"domain\"",
                  &input->snapshot->domain_delay, span);
    add_histogram(out, "livetea_loop_delay_seconds", "thread=\"web\"",
                  &input->snapshot->web.loop_delay, span);
    if (process->cpu_seconds >= 0) {
        add_head(out, "process_cpu_seconds_total", "counter", "User and system time.");
        add_double(out, "process_cpu_seconds_total", "", process->cpu_seconds);
    }
    if (process->resident_bytes >= 0) {
        gauge(out, "process_resident_memory_bytes", (uint64_t)process->resident_bytes,
              "Resident memory.");
    }
    if (process->open_fds >= 0)
        gauge(out, "process_open_fds", (uint64_t)process->open_fds, "Open descriptors.");
    if (process->max_fds >= 0)
        gauge(out, "process_max_fds", (uint64_t)process->max_fds, "Most descriptors allowed.");
    add_head(out, "process_start_time_seconds", "gauge", "Since 1970.");
    buf_printf(out, "process_start_time_seconds %.3f\n",
               (double)input->snapshot->started_at_ms / 1000);
}

void metrics_write(struct buf *out, const struct metrics_input *input)
{
    const struct snapshot *snapshot = input->snapshot;
    add_node(out, input);
    add_raft(out, &snapshot->cluster);
    add_peers(out, &snapshot->cluster);
    add_commands(out, snapshot);
    add_backfill(out, snapshot);
    add_disk(out, snapshot);
    add_browsers(out, snapshot);
    add_http(out, &snapshot->web);
    add_process(out, input);
}

/* ---- the process ---- */

static int64_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    long pages = -1;
    if (file == NULL) return -1;
    if (fscanf(file, "%*d %ld", &pages) != 1) pages = -1;
    fclose(file);
    return pages < 0 ? -1 : (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static int64_t open_fds(void)
{
    int64_t count = -3; /* itself, "." and ".." */
    DIR *listing = opendir("/proc/self/fd");
    if (listing == NULL) return -1;
    while (readdir(listing) != NULL)
        count++;
    closedir(listing);
    return count;
}

void process_figures_read(struct process_figures *figures)
{
    struct rusage usage;
    struct rlimit limit;
    *figures = (struct process_figures){.cpu_seconds = -1, .max_fds = -1};
    figures->resident_bytes = resident_bytes();
    figures->open_fds = open_fds();
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        figures->cpu_seconds =
            (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
            ((double)usage.ru_utime.tv_usec + (double)usage.ru_stime.tv_usec) / 1e6;
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        figures->max_fds = (int64_t)limit.rlim_cur;
}
