/* A settings file with anything in it: either a whole configuration comes of it, or lines that say what is
 * wrong, each one whole and without a byte that a terminal would take for an order.
 */
#include "app/config.h"
#include "folder.h"

enum { LINES_MAX_BYTES = 4 * 1024 * 1024 };

static char file[FOLDER_PATH_MAX];
static char state_line[FOLDER_PATH_MAX + 32], secret_line[FOLDER_PATH_MAX + 32];

static void make_files(void)
{
    static const char line[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n";
    char path[FOLDER_PATH_MAX];
    folder_path(path, "secret");
    folder_write(path, slice_make(line, sizeof line - 1));
    folder_path(path, "data");
    snprintf(state_line, sizeof state_line, "STATE_DIRECTORY=%s", path);
    snprintf(secret_line, sizeof secret_line, "CREDENTIALS_DIRECTORY=%s", folder_root);
    folder_path(file, "tea.conf");
}

static void check_lines(const struct buf *lines)
{
    struct slice rest = buf_slice(lines);
    FUZZ_HOLDS(!lines->overflowed);
    FUZZ_HOLDS(rest.len == 0 || rest.at[rest.len - 1] == '\n');
    for (size_t i = 0; i < rest.len; i++) {
        unsigned char byte = (unsigned char)rest.at[i];
        FUZZ_HOLDS((byte >= ' ' && byte != 0x7f) || byte == '\n' || byte == '\t');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char option[] = "-c", name[] = "--node-name", value[] = "tea-1";
    static struct config config;
    char *arguments[] = {option, file, name, value};
    char *environment[] = {state_line, secret_line, NULL};
    struct buf errors, warnings, shown;

    if (file[0] == '\0') make_files();
    folder_write(file, slice_make(data, size));
    buf_init(&errors, LINES_MAX_BYTES);
    buf_init(&warnings, LINES_MAX_BYTES);
    int rv = config_load(
        &config, &(struct config_input){.argc = 4, .argv = arguments, .environment = environment},
        &errors, &warnings);
    FUZZ_HOLDS((rv == 0) == (errors.len == 0));
    check_lines(&errors);
    check_lines(&warnings);
    if (rv == 0) {
        FUZZ_HOLDS(config.cluster.heartbeat_ms > 0 && config.http.threads > 0);
        FUZZ_HOLDS(config.cluster.peers_count <= PEERS_MAX);
        buf_init(&shown, LINES_MAX_BYTES);
        config_show(&shown, &config);
        check_lines(&shown);
        buf_close(&shown);
    }
    buf_close(&errors);
    buf_close(&warnings);
    return 0;
}
