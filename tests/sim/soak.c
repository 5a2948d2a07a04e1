/* Many simulated clusters, one for each seed.
 *
 *   soak [--from N] [--seeds N] [--seconds N] [--mistake NUMBER]
 *        [--until-failure]
 *   soak --seed N [--trace]        one seed again, exactly
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "faults.h"

enum { LEVEL_LONG_MS = 10 * 1000, TELLING_SEEDS = 500 };

struct settings {
    uint64_t from, seeds, seconds;
    enum mistake mistake;
    bool traces, stops;
};

struct totals {
    uint64_t seeds, failed, commands, acknowledged, unknown, present, refused, mounts, views;
    uint64_t virtual_ms, events, elections, kills, gaps, snapshots, backfilled, retries, known;
    uint64_t faults, kinds[FAULTS], repeated, changed, ended, kept, level_ms, level_max_ms;
    uint64_t wait_max_ms, proof_ms, proof_max_ms;
};

static enum mistake mistake_of(const char *text)
{
    unsigned number = (unsigned)strtoul(text, NULL, 10);
    for (int mistake = 0; mistake < MISTAKES; mistake++)
        if (mistake_number((enum mistake)mistake) == number) return (enum mistake)mistake;
    fprintf(stderr, "soak: there is no mistake %s\n", text);
    exit(2);
}

static void read_arguments(struct settings *settings, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--trace") == 0) {
            settings->traces = true;
            continue;
        }
        if (strcmp(argv[i], "--until-failure") == 0) {
            settings->stops = true;
            continue;
        }
        if (strcmp(argv[i], "--from") == 0) {
            settings->from = strtoull(value, NULL, 10);
        } else if (strcmp(argv[i], "--seeds") == 0) {
            settings->seeds = strtoull(value, NULL, 10);
        } else if (strcmp(argv[i], "--seconds") == 0) {
            settings->seconds = strtoull(value, NULL, 10);
        } else if (strcmp(argv[i], "--mistake") == 0) {
            settings->mistake = mistake_of(value);
        } else if (strcmp(argv[i], "--seed") == 0) {
            settings->from = strtoull(value, NULL, 10);
            settings->seeds = 1;
        } else {
            fprintf(stderr, "soak: unknown argument '%s'\n", argv[i]);
            exit(2);
        }
        i++;
    }
}

static void add(struct totals *totals, const struct run_result *result)
{
    const struct checker_report *report = &result->report;
    totals->seeds++;
    totals->failed += !result->is_good;
    totals->commands += report->commands;
    totals->acknowledged += report->acknowledged;
    totals->unknown += report->unknown;
    totals->present += report->unknown_present;
    totals->refused += report->refused;
    totals->mounts += report->mounts;
    totals->views += report->views;
    totals->virtual_ms += result->virtual_ms;
    totals->events += result->events;
    totals->elections += result->elections;
    totals->kills += result->kills;
    totals->gaps += result->gaps;
    totals->snapshots += result->snapshots;
    totals->backfilled += result->backfilled;
    totals->retries += result->retries;
    totals->known += result->known;
    totals->faults += result->faults;
    totals->repeated += result->repeated;
    totals->changed += result->changed;
    totals->ended += result->ended;
    totals->kept += result->kept;
    for (int i = 0; i < FAULTS; i++)
        totals->kinds[i] += result->kinds[i];
    totals->level_ms += result->level_ms;
    totals->proof_ms += result->proof_max_ms;
    if (result->wait_max_ms > totals->wait_max_ms) totals->wait_max_ms = result->wait_max_ms;
    if (result->proof_max_ms > totals->proof_max_ms) totals->proof_max_ms = result->proof_max_ms;
    if (result->level_ms > totals->level_max_ms) totals->level_max_ms = result->level_ms;
}

static void report(const struct totals *t, double seconds)
{
    printf("%" PRIu64 " seeds, %" PRIu64
           " failed; %.1f s, %.0f hours of simulated time, %.1f million "
           "events\n",
           t->seeds, t->failed, seconds, (double)t->virtual_ms / 3600e3, (double)t->events / 1e6);
    printf("commands %" PRIu64 ": %" PRIu64 " acknowledged, %" PRIu64 " unknown (%" PRIu64
           " of them in the log), %" PRIu64 " refused\n",
           t->commands, t->acknowledged, t->unknown, t->present, t->refused);
    printf("pages: %" PRIu64 " mounts, %" PRIu64 " messages shown\n", t->mounts, t->views);
    printf("faults %" PRIu64 ":", t->faults);
    for (int i = 0; i < FAULTS; i++)
        printf(" %s %" PRIu64 "%s", fault_words((enum fault_kind)i), t->kinds[i],
               i + 1 < FAULTS ? "," : "\n");
    printf("%" PRIu64 " nodes killed, %" PRIu64 " ended themselves; %" PRIu64 " elections, %" PRIu64
           " snapshots, %" PRIu64 " gaps, %" PRIu64 " events fetched, %" PRIu64
           " messages sent when there was a connection again\n",
           t->kills, t->ended, t->elections, t->snapshots, t->gaps, t->backfilled, t->kept);
    printf("ids found in a store %" PRIu64 ", searched again %" PRIu64
           ", found when applied %" PRIu64 "; changes of members %" PRIu64 "\n",
           t->known, t->retries, t->repeated, t->changed);
    double seeds = (double)(t->seeds == 0 ? 1 : t->seeds);
    printf("all level after the last fault: %.1f s on average, %.1f s at most; then every client "
           "accepted "
           "again: %.1f and %.1f s; longest wait for an answer %.1f s\n",
           (double)t->level_ms / 1000 / seeds, (double)t->level_max_ms / 1000,
           (double)t->proof_ms / 1000 / seeds, (double)t->proof_max_ms / 1000,
           (double)t->wait_max_ms / 1000);
}

/* So many seeds that all are good prove nothing of what none of them had. */
static bool is_telling(const struct totals *t, const struct settings *settings)
{
    if (settings->mistake != NO_MISTAKE || t->seeds < TELLING_SEEDS) return true;
    bool is_rich = t->repeated > 0 && t->known > 0 && t->retries > 0 && t->gaps > 0 &&
                   t->changed > 0 && t->ended > 0 && t->kept > 0;
    for (int i = 0; i < FAULTS; i++)
        is_rich = is_rich && t->kinds[i] > 0;
    if (!is_rich) printf("too little happened: one of these figures must not be 0\n");
    return is_rich;
}

static uint64_t running; /* the seed */

static void on_crash(int number)
{
    dprintf(STDOUT_FILENO, "seed %" PRIu64 ": the process ends by signal %d\n", running, number);
    _exit(3);
}

int main(int argc, char **argv)
{
    struct settings settings = {.from = 1, .seeds = 100};
    struct totals totals = {.seeds = 0};
    read_arguments(&settings, argc, argv);
    signal(SIGSEGV, on_crash);
    signal(SIGABRT, on_crash);
    uint64_t begun_ns = clock_ns();
    for (uint64_t i = 0; i < settings.seeds; i++) {
        struct run_result result;
        uint64_t seed = running = settings.from + i;
        run_seed(&(struct run_options){.seed = seed,
                                       .mistake = settings.mistake,
                                       .traces = settings.traces},
                 &result);
        if (settings.traces || result.level_ms > LEVEL_LONG_MS)
            printf("seed %" PRIu64 ": level after %.1f s\n", seed, (double)result.level_ms / 1000);
        add(&totals, &result);
        if (!result.is_good) {
            printf("seed %" PRIu64 ": %s: %s\n  again: %s --seed %" PRIu64 " --trace\n", seed,
                   result.error, result.words, argv[0], seed);
            fflush(stdout);
            if (settings.mistake != NO_MISTAKE || settings.stops) break;
        }
        uint64_t spent_s = (clock_ns() - begun_ns) / 1000000000;
        if (settings.seconds > 0 && spent_s >= settings.seconds) break;
    }
    report(&totals, (double)(clock_ns() - begun_ns) / 1e9);
    return totals.failed == 0 && is_telling(&totals, &settings) ? 0 : 1;
}
