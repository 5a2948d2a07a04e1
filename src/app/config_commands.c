#include "app/config_commands.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "app/admin.h"
#include "app/chores.h"
#include "app/serve.h"
#include "app/version.h"
#include "base/mem.h"

enum { TEXT_MAX = 256 * 1024, FDS_RESERVE = 256 + LINK_HALF_OPEN_MAX };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

const char *version_line(void)
{
    return "livetea " LIVETEA_VERSION " (" LIVETEA_COMMIT ")";
}

static void print(FILE *file, const struct buf *text)
{
    if (text->len > 0) fwrite(text->at, 1, text->len, file);
}

/* ---- loading, with what is wrong told ---- */

static int load(const struct cli *cli, int argc, char *const *argv, struct config *config,
                struct buf *warnings)
{
    struct buf errors;
    buf_init(&errors, TEXT_MAX);
    int rv = config_load(
        config, &(struct config_input){.argc = argc, .argv = argv, .environment = cli->environment},
        &errors, warnings);
    print(cli->err, &errors);
    buf_close(&errors);
    return rv;
}

static void settings_help(const struct cli *cli)
{
    struct buf text;
    buf_init(&text, TEXT_MAX);
    config_help(&text);
    print(cli->out, &text);
    buf_close(&text);
}

/* ---- serve ---- */

/* The process holds a secret and what people write: no core, no other user's debugger. Leak
 * checkers of the sanitizers need to look into it. */
static void harden(void)
{
    umask(0077);
    signal(SIGPIPE, SIG_IGN);
    if (IS_SANITIZED) return;
    struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* Each browser takes a descriptor, and there must be some for everything else. */
static void fit_connections(struct config *config)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
    uint64_t most = limit.rlim_cur > 2 * (rlim_t)FDS_RESERVE ? limit.rlim_cur - FDS_RESERVE
                                                             : limit.rlim_cur / 2;
    if (most >= config->http.max_connections) return;
    log_warn("fewer connections than asked for", "max_connections=%u fits=%" PRIu64 " fd_limit=%ju",
             (unsigned)config->http.max_connections, most, (uintmax_t)limit.rlim_cur);
    config->http.max_connections = (uint32_t)most;
}

/* Before libuv's first use of it, and before there is another thread. */
static void size_pool(const struct config *config)
{
    char threads[16];
    snprintf(threads, sizeof threads, "%u", chores_pool_threads(config->http.threads));
    setenv("UV_THREADPOOL_SIZE", threads, 0);
}

static void log_warnings(struct buf *warnings)
{
    char quoted[1024];
    struct slice rest = buf_slice(warnings);
    while (rest.len > 0) {
        log_warn("configuration", "reason=%s",
                 log_quote(quoted, sizeof quoted, slice_cut(&rest, '\n')));
    }
}

static int start(const struct cli *cli, struct config *config, struct buf *warnings)
{
    int rv = log_open(
        &(struct log_options){.level = (enum log_level)config->log.level,
                              .format = (enum log_format)config->log.format,
                              .file = config->log.file[0] == '\0' ? NULL : config->log.file,
                              .node = config->node.name});
    if (rv != 0) {
        fprintf(cli->err, "[log] file = %s: cannot be opened\n", config->log.file);
        return CLI_USAGE;
    }
    log_warnings(warnings);
    fit_connections(config);
    size_pool(config);
    return serve(config);
}

static int run_serve(const struct cli *cli, int argc, char *const *argv)
{
    struct buf warnings;
    struct config *config = mem_new(sizeof *config);
    buf_init(&warnings, TEXT_MAX);
    harden();
    int code = CLI_USAGE;
    if (load(cli, argc, argv, config, &warnings) == 0) code = start(cli, config, &warnings);
    buf_close(&warnings);
    mem_free(config);
    return code;
}

const struct cli_command serve_command = {
    .name = "serve",
    .arguments = "[-c FILE] [--SECTION-KEY VALUE ...]",
    .summary = "runs a node",
    .help = "SIGTERM and SIGINT drain, then stop; the second one stops at once. SIGHUP reads the\n"
            "log level again, SIGUSR1 logs a status line.\n"
            "Exit: 0 stopped as asked, 1 failed while running, 2 bad configuration, 3 data not\n"
            "usable, 4 cannot bind an address.",
    .more_help = settings_help,
    .run = run_serve};

/* ---- check-config ---- */

static int run_check_config(const struct cli *cli, int argc, char *const *argv)
{
    struct buf warnings, text;
    struct config *config = mem_new(sizeof *config);
    buf_init(&warnings, TEXT_MAX);
    buf_init(&text, TEXT_MAX);
    int code = load(cli, argc, argv, config, &warnings) == 0 ? CLI_DONE : CLI_USAGE;
    print(cli->err, &warnings);
    if (code == CLI_DONE) {
        config_show(&text, config);
        print(cli->out, &text);
    }
    buf_close(&text);
    buf_close(&warnings);
    mem_free(config);
    return cli_finish(cli, code);
}

const struct cli_command check_config_command = {
    .name = "check-config",
    .arguments = "[-c FILE] [--SECTION-KEY VALUE ...]",
    .summary = "reads the configuration as serve would; says what holds and from where",
    .help = "Exit: 0 it can be used, 2 it cannot; everything that is wrong is told.",
    .more_help = settings_help,
    .run = run_check_config};

/* ---- for the commands of an administrator ---- */

int cli_tokens_read(const struct cli *cli, const char *secret_file, const char *config_file,
                    struct cli_tokens *tokens, struct errmsg *errmsg)
{
    char path[CONFIG_FILE_PATH_MAX + 1], option[] = "--config", file[CONFIG_FILE_PATH_MAX + 1];
    char *argv[] = {option, file};
    struct config_input input = {
        .argc = config_file == NULL ? 0 : 2, .argv = argv, .environment = cli->environment};
    struct secret secret;
    struct errmsg why = {{0}};
    int rv = 0;
    snprintf(file, sizeof file, "%s", config_file == NULL ? "" : config_file);
    snprintf(path, sizeof path, "%s", secret_file == NULL ? "" : secret_file);
    if (secret_file == NULL) rv = config_secret_file(path, &input, errmsg);
    if (rv != 0) return rv;
    rv = secret_read(&secret, path, &why);
    if (rv != 0) {
        errmsg_set(errmsg, "the cluster's secret is needed. %s%s", why.text,
                   secret_file == NULL ? ". Say where it is by --secret-file, or -c FILE" : "");
        return rv;
    }
    *tokens = (struct cli_tokens){.count = secret.count};
    snprintf(tokens->from, sizeof tokens->from, "%s", path);
    for (size_t i = 0; i < secret.count; i++)
        admin_token(tokens->text[i], secret_slice(&secret, i));
    crypto_forget(&secret, sizeof secret);
    return 0;
}

static_assert((int)SECRETS_MAX == (int)CLI_TOKENS_MAX && (int)ADMIN_TOKEN_LEN <= (int)CLI_TOKEN_MAX,
              "a token of each line of the secret");

/* ---- the small ones ---- */

static int no_arguments(const struct cli *cli, const char *command, int argc, char *const *argv)
{
    if (argc == 0) return 0;
    return cli_usage_error(cli, command, "unexpected argument '%s'", argv[0]);
}

static int run_default_config(const struct cli *cli, int argc, char *const *argv)
{
    struct buf text;
    int code = no_arguments(cli, "default-config", argc, argv);
    if (code != 0) return code;
    buf_init(&text, TEXT_MAX);
    config_default_file(&text);
    print(cli->out, &text);
    buf_close(&text);
    return cli_finish(cli, CLI_DONE);
}

const struct cli_command default_config_command = {.name = "default-config",
                                                   .arguments = "",
                                                   .summary = "prints a complete commented file",
                                                   .run = run_default_config};

static int run_gen_secret(const struct cli *cli, int argc, char *const *argv)
{
    struct buf text;
    int code = no_arguments(cli, "gen-secret", argc, argv);
    if (code != 0) return code;
    buf_init(&text, SECRET_MAX);
    secret_generate(&text);
    print(cli->out, &text);
    crypto_forget(text.at, text.len);
    buf_close(&text);
    return cli_finish(cli, CLI_DONE);
}

const struct cli_command gen_secret_command = {
    .name = "gen-secret",
    .arguments = "",
    .summary = "prints 32 random bytes, base64",
    .help =
        "Keep it in a file that only the node can read: (umask 077; livetea gen-secret > FILE).\n"
        "To change a cluster's secret, put the new one in a line before the old one, in the file\n"
        "of every node, and start all of them again in one go; remove the old line later.",
    .run = run_gen_secret};

static int run_version(const struct cli *cli, int argc, char *const *argv)
{
    int code = no_arguments(cli, "version", argc, argv);
    if (code != 0) return code;
    fprintf(cli->out, "livetea    " LIVETEA_VERSION "\ncommit     " LIVETEA_COMMIT
                      "\ncompiler   " LIVETEA_COMPILER "\n" LIVETEA_LIBRARIES);
    return cli_finish(cli, CLI_DONE);
}

const struct cli_command version_command = {.name = "version",
                                            .arguments = "",
                                            .summary =
                                                "prints version, commit, compiler and libraries",
                                            .run = run_version};
