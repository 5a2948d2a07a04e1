#include "base/clock.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"

enum { MS_PER_DAY = 86400000, DAYS_PER_ERA = 146097 };

static uint64_t nanoseconds(clockid_t which)
{
    struct timespec now;
    int rv = clock_gettime(which, &now);
    assert(rv == 0);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

uint64_t clock_ns(void)
{
    return nanoseconds(CLOCK_MONOTONIC);
}

uint64_t clock_ms(void)
{
    return clock_ns() / 1000000U;
}

int64_t clock_wall_ms(void)
{
    return (int64_t)(nanoseconds(CLOCK_REALTIME) / 1000000U);
}

/* Years are counted from March here, so that the leap day is the last of its year, and in eras of
 * 400 years, which all have the same number of days. */
struct civil clock_civil(int64_t ms)
{
    int64_t days = ms / MS_PER_DAY;
    int64_t rest = ms % MS_PER_DAY;
    if (rest < 0) {
        rest += MS_PER_DAY;
        days--;
    }
    int seconds = (int)(rest / 1000);

    int64_t since_march = days + 719468; /* since 0000-03-01 */
    int64_t era =
        (since_march >= 0 ? since_march : since_march - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
    int day_of_era = (int)(since_march - era * DAYS_PER_ERA);
    int year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int march_month = (5 * day_of_year + 2) / 153;
    int month = march_month < 10 ? march_month + 3 : march_month - 9;
    int weekday = (int)((days % 7 + 11) % 7); /* day 0 was a Thursday */

    return (struct civil){.year = (int)(era * 400 + year_of_era + (month <= 2 ? 1 : 0)),
                          .month = month,
                          .day = day_of_year - (153 * march_month + 2) / 5 + 1,
                          .hour = seconds / 3600,
                          .minute = seconds / 60 % 60,
                          .second = seconds % 60,
                          .weekday = weekday,
                          .days = days};
}

void clock_add_rfc3339(struct buf *buf, int64_t wall_ms, int with_ms)
{
    struct civil civil = clock_civil(wall_ms);
    buf_printf(buf, "%04d-%02d-%02dT%02d:%02d:%02d", civil.year, civil.month, civil.day, civil.hour,
               civil.minute, civil.second);
    int ms = (int)(wall_ms % 1000);
    if (with_ms) buf_printf(buf, ".%03d", ms < 0 ? ms + 1000 : ms);
    buf_add_char(buf, 'Z');
}

/* The digits of a text at the places of 'd' in `form`, whose other bytes must be the same. */
static bool take_digits(struct slice text, const char *form, int *values, size_t values_count)
{
    size_t at = 0;
    if (text.len != strlen(form)) return false;
    for (size_t i = 0; i < values_count; i++)
        values[i] = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool is_digit = form[i] == 'd' && c >= '0' && c <= '9';
        if (!is_digit && c != form[i]) return false;
        if (is_digit)
            values[at] = 10 * values[at] + (c - '0');
        else if (form[i] != 'd')
            at++;
    }
    return true;
}

/* Days since 1970 of a day that may not exist. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400; /* years are not negative here */
    int64_t year_of_era = y - era * 400;
    int64_t march_month = month > 2 ? month - 3 : month + 9;
    int64_t day_of_year = (153 * march_month + 2) / 5 + day - 1;
    return era * DAYS_PER_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
           day_of_year - 719468;
}

bool clock_parse_rfc3339(struct slice text, int64_t *wall_ms)
{
    int v[8] = {0};
    if (!take_digits(text, "dddd-dd-ddTdd:dd:dd.dddZ", v, 8)) {
        if (!take_digits(text, "dddd-dd-ddTdd:dd:ddZ", v, 8)) return false;
        v[6] = 0;
    }
    if (v[0] < 1970 || v[1] < 1 || v[1] > 12 || v[3] > 23 || v[4] > 59 || v[5] > 59) return false;
    int64_t days = days_of(v[0], v[1], v[2]);
    *wall_ms = ((days * 24 + v[3]) * 60 + v[4]) * 60000 + v[5] * 1000 + v[6];
    /* Is there such a day? */
    struct civil civil = clock_civil(*wall_ms);
    return civil.year == v[0] && civil.month == v[1] && civil.day == v[2];
}
