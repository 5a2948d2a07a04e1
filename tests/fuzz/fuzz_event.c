/* What is in the log, in the store and in frames of other nodes. Byte 0 says what the rest is; where
 * there is a checksum, one kind has it put right, for chance would never find it.
 */
#include "base/buf.h"
#include "base/checksum.h"
#include "base/mem.h"
#include "chat/event.h"
#include "fuzz.h"

enum { BATCH_HEAD = 8, CHECKSUM = 4, COPY_MAX = 1024 * 1024 };

static void put_u32(char *at, uint32_t value)
{
    for (size_t i = 0; i < CHECKSUM; i++)
        at[i] = (char)(unsigned char)(value >> (8 * i));
}

static void on_command(void *owner, const struct send_message *command)
{
    size_t *count = owner;
    FUZZ_HOLDS(command->text.len <= CHAT_TEXT_MAX && command->room.len <= ROOM_MAX);
    FUZZ_HOLDS(command->at_ms >= 0 && command->at_ms <= AT_MS_MAX);
    ++*count;
}

static void read_batch(struct slice bytes)
{
    size_t count = 0;
    struct errmsg errmsg = {""};
    int code = batch_read(bytes, on_command, &count, &errmsg);
    FUZZ_HOLDS(code == 0 ? count > 0 : count == 0 && errmsg.text[0] != '\0');
}

/* What was read can be written, and is then read the same. */
static void read_command(struct slice bytes)
{
    struct send_message command, again;
    struct errmsg errmsg = {""};
    struct buf out;
    while (bytes.len > 0 && command_decode(&command, &bytes, &errmsg) == 0) {
        buf_init(&out, COPY_MAX);
        command_encode(&out, &command);
        FUZZ_HOLDS(!out.overflowed);
        struct slice rest = buf_slice(&out);
        FUZZ_HOLDS(command_decode(&again, &rest, &errmsg) == 0 && rest.len == 0);
        FUZZ_HOLDS(slice_equal(again.text, command.text) && again.at_ms == command.at_ms);
        FUZZ_HOLDS(command_id_equal(&again.id, &command.id));
        buf_close(&out);
    }
}

static void read_event(struct slice bytes)
{
    struct message_sent event, again;
    struct errmsg errmsg = {""};
    if (event_decode(&event, bytes, &errmsg) != 0) {
        FUZZ_HOLDS(errmsg.text[0] != '\0');
        return;
    }
    struct shared *encoded = event_encode(&event);
    FUZZ_HOLDS(encoded->len <= EVENT_BYTES_MAX);
    FUZZ_HOLDS(event_decode(&again, shared_slice(encoded), &errmsg) == 0);
    FUZZ_HOLDS(again.number == event.number && again.seq == event.seq && again.run == event.run);
    FUZZ_HOLDS(slice_equal(again.text, event.text) && slice_equal(again.room, event.room));
    FUZZ_HOLDS(slice_equal(again.sender, event.sender));
    shared_unref(encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    size_t len = size - 1;
    char *copy = mem_copy(data + 1, len);
    struct slice bytes = slice_make(copy, len);
    switch (data[0]) {
    case 'b': read_batch(bytes); break;
    case 'c': read_command(bytes); break;
    case 'e': read_event(bytes); break;
    case 'B':
        if (len >= BATCH_HEAD)
            put_u32(copy + BATCH_HEAD - CHECKSUM, crc32c(slice_skip(bytes, BATCH_HEAD)));
        read_batch(bytes);
        break;
    case 'E':
        if (len >= CHECKSUM)
            put_u32(copy + len - CHECKSUM, crc32c(slice_first(bytes, len - CHECKSUM)));
        read_event(bytes);
        break;
    default: break;
    }
    mem_free(copy);
    return 0;
}
