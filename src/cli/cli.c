#include "cli/cli.h"

#include <stdarg.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "cli/client.h"
#include "cli/table.h"

enum { HELP_MAX = 64 * 1024, NEAR = 3 };

const char *cli_environment(const struct cli *cli, const char *name)
{
    size_t len = strlen(name);
    for (char *const *entry = cli->environment; entry != NULL && *entry != NULL; entry++) {
        if (strncmp(*entry, name, len) == 0 && (*entry)[len] == '=' && (*entry)[len + 1] != '\0')
            return *entry + len + 1;
    }
    return NULL;
}

int cli_usage_error(const struct cli *cli, const char *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(cli->err, "livetea %s: ", command);
    vfprintf(cli->err, format, args);
    fprintf(cli->err, "\n'livetea %s --help' tells more.\n", command);
    va_end(args);
    return CLI_USAGE;
}

const char *cli_nearest(const char *word, const char *const *known, size_t known_count)
{
    const char *nearest = NULL;
    size_t least = strlen(word) < 6 ? NEAR : NEAR + 1; /* what is farther away was not meant */
    for (size_t i = 0; i < known_count; i++) {
        size_t distance = options_distance(slice_from(word), slice_from(known[i]));
        if (distance >= least || distance >= strlen(known[i])) continue;
        least = distance;
        nearest = known[i];
    }
    return nearest;
}

int cli_client(const struct cli *cli, const char *command, const char *nodes, struct client *client)
{
    struct errmsg errmsg;
    const char *from = "-n";
    if (nodes == NULL) {
        nodes = cli_environment(cli, "LIVETEA_NODE");
        from = "LIVETEA_NODE";
    }
    if (nodes == NULL) nodes = "http://127.0.0.1:4000";
    if (client_init(client, nodes, &errmsg) == 0) return 0;
    return cli_usage_error(cli, command, "%s: %s", from, errmsg.text);
}

bool cli_is_hidden(const struct client_answer *answer)
{
    static const char word[] = "\"not_found\"";
    return answer->status == 404 && answer->body.len > 0 &&
           memmem(answer->body.at, answer->body.len, word, sizeof word - 1) != NULL;
}

void cli_tell_answer(const struct cli *cli, const char *command, const struct client_answer *answer)
{
    struct json *body = NULL;
    struct buf plain;
    buf_init(&plain, 4096);
    if (json_parse(&body, buf_slice(&answer->body), NULL) == 0)
        table_add_plain(&plain, slice_first(json_slice(json_get(body, "message")), 1000));
    if (plain.len > 0) {
        fprintf(cli->err, "livetea %s: %.*s", command, (int)plain.len, plain.at);
    } else {
        fprintf(cli->err, "livetea %s: %s answers with status %d", command, answer->node,
                answer->status);
    }
    /* Many a sentence says so itself. */
    buf_add_char(&plain, '\0');
    bool says_so = strstr(plain.at, "ry again") != NULL;
    if (answer->retry_after_s > 0 && !says_so)
        fprintf(cli->err, " Try again in %u s.", answer->retry_after_s);
    fputc('\n', cli->err);
    json_free(body);
    buf_close(&plain);
}

int cli_finish(const struct cli *cli, int code)
{
    if (fflush(cli->out) == 0 && !ferror(cli->out)) return code;
    fprintf(cli->err, "livetea: the output could not be written\n");
    return CLI_REFUSED;
}

/* ---- help ---- */

static void short_help(const struct cli *cli, FILE *out)
{
    fprintf(out, "Live Tea, a chat on several machines that keeps going when one fails.\n\n"
                 "Usage: livetea COMMAND [options]\n\n");
    for (size_t i = 0; i < cli->commands_count; i++)
        fprintf(out, "  %-16s%s\n", cli->commands[i]->name, cli->commands[i]->summary);
    fprintf(out, "\n'livetea COMMAND --help' tells more about each. Commands find a node by -n, "
                 "else\nLIVETEA_NODE, else http://127.0.0.1:4000.\n");
}

static void command_help(const struct cli *cli, const struct cli_command *command)
{
    struct buf options;
    fprintf(cli->out, "Usage: livetea %s%s%s\n\nlivetea %s %s.\n", command->name,
            command->arguments[0] == '\0' ? "" : " ", command->arguments, command->name,
            command->summary);
    if (command->help != NULL) fprintf(cli->out, "\n%s\n", command->help);
    fprintf(cli->out, "\nOptions:\n");
    buf_init(&options, HELP_MAX);
    options_help(&options, command->options, command->options_count);
    options_help(&options,
                 &(struct option_spec){.name = "help", .letter = 'h', .help = "This text."}, 1);
    fprintf(cli->out, "%.*s", (int)options.len, options.at);
    buf_close(&options);
    if (command->more_help != NULL) command->more_help(cli);
}

static const struct cli_command *find(const struct cli *cli, const char *name)
{
    for (size_t i = 0; i < cli->commands_count; i++) {
        if (strcmp(cli->commands[i]->name, name) == 0) return cli->commands[i];
    }
    return NULL;
}

static int unknown_command(const struct cli *cli, const char *name)
{
    const char *known[64];
    size_t known_count = 0;
    for (; known_count < cli->commands_count && known_count < 64; known_count++)
        known[known_count] = cli->commands[known_count]->name;
    const char *nearest = cli_nearest(name, known, known_count);
    fprintf(cli->err, "livetea: unknown command '%s'.", name);
    if (nearest != NULL) fprintf(cli->err, " Did you mean '%s'?", nearest);
    fprintf(cli->err, "\n'livetea --help' lists them.\n");
    return CLI_USAGE;
}

static int help_on(const struct cli *cli, const char *name)
{
    if (name == NULL) {
        short_help(cli, cli->out);
        return cli_finish(cli, CLI_DONE);
    }
    const struct cli_command *command = find(cli, name);
    if (command == NULL) return unknown_command(cli, name);
    command_help(cli, command);
    return cli_finish(cli, CLI_DONE);
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static bool asks_for_help(int argc, char *const *argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (is_help(argv[i])) return true;
    }
    return false;
}

int cli_run(const struct cli *cli, int argc, char *const *argv)
{
    if (argc < 2) {
        short_help(cli, cli->err);
        return CLI_USAGE;
    }
    if (is_help(argv[1])) return help_on(cli, NULL);
    if (strcmp(argv[1], "help") == 0) return help_on(cli, argc > 2 ? argv[2] : NULL);
    if (strcmp(argv[1], "-V") == 0 || strcmp(argv[1], "--version") == 0) {
        fprintf(cli->out, "%s\n", cli->version);
        return cli_finish(cli, CLI_DONE);
    }

    const struct cli_command *command = find(cli, argv[1]);
    if (command == NULL) return unknown_command(cli, argv[1]);
    if (asks_for_help(argc - 2, argv + 2)) return help_on(cli, command->name);
    return command->run(cli, argc - 2, argv + 2);
}
