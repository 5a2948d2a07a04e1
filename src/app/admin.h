/* The administrator's token: who has the cluster's secret may change the cluster.
 *
 *     token = base64url(HMAC-SHA-256(secret, "admin"))        Authorization: Bearer TOKEN
 *
 * The nodes and the command line make it from the same file, so there is nothing more to hand out, and
 * the secret itself never travels. While a secret is being changed the file has two lines, and
 * a token of either is believed. How long a comparison takes tells nothing about the token. Pure.
 */
#pragma once
#include "app/secret.h"

enum { ADMIN_TOKEN_LEN = 43 };

/* With a NUL at its end. */
void admin_token(char out[ADMIN_TOKEN_LEN + 1], struct slice secret);

/* Is this value of an Authorization header one of an administrator's? */
bool admin_believes(const struct secret *secret, struct slice authorization);
