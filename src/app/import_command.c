/* A history as text into a new data directory: NDJSON as GET /api/events gives it.
 *
 * Each line goes through the aggregate as a command would, so number, seq and digest are computed anew,
 * and the line must say the same: a history that was edited, or has a gap, does not come in.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "app/config.h"
#include "app/data_commands.h"
#include "app/fresh_dir.h"
#include "app/progress.h"
#include "base/clock.h"
#include "base/json.h"

enum {
    LINE_MAX_BYTES = 8 * (CHAT_TEXT_MAX + ROOM_MAX + NAME_MAX_BYTES) + 1024, /* all as \uXXXX */
    BLOCK = 256 * 1024
};

static const struct option_spec import_options[] = {
    {.name = "data-dir", .argument = "DIR", .help = "The directory to make: empty, or not there."},
    {.name = "node-name",
     .argument = "NAME",
     .help = "The node's name. Default: LIVETEA_NODE_NAME, else the host's."}};

struct import {
    const char *name; /* of the file */
    FILE *file;
    struct buf text; /* lines that were read, the last one perhaps in part */
    size_t at;       /* of the next line in it */
    bool is_at_end;
    uint64_t line;
    struct fresh_dir *dir;
    struct progress progress;
    struct errmsg errmsg;
};

__attribute__((format(printf, 2, 3))) static int bad(struct import *import, const char *format, ...)
{
    char why[300];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    errmsg_set(&import->errmsg, "%s, line %" PRIu64 ": %s", import->name, import->line, why);
    return ERR_FORMAT;
}

/* ---- lines ---- */

static int read_more(struct import *import)
{
    struct slice rest = slice_skip(buf_slice(&import->text), import->at);
    if (rest.len > 0) memmove(import->text.at, rest.at, rest.len);
    buf_truncate(&import->text, rest.len);
    import->at = 0;
    char *into = buf_extend(&import->text, BLOCK);
    if (into == NULL) return bad(import, "it is longer than any event can be");
    size_t got = fread(into, 1, BLOCK, import->file);
    buf_truncate(&import->text, rest.len + got);
    import->is_at_end = got < BLOCK;
    if (!ferror(import->file)) return 0;
    errmsg_set(&import->errmsg, "cannot read %s: %s", import->name, strerror(errno));
    return ERR_IO;
}

/* 0 with the next line, good until the next call; ERR_NOT_FOUND at the end. */
static int next_line(struct import *import, struct slice *line)
{
    import->line++;
    for (;;) {
        struct slice rest = slice_skip(buf_slice(&import->text), import->at);
        size_t len = slice_find(rest, '\n');
        if (len < rest.len || (import->is_at_end && rest.len > 0)) {
            *line = slice_first(rest, len);
            import->at += len < rest.len ? len + 1 : len;
            return 0;
        }
        if (import->is_at_end) return ERR_NOT_FOUND;
        int rv = read_more(import);
        if (rv != 0) return rv;
    }
}

/* ---- one event ---- */

static bool take_number(const struct json *json, const char *key, uint64_t *value)
{
    int64_t number = 0;
    if (!json_to_i64(json_get(json, key), &number) || number < 0) return false;
    *value = (uint64_t)number;
    return true;
}

static bool take_text(const struct json *json, const char *key, struct slice *text)
{
    const struct json *member = json_get(json, key);
    *text = json_slice(member);
    return json_is_string(member);
}

static bool take_hex(const struct json *json, const char *key, uint8_t out[16])
{
    struct slice text;
    return take_text(json, key, &text) && slice_to_bytes(text, out, 16);
}

/* What the line says. NULL, or the member that is missing or is no good. */
static const char *read_event(struct message_sent *event, const struct json *json)
{
    struct slice text;
    *event = (struct message_sent){.number = 0};
    if (!take_number(json, "number", &event->number)) return "number";
    if (!take_number(json, "index", &event->index)) return "index";
    if (!take_number(json, "seq", &event->seq)) return "seq";
    if (!take_text(json, "room", &event->room)) return "room";
    if (!take_text(json, "sender", &event->sender)) return "sender";
    if (!take_text(json, "text", &event->text)) return "text";
    if (!take_text(json, "id", &text) || text.len != COMMAND_ID_TEXT ||
        !command_id_from(&event->id, text))
        return "id";
    if (!take_hex(json, "sender_id", event->sender_id.bytes)) return "sender_id";
    if (!take_text(json, "at", &text) || !clock_parse_rfc3339(text, &event->at_ms)) return "at";
    if (!take_hex(json, "digest", event->digest.bytes)) return "digest";
    return NULL;
}

static int apply(struct import *import, const struct message_sent *said, struct message_sent *event)
{
    struct chat *chat = fresh_dir_chat(import->dir);
    uint64_t expected = chat->number + 1;
    if (said->number != expected)
        return bad(import, "number %" PRIu64 " where %" PRIu64 " belongs: %s", said->number,
                   expected, said->number > expected ? "a gap" : "a repetition");
    struct send_message command = {.room = said->room,
                                   .sender = said->sender,
                                   .text = said->text,
                                   .sender_id = said->sender_id,
                                   .id = said->id,
                                   .unseen_up_to = chat->number,
                                   .at_ms = said->at_ms};
    if (said->at_ms < chat->at_ms) return bad(import, "its time is before the last event's");
    enum chat_outcome outcome = chat_apply(chat, &command, said->index, event);
    if (outcome == CHAT_KNOWN || outcome == CHAT_USED)
        return bad(import, "its id is that of an earlier event");
    if (outcome != CHAT_APPLIED) return bad(import, "it is no message that a node lets pass");
    if (event->seq != said->seq)
        return bad(import, "seq %" PRIu64 " where %" PRIu64 " belongs", said->seq, event->seq);
    if (memcmp(&event->digest, &said->digest, sizeof event->digest) != 0)
        return bad(import, "its digest does not follow from the events before it");
    return 0;
}

static int take_line(struct import *import, struct slice line)
{
    struct json *json = NULL;
    struct message_sent said, event;
    struct errmsg why;
    if (json_parse(&json, line, &why) != 0) return bad(import, "%s", why.text);
    const char *wrong = read_event(&said, json);
    int rv = wrong == NULL ? apply(import, &said, &event)
                           : bad(import, "\"%s\" is missing, or is none", wrong);
    if (rv == 0) {
        struct shared *bytes = event_encode(&event);
        rv = fresh_dir_add(import->dir, bytes, &import->errmsg);
        shared_unref(bytes);
    }
    json_free(json);
    return rv;
}

static int read_lines(struct import *import)
{
    for (;;) {
        struct slice line;
        int rv = next_line(import, &line);
        if (rv == ERR_NOT_FOUND && fresh_dir_chat(import->dir)->number == 0) {
            errmsg_set(&import->errmsg, "%s has no events", import->name);
            return ERR_FORMAT;
        }
        if (rv == ERR_NOT_FOUND) return 0;
        if (rv == 0 && slice_trim(line).len > 0) rv = take_line(import, line);
        if (rv != 0) return rv;
        progress_tell(&import->progress, fresh_dir_chat(import->dir)->number, 0);
    }
}

/* ---- the command ---- */

static int fill(struct import *import, const struct cli *cli, const char *data_dir,
                const char *node)
{
    char count[GROUPED_SIZE];
    struct buf text;
    int rv = fresh_dir_begin(&import->dir, data_dir, node, &import->errmsg);
    if (rv != 0) return rv;
    progress_begin(&import->progress, cli, "importing");
    rv = read_lines(import);
    progress_end(&import->progress);
    if (rv != 0) {
        fresh_dir_abandon(import->dir);
        return rv;
    }
    const struct chat *chat = fresh_dir_chat(import->dir);
    uint64_t number = chat->number;
    buf_init(&text, 64);
    buf_add_hex(&text, chat->digest.bytes, sizeof chat->digest.bytes);
    rv = fresh_dir_finish(import->dir, &import->errmsg);
    if (rv == 0)
        fprintf(cli->out, "Imported %s events into %s, digest %.*s.\n",
                progress_grouped(count, number), data_dir, (int)text.len, text.at);
    buf_close(&text);
    return rv;
}

static int import_file(const struct cli *cli, const struct data_options *options, const char *node)
{
    static struct import import;
    import = (struct import){.name = options->file, .file = cli->in};
    if (strcmp(options->file, "-") != 0) {
        import.file = fopen(options->file, "rbe");
    } else {
        import.name = "standard input";
    }
    if (import.file == NULL) {
        errmsg_set(&import.errmsg, "cannot open %s: %s", options->file, strerror(errno));
        return data_failed(cli, &import_command, CLI_REFUSED, &import.errmsg);
    }
    buf_init(&import.text, LINE_MAX_BYTES + BLOCK);
    int rv = fill(&import, cli, options->data_dir, node);
    buf_close(&import.text);
    if (import.file != cli->in) fclose(import.file);
    if (rv != 0) return data_failed(cli, &import_command, data_exit(rv), &import.errmsg);
    data_tell_start(cli, options->data_dir, node);
    return cli_finish(cli, CLI_DONE);
}

static int run_import(const struct cli *cli, int argc, char *const *argv)
{
    struct data_options options;
    char name[NODE_NAME_MAX + 1];
    int code = data_options_read(cli, &import_command, true, argc, argv, &options);
    if (code != 0) return code;
    const char *said = cli_environment(cli, "LIVETEA_NODE_NAME");
    if (options.node_name == NULL && said != NULL) {
        const char *problem = data_problem("node", "name", said);
        if (problem != NULL)
            return cli_usage_error(cli, "import", "LIVETEA_NODE_NAME '%s': %s", said, problem);
        options.node_name = said;
    }
    if (options.node_name == NULL && config_host_name(name)) options.node_name = name;
    if (options.node_name == NULL)
        return cli_usage_error(cli, "import",
                               "this host's name cannot be a node's: say --node-name NAME");
    return import_file(cli, &options, options.node_name);
}

const struct cli_command import_command = {
    .name = "import",
    .arguments = "FILE --data-dir DIR [--node-name NAME]",
    .summary = "makes the data directory of a new one-node cluster from NDJSON",
    .help =
        "FILE has an event a line, from number 1, as GET /api/events gives them; - is standard\n"
        "input. Numbers, times and digests come out as they were: a gap, a repetition or a\n"
        "changed word is refused, with the line's number.\n"
        "Exit: 0 done, 1 failed or refused, 2 bad option, 3 the file is not usable. Unless it is\n"
        "done nothing stays on disk.",
    .options = import_options,
    .options_count = sizeof import_options / sizeof *import_options,
    .run = run_import};
