/* A seat is one person in one room at one node; what is seen of it is a visitor: the person in the
 * room, wherever the seats are. Rooms and persons live as long as somebody sits in them.
 *
 *     seat (node, person, room) --> visitor (room, person) --> room
 *                                         +------------------> person (counted once in all)
 *
 * What a node tells (RPC_PRESENCE): count u32, then for each seat
 *     room text | name text | sender id 16 | u8, bit 0: types
 */
#include "cluster/presence.h"

#include <assert.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "base/err.h"
#include "base/hash_table.h"
#include "base/mem.h"
#include "cluster/wire.h"

enum {
    TELL_GATHER_MS = 1000,
    TELL_EVERY_MS = 5000,
    TYPING_MS = 5000,
    NODE_EXPIRES_MS = 10 * 1000,
    HERE = 0, /* as a node's id: this one */
    ENTRY_MIN = 1 + 1 + 16 + 1
};

struct visitor {
    struct sender_id sender_id;
    uint8_t name_len;
    char name[NAME_MAX_BYTES];
    size_t seats, typing;
    UT_hash_handle hh; /* of its room */
};

struct presence_room {
    struct visitor *visitors;
    size_t seats; /* of all kinds */
    UT_hash_handle hh;
    size_t name_len;
    char name[];
};

struct person {
    struct sender_id sender_id;
    size_t seats;
    UT_hash_handle hh;
};

struct seat_key {
    uint64_t node;
    struct sender_id sender_id;
    struct presence_room *room;
};

struct seat {
    struct seat_key key;
    struct visitor *visitor;  /* NULL: nameless so far, so nobody sees it */
    size_t pages;             /* here only */
    uint64_t typing_until_ms; /* here only */
    bool is_typing;
    uint64_t heard; /* there only: the telling that had it last */
    UT_hash_handle hh;
};

struct teller { /* another node */
    uint64_t node;
    uint64_t heard_ms;
    uint64_t tellings;
    UT_hash_handle hh;
};

struct presence {
    struct presence_room *rooms;
    struct person *persons;
    struct seat *seats;
    struct teller *tellers;
    uint64_t version;
    uint64_t told_ms;
    size_t typing_here; /* seats of this node */
    bool is_changed;    /* here, since it was told last */
    bool was_told;
};

static unsigned hash_of(const void *at, size_t len)
{
    return (unsigned)hash_keyed(at, len);
}

/* ---- rooms, persons, visitors ---- */

static struct presence_room *find_room(const struct presence *presence, struct slice name)
{
    struct presence_room *room;
    HASH_FIND_BYHASHVALUE(hh, presence->rooms, name.at, name.len, hash_of(name.at, name.len), room);
    return room;
}

static struct presence_room *get_room(struct presence *presence, struct slice name)
{
    struct presence_room *room = find_room(presence, name);
    if (room != NULL) return room;
    room = mem_new(sizeof *room + name.len);
    room->name_len = name.len;
    memcpy(room->name, name.at, name.len);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, presence->rooms, room->name, name.len,
                                hash_of(name.at, name.len), room);
    return room;
}

static void count_person(struct presence *presence, const struct sender_id *id)
{
    struct person *person;
    unsigned hash = hash_of(id, sizeof *id);
    HASH_FIND_BYHASHVALUE(hh, presence->persons, id, sizeof *id, hash, person);
    if (person == NULL) {
        person = mem_new(sizeof *person);
        person->sender_id = *id;
        HASH_ADD_BYHASHVALUE(hh, presence->persons, sender_id, sizeof *id, hash, person);
    }
    person->seats++;
}

static void discount_person(struct presence *presence, const struct sender_id *id)
{
    struct person *person;
    HASH_FIND_BYHASHVALUE(hh, presence->persons, id, sizeof *id, hash_of(id, sizeof *id), person);
    assert(person != NULL);
    if (--person->seats > 0) return;
    HASH_DEL(presence->persons, person);
    mem_free(person);
}

static struct visitor *get_visitor(struct presence_room *room, const struct sender_id *id)
{
    struct visitor *visitor;
    unsigned hash = hash_of(id, sizeof *id);
    HASH_FIND_BYHASHVALUE(hh, room->visitors, id, sizeof *id, hash, visitor);
    if (visitor != NULL) return visitor;
    visitor = mem_new(sizeof *visitor);
    visitor->sender_id = *id;
    HASH_ADD_BYHASHVALUE(hh, room->visitors, sender_id, sizeof *id, hash, visitor);
    return visitor;
}

/* ---- seats ---- */

static struct seat *find_seat(const struct presence *presence, uint64_t node,
                              struct presence_room *room, const struct sender_id *id)
{
    struct seat_key key;
    struct seat *seat;
    memset(&key, 0, sizeof key);
    key.node = node;
    key.sender_id = *id;
    key.room = room;
    HASH_FIND_BYHASHVALUE(hh, presence->seats, &key, sizeof key, hash_of(&key, sizeof key), seat);
    return seat;
}

static struct seat *get_seat(struct presence *presence, uint64_t node, struct slice room_name,
                             const struct sender_id *id)
{
    struct presence_room *room = get_room(presence, room_name);
    struct seat *seat = find_seat(presence, node, room, id);
    if (seat != NULL) return seat;
    seat = mem_new(sizeof *seat);
    seat->key.node = node;
    seat->key.sender_id = *id;
    seat->key.room = room;
    HASH_ADD_BYHASHVALUE(hh, presence->seats, key, sizeof seat->key,
                         hash_of(&seat->key, sizeof seat->key), seat);
    room->seats++;
    return seat;
}

/* From now on it is seen, under this name. */
static void name_seat(struct presence *presence, struct seat *seat, struct slice name)
{
    struct visitor *visitor = seat->visitor;
    name = slice_first(name, NAME_MAX_BYTES);
    if (visitor == NULL) {
        visitor = get_visitor(seat->key.room, &seat->key.sender_id);
        visitor->seats++;
        seat->visitor = visitor;
        count_person(presence, &seat->key.sender_id);
        if (visitor->seats == 1) presence->version++;
    }
    if (slice_equal(name, slice_make(visitor->name, visitor->name_len))) return;
    memcpy(visitor->name, name.at, name.len);
    visitor->name_len = (uint8_t)name.len;
    presence->version++;
}

static void set_typing(struct presence *presence, struct seat *seat, bool is_typing)
{
    struct visitor *visitor = seat->visitor;
    if (visitor == NULL || seat->is_typing == is_typing) return;
    seat->is_typing = is_typing;
    if (seat->key.node == HERE)
        presence->typing_here = is_typing ? presence->typing_here + 1 : presence->typing_here - 1;
    size_t before = visitor->typing;
    visitor->typing = is_typing ? before + 1 : before - 1;
    if ((before == 0) != (visitor->typing == 0)) presence->version++;
}

static void leave_seat(struct presence *presence, struct seat *seat)
{
    struct presence_room *room = seat->key.room;
    struct visitor *visitor = seat->visitor;
    set_typing(presence, seat, false);
    if (visitor != NULL) {
        discount_person(presence, &seat->key.sender_id);
        if (--visitor->seats == 0) {
            HASH_DEL(room->visitors, visitor);
            mem_free(visitor);
            presence->version++;
        }
    }
    HASH_DEL(presence->seats, seat);
    mem_free(seat);
    if (--room->seats > 0) return;
    assert(room->visitors == NULL);
    HASH_DEL(presence->rooms, room);
    mem_free(room);
}

struct presence *presence_new(void)
{
    return mem_new(sizeof(struct presence));
}

void presence_free(struct presence *presence)
{
    struct seat *seat, *next_seat;
    struct teller *teller, *next_teller;
    HASH_ITER(hh, presence->seats, seat, next_seat) {
        leave_seat(presence, seat);
    }
    HASH_ITER(hh, presence->tellers, teller, next_teller) {
        HASH_DEL(presence->tellers, teller);
        mem_free(teller);
    }
    mem_free(presence);
}

/* ---- this node's pages ---- */

void presence_enter(struct presence *presence, struct slice room, const struct sender_id *who,
                    struct slice name)
{
    struct seat *seat = get_seat(presence, HERE, room, who);
    uint64_t version = presence->version;
    seat->pages++;
    if (name.len > 0) name_seat(presence, seat, name);
    if (presence->version != version) presence->is_changed = true;
}

void presence_leave(struct presence *presence, struct slice room_name, const struct sender_id *who)
{
    struct presence_room *room = find_room(presence, room_name);
    struct seat *seat = room == NULL ? NULL : find_seat(presence, HERE, room, who);
    if (seat == NULL || --seat->pages > 0) return;
    /* Also when the person has another seat elsewhere: that node will have to keep it alone. */
    if (seat->visitor != NULL) presence->is_changed = true;
    leave_seat(presence, seat);
}

void presence_typing(struct presence *presence, struct slice room_name, const struct sender_id *who,
                     uint64_t now_ms)
{
    struct presence_room *room = find_room(presence, room_name);
    struct seat *seat = room == NULL ? NULL : find_seat(presence, HERE, room, who);
    if (seat == NULL || seat->visitor == NULL) return;
    seat->typing_until_ms = now_ms + TYPING_MS;
    if (!seat->is_typing) presence->is_changed = true;
    set_typing(presence, seat, true);
}

/* ---- telling and hearing ---- */

bool presence_tell(struct presence *presence, struct buf *out, uint64_t now_ms)
{
    uint64_t since_ms = now_ms - presence->told_ms;
    uint64_t due_ms = presence->is_changed ? TELL_GATHER_MS : TELL_EVERY_MS;
    if (presence->was_told && since_ms < due_ms) return false;
    presence->is_changed = false;
    presence->was_told = true;
    presence->told_ms = now_ms;

    uint32_t count = 0;
    size_t start = out->len;
    wire_put_u32(out, 0);
    for (struct seat *seat = presence->seats; seat != NULL; seat = seat->hh.next) {
        const struct visitor *visitor = seat->visitor;
        if (seat->key.node != HERE || visitor == NULL) continue;
        if (count == PRESENCE_ENTRIES_MAX) break;
        wire_put_text(out, slice_make(seat->key.room->name, seat->key.room->name_len));
        wire_put_text(out, slice_make(visitor->name, visitor->name_len));
        buf_append(out, &seat->key.sender_id, sizeof seat->key.sender_id);
        wire_put_u8(out, seat->is_typing ? 1 : 0);
        count++;
    }
    if (!out->overflowed) little_store(out->at + start, count, 4);
    return true;
}

struct told {
    struct slice room, name;
    struct sender_id who;
    bool is_typing;
};

static bool read_told(struct wire *wire, struct told *told)
{
    told->room = wire_get_text(wire);
    told->name = wire_get_text(wire);
    struct slice who = wire_take(wire, sizeof told->who);
    told->is_typing = (wire_get_u8(wire) & 1) != 0;
    if (wire->failed) return false;
    memcpy(&told->who, who.at, sizeof told->who);
    return told->room.len > 0 && told->room.len <= ROOM_MAX && told->name.len > 0 &&
           told->name.len <= NAME_MAX_BYTES && wire_is_line(told->room) && wire_is_line(told->name);
}

/* All of it is looked at before anything is taken. */
static bool check_told(struct slice bytes, uint32_t *count)
{
    struct wire wire = wire_of(bytes);
    struct told told;
    *count = wire_get_u32(&wire);
    if (*count > PRESENCE_ENTRIES_MAX || *count > wire.rest.len / ENTRY_MIN) return false;
    for (uint32_t i = 0; i < *count; i++) {
        if (!read_told(&wire, &told)) return false;
    }
    return !wire.failed;
}

static struct teller *get_teller(struct presence *presence, uint64_t node)
{
    struct teller *teller;
    HASH_FIND(hh, presence->tellers, &node, sizeof node, teller);
    if (teller != NULL) return teller;
    teller = mem_new(sizeof *teller);
    teller->node = node;
    HASH_ADD(hh, presence->tellers, node, sizeof node, teller);
    return teller;
}

static void leave_unheard(struct presence *presence, const struct teller *teller)
{
    struct seat *seat, *next;
    HASH_ITER(hh, presence->seats, seat, next) {
        bool is_theirs = seat->key.node == teller->node;
        if (is_theirs && seat->heard != teller->tellings) leave_seat(presence, seat);
    }
}

int presence_hear(struct presence *presence, uint64_t peer, struct slice told, uint64_t now_ms)
{
    uint32_t count;
    if (peer == HERE || !check_told(told, &count)) return ERR_FORMAT;
    struct teller *teller = get_teller(presence, peer);
    teller->heard_ms = now_ms;
    teller->tellings++;
    struct wire wire = wire_of(slice_skip(told, 4));
    for (uint32_t i = 0; i < count; i++) {
        struct told one;
        if (!read_told(&wire, &one)) break; /* checked before */
        struct seat *seat = get_seat(presence, peer, one.room, &one.who);
        seat->heard = teller->tellings;
        name_seat(presence, seat, one.name);
        set_typing(presence, seat, one.is_typing);
    }
    leave_unheard(presence, teller);
    return 0;
}

void presence_expire(struct presence *presence, uint64_t now_ms)
{
    struct teller *teller, *next_teller;
    /* Asked twenty times a second: the seats are not walked over for nothing. */
    struct seat *seat = presence->typing_here == 0 ? NULL : presence->seats;
    for (; seat != NULL; seat = seat->hh.next) {
        if (seat->key.node != HERE || !seat->is_typing || now_ms < seat->typing_until_ms) continue;
        set_typing(presence, seat, false);
        presence->is_changed = true;
    }
    HASH_ITER(hh, presence->tellers, teller, next_teller) {
        if (now_ms - teller->heard_ms < NODE_EXPIRES_MS) continue;
        teller->tellings++; /* nothing was heard with this one */
        leave_unheard(presence, teller);
        HASH_DEL(presence->tellers, teller);
        mem_free(teller);
    }
}

/* ---- asking ---- */

uint64_t presence_version(const struct presence *presence)
{
    return presence->version;
}

static int by_name(const void *a, const void *b)
{
    const struct visitor *left = *(struct visitor *const *)a, *right = *(struct visitor *const *)b;
    size_t shorter = left->name_len < right->name_len ? left->name_len : right->name_len;
    int order = memcmp(left->name, right->name, shorter);
    if (order == 0) order = (int)left->name_len - (int)right->name_len;
    return order != 0 ? order : memcmp(&left->sender_id, &right->sender_id, sizeof left->sender_id);
}

size_t presence_list(const struct presence *presence, struct slice room_name, struct present *out,
                     size_t max)
{
    const struct presence_room *room = find_room(presence, room_name);
    size_t count = room == NULL ? 0 : HASH_COUNT(room->visitors);
    if (count == 0) return 0;
    struct visitor **all = mem_new_array(count, sizeof(void *));
    size_t i = 0;
    for (struct visitor *visitor = room->visitors; visitor != NULL; visitor = visitor->hh.next) {
        all[i++] = visitor;
    }
    qsort(all, count, sizeof(void *), by_name);
    for (i = 0; i < count && i < max; i++) {
        out[i] = (struct present){.sender_id = all[i]->sender_id,
                                  .name_len = all[i]->name_len,
                                  .is_typing = all[i]->typing > 0};
        memcpy(out[i].name, all[i]->name, all[i]->name_len);
    }
    mem_free(all);
    return count;
}

size_t presence_count(const struct presence *presence, struct slice room_name)
{
    const struct presence_room *room = find_room(presence, room_name);
    return room == NULL ? 0 : HASH_COUNT(room->visitors);
}

size_t presence_total(const struct presence *presence)
{
    return HASH_COUNT(presence->persons);
}
