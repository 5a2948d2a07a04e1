/* A storm of browsers that all knock at once, and what each of them costs when it is inside.
 *
 * With several stages the slope between the first and the last leaves out what a node needs for the
 * first browser of all. Tokens are fetched before: a page that comes back has them already.
 */
#include <stdio.h>

#include "base/clock.h"
#include "bench/load.h"

enum { GATHER_S = 120, STILL_MS = 2500 };

struct stage {
    size_t browsers;
    double seconds, cpu_s, own_cpu_s;
    struct process_memory memory;
};

static struct process_memory memory_of(const struct load *load)
{
    struct process_memory sum = {.resident = 0};
    for (size_t i = 0; i < load->pids_count; i++) {
        struct process_memory memory = process_memory(load->pids[i]);
        sum.resident += memory.resident;
        sum.anonymous += memory.anonymous;
    }
    return sum;
}

static void stay_still(struct load *load)
{
    uint64_t until = clock_ns() + STILL_MS * UINT64_C(1000000);
    while (clock_ns() < until)
        loop_turn(&load->loop, until);
}

static struct stage run_stage(struct load *load, struct crowd *crowd, size_t wanted)
{
    struct spent from = spent_now(load);
    struct stage stage = {.browsers = wanted};
    stage.seconds = (double)crowd_gather(crowd, wanted, GATHER_S) / 1e9;
    struct spent to = spent_now(load);
    stage.cpu_s = to.nodes_s - from.nodes_s;
    stage.own_cpu_s = to.own_s - from.own_s;
    stay_still(load);
    stage.memory = memory_of(load);
    return stage;
}

static void print_stage(const struct stage *stage, size_t before)
{
    double joins = (double)(stage->browsers - before);
    char name[32];
    snprintf(name, sizeof name, "stage_%zu", stage->browsers);
    figures_object(name);
    figures_number("seconds", stage->seconds);
    figures_number("joins_per_s", joins / stage->seconds);
    figures_number("node_cpu_us_per_join", stage->cpu_s * 1e6 / joins);
    figures_number("own_cpu_us_per_join", stage->own_cpu_s * 1e6 / joins);
    figures_number("resident", (double)stage->memory.resident);
    figures_number("anonymous", (double)stage->memory.anonymous);
    figures_end();
    fprintf(stderr, "  %zu browsers: %.0f joins/s in %.2f s, %.1f us of the node each, %.1f MB\n",
            stage->browsers, joins / stage->seconds, stage->seconds, stage->cpu_s * 1e6 / joins,
            (double)stage->memory.resident / 1e6);
}

static double bytes_each(uint64_t before, uint64_t after, size_t browsers)
{
    return browsers == 0 ? 0 : ((double)after - (double)before) / (double)browsers;
}

void load_join(struct load *load)
{
    static struct crowd crowd;
    struct crowd_plan plan = load_plan(load, (struct browser_calls){.on_live = NULL}, NULL);
    struct stage first = {.browsers = 0}, last = {.browsers = 0};

    crowd_init(&crowd, &plan);
    struct process_memory empty = memory_of(load);
    figures_begin("join");
    figures_number("browsers", (double)load->browsers);
    figures_number("empty_resident", (double)empty.resident);
    for (size_t i = 1; i <= load->stages; i++) {
        struct stage stage = run_stage(load, &crowd, load->browsers * i / load->stages);
        print_stage(&stage, last.browsers);
        if (i == 1) first = stage;
        last = stage;
    }
    figures_number("bytes_each", bytes_each(empty.resident, last.memory.resident, last.browsers));
    figures_number("anonymous_bytes_each",
                   bytes_each(empty.anonymous, last.memory.anonymous, last.browsers));
    figures_number("slope_bytes_each", bytes_each(first.memory.resident, last.memory.resident,
                                                  last.browsers - first.browsers));
    figures_number("closed", (double)crowd.closed);
    figures_number("refused", (double)crowd.refused);
    figures_end();
    crowd_close(&crowd);
}
