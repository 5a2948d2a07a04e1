/* The pages behind the real channel: a browser's events, and what others write, are called, and answer, line by
 * line:
 *
 *   <frame    the browser sends it; %S in it is its session token, %N that of somebody without a name
 *   s text    maja writes it in the room        b name   somebody of that name comes, in a room of that name
 *   a digits  what waits first is answered: by an outcome, and a reason for a refusal
 *   w         what the page wanted to be woken for; a day later with "w1"
 *   d path    the page of a GET of it
 *
 * No '<' and no '"' of anybody's gets out: neither stands before "zq", which is in no template.
 */
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "fuzz.h"
#include "live/channel.h"
#include "pages/pages.h"

enum { LINES_MAX = 48, FRAME_MAX = 4 * 1024 * 1024, WAITING_MAX = 16, SHOWN_MAX = 3 };

static const int64_t morning_ms = 1795596423000; /* Wednesday 25 November 2026, 08:47:03 UTC */

struct waiting {
    enum live_info_kind kind;
    struct live_ref ref;
    struct command_id id;
};

static struct {
    struct live_host host;
    struct buf scratch, words, text; /* text: of the last command, which all answers are about */
    struct topic chat, home, cluster;
    struct shared *board;
    struct identity kari, maja, nobody;
    struct channel channel;
    struct live *live;
    struct waiting waiting[WAITING_MAX];
    size_t waiting_count;
    int64_t now_ms;
    uint8_t random;
    uint64_t seq;
    bool wants_waking;
} world;

/* ---- what goes out ---- */

static void must_lack(struct slice text, const char *mark, bool is_quote)
{
    if (text.len == 0) return;
    const char *end = text.at + text.len;
    for (const char *at = text.at;; at++) {
        at = memmem(at, (size_t)(end - at), mark, strlen(mark));
        if (at == NULL) return;
        if (is_quote && at > text.at && at[-1] == '=') continue; /* a value that begins so */
        fprintf(stderr, "%s in %.*s\n", mark, (int)text.len, text.at);
        abort();
    }
}

static void check_text(struct slice text, const char *quote)
{
    must_lack(text, "<zq", false);
    must_lack(text, quote, true);
}

static void check_frame(struct slice text)
{
    struct json *frame = NULL;
    int rv = json_parse(&frame, text, NULL);
    FUZZ_HOLDS(text_valid(text) &&
               (rv == 0 || rv == ERR_TOO_LARGE)); /* that is for what comes in */
    FUZZ_HOLDS(rv != 0 || (json_type(frame) == JSON_T_ARRAY && json_count(frame) == 5));
    json_free(frame);
    /* Refs and topic are the browser's own words. */
    const char *payload = memmem(text.at, text.len, ",\"phx_reply\",", 13);
    if (payload == NULL) payload = memmem(text.at, text.len, ",\"diff\",", 8);
    if (payload != NULL) check_text(slice_skip(text, (size_t)(payload - text.at)), "\\\"zq");
}

static void on_send(void *owner, void *connection, struct shared *const pieces[], size_t count)
{
    struct buf frame;
    (void)owner;
    (void)connection;
    buf_init(&frame, FRAME_MAX);
    for (size_t i = 0; i < count; i++)
        buf_add(&frame, shared_slice(pieces[i]));
    FUZZ_HOLDS(!frame.overflowed);
    check_frame(buf_slice(&frame));
    buf_close(&frame);
}

static struct shared *on_frame(void *owner, struct slice payload)
{
    (void)owner;
    return shared_copy(payload);
}

static void on_send_frame(void *owner, void *connection, struct shared *frame)
{
    struct shared *const pieces[] = {frame};
    on_send(owner, connection, pieces, 1);
}

/* ---- the host ---- */

static enum live_find on_find(void *owner, struct slice path, struct live_address *address,
                              struct buf *to)
{
    (void)owner;
    return pages_find(path, address, to);
}

static struct topic *topic_of(const struct live_address *address)
{
    if (address->view == &home_view) return &world.home;
    return address->view == &cluster_view ? &world.cluster : &world.chat;
}

static void on_open(void *owner, struct live *live, uint64_t seen)
{
    (void)owner;
    world.live = live;
    live_opened(live, topic_of(&live->address), seen > world.seq);
}

static void on_close(void *owner, struct live *live)
{
    (void)owner;
    if (world.live != live) return;
    world.live = NULL;
    world.waiting_count = 0;
    world.wants_waking = false;
}

static void keep(enum live_info_kind kind, const struct live_ref *ref, const struct command_id *id)
{
    if (world.waiting_count == WAITING_MAX) return;
    world.waiting[world.waiting_count++] = (struct waiting){
        .kind = kind, .ref = *ref, .id = id == NULL ? (struct command_id){{0}} : *id};
}

static void keep_command(enum live_info_kind kind, const struct live_ref *ref,
                         const struct send_message *command)
{
    buf_reset(&world.text);
    buf_add(&world.text, command->text);
    keep(kind, ref, &command->id);
}

static void on_dispatch(void *owner, struct live *live, const struct live_ref *ref,
                        const struct send_message *command)
{
    (void)owner;
    (void)live;
    FUZZ_HOLDS(slice_equal(command->sender, identity_name(live->identity)));
    keep_command(LIVE_ANSWERED, ref, command);
}

static void on_check(void *owner, struct live *live, const struct live_ref *ref,
                     const struct send_message *command)
{
    (void)owner;
    (void)live;
    keep_command(LIVE_CHECKED, ref, command);
}

static void on_history(void *owner, struct live *live, const struct live_ref *ref, uint64_t before)
{
    (void)owner;
    (void)live;
    (void)before;
    keep(LIVE_HISTORY, ref, NULL);
}

static void on_watch(void *owner, struct live *live, const struct command_id *id)
{
    (void)owner;
    (void)live;
    keep(LIVE_APPLIED, &(struct live_ref){.len = 0}, id);
}

static void on_wake(void *owner, struct live *live, uint32_t ms)
{
    (void)owner;
    (void)live;
    (void)ms;
    world.wants_waking = true;
}

static void on_typing(void *owner, struct live *live)
{
    (void)owner;
    (void)live;
}

static int64_t on_wall(void *owner)
{
    (void)owner;
    return world.now_ms;
}

static uint64_t on_now(void *owner)
{
    (void)owner;
    return (uint64_t)world.now_ms;
}

static void on_random(void *owner, void *out, size_t len)
{
    (void)owner;
    memset(out, ++world.random, len);
}

/* ---- the world ---- */

static struct identity person(uint8_t session, const char *name)
{
    struct identity who = {.issued_s = morning_ms / 1000, .name_len = (uint8_t)strlen(name)};
    memset(who.session, session, sizeof who.session);
    memcpy(who.name, name, who.name_len);
    identity_derive(&who, &world.host.keys);
    return who;
}

/* As the web thread does: the boards, then the broadcasts, then the reader. */
static void show_board(struct slice name)
{
    struct shared *bytes = board_new(1);
    struct board *board = board_fill(bytes);
    struct buf made;
    memset(board, 0, offsetof(struct board, people)); /* it is shorter than struct board */
    board->made_at_ms = world.now_ms;
    board->number = world.seq;
    board->voters = 3;
    board->voters_up = 2;
    board->health = BOARD_DEGRADED;
    snprintf(board->self, sizeof board->self, "tea-2");
    snprintf(board->sentence, sizeof board->sentence, "2 of 3 nodes are up.");
    board->nodes[board->nodes_count++] = (struct board_node){
        .name = "tea-2", .http = "http://h:1", .is_self = true, .is_known = true};
    struct board_room *room = &board->rooms[board->rooms_count++];
    *room = (struct board_room){.messages = world.seq, .last_number = world.seq};
    buf_init(&made, 4 * NAME_MAX_BYTES);
    bool is_room = text_room(&made, name);
    struct slice room_name = is_room ? buf_slice(&made) : slice_of("lobby");
    memcpy(room->name, room_name.at, room->name_len = (uint8_t)room_name.len);
    struct board_person *somebody = &board->people[board->people_count++];
    *somebody = (struct board_person){.room_len = 5, .is_typing = true, .room = "lobby"};
    buf_reset(&made);
    if (text_name(&made, name)) {
        memcpy(somebody->name, made.at, somebody->name_len = (uint8_t)made.len);
        memcpy(room->sender, made.at, room->sender_len = (uint8_t)made.len);
        memcpy(room->text, made.at, room->text_len = (uint8_t)made.len);
    }
    buf_close(&made);
    chat_shared_board(world.chat.shared, board);
    home_shared_board(world.home.shared, board);
    cluster_shared_board(world.cluster.shared, board);
    shared_unref(world.board);
    world.board = bytes;
    chat_shared_fresh(world.chat.shared);
    topic_broadcast(&world.chat, &world.host, &world.scratch);
    chat_shared_settle(world.chat.shared);
    topic_broadcast(&world.home, &world.host, &world.scratch);
    topic_broadcast(&world.cluster, &world.host, &world.scratch);
    if (world.live != NULL) live_inform(world.live, NULL, &(struct live_info){.kind = LIVE_LISTS});
}

static struct message message_of(struct slice text)
{
    world.seq++;
    return (struct message){.event = {.number = world.seq,
                                      .seq = world.seq,
                                      .sender = identity_name(&world.maja),
                                      .sender_id = world.maja.sender_id,
                                      .room = slice_of("lobby"),
                                      .text = text,
                                      .at_ms = world.now_ms,
                                      .previous_at_ms = world.now_ms - 1}};
}

static void say(struct slice text)
{
    bool is_text = text_valid(text) && !text_has_controls(text) && !text_blank(text);
    if (!is_text || text.len > CHAT_TEXT_MAX) return;
    struct message message = message_of(text);
    chat_shared_add(world.chat.shared, &message, world.now_ms);
    chat_shared_fresh(world.chat.shared);
    topic_broadcast(&world.chat, &world.host, &world.scratch);
    chat_shared_settle(world.chat.shared);
    topic_stream_changed(&world.chat);
}

static void add_session(struct buf *out, const struct identity *who)
{
    token_add_session(out, &world.host.keys, who);
}

static void open_channel(const struct identity *who)
{
    channel_close(&world.channel);
    channel_init(&world.channel, &world.host, NULL, who->csrf);
}

static void receive(struct slice line)
{
    struct buf frame;
    buf_init(&frame, FRAME_MAX);
    while (line.len > 0) {
        bool is_named = slice_starts(line, slice_of("%S"));
        if (is_named || slice_starts(line, slice_of("%N"))) {
            const struct identity *who = is_named ? &world.kari : &world.nobody;
            if (world.live == NULL) open_channel(who); /* its socket came with its page */
            add_session(&frame, who);
            line = slice_skip(line, 2);
        } else {
            buf_add_char(&frame, line.at[0]);
            line = slice_skip(line, 1);
        }
    }
    if (channel_receive(&world.channel, buf_slice(&frame)) != 0) open_channel(&world.kari);
    buf_close(&frame);
}

static void answer(struct slice line)
{
    if (world.live == NULL || world.waiting_count == 0) return;
    unsigned digit = line.len > 0 ? (unsigned char)line.at[0] - '0' : 0;
    unsigned reason = line.len > 1 ? (unsigned char)line.at[1] - '0' : 0;
    struct waiting first = world.waiting[0];
    world.waiting_count--;
    memmove(world.waiting, world.waiting + 1, world.waiting_count * sizeof *world.waiting);
    struct message messages[SHOWN_MAX];
    size_t count = first.kind == LIVE_HISTORY ? digit % (SHOWN_MAX + 1) : 0;
    for (size_t i = 0; i < count; i++)
        messages[i] = message_of(slice_of("<zq> \"zq **older** `<zq`"));
    live_inform(world.live, &first.ref,
                &(struct live_info){.kind = first.kind,
                                    .id = first.id,
                                    .text = buf_slice(&world.text),
                                    .outcome = (enum live_outcome)(digit % (LIVE_USED + 1u)),
                                    .refusal = (enum chat_refusal)(reason % (CHAT_NO_LEADER + 1u)),
                                    .number = world.seq + 1,
                                    .wait_ms = 2100,
                                    .messages = messages,
                                    .messages_count = count,
                                    .reached_start = digit % 2 == 0});
}

static void wake(struct slice line)
{
    world.now_ms += line.len > 0 ? 24 * 3600 * 1000 : 1000;
    if (chat_shared_day_passed(world.chat.shared, world.now_ms)) topic_stream_changed(&world.chat);
    if (world.live == NULL || !world.wants_waking) return;
    world.wants_waking = false;
    live_inform(world.live, NULL, &(struct live_info){.kind = LIVE_WOKEN});
}

static void dead_page(struct slice path)
{
    struct buf html, title, frame;
    struct live_address address;
    buf_init(&html, FRAME_MAX);
    buf_init(&title, HTTP_LINE_MAX * 6);
    buf_init(&frame, FRAME_MAX);
    if (pages_find(path, &address, &title) == LIVE_FOUND) {
        live_dead_render(&world.host, &address, &world.kari, topic_of(&address), 0, "NONCE", &html,
                         &title);
        pages_frame(&frame, &(struct frame){.title = buf_slice(&title),
                                            .ui_title = slice_of("Live Tea"),
                                            .content = buf_slice(&html)});
    } else if (text_valid(path)) {
        pages_not_found(&html, path);
        pages_unavailable(&html, slice_of("It starts."), board_of(world.board), path);
        buf_add(&frame, buf_slice(&html));
    }
    FUZZ_HOLDS(text_valid(buf_slice(&frame)));
    check_text(buf_slice(&frame), "\"zq");
    buf_close(&html);
    buf_close(&title);
    buf_close(&frame);
}

static void begin(void)
{
    memset(&world, 0, sizeof world);
    world.now_ms = morning_ms;
    buf_init(&world.scratch, FRAME_MAX);
    buf_init(&world.words, HTTP_LINE_MAX * 6);
    buf_init(&world.text, FRAME_MAX);
    world.host =
        (struct live_host){.keys = {.secrets = {SLICE("0123456789abcdef0123456789abcdef")}},
                           .node = "tea-2",
                           .scratch = &world.scratch,
                           .words = &world.words,
                           .send = on_send,
                           .frame = on_frame,
                           .send_frame = on_send_frame,
                           .find = on_find,
                           .open = on_open,
                           .close = on_close,
                           .dispatch = on_dispatch,
                           .check = on_check,
                           .history = on_history,
                           .watch = on_watch,
                           .wake = on_wake,
                           .typing = on_typing,
                           .wall_ms = on_wall,
                           .now_ms = on_now,
                           .random = on_random};
    world.kari = person(1, "Kari <zq");
    world.maja = person(2, "Maja \"zq");
    world.nobody = person(1, "");
    struct shared_options options = {
        .room = slice_of("lobby"), .offset_minutes = 60, .ui_title = slice_of("Live Tea")};
    topic_init(&world.chat, &chat_view, chat_shared_new(&options));
    topic_init(&world.home, &home_view, home_shared_new(&options));
    topic_init(&world.cluster, &cluster_view, cluster_shared_new(&options));
    channel_init(&world.channel, &world.host, NULL, world.kari.csrf);
    show_board(slice_of("Ola"));
}

static void end(void)
{
    channel_close(&world.channel);
    void *chat = world.chat.shared, *home = world.home.shared, *cluster = world.cluster.shared;
    topic_close(&world.chat);
    topic_close(&world.home);
    topic_close(&world.cluster);
    chat_shared_free(chat);
    home_shared_free(home);
    cluster_shared_free(cluster);
    shared_unref(world.board);
    buf_close(&world.scratch);
    buf_close(&world.words);
    buf_close(&world.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_make(data, size);
    begin();
    for (unsigned lines = 0; rest.len > 0 && lines < LINES_MAX; lines++) {
        struct slice line = slice_cut(&rest, '\n');
        struct slice words = slice_skip(line, 1);
        switch (line.len == 0 ? '\0' : line.at[0]) {
        case '<': receive(words); break;
        case 's': say(words); break;
        case 'b': show_board(words); break;
        case 'a': answer(words); break;
        case 'w': wake(words); break;
        case 'd': dead_page(words); break;
        default: break;
        }
    }
    end();
    return 0;
}
