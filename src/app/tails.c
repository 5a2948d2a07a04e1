#include "app/tails.h"

#include <utlist.h>

#include "base/hash_table.h"
#include "base/mem.h"

/* Places in the ring: at first, and at most while nothing is kept. */
enum { KEPT_FIRST = 256, KEPT_IDLE = 4096 };

struct shown_room {
    char name[ROOM_MAX];
    uint8_t name_len;
    bool is_loaded, is_loading, is_queued; /* to be loaded when others are */
    uint32_t threads;                      /* that have the tail and get the events */
    uint32_t waiting;                      /* that wait for the tail */
    struct room_tail tail;
    struct shown_room *next_queued, *prev_queued;
    UT_hash_handle hh;
};

struct load { /* one read on the pool */
    uv_work_t work;
    struct tails *tails;
    struct event_store *store;
    char name[ROOM_MAX];
    uint8_t name_len;
    uint64_t floor; /* durable when it began: nothing behind this may be dropped meanwhile */
    int status;
    size_t count;
    struct shared *newest_first[TAIL_MAX];
    struct load *next, *prev;
};

struct tails {
    uv_loop_t *loop;
    struct event_store *store;
    tail_fn on_tail;
    void *owner;
    struct shown_room *rooms;
    struct load *loads;
    size_t loads_count;
    struct shown_room *queued;
    size_t queued_count;
    uint64_t durable;
    /* a ring of the events behind `durable` (or behind the oldest load's floor) */
    struct message *kept;
    size_t kept_first, kept_count, kept_size, kept_bytes;
};

struct tails *tails_new(uv_loop_t *loop, struct event_store *store, uint64_t durable,
                        tail_fn on_tail, void *owner)
{
    struct tails *tails = mem_new(sizeof *tails);
    *tails = (struct tails){
        .loop = loop, .store = store, .durable = durable, .on_tail = on_tail, .owner = owner};
    return tails;
}

static struct message *kept_at(const struct tails *tails, size_t place)
{
    return &tails->kept[(tails->kept_first + place) % tails->kept_size];
}

static void room_free(struct tails *tails, struct shown_room *room)
{
    HASH_DEL(tails->rooms, room);
    room_tail_close(&room->tail);
    mem_free(room);
}

void tails_free(struct tails *tails)
{
    struct shown_room *room, *next;
    assert(tails_idle(tails));
    HASH_ITER(hh, tails->rooms, room, next)
        room_free(tails, room);
    for (size_t i = 0; i < tails->kept_count; i++)
        shared_unref(kept_at(tails, i)->bytes);
    mem_free(tails->kept);
    mem_free(tails);
}

bool tails_idle(const struct tails *tails)
{
    return tails->loads == NULL && tails->queued == NULL;
}

static struct slice room_name(const struct shown_room *room)
{
    return slice_make(room->name, room->name_len);
}

static struct shown_room *find_room(const struct tails *tails, struct slice name)
{
    struct shown_room *room;
    HASH_FIND(hh, tails->rooms, name.at, name.len, room);
    return room;
}

/* ---- what is not durable yet ---- */

static void drop_durable(struct tails *tails)
{
    uint64_t floor = tails->durable;
    const struct load *load;
    DL_FOREACH(tails->loads, load)
        if (load->floor < floor) floor = load->floor;

    while (tails->kept_count > 0 && kept_at(tails, 0)->event.number <= floor) {
        tails->kept_bytes -= kept_at(tails, 0)->bytes->len;
        shared_unref(kept_at(tails, 0)->bytes);
        tails->kept_first = (tails->kept_first + 1) % tails->kept_size;
        tails->kept_count--;
    }
    if (tails->kept_count > 0 || tails->kept_size <= KEPT_IDLE) return;
    mem_free(tails->kept); /* what a flood needed is not needed for ever */
    tails->kept = NULL;
    tails->kept_first = tails->kept_size = 0;
}

/* Do its slices stand on these bytes? An event always has a room. */
static bool stands_on(const struct message_sent *event, const struct shared *bytes)
{
    uintptr_t at = (uintptr_t)event->room.at;
    uintptr_t first = (uintptr_t)bytes->bytes;
    return at >= first && at < first + bytes->len;
}

static void keep(struct tails *tails, const struct message_sent *event, struct shared *bytes)
{
    if (tails->kept_count == tails->kept_size) {
        size_t size = tails->kept_size == 0 ? KEPT_FIRST : 2 * tails->kept_size;
        struct message *ring = mem_new_array(size, sizeof *ring);
        for (size_t i = 0; i < tails->kept_count; i++)
            ring[i] = *kept_at(tails, i);
        mem_free(tails->kept);
        tails->kept = ring;
        tails->kept_first = 0;
        tails->kept_size = size;
    }
    struct message *message = kept_at(tails, tails->kept_count++);
    tails->kept_bytes += bytes->len;
    *message = (struct message){.bytes = shared_ref(bytes), .event = *event};
    if (stands_on(event, bytes)) return;
    /* On the raft entry's, which goes. */
    int rv = event_decode(&message->event, shared_slice(bytes), NULL);
    assert(rv == 0);
}

void tails_durable(struct tails *tails, uint64_t number)
{
    tails->durable = number;
    drop_durable(tails);
}

size_t tails_kept_bytes(const struct tails *tails)
{
    return tails->kept_bytes;
}

/* ---- tails ---- */

static void send_tail(struct tails *tails, struct shown_room *room, int thread_number, int status)
{
    struct room_mail *mail = mem_new(sizeof *mail);
    mail->mail.kind = MAIL_ROOM_TAIL;
    mail->status = status;
    mail->room_len = room->name_len;
    memcpy(mail->room, room->name, room->name_len);
    mail->next_seq = room->tail.next_seq;
    for (size_t i = 0; i < room->tail.count; i++) {
        const struct message *message = room_tail_at(&room->tail, i);
        mail->messages[mail->count++] = shared_ref(message->bytes);
        mail->number = message->event.number;
    }
    tails->on_tail(tails->owner, thread_number, mail);
}

static void serve_waiting(struct tails *tails, struct shown_room *room, int status)
{
    uint32_t waiting = room->waiting;
    room->waiting = 0;
    if (status == 0) room->threads |= waiting;
    for (int i = 0; i < 32; i++)
        if (waiting & (1u << i)) send_tail(tails, room, i, status);
}

static bool on_loaded_event(void *owner, const struct message_sent *event, struct slice bytes)
{
    struct load *load = owner;
    (void)event;
    load->newest_first[load->count++] = shared_copy(bytes);
    return load->count < TAIL_MAX;
}

static void on_pool(uv_work_t *work)
{
    struct load *load = work->data;
    struct event_reader *reader;
    load->status = event_reader_open(&reader, load->store, NULL);
    if (load->status != 0) return;
    load->status = event_reader_begin(reader, NULL);
    if (load->status == 0) {
        load->status = event_reader_room_before(reader, slice_make(load->name, load->name_len), 0,
                                                TAIL_MAX, on_loaded_event, load);
        if (load->status == ERR_NOT_FOUND) load->status = 0; /* a room without messages */
        event_reader_end(reader);
    }
    event_reader_close(reader);
}

/* The tail: what the store gave, then what is kept of the room behind it. */
static void fill_tail(struct tails *tails, struct shown_room *room, struct load *load)
{
    struct message_sent event;
    room_tail_reset(&room->tail, 1);
    for (size_t i = load->count; i > 0; i--) {
        struct shared *bytes = load->newest_first[i - 1];
        int rv = event_decode(&event, shared_slice(bytes), NULL);
        assert(rv == 0); /* the store has just checked it */
        if (i == load->count) room_tail_reset(&room->tail, event.seq);
        room_tail_add(&room->tail, bytes, &event);
    }
    for (size_t i = 0; i < tails->kept_count; i++) {
        const struct message *message = kept_at(tails, i);
        if (slice_equal(message->event.room, room_name(room)))
            room_tail_add(&room->tail, message->bytes, &message->event);
    }
}

static void start_load(struct tails *tails, struct shown_room *room);

static void leave_queue(struct tails *tails, struct shown_room *room)
{
    DL_DELETE2(tails->queued, room, prev_queued, next_queued);
    room->is_queued = false;
    tails->queued_count--;
}

static void load_some(struct tails *tails)
{
    while (tails->queued != NULL && tails->loads_count < TAIL_LOADS_RUNNING_MAX) {
        struct shown_room *room = tails->queued;
        leave_queue(tails, room);
        start_load(tails, room);
    }
}

static void on_loaded(uv_work_t *work, int status)
{
    struct load *load = work->data;
    struct tails *tails = load->tails;
    struct shown_room *room = find_room(tails, slice_make(load->name, load->name_len));
    if (status != 0) load->status = ERR_CLOSED;

    assert(room != NULL && room->is_loading);
    room->is_loading = false;
    if (load->status == 0) {
        fill_tail(tails, room, load);
        room->is_loaded = true;
    }
    serve_waiting(tails, room, load->status);
    if (room->threads == 0) room_free(tails, room);

    DL_DELETE(tails->loads, load);
    tails->loads_count--;
    shared_unref_all(load->newest_first, load->count);
    mem_free(load);
    drop_durable(tails);
    load_some(tails);
}

static void start_load(struct tails *tails, struct shown_room *room)
{
    struct load *load = mem_new(sizeof *load);
    load->tails = tails;
    load->store = tails->store;
    load->floor = tails->durable;
    load->name_len = room->name_len;
    memcpy(load->name, room->name, room->name_len);
    load->work.data = load;
    DL_APPEND(tails->loads, load);
    tails->loads_count++;
    room->is_loading = true;
    int rv = uv_queue_work(tails->loop, &load->work, on_pool, on_loaded);
    assert(rv == 0);
}

static struct shown_room *find_or_add_room(struct tails *tails, struct slice name)
{
    struct shown_room *room = find_room(tails, name);
    if (room != NULL) return room;
    assert(name.len > 0 && name.len <= ROOM_MAX);
    room = mem_new(sizeof *room);
    room->name_len = (uint8_t)name.len;
    memcpy(room->name, name.at, name.len);
    room_tail_init(&room->tail);
    HASH_ADD_KEYPTR(hh, tails->rooms, room->name, room->name_len, room);
    return room;
}

void tails_open_empty(struct tails *tails, struct slice name, int thread_number)
{
    struct shown_room *room = find_or_add_room(tails, name);
    if (!room->is_loaded && !room->is_loading && !room->is_queued) {
        room_tail_reset(&room->tail, 1);
        room->is_loaded = true;
    }
    tails_open(tails, name, thread_number);
}

void tails_open(struct tails *tails, struct slice name, int thread_number)
{
    struct shown_room *room = find_or_add_room(tails, name);
    room->waiting |= 1u << thread_number;
    if (room->is_loaded) {
        serve_waiting(tails, room, 0);
    } else if (!room->is_loading && !room->is_queued) {
        if (tails->queued_count == TAIL_LOADS_WAITING_MAX) {
            serve_waiting(tails, room, ERR_BUSY);
            room_free(tails, room);
            return;
        }
        DL_APPEND2(tails->queued, room, prev_queued, next_queued);
        room->is_queued = true;
        tails->queued_count++;
        load_some(tails);
    }
}

void tails_close(struct tails *tails, struct slice name, int thread_number)
{
    struct shown_room *room = find_room(tails, name);
    if (room == NULL) return;
    room->threads &= ~(1u << thread_number);
    room->waiting &= ~(1u << thread_number);
    if (room->threads != 0 || room->waiting != 0 || room->is_loading) return;
    if (room->is_queued) leave_queue(tails, room);
    room_free(tails, room);
}

uint32_t tails_add(struct tails *tails, const struct message_sent *event, struct shared *bytes)
{
    struct shown_room *room = find_room(tails, event->room);
    keep(tails, event, bytes);
    if (room == NULL || !room->is_loaded) return 0;

    const struct message *kept = kept_at(tails, tails->kept_count - 1);
    room_tail_add(&room->tail, bytes, &kept->event);
    return room->threads;
}

size_t tails_shown(const struct tails *tails, struct slice *out, size_t max)
{
    size_t count = 0;
    const struct shown_room *room;
    for (room = tails->rooms; room != NULL && count < max; room = room->hh.next)
        out[count++] = room_name(room);
    return count;
}
