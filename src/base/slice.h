/* Text that somebody else owns: a pointer and a length, passed by value, without a final NUL.
 *
 * A function that keeps a slice for longer than its call copies it, unless its header says whose
 * memory it stands on. The empty slice has len 0; its pointer may be NULL and is never read.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const char *at;
    size_t len; /* bytes */
};

/* A slice of a string literal, good in static initialisers too. */
#define SLICE(literal)                 \
    {                                  \
        (literal), sizeof(literal) - 1 \
    }
#define slice_of(literal) ((struct slice)SLICE(literal))

static inline struct slice slice_make(const void *at, size_t len)
{
    return (struct slice){.at = (const char *)at, .len = len};
}

static inline struct slice slice_from(const char *string)
{
    return (struct slice){.at = string, .len = string == NULL ? 0 : strlen(string)};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool slice_is(struct slice a, const char *string)
{
    return slice_equal(a, slice_from(string));
}

static inline bool slice_starts(struct slice a, struct slice prefix)
{
    return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.at, prefix.at, prefix.len) == 0);
}

/* What is left of `a` after its first `count` bytes; empty when there are not so many. */
static inline struct slice slice_skip(struct slice a, size_t count)
{
    return count >= a.len ? (struct slice){NULL, 0} : slice_make(a.at + count, a.len - count);
}

/* The first `count` bytes of `a`, or all of it. */
static inline struct slice slice_first(struct slice a, size_t count)
{
    return slice_make(a.at, count < a.len ? count : a.len);
}

/* The place of the first `byte` in `a`, or a.len. */
static inline size_t slice_find(struct slice a, char byte)
{
    const char *found = a.len == 0 ? NULL : memchr(a.at, byte, a.len);
    return found == NULL ? a.len : (size_t)(found - a.at);
}

/* Cuts `rest` at the first `byte`: returns what stands before it and leaves what stands behind
 * it; without the byte returns all and leaves nothing. */
static inline struct slice slice_cut(struct slice *rest, char byte)
{
    struct slice whole = *rest;
    size_t place = slice_find(whole, byte);
    *rest = slice_skip(whole, place + 1);
    return slice_first(whole, place);
}

/* Without blanks and tabs at both ends. */
static inline struct slice slice_trim(struct slice a)
{
    while (a.len > 0 && (a.at[0] == ' ' || a.at[0] == '\t'))
        a = slice_skip(a, 1);
    while (a.len > 0 && (a.at[a.len - 1] == ' ' || a.at[a.len - 1] == '\t'))
        a.len--;
    return a;
}

/* A decimal number of 1 to 19 digits and nothing else. */
static inline bool slice_to_u64(struct slice a, uint64_t *value)
{
    uint64_t sum = 0;
    if (a.len == 0 || a.len > 19) return false;
    for (size_t i = 0; i < a.len; i++) {
        if (a.at[i] < '0' || a.at[i] > '9') return false;
        sum = sum * 10 + (uint64_t)(a.at[i] - '0');
    }
    *value = sum;
    return true;
}

static inline int slice_hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

/* Exactly 2 * size digits of lower case hexadecimal, as buf_add_hex writes them. */
static inline bool slice_to_bytes(struct slice a, void *bytes, size_t size)
{
    uint8_t *out = (uint8_t *)bytes;
    if (a.len != 2 * size) return false;
    for (size_t i = 0; i < size; i++) {
        int high = slice_hex_digit(a.at[2 * i]);
        int low = slice_hex_digit(a.at[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
