#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "app/api.h"
#include "app/messages.h"
#include "app/status.h"
#include "base/json.h"

/* ---- parameters ---- */

static void assert_query_refused(const char *text, enum web_route route, const char *words)
{
    struct api_query query;
    struct errmsg errmsg;
    assert_int_equal(api_query_parse(&query, slice_from(text), route, &errmsg), ERR_FORMAT);
    if (strstr(errmsg.text, words) == NULL) fail_msg("'%s' is not in: %s", words, errmsg.text);
}

static void a_query_has_defaults(void **state)
{
    struct api_query query;
    (void)state;
    assert_int_equal(api_query_parse(&query, slice_of(""), ROUTE_API_MESSAGES, NULL), 0);
    assert_int_equal(query.limit, API_MESSAGES_DEFAULT);
    assert_false(query.has_after || query.has_before);
    assert_int_equal(query.wait_ms, 0);
}

static void a_query_may_wait_for_what_comes(void **state)
{
    struct api_query query;
    (void)state;
    assert_int_equal(
        api_query_parse(&query, slice_of("after=12&limit=500&wait=30s"), ROUTE_API_MESSAGES, NULL),
        0);
    assert_true(query.has_after);
    assert_int_equal(query.after, 12);
    assert_int_equal(query.limit, 500);
    assert_int_equal(query.wait_ms, 30000);
    assert_int_equal(
        api_query_parse(&query, slice_of("after=0&wait=250ms"), ROUTE_API_EVENTS, NULL), 0);
    assert_int_equal(query.wait_ms, 250);
}

static void a_bad_parameter_is_named(void **state)
{
    (void)state;
    assert_query_refused("after=x", ROUTE_API_MESSAGES, "\"after\" must be a number.");
    assert_query_refused("after=-1", ROUTE_API_MESSAGES, "\"after\" must be a number.");
    assert_query_refused("after=1&after=2", ROUTE_API_MESSAGES, "\"after\" is given twice.");
    assert_query_refused("limit=0", ROUTE_API_MESSAGES, "\"limit\" must be 1 to 500.");
    assert_query_refused("limit=501", ROUTE_API_MESSAGES, "\"limit\" must be 1 to 500.");
    assert_query_refused("limit=10001", ROUTE_API_EVENTS, "\"limit\" must be 1 to 10000.");
    assert_query_refused("after=1&wait=31s", ROUTE_API_MESSAGES, "\"wait\" must be 0 to 30s.");
    assert_query_refused("wait=1s", ROUTE_API_MESSAGES, "needs \"after\"");
    assert_query_refused("befor=1", ROUTE_API_MESSAGES, "\"befor\" is not known here.");
    assert_query_refused("before=1", ROUTE_API_EVENTS, "\"before\" is not known here.");
}

/* ---- bodies ---- */

static int parse_post(const char *text, struct errmsg *errmsg)
{
    struct json *body = NULL;
    struct api_post post;
    assert_int_equal(json_parse(&body, slice_from(text), NULL), 0);
    int rv = api_post_parse(&post, body, errmsg);
    json_free(body);
    return rv;
}

static void a_message_has_sender_and_text_and_may_have_an_id(void **state)
{
    struct errmsg errmsg;
    (void)state;
    assert_int_equal(parse_post("{\"sender\":\"Kari\",\"text\":\"hi\"}", &errmsg), 0);
    assert_int_equal(parse_post("{\"sender\":\"Kari\",\"text\":\"hi\",\"id\":\"1\"}", &errmsg), 0);
}

static void a_bad_body_is_told_which_member_it_is(void **state)
{
    struct errmsg errmsg;
    (void)state;
    assert_int_equal(parse_post("[1]", &errmsg), ERR_FORMAT);
    assert_int_equal(parse_post("{\"sender\":\"Kari\"}", &errmsg), ERR_FORMAT);
    assert_string_equal(errmsg.text, "The body's member 'text' is missing.");
    assert_int_equal(parse_post("{\"sender\":1,\"text\":\"hi\"}", &errmsg), ERR_FORMAT);
    assert_string_equal(errmsg.text, "The body's member 'sender' must be a string.");
    assert_int_equal(parse_post("{\"sender\":\"K\",\"text\":\"hi\",\"id\":null}", &errmsg),
                     ERR_FORMAT);
    assert_int_equal(parse_post("{\"sender\":\"K\",\"text\":\"hi\",\"txet\":\"\"}", &errmsg),
                     ERR_FORMAT);
    assert_non_null(strstr(errmsg.text, "nothing else"));
}

static void a_line_of_the_history_has_all_that_the_digest_stands_for(void **state)
{
    struct message_sent event = {.number = 3,
                                 .index = 9,
                                 .seq = 2,
                                 .room = slice_of("lobby"),
                                 .sender = slice_of("Kari"),
                                 .text = slice_of("a \"b\"\n"),
                                 .at_ms = 1763886771204,
                                 .sender_id = {{0xab}},
                                 .id = {{0x01}},
                                 .digest = {{0xcd}}};
    struct buf out;
    (void)state;
    buf_init(&out, 4096);
    message_write(&out, &event, true);
    buf_add_char(&out, '\0');
    assert_string_equal(out.at,
                        "{\"number\":3,\"index\":9,\"room\":\"lobby\",\"seq\":2,"
                        "\"id\":\"01000000-0000-0000-0000-000000000000\","
                        "\"sender_id\":\"ab000000000000000000000000000000\",\"sender\":\"Kari\","
                        "\"text\":\"a \\\"b\\\"\\n\",\"at\":\"2025-11-23T08:32:51.204Z\","
                        "\"digest\":\"cd000000000000000000000000000000\"}");
    buf_close(&out);
}

/* ---- status ---- */

struct fixture {
    struct snapshot snapshot;
    struct buf out;
    struct json *json;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct snapshot *snapshot = &fixture->snapshot;
    struct cluster_status *cluster = &snapshot->cluster;
    snapshot->board = board_new(0);
    struct board *board = board_fill(snapshot->board);
    memset(board, 0, offsetof(struct board, people));
    board->health = BOARD_DEGRADED;
    snprintf(board->sentence, sizeof board->sentence, "2 of 3 nodes are up. No other may fail.");
    snapshot->name = "tea-2";
    snapshot->cluster_name = "livetea";
    snapshot->http = "http://10.0.0.12:4000";
    snapshot->address = "10.0.0.12:7000";
    snapshot->data_dir = "/var/lib/livetea";
    snapshot->events = 48213;
    snapshot->commit_p50_ms = 1.1;
    snapshot->commit_p99_ms = NAN;
    cluster->raft_id = 0xbb87ef48a661563a;
    cluster->voters = 3;
    cluster->voters_up = 2;
    cluster->is_ready = true;
    cluster->members_count = 2;
    cluster->members[0] = (struct member_status){.name = "tea-1",
                                                 .is_voter = true,
                                                 .state = MEMBER_AWAY,
                                                 .known = true,
                                                 .away_ms = 41000,
                                                 .number = 48190,
                                                 .rtt_ms = 0.3,
                                                 .version = "0.1.0"};
    cluster->members[1] = (struct member_status){.name = "tea-2",
                                                 .is_voter = true,
                                                 .is_self = true,
                                                 .known = true,
                                                 .state = MEMBER_FOLLOWER,
                                                 .rtt_ms = NAN};
    snapshot->happened[0] =
        (struct cluster_event){.kind = CLUSTER_ELECTED, .node = "tea-3", .term = 8, .took_ms = 612};
    snapshot->happened[1] = (struct cluster_event){.kind = CLUSTER_AWAY, .node = "tea-1"};
    snapshot->happened_count = 2;
    buf_init(&fixture->out, STATUS_MAX);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    json_free(fixture->json);
    buf_close(&fixture->out);
    shared_unref(fixture->snapshot.board);
    free(fixture);
    return 0;
}

static const struct json *status_of(struct fixture *fixture)
{
    status_write(&fixture->out, &fixture->snapshot, "0.1.0", "abc1234");
    assert_int_equal(json_parse(&fixture->json, buf_slice(&fixture->out), NULL), 0);
    return fixture->json;
}

static void assert_number(const struct json *parent, const char *key, int64_t expected)
{
    int64_t number;
    assert_true(json_to_i64(json_get(parent, key), &number));
    assert_int_equal(number, expected);
}

static void status_says_how_the_cluster_stands(void **state)
{
    const struct json *status = status_of(*state);
    const struct json *cluster = json_get(status, "cluster");
    assert_true(slice_is(json_slice(json_get(cluster, "health")), "degraded"));
    assert_true(slice_is(json_slice(json_get(cluster, "sentence")),
                         "2 of 3 nodes are up. No other may fail."));
    assert_number(cluster, "voters_up", 2);
    assert_number(cluster, "may_fail", 0);
    assert_true(slice_is(json_slice(json_get(json_get(status, "node"), "id")), "bb87ef48a661563a"));
    assert_number(json_get(status, "chat"), "events", 48213);
}

static void what_is_not_known_is_null_and_never_absent(void **state)
{
    const struct json *status = status_of(*state);
    const struct json *away = json_at(json_get(status, "members"), 0);
    const char *const nulls[] = {"rtt_ms", "browsers", "uptime_seconds", "http"};
    for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++) {
        assert_non_null(json_get(away, nulls[i]));
        assert_true(json_is_null(json_get(away, nulls[i])));
    }
    assert_non_null(json_get(json_get(status, "cluster"), "leader"));
    assert_true(json_is_null(json_get(json_get(status, "cluster"), "leader")));
    assert_non_null(json_get(json_get(status, "latency_ms"), "commit_p99"));
    assert_true(json_is_null(json_get(json_get(status, "latency_ms"), "commit_p99")));
}

static void a_member_that_is_away_keeps_its_last_figures(void **state)
{
    const struct json *members = json_get(status_of(*state), "members");
    assert_true(slice_is(json_slice(json_get(json_at(members, 0), "state")), "away"));
    assert_number(json_at(members, 0), "away_seconds", 41);
    assert_number(json_at(members, 0), "number", 48190);
    assert_number(json_at(members, 0), "behind", 23);
    assert_number(json_at(members, 1), "behind", 0);
}

static void events_come_in_the_order_of_time(void **state)
{
    const struct json *events = json_get(status_of(*state), "events");
    assert_true(slice_is(json_slice(json_get(json_at(events, 0), "event")), "away"));
    assert_true(slice_is(json_slice(json_get(json_at(events, 1), "event")), "elected"));
    assert_number(json_at(events, 1), "took_ms", 612);
}

static void a_node_is_ready_when_every_check_holds(void **state)
{
    struct fixture *fixture = *state;
    struct cluster_status *cluster = &fixture->snapshot.cluster;
    snprintf(cluster->leader, sizeof cluster->leader, "tea-3");
    assert_true(status_ready(NULL, &fixture->snapshot));
    cluster->behind = 1000;
    assert_true(status_ready(NULL, &fixture->snapshot));
    cluster->behind = 1204;
    assert_false(status_ready(&fixture->out, &fixture->snapshot));
    assert_true(slice_is(buf_slice(&fixture->out), "[+]leader ok\n"
                                                   "[-]caught_up behind by 1204\n"
                                                   "[+]disk ok\n"
                                                   "[+]not_draining ok\n"
                                                   "[+]joined ok\n"));
    cluster->behind = 0;
    fixture->snapshot.draining = true;
    assert_false(status_ready(NULL, &fixture->snapshot));
    fixture->snapshot.draining = false;
    cluster->leader[0] = '\0';
    assert_false(status_ready(NULL, &fixture->snapshot));
    assert_false(status_ready(NULL, NULL));
}

static const char *ready_lines(struct fixture *fixture)
{
    buf_reset(&fixture->out);
    assert_false(status_ready(&fixture->out, &fixture->snapshot));
    buf_add_char(&fixture->out, '\0');
    return fixture->out.at;
}

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) fail_msg("'%s' is not in: %s", part, text);
}

static void begin_gap(struct fixture *fixture)
{
    struct cluster_status *cluster = &fixture->snapshot.cluster;
    fixture->snapshot.events = 12034;
    cluster->has_gap = true;
    cluster->is_ready = false;
    cluster->gap.from = 100;
    cluster->gap.number = 12000;
    cluster->gap.goal = 48213;
    cluster->gap.events_per_second = 300000;
    cluster->gap.waiting_bytes = 77;
    cluster->members[1].state = MEMBER_CATCHING_UP;
}

static void a_node_with_a_gap_says_how_far_it_is(void **state)
{
    struct fixture *fixture = *state;
    struct cluster_status *cluster = &fixture->snapshot.cluster;
    snprintf(cluster->leader, sizeof cluster->leader, "tea-3");
    begin_gap(fixture);
    assert_has(ready_lines(fixture), "[-]caught_up behind by 36179, no node gives them");
    snprintf(cluster->gap.peer, sizeof cluster->gap.peer, "tea-3");
    assert_has(ready_lines(fixture),
               "[+]leader ok\n[-]caught_up behind by 36179, 300000 events/s from tea-3\n");
    buf_reset(&fixture->out);

    const struct json *status = status_of(fixture), *backfill = json_get(status, "backfill");
    assert_number(backfill, "from", 100);
    assert_number(backfill, "number", 12034);
    assert_number(backfill, "goal", 48213);
    assert_number(backfill, "behind", 36179);
    assert_number(backfill, "events_per_second", 300000);
    assert_number(backfill, "waiting_bytes", 77);
    assert_true(slice_is(json_slice(json_get(backfill, "peer")), "tea-3"));
    const struct json *self = json_at(json_get(status, "members"), 1);
    assert_true(slice_is(json_slice(json_get(self, "state")), "catching_up"));
    assert_number(self, "behind", 48213 - 12034); /* the goal may be beyond what the others told */
    assert_true(slice_is(json_slice(json_get(json_get(status, "node"), "role")), "catching_up"));
    assert_true(slice_is(json_slice(json_get(json_get(status, "raft"), "state")), "follower"));
}

static void without_a_gap_there_is_no_backfill(void **state)
{
    const struct json *status = status_of(*state);
    assert_non_null(json_get(status, "backfill"));
    assert_true(json_is_null(json_get(status, "backfill")));
    assert_true(json_is_null(json_get(json_get(status, "node"), "joining")));
    assert_true(json_is_null(json_get(json_get(status, "raft"), "snapshot_max_ms")));
    assert_number(json_get(status, "raft"), "snapshots", 0);
}

static void a_full_disk_is_a_check_of_its_own(void **state)
{
    struct fixture *fixture = *state;
    struct cluster_status *cluster = &fixture->snapshot.cluster;
    snprintf(cluster->leader, sizeof cluster->leader, "tea-3");
    cluster->is_ready = false;
    cluster->is_disk_full = true;
    assert_has(ready_lines(fixture), "[+]caught_up ok\n[-]disk full: takes nothing new\n");
}

static void a_node_that_is_no_member_yet_says_what_it_was_told(void **state)
{
    struct fixture *fixture = *state;
    struct cluster_status *cluster = &fixture->snapshot.cluster;
    cluster->is_joining = true;
    cluster->members[1].is_voter = false;
    assert_has(ready_lines(fixture), "[-]joined asks to be let in\n");
    snprintf(cluster->joining_note, sizeof cluster->joining_note, "tea-3: not on the list");
    assert_has(ready_lines(fixture), "[-]joined tea-3: not on the list\n");
    buf_reset(&fixture->out);
    const struct json *node = json_get(status_of(fixture), "node");
    assert_true(slice_is(json_slice(json_get(node, "role")), "joining"));
    assert_true(slice_is(json_slice(json_get(node, "joining")), "tea-3: not on the list"));
}

static void a_stand_by_has_no_vote_and_a_role_of_its_own(void **state)
{
    struct fixture *fixture = *state;
    fixture->snapshot.cluster.members[1].is_voter = false;
    const struct json *status = status_of(fixture);
    const struct json *self = json_at(json_get(status, "members"), 1);
    assert_true(slice_is(json_slice(json_get(self, "role")), "standby"));
    assert_true(slice_is(json_slice(json_get(self, "state")), "follower"));
    assert_true(slice_is(json_slice(json_get(json_get(status, "node"), "role")), "standby"));
}

static void pretty_json_is_the_same_json(void **state)
{
    struct buf out;
    (void)state;
    buf_init(&out, 4096);
    status_pretty(&out, slice_of("{\"a\":[],\"b\":{\"c\":\"x,{\\\"\",\"d\":[1,2]}}"));
    buf_add_char(&out, '\0');
    assert_string_equal(out.at, "{\n  \"a\": [],\n  \"b\": {\n    \"c\": \"x,{\\\"\",\n    \"d\": "
                                "[\n      1,\n      2\n    ]\n  }\n}");
    buf_close(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_has_defaults),
        cmocka_unit_test(a_query_may_wait_for_what_comes),
        cmocka_unit_test(a_bad_parameter_is_named),
        cmocka_unit_test(a_message_has_sender_and_text_and_may_have_an_id),
        cmocka_unit_test(a_bad_body_is_told_which_member_it_is),
        cmocka_unit_test(a_line_of_the_history_has_all_that_the_digest_stands_for),
        TEST(status_says_how_the_cluster_stands),
        TEST(what_is_not_known_is_null_and_never_absent),
        TEST(a_member_that_is_away_keeps_its_last_figures),
        TEST(events_come_in_the_order_of_time),
        TEST(a_node_is_ready_when_every_check_holds),
        TEST(a_node_with_a_gap_says_how_far_it_is),
        TEST(without_a_gap_there_is_no_backfill),
        TEST(a_full_disk_is_a_check_of_its_own),
        TEST(a_node_that_is_no_member_yet_says_what_it_was_told),
        TEST(a_stand_by_has_no_vote_and_a_role_of_its_own),
        cmocka_unit_test(pretty_json_is_the_same_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
