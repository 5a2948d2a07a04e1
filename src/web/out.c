#include "web/out.h"

#include <assert.h>

#include "base/mem.h"

static const uintptr_t ENDS_FRAME = 1;

static uintptr_t slot_at(const struct out *out, uint32_t place)
{
    return out->slots[(out->first + place) & (out->size - 1)];
}

static struct shared *slot_piece(uintptr_t slot)
{
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): the lowest bit is ours */
    return (struct shared *)(slot & ~ENDS_FRAME);
}

void out_init(struct out *out)
{
    *out = (struct out){.slots = out->few, .size = OUT_FEW};
}

void out_close(struct out *out)
{
    for (uint32_t i = 0; i < out->count; i++)
        shared_unref(slot_piece(slot_at(out, i)));
    if (out->slots != out->few) mem_free(out->slots);
    out_init(out);
}

static void out_grow(struct out *out)
{
    uintptr_t *slots = mem_new_array((size_t)out->size * 2, sizeof *slots);

    for (uint32_t i = 0; i < out->count; i++)
        slots[i] = slot_at(out, i);
    if (out->slots != out->few) mem_free(out->slots);
    out->slots = slots;
    out->first = 0;
    out->size *= 2;
}

void out_push(struct out *out, struct shared *piece, bool ends_frame)
{
    assert(((uintptr_t)piece & ENDS_FRAME) == 0);
    if (piece->len == 0 && !ends_frame) {
        shared_unref(piece);
        return;
    }
    if (out->count == out->size) out_grow(out);
    out->slots[(out->first + out->count) & (out->size - 1)] =
        (uintptr_t)piece | (ends_frame ? ENDS_FRAME : 0);
    out->count++;
    out->bytes += piece->len;
    if (ends_frame) out->frames++;
}

unsigned out_fill(const struct out *out, uv_buf_t bufs[], unsigned bufs_max, bool one_frame)
{
    unsigned filled = 0;

    for (uint32_t i = 0; i < out->count && filled < bufs_max; i++) {
        uintptr_t slot = slot_at(out, i);
        struct shared *piece = slot_piece(slot);
        size_t skip = i == 0 ? out->sent : 0;
        if (piece->len > skip || filled == 0) {
            bufs[filled++] = uv_buf_init(piece->bytes + skip, (unsigned)(piece->len - skip));
        }
        if (one_frame && (slot & ENDS_FRAME) != 0) break;
    }
    return filled;
}

static void out_drop_first(struct out *out)
{
    shared_unref(slot_piece(slot_at(out, 0)));
    out->first = (out->first + 1) & (out->size - 1);
    out->count--;
    out->sent = 0;
}

unsigned out_advance(struct out *out, size_t bytes)
{
    unsigned frames = 0;

    assert(bytes <= out->bytes);
    out->bytes -= bytes;
    while (out->count > 0) {
        uintptr_t slot = slot_at(out, 0);
        size_t left = slot_piece(slot)->len - out->sent;
        if (bytes < left) {
            out->sent += bytes;
            break;
        }
        bytes -= left;
        out->is_mid_frame = (slot & ENDS_FRAME) == 0;
        if (!out->is_mid_frame) frames++;
        out_drop_first(out);
    }
    out->frames -= frames;
    if (out->count == 0 && out->slots != out->few) {
        mem_free(out->slots);
        out_init(out);
    }
    return frames;
}

void out_cut(struct out *out, bool is_pinned)
{
    uint32_t keep = 0;

    if (is_pinned || out->is_mid_frame || out->sent > 0) {
        while (keep < out->count) {
            bool is_last = (slot_at(out, keep) & ENDS_FRAME) != 0;
            keep++;
            if (is_last) break;
        }
    }
    while (out->count > keep) {
        uintptr_t slot = slot_at(out, out->count - 1);
        struct shared *piece = slot_piece(slot);
        out->bytes -= piece->len;
        if ((slot & ENDS_FRAME) != 0) out->frames--;
        out->count--;
        shared_unref(piece);
    }
}
