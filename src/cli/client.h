/* A small HTTP client: one request, one answer, several nodes in turn.
 *
 * Blocking, on plain sockets with poll, each step within the deadline of its node; each request has a
 * connection of its own. A node that cannot be reached, or answers 502 or 503, is passed over for the
 * next, and what the last one said is told. A request that must not be done twice says so (`once`): it
 * goes to the next node only when this one surely did not take it. Messages of ours may be sent twice,
 * for they have ids. Bodies may be any bytes; no answer leads anywhere else by itself. One thread.
 *
 * Whoever wants to know when a node has ended holds on to the connection (`hold`) and waits for its end:
 * it stays with a 202, for client_wait_end, until the answer is used again or closed.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"

enum { CLIENT_NODES_MAX = 16, CLIENT_BODY_MAX = JSON_TEXT_MAX };

struct client_node {
    char host[ADDRESS_MAX + 1]; /* without brackets */
    char port[6];
    char url[URL_MAX + 1]; /* as it was given */
};

struct client {
    struct client_node nodes[CLIENT_NODES_MAX];
    size_t nodes_count;
    size_t preferred; /* that answered last */
};

struct client_request {
    const char *method; /* "GET" */
    struct slice path;  /* with its query, encoded */
    struct slice body;  /* JSON; empty = none */
    const char *bearer; /* a token; NULL = none */
    bool once, hold;
    unsigned deadline_ms; /* of each node */
};

struct client_answer {
    int status;
    unsigned retry_after_s; /* 0 = not told */
    const char *node;       /* whose it is */
    bool was_sent;          /* some node may have taken a request that nobody answered */
    bool is_held;
    int held_fd;
    struct buf body;
};

/* "http://127.0.0.1:4000, tea-2:4000". 0 or ERR_CONFIG with what is wrong. */
int client_init(struct client *client, const char *nodes, struct errmsg *errmsg);

void client_answer_init(struct client_answer *answer);
void client_answer_close(struct client_answer *answer);

/* 0 with an answer of whatever status; ERR_IO, ERR_TIMEOUT or ERR_FORMAT when no node gave one, with
 * the last one's reason. An answer may be used again. */
int client_ask(struct client *client, const struct client_request *request,
               struct client_answer *answer, struct errmsg *errmsg);

/* Until the node ends the connection that is held: 0; else ERR_TIMEOUT, or ERR_IO: it broke, which tells
 * nothing of the node. */
int client_wait_end(struct client_answer *answer, unsigned ms);

/* ---- for tests; pure ---- */

enum client_parse { CLIENT_PARSE_MORE, CLIENT_PARSE_DONE, CLIENT_PARSE_BAD };

/* Looks at what came so far: complete? `at_end`: nothing more will come. */
enum client_parse client_parse(struct slice bytes, bool at_end, bool is_head,
                               struct client_answer *answer);
