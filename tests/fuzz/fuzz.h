/* What each fuzz target has: one function that takes any bytes. With LIVETEA_FUZZ libFuzzer calls it;
 * else replay.c does, with the files of the corpus, so that what was once found is tried by every
 * compiler and sanitizer.
 *
 * A target fails by ending the process: an assert, a sanitizer, or FUZZ_HOLDS, which says what must be
 * so whatever came in.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_HOLDS(condition)                                                       \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                \
        }                                                                           \
    } while (0)
