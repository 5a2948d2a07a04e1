/* The one program: hands its arguments to the command they name. */
#include <unistd.h>

#include "app/config_commands.h"

static const struct cli_command *const commands[] = {
    &serve_command,  &check_config_command, &default_config_command, &gen_secret_command,
    &status_command, &send_command,         &tail_command,           &version_command};

int main(int argc, char **argv)
{
    struct cli cli = {.in = stdin,
                      .out = stdout,
                      .err = stderr,
                      .environment = environ,
                      .is_terminal = isatty(STDOUT_FILENO) == 1,
                      .commands = commands,
                      .commands_count = sizeof commands / sizeof *commands,
                      .version = version_line()};
    return cli_run(&cli, argc, argv);
}
