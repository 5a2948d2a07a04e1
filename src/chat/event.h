/* The command and the event of the chat, and their bytes. The door to msgpack.
 *
 * SendMessage is the wish of somebody; MessageSent is the fact that it was granted. On their way
 * they have three forms:
 *
 *   a batch     one raft entry: many candidates (send_message and the leader's clock), no numbers
 *   an event    a message_sent with its number, as the event store keeps it and the threads share it
 *   an API line the same as JSON (app/api)
 *
 * The bytes are msgpack; docs/formats.md has them to the letter. Decoding believes nothing: every
 * count is checked against the bytes that are there before anything is reserved, every text against
 * UTF-8 and its limit. Pure; slices of a decoded value stand on the bytes that were given.
 */
#pragma once
#include "base/err.h"
#include "base/limits.h"
#include "base/shared.h"
#include "chat/ids.h"

struct buf;

struct send_message { /* a command */
    struct slice room, sender, text;
    struct sender_id sender_id;
    struct command_id id;
    uint64_t unseen_up_to; /* the number up to which the taker's store does not know the id */
    int64_t at_ms;         /* the leader's wall clock when it accepted; 0 before */
    bool retried;          /* may be in the log already: the rate limit has a reserve for it */
};

struct message_sent { /* an event */
    uint64_t number;  /* its place in the one history: 1, 2, 3... */
    uint64_t index;   /* of the raft entry that brought it; history only, not in the digest */
    uint64_t seq;     /* its place in its room: 1, 2, 3... */
    struct slice room, sender, text;
    struct sender_id sender_id;
    struct command_id id;
    int64_t at_ms;          /* never less than the previous event's */
    int64_t previous_at_ms; /* of the message before it in the room; 0 = it is the first */
    uint32_t run;           /* messages of the same sender directly before it; 0 = shows a head */
    struct digest digest;
};

/* 9999-12-31T23:59:59.999Z: no time in a command or an event is later, or before 1970. */
#define AT_MS_MAX INT64_C(253402300799999)

/* ---- one raft entry: a batch of commands ---- */

/* Appends one command to a batch of up to BATCH_COMMANDS_MAX, starting it if `batch` is empty.
 * False, and nothing changed, if it might exceed BATCH_BYTES_MAX or the buffer's own ceiling. The
 * number of commands (at least one) is kept by the caller and written by batch_finish. The command is
 * one that chat_execute let pass: its texts are within their limits. */
bool batch_add(struct buf *batch, const struct send_message *command);
/* Puts in the count and the checksum and pads to a multiple of 8 bytes. */
void batch_finish(struct buf *batch, uint32_t commands_count);

typedef void (*batch_fn)(void *owner, const struct send_message *command);

/* Calls on_command for each, in order. Returns 0, or ERR_FORMAT before the first call when anything
 * in it is not as it must be. */
int batch_read(struct slice bytes, batch_fn on_command, void *owner, struct errmsg *errmsg);

/* ---- a command kept for later ---- */

/* Bytes of its three texts. */
size_t command_texts_len(const struct send_message *command);
/* A copy whose texts stand on `bytes`, of command_texts_len. */
void command_copy(struct send_message *out, const struct send_message *command, char *bytes);

/* ---- a command alone, as forwarded between nodes ---- */

void command_encode(struct buf *out, const struct send_message *command);
/* Takes one command from the front of `rest`. 0 or ERR_FORMAT. */
int command_decode(struct send_message *command, struct slice *rest, struct errmsg *errmsg);

/* ---- an event ---- */

/* Bytes that one event takes at most. */
enum { EVENT_BYTES_MAX = CHAT_TEXT_MAX + ROOM_MAX + NAME_MAX_BYTES + 320 };

/* A map {type, v, number, index, room, seq, sender_id, sender, text, at_ms, previous_at_ms, run,
 * id, digest}, and behind it a CRC-32C over all of it (4 bytes, little-endian). */
struct shared *event_encode(const struct message_sent *event);
/* 0, ERR_FORMAT (also for a wrong checksum), or ERR_TOO_LARGE for a newer version. */
int event_decode(struct message_sent *event, struct slice bytes, struct errmsg *errmsg);

/* H(previous || number, room, seq, sender id, sender, text, at_ms, command id), SHA-256 cut to 16
 * bytes; each text with its length before it, numbers as 8 bytes little-endian. */
void event_digest(struct digest *out, const struct digest *previous,
                  const struct message_sent *event);

/* What makes two commands of one id the same command: sender id, room, text. Never 0. */
uint64_t command_content(const struct sender_id *sender_id, struct slice room, struct slice text);
