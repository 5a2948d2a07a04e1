/* Options of a command: "--name VALUE", "--name=VALUE", "-n VALUE", "--switch", "--" and words.
 *
 * Names are never abbreviated, so a new option cannot change what an old line means. Pure; values
 * stand on argv.
 */
#pragma once
#include "base/err.h"
#include "base/slice.h"

struct option_spec {
    const char *name;     /* without "--"; NULL = only a letter */
    char letter;          /* 0 = none */
    const char *argument; /* its word in the help; NULL = a switch */
    const char *help;     /* half a line */
};

struct options {
    int argc;
    char *const *argv;
    int at;
    bool only_words; /* behind "--" */
};

enum { OPTIONS_END = -1, OPTIONS_WORD = -2, OPTIONS_BAD = -3 };

/* The place of the next option in `known` with its value (NULL for a switch); or OPTIONS_WORD with
 * the word as value, OPTIONS_END, OPTIONS_BAD with what is wrong. */
int options_next(struct options *options, const struct option_spec *known, size_t known_count,
                 const char **value, struct errmsg *errmsg);

struct buf;

/* The help of these options, a line each. */
void options_help(struct buf *out, const struct option_spec *known, size_t known_count);

/* Sentences in lines of at most 79 columns, each with `before` in front. */
void options_wrap(struct buf *out, const char *before, const char *text);

/* Insertions, deletions, exchanges and swaps of neighbours that lead from one word to the other. */
size_t options_distance(struct slice a, struct slice b);
