/* The aggregate: decides whether a SendMessage is allowed, and what the log of them means.
 *
 *   chat_execute   on the leader, before the log: refuse, or let it into the batch
 *   chat_apply     on every node, after the commit, in log order: duplicate, or the next event
 *
 * Both are pure: they read no clock, draw no number, open no socket. execute looks at committed
 * state; what it decides is advice that apply repeats where it matters (duplicates). apply must be
 * the same function on every node and every run: numbers, seq, at_ms, grouping and digests follow
 * from the log alone. It takes whatever was committed: what is senseless in it gives CHAT_INVALID,
 * the same everywhere, never an assert.
 *
 * Neither side of the log may depend on the version of a library: two nodes may run on two releases
 * of a system. So apply asks only what is fixed for ever (UTF-8, limits, fixed lists of controls and
 * blanks, text_room_lawful), and execute asks Unicode's tables besides: is the name written the one
 * way that text_name writes it, the room as text_room does?
 *
 * Exactly once: the taker of a command looked for the id in its whole store up to number S
 * (unseen_up_to). apply looks among the last WINDOW_EVENTS. If S lies before the window the command
 * is not decided here: CHAT_RETRY, the same on all nodes, and its taker looks again.
 *
 * Owned by the domain thread.
 */
#pragma once

#include "base/hash_table.h"
#include "chat/event.h"
#include "chat/rate.h"
#include "chat/window.h"

/* name, word on the wire and in metrics, sentence for a person */
#define CHAT_REFUSAL_TABLE(X)                                                                  \
    X(CHAT_ACCEPTED, "accepted", "Sent.")                                                      \
    X(CHAT_TEXT_EMPTY, "empty", "The message is empty.")                                       \
    X(CHAT_TEXT_TOO_LONG, "too_long", "That message is too long.")                             \
    X(CHAT_TEXT_INVALID, "invalid_text", "The message holds characters that cannot be shown.") \
    X(CHAT_NAME_INVALID, "invalid_name", "That name cannot be used.")                          \
    X(CHAT_ROOM_INVALID, "invalid_room", "There can be no room of that name.")                 \
    X(CHAT_TOO_FAST, "too_fast", "Slow down a little.")                                        \
    X(CHAT_ID_USED, "id_used", "This id was used for another message.")                        \
    X(CHAT_DUPLICATE, "duplicate", "Sent already.")                                            \
    X(CHAT_BUSY, "busy", "Too much is waiting. Try again in a moment.")                        \
    X(CHAT_NO_LEADER, "no_leader", "Not sent: no leader.")

#define CHAT_REFUSAL_ENUM(name, word, sentence) name,
enum chat_refusal { CHAT_REFUSAL_TABLE(CHAT_REFUSAL_ENUM) };
#undef CHAT_REFUSAL_ENUM

const char *chat_refusal_word(enum chat_refusal refusal);
const char *chat_refusal_sentence(enum chat_refusal refusal);

/* Of apply, for the taker of the command. */
enum chat_outcome {
    CHAT_APPLIED, /* an event was made */
    CHAT_KNOWN,   /* the same command was applied before: its number */
    CHAT_USED,    /* the id belongs to another message */
    CHAT_RETRY,   /* S lies before the window */
    CHAT_INVALID  /* nothing that execute would have let pass */
};

struct chat_room {       /* what the log says of one room; its last message for the lists */
    char name[ROOM_MAX]; /* no NUL */
    uint8_t name_len;
    uint64_t seq;         /* of its last message */
    uint64_t last_number; /* of its last message */
    int64_t last_at_ms;
    struct sender_id last_sender_id;
    uint32_t run;        /* of its last message */
    struct shared *last; /* its last message as event_encode makes it, or NULL until loaded */
    struct chat_room *newer, *older; /* by last_number, newest first: chat.newest */
    UT_hash_handle hh;
};

struct chat_limits {
    uint32_t text_code_points_max;
    uint32_t rate; /* messages of one sender in rate_window_ms; 0 = off */
    uint32_t rate_window_ms;
};

struct chat {
    uint64_t number; /* of the last event; 0 = none yet */
    uint64_t index;  /* of the last raft entry that was applied */
    int64_t at_ms;   /* of the last event */
    struct digest digest;
    struct window window;
    struct rate rate;
    struct chat_limits limits;
    struct chat_room *rooms;  /* a uthash by name: chat_find_room searches it */
    struct chat_room *newest; /* head of the list by last_number */
    size_t rooms_count;
};

void chat_init(struct chat *chat, const struct chat_limits *limits);
void chat_close(struct chat *chat);

/* May this be appended? `now_ms` is the leader's monotonic clock, for the rate alone. Fills
 * wait_ms with the time to wait when the answer is CHAT_TOO_FAST. CHAT_DUPLICATE and CHAT_ID_USED
 * come from the window only: they spare the log an entry, apply has the last word. The rate is
 * asked last; retried commands have its reserve besides (chat/rate.h). */
enum chat_refusal chat_execute(struct chat *chat, const struct send_message *command,
                               uint64_t now_ms, uint32_t *wait_ms);

/* The same without the rate: for what has had its token. */
enum chat_refusal chat_judge(const struct chat *chat, const struct send_message *command);

/* The part of it that needs no state and may run anywhere: the web node asks it first. */
enum chat_refusal chat_check(const struct chat_limits *limits, const struct send_message *command);

/* Applies one committed command. APPLIED fills all of *event (its slices stand on the command's),
 * and the caller encodes it, then calls chat_remember with the bytes. KNOWN fills event->number. */
enum chat_outcome chat_apply(struct chat *chat, const struct send_message *command, uint64_t index,
                             struct message_sent *event);

/* Takes up the next event of the history as another node applied it (backfill, restore): what apply
 * would have done, but decided already. 0, or ERR_DATA and nothing changed when it does not continue
 * the history: its number, its room's seq, its time, previous_at_ms and run, its digest. The index
 * of the chat is left alone. The caller then calls chat_remember. */
int chat_take(struct chat *chat, const struct message_sent *event, struct errmsg *errmsg);

/* Keeps (a reference to) the bytes as the room's last message, for the lists. */
void chat_remember(struct chat *chat, const struct message_sent *event, struct shared *bytes);

/* Taking up from the store at start: rooms by rising last_number, then the last events in order, then
 * where the log stands. */
struct chat_room *chat_restore_room(struct chat *chat, const struct chat_room *room);
void chat_restore_event(struct chat *chat, const struct message_sent *event);
void chat_restore(struct chat *chat, uint64_t number, uint64_t index, int64_t at_ms,
                  const struct digest *digest);

struct chat_room *chat_find_room(struct chat *chat, struct slice name);
static inline struct slice chat_room_name(const struct chat_room *room)
{
    return slice_make(room->name, room->name_len);
}
