/* A token: version, payload, code. The payload of cookie and session is the session id, the time, and
 * two texts with their lengths before them (name, node); that of csrf is its id.
 */
#include "live/token.h"

#include <assert.h>

#include "base/crypto.h"
#include "base/limits.h"
#include "base/little_endian.h"

enum { TOKEN_VERSION = 1, ID_SIZE = 16, TIME_SIZE = 8, FUTURE_MAX_S = 24 * 3600 };

static const char *const kinds[] = {"livetea cookie", "livetea session", "livetea csrf"};
enum token_kind { TOKEN_COOKIE, TOKEN_SESSION, TOKEN_CSRF };

/* The secrets have no part in it: all nodes must agree while they are being exchanged. Neither
 * tells anything about the session id that it is made from. */
void identity_derive(struct identity *identity, const struct token_keys *keys)
{
    (void)keys;
    uint8_t sum[SHA256_SIZE];
    struct slice session = slice_make(identity->session, sizeof identity->session);
    struct slice parts[] = {SLICE("livetea csrf id"), session};
    crypto_sha256(sum, parts, 2);
    memcpy(identity->csrf, sum, sizeof identity->csrf);
    sender_id_of_session(&identity->sender_id, session);
}

static void sign(uint8_t code[SHA256_SIZE], enum token_kind kind, struct slice secret,
                 struct slice payload)
{
    uint8_t key[SHA256_SIZE];
    struct slice words = slice_from(kinds[kind]);
    crypto_hmac(key, secret, &words, 1);
    crypto_hmac(code, slice_make(key, sizeof key), &payload, 1);
    crypto_forget(key, sizeof key);
}

static void add_token(struct buf *out, enum token_kind kind, const struct token_keys *keys,
                      struct buf *payload)
{
    uint8_t code[SHA256_SIZE];
    assert(!payload->overflowed);
    sign(code, kind, keys->secrets[0], buf_slice(payload));
    buf_append(payload, code, sizeof code);
    crypto_add_base64url(out, payload->at, payload->len);
}

static void add_text(struct buf *out, const char *at, uint8_t len)
{
    buf_add_char(out, (char)len);
    buf_append(out, at, len);
}

static void add_identity(struct buf *out, enum token_kind kind, const struct token_keys *keys,
                         const struct identity *who)
{
    struct buf payload;
    uint8_t issued[TIME_SIZE];
    buf_init(&payload, TOKEN_MAX);
    buf_add_char(&payload, TOKEN_VERSION);
    buf_append(&payload, who->session, sizeof who->session);
    little_store(issued, (uint64_t)who->issued_s, sizeof issued);
    buf_append(&payload, issued, sizeof issued);
    add_text(&payload, who->name, who->name_len);
    add_text(&payload, who->node, kind == TOKEN_SESSION ? who->node_len : 0);
    add_token(out, kind, keys, &payload);
    buf_close(&payload);
}

void token_add_cookie(struct buf *out, const struct token_keys *keys, const struct identity *who)
{
    add_identity(out, TOKEN_COOKIE, keys, who);
}

void token_add_session(struct buf *out, const struct token_keys *keys, const struct identity *who)
{
    add_identity(out, TOKEN_SESSION, keys, who);
}

void token_add_csrf(struct buf *out, const struct token_keys *keys, const uint8_t csrf[16])
{
    struct buf payload;
    buf_init(&payload, TOKEN_MAX);
    buf_add_char(&payload, TOKEN_VERSION);
    buf_append(&payload, csrf, ID_SIZE);
    add_token(out, TOKEN_CSRF, keys, &payload);
    buf_close(&payload);
}

/* Decodes into `bytes` and checks the code: what is left in *payload is behind the version. */
static bool open_token(struct buf *bytes, struct slice *payload, enum token_kind kind,
                       const struct token_keys *keys, struct slice token)
{
    if (token.len > TOKEN_MAX || !crypto_base64url_decode(bytes, token)) return false;
    if (bytes->len < 1 + SHA256_SIZE || bytes->at[0] != TOKEN_VERSION) return false;
    struct slice all = buf_slice(bytes);
    struct slice signed_part = slice_first(all, all.len - SHA256_SIZE);
    bool good = false;
    for (size_t i = 0; i < 2 && !good; i++) {
        uint8_t code[SHA256_SIZE];
        if (keys->secrets[i].len == 0) continue;
        sign(code, kind, keys->secrets[i], signed_part);
        good = crypto_equal(code, all.at + signed_part.len, SHA256_SIZE);
    }
    *payload = slice_skip(signed_part, 1);
    return good;
}

static bool take_text(struct slice *rest, char *out, uint8_t *len, size_t max)
{
    if (rest->len == 0) return false;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): what has a length has a place */
    size_t count = (unsigned char)rest->at[0];
    *rest = slice_skip(*rest, 1);
    if (count > max || count > rest->len) return false;
    if (count > 0) memcpy(out, rest->at, count);
    *len = (uint8_t)count;
    *rest = slice_skip(*rest, count);
    return true;
}

static bool read_payload(struct identity *who, const struct token_keys *keys, struct slice rest)
{
    if (rest.len < ID_SIZE + TIME_SIZE) return false;
    struct identity made = {.name_len = 0};
    memcpy(made.session, rest.at, ID_SIZE);
    made.issued_s = (int64_t)little_load(rest.at + ID_SIZE, TIME_SIZE);
    rest = slice_skip(rest, ID_SIZE + TIME_SIZE);
    if (!take_text(&rest, made.name, &made.name_len, sizeof made.name)) return false;
    if (!take_text(&rest, made.node, &made.node_len, sizeof made.node)) return false;
    if (rest.len > 0) return false;
    identity_derive(&made, keys);
    *who = made;
    return true;
}

static bool read_identity(struct identity *who, enum token_kind kind, const struct token_keys *keys,
                          struct slice token, int64_t now_s, int64_t age_max_s)
{
    struct buf bytes;
    struct slice payload;
    struct identity made;
    buf_init(&bytes, TOKEN_MAX);
    bool good =
        open_token(&bytes, &payload, kind, keys, token) && read_payload(&made, keys, payload);
    buf_close(&bytes);
    if (!good) return false;
    if (made.issued_s < now_s - age_max_s || made.issued_s > now_s + FUTURE_MAX_S) return false;
    *who = made;
    return true;
}

bool token_read_cookie(struct identity *who, const struct token_keys *keys, struct slice token,
                       int64_t now_s)
{
    return read_identity(who, TOKEN_COOKIE, keys, token, now_s, COOKIE_AGE_S);
}

bool token_read_session(struct identity *who, const struct token_keys *keys, struct slice token,
                        int64_t now_s)
{
    return read_identity(who, TOKEN_SESSION, keys, token, now_s, TOKEN_AGE_MAX_S);
}

bool token_read_csrf(uint8_t csrf[16], const struct token_keys *keys, struct slice token)
{
    struct buf bytes;
    struct slice payload;
    buf_init(&bytes, TOKEN_MAX);
    bool good = open_token(&bytes, &payload, TOKEN_CSRF, keys, token) && payload.len == ID_SIZE;
    if (good) memcpy(csrf, payload.at, ID_SIZE);
    buf_close(&bytes);
    return good;
}
