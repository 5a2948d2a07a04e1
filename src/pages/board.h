/* What every page may show of the whole node: rooms, people, nodes, what happened.
 *
 * The domain thread makes a new one at most once a second, when something changed (at once when the
 * cluster changed), and mails it to every web thread: a plain value inside of immutable shared bytes,
 * without pointers. Pages build what they show alike from it (pages/chat.h and its neighbours).
 */
#pragma once
#include "base/limits.h"
#include "base/shared.h"
#include "chat/ids.h"

enum { BOARD_TEXT_MAX = 120, BOARD_SENTENCE_MAX = 256, BOARD_SPARK = 60, BOARD_PEOPLE_MAX = 2000 };
enum { BOARD_SHOWN_MAX = 4096 }; /* rooms of a node whose people are looked for */

struct board_room { /* newest activity first */
    uint8_t name_len, sender_len, text_len;
    char name[ROOM_MAX];
    char sender[NAME_MAX_BYTES]; /* of the last message */
    char text[BOARD_TEXT_MAX];   /* its beginning, cut at a whole code point, controls as blanks */
    uint64_t messages, last_number;
    int64_t last_at_ms;
    uint32_t here;
};

/* In the order of rooms, and of names within one. Of a room with somebody in it at least one is listed, as
 * long as there is a place for each room. */
struct board_person {
    uint32_t here; /* in this room, also those that are not listed */
    uint8_t room_len, name_len;
    bool is_typing;
    uint8_t spare; /* 0 */
    char room[ROOM_MAX];
    char name[NAME_MAX_BYTES];
    struct sender_id sender_id;
};
static_assert(sizeof(struct board_person) ==
                  sizeof(uint32_t) + 4 + ROOM_MAX + NAME_MAX_BYTES + sizeof(struct sender_id),
              "boards are compared byte for byte");

enum board_role { BOARD_LEADER, BOARD_FOLLOWER, BOARD_STANDBY, BOARD_CATCHING_UP, BOARD_AWAY };

struct board_node { /* in the order of names */
    char name[NODE_NAME_MAX + 1], address[ADDRESS_MAX + 1], http[URL_MAX + 1], version[16];
    enum board_role role;
    bool is_self, is_known;
    uint64_t number, behind, browsers, disk_bytes, uptime_ms, away_ms;
    double rtt_ms; /* NaN: not measured */
};

struct board_event {
    int64_t at_ms;
    char node[NODE_NAME_MAX + 1];
    char sentence[BOARD_SENTENCE_MAX];
};

/* Whom this node may show its history. A page that is open already stays, with a strip. */
enum board_door {
    BOARD_OPEN,
    BOARD_GAP,    /* events are missing, and being fetched: nobody is shown a history with a hole */
    BOARD_JOINING /* it asks to be let into the cluster, and has none yet */
};

enum board_health { BOARD_OK, BOARD_DEGRADED, BOARD_ELECTING, BOARD_NO_MAJORITY };

struct board {
    uint64_t version;   /* rises with each board of this process */
    int64_t made_at_ms; /* wall clock */
    uint64_t number;    /* events applied here */
    uint64_t behind;    /* events to go while this node is catching up; else 0 */
    enum board_door door;
    uint64_t goal;     /* with BOARD_GAP: number of the last event that is missing */
    bool is_disk_full; /* takes nothing new until there is room again */
    enum board_health health;
    char sentence[BOARD_SENTENCE_MAX]; /* "All 3 nodes are up. Any one may fail." */
    char leader[NODE_NAME_MAX + 1];    /* empty: none */
    char self[NODE_NAME_MAX + 1];
    uint32_t voters, voters_up, rooms_total, people_total;
    size_t rooms_count, people_count, nodes_count, events_count;
    struct board_room rooms[LIST_ROOMS_MAX];
    struct board_node nodes[MEMBERS_MAX];
    struct board_event events[CLUSTER_EVENTS_MAX]; /* newest first */
    /* one value a second, oldest first; NaN = none */
    float messages_per_second[BOARD_SPARK], commit_p99_ms[BOARD_SPARK], browsers[BOARD_SPARK],
        fsync_p99_ms[BOARD_SPARK];
    struct board_person people[BOARD_PEOPLE_MAX]; /* people_count of them are allocated */
};

/* A board with room for so many people; one reference. The maker fills it before it is given away, field
 * by field: it may be shorter than struct board. */
static inline struct shared *board_new(size_t people_count)
{
    return shared_new(offsetof(struct board, people) + people_count * sizeof(struct board_person));
}

/* shared_new's bytes are aligned for any type. */
static inline struct board *board_fill(struct shared *bytes)
{
    return (struct board *)(void *)bytes->bytes;
}
static inline const struct board *board_of(const struct shared *bytes)
{
    return (const struct board *)(const void *)bytes->bytes;
}
