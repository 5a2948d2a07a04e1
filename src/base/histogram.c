#include "base/histogram.h"

#include <math.h>

const uint64_t histogram_bounds_us[HISTOGRAM_BOUNDS] = {
    50,    100,    250,    500,    1000,    2500,    5000,    10000,   25000,
    50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};

void histogram_add(struct histogram *histogram, uint64_t duration_us)
{
    size_t place = 0;
    while (place < HISTOGRAM_BOUNDS && duration_us > histogram_bounds_us[place])
        place++;
    histogram->counts[place]++;
    histogram->count++;
    histogram->sum_us += duration_us;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++)
        into->counts[i] += from->counts[i];
    into->count += from->count;
    into->sum_us += from->sum_us;
}

struct histogram histogram_since(const struct histogram *now, const struct histogram *before)
{
    struct histogram since = *now;
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++)
        since.counts[i] -= before->counts[i];
    since.count -= before->count;
    since.sum_us -= before->sum_us;
    return since;
}

double histogram_quantile_ms(const struct histogram *histogram, double q)
{
    if (histogram->count == 0) return (double)NAN;

    double rank = q * (double)histogram->count, below = 0;
    for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
        double here = (double)histogram->counts[i];
        double low = i == 0 ? 0 : (double)histogram_bounds_us[i - 1];
        double high = (double)histogram_bounds_us[i];
        if (below + here >= rank && here > 0)
            return (low + (high - low) * (rank - below) / here) / 1000;
        below += here;
    }
    return (double)histogram_bounds_us[HISTOGRAM_BOUNDS - 1] / 1000;
}
