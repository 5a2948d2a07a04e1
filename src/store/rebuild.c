/* Making the derived tables again. First all events are read: with bad ones the old tables stay. Then the
 * tables are emptied and filled in transactions of REBUILD_EVENTS. From the first to behind the last of
 * these "derived" in meta is 0, so a process that ends between two of them begins again at its next
 * start.
 */
#include <assert.h>

#include "store/event_store_inside.h"
#include "store/rows.h"

enum { REBUILD_EVENTS = 256 * 1024 };

/* ---- which version is there ---- */

static int derived_get(const struct event_store *store, MDB_txn *txn, uint32_t *version)
{
    const char *value = NULL;
    int rv = meta_get(store, txn, "derived", 4, &value);
    if (rv == 0) *version = little_load_u32(value);
    if (rv == ERR_NOT_FOUND) *version = 1;
    return rv == ERR_NOT_FOUND ? 0 : rv;
}

static int derived_put(const struct event_store *store, MDB_txn *txn, uint32_t version)
{
    char value[4];
    little_store(value, version, sizeof value);
    return meta_put(store, txn, "derived", value, sizeof value);
}

bool event_store_must_rebuild(const struct event_store *store)
{
    MDB_txn *txn = NULL;
    uint32_t version = 0;
    if (mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn) != 0) return true;
    int rv = derived_get(store, txn, &version);
    mdb_txn_abort(txn);
    return rv != 0 || version != EVENT_STORE_DERIVED;
}

/* ---- another owner ---- */

int event_store_rebind(struct event_store *store, const uint8_t cluster[16], struct errmsg *errmsg)
{
    MDB_txn *txn = NULL;
    struct event_meta marks = store->marks;
    memcpy(marks.cluster, cluster, sizeof marks.cluster);
    marks.index = 0;
    marks.raft_durable = 0;
    int rv = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (rv != 0) return fail(errmsg, rv, "begin");
    rv = meta_put(store, txn, "cluster", cluster, sizeof marks.cluster);
    if (rv == 0) rv = last_put(store, txn, &marks);
    if (rv != 0) {
        mdb_txn_abort(txn);
        return fail(errmsg, rv, "bind to another cluster");
    }
    rv = mdb_txn_commit(txn);
    if (rv != 0) return fail(errmsg, rv, "commit");
    store->marks = marks;
    return 0;
}

/* ---- rebuilding ---- */

static int empty_tables(struct event_store *store, struct errmsg *errmsg)
{
    MDB_txn *txn = NULL;
    int rv = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (rv != 0) return fail(errmsg, rv, "begin");
    rv = mdb_drop(txn, store->streams, 0);
    if (rv == 0) rv = mdb_drop(txn, store->commands, 0);
    if (rv == 0) rv = mdb_drop(txn, store->rooms, 0);
    if (rv == 0) rv = derived_put(store, txn, 0);
    if (rv != 0) {
        mdb_txn_abort(txn);
        return fail(errmsg, rv, "empty the derived tables");
    }
    rv = mdb_txn_commit(txn);
    return rv == 0 ? 0 : fail(errmsg, rv, "commit");
}

/* Adds up to REBUILD_EVENTS events; *next is the first that is left. */
static int gather(struct event_store *store, MDB_txn *txn, struct rows *rows, uint64_t *next)
{
    MDB_cursor *cursor = NULL;
    size_t number = *next;
    MDB_val key = val_of(&number, sizeof number);
    MDB_val data;
    int rv = mdb_cursor_open(txn, store->events, &cursor);
    if (rv != 0) return rv;
    rv = mdb_cursor_get(cursor, &key, &data, MDB_SET);
    for (size_t i = 0; rv == 0 && i < REBUILD_EVENTS; i++) {
        struct message_sent event;
        struct rows_room *room = NULL;
        bool is_good = event_decode(&event, slice_of_val(&data), NULL) == 0 &&
                       rows_room(rows, store, txn, event.room, &room) == 0;
        if (!is_good) {
            rv = MDB_CORRUPTED;
            break;
        }
        rows_add(rows, room, &event);
        *next = event.number + 1;
        rv = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return rv == MDB_NOTFOUND ? 0 : rv;
}

static int fill(struct event_store *store, MDB_txn *txn, uint64_t *next)
{
    struct rows rows;
    uint64_t twice = 0;
    rows_init(&rows, REBUILD_EVENTS);
    int rv = gather(store, txn, &rows, next);
    if (rv == 0) rv = rows_put(&rows, store, txn, &twice);
    rows_close(&rows);
    return rv;
}

static int fill_next(struct event_store *store, uint64_t *next, struct errmsg *errmsg)
{
    MDB_txn *txn = NULL;
    int rv = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (rv != 0) return fail(errmsg, rv, "begin");
    rv = *next <= store->marks.number ? fill(store, txn, next) : 0;
    if (rv == 0 && *next > store->marks.number) rv = derived_put(store, txn, EVENT_STORE_DERIVED);
    if (rv != 0) {
        mdb_txn_abort(txn);
        return fail(errmsg, rv, "fill the derived tables");
    }
    rv = mdb_txn_commit(txn);
    return rv == 0 ? 0 : fail(errmsg, rv, "commit");
}

static int check_events(struct event_store *store, struct event_store_damage *damage,
                        struct errmsg *errmsg)
{
    static const struct chat_limits no_limits;
    struct chat chat;
    struct event_walk walk = {.store = store, .chat = &chat, .damage = damage};
    int rv = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &walk.txn);
    if (rv != 0) return fail(errmsg, rv, "begin to read");
    chat_init(&chat, &no_limits);
    rv = event_walk(&walk, errmsg);
    chat_close(&chat);
    mdb_txn_abort(walk.txn);
    return rv;
}

int event_store_rebuild(struct event_store *store, event_store_progress_fn on_progress, void *owner,
                        struct event_store_damage *damage, struct errmsg *errmsg)
{
    int rv = check_events(store, damage, errmsg);
    if (rv == 0) rv = empty_tables(store, errmsg);
    uint64_t next = 1;
    do {
        if (rv == 0) rv = fill_next(store, &next, errmsg);
        if (rv == 0 && on_progress != NULL) on_progress(owner, next - 1, store->marks.number);
    } while (rv == 0 && next <= store->marks.number);
    return rv;
}
