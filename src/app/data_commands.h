/* The commands for the files of a stopped node: verify, restore, import, recover; and what they share.
 *
 * They hold the directory's LOCK while they work, so none runs beside a node. Exit: 0 done, 1 failed
 * or refused (the disk, a node that runs, a directory that is not empty), 2 a bad option, 3 data not
 * usable. A sentence on standard error says what is wrong and what to do.
 */
#pragma once
#include "cli/cli.h"
#include "store/data_dir.h"

extern const struct cli_command verify_command, restore_command, import_command, recover_command;

enum { DATA_NOT_USABLE = 3 };

struct data_options {
    const char *file; /* NULL: none was given */
    const char *data_dir, *node_name;
    bool rebuild, yes;
};

/* Reads them, those that the command's table has, and with `wants_file` a word. 0 or CLI_USAGE, told. */
int data_options_read(const struct cli *cli, const struct cli_command *command, bool wants_file,
                      int argc, char *const *argv, struct data_options *options);
/* Why a value cannot be that of a setting, or NULL: for what comes from a file or the environment too. */
const char *data_problem(const char *section, const char *key, const char *value);
/* The exit code for an ERR_ code. */
int data_exit(int rv);
/* "livetea COMMAND: sentence" on err. Returns `code`. */
int data_failed(const struct cli *cli, const struct cli_command *command, int code,
                const struct errmsg *errmsg);
/* A stopped node's directory, whoever it is of, with its LOCK; nothing is made in it but that. As
 * data_dir_open, and ERR_DATA for one without a VERSION. */
int data_open(struct data_dir *dir, const char *path, struct errmsg *errmsg);
/* What to do with a directory made by restore, import or recover. */
void data_tell_start(const struct cli *cli, const char *data_dir, const char *node);
