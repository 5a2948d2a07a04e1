/* One HTTP request on its way to an answer, now or in a later turn of the loop.
 *
 * The browser may have gone by then: `conn` is NULL from that moment. Whoever keeps an exchange calls
 * one of the two functions exactly once, in any case; with the browser gone they only count and free.
 */
#pragma once
#include "app/snapshot.h"
#include "web/http.h"

struct web_thread;

enum user_kind { USER_EXCHANGE, USER_BROWSER }; /* what a connection's user pointer points to */

struct exchange {
    enum user_kind kind; /* first: also of a browser's memory (web_thread.c) */
    struct web_thread *thread;
    struct conn *conn;
    enum web_route route;
    enum http_method method;
    uint64_t started_ns;
    void *data; /* of whoever answers it */
};

/* For a request that just came; becomes the connection's user pointer. */
struct exchange *exchange_new(struct web_thread *thread, struct conn *conn,
                              const struct http_request *request);

/* Of the browser (conn_address), empty when it has gone. */
struct slice exchange_address(const struct exchange *exchange);
/* Answers, counts, and frees the exchange. */
void exchange_respond(struct exchange *exchange, const struct http_response *response);
void exchange_error(struct exchange *exchange, int status, const char *word, const char *sentence);
/* Only counts and frees: the caller answers the connection itself, at once. */
struct conn *exchange_over(struct exchange *exchange, int status);
