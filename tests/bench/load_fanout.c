/* A run: warm up, measure, wait for what is on its way, count what is missing.
 *
 * Latencies are those of the messages that were due in the measured time, from when they were due
 * to when a reader had them. Deliveries a second are what arrived in that time. What never arrives
 * counts as an endless latency.
 */
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "bench/load.h"
#include "bench/sender.h"
#include "bench/stamp.h"

enum {
    GATHER_S = 60,
    UNSENT_MS = 1000,
    DRAIN_MS = 8000,
    QUIET_MS = 200,
    LOOK_MS = 20,
    RISES_MAX = 12,
    HALVINGS_MAX = 5,
    BISECTIONS = 3
};

static const double rise = 1.5, delivered_min = 0.97;

struct run {
    double rate, seconds, all_seconds; /* measured, and with those of the warming up */
    uint64_t delivered;                /* in the measured time */
    uint64_t sent, unsent, failed, missing, again, closed;
    int last_status;
    double wire_bytes;     /* per message and reader, of the frames that bring messages */
    double frame_messages; /* per frame */
    double readers;        /* per room */
    struct figures latency, late, answer;
    struct spent from, to;
};

struct fanout {
    struct load *load;
    struct crowd crowd;
    struct sender sender;
    struct run *run; /* NULL between runs */
    uint64_t from_us, to_us;
    uint64_t last_ns; /* when something came */
};

static void take_messages(struct browser *browser, struct slice diff, unsigned count)
{
    struct fanout *fanout = browser->crowd->owner;
    struct run *run = fanout->run;
    struct stamp stamp;
    fanout->last_ns = clock_ns();
    if (run == NULL) return;
    uint64_t now_us = fanout->last_ns / 1000;
    if (now_us >= fanout->from_us && now_us < fanout->to_us) run->delivered += count;
    while (stamp_next(&diff, &stamp)) {
        if (stamp.sequence >= fanout->sender.started_at && stamp.due_us >= fanout->from_us)
            figures_add(&run->latency, now_us - stamp.due_us);
    }
}

/* Turns the loop and sends what is due until `until_ns`. */
static void turn_until(struct fanout *fanout, uint64_t until_ns)
{
    while (clock_ns() < until_ns) {
        uint64_t next = sender_turn(&fanout->sender);
        loop_turn(&fanout->load->loop, next < until_ns ? next : until_ns);
    }
}

static uint64_t count_missing(const struct fanout *fanout)
{
    uint64_t missing = 0;
    for (size_t i = 0; i < fanout->crowd.count; i++) {
        const struct browser *browser = &fanout->crowd.browsers[i];
        uint64_t wanted = fanout->sender.accepted[browser->room];
        if (browser->state == BROWSER_LIVE && browser->messages < wanted)
            missing += wanted - browser->messages;
    }
    return missing;
}

/* Waits until all is sent and answered, and all that was accepted is shown, or for too long. */
static void drain(struct fanout *fanout, struct run *run)
{
    uint64_t now = clock_ns();
    uint64_t give_up = now + UNSENT_MS * UINT64_C(1000000);
    uint64_t deadline = now + DRAIN_MS * UINT64_C(1000000);
    for (; now < deadline; now = clock_ns()) {
        run->unsent = sender_unsent(&fanout->sender);
        if (run->unsent > 0 && now >= give_up) break;
        turn_until(fanout, now + LOOK_MS * UINT64_C(1000000));
        if (sender_is_done(&fanout->sender) && count_missing(fanout) == 0) break;
    }
    run->unsent = sender_unsent(&fanout->sender);
    sender_stop(&fanout->sender);
    for (; now < deadline; now = clock_ns()) {
        if (sender_is_done(&fanout->sender) && count_missing(fanout) == 0) break;
        turn_until(fanout, now + LOOK_MS * UINT64_C(1000000));
    }
}

/* All are live, and nothing of an earlier run is still on its way. */
static void settle(struct fanout *fanout)
{
    crowd_gather(&fanout->crowd, fanout->crowd.count, GATHER_S);
    uint64_t deadline = clock_ns() + DRAIN_MS * UINT64_C(1000000);
    fanout->last_ns = clock_ns();
    while (clock_ns() < deadline) {
        uint64_t now = clock_ns();
        if (now - fanout->last_ns >= QUIET_MS * UINT64_C(1000000)) break;
        loop_turn(&fanout->load->loop, now + LOOK_MS * UINT64_C(1000000));
    }
    crowd_gather(&fanout->crowd, fanout->crowd.count, GATHER_S);
    crowd_forget(&fanout->crowd);
    browser_totals = (struct browser_totals){.is_refusal_told = browser_totals.is_refusal_told};
}

static void count_run(struct fanout *fanout, struct run *run)
{
    const struct sender *sender = &fanout->sender;
    run->sent = sender->sent;
    run->failed = sender->failed;
    run->late = sender->late;
    run->answer = sender->answer;
    run->missing = count_missing(fanout);
    run->closed = fanout->crowd.closed;
    run->last_status = run->closed > 0 ? fanout->crowd.last_status : sender->last_failure;
    for (size_t i = 0; i < fanout->crowd.count; i++)
        run->again += fanout->crowd.browsers[i].again;
    figures_add_many(&run->latency, FIGURES_NEVER, run->missing);
    if (browser_totals.diffs > 0) {
        run->frame_messages = (double)browser_totals.diff_messages / (double)browser_totals.diffs;
        run->wire_bytes = (double)browser_totals.diff_bytes / (double)browser_totals.diff_messages;
    }
}

static double delivered_per_s(const struct run *run)
{
    return (double)run->delivered / run->seconds;
}

static bool is_good(const struct run *run, double p99_limit_ms)
{
    return run->missing == 0 && run->again == 0 && run->closed == 0 && run->failed == 0 &&
           run->unsent == 0 && figures_quantile_ms(&run->latency, 0.99) < p99_limit_ms &&
           delivered_per_s(run) >= delivered_min * run->rate * run->readers;
}

/* One run; rate 0: as fast as answers come. */
static void run_at(struct fanout *fanout, struct run *run, double rate)
{
    const struct load *load = fanout->load;
    *run = (struct run){.rate = rate,
                        .seconds = load->seconds,
                        .all_seconds = load->warm_seconds + load->seconds,
                        .readers = (double)load->browsers / (double)load->rooms};
    settle(fanout);
    sender_start(&fanout->sender, rate, run->all_seconds);
    fanout->from_us = fanout->sender.start_us + (uint64_t)(load->warm_seconds * 1e6);
    fanout->to_us = fanout->sender.end_us;
    fanout->run = run;
    turn_until(fanout, fanout->from_us * 1000);
    run->from = spent_now(load);
    turn_until(fanout, fanout->to_us * 1000);
    run->to = spent_now(load);
    drain(fanout, run);
    count_run(fanout, run);
    fanout->run = NULL;
    fprintf(stderr,
            "  %8.1f messages/s: %8.0f deliveries/s, p50 %.1f p99 %.1f max %.1f ms, %llu missing, "
            "%llu twice, %llu closed, %llu failed, %llu unsent (%d)\n",
            rate > 0 ? rate : (double)run->sent / run->all_seconds, delivered_per_s(run),
            figures_quantile_ms(&run->latency, 0.5), figures_quantile_ms(&run->latency, 0.99),
            figures_max_ms(&run->latency), (unsigned long long)run->missing,
            (unsigned long long)run->again, (unsigned long long)run->closed,
            (unsigned long long)run->failed, (unsigned long long)run->unsent, run->last_status);
}

static void print_run(const struct run *run)
{
    figures_number("rate", run->rate);
    figures_number("sent_per_s", (double)run->sent / run->all_seconds);
    figures_number("deliveries_per_s", delivered_per_s(run));
    figures_quantiles("", &run->latency);
    figures_number("missing", (double)run->missing);
    figures_number("twice", (double)run->again);
    figures_number("closed", (double)run->closed);
    figures_number("failed", (double)run->failed);
    figures_number("unsent", (double)run->unsent);
    figures_number("late_p99_ms", figures_quantile_ms(&run->late, 0.99));
    figures_quantiles("answer_", &run->answer);
    figures_number("wire_bytes", run->wire_bytes);
    figures_number("frame_messages", run->frame_messages);
    spent_print(&run->from, &run->to);
}

/* A noisy machine spoils single runs: a rate has failed when it failed twice. */
static bool is_reached(struct fanout *fanout, struct run *best, double rate)
{
    static struct run run;
    for (int i = 0; i < 2; i++) {
        run_at(fanout, &run, rate);
        if (!is_good(&run, fanout->load->p99_limit_ms)) continue;
        *best = run;
        return true;
    }
    return false;
}

/* The highest rate that is good, to about 5 %. */
static void climb(struct fanout *fanout, struct run *best)
{
    double good = 0, bad = 0, rate = fanout->load->ramp;
    for (int i = 0; i < RISES_MAX && bad == 0; i++) {
        if (is_reached(fanout, best, rate)) {
            good = rate;
            rate *= rise;
        } else {
            bad = rate;
        }
    }
    for (int i = 0; i < HALVINGS_MAX && good == 0; i++) {
        rate /= 2;
        if (is_reached(fanout, best, rate))
            good = rate;
        else
            bad = rate;
    }
    for (int i = 0; i < BISECTIONS && good > 0 && bad > 0; i++) {
        rate = sqrt(good * bad);
        if (is_reached(fanout, best, rate))
            good = rate;
        else
            bad = rate;
    }
}

void load_fanout(struct load *load)
{
    static struct fanout fanout;
    static struct run run, saturated;
    struct crowd_plan plan =
        load_plan(load, (struct browser_calls){.on_messages = take_messages}, &fanout);

    if (load->rate <= 0 && load->ramp <= 0 && !load->saturate)
        die("one of --rate, --ramp and --saturate must be given");
    fanout.load = load;
    crowd_init(&fanout.crowd, &plan);
    sender_init(&fanout.sender, &load->loop, load->posts, load->posts_count, load->connections,
                load->rooms, load->text_size);

    if (load->rate > 0) run_at(&fanout, &run, load->rate);
    if (load->ramp > 0) climb(&fanout, &run);
    if (load->saturate) run_at(&fanout, &saturated, 0);

    figures_begin("fanout");
    figures_number("browsers", (double)load->browsers);
    figures_number("rooms", (double)load->rooms);
    if (run.seconds > 0) print_run(&run);
    if (load->saturate) {
        figures_object("saturated");
        print_run(&saturated);
        figures_end();
    }
    figures_end();
    sender_close(&fanout.sender);
    crowd_close(&fanout.crowd);
}
