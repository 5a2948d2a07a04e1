/* Origins: where a browser's page came from, compared by scheme, host and port. Pure. */
#pragma once
#include "base/limits.h"
#include "base/slice.h"

/* Is `origin` (of an Origin header) that of `url` ("https://tea.example/..."; a default port may be
 * written or not)? Never for the empty one and "null". A url of 127.0.0.1 has the origins of localhost
 * and [::1] with its port too: all three are this machine. */
bool origin_is_of(struct slice origin, struct slice url);

/* Where pages may come from: the addresses of the members, also of those that were removed since this
 * process began. A page outlives the membership of the node that served it, and goes to another one
 * with the Origin that it has. Of more than ORIGINS_MAX the oldest are forgotten. */
enum { ORIGINS_MAX = 4 * MEMBERS_MAX };

struct origins {
    char urls[ORIGINS_MAX][URL_MAX + 1];
    size_t count; /* ever kept; the newest stands at (count - 1) % ORIGINS_MAX */
};

/* The empty url and one that is kept already change nothing. */
void origins_keep(struct origins *origins, const char *url);
bool origins_have(const struct origins *origins, struct slice origin);
