/* What happened: one line a fact.
 *
 *     log_info("leader elected", "node=%s term=%" PRIu64, name, term);
 *
 * First the constant words to search for, then key=value with snake_case keys and units in the
 * names; a value with blanks is quoted (%.*s of untrusted text goes through log_quote). Error:
 * somebody must act. Warn: we coped. Info: the node's life, silent while nothing changes. Debug: a
 * connection's life. What people write, their names, cookies and tokens are never logged.
 *
 * Any thread; a line is one write. As text
 *     14:02:11.490 info  cluster name=livetea members=3
 * or as JSON, ts level node msg first, then the keys. The same words from one thread more than
 * LOG_REPEATS_MAX times in LOG_REPEATS_MS are counted; the count is told with the first line that the
 * thread writes after that time.
 */
#pragma once
#include <stdbool.h>

#include "base/slice.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_AUTO, LOG_TEXT, LOG_JSON };

struct log_options {
    enum log_level level;
    enum log_format format; /* auto: text on a terminal or the journal, else json */
    const char *file;       /* NULL: standard error */
    const char *node;       /* the node's name, for the JSON form */
};

/* Once, before the threads start. Without it lines of info and above go to standard error as
 * text. Returns 0 or ERR_IO with errno set when the file cannot be opened. */
int log_open(const struct log_options *options);

/* Any thread, at any time (SIGHUP). */
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

__attribute__((format(printf, 3, 4))) void log_line(enum log_level level, const char *words,
                                                    const char *format, ...);

/* format may be "" */
#define log_error(words, ...) log_line(LOG_ERROR, words, __VA_ARGS__)
#define log_warn(words, ...)  log_line(LOG_WARN, words, __VA_ARGS__)
#define log_info(words, ...)  log_line(LOG_INFO, words, __VA_ARGS__)
#define log_debug(words, ...)                                                \
    do {                                                                     \
        if (log_enabled(LOG_DEBUG)) log_line(LOG_DEBUG, words, __VA_ARGS__); \
    } while (0)

/* Untrusted text made fit for a value: in quotes, with controls, quotes and non-ASCII escaped as in
 * JSON, cut at the size of `out` (at least 3). Returns out. */
const char *log_quote(char *out, size_t size, struct slice text);
