/* Home: a name, the rooms, and a room of one's own. */
#include <inttypes.h>

#include "base/mem.h"
#include "base/text.h"
#include "pages/pages.h"
#include "pages/side.h"
#include "pages/visitor.h"
#include "pages/when.h"

enum { STYLE_MAX = 64 * 1024, LAST_MAX = NAME_MAX_BYTES + BOARD_TEXT_MAX + 2 };

/* ---- model ---- */

struct home_room {
    struct slice name, path, mark, when, last, here;
};

struct home_shared {
    struct side side;
    struct slice ui_title;
    int16_t offset_minutes;
    struct home_room *rooms; /* on the side's arena */
    size_t rooms_count;
};

enum room_state { ROOM_IDLE, ROOM_INVALID };

struct home_model {
    struct visitor visitor;
    uint8_t room_state;
    uint8_t refusal; /* of a form without JavaScript */
};

void *home_shared_new(const struct shared_options *options)
{
    struct home_shared *shared = mem_new(sizeof *shared);
    shared->ui_title = options->ui_title;
    shared->offset_minutes = options->offset_minutes;
    side_init(&shared->side, slice_of("/"), slice_of(""));
    return shared;
}

void home_shared_free(void *shared_at)
{
    struct home_shared *shared = shared_at;
    if (shared == NULL) return;
    side_close(&shared->side);
    mem_free(shared);
}

static void make_room(struct home_shared *shared, struct home_room *room,
                      const struct side_room *side_room, const struct board_room *from,
                      struct buf *scratch)
{
    *room = (struct home_room){
        .name = side_room->name, .path = side_room->path, .mark = side_room->mark};
    when_add_short(scratch, from->last_at_ms, shared->side.board->made_at_ms,
                   shared->offset_minutes);
    room->when = arena_keep(&shared->side.arena, buf_slice(scratch));
    buf_reset(scratch);
    buf_append(scratch, from->sender, from->sender_len);
    buf_add(scratch, slice_of(": "));
    buf_append(scratch, from->text, from->text_len);
    room->last = arena_keep(&shared->side.arena, buf_slice(scratch));
    buf_reset(scratch);
    if (from->here > 0) {
        buf_printf(scratch, "%" PRIu32 " here", from->here);
        room->here = arena_keep(&shared->side.arena, buf_slice(scratch));
        buf_reset(scratch);
    }
}

void home_shared_board(void *shared_at, const struct board *board)
{
    struct home_shared *shared = shared_at;
    struct buf scratch;
    side_board(&shared->side, board, LIST_ROOMS_MAX);
    buf_init(&scratch, LAST_MAX);
    shared->rooms_count = shared->side.rooms_count;
    shared->rooms =
        arena_take(&shared->side.arena, (shared->rooms_count + 1) * sizeof *shared->rooms);
    for (size_t i = 0; i < shared->rooms_count; i++) {
        make_room(shared, &shared->rooms[i], &shared->side.rooms[i], &board->rooms[i], &scratch);
    }
    buf_close(&scratch);
}

/* ---- update ---- */

static const struct home_shared *shared_of(const struct live *live)
{
    return live->topic->shared;
}

static void home_mount(struct live *live, void *page)
{
    struct home_model *model = page;
    visitor_mount(&model->visitor, live, &shared_of(live)->side);
    int hint = live_hint(live);
    if (hint > CHAT_ACCEPTED && hint != CHAT_NAME_INVALID) {
        model->room_state = ROOM_INVALID;
        model->refusal = (uint8_t)hint;
    }
}

static void home_unmount(struct live *live, void *page)
{
    struct home_model *model = page;
    (void)live;
    visitor_unmount(&model->visitor);
}

static void open_room(struct live *live, struct home_model *model, const struct params *params)
{
    struct buf room, path;
    buf_init(&room, ROOM_MAX);
    buf_init(&path, 3 * ROOM_MAX + 1);
    if (text_room(&room, params_get(params, "room")) && !pages_is_reserved(buf_slice(&room))) {
        side_add_path(&path, buf_slice(&room));
        model->room_state = ROOM_IDLE;
        live_navigate(live, buf_slice(&path));
    } else {
        model->room_state = ROOM_INVALID;
        model->refusal = CHAT_ROOM_INVALID;
    }
    buf_close(&room);
    buf_close(&path);
}

static enum live_reply home_handle_event(struct live *live, void *page, struct slice event,
                                         const struct params *params)
{
    struct home_model *model = page;
    if (slice_is(event, "set_name")) visitor_set_name(&model->visitor, params);
    if (slice_is(event, "open_room")) open_room(live, model, params);
    return LIVE_REPLY;
}

static void home_handle_info(struct live *live, void *page, const struct live_info *info)
{
    (void)page;
    if (info->kind == LIVE_LISTS) reader_board(&live->reader, &shared_of(live)->side);
}

/* ---- view ---- */

struct home_page {
    struct html style;
    struct visitor_view v;
    struct slice room_hint, strip, strip_class;
};

#include "home.heex.h"

static void home_view_render(struct render *r, const void *page, const void *at)
{
    const struct home_model *model = page;
    const struct home_shared *shared = at;
    static const struct home_page nobody = {.strip_class = SLICE("strip")};
    if (model == NULL) { /* what all have in common */
        home_render(r, &nobody, shared);
        return;
    }
    struct home_page view = {.strip_class = slice_of("strip")};
    struct buf style;
    buf_init(&style, STYLE_MAX);
    visitor_add_style(&style, &model->visitor, &shared->side, slice_of(""));
    view.style.text = buf_slice(&style);
    visitor_fill(&view.v, &model->visitor);
    if (model->room_state == ROOM_INVALID) {
        view.room_hint =
            model->refusal == CHAT_ROOM_INVALID
                ? slice_of("There can be no room of that name. Letters, digits, - _ . make one.")
                : slice_from(chat_refusal_sentence((enum chat_refusal)model->refusal));
    }
    home_render(r, &view, shared);
    buf_close(&style);
}

static void home_title(struct buf *out, const void *page, const void *at)
{
    const struct home_model *model = page;
    const struct home_shared *shared = at;
    pages_add_unread(out, reader_unread_total(model->visitor.live->reader, &shared->side));
    buf_add(out, slice_of("Rooms"));
}

const struct view home_view = {
    .name = "home",
    .template = &home_template,
    .page_size = sizeof(struct home_model),
    .mount = home_mount,
    .unmount = home_unmount,
    .handle_event = home_handle_event,
    .handle_info = home_handle_info,
    .render = home_view_render,
    .title = home_title,
};
