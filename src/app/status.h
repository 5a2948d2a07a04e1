/* How things stand, as JSON: /status. And as words: /readyz?verbose. Pure functions of a snapshot.
 *
 * Names never change their meaning; new ones may come. What is not known is null, never left out.
 */
#pragma once
#include "app/snapshot.h"

enum { STATUS_MAX = 256 * 1024, READY_BEHIND_MAX = 1000 };

void status_write(struct buf *out, const struct snapshot *snapshot, const char *version,
                  const char *commit);

/* JSON of ours, in lines with two blanks for each level. */
void status_pretty(struct buf *out, struct slice json);

enum { READY_CHECKS = 5, READY_WORDS_MAX = 256 };

struct ready_check {
    const char *name; /* "caught_up" */
    bool holds;
    char why[READY_WORDS_MAX]; /* not */
};

/* What /readyz looks at, in its order. True if all of it holds. */
bool status_checks(struct ready_check checks[READY_CHECKS], const struct snapshot *snapshot);

/* Would /readyz answer 200? `snapshot` NULL: not yet. Appends a line for each check, unless `out` is
 * NULL. */
bool status_ready(struct buf *out, const struct snapshot *snapshot);
