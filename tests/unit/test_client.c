#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "fake_node.h"

#define OK(type, body) "HTTP/1.1 200 OK\r\nContent-Type: " type "\r\n\r\n" body

/* ---- addresses ---- */

static void several_nodes_are_given_with_commas(void **state)
{
    struct client client;
    struct errmsg errmsg;
    (void)state;
    assert_int_equal(
        client_init(&client, "http://10.0.0.1:4001, tea-2 ,http://[::1]:4003/", &errmsg), 0);
    assert_int_equal(client.nodes_count, 3);
    assert_string_equal(client.nodes[0].host, "10.0.0.1");
    assert_string_equal(client.nodes[0].port, "4001");
    assert_string_equal(client.nodes[1].host, "tea-2");
    assert_string_equal(client.nodes[1].port, "4000");
    assert_string_equal(client.nodes[2].host, "::1");
    assert_string_equal(client.nodes[2].port, "4003");
}

static void what_is_no_address_is_refused(void **state)
{
    const char *const bad[] = {"",       ",",          "http://",     "a b",
                               "tea:0",  "tea:x",      "tea:",        "[::1",
                               "[::1]x", "http://a/b", "https://tea", "tea\r\nX:1"};
    struct client client;
    struct errmsg errmsg;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(client_init(&client, bad[i], &errmsg), ERR_CONFIG);
}

/* ---- answers ---- */

static enum client_parse parse(const char *text, bool at_end, struct client_answer *answer)
{
    return client_parse(slice_from(text), at_end, false, answer);
}

static void an_answer_ends_with_its_length_or_the_connection(void **state)
{
    struct client_answer answer;
    (void)state;
    client_answer_init(&answer);
    const char *with_length = "HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}";
    assert_int_equal(parse(with_length, false, &answer), CLIENT_PARSE_DONE);
    assert_int_equal(answer.status, 201);
    assert_true(slice_is(buf_slice(&answer.body), "{}"));
    assert_int_equal(parse("HTTP/1.1 200 OK\r\n\r\nall of it", false, &answer), CLIENT_PARSE_MORE);
    assert_int_equal(parse("HTTP/1.1 200 OK\r\n\r\nall of it", true, &answer), CLIENT_PARSE_DONE);
    assert_true(slice_is(buf_slice(&answer.body), "all of it"));
    assert_int_equal(
        parse("HTTP/1.1 429 Slow\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n", false, &answer),
        CLIENT_PARSE_DONE);
    assert_int_equal(answer.retry_after_s, 3);
    client_answer_close(&answer);
}

static void an_answer_that_was_cut_off_is_none(void **state)
{
    const char *whole = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd";
    struct client_answer answer;
    char part[64];
    (void)state;
    client_answer_init(&answer);
    for (size_t len = 0; len < strlen(whole); len++) {
        snprintf(part, sizeof part, "%.*s", (int)len, whole);
        assert_int_equal(parse(part, false, &answer), CLIENT_PARSE_MORE);
        assert_int_equal(parse(part, true, &answer), CLIENT_PARSE_BAD);
    }
    client_answer_close(&answer);
}

static void what_is_not_http_is_refused(void **state)
{
    const char *const bad[] = {"SSH-2.0-OpenSSH_9.2\r\n\r\n",
                               "HTTP/1.1 20\r\n\r\n",
                               "HTTP/1.1 abc OK\r\n\r\n",
                               "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
                               "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
                               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"};
    struct client_answer answer;
    (void)state;
    client_answer_init(&answer);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(parse(bad[i], true, &answer), CLIENT_PARSE_BAD);
    client_answer_close(&answer);
}

/* ---- asking ---- */

static int ask(const char *nodes, struct client *client, struct client_answer *answer,
               struct errmsg *errmsg)
{
    assert_int_equal(client_init(client, nodes, errmsg), 0);
    return client_ask(client,
                      &(struct client_request){
                          .method = "GET", .path = slice_of("/status"), .deadline_ms = 10000},
                      answer, errmsg);
}

static void a_node_that_is_away_is_passed_over(void **state)
{
    struct fake_node node;
    struct client client;
    struct client_answer answer;
    struct errmsg errmsg;
    char nodes[128];
    (void)state;
    fake_node_say(&node, (const char *const[]){OK("text/plain", "hello"), NULL});
    snprintf(nodes, sizeof nodes, "http://127.0.0.1:1,http://127.0.0.1:%u", node.port);
    client_answer_init(&answer);
    assert_int_equal(ask(nodes, &client, &answer, &errmsg), 0);
    assert_true(slice_is(buf_slice(&answer.body), "hello"));
    assert_false(answer.was_sent);
    assert_int_equal(client.preferred, 1);
    client_answer_close(&answer);
    fake_node_stop(&node);
}

static void a_node_that_cannot_answer_now_is_passed_over_for_one_that_can(void **state)
{
    struct fake_node first, second;
    struct client client;
    struct client_answer answer;
    struct errmsg errmsg;
    char nodes[128];
    (void)state;
    const char *busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";
    fake_node_say(&first, (const char *const[]){busy, NULL});
    fake_node_say(&second, (const char *const[]){OK("text/plain", "fine"), NULL});
    snprintf(nodes, sizeof nodes, "127.0.0.1:%u,127.0.0.1:%u", first.port, second.port);
    client_answer_init(&answer);
    assert_int_equal(ask(nodes, &client, &answer, &errmsg), 0);
    assert_int_equal(answer.status, 200);
    client_answer_close(&answer);
    fake_node_stop(&first);
    fake_node_stop(&second);
}

static void a_refusal_holds_when_the_next_node_is_away(void **state)
{
    struct fake_node node;
    struct client client;
    struct client_answer answer;
    struct errmsg errmsg;
    char nodes[128];
    (void)state;
    const char *busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";
    fake_node_say(&node, (const char *const[]){busy, NULL});
    snprintf(nodes, sizeof nodes, "127.0.0.1:%u,127.0.0.1:1", node.port);
    client_answer_init(&answer);
    assert_int_equal(ask(nodes, &client, &answer, &errmsg), 0);
    assert_int_equal(answer.status, 503);
    assert_true(slice_is(buf_slice(&answer.body), "busy"));
    client_answer_close(&answer);
    fake_node_stop(&node);
}

static void whoever_holds_on_learns_of_the_end(void **state)
{
    struct client_answer answer;
    int ends[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    client_answer_init(&answer);
    answer.is_held = true;
    answer.held_fd = ends[0];
    assert_int_equal(client_wait_end(&answer, 0), ERR_TIMEOUT);
    assert_int_equal(write(ends[1], "more", 4), 4); /* no news of the end */
    assert_int_equal(client_wait_end(&answer, 0), ERR_TIMEOUT);
    close(ends[1]);
    assert_int_equal(client_wait_end(&answer, 0), 0);
    client_answer_close(&answer);
    assert_int_equal(fcntl(ends[0], F_GETFD), -1); /* closed with the answer */
}

static void what_must_not_be_done_twice_goes_to_no_second_node(void **state)
{
    struct fake_node first, second;
    struct client client;
    struct client_answer answer;
    struct errmsg errmsg;
    char nodes[128];
    struct client_request request = {.method = "POST",
                                     .path = slice_of("/api/cluster/transfer"),
                                     .bearer = "a-token",
                                     .deadline_ms = 10000,
                                     .once = true};
    (void)state;
    client_answer_init(&answer);

    /* It took it, and died: whether it did it is not known. */
    fake_node_say(&first, (const char *const[]){"", NULL});
    fake_node_say(&second, (const char *const[]){OK("application/json", "{}"), NULL});
    snprintf(nodes, sizeof nodes, "127.0.0.1:1,127.0.0.1:%u,127.0.0.1:%u", first.port, second.port);
    assert_int_equal(client_init(&client, nodes, &errmsg), 0);
    assert_int_not_equal(client_ask(&client, &request, &answer, &errmsg), 0);
    assert_true(answer.was_sent);
    snprintf(nodes, sizeof nodes, "127.0.0.1:%u", second.port);
    assert_int_equal(ask(nodes, &client, &answer, &errmsg),
                     0); /* this is the first that it hears */
    fake_node_stop(&first);
    fake_node_stop(&second);
    assert_true(strncmp(second.heard, "GET /status ", 12) == 0);
    assert_non_null(strstr(first.heard, "POST /api/cluster/transfer HTTP/1.1\r\n"));
    assert_non_null(strstr(first.heard, "\r\nAuthorization: Bearer a-token\r\n"));
    assert_non_null(strstr(first.heard, "\r\nContent-Length: 0\r\n"));

    /* It says that nothing was done: the next one may. */
    fake_node_say(&first, (const char *const[]){"HTTP/1.1 503 No\r\n\r\n{}", NULL});
    fake_node_say(&second, (const char *const[]){OK("application/json", "{}"), NULL});
    snprintf(nodes, sizeof nodes, "127.0.0.1:%u,127.0.0.1:%u", first.port, second.port);
    assert_int_equal(client_init(&client, nodes, &errmsg), 0);
    request.method = "DELETE";
    assert_int_equal(client_ask(&client, &request, &answer, &errmsg), 0);
    assert_int_equal(answer.status, 200);
    fake_node_stop(&first);
    fake_node_stop(&second);
    assert_true(strncmp(second.heard, "DELETE ", 7) == 0);
    client_answer_close(&answer);
}

static void a_body_may_be_any_bytes(void **state)
{
    static const char bytes[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n\0\xff\r\n\r\n";
    struct fake_node node;
    struct client client;
    struct client_answer answer;
    struct errmsg errmsg;
    char nodes[64];
    (void)state;
    fake_node_start(&node, &(struct fake_answer){bytes, sizeof bytes - 1}, 1);
    snprintf(nodes, sizeof nodes, "127.0.0.1:%u", node.port);
    client_answer_init(&answer);
    assert_int_equal(ask(nodes, &client, &answer, &errmsg), 0);
    assert_int_equal(answer.body.len, 6);
    assert_memory_equal(answer.body.at, "\0\xff\r\n\r\n", 6);
    client_answer_close(&answer);
    fake_node_stop(&node);
}

static void an_answer_that_points_elsewhere_is_not_followed(void **state)
{
    struct fake_node node;
    struct client client;
    struct client_answer answer;
    struct errmsg errmsg;
    char nodes[64];
    (void)state;
    fake_node_say(&node, (const char *const[]){"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", NULL});
    snprintf(nodes, sizeof nodes, "127.0.0.1:%u", node.port);
    client_answer_init(&answer);
    assert_int_equal(ask(nodes, &client, &answer, &errmsg), 0);
    assert_int_equal(answer.status, 302);
    client_answer_close(&answer);
    fake_node_stop(&node);
}

/* ---- what the commands make of it ---- */

struct run {
    struct cli cli;
    char *out, *err;
    size_t out_len, err_len;
    int code;
};

static void run(struct run *run, unsigned port, const char *const *words)
{
    static const struct cli_command *const commands[] = {&status_command, &send_command,
                                                         &tail_command};
    char node[64], user[] = "USER=kari";
    char *argv[16] = {NULL}, *environment[] = {node, user, NULL};
    int argc = 0;
    snprintf(node, sizeof node, "LIVETEA_NODE=http://127.0.0.1:%u", port);
    for (; words[argc] != NULL; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    *run = (struct run){
        .cli = {.environment = environment, .commands = commands, .commands_count = 3}};
    run->cli.in = fopen("/dev/null", "r");
    run->cli.out = open_memstream(&run->out, &run->out_len);
    run->cli.err = open_memstream(&run->err, &run->err_len);
    run->code = cli_run(&run->cli, argc, argv);
    fclose(run->cli.in);
    fclose(run->cli.out);
    fclose(run->cli.err);
}

static void run_close(struct run *run)
{
    free(run->out);
    free(run->err);
}

static void expect(const char *answer, const char *const *words, int code, const char *out,
                   const char *err)
{
    struct fake_node node;
    struct run it;
    fake_node_say(&node, (const char *const[]){answer, NULL});
    run(&it, node.port, words);
    assert_int_equal(it.code, code);
    if (out != NULL) assert_string_equal(it.out, out);
    if (err != NULL && strstr(it.err, err) == NULL) fail_msg("'%s' is not in: %s", err, it.err);
    run_close(&it);
    fake_node_stop(&node);
}

#define WORDS(...)                   \
    (const char *const[])            \
    {                                \
        "livetea", __VA_ARGS__, NULL \
    }

static void send_ends_as_the_message_did(void **state)
{
    const char *const *words = WORDS("send", "lobby", "hello", "--id", "k1");
    (void)state;
    expect("HTTP/1.1 201 Created\r\n\r\n{\"number\":48214,\"index\":7}", words, 0, "48214\n", NULL);
    expect("HTTP/1.1 422 No\r\n\r\n{\"error\":\"too_long\",\"message\":\"Too long.\"}", words, 1,
           "", "livetea send: Too long.\n");
    expect("HTTP/1.1 429 No\r\nRetry-After: 3\r\n\r\n{\"message\":\"Slow down a little.\"}", words,
           1, "", "Slow down a little. Try again in 3 s.");
    expect("HTTP/1.1 503 No\r\n\r\n{\"error\":\"no_leader\",\"message\":\"Not sent: no "
           "leader.\"}",
           words, 1, "", "no leader");
    expect("HTTP/1.1 504 No\r\n\r\n{\"error\":\"unknown\"}", words, 5, "", "--id k1");
    expect("", words, 5, "", "--id k1"); /* took it, and died */
}

static const char three_nodes[] =
    "HTTP/1.1 200 OK\r\n\r\n"
    "{\"cluster\":{\"health\":\"degraded\",\"sentence\":\"2 of 3 nodes are up. No other may "
    "fail.\",\"term\":8},\"members\":["
    "{\"name\":\"tea-1\",\"address\":\"10.0.0.11:7000\",\"role\":\"voter\",\"state\":\"away\","
    "\"away_seconds\":41,\"number\":48190,\"behind\":23,\"rtt_ms\":null,\"browsers\":null,"
    "\"disk_bytes\":222298112,\"uptime_seconds\":null,\"version\":\"0.1.0\"},"
    "{\"name\":\"tea-2\",\"address\":\"10.0.0.12:7000\",\"role\":\"voter\",\"state\":"
    "\"follower\",\"away_seconds\":0,\"number\":48213,\"behind\":0,\"rtt_ms\":0.2,\"browsers\":41,"
    "\"disk_bytes\":224395264,\"uptime_seconds\":532800,\"version\":\"0.1.0\"},"
    "{\"name\":\"tea-3\",\"address\":\"10.0.0.13:7000\",\"role\":\"voter\",\"state\":\"leader\","
    "\"away_seconds\":0,\"number\":48213,\"behind\":0,\"rtt_ms\":null,\"browsers\":37,"
    "\"disk_bytes\":224395264,\"uptime_seconds\":660,\"version\":\"0.1.0\"}]}";

static void status_is_a_table_with_a_row_for_a_node_that_is_away(void **state)
{
    (void)state;
    expect(three_nodes, WORDS("status", "-o", "table"), 1,
           "2 of 3 nodes are up. No other may fail.\n\n"
           "NODE   ROLE      TERM  APPLIED  BEHIND  RTT     BROWSERS  DISK    UP      VERSION  "
           "ADDRESS\n"
           "tea-1  away 41s     -    48190      23  -              -  212 MB  -       0.1.0    "
           "10.0.0.11:7000\n"
           "tea-2  follower     8    48213       0  0.2 ms        41  214 MB  6d 4h   0.1.0    "
           "10.0.0.12:7000\n"
           "tea-3  leader       8    48213       0  -             37  214 MB  11m     0.1.0    "
           "10.0.0.13:7000\n",
           NULL);
}

static void status_to_a_file_is_json(void **state)
{
    (void)state;
    expect(OK("application/json", "{\"cluster\":{\"health\":\"ok\"}}"), WORDS("status"), 0,
           "{\"cluster\":{\"health\":\"ok\"}}\n", NULL);
    expect(OK("application/json", "{\"cluster\":{\"health\":\"no_majority\"}}\n"), WORDS("status"),
           3, "{\"cluster\":{\"health\":\"no_majority\"}}\n", NULL);
    expect(OK("text/html", "<html>"), WORDS("status"), 4, "", "no Live Tea node");
    expect("HTTP/1.1 404 No\r\n\r\n<html>", WORDS("status"), 4, "", "no Live Tea node");
}

static void status_says_why_there_is_none(void **state)
{
    (void)state;
    expect("HTTP/1.1 404 No\r\n\r\n{\"error\":\"not_found\",\"message\":\"There is nothing.\"}",
           WORDS("status"), 4, "", "With http.admin_listen set");
    expect("HTTP/1.1 503 No\r\nRetry-After: 1\r\n\r\n{\"error\":\"starting\",\"message\":\"This "
           "node has just been started.\"}",
           WORDS("status"), 4, "",
           "livetea status: This node has just been started. Try again in 1 s.\n");
}

static void tail_shows_each_message_with_its_time_and_sender(void **state)
{
    const char *answer = OK(
        "application/json",
        "{\"room\":\"lobby\",\"messages\":[{\"number\":1,\"index\":2,\"room\":\"lobby\",\"seq\":1,"
        "\"id\":\"i\",\"sender_id\":\"s\",\"sender\":\"Kari\",\"text\":\"hello\\nMaja: fake\","
        "\"at\":\"2026-11-23T08:32:51.204Z\"}]}");
    (void)state;
    expect(answer, WORDS("tail", "lobby"), 0,
           "2026-11-23T08:32:51.204Z Kari: hello\n    Maja: fake\n", NULL);
    expect(
        answer, WORDS("tail", "lobby", "-o", "json"), 0,
        "{\"number\":1,\"index\":2,\"room\":\"lobby\",\"seq\":1,\"id\":\"i\",\"sender_id\":\"s\","
        "\"sender\":\"Kari\",\"text\":\"hello\\nMaja: fake\",\"at\":"
        "\"2026-11-23T08:32:51.204Z\"}\n",
        NULL);
    expect("HTTP/1.1 404 No\r\n\r\n{\"message\":\"There can be no room of that name.\"}",
           WORDS("tail", "!!"), 1, "", "There can be no room of that name.");
}

#define MESSAGE(number, seq, text)                                                             \
    "{\"number\":" number ",\"seq\":" seq ",\"sender\":\"Kari\",\"text\":\"" text "\",\"at\":" \
    "\"2026\"}"
#define MESSAGES(list) OK("application/json", "{\"messages\":[" list "]}")

static void expect_all(const char *const *answers, const char *const *words, int code,
                       const char *out, const char *heard)
{
    struct fake_node node;
    struct run it;
    fake_node_say(&node, answers);
    run(&it, node.port, words);
    fake_node_stop(&node); /* all was asked for */
    assert_int_equal(it.code, code);
    assert_string_equal(it.out, out);
    if (strstr(node.heard, heard) == NULL) fail_msg("'%s' is not in: %s", heard, node.heard);
    run_close(&it);
}

/* A node ends an answer that is long, however few messages that are. */
static void tail_goes_on_behind_an_answer_that_is_short(void **state)
{
    const char *three = MESSAGES(MESSAGE("3", "1", "a") "," MESSAGE("5", "2", "b"));
    const char *last = MESSAGES(MESSAGE("9", "3", "c"));
    (void)state;
    expect_all((const char *const[]){three, last, MESSAGES(""), NULL},
               WORDS("tail", "lobby", "--all"), 0, "2026 Kari: a\n2026 Kari: b\n2026 Kari: c\n",
               "after=9");
    expect_all((const char *const[]){last, three, NULL}, WORDS("tail", "lobby", "--lines", "4"), 0,
               "2026 Kari: a\n2026 Kari: b\n2026 Kari: c\n", "?limit=3&before=9");
    /* As many as were asked for, and all that there are: no second question. */
    expect_all((const char *const[]){last, NULL}, WORDS("tail", "lobby", "--lines", "1"), 0,
               "2026 Kari: c\n", "?limit=1 ");
    expect_all((const char *const[]){three, NULL}, WORDS("tail", "lobby"), 0,
               "2026 Kari: a\n2026 Kari: b\n", "?limit=50 ");
    /* What failed in between is told, and nothing is printed that has a hole before it. */
    expect_all(
        (const char *const[]){last, "HTTP/1.1 500 No\r\n\r\n{\"message\":\"Broken.\"}", NULL},
        WORDS("tail", "lobby"), 4, "", "before=9");
    /* One that does not get on is not asked for ever. */
    expect_all((const char *const[]){last, last, NULL}, WORDS("tail", "lobby", "--all"), 0,
               "2026 Kari: c\n2026 Kari: c\n", "after=9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_nodes_are_given_with_commas),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(an_answer_ends_with_its_length_or_the_connection),
        cmocka_unit_test(an_answer_that_was_cut_off_is_none),
        cmocka_unit_test(what_is_not_http_is_refused),
        cmocka_unit_test(a_node_that_is_away_is_passed_over),
        cmocka_unit_test(a_node_that_cannot_answer_now_is_passed_over_for_one_that_can),
        cmocka_unit_test(a_refusal_holds_when_the_next_node_is_away),
        cmocka_unit_test(whoever_holds_on_learns_of_the_end),
        cmocka_unit_test(what_must_not_be_done_twice_goes_to_no_second_node),
        cmocka_unit_test(a_body_may_be_any_bytes),
        cmocka_unit_test(an_answer_that_points_elsewhere_is_not_followed),
        cmocka_unit_test(send_ends_as_the_message_did),
        cmocka_unit_test(status_is_a_table_with_a_row_for_a_node_that_is_away),
        cmocka_unit_test(status_to_a_file_is_json),
        cmocka_unit_test(status_says_why_there_is_none),
        cmocka_unit_test(tail_shows_each_message_with_its_time_and_sender),
        cmocka_unit_test(tail_goes_on_behind_an_answer_that_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
