/* The tails of the rooms that this node shows, and the events that its store has not on disk yet.
 *
 * Every read is the store up to some number D, followed by what is kept here behind D, in one step:
 *
 *   a room is wanted --> in RAM? its tail goes out at once
 *                    \-> a load on the pool: the store's newest messages of the room, up to D'; then,
 *                        in one step of the loop, the kept events of the room behind them
 *
 * An event is kept until it is durable and no load that began before that is still under way, so there
 * is never a hole between the two. Loads run a few at a time (TAIL_LOADS_RUNNING_MAX), for raft's disk has
 * the same pool, and others wait in order (TAIL_LOADS_WAITING_MAX); beyond that who wants a room is told
 * ERR_BUSY. A room without messages needs no load: strangers may ask for any name, and are not in the way of
 * those who want a room that there is. Domain thread.
 */
#pragma once
#include <uv.h>

#include "app/mails.h"
#include "chat/read_model.h"
#include "store/event_store.h"

struct tails;

/* The room's tail for one thread, in a mail that is the receiver's. */
typedef void (*tail_fn)(void *owner, int thread_number, struct room_mail *tail);

struct tails *tails_new(uv_loop_t *loop, struct event_store *store, uint64_t durable,
                        tail_fn on_tail, void *owner);
/* No load is under way (tails_idle). */
void tails_free(struct tails *tails);
bool tails_idle(const struct tails *tails);

/* The thread shows the room from now on: on_tail once, perhaps at once, with a status other than 0 if it
 * cannot be; every event of the room that tails_add gets behind it is the thread's too. */
void tails_open(struct tails *tails, struct slice room_name, int thread_number);
/* The same for a room of which tails_add has had no event, nor has the store: there is nothing to be read, so its
 * tail goes out now, however many others wait. */
void tails_open_empty(struct tails *tails, struct slice room_name, int thread_number);
void tails_close(struct tails *tails, struct slice room_name, int thread_number);

/* The next event of the history. Keeps references. Returns a bit for each thread that shows its room
 * and has its tail. */
uint32_t tails_add(struct tails *tails, const struct message_sent *event, struct shared *bytes);

/* The store has everything up to this number on disk. */
void tails_durable(struct tails *tails, uint64_t number);

/* Bytes of the events that are kept because they are not, or were not for some load. */
size_t tails_kept_bytes(const struct tails *tails);

/* Names of the shown rooms, up to `max`; they stand on the tails until the next call of any of these.
 * Returns how many. */
size_t tails_shown(const struct tails *tails, struct slice *out, size_t max);
