/* Frames in and out: what a browser may send, and how everything else ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "web/ws.h"

enum { FIN = 0x80, TEXT = 1, BINARY = 2, CONTINUED = 0, CLOSE = 8, PING = 9, PONG = 10 };

struct listener {
    struct ws_pool *pool;
    struct ws_stream stream;
    struct buf heard; /* messages, each with a '|' behind it; pings with a '!' */
    int code;
    uint64_t now_ms;
};

static void on_text(void *owner, struct slice text)
{
    struct listener *listener = owner;
    buf_add(&listener->heard, text);
    buf_add_char(&listener->heard, '|');
}

static void on_ping(void *owner, struct slice payload)
{
    struct listener *listener = owner;
    buf_add(&listener->heard, payload);
    buf_add_char(&listener->heard, '!');
}

static void listener_init(struct listener *listener)
{
    *listener = (struct listener){
        .pool = ws_pool_new(&(struct ws_handler){.on_text = on_text, .on_ping = on_ping},
                            WS_MESSAGE_MAX)};
    buf_init(&listener->heard, 1 << 20);
}

static void listener_close(struct listener *listener)
{
    ws_stream_close(&listener->stream);
    ws_pool_free(listener->pool);
    buf_close(&listener->heard);
}

/* A frame as a browser sends it. `claimed` is the length in its head. */
static void add_claiming(struct buf *out, unsigned first, struct slice payload, uint64_t claimed)
{
    static const unsigned char mask[4] = {0x1f, 0xe2, 0x83, 0x04};

    buf_add_char(out, (char)first);
    if (claimed < 126) {
        buf_add_char(out, (char)(0x80 | claimed));
    } else {
        int width = claimed <= UINT16_MAX ? 2 : 8;
        buf_add_char(out, (char)(0x80 | (width == 2 ? 126 : 127)));
        for (int i = width - 1; i >= 0; i--)
            buf_add_char(out, (char)(claimed >> (8 * i)));
    }
    buf_append(out, mask, 4);
    for (size_t i = 0; i < payload.len; i++) {
        buf_add_char(out, (char)((unsigned char)payload.at[i] ^ mask[i % 4]));
    }
}

static void add_frame(struct buf *out, unsigned first, struct slice payload)
{
    add_claiming(out, first, payload, payload.len);
}

static enum ws_result feed(struct listener *listener, struct slice bytes, size_t step)
{
    enum ws_result result = WS_OPEN;
    while (bytes.len > 0 && result == WS_OPEN) {
        result = ws_read(listener->pool, &listener->stream, listener, slice_first(bytes, step),
                         listener->now_ms, &listener->code);
        bytes = slice_skip(bytes, step);
    }
    return result;
}

static void messages_come_whole_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t step = 1; step < 40; step++) {
        struct listener listener;
        struct buf bytes;

        listener_init(&listener);
        buf_init(&bytes, 4096);
        add_frame(&bytes, FIN | TEXT, slice_of("one"));
        add_frame(&bytes, TEXT, slice_of("t\xc3"));
        add_frame(&bytes, FIN | PING, slice_of("p"));
        add_frame(&bytes, CONTINUED, slice_of(""));
        add_frame(&bytes, FIN | CONTINUED, slice_of("\xa4"));
        add_frame(&bytes, FIN | PONG, slice_of(""));
        add_frame(&bytes, FIN | TEXT, slice_of(""));
        assert_int_equal(feed(&listener, buf_slice(&bytes), step), WS_OPEN);
        assert_true(slice_is(buf_slice(&listener.heard), "one|p!t\xc3\xa4||"));
        assert_null(listener.stream.reader); /* nothing is held between messages */
        buf_close(&bytes);
        listener_close(&listener);
    }
}

static void a_reader_is_held_while_a_message_is_coming_in(void **state)
{
    struct listener listener;
    struct buf bytes;

    (void)state;
    listener_init(&listener);
    buf_init(&bytes, 4096);
    add_frame(&bytes, TEXT, slice_of("half"));
    assert_int_equal(feed(&listener, buf_slice(&bytes), 100), WS_OPEN);
    assert_non_null(listener.stream.reader);
    buf_reset(&bytes);
    add_frame(&bytes, FIN | CONTINUED, slice_of(" done"));
    assert_int_equal(feed(&listener, slice_first(buf_slice(&bytes), 1), 100), WS_OPEN);
    assert_non_null(listener.stream.reader);
    assert_int_equal(feed(&listener, slice_skip(buf_slice(&bytes), 1), 100), WS_OPEN);
    assert_null(listener.stream.reader);
    assert_true(slice_is(buf_slice(&listener.heard), "half done|"));
    buf_close(&bytes);
    listener_close(&listener);
}

static void what_is_wrong_ends_with_its_code(void **state)
{
    static const struct {
        struct slice bytes; /* masked with zeros, so that they can be read */
        int code;
    } table[] = {
        {SLICE("\x81\x03"
               "abc"),
         WS_PROTOCOL},                             /* not masked */
        {SLICE("\xc1\x81\0\0\0\0a"), WS_PROTOCOL}, /* reserved bits */
        {SLICE("\xa1\x81\0\0\0\0a"), WS_PROTOCOL},
        {SLICE("\x91\x81\0\0\0\0a"), WS_PROTOCOL},
        {SLICE("\x83\x81\0\0\0\0a"), WS_PROTOCOL}, /* reserved opcodes */
        {SLICE("\x8b\x80\0\0\0\0"), WS_PROTOCOL},
        {SLICE("\x09\x80\0\0\0\0"), WS_PROTOCOL},                   /* a fragmented ping */
        {SLICE("\x89\xfe\0\x7e\0\0\0\0"), WS_PROTOCOL},             /* a ping of 126 bytes */
        {SLICE("\x80\x81\0\0\0\0a"), WS_PROTOCOL},                  /* continues nothing */
        {SLICE("\x01\x81\0\0\0\0a\x81\x81\0\0\0\0b"), WS_PROTOCOL}, /* a new one inside of one */
        {SLICE("\x81\xfe\0\x05\0\0\0\0hello"), WS_PROTOCOL},        /* length not the shortest */
        {SLICE("\x81\xff\0\0\0\0\0\0\0\x05\0\0\0\0hello"), WS_PROTOCOL},
        {SLICE("\x81\xff\x80\0\0\0\0\0\0\0\0\0\0\0h"), WS_PROTOCOL}, /* 2^63 */
        {SLICE("\x82\x81\0\0\0\0a"), WS_UNSUPPORTED},                /* binary */
        {SLICE("\x81\x81\0\0\0\0\xff"), WS_INVALID_TEXT},
        {SLICE("\x81\x82\0\0\0\0\xc0\x80"), WS_INVALID_TEXT},
        {SLICE("\x81\x83\0\0\0\0\xed\xa0\x80"), WS_INVALID_TEXT},
        {SLICE("\x81\x84\0\0\0\0\xf4\x90\x80\x80"), WS_INVALID_TEXT},
        {SLICE("\x81\x81\0\0\0\0\xc3"), WS_INVALID_TEXT}, /* cut inside of a character */
        {SLICE("\x01\x81\0\0\0\0\xc3\x80\x81\0\0\0\0a"), WS_INVALID_TEXT},
        {SLICE("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0h"), WS_TOO_LARGE},
        {SLICE("\x81\xff\0\0\0\1\0\0\0\0\0\0\0\0h"), WS_TOO_LARGE}, /* 2^32 */
        {SLICE("\x81\xff\0\0\0\0\0\1\0\1\0\0\0\0h"), WS_TOO_LARGE}, /* the limit and one */
        {SLICE("\x88\x81\0\0\0\0a"), WS_PROTOCOL},                  /* half a close code */
        {SLICE("\x88\x82\0\0\0\0\x03\xe7"), WS_PROTOCOL},           /* 999 */
        {SLICE("\x88\x82\0\0\0\0\x03\xed"), WS_PROTOCOL},           /* 1005 */
        {SLICE("\x88\x82\0\0\0\0\x03\xee"), WS_PROTOCOL},           /* 1006 */
        {SLICE("\x88\x82\0\0\0\0\x13\x88"), WS_PROTOCOL},           /* 5000 */
        {SLICE("\x88\x83\0\0\0\0\x03\xe8\xff"), WS_INVALID_TEXT},   /* its reason */
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        for (size_t step = 1; step < 200; step += 99) {
            struct listener listener;
            listener_init(&listener);
            enum ws_result result = feed(&listener, table[i].bytes, step);
            if (result != WS_FAILED || listener.code != table[i].code) {
                print_error("row %zu, steps of %zu\n", i, step);
            }
            assert_int_equal(result, WS_FAILED);
            assert_int_equal(listener.code, table[i].code);
            assert_int_equal(listener.heard.len, 0);
            assert_null(listener.stream.reader);
            listener_close(&listener);
        }
    }
}

static void a_close_is_answered_in_kind_but_never_with_1000(void **state)
{
    static const struct {
        struct slice bytes;
        int code;
    } table[] = {
        {SLICE("\x88\x80\0\0\0\0"), WS_NO_CODE},
        {SLICE("\x88\x82\0\0\0\0\x03\xe8"), WS_NO_CODE}, /* 1000 */
        {SLICE("\x88\x84\0\0\0\0\x03\xe9ok"), WS_GOING_AWAY},
        {SLICE("\x88\x82\0\0\0\0\x0f\xa0"), WS_SLOW}, /* 4000 */
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct listener listener;
        listener_init(&listener);
        assert_int_equal(feed(&listener, table[i].bytes, 3), WS_PEER_CLOSED);
        assert_int_equal(listener.code, table[i].code);
        listener_close(&listener);
    }
}

static void a_message_may_be_as_large_as_the_limit_and_no_larger(void **state)
{
    struct listener listener;
    struct buf bytes;
    struct buf text;

    (void)state;
    listener_init(&listener);
    buf_init(&bytes, 1 << 20);
    buf_init(&text, WS_MESSAGE_MAX);
    memset(buf_extend(&text, WS_MESSAGE_MAX), 'a', WS_MESSAGE_MAX);
    add_frame(&bytes, FIN | TEXT, buf_slice(&text));
    assert_int_equal(feed(&listener, buf_slice(&bytes), 5000), WS_OPEN);
    assert_int_equal(listener.heard.len, WS_MESSAGE_MAX + 1);

    buf_reset(&bytes);
    add_frame(&bytes, TEXT, buf_slice(&text));
    assert_int_equal(feed(&listener, buf_slice(&bytes), 5000), WS_OPEN);
    buf_reset(&bytes);
    add_frame(&bytes, CONTINUED, slice_of("a"));
    assert_int_equal(feed(&listener, buf_slice(&bytes), 5000), WS_FAILED);
    assert_int_equal(listener.code, WS_TOO_LARGE);
    buf_close(&text);
    buf_close(&bytes);
    listener_close(&listener);
}

static void on_binary(void *owner, struct slice bytes)
{
    struct listener *listener = owner;
    buf_add(&listener->heard, bytes);
    buf_add_char(&listener->heard, '#');
}

static void who_wants_binary_messages_and_larger_ones_gets_them(void **state)
{
    struct listener listener;
    struct buf bytes;
    struct buf text;

    (void)state;
    listener_init(&listener);
    ws_pool_free(listener.pool);
    listener.pool = ws_pool_new(
        &(struct ws_handler){.on_text = on_text, .on_binary = on_binary, .on_ping = on_ping},
        WS_MESSAGE_MAX + 1);
    buf_init(&bytes, 1 << 20);
    buf_init(&text, WS_MESSAGE_MAX + 2);
    add_frame(&bytes, BINARY, slice_of("\xff"));
    add_frame(&bytes, FIN | CONTINUED, slice_of("\xfe"));
    add_frame(&bytes, FIN | TEXT, slice_of("tea"));
    assert_int_equal(feed(&listener, buf_slice(&bytes), 3), WS_OPEN);
    assert_true(slice_is(buf_slice(&listener.heard), "\xff\xfe#tea|"));

    memset(buf_extend(&text, WS_MESSAGE_MAX + 1), 'a', WS_MESSAGE_MAX + 1);
    buf_reset(&bytes);
    add_frame(&bytes, FIN | BINARY, buf_slice(&text));
    assert_int_equal(feed(&listener, buf_slice(&bytes), 5000), WS_OPEN);
    buf_add_char(&text, 'a');
    buf_reset(&bytes);
    add_frame(&bytes, FIN | BINARY, buf_slice(&text));
    assert_int_equal(feed(&listener, buf_slice(&bytes), 5000), WS_FAILED);
    assert_int_equal(listener.code, WS_TOO_LARGE);
    buf_close(&text);
    buf_close(&bytes);
    listener_close(&listener);
}

static void empty_fragments_without_end_cost_nothing(void **state)
{
    struct listener listener;
    struct buf bytes;

    (void)state;
    listener_init(&listener);
    buf_init(&bytes, 1 << 20);
    add_frame(&bytes, TEXT, slice_of("a"));
    for (int i = 0; i < 10000; i++)
        add_frame(&bytes, CONTINUED, slice_of(""));
    assert_int_equal(feed(&listener, buf_slice(&bytes), 60000), WS_OPEN);
    buf_reset(&bytes);
    for (int i = 0; i < 10000; i++)
        add_frame(&bytes, CONTINUED, slice_of(""));
    for (int i = 0; i < 99; i++)
        assert_int_equal(feed(&listener, buf_slice(&bytes), 60000), WS_OPEN);
    buf_reset(&bytes);
    add_frame(&bytes, FIN | CONTINUED, slice_of("b"));
    assert_int_equal(feed(&listener, buf_slice(&bytes), 60000), WS_OPEN);
    assert_true(slice_is(buf_slice(&listener.heard), "ab|"));
    buf_close(&bytes);
    listener_close(&listener);
}

static void too_many_control_frames_in_a_second_end_it(void **state)
{
    struct listener listener;
    struct buf bytes;

    (void)state;
    listener_init(&listener);
    buf_init(&bytes, 1 << 20);
    for (int i = 0; i < WS_CONTROL_PER_SECOND_MAX; i++)
        add_frame(&bytes, FIN | PING, slice_of(""));
    for (int i = 0; i < 3; i++) {
        listener.now_ms += 1000;
        assert_int_equal(feed(&listener, buf_slice(&bytes), 7), WS_OPEN);
    }
    buf_reset(&bytes);
    add_frame(&bytes, FIN | PONG, slice_of(""));
    assert_int_equal(feed(&listener, buf_slice(&bytes), 7), WS_FAILED);
    assert_int_equal(listener.code, WS_POLICY);
    buf_close(&bytes);
    listener_close(&listener);
}

static void our_frames_have_the_shortest_head(void **state)
{
    static const struct {
        uint64_t len;
        struct slice head;
    } table[] = {
        {0, SLICE("\x81\x00")},
        {125, SLICE("\x81\x7d")},
        {126, SLICE("\x81\x7e\x00\x7e")},
        {65535, SLICE("\x81\x7e\xff\xff")},
        {65536, SLICE("\x81\x7f\0\0\0\0\0\1\0\0")},
    };
    uint8_t head[WS_HEAD_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t len = ws_text_head(head, table[i].len);
        assert_true(slice_equal(slice_make(head, len), table[i].head));
    }
    struct shared *frame = ws_text_frame(slice_of("tea"));
    assert_true(slice_equal(shared_slice(frame), slice_of("\x81\x03"
                                                          "tea")));
    shared_unref(frame);
    frame = ws_close_frame(WS_RESTART);
    assert_true(slice_equal(shared_slice(frame), slice_of("\x88\x02\x03\xf4")));
    shared_unref(frame);
}

static void only_a_key_of_16_bytes_is_accepted(void **state)
{
    static const char *const wrong[] = {"",
                                        "x",
                                        "dGhlIHNhbXBsZSBub25jZQ",
                                        "dGhlIHNhbXBsZSBub25j",
                                        "dGhlIHNhbXBsZSBub25jZSE=",
                                        "dGhlIHNhbXBsZSBub25jZ===",
                                        "dGhl IHNhbXBsZSBub25jZQ=="};
    struct buf out;

    (void)state;
    buf_init(&out, 100);
    assert_true(ws_accept(&out, slice_of("dGhlIHNhbXBsZSBub25jZQ=="))); /* RFC 6455, 1.3 */
    assert_true(slice_is(buf_slice(&out), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(ws_accept(&out, slice_from(wrong[i])));
    }
    buf_close(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_whole_however_they_are_cut),
        cmocka_unit_test(a_reader_is_held_while_a_message_is_coming_in),
        cmocka_unit_test(what_is_wrong_ends_with_its_code),
        cmocka_unit_test(a_close_is_answered_in_kind_but_never_with_1000),
        cmocka_unit_test(a_message_may_be_as_large_as_the_limit_and_no_larger),
        cmocka_unit_test(who_wants_binary_messages_and_larger_ones_gets_them),
        cmocka_unit_test(empty_fragments_without_end_cost_nothing),
        cmocka_unit_test(too_many_control_frames_in_a_second_end_it),
        cmocka_unit_test(our_frames_have_the_shortest_head),
        cmocka_unit_test(only_a_key_of_16_bytes_is_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
