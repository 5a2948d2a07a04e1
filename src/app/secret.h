/* The cluster's secret: signs sessions, authenticates the nodes to one another.
 *
 * A text file with one secret a line, 32 to 256 visible characters (`livetea gen-secret` makes one).
 * With two lines the first, the newer, signs and authenticates, and what the second signed is still
 * believed: that is how a secret is changed. Nobody but its owner may read the file (one
 * of root's may be read by our group: so systemd and orchestrators give it); it is never logged,
 * shown, or taken from an option. Main thread.
 */
#pragma once
#include "base/crypto.h"
#include "base/err.h"

enum { SECRETS_MAX = 2 };

struct secret {
    size_t count; /* 1 or 2 */
    size_t lens[SECRETS_MAX];
    char bytes[SECRETS_MAX][SECRET_MAX];
};

static inline struct slice secret_slice(const struct secret *secret, size_t place)
{
    return place < secret->count ? slice_make(secret->bytes[place], secret->lens[place])
                                 : (struct slice){NULL, 0};
}

/* 0; ERR_NOT_FOUND when there is no such file; ERR_DENIED when group or others can read it;
 * ERR_FORMAT; ERR_IO. */
int secret_read(struct secret *secret, const char *path, struct errmsg *errmsg);

/* A fresh secret, as text with a final newline. */
void secret_generate(struct buf *out);

/* Reads a lone node's secret, or makes it (0600) if there is none. */
int secret_read_or_make(struct secret *secret, const char *path, struct errmsg *errmsg);
