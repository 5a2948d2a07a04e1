#include "app/messages.h"

#include "app/rooms.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

enum {
    PAGE_BYTES_MAX = 2 * 1024 * 1024, /* then no message is added any more */
    OPEN_MAX_MS = 5000,               /* for the domain thread to bring the tail */
    WAIT_STEP_MS = 500                /* to notice that this node drains */
};

enum reading_state { READING_OPENS, READING_STORE, READING_WAITS };

struct reading {
    struct exchange *exchange;
    struct api_query query;
    struct room_waiter waiter;
    enum reading_state state;
    struct later *later; /* NULL: none is set */
    uint64_t deadline_ms;
    char room[ROOM_MAX];
    size_t room_len;
    /* The page: upwards with `after`, else from the newest down. */
    struct buf text;
    uint32_t starts[API_MESSAGES_MAX + 1]; /* of each message in text */
    uint32_t count;
    uint64_t next_seq;       /* that the next message must have, if has_next */
    uint64_t tail_first_seq; /* downwards: where the tail began when the store was asked */
    bool has_next, is_full, has_gap;
    int status; /* of the store */
};

static struct slice room_of(const struct reading *reading)
{
    return slice_make(reading->room, reading->room_len);
}

/* ---- one message ---- */

static void add_hex(struct buf *out, const char *key, const void *bytes, size_t len)
{
    json_add_key(out, key);
    buf_add_char(out, '"');
    buf_add_hex(out, bytes, len);
    buf_add_char(out, '"');
}

void message_write(struct buf *out, const struct message_sent *event, bool with_digest)
{
    char id[COMMAND_ID_TEXT];
    command_id_text(id, &event->id);
    buf_add_char(out, '{');
    json_add_u64(out, "number", event->number);
    json_add_u64(out, "index", event->index);
    json_add_text(out, "room", event->room);
    json_add_u64(out, "seq", event->seq);
    json_add_text(out, "id", slice_make(id, sizeof id));
    add_hex(out, "sender_id", event->sender_id.bytes, sizeof event->sender_id.bytes);
    json_add_text(out, "sender", event->sender);
    json_add_text(out, "text", event->text);
    json_add_time(out, "at", event->at_ms);
    if (with_digest) add_hex(out, "digest", event->digest.bytes, sizeof event->digest.bytes);
    buf_add_char(out, '}');
}

/* ---- the page ---- */

static bool is_upwards(const struct reading *reading)
{
    return reading->query.has_after;
}

static void page_reset(struct reading *reading)
{
    buf_reset(&reading->text);
    reading->count = 0;
    reading->has_next = reading->is_full = reading->has_gap = false;
}

/* Takes the next message of the page; false when no more is wanted. */
static bool page_add(struct reading *reading, const struct message_sent *event)
{
    if (is_upwards(reading) && event->number <= reading->query.after) return true;
    if (is_upwards(reading) && reading->query.has_before &&
        event->number >= reading->query.before) {
        reading->is_full = true;
        return false;
    }
    if (reading->has_next && event->seq != reading->next_seq) {
        reading->has_gap = true;
        return false;
    }
    reading->starts[reading->count++] = (uint32_t)reading->text.len;
    message_write(&reading->text, event, false);
    reading->next_seq = is_upwards(reading) ? event->seq + 1 : event->seq - 1;
    reading->has_next = true;
    reading->is_full =
        reading->count == reading->query.limit || reading->text.len >= PAGE_BYTES_MAX;
    return !reading->is_full;
}

/* The first place in the tail whose number is above `number`. */
static size_t place_above(const struct room_tail *tail, uint64_t number)
{
    size_t low = 0, high = tail->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (room_tail_at(tail, middle)->event.number > number) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static uint64_t first_seq(const struct room_tail *tail)
{
    return tail->next_seq - tail->count;
}

/* All that is wanted, from the tail alone? Else the page is what the store must begin with. */
static bool page_from_tail(struct reading *reading, const struct room_tail *tail)
{
    const struct api_query *query = &reading->query;
    page_reset(reading);
    if (is_upwards(reading)) {
        size_t place = place_above(tail, query->after);
        if (place == 0 && !room_tail_whole(tail)) return false;
        while (place < tail->count && page_add(reading, &room_tail_at(tail, place)->event))
            place++;
        return true;
    }
    size_t end = tail->count;
    if (query->has_before) end = query->before == 0 ? 0 : place_above(tail, query->before - 1);
    while (end > 0 && page_add(reading, &room_tail_at(tail, end - 1)->event))
        end--;
    reading->tail_first_seq = first_seq(tail);
    return reading->is_full || room_tail_whole(tail) || (query->has_before && query->before <= 1);
}

/* ---- the answer ---- */

static void reading_free(struct reading *reading)
{
    struct web_thread *thread = reading->exchange->thread;
    if (reading->later != NULL) chores_cancel(reading->later);
    rooms_leave(web_thread_rooms(thread), &reading->waiter);
    buf_close(&reading->text);
    mem_free(reading);
}

static void fail(struct reading *reading, int status, const char *word, const char *sentence)
{
    struct exchange *exchange = reading->exchange;
    reading_free(reading);
    exchange_error(exchange, status, word, sentence);
}

static void answer(struct reading *reading)
{
    struct exchange *exchange = reading->exchange;
    struct buf body;
    buf_init(&body, RESPONSE_MAX);
    buf_add_char(&body, '{');
    json_add_text(&body, "room", room_of(reading));
    json_add_key(&body, "messages");
    buf_add_char(&body, '[');
    reading->starts[reading->count] = (uint32_t)reading->text.len;
    for (uint32_t i = 0; i < reading->count; i++) {
        uint32_t place = is_upwards(reading) ? i : reading->count - 1 - i;
        json_add_key(&body, NULL);
        buf_append(&body, reading->text.at + reading->starts[place],
                   reading->starts[place + 1] - reading->starts[place]);
    }
    buf_add(&body, slice_of("]}\n"));
    reading_free(reading);
    exchange_respond(exchange,
                     &(struct http_response){.status = 200,
                                             .type = slice_of("application/json"),
                                             .headers = slice_of("Cache-Control: no-store\r\n"),
                                             .body = buf_slice(&body)});
    buf_close(&body);
}

/* ---- the store, on the pool ---- */

static bool on_store_event(void *owner, const struct message_sent *event, struct slice bytes)
{
    (void)bytes;
    return page_add(owner, event);
}

static bool on_newest(void *owner, const struct message_sent *event, struct slice bytes)
{
    (void)bytes;
    *(uint64_t *)owner = event->seq;
    return false;
}

static int missing_is_fine(int rv)
{
    return rv == ERR_NOT_FOUND ? 0 : rv;
}

/* Upwards: what is behind `after`, and where the store ends, so that the tail can follow on it. */
static int read_upwards(struct reading *reading, struct event_reader *reader)
{
    uint64_t newest = 0;
    int rv = event_reader_room_after(reader, room_of(reading), reading->query.after,
                                     reading->query.limit, on_store_event, reading);
    if (missing_is_fine(rv) != 0 || reading->has_next) return missing_is_fine(rv);
    rv = event_reader_room_before(reader, room_of(reading), 0, 1, on_newest, &newest);
    reading->next_seq = newest + 1;
    reading->has_next = true;
    return missing_is_fine(rv);
}

/* Downwards: from where the tail began, or from `before` if that lies deeper. */
static int read_downwards(struct reading *reading, struct event_reader *reader)
{
    uint64_t below = reading->tail_first_seq, found = 0;
    int rv = 0;
    if (!reading->has_next && reading->query.has_before) {
        rv = event_reader_room_after(reader, room_of(reading), reading->query.before - 1, 1,
                                     on_newest, &found);
        if (missing_is_fine(rv) != 0) return rv;
        if (found != 0 && found < below) below = found;
    }
    if (below <= 1) return 0;
    reading->next_seq = below - 1;
    reading->has_next = true;
    uint32_t before = reading->count;
    rv = event_reader_room_before(reader, room_of(reading), below,
                                  reading->query.limit - reading->count, on_store_event, reading);
    if (missing_is_fine(rv) == 0 && reading->count == before) reading->has_gap = true;
    return missing_is_fine(rv);
}

static void read_store(void *owner, struct event_reader *reader, int status)
{
    struct reading *reading = owner;
    reading->status = status;
    if (status != 0) return;
    reading->status =
        is_upwards(reading) ? read_upwards(reading, reader) : read_downwards(reading, reader);
}

static void wait_or_answer(struct reading *reading);

/* Back in the loop: the tail may have moved on meanwhile, which is well. */
static void on_store_read(void *owner)
{
    struct reading *reading = owner;
    if (reading->status != 0) {
        fail(reading, 500, "unreadable", "The history could not be read.");
        return;
    }
    if (is_upwards(reading) && !reading->is_full) {
        const struct room_tail *tail = room_tail_of(reading->waiter.room);
        uint64_t first = first_seq(tail);
        reading->has_gap = reading->next_seq < first;
        for (uint64_t seq = reading->next_seq; !reading->has_gap && seq < tail->next_seq; seq++) {
            const struct message *message = room_tail_at(tail, (size_t)(seq - first));
            bool is_old = message->event.number <= reading->query.after;
            if (is_old) reading->next_seq = seq + 1;
            if (!is_old && !page_add(reading, &message->event)) break;
        }
    }
    if (reading->has_gap && (reading->count == 0 || !is_upwards(reading))) {
        fail(reading, 503, "busy", "The history is being written. Try again in a moment.");
        return;
    }
    wait_or_answer(reading);
}

/* ---- opening, looking, waiting ---- */

static void look(struct reading *reading)
{
    if (page_from_tail(reading, room_tail_of(reading->waiter.room))) {
        wait_or_answer(reading);
        return;
    }
    reading->state = READING_STORE;
    if (chores_read(web_thread_chores(reading->exchange->thread),
                    exchange_address(reading->exchange), read_store, on_store_read, reading) != 0)
        fail(reading, 503, "busy", "Too much is being read. Try again in a moment.");
}

static void on_wait_step(void *owner);

static void wait_on(struct reading *reading)
{
    uint64_t now_ms = clock_ms();
    uint64_t left_ms = reading->deadline_ms > now_ms ? reading->deadline_ms - now_ms : 0;
    reading->later = chores_later(web_thread_chores(reading->exchange->thread),
                                  left_ms < WAIT_STEP_MS ? (uint32_t)left_ms : WAIT_STEP_MS,
                                  on_wait_step, reading);
}

static bool may_wait(const struct reading *reading)
{
    return clock_ms() < reading->deadline_ms && reading->exchange->conn != NULL &&
           !web_thread_is_draining(reading->exchange->thread);
}

static void on_wait_step(void *owner)
{
    struct reading *reading = owner;
    reading->later = NULL;
    if (reading->state != READING_WAITS) return; /* it looks just now, and waits on if need be */
    if (may_wait(reading)) {
        wait_on(reading);
    } else {
        answer(reading);
    }
}

static void wait_or_answer(struct reading *reading)
{
    if (reading->count > 0 || reading->is_full || !may_wait(reading)) {
        answer(reading);
        return;
    }
    reading->state = READING_WAITS;
    if (reading->later == NULL) wait_on(reading);
}

static struct reading *reading_of(struct room_waiter *waiter)
{
    return (struct reading *)((char *)waiter - offsetof(struct reading, waiter));
}

static void on_messages(struct room_waiter *waiter)
{
    struct reading *reading = reading_of(waiter);
    if (reading->state == READING_WAITS) look(reading);
}

static void on_ready(struct room_waiter *waiter, int status)
{
    struct reading *reading = reading_of(waiter);
    if (reading->later != NULL) chores_cancel(reading->later);
    reading->later = NULL;
    if (status != 0) {
        fail(reading, 503, "unreadable", "The room could not be read. Try again in a moment.");
    } else {
        look(reading);
    }
}

static void on_open_too_long(void *owner)
{
    struct reading *reading = owner;
    reading->later = NULL;
    fail(reading, 503, "busy", "This node is busy. Try again in a moment.");
}

void messages_answer(struct exchange *exchange, struct slice room, const struct api_query *query)
{
    struct web_thread *thread = exchange->thread;
    struct reading *reading = mem_new(sizeof *reading);
    assert(room.len > 0 && room.len <= ROOM_MAX);
    reading->exchange = exchange;
    reading->query = *query;
    reading->deadline_ms = clock_ms() + query->wait_ms;
    reading->waiter.on_ready = on_ready;
    reading->waiter.on_messages = on_messages;
    reading->room_len = room.len;
    memcpy(reading->room, room.at, room.len);
    buf_init(&reading->text, 2 * (size_t)PAGE_BYTES_MAX);
    /* It may be over before rooms_open returns; so the time limit is set first. */
    reading->later =
        chores_later(web_thread_chores(thread), OPEN_MAX_MS, on_open_too_long, reading);
    rooms_open(web_thread_rooms(thread), &reading->waiter, room);
}
