/* The nodes of the cluster, its rates and what happened: it only shows. */
#include <inttypes.h>
#include <math.h>

#include "base/mem.h"
#include "pages/pages.h"
#include "pages/side.h"
#include "pages/visitor.h"
#include "pages/when.h"

enum {
    STYLE_MAX = 64 * 1024,
    SCRATCH_MAX = 16 * 1024,
    TILES = 4,
    CURVE_WIDTH = 200,
    CURVE_HEIGHT = 40,
    CURVE_TOP = 4, /* free above the highest value */
    EVENT_OLD_MS = 12 * 3600 * 1000
};

/* ---- model ---- */

struct cluster_node {
    struct slice name, address, role, classes, dot, heading;
    struct slice applied, behind, round_trip, browsers, disk, up;
};

struct cluster_tile {
    struct slice label, value;
    struct html curve; /* the inside of the svg */
};

struct cluster_happening {
    struct slice time, node, sentence;
};

struct cluster_shared {
    struct side side;
    struct slice ui_title, sentence;
    int16_t offset_minutes;
    bool has_status;
    struct cluster_node *nodes; /* these on the side's arena */
    struct cluster_happening *events;
    size_t nodes_count, events_count;
    struct cluster_tile tiles[TILES];
    size_t tiles_count;
};

struct cluster_model {
    struct visitor visitor;
};

void *cluster_shared_new(const struct shared_options *options)
{
    struct cluster_shared *shared = mem_new(sizeof *shared);
    shared->ui_title = options->ui_title;
    shared->offset_minutes = options->offset_minutes;
    shared->has_status = !options->is_status_apart;
    side_init(&shared->side, slice_of("/cluster"), slice_of(""));
    return shared;
}

void cluster_shared_free(void *shared_at)
{
    struct cluster_shared *shared = shared_at;
    if (shared == NULL) return;
    side_close(&shared->side);
    mem_free(shared);
}

static struct slice keep(struct cluster_shared *shared, struct buf *scratch)
{
    struct slice text = arena_keep(&shared->side.arena, buf_slice(scratch));
    buf_reset(scratch);
    return text;
}

/* ---- a card for each node ---- */

static struct slice number_of(struct cluster_shared *shared, uint64_t value, struct buf *scratch)
{
    when_add_number(scratch, value);
    return keep(shared, scratch);
}

/* "catching up, 83 %": the last hundredth is full when the last event is there, and it is over then. */
static void add_progress(const struct board_node *node, struct buf *scratch)
{
    uint64_t all = node->number + node->behind;
    buf_add(scratch, slice_of("catching up"));
    if (!node->is_known || all == 0) return;
    uint64_t percent = 100 * node->number / all;
    buf_printf(scratch, ", %" PRIu64 " %%", percent < 99 ? percent : 99);
}

static struct slice role_of(struct cluster_shared *shared, const struct board_node *node,
                            struct buf *scratch)
{
    switch (node->role) {
    case BOARD_LEADER: buf_add(scratch, slice_of("leader")); break;
    case BOARD_FOLLOWER: buf_add(scratch, slice_of("follower")); break;
    case BOARD_STANDBY: buf_add(scratch, slice_of("stand-by")); break;
    case BOARD_CATCHING_UP: add_progress(node, scratch); break;
    case BOARD_AWAY:
    default:
        buf_add(scratch, slice_of("away for "));
        when_add_duration(scratch, node->away_ms);
        break;
    }
    if (node->is_self) buf_add(scratch, slice_of(", serves you"));
    return keep(shared, scratch);
}

static struct slice dot_of(const struct board_node *node)
{
    if (node->role == BOARD_AWAY) return slice_of("dot down");
    return node->role == BOARD_CATCHING_UP ? slice_of("dot warn") : slice_of("dot");
}

static void make_node(struct cluster_shared *shared, struct cluster_node *card,
                      const struct board_node *node, struct buf *scratch)
{
    static const struct slice nothing = SLICE("-");
    bool is_away = node->role == BOARD_AWAY;
    *card = (struct cluster_node){
        .name = slice_from(node->name),
        .address = slice_from(node->address),
        .role = role_of(shared, node, scratch),
        .dot = dot_of(node),
        .classes = node->role == BOARD_LEADER ? slice_of("card leader")
                   : is_away                  ? slice_of("card down")
                                              : slice_of("card"),
        .applied = nothing,
        .behind = nothing,
        .round_trip = nothing,
        .browsers = nothing,
        .disk = nothing,
        .up = nothing,
    };
    buf_printf(scratch, "n-%s", node->name);
    card->heading = keep(shared, scratch);
    if (!node->is_known) return;
    card->applied = number_of(shared, node->number, scratch);
    card->behind = number_of(shared, node->behind, scratch);
    when_add_bytes(scratch, node->disk_bytes);
    card->disk = keep(shared, scratch);
    if (is_away) return;
    card->browsers = number_of(shared, node->browsers, scratch);
    when_add_duration(scratch, node->uptime_ms);
    card->up = keep(shared, scratch);
    if (node->is_self || isnan(node->rtt_ms)) return;
    buf_printf(scratch, "%.1f ms", node->rtt_ms);
    card->round_trip = keep(shared, scratch);
}

/* ---- tiles ---- */

/* The points of the curve; a second without a value takes the one before it. */
static void add_points(struct buf *out, const float values[BOARD_SPARK])
{
    float highest = 0;
    float last = 0;
    for (size_t i = 0; i < BOARD_SPARK; i++) {
        if (!isnan(values[i]) && values[i] > highest) highest = values[i];
    }
    for (size_t i = 0; i < BOARD_SPARK; i++) {
        if (!isnan(values[i])) last = values[i];
        float share = highest > 0 ? last / highest : 0;
        buf_printf(out, "%s%.1f,%.1f", i == 0 ? "" : " ",
                   (double)i * CURVE_WIDTH / (BOARD_SPARK - 1),
                   CURVE_HEIGHT - 1 - (double)share * (CURVE_HEIGHT - 1 - CURVE_TOP));
    }
}

static void make_curve(struct cluster_shared *shared, struct cluster_tile *tile,
                       const float values[BOARD_SPARK], struct buf *scratch)
{
    buf_printf(scratch, "<polyline points=\"0,%d ", CURVE_HEIGHT);
    add_points(scratch, values);
    buf_printf(scratch,
               " %d,%d\" fill=\"currentColor\" fill-opacity=\".12\"></polyline><polyline points=\"",
               CURVE_WIDTH, CURVE_HEIGHT);
    add_points(scratch, values);
    buf_add(scratch, slice_of("\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.75\" "
                              "vector-effect=\"non-scaling-stroke\"></polyline>"));
    tile->curve.text = keep(shared, scratch);
}

static void make_tile(struct cluster_shared *shared, const char *label, const char *format,
                      const float values[BOARD_SPARK], struct buf *scratch)
{
    struct cluster_tile *tile = &shared->tiles[shared->tiles_count++];
    double now = (double)values[BOARD_SPARK - 1];
    tile->label = slice_from(label);
    if (isnan(now)) {
        tile->value = slice_of("-");
    } else if (format == NULL) {
        tile->value = number_of(shared, now > 0 ? (uint64_t)llround(now) : 0, scratch);
    } else {
        buf_printf(scratch, "%.1f%s", now, format);
        tile->value = keep(shared, scratch);
    }
    make_curve(shared, tile, values, scratch);
}

/* ---- what happened ---- */

static void make_event(struct cluster_shared *shared, struct cluster_happening *row,
                       const struct board_event *event, struct buf *scratch)
{
    int64_t now = shared->side.board->made_at_ms;
    if (now - event->at_ms > EVENT_OLD_MS) {
        when_add_short(scratch, event->at_ms, now, shared->offset_minutes);
        if (when_day(now, shared->offset_minutes) !=
            when_day(event->at_ms, shared->offset_minutes)) {
            buf_add_char(scratch, ' ');
            when_add_time(scratch, event->at_ms, shared->offset_minutes);
        }
    } else {
        when_add_seconds(scratch, event->at_ms, shared->offset_minutes);
    }
    *row = (struct cluster_happening){
        .time = keep(shared, scratch),
        .node = slice_from(event->node),
        .sentence = slice_from(event->sentence),
    };
}

void cluster_shared_board(void *shared_at, const struct board *board)
{
    struct cluster_shared *shared = shared_at;
    struct buf scratch;
    side_board(&shared->side, board, SIDEBAR_ROOMS_MAX);
    buf_init(&scratch, SCRATCH_MAX);
    shared->sentence = slice_from(board->sentence);

    shared->nodes_count = board->nodes_count;
    shared->nodes = arena_take(&shared->side.arena, (MEMBERS_MAX + 1) * sizeof *shared->nodes);
    for (size_t i = 0; i < shared->nodes_count; i++)
        make_node(shared, &shared->nodes[i], &board->nodes[i], &scratch);

    shared->tiles_count = 0;
    make_tile(shared, "Messages each second", "", board->messages_per_second, &scratch);
    make_tile(shared, "Send to committed, p99", " ms", board->commit_p99_ms, &scratch);
    make_tile(shared, "Browsers connected", NULL, board->browsers, &scratch);
    make_tile(shared, "Log write to disk, p99", " ms", board->fsync_p99_ms, &scratch);

    shared->events_count = board->events_count;
    shared->events =
        arena_take(&shared->side.arena, (CLUSTER_EVENTS_MAX + 1) * sizeof *shared->events);
    for (size_t i = 0; i < shared->events_count; i++)
        make_event(shared, &shared->events[i], &board->events[i], &scratch);
    buf_close(&scratch);
}

/* ---- update ---- */

static const struct cluster_shared *shared_of(const struct live *live)
{
    return live->topic->shared;
}

static void cluster_mount(struct live *live, void *page)
{
    struct cluster_model *model = page;
    visitor_mount(&model->visitor, live, &shared_of(live)->side);
}

static void cluster_unmount(struct live *live, void *page)
{
    struct cluster_model *model = page;
    (void)live;
    visitor_unmount(&model->visitor);
}

static enum live_reply cluster_handle_event(struct live *live, void *page, struct slice event,
                                            const struct params *params)
{
    (void)live;
    (void)page;
    (void)event;
    (void)params;
    return LIVE_REPLY; /* no buttons here */
}

static void cluster_handle_info(struct live *live, void *page, const struct live_info *info)
{
    (void)page;
    if (info->kind == LIVE_LISTS) reader_board(&live->reader, &shared_of(live)->side);
}

/* ---- view ---- */

struct cluster_page {
    struct html style;
    struct slice strip, strip_class;
};

#include "cluster.heex.h"

static void cluster_view_render(struct render *r, const void *page, const void *at)
{
    const struct cluster_model *model = page;
    const struct cluster_shared *shared = at;
    if (model == NULL) {
        cluster_render(r, NULL, shared);
        return;
    }
    struct cluster_page view = {.strip_class = slice_of("strip")};
    struct buf style;
    buf_init(&style, STYLE_MAX);
    visitor_add_style(&style, &model->visitor, &shared->side, slice_of(""));
    view.style.text = buf_slice(&style);
    cluster_render(r, &view, shared);
    buf_close(&style);
}

static void cluster_title(struct buf *out, const void *page, const void *at)
{
    const struct cluster_model *model = page;
    const struct cluster_shared *shared = at;
    pages_add_unread(out, reader_unread_total(model->visitor.live->reader, &shared->side));
    buf_add(out, slice_of("Cluster"));
}

const struct view cluster_view = {
    .name = "cluster",
    .template = &cluster_template,
    .page_size = sizeof(struct cluster_model),
    .mount = cluster_mount,
    .unmount = cluster_unmount,
    .handle_event = cluster_handle_event,
    .handle_info = cluster_handle_info,
    .render = cluster_view_render,
    .title = cluster_title,
};
