/* One setting, and the table of all of them: name, kind, bounds, default, check, help.
 *
 * A value is text on its way in and out, and typed inside of struct config. What the table says is all
 * that is known about a setting on its own; how settings fit one another is config.c's. Pure.
 */
#pragma once
#include "app/config.h"

enum setting_kind {
    SETTING_TEXT,     /* char[] */
    SETTING_COUNT,    /* uint32_t */
    SETTING_DURATION, /* uint32_t, ms */
    SETTING_SIZE,     /* uint64_t, bytes */
    SETTING_SWITCH,   /* bool */
    SETTING_CHOICE,   /* int: place among the choices */
    SETTING_OFFSET    /* int32_t, minutes east of UTC */
};

enum { SETTING_CHOICES_MAX = 4, SETTING_NAME_MAX = 64 };

struct setting {
    const char *section, *key;
    const char *argument; /* its word in the help */
    const char *fallback; /* as one would write it; NULL: it is derived */
    const char *derived;  /* in words, when it is derived */
    const char *help;     /* sentences */
    const char *choices[SETTING_CHOICES_MAX];
    const char *(*check)(struct slice text); /* of a text that is not empty: why not, or NULL */
    size_t place, size;                      /* in struct config */
    uint64_t min, max;                       /* of a number */
    enum setting_kind kind;
    bool is_list;
    bool is_prose; /* words for people: may hold a '#' behind a blank, also in the file */
};

extern const struct setting settings[];
extern const size_t settings_count;

/* The setting's place in the table, or -1. */
int settings_find(struct slice section, struct slice key);

/* "http-max-connections" and "LIVETEA_HTTP_MAX_CONNECTIONS" into out. */
void setting_option_name(const struct setting *setting, char out[SETTING_NAME_MAX]);
void setting_variable_name(const struct setting *setting, char out[SETTING_NAME_MAX]);

/* Takes a value; NULL, or why not. An empty text stands for the default. */
const char *setting_set(struct config *config, const struct setting *setting, struct slice text);
/* The value as one would write it. */
void setting_show(struct buf *out, const struct config *config, const struct setting *setting);

/* "250ms", "30s", "5m", "1h", "0". False for anything else. */
bool setting_duration(struct slice text, uint64_t *ms);
void setting_add_duration(struct buf *out, uint64_t ms);
/* "64KiB", "1GiB", "512" (bytes). */
bool setting_size(struct slice text, uint64_t *bytes);
void setting_add_size(struct buf *out, uint64_t bytes);
/* "host:port", "[::1]:port", ":port"; why not, or NULL. */
const char *setting_address_problem(struct slice address);
