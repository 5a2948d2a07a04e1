/* What every page shows of the whole node, alike for all of its readers: the rooms, who is here, the
 * nodes' state, and the strips that say when something is wrong.
 *
 * Made anew for each board (pages/board.h), which is borrowed until the next one: names stand on it,
 * what had to be made stands on the arena. Part of each page's shared model; side.heex shows it.
 */
#pragma once
#include "live/render.h"
#include "pages/arena.h"
#include "pages/board.h"

enum { ROOM_MARK = 10, PERSON_MARK = 6, TYPISTS_MAX = 4 };

struct side_room {
    struct slice name, path;
    struct slice current; /* "page" for the room that is shown, else empty */
    struct slice mark;    /* "r-" and 8 hex digits: the class that a reader's style finds it by */
    uint64_t key;         /* a hash of the name */
    uint64_t messages;    /* in it */
    uint64_t before;      /* as the board before this one had it */
    uint64_t last_number;
};

struct side_person {
    struct slice name;
    struct slice title;  /* the whole name, when it is too long to be seen */
    struct slice mark;   /* "p-" and 4 hex digits of the sender id */
    struct slice typing; /* the word, or empty */
};

struct typist {
    struct slice name;
    struct sender_id sender_id;
};

struct side {
    const struct board *board; /* NULL: none came yet */
    struct arena arena;
    struct slice path;       /* of the page */
    struct slice room;       /* that it shows, or empty */
    struct side_room *rooms; /* newest activity first; SIDEBAR_ROOMS_MAX are shown beside a room */
    size_t rooms_count;
    bool has_more_rooms;
    struct side_person *people; /* in the room */
    size_t people_count;
    bool has_people;
    size_t here; /* how many, also those that are not listed */
    struct typist typists[TYPISTS_MAX];
    size_t typists_count;
    /* the node and its cluster */
    struct slice node;                  /* "tea-2" */
    struct slice dot;                   /* class: "dot", "dot warn", "dot down" */
    struct slice nodes_up;              /* "3 of 3 nodes" */
    struct slice leader;                /* "leader is tea-3" */
    struct html elsewhere;              /* "Or go on at <a>tea-1</a> or <a>tea-3</a>." */
    struct slice reading_only, lagging; /* what the strips say, or empty */
};

/* `path` and `room` must live as long. */
void side_init(struct side *side, struct slice path, struct slice room);
void side_close(struct side *side);
/* At most `rooms_max` rooms. */
void side_board(struct side *side, const struct board *board, size_t rooms_max);

/* " Or go on at <a>tea-1</a> or <a>tea-3</a>.": the same path on the other nodes that serve pages and have
 * an address of their own; nothing when there is none. */
void side_add_elsewhere(struct buf *out, const struct board *board, struct slice path);

uint64_t side_room_key(struct slice room);
/* "/lobby" */
void side_add_path(struct buf *out, struct slice room);
