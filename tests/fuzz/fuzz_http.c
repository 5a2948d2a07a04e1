/* Requests, in pieces: byte 0 is the size of a piece. */
#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "fuzz.h"
#include "web/http.h"

static void look_at(const struct http_request *request)
{
    struct buf value;
    FUZZ_HOLDS(request->target.len > 0 && request->target.at[0] == '/');
    FUZZ_HOLDS(request->headers_count <= HTTP_HEADERS_MAX);
    FUZZ_HOLDS(request->body.len <= HTTP_BODY_MAX);
    for (size_t i = 0; i < request->headers_count; i++) {
        struct slice value_of = request->headers[i].value;
        FUZZ_HOLDS(request->headers[i].name.len > 0);
        FUZZ_HOLDS(slice_find(value_of, '\n') == value_of.len);
        FUZZ_HOLDS(slice_find(value_of, '\r') == value_of.len);
        FUZZ_HOLDS(slice_find(value_of, '\0') == value_of.len);
    }
    buf_init(&value, HTTP_LINE_MAX);
    http_query_get(request, "a", &value);
    http_cookie_get(request, "b");
    http_header_has(request, "connection", "upgrade");
    buf_close(&value);
}

static enum http_progress read_piece(struct http_reader *reader, struct slice piece, size_t *used)
{
    char *copy = mem_copy(piece.at, piece.len);
    enum http_progress progress = http_read(reader, slice_make(copy, piece.len), used);
    mem_free(copy);
    FUZZ_HOLDS(*used <= piece.len);
    FUZZ_HOLDS(progress != HTTP_READ_MORE || *used == piece.len);
    return progress;
}

static void read_all(struct http_reader *reader, struct slice bytes, size_t step)
{
    unsigned heads = 0;
    while (bytes.len > 0) {
        size_t used = 0;
        enum http_progress progress = read_piece(reader, slice_first(bytes, step), &used);
        bytes = slice_skip(bytes, used);
        switch (progress) {
        case HTTP_READ_MORE: break;
        case HTTP_READ_HEAD: FUZZ_HOLDS(++heads == 1); break;
        case HTTP_READ_ALL: look_at(http_reader_request(reader)); return;
        case HTTP_READ_BAD:
            FUZZ_HOLDS(http_reader_status(reader) >= 400 && http_reader_status(reader) < 600);
            return;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    struct http_reader *reader = http_reader_new();
    read_all(reader, slice_make(data + 1, size - 1), data[0] == 0 ? size : data[0]);
    http_reader_free(reader);
    return 0;
}
