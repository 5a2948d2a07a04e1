/* What a message of ours carries: a stamp in its text, and an id.
 *
 *   ^SEQUENCE DUE^ padding        8 digits, 16 digits: microseconds of the monotonic clock
 *
 * The id is a UUID of version 7, as a node would put into the form of the message box.
 */
#pragma once
#include "base/buf.h"

enum { STAMP_SEQUENCE = 8, STAMP_DUE = 16, STAMP_SIZE = STAMP_SEQUENCE + STAMP_DUE + 3 };

struct stamp {
    uint64_t sequence;
    uint64_t due_us;
};

/* A text of `size` bytes. */
void stamp_add(struct buf *out, const struct stamp *stamp, size_t size);
/* Takes the next stamp out of `rest`, which is cut behind it; false when there is none. */
bool stamp_next(struct slice *rest, struct stamp *stamp);

/* A new id; never the same in one run of the program. */
void nonce_add(struct buf *out);
