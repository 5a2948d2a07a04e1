/* How far a long command is: one line on a terminal, written over and over, nothing elsewhere.
 *
 *     events   1,234,567 of 10,000,000  12 %
 */
#pragma once
#include "cli/cli.h"

struct progress {
    FILE *out; /* NULL: nobody looks */
    const char *what;
    uint64_t told_ms;
    bool is_shown;
};

void progress_begin(struct progress *progress, const struct cli *cli, const char *what);
/* `of` 0: nobody knows. An event_store_progress_fn with the struct as owner. Cheap. */
void progress_tell(void *progress, uint64_t number, uint64_t of);
/* Wipes the line. */
void progress_end(struct progress *progress);

/* 1234567 as "1,234,567". */
enum { GROUPED_SIZE = 28 };
const char *progress_grouped(char out[GROUPED_SIZE], uint64_t value);
