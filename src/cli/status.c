/* The cluster in a table: what /status of one node says, which answers from its memory. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/table.h"

enum { ASK_MS = 1000, WATCH_MS = 1000, OUT_MAX = 256 * 1024 };

enum { OPTION_NODE, OPTION_WATCH, OPTION_READY, OPTION_OUTPUT };
static const struct option_spec status_options[] = {
    [OPTION_NODE] = {.name = "node",
                     .letter = 'n',
                     .argument = "NODE[,...]",
                     .help = "The node to ask; of several, the first that answers."},
    [OPTION_WATCH] = {.name = "watch", .help = "Again each second, until stopped."},
    [OPTION_READY] = {.name = "ready", .help = "No output; exit 0 if the node is ready, else 1."},
    [OPTION_OUTPUT] = {.name = "output",
                       .letter = 'o',
                       .argument = "table|json",
                       .help = "Default: a table on a terminal, else JSON."}};

enum { NODE, ROLE, TERM, APPLIED, BEHIND, RTT, BROWSERS, DISK, UP, VERSION, ADDRESS, COLUMNS };
static const struct table_column columns[COLUMNS] = {
    [NODE] = {.title = "NODE", .width_min = 5},
    [ROLE] = {.title = "ROLE", .width_min = 8},
    [TERM] = {.title = "TERM", .is_right = true},
    [APPLIED] = {.title = "APPLIED", .is_right = true},
    [BEHIND] = {.title = "BEHIND", .is_right = true},
    [RTT] = {.title = "RTT", .width_min = 6},
    [BROWSERS] = {.title = "BROWSERS", .is_right = true},
    [DISK] = {.title = "DISK", .width_min = 6},
    [UP] = {.title = "UP", .width_min = 6},
    [VERSION] = {.title = "VERSION"},
    [ADDRESS] = {.title = "ADDRESS"}};

struct wishes {
    const char *nodes;
    bool watch, ready, is_table;
};

/* " 83 %" of the history; it is over when the last event has come, so 100 is never shown. */
static void add_percent(struct buf *out, const struct json *member)
{
    int64_t number, behind;
    if (!json_to_i64(json_get(member, "number"), &number) || number < 0) return;
    if (!json_to_i64(json_get(member, "behind"), &behind) || behind < 0) return;
    double all = (double)number + (double)behind;
    int percent = all > 0 ? (int)(100 * ((double)number / all)) : 0;
    buf_printf(out, " %d %%", percent < 99 ? percent : 99);
}

static void add_role(struct buf *out, const struct json *member)
{
    struct slice state = json_slice(json_get(member, "state"));
    int64_t seconds = 0;
    if (slice_is(state, "away")) {
        buf_add(out, slice_of("away"));
        if (!json_to_i64(json_get(member, "away_seconds"), &seconds) || seconds < 0) return;
        buf_add_char(out, ' ');
        table_add_age(out, (uint64_t)seconds);
    } else if (slice_is(state, "catching_up")) {
        buf_add(out, slice_of("catching up"));
        add_percent(out, member);
    } else if (slice_is(json_slice(json_get(member, "role")), "standby") &&
               slice_is(state, "follower")) {
        buf_add(out, slice_of("stand-by"));
    } else {
        buf_add(out, state);
    }
}

static void add_member(struct table *table, const struct json *member, const struct json *term)
{
    struct buf text;
    int64_t number;
    bool is_away = slice_is(json_slice(json_get(member, "state")), "away");
    if (!table_row(table)) return;
    buf_init(&text, 4 * (size_t)TABLE_CELL_MAX);
    add_role(&text, member);
    table_set(table, NODE, json_slice(json_get(member, "name")));
    table_set(table, ROLE, buf_slice(&text));
    if (!is_away) table_set_number(table, TERM, term);
    table_set_number(table, APPLIED, json_get(member, "number"));
    table_set_number(table, BEHIND, json_get(member, "behind"));
    const struct json *rtt = json_get(member, "rtt_ms");
    if (!json_is_null(rtt) && !is_away) {
        buf_reset(&text);
        buf_printf(&text, "%.1f ms", json_to_double(rtt, 0));
        table_set(table, RTT, buf_slice(&text));
    }
    table_set_number(table, BROWSERS, json_get(member, "browsers"));
    if (json_to_i64(json_get(member, "disk_bytes"), &number) && number >= 0) {
        buf_reset(&text);
        table_add_bytes(&text, (uint64_t)number);
        table_set(table, DISK, buf_slice(&text));
    }
    if (json_to_i64(json_get(member, "uptime_seconds"), &number) && number >= 0) {
        buf_reset(&text);
        table_add_age(&text, (uint64_t)number);
        table_set(table, UP, buf_slice(&text));
    }
    table_set(table, VERSION, json_slice(json_get(member, "version")));
    table_set(table, ADDRESS, json_slice(json_get(member, "address")));
    buf_close(&text);
}

static void print_status(struct buf *out, const struct json *status)
{
    struct table table;
    const struct json *cluster = json_get(status, "cluster");
    const struct json *members = json_get(status, "members");
    table_init(&table, columns, COLUMNS);
    for (size_t i = 0; i < json_count(members); i++)
        add_member(&table, json_at(members, i), json_get(cluster, "term"));
    table_add_plain(out, json_slice(json_get(cluster, "sentence")));
    buf_add(out, slice_of("\n\n"));
    table_print(&table, out);
    table_close(&table);
}

static int exit_code(const struct json *status)
{
    struct slice health = json_slice(json_get(json_get(status, "cluster"), "health"));
    if (slice_is(health, "ok")) return CLI_DONE;
    return slice_is(health, "no_majority") ? CLI_NO_MAJORITY : CLI_REFUSED;
}

static int ask_ready(struct client *client)
{
    struct client_answer answer;
    struct errmsg errmsg;
    client_answer_init(&answer);
    int rv = client_ask(client,
                        &(struct client_request){
                            .method = "GET", .path = slice_of("/readyz"), .deadline_ms = ASK_MS},
                        &answer, &errmsg);
    int code = rv != 0 ? CLI_UNREACHABLE : answer.status == 200 ? CLI_DONE : CLI_REFUSED;
    client_answer_close(&answer);
    return code;
}

static int show_once(const struct cli *cli, struct client *client, const struct wishes *wishes)
{
    struct client_answer answer;
    struct errmsg errmsg;
    struct json *status = NULL;
    struct buf out;
    int code = CLI_UNREACHABLE;
    client_answer_init(&answer);
    buf_init(&out, OUT_MAX);
    int rv = client_ask(client,
                        &(struct client_request){
                            .method = "GET", .path = slice_of("/status"), .deadline_ms = ASK_MS},
                        &answer, &errmsg);
    if (rv != 0) {
        fprintf(cli->err, "livetea status: %s\n", errmsg.text);
    } else if (cli_is_hidden(&answer)) {
        fprintf(
            cli->err,
            "livetea status: %s has no /status. With http.admin_listen set, a node tells it only "
            "there\n",
            answer.node);
    } else if (answer.status >= 500) {
        cli_tell_answer(cli, "status", &answer);
    } else if (answer.status != 200 || json_parse(&status, buf_slice(&answer.body), &errmsg) != 0) {
        fprintf(cli->err, "livetea status: %s is no Live Tea node: it answers /status with %d\n",
                answer.node, answer.status);
    } else {
        if (wishes->is_table) {
            print_status(&out, status);
        } else {
            buf_add(&out, buf_slice(&answer.body));
        }
        if (!wishes->is_table && out.len > 0 && out.at[out.len - 1] != '\n')
            buf_add_char(&out, '\n');
        if (out.len > 0) fwrite(out.at, 1, out.len, cli->out);
        code = exit_code(status);
    }
    json_free(status);
    buf_close(&out);
    client_answer_close(&answer);
    return code;
}

static int watch(const struct cli *cli, struct client *client, const struct wishes *wishes)
{
    for (;;) {
        /* Home, and clear what is below: only a terminal is steered. */
        if (cli->is_terminal && wishes->is_table) fputs("\033[H\033[2J", cli->out);
        show_once(cli, client, wishes);
        if (!cli->is_terminal && wishes->is_table) fputc('\n', cli->out);
        if (fflush(cli->out) != 0) return CLI_DONE; /* whoever read it has gone */
        struct timespec rest = {.tv_sec = WATCH_MS / 1000};
        while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
            continue;
    }
}

static int read_wishes(const struct cli *cli, int argc, char *const *argv, struct wishes *wishes)
{
    struct options options = {.argc = argc, .argv = argv};
    struct errmsg errmsg;
    const char *value;
    *wishes = (struct wishes){.is_table = cli->is_terminal};
    for (;;) {
        switch (options_next(&options, status_options,
                             sizeof status_options / sizeof *status_options, &value, &errmsg)) {
        case OPTIONS_END: return 0;
        case OPTIONS_BAD: return cli_usage_error(cli, "status", "%s", errmsg.text);
        case OPTIONS_WORD: return cli_usage_error(cli, "status", "unexpected argument '%s'", value);
        case OPTION_NODE: wishes->nodes = value; break;
        case OPTION_WATCH: wishes->watch = true; break;
        case OPTION_READY: wishes->ready = true; break;
        case OPTION_OUTPUT:
            wishes->is_table = strcmp(value, "table") == 0;
            if (!wishes->is_table && strcmp(value, "json") != 0)
                return cli_usage_error(cli, "status", "-o '%s': must be table or json", value);
            break;
        default: break;
        }
    }
}

static int run_status(const struct cli *cli, int argc, char *const *argv)
{
    struct wishes wishes;
    struct client client;
    int rv = read_wishes(cli, argc, argv, &wishes);
    if (rv != 0) return rv;
    rv = cli_client(cli, "status", wishes.nodes, &client);
    if (rv != 0) return rv;
    if (wishes.ready) return ask_ready(&client);
    if (wishes.watch) return watch(cli, &client, &wishes);
    return cli_finish(cli, show_once(cli, &client, &wishes));
}

const struct cli_command status_command = {
    .name = "status",
    .arguments = "[--watch] [--ready] [-o table|json]",
    .summary = "shows the cluster in a table",
    .help = "Exit: 0 all nodes are up, 1 a majority is but a node is away or there is no leader,\n"
            "3 no majority, 4 no node could be reached.",
    .options = status_options,
    .options_count = sizeof status_options / sizeof *status_options,
    .run = run_status};
