/* The event store: every event of the history on this node's disk, in LMDB. The door to LMDB.
 *
 *   events    number (u64, native order, MDB_INTEGERKEY) -> event_encode's bytes
 *   streams   room | seq (u64 big-endian) -> number (u64)
 *   commands  command id (16 bytes) -> number (u64)            exactly once, for ever
 *   rooms     room -> seq, last number, last at_ms, last sender id, run, CRC-32C (little-endian)
 *   meta      "format", "cluster", "last": what event_meta says, with a CRC-32C; "derived": version of
 *             the three tables above, which follow from the events (absent: 1)
 *
 * The events are always a dense prefix 1..N of the one history. One thread, the store thread,
 * writes: event_store_append gets the events of whole raft entries, and is durable when it returns
 * (one LMDB commit with a sync). Any thread may read, through a reader of its own; readers do not
 * block and are not blocked, but an open read keeps old pages from being used again, so each ends
 * within one turn of its loop.
 *
 * The store decides nothing: it keeps what it is told, and refuses what does not fit (a gap in the
 * numbers, another cluster's directory, a newer format).
 */
#pragma once
#include "base/err.h"
#include "chat/chat.h"

struct event_store;
struct event_reader;

enum { EVENT_STORE_FORMAT = 1, EVENT_STORE_DERIVED = 1 };

struct event_meta {
    uint32_t format;
    uint8_t cluster[16]; /* all zero: not bound yet */
    uint64_t number;     /* of the last event; 0 = none */
    uint64_t index;      /* of the last raft entry whose events are in */
    uint64_t
        raft_durable; /* min(raft last stored, commit) when this was written: reliability mark */
    int64_t at_ms;
    struct digest digest;
};

struct event_store_options {
    const char *dir;    /* made if absent, mode 0700 */
    uint64_t map_bytes; /* address space, not disk; 0 = STORE_MAP_DEFAULT */
    bool read_only;     /* for the command line: a stopped node's files */
    /* A node's own store: called on whichever thread finds damage in what it reads, or falls over it, from
     * event_store_open on (which itself returns what it finds). Does not return: nothing of such a store may
     * be served or spread. NULL: the readers' ERR_DATA says it. One such store in a process. */
    void (*on_damage)(void *owner, const char *what);
    void *damage_owner;
    bool is_unchecked; /* the last event may be damaged: for event_store_verify, which tells more */
};

/* 0; ERR_IO; ERR_FULL; ERR_TOO_LARGE for a newer format; ERR_DATA for what is no event store, or damage
 * that shows at once: a file shorter than it says, a last event that is not the one the marks speak of. */
int event_store_open(struct event_store **out, const struct event_store_options *options,
                     struct errmsg *errmsg);
/* All readers closed before. */
void event_store_close(struct event_store *store);

/* As of the last commit. Store thread, or before the threads start. */
void event_store_meta(struct event_store *store, struct event_meta *meta);

/* Binds an unbound store to a cluster; ERR_DATA if it belongs to another one. Durable on return. */
int event_store_bind(struct event_store *store, const uint8_t cluster[16], struct errmsg *errmsg);

struct event_append {
    struct shared *const *events; /* encoded, numbers last + 1, last + 2, ... */
    size_t events_count;          /* may be 0: then only the marks move */
    uint64_t index;               /* last raft entry that they come from: never splits one */
    uint64_t raft_durable;
};

/* Store thread. Durable when it returns 0. ERR_IO: the disk failed, the process must end; ERR_FULL:
 * no space or the map is full; ERR_DATA: the events do not continue the history: a gap in the numbers
 * or in a room's seq, a digest that does not follow from the last one, a time that goes back. Nothing
 * of it was written then. Events whose number is in already are passed over, but must be the same
 * (digest), else ERR_DATA. Marks never go back. */
int event_store_append(struct event_store *store, const struct event_append *append,
                       struct errmsg *errmsg);

/* A new history's owner: another cluster, whose raft log begins anew (restore, import, recover). Binds the
 * store to it, sets the raft marks to 0. Durable on return. No other thread uses the store. */
int event_store_rebind(struct event_store *store, const uint8_t cluster[16], struct errmsg *errmsg);

struct event_store_damage {
    uint64_t number; /* the first event that it is about; 0 = of no single one */
    bool is_derived; /* only in what event_store_rebuild makes again */
};

typedef void (*event_store_progress_fn)(void *owner, uint64_t number, uint64_t of);

/* Makes streams, commands and rooms again from the events, which are checked before. ERR_DATA with the
 * first bad number, then the old tables stay. At start when EVENT_STORE_DERIVED is not what is there,
 * and by `livetea verify --rebuild`; no other thread uses the store. `on_progress` may be NULL. */
int event_store_rebuild(struct event_store *store, event_store_progress_fn on_progress, void *owner,
                        struct event_store_damage *damage, struct errmsg *errmsg);
/* Also when they were being made again and the process ended. */
bool event_store_must_rebuild(const struct event_store *store);

/* Reads everything: each event's checksum, the chain of numbers, seqs, times and digests, the three
 * derived tables against the events and back, the marks. 0; ERR_DATA with the first bad thing; ERR_IO.
 * Memory does not grow with history, only with rooms. */
int event_store_verify(struct event_store *store, event_store_progress_fn on_progress, void *owner,
                       struct event_store_damage *damage, struct errmsg *errmsg);

/* Bytes of the file on disk. */
uint64_t event_store_disk_bytes(struct event_store *store);

/* ---- reading, any thread, one reader for each ---- */

/* ERR_BUSY when STORE_READERS_MAX are open. */
int event_reader_open(struct event_reader **out, struct event_store *store, struct errmsg *errmsg);
void event_reader_close(struct event_reader *reader);

/* A picture of the store as of now, good until event_reader_end. 0 or ERR_IO. */
int event_reader_begin(struct event_reader *reader, struct event_meta *meta);
void event_reader_end(struct event_reader *reader);

/* The rest between begin and end. What they give stands on the map until end: copy what is kept
 * (shared_copy). Bad bytes found on the way are ERR_DATA, never given out. */

/* One event. ERR_NOT_FOUND. `bytes` (may be NULL) gets its encoded form. */
int event_reader_get(struct event_reader *reader, uint64_t number, struct message_sent *event,
                     struct slice *bytes);

/* Number of the event of this command id, or ERR_NOT_FOUND. */
int event_reader_command(struct event_reader *reader, const struct command_id *id,
                         uint64_t *number);

typedef bool (*event_fn)(void *owner, const struct message_sent *event, struct slice bytes);

/* Calls for up to `limit` events from `number` on, upwards, until on_event returns false. */
int event_reader_from(struct event_reader *reader, uint64_t number, size_t limit, event_fn on_event,
                      void *owner);

/* Up to `limit` events of a room with seq < before_seq (0: from the newest), newest first. */
int event_reader_room_before(struct event_reader *reader, struct slice room, uint64_t before_seq,
                             size_t limit, event_fn on_event, void *owner);

/* Up to `limit` events of a room with number > after, oldest first. */
int event_reader_room_after(struct event_reader *reader, struct slice room, uint64_t after,
                            size_t limit, event_fn on_event, void *owner);

typedef bool (*room_fn)(void *owner, const struct chat_room *room);

/* Every room, in no order that means anything; `last` is NULL in them. */
int event_reader_rooms(struct event_reader *reader, room_fn on_room, void *owner);

/* ---- taking up at start ---- */

/* Fills an empty chat from the store: rooms, the ids of the last events, number, index, digest, and
 * the last messages of the LIST_ROOMS_MAX newest rooms. Time does not grow with history. */
int event_store_restore(struct event_store *store, struct chat *chat, struct errmsg *errmsg);
