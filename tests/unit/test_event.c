#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/checksum.h"
#include "chat/event.h"
#include "promise.h"

/* ---- fixtures ---- */

static struct send_message a_command(const char *text)
{
    struct send_message command = {.room = slice_of("green-tea"),
                                   .sender = slice_of("Maja"),
                                   .text = slice_from(text),
                                   .unseen_up_to = 300,
                                   .at_ms = 1763886771204,
                                   .retried = true};
    memset(&command.sender_id, 0x5e, sizeof command.sender_id);
    memset(&command.id, 0x1d, sizeof command.id);
    return command;
}

static struct message_sent an_event(void)
{
    struct message_sent event = {.number = 70000,
                                 .index = UINT64_MAX,
                                 .seq = 200,
                                 .room = slice_of("green-tea"),
                                 .sender = slice_of("Maja"),
                                 .text = slice_of("Guten Morgen \xf0\x9f\x8d\xb5"),
                                 .at_ms = 1763886771204,
                                 .previous_at_ms = 1763886770000,
                                 .run = RUN_MAX - 1};
    memset(&event.sender_id, 0x5e, sizeof event.sender_id);
    memset(&event.id, 0x1d, sizeof event.id);
    memset(&event.digest, 0xd1, sizeof event.digest);
    return event;
}

/* A copy of exactly its size, so that the address sanitizer sees a read behind its end. */
static char *exact_copy(struct slice bytes)
{
    char *copy = malloc(bytes.len == 0 ? 1 : bytes.len);
    assert_non_null(copy);
    if (bytes.len > 0) memcpy(copy, bytes.at, bytes.len);
    return copy;
}

static void assert_same_command(const struct send_message *a, const struct send_message *b)
{
    assert_true(slice_equal(a->room, b->room));
    assert_true(slice_equal(a->sender, b->sender));
    assert_true(slice_equal(a->text, b->text));
    assert_memory_equal(&a->sender_id, &b->sender_id, sizeof a->sender_id);
    assert_memory_equal(&a->id, &b->id, sizeof a->id);
    assert_true(a->unseen_up_to == b->unseen_up_to);
    assert_true(a->at_ms == b->at_ms);
    assert_true(a->retried == b->retried);
}

/* ---- commands ---- */

static void a_command_alone_comes_back(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 1000);
    struct send_message first = a_command("one");
    struct send_message second = a_command("two");
    second.retried = false;
    second.unseen_up_to = UINT64_MAX;
    command_encode(&buf, &first);
    command_encode(&buf, &second);

    struct slice rest = buf_slice(&buf);
    struct send_message read;
    assert_int_equal(command_decode(&read, &rest, NULL), 0);
    assert_same_command(&read, &first);
    assert_int_equal(command_decode(&read, &rest, NULL), 0);
    assert_same_command(&read, &second);
    assert_int_equal(rest.len, 0);
    assert_int_equal(command_decode(&read, &rest, NULL), ERR_FORMAT);
    buf_close(&buf);
}

static void a_command_cut_anywhere_is_refused(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 1000);
    struct send_message command = a_command("a text of some length, more than thirty-one bytes");
    command_encode(&buf, &command);
    for (size_t len = 0; len < buf.len; len++) {
        char *copy = exact_copy(slice_make(buf.at, len));
        struct slice rest = slice_make(copy, len);
        struct errmsg errmsg = {.text = ""};
        assert_int_equal(command_decode(&command, &rest, &errmsg), ERR_FORMAT);
        assert_true(strlen(errmsg.text) > 0);
        free(copy);
    }
    buf_close(&buf);
}

/* Without a checksum a changed byte may be another command, but nothing outside of its limits. */
static void a_changed_command_is_refused_or_within_limits(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 1000);
    struct send_message command = a_command("a text");
    command_encode(&buf, &command);
    for (size_t place = 0; place < buf.len; place++)
        for (int value = 0; value < 256; value++) {
            char *copy = exact_copy(buf_slice(&buf));
            copy[place] = (char)value;
            struct slice rest = slice_make(copy, buf.len);
            if (command_decode(&command, &rest, NULL) == 0) {
                assert_true(command.room.len <= ROOM_MAX);
                assert_true(command.sender.len <= NAME_MAX_BYTES);
                assert_true(command.text.len <= CHAT_TEXT_MAX);
                assert_true(command.at_ms >= 0 && command.at_ms <= AT_MS_MAX);
            }
            free(copy);
        }
    buf_close(&buf);
}

static void a_count_that_claims_too_much_is_refused(void **state)
{
    (void)state;
    static const struct slice claims[] = {SLICE("\x98\xdb\xff\xff\xff\xff"),
                                          SLICE("\x98\xda\xff\xff"),
                                          SLICE("\x98\xd9\xff"),
                                          SLICE("\xdd\xff\xff\xff\xff"),
                                          SLICE("\xdc\xff\xff"),
                                          SLICE("\x98\xbf"
                                                "a"),
                                          SLICE("\x98\xc6\xff\xff\xff\xff"),
                                          SLICE("\xdf\xff\xff\xff\xff")};
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        struct slice rest = claims[i];
        struct send_message command;
        assert_int_equal(command_decode(&command, &rest, NULL), ERR_FORMAT);
    }
}

static void a_text_that_is_not_utf8_is_refused(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 1000);
    struct send_message command = a_command("a\xff");
    command_encode(&buf, &command);
    struct slice rest = buf_slice(&buf);
    assert_int_equal(command_decode(&command, &rest, NULL), ERR_FORMAT);
    buf_close(&buf);
}

/* ---- batches ---- */

struct reading {
    struct send_message commands[BATCH_COMMANDS_MAX];
    size_t count;
};

static void on_command(void *owner, const struct send_message *command)
{
    struct reading *reading = owner;
    reading->commands[reading->count++] = *command;
}

static uint32_t a_batch(struct buf *batch)
{
    static const char *const texts[] = {"one", "", "three, which is much longer than the others"};
    buf_init(batch, BATCH_BYTES_MAX);
    for (size_t i = 0; i < 3; i++) {
        struct send_message command = a_command(texts[i]);
        assert_true(batch_add(batch, &command));
    }
    batch_finish(batch, 3);
    return 3;
}

static void a_batch_gives_its_commands_in_order(void **state)
{
    (void)state;
    struct buf batch;
    struct reading reading = {.count = 0};
    a_batch(&batch);
    assert_int_equal(batch.len % 8, 0);
    assert_int_equal(batch_read(buf_slice(&batch), on_command, &reading, NULL), 0);
    assert_int_equal(reading.count, 3);
    assert_true(slice_is(reading.commands[0].text, "one"));
    assert_true(slice_is(reading.commands[1].text, ""));
    struct send_message last = a_command("three, which is much longer than the others");
    assert_same_command(&reading.commands[2], &last);
    buf_close(&batch);
}

static void a_damaged_batch_gives_nothing(void **state)
{
    (void)state;
    struct buf batch;
    struct reading reading = {.count = 0};
    a_batch(&batch);
    for (size_t len = 0; len < batch.len; len++) {
        char *copy = exact_copy(slice_make(batch.at, len));
        assert_int_equal(batch_read(slice_make(copy, len), on_command, &reading, NULL), ERR_FORMAT);
        free(copy);
    }
    for (size_t place = 0; place < batch.len; place++)
        for (int bit = 0; bit < 8; bit++) {
            struct errmsg errmsg = {.text = ""};
            batch.at[place] = (char)(batch.at[place] ^ (1 << bit));
            assert_int_equal(batch_read(buf_slice(&batch), on_command, &reading, &errmsg),
                             ERR_FORMAT);
            assert_true(strlen(errmsg.text) > 0);
            batch.at[place] = (char)(batch.at[place] ^ (1 << bit));
        }
    buf_add(&batch, slice_of("\0\0\0\0\0\0\0\0"));
    assert_int_equal(batch_read(buf_slice(&batch), on_command, &reading, NULL), ERR_FORMAT);
    assert_int_equal(reading.count, 0);
    buf_close(&batch);
}

static void seal(char *bytes, size_t len)
{
    uint32_t checksum = crc32c(slice_make(bytes + 8, len - 8));
    for (size_t i = 0; i < 4; i++)
        bytes[4 + i] = (char)(unsigned char)(checksum >> (8 * i));
}

/* The same with a right checksum: whoever can write the log still cannot crash it. */
static void a_forged_batch_gives_all_or_nothing(void **state)
{
    (void)state;
    struct buf batch;
    a_batch(&batch);
    size_t accepted = 0;
    for (size_t place = 8; place < batch.len; place++)
        for (int value = 0; value < 256; value++) {
            struct reading reading = {.count = 0};
            char *copy = exact_copy(buf_slice(&batch));
            copy[place] = (char)value;
            seal(copy, batch.len);
            int rv = batch_read(slice_make(copy, batch.len), on_command, &reading, NULL);
            assert_int_equal(reading.count, rv == 0 ? 3 : 0);
            accepted += rv == 0;
            free(copy);
        }
    assert_true(accepted > 0);
    buf_close(&batch);
}

static void a_full_batch_refuses_one_more_unchanged(void **state)
{
    (void)state;
    struct buf batch;
    buf_init(&batch, BATCH_BYTES_MAX);
    char *text = calloc(1, CHAT_TEXT_MAX + 1);
    memset(text, 'x', CHAT_TEXT_MAX);
    struct send_message command = a_command(text);
    uint32_t count = 0;
    size_t before = 0;
    while (batch_add(&batch, &command)) {
        count++;
        before = batch.len;
    }
    assert_true(count >= 15);
    assert_int_equal(batch.len, before);
    assert_false(batch.overflowed);
    struct send_message small = a_command("small");
    while (batch_add(&batch, &small))
        count++;
    batch_finish(&batch, count);
    assert_true(batch.len <= BATCH_BYTES_MAX);
    struct reading *reading = calloc(1, sizeof *reading);
    assert_int_equal(batch_read(buf_slice(&batch), on_command, reading, NULL), 0);
    assert_int_equal(reading->count, count);
    free(reading);
    free(text);
    buf_close(&batch);
}

static void as_many_small_commands_as_allowed_fit(void **state)
{
    (void)state;
    struct buf batch;
    buf_init(&batch, BATCH_BYTES_MAX);
    struct send_message command = a_command("x");
    for (int i = 0; i < BATCH_COMMANDS_MAX; i++)
        assert_true(batch_add(&batch, &command));
    batch_finish(&batch, BATCH_COMMANDS_MAX);
    struct reading *reading = calloc(1, sizeof *reading);
    assert_int_equal(batch_read(buf_slice(&batch), on_command, reading, NULL), 0);
    assert_int_equal(reading->count, BATCH_COMMANDS_MAX);
    free(reading);
    buf_close(&batch);
}

/* ---- events ---- */

static void an_event_comes_back_whole(void **state)
{
    (void)state;
    struct message_sent event = an_event();
    struct message_sent read;
    struct shared *bytes = event_encode(&event);
    assert_int_equal(event_decode(&read, shared_slice(bytes), NULL), 0);
    assert_true(read.number == event.number && read.index == event.index);
    assert_true(read.seq == event.seq && read.run == event.run);
    assert_true(read.at_ms == event.at_ms && read.previous_at_ms == event.previous_at_ms);
    assert_true(slice_equal(read.room, event.room));
    assert_true(slice_equal(read.sender, event.sender));
    assert_true(slice_equal(read.text, event.text));
    assert_memory_equal(&read.sender_id, &event.sender_id, 16);
    assert_memory_equal(&read.id, &event.id, 16);
    assert_memory_equal(&read.digest, &event.digest, 16);
    shared_unref(bytes);
}

static void the_largest_event_has_room(void **state)
{
    (void)state;
    char *text = calloc(1, CHAT_TEXT_MAX);
    memset(text, 'x', CHAT_TEXT_MAX);
    struct message_sent event = an_event();
    event.number = event.seq = UINT64_MAX;
    event.at_ms = event.previous_at_ms = AT_MS_MAX;
    event.text = slice_make(text, CHAT_TEXT_MAX);
    event.room = slice_make(text, ROOM_MAX);
    event.sender = slice_make(text, NAME_MAX_BYTES);
    struct shared *bytes = event_encode(&event);
    assert_true(bytes->len <= EVENT_BYTES_MAX);
    assert_int_equal(event_decode(&event, shared_slice(bytes), NULL), 0);
    shared_unref(bytes);
    free(text);
}

static void a_damaged_event_is_never_believed(void **state)
{
    (void)state;
    struct message_sent event = an_event();
    struct shared *bytes = event_encode(&event);
    for (size_t len = 0; len < bytes->len; len++) {
        char *copy = exact_copy(slice_make(bytes->bytes, len));
        assert_int_equal(event_decode(&event, slice_make(copy, len), NULL), ERR_FORMAT);
        free(copy);
    }
    for (size_t place = 0; place < bytes->len; place++)
        for (int bit = 0; bit < 8; bit++) {
            char *copy = exact_copy(shared_slice(bytes));
            copy[place] = (char)(copy[place] ^ (1 << bit));
            struct errmsg errmsg = {.text = ""};
            assert_int_equal(event_decode(&event, slice_make(copy, bytes->len), &errmsg),
                             ERR_FORMAT);
            assert_true(strlen(errmsg.text) > 0);
            free(copy);
        }
    shared_unref(bytes);
}

static void seal_event(char *bytes, size_t len)
{
    uint32_t checksum = crc32c(slice_make(bytes, len - 4));
    for (size_t i = 0; i < 4; i++)
        bytes[len - 4 + i] = (char)(unsigned char)(checksum >> (8 * i));
}

static void a_forged_event_is_refused_or_within_limits(void **state)
{
    (void)state;
    struct message_sent event = an_event();
    struct shared *bytes = event_encode(&event);
    for (size_t place = 0; place < bytes->len - 4; place++)
        for (int value = 0; value < 256; value++) {
            char *copy = exact_copy(shared_slice(bytes));
            copy[place] = (char)value;
            seal_event(copy, bytes->len);
            if (event_decode(&event, slice_make(copy, bytes->len), NULL) == 0) {
                assert_true(event.number > 0 && event.seq > 0 && event.seq <= event.number);
                assert_true(event.room.len > 0 && event.run < RUN_MAX);
            }
            free(copy);
        }
    shared_unref(bytes);
}

static void an_event_of_a_newer_version_is_told_from_damage(void **state)
{
    (void)state;
    struct message_sent event = an_event();
    struct shared *bytes = event_encode(&event);
    char *copy = exact_copy(shared_slice(bytes));
    char *version = memmem(copy, bytes->len, "\xa1v\x01", 3);
    assert_non_null(version);
    version[2] = 2;
    copy[0] = (char)0x8f; /* it has one member more */
    seal_event(copy, bytes->len);
    struct errmsg errmsg = {.text = ""};
    assert_int_equal(event_decode(&event, slice_make(copy, bytes->len), &errmsg), ERR_TOO_LARGE);
    assert_non_null(strstr(errmsg.text, "version 2"));
    free(copy);
    shared_unref(bytes);
}

/* ---- digests ---- */

static void each_part_of_an_event_but_its_index_is_in_the_digest(void **state)
{
    (void)state;
    struct digest previous = {.bytes = {1}};
    struct digest before;
    struct digest after;
    struct message_sent event = an_event();
    event_digest(&before, &previous, &event);

    struct message_sent changed[9];
    for (size_t i = 0; i < 9; i++)
        changed[i] = event;
    changed[0].number++;
    changed[1].seq++;
    changed[2].room = slice_of("green-te");
    changed[3].sender = slice_of("Maj");
    changed[4].text = slice_of("x");
    changed[5].sender_id.bytes[15]++;
    changed[6].id.bytes[0]++;
    changed[7].at_ms++;
    changed[8].index++;
    for (size_t i = 0; i < 9; i++) {
        event_digest(&after, &previous, &changed[i]);
        assert_true((memcmp(&before, &after, sizeof before) == 0) == (i == 8));
    }
    previous.bytes[15]++;
    event_digest(&after, &previous, &event);
    assert_memory_not_equal(&before, &after, sizeof before);
}

/* The very bytes, for nodes of different releases must agree: docs/formats.md. */
static void a_digest_is_what_the_format_says(void **state)
{
    (void)state;
    struct digest previous = {.bytes = {0}};
    struct digest digest;
    struct message_sent event = {.number = 1,
                                 .seq = 1,
                                 .room = slice_of("tea"),
                                 .sender = slice_of("Maja"),
                                 .text = slice_of("Hi"),
                                 .at_ms = 1000};
    event_digest(&digest, &previous, &event);
    struct buf hex;
    buf_init(&hex, 100);
    buf_add_hex(&hex, digest.bytes, sizeof digest.bytes);
    buf_add_char(&hex, '\0');
    assert_string_equal(hex.at, "f8bfcf2cd05e13614c1a3ac0e5ff64ac");
    buf_close(&hex);
}

static void the_content_of_a_command_tells_texts_and_rooms_apart(void **state)
{
    (void)state;
    struct sender_id who = {.bytes = {1}};
    uint64_t content = command_content(&who, slice_of("ab"), slice_of("c"));
    assert_true(content != 0);
    assert_true(content != command_content(&who, slice_of("a"), slice_of("bc")));
    assert_true(content != command_content(&who, slice_of("ab"), slice_of("d")));
    assert_true(content == command_content(&who, slice_of("ab"), slice_of("c")));
    who.bytes[0] = 2;
    assert_true(content != command_content(&who, slice_of("ab"), slice_of("c")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_alone_comes_back),
        cmocka_unit_test(a_command_cut_anywhere_is_refused),
        cmocka_unit_test(a_changed_command_is_refused_or_within_limits),
        cmocka_unit_test(a_count_that_claims_too_much_is_refused),
        cmocka_unit_test(a_text_that_is_not_utf8_is_refused),
        PROMISE("P2 P4", a_batch_gives_its_commands_in_order),
        cmocka_unit_test(a_damaged_batch_gives_nothing),
        PROMISE("P12", a_forged_batch_gives_all_or_nothing),
        cmocka_unit_test(a_full_batch_refuses_one_more_unchanged),
        cmocka_unit_test(as_many_small_commands_as_allowed_fit),
        cmocka_unit_test(an_event_comes_back_whole),
        cmocka_unit_test(the_largest_event_has_room),
        PROMISE("P12", a_damaged_event_is_never_believed),
        cmocka_unit_test(a_forged_event_is_refused_or_within_limits),
        cmocka_unit_test(an_event_of_a_newer_version_is_told_from_damage),
        PROMISE("P2", each_part_of_an_event_but_its_index_is_in_the_digest),
        cmocka_unit_test(a_digest_is_what_the_format_says),
        cmocka_unit_test(the_content_of_a_command_tells_texts_and_rooms_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
