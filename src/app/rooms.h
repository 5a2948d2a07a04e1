/* The rooms that this web thread shows: their tails, their topics, who waits for them.
 *
 * A room is opened when the first view, page or program wants it (a mail to the domain thread, which
 * answers with its newest messages and tells every later event from then on), and closed a while after
 * the last has left, or sooner when it is empty or too many are kept so. A topic without readers, as a page
 * makes one that is not live yet, lasts until the next board. Events come in order; in the same turn they are
 * put into the tail and rendered once for each topic (a room and a time zone offset), and go out as one diff
 * to all its readers.
 */
#pragma once
#include "app/web_thread.h"
#include "chat/read_model.h"
#include "live/pubsub.h"

struct rooms;
struct room;

struct room_waiter {   /* embedded by whoever opens; in at most one room at a time */
    struct room *room; /* NULL: in none */
    /* Once, when the tail is there (maybe from inside of rooms_open). status: 0 or an ERR_ code; with an
     * error the waiter has left already. */
    void (*on_ready)(struct room_waiter *waiter, int status);
    /* After new messages came; NULL if not wanted. */
    void (*on_messages)(struct room_waiter *waiter);
    struct room_waiter *next, *prev;
    bool is_ready;
};

struct rooms *rooms_new(struct web_thread *thread);
void rooms_free(struct rooms *rooms);

/* The waiter's callbacks must be set. Stays in the room until rooms_leave. */
void rooms_open(struct rooms *rooms, struct room_waiter *waiter, struct slice name);
void rooms_leave(struct rooms *rooms, struct room_waiter *waiter);

/* Of a room that is ready. */
const struct room_tail *room_tail_of(const struct room *room);
/* The topic for this offset, made if need be. Without readers it goes with the next board: to be used in this
 * turn. */
struct topic *room_topic(struct rooms *rooms, struct room *room, int16_t offset_minutes);
/* Topics that are no rooms'. */
struct topic *rooms_home_topic(struct rooms *rooms, int16_t offset_minutes);
struct topic *rooms_cluster_topic(struct rooms *rooms, int16_t offset_minutes);

/* ---- for web_thread ---- */
void rooms_tail_came(struct rooms *rooms, struct room_mail *mail); /* does not free it */
void rooms_events_came(struct rooms *rooms, struct events_mail *mail);
/* At the end of the turn: everything that came goes out. */
void rooms_flush(struct rooms *rooms);
/* Are there events that its readers were not told of, for it rests after a flood? At the end of a turn, behind
 * rooms_flush. */
bool rooms_is_resting(const struct rooms *rooms, struct slice name);
/* A new board: topics are told, at most one shared diff each. */
void rooms_board(struct rooms *rooms, const struct board *board);
/* At the end of the turn, too: of the rooms that nobody is in no more than ROOMS_IDLE_MAX stay, for anybody may
 * ask for as many as there are names. */
void rooms_trim(struct rooms *rooms);
/* Once a second: closes rooms that nobody has wanted for a while, and empty ones at once. */
void rooms_sweep(struct rooms *rooms);
size_t rooms_count(const struct rooms *rooms);
/* For tests: how many topics there are. */
size_t rooms_topics(const struct rooms *rooms);
