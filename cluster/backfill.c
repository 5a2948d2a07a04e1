#include "cluster/backfill.h"

#include <assert.h>

#include "base/mem.h"
#include "cluster/wire.h"

enum { METER_MARKS = 4, METER_MARK_MS = 1000 };

struct asked { /* the request that is on its way; peer 0 = none */
    uint64_t peer, request, from, up_to, at_ms;
};

struct resting { /* a peer that is not asked before that; id 0 = a free place */
    uint64_t id, until_ms;
};

struct mark { /* of the meter */
    uint64_t at_ms, events;
};

struct backfill {
    struct backfill_handler handler;
    uint64_t from, number, goal; /* something is missing while number < goal */
    struct asked asked;
    uint64_t peer;    /* asked last: it stays the one as long as it is good */
    uint64_t last_id; /* of a request */
    uint32_t bytes;   /* that the next request asks for */
    size_t lag_bytes;
    bool is_taking; /* inside of an answer */
    struct backfill_peer peers[BACKFILL_PEERS_MAX];
    size_t peers_count;
    struct resting resting[BACKFILL_PEERS_MAX];
    struct mark marks[METER_MARKS]; /* oldest first */
    size_t marks_count;
    uint64_t events, taken_bytes;
};

static bool is_wanting(const struct backfill *backfill)
{
    return backfill->number < backfill->goal;
}

/* ---- which peer ---- */

static struct resting *find_resting(struct backfill *backfill, uint64_t id)
{
    for (size_t i = 0; i < BACKFILL_PEERS_MAX; i++) {
        if (backfill->resting[i].id == id) return &backfill->resting[i];
    }
    return NULL;
}

static void rest(struct backfill *backfill, uint64_t peer, uint64_t until_ms)
{
    struct resting *place = find_resting(backfill, peer);
    if (place == NULL) place = find_resting(backfill, 0);
    /* All places taken by peers that have left since: any of them may be asked, they are not there. */
    if (place == NULL) place = &backfill->resting[0];
    *place = (struct resting){.id = peer, .until_ms = until_ms};
}

static void shun(struct backfill *backfill, uint64_t peer, const char *why, uint64_t now_ms)
{
    const struct backfill_handler *handler = &backfill->handler;
    rest(backfill, peer, now_ms + BACKFILL_SHUN_MS);
    if (handler->on_shunned != NULL) handler->on_shunned(handler->owner, peer, why);
}

static bool is_resting(struct backfill *backfill, uint64_t peer, uint64_t now_ms)
{
    struct resting *place = find_resting(backfill, peer);
    if (place == NULL) return false;
    if (now_ms < place->until_ms) return true;
    place->id = 0;
    return false;
}

/* The present one as long as it is good, else who has most of what is missing; of two that have as much
 * the one that stands behind the present one in the list, so that none is passed over for ever. */
static uint64_t choose(struct backfill *backfill, uint64_t from, uint64_t now_ms)
{
    const struct backfill_peer *best = NULL;
    uint64_t best_number = 0;
    size_t first = 0;
    for (size_t i = 0; i < backfill->peers_count; i++) {
        if (backfill->peers[i].id == backfill->peer) first = i;
    }
    for (size_t i = 0; i < backfill->peers_count; i++) {
        const struct backfill_peer *peer = &backfill->peers[(first + i) % backfill->peers_count];
        uint64_t number = peer->number < backfill->goal ? peer->number : backfill->goal;
        if (!peer->is_up || number < from || is_resting(backfill, peer->id, now_ms)) continue;
        if (peer->id == backfill->peer) return peer->id;
        if (number <= best_number) continue;
        best = peer;
        best_number = number;
    }
    return best == NULL ? 0 : best->id;
}

/* ---- asking ---- */

/* Everything below `from` is here or on its way into the hands of on_event. */
static void ask(struct backfill *backfill, uint64_t from, uint64_t now_ms)
{
    const struct backfill_handler *handler = &backfill->handler;
    if (backfill->asked.peer != 0 || backfill->lag_bytes > BACKFILL_LAG_MAX) return;
    while (from <= backfill->goal) {
        uint64_t peer = choose(backfill, from, now_ms);
        if (peer == 0) return;
        struct asked asked = {.peer = peer,
                              .request = ++backfill->last_id,
                              .from = from,
                              .up_to = backfill->goal,
                              .at_ms = now_ms};
        if (handler->ask(handler->owner, peer, asked.request, from, asked.up_to, backfill->bytes)) {
            backfill->asked = asked;
            backfill->peer = peer;
            return;
        }
        rest(backfill, peer, now_ms + BACKFILL_PAUSE_MS);
    }
}

static void ask_if_missing(struct backfill *backfill, uint64_t now_ms)
{
    if (is_wanting(backfill) && !backfill->is_taking) ask(backfill, backfill->number + 1, now_ms);
}

static void ask_for_less(struct backfill *backfill)
{
    backfill->bytes /= 2;
    if (backfill->bytes < BACKFILL_BYTES_MIN) backfill->bytes = BACKFILL_BYTES_MIN;
}

static void ask_for_more(struct backfill *backfill)
{
    backfill->bytes *= 2;
    if (backfill->bytes > BACKFILL_CHUNK_BYTES) backfill->bytes = BACKFILL_CHUNK_BYTES;
}

static void look_for_silence(struct backfill *backfill, uint64_t now_ms)
{
    uint64_t peer = backfill->asked.peer;
    if (peer == 0 || now_ms - backfill->asked.at_ms < BACKFILL_REPLY_MS) return;
    backfill->asked.peer = 0;
    ask_for_less(backfill);
    shun(backfill, peer, "it does not answer", now_ms);
}

/* One that went away answers no more: that is known before its silence is long enough. */
static void look_for_lost(struct backfill *backfill)
{
    for (size_t i = 0; i < backfill->peers_count; i++) {
        const struct backfill_peer *peer = &backfill->peers[i];
        if (peer->id == backfill->asked.peer && peer->is_up) return;
    }
    if (backfill->asked.peer != 0) ask_for_less(backfill);
    backfill->asked.peer = 0;
}

/* ---- the meter ---- */

static void meter(struct backfill *backfill, uint64_t now_ms)
{
    size_t count = backfill->marks_count;
    if (count > 0 && now_ms - backfill->marks[count - 1].at_ms < METER_MARK_MS) return;
    if (count == METER_MARKS) {
        memmove(backfill->marks, backfill->marks + 1, (METER_MARKS - 1) * sizeof *backfill->marks);
        count--;
    }
    backfill->marks[count] = (struct mark){.at_ms = now_ms, .events = backfill->events};
    backfill->marks_count = count + 1;
}

static uint64_t per_second(const struct backfill *backfill, uint64_t now_ms)
{
    const struct mark *oldest = &backfill->marks[0];
    if (!is_wanting(backfill) || backfill->marks_count == 0 || now_ms <= oldest->at_ms) return 0;
    return (backfill->events - oldest->events) * 1000 / (now_ms - oldest->at_ms);
}

/* ---- taking in ---- */

/* 0; an ERR_ code with a sentence: events up to backfill->number are in, the next one was not good. */
static int take(struct backfill *backfill, const struct backfill_head *head, struct slice events,
                struct errmsg *errmsg)
{
    const struct backfill_handler *handler = &backfill->handler;
    uint32_t taken = 0;
    int rv = 0;
    backfill->is_taking = true;
    /* With the last one that is missing on_event may say so, with backfill_want. */
    while (rv == 0 && taken < head->count && is_wanting(backfill)) {
        struct slice event = backfill_event_take(&events);
        uint64_t number = head->from + taken;
        rv = handler->on_event(handler->owner, event, errmsg);
        if (rv != 0) break;
        if (backfill->number < number) backfill->number = number;
        backfill->events++;
        backfill->taken_bytes += event.len;
        taken++;
    }
    if (taken > 0) handler->on_chunk(handler->owner);
    backfill->is_taking = false;
    return rv;
}

static void take_answer(struct backfill *backfill, const struct asked *asked,
                        const struct backfill_head *head, struct slice events, uint64_t now_ms)
{
    struct errmsg errmsg = {.text = ""};
    uint64_t peer = asked->peer;
    if (now_ms - asked->at_ms > BACKFILL_SLOW_MS)
        ask_for_less(backfill);
    else
        ask_for_more(backfill);
    ask(backfill, head->from + head->count, now_ms);
    if (take(backfill, head, events, &errmsg) == 0) return;
    backfill->asked.peer = 0; /* whatever comes stands on what was refused */
    shun(backfill, peer, errmsg.text, now_ms);
}

/* Does it answer what was asked? */
static bool is_answer(const struct asked *asked, const struct backfill_head *head)
{
    if (head->from != asked->from) return false;
    if (head->status != BACKFILL_OK) return head->count == 0;
    uint64_t asked_count = asked->up_to - asked->from + 1;
    return head->count > 0 && head->count <= asked_count &&
           head->last >= head->from + head->count - 1;
}

int backfill_heard(struct backfill *backfill, uint64_t peer, uint64_t request, struct slice body,
                   uint64_t now_ms)
{
    struct asked asked = backfill->asked;
    struct backfill_head head = {.status = BACKFILL_OK};
    struct slice events = {NULL, 0};
    int rv = backfill_head_decode(&head, body, &events);
    if (asked.peer != peer || asked.request != request) return rv; /* given up on, or never asked */
    if (rv == 0 && !is_answer(&asked, &head)) rv = ERR_FORMAT;

    backfill->asked.peer = 0;
    if (rv != 0) {
        shun(backfill, peer, "its answer is damaged", now_ms);
    } else if (head.status == BACKFILL_OK) {
        take_answer(backfill, &asked, &head, events, now_ms);
    } else if (head.status == BACKFILL_DAMAGED) {
        shun(backfill, peer, "its own events are damaged", now_ms);
    } else {
        rest(backfill, peer, now_ms + BACKFILL_PAUSE_MS);
    }
    ask_if_missing(backfill, now_ms);
    return rv;
}

/* ---- the rest ---- */

void backfill_want(struct backfill *backfill, uint64_t number, uint64_t goal, uint64_t now_ms)
{
    bool was_wanting = is_wanting(backfill);
    bool has_moved = number != backfill->number && !backfill->is_taking;
    backfill->number = number;
    backfill->goal = goal > number ? goal : number;
    if (has_moved || !is_wanting(backfill)) backfill->asked.peer = 0;
    if (was_wanting || !is_wanting(backfill)) return;
    backfill->from = number;
    backfill->marks_count = 0;
    meter(backfill, now_ms);
}

void backfill_tick(struct backfill *backfill, const struct backfill_peer *peers, size_t peers_count,
                   uint64_t now_ms)
{
    assert(peers_count <= BACKFILL_PEERS_MAX);
    if (peers_count > 0) memcpy(backfill->peers, peers, peers_count * sizeof *peers);
    backfill->peers_count = peers_count;
    if (!is_wanting(backfill)) return;
    meter(backfill, now_ms);
    look_for_silence(backfill, now_ms);
    look_for_lost(backfill);
    ask_if_missing(backfill, now_ms);
}

void backfill_lag(struct backfill *backfill, size_t bytes, uint64_t now_ms)
{
    backfill->lag_bytes = bytes;
    ask_if_missing(backfill, now_ms);
}

void backfill_progress(const struct backfill *backfill, struct backfill_progress *progress,
                       uint64_t now_ms)
{
    bool is_pausing = is_wanting(backfill) && backfill->lag_bytes > BACKFILL_LAG_MAX;
    *progress =
        (struct backfill_progress){.from = backfill->from,
                                   .number = backfill->number,
                                   .goal = backfill->goal,
                                   .peer = is_pausing ? backfill->peer : backfill->asked.peer,
                                   .events_per_second = per_second(backfill, now_ms),
                                   .events = backfill->events,
                                   .bytes = backfill->taken_bytes};
}

struct backfill *backfill_new(uint64_t last_id, const struct backfill_handler *handler)
{
    struct backfill *backfill = mem_new(sizeof *backfill);
    backfill->handler = *handler;
    backfill->last_id = last_id;
    backfill->bytes = BACKFILL_BYTES_FIRST;
    return backfill;
}

void backfill_free(struct backfill *backfill)
{
    mem_free(backfill);
}

/* ---- the frames ---- */

void backfill_ask_encode(struct buf *out, uint64_t from, uint64_t up_to, uint32_t bytes)
{
    wire_put_u64(out, from);
    wire_put_u64(out, up_to);
    wire_put_u32(out, bytes);
}

int backfill_ask_decode(struct slice body, uint64_t *from, uint64_t *up_to, uint32_t *bytes)
{
    struct wire wire = wire_of(body);
    *from = wire_get_u64(&wire);
    *up_to = wire_get_u64(&wire);
    *bytes = wire_get_u32(&wire);
    bool is_good = !wire.failed && *from > 0 && *from <= *up_to;
    return is_good ? 0 : ERR_FORMAT;
}

void backfill_head_encode(char out[BACKFILL_HEAD_SIZE], const struct backfill_head *head)
{
    out[0] = (char)head->status;
    little_store(out + 1, head->from, 8);
    little_store(out + 9, head->last, 8);
    little_store(out + 17, head->count, 4);
}

int backfill_head_decode(struct backfill_head *head, struct slice body, struct slice *events)
{
    struct wire wire = wire_of(body);
    uint8_t status = wire_get_u8(&wire);
    head->from = wire_get_u64(&wire);
    head->last = wire_get_u64(&wire);
    head->count = wire_get_u32(&wire);
    if (wire.failed || status > BACKFILL_DAMAGED) return ERR_FORMAT;
    head->status = (enum backfill_status)status;
    *events = wire.rest;
    for (uint32_t i = 0; i < head->count && !wire.failed; i++) {
        wire_take(&wire, wire_get_u32(&wire));
    }
    return wire.failed ? ERR_FORMAT : 0;
}

struct slice backfill_event_take(struct slice *events)
{
    struct wire wire = wire_of(*events);
    struct slice event = wire_take(&wire, wire_get_u32(&wire));
    assert(!wire.failed);
    *events = wire.rest;
    return event;
}
