#include "bench/load.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"

static const char usage[] =
    "bench_load fanout --node URL... [--post URL...] --browsers N [--rooms N]\n"
    "                  (--rate R | --ramp R [--p99-limit MS]) [--saturate]\n"
    "    N browsers read what comes at R messages/s through the HTTP API of the posts (the "
    "nodes).\n"
    "    --ramp: from R upwards to the highest rate whose p99 stays below the limit (100 ms).\n"
    "    --saturate: and then as fast as the connections get answers.\n"
    "bench_load commit --node URL... --in-flight N[,N...]\n"
    "    N browsers, each in a room of its own, submit messages and wait for the reply.\n"
    "bench_load failover --node URL... --browsers N --seconds S\n"
    "    N browsers, each in a room of its own, submit messages while nodes go away. Who loses "
    "its\n"
    "    node moves to the next one and sends again what has no answer, under the same id.\n"
    "bench_load join --node URL... --browsers N [--stages N]\n"
    "    N browsers connect and join, in stages; time and memory after each.\n"
    "\n"
    "    --pid PID...        processes of the nodes, whose time and memory is told\n"
    "    --seconds S (2)     measured; --warm S (0.4) before that, not measured\n"
    "    --people N          different visitors (one per browser)\n"
    "    --text N (100)      bytes of a message's text\n"
    "    --connections N (128) of the API\n";

enum wish {
    OPTION_NODE = 1,
    OPTION_POST,
    OPTION_PID,
    OPTION_BROWSERS,
    OPTION_ROOMS,
    OPTION_PEOPLE,
    OPTION_TEXT,
    OPTION_CONNECTIONS,
    OPTION_STAGES,
    OPTION_IN_FLIGHT,
    OPTION_RATE,
    OPTION_RAMP,
    OPTION_SECONDS,
    OPTION_WARM,
    OPTION_P99_LIMIT,
    OPTION_SATURATE
};

static const struct option options[] = {
    {"node", required_argument, NULL, OPTION_NODE},
    {"post", required_argument, NULL, OPTION_POST},
    {"pid", required_argument, NULL, OPTION_PID},
    {"browsers", required_argument, NULL, OPTION_BROWSERS},
    {"rooms", required_argument, NULL, OPTION_ROOMS},
    {"people", required_argument, NULL, OPTION_PEOPLE},
    {"text", required_argument, NULL, OPTION_TEXT},
    {"connections", required_argument, NULL, OPTION_CONNECTIONS},
    {"stages", required_argument, NULL, OPTION_STAGES},
    {"in-flight", required_argument, NULL, OPTION_IN_FLIGHT},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"ramp", required_argument, NULL, OPTION_RAMP},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"warm", required_argument, NULL, OPTION_WARM},
    {"p99-limit", required_argument, NULL, OPTION_P99_LIMIT},
    {"saturate", no_argument, NULL, OPTION_SATURATE},
    {NULL, 0, NULL, 0}};

struct crowd_plan load_plan(struct load *load, struct browser_calls calls, void *owner)
{
    return (struct crowd_plan){.loop = &load->loop,
                               .places = load->nodes,
                               .places_count = load->nodes_count,
                               .rooms = load->rooms,
                               .count = load->browsers,
                               .visitors = load->visitors,
                               .visitors_count = load->people,
                               .calls = calls,
                               .owner = owner};
}

struct spent spent_now(const struct load *load)
{
    struct spent spent = {.at_s = (double)clock_ns() / 1e9, .own_s = process_own_cpu_s()};
    for (size_t i = 0; i < load->pids_count; i++)
        spent.nodes_s += process_cpu_s(load->pids[i]);
    return spent;
}

void spent_print(const struct spent *from, const struct spent *to)
{
    double seconds = to->at_s - from->at_s;
    figures_number("node_cores", (to->nodes_s - from->nodes_s) / seconds);
    figures_number("own_cores", (to->own_s - from->own_s) / seconds);
}

static size_t count_from(struct slice text, size_t min, size_t max)
{
    uint64_t value = 0;
    if (!slice_to_u64(text, &value) || value < min || value > max)
        die("'%.*s' is no number from %zu to %zu", (int)text.len, text.at, min, max);
    return (size_t)value;
}

static double number_from(const char *text)
{
    char *end = NULL;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || errno != 0 || !(value >= 0 && value <= 1e7))
        die("'%s' is no number from 0 to 10000000", text);
    return value;
}

static void add_place(struct place *places, size_t *count)
{
    if (*count == PLACES_MAX) die("more than %d nodes", PLACES_MAX);
    places[(*count)++] = place_from(optarg);
}

static void add_levels(struct load *load)
{
    struct slice rest = slice_from(optarg);
    while (rest.len > 0) {
        if (load->in_flight_count == LEVELS_MAX) die("more than %d levels", LEVELS_MAX);
        load->in_flight[load->in_flight_count++] = count_from(slice_cut(&rest, ','), 1, 20000);
    }
}

static void take_option(struct load *load, int option)
{
    struct slice value = slice_from(optarg);
    switch (option) {
    case OPTION_NODE: add_place(load->nodes, &load->nodes_count); break;
    case OPTION_POST: add_place(load->posts, &load->posts_count); break;
    case OPTION_PID:
        if (load->pids_count == PLACES_MAX) die("more than %d pids", PLACES_MAX);
        load->pids[load->pids_count++] = (int)count_from(value, 1, INT32_MAX);
        break;
    case OPTION_BROWSERS: load->browsers = count_from(value, 1, 1000000); break;
    case OPTION_ROOMS: load->rooms = count_from(value, 1, 1000000); break;
    case OPTION_PEOPLE: load->people = count_from(value, 1, 1000000); break;
    case OPTION_TEXT: load->text_size = count_from(value, 32, 4000); break;
    case OPTION_CONNECTIONS: load->connections = count_from(value, 1, 10000); break;
    case OPTION_STAGES: load->stages = count_from(value, 1, 100); break;
    case OPTION_IN_FLIGHT: add_levels(load); break;
    case OPTION_RATE: load->rate = number_from(optarg); break;
    case OPTION_RAMP: load->ramp = number_from(optarg); break;
    case OPTION_SECONDS: load->seconds = number_from(optarg); break;
    case OPTION_WARM: load->warm_seconds = number_from(optarg); break;
    case OPTION_P99_LIMIT: load->p99_limit_ms = number_from(optarg); break;
    case OPTION_SATURATE: load->saturate = true; break;
    default: fputs(usage, stderr); exit(2);
    }
}

static void check(struct load *load, bool is_commit, bool has_own_rooms)
{
    if (load->nodes_count == 0) die("no --node is given");
    if (is_commit && load->in_flight_count == 0) die("no --in-flight is given");
    for (size_t i = 0; i < load->in_flight_count; i++)
        if (load->in_flight[i] > load->browsers) load->browsers = load->in_flight[i];
    if (is_commit && load->browsers < load->nodes_count) load->browsers = load->nodes_count;
    if (has_own_rooms) load->rooms = load->browsers;
    if (load->browsers == 0) die("no --browsers is given");
    if (load->people == 0) load->people = load->browsers;
    if (load->posts_count == 0) {
        memcpy(load->posts, load->nodes, sizeof load->posts);
        load->posts_count = load->nodes_count;
    }
}

/* A browser is a descriptor: as many as the system gives. */
static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
    static struct load load = {.rooms = 1,
                               .text_size = 100,
                               .connections = 128,
                               .stages = 1,
                               .seconds = 2,
                               .warm_seconds = 0.4,
                               .p99_limit_ms = 100};
    static const struct {
        const char *name;
        void (*run)(struct load *load);
    } kinds[] = {{"fanout", load_fanout},
                 {"commit", load_commit},
                 {"failover", load_failover},
                 {"join", load_join}};
    void (*run)(struct load * load) = NULL;
    int option;

    signal(SIGPIPE, SIG_IGN);
    raise_descriptors();
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        take_option(&load, option);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (optind == argc - 1 && slice_is(slice_from(argv[optind]), kinds[i].name))
            run = kinds[i].run;
    if (run == NULL) take_option(&load, 0);
    check(&load, run == load_commit, run == load_commit || run == load_failover);

    loop_open(&load.loop);
    load.visitors = visitors_new(&load.nodes[0], load.people);
    run(&load);
    visitors_free(load.visitors, load.people);
    loop_close(&load.loop);
    return 0;
}
