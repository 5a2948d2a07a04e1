/* How LMDB is used: one write transaction for each append, committed with a sync (no MDB_NOSYNC, no
 * MDB_NOMETASYNC: a durable mark must be one); read transactions that are made once for each reader
 * and renewed, not bound to a thread (MDB_NOTLS). Numbers in values are little-endian. A file that
 * was cut off would give a SIGBUS when a missing page is touched, so its size is compared with what
 * its head says before anything is read.
 *
 * Longer than 500 lines because opening, appending, reading and taking up are one life of the same tables;
 * what is done to a store that nobody else uses is in verify.c and rebuild.c.
 */
#include "store/event_store.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/mem.h"
#include "store/event_store_inside.h"
#include "store/fault.h"
#include "store/rows.h"

enum { TABLES = 5, FULL_BYTES = 4 * 1024 * 1024 /* free on a disk that counts as full */ };

struct event_reader {
    struct event_store *store;
    MDB_txn *txn;
    bool open;       /* between begin and end */
    uint64_t number; /* of the last event then */
};

/* ---- meta ---- */

static int meta_read(const struct event_store *store, MDB_txn *txn, struct event_meta *marks)
{
    const char *value = NULL;
    *marks = (struct event_meta){.format = 0};
    int rv = meta_get(store, txn, "format", 4, &value);
    if (rv != 0) return rv == ERR_NOT_FOUND ? ERR_DATA : rv;
    marks->format = little_load_u32(value);
    rv = meta_get(store, txn, "cluster", sizeof marks->cluster, &value);
    assert(value != NULL);
    if (rv == 0) memcpy(marks->cluster, value, sizeof marks->cluster);
    if (rv != 0 && rv != ERR_NOT_FOUND) return rv;

    rv = meta_get(store, txn, "last", LAST_VALUE, &value);
    if (rv == ERR_NOT_FOUND) return 0; /* nothing was appended yet */
    if (rv != 0) return rv;
    if (little_load_u32(value + 48) != crc32c(slice_make(value, 48))) return ERR_DATA;
    marks->number = little_load(value, 8);
    marks->index = little_load(value + 8, 8);
    marks->raft_durable = little_load(value + 16, 8);
    marks->at_ms = (int64_t)little_load(value + 24, 8);
    memcpy(marks->digest.bytes, value + 32, 16);
    return 0;
}

/* ---- reading one event ---- */

static int event_get(const struct event_store *store, MDB_txn *txn, uint64_t number,
                     struct message_sent *event, struct slice *bytes)
{
    size_t wanted = number;
    MDB_val key = val_of(&wanted, sizeof wanted);
    MDB_val data;
    int rv = mdb_get(txn, store->events, &key, &data);
    if (rv != 0) return code_of(rv);
    if (event_decode(event, slice_of_val(&data), NULL) != 0) return ERR_DATA;
    if (event->number != number) return ERR_DATA;
    if (bytes != NULL) *bytes = slice_of_val(&data);
    return 0;
}

/* An index points at it, so it must be there. */
static int event_behind_index(const struct event_store *store, MDB_txn *txn, const MDB_val *data,
                              struct message_sent *event, struct slice *bytes)
{
    uint64_t number = 0;
    int rv = number_of(data, &number);
    if (rv != 0) return rv;
    rv = event_get(store, txn, number, event, bytes);
    return rv == ERR_NOT_FOUND ? ERR_DATA : rv;
}

/* ---- rooms ---- */

static int room_get(const struct event_store *store, MDB_txn *txn, struct slice name,
                    struct chat_room *room)
{
    if (name.len == 0 || name.len > ROOM_MAX) return ERR_NOT_FOUND;
    MDB_val key = val_of(name.at, name.len);
    MDB_val data;
    int rv = mdb_get(txn, store->rooms, &key, &data);
    if (rv != 0) return code_of(rv);
    return room_decode(room, name, slice_of_val(&data));
}

/* ---- opening ---- */

/* The file's size as its head tells it. */
static uint64_t told_bytes(MDB_env *env)
{
    MDB_envinfo info;
    MDB_stat stat;
    if (mdb_env_info(env, &info) != 0 || mdb_env_stat(env, &stat) != 0) return 0;
    return ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
}

static int check_size(const struct event_store *store, struct errmsg *errmsg)
{
    mdb_filehandle_t fd;
    struct stat found;
    int rv = mdb_env_get_fd(store->env, &fd);
    if (rv != 0) return fail(errmsg, rv, "open");
    if (fstat(fd, &found) != 0) return fail(errmsg, errno, "size of the file");
    if ((uint64_t)found.st_size >= told_bytes(store->env)) return 0;
    return damaged(errmsg, "the file is shorter than it was");
}

static int open_tables(struct event_store *store, MDB_txn *txn, unsigned flags)
{
    const struct {
        const char *name;
        MDB_dbi *table;
        unsigned flags;
    } tables[TABLES] = {{"meta", &store->meta, 0},
                        {"events", &store->events, MDB_INTEGERKEY},
                        {"streams", &store->streams, 0},
                        {"commands", &store->commands, 0},
                        {"rooms", &store->rooms, 0}};
    for (size_t i = 0; i < TABLES; i++) {
        int rv = mdb_dbi_open(txn, tables[i].name, tables[i].flags | flags, tables[i].table);
        if (rv != 0) return rv;
    }
    return 0;
}

static int is_fresh(MDB_txn *txn, bool *fresh)
{
    MDB_dbi names;
    MDB_stat stat;
    int rv = mdb_dbi_open(txn, NULL, 0, &names);
    if (rv == 0) rv = mdb_stat(txn, names, &stat);
    if (rv == 0) *fresh = stat.ms_entries == 0;
    return rv;
}

/* Tables are made in the first transaction with the format, all or nothing. */
static int make_tables(struct event_store *store, MDB_txn *txn)
{
    int rv = open_tables(store, txn, MDB_CREATE);
    if (rv != 0) return rv;
    char format[4];
    little_store(format, EVENT_STORE_FORMAT, 4);
    return meta_put(store, txn, "format", format, sizeof format);
}

/* The marks and the last event must tell the same story. */
static int check_last(const struct event_store *store, MDB_txn *txn, struct errmsg *errmsg)
{
    MDB_stat stat;
    int rv = mdb_stat(txn, store->events, &stat);
    if (rv != 0) return fail(errmsg, rv, "events");
    if (stat.ms_entries != store->marks.number)
        return damaged(errmsg, "the number of events is not the one in the marks");
    if (store->marks.number == 0) return 0;

    struct message_sent last;
    rv = event_get(store, txn, store->marks.number, &last, NULL);
    if (rv != 0) return damaged(errmsg, "the last event cannot be read");
    if (memcmp(&last.digest, &store->marks.digest, sizeof last.digest) != 0)
        return damaged(errmsg, "the last event has another digest than the marks");
    return 0;
}

static int read_tables(struct event_store *store, MDB_txn *txn, struct errmsg *errmsg)
{
    int rv = mdb_dbi_open(txn, "meta", 0, &store->meta);
    if (rv == MDB_NOTFOUND || rv == MDB_INCOMPATIBLE) {
        errmsg_set(errmsg, "event store: the files are not Live Tea's");
        return ERR_DATA;
    }
    if (rv != 0) return fail(errmsg, rv, "open the marks");
    const char *format = NULL;
    rv = meta_get(store, txn, "format", 4, &format);
    if (rv != 0) {
        errmsg_set(errmsg, "event store: the files are not Live Tea's");
        return ERR_DATA;
    }
    if (little_load_u32(format) > EVENT_STORE_FORMAT) {
        errmsg_set(errmsg,
                   "event store has format %" PRIu32
                   ", made by a newer Live Tea; this one reads up to %d",
                   little_load_u32(format), (int)EVENT_STORE_FORMAT);
        return ERR_TOO_LARGE;
    }

    rv = open_tables(store, txn, 0);
    if (rv == MDB_NOTFOUND) return damaged(errmsg, "a table is missing");
    if (rv != 0) return fail(errmsg, rv, "open a table");
    rv = meta_read(store, txn, &store->marks);
    if (rv != 0) return damaged(errmsg, "the marks cannot be read");
    return store->is_unchecked ? 0 : check_last(store, txn, errmsg);
}

static int open_or_make(struct event_store *store, struct errmsg *errmsg)
{
    MDB_txn *txn = NULL;
    bool fresh = false;
    int rv = mdb_txn_begin(store->env, NULL, store->read_only ? MDB_RDONLY : 0, &txn);
    if (rv != 0) return fail(errmsg, rv, "begin");
    rv = is_fresh(txn, &fresh);
    if (rv == 0 && fresh && !store->read_only) rv = make_tables(store, txn);
    if (rv != 0) {
        mdb_txn_abort(txn);
        return fail(errmsg, rv, "first look");
    }
    rv = read_tables(store, txn, errmsg);
    if (rv != 0) {
        mdb_txn_abort(txn);
        return rv;
    }
    rv = mdb_txn_commit(txn); /* keeps the handles of the tables, also when it only read */
    return rv == 0 ? 0 : fail(errmsg, rv, "commit");
}

static int open_env(struct event_store *store, const struct event_store_options *options)
{
    int rv = mdb_env_create(&store->env);
    if (rv != 0) return rv;
    rv = mdb_env_set_maxdbs(store->env, TABLES);
    if (rv != 0) return rv;
    rv = mdb_env_set_maxreaders(store->env, STORE_READERS_MAX);
    if (rv != 0) return rv;
    uint64_t map_bytes = options->map_bytes == 0 ? STORE_MAP_DEFAULT : options->map_bytes;
    rv = mdb_env_set_mapsize(store->env, map_bytes);
    if (rv != 0) return rv;
    return mdb_env_open(store->env, options->dir, MDB_NOTLS | (store->read_only ? MDB_RDONLY : 0),
                        0600);
}

int event_store_open(struct event_store **out, const struct event_store_options *options,
                     struct errmsg *errmsg)
{
    *out = NULL;
    if (!options->read_only && mkdir(options->dir, 0700) != 0 && errno != EEXIST) {
        errmsg_set(errmsg, "event store: make the directory %s: %s", options->dir, strerror(errno));
        return ERR_IO;
    }

    int rv = options->read_only ? 0 : event_store_make(options->dir, errmsg);
    if (rv != 0) return rv;
    struct event_store *store = mem_new(sizeof *store);
    store->read_only = options->read_only;
    store->is_unchecked = options->is_unchecked;
    rv = open_env(store, options);
    if (rv == 0 && options->on_damage != NULL)
        fault_watch(store->env, options->on_damage, options->damage_owner);
    if (rv != 0) {
        errmsg_set(errmsg, "event store %s: %s", options->dir, mdb_strerror(rv));
        rv = code_of(rv);
        goto fail;
    }
    int dead = 0;
    mdb_reader_check(store->env,
                     &dead); /* of a process that was killed: they would pin old pages */

    rv = check_size(store, errmsg);
    if (rv != 0) goto fail;
    rv = open_or_make(store, errmsg);
    if (rv != 0) goto fail;
    store->on_damage = options->on_damage;
    store->damage_owner = options->damage_owner;
    *out = store;
    return 0;

fail:
    if (options->on_damage != NULL) fault_forget();
    if (store->env != NULL) mdb_env_close(store->env);
    mem_free(store);
    return rv;
}

void event_store_close(struct event_store *store)
{
    if (store == NULL) return;
    if (store->on_damage != NULL) fault_forget();
    mdb_env_close(store->env);
    mem_free(store);
}

void event_store_meta(struct event_store *store, struct event_meta *meta)
{
    *meta = store->marks;
}

uint64_t event_store_disk_bytes(struct event_store *store)
{
    return told_bytes(store->env);
}

int event_store_bind(struct event_store *store, const uint8_t cluster[16], struct errmsg *errmsg)
{
    static const uint8_t unbound[16];
    if (memcmp(store->marks.cluster, cluster, 16) == 0) return 0;
    if (memcmp(store->marks.cluster, unbound, 16) != 0) {
        errmsg_set(errmsg, "event store belongs to another cluster");
        return ERR_DATA;
    }

    MDB_txn *txn = NULL;
    int rv = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (rv != 0) return fail(errmsg, rv, "begin");
    rv = meta_put(store, txn, "cluster", cluster, 16);
    if (rv != 0) {
        mdb_txn_abort(txn);
        return fail(errmsg, rv, "write the cluster's id");
    }
    rv = mdb_txn_commit(txn);
    if (rv != 0) return fail(errmsg, rv, "commit");
    memcpy(store->marks.cluster, cluster, 16);
    return 0;
}

/* ---- appending ---- */

/* Replayed: the store has this number. It must be the same event, or two histories have met. */
static int check_known(const struct event_store *store, MDB_txn *txn,
                       const struct message_sent *event, struct errmsg *errmsg)
{
    struct message_sent known;
    int rv = event_get(store, txn, event->number, &known, NULL);
    if (rv != 0) return damaged(errmsg, "an event cannot be read");
    if (memcmp(&known.digest, &event->digest, sizeof known.digest) == 0) return 0;
    errmsg_set(errmsg, "event %" PRIu64 " differs from the one that is stored", event->number);
    return ERR_DATA;
}

static int check_next(const struct event_meta *marks, const struct rows_room *room,
                      const struct message_sent *event, struct errmsg *errmsg)
{
    struct digest expected;
    const char *wrong = NULL;
    event_digest(&expected, &marks->digest, event);
    if (event->number != marks->number + 1)
        wrong = "its number leaves a gap";
    else if (event->seq != room->seq + 1)
        wrong = "its seq leaves a gap in its room";
    else if (event->at_ms < marks->at_ms)
        wrong = "its time is before the last event's";
    else if (memcmp(&expected, &event->digest, sizeof expected) != 0)
        wrong = "its digest does not follow from the last one";
    if (wrong == NULL) return 0;
    errmsg_set(errmsg, "event %" PRIu64 " does not continue the history: %s", event->number, wrong);
    return ERR_DATA;
}

struct appending { /* one transaction */
    struct event_store *store;
    MDB_txn *txn;
    MDB_cursor *events;
    struct rows rows;
    struct event_meta marks; /* as they will be */
};

static int append_one(struct appending *appending, struct slice bytes, struct errmsg *errmsg)
{
    const struct event_store *store = appending->store;
    struct event_meta *marks = &appending->marks;
    struct message_sent event;
    if (event_decode(&event, bytes, errmsg) != 0) return ERR_DATA;
    if (event.number <= marks->number) return check_known(store, appending->txn, &event, errmsg);

    struct rows_room *room = NULL;
    int rv = rows_room(&appending->rows, store, appending->txn, event.room, &room);
    if (rv != 0) return damaged(errmsg, "a room cannot be read");
    rv = check_next(marks, room, &event, errmsg);
    if (rv != 0) return rv;

    size_t number = event.number;
    MDB_val key = val_of(&number, sizeof number);
    MDB_val data = val_of(bytes.at, bytes.len);
    rv = mdb_cursor_put(appending->events, &key, &data, MDB_APPEND);
    if (rv != 0) return fail(errmsg, rv, "append");
    rows_add(&appending->rows, room, &event);
    marks->number = event.number;
    marks->at_ms = event.at_ms;
    marks->digest = event.digest;
    return 0;
}

static int append_all(struct appending *appending, const struct event_append *append,
                      struct errmsg *errmsg)
{
    uint64_t twice = 0;
    int rv = mdb_cursor_open(appending->txn, appending->store->events, &appending->events);
    if (rv != 0) return fail(errmsg, rv, "begin");
    for (size_t i = 0; rv == 0 && i < append->events_count; i++)
        rv = append_one(appending, shared_slice(append->events[i]), errmsg);
    mdb_cursor_close(appending->events);
    if (rv != 0) return rv;

    rv = rows_put(&appending->rows, appending->store, appending->txn, &twice);
    if (rv == MDB_KEYEXIST) {
        errmsg_set(errmsg, "event %" PRIu64 " has the command id of an earlier one", twice);
        return ERR_DATA;
    }
    return rv == 0 ? 0 : fail(errmsg, rv, "append to the tables");
}

/* LMDB calls it an input/output error when the file system took a part of what it wrote: so a full disk
 * is looked for. To try again is safe here, since a transaction that failed is made anew as a whole and
 * written to pages that nobody uses yet. */
static int commit_code(const struct event_store *store, int rv)
{
    mdb_filehandle_t fd;
    struct statvfs disk;
    if (rv != EIO || mdb_env_get_fd(store->env, &fd) != 0 || fstatvfs(fd, &disk) != 0) return rv;
    return (uint64_t)disk.f_bavail * disk.f_frsize < FULL_BYTES ? ENOSPC : rv;
}

static bool marks_moved(const struct event_meta *from, const struct event_meta *to)
{
    return from->number != to->number || from->index != to->index ||
           from->raft_durable != to->raft_durable;
}

/* Ends the transaction, one way or the other. */
static int append_in(struct appending *appending, const struct event_append *append,
                     struct errmsg *errmsg)
{
    struct event_store *store = appending->store;
    struct event_meta *marks = &appending->marks;
    int rv = append->events_count > 0 ? append_all(appending, append, errmsg) : 0;
    if (rv != 0) goto fail;
    if (append->index > marks->index) marks->index = append->index;
    if (append->raft_durable > marks->raft_durable) marks->raft_durable = append->raft_durable;
    if (!marks_moved(&store->marks, marks)) goto fail; /* a replay: everything is there */

    rv = last_put(store, appending->txn, marks);
    if (rv != 0) {
        rv = fail(errmsg, rv, "write the marks");
        goto fail;
    }
    rv = mdb_txn_commit(appending->txn);
    if (rv != 0) return fail(errmsg, commit_code(store, rv), "commit");
    store->marks = *marks;
    return 0;

fail:
    mdb_txn_abort(appending->txn);
    return rv;
}

int event_store_append(struct event_store *store, const struct event_append *append,
                       struct errmsg *errmsg)
{
    struct appending appending = {.store = store, .marks = store->marks};
    int rv = mdb_txn_begin(store->env, NULL, 0, &appending.txn);
    if (rv != 0) return fail(errmsg, rv, "begin");
    rows_init(&appending.rows, append->events_count);
    rv = append_in(&appending, append, errmsg);
    rows_close(&appending.rows);
    if (rv == ERR_DATA && store->on_damage != NULL && errmsg != NULL)
        store->on_damage(store->damage_owner, errmsg->text);
    return rv;
}

/* ---- reading ---- */

int event_reader_open(struct event_reader **out, struct event_store *store, struct errmsg *errmsg)
{
    *out = NULL;
    MDB_txn *txn = NULL;
    int rv = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (rv != 0) return fail(errmsg, rv, "begin to read");
    mdb_txn_reset(txn);
    struct event_reader *reader = mem_new(sizeof *reader);
    *reader = (struct event_reader){.store = store, .txn = txn};
    *out = reader;
    return 0;
}

void event_reader_close(struct event_reader *reader)
{
    if (reader == NULL) return;
    mdb_txn_abort(reader->txn);
    mem_free(reader);
}

static int begin(struct event_reader *reader, struct event_meta *meta)
{
    assert(!reader->open);
    int rv = mdb_txn_renew(reader->txn);
    if (rv != 0) return code_of(rv);
    struct event_meta marks;
    rv = meta_read(reader->store, reader->txn, &marks);
    if (rv != 0) {
        mdb_txn_reset(reader->txn);
        return rv;
    }
    if (meta != NULL) *meta = marks;
    reader->number = marks.number;
    reader->open = true;
    return 0;
}

void event_reader_end(struct event_reader *reader)
{
    if (!reader->open) return;
    mdb_txn_reset(reader->txn);
    reader->open = false;
}

static int get(struct event_reader *reader, uint64_t number, struct message_sent *event,
               struct slice *bytes)
{
    assert(reader->open);
    int rv = event_get(reader->store, reader->txn, number, event, bytes);
    bool is_hole = rv == ERR_NOT_FOUND && number > 0 && number <= reader->number;
    return is_hole ? ERR_DATA : rv;
}

static int find_command(struct event_reader *reader, const struct command_id *id, uint64_t *number)
{
    assert(reader->open);
    MDB_val key = val_of(id->bytes, sizeof id->bytes);
    MDB_val data;
    int rv = mdb_get(reader->txn, reader->store->commands, &key, &data);
    if (rv != 0) return code_of(rv);
    struct message_sent event = {.number = 0};
    rv = event_behind_index(reader->store, reader->txn, &data, &event, NULL);
    if (rv != 0) return rv;
    if (!command_id_equal(&event.id, id)) return ERR_DATA;
    *number = event.number;
    return 0;
}

static int read_from(struct event_reader *reader, uint64_t number, size_t limit, event_fn on_event,
                     void *owner)
{
    assert(reader->open);
    if (number == 0) number = 1;
    MDB_cursor *cursor = NULL;
    int rv = mdb_cursor_open(reader->txn, reader->store->events, &cursor);
    if (rv != 0) return code_of(rv);

    size_t wanted = number;
    MDB_val key = val_of(&wanted, sizeof wanted);
    MDB_val data;
    rv = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    for (; rv == 0 && limit > 0; limit--, number++) {
        struct message_sent event;
        if (event_decode(&event, slice_of_val(&data), NULL) != 0 || event.number != number) {
            mdb_cursor_close(cursor);
            return ERR_DATA;
        }
        if (!on_event(owner, &event, slice_of_val(&data))) break;
        if (limit > 1) rv = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    if (rv == MDB_NOTFOUND && number <= reader->number) return ERR_DATA; /* they are dense */
    return rv == MDB_NOTFOUND ? 0 : code_of(rv);
}

/* Is this key of `streams` one of the room? */
static bool is_of_room(const MDB_val *key, struct slice room)
{
    return key->mv_size == room.len + 1 + 8 && slice_starts(slice_of_val(key), room) &&
           ((const char *)key->mv_data)[room.len] == '\0';
}

/* Reads the event behind a place in `streams` and compares it with its key. */
static int stream_event(struct event_reader *reader, const MDB_val *key, const MDB_val *data,
                        struct slice room, struct message_sent *event, struct slice *bytes)
{
    int rv = event_behind_index(reader->store, reader->txn, data, event, bytes);
    if (rv != 0) return rv;
    bool same = slice_equal(event->room, room) && event->seq == stream_key_seq(key);
    return same ? 0 : ERR_DATA;
}

/* Walks from where the cursor stands, in one direction, while the keys are the room's. */
/* NOLINTNEXTLINE(readability-function-size): a walk has a place, a way, a room and a listener */
static int walk(struct event_reader *reader, MDB_cursor *cursor, MDB_cursor_op direction,
                struct slice room, size_t limit, event_fn on_event, void *owner)
{
    MDB_val key;
    MDB_val data;
    int rv = limit == 0 ? MDB_NOTFOUND : mdb_cursor_get(cursor, &key, &data, MDB_GET_CURRENT);
    while (rv == 0 && is_of_room(&key, room)) {
        struct message_sent event = {.number = 0};
        struct slice bytes = {NULL, 0};
        int code = stream_event(reader, &key, &data, room, &event, &bytes);
        if (code != 0) return code;
        if (!on_event(owner, &event, bytes) || --limit == 0) return 0;
        rv = mdb_cursor_get(cursor, &key, &data, direction);
    }
    return rv == MDB_NOTFOUND ? 0 : code_of(rv);
}

static int read_room_before(struct event_reader *reader, struct slice room, uint64_t before_seq,
                            size_t limit, event_fn on_event, void *owner)
{
    assert(reader->open);
    if (room.len == 0 || room.len > ROOM_MAX) return 0;
    MDB_cursor *cursor = NULL;
    int rv = mdb_cursor_open(reader->txn, reader->store->streams, &cursor);
    if (rv != 0) return code_of(rv);

    /* The first key that is not wanted, or the end; the one before it is the newest wanted. */
    char at[STREAM_KEY_MAX];
    MDB_val key = val_of(at, stream_key(at, room, before_seq == 0 ? UINT64_MAX : before_seq));
    MDB_val data;
    rv = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    rv = mdb_cursor_get(cursor, &key, &data, rv == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
    int code = rv == MDB_NOTFOUND ? 0 : code_of(rv);
    if (rv == 0) code = walk(reader, cursor, MDB_PREV, room, limit, on_event, owner);
    mdb_cursor_close(cursor);
    return code;
}

/* The number behind a seq of a room. */
static int stream_number(struct event_reader *reader, struct slice room, uint64_t seq,
                         uint64_t *number)
{
    char at[STREAM_KEY_MAX];
    MDB_val key = val_of(at, stream_key(at, room, seq));
    MDB_val data;
    int rv = mdb_get(reader->txn, reader->store->streams, &key, &data);
    if (rv == MDB_NOTFOUND) return ERR_DATA; /* seqs are dense */
    if (rv != 0) return code_of(rv);
    return number_of(&data, number);
}

/* The first seq of the room whose number is above `after`; one behind the last if there is none.
 * Numbers rise with seqs, so it is halving. */
static int first_seq_after(struct event_reader *reader, struct slice room, uint64_t after,
                           uint64_t last_seq, uint64_t *seq)
{
    uint64_t low = 1;
    uint64_t high = last_seq + 1;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        uint64_t number = 0;
        int rv = stream_number(reader, room, middle, &number);
        if (rv != 0) return rv;
        if (number > after)
            high = middle;
        else
            low = middle + 1;
    }
    *seq = low;
    return 0;
}

static int read_room_after(struct event_reader *reader, struct slice room, uint64_t after,
                           size_t limit, event_fn on_event, void *owner)
{
    assert(reader->open);
    struct chat_room found = {.last_number = 0};
    int rv = room_get(reader->store, reader->txn, room, &found);
    if (rv != 0) return rv == ERR_NOT_FOUND ? 0 : rv;
    if (found.last_number <= after) return 0;
    uint64_t seq = 1;
    rv = first_seq_after(reader, room, after, found.seq, &seq);
    if (rv != 0) return rv;

    MDB_cursor *cursor = NULL;
    rv = mdb_cursor_open(reader->txn, reader->store->streams, &cursor);
    if (rv != 0) return code_of(rv);
    char at[STREAM_KEY_MAX];
    MDB_val key = val_of(at, stream_key(at, room, seq));
    MDB_val data;
    rv = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    int code = rv == MDB_NOTFOUND ? 0 : code_of(rv);
    if (rv == 0) code = walk(reader, cursor, MDB_NEXT, room, limit, on_event, owner);
    mdb_cursor_close(cursor);
    return code;
}

static int read_rooms(struct event_reader *reader, room_fn on_room, void *owner)
{
    assert(reader->open);
    MDB_cursor *cursor = NULL;
    int rv = mdb_cursor_open(reader->txn, reader->store->rooms, &cursor);
    if (rv != 0) return code_of(rv);
    MDB_val key;
    MDB_val data;
    int code = 0;
    rv = mdb_cursor_get(cursor, &key, &data, MDB_FIRST);
    while (rv == 0) {
        struct chat_room room;
        code = room_decode(&room, slice_of_val(&key), slice_of_val(&data));
        if (code != 0 || !on_room(owner, &room)) break;
        rv = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    if (code != 0) return code;
    return rv == MDB_NOTFOUND ? 0 : code_of(rv);
}

/* ---- what readers are told, and whom else ---- */

/* Of damage the store's owner hears before whoever has asked: it must not go on. */
static int told(const struct event_reader *reader, int rv, const char *what)
{
    const struct event_store *store = reader->store;
    if (rv == ERR_DATA && store->on_damage != NULL) store->on_damage(store->damage_owner, what);
    return rv;
}

int event_reader_begin(struct event_reader *reader, struct event_meta *meta)
{
    return told(reader, begin(reader, meta), "its marks cannot be read");
}

int event_reader_get(struct event_reader *reader, uint64_t number, struct message_sent *event,
                     struct slice *bytes)
{
    char what[64];
    snprintf(what, sizeof what, "event %" PRIu64 " cannot be read", number);
    return told(reader, get(reader, number, event, bytes), what);
}

int event_reader_command(struct event_reader *reader, const struct command_id *id, uint64_t *number)
{
    return told(reader, find_command(reader, id, number),
                "a command's event cannot be read, or is another one's");
}

int event_reader_from(struct event_reader *reader, uint64_t number, size_t limit, event_fn on_event,
                      void *owner)
{
    char what[64];
    snprintf(what, sizeof what, "an event behind %" PRIu64 " cannot be read", number);
    return told(reader, read_from(reader, number, limit, on_event, owner), what);
}

int event_reader_room_before(struct event_reader *reader, struct slice room, uint64_t before_seq,
                             size_t limit, event_fn on_event, void *owner)
{
    return told(reader, read_room_before(reader, room, before_seq, limit, on_event, owner),
                "the events of a room cannot be read");
}

int event_reader_room_after(struct event_reader *reader, struct slice room, uint64_t after,
                            size_t limit, event_fn on_event, void *owner)
{
    return told(reader, read_room_after(reader, room, after, limit, on_event, owner),
                "the events of a room cannot be read");
}

int event_reader_rooms(struct event_reader *reader, room_fn on_room, void *owner)
{
    return told(reader, read_rooms(reader, on_room, owner), "its rooms cannot be read");
}

/* ---- taking up ---- */

struct room_list {
    struct chat_room *rooms;
    size_t count, size;
};

static bool keep_room(void *owner, const struct chat_room *room)
{
    struct room_list *list = owner;
    if (list->count == list->size) {
        list->size = list->size == 0 ? 64 : 2 * list->size;
        list->rooms = mem_grow(list->rooms, list->size * sizeof *list->rooms);
    }
    list->rooms[list->count++] = *room;
    return true;
}

static int by_last_number(const void *left, const void *right)
{
    const struct chat_room *a = left;
    const struct chat_room *b = right;
    return (a->last_number > b->last_number) - (a->last_number < b->last_number);
}

static int restore_rooms(struct event_reader *reader, struct chat *chat, uint64_t number)
{
    struct room_list list = {.rooms = NULL};
    int rv = event_reader_rooms(reader, keep_room, &list);
    if (list.count > 0) qsort(list.rooms, list.count, sizeof *list.rooms, by_last_number);
    uint64_t before = 0;
    for (size_t i = 0; rv == 0 && i < list.count; i++) {
        const struct chat_room *room = &list.rooms[i];
        if (room->last_number <= before || room->last_number > number) {
            rv = ERR_DATA;
            break;
        }
        before = room->last_number;
        chat_restore_room(chat, room);
    }
    mem_free(list.rooms);
    return rv == 0 && before != number ? ERR_DATA : rv; /* the last event is some room's last */
}

static int restore_last_messages(struct event_reader *reader, struct chat *chat)
{
    size_t count = 0;
    struct chat_room *room = chat->newest;
    for (; room != NULL && count < LIST_ROOMS_MAX; room = room->older, count++) {
        struct message_sent event = {.number = 0};
        struct slice bytes = {NULL, 0};
        int rv = event_reader_get(reader, room->last_number, &event, &bytes);
        if (rv != 0) return rv == ERR_NOT_FOUND ? ERR_DATA : rv;
        if (!slice_equal(event.room, chat_room_name(room)) || event.seq != room->seq)
            return ERR_DATA;
        struct shared *copy = shared_copy(bytes);
        chat_remember(chat, &event, copy);
        shared_unref(copy);
    }
    return 0;
}

static bool restore_event(void *owner, const struct message_sent *event, struct slice bytes)
{
    (void)bytes;
    chat_restore_event(owner, event);
    return true;
}

static int restore_window(struct event_reader *reader, struct chat *chat, uint64_t number)
{
    size_t events_max = chat->window.events_max;
    uint64_t first = number > events_max ? number - events_max + 1 : 1;
    int rv = event_reader_from(reader, first, events_max, restore_event, chat);
    if (rv == 0 && number > 0 && chat->window.last != number) rv = ERR_DATA;
    return rv;
}

int event_store_restore(struct event_store *store, struct chat *chat, struct errmsg *errmsg)
{
    assert(chat->number == 0 && chat->rooms == NULL);
    struct event_reader *reader = NULL;
    struct event_meta marks;
    int rv = event_reader_open(&reader, store, errmsg);
    if (rv != 0) return rv;

    rv = event_reader_begin(reader, &marks);
    if (rv == 0) rv = restore_rooms(reader, chat, marks.number);
    if (rv == 0) rv = restore_window(reader, chat, marks.number);
    if (rv == 0) rv = restore_last_messages(reader, chat);
    if (rv == 0) chat_restore(chat, marks.number, marks.index, marks.at_ms, &marks.digest);
    event_reader_end(reader);
    event_reader_close(reader);
    if (rv != 0) errmsg_set(errmsg, "event store: taking up: %s", err_words(rv));
    return rv;
}
