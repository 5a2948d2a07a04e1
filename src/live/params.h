/* Form fields and query strings: application/x-www-form-urlencoded, decoded once.
 *
 * Of a form string ("nonce=K&message=hi") or of a JSON object's members of text, numbers and booleans.
 * Fields that start with "_unused_" are left out. Values are decoded into the params' own buffer;
 * slices live as long as they do. A field that comes twice keeps its first value.
 */
#pragma once
#include "base/buf.h"
#include "base/limits.h"

struct json;

struct param {
    struct slice name, value;
};

struct params {
    struct buf text;
    struct param fields[PARAMS_MAX];
    size_t count;
    bool is_broken; /* a bad escape, invalid UTF-8, or too many fields: nothing is in it then */
};

void params_init(struct params *params);
void params_close(struct params *params);
/* Both start anew. */
void params_read_form(struct params *params, struct slice form);
void params_read_json(struct params *params, const struct json *object);
/* Empty if absent. */
struct slice params_get(const struct params *params, const char *name);
bool params_has(const struct params *params, const char *name);
