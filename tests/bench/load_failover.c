/* Writers while nodes go away and come back.
 *
 * A writer submits, waits for the reply and submits again after a moment. Whoever's connection breaks
 * comes back on the next node, as the page's script does, and sends what has no answer again, under the
 * same id: a message counts as accepted once, however often it was sent.
 *
 * A silence is a time in which nobody's new message was accepted; those that are longer than
 * SILENCE_MS are told with the moment they began, in seconds of the monotonic clock, so that whoever
 * stopped a node can tell which one is whose. A wait is one message's, from its first sending.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "bench/load.h"
#include "bench/stamp.h"

enum {
    GATHER_S = 60,
    ANSWERS_S = 15,
    THINK_MS = 5,
    AGAIN_MS = 20,
    TURN_MS = 5,
    SILENCE_MS = 20,
    SILENCES_MAX = 256,
    NONCE_MAX = 64,
    TEXT_MAX = 8192
};

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

struct writer {
    struct buf nonce, text;
    bool has_letter;   /* sent, or to be sent again, and not accepted yet */
    uint64_t first_ns; /* when it was sent first */
    uint64_t next_ns;  /* when to send, or to send again; UINT64_MAX: waits for a reply */
    size_t place;
};

struct silence {
    uint64_t from_ns, to_ns;
    uint64_t worst_ns; /* the longest wait that ended in it or just after it */
};

struct failover {
    struct load *load;
    struct crowd crowd;
    struct writer *writers;
    struct silence silences[SILENCES_MAX];
    size_t silences_count;
    uint64_t last_ns; /* when the last message was accepted */
    uint64_t end_ns;  /* no new ones from here on */
    uint64_t sequence, accepted, refused, again, open;
    struct figures waits;
};

static void deliver(struct browser *browser, struct writer *writer)
{
    writer->next_ns = UINT64_MAX;
    browser_send(browser, buf_slice(&writer->text), buf_slice(&writer->nonce));
}

static void write_new(struct failover *failover, struct browser *browser, struct writer *writer)
{
    uint64_t now = clock_ns();
    struct stamp stamp = {.sequence = failover->sequence++ % 100000000, .due_us = now / 1000};
    buf_reset(&writer->nonce);
    nonce_add(&writer->nonce);
    buf_reset(&writer->text);
    stamp_add(&writer->text, &stamp, failover->load->text_size);
    writer->has_letter = true;
    writer->first_ns = now;
    failover->open++;
    deliver(browser, writer);
}

static void note_silence(struct failover *failover, uint64_t now, uint64_t wait)
{
    struct silence *last =
        failover->silences_count == 0 ? NULL : &failover->silences[failover->silences_count - 1];
    if (now - failover->last_ns >= SILENCE_MS * NS_PER_MS) {
        if (failover->silences_count == SILENCES_MAX) die("more than %d silences", SILENCES_MAX);
        last = &failover->silences[failover->silences_count++];
        *last = (struct silence){.from_ns = failover->last_ns, .to_ns = now};
    }
    if (last != NULL && wait > last->worst_ns && now - wait <= last->to_ns) last->worst_ns = wait;
    failover->last_ns = now;
}

static void take_reply(struct browser *browser, uint64_t ref, struct slice frame)
{
    struct failover *failover = browser->crowd->owner;
    struct writer *writer = &failover->writers[browser - failover->crowd.browsers];
    uint64_t now = clock_ns();
    if (ref != browser->ref || !writer->has_letter) return;
    if (reply_is_refusal(frame)) {
        failover->refused++;
        writer->next_ns = now + AGAIN_MS * NS_PER_MS;
        return;
    }
    uint64_t wait = now - writer->first_ns;
    writer->has_letter = false;
    writer->next_ns = now + THINK_MS * NS_PER_MS;
    failover->open--;
    failover->accepted++;
    figures_add(&failover->waits, wait / 1000);
    note_silence(failover, now, wait);
}

static void back_again(struct browser *browser)
{
    struct failover *failover = browser->crowd->owner;
    struct writer *writer = &failover->writers[browser - failover->crowd.browsers];
    if (!writer->has_letter) return;
    failover->again++;
    deliver(browser, writer);
}

static void move_on(struct browser *browser, bool was_live, int status)
{
    struct failover *failover = browser->crowd->owner;
    struct writer *writer = &failover->writers[browser - failover->crowd.browsers];
    (void)was_live;
    (void)status;
    writer->place = (writer->place + 1) % failover->load->nodes_count;
    browser->place = &failover->load->nodes[writer->place];
}

static void turn(struct failover *failover)
{
    uint64_t now = clock_ns();
    crowd_return(&failover->crowd, failover->crowd.count);
    for (size_t i = 0; i < failover->crowd.count; i++) {
        struct browser *browser = &failover->crowd.browsers[i];
        struct writer *writer = &failover->writers[i];
        if (browser->state != BROWSER_LIVE || writer->next_ns > now) continue;
        if (writer->has_letter)
            deliver(browser, writer);
        else if (now < failover->end_ns)
            write_new(failover, browser, writer);
    }
    loop_turn(&failover->load->loop, now + TURN_MS * NS_PER_MS);
}

static void print_silences(const struct failover *failover)
{
    for (size_t i = 0; i < failover->silences_count; i++) {
        const struct silence *silence = &failover->silences[i];
        char name[32];
        snprintf(name, sizeof name, "silence_%zu", i);
        figures_object(name);
        figures_number("from_s", (double)silence->from_ns / 1e9);
        figures_number("ms", (double)(silence->to_ns - silence->from_ns) / 1e6);
        figures_number("worst_ms", (double)silence->worst_ns / 1e6);
        figures_end();
    }
}

void load_failover(struct load *load)
{
    static struct failover failover;
    struct crowd_plan plan = load_plan(
        load,
        (struct browser_calls){.on_live = back_again, .on_reply = take_reply, .on_closed = move_on},
        &failover);

    failover.load = load;
    failover.writers = mem_new_array(load->browsers, sizeof *failover.writers);
    for (size_t i = 0; i < load->browsers; i++) {
        failover.writers[i].place = i % load->nodes_count;
        buf_init(&failover.writers[i].nonce, NONCE_MAX);
        buf_init(&failover.writers[i].text, TEXT_MAX);
    }
    crowd_init(&failover.crowd, &plan);
    crowd_gather(&failover.crowd, load->browsers, GATHER_S);
    fputs("  writing\n", stderr);
    failover.last_ns = clock_ns();
    failover.end_ns = failover.last_ns + (uint64_t)(load->seconds * 1e9);
    while (clock_ns() < failover.end_ns)
        turn(&failover);
    uint64_t deadline = clock_ns() + ANSWERS_S * NS_PER_S;
    while (failover.open > 0 && clock_ns() < deadline)
        turn(&failover);

    figures_begin("failover");
    figures_number("accepted", (double)failover.accepted);
    figures_number("unanswered", (double)failover.open);
    figures_number("refused", (double)failover.refused);
    figures_number("sent_again", (double)failover.again);
    figures_quantiles("wait_", &failover.waits);
    print_silences(&failover);
    figures_end();
    for (size_t i = 0; i < load->browsers; i++) {
        buf_close(&failover.writers[i].nonce);
        buf_close(&failover.writers[i].text);
    }
    mem_free(failover.writers);
    crowd_close(&failover.crowd);
}
