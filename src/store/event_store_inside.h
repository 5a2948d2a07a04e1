/* What the event store's files share: its tables, how their rows look, and what LMDB's codes mean.
 *
 * make.c makes the file; event_store.c appends, reads and takes up; verify.c reads everything; rebuild.c makes
 * the derived tables again. Nobody else includes this: to others the store is what event_store.h says.
 */
#pragma once
#include <assert.h>
#include <errno.h>

#include <lmdb.h>

#include "base/checksum.h"
#include "base/little_endian.h"
#include "store/event_store.h"

enum {
    ROOM_VALUE = 48, /* seq 8, last number 8, at_ms 8, sender id 16, run 4, CRC 4 */
    LAST_VALUE = 52, /* number 8, index 8, raft durable 8, at_ms 8, digest 16, CRC 4 */
    STREAM_KEY_MAX = ROOM_MAX + 1 + 8
};

static_assert(sizeof(size_t) == sizeof(uint64_t), "MDB_INTEGERKEY wants a size_t");
static_assert(STREAM_KEY_MAX <= 511, "LMDB's longest key");

struct event_store {
    MDB_env *env;
    MDB_dbi events, streams, commands, rooms, meta;
    struct event_meta marks; /* as of the last commit */
    bool read_only, is_unchecked;
    void (*on_damage)(void *owner, const char *what);
    void *damage_owner;
};

/* LMDB takes its keys and values without const and does not write into them. */
static inline MDB_val val_of(const void *at, size_t size)
{
    union {
        const void *read;
        void *written;
    } pointer = {.read = at};
    return (MDB_val){.mv_data = pointer.written, .mv_size = size};
}

static inline struct slice slice_of_val(const MDB_val *val)
{
    return slice_make(val->mv_data, val->mv_size);
}

static inline size_t stream_key(char out[STREAM_KEY_MAX], struct slice room, uint64_t seq)
{
    assert(room.len <= ROOM_MAX);
    memcpy(out, room.at, room.len);
    out[room.len] = '\0'; /* no name holds one, so no room's keys lie among another's */
    for (size_t i = 0; i < 8; i++)
        out[room.len + 1 + i] = (char)(unsigned char)(seq >> (56 - 8 * i));
    return room.len + 1 + 8;
}

static inline uint64_t stream_key_seq(const MDB_val *key)
{
    const unsigned char *at = (const unsigned char *)key->mv_data + key->mv_size - 8;
    uint64_t seq = 0;
    for (size_t i = 0; i < 8; i++)
        seq = seq << 8 | at[i];
    return seq;
}

static inline int code_of(int rv)
{
    switch (rv) {
    case 0: return 0;
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT: return ERR_FULL;
    case MDB_NOTFOUND: return ERR_NOT_FOUND;
    case MDB_READERS_FULL: return ERR_BUSY;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_BAD_TXN: /* the first that is told of a bad page in the table of tables */
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
    case MDB_BAD_VALSIZE: return ERR_DATA;
    default: return ERR_IO;
    }
}

static inline int fail(struct errmsg *errmsg, int rv, const char *what)
{
    errmsg_set(errmsg, "event store: %s: %s", what, mdb_strerror(rv));
    return code_of(rv);
}

static inline int damaged(struct errmsg *errmsg, const char *what)
{
    errmsg_set(errmsg, "event store is damaged: %s", what);
    return ERR_DATA;
}

/* ---- rows ---- */

static inline int meta_put(const struct event_store *store, MDB_txn *txn, const char *name,
                           const void *value, size_t size)
{
    MDB_val key = val_of(name, strlen(name));
    MDB_val data = val_of(value, size);
    return mdb_put(txn, store->meta, &key, &data, 0);
}

/* Finds a value of meta that must have this size. */
static inline int meta_get(const struct event_store *store, MDB_txn *txn, const char *name,
                           size_t size, const char **value)
{
    MDB_val key = val_of(name, strlen(name));
    MDB_val data;
    int rv = mdb_get(txn, store->meta, &key, &data);
    if (rv != 0) return code_of(rv);
    if (data.mv_size != size || data.mv_data == NULL) return ERR_DATA;
    *value = data.mv_data;
    return 0;
}

static inline int last_put(const struct event_store *store, MDB_txn *txn,
                           const struct event_meta *marks)
{
    char value[LAST_VALUE];
    little_store(value, marks->number, 8);
    little_store(value + 8, marks->index, 8);
    little_store(value + 16, marks->raft_durable, 8);
    little_store(value + 24, (uint64_t)marks->at_ms, 8);
    memcpy(value + 32, marks->digest.bytes, 16);
    little_store(value + 48, crc32c(slice_make(value, 48)), 4);
    return meta_put(store, txn, "last", value, sizeof value);
}

/* The number in a value of `streams` or `commands`. */
static inline int number_of(const MDB_val *data, uint64_t *number)
{
    if (data->mv_size != 8) return ERR_DATA;
    *number = little_load(data->mv_data, 8);
    return 0;
}

static inline uint32_t room_checksum(struct slice name, const char *value)
{
    return crc32c_more(crc32c(name), slice_make(value, ROOM_VALUE - 4));
}

static inline int room_decode(struct chat_room *room, struct slice name, struct slice value)
{
    if (name.len == 0 || name.len > ROOM_MAX || value.len != ROOM_VALUE) return ERR_DATA;
    if (little_load_u32(value.at + ROOM_VALUE - 4) != room_checksum(name, value.at))
        return ERR_DATA;
    *room = (struct chat_room){.name_len = (uint8_t)name.len,
                               .seq = little_load(value.at, 8),
                               .last_number = little_load(value.at + 8, 8),
                               .last_at_ms = (int64_t)little_load(value.at + 16, 8),
                               .run = little_load_u32(value.at + 40)};
    memcpy(room->name, name.at, name.len);
    memcpy(room->last_sender_id.bytes, value.at + 24, 16);
    return 0;
}

/* ---- reading all events, verify.c ---- */

struct event_walk {
    struct event_store *store;
    MDB_txn *txn;
    struct chat *chat; /* empty; takes the events up, and so checks them */
    /* Of each event, in order, when it is well; 0 to go on. May be NULL. */
    int (*on_event)(void *owner, const struct message_sent *event, struct errmsg *errmsg);
    void *owner;
    event_store_progress_fn on_progress; /* may be NULL */
    void *progress_owner;
    struct event_store_damage *damage;
};

/* 0: the events are those that the marks speak of, and all are well. ERR_DATA, with the first bad number in
 * damage; what on_event returned; ERR_IO. */
int event_walk(struct event_walk *walk, struct errmsg *errmsg);

/* make.c: the file, without tables, if there is none; it and its directory are there after a power loss. 0, or
 * a code. */
int event_store_make(const char *dir, struct errmsg *errmsg);
