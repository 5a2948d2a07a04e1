#include "cli/options.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/limits.h"

enum { WORD_MAX = 64, HELP_COLUMN = 30, LINE_COLUMNS = 79 };

size_t options_distance(struct slice a, struct slice b)
{
    size_t rows[3][WORD_MAX + 1]; /* of the table of distances: before last, last, this one */
    a = slice_first(a, WORD_MAX);
    b = slice_first(b, WORD_MAX);
    for (size_t j = 0; j <= b.len; j++)
        rows[1][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *before = rows[(i + 2) % 3], *last = rows[i % 3], *now = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t least = last[j - 1] + (a.at[i - 1] == b.at[j - 1] ? 0 : 1);
            if (last[j] + 1 < least) least = last[j] + 1;
            if (now[j - 1] + 1 < least) least = now[j - 1] + 1;
            bool swapped =
                i > 1 && j > 1 && a.at[i - 1] == b.at[j - 2] && a.at[i - 2] == b.at[j - 1];
            if (swapped && before[j - 2] + 1 < least) least = before[j - 2] + 1;
            now[j] = least;
        }
    }
    return rows[(a.len + 1) % 3][b.len];
}

static int unknown(const char *word, const struct option_spec *known, size_t known_count,
                   struct errmsg *errmsg)
{
    struct slice name = slice_from(word + 2), rest = name;
    name = slice_cut(&rest, '=');
    const char *nearest = NULL;
    size_t least = name.len < 6 ? 2 : 4; /* what is farther away was not meant */
    for (size_t i = 0; i < known_count; i++) {
        if (known[i].name == NULL) continue;
        size_t distance = options_distance(name, slice_from(known[i].name));
        if (distance >= least) continue;
        least = distance;
        nearest = known[i].name;
    }
    if (nearest == NULL) {
        errmsg_set(errmsg, "unknown option '--%.*s'", (int)name.len, name.at);
    } else {
        errmsg_set(errmsg, "unknown option '--%.*s'. Did you mean '--%s'?", (int)name.len, name.at,
                   nearest);
    }
    return OPTIONS_BAD;
}

/* The value is what stands behind the option itself, or the next word. */
static int take_value(struct options *options, const struct option_spec *known, int place,
                      struct slice attached, const char **value, struct errmsg *errmsg)
{
    const struct option_spec *spec = &known[place];
    char letter[2] = {spec->letter, '\0'};
    const char *dashes = spec->name == NULL ? "-" : "--";
    const char *name = spec->name == NULL ? letter : spec->name;
    *value = NULL;
    if (spec->argument == NULL) {
        if (attached.at == NULL) return place;
        errmsg_set(errmsg, "'%s%s' takes no value", dashes, name);
        return OPTIONS_BAD;
    }
    if (attached.at != NULL) {
        *value = attached.at;
        return place;
    }
    if (options->at == options->argc) {
        errmsg_set(errmsg, "'%s%s' needs a value: %s", dashes, name, spec->argument);
        return OPTIONS_BAD;
    }
    *value = options->argv[options->at++];
    return place;
}

int options_next(struct options *options, const struct option_spec *known, size_t known_count,
                 const char **value, struct errmsg *errmsg)
{
    *value = NULL;
    if (options->at == options->argc) return OPTIONS_END;
    const char *word = options->argv[options->at++];
    if (!options->only_words && strcmp(word, "--") == 0) {
        options->only_words = true;
        if (options->at == options->argc) return OPTIONS_END;
        word = options->argv[options->at++];
    }
    if (options->only_words || word[0] != '-' || word[1] == '\0') {
        *value = word;
        return OPTIONS_WORD;
    }

    struct slice rest = slice_from(word + 2), none = {NULL, 0};
    if (word[1] != '-') {
        for (size_t i = 0; i < known_count; i++) {
            if (known[i].letter != word[1]) continue;
            return take_value(options, known, (int)i, rest.len > 0 ? rest : none, value, errmsg);
        }
        errmsg_set(errmsg, "unknown option '-%c'", word[1]);
        return OPTIONS_BAD;
    }

    struct slice name = slice_cut(&rest, '=');
    bool has_value = name.len < strlen(word + 2);
    struct slice attached = has_value ? slice_from(word + 2 + name.len + 1) : none;
    for (size_t i = 0; i < known_count; i++) {
        if (known[i].name == NULL || !slice_is(name, known[i].name)) continue;
        return take_value(options, known, (int)i, attached, value, errmsg);
    }
    return unknown(word, known, known_count, errmsg);
}

void options_help(struct buf *out, const struct option_spec *known, size_t known_count)
{
    for (size_t i = 0; i < known_count; i++) {
        const struct option_spec *spec = &known[i];
        size_t start = out->len;
        if (spec->letter != 0) {
            buf_printf(out, "  -%c%s", spec->letter, spec->name == NULL ? "" : ", ");
        } else {
            buf_add(out, slice_of("      "));
        }
        if (spec->name != NULL) buf_printf(out, "--%s", spec->name);
        if (spec->argument != NULL) buf_printf(out, " %s", spec->argument);
        size_t width = out->len - start;
        buf_printf(out, "%*s%s\n", width < HELP_COLUMN ? (int)(HELP_COLUMN - width) : 2, "",
                   spec->help == NULL ? "" : spec->help);
    }
}

void options_wrap(struct buf *out, const char *before, const char *text)
{
    struct slice rest = slice_from(text);
    while (rest.len > 0) {
        size_t room = LINE_COLUMNS - strlen(before), taken = rest.len;
        if (taken > room) {
            taken = room;
            while (taken > 0 && rest.at[taken] != ' ')
                taken--;
            if (taken == 0) taken = room;
        }
        buf_printf(out, "%s%.*s\n", before, (int)taken, rest.at);
        rest = slice_trim(slice_skip(rest, taken));
    }
}
