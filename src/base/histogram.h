/* How long things take: a histogram of durations with fixed bounds.
 *
 * The bounds go from 50 us to 10 s; quantiles are interpolated between them. Adding costs a few
 * compares and an increment. One owner; what crosses threads is a copy.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_BOUNDS = 17 };

extern const uint64_t histogram_bounds_us[HISTOGRAM_BOUNDS]; /* upper bounds, rising */

struct histogram {
    uint64_t counts[HISTOGRAM_BOUNDS + 1]; /* the last is everything above */
    uint64_t count;
    uint64_t sum_us;
};

void histogram_add(struct histogram *histogram, uint64_t duration_us);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* What came in since `before` was copied from it. */
struct histogram histogram_since(const struct histogram *now, const struct histogram *before);
/* In milliseconds, interpolated; NaN when empty. q is 0..1. */
double histogram_quantile_ms(const struct histogram *histogram, double q);
