#include "bench/stamp.h"

#include "base/clock.h"
#include "base/crypto.h"

static void add_digits(struct buf *out, uint64_t value, int digits)
{
    char text[24];
    for (int i = digits - 1; i >= 0; i--) {
        text[i] = (char)('0' + value % 10);
        value /= 10;
    }
    buf_append(out, text, (size_t)digits);
}

void stamp_add(struct buf *out, const struct stamp *stamp, size_t size)
{
    static const char words[] = " tea and biscuits are served in the garden";
    buf_add_char(out, '^');
    add_digits(out, stamp->sequence, STAMP_SEQUENCE);
    buf_add_char(out, ' ');
    add_digits(out, stamp->due_us, STAMP_DUE);
    buf_add_char(out, '^');
    for (size_t i = STAMP_SIZE; i < size; i++)
        buf_add_char(out, words[(i - STAMP_SIZE) % (sizeof words - 1)]);
}

static uint64_t digits_at(const char *at, int digits)
{
    uint64_t value = 0;
    for (int i = 0; i < digits; i++)
        value = value * 10 + (uint64_t)(unsigned char)(at[i] - '0');
    return value;
}

bool stamp_next(struct slice *rest, struct stamp *stamp)
{
    size_t place = slice_find(*rest, '^');
    if (place + STAMP_SIZE > rest->len) return false;
    const char *at = rest->at + place;
    if (at[STAMP_SIZE - 1] != '^' || at[STAMP_SEQUENCE + 1] != ' ') return false;
    stamp->sequence = digits_at(at + 1, STAMP_SEQUENCE);
    stamp->due_us = digits_at(at + STAMP_SEQUENCE + 2, STAMP_DUE);
    *rest = slice_skip(*rest, place + STAMP_SIZE);
    return true;
}

void nonce_add(struct buf *out)
{
    static uint64_t random, count;
    uint64_t ms = (uint64_t)clock_wall_ms();
    if (count++ == 0) crypto_random(&random, sizeof random);
    buf_printf(out, "%08llx-%04llx-7%03llx-8%03llx-%04llx%08llx",
               (unsigned long long)(ms >> 16 & 0xffffffff), (unsigned long long)(ms & 0xffff),
               (unsigned long long)(random & 0xfff), (unsigned long long)(random >> 12 & 0xfff),
               (unsigned long long)(random >> 24 & 0xffff),
               (unsigned long long)(count & 0xffffffff));
}
