/* HTTP/1.1: requests in, responses out. The door to llhttp.
 *
 * A request is complete (head and body within base/limits.h) before anybody sees it. What RFC 9112
 * does not allow is answered with 400 and the connection closed: exactly one response, and nothing
 * behind a rejected request is ever read as another. One request of a connection is worked on at a
 * time; pipelined ones wait.
 *
 * The head is collected first, checked line by line (line ends, lengths, forbidden bytes: what a
 * tolerant proxy in front of us might read differently), and only then given to llhttp, as one piece;
 * both must agree. All of llhttp's lenient flags are off. The lines between the chunks of a body are
 * checked in the same way. Not taken at all: trailers, transfer codings but "chunked", bodies of GET
 * and HEAD.
 *
 * One web thread.
 */
#pragma once
#include "base/buf.h"
#include "base/shared.h"

struct conn;

enum http_method {
    HTTP_METHOD_GET,
    HTTP_METHOD_HEAD,
    HTTP_METHOD_POST,
    HTTP_METHOD_DELETE,
    HTTP_METHOD_OTHER
};

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
    bool is_old;       /* HTTP/1.0 */
    bool keep;         /* the other side wants the connection to stay */
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
    bool close;                 /* the connection after it */
};

/* ---- reading; used by conn ---- */

struct http_reader; /* one request that is coming in */

enum http_progress {
    HTTP_READ_MORE, /* all is read, and it is not enough */
    HTTP_READ_HEAD, /* the head is there and a body will follow; said once */
    HTTP_READ_ALL,  /* a request; what is behind `used` is not part of it */
    HTTP_READ_BAD   /* to be refused with http_reader_status, and nothing more to be read */
};

struct http_reader *http_reader_new(void);
/* NULL is fine. */
void http_reader_free(struct http_reader *reader);
enum http_progress http_read(struct http_reader *reader, struct slice bytes, size_t *used);
/* Of a complete request (or one whose head is there, then without its body). */
const struct http_request *http_reader_request(const struct http_reader *reader);
int http_reader_status(const struct http_reader *reader);
/* The other side waits for a 100 before it sends the body. */
bool http_reader_expects(const struct http_reader *reader);

/* One of the elements, between commas, of one of the headers of that name is `word`, any case. */
bool http_header_has(const struct http_request *request, const char *name, const char *word);

/* ---- writing ---- */

struct http_frame { /* what an answer takes over from its request and its connection */
    bool is_head;   /* no body */
    bool keep;      /* the connection stays */
    bool is_old;    /* HTTP/1.0: staying is not taken for granted */
    struct slice every, date;
};

/* The head of an answer, appended. */
void http_add_head(struct buf *out, const struct http_response *response,
                   const struct http_frame *frame, size_t body_len);

/* Answers the request that the connection is working on, now or in a later turn of the loop. Once
 * for each request. HEAD gets the head alone. Adds Content-Length, Connection and the headers that
 * every answer carries (conn_server.every). Does nothing if the connection is closing. */
void http_respond(struct conn *conn, const struct http_response *response);

/* {"error":word,"message":sentence} with the status; for /api. With a 503 Retry-After, in a second. */
void http_respond_error(struct conn *conn, int status, const char *word, const char *sentence);
/* A line of plain text. */
void http_respond_text(struct conn *conn, int status, struct slice text);
/* 405 with Allow. */
void http_respond_method(struct conn *conn, const char *allow);

const char *http_status_words(int status);
