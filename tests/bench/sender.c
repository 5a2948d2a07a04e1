#include "bench/sender.h"

#include <math.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "bench/stamp.h"

enum { HTTP_CREATED = 201, BODY_MAX = 32 * 1024 };

/* What a connection is busy with: its message stays in call->out until the answer. */
struct letter {
    struct sender *sender;
    struct stamp stamp;
    bool counts; /* belongs to the run that goes on */
};

static void answered(struct call *call, const struct answer *answer)
{
    struct letter *letter = call->owner;
    struct sender *sender = letter->sender;
    if (!letter->counts) return;
    if (answer->status == HTTP_CREATED) {
        sender->accepted[letter->stamp.sequence % sender->rooms]++;
        sender->accepted_count++;
        figures_add(&sender->answer, clock_ns() / 1000 - letter->stamp.due_us);
        return;
    }
    sender->failed++;
    sender->last_failure = answer->status;
}

void sender_init(struct sender *sender, struct loop *loop, const struct place *places,
                 size_t places_count, size_t calls_count, size_t rooms, size_t text_size)
{
    unsigned char random[8];
    static const char hex[] = "0123456789abcdef";
    *sender = (struct sender){.calls = mem_new_array(calls_count, sizeof(struct call)),
                              .calls_count = calls_count,
                              .rooms = rooms,
                              .text_size = text_size,
                              .accepted = mem_new_array(rooms, sizeof(uint64_t))};
    crypto_random(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) {
        sender->run[2 * i] = hex[random[i] >> 4];
        sender->run[2 * i + 1] = hex[random[i] & 15];
    }
    for (size_t i = 0; i < calls_count; i++) {
        struct letter *letter = mem_new(sizeof *letter);
        letter->sender = sender;
        call_init(&sender->calls[i], loop, &places[i % places_count]);
        sender->calls[i].on_answer = answered;
        sender->calls[i].owner = letter;
    }
}

void sender_close(struct sender *sender)
{
    for (size_t i = 0; i < sender->calls_count; i++) {
        mem_free(sender->calls[i].owner);
        call_close(&sender->calls[i]);
    }
    mem_free(sender->calls);
    mem_free(sender->accepted);
}

void sender_start(struct sender *sender, double rate, double seconds)
{
    sender->rate = rate;
    sender->start_us = clock_ns() / 1000;
    sender->end_us = sender->start_us + (uint64_t)(seconds * 1e6);
    sender->started_at = sender->next;
    sender->sent = sender->accepted_count = sender->failed = 0;
    sender->last_failure = 0;
    memset(sender->accepted, 0, sender->rooms * sizeof *sender->accepted);
    figures_reset(&sender->late);
    figures_reset(&sender->answer);
    for (size_t i = 0; i < sender->calls_count; i++)
        ((struct letter *)sender->calls[i].owner)->counts = false;
}

static void post(struct sender *sender, struct call *call, uint64_t due_us)
{
    struct letter *letter = call->owner;
    struct buf *out = call_begin(call);
    struct slice host = call->place->host;
    uint64_t sequence = sender->next++;
    struct buf body;

    letter->stamp = (struct stamp){.sequence = sequence, .due_us = due_us};
    letter->counts = true;
    buf_init(&body, BODY_MAX);
    buf_printf(&body, "{\"sender\":\"Bench sender\",\"id\":\"%s-%llu\",\"text\":\"", sender->run,
               (unsigned long long)sequence);
    stamp_add(&body, &letter->stamp, sender->text_size);
    buf_add(&body, slice_of("\"}"));
    buf_printf(out,
               "POST /api/rooms/bench-%llu/messages HTTP/1.1\r\nHost: %.*s\r\n"
               "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
               (unsigned long long)(sequence % sender->rooms), (int)host.len, host.at, body.len);
    buf_add(out, buf_slice(&body));
    buf_close(&body);
    sender->sent++;
    figures_add(&sender->late, clock_ns() / 1000 - due_us);
    call_send(call);
}

static uint64_t due_of(const struct sender *sender, uint64_t sequence)
{
    double after = (double)(sequence - sender->started_at) * 1e6 / sender->rate;
    return sender->start_us + (uint64_t)after;
}

static struct call *free_call(struct sender *sender)
{
    for (size_t i = 0; i < sender->calls_count; i++) { /* in turn, so that all nodes get some */
        struct call *call = &sender->calls[(sender->next + i) % sender->calls_count];
        if (!call->busy) return call;
    }
    return NULL;
}

/* When the next message is due; UINT64_MAX when this run has no more. */
static uint64_t next_due_us(const struct sender *sender, uint64_t now_us)
{
    uint64_t due_us = sender->rate > 0 ? due_of(sender, sender->next) : now_us;
    return due_us < sender->end_us ? due_us : UINT64_MAX;
}

uint64_t sender_turn(struct sender *sender)
{
    for (;;) {
        uint64_t now_us = clock_ns() / 1000;
        uint64_t due_us = next_due_us(sender, now_us);
        if (due_us == UINT64_MAX) return UINT64_MAX;
        if (due_us > now_us) return due_us * 1000;
        struct call *call = free_call(sender);
        if (call == NULL) return UINT64_MAX; /* an answer turns the loop */
        post(sender, call, due_us);
    }
}

uint64_t sender_unsent(const struct sender *sender)
{
    if (sender->rate <= 0) return 0;
    double due = ceil((double)(sender->end_us - sender->start_us) * sender->rate / 1e6);
    return (uint64_t)due > sender->sent ? (uint64_t)due - sender->sent : 0;
}

void sender_stop(struct sender *sender)
{
    sender->end_us = 0;
}

bool sender_is_done(const struct sender *sender)
{
    if (next_due_us(sender, clock_ns() / 1000) != UINT64_MAX) return false;
    for (size_t i = 0; i < sender->calls_count; i++)
        if (sender->calls[i].busy) return false;
    return true;
}
