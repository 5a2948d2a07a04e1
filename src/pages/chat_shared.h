/* A room as all its readers in one time zone see it: the log, and what side.h has.
 *
 * Lines are rendered once, when a message is added. Kept are the newest PAGE_MESSAGES, which is what a
 * join shows; how they come and go is told in pages.h.
 */
#pragma once
#include "pages/line.h"
#include "pages/pages.h"
#include "pages/side.h"

enum { CHAT_PATH_MAX = 3 * ROOM_MAX + 1 };

struct chat_shared {
    struct side side;
    struct slice ui_title, room;
    char room_bytes[ROOM_MAX], path_bytes[CHAT_PATH_MAX];
    int16_t offset_minutes;
    struct line *lines; /* oldest first: the newest PAGE_MESSAGES, and behind them the fresh ones */
    size_t lines_count, lines_size;
    size_t settled_count;  /* how many of them are not fresh */
    struct line *messages; /* the stream's list: a part of the lines */
    size_t messages_count;
    uint64_t newest, seq; /* number and seq of the last message */
    int64_t day;          /* the reader's, when the days' words were made */
    struct buf scratch;
};

/* A page of older messages, newest first, as the stream's list of a model of its own; nothing else in
 * it is of use but the room. To be freed like the other one. */
struct chat_shared *chat_shared_history(const struct chat_shared *shared,
                                        const struct message *messages, size_t messages_count,
                                        int64_t now_ms);
