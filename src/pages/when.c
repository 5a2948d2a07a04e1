#include "pages/when.h"

#include <inttypes.h>

#include "base/clock.h"

enum { MINUTE_MS = 60 * 1000, DAYS_WITHOUT_YEAR = 300 };

static const char *const weekdays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday"};
static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};

static struct civil civil_of(int64_t ms, int16_t offset_minutes)
{
    return clock_civil(ms + (int64_t)offset_minutes * MINUTE_MS);
}

int64_t when_day(int64_t ms, int16_t offset_minutes)
{
    return civil_of(ms, offset_minutes).days;
}

void when_add_time(struct buf *out, int64_t ms, int16_t offset_minutes)
{
    struct civil c = civil_of(ms, offset_minutes);
    buf_printf(out, "%02d:%02d", c.hour, c.minute);
}

void when_add_seconds(struct buf *out, int64_t ms, int16_t offset_minutes)
{
    struct civil c = civil_of(ms, offset_minutes);
    buf_printf(out, "%02d:%02d:%02d", c.hour, c.minute, c.second);
}

static bool needs_year(int64_t days_ago)
{
    return days_ago >= DAYS_WITHOUT_YEAR || days_ago <= -DAYS_WITHOUT_YEAR;
}

void when_add_day(struct buf *out, int64_t ms, int64_t now_ms, int16_t offset_minutes)
{
    struct civil c = civil_of(ms, offset_minutes);
    int64_t days_ago = when_day(now_ms, offset_minutes) - c.days;
    if (days_ago == 0) {
        buf_add(out, slice_of("Today"));
        return;
    }
    if (days_ago == 1) {
        buf_add(out, slice_of("Yesterday"));
        return;
    }
    buf_printf(out, "%s %d %s", weekdays[c.weekday], c.day, months[c.month - 1]);
    if (needs_year(days_ago)) buf_printf(out, " %d", c.year);
}

void when_add_short(struct buf *out, int64_t ms, int64_t now_ms, int16_t offset_minutes)
{
    struct civil c = civil_of(ms, offset_minutes);
    int64_t days_ago = when_day(now_ms, offset_minutes) - c.days;
    if (days_ago == 0) {
        when_add_time(out, ms, offset_minutes);
    } else if (days_ago > 0 && days_ago < 7) {
        buf_printf(out, "%.3s", weekdays[c.weekday]);
    } else {
        buf_printf(out, "%d %.3s", c.day, months[c.month - 1]);
        if (needs_year(days_ago)) buf_printf(out, " %d", c.year);
    }
}

void when_add_duration(struct buf *out, uint64_t ms)
{
    uint64_t seconds = ms / 1000;
    uint64_t minutes = seconds / 60;
    uint64_t hours = minutes / 60;
    if (hours >= 24) {
        buf_printf(out, "%" PRIu64 " d %" PRIu64 " h", hours / 24, hours % 24);
    } else if (hours > 0) {
        buf_printf(out, "%" PRIu64 " h %" PRIu64 " min", hours, minutes % 60);
    } else if (minutes > 0) {
        buf_printf(out, "%" PRIu64 " min", minutes);
    } else {
        buf_printf(out, "%" PRIu64 " s", seconds);
    }
}

static void add_grouped(struct buf *out, uint64_t value, const char *separator)
{
    char digits[24];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (count > 0) {
        buf_add_char(out, digits[--count]);
        if (count > 0 && count % 3 == 0) buf_add(out, slice_from(separator));
    }
}

void when_add_number(struct buf *out, uint64_t value)
{
    add_grouped(out, value, "\xe2\x80\xaf"); /* U+202F */
}

void when_add_count(struct buf *out, uint64_t value)
{
    add_grouped(out, value, ",");
}

void when_add_bytes(struct buf *out, uint64_t bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    if (bytes == 0) {
        buf_add_char(out, '-');
        return;
    }
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 999.5 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1000;
        unit++;
    }
    buf_printf(out, unit > 1 && value < 9.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}
