/* Frames of a browser, in pieces: byte 0 is the size of a piece. */
#include "base/limits.h"
#include "base/mem.h"
#include "base/text.h"
#include "fuzz.h"
#include "web/ws.h"

static void on_text(void *owner, struct slice text)
{
    (void)owner;
    FUZZ_HOLDS(text.len <= WS_MESSAGE_MAX);
    FUZZ_HOLDS(text_valid(text));
}

static void on_ping(void *owner, struct slice payload)
{
    (void)owner;
    FUZZ_HOLDS(payload.len <= 125);
    shared_unref(ws_pong_frame(payload));
}

static enum ws_result read_piece(struct ws_pool *pool, struct ws_stream *stream, struct slice piece)
{
    int code = 0;
    char *copy = mem_copy(piece.at, piece.len);
    enum ws_result result = ws_read(pool, stream, NULL, slice_make(copy, piece.len), 1, &code);
    mem_free(copy);
    if (result == WS_OPEN) return result;
    FUZZ_HOLDS(stream->reader == NULL);
    FUZZ_HOLDS(code != 1000 && (code == WS_NO_CODE || (code > 1000 && code < 5000)));
    shared_unref(ws_close_frame(code));
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    struct ws_pool *pool =
        ws_pool_new(&(struct ws_handler){.on_text = on_text, .on_ping = on_ping}, WS_MESSAGE_MAX);
    struct ws_stream stream = {0};
    size_t step = data[0] == 0 ? size : data[0];
    for (struct slice bytes = slice_make(data + 1, size - 1); bytes.len > 0;
         bytes = slice_skip(bytes, step))
        if (read_piece(pool, &stream, slice_first(bytes, step)) != WS_OPEN) break;
    ws_stream_close(&stream);
    ws_pool_free(pool);
    return 0;
}
