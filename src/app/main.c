/* The one program: hands its arguments to the command they name. */
#include <unistd.h>

#include "app/config_commands.h"
#include "app/data_commands.h"

static const struct cli_command *const commands[] = {
    &serve_command,        &status_command,         &members_command,    &transfer_command,
    &drain_command,        &send_command,           &tail_command,       &backup_command,
    &verify_command,       &restore_command,        &recover_command,    &import_command,
    &check_config_command, &default_config_command, &gen_secret_command, &version_command,
};

int main(int argc, char **argv)
{
    struct cli cli = {.in = stdin,
                      .out = stdout,
                      .err = stderr,
                      .environment = environ,
                      .is_terminal = isatty(STDOUT_FILENO) == 1,
                      .commands = commands,
                      .commands_count = sizeof commands / sizeof *commands,
                      .version = version_line(),
                      .tokens = cli_tokens_read};
    return cli_run(&cli, argc, argv);
}
