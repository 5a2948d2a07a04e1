/* What people reach over HTTP: the pages, the forms that work without JavaScript, and the upgrade to a
 * WebSocket.
 *
 * A browser is known by its cookie (live/token.h); one without a good cookie gets a new identity. Forms
 * carry a csrf token that fits the cookie, else 403. The upgrade looks at no cookie: Origin and csrf
 * token let it in, and who it is comes with the join.
 */
#pragma once
#include "app/web_thread.h"
#include "live/channel.h"

struct site; /* of one web thread */

struct site *site_new(struct web_thread *thread, const struct token_keys *keys);
void site_free(struct site *site);

/* ROUTE_HOME, ROUTE_ROOM, ROUTE_CLUSTER (GET); ROUTE_SESSION, ROUTE_ROOMS, ROUTE_ROOM (POST). */
void site_handle(struct site *site, struct exchange *exchange, const struct http_request *request);
/* The page for a path that there is not. */
void site_not_found(struct site *site, struct exchange *exchange,
                    const struct http_request *request);

/* May this upgrade be? 0 and the csrf id, or the status to refuse it with. */
int site_upgrade(struct site *site, const struct http_request *request, uint8_t csrf[16]);
