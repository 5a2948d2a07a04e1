/* Four layers are laid over one another, the default first. The file goes through inih, which hands
 * out one key at a time without the place: the reader that feeds it counts lines. inih 55 reads lines
 * into 200 bytes: the reader gives it longer ones in pieces, cut behind a comma or a blank, the way a
 * list goes on in an indented line.
 */
#include "app/config.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <ini.h>
#include <uv.h>

#include "app/secret.h"
#include "app/settings.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/table.h"

enum { SECTIONS_MAX = 16, SHOWN_MAX = 200, REPORT_MAX = 64 * 1024 };

struct load {
    struct config *config;
    struct buf *errors, *warnings;
    /* the file */
    const char *text; /* NUL-terminated; what is not read yet */
    int line;         /* of the piece that was handed out last */
    bool is_more;     /* that piece goes on with a value: indented, or the rest of a long line */
    bool is_rest;     /* of a long line */
    bool in_middle;   /* the next piece will be */
    bool has_key;     /* since the last [section] */
    int last;         /* setting whose value may go on; -1 = none */
    struct buf value; /* of it, so far */
    int value_line;
    char strange[SECTIONS_MAX][SETTING_NAME_MAX]; /* sections that nobody knows, told already */
    size_t strange_count;
};

/* ---- telling ---- */

/* "tea.conf:9: [http] listen = 0.0.0.0:99999: " or how else the setting came. */
static void add_place(struct buf *out, const struct config *config, const struct setting *setting,
                      struct slice value)
{
    const struct config_origin *origin = &config->origins[setting - settings];
    char name[SETTING_NAME_MAX];
    switch (origin->source) {
    case CONFIG_OPTION:
        setting_option_name(setting, name);
        buf_printf(out, "--%s ", name);
        break;
    case CONFIG_ENVIRONMENT:
        setting_variable_name(setting, name);
        buf_printf(out, "%s=", name);
        break;
    case CONFIG_FILE:
        buf_printf(out, "%s:%d: [%s] %s = ", config->file, origin->line, setting->section,
                   setting->key);
        break;
    case CONFIG_DEFAULT: buf_printf(out, "[%s] %s = ", setting->section, setting->key); break;
    }
    table_add_plain(out, slice_first(value, SHOWN_MAX));
    buf_add(out, slice_of(": "));
}

static void tell(struct load *load, const char *section, const char *key, const char *problem)
{
    int place = settings_find(slice_from(section), slice_from(key));
    assert(place >= 0);
    struct buf value;
    buf_init(&value, 2 * (size_t)CONFIG_LIST_MAX);
    setting_show(&value, load->config, &settings[place]);
    add_place(load->errors, load->config, &settings[place], buf_slice(&value));
    buf_printf(load->errors, "%s\n", problem);
    buf_close(&value);
}

/* ---- one value ---- */

static void set(struct load *load, int place, struct slice value, struct config_origin origin)
{
    const struct setting *setting = &settings[place];
    load->config->origins[place] = origin;
    const char *problem = setting_set(load->config, setting, value);
    if (problem == NULL) return;
    add_place(load->errors, load->config, setting, value);
    buf_printf(load->errors, "%s\n", problem);
}

static void set_defaults(struct load *load)
{
    for (size_t i = 0; i < settings_count; i++)
        set(load, (int)i, (struct slice){NULL, 0}, (struct config_origin){CONFIG_DEFAULT, 0});
}

/* ---- the file ---- */

/* To inih only ';' begins a remark behind a value: a '#' would become part of a path or a name. */
static bool has_strange_remark(const struct setting *setting, struct slice value)
{
    for (size_t i = 0; !setting->is_prose && i < value.len; i++) {
        bool is_start = i == 0 || value.at[i - 1] == ' ' || value.at[i - 1] == '\t';
        if (is_start && value.at[i] == '#') return true;
    }
    return false;
}

static void finish_value(struct load *load)
{
    struct slice value = buf_slice(&load->value);
    struct config_origin origin = {CONFIG_FILE, load->value_line};
    if (load->last >= 0 && has_strange_remark(&settings[load->last], value)) {
        load->config->origins[load->last] = origin;
        add_place(load->errors, load->config, &settings[load->last], value);
        buf_add(load->errors, slice_of("a remark behind a value begins with ';'\n"));
    } else if (load->last >= 0) {
        set(load, load->last, value, origin);
    }
    load->last = -1;
    buf_reset(&load->value);
}

static bool is_known_section(const char *section)
{
    for (size_t i = 0; i < settings_count; i++) {
        if (strcmp(settings[i].section, section) == 0) return true;
    }
    return false;
}

static void tell_section(struct load *load, const char *section)
{
    for (size_t i = 0; i < load->strange_count; i++) {
        if (strcmp(load->strange[i], section) == 0) return;
    }
    if (load->strange_count < SECTIONS_MAX)
        snprintf(load->strange[load->strange_count++], SETTING_NAME_MAX, "%s", section);

    const char *known[CONFIG_SETTINGS_MAX];
    for (size_t i = 0; i < settings_count; i++)
        known[i] = settings[i].section;
    const char *nearest = cli_nearest(section, known, settings_count);
    buf_printf(load->errors, "%s:%d: ", load->config->file, load->line);
    if (section[0] == '\0') {
        buf_add(load->errors, slice_of("a key before the first [section]"));
    } else {
        buf_printf(load->errors, "unknown section [%s]", section);
    }
    if (nearest != NULL && section[0] != '\0')
        buf_printf(load->errors, ". Did you mean [%s]?", nearest);
    buf_add_char(load->errors, '\n');
}

static void tell_key(struct load *load, const char *section, const char *key)
{
    const char *known[CONFIG_SETTINGS_MAX] = {NULL}, *elsewhere = NULL;
    size_t known_count = 0;
    for (size_t i = 0; i < settings_count; i++) {
        if (strcmp(settings[i].section, section) == 0) known[known_count++] = settings[i].key;
        if (strcmp(settings[i].key, key) == 0) elsewhere = settings[i].section;
    }
    const char *nearest = cli_nearest(key, known, known_count);
    buf_printf(load->errors, "%s:%d: [%s] unknown key '%s'", load->config->file, load->line,
               section, key);
    if (nearest != NULL) {
        buf_printf(load->errors, ". Did you mean '%s'?", nearest);
    } else if (elsewhere != NULL) {
        buf_printf(load->errors, ". It belongs to [%s]", elsewhere);
    }
    buf_add_char(load->errors, '\n');
}

static int on_key(void *user, const char *section, const char *key, const char *value)
{
    struct load *load = user;
    load->has_key = true;
    if (load->is_more) {
        if (load->last < 0) return 1; /* of a key that was refused already */
        if (!settings[load->last].is_list && !load->is_rest) {
            buf_printf(load->errors,
                       "%s:%d: an indented line goes on with [%s] %s, which is no "
                       "list\n",
                       load->config->file, load->line, section, key);
            return 1;
        }
        buf_add_char(&load->value, ' ');
        buf_add(&load->value, slice_from(value));
        return 1;
    }

    finish_value(load);
    int place = settings_find(slice_from(section), slice_from(key));
    if (place < 0 && !is_known_section(section)) {
        tell_section(load, section);
    } else if (place < 0) {
        tell_key(load, section, key);
    } else if (load->config->origins[place].source == CONFIG_FILE) {
        buf_printf(load->errors, "%s:%d: [%s] %s was set in line %d already\n", load->config->file,
                   load->line, section, key, load->config->origins[place].line);
    } else {
        load->last = place;
        load->value_line = load->line;
        buf_add(&load->value, slice_from(value));
    }
    return 1;
}

/* Blank, or a remark. */
static bool says_nothing(struct slice line)
{
    struct slice text = slice_trim(line);
    return text.len == 0 || text.at[0] == '#' || text.at[0] == ';';
}

/* A line that inih would pass over with no more than a number of it. */
static bool is_lost(struct slice line)
{
    struct slice text = slice_trim(line);
    if (says_nothing(line)) return false;
    if (text.at[0] == '[') return slice_find(text, ']') == text.len;
    return slice_find(text, '=') == text.len && slice_find(text, ':') == text.len;
}

/* Where to cut a line of more than `max` bytes: behind a comma or before a blank. 0 = nowhere. */
static size_t place_to_cut(struct slice line, size_t max)
{
    for (size_t i = max; i > max / 2; i--) {
        if (line.at[i - 1] == ',' || line.at[i] == ' ') return i;
    }
    return 0;
}

/* A new line begins: what is it to inih? */
static void begin_line(struct load *load, struct slice line)
{
    struct slice text = slice_trim(line);
    bool is_indented = text.at != line.at;
    load->line++;
    load->is_more = is_indented && !says_nothing(line) && load->has_key;
    if (load->is_more) return;
    if (is_lost(line)) {
        buf_printf(load->errors, "%s:%d: neither [section] nor key = value\n", load->config->file,
                   load->line);
    }
    if (text.len > 0 && text.at[0] == '[') load->has_key = false;
}

/* As fgets: the next line, or the next piece of one, with its end of line. */
static char *read_line(char *out, int size, void *user)
{
    struct load *load = user;
    if (*load->text == '\0') return NULL;
    size_t max = (size_t)size - 3; /* a blank before it, the end of line, NUL */
    struct slice line = slice_make(load->text, strcspn(load->text, "\n"));
    const char *next = line.at + line.len + (line.at[line.len] == '\n' ? 1 : 0);
    if (line.len > 0 && line.at[line.len - 1] == '\r') line.len--;

    load->is_rest = load->in_middle;
    if (load->is_rest) {
        load->is_more = load->has_key;
    } else {
        begin_line(load, line);
    }

    size_t taken = line.len;
    load->in_middle = false;
    if (line.len > max) {
        taken = place_to_cut(line, max);
        bool is_comment = !load->is_more && says_nothing(line);
        if (is_comment) taken = 0;
        if (taken == 0 && !is_comment) {
            buf_printf(load->errors, "%s:%d: this line is too long\n", load->config->file,
                       load->line);
        }
        load->in_middle = taken > 0 && !is_comment;
    }
    int len =
        snprintf(out, (size_t)size, "%s%.*s\n", load->is_rest ? " " : "", (int)taken, line.at);
    assert(len > 0 && len < size);
    load->text = load->in_middle ? line.at + taken : next;
    return out;
}

/* What is wrong is told with its own words, to a terminal perhaps. */
static bool is_text_file(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        bool is_end = byte == '\r' && i + 1 < text.len && text.at[i + 1] == '\n';
        bool is_blank = byte == '\t' || byte == '\n' || is_end;
        if ((byte < ' ' && !is_blank) || byte == 0x7f) return false;
    }
    return true;
}

static int read_whole(const char *path, struct buf *text, struct errmsg *errmsg)
{
    char block[4096];
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        errmsg_set(errmsg, "%s: %s", path, strerror(errno));
        return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
    }
    size_t got;
    while ((got = fread(block, 1, sizeof block, file)) > 0)
        buf_append(text, block, got);
    bool failed = ferror(file) != 0;
    fclose(file);
    if (failed) {
        errmsg_set(errmsg, "%s: cannot be read", path);
    } else if (text->overflowed) {
        errmsg_set(errmsg, "%s: more than %d bytes", path, (int)CONFIG_FILE_BYTES_MAX);
    } else if (!is_text_file(buf_slice(text))) {
        errmsg_set(errmsg, "%s: no text file", path);
    } else {
        return 0;
    }
    return ERR_CONFIG;
}

static void parse_file(struct load *load, const char *text)
{
    load->text = strncmp(text, "\xef\xbb\xbf", 3) == 0 ? text + 3 : text;
    load->last = -1;
    buf_init(&load->value, CONFIG_FILE_BYTES_MAX);
    ini_parse_stream(read_line, load, on_key, load); /* what it dislikes is told already */
    finish_value(load);
    buf_close(&load->value);
}

static void read_file(struct load *load, const char *path, bool is_wanted)
{
    struct buf text, whole;
    struct errmsg errmsg;
    if (strlen(path) > CONFIG_FILE_PATH_MAX) {
        buf_printf(load->errors, "%.40s...: the path is too long\n", path);
        return;
    }
    buf_init(&text, CONFIG_FILE_BYTES_MAX);
    buf_init(&whole, CONFIG_FILE_BYTES_MAX + 1);
    int rv = read_whole(path, &text, &errmsg);
    if (rv == 0) {
        snprintf(load->config->file, sizeof load->config->file, "%s", path);
        buf_add(&whole, buf_slice(&text));
        buf_add_char(&whole, '\0');
        parse_file(load, whole.at);
    } else if (rv != ERR_NOT_FOUND || is_wanted) {
        buf_printf(load->errors, "%s\n", errmsg.text);
    }
    buf_close(&whole);
    buf_close(&text);
}

/* ---- environment and options ---- */

static const char *variable(char *const *environment, const char *name)
{
    size_t len = strlen(name);
    for (; environment != NULL && *environment != NULL; environment++) {
        const char *entry = *environment;
        if (strncmp(entry, name, len) == 0 && entry[len] == '=' && entry[len + 1] != '\0')
            return entry + len + 1;
    }
    return NULL;
}

static void read_environment(struct load *load, char *const *environment)
{
    char name[SETTING_NAME_MAX];
    for (; environment != NULL && *environment != NULL; environment++) {
        struct slice value = slice_from(*environment);
        struct slice key = slice_cut(&value, '=');
        if (!slice_starts(key, slice_of("LIVETEA_"))) continue;
        if (slice_is(key, "LIVETEA_CONFIG") || slice_is(key, "LIVETEA_NODE")) continue;

        size_t i = 0;
        for (; i < settings_count; i++) {
            setting_variable_name(&settings[i], name);
            if (slice_is(key, name)) break;
        }
        /* Not an error: an orchestrator puts variables of its own under a service's name. */
        if (i == settings_count) {
            buf_printf(load->warnings, "%.*s: no setting has this name\n", (int)key.len, key.at);
        } else if (value.len > 0) {
            set(load, (int)i, value, (struct config_origin){CONFIG_ENVIRONMENT, 0});
        }
    }
}

struct given { /* the options: all settings, and --config behind them */
    char names[CONFIG_SETTINGS_MAX][SETTING_NAME_MAX];
    struct option_spec specs[CONFIG_SETTINGS_MAX + 1];
};

static void given_init(struct given *given)
{
    for (size_t i = 0; i < settings_count; i++) {
        /* cppcheck-suppress uninitvar; it is filled here */
        setting_option_name(&settings[i], given->names[i]);
        given->specs[i] = (struct option_spec){
            .name = given->names[i], .argument = settings[i].argument, .help = settings[i].help};
    }
    given->specs[settings_count] = (struct option_spec){
        .name = "config", .letter = 'c', .argument = "FILE", .help = "The file with the settings."};
}

/* Twice over the options: first for the file's name, then, after the file, for the settings. */
static const char *read_options(struct load *load, const struct config_input *input, bool only_file)
{
    struct given given;
    struct errmsg errmsg;
    struct options options = {.argc = input->argc, .argv = input->argv};
    const char *value, *file = NULL;
    given_init(&given);
    for (;;) {
        int place = options_next(&options, given.specs, settings_count + 1, &value, &errmsg);
        if (place == OPTIONS_END) return file;
        if (place == (int)settings_count) {
            file = value;
        } else if (only_file) {
            continue;
        } else if (place == OPTIONS_BAD) {
            buf_printf(load->errors, "%s\n", errmsg.text);
        } else if (place == OPTIONS_WORD) {
            buf_printf(load->errors, "unexpected argument '%s'\n", value);
        } else {
            set(load, place, slice_from(value), (struct config_origin){CONFIG_OPTION, 0});
        }
    }
}

/* ---- what is derived, and what must fit ---- */

enum { HOST_NAME_SIZE = 256 };

/* The host's name up to its first dot, in lower case. */
static const char *host_name(char host[HOST_NAME_SIZE])
{
    memset(host, 0, HOST_NAME_SIZE);
    gethostname(host, HOST_NAME_SIZE - 1);
    host[slice_find(slice_from(host), '.')] = '\0';
    for (char *c = host; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z') *c = (char)(*c - 'A' + 'a');
    }
    return host;
}

bool config_host_name(char name[NODE_NAME_MAX + 1])
{
    char host[HOST_NAME_SIZE];
    int place = settings_find(slice_of("node"), slice_of("name"));
    struct slice text = slice_from(host_name(host));
    if (text.len == 0 || settings[place].check(text) != NULL) return false;
    memcpy(name, text.at, text.len + 1);
    return true;
}

static void derive_name(struct load *load)
{
    char host[HOST_NAME_SIZE];
    if (load->config->node.name[0] != '\0' || config_host_name(load->config->node.name)) return;
    buf_printf(load->errors,
               "[node] name: this host's name '%s' cannot be a node's name, so it must be set\n",
               host_name(host));
}

static void derive_paths(struct load *load, char *const *environment)
{
    struct config *config = load->config;
    const char *state = variable(environment, "STATE_DIRECTORY");
    const char *credentials = variable(environment, "CREDENTIALS_DIRECTORY");
    if (config->node.data_dir[0] == '\0') {
        struct slice dir = slice_from(state == NULL ? "./livetea-data" : state);
        dir = slice_first(dir, slice_find(dir, ':')); /* systemd may give several */
        int place = settings_find(slice_of("node"), slice_of("data_dir"));
        const char *problem = setting_set(config, &settings[place], dir);
        if (problem != NULL) buf_printf(load->errors, "STATE_DIRECTORY: %s\n", problem);
    }
    if (config->node.secret_file[0] != '\0') return;
    const char *dir = credentials == NULL ? config->node.data_dir : credentials;
    int len = snprintf(config->node.secret_file, sizeof config->node.secret_file, "%s/secret", dir);
    if (len < 0 || (size_t)len >= sizeof config->node.secret_file)
        buf_add(load->errors, slice_of("CREDENTIALS_DIRECTORY: too long\n"));
}

static bool is_wildcard(const char *address)
{
    return address[0] == ':' || strncmp(address, "0.0.0.0:", 8) == 0 ||
           strncmp(address, "[::]:", 5) == 0;
}

static void derive_url(struct load *load)
{
    struct config *config = load->config;
    char host[200] = "localhost";
    size_t len = strlen(config->http.public_url);
    if (len > 0 && config->http.public_url[len - 1] == '/') config->http.public_url[len - 1] = '\0';
    if (len > 0) return;
    if (config->http.behind_proxy)
        tell(load, "http", "behind_proxy", "needs public_url: what browsers call this node");
    const char *listen = config->http.listen;
    if (!is_wildcard(listen)) {
        int done =
            snprintf(config->http.public_url, sizeof config->http.public_url, "http://%s", listen);
        if (done < 0 || (size_t)done >= sizeof config->http.public_url)
            tell(load, "http", "listen", "too long for a URL: set public_url");
        return;
    }
    gethostname(host, sizeof host - 1);
    snprintf(config->http.public_url, sizeof config->http.public_url, "http://%s%s", host,
             strrchr(listen, ':'));
}

/* What peers_parse found, under the key that it stands under here. */
static void tell_peers(struct load *load, const char *key, const struct errmsg *errmsg)
{
    bool is_named = strncmp(errmsg->text, "peers: ", 7) == 0;
    tell(load, "cluster", key, errmsg->text + (is_named ? 7 : 0));
}

static void derive_cluster(struct load *load)
{
    struct config *config = load->config;
    const struct peer *self = NULL;
    struct errmsg errmsg;
    if (config->cluster.peers_line[0] != '\0') {
        int rv = peers_parse(config->cluster.peers, &config->cluster.peers_count,
                             slice_from(config->cluster.peers_line), &errmsg);
        if (rv != 0) {
            config->cluster.peers_count = 0;
            tell_peers(load, "peers", &errmsg);
            return;
        }
    }
    for (size_t i = 0; i < config->cluster.peers_count; i++) {
        if (strcmp(config->cluster.peers[i].name, config->node.name) == 0)
            self = &config->cluster.peers[i];
    }
    if (config->cluster.peers_count > 0 && self == NULL) {
        char problem[128];
        snprintf(problem, sizeof problem, "this node, %s, is not among them", config->node.name);
        tell(load, "cluster", "peers", problem);
        return;
    }
    if (config->cluster.listen[0] == '\0') {
        snprintf(config->cluster.listen, sizeof config->cluster.listen, "%s",
                 self == NULL ? "127.0.0.1:7000" : self->address);
    }
    if (config->cluster.advertise[0] == '\0') {
        snprintf(config->cluster.advertise, sizeof config->cluster.advertise, "%s",
                 self == NULL ? config->cluster.listen : self->address);
    }
    if (self != NULL && strcmp(self->address, config->cluster.advertise) != 0)
        tell(load, "cluster", "advertise", "peers has another address for this node");
}

static void derive_threads(struct config *config)
{
    if (config->http.threads != 0) return;
    unsigned processors = uv_available_parallelism();
    unsigned threads = processors > 1 ? processors - 1 : 1;
    config->http.threads = threads < HTTP_THREADS_MAX ? threads : HTTP_THREADS_MAX;
}

static void check_secret(struct load *load)
{
    const struct config *config = load->config;
    struct secret secret;
    struct errmsg errmsg;
    bool is_needed = config->cluster.peers_count > 0 || config->cluster.join[0] != '\0';
    int rv = secret_read(&secret, config->node.secret_file, &errmsg);
    crypto_forget(&secret, sizeof secret);
    if (rv == 0 || (rv == ERR_NOT_FOUND && !is_needed)) return;
    buf_printf(load->errors, "[node] secret_file: %s%s\n", errmsg.text,
               rv == ERR_NOT_FOUND ? ". Nodes of a cluster need the same one: `livetea gen-secret`"
                                   : "");
}

static void check_cluster(struct load *load)
{
    const struct config *config = load->config;
    uint32_t heartbeat = config->cluster.heartbeat_ms;
    uint32_t election = config->cluster.election_timeout_ms;
    struct peer members[PEERS_MAX];
    size_t members_count;
    struct errmsg errmsg;
    if (peers_parse(members, &members_count, slice_from(config->cluster.join), &errmsg) != 0)
        tell_peers(load, "join", &errmsg);
    if (config->cluster.join[0] != '\0' && config->cluster.peers_count > 0)
        tell(load, "cluster", "join", "a node is either one of the first (peers) or joins later");
    if (election < 10 * heartbeat)
        tell(load, "cluster", "election_timeout", "must be at least 10 times the heartbeat");
    /* libraft takes exactly this pair for its own old default, and triples it in silence. */
    if (election == 150 && heartbeat == 15) {
        tell(load, "cluster", "election_timeout",
             "with a heartbeat of 15ms raft would take 450ms and 45ms: choose another pair");
    } else if (election < 200) {
        buf_printf(load->warnings,
                   "[cluster] election_timeout = %ums: a busy machine may be late by that much, "
                   "and lose the leadership for it\n",
                   (unsigned)election);
    }
    if (config->cluster.peers_count == 2) {
        buf_add(load->warnings, slice_of("[cluster] peers: with two nodes neither may fail; "
                                         "with three, any one may\n"));
    }
}

static void check_ports(struct load *load)
{
    const struct config *config = load->config;
    if (strcmp(config->http.admin_listen, config->http.listen) == 0)
        tell(load, "http", "admin_listen", "the same as listen: leave it empty for that");
    if (strcmp(config->cluster.listen, config->http.listen) == 0 ||
        strcmp(config->cluster.listen, config->http.admin_listen) == 0)
        tell(load, "cluster", "listen", "the same as an address of [http]");
}

/* ---- all together ---- */

static void read_all(struct load *load, const struct config_input *input)
{
    *load->config = (struct config){.input = *input};
    set_defaults(load);
    const char *file = read_options(load, input, true);
    if (file == NULL) file = variable(input->environment, "LIVETEA_CONFIG");
    read_file(load, file == NULL ? "/etc/livetea/livetea.conf" : file, file != NULL);
    read_environment(load, input->environment);
    read_options(load, input, false);
}

int config_load(struct config *config, const struct config_input *input, struct buf *errors,
                struct buf *warnings)
{
    size_t before = errors->len;
    struct load load = {.config = config, .errors = errors, .warnings = warnings, .last = -1};
    read_all(&load, input);

    derive_name(&load);
    derive_paths(&load, input->environment);
    derive_url(&load);
    derive_threads(config);
    /* What follows from values that were refused would only be noise. */
    if (errors->len == before) {
        derive_cluster(&load);
        check_cluster(&load);
        check_secret(&load);
    }
    /* cppcheck-suppress duplicateCondition; the checks above add to it */
    if (errors->len == before) check_ports(&load);
    return errors->len > before || errors->overflowed ? ERR_CONFIG : 0;
}

static void tell_first(struct errmsg *errmsg, const struct buf *errors)
{
    struct slice first = slice_first(buf_slice(errors), slice_find(buf_slice(errors), '\n'));
    errmsg_set(errmsg, "%.*s", (int)first.len, first.at);
}

int config_secret_file(char path[CONFIG_FILE_PATH_MAX + 1], const struct config_input *input,
                       struct errmsg *errmsg)
{
    struct config *config = mem_new(sizeof *config);
    struct buf errors, warnings;
    buf_init(&errors, REPORT_MAX);
    buf_init(&warnings, REPORT_MAX);
    struct load load = {.config = config, .errors = &errors, .warnings = &warnings, .last = -1};
    read_all(&load, input);
    derive_paths(&load, input->environment);
    int rv = errors.len > 0 ? ERR_CONFIG : 0;
    if (rv != 0)
        tell_first(errmsg, &errors);
    else
        memcpy(path, config->node.secret_file, sizeof config->node.secret_file);
    buf_close(&warnings);
    buf_close(&errors);
    mem_free(config);
    return rv;
}

int config_log_level_now(const struct config *config, int *level, struct errmsg *errmsg)
{
    struct config *now = mem_new(sizeof *now);
    struct buf errors, warnings;
    buf_init(&errors, REPORT_MAX);
    buf_init(&warnings, REPORT_MAX);
    int rv = config_load(now, &config->input, &errors, &warnings);
    if (rv != 0) {
        tell_first(errmsg, &errors);
    } else {
        *level = now->log.level;
    }
    buf_close(&warnings);
    buf_close(&errors);
    mem_free(now);
    return rv;
}

/* ---- showing ---- */

static void add_origin(struct buf *out, const struct config *config, size_t place)
{
    const struct config_origin *origin = &config->origins[place];
    char name[SETTING_NAME_MAX];
    switch (origin->source) {
    case CONFIG_FILE: buf_printf(out, "%s:%d", config->file, origin->line); break;
    case CONFIG_ENVIRONMENT:
        setting_variable_name(&settings[place], name);
        buf_add(out, slice_from(name));
        break;
    case CONFIG_OPTION:
        setting_option_name(&settings[place], name);
        buf_printf(out, "--%s", name);
        break;
    case CONFIG_DEFAULT: buf_add(out, slice_of("default")); break;
    }
}

void config_show(struct buf *out, const struct config *config)
{
    enum { COLUMN = 44 };
    for (size_t i = 0; i < settings_count; i++) {
        if (i == 0 || strcmp(settings[i].section, settings[i - 1].section) != 0)
            buf_printf(out, "%s[%s]\n", i == 0 ? "" : "\n", settings[i].section);
        size_t start = out->len;
        buf_printf(out, "%s = ", settings[i].key);
        setting_show(out, config, &settings[i]);
        size_t width = out->len - start;
        buf_printf(out, "%*s; ", width < COLUMN ? (int)(COLUMN - width) : 2, "");
        add_origin(out, config, i);
        buf_add_char(out, '\n');
    }
}

static void add_default(struct buf *out, const char *before, const char *words)
{
    char line[256];
    snprintf(line, sizeof line, "Default: %s.", words);
    options_wrap(out, before, line);
}

void config_default_file(struct buf *out)
{
    buf_add(out,
            slice_of("# Live Tea: every setting, with its default. Remove the '#' before a key "
                     "to set it.\n"
                     "# Options (--http-listen) win over the environment "
                     "(LIVETEA_HTTP_LISTEN), that over this file.\n"
                     "# Times: 250ms 30s 5m 1h. Sizes: 64KiB 1MiB 1GiB. A blank and ';' begin "
                     "a remark.\n"));
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings[i];
        if (i == 0 || strcmp(setting->section, settings[i - 1].section) != 0)
            buf_printf(out, "\n[%s]\n", setting->section);
        options_wrap(out, "# ", setting->help);
        if (setting->choices[0] != NULL) {
            buf_add(out, slice_of("# One of:"));
            for (int c = 0; c < SETTING_CHOICES_MAX && setting->choices[c] != NULL; c++)
                buf_printf(out, " %s", setting->choices[c]);
            buf_add_char(out, '\n');
        }
        if (setting->derived != NULL) add_default(out, "# ", setting->derived);
        buf_printf(out, "#%s =%s%s\n", setting->key, setting->fallback == NULL ? "" : " ",
                   setting->fallback == NULL ? "" : setting->fallback);
    }
}

void config_help(struct buf *out)
{
    char name[SETTING_NAME_MAX];
    buf_add(out, slice_of("  -c, --config FILE\n"));
    options_wrap(out, "          ", "The file with the settings.");
    add_default(out, "          ",
                "$LIVETEA_CONFIG, else /etc/livetea/livetea.conf if it is there");
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings[i];
        setting_option_name(setting, name);
        buf_printf(out, "      --%s %s\n", name, setting->argument);
        options_wrap(out, "          ", setting->help);
        add_default(out, "          ",
                    setting->fallback == NULL ? setting->derived : setting->fallback);
    }
}
