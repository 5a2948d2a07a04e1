/* Files built into the program: the stock clients, our app.js, the stylesheet, the icon.
 *
 * Made at build time by src/tools/embed.c: compressed once with gzip and brotli, named with a hash of
 * their content. A name with the right hash is immutable for a year; the same name without one is
 * served too, to be asked again.
 */
#pragma once
#include "web/conn.h"

struct asset {
    const char *name;                           /* "app.js" */
    const char *type;                           /* its media type */
    const char *hash;                           /* 16 hex digits of its content */
    const unsigned char *plain, *gzip, *brotli; /* the last two may be NULL */
    size_t plain_len, gzip_len, brotli_len;
};

extern const struct asset assets[];
extern const size_t assets_count;

const struct asset *assets_find(struct slice name);
/* "/assets/app.js?v=HASH" appended; the name must exist. */
void assets_add_url(struct buf *out, const char *name);
/* Answers GET /assets/NAME (and the files at the root that browsers ask for): picks the encoding,
 * answers 304 for a matching If-None-Match, 404 for what is not there. The bytes are made once for
 * each thread and encoding and sent by reference. */
void assets_respond(struct conn *conn, const struct http_request *request, struct slice name);
