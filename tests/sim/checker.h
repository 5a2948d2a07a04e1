/* The checker: from what everybody saw to what was broken.
 *
 * It is told, in the order of time, what clients sent and were answered, what pages showed, and at the
 * end what each node has in its own store. checker_run then looks for each of the errors below, linearly
 * in what it was told:
 *
 *   the logs        the longest is the reference R. Another one differs in a place: DIVERGED; is shorter:
 *                   NOT_CONVERGED; could not be read: NO_FINAL
 *   R itself        numbers are 1, 2, 3...: LOG_ORDER; an id twice, or a text under two ids: DUPLICATE; that nobody sent: GHOST; that
 *                   was refused: FAIL_APPEARED; before an earlier one of its client: SENDER_ORDER; before
 *                   one that was acknowledged when it was first sent: REALTIME_ORDER
 *   answers         acknowledged and not in R: LOST; with another number: ACK_NUMBER; with two: ACK_CHANGED.
 *                   What is unknown may be there once or not.
 *   pages           a mount is a piece of R without a hole: MOUNT_GAP; reaches what this page has shown
 *                   before: STALE_MOUNT; and what its own client was acknowledged: NOT_YOUR_WRITES (both as
 *                   soon as it does not say "catching up"). Then each event is the next of its room: the
 *                   last again: VIEW_DUPLICATE, an earlier one: VIEW_REORDER, one further on: VIEW_GAP;
 *                   not in R: VIEW_PHANTOM; with another id: VIEW_MISMATCH; not at R's end at last:
 *                   VIEW_STALLED
 *   waiting         somebody waits for too long for an answer, or for one that is not a refusal when all is
 *                   well again, which the caller measures: NO_RECOVERY
 *
 * An id is a number of the caller's; a refusal counts as one only if no try of the same id was answered
 * otherwise or is still open, which is the caller's to know.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHECKER_TABLE(X) \
    X(DIVERGED)          \
    X(NOT_CONVERGED)     \
    X(NO_FINAL)          \
    X(LOG_ORDER)         \
    X(DUPLICATE)         \
    X(GHOST)             \
    X(FAIL_APPEARED)     \
    X(SENDER_ORDER)      \
    X(REALTIME_ORDER)    \
    X(LOST)              \
    X(ACK_NUMBER)        \
    X(ACK_CHANGED)       \
    X(MOUNT_GAP)         \
    X(STALE_MOUNT)       \
    X(NOT_YOUR_WRITES)   \
    X(VIEW_DUPLICATE)    \
    X(VIEW_REORDER)      \
    X(VIEW_GAP)          \
    X(VIEW_PHANTOM)      \
    X(VIEW_MISMATCH)     \
    X(VIEW_STALLED)      \
    X(NO_RECOVERY)

#define CHECKER_ENUM(name) CHECKER_##name,
enum checker_error { CHECKER_TABLE(CHECKER_ENUM) CHECKER_ERRORS };
#undef CHECKER_ENUM

const char *checker_name(enum checker_error error);

struct checker_line { /* of a log */
    uint64_t number, id;
    uint64_t digest; /* some bytes of it: equal numbers, equal digests */
    uint64_t text;   /* a hash of it: no two are the same. 0 = not told */
    unsigned room;
};

struct checker_report {
    uint64_t counts[CHECKER_ERRORS];
    enum checker_error first; /* found; CHECKER_ERRORS = none */
    char words[200];          /* about it */
    uint64_t commands, acknowledged, unknown, unknown_present, refused, mounts, views, length;
};

struct checker;

struct checker *checker_new(void);
void checker_free(struct checker *checker);

/* `sequence` rises with every new id of one client. Every try; the first one counts for the order. */
void checker_sent(struct checker *checker, uint64_t id, unsigned client, uint64_t sequence);
void checker_acknowledged(struct checker *checker, uint64_t id, uint64_t number);
void checker_refused(struct checker *checker, uint64_t id);

void checker_no_recovery(struct checker *checker, unsigned client, uint64_t waited_ms);

/* A page shows `lines` of its room now, and everything behind them from now on. `client`: whose writes it
 * must show, UINT_MAX = nobody's. */
void checker_mount(struct checker *checker, unsigned page, unsigned client, unsigned room,
                   bool is_behind, const struct checker_line *lines, size_t lines_count);
/* It stops saying "catching up". */
void checker_level(struct checker *checker, unsigned page);
void checker_view(struct checker *checker, unsigned page, uint64_t number, uint64_t id);

/* What a node has; NULL: it cannot be read. */
void checker_final(struct checker *checker, unsigned node, const struct checker_line *lines,
                   size_t lines_count);

/* True: nothing is wrong. */
bool checker_run(struct checker *checker, struct checker_report *report);
