#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "app/metrics.h"

struct fixture {
    struct snapshot snapshot;
    struct buf out;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct snapshot *snapshot = &fixture->snapshot;
    snapshot->ready = true;
    snapshot->events = 48213;
    snapshot->started_at_ms = 1500;
    snapshot->cluster.term = 8;
    snapshot->cluster.last_index = 100;
    snprintf(snapshot->cluster.leader, sizeof snapshot->cluster.leader, "tea-3");
    snapshot->cluster.members_count = 2;
    snapshot->cluster.members[0] = (struct member_status){
        .name = "tea-1", .is_self = true, .state = MEMBER_FOLLOWER, .rtt_ms = NAN};
    snapshot->cluster.members[1] = (struct member_status){.name = "tea-3",
                                                          .state = MEMBER_LEADER,
                                                          .known = true,
                                                          .applied_index = 93,
                                                          .rtt_ms = 0.25,
                                                          .messages_in = 5,
                                                          .messages_out = 6};
    snapshot->cluster.has_gap = true;
    snapshot->cluster.gap.goal = 50000;
    snapshot->cluster.backfilled_in = 700;
    snapshot->cluster.backfilled_out = 3;
    snapshot->cluster.snapshots = 4;
    snapshot->cluster.history_copies = 2;
    snapshot->cluster.is_disk_full = true;
    snapshot->cluster.results[0] = 12;
    snapshot->cluster.results[4] = 3;
    histogram_add(&snapshot->web.command_duration, 100);
    histogram_add(&snapshot->web.command_duration, 300);
    histogram_add(&snapshot->web.command_duration, 20000000);
    snapshot->web.conn.closed[CONN_END_SLOW] = 2;
    snapshot->web.http_counts[0] = (struct http_count){
        .route = ROUTE_API_MESSAGES, .method = HTTP_METHOD_POST, .code = 201, .count = 9};
    snapshot->web.http_counts_used = 1;
    histogram_add(&snapshot->web.http_duration[ROUTE_API_MESSAGES], 700);
    buf_init(&fixture->out, METRICS_MAX);
    struct process_figures process = {
        .cpu_seconds = 1.5, .resident_bytes = 4096, .open_fds = 10, .max_fds = -1};
    metrics_write(&fixture->out, &(struct metrics_input){.snapshot = snapshot,
                                                         .process = &process,
                                                         .version = "0.1.0",
                                                         .commit = "abc1234",
                                                         .raft = "0.22.1",
                                                         .libuv = "1.44.2"});
    buf_add_char(&fixture->out, '\0');
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    buf_close(&fixture->out);
    free(fixture);
    return 0;
}

static void assert_line(const struct fixture *fixture, const char *line)
{
    char whole[256];
    snprintf(whole, sizeof whole, "\n%s\n", line);
    if (strstr(fixture->out.at, whole) == NULL) fail_msg("no line '%s'", line);
}

static void figures_of_a_snapshot_are_lines(void **state)
{
    const struct fixture *fixture = *state;
    assert_line(fixture, "livetea_build_info{version=\"0.1.0\",commit=\"abc1234\",raft=\"0.22.1\","
                         "libuv=\"1.44.2\"} 1");
    assert_line(fixture, "livetea_ready 1");
    assert_line(fixture, "livetea_raft_has_leader 1");
    assert_line(fixture, "livetea_raft_is_leader 0");
    assert_line(fixture, "livetea_raft_term 8");
    assert_line(fixture, "livetea_events_total{event=\"MessageSent\"} 48213");
    assert_line(fixture,
                "livetea_commands_total{command=\"send_message\",result=\"committed\"} 12");
    assert_line(fixture, "livetea_commands_total{command=\"send_message\",result=\"duplicate\"} 3");
    assert_line(fixture, "livetea_websocket_closed_total{reason=\"slow\"} 2");
    assert_line(fixture, "livetea_http_requests_total{route=\"/api/rooms/:room/messages\","
                         "method=\"POST\",code=\"201\"} 9");
    assert_line(fixture, "process_cpu_seconds_total 1.5");
    assert_line(fixture, "process_start_time_seconds 1.500");
}

static void what_is_missing_here_is_counted(void **state)
{
    const struct fixture *fixture = *state;
    assert_line(fixture, "livetea_backfill_events_total{direction=\"in\"} 700");
    assert_line(fixture, "livetea_backfill_events_total{direction=\"out\"} 3");
    assert_line(fixture, "livetea_history_missing_events 1787");
    assert_line(fixture, "livetea_history_copies 2");
    assert_line(fixture, "livetea_snapshots_total 4");
    assert_line(fixture, "livetea_disk_full 1");
}

static void a_node_is_no_peer_of_its_own(void **state)
{
    const struct fixture *fixture = *state;
    assert_line(fixture, "livetea_raft_peer_up{peer=\"tea-3\"} 1");
    assert_line(fixture, "livetea_raft_peer_behind_entries{peer=\"tea-3\"} 7");
    assert_line(fixture, "livetea_raft_peer_rtt_seconds{peer=\"tea-3\"} 0.00025");
    assert_line(fixture, "livetea_raft_messages_total{peer=\"tea-3\",direction=\"in\"} 5");
    assert_null(strstr(fixture->out.at, "peer=\"tea-1\""));
}

static void a_histogram_is_cumulative_and_ends_with_all(void **state)
{
    const struct fixture *fixture = *state;
#define DURATION "livetea_command_duration_seconds"
    assert_line(fixture, DURATION "_bucket{command=\"send_message\",le=\"0.00025\"} 1");
    assert_line(fixture, DURATION "_bucket{command=\"send_message\",le=\"0.0005\"} 2");
    assert_line(fixture, DURATION "_bucket{command=\"send_message\",le=\"10\"} 2");
    assert_line(fixture, DURATION "_bucket{command=\"send_message\",le=\"+Inf\"} 3");
    assert_line(fixture, DURATION "_sum{command=\"send_message\"} 20.000400");
    assert_line(fixture, DURATION "_count{command=\"send_message\"} 3");
    assert_null(strstr(fixture->out.at, DURATION "_bucket{command=\"send_message\",le=\"5e-05\"}"));
}

static void what_the_system_did_not_say_is_left_out(void **state)
{
    const struct fixture *fixture = *state;
    assert_line(fixture, "process_open_fds 10");
    assert_null(strstr(fixture->out.at, "process_max_fds"));
}

/* Each sample stands behind the head of its family, and no family comes twice. */
static void every_family_has_one_head_before_its_samples(void **state)
{
    const struct fixture *fixture = *state;
    struct slice rest = slice_from(fixture->out.at);
    char family[128] = "", seen[16 * 1024] = "\n";
    size_t families = 0;
    while (rest.len > 0) {
        struct slice line = slice_cut(&rest, '\n');
        if (slice_starts(line, slice_of("# TYPE "))) continue;
        if (slice_starts(line, slice_of("# HELP "))) {
            struct slice name = slice_skip(line, 7);
            name = slice_first(name, slice_find(name, ' '));
            snprintf(family, sizeof family, "\n%.*s\n", (int)name.len, name.at);
            assert_null(strstr(seen, family));
            strncat(seen, family + 1, sizeof seen - strlen(seen) - 1);
            families++;
            continue;
        }
        assert_true(strncmp(line.at, family + 1, strlen(family) - 2) == 0);
        assert_true(slice_find(line, ' ') < line.len);
    }
    assert_true(families > 35);
}

static void this_process_has_figures(void **state)
{
    struct process_figures figures;
    (void)state;
    process_figures_read(&figures);
    assert_true(figures.resident_bytes > 0);
    assert_true(figures.open_fds >= 3);
    assert_true(figures.cpu_seconds >= 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(figures_of_a_snapshot_are_lines),
        TEST(what_is_missing_here_is_counted),
        TEST(a_node_is_no_peer_of_its_own),
        TEST(a_histogram_is_cumulative_and_ends_with_all),
        TEST(what_the_system_did_not_say_is_left_out),
        TEST(every_family_has_one_head_before_its_samples),
        cmocka_unit_test(this_process_has_figures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
