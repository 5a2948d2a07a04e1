#include "app/data_commands.h"

#include <string.h>

#include "app/settings.h"
#include "base/file.h"

const char *data_problem(const char *section, const char *key, const char *value)
{
    int place = settings_find(slice_from(section), slice_from(key));
    const struct setting *setting = &settings[place];
    if (*value == '\0') return "it is empty";
    if (strlen(value) >= setting->size) return "it is too long";
    return setting->check == NULL ? NULL : setting->check(slice_from(value));
}

static int check(const struct cli *cli, const struct cli_command *command, bool wants_file,
                 const struct data_options *options)
{
    if (wants_file && options->file == NULL) {
        return cli_usage_error(cli, command->name, "which file?");
    }
    if (options->data_dir == NULL)
        return cli_usage_error(cli, command->name, "which directory? Say so by --data-dir DIR");
    const char *problem = data_problem("node", "data_dir", options->data_dir);
    if (problem != NULL)
        return cli_usage_error(cli, command->name, "--data-dir '%s': %s", options->data_dir,
                               problem);
    if (options->node_name == NULL) return 0;
    problem = data_problem("node", "name", options->node_name);
    if (problem == NULL) return 0;
    return cli_usage_error(cli, command->name, "--node-name '%s': %s", options->node_name, problem);
}

int data_options_read(const struct cli *cli, const struct cli_command *command, bool wants_file,
                      int argc, char *const *argv, struct data_options *options)
{
    struct options words = {.argc = argc, .argv = argv};
    struct errmsg errmsg;
    const char *value;
    *options = (struct data_options){.file = NULL};
    for (;;) {
        int place = options_next(&words, command->options, command->options_count, &value, &errmsg);
        if (place == OPTIONS_END) return check(cli, command, wants_file, options);
        if (place == OPTIONS_BAD) return cli_usage_error(cli, command->name, "%s", errmsg.text);
        if (place == OPTIONS_WORD) {
            if (!wants_file || options->file != NULL)
                return cli_usage_error(cli, command->name, "unexpected argument '%s'", value);
            options->file = value;
            continue;
        }
        const char *name = command->options[place].name;
        if (strcmp(name, "data-dir") == 0) options->data_dir = value;
        if (strcmp(name, "node-name") == 0) options->node_name = value;
        if (strcmp(name, "rebuild") == 0) options->rebuild = true;
        if (strcmp(name, "yes") == 0) options->yes = true;
    }
}

int data_exit(int rv)
{
    if (rv == 0) return CLI_DONE;
    if (rv == ERR_CONFIG) return CLI_USAGE;
    return rv == ERR_DATA || rv == ERR_FORMAT || rv == ERR_TOO_LARGE ? DATA_NOT_USABLE
                                                                     : CLI_REFUSED;
}

int data_failed(const struct cli *cli, const struct cli_command *command, int code,
                const struct errmsg *errmsg)
{
    fprintf(cli->err, "livetea %s: %s.\n", command->name, errmsg->text);
    return code;
}

int data_open(struct data_dir *dir, const char *path, struct errmsg *errmsg)
{
    char version[512];
    bool is_there = false, has_version = false;
    snprintf(version, sizeof version, "%s/VERSION", path);
    int rv = file_exists(path, &is_there, errmsg);
    if (rv == 0) rv = file_exists(version, &has_version, errmsg);
    if (rv != 0) return rv;
    if (!has_version) {
        errmsg_set(errmsg,
                   is_there ? "%s has no VERSION: it is no data directory" : "%s is not there",
                   path);
        return ERR_DATA;
    }
    rv = data_dir_open(dir, path, NULL, errmsg);
    if (rv == ERR_BUSY) errmsg_set(errmsg, "%s is in use: stop its node first", path);
    return rv;
}

void data_tell_start(const struct cli *cli, const char *data_dir, const char *node)
{
    fprintf(cli->out,
            "It is a new cluster of one node, %s. Start it as that node:\n"
            "    livetea serve --node-name %s --node-data-dir %s\n"
            "Then let others in, each with an empty directory and cluster.join:\n"
            "    livetea members add NAME=HOST:PORT --promote\n",
            node, node, data_dir);
}
