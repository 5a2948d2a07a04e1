/* A line is put together in a buffer and leaves by one write, so lines of two threads never mix and
 * no lock is needed. What repeats is counted by each thread for itself.
 *
 * The settings are written before the threads start; only the level may change later: besides
 * counts of references it is the one atomic.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"

static const char *const level_words[] = {"error", "warn", "info", "debug"};
static const char *const level_words_padded[] = {"error", "warn ", "info ", "debug"};
static const char *const journal_prefixes[] = {"<3>", "<4>", "<6>", "<7>"};

static struct {
    int fd;
    bool as_json;
    bool for_journal;
    const char *node;
} settings = {.fd = STDERR_FILENO};

static atomic_int level_max = LOG_INFO;

int log_open(const struct log_options *options)
{
    int fd = STDERR_FILENO;
    if (options->file != NULL) {
        fd = open(options->file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (fd < 0) return ERR_IO;
    }
    bool to_journal = options->file == NULL && getenv("JOURNAL_STREAM") != NULL;
    bool as_json = options->format == LOG_JSON;
    if (options->format == LOG_AUTO) as_json = !to_journal && !isatty(fd);

    int old = settings.fd;
    settings.fd = fd;
    settings.as_json = as_json;
    settings.for_journal = to_journal && !as_json;
    settings.node = options->node;
    if (old != STDERR_FILENO) close(old);
    log_set_level(options->level);
    return 0;
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&level_max, (int)level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&level_max, memory_order_relaxed);
}

/* ---- as text ---- */

/* A line is one line whatever is in it. */
static void add_line_text(struct buf *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        buf_add_char(out, byte < 0x20 || byte == 0x7f ? ' ' : (char)byte);
    }
}

static void add_text_line(struct buf *out, enum log_level level, const char *words,
                          struct slice facts)
{
    int64_t now = clock_wall_ms();
    struct civil civil = clock_civil(now);
    if (settings.for_journal) buf_add(out, slice_from(journal_prefixes[level]));
    buf_printf(out, "%02d:%02d:%02d.%03d %s ", civil.hour, civil.minute, civil.second,
               (int)(now % 1000), level_words_padded[level]);
    add_line_text(out, slice_from(words));
    if (facts.len > 0) buf_add_char(out, ' ');
    add_line_text(out, facts);
}

/* ---- as JSON ---- */

/* -?digits[.digits], short enough that no reader rounds it, and no leading zero. */
static bool is_number(struct slice value)
{
    if (value.len > 0 && value.at[0] == '-') value = slice_skip(value, 1);
    struct slice rest = value;
    bool has_point = slice_find(value, '.') < value.len;
    struct slice whole = slice_cut(&rest, '.');
    uint64_t ignored;
    if (whole.len > 15 || !slice_to_u64(whole, &ignored)) return false;
    if (whole.len > 1 && whole.at[0] == '0') return false;
    return !has_point || (rest.len <= 15 && slice_to_u64(rest, &ignored));
}

static bool is_hex(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (!digit) return false;
    }
    return true;
}

/* Is there an escape of JSON at the front? Its length, or 0. */
static size_t escape_len(struct slice text)
{
    if (text.len < 2 || text.at[0] != '\\') return 0;
    if (strchr("\"\\/bfnrt", text.at[1]) != NULL && text.at[1] != '\0') return 2;
    return text.at[1] == 'u' && text.len >= 6 && is_hex(slice_make(text.at + 2, 4)) ? 6 : 0;
}

/* The inside of a quoted value: its escapes are JSON's already (log_quote). */
static void add_quoted(struct buf *out, struct slice text)
{
    buf_add_char(out, '"');
    while (text.len > 0) {
        size_t len = escape_len(text);
        if (len > 0) {
            buf_append(out, text.at, len);
        } else {
            len = 1;
            json_add_escaped(out, slice_first(text, 1));
        }
        text = slice_skip(text, len);
    }
    buf_add_char(out, '"');
}

/* Takes `"..."` off the front of `rest` and returns the inside; without a closing quote, all. */
static struct slice cut_quoted(struct slice *rest)
{
    struct slice inside = slice_skip(*rest, 1);
    for (size_t i = 0; i < inside.len; i++) {
        if (inside.at[i] == '\\') {
            i++;
        } else if (inside.at[i] == '"') {
            *rest = slice_skip(inside, i + 1);
            return slice_first(inside, i);
        }
    }
    *rest = (struct slice){NULL, 0};
    return inside;
}

/* The key at the front with its '=', or empty. */
static struct slice cut_key(struct slice *rest)
{
    size_t len = 0;
    while (len < rest->len) {
        char c = rest->at[len];
        bool in_key = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' ||
                      (c >= '0' && c <= '9');
        if (!in_key) break;
        len++;
    }
    if (len == 0 || len == rest->len || rest->at[len] != '=') return (struct slice){NULL, 0};
    struct slice key = slice_first(*rest, len);
    *rest = slice_skip(*rest, len + 1);
    return key;
}

/* An unquoted value goes on over blanks until the next `key=`: who forgot to quote loses nothing. */
static struct slice cut_bare(struct slice *rest)
{
    struct slice whole = *rest;
    for (;;) {
        slice_cut(rest, ' ');
        struct slice ahead = *rest;
        if (rest->len == 0 || cut_key(&ahead).len > 0) break;
    }
    return slice_trim(slice_first(whole, whole.len - rest->len));
}

static void add_value(struct buf *out, struct slice value, bool is_quoted)
{
    if (is_quoted)
        add_quoted(out, value);
    else if (is_number(value) || slice_is(value, "true") || slice_is(value, "false"))
        buf_add(out, value);
    else
        json_add_string(out, value);
}

/* The line names its node already, and a key may stand in an object once. */
static bool is_said(struct slice key)
{
    return settings.node != NULL && slice_is(key, "node");
}

static void add_members(struct buf *out, struct slice facts)
{
    while ((facts = slice_trim(facts)).len > 0) {
        struct slice key = cut_key(&facts);
        bool is_quoted = facts.len > 0 && facts.at[0] == '"';
        struct slice value = is_quoted ? cut_quoted(&facts) : cut_bare(&facts);
        if (is_said(key)) continue;
        json_add_key(out, NULL);
        json_add_string(out, key.len > 0 ? key : slice_of("more"));
        buf_add_char(out, ':');
        add_value(out, value, is_quoted);
    }
}

static void add_json_line(struct buf *out, enum log_level level, const char *words,
                          struct slice facts)
{
    buf_add_char(out, '{');
    json_add_time(out, "ts", clock_wall_ms());
    json_add_text(out, "level", slice_from(level_words[level]));
    if (settings.node != NULL) json_add_text(out, "node", slice_from(settings.node));
    json_add_text(out, "msg", slice_from(words));
    size_t before = out->len;
    if (text_valid(facts)) {
        add_members(out, facts);
    } else { /* a path or a message of the system in another encoding */
        char quoted[LOG_LINE_MAX / 8];
        log_quote(quoted, sizeof quoted, facts);
        json_add_key(out, "more");
        buf_add(out, slice_from(quoted));
    }
    if (out->overflowed) buf_truncate(out, before);
    out->overflowed = false;
    buf_add_char(out, '}');
}

static void write_line(enum log_level level, const char *words, struct slice facts)
{
    struct buf line;
    buf_init(&line, 7 * LOG_LINE_MAX); /* escaping makes one byte up to six */
    if (settings.as_json)
        add_json_line(&line, level, words, facts);
    else
        add_text_line(&line, level, words, facts);
    buf_add_char(&line, '\n');

    /* There is nowhere to complain about a log that cannot be written. */
    size_t done = 0;
    while (done < line.len) {
        ssize_t count = write(settings.fd, line.at + done, line.len - done);
        if (count < 0 && errno != EINTR) break;
        if (count > 0) done += (size_t)count;
    }
    buf_close(&line);
}

/* ---- repeats ---- */

struct repeat {
    const char *words; /* a literal: its address is its name; NULL = free */
    enum log_level level;
    unsigned count; /* since `since_ms` */
    uint64_t since_ms;
};

static _Thread_local struct repeat repeats[LOG_REPEATS_WATCHED];

static void tell_repeats(struct repeat *repeat)
{
    if (repeat->words != NULL && repeat->count > LOG_REPEATS_MAX) {
        char facts[64];
        int len = snprintf(facts, sizeof facts, "repeated=%u", repeat->count - LOG_REPEATS_MAX);
        write_line(repeat->level, repeat->words, slice_make(facts, (size_t)len));
    }
    *repeat = (struct repeat){.words = NULL};
}

/* Is this line to be written? */
static bool count_repeat(enum log_level level, const char *words)
{
    uint64_t now = clock_ms();
    struct repeat *found = NULL;
    struct repeat *oldest = &repeats[0];
    for (size_t i = 0; i < LOG_REPEATS_WATCHED; i++) {
        struct repeat *repeat = &repeats[i];
        if (repeat->words != NULL && now - repeat->since_ms >= LOG_REPEATS_MS) tell_repeats(repeat);
        if (repeat->words == words && repeat->level == level) found = repeat;
        if (repeat->words == NULL || (oldest->words != NULL && repeat->since_ms < oldest->since_ms))
            oldest = repeat;
    }
    if (found == NULL) {
        tell_repeats(oldest);
        *oldest = (struct repeat){.words = words, .level = level, .since_ms = now};
        found = oldest;
    }
    found->count++;
    return found->count <= LOG_REPEATS_MAX;
}

void log_line(enum log_level level, const char *words, const char *format, ...)
{
    if (!log_enabled(level) || !count_repeat(level, words)) return;
    int saved = errno; /* a log line must not change what is told next */
    char facts[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(facts, sizeof facts, format, args);
    va_end(args);
    if (len < 0) len = 0;
    size_t kept = (size_t)len < sizeof facts ? (size_t)len : sizeof facts - 1;
    write_line(level, words, slice_make(facts, kept));
    errno = saved;
}

static size_t quote_point(char out[16], uint32_t point)
{
    int len;
    if (point == '"' || point == '\\')
        len = snprintf(out, 16, "\\%c", (char)point);
    else if (point >= 0x20 && point < 0x7f)
        len = snprintf(out, 16, "%c", (char)point);
    else if (point < 0x10000)
        len = snprintf(out, 16, "\\u%04x", point);
    else
        len = snprintf(out, 16, "\\u%04x\\u%04x", 0xd800 + ((point - 0x10000) >> 10),
                       0xdc00 + ((point - 0x10000) & 0x3ff));
    return (size_t)len;
}

const char *log_quote(char *out, size_t size, struct slice text)
{
    if (size < 3) {
        if (size > 0) out[0] = '\0';
        return out;
    }
    size_t len = 0;
    out[len++] = '"';
    while (text.len > 0) {
        char piece[16];
        size_t piece_len = quote_point(piece, text_next(&text));
        if (piece_len > size - 2 - len) break;
        memcpy(out + len, piece, piece_len);
        len += piece_len;
    }
    out[len++] = '"';
    out[len] = '\0';
    return out;
}
