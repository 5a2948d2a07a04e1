/* One page of older messages of a room that this thread shows: those directly below a given one, newest
 * first, from the room's tail or, where that does not reach, from the store on the pool.
 *
 * It never has a hole: what the store has not yet ends it early. So an empty page says nothing of the
 * start of the room; reached_start does. One web thread; the reading itself runs on the pool.
 */
#pragma once
#include "app/web_thread.h"
#include "chat/read_model.h"

struct older { /* embedded by whoever asks, filled up to `on_read`; stays until that was called */
    struct web_thread *thread;
    char room[ROOM_MAX];
    uint8_t room_len;
    uint64_t before_number;
    struct slice address; /* whose: see chores_read; not looked at behind older_read */
    /* Once, in a later turn of the loop. The messages are this struct's until it returns. */
    void (*on_read)(struct older *older);
    /* what came of it */
    uint64_t before_seq; /* of message before_number; 0 = there is none in this room */
    size_t count;
    struct message messages[PAGE_MESSAGES];
};

/* `tail` is that of its room, as it is now. */
void older_read(struct older *older, const struct room_tail *tail);
bool older_reached_start(const struct older *older);
