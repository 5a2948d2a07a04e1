/* What pages read of one room: its newest messages, in order, without a hole.
 *
 * A ring of up to TAIL_MAX messages. The domain thread has one for each room that is shown
 * somewhere on this node; each web thread has its own copy for the rooms its views show. The
 * messages are the same shared bytes everywhere: a copy costs references. One thread each.
 */
#pragma once
#include "base/limits.h"
#include "chat/event.h"

struct message { /* one event, decoded; its slices stand on its bytes */
    struct shared *bytes;
    struct message_sent event;
};

struct room_tail {
    struct message *ring; /* TAIL_MAX, allocated at the first message */
    size_t first, count;
    uint64_t next_seq; /* the seq that the next message must have; 1 for an empty room */
};

void room_tail_init(struct room_tail *tail);
void room_tail_close(struct room_tail *tail);
/* Starts over; the next message must have this seq. */
void room_tail_reset(struct room_tail *tail, uint64_t next_seq);
/* Takes a reference. False, and nothing done, if the event's seq is below next_seq (known already);
 * asserts that it is not above. */
bool room_tail_add(struct room_tail *tail, struct shared *bytes, const struct message_sent *event);
/* 0 = the oldest that is kept. */
const struct message *room_tail_at(const struct room_tail *tail, size_t place);
/* Does it reach back to the room's first message? */
bool room_tail_whole(const struct room_tail *tail);
