/* What the commands of an administrator share: their options, the token, and how an answer is told.
 *
 * The token follows from the cluster's secret, which is found as `serve` finds it or by --secret-file.
 * While a secret is being changed a node may know only one of its two lines, so a node that does not
 * believe the first token is shown the second; it has done nothing before. Changes go to one node, and to
 * the next one only when that one surely did not take them. One thread.
 */
#pragma once
#include "cli/cli.h"
#include "cli/client.h"

/* The first options of each of these commands; its own are counted from ADMIN_OPTIONS on. */
enum { ADMIN_NODE, ADMIN_SECRET, ADMIN_CONFIG, ADMIN_OPTIONS };
/* clang-format off */
#define ADMIN_OPTION_ROWS                                                            \
    [ADMIN_NODE] = {.name = "node",                                                  \
                    .letter = 'n',                                                   \
                    .argument = "NODE[,...]",                                        \
                    .help = "The node to ask; of several, the first that answers."}, \
    [ADMIN_SECRET] = {.name = "secret-file",                                         \
                      .argument = "FILE",                                            \
                      .help = "The cluster's secret. Default: as serve finds it."},  \
    [ADMIN_CONFIG] = {.name = "config",                                              \
                      .letter = 'c',                                                 \
                      .argument = "FILE",                                            \
                      .help = "A node's settings, which may say where it is."}
/* clang-format on */

enum { ADMIN_CHANGE_MS = CHANGE_DEADLINE_MS + 5000 }; /* a node tells "unknown" by itself before */

struct admin {
    const struct cli *cli;
    const char *command;
    const char *nodes, *secret_file, *config_file; /* as given, or NULL */
    struct client client;
    struct cli_tokens tokens;
    size_t token; /* the one that was believed last */
};

/* Takes the option if it is one of the shared ones. */
bool admin_option(struct admin *admin, int place, const char *value);
/* Nodes and token. 0 or an exit code, with what is wrong said. */
int admin_open(struct admin *admin);
/* Whoever names several nodes where it matters which one is meant: CLI_USAGE, said. Else 0. */
int admin_one_node(const struct admin *admin);

/* As client_ask, with the token. */
int admin_ask(struct admin *admin, const struct client_request *request,
              struct client_answer *answer, struct errmsg *errmsg);

/* What was answered, or was not (rv of admin_ask), in words on err. Returns the exit code: CLI_REFUSED,
 * CLI_UNREACHABLE or CLI_UNKNOWN. */
int admin_tell(const struct admin *admin, int rv, const struct client_answer *answer,
               const struct errmsg *errmsg);

struct admin_change {
    const char *method;
    struct slice path, body;
    const char *done; /* what is said of it afterwards, on out */
    /* A refusal that passes by itself is not told when the caller will try again. */
    bool may_wait;
    const char *already; /* the word of a refusal that says it is done; or NULL */
};

enum { ADMIN_WAIT = -1 };

/* Returns an exit code, or ADMIN_WAIT. */
int admin_change(struct admin *admin, const struct admin_change *change);

/* The value of an option like "30s", "500ms", "2m", at least 1 s and at most `most_ms`. 0 or CLI_USAGE, said. */
int admin_duration(const struct admin *admin, const char *option, const char *text,
                   uint64_t most_ms, uint64_t *ms);
void admin_rest(unsigned ms);
