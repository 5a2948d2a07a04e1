/* What time it is. The only place that asks the system.
 *
 * Deadlines, rates and expiry read the monotonic clock; the wall clock is read for the time of a
 * new message and for logs, nothing else. Any thread.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct buf;

uint64_t clock_ns(void);     /* monotonic */
uint64_t clock_ms(void);     /* monotonic */
int64_t clock_wall_ms(void); /* since 1970, UTC */

/* Appends RFC 3339 in UTC, "2026-11-23T08:32:51.204Z" or without the milliseconds. */
void clock_add_rfc3339(struct buf *buf, int64_t wall_ms, int with_ms);

/* The other way, for exactly that form, with or without milliseconds, from 1970 on. Pure. */
struct slice;
bool clock_parse_rfc3339(struct slice text, int64_t *wall_ms);

/* A day and a time of the proleptic Gregorian calendar, no time zone. */
struct civil {
    int year, month, day;     /* month 1..12, day 1..31 */
    int hour, minute, second; /* of the day */
    int weekday;              /* 0 = Sunday */
    int64_t days;             /* since 1970-01-01 */
};

/* Pure: of a number of milliseconds since 1970 (already moved to the reader's offset). */
struct civil clock_civil(int64_t ms);
