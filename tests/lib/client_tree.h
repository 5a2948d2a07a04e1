/* A rendered tree as the stock client keeps it, for tests: merges what the server sends and makes the
 * HTML that the browser would show. Written from docs/protocol.md alone, with nothing of render.c, so
 * that each checks the other.
 *
 * What the client would trip over is a problem: a sentence, instead of an exception in somebody's
 * page.
 */
#pragma once
#include "base/buf.h"

struct json;
struct client_node;

struct client_child { /* of the stream's container */
    char *id, *html;
};

struct client_tree {
    struct client_node *root;
    struct client_child *children;
    size_t children_count;
    char title[256];
};

void client_tree_init(struct client_tree *tree);
void client_tree_close(struct client_tree *tree);

/* The response of a join (`rendered`), or a diff. NULL, or what is wrong with it. */
const char *client_tree_join(struct client_tree *tree, const struct json *rendered);
const char *client_tree_diff(struct client_tree *tree, const struct json *diff);
/* Appended. NULL, or what is wrong with it. */
const char *client_tree_html(const struct client_tree *tree, struct buf *out);
