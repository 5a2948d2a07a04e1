#include "pages/side.h"

#include <inttypes.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "base/text.h"
#include "pages/when.h"

enum { SCRATCH_MAX = 16 * 1024, LONG_NAME = 22 /* code points that fit beside a room */ };

static struct slice keep(struct side *side, struct buf *scratch)
{
    struct slice text = arena_keep(&side->arena, buf_slice(scratch));
    buf_reset(scratch);
    return text;
}

uint64_t side_room_key(struct slice room)
{
    return hash_fnv1a(room);
}

void side_add_path(struct buf *out, struct slice room)
{
    buf_add_char(out, '/');
    text_escape_url(out, room);
}

void side_init(struct side *side, struct slice path, struct slice room)
{
    *side = (struct side){
        .path = path, .room = room, .has_people = room.len > 0, .dot = slice_of("dot down")};
}

void side_close(struct side *side)
{
    mem_free(side->rooms);
    arena_drop(&side->arena);
}

/* ---- rooms ---- */

static uint64_t before_of(const struct side_room *rooms, size_t count, uint64_t key, size_t hint)
{
    if (hint < count && rooms[hint].key == key) return rooms[hint].messages; /* mostly in place */
    for (size_t i = 0; i < count; i++) {
        if (rooms[i].key == key) return rooms[i].messages;
    }
    return UINT64_MAX;
}

static void make_rooms(struct side *side, size_t rooms_max, struct buf *scratch)
{
    const struct board *board = side->board;
    struct side_room *before = side->rooms;
    size_t before_count = side->rooms_count;

    side->rooms_count = board->rooms_count < rooms_max ? board->rooms_count : rooms_max;
    side->rooms = mem_new_array(side->rooms_count + 1, sizeof *side->rooms);
    side->has_more_rooms = board->rooms_total > side->rooms_count;
    for (size_t i = 0; i < side->rooms_count; i++) {
        const struct board_room *from = &board->rooms[i];
        struct side_room *room = &side->rooms[i];
        room->name = slice_make(from->name, from->name_len);
        room->key = side_room_key(room->name);
        side_add_path(scratch, room->name);
        room->path = keep(side, scratch);
        buf_printf(scratch, "r-%08" PRIx64, room->key >> 32);
        room->mark = keep(side, scratch);
        if (slice_equal(room->name, side->room)) room->current = slice_of("page");
        room->messages = from->messages;
        room->last_number = from->last_number;
        room->before = before_of(before, before_count, room->key, i);
        if (room->before == UINT64_MAX) room->before = room->messages > 0 ? room->messages - 1 : 0;
    }
    mem_free(before);
}

/* ---- people ---- */

static bool is_listed(const struct board *board, size_t first, size_t at)
{
    const struct board_person *person = &board->people[at];
    for (size_t i = first; i < at; i++) {
        const struct board_person *other = &board->people[i];
        if (memcmp(&other->sender_id, &person->sender_id, sizeof person->sender_id) == 0)
            return true;
    }
    return false;
}

static void add_person(struct side *side, const struct board_person *from, struct buf *scratch)
{
    struct slice name = slice_make(from->name, from->name_len);
    if (from->is_typing && side->typists_count < TYPISTS_MAX) {
        side->typists[side->typists_count++] =
            (struct typist){.name = name, .sender_id = from->sender_id};
    }
    side->here++;
    if (side->people_count == PRESENT_MAX) return;
    struct side_person *person = &side->people[side->people_count++];
    person->name = name;
    if (text_code_points(name) > LONG_NAME) person->title = name;
    if (from->is_typing) person->typing = slice_of("typing");
    buf_add(scratch, slice_of("p-"));
    buf_add_hex(scratch, from->sender_id.bytes, 2);
    person->mark = keep(side, scratch);
}

static void make_people(struct side *side, struct buf *scratch)
{
    const struct board *board = side->board;
    size_t first = SIZE_MAX;
    side->people_count = side->here = side->typists_count = 0;
    side->people = NULL;
    if (side->room.len == 0) return;
    side->people = arena_take(&side->arena, PRESENT_MAX * sizeof *side->people);
    for (size_t i = 0; i < board->people_count; i++) {
        const struct board_person *person = &board->people[i];
        if (!slice_equal(slice_make(person->room, person->room_len), side->room)) {
            if (first != SIZE_MAX) break; /* they stand together */
            continue;
        }
        if (first == SIZE_MAX) first = i;
        if (!is_listed(board, first, i)) add_person(side, person, scratch);
    }
    if (first != SIZE_MAX && board->people[first].here > side->here)
        side->here = board->people[first].here;
}

/* ---- nodes ---- */

static bool is_url(struct slice url)
{
    return slice_starts(url, slice_of("http://")) || slice_starts(url, slice_of("https://"));
}

void side_add_elsewhere(struct buf *out, const struct board *board, struct slice path)
{
    struct slice own = slice_of("");
    size_t count = 0;
    for (size_t i = 0; i < board->nodes_count; i++) {
        if (board->nodes[i].is_self) own = slice_from(board->nodes[i].http);
    }
    for (size_t i = 0; i < board->nodes_count; i++) {
        const struct board_node *node = &board->nodes[i];
        struct slice url = slice_from(node->http);
        bool serves = node->role != BOARD_AWAY && node->role != BOARD_CATCHING_UP;
        /* behind a proxy all have one address */
        if (node->is_self || !serves || !is_url(url) || slice_equal(url, own)) continue;
        buf_add(out,
                count++ == 0 ? slice_of(" Or go on at <a href=\"") : slice_of(" or <a href=\""));
        buf_add_html(out, url);
        buf_add_html(out, path);
        buf_add(out, slice_of("\">"));
        buf_add_html(out, slice_from(node->name));
        buf_add(out, slice_of("</a>"));
    }
    if (count > 0) buf_add_char(out, '.');
}

static void make_elsewhere(struct side *side, struct buf *scratch)
{
    side_add_elsewhere(scratch, side->board, side->path);
    side->elsewhere.text = keep(side, scratch);
}

/* "2 of 3 nodes are away, and a message needs 2 to be kept." */
static void make_reading_only(struct side *side, struct buf *scratch)
{
    const struct board *board = side->board;
    side->reading_only = slice_of("");
    if (board->health != BOARD_NO_MAJORITY) return;
    uint32_t needed = board->voters / 2 + 1;
    uint32_t away = board->voters > board->voters_up ? board->voters - board->voters_up : 0;
    uint32_t missing = needed > board->voters_up ? needed - board->voters_up : 1;
    buf_printf(scratch,
               "%" PRIu32 " of %" PRIu32 " nodes %s away, and a message needs %" PRIu32
               " to be kept. You can send again when ",
               away, board->voters, away == 1 ? "is" : "are", needed);
    if (missing == 1)
        buf_add(scratch, slice_of("one is back."));
    else
        buf_printf(scratch, "%" PRIu32 " are back.", missing);
    side->reading_only = keep(side, scratch);
}

/* Why the newest messages are not here yet. Of a gap both ends are known, so it shows how far it is. */
static void make_lagging(struct side *side, struct buf *scratch)
{
    const struct board *board = side->board;
    uint64_t behind = board->behind;
    side->lagging = slice_of("");
    if (board->is_disk_full) {
        buf_add(scratch, slice_of("The disk of this node is full: new messages show here when it "
                                  "has room again, and on the other nodes at once."));
    } else if (board->door == BOARD_GAP) {
        buf_add(scratch, slice_of("This node is catching up: "));
        when_add_count(scratch, board->number);
        buf_add(scratch, slice_of(" of "));
        when_add_count(scratch, board->goal);
        buf_add(scratch, slice_of(" messages. New messages appear when it has them."));
    } else if (behind > 0) {
        buf_add(scratch, slice_of("This node is catching up: "));
        when_add_count(scratch, behind);
        buf_add(scratch, behind == 1 ? slice_of(" message to go.") : slice_of(" messages to go."));
    }
    if (scratch->len > 0) side->lagging = keep(side, scratch);
}

static void make_nodes(struct side *side, struct buf *scratch)
{
    const struct board *board = side->board;
    side->node = slice_from(board->self);
    switch (board->health) {
    case BOARD_OK: side->dot = slice_of("dot"); break;
    case BOARD_NO_MAJORITY: side->dot = slice_of("dot down"); break;
    case BOARD_DEGRADED:
    case BOARD_ELECTING:
    default: side->dot = slice_of("dot warn"); break;
    }
    buf_printf(scratch, "%" PRIu32 " of %" PRIu32 " %s", board->voters_up, board->voters,
               board->voters == 1 ? "node" : "nodes");
    side->nodes_up = keep(side, scratch);
    if (board->leader[0] == '\0')
        buf_add(scratch, slice_of("no leader"));
    else
        buf_printf(scratch, "leader is %s", board->leader);
    side->leader = keep(side, scratch);
    make_elsewhere(side, scratch);
    make_reading_only(side, scratch);
    make_lagging(side, scratch);
}

void side_board(struct side *side, const struct board *board, size_t rooms_max)
{
    struct buf scratch;
    side->board = board;
    buf_init(&scratch, SCRATCH_MAX);
    arena_drop(&side->arena);
    make_rooms(side, rooms_max, &scratch);
    make_people(side, &scratch);
    make_nodes(side, &scratch);
    buf_close(&scratch);
}
