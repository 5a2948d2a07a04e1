#include "pages/chat_shared.h"

#include "base/mem.h"
#include "pages/when.h"

enum { LINE_BYTES_MAX = 1024 * 1024, LINES_AT_FIRST = PAGE_MESSAGES + 14 };

void *chat_shared_new(const struct shared_options *options)
{
    struct chat_shared *shared = mem_new(sizeof *shared);
    struct buf path;
    struct slice room = slice_first(options->room, ROOM_MAX);

    if (room.len > 0) memcpy(shared->room_bytes, room.at, room.len);
    shared->room = slice_make(shared->room_bytes, room.len);
    shared->ui_title = options->ui_title;
    shared->offset_minutes = options->offset_minutes;
    buf_init(&path, CHAT_PATH_MAX);
    side_add_path(&path, shared->room);
    memcpy(shared->path_bytes, path.at, path.len);
    side_init(&shared->side, slice_make(shared->path_bytes, path.len), shared->room);
    buf_close(&path);
    buf_init(&shared->scratch, LINE_BYTES_MAX);
    return shared;
}

void chat_shared_free(void *shared_at)
{
    struct chat_shared *shared = shared_at;
    if (shared == NULL) return;
    for (size_t i = 0; i < shared->lines_count; i++)
        line_close(&shared->lines[i]);
    mem_free(shared->lines);
    side_close(&shared->side);
    buf_close(&shared->scratch);
    mem_free(shared);
}

void chat_shared_board(void *shared_at, const struct board *board)
{
    struct chat_shared *shared = shared_at;
    side_board(&shared->side, board, SIDEBAR_ROOMS_MAX);
}

/* The stream's list: all that a join shows. */
static void show_newest(struct chat_shared *shared)
{
    size_t count = shared->lines_count < PAGE_MESSAGES ? shared->lines_count : PAGE_MESSAGES;
    shared->messages =
        shared->lines_count == 0 ? NULL : shared->lines + shared->lines_count - count;
    shared->messages_count = count;
}

static void add_line(struct chat_shared *shared, const struct message_sent *event, int64_t now_ms)
{
    if (shared->lines_count == shared->lines_size) {
        shared->lines_size = shared->lines_size == 0 ? LINES_AT_FIRST : 2 * shared->lines_size;
        shared->lines = mem_grow(shared->lines, shared->lines_size * sizeof *shared->lines);
    }
    line_make(&shared->lines[shared->lines_count++], event, now_ms, shared->offset_minutes,
              &shared->scratch);
    buf_shrink(&shared->scratch, CHAT_TEXT_MAX);
}

void chat_shared_add(void *shared_at, const struct message *message, int64_t now_ms)
{
    struct chat_shared *shared = shared_at;
    const struct message_sent *event = &message->event;
    if (event->number <= shared->newest) return; /* shown already */
    if (shared->lines_count == 0) shared->day = when_day(now_ms, shared->offset_minutes);
    add_line(shared, event, now_ms);
    shared->newest = event->number;
    shared->seq = event->seq;
    show_newest(shared);
}

void chat_shared_fresh(void *shared_at)
{
    struct chat_shared *shared = shared_at;
    shared->messages_count = shared->lines_count - shared->settled_count;
    shared->messages = shared->messages_count == 0 ? NULL : shared->lines + shared->settled_count;
}

void chat_shared_settle(void *shared_at)
{
    struct chat_shared *shared = shared_at;
    size_t extra = shared->lines_count > PAGE_MESSAGES ? shared->lines_count - PAGE_MESSAGES : 0;
    for (size_t i = 0; i < extra; i++)
        line_close(&shared->lines[i]);
    if (extra > 0) {
        shared->lines_count -= extra;
        memmove(shared->lines, shared->lines + extra, shared->lines_count * sizeof *shared->lines);
    }
    shared->settled_count = shared->lines_count;
    show_newest(shared);
}

void chat_shared_tail(void *shared_at, const struct room_tail *tail, int64_t now_ms)
{
    struct chat_shared *shared = shared_at;
    size_t first = tail->count > PAGE_MESSAGES ? tail->count - PAGE_MESSAGES : 0;
    for (size_t i = first; i < tail->count; i++)
        chat_shared_add(shared, room_tail_at(tail, i), now_ms);
    chat_shared_settle(shared);
}

void chat_shared_restart(void *shared_at, const struct room_tail *tail, int64_t now_ms)
{
    struct chat_shared *shared = shared_at;
    for (size_t i = 0; i < shared->lines_count; i++)
        line_close(&shared->lines[i]);
    shared->lines_count = shared->settled_count = 0;
    shared->newest = shared->seq = 0;
    chat_shared_tail(shared, tail, now_ms);
}

bool chat_shared_day_passed(void *shared_at, int64_t now_ms)
{
    struct chat_shared *shared = shared_at;
    int64_t day = when_day(now_ms, shared->offset_minutes);
    bool changed = false;
    if (shared->lines_count == 0 || day == shared->day) return false;
    shared->day = day;
    for (size_t i = 0; i < shared->lines_count; i++) {
        if (shared->lines[i].day.text.len == 0) continue;
        line_make_day(&shared->lines[i], now_ms, shared->offset_minutes, &shared->scratch);
        changed = true;
    }
    return changed;
}

struct chat_shared *chat_shared_history(const struct chat_shared *shared,
                                        const struct message *messages, size_t messages_count,
                                        int64_t now_ms)
{
    struct chat_shared *history =
        chat_shared_new(&(struct shared_options){.room = shared->room,
                                                 .offset_minutes = shared->offset_minutes,
                                                 .ui_title = shared->ui_title});
    for (size_t i = 0; i < messages_count; i++)
        add_line(history, &messages[i].event, now_ms);
    history->messages = history->lines;
    history->messages_count = history->lines_count;
    return history;
}
