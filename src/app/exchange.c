#include "app/exchange.h"

#include "app/web_thread.h"
#include "base/clock.h"
#include "base/mem.h"

struct exchange *exchange_new(struct web_thread *thread, struct conn *conn,
                              const struct http_request *request)
{
    struct exchange *exchange = mem_new(sizeof *exchange);
    *exchange = (struct exchange){.kind = USER_EXCHANGE,
                                  .thread = thread,
                                  .conn = conn,
                                  .route = ROUTE_NONE,
                                  .method = request->method,
                                  .started_ns = clock_ns()};
    conn_set_user(conn, exchange);
    return exchange;
}

static void count(struct web_counters *counters, const struct exchange *exchange, int status)
{
    size_t place = 0;
    histogram_add(&counters->http_duration[exchange->route],
                  (clock_ns() - exchange->started_ns) / 1000);
    while (place < counters->http_counts_used &&
           (counters->http_counts[place].route != exchange->route ||
            counters->http_counts[place].method != exchange->method ||
            counters->http_counts[place].code != status))
        place++;
    if (place == HTTP_COUNTS_MAX) return;
    if (place == counters->http_counts_used) {
        counters->http_counts[place] = (struct http_count){.route = (uint8_t)exchange->route,
                                                           .method = (uint8_t)exchange->method,
                                                           .code = (uint16_t)status};
        counters->http_counts_used++;
    }
    counters->http_counts[place].count++;
}

struct conn *exchange_over(struct exchange *exchange, int status)
{
    struct conn *conn = exchange->conn;
    count(web_thread_counters(exchange->thread), exchange, status);
    if (conn != NULL) conn_set_user(conn, NULL);
    mem_free(exchange);
    return conn;
}

struct slice exchange_address(const struct exchange *exchange)
{
    return exchange->conn == NULL ? slice_of("") : conn_address(exchange->conn);
}

void exchange_respond(struct exchange *exchange, const struct http_response *response)
{
    struct conn *conn = exchange_over(exchange, response->status);
    if (conn != NULL)
        http_respond(conn, response);
    else
        shared_unref(response->body_shared);
}

void exchange_error(struct exchange *exchange, int status, const char *word, const char *sentence)
{
    struct conn *conn = exchange_over(exchange, status);
    if (conn != NULL) http_respond_error(conn, status, word, sentence);
}
