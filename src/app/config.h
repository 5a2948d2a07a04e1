/* Every setting of a node: one table, from which come the file, the environment, the options, the
 * help and the checks.
 *
 *     [http]                      --http-listen 127.0.0.1:4001        LIVETEA_HTTP_LISTEN
 *     listen = 127.0.0.1:4001
 *
 * An option wins over the environment, that over the file, that over the default. Durations are
 * written 250ms 30s 5m 1h, sizes 64KiB 1GiB. The file is INI, read by inih (the door to it is
 * config.c); a list may go on in indented lines. A remark begins with '#' or ';' at the start of a line, with a
 * blank and ';' behind a value.
 *
 * Loading reports everything that is wrong, not only the first thing: a key that nobody knows, a
 * value that is none, settings that do not fit one another. The struct is open, is filled once at
 * start, and does not change afterwards. A setting that is left empty gets its derived value here, so
 * nobody else needs to know how it is derived.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/log.h"
#include "cluster/node.h"

enum {
    CONFIG_PATH_MAX = 200, /* bytes of data_dir, so that what lies in it fits a path */
    CONFIG_FILE_PATH_MAX = 1000,
    CONFIG_LIST_MAX = 2040,
    CONFIG_TITLE_MAX = 120,
    CONFIG_CLUSTER_NAME_MAX = 40,
    CONFIG_FILE_BYTES_MAX = 64 * 1024,
    CONFIG_SETTINGS_MAX = 48,
    HTTP_THREADS_MAX = 16,
};

enum config_source { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_ENVIRONMENT, CONFIG_OPTION };

struct config_origin { /* of one setting */
    enum config_source source;
    int line; /* of the file */
};

struct config_input { /* lives as long as the process */
    int argc;         /* options behind the command's name: settings, and -c FILE */
    char *const *argv;
    char *const *environment; /* as environ */
};

struct config {
    struct {
        char name[NODE_NAME_MAX + 1];
        char data_dir[CONFIG_PATH_MAX + 1];
        char secret_file[CONFIG_FILE_PATH_MAX + 1];
    } node;
    struct {
        char listen[ADDRESS_MAX + 1];
        char admin_listen[ADDRESS_MAX + 1]; /* empty: all on `listen` */
        char public_url[URL_MAX + 1];       /* without a final slash */
        bool behind_proxy;
        char allowed_origins[CONFIG_LIST_MAX + 1]; /* one blank between two */
        uint32_t max_connections;                  /* of the process */
        uint32_t max_per_address;                  /* 0 = off */
        uint64_t send_queue;                       /* bytes */
        uint32_t threads;                          /* at least 1 */
    } http;
    struct {
        char name[CONFIG_CLUSTER_NAME_MAX + 1];
        char listen[ADDRESS_MAX + 1];
        char advertise[ADDRESS_MAX + 1];
        char peers_line[CONFIG_LIST_MAX + 1];
        char join[CONFIG_LIST_MAX + 1];
        uint32_t heartbeat_ms, election_timeout_ms;
        struct peer peers[PEERS_MAX]; /* sorted, with this node among them */
        size_t peers_count;           /* 0 = alone */
    } cluster;
    struct {
        uint32_t keep_log; /* raft entries between two snapshots, and as many behind one */
        uint64_t map_size; /* bytes */
    } store;
    struct {
        uint32_t message_max; /* code points */
        uint32_t rate;        /* 0 = off */
        uint32_t rate_window_ms;
    } chat;
    struct {
        int level;                           /* enum log_level */
        int format;                          /* enum log_format */
        char file[CONFIG_FILE_PATH_MAX + 1]; /* empty: standard error */
    } log;
    struct {
        char title[CONFIG_TITLE_MAX + 1];
        int32_t timezone_offset; /* minutes east of UTC */
    } ui;

    char file[CONFIG_FILE_PATH_MAX + 1]; /* that was read; empty: none */
    struct config_input input;
    struct config_origin origins[CONFIG_SETTINGS_MAX]; /* in the order of the table */
};

/* Fills all of *config. Returns 0 or ERR_CONFIG; `errors` and `warnings` get a line for each thing
 * found ("tea.conf:7: [cluster] unknown key 'perrs'. Did you mean 'peers'?"), each with a final
 * newline. Reads the file and the environment, changes nothing. Main thread, at start. */
int config_load(struct config *config, const struct config_input *input, struct buf *errors,
                struct buf *warnings);

/* The name of a node of which nothing is said: that of the host. False when it cannot be one. */
bool config_host_name(char name[NODE_NAME_MAX + 1]);

/* For SIGHUP: the log level as options, environment and file have it now. 0 or ERR_CONFIG with the
 * first thing that is wrong. */
int config_log_level_now(const struct config *config, int *level, struct errmsg *errmsg);

/* Where the secret is, as options, environment and file say it, for whoever needs nothing else of them: what
 * else may be wrong with the settings is not looked at. 0 or ERR_CONFIG with the first thing that is. */
int config_secret_file(char path[CONFIG_FILE_PATH_MAX + 1], const struct config_input *input,
                       struct errmsg *errmsg);

/* What holds and from where, one setting a line. */
void config_show(struct buf *out, const struct config *config);
/* A complete commented file with every default. */
void config_default_file(struct buf *out);
/* The settings as options, for `serve --help`. */
void config_help(struct buf *out);
