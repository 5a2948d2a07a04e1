/* Leadership to another node, and a node that stops in good order. */
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/admin.h"

enum { STOP_MORE_MS = 1000 * STOP_MAX_S + 5 * 1000 }; /* beyond what browsers have */

/* ---- transfer ---- */

static const struct option_spec transfer_options[] = {ADMIN_OPTION_ROWS};

static int transfer(struct admin *admin, const char *to)
{
    struct buf body;
    struct slice name = slice_from(to);
    buf_init(&body, 1024);
    buf_add_char(&body, '{');
    if (to != NULL) json_add_text(&body, "to", name);
    buf_add_char(&body, '}');
    char done[128] = "Another node leads now.";
    if (to != NULL) snprintf(done, sizeof done, "%.*s leads now.", NODE_NAME_MAX, to);
    int code = admin_change(admin, &(struct admin_change){.method = "POST",
                                                          .path = slice_of("/api/cluster/transfer"),
                                                          .body = buf_slice(&body),
                                                          .done = done});
    buf_close(&body);
    return code;
}

static int run_transfer(const struct cli *cli, int argc, char *const *argv)
{
    struct options options = {.argc = argc, .argv = argv};
    struct admin admin = {.cli = cli, .command = "transfer"};
    struct errmsg errmsg;
    const char *value, *to = NULL;
    for (;;) {
        int place =
            options_next(&options, transfer_options,
                         sizeof transfer_options / sizeof *transfer_options, &value, &errmsg);
        if (place == OPTIONS_END) break;
        if (place == OPTIONS_BAD) return cli_usage_error(cli, "transfer", "%s", errmsg.text);
        if (place == OPTIONS_WORD && to != NULL)
            return cli_usage_error(cli, "transfer", "unexpected argument '%s'", value);
        if (place == OPTIONS_WORD) to = value;
        admin_option(&admin, place, value);
    }
    if (to != NULL && (!text_valid(slice_from(to)) || strlen(to) > NODE_NAME_MAX))
        return cli_usage_error(cli, "transfer", "that is no name of a node");
    int code = admin_open(&admin);
    return cli_finish(cli, code != 0 ? code : transfer(&admin, to));
}

const struct cli_command transfer_command = {
    .name = "transfer",
    .arguments = "[NAME]",
    .summary = "gives leadership to NAME, or to the voter that is most up to date",
    .help = "Exit: 0 it leads, 1 refused, 2 bad option, 4 no node could be reached, 5 not known.",
    .options = transfer_options,
    .options_count = sizeof transfer_options / sizeof *transfer_options,
    .run = run_transfer};

/* ---- drain ---- */

enum { DRAIN_TIMEOUT = ADMIN_OPTIONS };
static const struct option_spec drain_options[] = {
    ADMIN_OPTION_ROWS, [DRAIN_TIMEOUT] = {.name = "timeout",
                                          .argument = "TIME",
                                          .help =
                                              "For browsers to leave, 1s to 5m. Default: 30s."}};

/* The node keeps the connection of its answer until its process ends. */
static int wait_for_end(struct admin *admin, struct client_answer *answer, uint64_t timeout_ms)
{
    const char *url = admin->client.nodes[0].url;
    int rv = client_wait_end(answer, (unsigned)timeout_ms + STOP_MORE_MS);
    if (rv == 0) {
        fprintf(admin->cli->out, "%s has stopped.\n", url);
        return CLI_DONE;
    }
    fprintf(admin->cli->err, "livetea drain: %s drains, %s\n", url,
            rv == ERR_TIMEOUT ? "and has not ended in time"
                              : "but the connection to it broke: it is not known when it ends");
    return CLI_UNKNOWN;
}

static int drain(struct admin *admin, uint64_t timeout_ms)
{
    struct client_answer answer;
    struct errmsg errmsg = {{0}};
    char body[64];
    int len = snprintf(body, sizeof body, "{\"timeout_ms\":%llu}", (unsigned long long)timeout_ms);
    struct client_request request = {.method = "POST",
                                     .path = slice_of("/api/cluster/drain"),
                                     .body = slice_make(body, (size_t)len),
                                     .deadline_ms = ADMIN_CHANGE_MS,
                                     .once = true,
                                     .hold = true};
    client_answer_init(&answer);
    int rv = admin_ask(admin, &request, &answer, &errmsg);
    int code = rv == 0 && answer.is_held ? wait_for_end(admin, &answer, timeout_ms)
                                         : admin_tell(admin, rv, &answer, &errmsg);
    client_answer_close(&answer);
    return code;
}

static int run_drain(const struct cli *cli, int argc, char *const *argv)
{
    struct options options = {.argc = argc, .argv = argv};
    struct admin admin = {.cli = cli, .command = "drain"};
    struct errmsg errmsg;
    const char *value;
    uint64_t timeout_ms = DRAIN_DEFAULT_MS;
    for (;;) {
        int place = options_next(&options, drain_options,
                                 sizeof drain_options / sizeof *drain_options, &value, &errmsg);
        if (place == OPTIONS_END) break;
        if (place == OPTIONS_BAD) return cli_usage_error(cli, "drain", "%s", errmsg.text);
        if (place == OPTIONS_WORD)
            return cli_usage_error(cli, "drain", "unexpected argument '%s'", value);
        int rv = place == DRAIN_TIMEOUT
                     ? admin_duration(&admin, "--timeout", value, DRAIN_MAX_MS, &timeout_ms)
                     : 0;
        if (rv != 0) return rv;
        admin_option(&admin, place, value);
    }
    int code = admin_open(&admin);
    if (code == 0) code = admin_one_node(&admin);
    return cli_finish(cli, code != 0 ? code : drain(&admin, timeout_ms));
}

const struct cli_command drain_command = {
    .name = "drain",
    .arguments = "[--timeout TIME]",
    .summary = "stops a node in good order, and waits until its process has ended",
    .help =
        "The node hands over leadership if it has it, takes no new browsers, sends those it has\n"
        "to other nodes, and ends (exit 0: a supervisor does not start it again). One that\n"
        "drains already has the shorter of both times, counted from now.\n"
        "Exit: 0 its process has ended, 1 refused, 2 bad option, 4 it could not be reached,\n"
        "5 not known, or it has not ended within TIME and 25s more.",
    .options = drain_options,
    .options_count = sizeof drain_options / sizeof *drain_options,
    .run = run_drain};
