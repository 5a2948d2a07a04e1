/* The small fixed-size names of the domain: who sent it, which command it was, what came before. */
#pragma once
#include "base/slice.h"

struct command_id { /* of a SendMessage, made by its sender; executed once, for ever */
    uint8_t bytes[16];
};

struct sender_id { /* a hash of a session or of an API sender's name: never both */
    uint8_t bytes[16];
};

struct digest { /* over the history up to and with one event: equal numbers, equal digests */
    uint8_t bytes[16];
};

static inline bool command_id_equal(const struct command_id *a, const struct command_id *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* A UUID in its usual text form as it is; any other string of 1 to COMMAND_KEY_MAX bytes hashed
 * to 16. False for the empty and the too long one. Pure. */
bool command_id_from(struct command_id *id, struct slice text);

/* A fresh UUIDv7 of `wall_ms` and `random` (10 bytes). Pure. */
void command_id_make(struct command_id *id, int64_t wall_ms, const uint8_t random[10]);

enum { COMMAND_ID_TEXT = 36 }; /* bytes of the text form, without a NUL */

/* The UUID text form into exactly COMMAND_ID_TEXT bytes; no final NUL. */
void command_id_text(char out[COMMAND_ID_TEXT], const struct command_id *id);

/* Of the session id in a browser's cookie, or of an API sender's name. */
void sender_id_of_session(struct sender_id *id, struct slice session);
void sender_id_of_api(struct sender_id *id, struct slice name);
