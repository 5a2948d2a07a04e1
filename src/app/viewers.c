/* Longer than 500 lines because struct live_host is one door with fourteen functions; what is long in
 * itself stands behind it: commands, older, rooms.
 */
#include "app/viewers.h"

#include <utlist.h>

#include "app/commands.h"
#include "app/older.h"
#include "app/rooms.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/hash_table.h"
#include "base/log.h"
#include "base/mem.h"
#include "pages/pages.h"

enum {
    LISTS_PER_TURN = 64, /* views that hear of new lists in one turn of the loop */
    /* However often a browser says it, the domain thread and the leader hear it so often. */
    TYPING_EVERY_MS = 500,
    CHECK_EVERY_MS = 200
};

struct viewer {
    uint64_t id;
    struct live *live;
    struct viewers *viewers;
    struct room_waiter waiter; /* in its room */
    uint64_t seen;             /* hold the join until this is applied; 0 = no more */
    bool is_queued, is_held, is_present, is_watching, behind;
    struct command_id watched;
    struct later *wake;            /* the page is to be woken; NULL: not */
    uint64_t typed_ms, checked_ms; /* when that was told last; 0 = never */
    struct sender_id present;      /* who was told to be present */
    struct viewer *next, *prev;    /* all: viewers->all */
    struct viewer *next_queued, *prev_queued;
    UT_hash_handle hh;          /* by id */
    UT_hash_handle hh_watching; /* by the command that it watches; several may watch the same */
};

struct viewers {
    struct web_thread *thread;
    struct live_host host;
    struct viewer *by_id, *all, *queued;
    struct viewer *watching; /* by the command */
    struct viewer *to_tell;  /* the next that has not heard of the newest lists; NULL = all have */
    bool tells_again;        /* newer ones came meanwhile */
    size_t queued_count;
    uint64_t last_id;
    unsigned joins_in_turn;
    uint64_t join_ns;          /* what one costs, smoothed */
    uv_idle_t idle;            /* runs while joins wait */
    struct buf scratch, words; /* the engine's, by way of the host */
    uint64_t turn_ms;          /* loop time of the turn that joins_in_turn counts */
};

static struct viewer *find_viewer(struct viewers *viewers, uint64_t id)
{
    struct viewer *viewer;
    HASH_FIND(hh, viewers->by_id, &id, sizeof id, viewer);
    return viewer;
}

/* ---- presence ---- */

static void tell_presence(struct viewer *viewer, enum presence_what what)
{
    const struct live *live = viewer->live;
    if (what == PRESENCE_ENTER) viewer->present = live->identity->sender_id;
    struct presence_mail *mail = mem_new(sizeof *mail);
    *mail = (struct presence_mail){.mail.kind = MAIL_PRESENCE,
                                   .what = what,
                                   .sender_id = viewer->present,
                                   .room_len = live->address.room_len,
                                   .name_len = live->identity->name_len};
    memcpy(mail->room, live->address.room, live->address.room_len);
    memcpy(mail->name, live->identity->name, live->identity->name_len);
    web_thread_mail_domain(viewer->viewers->thread, &mail->mail);
}

/* ---- opening ---- */

static bool shows_room(const struct viewer *viewer)
{
    return viewer->live->address.view == &chat_view;
}

static struct topic *topic_for(struct viewer *viewer)
{
    struct rooms *rooms = web_thread_rooms(viewer->viewers->thread);
    int16_t offset = viewer->live->offset_minutes;
    if (shows_room(viewer)) return room_topic(rooms, viewer->waiter.room, offset);
    if (viewer->live->address.view == &cluster_view) return rooms_cluster_topic(rooms, offset);
    return rooms_home_topic(rooms, offset);
}

static void opened(struct viewer *viewer)
{
    uint64_t before_ns = clock_ns();
    struct viewers *viewers = viewer->viewers;
    if (shows_room(viewer) && viewer->live->identity->name_len > 0) {
        viewer->is_present = true;
        tell_presence(viewer, PRESENCE_ENTER);
    }
    struct channel *channel = viewer->live->channel; /* the others may be gone afterwards */
    live_opened(viewer->live, topic_for(viewer), viewer->behind);
    if (channel->is_joined_once) conn_joined(channel->connection);
    viewers->join_ns += (clock_ns() - before_ns) / 8 - viewers->join_ns / 8;
}

static void on_room_ready(struct room_waiter *waiter, int status)
{
    struct viewer *viewer = (struct viewer *)((char *)waiter - offsetof(struct viewer, waiter));
    if (status != 0) {
        live_refused(viewer->live, "reload");
        return;
    }
    opened(viewer);
}

static void open_room(struct viewer *viewer)
{
    const struct live_address *address = &viewer->live->address;
    if (!shows_room(viewer)) {
        opened(viewer);
        return;
    }
    rooms_open(web_thread_rooms(viewer->viewers->thread), &viewer->waiter,
               slice_make(address->room, address->room_len));
}

static void mail_reach(const struct viewer *viewer, int kind)
{
    struct web_thread *thread = viewer->viewers->thread;
    struct reach_mail *mail = mem_new(sizeof *mail);
    *mail = (struct reach_mail){
        .mail.kind = kind, .who = {.thread = thread, .viewer = viewer->id}, .number = viewer->seen};
    web_thread_mail_domain(thread, &mail->mail);
}

/* A page that came from another node must not go back: wait for what it has seen. */
static void go(struct viewer *viewer)
{
    struct viewers *viewers = viewer->viewers;
    if (viewer->seen <= web_thread_applied(viewers->thread)) {
        open_room(viewer);
        return;
    }
    viewer->is_held = true;
    mail_reach(viewer, MAIL_REACH);
}

void viewers_reached(struct viewers *viewers, struct reach_mail *mail)
{
    struct viewer *viewer = find_viewer(viewers, mail->who.viewer);
    if (viewer == NULL) return;
    viewer->is_held = false;
    viewer->behind = !mail->reached;
    open_room(viewer);
}

static void next_turn(struct viewers *viewers)
{
    uint64_t now_ms = uv_now(web_thread_loop(viewers->thread));
    if (now_ms == viewers->turn_ms) return;
    viewers->turn_ms = now_ms;
    viewers->joins_in_turn = 0;
}

static void join_some(struct viewers *viewers)
{
    viewers->joins_in_turn = 0;
    while (viewers->queued != NULL && viewers->joins_in_turn < JOINS_PER_TURN_MAX) {
        struct viewer *viewer = viewers->queued;
        DL_DELETE2(viewers->queued, viewer, prev_queued, next_queued);
        viewers->queued_count--;
        viewer->is_queued = false;
        viewers->joins_in_turn++;
        go(viewer);
    }
}

static void tell_some(struct viewers *viewers)
{
    struct live_info info = {.kind = LIVE_LISTS};
    for (int i = 0; i < LISTS_PER_TURN && viewers->to_tell != NULL; i++) {
        struct viewer *viewer = viewers->to_tell;
        viewers->to_tell = viewer->next; /* it may be gone afterwards */
        if (viewer->live->state == LIVE_MOUNTED) live_inform(viewer->live, NULL, &info);
    }
    if (viewers->to_tell != NULL || !viewers->tells_again) return;
    viewers->tells_again = false;
    viewers->to_tell = viewers->all;
}

static void on_idle(uv_idle_t *idle)
{
    struct viewers *viewers = idle->data;
    join_some(viewers);
    tell_some(viewers);
    if (viewers->queued == NULL && viewers->to_tell == NULL) uv_idle_stop(idle);
}

static void host_open(void *owner, struct live *live, uint64_t seen)
{
    struct viewers *viewers = owner;
    struct viewer *viewer = mem_new(sizeof *viewer);
    viewer->id = ++viewers->last_id;
    viewer->live = live;
    viewer->viewers = viewers;
    viewer->seen = seen;
    viewer->waiter.on_ready = on_room_ready;
    live->host_data = viewer;
    HASH_ADD(hh, viewers->by_id, id, sizeof viewer->id, viewer);
    DL_APPEND(viewers->all, viewer);

    next_turn(viewers);
    if (viewers->queued == NULL && viewers->joins_in_turn < JOINS_PER_TURN_MAX) {
        viewers->joins_in_turn++;
        go(viewer);
        return;
    }
    DL_APPEND2(viewers->queued, viewer, prev_queued, next_queued);
    viewers->queued_count++;
    viewer->is_queued = true;
    uv_idle_start(&viewers->idle, on_idle);
}

static void stop_watching(struct viewer *viewer)
{
    if (!viewer->is_watching) return;
    viewer->is_watching = false;
    HASH_DELETE(hh_watching, viewer->viewers->watching, viewer);
}

static void not_woken(struct viewer *viewer)
{
    if (viewer->wake != NULL) chores_cancel(viewer->wake);
    viewer->wake = NULL;
}

static void host_close(void *owner, struct live *live)
{
    struct viewers *viewers = owner;
    struct viewer *viewer = live->host_data;
    if (viewer == NULL) return;
    live->host_data = NULL;
    if (viewer->is_present) tell_presence(viewer, PRESENCE_LEAVE);
    if (viewer->is_held) mail_reach(viewer, MAIL_REACH_END);
    if (viewer->is_queued) {
        DL_DELETE2(viewers->queued, viewer, prev_queued, next_queued);
        viewers->queued_count--;
    }
    stop_watching(viewer);
    not_woken(viewer);
    rooms_leave(web_thread_rooms(viewers->thread), &viewer->waiter);
    if (viewers->to_tell == viewer) viewers->to_tell = viewer->next;
    DL_DELETE(viewers->all, viewer);
    HASH_DEL(viewers->by_id, viewer);
    mem_free(viewer);
}

/* ---- to the browser ---- */

static struct shared *host_frame(void *owner, struct slice payload)
{
    (void)owner;
    return ws_text_frame(payload);
}

static void host_send_frame(void *owner, void *connection, struct shared *frame)
{
    (void)owner;
    conn_send(connection, frame);
}

static void host_send(void *owner, void *connection, struct shared *const pieces[], size_t count)
{
    enum { PIECES_MAX = 8 };
    struct shared *all[PIECES_MAX];
    uint64_t len = 0;
    uint8_t head[WS_HEAD_MAX];
    (void)owner;
    assert(count < PIECES_MAX);
    for (size_t i = 0; i < count; i++) {
        all[i + 1] = pieces[i];
        len += pieces[i]->len;
    }
    size_t head_len = ws_text_head(head, len);
    all[0] = shared_copy(slice_make(head, head_len));
    conn_send_pieces(connection, all, count + 1);
    shared_unref(all[0]);
}

/* ---- commands ---- */

static struct command_mail *mail_for(struct viewer *viewer, const struct live_ref *ref,
                                     const struct send_message *command)
{
    struct command_mail *mail = command_mail_new(viewer->viewers->thread, command);
    mail->viewer = viewer->id;
    if (ref != NULL) mail->ref = *ref;
    return mail;
}

static void host_dispatch(void *owner, struct live *live, const struct live_ref *ref,
                          const struct send_message *command)
{
    struct viewers *viewers = owner;
    struct command_mail *mail = mail_for(live->host_data, ref, command);
    uint32_t wait_ms =
        web_thread_rate_address(viewers->thread, conn_address(live->channel->connection));
    if (wait_ms > 0) {
        commands_refuse(viewers->thread, mail, CHAT_TOO_FAST, wait_ms);
        return;
    }
    commands_send(viewers->thread, mail);
}

static bool is_too_soon(const struct viewers *viewers, uint64_t *last_ms, uint64_t every_ms)
{
    uint64_t now_ms = uv_now(web_thread_loop(viewers->thread));
    if (*last_ms != 0 && now_ms - *last_ms < every_ms) return true;
    *last_ms = now_ms;
    return false;
}

/* Each check may cost a barrier, that is an entry in the log of every node. */
static void host_check(void *owner, struct live *live, const struct live_ref *ref,
                       const struct send_message *command)
{
    struct viewers *viewers = owner;
    struct viewer *viewer = live->host_data;
    struct command_mail *mail = mail_for(viewer, ref, command);
    if (is_too_soon(viewers, &viewer->checked_ms, CHECK_EVERY_MS)) {
        commands_check_none(viewers->thread, mail);
        return;
    }
    commands_check(viewers->thread, mail);
}

void viewers_answered(struct viewers *viewers, struct command_mail *mail)
{
    static const enum live_outcome of_check[] = {[CHECK_KNOWN] = LIVE_ACCEPTED,
                                                 [CHECK_USED] = LIVE_USED,
                                                 [CHECK_NOT_FOUND] = LIVE_NOT_FOUND,
                                                 [CHECK_RETRY] = LIVE_UNKNOWN,
                                                 [CHECK_NOBODY] = LIVE_UNKNOWN};
    static const enum live_outcome of_answer[] = {[ANSWER_ACCEPTED] = LIVE_ACCEPTED,
                                                  [ANSWER_REFUSED] = LIVE_REFUSED,
                                                  [ANSWER_UNKNOWN] = LIVE_UNKNOWN,
                                                  [ANSWER_RETRY] = LIVE_UNKNOWN};
    struct viewer *viewer = find_viewer(viewers, mail->viewer);
    if (viewer == NULL) return; /* the page has gone: what it sent is kept or not all the same */
    struct live_info info = {
        .kind = mail->is_check ? LIVE_CHECKED : LIVE_ANSWERED,
        .id = mail->request.command.id,
        .text = mail->request.command.text,
        .outcome = mail->is_check ? of_check[mail->check] : of_answer[mail->answer.kind],
        .refusal = mail->answer.refusal,
        .wait_ms = mail->answer.wait_ms,
        .number = mail->answer.number,
    };
    live_inform(viewer->live, mail->ref.len == 0 ? NULL : &mail->ref, &info);
}

static void host_watch(void *owner, struct live *live, const struct command_id *id)
{
    struct viewers *viewers = owner;
    struct viewer *viewer = live->host_data;
    stop_watching(viewer);
    viewer->watched = *id;
    viewer->is_watching = true;
    HASH_ADD(hh_watching, viewers->watching, watched, sizeof viewer->watched, viewer);
}

static bool is_of(const struct live *live, const struct message_sent *event)
{
    return slice_equal(event->room, slice_make(live->address.room, live->address.room_len)) &&
           memcmp(&event->sender_id, &live->identity->sender_id, sizeof event->sender_id) == 0;
}

void viewers_applied(struct viewers *viewers, const struct message_sent *event)
{
    const struct command_id *id = &event->id;
    struct live_info info = {
        .kind = LIVE_APPLIED, .id = *id, .outcome = LIVE_ACCEPTED, .number = event->number};
    bool is_shown = false;
    while (viewers->watching != NULL) {
        struct viewer *viewer;
        HASH_FIND(hh_watching, viewers->watching, id, sizeof *id, viewer);
        if (viewer == NULL) return;
        if (!is_shown) { /* it sees the message before it hears that it was sent */
            rooms_flush(web_thread_rooms(viewers->thread));
            is_shown = true;
            continue;
        }
        stop_watching(viewer);
        info.text = is_of(viewer->live, event) ? event->text : slice_of("");
        live_inform(viewer->live, NULL, &info);
    }
}

/* ---- history ---- */

struct history { /* a view that asked for older messages */
    struct older older;
    struct viewers *viewers;
    uint64_t viewer;
    struct live_ref ref;
};

static void on_older(struct older *older)
{
    struct history *history = (struct history *)older;
    struct viewer *viewer = find_viewer(history->viewers, history->viewer);
    struct live_info info = {.kind = LIVE_HISTORY,
                             .messages = older->messages,
                             .messages_count = older->count,
                             .reached_start = older_reached_start(older)};
    if (viewer != NULL) live_inform(viewer->live, &history->ref, &info);
    mem_free(history);
}

static void host_history(void *owner, struct live *live, const struct live_ref *ref,
                         uint64_t before_number)
{
    struct viewers *viewers = owner;
    const struct viewer *viewer = live->host_data;
    struct history *history = mem_new(sizeof *history);
    *history = (struct history){.older = {.thread = viewers->thread,
                                          .room_len = live->address.room_len,
                                          .before_number = before_number,
                                          .address = conn_address(live->channel->connection),
                                          .on_read = on_older},
                                .viewers = viewers,
                                .viewer = viewer->id,
                                .ref = *ref};
    memcpy(history->older.room, live->address.room, live->address.room_len);
    older_read(&history->older, room_tail_of(viewer->waiter.room));
}

/* ---- the rest of what a page may ask for ---- */

static void woken(void *owner)
{
    struct viewer *viewer = owner;
    struct live_info info = {.kind = LIVE_WOKEN};
    viewer->wake = NULL;
    live_inform(viewer->live, NULL, &info);
}

static void host_wake(void *owner, struct live *live, uint32_t ms)
{
    struct viewers *viewers = owner;
    struct viewer *viewer = live->host_data;
    not_woken(viewer); /* one timer for each, whatever its browser makes it wish for */
    viewer->wake = chores_later(web_thread_chores(viewers->thread), ms, woken, viewer);
}

static void host_typing(void *owner, struct live *live)
{
    struct viewers *viewers = owner;
    struct viewer *viewer = live->host_data;
    if (!viewer->is_present || is_too_soon(viewers, &viewer->typed_ms, TYPING_EVERY_MS)) return;
    tell_presence(viewer, PRESENCE_TYPING);
}

static enum live_find host_find(void *owner, struct slice path, struct live_address *address,
                                struct buf *to)
{
    (void)owner;
    return pages_find(path, address, to);
}

static int64_t host_wall_ms(void *owner)
{
    (void)owner;
    return clock_wall_ms();
}

static uint64_t host_now_ms(void *owner)
{
    const struct viewers *viewers = owner;
    return uv_now(web_thread_loop(viewers->thread));
}

static void host_random(void *owner, void *out, size_t len)
{
    (void)owner;
    crypto_random(out, len);
}

/* A node with ten thousand readers has other things to do meanwhile: some in each turn. If that takes
 * longer than until the next lists, these wait: the last readers must have their turn, too. */
void viewers_lists(struct viewers *viewers)
{
    if (viewers->to_tell != NULL) {
        viewers->tells_again = true;
        return;
    }
    viewers->to_tell = viewers->all;
    if (viewers->to_tell != NULL) uv_idle_start(&viewers->idle, on_idle);
}

size_t viewers_count(const struct viewers *viewers)
{
    return HASH_COUNT(viewers->by_id);
}

uint32_t viewers_backlog_ms(const struct viewers *viewers)
{
    return (uint32_t)(viewers->queued_count * viewers->join_ns / 1000000);
}

struct viewers *viewers_new(struct web_thread *thread, const struct token_keys *keys)
{
    struct viewers *viewers = mem_new(sizeof *viewers);
    viewers->thread = thread;
    viewers->host = (struct live_host){.owner = viewers,
                                       .keys = *keys,
                                       .node = web_thread_config(thread)->node.name,
                                       .scratch = &viewers->scratch,
                                       .words = &viewers->words,
                                       .frame = host_frame,
                                       .send_frame = host_send_frame,
                                       .send = host_send,
                                       .find = host_find,
                                       .open = host_open,
                                       .close = host_close,
                                       .dispatch = host_dispatch,
                                       .check = host_check,
                                       .history = host_history,
                                       .watch = host_watch,
                                       .wake = host_wake,
                                       .typing = host_typing,
                                       .wall_ms = host_wall_ms,
                                       .now_ms = host_now_ms,
                                       .random = host_random};
    buf_init(&viewers->scratch, RESPONSE_MAX);
    buf_init(&viewers->words, HTTP_LINE_MAX);
    uv_idle_init(web_thread_loop(thread), &viewers->idle);
    viewers->idle.data = viewers;
    return viewers;
}

void viewers_stop(struct viewers *viewers)
{
    uv_close((uv_handle_t *)&viewers->idle, NULL);
}

void viewers_free(struct viewers *viewers)
{
    assert(viewers->all == NULL);
    buf_close(&viewers->scratch);
    buf_close(&viewers->words);
    mem_free(viewers);
}

const struct live_host *viewers_host(const struct viewers *viewers)
{
    return &viewers->host;
}
