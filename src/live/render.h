/* A page's dynamics, as HTML or as a tree, from one template function.
 *
 * A template (chat.heex) is compiled at build time (src/tools/heexc.c) to statics and one function
 * that calls render_* for each hole, in order. The same calls make
 *
 *   RENDER_HTML   the dead page: statics and escaped values in turn
 *   RENDER_TREE   the whole tree of a join or a patch: {"0":..,"s":[..]}
 *   RENDER_DIFF   only what changed since the last time
 *
 * Each hole is private (it reads the reader's own model) or shared (it reads @shared, which is the
 * same for all readers of a topic), and streams are a third kind. `scopes` says which holes are
 * written in a diff; the others are passed over without reading anything, so a shared diff may be
 * rendered with no page at all (page = NULL).
 *
 * What changed is found by a hash of each hole's text: a hole has a slot in the reader's table or in
 * the topic's, zero = never written. A list (:for) is one slot: if anything in it changed it is sent
 * whole, with its statics. A condition (:if) that comes or goes, too; one that stays is looked into. A
 * stream has no slot: it sends what its list holds now, as inserts.
 *
 * A form with phx-submit is a struct with "r":1 (docs/protocol.md). The JSON follows
 * liveview-protocol's rules for the pinned client. One thread; writes into the caller's buffer only.
 */
#pragma once
#include "base/buf.h"
#include "base/shared.h"

struct html { /* markup that is not escaped again */
    struct slice text;
};

enum render_mode { RENDER_HTML, RENDER_TREE, RENDER_DIFF };

enum { RENDER_PRIVATE = 1, RENDER_SHARED = 2, RENDER_STREAM = 4, RENDER_ALL = 7 };

enum { RENDER_DEPTH_MAX = 12 };

struct template { /* made by heexc, one for each .heex */
    const char *file;
    unsigned private_slots, shared_slots; /* sizes of the hash tables */
    uint64_t fingerprint;                 /* over all statics */
};

struct fragment { /* the statics around n holes: n + 1 */
    const struct slice *statics;
    unsigned holes;
    bool is_root; /* "r":1 */
};

struct render_level; /* where we are in the tree; render.c */

struct render {
    enum render_mode mode;
    unsigned scopes;   /* RENDER_DIFF: which holes to write */
    struct buf *out;   /* HTML, or JSON */
    uint64_t *private_hashes, *shared_hashes; /* may be NULL in HTML; written in TREE and DIFF */
    int stream_at;     /* for inserts: -1 append, 0 prepend */
    bool stream_reset; /* the 4th element */
    struct shared *stream_json; /* TREE: the encoded node of the stream, instead of iterating, or NULL */
    size_t splice_at;  /* where in `out` stream_json belongs (its bytes are not in out); SIZE_MAX = nowhere */
    bool changed;      /* something was written */
    /* private to render.c */
    unsigned depth;
    struct {
        const struct fragment *fragment;
        size_t start, hole;
        uint64_t hash;
        bool any, is_list, written;
        size_t items;
    } levels[RENDER_DEPTH_MAX];
};

/* Sets all fields for a mode; the caller changes what differs. */
void render_init(struct render *r, enum render_mode mode, unsigned scopes, struct buf *out);

/* Only the JSON node of the template's stream, {"s":..,"k":..,"stream":..}, as TREE would write it:
 * what may be kept and given back as stream_json. Same calls, r->scopes = RENDER_STREAM in mode
 * RENDER_TREE and `out` gets the node alone. */
void render_init_stream(struct render *r, struct buf *out);
