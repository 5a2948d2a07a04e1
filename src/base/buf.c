#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

enum { BUF_FIRST_SIZE = 128, U64_DIGITS_MAX = 20 };

void buf_init(struct buf *buf, size_t max)
{
    *buf = (struct buf){.max = max};
}

void buf_close(struct buf *buf)
{
    mem_free(buf->at);
    *buf = (struct buf){.max = buf->max};
}

void buf_reset(struct buf *buf)
{
    buf->len = 0;
    buf->overflowed = false;
}

void buf_shrink(struct buf *buf, size_t keep)
{
    if (buf->size > keep) buf_close(buf);
    buf_reset(buf);
}

/* Twice as much each time, so that many small appends cost as much as one large. */
static bool grow(struct buf *buf, size_t len)
{
    if (len > buf->max - buf->len) {
        buf->overflowed = true;
        return false;
    }
    size_t need = buf->len + len;
    size_t size = buf->size < BUF_FIRST_SIZE ? BUF_FIRST_SIZE : buf->size;
    while (size < need)
        size = size > buf->max / 2 ? buf->max : size * 2;
    if (size > buf->max) size = buf->max;
    buf->at = mem_grow(buf->at, size);
    buf->size = size;
    return true;
}

/* size never exceeds max, so what fits the one fits the other. */
static inline bool make_room(struct buf *buf, size_t len)
{
    return len <= buf->size - buf->len || grow(buf, len);
}

void buf_append(struct buf *buf, const void *bytes, size_t len)
{
    if (len == 0 || !make_room(buf, len)) return;
    memcpy(buf->at + buf->len, bytes, len);
    buf->len += len;
}

void buf_add(struct buf *buf, struct slice text)
{
    buf_append(buf, text.at, text.len);
}

void buf_add_char(struct buf *buf, char c)
{
    if (!make_room(buf, 1)) return;
    buf->at[buf->len++] = c;
}

void buf_add_u64(struct buf *buf, uint64_t value)
{
    char digits[U64_DIGITS_MAX];
    size_t place = sizeof digits;
    do {
        digits[--place] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    buf_append(buf, digits + place, sizeof digits - place);
}

void buf_add_i64(struct buf *buf, int64_t value)
{
    if (value < 0) buf_add_char(buf, '-');
    buf_add_u64(buf, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void buf_add_hex(struct buf *buf, const void *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *from = bytes;
    if (len > SIZE_MAX / 2) {
        buf->overflowed = true;
        return;
    }
    char *to = buf_extend(buf, 2 * len);
    if (to == NULL) return;
    for (size_t i = 0; i < len; i++) {
        to[2 * i] = digits[from[i] >> 4];
        to[2 * i + 1] = digits[from[i] & 0xf];
    }
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    char at_once[256];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(at_once, sizeof at_once, format, args);
    va_end(args);
    assert(len >= 0);
    if ((size_t)len < sizeof at_once) {
        buf_append(buf, at_once, (size_t)len);
        return;
    }

    /* One byte more than it gives, for the NUL, which may lie beyond the ceiling. */
    char *text = mem_grow(NULL, (size_t)len + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    buf_append(buf, text, (size_t)len);
    mem_free(text);
}

char *buf_extend(struct buf *buf, size_t len)
{
    if (!make_room(buf, len)) return NULL;
    if (buf->at == NULL && !make_room(buf, buf->max > 0 ? 1 : 0)) return NULL;
    char *place = buf->at + buf->len;
    buf->len += len;
    return place;
}

void buf_add_escaped(struct buf *buf, struct slice text, const struct slice escapes[256])
{
    size_t start = 0; /* of the run that needs no escape */
    for (size_t i = 0; i < text.len; i++) {
        const struct slice *escape = &escapes[(unsigned char)text.at[i]];
        if (escape->len == 0) continue;
        buf_append(buf, text.at + start, i - start);
        buf_add(buf, *escape);
        start = i + 1;
    }
    if (text.len > start) buf_append(buf, text.at + start, text.len - start);
}

void buf_add_html(struct buf *buf, struct slice text)
{
    static const struct slice escapes[256] = {['&'] = SLICE("&amp;"),
                                              ['<'] = SLICE("&lt;"),
                                              ['>'] = SLICE("&gt;"),
                                              ['"'] = SLICE("&quot;"),
                                              ['\''] = SLICE("&#39;")};
    buf_add_escaped(buf, text, escapes);
}
