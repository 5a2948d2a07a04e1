/* A level: K browsers submit the message box, each again as soon as it has its reply. Each is in a
 * room of its own, so that what is measured is the way of a command and not the fan-out.
 *
 * With fewer writers than nodes each node has its turn, so that the figure is that of no single one.
 */
#include <stdio.h>

#include "base/clock.h"
#include "bench/load.h"
#include "bench/stamp.h"

enum { GATHER_S = 60, ANSWERS_S = 15, NONCE_MAX = 64, TEXT_MAX = 8192 };

#define NS_PER_S UINT64_C(1000000000)

struct commit {
    struct load *load;
    struct crowd crowd;
    uint64_t from_ns, to_ns; /* measured */
    uint64_t sequence, open; /* sent so far; without a reply */
    uint64_t accepted, refused, lost, measured;
    struct figures answer;
    struct buf text, nonce;
};

static void submit(struct commit *commit, struct browser *browser)
{
    struct stamp stamp = {.sequence = commit->sequence % 100000000, .due_us = clock_ns() / 1000};
    buf_reset(&commit->nonce);
    nonce_add(&commit->nonce);
    commit->sequence++;
    commit->open++;
    buf_reset(&commit->text);
    stamp_add(&commit->text, &stamp, commit->load->text_size);
    browser->sent_ns = clock_ns();
    browser_send(browser, buf_slice(&commit->text), buf_slice(&commit->nonce));
}

static void take_reply(struct browser *browser, uint64_t ref, struct slice frame)
{
    struct commit *commit = browser->crowd->owner;
    uint64_t now = clock_ns();
    if (ref != browser->ref || browser->sent_ns == 0) return;
    commit->open--;
    if (reply_is_refusal(frame)) {
        if (commit->refused++ == 0)
            fprintf(stderr, "  refused: %.*s\n", (int)slice_first(frame, 400).len, frame.at);
    } else {
        commit->accepted++;
    }
    if (now >= commit->from_ns && now < commit->to_ns) commit->measured++;
    if (browser->sent_ns >= commit->from_ns && browser->sent_ns < commit->to_ns)
        figures_add(&commit->answer, (now - browser->sent_ns) / 1000);
    browser->sent_ns = 0;
    if (now < commit->to_ns) submit(commit, browser);
}

/* A connection that is lost takes its reply with it. */
static void lose(struct browser *browser, bool was_live, int status)
{
    struct commit *commit = browser->crowd->owner;
    if (was_live && browser->sent_ns != 0) {
        commit->open--;
        commit->lost++;
        fprintf(stderr, "  a writer's connection was closed with %d\n", status);
    }
    browser->sent_ns = 0;
}

/* Browsers first to first + count - 1 write for some time. */
static void write_for(struct commit *commit, size_t first, size_t count, double seconds)
{
    struct load *load = commit->load;
    uint64_t now = clock_ns();
    commit->from_ns = now + (uint64_t)(load->warm_seconds * 1e9);
    commit->to_ns = commit->from_ns + (uint64_t)(seconds * 1e9);
    for (size_t i = first; i < first + count; i++)
        if (commit->crowd.browsers[i].state == BROWSER_LIVE)
            submit(commit, &commit->crowd.browsers[i]);

    uint64_t deadline = commit->to_ns + ANSWERS_S * NS_PER_S;
    while (clock_ns() < commit->to_ns)
        loop_turn(&load->loop, commit->to_ns);
    while (commit->open > 0 && clock_ns() < deadline)
        loop_turn(&load->loop, deadline);
    commit->lost += commit->open; /* whoever still waits is not counted when it comes */
    commit->open = 0;
    for (size_t i = first; i < first + count; i++)
        commit->crowd.browsers[i].sent_ns = 0;
}

static void run_level(struct commit *commit, size_t in_flight)
{
    const struct load *load = commit->load;
    size_t turns = in_flight < load->nodes_count ? load->nodes_count : 1;
    commit->accepted = commit->refused = commit->measured = commit->lost = 0;
    figures_reset(&commit->answer);
    crowd_gather(&commit->crowd, commit->crowd.count, GATHER_S);

    struct spent from = spent_now(load);
    for (size_t i = 0; i < turns; i++)
        write_for(commit, i, in_flight, load->seconds / (double)turns);
    struct spent to = spent_now(load);

    char name[32];
    double per_s = (double)commit->measured / load->seconds;
    snprintf(name, sizeof name, "in_flight_%zu", in_flight);
    figures_object(name);
    figures_number("messages_per_s", per_s);
    figures_quantiles("", &commit->answer);
    figures_number("accepted", (double)commit->accepted);
    figures_number("refused", (double)commit->refused);
    figures_number("lost", (double)commit->lost);
    spent_print(&from, &to);
    figures_end();
    fprintf(stderr, "  %zu in flight: %.0f messages/s, p50 %.2f p99 %.2f max %.2f ms, %llu lost\n",
            in_flight, per_s, figures_quantile_ms(&commit->answer, 0.5),
            figures_quantile_ms(&commit->answer, 0.99), figures_max_ms(&commit->answer),
            (unsigned long long)commit->lost);
}

void load_commit(struct load *load)
{
    static struct commit commit;
    struct crowd_plan plan =
        load_plan(load, (struct browser_calls){.on_reply = take_reply, .on_closed = lose}, &commit);
    commit.load = load;
    buf_init(&commit.text, TEXT_MAX);
    buf_init(&commit.nonce, NONCE_MAX);
    crowd_init(&commit.crowd, &plan);
    crowd_gather(&commit.crowd, load->browsers, GATHER_S);

    figures_begin("commit");
    for (size_t i = 0; i < load->in_flight_count; i++)
        run_level(&commit, load->in_flight[i]);
    figures_end();
    crowd_close(&commit.crowd);
    buf_close(&commit.text);
    buf_close(&commit.nonce);
}
