/* A history as NDJSON, for `livetea import`: it comes in whole, or nothing of it stays on disk and one line says
 * why.
 *
 * %D in the first lines is the digest that belongs there: chance would never find it.
 */
#include "app/data_commands.h"
#include "base/text.h"
#include "folder.h"

/* For its reader of events. */
#include "app/import_command.c"

enum { LINES_MADE_MAX = 64, TEXT_MADE_MAX = 4 * 1024 * 1024, SAID_MAX = 64 * 1024 };

static const char zeros[] = "00000000000000000000000000000000";

/* With `digest` in the place of each %D. */
static void fill_line(struct buf *out, struct slice line, struct slice digest)
{
    while (line.len > 0) {
        bool is_place = slice_starts(line, slice_of("%D"));
        buf_add(out, is_place ? digest : slice_first(line, 1));
        line = slice_skip(line, is_place ? 2 : 1);
    }
}

/* Applies the event of a line, as it would stand there; empty when it is none. */
static struct slice digest_of(struct chat *chat, struct slice line, char text[33])
{
    struct json *json = NULL;
    struct message_sent said, event;
    bool is_event = json_parse(&json, line, NULL) == 0 && read_event(&said, json) == NULL;
    struct send_message command = {.unseen_up_to = chat->number};
    if (is_event) {
        command.room = said.room;
        command.sender = said.sender;
        command.text = said.text;
        command.sender_id = said.sender_id;
        command.id = said.id;
        command.at_ms = said.at_ms;
        is_event = said.at_ms >= chat->at_ms &&
                   chat_apply(chat, &command, said.index, &event) == CHAT_APPLIED;
    }
    for (size_t i = 0; is_event && i < sizeof event.digest.bytes; i++)
        snprintf(text + 2 * i, 3, "%02x", event.digest.bytes[i]);
    json_free(json);
    return slice_make(text, is_event ? 32 : 0);
}

static void make_history(struct buf *out, struct slice rest)
{
    static const struct chat_limits no_limits;
    struct chat chat;
    struct buf line;
    chat_init(&chat, &no_limits);
    buf_init(&line, TEXT_MADE_MAX);
    for (unsigned lines = 0; rest.len > 0 && lines < LINES_MADE_MAX; lines++) {
        char text[33];
        bool is_last = slice_find(rest, '\n') == rest.len;
        struct slice raw = slice_cut(&rest, '\n');
        buf_reset(&line);
        fill_line(&line, raw, slice_of(zeros));
        fill_line(out, raw, digest_of(&chat, buf_slice(&line), text));
        if (!is_last) buf_add_char(out, '\n');
    }
    buf_add(out, rest);
    buf_close(&line);
    chat_close(&chat);
}

static void check_said(const char *said)
{
    struct slice lines = slice_from(said);
    FUZZ_HOLDS(lines.len > 0 && lines.at[lines.len - 1] == '\n');
    while (lines.len > 0) {
        struct slice line = slice_cut(&lines, '\n');
        FUZZ_HOLDS(text_valid(line) && !text_has_controls(line));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char out[SAID_MAX], err[SAID_MAX], dir_option[] = "--data-dir", dir[FOLDER_PATH_MAX],
                                              name_option[] = "--node-name", name[] = "tea-1",
                                              dash[] = "-";
    static char *const environment[] = {NULL};
    char *const arguments[] = {dash, dir_option, dir, name_option, name};
    struct buf text;
    buf_init(&text, TEXT_MADE_MAX);
    make_history(&text, slice_make(data, size));
    if (text.len == 0) buf_add_char(&text, '\n');
    folder_path(dir, "data");
    memset(out, 0, sizeof out);
    memset(err, 0, sizeof err);
    struct cli cli = {.in = fmemopen(text.at, text.len, "r"),
                      .out = fmemopen(out, sizeof out, "w"),
                      .err = fmemopen(err, sizeof err, "w"),
                      .environment = environment};
    FUZZ_HOLDS(cli.in != NULL && cli.out != NULL && cli.err != NULL);
    int code = run_import(&cli, 5, arguments);
    fclose(cli.in);
    fclose(cli.out);
    fclose(cli.err);
    check_said(code == CLI_DONE ? out : err);
    FUZZ_HOLDS((access(dir, F_OK) == 0) == (code == CLI_DONE));
    folder_remove(dir);
    buf_close(&text);
    return 0;
}
