/* One message from the command line, and the messages of a room to it. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/text.h"
#include "chat/ids.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/table.h"

enum {
    SEND_DEADLINE_MS = 15 * 1000, /* a node tells "unknown" by itself before that */
    ASK_MS = 5000,
    WAIT_S = 30,
    AGAIN_S = 1,
    PATH_MAX_BYTES = 2048,
    LINES_DEFAULT = 50
};

/* "/api/rooms/ROOM/messages" */
static void add_path(struct buf *path, const char *room)
{
    assert(room != NULL);
    if (*room == '#') room++; /* as pages write it */
    buf_add(path, slice_of("/api/rooms/"));
    text_escape_url(path, slice_from(room));
    buf_add(path, slice_of("/messages"));
}

/* ---- send ---- */

enum { SEND_NODE, SEND_AS, SEND_ID };
static const struct option_spec send_options[] = {
    [SEND_NODE] = {.name = "node",
                   .letter = 'n',
                   .argument = "NODE[,...]",
                   .help = "The node to send to; of several, the first that takes it."},
    [SEND_AS] = {.name = "as", .argument = "NAME", .help = "The sender. Default: $USER."},
    [SEND_ID] = {.name = "id",
                 .argument = "KEY",
                 .help = "The message's id: sent once, however often it is tried."}};

struct letter {
    const char *nodes, *room, *text, *sender, *id;
    char fresh_id[COMMAND_ID_TEXT + 1];
    struct buf typed; /* from standard input */
};

static int read_letter(const struct cli *cli, int argc, char *const *argv, struct letter *letter)
{
    struct options options = {.argc = argc, .argv = argv};
    struct errmsg errmsg;
    const char *value;
    for (;;) {
        switch (options_next(&options, send_options, sizeof send_options / sizeof *send_options,
                             &value, &errmsg)) {
        case OPTIONS_END:
            if (letter->room == NULL) return cli_usage_error(cli, "send", "which room?");
            return 0;
        case OPTIONS_BAD: return cli_usage_error(cli, "send", "%s", errmsg.text);
        case OPTIONS_WORD:
            if (letter->text != NULL) {
                return cli_usage_error(cli, "send",
                                       "unexpected argument '%s': put the text in "
                                       "quotes",
                                       value);
            }
            *(letter->room == NULL ? &letter->room : &letter->text) = value;
            break;
        case SEND_NODE: letter->nodes = value; break;
        case SEND_AS: letter->sender = value; break;
        case SEND_ID: letter->id = value; break;
        default: break;
        }
    }
}

static int read_typed(const struct cli *cli, struct letter *letter)
{
    char block[4096];
    size_t got;
    while ((got = fread(block, 1, sizeof block, cli->in)) > 0)
        buf_append(&letter->typed, block, got);
    if (ferror(cli->in)) return cli_usage_error(cli, "send", "standard input cannot be read");
    if (letter->typed.overflowed) {
        return cli_usage_error(cli, "send", "more than %d bytes, the most that a message holds",
                               (int)CHAT_TEXT_MAX);
    }
    while (letter->typed.len > 0 && letter->typed.at[letter->typed.len - 1] == '\n')
        letter->typed.len--;
    return 0;
}

static int fill_letter(const struct cli *cli, struct letter *letter)
{
    if (letter->sender == NULL) letter->sender = cli_environment(cli, "USER");
    if (letter->sender == NULL) letter->sender = cli_environment(cli, "LOGNAME");
    if (letter->sender == NULL)
        return cli_usage_error(cli, "send", "who sends it? Say so by --as NAME");
    if (letter->id == NULL) {
        struct command_id id;
        uint8_t random[10];
        crypto_random(random, sizeof random);
        command_id_make(&id, clock_wall_ms(), random);
        command_id_text(letter->fresh_id, &id);
        letter->id = letter->fresh_id;
    }
    if (letter->text == NULL) return read_typed(cli, letter);
    buf_add(&letter->typed, slice_from(letter->text));
    if (letter->typed.overflowed) {
        return cli_usage_error(cli, "send", "more than %d bytes, the most that a message holds",
                               (int)CHAT_TEXT_MAX);
    }
    return 0;
}

static int tell_unknown(const struct cli *cli, const struct letter *letter, const char *why)
{
    fprintf(cli->err,
            "livetea send: %s. It is not known whether the message was sent: try again with "
            "--id %s\n",
            why, letter->id);
    return CLI_UNKNOWN;
}

static int judge(const struct cli *cli, const struct letter *letter,
                 const struct client_answer *answer)
{
    struct json *body = NULL;
    int64_t number;
    if (answer->status == 201 || answer->status == 200) {
        bool known = json_parse(&body, buf_slice(&answer->body), NULL) == 0 &&
                     json_to_i64(json_get(body, "number"), &number);
        json_free(body);
        if (!known) return tell_unknown(cli, letter, "the answer has no number");
        fprintf(cli->out, "%lld\n", (long long)number);
        return CLI_DONE;
    }
    if (answer->status == 504)
        return tell_unknown(cli, letter, "no answer from the leader in time");
    /* Refused here, but a node before may have taken it; a refusal of the message itself is true
     * everywhere. */
    bool is_final = answer->status == 409 || answer->status == 415 || answer->status == 422 ||
                    answer->status == 400;
    if (answer->was_sent && !is_final)
        return tell_unknown(cli, letter, "a node went away while it had the message");
    cli_tell_answer(cli, "send", answer);
    return CLI_REFUSED;
}

static int deliver(const struct cli *cli, const struct letter *letter, struct client *client)
{
    struct client_answer answer;
    struct errmsg errmsg;
    struct buf path, body;
    buf_init(&path, PATH_MAX_BYTES);
    buf_init(&body, 8 * (size_t)CHAT_TEXT_MAX);
    client_answer_init(&answer);
    add_path(&path, letter->room);
    buf_add_char(&body, '{');
    json_add_text(&body, "sender", slice_from(letter->sender));
    json_add_text(&body, "text", buf_slice(&letter->typed));
    json_add_text(&body, "id", slice_from(letter->id));
    buf_add_char(&body, '}');

    int code;
    if (path.overflowed || body.overflowed) {
        code = cli_usage_error(cli, "send", "the room's name or the sender's is too long");
    } else if (client_ask(client,
                          &(struct client_request){.method = "POST",
                                                   .path = buf_slice(&path),
                                                   .body = buf_slice(&body),
                                                   .deadline_ms = SEND_DEADLINE_MS},
                          &answer, &errmsg) == 0) {
        code = judge(cli, letter, &answer);
    } else if (answer.was_sent) {
        code = tell_unknown(cli, letter, errmsg.text);
    } else {
        fprintf(cli->err, "livetea send: %s\n", errmsg.text);
        code = CLI_UNREACHABLE;
    }
    client_answer_close(&answer);
    buf_close(&body);
    buf_close(&path);
    return code;
}

static int run_send(const struct cli *cli, int argc, char *const *argv)
{
    struct letter letter = {0};
    struct client client;
    buf_init(&letter.typed, CHAT_TEXT_MAX);
    int code = read_letter(cli, argc, argv, &letter);
    if (code == 0) code = cli_client(cli, "send", letter.nodes, &client);
    if (code == 0) code = fill_letter(cli, &letter);
    if (code == 0 && (!text_valid(buf_slice(&letter.typed)) ||
                      !text_valid(slice_from(letter.sender)) || !text_valid(slice_from(letter.id))))
        code = cli_usage_error(cli, "send", "text, sender and id must be UTF-8");
    if (code == 0) code = cli_finish(cli, deliver(cli, &letter, &client));
    buf_close(&letter.typed);
    return code;
}

const struct cli_command send_command = {
    .name = "send",
    .arguments = "ROOM [TEXT] [--as NAME] [--id KEY]",
    .summary = "sends one message; TEXT or standard input",
    .help = "Prints the message's number once it is kept by a majority.\n"
            "Exit: 0 sent, 1 refused, 4 no node could be reached, 5 not known (try again with the\n"
            "same --id).",
    .options = send_options,
    .options_count = sizeof send_options / sizeof *send_options,
    .run = run_send};

/* ---- tail ---- */

enum { TAIL_NODE, TAIL_FOLLOW, TAIL_LINES, TAIL_ALL, TAIL_OUTPUT };
static const struct option_spec tail_options[] = {
    [TAIL_NODE] = {.name = "node",
                   .letter = 'n',
                   .argument = "NODE[,...]",
                   .help = "The node to ask; of several, the first that answers."},
    [TAIL_FOLLOW] = {.name = "follow", .letter = 'f', .help = "Goes on with what is said next."},
    [TAIL_LINES] = {.name = "lines",
                    .argument = "N",
                    .help = "So many of the newest messages, 0 to 500. Default: 50."},
    [TAIL_ALL] = {.name = "all", .help = "All messages, from the first."},
    [TAIL_OUTPUT] = {.name = "output",
                     .letter = 'o',
                     .argument = "text|json",
                     .help = "Text, or JSON, an object a line. Default: text."}};

struct reading {
    const char *nodes, *room;
    uint64_t lines, before; /* of the newest: how many more, and below which number (0: no limit) */
    uint64_t after;         /* number of the last message that was printed */
    bool follow, all, is_json, is_quiet;
};

static int read_reading(const struct cli *cli, int argc, char *const *argv, struct reading *reading)
{
    struct options options = {.argc = argc, .argv = argv};
    struct errmsg errmsg;
    const char *value;
    *reading = (struct reading){.lines = LINES_DEFAULT};
    for (;;) {
        switch (options_next(&options, tail_options, sizeof tail_options / sizeof *tail_options,
                             &value, &errmsg)) {
        case OPTIONS_END:
            if (reading->room == NULL) return cli_usage_error(cli, "tail", "which room?");
            return 0;
        case OPTIONS_BAD: return cli_usage_error(cli, "tail", "%s", errmsg.text);
        case OPTIONS_WORD:
            if (reading->room != NULL)
                return cli_usage_error(cli, "tail", "unexpected argument '%s'", value);
            reading->room = value;
            break;
        case TAIL_NODE: reading->nodes = value; break;
        case TAIL_FOLLOW: reading->follow = true; break;
        case TAIL_ALL: reading->all = true; break;
        case TAIL_LINES:
            if (!slice_to_u64(slice_from(value), &reading->lines) ||
                reading->lines > API_MESSAGES_MAX) {
                return cli_usage_error(cli, "tail", "--lines '%s': must be 0 to %d", value,
                                       (int)API_MESSAGES_MAX);
            }
            break;
        case TAIL_OUTPUT:
            reading->is_json = strcmp(value, "json") == 0;
            if (!reading->is_json && strcmp(value, "text") != 0)
                return cli_usage_error(cli, "tail", "-o '%s': must be text or json", value);
            break;
        default: break;
        }
    }
}

static void copy_text(struct buf *out, const struct json *message, const char *key)
{
    json_add_text(out, key, json_slice(json_get(message, key)));
}

static void copy_number(struct buf *out, const struct json *message, const char *key)
{
    int64_t number = 0;
    json_to_i64(json_get(message, key), &number);
    json_add_i64(out, key, number);
}

static void add_json(struct buf *out, const struct json *message)
{
    buf_add_char(out, '{');
    copy_number(out, message, "number");
    copy_number(out, message, "index");
    copy_text(out, message, "room");
    copy_number(out, message, "seq");
    copy_text(out, message, "id");
    copy_text(out, message, "sender_id");
    copy_text(out, message, "sender");
    copy_text(out, message, "text");
    copy_text(out, message, "at");
    buf_add(out, slice_of("}\n"));
}

/* Lines behind the first are indented, so that no text can pass for another message. */
static void add_text(struct buf *out, const struct json *message)
{
    struct slice text = json_slice(json_get(message, "text"));
    table_add_plain(out, json_slice(json_get(message, "at")));
    buf_add_char(out, ' ');
    table_add_plain(out, json_slice(json_get(message, "sender")));
    buf_add_char(out, ':');
    for (const char *before = " "; text.len > 0; before = "\n    ") {
        buf_add(out, slice_from(before));
        table_add_plain(out, slice_cut(&text, '\n'));
    }
    buf_add_char(out, '\n');
}

static uint64_t number_of(const struct json *message, const char *key)
{
    int64_t number = 0;
    return json_to_i64(json_get(message, key), &number) && number > 0 ? (uint64_t)number : 0;
}

static void print_messages(const struct cli *cli, struct reading *reading,
                           const struct json *messages)
{
    struct buf out;
    buf_init(&out, 2 * (size_t)CLIENT_BODY_MAX);
    for (size_t i = 0; i < json_count(messages); i++) {
        const struct json *message = json_at(messages, i);
        uint64_t number = number_of(message, "number");
        if (number > reading->after) reading->after = number;
        if (!reading->is_quiet) (reading->is_json ? add_json : add_text)(&out, message);
    }
    if (out.len > 0) fwrite(out.at, 1, out.len, cli->out);
    buf_close(&out);
}

enum part { PART_NEWEST, PART_AFTER, PART_WAIT };

static int ask_messages(struct client *client, const struct reading *reading, enum part part,
                        struct client_answer *answer, struct errmsg *errmsg)
{
    struct buf path;
    buf_init(&path, PATH_MAX_BYTES);
    add_path(&path, reading->room);
    if (part == PART_NEWEST) {
        buf_printf(&path, "?limit=%llu", (unsigned long long)reading->lines);
        if (reading->before > 0)
            buf_printf(&path, "&before=%llu", (unsigned long long)reading->before);
    } else {
        buf_printf(&path, "?limit=%d&after=%llu", (int)API_MESSAGES_MAX,
                   (unsigned long long)reading->after);
    }
    if (part == PART_WAIT) buf_printf(&path, "&wait=%ds", (int)WAIT_S);
    int rv = client_ask(
        client,
        &(struct client_request){.method = "GET",
                                 .path = buf_slice(&path),
                                 .deadline_ms = ASK_MS + (part == PART_WAIT ? WAIT_S * 1000 : 0)},
        answer, errmsg);
    buf_close(&path);
    return rv;
}

static int show_part(const struct cli *cli, struct client *client, struct reading *reading,
                     enum part part);

/* An answer has an end in bytes too, and of long messages fewer come than were asked for. A room's
 * messages are counted from 1, so the last of them tells whether there are more below. */
static int show_older(const struct cli *cli, struct client *client, struct reading *reading,
                      const struct json *messages)
{
    size_t count = json_count(messages);
    if (count == 0) return 0;
    uint64_t seq = number_of(json_at(messages, count - 1), "seq");
    uint64_t before = number_of(json_at(messages, 0), "number");
    if (count >= reading->lines || count >= seq || before <= 1) return 0;
    if (reading->before != 0 && before >= reading->before) return 0; /* that is no node */
    reading->lines -= count;
    reading->before = before;
    return show_part(cli, client, reading, PART_NEWEST);
}

/* Returns how many there were, or minus an exit code. */
static int show_answer(const struct cli *cli, struct client *client, struct reading *reading,
                       enum part part, const struct client_answer *answer)
{
    struct json *tree = NULL;
    const struct json *messages = NULL;
    if (json_parse(&tree, buf_slice(&answer->body), NULL) == 0)
        messages = json_get(tree, "messages");
    if (json_type(messages) != JSON_T_ARRAY) {
        json_free(tree);
        fprintf(cli->err, "livetea tail: %s does not answer as Live Tea\n", answer->node);
        return -CLI_UNREACHABLE;
    }
    int count = (int)json_count(messages);
    int older = part == PART_NEWEST ? show_older(cli, client, reading, messages) : 0;
    if (older >= 0) print_messages(cli, reading, messages);
    json_free(tree);
    return older < 0 ? older : count;
}

/* One question and what it brought: how many, or minus an exit code. */
static int show_part(const struct cli *cli, struct client *client, struct reading *reading,
                     enum part part)
{
    struct client_answer answer;
    struct errmsg errmsg;
    client_answer_init(&answer);
    int count = -CLI_UNREACHABLE;
    if (ask_messages(client, reading, part, &answer, &errmsg) != 0) {
        fprintf(cli->err, "livetea tail: %s\n", errmsg.text);
    } else if (answer.status != 200) {
        cli_tell_answer(cli, "tail", &answer);
        bool is_late = answer.status == 429 || answer.status == 408; /* who follows asks again */
        bool passes = answer.status >= 500 || (reading->follow && is_late);
        count = passes ? -CLI_UNREACHABLE : -CLI_REFUSED;
    } else {
        count = show_answer(cli, client, reading, part, &answer);
    }
    client_answer_close(&answer);
    return count;
}

/* Nodes come and go: only a refusal or a reader that has gone ends it. */
static int follow(const struct cli *cli, struct client *client, struct reading *reading)
{
    for (;;) {
        if (fflush(cli->out) != 0) return CLI_DONE;
        int count = show_part(cli, client, reading, PART_WAIT);
        if (count == -CLI_REFUSED) return CLI_REFUSED;
        if (count >= 0) continue;
        client->preferred = (client->preferred + 1) % client->nodes_count;
        struct timespec rest = {.tv_sec = AGAIN_S};
        while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
            continue;
    }
}

static int run_tail(const struct cli *cli, int argc, char *const *argv)
{
    struct reading reading;
    struct client client;
    int code = read_reading(cli, argc, argv, &reading);
    if (code == 0) code = cli_client(cli, "tail", reading.nodes, &client);
    if (code != 0) return code;

    int count;
    uint64_t after;
    enum part part = reading.all ? PART_AFTER : PART_NEWEST;
    reading.is_quiet = !reading.all && reading.lines == 0;
    if (reading.is_quiet) reading.lines = 1; /* to know where the room stands */
    do { /* how many an answer brings says nothing: it has an end in bytes too */
        after = reading.after;
        count = show_part(cli, &client, &reading, part);
    } while (reading.all && count > 0 && reading.after > after);
    reading.is_quiet = false;
    if (count < 0) return cli_finish(cli, -count);
    if (reading.follow) return follow(cli, &client, &reading);
    return cli_finish(cli, CLI_DONE);
}

const struct cli_command tail_command = {
    .name = "tail",
    .arguments = "ROOM [-f] [--lines N] [--all] [-o text|json]",
    .summary = "prints a room's messages, and follows them",
    .help = "Exit: 0 done, 1 refused, 4 no node could be reached.",
    .options = tail_options,
    .options_count = sizeof tail_options / sizeof *tail_options,
    .run = run_tail};
