/* What a reader has seen of the rooms that are not shown: how many messages there are new.
 *
 * It belongs to the browser's page, not to one room: it outlives going from room to room and ends with
 * the connection's view (live->reader). Counted from the list of rooms that the page began with (a second
 * old at most): a room is unread if something was said in it since then, or since the reader left it. At
 * most READER_ROOMS_MAX rooms are kept count of. One flat block of mem_new.
 */
#pragma once
#include "pages/side.h"

enum { READER_ROOMS_MAX = SIDEBAR_ROOMS_MAX };

struct reader_room {
    uint64_t key;  /* side_room_key */
    uint64_t seen; /* messages */
};

struct reader {
    uint64_t since;   /* the event number at which it began; UINT64_MAX = not known yet */
    uint64_t current; /* key of the room that is shown; 0 = none */
    uint32_t count, size;
    struct reader_room rooms[];
};

/* A page is shown: the first one, or the next one. `reader` is live->reader (void *): taken and kept
 * there. */
void reader_enter(void **reader, struct slice room, const struct board *board);
/* It shows the room no more, of which it has seen so many messages. */
void reader_leave(void **reader, struct slice room, uint64_t messages);
/* A new board came. */
void reader_board(void **reader, const struct side *side);

uint64_t reader_unread(const struct reader *reader, const struct side_room *room);
/* Over all rooms of the side. */
uint64_t reader_unread_total(const struct reader *reader, const struct side *side);
/* The rules that show them: bold names, badges with the count. */
void reader_add_css(struct buf *out, const struct reader *reader, const struct side *side);
