/* The writer looks at each byte once and copies whole runs between those that need an escape. The
 * reader walks over the text before jansson does and refuses what is too deep: jansson goes down by
 * recursion, to 2,048 levels.
 */
#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>

/* Jansson has a type of the name of our json_type, and macros of the names of two other functions. */
#define json_type jansson_type
#include <jansson.h>
#undef json_type
#undef json_is_string
#undef json_is_null

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"

/* ---- writing ---- */

/* 0 = as it is, 1 = \u00XX, 2 = perhaps the begin of U+2028 or U+2029, else the letter behind \ */
static const char escapes[256] = {1,           1,
                                  1,           1,
                                  1,           1,
                                  1,           1,
                                  'b',         't',
                                  'n',         1,
                                  'f',         'r',
                                  1,           1, /* 00 to 0f */
                                  1,           1,
                                  1,           1,
                                  1,           1,
                                  1,           1,
                                  1,           1,
                                  1,           1,
                                  1,           1,
                                  1,           1, /* 10 to 1f */
                                  ['"'] = '"', ['\\'] = '\\',
                                  [0xe2] = 2};

/* Line separators are white space to JSON and the end of a line to older JavaScript. */
static bool is_line_separator(const char *at, size_t left)
{
    return left >= 3 && (unsigned char)at[1] == 0x80 && ((unsigned char)at[2] & 0xfe) == 0xa8;
}

void json_add_escaped(struct buf *buf, struct slice text)
{
    static const char digits[] = "0123456789abcdef";
    size_t start = 0; /* of the run that is copied as it is */
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        char escape = escapes[byte];
        if (escape == 0) continue;
        if (escape == 2 && !is_line_separator(text.at + i, text.len - i)) continue;

        buf_append(buf, text.at + start, i - start);
        if (escape == 1) {
            char letters[6] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 0xf]};
            buf_append(buf, letters, sizeof letters);
        } else if (escape == 2) {
            buf_append(buf, (unsigned char)text.at[i + 2] == 0xa8 ? "\\u2028" : "\\u2029", 6);
            i += 2;
        } else {
            char letters[2] = {'\\', escape};
            buf_append(buf, letters, sizeof letters);
        }
        start = i + 1;
    }
    if (text.len > start) buf_append(buf, text.at + start, text.len - start);
}

void json_add_string(struct buf *buf, struct slice text)
{
    buf_add_char(buf, '"');
    json_add_escaped(buf, text);
    buf_add_char(buf, '"');
}

void json_add_key(struct buf *buf, const char *key)
{
    if (buf->len > 0) {
        char last = buf->at[buf->len - 1];
        if (last != '{' && last != '[' && last != ':') buf_add_char(buf, ',');
    }
    if (key == NULL) return;
    buf_add_char(buf, '"');
    buf_add(buf, slice_from(key));
    buf_append(buf, "\":", 2);
}

void json_add_u64(struct buf *buf, const char *key, uint64_t value)
{
    json_add_key(buf, key);
    buf_add_u64(buf, value);
}

void json_add_i64(struct buf *buf, const char *key, int64_t value)
{
    json_add_key(buf, key);
    buf_add_i64(buf, value);
}

void json_add_bool(struct buf *buf, const char *key, bool value)
{
    json_add_key(buf, key);
    buf_add(buf, value ? slice_of("true") : slice_of("false"));
}

void json_add_text(struct buf *buf, const char *key, struct slice value)
{
    json_add_key(buf, key);
    json_add_string(buf, value);
}

void json_add_null(struct buf *buf, const char *key)
{
    json_add_key(buf, key);
    buf_add(buf, slice_of("null"));
}

void json_add_double(struct buf *buf, const char *key, double value, int decimals)
{
    if (!isfinite(value)) {
        json_add_null(buf, key);
        return;
    }
    json_add_key(buf, key);
    buf_printf(buf, "%.*f", decimals, value);
}

void json_add_time(struct buf *buf, const char *key, int64_t wall_ms)
{
    json_add_key(buf, key);
    buf_add_char(buf, '"');
    clock_add_rfc3339(buf, wall_ms, true);
    buf_add_char(buf, '"');
}

/* ---- reading ---- */

/* Counts brackets outside of strings; whether they match is jansson's question. */
static bool is_too_deep(struct slice text)
{
    size_t depth = 0;
    bool inside_string = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (inside_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                inside_string = false;
            continue;
        }
        if (c == '"') inside_string = true;
        if ((c == '[' || c == '{') && ++depth > JSON_DEPTH_MAX) return true;
        if ((c == ']' || c == '}') && depth > 0) depth--;
    }
    return false;
}

static void *take(size_t size)
{
    return mem_grow(NULL, size);
}

/* Without memory jansson says that the text is no JSON. */
static void set_memory(void)
{
    json_set_alloc_funcs(take, mem_free);
}

int json_parse(struct json **out, struct slice text, struct errmsg *errmsg)
{
    *out = NULL;
    if (text.len > JSON_TEXT_MAX) {
        errmsg_set(errmsg, "JSON of %zu bytes: more than %d are not read", text.len,
                   (int)JSON_TEXT_MAX);
        return ERR_TOO_LARGE;
    }
    if (is_too_deep(text)) {
        errmsg_set(errmsg, "JSON with more than %d brackets within one another",
                   (int)JSON_DEPTH_MAX);
        return ERR_TOO_LARGE;
    }

    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_memory);
    json_error_t error;
    json_t *tree = json_loadb(text.len == 0 ? "" : text.at, text.len,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (tree == NULL) {
        /* Its words quote the text, which may be anybody's: the place says enough. */
        errmsg_set(errmsg, "not valid JSON at line %d, column %d", error.line, error.column);
        return ERR_FORMAT;
    }
    *out = (struct json *)tree;
    return 0;
}

void json_free(struct json *json)
{
    json_decref((json_t *)json);
}

static const json_t *tree_of(const struct json *json)
{
    return (const json_t *)json;
}

enum json_type json_type(const struct json *json)
{
    const json_t *tree = tree_of(json);
    if (json_is_true(tree) || json_is_false(tree)) return JSON_T_BOOL;
    if (json_is_number(tree)) return JSON_T_NUMBER;
    if (json_is_string(json)) return JSON_T_STRING;
    if (json_is_array(tree)) return JSON_T_ARRAY;
    if (json_is_object(tree)) return JSON_T_OBJECT;
    return JSON_T_NULL;
}

bool json_is_null(const struct json *json)
{
    return json == NULL || json_typeof(tree_of(json)) == JSON_NULL;
}

bool json_is_string(const struct json *json)
{
    return json != NULL && json_typeof(tree_of(json)) == JSON_STRING;
}

struct slice json_slice(const struct json *json)
{
    if (!json_is_string(json)) return (struct slice){NULL, 0};
    return slice_make(json_string_value(tree_of(json)), json_string_length(tree_of(json)));
}

size_t json_count(const struct json *json)
{
    const json_t *tree = tree_of(json);
    if (json_is_array(tree)) return json_array_size(tree);
    if (json_is_object(tree)) return json_object_size(tree);
    return 0;
}

const struct json *json_at(const struct json *json, size_t index)
{
    return (const struct json *)json_array_get(tree_of(json), index);
}

const struct json *json_get(const struct json *json, const char *key)
{
    return (const struct json *)json_object_get(tree_of(json), key);
}

const struct json *json_member(const struct json *object, void **walk, struct slice *key)
{
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): iterating changes nothing */
    json_t *tree = (json_t *)(uintptr_t)object;
    if (!json_is_object(tree)) return NULL;
    *walk = *walk == NULL ? json_object_iter(tree) : json_object_iter_next(tree, *walk);
    if (*walk == NULL) return NULL;
    *key = slice_from(json_object_iter_key(*walk));
    return (const struct json *)json_object_iter_value(*walk);
}

bool json_to_i64(const struct json *json, int64_t *value)
{
    const json_t *tree = tree_of(json);
    if (!json_is_integer(tree)) return false;
    *value = json_integer_value(tree);
    return true;
}

bool json_to_bool(const struct json *json, bool fallback)
{
    return json_type(json) == JSON_T_BOOL ? json_is_true(tree_of(json)) : fallback;
}

double json_to_double(const struct json *json, double fallback)
{
    return json_type(json) == JSON_T_NUMBER ? json_number_value(tree_of(json)) : fallback;
}
