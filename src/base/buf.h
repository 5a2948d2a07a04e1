/* Text that we own and that grows, up to a ceiling.
 *
 * Every buffer is born with its ceiling. What does not fit is not written and sets `overflowed`,
 * which is looked at once, at the end: a writer does not check each append. A buffer is reset and
 * used again rather than made anew. One thread at a time.
 */
#pragma once
#include "base/slice.h"

struct buf {
    char *at;
    size_t len;      /* bytes written */
    size_t size;     /* bytes allocated */
    size_t max;      /* the ceiling of len */
    bool overflowed; /* something did not fit; what is inside is a torso */
};

/* Allocates nothing yet. */
void buf_init(struct buf *buf, size_t max);

/* Gives the memory back. The buffer may be used again. */
void buf_close(struct buf *buf);

/* Empties it and keeps the memory. */
void buf_reset(struct buf *buf);

/* Empties it, and gives the memory back if more than `keep` bytes are allocated. */
void buf_shrink(struct buf *buf, size_t keep);

void buf_append(struct buf *buf, const void *bytes, size_t len);
void buf_add(struct buf *buf, struct slice text);
void buf_add_char(struct buf *buf, char c);
void buf_add_u64(struct buf *buf, uint64_t value);
void buf_add_i64(struct buf *buf, int64_t value);
/* Lower case hexadecimal, two digits a byte. */
void buf_add_hex(struct buf *buf, const void *bytes, size_t len);
__attribute__((format(printf, 2, 3))) void buf_printf(struct buf *buf, const char *format, ...);

/* Room for `len` more bytes, already counted in; NULL when they do not fit. */
char *buf_extend(struct buf *buf, size_t len);

/* Takes back everything behind `len`. */
static inline void buf_truncate(struct buf *buf, size_t len)
{
    if (len < buf->len) buf->len = len;
}

/* What is inside, borrowed until the next change. */
static inline struct slice buf_slice(const struct buf *buf)
{
    return slice_make(buf->at, buf->len);
}

/* With each byte whose entry in the table is not empty put in other words. */
void buf_add_escaped(struct buf *buf, struct slice text, const struct slice escapes[256]);
/* Escapes & < > " ' for HTML text and quoted attributes. */
void buf_add_html(struct buf *buf, struct slice text);
