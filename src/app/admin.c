#include "app/admin.h"

#include <assert.h>
#include <strings.h>

void admin_token(char out[ADMIN_TOKEN_LEN + 1], struct slice secret)
{
    uint8_t code[SHA256_SIZE];
    struct slice purpose = slice_of("admin");
    struct buf text;
    crypto_hmac(code, secret, &purpose, 1);
    buf_init(&text, 2 * ADMIN_TOKEN_LEN); /* it is padded while it is made */
    crypto_add_base64url(&text, code, sizeof code);
    assert(text.len == ADMIN_TOKEN_LEN && !text.overflowed);
    memcpy(out, text.at, ADMIN_TOKEN_LEN);
    out[ADMIN_TOKEN_LEN] = '\0';
    crypto_forget(text.at, text.len);
    crypto_forget(code, sizeof code);
    buf_close(&text);
}

/* What stands behind "Bearer", any case, and at least one blank; empty for any other scheme. */
static struct slice bearer_of(struct slice authorization)
{
    struct slice rest = slice_trim(authorization);
    struct slice scheme = slice_cut(&rest, ' ');
    bool is_bearer = scheme.len == 6 && strncasecmp(scheme.at, "Bearer", 6) == 0;
    return is_bearer ? slice_trim(rest) : (struct slice){NULL, 0};
}

bool admin_believes(const struct secret *secret, struct slice authorization)
{
    struct slice given = bearer_of(authorization);
    if (given.len != ADMIN_TOKEN_LEN) return false; /* the length of a token is no secret */
    bool is_one = false;
    /* All lines are looked at, whichever it is. */
    for (size_t i = 0; i < secret->count; i++) {
        char token[ADMIN_TOKEN_LEN + 1];
        admin_token(token, secret_slice(secret, i));
        is_one |= crypto_equal(given.at, token, ADMIN_TOKEN_LEN);
        crypto_forget(token, sizeof token);
    }
    return is_one;
}
