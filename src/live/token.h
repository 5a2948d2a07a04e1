/* Signed tokens: who a page belongs to, on whichever node it is.
 *
 *   cookie   the identity from one page load to the next; never looked at by the WebSocket
 *   session  data-phx-session, sent with each join: the identity, the page's csrf id, the node that
 *            rendered the page and when
 *   csrf     meta and form field, sent with the upgrade and each form: a csrf id and its signature
 *
 * Each is base64url of a version byte, the payload and an HMAC-SHA-256 under a key derived from the
 * cluster's secret and the kind of token, so that one kind never passes for another. Up to two secrets
 * are accepted, the first signs. The csrf id of a browser follows from its session id, so a form's
 * token fits the cookie, and a join's session fits the upgrade's token, on every node. Pure.
 */
#pragma once
#include "base/buf.h"
#include "base/limits.h"
#include "chat/ids.h"

struct identity {               /* of one browser */
    uint8_t session[16];        /* random, made at the first visit */
    uint8_t csrf[16];           /* follows from session */
    struct sender_id sender_id; /* follows from session */
    int64_t issued_s;           /* wall clock */
    uint8_t name_len;           /* 0: has no name yet */
    uint8_t node_len;
    char name[NAME_MAX_BYTES];
    char node[NODE_NAME_MAX]; /* that rendered the page; of session tokens only */
};

struct token_keys {
    struct slice secrets[2]; /* [1] may be empty */
};

/* Fills csrf and sender_id from session. */
void identity_derive(struct identity *identity, const struct token_keys *keys);
static inline struct slice identity_name(const struct identity *identity)
{
    return slice_make(identity->name, identity->name_len);
}

void token_add_cookie(struct buf *out, const struct token_keys *keys, const struct identity *who);
void token_add_session(struct buf *out, const struct token_keys *keys, const struct identity *who);
void token_add_csrf(struct buf *out, const struct token_keys *keys, const uint8_t csrf[16]);

/* False for anything that is not a token of that kind under one of the keys, is longer than
 * TOKEN_MAX, or older than its age (COOKIE_AGE_S; TOKEN_AGE_MAX_S for a session) or from more than
 * a day in the future. A csrf token has no age. */
bool token_read_cookie(struct identity *who, const struct token_keys *keys, struct slice token,
                       int64_t now_s);
bool token_read_session(struct identity *who, const struct token_keys *keys, struct slice token,
                        int64_t now_s);
bool token_read_csrf(uint8_t csrf[16], const struct token_keys *keys, struct slice token);
