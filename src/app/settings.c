/* Checks return sentences of this file, so that the caller can put the place before them and nobody
 * has to free anything.
 */
#include "app/settings.h"

#include <ctype.h>
#include <stdio.h>

#include "base/text.h"

/* ---- values ---- */

enum { OFFSET_MAX = 14 * 60 }; /* minutes; no time zone is farther from UTC */

struct unit {
    const char *word;
    uint64_t factor;
};

static const struct unit duration_units[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
static const struct unit size_units[] = {
    {"TiB", 1ull << 40}, {"GiB", 1ull << 30}, {"MiB", 1ull << 20}, {"KiB", 1ull << 10}, {"B", 1}};

static bool measure(struct slice text, const struct unit *units, size_t units_count,
                    uint64_t *value)
{
    size_t digits = 0;
    uint64_t number;
    while (digits < text.len && isdigit((unsigned char)text.at[digits]))
        digits++;
    if (!slice_to_u64(slice_first(text, digits), &number)) return false;

    struct slice word = slice_skip(text, digits);
    for (size_t i = 0; i < units_count; i++) {
        if (!slice_is(word, units[i].word)) continue;
        return !__builtin_mul_overflow(number, units[i].factor, value);
    }
    return false;
}

bool setting_duration(struct slice text, uint64_t *ms)
{
    if (slice_is(text, "0")) {
        *ms = 0;
        return true;
    }
    return measure(text, duration_units, sizeof duration_units / sizeof *duration_units, ms);
}

bool setting_size(struct slice text, uint64_t *bytes)
{
    if (slice_to_u64(text, bytes)) return true;
    return measure(text, size_units, sizeof size_units / sizeof *size_units, bytes);
}

static void add_measure(struct buf *out, uint64_t value, const struct unit *units)
{
    while (value == 0 ? units->factor != 1 : value % units->factor != 0)
        units++;
    buf_add_u64(out, value / units->factor);
    buf_add(out, slice_from(units->word));
}

void setting_add_duration(struct buf *out, uint64_t ms)
{
    add_measure(out, ms, duration_units);
}

void setting_add_size(struct buf *out, uint64_t bytes)
{
    add_measure(out, bytes, size_units);
}

/* "0", "120", "+02:00", "-05:30" */
static bool parse_offset(struct slice text, int32_t *minutes)
{
    bool west = text.len > 0 && text.at[0] == '-';
    if (text.len > 0 && (text.at[0] == '-' || text.at[0] == '+')) text = slice_skip(text, 1);

    uint64_t hours = 0, rest;
    if (slice_find(text, ':') < text.len) {
        if (!slice_to_u64(slice_cut(&text, ':'), &hours) || hours > 23 || text.len != 2)
            return false;
        if (!slice_to_u64(text, &rest) || rest > 59) return false;
    } else if (!slice_to_u64(text, &rest) || rest > OFFSET_MAX) {
        return false;
    }
    int32_t sum = (int32_t)(hours * 60 + rest);
    if (sum > OFFSET_MAX) return false;
    *minutes = west ? -sum : sum;
    return true;
}

/* ---- checks ---- */

static bool is_host_name(struct slice host)
{
    for (size_t i = 0; i < host.len; i++) {
        unsigned char c = (unsigned char)host.at[i];
        if (!isalnum(c) && c != '.' && c != '-' && c != '_') return false;
    }
    return host.len > 0;
}

static bool is_ipv6(struct slice host)
{
    size_t colons = 0;
    for (size_t i = 0; i < host.len; i++) {
        unsigned char c = (unsigned char)host.at[i];
        if (c == ':') colons++;
        if (!isxdigit(c) && c != ':' && c != '.' && c != '%') return false;
    }
    return colons >= 2;
}

static const char *port_problem(struct slice port)
{
    uint64_t number;
    if (!slice_to_u64(port, &number) || number < 1 || number > 65535)
        return "port must be 1 to 65535";
    return NULL;
}

/* Cuts "host:port" at its last colon; IPv6 stands in brackets. */
static bool cut_port(struct slice address, struct slice *host, struct slice *port)
{
    size_t place = address.len;
    while (place > 0 && address.at[place - 1] != ':')
        place--;
    if (place == 0) return false;
    *host = slice_first(address, place - 1);
    *port = slice_skip(address, place);
    return true;
}

static bool is_host(struct slice host)
{
    if (host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']')
        return is_ipv6(slice_make(host.at + 1, host.len - 2));
    return is_host_name(host);
}

const char *setting_address_problem(struct slice address)
{
    struct slice host, port;
    if (address.len > ADDRESS_MAX) return "longer than an address can be";
    if (!cut_port(address, &host, &port))
        return "must be HOST:PORT, for example 127.0.0.1:4000 or [::1]:4000";
    if (host.len > 0 && !is_host(host))
        return "the host must be a name, an IPv4 address or an IPv6 address in brackets";
    return port_problem(port);
}

static const char *whole_address_problem(struct slice address)
{
    const char *problem = setting_address_problem(address);
    if (problem != NULL) return problem;
    if (address.at[0] == ':') return "must name a host that the other nodes can reach";
    if (slice_starts(address, slice_of("0.0.0.0:")) || slice_starts(address, slice_of("[::]:")))
        return "must be an address that the other nodes can reach, not the one for all interfaces";
    return NULL;
}

/* An origin, as browsers write it: scheme, host, port, and nothing behind. */
static const char *origin_problem(struct slice url)
{
    static const char *const shape = "must be http://HOST[:PORT] or https://HOST[:PORT], nothing "
                                     "behind it";
    struct slice rest = url, host, port;
    if (slice_starts(rest, slice_of("http://"))) {
        rest = slice_skip(rest, 7);
    } else if (slice_starts(rest, slice_of("https://"))) {
        rest = slice_skip(rest, 8);
    } else {
        return shape;
    }
    if (rest.len > 0 && rest.at[rest.len - 1] == '/') rest.len--;
    if (url.len > URL_MAX) return "longer than 255 bytes";
    if (is_host(rest)) return NULL;
    if (!cut_port(rest, &host, &port) || !is_host(host)) return shape;
    return port_problem(port);
}

static const char *origins_problem(struct slice list)
{
    while (list.len > 0) {
        const char *problem = origin_problem(slice_cut(&list, ' '));
        if (problem != NULL) return problem;
    }
    return NULL;
}

static const char *node_name_problem(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
            return "may hold only a-z, 0-9 and '-'";
    }
    return name.len > NODE_NAME_MAX ? "at most 32 characters" : NULL;
}

static const char *cluster_name_problem(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.at[i];
        if (!isalnum(c) && c != '-' && c != '_' && c != '.')
            return "may hold only letters, digits, '-', '_' and '.'";
    }
    return NULL;
}

/* ---- the table ---- */

#define TEXT_AT(field)                                             \
    .kind = SETTING_TEXT, .place = offsetof(struct config, field), \
    .size = sizeof(((struct config *)NULL)->field)
#define COUNT_AT(field, least, most) \
    .kind = SETTING_COUNT, .place = offsetof(struct config, field), .min = (least), .max = (most)
#define DURATION_AT(field, least, most) \
    .kind = SETTING_DURATION, .place = offsetof(struct config, field), .min = (least), .max = (most)
#define SIZE_AT(field, least, most) \
    .kind = SETTING_SIZE, .place = offsetof(struct config, field), .min = (least), .max = (most)

const struct setting settings[] = {
    {"node", "name", "NAME", TEXT_AT(node.name), .check = node_name_problem,
     .derived = "the host name up to the first dot",
     .help = "Who this node is: 1 to 32 of a-z 0-9 -, unique in its cluster."},
    {"node", "data_dir", "DIR", TEXT_AT(node.data_dir),
     .derived = "$STATE_DIRECTORY, else ./livetea-data",
     .help = "Where the node keeps its log and the history. One node only; mode 0700."},
    {"node", "secret_file", "FILE", TEXT_AT(node.secret_file),
     .derived = "$CREDENTIALS_DIRECTORY/secret, else `secret` in data_dir",
     .help = "The cluster's secret, the same on all nodes, mode 0600; `livetea gen-secret` makes "
             "one. A second line may hold the previous one. A lone node makes its own."},
    {"http", "listen", "HOST:PORT", TEXT_AT(http.listen), .check = setting_address_problem,
     .fallback = "127.0.0.1:4000", .help = "Pages, WebSocket and API. An empty host is all."},
    {"http", "admin_listen", "HOST:PORT", TEXT_AT(http.admin_listen),
     .check = setting_address_problem, .derived = "everything on `listen`",
     .help = "If set: /metrics, /status, /api/events and /api/cluster only here."},
    {"http", "public_url", "URL", TEXT_AT(http.public_url), .check = origin_problem,
     .derived = "http:// and `listen`",
     .help = "What browsers call this node. https makes cookies Secure."},
    {"http", "behind_proxy", "BOOL", .kind = SETTING_SWITCH, .fallback = "false",
     .place = offsetof(struct config, http.behind_proxy),
     .help = "Believe the last address of X-Forwarded-For; pages carry no list of nodes."},
    {"http", "allowed_origins", "URLS", TEXT_AT(http.allowed_origins), .check = origins_problem,
     .is_list = true, .derived = "the public URLs of all members",
     .help = "More values of Origin that may connect, beside the members' own."},
    {"http", "max_connections", "N", COUNT_AT(http.max_connections, 1, 1000000),
     .fallback = "20000",
     .help = "Above it the longest idle goes; if none is, new ones get 503. At most the limit of "
             "descriptors, less a reserve."},
    {"http", "max_per_address", "N", COUNT_AT(http.max_per_address, 0, 1000000), .fallback = "200",
     .help = "WebSockets of one address on each of the threads, and twice as many connections; 0 "
             "is off."},
    {"http", "send_queue", "SIZE", SIZE_AT(http.send_queue, 512ull << 10, 64ull << 20),
     .fallback = "1MiB",
     .help = "Waiting for one slow browser at most; over it, it is closed and joins again."},
    {"http", "threads", "N", COUNT_AT(http.threads, 1, HTTP_THREADS_MAX),
     .derived = "one less than there are processors, 1 to 16",
     .help = "Threads that serve browsers."},
    {"cluster", "name", "NAME", TEXT_AT(cluster.name), .check = cluster_name_problem,
     .fallback = "livetea", .help = "Nodes of a cluster with another name are refused."},
    {"cluster", "listen", "HOST:PORT", TEXT_AT(cluster.listen), .check = setting_address_problem,
     .derived = "127.0.0.1:7000; with peers, this node's own address among them",
     .help = "For the other nodes."},
    {"cluster", "advertise", "HOST:PORT", TEXT_AT(cluster.advertise),
     .check = whole_address_problem, .derived = "this node's own address in peers, else `listen`",
     .help = "Where the other nodes reach this one."},
    {"cluster", "peers", "LIST", TEXT_AT(cluster.peers_line), .is_list = true,
     .derived = "one node alone",
     .help = "All first members, this one too: tea-1=10.0.0.11:7000, tea-2=10.0.0.12:7000. The "
             "same line on all. Read at the first start only, when all of them must be up once."},
    {"cluster", "join", "LIST", TEXT_AT(cluster.join), .is_list = true, .derived = "off",
     .help = "Some members, as in peers: this node is new, and asks them to be let in by `livetea "
             "members add`. Read at the first start only."},
    {"cluster", "heartbeat", "TIME", DURATION_AT(cluster.heartbeat_ms, 10, 10000),
     .fallback = "40ms", .help = "How often the leader is heard."},
    {"cluster", "election_timeout", "TIME", DURATION_AT(cluster.election_timeout_ms, 100, 60000),
     .fallback = "400ms",
     .help = "A silent leader is replaced after once to twice that. At least 10 heartbeats; 1s and "
             "100ms across data centres."},
    {"store", "keep_log", "N", COUNT_AT(store.keep_log, 64, 1000000), .fallback = "8192",
     .help = "A snapshot every so many entries of the raft log, and as many kept behind it: a node "
             "that was away for less reads on there, for more it fetches the history."},
    {"store", "map_size", "SIZE", SIZE_AT(store.map_size, 64ull << 20, 16ull << 40),
     .fallback = "64GiB", .help = "Address space for the history, not disk: what it may grow to."},
    {"chat", "message_max", "N", COUNT_AT(chat.message_max, 1, CHAT_TEXT_CODE_POINTS_MAX),
     .fallback = "4000", .help = "Characters of one message. The same on all nodes."},
    {"chat", "rate", "N", COUNT_AT(chat.rate, 0, 100000), .fallback = "10",
     .help = "Messages of one sender in rate_window; 0 is off. The same on all nodes."},
    {"chat", "rate_window", "TIME", DURATION_AT(chat.rate_window_ms, 100, 3600000),
     .fallback = "10s", .help = "The time for rate."},
    {"log", "level", "WORD", .kind = SETTING_CHOICE, .place = offsetof(struct config, log.level),
     .choices = {"error", "warn", "info", "debug"}, .fallback = "info",
     .help = "Read again at SIGHUP."},
    {"log", "format", "WORD", .kind = SETTING_CHOICE, .place = offsetof(struct config, log.format),
     .choices = {"auto", "text", "json"}, .fallback = "auto",
     .help = "auto: text on a terminal or to the journal, else JSON."},
    {"log", "file", "FILE", TEXT_AT(log.file), .derived = "standard error",
     .help = "Where the log goes."},
    {"ui", "title", "TEXT", TEXT_AT(ui.title), .is_prose = true, .fallback = "Live Tea",
     .help = "Behind the title of every page."},
    {"ui", "timezone_offset", "OFFSET", .kind = SETTING_OFFSET, .fallback = "0",
     .place = offsetof(struct config, ui.timezone_offset),
     .help = "Of pages without JavaScript: minutes east of UTC, or +02:00."},
};
const size_t settings_count = sizeof settings / sizeof *settings;

static_assert(sizeof settings / sizeof *settings <= CONFIG_SETTINGS_MAX, "each has its origin");
static_assert((int)LOG_ERROR == 0 && (int)LOG_DEBUG == 3, "as in the choices of log level");
static_assert((int)LOG_AUTO == 0 && (int)LOG_JSON == 2, "as in the choices of log format");

int settings_find(struct slice section, struct slice key)
{
    for (size_t i = 0; i < settings_count; i++) {
        if (slice_is(section, settings[i].section) && slice_is(key, settings[i].key)) return (int)i;
    }
    return -1;
}

void setting_option_name(const struct setting *setting, char out[SETTING_NAME_MAX])
{
    snprintf(out, SETTING_NAME_MAX, "%s-%s", setting->section, setting->key);
    for (char *c = out; *c != '\0'; c++) {
        if (*c == '_') *c = '-';
    }
}

void setting_variable_name(const struct setting *setting, char out[SETTING_NAME_MAX])
{
    snprintf(out, SETTING_NAME_MAX, "LIVETEA_%s_%s", setting->section, setting->key);
    for (char *c = out; *c != '\0'; c++)
        *c = (char)toupper((unsigned char)*c);
}

/* ---- in and out ---- */

static void *place_of(struct config *config, const struct setting *setting)
{
    return (char *)config + setting->place;
}

static const void *value_of(const struct config *config, const struct setting *setting)
{
    return (const char *)config + setting->place;
}

/* A list's parts may stand apart by blanks or commas and blanks; inside it is one of them. */
static const char *set_text(void *place, const struct setting *setting, struct slice text)
{
    if (!text_valid(text) || text_has_controls(text)) return "not plain text in UTF-8";
    if (text.len >= setting->size) return "too long";
    if (text.len > 0 && setting->check != NULL) {
        const char *problem = setting->check(text);
        if (problem != NULL) return problem;
    }
    char *out = place;
    memcpy(out, text.len == 0 ? "" : text.at, text.len);
    out[text.len] = '\0';
    return NULL;
}

static const char *set_origins(void *place, const struct setting *setting, struct slice text)
{
    char joined[CONFIG_LIST_MAX + 1];
    size_t len = 0;
    if (text.len >= sizeof joined) return "too long";
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c == ',' || c == '\t') c = ' ';
        if (c == ' ' && (len == 0 || joined[len - 1] == ' ')) continue;
        joined[len++] = c;
    }
    while (len > 0 && joined[len - 1] == ' ')
        len--;
    return set_text(place, setting, slice_make(joined, len));
}

static const char *set_number(void *place, const struct setting *setting, struct slice text)
{
    /* One thread sets settings: the sentence may stay here until the next one. */
    static char sentence[128];
    uint64_t value;
    struct buf words;
    bool is_size = setting->kind == SETTING_SIZE, is_duration = setting->kind == SETTING_DURATION;
    if (is_duration && !setting_duration(text, &value))
        return "must be a time with its unit, like 250ms, 30s, 5m or 1h";
    if (is_size && !setting_size(text, &value)) return "must be a size, like 64KiB, 1MiB or 1GiB";
    if (!is_size && !is_duration && !slice_to_u64(text, &value)) return "must be a whole number";
    if (value < setting->min || value > setting->max) {
        buf_init(&words, sizeof sentence - 1);
        void (*add)(struct buf *, uint64_t) = is_size       ? setting_add_size
                                              : is_duration ? setting_add_duration
                                                            : buf_add_u64;
        buf_add(&words, slice_of("must be "));
        add(&words, setting->min);
        buf_add(&words, slice_of(" to "));
        add(&words, setting->max);
        snprintf(sentence, sizeof sentence, "%.*s", (int)words.len, words.at);
        buf_close(&words);
        return sentence;
    }
    if (is_size) {
        *(uint64_t *)place = value;
    } else {
        *(uint32_t *)place = (uint32_t)value;
    }
    return NULL;
}

static const char *set_choice(void *place, const struct setting *setting, struct slice text)
{
    static char sentence[128];
    int len = snprintf(sentence, sizeof sentence, "must be one of");
    for (int i = 0; i < SETTING_CHOICES_MAX && setting->choices[i] != NULL; i++) {
        if (slice_is(text, setting->choices[i])) {
            *(int *)place = i;
            return NULL;
        }
        len += snprintf(sentence + len, sizeof sentence - (size_t)len, " %s", setting->choices[i]);
    }
    return sentence;
}

static const char *set_switch(bool *place, struct slice text)
{
    bool yes = slice_is(text, "true") || slice_is(text, "yes") || slice_is(text, "on");
    bool no = slice_is(text, "false") || slice_is(text, "no") || slice_is(text, "off");
    if (!yes && !no) return "must be true or false";
    *place = yes;
    return NULL;
}

const char *setting_set(struct config *config, const struct setting *setting, struct slice text)
{
    void *place = place_of(config, setting);
    text = slice_trim(text);
    if (text.len == 0 && setting->fallback != NULL) text = slice_from(setting->fallback);
    if (text.len == 0 && setting->kind != SETTING_TEXT) return NULL;

    switch (setting->kind) {
    case SETTING_TEXT:
        return setting->check == origins_problem ? set_origins(place, setting, text)
                                                 : set_text(place, setting, text);
    case SETTING_COUNT:
    case SETTING_DURATION:
    case SETTING_SIZE: return set_number(place, setting, text);
    case SETTING_CHOICE: return set_choice(place, setting, text);
    case SETTING_SWITCH: return set_switch(place, text);
    case SETTING_OFFSET:
        return parse_offset(text, place) ? NULL
                                         : "must be minutes east of UTC, like 120, or like +02:00";
    }
    return NULL;
}

void setting_show(struct buf *out, const struct config *config, const struct setting *setting)
{
    const void *value = value_of(config, setting);
    switch (setting->kind) {
    case SETTING_TEXT: buf_add(out, slice_from(value)); break;
    case SETTING_COUNT: buf_add_u64(out, *(const uint32_t *)value); break;
    case SETTING_DURATION: setting_add_duration(out, *(const uint32_t *)value); break;
    case SETTING_SIZE: setting_add_size(out, *(const uint64_t *)value); break;
    case SETTING_SWITCH: buf_add(out, slice_from(*(const bool *)value ? "true" : "false")); break;
    case SETTING_CHOICE: buf_add(out, slice_from(setting->choices[*(const int *)value])); break;
    case SETTING_OFFSET: buf_add_i64(out, *(const int32_t *)value); break;
    }
}
