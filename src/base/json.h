/* JSON: a writer that appends, and a reader. The door to jansson.
 *
 * Writing goes straight into a buffer: the caller writes the structure (commas, brackets), the
 * functions here write values. Reading gives a tree that lives until json_free; slices from it
 * stand on its memory. Depth, duplicate keys and size are checked before anything is believed.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"

/* A string with its quotes. Escapes ", \, controls, and U+2028/2029; text must be valid UTF-8. */
void json_add_string(struct buf *buf, struct slice text);
/* The inside of a string, without quotes: what stands between two pieces of one string. */
void json_add_escaped(struct buf *buf, struct slice text);
/* `"key":` with a comma before it unless the last byte is '{' , '[' or ':' or the buffer is empty.
 * The key is a literal that needs no escaping; NULL = none, for an element of an array. */
void json_add_key(struct buf *buf, const char *key);
void json_add_u64(struct buf *buf, const char *key, uint64_t value);
void json_add_i64(struct buf *buf, const char *key, int64_t value);
void json_add_bool(struct buf *buf, const char *key, bool value);
void json_add_text(struct buf *buf, const char *key, struct slice value);
void json_add_null(struct buf *buf, const char *key);
/* With `decimals` digits behind the point; a NaN or an infinity is written as null. */
void json_add_double(struct buf *buf, const char *key, double value, int decimals);
/* Time in RFC 3339. */
void json_add_time(struct buf *buf, const char *key, int64_t wall_ms);

struct json; /* a value; jansson's json_t behind the door */

enum json_type {
    JSON_T_NULL,
    JSON_T_BOOL,
    JSON_T_NUMBER,
    JSON_T_STRING,
    JSON_T_ARRAY,
    JSON_T_OBJECT
};

/* Returns 0 and a tree, or ERR_FORMAT / ERR_TOO_LARGE with the place in the errmsg. Refuses depth
 * over JSON_DEPTH_MAX, invalid UTF-8, NUL in strings, duplicate keys, anything behind the value. */
int json_parse(struct json **out, struct slice text, struct errmsg *errmsg);
void json_free(struct json *json);

/* All of these take NULL and answer as for a value that is not there. */
enum json_type json_type(const struct json *json);
size_t json_count(const struct json *json);                            /* of an array or object */
const struct json *json_at(const struct json *json, size_t index);     /* NULL outside */
const struct json *json_get(const struct json *json, const char *key); /* NULL if absent */
bool json_is_null(const struct json *json);
/* Walks over an object's members: *walk is NULL before the first call, the answer NULL at the end. */
const struct json *json_member(const struct json *object, void **walk, struct slice *key);
/* The text of a string; empty for anything else. */
struct slice json_slice(const struct json *json);
bool json_is_string(const struct json *json);
/* A whole number that fits; false for anything else. */
bool json_to_i64(const struct json *json, int64_t *value);
bool json_to_bool(const struct json *json, bool fallback);
double json_to_double(const struct json *json, double fallback);
