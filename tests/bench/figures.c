#include "bench/figures.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct {
    int depth;
    bool needs_comma;
} output;

static unsigned slot_of(uint64_t us)
{
    if (us < FIGURES_STEPS) return (unsigned)us;
    unsigned power = 63U - (unsigned)__builtin_clzll(us); /* >= 6 */
    unsigned step = (unsigned)(us >> (power - 6)) & (FIGURES_STEPS - 1);
    unsigned slot = (power - 5) * FIGURES_STEPS + step;
    unsigned last = FIGURES_POWERS * FIGURES_STEPS - 1;
    return slot < last ? slot : last;
}

/* The upper end of what the slot holds. */
static uint64_t us_of(unsigned slot)
{
    if (slot < FIGURES_STEPS) return slot;
    unsigned power = slot / FIGURES_STEPS + 5;
    uint64_t step = slot % FIGURES_STEPS;
    return ((UINT64_C(1) << power) + ((step + 1) << (power - 6))) - 1;
}

void figures_reset(struct figures *figures)
{
    *figures = (struct figures){.count = 0};
}

void figures_add(struct figures *figures, uint64_t us)
{
    figures_add_many(figures, us, 1);
}

void figures_add_many(struct figures *figures, uint64_t us, uint64_t count)
{
    if (count == 0) return;
    figures->counts[slot_of(us)] += count;
    figures->count += count;
    if (us > figures->max_us) figures->max_us = us;
}

double figures_quantile_ms(const struct figures *figures, double q)
{
    uint64_t wanted = (uint64_t)ceil(q * (double)figures->count);
    uint64_t seen = 0;
    for (unsigned slot = 0; slot < FIGURES_POWERS * FIGURES_STEPS; slot++) {
        seen += figures->counts[slot];
        if (seen >= wanted && seen > 0) {
            uint64_t us = us_of(slot);
            return (double)(us < figures->max_us ? us : figures->max_us) / 1000.0;
        }
    }
    return 0;
}

double figures_max_ms(const struct figures *figures)
{
    return (double)figures->max_us / 1000.0;
}

static void key(const char *name)
{
    printf("%s\"%s\":", output.needs_comma ? "," : "", name);
    output.needs_comma = true;
}

void figures_begin(const char *mode)
{
    putchar('{');
    output.depth = 1;
    output.needs_comma = false;
    key("mode");
    printf("\"%s\"", mode);
}

void figures_number(const char *name, double value)
{
    key(name);
    if (isfinite(value))
        printf("%.10g", value);
    else
        fputs("null", stdout);
}

void figures_quantiles(const char *prefix, const struct figures *figures)
{
    static const struct {
        const char *suffix;
        double q;
    } quantiles[] = {{"p50_ms", 0.5}, {"p90_ms", 0.9}, {"p99_ms", 0.99}, {"p999_ms", 0.999}};
    char name[64];

    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        snprintf(name, sizeof name, "%s%s", prefix, quantiles[i].suffix);
        figures_number(name, figures_quantile_ms(figures, quantiles[i].q));
    }
    snprintf(name, sizeof name, "%smax_ms", prefix);
    figures_number(name, figures_max_ms(figures));
}

void figures_object(const char *name)
{
    key(name);
    putchar('{');
    output.depth++;
    output.needs_comma = false;
}

void figures_end(void)
{
    putchar('}');
    output.needs_comma = true;
    if (--output.depth == 0) {
        putchar('\n');
        fflush(stdout);
    }
}
