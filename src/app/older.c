#include "app/older.h"

/* Each message must stand directly below the one before: what is not in the store yet is a hole. */
static bool take_older(void *owner, const struct message_sent *event, struct slice bytes)
{
    struct older *older = owner;
    struct message *message = &older->messages[older->count];
    if (event->seq + older->count + 1 != older->before_seq) return false;
    message->bytes = shared_copy(bytes);
    if (event_decode(&message->event, shared_slice(message->bytes), NULL) != 0) {
        shared_unref(message->bytes);
        return false;
    }
    return ++older->count < PAGE_MESSAGES;
}

static void read_store(void *owner, struct event_reader *reader, int status)
{
    struct older *older = owner;
    struct slice room = slice_make(older->room, older->room_len);
    struct message_sent event;
    if (status != 0) return;
    if (older->before_seq == 0) {
        if (event_reader_get(reader, older->before_number, &event, NULL) != 0) return;
        if (!slice_equal(event.room, room)) return;
        older->before_seq = event.seq;
    }
    if (older->before_seq <= 1) return;
    event_reader_room_before(reader, room, older->before_seq, PAGE_MESSAGES, take_older, older);
}

/* The asker may free it. */
static void finish(void *owner)
{
    struct older *older = owner;
    struct shared *bytes[PAGE_MESSAGES];
    size_t count = older->count;
    for (size_t i = 0; i < count; i++)
        bytes[i] = older->messages[i].bytes;
    older->on_read(older);
    shared_unref_all(bytes, count);
}

/* The place of a number in a tail, or its count. */
static size_t place_of(const struct room_tail *tail, uint64_t number)
{
    size_t place = 0;
    while (place < tail->count && room_tail_at(tail, place)->event.number != number)
        place++;
    return place;
}

void older_read(struct older *older, const struct room_tail *tail)
{
    struct chores *chores = web_thread_chores(older->thread);
    size_t place = place_of(tail, older->before_number);
    bool is_in_tail = place < tail->count;
    older->count = 0;
    older->before_seq = is_in_tail ? room_tail_at(tail, place)->event.seq : 0;
    if (is_in_tail && (place > 0 || room_tail_whole(tail))) {
        while (place > 0 && older->count < PAGE_MESSAGES) {
            struct message *message = &older->messages[older->count++];
            *message = *room_tail_at(tail, --place);
            shared_ref(message->bytes);
        }
        chores_later(chores, 0, finish, older);
        return;
    }
    if (chores_read(chores, older->address, read_store, finish, older) == 0) return;
    chores_later(chores, 0, finish, older); /* busy: nothing older now, and the page asks again */
}

bool older_reached_start(const struct older *older)
{
    size_t count = older->count;
    uint64_t oldest = count == 0 ? older->before_seq : older->messages[count - 1].event.seq;
    return oldest == 1;
}
