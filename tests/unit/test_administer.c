/* The commands of an administrator, against a node that says what it was told to say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/little_endian.h"
#include "chat/event.h"
#include "cli/cli.h"
#include "fake_node.h"
#include "store/backup.h"

#define OK(body) "HTTP/1.1 200 OK\r\n\r\n" body
#define DONE     OK("{\"done\":true,\"message\":\"\"}")
#define REFUSED(word, sentence) \
    "HTTP/1.1 409 Conflict\r\n\r\n{\"error\":\"" word "\",\"message\":\"" sentence "\"}"
#define STRANGER "HTTP/1.1 401 Unauthorized\r\n\r\n{\"error\":\"unauthorized\",\"message\":\"No.\"}"

struct run {
    struct cli cli;
    struct fake_node node;
    char *out, *err;
    size_t out_len, err_len;
    int code;
};

/* What app does with the settings and the secret. */
static int give_tokens(const struct cli *cli, const char *secret_file, const char *config_file,
                       struct cli_tokens *tokens, struct errmsg *errmsg)
{
    (void)cli;
    (void)config_file;
    if (secret_file != NULL && strcmp(secret_file, "gone") == 0) {
        errmsg_set(errmsg, "gone: there is no secret");
        return ERR_NOT_FOUND;
    }
    *tokens = (struct cli_tokens){.count = 2, .text = {"new-token", "old-token"}, .from = "FILE"};
    return 0;
}

static void run_with(struct run *run, const struct fake_answer *answers, size_t answers_count,
                     const char *const *words)
{
    static const struct cli_command *const commands[] = {&members_command, &transfer_command,
                                                         &drain_command, &backup_command};
    char place[64];
    char *argv[16] = {NULL}, *environment[] = {place, NULL};
    int argc = 0;
    for (; words[argc] != NULL; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    *run = (struct run){.cli = {.environment = environment,
                                .commands = commands,
                                .commands_count = sizeof commands / sizeof *commands,
                                .tokens = give_tokens}};
    fake_node_start(&run->node, answers, answers_count);
    snprintf(place, sizeof place, "LIVETEA_NODE=127.0.0.1:%u", run->node.port);
    run->cli.in = fopen("/dev/null", "r");
    run->cli.out = open_memstream(&run->out, &run->out_len);
    run->cli.err = open_memstream(&run->err, &run->err_len);
    run->code = cli_run(&run->cli, argc, argv);
    fclose(run->cli.in);
    fclose(run->cli.out);
    fclose(run->cli.err);
    fake_node_stop(&run->node);
}

static void run(struct run *run, const char *const *answers, const char *const *words)
{
    struct fake_answer texts[16];
    size_t count = 0;
    for (; answers[count] != NULL; count++)
        texts[count] = (struct fake_answer){answers[count], strlen(answers[count])};
    run_with(run, texts, count, words);
}

static void run_close(struct run *run)
{
    free(run->out);
    free(run->err);
}

#define WORDS(...)                   \
    (const char *const[])            \
    {                                \
        "livetea", __VA_ARGS__, NULL \
    }
#define ANSWERS(...)      \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }
#define NOTHING           \
    (const char *const[]) \
    {                     \
        NULL              \
    }

static void assert_has(const char *text, const char *words)
{
    if (strstr(text, words) == NULL) fail_msg("'%s' is not in: %s", words, text);
}

static void expect(const char *const *answers, const char *const *words, int code, const char *out,
                   const char *err, const char *heard)
{
    struct run it;
    run(&it, answers, words);
    if (it.code != code) fail_msg("exit code %d, not %d: %s%s", it.code, code, it.out, it.err);
    if (out != NULL) assert_string_equal(it.out, out);
    if (err != NULL) assert_has(it.err, err);
    if (heard != NULL) assert_has(it.node.heard, heard);
    run_close(&it);
}

/* ---- the list ---- */

#define MEMBERS                                                                              \
    OK("{\"members\":["                                                                      \
       "{\"name\":\"tea-1\",\"role\":\"voter\",\"state\":\"leader\",\"number\":48213,"       \
       "\"behind\":0,\"address\":\"10.0.0.11:7000\"},"                                       \
       "{\"name\":\"tea-2\",\"role\":\"voter\",\"state\":\"away\",\"away_seconds\":41,"      \
       "\"number\":48190,\"behind\":23,\"address\":\"10.0.0.12:7000\"},"                     \
       "{\"name\":\"tea-4\",\"role\":\"standby\",\"state\":\"catching_up\",\"number\":null," \
       "\"behind\":null,\"address\":\"10.0.0.14:7000\"}]}")

static void the_members_are_a_table(void **state)
{
    (void)state;
    expect(ANSWERS(MEMBERS), WORDS("members", "-o", "table"), 0,
           "NAME   ROLE     STATE        NUMBER  BEHIND  ADDRESS\n"
           "tea-1  voter    leader        48213       0  10.0.0.11:7000\n"
           "tea-2  voter    away 41s      48190      23  10.0.0.12:7000\n"
           "tea-4  standby  catching up       -       -  10.0.0.14:7000\n",
           NULL, "GET /status HTTP/1.1\r\n");
}

static void or_json_and_nobody_needs_a_token_to_read_them(void **state)
{
    (void)state;
    expect(ANSWERS(OK("{\"members\":[{\"name\":\"tea-1\",\"role\":\"voter\",\"state\":\"leader\","
                      "\"number\":null,\"behind\":0,\"address\":\"h:1\"}]}")),
           WORDS("members", "--secret-file", "gone"), 0,
           "{\"members\":[{\"name\":\"tea-1\",\"role\":\"voter\",\"state\":\"leader\",\"number\":"
           "null,\"behind\":0,\"address\":\"h:1\"}]}\n",
           NULL, NULL);
}

/* ---- changes ---- */

static void a_member_is_promoted_and_removed(void **state)
{
    (void)state;
    expect(ANSWERS(DONE), WORDS("members", "promote", "tea-4"), 0, "tea-4 is a voter.\n", NULL,
           "POST /api/cluster/members/tea-4 HTTP/1.1\r\n");
    expect(ANSWERS(DONE), WORDS("members", "promote", "tea-4"), 0, NULL, NULL,
           "\r\n\r\n{\"role\":\"voter\"}");
    expect(ANSWERS(DONE), WORDS("members", "remove", "tea-2"), 0, "tea-2 is no member any more.\n",
           NULL, "DELETE /api/cluster/members/tea-2 HTTP/1.1\r\n");
    expect(ANSWERS(DONE), WORDS("members", "remove", "a/../b"), 0, NULL, NULL,
           "DELETE /api/cluster/members/a%2F..%2Fb HTTP/1.1\r\n");
}

static void how_a_change_ended_is_the_exit_code(void **state)
{
    const char *const *words = WORDS("members", "remove", "tea-2");
    (void)state;
    expect(ANSWERS(REFUSED("not_healthy", "Too few would be left.")), words, 1, "",
           "livetea members: Too few would be left.\n", NULL);
    expect(ANSWERS("HTTP/1.1 503 No\r\nRetry-After: 1\r\n\r\n{\"error\":\"no_leader\",\"message\":"
                   "\"There is no leader.\"}"),
           words, 1, "", "There is no leader. Try again in 1 s.", NULL);
    expect(ANSWERS("HTTP/1.1 503 No\r\nRetry-After: 1\r\n\r\n{\"error\":\"no_leader\",\"message\":"
                   "\"The leader has changed meanwhile: try again.\"}"),
           words, 1, "", "livetea members: The leader has changed meanwhile: try again.\n", NULL);
    expect(ANSWERS("HTTP/1.1 504 No\r\n\r\n{\"error\":\"unknown\",\"message\":\"x\"}"), words, 5,
           "", "It is not known whether that was done", NULL);
    expect(ANSWERS(""), words, 5, "", "It is not known whether that was done", NULL);
    expect(ANSWERS("HTTP/1.1 404 No\r\n\r\n{\"error\":\"not_found\",\"message\":\"x\"}"), words, 1,
           "", "http.admin_listen", NULL);
    expect(NOTHING, WORDS("members", "remove", "tea-2", "-n", "127.0.0.1:1"), 4, "", "127.0.0.1:1",
           NULL);
}

static void a_node_that_knows_only_the_older_secret_is_shown_that(void **state)
{
    struct run it;
    (void)state;
    run(&it, ANSWERS(STRANGER, DONE), WORDS("transfer", "tea-3"));
    assert_int_equal(it.code, 0);
    assert_string_equal(it.out, "tea-3 leads now.\n");
    assert_has(it.node.heard, "Bearer new-token\r\n");
    assert_has(it.node.heard, "Bearer old-token\r\n");
    assert_has(it.node.heard, "\r\n\r\n{\"to\":\"tea-3\"}");
    run_close(&it);
    expect(ANSWERS(STRANGER, STRANGER), WORDS("transfer"), 1, "",
           "does not believe the secret in FILE", NULL);
    expect(NOTHING, WORDS("transfer", "--secret-file", "gone"), 2, "", "gone: there is no secret",
           NULL);
}

/* ---- add ---- */

#define LEVEL(behind) \
    OK("{\"members\":[{\"name\":\"tea-4\",\"state\":\"follower\",\"behind\":" behind "}]}")

static void add_waits_until_the_node_asks(void **state)
{
    struct run it;
    (void)state;
    run(&it, ANSWERS(REFUSED("not_asking", "tea-4 does not ask."), DONE),
        WORDS("members", "add", "tea-4=10.0.0.14:7000"));
    assert_int_equal(it.code, 0);
    assert_string_equal(it.out, "tea-4 is a member.\n");
    assert_has(it.err, "waiting for tea-4 to ask; start it with cluster.join\n");
    assert_null(strstr(it.err, "does not ask"));
    assert_has(it.node.heard, "\r\n\r\n{\"name\":\"tea-4\",\"address\":\"10.0.0.14:7000\"}");
    run_close(&it);
    expect(ANSWERS(REFUSED("name_used", "There is a tea-4 already.")),
           WORDS("members", "add", "tea-4=10.0.0.14:7000"), 1, "", "There is a tea-4 already.",
           NULL);
}

static void a_new_member_is_promoted_when_it_has_caught_up(void **state)
{
    struct run it;
    (void)state;
    run(&it,
        ANSWERS(DONE, LEVEL("1001"), LEVEL("1000"), REFUSED("behind", "Not yet."), LEVEL("12"),
                DONE),
        WORDS("members", "add", "tea-4=h:1", "--promote"));
    assert_int_equal(it.code, 0);
    assert_string_equal(it.out, "tea-4 is a member.\ntea-4 is a voter.\n");
    assert_null(strstr(it.err, "Not yet."));
    run_close(&it);
    /* And when it has been before; alone that is refused. */
    expect(ANSWERS(DONE, LEVEL("0"), REFUSED("already_voter", "tea-4 votes already.")),
           WORDS("members", "add", "tea-4=h:1", "--promote"), 0,
           "tea-4 is a member.\ntea-4 is a voter.\n", NULL, NULL);
    expect(ANSWERS(REFUSED("already_voter", "tea-4 votes already.")),
           WORDS("members", "promote", "tea-4"), 1, "", "tea-4 votes already.", NULL);
}

static void what_cannot_be_asked_is_not_asked(void **state)
{
    const char *const *const bad[] = {
        WORDS("members", "ad", "tea-4=h:1"),
        WORDS("members", "add"),
        WORDS("members", "add", "tea-4"),
        WORDS("members", "add", "=h:1"),
        WORDS("members", "add", "tea-4=h:1", "--timeout", "0"),
        WORDS("members", "add", "tea-4=h:1", "--timeout", "61m"),
        WORDS("members", "promote"),
        WORDS("members", "remove", "a", "b"),
        WORDS("members", "-o", "xml"),
        WORDS("members", "remove", "a\xff"),
        WORDS("transfer", "a", "b"),
        WORDS("transfer", "a-name-that-is-longer-than-32-bytes"),
        WORDS("drain", "tea-1"),
        WORDS("drain", "-n", "127.0.0.1:1,127.0.0.1:2"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect(NOTHING, bad[i], 2, "", "livetea ", NULL);
    expect(NOTHING, WORDS("drain", "--timeout", "6m"), 2, "", "'6m': must be 1s to 5m", NULL);
    expect(NOTHING, WORDS("drain", "--timeout", "99m"), 2, "", "'99m': must be 1s to 5m", NULL);
}

/* ---- drain ---- */

/* What a node does that ends, and that it does not, is in the e2e tests. */
static void drain_holds_on_to_its_answer(void **state)
{
    const char *drains = "HTTP/1.1 202 Accepted\r\nContent-Length: 17\r\n\r\n{\"draining\":true}";
    (void)state;
    expect(ANSWERS(STRANGER, drains), WORDS("drain", "--timeout", "2s"), 0, NULL, NULL,
           "\r\n\r\n{\"timeout_ms\":2000}");
    expect(ANSWERS("HTTP/1.1 503 No\r\n\r\n{\"error\":\"busy\",\"message\":\"Too many.\"}"),
           WORDS("drain"), 1, "", "Too many.", NULL);
    expect(ANSWERS(STRANGER, STRANGER), WORDS("drain"), 1, "", "does not believe", NULL);
    expect(ANSWERS(""), WORDS("drain"), 5, "", "not known", NULL);
}

/* ---- backup ---- */

enum { EVENTS = 5 };

struct history {
    struct backup_head head;
    struct buf answers[3];      /* head, events 1 to 2, events 3 to 5 */
    struct buf file;            /* what comes of it */
    size_t events_at[EVENTS];   /* where their bytes begin, in their answer */
    struct fake_answer said[3]; /* as the node will say it */
};

static void begin_answer(struct buf *out)
{
    buf_init(out, 1024 * 1024);
    buf_add(out, slice_of("HTTP/1.1 200 OK\r\n\r\n"));
}

static void history_init(struct history *history)
{
    static const struct slice room = SLICE("lobby"), text = SLICE("hello");
    struct digest digest = {{0}};
    char end[BACKUP_END_SIZE];
    *history = (struct history){.head = {.number = EVENTS, .node = "tea-1", .cluster_name = "tea"}};
    for (size_t i = 0; i < 3; i++)
        begin_answer(&history->answers[i]);
    for (uint64_t i = 1; i <= EVENTS; i++) {
        struct buf *out = &history->answers[i <= 2 ? 1 : 2];
        struct message_sent event = {.number = i, .seq = i, .room = room, .text = text, .at_ms = 7};
        char len[4];
        event.sender = room;
        event.id.bytes[0] = (uint8_t)i;
        event_digest(&digest, &digest, &event);
        event.digest = digest;
        struct shared *bytes = event_encode(&event);
        little_store(len, bytes->len, sizeof len);
        buf_append(out, len, sizeof len);
        history->events_at[i - 1] = out->len;
        buf_append(out, bytes->bytes, bytes->len);
        shared_unref(bytes);
    }
    history->head.digest = digest;
    backup_head_encode(&history->answers[0], &history->head);
    buf_init(&history->file, 1024 * 1024);
    for (size_t i = 0; i < 3; i++)
        buf_add(&history->file, slice_skip(buf_slice(&history->answers[i]), 19));
    backup_end_encode(end, &history->head);
    buf_append(&history->file, end, sizeof end);
    for (size_t i = 0; i < 3; i++)
        history->said[i] = (struct fake_answer){history->answers[i].at, history->answers[i].len};
}

static void history_close(struct history *history)
{
    for (size_t i = 0; i < 3; i++)
        buf_close(&history->answers[i]);
    buf_close(&history->file);
}

struct place { /* a directory, and a file in it */
    char dir[64], file[80], partial[96];
};

static void place_init(struct place *place)
{
    snprintf(place->dir, sizeof place->dir, "/tmp/livetea-backup-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    snprintf(place->file, sizeof place->file, "%s/tea.bak", place->dir);
    snprintf(place->partial, sizeof place->partial, "%s.partial", place->file);
}

static void place_close(struct place *place)
{
    unlink(place->file);
    assert_int_equal(rmdir(place->dir), 0); /* nothing else was left there */
}

static void a_backup_is_what_the_node_said_and_an_end(void **state)
{
    struct history history;
    struct place place;
    struct run it;
    struct stat about;
    char bytes[4096];
    (void)state;
    history_init(&history);
    place_init(&place);
    run_with(&it, history.said, 3, WORDS("backup", place.file));
    assert_string_equal(it.err, "");
    assert_int_equal(it.code, 0);
    assert_has(it.out, "5 events of tea from tea-1, ");
    assert_has(it.node.heard, "GET /api/cluster/backup HTTP/1.1\r\n");
    assert_has(it.node.heard, "GET /api/cluster/backup?from=1&to=5 HTTP/1.1\r\n");
    assert_has(it.node.heard, "GET /api/cluster/backup?from=3&to=5 HTTP/1.1\r\n");
    assert_has(it.node.heard, "Bearer new-token\r\n");
    run_close(&it);

    FILE *file = fopen(place.file, "rb");
    assert_non_null(file);
    assert_int_equal(fread(bytes, 1, sizeof bytes, file), history.file.len);
    fclose(file);
    assert_memory_equal(bytes, history.file.at, history.file.len);
    assert_int_equal(stat(place.file, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600); /* people's messages are in it */

    /* It is there now, and is not replaced unless that is asked for. */
    expect(NOTHING, WORDS("backup", place.file), 1, "", "is there already", NULL);
    run_with(&it, history.said, 3, WORDS("backup", place.file, "--force"));
    assert_int_equal(it.code, 0);
    run_close(&it);
    place_close(&place);
    history_close(&history);
}

static void a_backup_may_go_down_a_pipe(void **state)
{
    struct history history;
    struct run it;
    (void)state;
    history_init(&history);
    run_with(&it, history.said, 3, WORDS("backup", "-"));
    assert_int_equal(it.code, 0);
    assert_int_equal(it.out_len, history.file.len);
    assert_memory_equal(it.out, history.file.at, history.file.len);
    assert_has(it.err, "5 events of tea from tea-1, ");
    assert_int_equal(access("-", F_OK), -1);
    run_close(&it);
    history.answers[2].at[history.events_at[2] + 40] ^= 1;
    run_with(&it, history.said, 3, WORDS("backup", "-"));
    assert_int_equal(it.code, 1); /* what went out has no end, and so is none */
    run_close(&it);
    history_close(&history);
}

/* Runs it over answers of which the byte `at` (0: none) is another one, and the last bytes are missing. */
static void assert_no_backup(struct history *history, size_t answer, size_t at, size_t cut)
{
    struct place place;
    struct run it;
    struct fake_answer said[3];
    place_init(&place);
    memcpy(said, history->said, sizeof said);
    said[answer].len -= cut;
    if (at > 0) history->answers[answer].at[at] ^= 1;
    run_with(&it, said, answer + 1, WORDS("backup", place.file));
    if (at > 0) history->answers[answer].at[at] ^= 1;
    assert_int_equal(it.code, 1);
    assert_string_equal(it.out, "");
    assert_has(it.err, "livetea backup: 127.0.0.1:");
    assert_int_equal(access(place.file, F_OK), -1);
    assert_int_equal(access(place.partial, F_OK), -1);
    run_close(&it);
    place_close(&place);
}

static void what_is_not_whole_is_no_backup(void **state)
{
    struct history history;
    (void)state;
    history_init(&history);
    assert_no_backup(&history, 0, history.answers[0].len - 1, 0); /* the head's checksum */
    assert_no_backup(&history, 0, 19, 0);                         /* its first byte */
    assert_no_backup(&history, 1, history.events_at[0] + 40, 0);  /* an event */
    assert_no_backup(&history, 1, history.events_at[0] - 4, 0);   /* its length */
    assert_no_backup(&history, 2, 0, 1);                          /* cut in the last one */
    history_close(&history);
}

/* Each event is whole and follows from the one before it, but the last is another one. */
static void a_history_that_does_not_end_as_its_head_says_is_no_backup(void **state)
{
    struct history history;
    (void)state;
    history_init(&history);
    history.head.digest.bytes[3] ^= 1;
    buf_close(&history.answers[0]);
    begin_answer(&history.answers[0]);
    backup_head_encode(&history.answers[0], &history.head);
    history.said[0] = (struct fake_answer){history.answers[0].at, history.answers[0].len};
    struct place place;
    struct run it;
    place_init(&place);
    run_with(&it, history.said, 3, WORDS("backup", place.file));
    assert_int_equal(it.code, 1);
    assert_has(it.err, "does not end with the digest");
    run_close(&it);
    place_close(&place);
    history_close(&history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_members_are_a_table),
        cmocka_unit_test(or_json_and_nobody_needs_a_token_to_read_them),
        cmocka_unit_test(a_member_is_promoted_and_removed),
        cmocka_unit_test(how_a_change_ended_is_the_exit_code),
        cmocka_unit_test(a_node_that_knows_only_the_older_secret_is_shown_that),
        cmocka_unit_test(add_waits_until_the_node_asks),
        cmocka_unit_test(a_new_member_is_promoted_when_it_has_caught_up),
        cmocka_unit_test(what_cannot_be_asked_is_not_asked),
        cmocka_unit_test(drain_holds_on_to_its_answer),
        cmocka_unit_test(a_backup_is_what_the_node_said_and_an_end),
        cmocka_unit_test(a_backup_may_go_down_a_pipe),
        cmocka_unit_test(what_is_not_whole_is_no_backup),
        cmocka_unit_test(a_history_that_does_not_end_as_its_head_says_is_no_backup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
