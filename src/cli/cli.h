/* The command line: a table of commands, what they print and how they end.
 *
 *     livetea COMMAND [options]
 *
 * The commands here speak HTTP to a running node. Those that need more than that (serve, check-config)
 * are made in app, which puts the whole table together. Options are long ones, besides -c FILE, -n NODE,
 * -o FORMAT, -f, -h and -V. Results go to out, everything else to err; nothing is coloured. One thread.
 */
#pragma once
#include <stdio.h>

#include "base/err.h"
#include "cli/options.h"

enum cli_exit {
    CLI_DONE = 0,
    CLI_REFUSED = 1,     /* or: a majority holds, but a node is away */
    CLI_USAGE = 2,       /* a bad option or configuration */
    CLI_NO_MAJORITY = 3, /* of serve: data not usable */
    CLI_UNREACHABLE = 4, /* of serve: cannot bind */
    CLI_UNKNOWN = 5      /* the outcome is not known */
};

struct cli_command;
struct cli;

enum { CLI_TOKENS_MAX = 2, CLI_TOKEN_MAX = 63 };

struct cli_tokens { /* of an administrator: one for each line of the secret, newest first */
    size_t count;
    char text[CLI_TOKENS_MAX][CLI_TOKEN_MAX + 1];
    char from[1024]; /* the file */
};

/* The files as they were given, or NULL: then as `serve` would find them. 0, or a code with what is
 * wrong. */
typedef int (*cli_tokens_fn)(const struct cli *cli, const char *secret_file,
                             const char *config_file, struct cli_tokens *tokens,
                             struct errmsg *errmsg);

struct cli { /* the world, as a command sees it */
    FILE *in, *out, *err;
    char *const *environment; /* as environ */
    bool is_terminal;         /* out is one */
    const struct cli_command *const *commands;
    size_t commands_count;
    const char *version;  /* the line for -V */
    cli_tokens_fn tokens; /* app knows the settings; what an administrator's commands show */
};

struct cli_command {
    const char *name;
    const char *arguments; /* for the usage line: "ROOM [TEXT] [--as NAME]" */
    const char *summary;   /* one line, lower case */
    const char *help;      /* paragraphs; NULL = none */
    const struct option_spec *options;
    size_t options_count;
    void (*more_help)(const struct cli *cli); /* prints further options; may be NULL */
    /* Arguments behind the command's name. Returns an enum cli_exit. */
    int (*run)(const struct cli *cli, int argc, char *const *argv);
};

extern const struct cli_command status_command, members_command, transfer_command, drain_command,
    backup_command, send_command, tail_command;

/* Runs what argv (with the program's name first) asks for. */
int cli_run(const struct cli *cli, int argc, char *const *argv);

/* A variable of the environment, or NULL; an empty one counts as unset. */
const char *cli_environment(const struct cli *cli, const char *name);

/* "livetea COMMAND: what is wrong" and where to find help, on err. Returns CLI_USAGE. */
__attribute__((format(printf, 3, 4))) int cli_usage_error(const struct cli *cli,
                                                          const char *command, const char *format,
                                                          ...);

/* The known word nearest to `word`, or NULL if none is near. */
const char *cli_nearest(const char *word, const char *const *known, size_t known_count);

/* The nodes of -n (NULL: not given), else of LIVETEA_NODE, else the one on this machine. 0, or
 * CLI_USAGE with what is wrong said. */
struct client;
int cli_client(const struct cli *cli, const char *command, const char *nodes,
               struct client *client);

struct client_answer;
/* A node's own "there is nothing at this address": with http.admin_listen set, it may be at the other one. */
bool cli_is_hidden(const struct client_answer *answer);
/* The sentence of an error's body, or the status, on err; table_add_plain's way. */
void cli_tell_answer(const struct cli *cli, const char *command,
                     const struct client_answer *answer);

/* Flushes `out`; CLI_REFUSED with a sentence when it could not be written, else `code`. */
int cli_finish(const struct cli *cli, int code);
