/* The events are read in order and taken up by a chat, as another node would: that checks numbers, seqs,
 * times, places under a head and the chain of digests. Each is looked for in the derived tables on the
 * way; keys differ between events, so when every event has found its row and a table has no more rows
 * than there are events, both are the same set.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "store/event_store_inside.h"

enum { PROGRESS_EVERY = 8192 };

/* ---- the events ---- */

static int bad_event(struct event_store_damage *damage, uint64_t number, struct errmsg *errmsg,
                     const char *why)
{
    *damage = (struct event_store_damage){.number = number};
    errmsg_set(errmsg, "event %" PRIu64 ": %s", number, why);
    return ERR_DATA;
}

static int check_event(struct event_walk *walk, const MDB_val *key, const MDB_val *data,
                       struct errmsg *errmsg)
{
    uint64_t number = walk->chat->number + 1;
    struct message_sent event;
    struct errmsg why;
    size_t found;
    if (key->mv_size != sizeof found)
        return bad_event(walk->damage, number, errmsg, "its key is none");
    memcpy(&found, key->mv_data, sizeof found);
    if (found != number) return bad_event(walk->damage, number, errmsg, "it is missing");
    if (event_decode(&event, slice_of_val(data), &why) != 0 ||
        chat_take(walk->chat, &event, &why) != 0)
        return bad_event(walk->damage, number, errmsg, why.text);
    return walk->on_event == NULL ? 0 : walk->on_event(walk->owner, &event, errmsg);
}

static int check_marks(const struct event_walk *walk, struct errmsg *errmsg)
{
    const struct event_meta *marks = &walk->store->marks;
    const struct chat *chat = walk->chat;
    const char *wrong = NULL;
    if (chat->number < marks->number)
        return bad_event(walk->damage, chat->number + 1, errmsg, "it is missing");
    if (chat->number > marks->number)
        return bad_event(walk->damage, marks->number + 1, errmsg, "the marks do not know it");
    if (memcmp(&chat->digest, &marks->digest, sizeof chat->digest) != 0)
        wrong = "the marks give another digest";
    else if (chat->at_ms != marks->at_ms)
        wrong = "the marks give another time";
    return wrong == NULL ? 0 : bad_event(walk->damage, chat->number, errmsg, wrong);
}

int event_walk(struct event_walk *walk, struct errmsg *errmsg)
{
    MDB_cursor *cursor = NULL;
    MDB_val key;
    MDB_val data;
    *walk->damage = (struct event_store_damage){.number = 0};
    int rv = mdb_cursor_open(walk->txn, walk->store->events, &cursor);
    if (rv != 0) return fail(errmsg, rv, "events");
    int code = 0;
    rv = mdb_cursor_get(cursor, &key, &data, MDB_FIRST);
    while (rv == 0 && code == 0) {
        code = check_event(walk, &key, &data, errmsg);
        uint64_t number = walk->chat->number;
        if (walk->on_progress != NULL && number % PROGRESS_EVERY == 0)
            walk->on_progress(walk->progress_owner, number, walk->store->marks.number);
        if (code == 0) rv = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    if (code != 0) return code;
    if (rv != MDB_NOTFOUND) {
        walk->damage->number = walk->chat->number + 1;
        return fail(errmsg, rv, "events");
    }
    return check_marks(walk, errmsg);
}

/* ---- the derived tables ---- */

struct verify {
    struct event_walk walk;
    struct event_store_damage *damage;
    struct errmsg *errmsg;
    MDB_dbi table; /* that is being looked at */
    const char *name;
    uint64_t rows;
};

__attribute__((format(printf, 3, 4))) static int bad_row(struct verify *verify, uint64_t number,
                                                         const char *format, ...)
{
    char what[200 + ROOM_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    *verify->damage = (struct event_store_damage){.number = number, .is_derived = true};
    errmsg_set(verify->errmsg, "table %s %s", verify->name, what);
    return ERR_DATA;
}

static void turn_to(struct verify *verify, MDB_dbi table, const char *name)
{
    verify->table = table;
    verify->name = name;
}

static int look_for(struct verify *verify, struct slice at, uint64_t number)
{
    uint64_t found = 0;
    MDB_val key = val_of(at.at, at.len);
    MDB_val data;
    int rv = mdb_get(verify->walk.txn, verify->table, &key, &data);
    if (rv == MDB_NOTFOUND) return bad_row(verify, number, "lacks event %" PRIu64, number);
    if (rv != 0) return fail(verify->errmsg, rv, verify->name);
    if (number_of(&data, &found) == 0 && found == number) return 0;
    return bad_row(verify, number, "has %" PRIu64 " where event %" PRIu64 " belongs", found,
                   number);
}

static int look_for_both(void *owner, const struct message_sent *event, struct errmsg *errmsg)
{
    struct verify *verify = owner;
    char stream[STREAM_KEY_MAX];
    struct slice key = slice_make(stream, stream_key(stream, event->room, event->seq));
    (void)errmsg;
    turn_to(verify, verify->walk.store->streams, "streams");
    int rv = look_for(verify, key, event->number);
    if (rv != 0) return rv;
    turn_to(verify, verify->walk.store->commands, "commands");
    return look_for(verify, slice_make(event->id.bytes, sizeof event->id.bytes), event->number);
}

typedef int (*row_fn)(struct verify *verify, struct slice key, const MDB_val *data);

static int each_row(struct verify *verify, row_fn on_row)
{
    MDB_cursor *cursor = NULL;
    MDB_val key;
    MDB_val data;
    verify->rows = 0;
    int rv = mdb_cursor_open(verify->walk.txn, verify->table, &cursor);
    if (rv != 0) return fail(verify->errmsg, rv, verify->name);
    int code = 0;
    rv = mdb_cursor_get(cursor, &key, &data, MDB_FIRST);
    for (; rv == 0 && code == 0; verify->rows++) {
        if (on_row != NULL) code = on_row(verify, slice_of_val(&key), &data);
        if (code == 0) rv = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    if (code != 0) return code;
    return rv == MDB_NOTFOUND ? 0 : fail(verify->errmsg, rv, verify->name);
}

/* Is it the row of the event whose number it has? */
static int is_own_row(struct verify *verify, struct slice key, const MDB_val *data)
{
    struct message_sent event;
    char stream[STREAM_KEY_MAX];
    uint64_t number = 0;
    if (number_of(data, &number) != 0 || number == 0 || number > verify->walk.chat->number)
        return bad_row(verify, 0, "has a row for event %" PRIu64 ", which is not there", number);
    size_t wanted = number;
    MDB_val place = val_of(&wanted, sizeof wanted);
    MDB_val bytes;
    int rv = mdb_get(verify->walk.txn, verify->walk.store->events, &place, &bytes);
    if (rv != 0) return fail(verify->errmsg, rv, "events");
    if (event_decode(&event, slice_of_val(&bytes), verify->errmsg) != 0) return ERR_DATA;
    struct slice own = slice_make(event.id.bytes, sizeof event.id.bytes);
    if (verify->table == verify->walk.store->streams)
        own = slice_make(stream, stream_key(stream, event.room, event.seq));
    if (slice_equal(key, own)) return 0;
    return bad_row(verify, number, "has event %" PRIu64 " in another place too", number);
}

static int check_rows(struct verify *verify, MDB_dbi table, const char *name)
{
    turn_to(verify, table, name);
    int rv = each_row(verify, NULL);
    if (rv != 0 || verify->rows == verify->walk.chat->number) return rv;
    rv = each_row(verify, is_own_row);
    if (rv != 0) return rv;
    return bad_row(verify, 0, "has %" PRIu64 " rows", verify->rows);
}

static int is_own_room(struct verify *verify, struct slice name, const MDB_val *data)
{
    struct chat_room room;
    const struct chat_room *own = chat_find_room(verify->walk.chat, name);
    int len = (int)(name.len <= ROOM_MAX ? name.len : ROOM_MAX);
    if (own == NULL) return bad_row(verify, 0, "has room %.*s, of no event", len, name.at);
    if (room_decode(&room, name, slice_of_val(data)) != 0)
        return bad_row(verify, own->last_number, "has a bad checksum at room %.*s", len, name.at);
    bool is_same =
        room.seq == own->seq && room.last_number == own->last_number &&
        room.last_at_ms == own->last_at_ms && room.run == own->run &&
        memcmp(&room.last_sender_id, &own->last_sender_id, sizeof room.last_sender_id) == 0;
    if (is_same) return 0;
    return bad_row(verify, own->last_number, "does not have event %" PRIu64 " as the last of %.*s",
                   own->last_number, len, name.at);
}

static int check_rooms(struct verify *verify)
{
    turn_to(verify, verify->walk.store->rooms, "rooms");
    int rv = each_row(verify, is_own_room);
    if (rv != 0 || verify->rows == verify->walk.chat->rooms_count) return rv;
    for (const struct chat_room *room = verify->walk.chat->newest; room != NULL;
         room = room->older) {
        MDB_val key = val_of(room->name, room->name_len);
        MDB_val data;
        rv = mdb_get(verify->walk.txn, verify->table, &key, &data);
        if (rv == MDB_NOTFOUND)
            return bad_row(verify, room->last_number, "lacks room %.*s", (int)room->name_len,
                           room->name);
        if (rv != 0) return fail(verify->errmsg, rv, verify->name);
    }
    return bad_row(verify, 0, "has %" PRIu64 " rows", verify->rows);
}

int event_store_verify(struct event_store *store, event_store_progress_fn on_progress, void *owner,
                       struct event_store_damage *damage, struct errmsg *errmsg)
{
    static const struct chat_limits no_limits;
    struct chat chat;
    struct verify verify = {.damage = damage,
                            .errmsg = errmsg,
                            .walk = {.store = store,
                                     .chat = &chat,
                                     .on_event = look_for_both,
                                     .on_progress = on_progress,
                                     .progress_owner = owner,
                                     .damage = damage}};
    verify.walk.owner = &verify;
    int rv = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &verify.walk.txn);
    if (rv != 0) return fail(errmsg, rv, "begin to read");
    chat_init(&chat, &no_limits);
    rv = event_walk(&verify.walk, errmsg);
    if (rv == 0) rv = check_rows(&verify, store->streams, "streams");
    if (rv == 0) rv = check_rows(&verify, store->commands, "commands");
    if (rv == 0) rv = check_rooms(&verify);
    chat_close(&chat);
    mdb_txn_abort(verify.walk.txn);
    return rv;
}
