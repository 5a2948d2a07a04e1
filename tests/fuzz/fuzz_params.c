/* Forms and JSON objects, and what is made of the names in them. Byte 0: 'f' a form, 'j' JSON, 'n' a
 * name.
 */
#include "base/json.h"
#include "base/text.h"
#include "fuzz.h"
#include "live/params.h"

enum { NAMES_MAX = 4096 };

static void check(const struct params *params)
{
    FUZZ_HOLDS(params->count <= PARAMS_MAX);
    FUZZ_HOLDS(!params->is_broken || params->count == 0);
    for (size_t i = 0; i < params->count; i++) {
        FUZZ_HOLDS(text_valid(params->fields[i].name) && text_valid(params->fields[i].value));
        FUZZ_HOLDS(!slice_starts(params->fields[i].name, slice_of("_unused_")));
    }
}

static void read_json(struct params *params, struct slice text)
{
    struct json *json = NULL;
    struct errmsg errmsg = {""};
    if (json_parse(&json, text, &errmsg) != 0) {
        FUZZ_HOLDS(errmsg.text[0] != '\0');
        return;
    }
    params_read_json(params, json);
    check(params);
    json_free(json);
}

/* A name that was made is as it should be, and would be made of itself. */
static void make_names(struct slice raw)
{
    struct buf once, twice;
    buf_init(&once, NAMES_MAX);
    buf_init(&twice, NAMES_MAX);
    if (text_room(&once, raw)) {
        FUZZ_HOLDS(text_room_lawful(buf_slice(&once)));
        FUZZ_HOLDS(text_room(&twice, buf_slice(&once)));
        FUZZ_HOLDS(slice_equal(buf_slice(&once), buf_slice(&twice)));
    }
    buf_reset(&once);
    buf_reset(&twice);
    if (text_name(&once, raw)) {
        FUZZ_HOLDS(once.len > 0 && once.len <= NAME_MAX_BYTES && text_valid(buf_slice(&once)));
        FUZZ_HOLDS(text_name(&twice, buf_slice(&once)));
        FUZZ_HOLDS(slice_equal(buf_slice(&once), buf_slice(&twice)));
    }
    buf_close(&once);
    buf_close(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct params params;
    if (size < 1) return 0;
    struct slice rest = slice_make(data + 1, size - 1);
    params_init(&params);
    switch (data[0]) {
    case 'f':
        params_read_form(&params, rest);
        check(&params);
        break;
    case 'j': read_json(&params, rest); break;
    case 'n': make_names(rest); break;
    default: break;
    }
    params_close(&params);
    return 0;
}
