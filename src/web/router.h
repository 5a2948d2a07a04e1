/* Path to handler: one table, filled at start, looked through in its order.
 *
 * A pattern is a path whose segments may be names (":room"): "/api/rooms/:room/messages". Values of
 * such segments are percent-decoded; an encoded slash or NUL never matches. No path is ever opened
 * as a file.
 */
#pragma once
#include "base/buf.h"
#include "web/http.h"

enum { ROUTE_VALUES_MAX = 2 };

struct route {
    const char *pattern;
    unsigned methods; /* bits 1u << enum http_method; GET brings HEAD with it */
    int id;           /* the owner's */
    bool is_admin;    /* only on the admin listener when there is one */
};

struct route_match {
    const struct route *route;             /* NULL: no such path */
    struct slice values[ROUTE_VALUES_MAX]; /* decoded, stand on `decoded` */
    size_t values_count;
    unsigned allowed; /* methods of all routes with this path, when none had the method */
    bool is_admin;    /* the path, whatever the method, is of an admin route */
};

/* `decoded` is reset and holds the values. Returns the route, or NULL with match->allowed set when the
 * path is known and the method is not. */
const struct route *router_find(const struct route *routes, size_t routes_count,
                                const struct http_request *request, struct buf *decoded,
                                struct route_match *match);

/* "GET, HEAD, POST" into out. */
void router_allow(unsigned methods, struct buf *out);
