/* Origins: where a browser's page came from, compared by scheme, host and port. Pure. */
#pragma once
#include "base/slice.h"

/* Is `origin` (of an Origin header) that of `url` ("https://tea.example/..."; a default port may be
 * written or not)? Never for the empty one and "null". A url of 127.0.0.1 has the origins of localhost
 * and [::1] with its port too: all three are this machine. */
bool origin_is_of(struct slice origin, struct slice url);
