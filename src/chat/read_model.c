#include "chat/read_model.h"

#include <assert.h>

#include "base/mem.h"

void room_tail_init(struct room_tail *tail)
{
    *tail = (struct room_tail){.next_seq = 1};
}

static void drop_oldest(struct room_tail *tail)
{
    shared_unref(tail->ring[tail->first].bytes);
    tail->first = (tail->first + 1) % TAIL_MAX;
    tail->count--;
}

void room_tail_reset(struct room_tail *tail, uint64_t next_seq)
{
    while (tail->count > 0)
        drop_oldest(tail);
    tail->first = 0;
    tail->next_seq = next_seq;
}

void room_tail_close(struct room_tail *tail)
{
    room_tail_reset(tail, 1);
    mem_free(tail->ring);
    tail->ring = NULL;
}

/* The event that chat_apply made stands on the command's bytes, which go; ours must stand on its
 * own. */
static bool stands_on(const struct message_sent *event, const struct shared *bytes)
{
    uintptr_t from = (uintptr_t)bytes->bytes;
    uintptr_t text = (uintptr_t)event->text.at;
    uintptr_t room = (uintptr_t)event->room.at;
    return text >= from && text < from + bytes->len && room >= from && room < from + bytes->len;
}

bool room_tail_add(struct room_tail *tail, struct shared *bytes, const struct message_sent *event)
{
    if (event->seq < tail->next_seq) return false;
    assert(event->seq == tail->next_seq);

    struct message message = {.bytes = shared_ref(bytes), .event = *event};
    if (!stands_on(event, bytes)) {
        int rv = event_decode(&message.event, shared_slice(bytes), NULL);
        assert(rv == 0); /* our own event_encode made them */
        assert(message.event.number == event->number);
    }
    if (tail->ring == NULL) tail->ring = mem_new_array(TAIL_MAX, sizeof *tail->ring);
    if (tail->count == TAIL_MAX) drop_oldest(tail);
    tail->ring[(tail->first + tail->count) % TAIL_MAX] = message;
    tail->count++;
    tail->next_seq++;
    return true;
}

const struct message *room_tail_at(const struct room_tail *tail, size_t place)
{
    assert(place < tail->count);
    return &tail->ring[(tail->first + place) % TAIL_MAX];
}

bool room_tail_whole(const struct room_tail *tail)
{
    return tail->next_seq - tail->count == 1;
}
