/* Who waits for an event: joins of pages that have seen more than this node has applied.
 *
 * A page may say any number, and many may come at once when a node has died, so that nothing here costs more
 * than the mails that it is about: those whose number has come are at the top of a heap, those whose time is
 * over at the head of a list. At most REACH_WAITING_MAX wait; one more is told at once that this node is behind.
 * A page that goes, or joins anew, leaves no place taken, so it has one at most. Domain thread.
 */
#pragma once
#include "app/mails.h"

struct reach {
    struct reach_mail *waiting; /* the longest first */
    struct reach_mail *
        *by_number; /* a heap: none has a smaller number than the one that it stands below */
    struct reach_mail *by_who;
    size_t count, size;
};

void reach_close(struct reach *reach); /* frees those that wait */

/* Takes the mail, at most SEEN_HOLD_MS from now: reach_next gives it back. */
void reach_add(struct reach *reach, struct reach_mail *mail, uint64_t now_ms);

/* Frees the mail of who has gone, if it is here. */
void reach_drop(struct reach *reach, const struct reach_who *who);

/* One whose answer is known, with `reached` filled, out of the list and the caller's; or NULL. `number` is that
 * of the newest applied event. */
struct reach_mail *reach_next(struct reach *reach, uint64_t number, uint64_t now_ms);
