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

/* Would /readyz answer 200? `snapshot` NULL: not yet. Appends a line for each check. */
bool status_ready(struct buf *out, const struct snapshot *snapshot);
