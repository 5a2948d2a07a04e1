#include "pages/reader.h"

#include "base/mem.h"

enum { GROWTH = 8, SHOWN_MAX = 99 };

static struct reader_room *find(struct reader *reader, uint64_t key)
{
    for (uint32_t i = 0; i < reader->count; i++) {
        if (reader->rooms[i].key == key) return &reader->rooms[i];
    }
    return NULL;
}

/* NULL if it keeps count of as many as it may. The block may move. */
static struct reader_room *add(void **at, uint64_t key)
{
    struct reader *reader = *at;
    if (reader->count == reader->size) {
        if (reader->size >= READER_ROOMS_MAX) return NULL;
        uint32_t size = reader->size + GROWTH;
        reader = mem_grow(reader, sizeof *reader + size * sizeof reader->rooms[0]);
        reader->size = size;
        *at = reader;
    }
    struct reader_room *room = &reader->rooms[reader->count++];
    *room = (struct reader_room){.key = key};
    return room;
}

static void forget(struct reader *reader, uint64_t key)
{
    struct reader_room *room = find(reader, key);
    if (room != NULL) *room = reader->rooms[--reader->count];
}

void reader_enter(void **reader_at, struct slice room, const struct board *board)
{
    struct reader *reader = *reader_at;
    if (reader == NULL) {
        reader = mem_new(sizeof *reader);
        reader->since = board == NULL ? UINT64_MAX : board->number;
        *reader_at = reader;
    }
    reader->current = room.len == 0 ? 0 : side_room_key(room);
    if (reader->current != 0) forget(reader, reader->current);
}

void reader_leave(void **reader_at, struct slice room, uint64_t messages)
{
    struct reader *reader = *reader_at;
    if (reader == NULL || room.len == 0) return;
    uint64_t key = side_room_key(room);
    struct reader_room *left = find(reader, key);
    if (left == NULL) left = add(reader_at, key);
    if (left != NULL) left->seen = messages;
    reader = *reader_at;
    if (reader->current == key) reader->current = 0;
}

void reader_board(void **reader_at, const struct side *side)
{
    struct reader *reader = *reader_at;
    if (reader == NULL || side->board == NULL) return;
    if (reader->since == UINT64_MAX) reader->since = side->board->number;
    for (size_t i = 0; i < side->rooms_count; i++) {
        const struct side_room *room = &side->rooms[i];
        if (room->last_number <= reader->since || room->key == reader->current) continue;
        if (find(reader, room->key) != NULL) continue;
        struct reader_room *news = add(reader_at, room->key);
        if (news == NULL) return;
        news->seen = room->before;
        reader = *reader_at;
    }
}

uint64_t reader_unread(const struct reader *reader, const struct side_room *room)
{
    if (reader == NULL || room->key == reader->current) return 0;
    for (uint32_t i = 0; i < reader->count; i++) {
        if (reader->rooms[i].key != room->key) continue;
        return room->messages > reader->rooms[i].seen ? room->messages - reader->rooms[i].seen : 0;
    }
    return 0;
}

uint64_t reader_unread_total(const struct reader *reader, const struct side *side)
{
    uint64_t total = 0;
    if (reader == NULL || reader->count == 0) return 0;
    for (size_t i = 0; i < side->rooms_count; i++)
        total += reader_unread(reader, &side->rooms[i]);
    return total;
}

void reader_add_css(struct buf *out, const struct reader *reader, const struct side *side)
{
    if (reader == NULL || reader->count == 0) return;
    for (size_t i = 0; i < side->rooms_count; i++) {
        const struct side_room *room = &side->rooms[i];
        uint64_t unread = reader_unread(reader, room);
        if (unread == 0) continue;
        buf_printf(out,
                   ".%.*s .name{font-weight:700}.%.*s .badge{display:inline}.%.*s .badge::before"
                   "{content:\"%u%s\"}",
                   (int)room->mark.len, room->mark.at, (int)room->mark.len, room->mark.at,
                   (int)room->mark.len, room->mark.at,
                   unread > SHOWN_MAX ? SHOWN_MAX : (unsigned)unread,
                   unread > SHOWN_MAX ? "+" : "");
    }
}
