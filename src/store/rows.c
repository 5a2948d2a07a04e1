#include "store/rows.h"

#include <stdlib.h>

#include "base/crypto.h"
#include "base/mem.h"

void rows_init(struct rows *rows, size_t max)
{
    *rows = (struct rows){.max = max};
    rows->rows = mem_grow(NULL, (max + 1) * sizeof *rows->rows);
}

void rows_close(struct rows *rows)
{
    mem_free(rows->rows);
    mem_free(rows->rooms);
    mem_free(rows->places);
}

/* ---- rooms by name ---- */

/* Where it is, or would be. */
static uint32_t *place_of(const struct rows *rows, struct slice name)
{
    size_t mask = rows->places_size - 1;
    size_t i = (size_t)hash_keyed(name.at, name.len) & mask;
    for (; rows->places[i] != 0; i = (i + 1) & mask) {
        if (slice_equal(rows->rooms[rows->places[i] - 1].name, name)) break;
    }
    return &rows->places[i];
}

static void make_room(struct rows *rows)
{
    if (rows->rooms_count < rows->rooms_size) return;
    rows->rooms_size = rows->rooms_size == 0 ? 64 : 2 * rows->rooms_size;
    rows->rooms = mem_grow(rows->rooms, rows->rooms_size * sizeof *rows->rooms);
    mem_free(rows->places);
    rows->places_size = 2 * rows->rooms_size;
    rows->places = mem_new_array(rows->places_size, sizeof *rows->places);
    for (size_t i = 0; i < rows->rooms_count; i++)
        *place_of(rows, rows->rooms[i].name) = (uint32_t)i + 1;
}

static int load_room(const struct event_store *store, MDB_txn *txn, struct rows_room *room)
{
    struct chat_room stored = {.seq = 0};
    MDB_val key = val_of(room->name.at, room->name.len);
    MDB_val data;
    int rv = mdb_get(txn, store->rooms, &key, &data);
    if (rv == 0) rv = room_decode(&stored, room->name, slice_of_val(&data));
    if (rv != 0 && rv != MDB_NOTFOUND) return ERR_DATA;
    room->seq = stored.seq;
    room->last_number = stored.last_number;
    room->last_at_ms = stored.last_at_ms;
    room->last_sender_id = stored.last_sender_id;
    room->run = stored.run;
    return 0;
}

int rows_room(struct rows *rows, const struct event_store *store, MDB_txn *txn, struct slice name,
              struct rows_room **room)
{
    make_room(rows);
    uint32_t *place = place_of(rows, name);
    if (*place == 0) {
        struct rows_room *found = &rows->rooms[rows->rooms_count];
        *found = (struct rows_room){.name = name, .first = ROWS_NONE, .last = ROWS_NONE};
        int rv = load_room(store, txn, found);
        if (rv != 0) return rv;
        *place = (uint32_t)++rows->rooms_count;
    }
    *room = &rows->rooms[*place - 1];
    return 0;
}

void rows_add(struct rows *rows, struct rows_room *room, const struct message_sent *event)
{
    assert(rows->count < rows->max);
    size_t place = rows->count++;
    rows->rows[place] = (struct row){
        .id = event->id, .number = event->number, .seq = event->seq, .next = ROWS_NONE};
    if (room->first == ROWS_NONE)
        room->first = place;
    else
        rows->rows[room->last].next = place;
    room->last = place;
    room->seq = event->seq;
    room->last_number = event->number;
    room->last_at_ms = event->at_ms;
    room->last_sender_id = event->sender_id;
    room->run = event->run;
}

/* ---- writing ---- */

static int put_stream(const struct rows *rows, MDB_cursor *streams, const struct rows_room *room)
{
    char at[STREAM_KEY_MAX];
    char number[8];
    for (size_t i = room->first; i != ROWS_NONE; i = rows->rows[i].next) {
        const struct row *row = &rows->rows[i];
        MDB_val key = val_of(at, stream_key(at, room->name, row->seq));
        MDB_val data = val_of(number, sizeof number);
        little_store(number, row->number, sizeof number);
        int rv = mdb_cursor_put(streams, &key, &data, 0);
        if (rv != 0) return rv;
    }
    return 0;
}

static int put_room(const struct event_store *store, MDB_txn *txn, const struct rows_room *room)
{
    char value[ROOM_VALUE];
    MDB_val key = val_of(room->name.at, room->name.len);
    MDB_val data = val_of(value, sizeof value);
    little_store(value, room->seq, 8);
    little_store(value + 8, room->last_number, 8);
    little_store(value + 16, (uint64_t)room->last_at_ms, 8);
    memcpy(value + 24, room->last_sender_id.bytes, 16);
    little_store(value + 40, room->run, 4);
    little_store(value + ROOM_VALUE - 4, room_checksum(room->name, value), 4);
    return mdb_put(txn, store->rooms, &key, &data, 0);
}

static int put_rooms(const struct rows *rows, const struct event_store *store, MDB_txn *txn)
{
    MDB_cursor *streams = NULL;
    int rv = mdb_cursor_open(txn, store->streams, &streams);
    if (rv != 0) return rv;
    for (size_t i = 0; rv == 0 && i < rows->rooms_count; i++) {
        const struct rows_room *room = &rows->rooms[i];
        if (room->first == ROWS_NONE) continue;
        rv = put_stream(rows, streams, room);
        if (rv == 0) rv = put_room(store, txn, room);
    }
    mdb_cursor_close(streams);
    return rv;
}

static int by_id(const void *left, const void *right)
{
    const struct row *a = left;
    const struct row *b = right;
    int order = memcmp(&a->id, &b->id, sizeof a->id);
    return order != 0 ? order : (a->number > b->number) - (a->number < b->number);
}

static bool is_sorted(const struct rows *rows)
{
    for (size_t i = 1; i < rows->count; i++) {
        if (by_id(&rows->rows[i - 1], &rows->rows[i]) > 0) return false;
    }
    return true;
}

/* All zero for an empty table: an id of zeros is then put like one that came late. */
static int last_command(MDB_cursor *commands, struct command_id *last)
{
    MDB_val key;
    MDB_val data;
    int rv = mdb_cursor_get(commands, &key, &data, MDB_LAST);
    *last = (struct command_id){.bytes = {0}};
    if (rv == 0 && key.mv_size != sizeof last->bytes) return MDB_CORRUPTED;
    if (rv == 0) memcpy(last->bytes, key.mv_data, sizeof last->bytes);
    return rv == MDB_NOTFOUND ? 0 : rv;
}

static int put_commands(struct rows *rows, const struct event_store *store, MDB_txn *txn,
                        uint64_t *twice)
{
    MDB_cursor *commands = NULL;
    struct command_id last;
    bool is_behind = false; /* all that follow go to the end, where pages get full */
    if (!is_sorted(rows)) qsort(rows->rows, rows->count, sizeof *rows->rows, by_id);
    int rv = mdb_cursor_open(txn, store->commands, &commands);
    if (rv != 0) return rv;
    rv = last_command(commands, &last);
    for (size_t i = 0; rv == 0 && i < rows->count; i++) {
        const struct row *row = &rows->rows[i];
        char number[8];
        MDB_val key = val_of(row->id.bytes, sizeof row->id.bytes);
        MDB_val data = val_of(number, sizeof number);
        little_store(number, row->number, sizeof number);
        if (!is_behind) is_behind = memcmp(&row->id, &last, sizeof last) > 0;
        rv = mdb_cursor_put(commands, &key, &data, is_behind ? MDB_APPEND : MDB_NOOVERWRITE);
#ifdef LIVETEA_MISTAKE_DEDUP
        if (rv == MDB_KEYEXIST) rv = 0;
#endif
        if (rv == MDB_KEYEXIST) *twice = row->number;
    }
    mdb_cursor_close(commands);
    return rv;
}

int rows_put(struct rows *rows, const struct event_store *store, MDB_txn *txn, uint64_t *twice)
{
    int rv = put_rooms(rows, store, txn);
    return rv == 0 ? put_commands(rows, store, txn, twice) : rv; /* sorts: the last one */
}
