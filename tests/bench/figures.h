/* Figures: many durations as quantiles, and a result as one line of JSON.
 *
 * Each power of two of microseconds has 64 steps, so a quantile is exact to 1.6 %. What has not come
 * at all counts as FIGURES_NEVER: a loss makes a quantile worse, never better.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { FIGURES_STEPS = 64, FIGURES_POWERS = 32 };

#define FIGURES_NEVER UINT64_C(3600000000) /* microseconds */

struct figures {
    uint64_t counts[FIGURES_POWERS * FIGURES_STEPS];
    uint64_t count;
    uint64_t max_us;
};

void figures_reset(struct figures *figures);
void figures_add(struct figures *figures, uint64_t us);
void figures_add_many(struct figures *figures, uint64_t us, uint64_t count);
/* In milliseconds; 0 when empty. q is 0..1. */
double figures_quantile_ms(const struct figures *figures, double q);
double figures_max_ms(const struct figures *figures);

/* A JSON object on standard output, field by field. */
void figures_begin(const char *mode);
void figures_number(const char *name, double value);
void figures_quantiles(const char *prefix, const struct figures *figures);
/* An object inside; ended by figures_end. */
void figures_object(const char *name);
void figures_end(void);
