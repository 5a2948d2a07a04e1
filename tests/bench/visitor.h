/* People who come in by the front door: a page, a name, and the tokens that their browser then
 * brings along. The tokens are good on every node and for every room. */
#pragma once
#include "bench/loop.h"

struct visitor {
    char *csrf; /* as it stands in the page */
    char *session;
};

/* Makes `count` of them at the node, some dozens at a time; names have 12 characters. */
struct visitor *visitors_new(const struct place *place, size_t count);
void visitors_free(struct visitor *visitors, size_t count);
