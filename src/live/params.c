/* Everything that may be needed is reserved first, so that the text does not move while slices of it
 * are taken: a decoded form is no longer than the form, a JSON value no longer than its text and
 * some digits.
 */
#include "live/params.h"

#include <assert.h>

#include "base/json.h"
#include "base/text.h"

enum { NUMBER_ROOM = 32 /* bytes of a printed number, and more */ };

static_assert(WS_MESSAGE_MAX >= HTTP_BODY_MAX, "a form from either way fits");

void params_init(struct params *params)
{
    params->count = 0;
    params->is_broken = false;
    buf_init(&params->text, WS_MESSAGE_MAX + PARAMS_MAX * NUMBER_ROOM);
}

void params_close(struct params *params)
{
    buf_close(&params->text);
    params->count = 0;
}

static void start(struct params *params, size_t room)
{
    buf_reset(&params->text);
    params->count = 0;
    params->is_broken = buf_extend(&params->text, room) == NULL && room > 0;
    buf_truncate(&params->text, 0);
}

static void fail(struct params *params)
{
    buf_reset(&params->text);
    params->count = 0;
    params->is_broken = true;
}

static bool is_wanted(struct slice name)
{
    return !slice_starts(name, slice_of("_unused_"));
}

static bool has_field(const struct params *params, struct slice name)
{
    for (size_t i = 0; i < params->count; i++)
        if (slice_equal(params->fields[i].name, name)) return true;
    return false;
}

/* The first value of a name stays. */
static void add_field(struct params *params, struct slice name, struct slice value)
{
    if (!is_wanted(name) || has_field(params, name)) return;
    if (params->count == PARAMS_MAX) {
        fail(params);
        return;
    }
    params->fields[params->count++] = (struct param){.name = name, .value = value};
}

/* What was appended to the text since `start`. */
static struct slice since(const struct params *params, size_t start)
{
    return slice_skip(buf_slice(&params->text), start);
}

void params_read_form(struct params *params, struct slice form)
{
    start(params, form.len);
    while (form.len > 0 && !params->is_broken) {
        struct slice value = slice_cut(&form, '&');
        if (value.len == 0) continue;
        struct slice name = slice_cut(&value, '=');
        size_t name_start = params->text.len;
        bool good = text_unescape_url(&params->text, name, true);
        size_t value_start = params->text.len;
        good = good && text_unescape_url(&params->text, value, true);
        struct slice decoded = since(params, value_start);
        struct slice decoded_name =
            slice_first(since(params, name_start), value_start - name_start);
        if (good && text_valid(decoded_name) && text_valid(decoded))
            add_field(params, decoded_name, decoded);
        else
            fail(params);
    }
}

/* As text; false for what has no such form. */
static bool add_value(struct buf *out, const struct json *value)
{
    int64_t whole;
    switch (json_type(value)) {
    case JSON_T_STRING: buf_add(out, json_slice(value)); return true;
    case JSON_T_BOOL:
        buf_add(out, slice_from(json_to_bool(value, false) ? "true" : "false"));
        return true;
    case JSON_T_NUMBER:
        if (json_to_i64(value, &whole))
            buf_add_i64(out, whole);
        else
            buf_printf(out, "%.17g", json_to_double(value, 0));
        return true;
    case JSON_T_NULL:
    case JSON_T_ARRAY:
    case JSON_T_OBJECT: break;
    }
    return false;
}

void params_read_json(struct params *params, const struct json *object)
{
    size_t room = 0;
    struct slice key;
    void *walk = NULL;
    for (const struct json *value; (value = json_member(object, &walk, &key)) != NULL;)
        room += key.len + json_slice(value).len + NUMBER_ROOM;
    start(params, room);

    walk = NULL;
    for (const struct json *value;
         !params->is_broken && (value = json_member(object, &walk, &key)) != NULL;) {
        size_t name_start = params->text.len;
        buf_add(&params->text, key);
        size_t value_start = params->text.len;
        if (!add_value(&params->text, value)) continue;
        struct slice name = slice_first(since(params, name_start), value_start - name_start);
        add_field(params, name, since(params, value_start));
    }
}

struct slice params_get(const struct params *params, const char *name)
{
    for (size_t i = 0; i < params->count; i++)
        if (slice_is(params->fields[i].name, name)) return params->fields[i].value;
    return slice_of("");
}

bool params_has(const struct params *params, const char *name)
{
    return has_field(params, slice_from(name));
}
