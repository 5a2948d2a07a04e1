#include "web/ws.h"

#include <assert.h>
#include <string.h>

#include <wslay/wslay.h>

#include "base/crypto.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"

enum { READERS_KEPT_MAX = 64, MESSAGE_KEPT_MAX = 4096, KEY_SIZE = 16, CONTROL_MAX = 125 };

static const struct slice MAGIC = SLICE("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");

struct ws_reader {
    struct ws_reader *next; /* in the pool */
    wslay_event_context_ptr context;
    struct ws_pool *pool;
    struct ws_stream *stream; /* these two while ws_read runs */
    void *owner;
    struct slice bytes; /* not yet given to the library */
    uint64_t fed;       /* bytes given to it since it was borrowed */
    uint64_t framed;    /* of these, in whole frames */
    uint64_t frame_size;
    struct buf message;    /* that is coming in */
    bool is_open;          /* a message has begun and not ended */
    bool is_data;          /* the frame that is coming in is a data frame */
    bool is_closed;        /* a close frame came */
    bool is_over;          /* nothing more is to be read */
    int code;              /* what we found wrong, or the code of the close frame; 0 = nothing */
    uint8_t queued_opcode; /* the frame of the library's own that it tries to send */
    size_t queued_left;
};

struct ws_pool {
    struct ws_handler handler;
    size_t message_max;
    struct ws_reader *free;
    unsigned free_count;
    uint32_t second;
};

/* ---- sending ---- */

static size_t add_head(uint8_t head[WS_HEAD_MAX], uint8_t opcode, uint64_t len)
{
    head[0] = (uint8_t)(0x80u | opcode);
    if (len < 126) {
        head[1] = (uint8_t)len;
        return 2;
    }
    size_t width = len <= UINT16_MAX ? 2 : 8;
    head[1] = width == 2 ? 126 : 127;
    for (size_t i = 0; i < width; i++)
        head[2 + i] = (uint8_t)(len >> (8 * (width - 1 - i)));
    return 2 + width;
}

static struct shared *frame_new(uint8_t opcode, struct slice payload)
{
    uint8_t head[WS_HEAD_MAX];
    size_t head_len = add_head(head, opcode, payload.len);
    struct shared *frame = shared_new(head_len + payload.len);

    memcpy(frame->bytes, head, head_len);
    if (payload.len > 0) memcpy(frame->bytes + head_len, payload.at, payload.len);
    return frame;
}

size_t ws_text_head(uint8_t head[WS_HEAD_MAX], uint64_t len)
{
    return add_head(head, WSLAY_TEXT_FRAME, len);
}

struct shared *ws_text_frame(struct slice payload)
{
    return frame_new(WSLAY_TEXT_FRAME, payload);
}

struct shared *ws_close_frame(int code)
{
    uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};

    assert(code != WSLAY_CODE_NORMAL_CLOSURE);
    return frame_new(WSLAY_CONNECTION_CLOSE, slice_make(payload, code == WS_NO_CODE ? 0 : 2));
}

struct shared *ws_ping_frame(void)
{
    return frame_new(WSLAY_PING, (struct slice){NULL, 0});
}

struct shared *ws_pong_frame(struct slice payload)
{
    return frame_new(WSLAY_PONG, slice_first(payload, CONTROL_MAX));
}

bool ws_accept(struct buf *out, struct slice key)
{
    uint8_t digest[SHA1_SIZE];
    struct buf text;

    buf_init(&text, 128);
    bool is_key = key.len < 64 && crypto_base64_decode(&text, key) && text.len == KEY_SIZE;
    if (is_key) {
        buf_reset(&text);
        buf_add(&text, key);
        buf_add(&text, MAGIC);
        crypto_sha1(digest, buf_slice(&text));
        crypto_add_base64(out, digest, sizeof digest);
    }
    buf_close(&text);
    return is_key;
}

/* ---- receiving ---- */

/* The first thing that is wrong counts. */
static void reader_fail(struct ws_reader *reader, int code)
{
    if (!reader->is_over) reader->code = code;
    reader->is_over = true;
    wslay_event_shutdown_read(reader->context);
}

static ssize_t on_recv(wslay_event_context_ptr context, uint8_t *at, size_t len, int flags,
                       void *data)
{
    struct ws_reader *reader = data;
    size_t count = reader->bytes.len < len ? reader->bytes.len : len;

    (void)flags;
    if (count == 0) {
        wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(at, reader->bytes.at, count);
    reader->bytes = slice_skip(reader->bytes, count);
    reader->fed += count;
    return (ssize_t)count;
}

/* The library answers by itself: a pong, which we make ourselves, and a close frame, from which we
 * learn what it found wrong. Nothing of it is sent. */
static ssize_t on_send(wslay_event_context_ptr context, const uint8_t *at, size_t len, int flags,
                       void *data)
{
    struct ws_reader *reader = data;

    (void)context;
    (void)flags;
    if (reader->queued_left == 0) {
        reader->queued_opcode = at[0] & 0x0f;
        reader->queued_left = len < 2 ? 0 : at[1] & 0x7f;
        return (ssize_t)len;
    }
    if (reader->queued_opcode == WSLAY_CONNECTION_CLOSE && len >= 2 && reader->code == 0) {
        reader->code = at[0] << 8 | at[1];
    }
    reader->queued_left -= len < reader->queued_left ? len : reader->queued_left;
    return (ssize_t)len;
}

static void count_control(struct ws_reader *reader)
{
    struct ws_stream *stream = reader->stream;

    if (stream->second != reader->pool->second) {
        stream->second = reader->pool->second;
        stream->controls = 0;
    }
    if (++stream->controls > WS_CONTROL_PER_SECOND_MAX) reader_fail(reader, WS_POLICY);
}

static void on_frame_start(wslay_event_context_ptr context,
                           const struct wslay_event_on_frame_recv_start_arg *frame, void *data)
{
    struct ws_reader *reader = data;
    uint64_t len = frame->payload_length;

    (void)context;
    /* The library refuses lengths that are not in their shortest form. */
    reader->frame_size = 2 + (len < 126 ? 0u : len <= UINT16_MAX ? 2u : 8u) + 4 + len;
    reader->is_data = !wslay_is_ctrl_frame(frame->opcode);
    if (!reader->is_data) {
        count_control(reader);
        return;
    }
    reader->is_open = true;
    if (frame->opcode == WSLAY_BINARY_FRAME && reader->pool->handler.on_binary == NULL) {
        reader_fail(reader, WS_UNSUPPORTED);
    } else if (len > reader->pool->message_max - reader->message.len) {
        reader_fail(reader, WS_TOO_LARGE);
    }
}

static void on_frame_chunk(wslay_event_context_ptr context,
                           const struct wslay_event_on_frame_recv_chunk_arg *chunk, void *data)
{
    struct ws_reader *reader = data;

    (void)context;
    if (reader->is_data && !reader->is_over) {
        buf_append(&reader->message, chunk->data, chunk->data_length);
    }
}

static void on_frame_end(wslay_event_context_ptr context, void *data)
{
    struct ws_reader *reader = data;

    (void)context;
    reader->framed += reader->frame_size;
}

static void on_close(struct ws_reader *reader, const struct wslay_event_on_msg_recv_arg *message)
{
    if (message->msg_length == 1) {
        reader_fail(reader, WS_PROTOCOL);
        return;
    }
    /* The library looks at a reason only when it comes in one piece. */
    if (!text_valid(slice_skip(slice_make(message->msg, message->msg_length), 2))) {
        reader_fail(reader, WS_INVALID_TEXT);
        return;
    }
    reader->is_closed = true;
    reader_fail(reader, message->status_code);
}

static void on_message(wslay_event_context_ptr context,
                       const struct wslay_event_on_msg_recv_arg *message, void *data)
{
    struct ws_reader *reader = data;
    const struct ws_handler *handler = &reader->pool->handler;

    (void)context;
    if (reader->is_over) return;
    if (message->opcode == WSLAY_CONNECTION_CLOSE) {
        on_close(reader, message);
    } else if (message->opcode == WSLAY_PING) {
        handler->on_ping(reader->owner, slice_make(message->msg, message->msg_length));
    } else if (message->opcode == WSLAY_TEXT_FRAME || message->opcode == WSLAY_BINARY_FRAME) {
        bool is_text = message->opcode == WSLAY_TEXT_FRAME;
        reader->is_open = false;
        (is_text ? handler->on_text : handler->on_binary)(reader->owner,
                                                          buf_slice(&reader->message));
        buf_reset(&reader->message);
    }
}

static struct ws_reader *reader_new(struct ws_pool *pool)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_recv,
        .send_callback = on_send,
        .on_frame_recv_start_callback = on_frame_start,
        .on_frame_recv_chunk_callback = on_frame_chunk,
        .on_frame_recv_end_callback = on_frame_end,
        .on_msg_recv_callback = on_message,
    };
    struct ws_reader *reader = mem_new(sizeof *reader);

    reader->pool = pool;
    buf_init(&reader->message, pool->message_max);
    int rv = wslay_event_context_server_init(&reader->context, &callbacks, reader);
    if (rv != 0) mem_exhausted(sizeof *reader); /* it fails for nothing else */
    wslay_event_config_set_max_recv_msg_length(reader->context, pool->message_max);
    wslay_event_config_set_no_buffering(reader->context, 1);
    return reader;
}

static void reader_free(struct ws_reader *reader)
{
    wslay_event_context_free(reader->context);
    buf_close(&reader->message);
    mem_free(reader);
}

static struct ws_reader *pool_borrow(struct ws_pool *pool)
{
    struct ws_reader *reader = pool->free;

    if (reader == NULL) return reader_new(pool);
    pool->free = reader->next;
    pool->free_count--;
    reader->next = NULL;
    return reader;
}

static void pool_give_back(struct ws_pool *pool, struct ws_reader *reader)
{
    if (pool->free_count >= READERS_KEPT_MAX) {
        reader_free(reader);
        return;
    }
    buf_shrink(&reader->message, MESSAGE_KEPT_MAX);
    reader->fed = reader->framed = 0;
    reader->next = pool->free;
    pool->free = reader;
    pool->free_count++;
}

struct ws_pool *ws_pool_new(const struct ws_handler *handler, size_t message_max)
{
    struct ws_pool *pool = mem_new(sizeof *pool);

    pool->handler = *handler;
    pool->message_max = message_max;
    return pool;
}

void ws_pool_free(struct ws_pool *pool)
{
    while (pool->free != NULL)
        reader_free(pool_borrow(pool));
    mem_free(pool);
}

/* What is to be said to the other side, once nothing more is to be read. */
static enum ws_result reader_result(const struct ws_reader *reader, int *code)
{
    if (!reader->is_closed) {
        *code = reader->code == 0 ? WS_PROTOCOL : reader->code;
        return WS_FAILED;
    }
    *code = reader->code == WSLAY_CODE_NORMAL_CLOSURE ? WS_NO_CODE : reader->code;
    return WS_PEER_CLOSED;
}

enum ws_result ws_read(struct ws_pool *pool, struct ws_stream *stream, void *owner,
                       struct slice bytes, uint64_t now_ms, int *code)
{
    struct ws_reader *reader = stream->reader;

    if (reader == NULL) reader = stream->reader = pool_borrow(pool);
    pool->second = (uint32_t)(now_ms / 1000) + 1;
    reader->stream = stream;
    reader->owner = owner;
    reader->bytes = bytes;
    int rv = wslay_event_recv(reader->context);
    if (wslay_event_want_write(reader->context)) (void)wslay_event_send(reader->context);

    if (rv != 0 || !wslay_event_get_read_enabled(reader->context)) {
        enum ws_result result = reader_result(reader, code);
        stream->reader = NULL;
        reader_free(reader);
        return result;
    }
    if (reader->fed == reader->framed && !reader->is_open) {
        stream->reader = NULL;
        pool_give_back(pool, reader);
    }
    return WS_OPEN;
}

void ws_stream_close(struct ws_stream *stream)
{
    if (stream->reader != NULL) reader_free(stream->reader);
    stream->reader = NULL;
}
