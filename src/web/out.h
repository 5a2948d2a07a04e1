/* What waits to be sent on one connection: references to shared pieces, whole frames of them.
 *
 * A ring of pointers. A few of them live inside, so that a connection which keeps up never
 * allocates; more than that go into an array, which is freed when everything is sent. Nothing is
 * copied: a piece that is queued on a thousand connections is there once.
 *
 * One web thread.
 */
#pragma once
#include <uv.h>

#include "base/shared.h"

enum { OUT_FEW = 4 };

struct out {
    uintptr_t *slots;            /* a piece; lowest bit set: the last of its frame */
    uint32_t first, count, size; /* size is a power of two */
    uint32_t frames;             /* whose last piece is still inside */
    size_t sent;                 /* bytes of the first piece that are gone already */
    size_t bytes;                /* not sent yet */
    bool is_mid_frame;           /* the first piece is not the first of its frame */
    uintptr_t few[OUT_FEW];
};

/* Stands where it is: `out` must not move in memory. */
void out_init(struct out *out);
/* Drops everything. */
void out_close(struct out *out);

/* Takes the reference. An empty piece that ends no frame is dropped. */
void out_push(struct out *out, struct shared *piece, bool ends_frame);

/* Points `bufs` at what comes next: up to bufs_max pieces, or no further than the end of the first
 * frame. Returns how many. */
unsigned out_fill(const struct out *out, uv_buf_t bufs[], unsigned bufs_max, bool one_frame);

/* So many bytes are sent: drops their pieces, returns the number of frames that are now whole. */
unsigned out_advance(struct out *out, size_t bytes);

/* Drops what was not begun: all, or all but the first frame when it is partly sent or `is_pinned`
 * (a write is under way). */
void out_cut(struct out *out, bool is_pinned);
