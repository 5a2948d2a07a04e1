/* Days, times and amounts as people read them. Pure: the clock and the reader's time zone are given.
 *
 * `ms` is milliseconds since 1970 in UTC, `offset_minutes` the reader's way east of it.
 */
#pragma once
#include "base/buf.h"

/* The reader's day, as a number that rises by one at midnight. */
int64_t when_day(int64_t ms, int16_t offset_minutes);

/* "08:47", "08:47:02" */
void when_add_time(struct buf *out, int64_t ms, int16_t offset_minutes);
void when_add_seconds(struct buf *out, int64_t ms, int16_t offset_minutes);

/* "Today", "Yesterday", "Saturday 21 November", from 300 days on "Saturday 21 November 2025". */
void when_add_day(struct buf *out, int64_t ms, int64_t now_ms, int16_t offset_minutes);

/* For lists: "08:47" today, "Sat" within a week, "3 Nov", "3 Nov 2025". */
void when_add_short(struct buf *out, int64_t ms, int64_t now_ms, int16_t offset_minutes);

/* "6 d 4 h", "3 h 20 min", "11 min", "41 s" */
void when_add_duration(struct buf *out, uint64_t ms);

/* "48 213" with thin blanks that do not break, as in tables; "4,120" in sentences. */
void when_add_number(struct buf *out, uint64_t value);
void when_add_count(struct buf *out, uint64_t value);

/* "214 MB"; 0 bytes are "-". */
void when_add_bytes(struct buf *out, uint64_t bytes);
