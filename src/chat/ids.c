#include "chat/ids.h"

#include "base/crypto.h"
#include "base/limits.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static bool is_dash_place(size_t place)
{
    return place == 8 || place == 13 || place == 18 || place == 23;
}

static bool uuid_from(struct command_id *id, struct slice text)
{
    if (text.len != COMMAND_ID_TEXT) return false;
    size_t digits = 0;
    for (size_t place = 0; place < COMMAND_ID_TEXT; place++) {
        if (is_dash_place(place)) {
            if (text.at[place] != '-') return false;
            continue;
        }
        int digit = hex_digit(text.at[place]);
        if (digit < 0) return false;
        uint8_t before = digits % 2 == 0 ? 0 : id->bytes[digits / 2];
        id->bytes[digits / 2] = (uint8_t)(before << 4 | digit);
        digits++;
    }
    return true;
}

/* SHA-256 cut to 16 bytes. `kind` keeps what is hashed for different ends apart. */
static void short_hash(uint8_t out[16], struct slice kind, struct slice text)
{
    uint8_t whole[SHA256_SIZE];
    struct slice parts[2] = {kind, text};
    crypto_sha256(whole, parts, 2);
    memcpy(out, whole, 16);
}

bool command_id_from(struct command_id *id, struct slice text)
{
    if (text.len == 0 || text.len > COMMAND_KEY_MAX) return false;
    if (uuid_from(id, text)) return true;
    short_hash(id->bytes, slice_of("livetea command\n"), text);
    return true;
}

void command_id_make(struct command_id *id, int64_t wall_ms, const uint8_t random[10])
{
    uint64_t ms = (uint64_t)wall_ms;
    for (size_t i = 0; i < 6; i++)
        id->bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    memcpy(id->bytes + 6, random, 10);
    id->bytes[6] = (uint8_t)((id->bytes[6] & 0x0f) | 0x70); /* version 7 */
    id->bytes[8] = (uint8_t)((id->bytes[8] & 0x3f) | 0x80); /* the variant of RFC 9562 */
}

void command_id_text(char out[COMMAND_ID_TEXT], const struct command_id *id)
{
    static const char digits[] = "0123456789abcdef";
    size_t place = 0;
    for (size_t i = 0; i < sizeof id->bytes; i++) {
        if (is_dash_place(place)) out[place++] = '-';
        out[place++] = digits[id->bytes[i] >> 4];
        out[place++] = digits[id->bytes[i] & 0xf];
    }
}

void sender_id_of_session(struct sender_id *id, struct slice session)
{
    short_hash(id->bytes, slice_of("livetea session\n"), session);
}

void sender_id_of_api(struct sender_id *id, struct slice name)
{
    short_hash(id->bytes, slice_of("livetea api sender\n"), name);
}
