/* Writing goes through msgpack-c's packer. Reading does not go through its unpacker, which builds a
 * tree in memory reserved by what the message claims; every event is read on every node and every
 * command too, a hundred thousand times a second in the worst hour. A cursor walks over the bytes
 * instead: it reserves nothing, each count is checked against what is left by construction, the
 * shape is known beforehand, and it takes a small part of the time. It reads what the packer writes:
 * unsigned and signed integers in any width, booleans, strings, bytes, arrays, maps.
 *
 * Longer than 500 lines because the door to msgpack is one file: commands, batches and events are
 * written and read by the same cursor.
 */
#include "chat/event.h"

#include <assert.h>
#include <inttypes.h>

#include <msgpack.h>

#include "base/buf.h"
#include "base/checksum.h"
#include "base/crypto.h"
#include "base/little_endian.h"
#include "base/text.h"

enum {
    EVENT_VERSION = 1,
    EVENT_MEMBERS = 14,
    BATCH_VERSION = 1,
    BATCH_HEADER = 24,      /* bytes before the msgpack */
    BATCH_CHECKED_FROM = 8, /* magic and checksum are not in the checksum */
    BATCH_ARRAY_HEAD = 5,   /* array32 */
    COMMAND_MEMBERS = 8,
    COMMAND_OVERHEAD_MAX = 96 /* bytes around the texts of one command */
};

static const char batch_magic[4] = {'L', 'T', 'E', 'B'};

/* ---- the cursor ---- */

struct cursor {
    const unsigned char *at, *end;
    const char *wrong; /* the first thing that was not as it must be; NULL = all well */
};

static struct cursor cursor_make(struct slice bytes)
{
    const unsigned char *at = (const unsigned char *)bytes.at;
    return (struct cursor){.at = at, .end = bytes.len == 0 ? at : at + bytes.len};
}

static size_t left(const struct cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

static void fail(struct cursor *cursor, const char *wrong)
{
    if (cursor->wrong == NULL) cursor->wrong = wrong;
    cursor->at = cursor->end; /* what follows means nothing */
}

/* A number of `width` bytes, big end first. */
static uint64_t take_wide(struct cursor *cursor, size_t width)
{
    if (left(cursor) < width) {
        fail(cursor, "ends too early");
        return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++)
        value = value << 8 | cursor->at[i];
    cursor->at += width;
    return value;
}

static unsigned take_type(struct cursor *cursor)
{
    return (unsigned)take_wide(cursor, 1);
}

static uint64_t take_u64(struct cursor *cursor, const char *name)
{
    unsigned type = take_type(cursor);
    if (type < 0x80) return type;
    if (type >= 0xcc && type <= 0xcf) return take_wide(cursor, (size_t)1 << (type - 0xcc));
    fail(cursor, name);
    return 0;
}

static int64_t take_at_ms(struct cursor *cursor, const char *name)
{
    uint64_t value = take_u64(cursor, name);
    if (value > (uint64_t)AT_MS_MAX) fail(cursor, name);
    return cursor->wrong == NULL ? (int64_t)value : 0;
}

static bool take_bool(struct cursor *cursor, const char *name)
{
    unsigned type = take_type(cursor);
    if (type != 0xc2 && type != 0xc3) fail(cursor, name);
    return type == 0xc3;
}

static struct slice take_bytes(struct cursor *cursor, uint64_t len)
{
    if (len > left(cursor)) {
        fail(cursor, "ends too early");
        return (struct slice){NULL, 0};
    }
    struct slice bytes = slice_make(cursor->at, (size_t)len);
    cursor->at += len;
    return bytes;
}

/* A string of at most `max` bytes, as it is. */
static struct slice take_string(struct cursor *cursor, size_t max, const char *name)
{
    unsigned type = take_type(cursor);
    uint64_t len = max + 1;
    if (type >= 0xa0 && type <= 0xbf)
        len = type & 0x1f;
    else if (type >= 0xd9 && type <= 0xdb)
        len = take_wide(cursor, (size_t)1 << (type - 0xd9));
    if (len <= max) return take_bytes(cursor, len);
    fail(cursor, name);
    return (struct slice){NULL, 0};
}

static struct slice take_text(struct cursor *cursor, size_t max, const char *name)
{
    struct slice text = take_string(cursor, max, name);
    if (!text_valid(text)) fail(cursor, name);
    return text;
}

/* Sixteen bytes: an id or a digest. */
static void take_sixteen(struct cursor *cursor, uint8_t out[16], const char *name)
{
    if (take_type(cursor) != 0xc4 || take_wide(cursor, 1) != 16) {
        fail(cursor, name);
        return;
    }
    struct slice bytes = take_bytes(cursor, 16);
    if (bytes.len == 16) memcpy(out, bytes.at, 16);
}

static void take_array(struct cursor *cursor, uint64_t count, const char *name)
{
    unsigned type = take_type(cursor);
    uint64_t found = 0;
    if (type >= 0x90 && type <= 0x9f)
        found = type & 0x0f;
    else if (type == 0xdc || type == 0xdd)
        found = take_wide(cursor, type == 0xdc ? 2 : 4);
    if (found != count) fail(cursor, name);
}

static void take_map(struct cursor *cursor, uint64_t count, const char *name)
{
    unsigned type = take_type(cursor);
    uint64_t found = 0;
    if (type >= 0x80 && type <= 0x8f)
        found = type & 0x0f;
    else if (type == 0xde || type == 0xdf)
        found = take_wide(cursor, type == 0xde ? 2 : 4);
    if (found != count) fail(cursor, name);
}

/* The member's name, which must be this one: the order is part of the format. Inlined, its length and
 * its bytes are known to the compiler: there are fourteen in each event. */
__attribute__((always_inline)) static inline const char *take_key(struct cursor *cursor,
                                                                  const char *name)
{
    size_t len = strlen(name);
    bool is_it = left(cursor) > len && cursor->at[0] == (0xa0 | len) &&
                 memcmp(cursor->at + 1, name, len) == 0;
    if (is_it)
        cursor->at += 1 + len;
    else
        fail(cursor, name);
    return name;
}

/* ---- packing ---- */

static int pack_to_buf(void *owner, const char *bytes, size_t len)
{
    struct buf *buf = owner;
    buf_append(buf, bytes, len);
    return buf->overflowed ? -1 : 0;
}

static void pack_text(msgpack_packer *packer, struct slice text)
{
    msgpack_pack_str(packer, text.len);
    if (text.len > 0) msgpack_pack_str_body(packer, text.at, text.len);
}

static void pack_key(msgpack_packer *packer, const char *name)
{
    pack_text(packer, slice_from(name));
}

static void pack_sixteen(msgpack_packer *packer, const uint8_t bytes[16])
{
    msgpack_pack_bin(packer, 16);
    msgpack_pack_bin_body(packer, bytes, 16);
}

static void pack_flag(msgpack_packer *packer, bool flag)
{
    if (flag)
        msgpack_pack_true(packer);
    else
        msgpack_pack_false(packer);
}

/* ---- commands ---- */

size_t command_texts_len(const struct send_message *command)
{
    return command->room.len + command->sender.len + command->text.len;
}

static struct slice copy_text(char **at, struct slice text)
{
    struct slice copy = slice_make(*at, text.len);
    if (text.len > 0) memcpy(*at, text.at, text.len);
    *at += text.len;
    return copy;
}

void command_copy(struct send_message *out, const struct send_message *command, char *bytes)
{
    *out = *command;
    out->room = copy_text(&bytes, command->room);
    out->sender = copy_text(&bytes, command->sender);
    out->text = copy_text(&bytes, command->text);
}

void command_encode(struct buf *out, const struct send_message *command)
{
    msgpack_packer packer;
    msgpack_packer_init(&packer, out, pack_to_buf);
    msgpack_pack_array(&packer, COMMAND_MEMBERS);
    pack_text(&packer, command->room);
    pack_text(&packer, command->sender);
    pack_text(&packer, command->text);
    pack_sixteen(&packer, command->sender_id.bytes);
    pack_sixteen(&packer, command->id.bytes);
    msgpack_pack_uint64(&packer, command->unseen_up_to);
    msgpack_pack_int64(&packer, command->at_ms);
    pack_flag(&packer, command->retried);
}

static void take_command(struct cursor *cursor, struct send_message *command)
{
    take_array(cursor, COMMAND_MEMBERS, "command");
    *command = (struct send_message){.room = take_text(cursor, ROOM_MAX, "room")};
    command->sender = take_text(cursor, NAME_MAX_BYTES, "sender");
    command->text = take_text(cursor, CHAT_TEXT_MAX, "text");
    take_sixteen(cursor, command->sender_id.bytes, "sender_id");
    take_sixteen(cursor, command->id.bytes, "id");
    command->unseen_up_to = take_u64(cursor, "unseen_up_to");
    command->at_ms = take_at_ms(cursor, "at_ms");
    command->retried = take_bool(cursor, "retried");
}

int command_decode(struct send_message *command, struct slice *rest, struct errmsg *errmsg)
{
    struct cursor cursor = cursor_make(*rest);
    take_command(&cursor, command);
    if (cursor.wrong != NULL) {
        errmsg_set(errmsg, "command: %s", cursor.wrong);
        return ERR_FORMAT;
    }
    *rest = slice_make(cursor.at, left(&cursor));
    return 0;
}

/* ---- batches ---- */

bool batch_add(struct buf *batch, const struct send_message *command)
{
    size_t most = batch->len + BATCH_HEADER + BATCH_ARRAY_HEAD + COMMAND_OVERHEAD_MAX +
                  command->room.len + command->sender.len + command->text.len + 8;
    if (most > BATCH_BYTES_MAX || most > batch->max) return false;

    if (batch->len == 0) {
        char *head = buf_extend(batch, BATCH_HEADER + BATCH_ARRAY_HEAD);
        assert(head != NULL);
        memset(head, 0, BATCH_HEADER + BATCH_ARRAY_HEAD);
    }
    command_encode(batch, command);
    assert(!batch->overflowed);
    return true;
}

void batch_finish(struct buf *batch, uint32_t commands_count)
{
    assert(commands_count > 0 && commands_count <= BATCH_COMMANDS_MAX);
    assert(batch->len > BATCH_HEADER + BATCH_ARRAY_HEAD);

    uint32_t packed = (uint32_t)(batch->len - BATCH_HEADER);
    while (batch->len % 8 != 0)
        buf_add_char(batch, '\0');
    assert(!batch->overflowed);

    char *head = batch->at;
    memcpy(head, batch_magic, sizeof batch_magic);
    little_store(head + 8, BATCH_VERSION, 4);
    little_store(head + 12, commands_count, 4);
    little_store(head + 16, packed, 4);
    little_store(head + 20, 0, 4);
    head[BATCH_HEADER] = (char)0xdd; /* array32, its count with the big end first */
    for (size_t i = 0; i < 4; i++)
        head[BATCH_HEADER + 1 + i] = (char)(unsigned char)(commands_count >> (24 - 8 * i));
    little_store(head + 4, crc32c(slice_skip(buf_slice(batch), BATCH_CHECKED_FROM)), 4);
}

/* The packed part of a batch whose frame is in order, or what is wrong with it. */
static const char *batch_open(struct slice bytes, struct slice *packed, uint32_t *count)
{
    if (bytes.len < BATCH_HEADER) return "shorter than its header";
    if (bytes.len > BATCH_BYTES_MAX) return "longer than allowed";
    if (memcmp(bytes.at, batch_magic, sizeof batch_magic) != 0) return "no batch of commands";
    if (little_load_u32(bytes.at + 4) != crc32c(slice_skip(bytes, BATCH_CHECKED_FROM)))
        return "checksum does not match";
    if (little_load_u32(bytes.at + 8) != BATCH_VERSION) return "of an unknown version";
    *count = little_load_u32(bytes.at + 12);
    if (*count == 0 || *count > BATCH_COMMANDS_MAX) return "impossible number of commands";

    size_t len = little_load_u32(bytes.at + 16);
    size_t rest = bytes.len - BATCH_HEADER;
    if (len > rest || rest - len >= 8 || bytes.len % 8 != 0) return "impossible length";
    if (little_load_u32(bytes.at + 20) != 0) return "reserved bytes are used";
    for (size_t i = BATCH_HEADER + len; i < bytes.len; i++)
        if (bytes.at[i] != 0) return "padding is used";
    *packed = slice_make(bytes.at + BATCH_HEADER, len);
    return NULL;
}

int batch_read(struct slice bytes, batch_fn on_command, void *owner, struct errmsg *errmsg)
{
    struct send_message commands[BATCH_COMMANDS_MAX]; /* all are read before the first is told */
    struct slice packed;
    uint32_t count = 0;
    const char *wrong = batch_open(bytes, &packed, &count);
    if (wrong == NULL) {
        struct cursor cursor = cursor_make(packed);
        take_array(&cursor, count, "count");
        for (uint32_t i = 0; i < count && cursor.wrong == NULL; i++)
            take_command(&cursor, &commands[i]);
        if (left(&cursor) > 0) fail(&cursor, "bytes behind the last command");
        wrong = cursor.wrong;
    }
    if (wrong != NULL) {
        errmsg_set(errmsg, "batch of %zu bytes: %s", bytes.len, wrong);
        return ERR_FORMAT;
    }
    for (uint32_t i = 0; i < count; i++)
        on_command(owner, &commands[i]);
    return 0;
}

/* ---- events ---- */

struct sink { /* a buffer on the stack: an event's size is known when it is packed */
    char *at;
    size_t len, size;
};

static int pack_to_sink(void *owner, const char *bytes, size_t len)
{
    struct sink *sink = owner;
    assert(len <= sink->size - sink->len);
    memcpy(sink->at + sink->len, bytes, len);
    sink->len += len;
    return 0;
}

static void pack_u64(msgpack_packer *packer, const char *name, uint64_t value)
{
    pack_key(packer, name);
    msgpack_pack_uint64(packer, value);
}

static void pack_member_text(msgpack_packer *packer, const char *name, struct slice text)
{
    pack_key(packer, name);
    pack_text(packer, text);
}

static void pack_member_sixteen(msgpack_packer *packer, const char *name, const uint8_t bytes[16])
{
    pack_key(packer, name);
    pack_sixteen(packer, bytes);
}

struct shared *event_encode(const struct message_sent *event)
{
    assert(event->text.len <= CHAT_TEXT_MAX);
    assert(event->room.len <= ROOM_MAX);
    assert(event->sender.len <= NAME_MAX_BYTES);
    assert(event->at_ms >= 0 && event->at_ms <= AT_MS_MAX);
    assert(event->previous_at_ms >= 0 && event->previous_at_ms <= AT_MS_MAX);

    char bytes[EVENT_BYTES_MAX];
    struct sink sink = {.at = bytes, .size = sizeof bytes - 4};
    msgpack_packer packer;
    msgpack_packer_init(&packer, &sink, pack_to_sink);
    msgpack_pack_map(&packer, EVENT_MEMBERS);
    pack_member_text(&packer, "type", slice_of("message_sent"));
    pack_u64(&packer, "v", EVENT_VERSION);
    pack_u64(&packer, "number", event->number);
    pack_u64(&packer, "index", event->index);
    pack_member_text(&packer, "room", event->room);
    pack_u64(&packer, "seq", event->seq);
    pack_member_sixteen(&packer, "sender_id", event->sender_id.bytes);
    pack_member_text(&packer, "sender", event->sender);
    pack_member_text(&packer, "text", event->text);
    pack_u64(&packer, "at_ms", (uint64_t)event->at_ms);
    pack_u64(&packer, "previous_at_ms", (uint64_t)event->previous_at_ms);
    pack_u64(&packer, "run", event->run);
    pack_member_sixteen(&packer, "id", event->id.bytes);
    pack_member_sixteen(&packer, "digest", event->digest.bytes);

    little_store(bytes + sink.len, crc32c(slice_make(bytes, sink.len)), 4);
    return shared_copy(slice_make(bytes, sink.len + 4));
}

static void take_event(struct cursor *cursor, struct message_sent *event)
{
    *event = (struct message_sent){.number = take_u64(cursor, take_key(cursor, "number"))};
    event->index = take_u64(cursor, take_key(cursor, "index"));
    event->room = take_text(cursor, ROOM_MAX, take_key(cursor, "room"));
    event->seq = take_u64(cursor, take_key(cursor, "seq"));
    take_sixteen(cursor, event->sender_id.bytes, take_key(cursor, "sender_id"));
    event->sender = take_text(cursor, NAME_MAX_BYTES, take_key(cursor, "sender"));
    event->text = take_text(cursor, CHAT_TEXT_MAX, take_key(cursor, "text"));
    event->at_ms = take_at_ms(cursor, take_key(cursor, "at_ms"));
    event->previous_at_ms = take_at_ms(cursor, take_key(cursor, "previous_at_ms"));
    uint64_t run = take_u64(cursor, take_key(cursor, "run"));
    take_sixteen(cursor, event->id.bytes, take_key(cursor, "id"));
    take_sixteen(cursor, event->digest.bytes, take_key(cursor, "digest"));

    if (event->number == 0 || event->seq == 0 || event->seq > event->number)
        fail(cursor, "number or seq is impossible");
    if (event->room.len == 0) fail(cursor, "room");
    if (run >= RUN_MAX) fail(cursor, "run");
    event->run = (uint32_t)run;
    if (left(cursor) > 0) fail(cursor, "bytes behind the last member");
}

/* The version of an event that starts as every version does, or 0. A newer one may have more
 * members, so it is asked before their count. */
static uint64_t peek_version(struct slice packed)
{
    struct cursor cursor = cursor_make(packed);
    unsigned type = take_type(&cursor);
    if (type == 0xde || type == 0xdf)
        take_wide(&cursor, type == 0xde ? 2 : 4);
    else if ((type & 0xf0) != 0x80)
        fail(&cursor, "members");
    take_string(&cursor, ROOM_MAX, take_key(&cursor, "type"));
    uint64_t version = take_u64(&cursor, take_key(&cursor, "v"));
    return cursor.wrong == NULL ? version : 0;
}

int event_decode(struct message_sent *event, struct slice bytes, struct errmsg *errmsg)
{
    if (bytes.len < 4 || bytes.len > EVENT_BYTES_MAX) {
        errmsg_set(errmsg, "event: %zu bytes are no event", bytes.len);
        return ERR_FORMAT;
    }
    struct slice packed = slice_first(bytes, bytes.len - 4);
    if (crc32c(packed) != little_load_u32(bytes.at + packed.len)) {
        errmsg_set(errmsg, "event: checksum does not match");
        return ERR_FORMAT;
    }
    uint64_t version = peek_version(packed);
    if (version > EVENT_VERSION) {
        errmsg_set(errmsg, "event: version %" PRIu64 " is newer than this program knows", version);
        return ERR_TOO_LARGE;
    }

    struct cursor cursor = cursor_make(packed);
    take_map(&cursor, EVENT_MEMBERS, "members");
    if (!slice_is(take_string(&cursor, 31, take_key(&cursor, "type")), "message_sent"))
        fail(&cursor, "type");
    if (take_u64(&cursor, take_key(&cursor, "v")) != EVENT_VERSION) fail(&cursor, "v");
    take_event(&cursor, event);
    if (cursor.wrong == NULL) return 0;
    errmsg_set(errmsg, "event: %s", cursor.wrong);
    return ERR_FORMAT;
}

/* ---- digest and content ---- */

void event_digest(struct digest *out, const struct digest *previous,
                  const struct message_sent *event)
{
    char head[16 + 8 + 8];   /* previous, number, length of the room */
    char middle[8 + 16 + 8]; /* seq, sender id, length of the sender */
    char text_len[8];
    char tail[8 + 16]; /* at_ms, command id */
    memcpy(head, previous->bytes, 16);
    little_store(head + 16, event->number, 8);
    little_store(head + 24, event->room.len, 8);
    little_store(middle, event->seq, 8);
    memcpy(middle + 8, event->sender_id.bytes, 16);
    little_store(middle + 24, event->sender.len, 8);
    little_store(text_len, event->text.len, 8);
    little_store(tail, (uint64_t)event->at_ms, 8);
    memcpy(tail + 8, event->id.bytes, 16);

    const struct slice parts[] = {
        slice_make(head, sizeof head),         event->room,
        slice_make(middle, sizeof middle),     event->sender,
        slice_make(text_len, sizeof text_len), event->text,
        slice_make(tail, sizeof tail),
    };
    uint8_t whole[SHA256_SIZE];
    crypto_sha256(whole, parts, sizeof parts / sizeof parts[0]);
    memcpy(out->bytes, whole, sizeof out->bytes);
}

uint64_t command_content(const struct sender_id *sender_id, struct slice room, struct slice text)
{
    char words[16 + 8 + 8];
    memcpy(words, sender_id->bytes, 16);
    little_store(words + 16, hash_fnv1a(room), 8);
    little_store(words + 24, hash_fnv1a(text), 8);
    uint64_t content = hash_fnv1a(slice_make(words, sizeof words));
    return content == 0 ? 1 : content;
}
