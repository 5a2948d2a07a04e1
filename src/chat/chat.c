#include "chat/chat.h"

#include <assert.h>
#include <inttypes.h>

#include <utlist.h>

#include "base/mem.h"
#include "base/text.h"

static_assert(sizeof(((struct chat_room *)NULL)->name) == ROOM_MAX, "a room's name fits");

static const struct {
    const char *word, *sentence;
} refusals[] = {
#define CHAT_REFUSAL_WORDS(name, word, sentence) [name] = {word, sentence},
    CHAT_REFUSAL_TABLE(CHAT_REFUSAL_WORDS)
#undef CHAT_REFUSAL_WORDS
};

const char *chat_refusal_word(enum chat_refusal refusal)
{
    return refusals[refusal].word;
}

const char *chat_refusal_sentence(enum chat_refusal refusal)
{
    return refusals[refusal].sentence;
}

void chat_init(struct chat *chat, const struct chat_limits *limits)
{
    *chat = (struct chat){.limits = *limits};
    window_init(&chat->window, WINDOW_EVENTS);
    rate_init(&chat->rate, limits->rate, limits->rate_window_ms);
}

void chat_close(struct chat *chat)
{
    struct chat_room *room;
    struct chat_room *next;
    HASH_ITER(hh, chat->rooms, room, next) {
        HASH_DEL(chat->rooms, room);
        shared_unref(room->last);
        mem_free(room);
    }
    window_close(&chat->window);
    rate_close(&chat->rate);
    *chat = (struct chat){.limits = chat->limits};
}

/* ---- execute ---- */

/* What both sides of the log ask, by rules that no version of Unicode's tables changes. */
static enum chat_refusal check_lawful(const struct send_message *command)
{
    struct slice text = command->text;
    if (text.len == 0) return CHAT_TEXT_EMPTY;
    if (text.len > CHAT_TEXT_MAX) return CHAT_TEXT_TOO_LONG;
    if (!text_valid(text)) return CHAT_TEXT_INVALID;
    if (text_has_controls(text)) return CHAT_TEXT_INVALID;
    if (text_blank(text)) return CHAT_TEXT_EMPTY;
    if (text_code_points(text) > CHAT_TEXT_CODE_POINTS_MAX) return CHAT_TEXT_TOO_LONG;

    struct slice sender = command->sender;
    if (sender.len == 0 || sender.len > NAME_MAX_BYTES) return CHAT_NAME_INVALID;
    if (!text_valid(sender) || text_blank(sender)) return CHAT_NAME_INVALID;
    if (text_has_controls(sender)) return CHAT_NAME_INVALID;
    if (slice_find(sender, '\n') < sender.len || slice_find(sender, '\t') < sender.len)
        return CHAT_NAME_INVALID;
    if (text_code_points(sender) > NAME_CODE_POINTS_MAX) return CHAT_NAME_INVALID;

    return text_room_lawful(command->room) ? CHAT_ACCEPTED : CHAT_ROOM_INVALID;
}

/* Is it written the one way that `normalise` writes it? */
static bool is_normal(struct slice text, bool (*normalise)(struct buf *out, struct slice raw))
{
    struct buf normal;
    buf_init(&normal, text.len);
    bool same = normalise(&normal, text) && slice_equal(buf_slice(&normal), text);
    buf_close(&normal);
    return same;
}

/* ASCII names are the many, and in order if lawful: the tables need not be asked. */
static bool is_plain_word(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.';
        if (!plain) return false;
    }
    return text.len > 0;
}

enum chat_refusal chat_check(const struct chat_limits *limits, const struct send_message *command)
{
    enum chat_refusal refusal = check_lawful(command);
    if (refusal != CHAT_ACCEPTED) return refusal;
    if (text_code_points(command->text) > limits->text_code_points_max) return CHAT_TEXT_TOO_LONG;
    if (!is_plain_word(command->sender) && !is_normal(command->sender, text_name))
        return CHAT_NAME_INVALID;
    if (!is_plain_word(command->room) && !is_normal(command->room, text_room))
        return CHAT_ROOM_INVALID;
    return CHAT_ACCEPTED;
}

static uint64_t content_of(const struct send_message *command)
{
    return command_content(&command->sender_id, command->room, command->text);
}

enum chat_refusal chat_judge(const struct chat *chat, const struct send_message *command)
{
    enum chat_refusal refusal = chat_check(&chat->limits, command);
    if (refusal != CHAT_ACCEPTED) return refusal;

    const struct window_entry *known = window_find(&chat->window, &command->id);
    if (known != NULL) return known->content == content_of(command) ? CHAT_DUPLICATE : CHAT_ID_USED;
    return CHAT_ACCEPTED;
}

enum chat_refusal chat_execute(struct chat *chat, const struct send_message *command,
                               uint64_t now_ms, uint32_t *wait_ms)
{
    *wait_ms = 0;
    enum chat_refusal refusal = chat_judge(chat, command);
    if (refusal != CHAT_ACCEPTED) return refusal;
    /* Whoever says that it may be in the log already is not refused for what its first copy has
     * taken, but a page may say so of anything: without a token nobody writes. */
    *wait_ms = command->retried ? rate_take_again(&chat->rate, &command->sender_id, now_ms)
                                : rate_take(&chat->rate, &command->sender_id, now_ms);
    return *wait_ms == 0 ? CHAT_ACCEPTED : CHAT_TOO_FAST;
}

/* ---- apply ---- */

struct chat_room *chat_find_room(struct chat *chat, struct slice name)
{
    struct chat_room *room = NULL;
    if (name.len == 0 || name.len > ROOM_MAX) return NULL;
    HASH_FIND(hh, chat->rooms, name.at, name.len, room);
    return room;
}

static struct chat_room *room_new(struct chat *chat, struct slice name)
{
    assert(name.len > 0 && name.len <= ROOM_MAX);
    struct chat_room *room = mem_new(sizeof *room);
    memcpy(room->name, name.at, name.len);
    room->name_len = (uint8_t)name.len;
    HASH_ADD(hh, chat->rooms, name, name.len, room);
    DL_PREPEND2(chat->newest, room, newer, older);
    chat->rooms_count++;
    return room;
}

/* How many messages of the same sender stand directly before this one under one head. */
static uint32_t run_of(const struct chat_room *room, const struct message_sent *event)
{
    if (room->seq == 0) return 0;
    if (memcmp(&room->last_sender_id, &event->sender_id, sizeof event->sender_id) != 0) return 0;
    if (event->at_ms - room->last_at_ms > RUN_GAP_MS) return 0;
    return room->run + 1 >= RUN_MAX ? 0 : room->run + 1;
}

/* What an event changes, whoever decided it. */
static void take_up(struct chat *chat, struct chat_room *room, const struct message_sent *event)
{
    room->seq = event->seq;
    room->last_number = event->number;
    room->last_at_ms = event->at_ms;
    room->last_sender_id = event->sender_id;
    room->run = event->run;
    if (room != chat->newest) {
        DL_DELETE2(chat->newest, room, newer, older);
        DL_PREPEND2(chat->newest, room, newer, older);
    }
    chat->number = event->number;
    chat->at_ms = event->at_ms;
    chat->digest = event->digest;
}

/* Has the taker of the command looked at everything that the window has forgotten? */
static bool is_decidable(const struct chat *chat, const struct send_message *command)
{
    return command->unseen_up_to >= chat->window.first - 1;
}

static void make_event(struct chat *chat, const struct send_message *command, uint64_t index,
                       struct message_sent *event)
{
    struct chat_room *room = chat_find_room(chat, command->room);
    if (room == NULL) room = room_new(chat, command->room);

    *event = (struct message_sent){
        .number = chat->number + 1,
        .index = index,
        .seq = room->seq + 1,
        .room = command->room,
        .sender = command->sender,
        .text = command->text,
        .sender_id = command->sender_id,
        .id = command->id,
        .at_ms = command->at_ms > chat->at_ms ? command->at_ms : chat->at_ms,
        .previous_at_ms = room->last_at_ms,
    };
    event->run = run_of(room, event);
    event_digest(&event->digest, &chat->digest, event);

    take_up(chat, room, event);
}

enum chat_outcome chat_apply(struct chat *chat, const struct send_message *command, uint64_t index,
                             struct message_sent *event)
{
    if (index > chat->index) chat->index = index;
    if (check_lawful(command) != CHAT_ACCEPTED) return CHAT_INVALID;
    if (command->at_ms < 0 || command->at_ms > AT_MS_MAX) return CHAT_INVALID;

    uint64_t content = content_of(command);
    const struct window_entry *known = window_find(&chat->window, &command->id);
    if (known != NULL) {
        if (known->content != content) return CHAT_USED;
        *event = (struct message_sent){.number = known->number};
        return CHAT_KNOWN;
    }
    if (!is_decidable(chat, command)) return CHAT_RETRY;

    make_event(chat, command, index, event);
    window_add(&chat->window, event->number, &event->id, content);
    return CHAT_APPLIED;
}

/* Why an event is not the next one; NULL: it is. */
static const char *not_the_next(const struct chat *chat, const struct chat_room *room,
                                const struct message_sent *event)
{
    const struct send_message command = {
        .room = event->room, .sender = event->sender, .text = event->text};
    struct digest expected;
    if (event->number != chat->number + 1) return "its number leaves a gap";
    if (check_lawful(&command) != CHAT_ACCEPTED) return "its text, sender or room is not lawful";
    if (event->seq != room->seq + 1) return "its seq leaves a gap in its room";
    if (event->at_ms < chat->at_ms) return "its time is before the last event's";
    if (event->at_ms > AT_MS_MAX) return "its time is none";
    if (event->previous_at_ms != room->last_at_ms)
        return "it gives another time for the message before it in its room";
    if (event->run != run_of(room, event)) return "its place under a head is another one";
    event_digest(&expected, &chat->digest, event);
    if (memcmp(&expected, &event->digest, sizeof expected) != 0)
        return "its digest does not follow from the last one";
    if (window_find(&chat->window, &event->id) != NULL) return "its command id was used before";
    return NULL;
}

int chat_take(struct chat *chat, const struct message_sent *event, struct errmsg *errmsg)
{
    static const struct chat_room none;
    struct chat_room *room = chat_find_room(chat, event->room);
    const char *wrong = not_the_next(chat, room == NULL ? &none : room, event);
    if (wrong != NULL) {
        errmsg_set(errmsg, "event %" PRIu64 " does not continue the history: %s", event->number,
                   wrong);
        return ERR_DATA;
    }
    if (room == NULL) room = room_new(chat, event->room);
    take_up(chat, room, event);
    window_add(&chat->window, event->number, &event->id,
               command_content(&event->sender_id, event->room, event->text));
    return 0;
}

void chat_remember(struct chat *chat, const struct message_sent *event, struct shared *bytes)
{
    struct chat_room *room = chat_find_room(chat, event->room);
    assert(room != NULL && room->last_number == event->number);
    shared_unref(room->last);
    room->last = shared_ref(bytes);
}

/* ---- taking up ---- */

struct chat_room *chat_restore_room(struct chat *chat, const struct chat_room *room)
{
    assert(chat->newest == NULL || chat->newest->last_number < room->last_number);
    struct chat_room *restored = room_new(chat, chat_room_name(room));
    restored->seq = room->seq;
    restored->last_number = room->last_number;
    restored->last_at_ms = room->last_at_ms;
    restored->last_sender_id = room->last_sender_id;
    restored->run = room->run;
    return restored;
}

void chat_restore_event(struct chat *chat, const struct message_sent *event)
{
    if (chat->window.first > chat->window.last) window_reset(&chat->window, event->number);
    window_add(&chat->window, event->number, &event->id,
               command_content(&event->sender_id, event->room, event->text));
}

void chat_restore(struct chat *chat, uint64_t number, uint64_t index, int64_t at_ms,
                  const struct digest *digest)
{
    if (chat->window.first > chat->window.last) window_reset(&chat->window, number + 1);
    assert(chat->window.last == number);
    chat->number = number;
    chat->index = index;
    chat->at_ms = at_ms;
    chat->digest = *digest;
}
