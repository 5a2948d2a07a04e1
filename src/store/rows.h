/* Rows of the three tables that follow from the events (streams, commands, rooms), gathered over one
 * transaction and written at its end in the order of their keys.
 *
 * An event has one row in each of them, and their keys are in another order than the events: written one by
 * one, each is a walk down a tree to a place far from the last one. Gathered, a room is written once however
 * many events it got, the messages of one room lie side by side, and command ids that rise, as those
 * that pages make do, go to the end of their table. At a hundred thousand events that is two thirds of
 * the time.
 *
 * Texts of the events are borrowed until rows_put. One transaction's thread; nobody else includes this but
 * event_store.c and rebuild.c.
 */
#pragma once
#include "store/event_store_inside.h"

struct rows_room { /* as it stands behind the events that were added */
    struct slice name;
    uint64_t seq, last_number;
    int64_t last_at_ms;
    struct sender_id last_sender_id;
    uint32_t run;
    size_t first, last; /* of its events, in `rows`; ROWS_NONE = only looked at */
};

struct row { /* of one event */
    struct command_id id;
    uint64_t number, seq;
    size_t next; /* of the same room, or ROWS_NONE */
};

struct rows {
    struct row *rows;
    size_t count, max;
    struct rows_room *rooms;
    size_t rooms_count, rooms_size;
    uint32_t *places;   /* a hash table of rooms by name: 1 + place in `rooms`, 0 = free */
    size_t places_size; /* a power of two, at least twice the rooms */
};

#define ROWS_NONE SIZE_MAX

/* For up to `max` events. */
void rows_init(struct rows *rows, size_t max);
void rows_close(struct rows *rows);

/* The room as it stands behind what is stored and what was added; seq 0 if it has no messages. 0, or ERR_DATA when
 * what is stored cannot be read. Good until the next call. */
int rows_room(struct rows *rows, const struct event_store *store, MDB_txn *txn, struct slice name,
              struct rows_room **room);
/* The next event; `room` is its room's, as rows_room gave it. */
void rows_add(struct rows *rows, struct rows_room *room, const struct message_sent *event);

/* Writes all that was added. 0 or LMDB's code; MDB_KEYEXIST when two events have one command id, with the
 * number of the later one in *twice. */
int rows_put(struct rows *rows, const struct event_store *store, MDB_txn *txn, uint64_t *twice);
