/* One kept HTTP connection to a node, with one request at a time.
 *
 *   struct buf *request = call_begin(call);      write head and body into it
 *   call_send(call);                             on_answer comes from a turn of the loop
 *
 * The connection is made by the first request, and again when the node has closed it between two.
 * When it breaks under a request, the answer has status 0.
 */
#pragma once
#include "base/buf.h"
#include "bench/loop.h"

struct answer {
    int status;
    struct slice head; /* status line and headers; with the body, gone when on_answer returns */
    struct slice body;
};

struct call {
    struct watch watch;
    struct loop *loop;
    const struct place *place;
    struct buf out, in;
    size_t sent; /* of out */
    bool busy;
    bool waits; /* for room to write, or for the connection */
    void (*on_answer)(struct call *call, const struct answer *answer);
    void *owner;
};

void call_init(struct call *call, struct loop *loop, const struct place *place);
void call_close(struct call *call);
struct buf *call_begin(struct call *call);
void call_send(struct call *call);

/* The value of the header's first or next line in `head`, which is cut behind it; false at its end. */
bool answer_header(struct slice *head, const char *name, struct slice *value);
