/* What programs reach over HTTP: /livez, /readyz, /status, /metrics, and the chat under /api.
 *
 *     GET  /api/rooms                        the newest rooms
 *     GET  /api/rooms/:room/messages         ?after=N &before=N &limit=1..500 &wait=0..30s
 *     POST /api/rooms/:room/messages         {"sender","text","id"}: 201 once it is committed
 *     GET  /api/events                       ?after=N &limit=1..10000 &wait=0..30s: the history, NDJSON
 *
 * Whatever is wrong is answered with {"error":"word","message":"A sentence."}: an unknown parameter or
 * member too, for a misspelt one would be passed over in silence otherwise. The answer to a POST is
 * final (201, 409, 422), says that nothing was done (400, 403, 415, 429, 503), or that it is not
 * known (504): then the same id tells, however often it is sent.
 *
 * A read is what the store has and, behind it, what the room's tail in RAM has, without a gap. A `wait`
 * that brings nothing is answered with an empty list.
 */
#pragma once
#include "app/web_thread.h"

/* ROUTE_LIVEZ, ROUTE_READYZ, ROUTE_STATUS, ROUTE_METRICS, ROUTE_API_...: answers now or later. */
void api_handle(struct exchange *exchange, const struct http_request *request,
                const struct route_match *match);

/* ---- for the rest of this floor ---- */

/* May this change come from where it comes from, and is what it says JSON, if it says something? Answers
 * if not. */
bool api_may_change(struct exchange *exchange, const struct http_request *request);
void api_respond(struct exchange *exchange, int status, const char *type, struct slice body);
/* An error that says when to come again. */
void api_retry_after(struct exchange *exchange, int status, const char *word, const char *sentence,
                     uint32_t wait_ms);

/* ---- and for tests; pure ---- */

struct api_query { /* of a GET under /api */
    bool has_after, has_before;
    uint64_t after, before; /* numbers */
    uint32_t limit;
    uint32_t wait_ms;
};

enum { API_EVENTS_MAX = 10000, API_EVENTS_DEFAULT = 1000, API_MESSAGES_DEFAULT = 50 };

/* Takes apart a query string; 0, or ERR_FORMAT with the sentence for its sender. */
int api_query_parse(struct api_query *query, struct slice text, enum web_route route,
                    struct errmsg *errmsg);

struct api_post { /* slices stand on the parsed body */
    struct slice sender, text, id;
    bool has_id;
};

struct json;
/* 0, or ERR_FORMAT with the sentence. */
int api_post_parse(struct api_post *post, const struct json *body, struct errmsg *errmsg);
