/* A page's dynamics, as HTML or as a tree, from one template function.
 *
 * A template (chat.heex) is compiled at build time (src/tools/heexc.c) to statics and one function
 * that calls render_* for each hole, in order. The same calls make
 *
 *   RENDER_HTML   the dead page: statics and escaped values in turn
 *   RENDER_TREE   the whole tree of a join or a patch: {"0":..,"s":[..]}
 *   RENDER_DIFF   only what changed since the last time; nothing at all if nothing did
 *
 * Each hole is private (it reads the reader's own model) or shared (it reads @shared, which is the
 * same for all readers of a topic), and streams are a third kind. `scopes` says which holes are
 * written in a diff; the others are passed over without reading anything, so a shared diff may be
 * rendered with no page at all (page = NULL), and a private one with no shared model.
 *
 * What changed is found by a hash of each hole's text: a hole has a slot in the reader's table or in
 * the topic's, zero = never written. Slots are numbered by the compiler, so passing a block over
 * costs nothing. A list (:for) is one slot: if anything in it changed it is sent whole, with its
 * statics; an empty one is "". A condition (:if) that comes is sent whole, one that goes is "", one
 * that stays is looked into. A stream has no slot: it sends what its list holds now, as inserts.
 *
 * The JSON of a struct in a diff is opened late: its key and brace, and those of what is around it,
 * are written when the first changed hole inside of it is.
 *
 * A form with phx-submit is a struct with "r":1 (docs/protocol.md). The JSON follows
 * the rules of the pinned client. One thread; writes into the caller's buffer only. Values must be
 * valid UTF-8. When `out` overflowed its content is of no use, and neither are the hashes: the
 * view must be joined anew.
 */
#pragma once
#include "base/buf.h"
#include "base/shared.h"

struct html { /* markup that is not escaped again */
    struct slice text;
};

enum render_mode { RENDER_HTML, RENDER_TREE, RENDER_DIFF };

enum {
    RENDER_ITEM = 0, /* the scope of a hole inside of a list: it has no slot, the list has */
    RENDER_PRIVATE = 1,
    RENDER_SHARED = 2,
    RENDER_STREAM = 4,
    RENDER_ALL = 7
};

enum { RENDER_DEPTH_MAX = 12, RENDER_DIGITS_MAX = 20 };

struct template
{ /* made by heexc, one for each .heex */
    const char *file;
    unsigned private_slots, shared_slots; /* sizes of the hash tables */
    uint64_t fingerprint;                 /* over all statics */
};

struct fragment { /* the statics around n holes: n + 1 */
    const struct slice *statics;
    unsigned holes;
    struct slice json; /* the same as a tree wants it: "s":[..], and "r":1 behind it for a form */
};

struct render_level { /* one struct, list or stream that is being written */
    const struct fragment *fragment;
    unsigned hole;  /* the next one */
    bool full;      /* everything in it is written, changed or not */
    bool any;       /* a key was written: the next one needs a comma */
    unsigned items; /* of a list: begun */
    /* of a list: what to go back to when it turns out unchanged */
    size_t start, node_start;
    unsigned opened_before;
    bool any_before, changed_before;
    uint64_t *slot;
};

struct render {
    enum render_mode mode;
    unsigned scopes;                          /* RENDER_DIFF: which holes to write */
    struct buf *out;                          /* HTML, or JSON */
    uint64_t *private_hashes, *shared_hashes; /* NULL: not kept. Written in TREE and DIFF */
    int stream_at;                            /* for inserts: -1 append, 0 prepend */
    bool stream_reset;                        /* the 4th element */
    struct shared
        *stream_json; /* TREE: what render_init_stream made, instead of iterating; or NULL */
    size_t splice_at; /* where in `out` stream_json belongs (its bytes are not in it); SIZE_MAX =
                        * nowhere */
    bool changed;     /* something was written */
    /* private to render.c */
    unsigned depth, opened;
    uint64_t *slot;
    char digits[RENDER_DIGITS_MAX];
    struct render_level levels[RENDER_DEPTH_MAX];
};

/* Sets all fields for a mode; the caller changes what differs. */
void render_init(struct render *r, enum render_mode mode, unsigned scopes, struct buf *out);

/* Only the JSON node of the template's stream as TREE would write it, without its last two bytes
 * "]}": what may be kept and given back as stream_json, with or without stream_reset. Nothing
 * else is read, so page may be NULL. Nothing is written if the template has no stream. */
void render_init_stream(struct render *r, struct buf *out);

/* ---- what a compiled template calls, in the order of the template ---- */

void render_open(struct render *r, const struct fragment *root);
/* The end of render_open, render_if, render_form. */
void render_close(struct render *r);

/* The next hole is this: false = pass it over. `slot` counts within its scope. */
bool render_hole(struct render *r, unsigned scope, unsigned slot);
/* Behind render_hole: true = the inside follows, up to render_close. */
bool render_if(struct render *r, bool on, const struct fragment *fragment);
/* A hole without a slot; true = the inside follows, up to render_close. */
bool render_form(struct render *r, unsigned scope, const struct fragment *fragment);
/* Behind render_hole: true = render_item and its holes follow for each of `count`, then
 * render_list_end. */
bool render_list(struct render *r, size_t count, const struct fragment *fragment);
void render_item(struct render *r);
void render_list_end(struct render *r);
/* A hole of its own; true = render_stream_list follows. That true = items as in a list follow, then
 * `if (render_inserts(r))` a second walk with render_insert for each, then render_stream_end. */
bool render_stream(struct render *r);
bool render_stream_list(struct render *r, size_t count, const struct fragment *fragment);
bool render_inserts(struct render *r);
void render_insert_slice(struct render *r, struct slice id);
void render_stream_end(struct render *r);

/* Behind render_hole, one of these: */
void render_slice(struct render *r, struct slice text);
void render_html(struct render *r, struct html markup);
/* ` name="value"`, or nothing at all for the empty value. */
void render_attribute_slice(struct render *r, struct slice name, struct slice value);
/* ` name` or nothing. */
void render_attribute_bool(struct render *r, struct slice name, bool on);

/* ---- the type of a value picks its writer ---- */

/* As text, in r->digits. */
struct slice render_digits_u64(struct render *r, uint64_t value);
struct slice render_digits_i64(struct render *r, int64_t value);

static inline void render_string(struct render *r, const char *text)
{
    render_slice(r, slice_from(text));
}
static inline void render_u64(struct render *r, uint64_t value)
{
    render_slice(r, render_digits_u64(r, value));
}
static inline void render_i64(struct render *r, int64_t value)
{
    render_slice(r, render_digits_i64(r, value));
}
static inline void render_attribute_string(struct render *r, struct slice name, const char *text)
{
    render_attribute_slice(r, name, slice_from(text));
}
static inline void render_attribute_u64(struct render *r, struct slice name, uint64_t value)
{
    render_attribute_slice(r, name, render_digits_u64(r, value));
}
static inline void render_attribute_i64(struct render *r, struct slice name, int64_t value)
{
    render_attribute_slice(r, name, render_digits_i64(r, value));
}
static inline void render_insert_string(struct render *r, const char *id)
{
    render_insert_slice(r, slice_from(id));
}
static inline bool render_truth_slice(struct slice text)
{
    return text.len > 0;
}
static inline bool render_truth_html(struct html markup)
{
    return markup.text.len > 0;
}
static inline bool render_truth_string(const char *text)
{
    return text != NULL && text[0] != '\0';
}
static inline bool render_truth_u64(uint64_t value)
{
    return value != 0;
}
static inline bool render_truth_i64(int64_t value)
{
    return value != 0;
}
static inline bool render_truth_bool(bool value)
{
    return value;
}

/* clang-format off */
#define RENDER_NUMBERS(unsigned_case, signed_case)                                                 \
    unsigned char: unsigned_case, unsigned short: unsigned_case, unsigned: unsigned_case,          \
    unsigned long: unsigned_case, unsigned long long: unsigned_case,                               \
    signed char: signed_case, short: signed_case, int: signed_case, long: signed_case,             \
    long long: signed_case

/* In text: slice, html (not escaped), string, whole number. */
#define render_value(r, value)                                                                     \
    _Generic((value), struct slice: render_slice, struct html: render_html,                        \
             char *: render_string, const char *: render_string,                                   \
             RENDER_NUMBERS(render_u64, render_i64))((r), (value))
/* As the whole value of an attribute: no html there; a bool is an attribute without a value. */
#define render_attribute(r, name, value)                                                           \
    _Generic((value), struct slice: render_attribute_slice, bool: render_attribute_bool,           \
             char *: render_attribute_string, const char *: render_attribute_string,               \
             RENDER_NUMBERS(render_attribute_u64, render_attribute_i64))((r), slice_of(name), (value))
/* In :if: what is not empty, not zero, or true. */
#define render_truth(value)                                                                        \
    _Generic((value), struct slice: render_truth_slice, struct html: render_truth_html,            \
             bool: render_truth_bool, char *: render_truth_string,                                 \
             const char *: render_truth_string,                                                    \
             RENDER_NUMBERS(render_truth_u64, render_truth_i64))(value)
/* The id of an item of a stream. */
#define render_insert(r, id)                                                                       \
    _Generic((id), struct slice: render_insert_slice, char *: render_insert_string,                \
             const char *: render_insert_string)((r), (id))
/* clang-format on */
