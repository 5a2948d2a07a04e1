/* One message as a line of the log, rendered once for all readers of a room and time zone.
 *
 * The day line stands inside of the item of the day's first message, so that the stream has nothing
 * but messages. Whether there is one, and whether the line shows a head (picture, name, time),
 * follows from the message and the time zone, and never changes; only the day's word does, at
 * midnight ("Today").
 */
#pragma once
#include "chat/read_model.h"
#include "live/render.h"

struct line {
    struct slice id;      /* "m-1041" */
    struct slice classes; /* "m first u-7f3a" */
    struct html day;      /* the day line, or empty */
    struct html head, body;
    uint64_t number, seq;
    int64_t at_ms;
    char *day_bytes, *bytes; /* what the texts stand on */
};

/* `scratch` is the caller's, left empty. */
void line_make(struct line *line, const struct message_sent *event, int64_t now_ms,
               int16_t offset_minutes, struct buf *scratch);
/* The day's word anew. Does nothing for a line without one. */
void line_make_day(struct line *line, int64_t now_ms, int16_t offset_minutes, struct buf *scratch);
void line_close(struct line *line);
