/* Numbers and short texts in the frames between nodes: little-endian, fixed widths, no names.
 *
 * The frames are few, are spoken by one program only, and hold flat records; so a cursor that checks
 * each step is all the coding they need. What travels inside of them as a whole, a command, has
 * its own coding (chat/event.h). Additions go to the end of a record: a reader takes what it knows
 * and leaves the rest.
 *
 * Reading believes nothing: a read beyond the end sets `failed` and gives zero, looked at once at the
 * end.
 */
#pragma once
#include "base/buf.h"
#include "base/little_endian.h"
#include "base/text.h"

static inline void wire_put_u8(struct buf *buf, uint8_t value)
{
    buf_append(buf, &value, 1);
}

static inline void wire_put_u32(struct buf *buf, uint32_t value)
{
    uint8_t bytes[4];
    little_store(bytes, value, sizeof bytes);
    buf_append(buf, bytes, sizeof bytes);
}

static inline void wire_put_u64(struct buf *buf, uint64_t value)
{
    uint8_t bytes[8];
    little_store(bytes, value, sizeof bytes);
    buf_append(buf, bytes, sizeof bytes);
}

/* Up to 255 bytes, its length before it; what is longer is cut. */
static inline void wire_put_text(struct buf *buf, struct slice text)
{
    text = slice_first(text, 255);
    wire_put_u8(buf, (uint8_t)text.len);
    buf_add(buf, text);
}

struct wire {
    struct slice rest;
    bool failed;
};

static inline struct wire wire_of(struct slice bytes)
{
    return (struct wire){.rest = bytes};
}

static inline struct slice wire_take(struct wire *wire, size_t len)
{
    if (wire->failed || wire->rest.len < len) {
        wire->failed = true;
        return (struct slice){NULL, 0};
    }
    struct slice taken = slice_first(wire->rest, len);
    wire->rest = slice_skip(wire->rest, len);
    return taken;
}

static inline uint64_t wire_get(struct wire *wire, size_t size)
{
    struct slice bytes = wire_take(wire, size);
    return bytes.len == size ? little_load(bytes.at, size) : 0;
}

static inline uint8_t wire_get_u8(struct wire *wire)
{
    return (uint8_t)wire_get(wire, 1);
}

static inline uint32_t wire_get_u32(struct wire *wire)
{
    return (uint32_t)wire_get(wire, 4);
}

static inline uint64_t wire_get_u64(struct wire *wire)
{
    return wire_get(wire, 8);
}

static inline struct slice wire_get_text(struct wire *wire)
{
    return wire_take(wire, wire_get_u8(wire));
}

/* Fit to be shown in one line: UTF-8 without controls. One byte that is none would end the connection of each page that
 * shows it. */
static inline bool wire_is_line(struct slice text)
{
    return text_valid(text) && !text_has_controls(text) && slice_find(text, '\n') == text.len &&
           slice_find(text, '\t') == text.len;
}
