#include "app/rooms.h"

#include <utlist.h>

#include "app/viewers.h"
#include "base/clock.h"
#include "base/hash_table.h"
#include "base/mem.h"
#include "pages/pages.h"

enum {
    LINGER_MS = 10 * 1000,        /* a room that nobody wants is kept so long, if it has messages */
    FRESH_BYTES_MAX = 128 * 1024, /* of messages that go out as one diff, and the last of them */
    FLOOD_PAUSE_MS = 250          /* after a reset nothing goes out for so long */
};

static_assert((FRESH_BYTES_MAX + CHAT_TEXT_MAX) * 8 < RESPONSE_MAX,
              "escaped and marked up they fit");

struct offset_topic { /* one topic for each time zone offset in use */
    struct topic topic;
    int16_t offset_minutes;
    struct offset_topic *next, *prev;
};

struct room {
    char name[ROOM_MAX];
    uint8_t name_len;
    bool is_ready, is_dirty;
    struct room_tail tail;
    struct offset_topic *topics;
    struct room_waiter *waiters;
    struct room_waiter *to_wake; /* of them, while they are told: the next */
    bool is_idle;                /* ready, and nobody is in it */
    uint64_t idle_since_ms;
    struct room *next_idle, *prev_idle;
    uint64_t applied_ns;  /* of the newest event that has not gone out yet */
    uint64_t fresh_count; /* all that have not: the tail's last, unless they are more */
    uint64_t calm_at_ms;  /* after a reset: nothing goes out before */
    struct room *next_dirty;
    UT_hash_handle hh;
};

struct rooms {
    struct web_thread *thread;
    struct room *rooms;
    struct room *dirty;
    struct room *idle; /* the longest first */
    size_t idle_count;
    struct offset_topic *home, *cluster;
    struct buf scratch;
};

struct rooms *rooms_new(struct web_thread *thread)
{
    struct rooms *rooms = mem_new(sizeof *rooms);
    *rooms = (struct rooms){.thread = thread};
    buf_init(&rooms->scratch, RESPONSE_MAX);
    return rooms;
}

/* ---- topics ---- */

static struct offset_topic *find_topic(struct offset_topic *topics, int16_t offset_minutes)
{
    struct offset_topic *topic;
    DL_FOREACH(topics, topic)
        if (topic->offset_minutes == offset_minutes) break;
    return topic;
}

static struct offset_topic *new_topic(struct offset_topic **topics, const struct view *view,
                                      int16_t offset_minutes, void *shared)
{
    struct offset_topic *topic = mem_new(sizeof *topic);
    topic->offset_minutes = offset_minutes;
    topic_init(&topic->topic, view, shared);
    DL_APPEND(*topics, topic);
    return topic;
}

static void free_topic(struct offset_topic *topic, void (*shared_free)(void *shared))
{
    void *shared = topic->topic.shared;
    topic_close(&topic->topic);
    shared_free(shared);
    mem_free(topic);
}

static void free_topics(struct offset_topic **topics, void (*shared_free)(void *shared))
{
    struct offset_topic *topic, *next;
    DL_FOREACH_SAFE(*topics, topic, next) {
        DL_DELETE(*topics, topic);
        free_topic(topic, shared_free);
    }
}

struct kind { /* of page: what a topic of it is made of */
    const struct view *view;
    void *(*shared_new)(const struct shared_options *options);
    void (*shared_board)(void *shared, const struct board *board);
};

static const struct kind home_kind = {&home_view, home_shared_new, home_shared_board};
static const struct kind cluster_kind = {&cluster_view, cluster_shared_new, cluster_shared_board};
static const struct kind chat_kind = {&chat_view, chat_shared_new, chat_shared_board};

/* `room` may be NULL: for pages that are no room's. */
static struct offset_topic *make_topic(struct rooms *rooms, struct offset_topic **topics,
                                       const struct kind *kind, const struct room *room,
                                       int16_t offset_minutes)
{
    const struct config *config = web_thread_config(rooms->thread);
    const struct board *board = web_thread_board(rooms->thread);
    struct shared_options options = {.offset_minutes = offset_minutes,
                                     .is_status_apart = config->http.admin_listen[0] != '\0',
                                     .ui_title = slice_from(config->ui.title)};
    if (room != NULL) options.room = slice_make(room->name, room->name_len);
    void *shared = kind->shared_new(&options);
    if (board != NULL) kind->shared_board(shared, board);
    return new_topic(topics, kind->view, offset_minutes, shared);
}

struct topic *room_topic(struct rooms *rooms, struct room *room, int16_t offset_minutes)
{
    struct offset_topic *topic = find_topic(room->topics, offset_minutes);
    if (topic != NULL) return &topic->topic;
    topic = make_topic(rooms, &room->topics, &chat_kind, room, offset_minutes);
    chat_shared_tail(topic->topic.shared, &room->tail, clock_wall_ms());
    return &topic->topic;
}

struct topic *rooms_home_topic(struct rooms *rooms, int16_t offset_minutes)
{
    struct offset_topic *topic = find_topic(rooms->home, offset_minutes);
    if (topic == NULL) topic = make_topic(rooms, &rooms->home, &home_kind, NULL, offset_minutes);
    return &topic->topic;
}

struct topic *rooms_cluster_topic(struct rooms *rooms, int16_t offset_minutes)
{
    struct offset_topic *topic = find_topic(rooms->cluster, offset_minutes);
    if (topic == NULL)
        topic = make_topic(rooms, &rooms->cluster, &cluster_kind, NULL, offset_minutes);
    return &topic->topic;
}

static bool broadcast(struct rooms *rooms, struct topic *topic)
{
    return topic_broadcast(topic, viewers_host(web_thread_viewers(rooms->thread)), &rooms->scratch);
}

/* The newest `room->fresh_count` messages of the tail, in diffs that fit: what comes after a pause of this
 * thread may be much, and a diff that does not fit would cost every reader its page. */
static void send_fresh(struct rooms *rooms, const struct room *room, struct topic *topic)
{
    const struct live_host *host = viewers_host(web_thread_viewers(rooms->thread));
    int64_t wall_ms = clock_wall_ms();
    size_t place = room->tail.count - (size_t)room->fresh_count;
    while (place < room->tail.count) {
        for (size_t bytes = 0; place < room->tail.count && bytes < FRESH_BYTES_MAX; place++) {
            const struct message *message = room_tail_at(&room->tail, place);
            bytes += message->bytes->len;
            chat_shared_add(topic->shared, message, wall_ms);
        }
        chat_shared_fresh(topic->shared);
        topic_broadcast_stream(topic, host, &rooms->scratch);
        chat_shared_settle(topic->shared);
    }
}

/* More than anybody reads, as when this node fetches what it lacks: the newest take the place of all that
 * the readers have, and then there is a pause. So a page gets what a join gets, a few times a second,
 * however fast the history runs by; and no message is missing between two that it shows. */
static void send_reset(struct rooms *rooms, struct room *room, struct topic *topic)
{
    const struct live_host *host = viewers_host(web_thread_viewers(rooms->thread));
    chat_shared_restart(topic->shared, &room->tail, clock_wall_ms());
    topic_broadcast_reset(topic, host, &rooms->scratch);
    room->calm_at_ms = uv_now(web_thread_loop(rooms->thread)) + FLOOD_PAUSE_MS;
}

/* What has come for the room goes out to its readers. */
static void flush_room(struct rooms *rooms, struct room *room)
{
    struct offset_topic *topic;
    if (room->fresh_count == 0) return;
    DL_FOREACH(room->topics, topic) {
        if (room->fresh_count > room->tail.count)
            send_reset(rooms, room, &topic->topic);
        else
            send_fresh(rooms, room, &topic->topic);
        topic_stream_changed(&topic->topic);
    }
    room->fresh_count = 0;
    histogram_add(&web_thread_counters(rooms->thread)->push,
                  (clock_ns() - room->applied_ns) / 1000);

    struct room_waiter *waiter, *next;
    DL_FOREACH_SAFE(room->waiters, waiter, next)
        if (waiter->on_messages != NULL) waiter->on_messages(waiter);
}

/* ---- opening and leaving ---- */

static struct room *find_room(const struct rooms *rooms, struct slice name)
{
    struct room *room;
    HASH_FIND(hh, rooms->rooms, name.at, name.len, room);
    return room;
}

static void mail_room(struct rooms *rooms, const struct room *room, int kind)
{
    struct room_mail *mail = mem_new(sizeof *mail);
    mail->mail.kind = kind;
    mail->thread = rooms->thread;
    mail->room_len = room->name_len;
    memcpy(mail->room, room->name, room->name_len);
    web_thread_mail_domain(rooms->thread, &mail->mail);
}

static void begin_idling(struct rooms *rooms, struct room *room)
{
    if (room->is_idle) return;
    room->is_idle = true;
    room->idle_since_ms = uv_now(web_thread_loop(rooms->thread));
    DL_APPEND2(rooms->idle, room, prev_idle, next_idle);
    rooms->idle_count++;
}

static void end_idling(struct rooms *rooms, struct room *room)
{
    if (!room->is_idle) return;
    room->is_idle = false;
    DL_DELETE2(rooms->idle, room, prev_idle, next_idle);
    rooms->idle_count--;
}

static struct room *new_room(struct rooms *rooms, struct slice name)
{
    struct room *room = mem_new(sizeof *room);
    assert(name.len > 0 && name.len <= ROOM_MAX);
    room->name_len = (uint8_t)name.len;
    memcpy(room->name, name.at, name.len);
    room_tail_init(&room->tail);
    HASH_ADD_KEYPTR(hh, rooms->rooms, room->name, room->name_len, room);
    mail_room(rooms, room, MAIL_ROOM_OPEN);
    return room;
}

static void free_room(struct rooms *rooms, struct room *room)
{
    assert(room->waiters == NULL && !room->is_dirty);
    end_idling(rooms, room);
    HASH_DEL(rooms->rooms, room);
    free_topics(&room->topics, chat_shared_free);
    room_tail_close(&room->tail);
    mem_free(room);
}

/* A waiter's on_ready may make it, or others, leave: rooms_leave moves to_wake on. Who comes meanwhile is told
 * there and then, for the room is ready. */
static void wake_waiters(struct room *room)
{
    room->to_wake = room->waiters;
    while (room->to_wake != NULL) {
        struct room_waiter *waiter = room->to_wake;
        room->to_wake = waiter->next;
        if (waiter->is_ready) continue;
        waiter->is_ready = true;
        waiter->on_ready(waiter, 0);
    }
}

/* The tail does not come. Who comes meanwhile is sent away, too. */
static void send_waiters_away(struct room *room, int status)
{
    while (room->waiters != NULL) {
        struct room_waiter *waiter = room->waiters;
        DL_DELETE(room->waiters, waiter);
        waiter->room = NULL;
        waiter->on_ready(waiter, status);
    }
}

void rooms_free(struct rooms *rooms)
{
    struct room *room, *next;
    rooms->dirty = NULL;
    HASH_ITER(hh, rooms->rooms, room, next) {
        room->is_dirty = false;
        /* Pages whose tail never came: they wait for nobody now. */
        if (!room->is_ready) send_waiters_away(room, ERR_CLOSED);
        free_room(rooms, room);
    }
    free_topics(&rooms->home, home_shared_free);
    free_topics(&rooms->cluster, cluster_shared_free);
    buf_close(&rooms->scratch);
    mem_free(rooms);
}

void rooms_open(struct rooms *rooms, struct room_waiter *waiter, struct slice name)
{
    struct room *room = find_room(rooms, name);
    if (room == NULL) room = new_room(rooms, name);
    /* Who joins is shown all there is, and is not to get it a second time at the end of the turn. */
    flush_room(rooms, room);
    waiter->room = room;
    waiter->is_ready = room->is_ready;
    end_idling(rooms, room);
    DL_APPEND(room->waiters, waiter);
    if (room->is_ready) waiter->on_ready(waiter, 0);
}

void rooms_leave(struct rooms *rooms, struct room_waiter *waiter)
{
    struct room *room = waiter->room;
    if (room == NULL) return;
    if (room->to_wake == waiter) room->to_wake = waiter->next;
    DL_DELETE(room->waiters, waiter);
    waiter->room = NULL;
    if (room->waiters == NULL && room->is_ready) begin_idling(rooms, room);
}

const struct room_tail *room_tail_of(const struct room *room)
{
    return &room->tail;
}

/* Each topic is made anew for every board: those without readers go. */
static void sweep_topics(struct offset_topic **topics, void (*shared_free)(void *shared))
{
    struct offset_topic *topic, *next;
    DL_FOREACH_SAFE(*topics, topic, next) {
        if (topic->topic.readers != NULL) continue;
        DL_DELETE(*topics, topic);
        free_topic(topic, shared_free);
    }
}

static void close_room(struct rooms *rooms, struct room *room)
{
    mail_room(rooms, room, MAIL_ROOM_CLOSE);
    free_room(rooms, room);
}

void rooms_sweep(struct rooms *rooms)
{
    struct room *room, *next;
    uint64_t now_ms = uv_now(web_thread_loop(rooms->thread));
    int64_t wall_ms = clock_wall_ms();
    HASH_ITER(hh, rooms->rooms, room, next) {
        struct offset_topic *topic;
        DL_FOREACH(room->topics, topic)
            if (chat_shared_day_passed(topic->topic.shared, wall_ms))
                topic_stream_changed(&topic->topic);
        if (!room->is_idle || room->is_dirty) continue;
        /* One that holds nothing is as quickly made again: names are for the asking. */
        if (room->tail.count > 0 && room->idle_since_ms + LINGER_MS > now_ms) continue;
        close_room(rooms, room);
    }
}

void rooms_trim(struct rooms *rooms)
{
    struct room *room, *next;
    DL_FOREACH_SAFE2(rooms->idle, room, next, next_idle)
    {
        if (rooms->idle_count <= ROOMS_IDLE_MAX) return;
        if (!room->is_dirty) close_room(rooms, room);
    }
}

size_t rooms_count(const struct rooms *rooms)
{
    return HASH_COUNT(rooms->rooms);
}

/* ---- what comes from the domain thread ---- */

void rooms_tail_came(struct rooms *rooms, struct room_mail *mail)
{
    struct room *room = find_room(rooms, slice_make(mail->room, mail->room_len));
    struct message_sent event;
    if (room == NULL || room->is_ready) return; /* asked for twice around a close */

    if (mail->status != 0) {
        send_waiters_away(room, mail->status);
        free_room(rooms, room);
        return;
    }
    room_tail_reset(&room->tail, mail->next_seq - mail->count);
    for (size_t i = 0; i < mail->count; i++) {
        int rv = event_decode(&event, shared_slice(mail->messages[i]), NULL);
        assert(rv == 0);
        room_tail_add(&room->tail, mail->messages[i], &event);
    }
    room->is_ready = true;
    wake_waiters(room);
    if (room->waiters == NULL) begin_idling(rooms, room);
}

static void add_to_room(struct rooms *rooms, struct shared *bytes, const struct message_sent *event,
                        uint64_t applied_ns)
{
    struct room *room = find_room(rooms, event->room);
    if (room == NULL || !room->is_ready) return; /* the tail that is on its way has it */
    if (!room_tail_add(&room->tail, bytes, event)) return;

    room->applied_ns = applied_ns;
    room->fresh_count++;
    if (room->is_dirty) return;
    room->is_dirty = true;
    room->next_dirty = rooms->dirty;
    rooms->dirty = room;
}

void rooms_events_came(struct rooms *rooms, struct events_mail *mail)
{
    for (size_t i = 0; i < mail->count; i++) {
        struct message_sent event;
        int rv = event_decode(&event, shared_slice(mail->events[i]), NULL);
        assert(rv == 0);
        add_to_room(rooms, mail->events[i], &event, mail->applied_ns);
        viewers_applied(web_thread_viewers(rooms->thread), &event);
    }
}

void rooms_flush(struct rooms *rooms)
{
    uint64_t now_ms = uv_now(web_thread_loop(rooms->thread));
    struct room **place = &rooms->dirty;
    while (*place != NULL) {
        struct room *room = *place;
        if (room->calm_at_ms > now_ms) {
            place = &room->next_dirty;
            continue;
        }
        *place = room->next_dirty;
        room->is_dirty = false;
        flush_room(rooms, room);
    }
}

bool rooms_is_resting(const struct rooms *rooms, struct slice name)
{
    if (rooms->dirty == NULL) return false;
    const struct room *room = find_room(rooms, name);
    return room != NULL && room->is_dirty && room->fresh_count > 0;
}

void rooms_board(struct rooms *rooms, const struct board *board)
{
    struct offset_topic *topic;
    struct room *room;
    sweep_topics(&rooms->home, home_shared_free);
    sweep_topics(&rooms->cluster, cluster_shared_free);
    DL_FOREACH(rooms->home, topic) {
        home_shared_board(topic->topic.shared, board);
        broadcast(rooms, &topic->topic);
    }
    DL_FOREACH(rooms->cluster, topic) {
        cluster_shared_board(topic->topic.shared, board);
        broadcast(rooms, &topic->topic);
    }
    /* Messages that wait for the end of this turn go out first: a broadcast sends the stream too. */
    rooms_flush(rooms);
    for (room = rooms->rooms; room != NULL; room = room->hh.next) {
        sweep_topics(&room->topics, chat_shared_free);
        DL_FOREACH(room->topics, topic) {
            chat_shared_board(topic->topic.shared, board);
            chat_shared_fresh(topic->topic.shared); /* nothing: no line is sent again */
            broadcast(rooms, &topic->topic);
            chat_shared_settle(topic->topic.shared);
        }
    }
}

size_t rooms_topics(const struct rooms *rooms)
{
    const struct offset_topic *topic;
    const struct room *room;
    size_t count = 0, some;
    DL_COUNT(rooms->home, topic, some);
    count += some;
    DL_COUNT(rooms->cluster, topic, some);
    count += some;
    for (room = rooms->rooms; room != NULL; room = room->hh.next) {
        DL_COUNT(room->topics, topic, some);
        count += some;
    }
    return count;
}
