/* HTTP/1.1: requests in, responses out. The door to llhttp.
 *
 * A request is complete (head and body within base/limits.h) before anybody sees it. What RFC 9112
 * does not allow is answered with 400 and the connection closed: exactly one response, and nothing
 * behind a rejected request is ever read as another. All of llhttp's lenient flags are off. One
 * request of a connection is worked on at a time; pipelined ones wait.
 *
 * One web thread.
 */
#pragma once
#include "base/buf.h"
#include "base/shared.h"

struct conn;

enum http_method { HTTP_METHOD_GET, HTTP_METHOD_HEAD, HTTP_METHOD_POST, HTTP_METHOD_DELETE,
                   HTTP_METHOD_OTHER };

struct http_header {
    struct slice name, value; /* value trimmed; name as sent */
};

struct http_request { /* borrowed: good until the handler returns */
    enum http_method method;
    struct slice method_name;
    struct slice target; /* origin form, as sent: "/lobby?x=1" */
    struct slice path;   /* up to '?', still percent-encoded */
    struct slice query;  /* behind it, may be empty */
    const struct http_header *headers;
    size_t headers_count;
    struct slice body;
    struct slice host; /* the Host header, exactly one */
    bool is_upgrade;   /* Connection: upgrade and Upgrade: websocket, any case */
};

/* The first header of that name (any case), or an empty slice. */
struct slice http_header_get(const struct http_request *request, const char *name);
/* The value of one cookie, or an empty slice. */
struct slice http_cookie_get(const struct http_request *request, const char *name);
/* A field of the query string, decoded into `out` (appended). False if absent or badly encoded. */
bool http_query_get(const struct http_request *request, const char *name, struct buf *out);

struct http_response {
    int status;
    struct slice type;    /* Content-Type; empty = none */
    struct slice headers; /* further header lines, each with CRLF; no untrusted text in them */
    struct slice body;    /* copied, unless body_shared is set */
    struct shared *body_shared; /* sent by reference (its own is taken by the connection) */
    bool close;           /* the connection after it */
};

/* Answers the request that the connection is working on, now or in a later turn of the loop. Once
 * for each request. HEAD gets the head alone. Adds Content-Length, Connection and the headers that
 * every answer carries (conn_server.every). Does nothing if the connection is closing. */
void http_respond(struct conn *conn, const struct http_response *response);

/* {"error":word,"message":sentence} with the status; for /api. */
void http_respond_error(struct conn *conn, int status, const char *word, const char *sentence);
/* A line of plain text. */
void http_respond_text(struct conn *conn, int status, struct slice text);
/* 303 to a path of our own. `headers` as in http_response. */
void http_respond_redirect(struct conn *conn, int status, struct slice to, struct slice headers);
/* 405 with Allow. */
void http_respond_method(struct conn *conn, const char *allow);

const char *http_status_words(int status);
