/* When the world fails: codes, their words, and a place for the particulars.
 *
 * A function that can fail returns 0 or one of these, and writes what happened, once, where it is
 * known, into the caller's errmsg. When the domain says no, that is no error: see chat/chat.h.
 */
#pragma once
#include <stddef.h>

#define ERR_TABLE(X)                                 \
    X(ERR_IO, -1, "input/output error")              \
    X(ERR_FORMAT, -2, "not in the expected format")  \
    X(ERR_TOO_LARGE, -3, "larger than allowed")      \
    X(ERR_NOT_FOUND, -4, "not found")                \
    X(ERR_BUSY, -5, "busy")                          \
    X(ERR_CLOSED, -6, "closed")                      \
    X(ERR_TIMEOUT, -7, "timed out")                  \
    X(ERR_CONFIG, -8, "not a usable configuration")  \
    X(ERR_DATA, -9, "data not usable")               \
    X(ERR_BIND, -10, "cannot listen on the address") \
    X(ERR_DENIED, -11, "not allowed")                \
    X(ERR_NO_LEADER, -12, "no leader")               \
    X(ERR_FULL, -13, "full")

#define ERR_ENUM(name, value, words) name = (value),
enum err { ERR_TABLE(ERR_ENUM) ERR_LAST = 0 };
#undef ERR_ENUM

enum { ERRMSG_MAX = 512 };

struct errmsg {
    char text[ERRMSG_MAX]; /* a sentence without a final stop, NUL at its end; empty = none */
};

/* Cuts what does not fit. `errmsg` may be NULL. */
__attribute__((format(printf, 2, 3))) void errmsg_set(struct errmsg *errmsg, const char *format,
                                                      ...);

/* The words of a code; never NULL. */
const char *err_words(int code);
