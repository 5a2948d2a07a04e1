/* The commands that need the table of settings: serve, check-config, default-config; and those that
 * speak to no node: gen-secret, version.
 */
#pragma once
#include "cli/cli.h"

extern const struct cli_command serve_command, check_config_command, default_config_command,
    gen_secret_command, version_command;

/* "livetea 0.1.0 (abc1234)" */
const char *version_line(void);

/* What administrators show: of the secret that serve would take. */
int cli_tokens_read(const struct cli *cli, const char *secret_file, const char *config_file,
                    struct cli_tokens *tokens, struct errmsg *errmsg);
