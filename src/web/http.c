/* Longer than 500 lines because the door to llhttp is one file: what is checked before it, what it says,
 * and what is checked against that belong together; and so does what answers take from requests.
 */
#include "web/http.h"

#include <assert.h>
#include <strings.h>

#include <llhttp.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "web/conn.h"

/* Blank lines before a request line; old clients send one behind a form. */
enum {
    BLANK_LINES_MAX = 2,
    METHOD_MAX = 20,
    CHUNK_LINES_MAX = 1024,
    LENGTH_DIGITS_MAX = 18,
    CHUNK_DIGITS_MAX = 16
};

enum stage { STAGE_HEAD, STAGE_BODY, STAGE_COMPLETE, STAGE_BAD };

struct http_reader {
    llhttp_t parser;
    enum stage stage;
    int status; /* of a bad one */
    struct buf head;
    size_t line_at; /* in head: where the line begins that is coming in */
    unsigned lines, blank_lines;
    struct buf body;
    const char *framing;     /* in the bytes being read: where what is not body goes on */
    size_t framing_len;      /* since the last byte of body */
    unsigned framing_digits; /* since its last line end, and nothing else since */
    char framing_last;
    bool is_complete; /* llhttp says so */
    bool expects;
    bool value_is_next;
    struct http_request request;
    struct http_header headers[HTTP_HEADERS_MAX];
};

/* ---- small questions about text ---- */

static bool slice_is_word(struct slice a, const char *word)
{
    return a.len == strlen(word) && strncasecmp(a.at, word, a.len) == 0;
}

static bool is_token_byte(unsigned char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
    return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool is_hex_digit(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_token(struct slice a)
{
    for (size_t i = 0; i < a.len; i++) {
        if (!is_token_byte((unsigned char)a.at[i])) return false;
    }
    return a.len > 0;
}

/* What a request target may be made of; '#' never comes over the wire. */
static bool is_target(struct slice a)
{
    for (size_t i = 0; i < a.len; i++) {
        if (a.at[i] <= ' ' || a.at[i] > '~' || a.at[i] == '#') return false;
    }
    return a.len > 0;
}

static bool is_field_value(struct slice a)
{
    for (size_t i = 0; i < a.len; i++) {
        unsigned char c = (unsigned char)a.at[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) return false;
    }
    return true;
}

static bool is_host(struct slice a)
{
    for (size_t i = 0; i < a.len; i++) {
        char c = a.at[i];
        bool is_name = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_name && (c == 0 || strchr("-._~:[]%", c) == NULL)) return false;
    }
    return a.len > 0;
}

/* ---- headers of a request ---- */

struct slice http_header_get(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->headers_count; i++) {
        if (slice_is_word(request->headers[i].name, name)) return request->headers[i].value;
    }
    return (struct slice){NULL, 0};
}

static size_t header_count(const struct http_request *request, const char *name)
{
    size_t count = 0;

    for (size_t i = 0; i < request->headers_count; i++) {
        if (slice_is_word(request->headers[i].name, name)) count++;
    }
    return count;
}

bool http_header_has(const struct http_request *request, const char *name, const char *word)
{
    for (size_t i = 0; i < request->headers_count; i++) {
        struct slice rest = request->headers[i].value;
        if (!slice_is_word(request->headers[i].name, name)) continue;
        while (rest.len > 0) {
            if (slice_is_word(slice_trim(slice_cut(&rest, ',')), word)) return true;
        }
    }
    return false;
}

struct slice http_cookie_get(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->headers_count; i++) {
        struct slice rest = request->headers[i].value;
        if (!slice_is_word(request->headers[i].name, "cookie")) continue;
        while (rest.len > 0) {
            struct slice value = slice_cut(&rest, ';');
            if (slice_is(slice_trim(slice_cut(&value, '=')), name)) return slice_trim(value);
        }
    }
    return (struct slice){NULL, 0};
}

bool http_query_get(const struct http_request *request, const char *name, struct buf *out)
{
    struct slice rest = request->query;

    while (rest.len > 0) {
        struct slice value = slice_cut(&rest, '&');
        if (!slice_is(slice_cut(&value, '='), name)) continue;
        size_t before = out->len;
        if (text_unescape_url(out, value, true)) return true;
        buf_truncate(out, before);
        return false;
    }
    return false;
}

/* ---- the head, line by line ---- */

static enum http_progress refuse(struct http_reader *reader, int status)
{
    reader->stage = STAGE_BAD;
    reader->status = status;
    return HTTP_READ_BAD;
}

static enum http_method method_of(struct slice name)
{
    if (slice_is(name, "GET")) return HTTP_METHOD_GET;
    if (slice_is(name, "HEAD")) return HTTP_METHOD_HEAD;
    if (slice_is(name, "POST")) return HTTP_METHOD_POST;
    if (slice_is(name, "DELETE")) return HTTP_METHOD_DELETE;
    return HTTP_METHOD_OTHER;
}

/* GET /path?query HTTP/1.1. Returns 0 or the status to refuse it with. */
static int check_request_line(struct http_reader *reader, struct slice line)
{
    struct http_request *request = &reader->request;
    struct slice rest = line;
    struct slice method = slice_cut(&rest, ' ');
    struct slice target = slice_cut(&rest, ' ');

    if (!is_token(method) || method.len > METHOD_MAX || !is_target(target)) return 400;
    if (!slice_is(rest, "HTTP/1.1") && !slice_is(rest, "HTTP/1.0")) {
        return slice_starts(rest, slice_of("HTTP/")) && rest.len == 8 && rest.at[5] > '1' ? 505
                                                                                          : 400;
    }
    request->is_old = rest.at[7] == '0';
    request->method = method_of(method);
    if (slice_is(method, "CONNECT")) return 405; /* whose target has another form */
    if (target.at[0] != '/') return slice_is(method, "OPTIONS") ? 405 : 400;
    if (request->method == HTTP_METHOD_OTHER && !slice_is(method, "PUT") &&
        !slice_is(method, "PATCH") && !slice_is(method, "OPTIONS") && !slice_is(method, "TRACE")) {
        return 405; /* llhttp knows many more, some with their own rules */
    }
    return 0;
}

/* Name: value */
static int check_header_line(const struct http_reader *reader, struct slice line)
{
    struct slice value = line;
    struct slice name = slice_cut(&value, ':');

    if (name.len == line.len || !is_token(name) || !is_field_value(value)) return 400;
    if (reader->lines > HTTP_HEADERS_MAX + 1) return 431; /* this one and the request line count */
    return 0;
}

/* A line with its line end stands in the head. Returns 0 or a status; sets *is_last at the empty
 * line. */
static int take_line(struct http_reader *reader, bool *is_last)
{
    struct slice line = slice_skip(buf_slice(&reader->head), reader->line_at);

    if (line.len < 2 || line.at[line.len - 2] != '\r') return 400;
    line.len -= 2;
    if (line.len == 0 && reader->lines == 0) {
        if (++reader->blank_lines > BLANK_LINES_MAX) return 400;
        buf_reset(&reader->head);
        return 0;
    }
    reader->line_at = reader->head.len;
    *is_last = line.len == 0;
    if (*is_last) return 0;
    return reader->lines++ == 0 ? check_request_line(reader, line)
                                : check_header_line(reader, line);
}

/* ---- llhttp ---- */

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
    struct http_reader *reader = parser->data;
    struct slice *target = &reader->request.target;

    if (target->at == NULL) target->at = at;
    target->len += len;
    return 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
    struct http_reader *reader = parser->data;
    struct http_request *request = &reader->request;

    if (reader->stage == STAGE_BODY) return -1; /* a trailer */
    if (request->headers_count == 0 || reader->value_is_next) {
        if (request->headers_count == HTTP_HEADERS_MAX) return -1;
        reader->headers[request->headers_count++] = (struct http_header){.name = {at, 0}};
        reader->value_is_next = false;
    }
    reader->headers[request->headers_count - 1].name.len += len;
    return 0;
}

static int on_header_field_complete(llhttp_t *parser)
{
    struct http_reader *reader = parser->data;

    reader->value_is_next = true;
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    struct http_reader *reader = parser->data;

    if (reader->request.headers_count == 0) return -1;
    struct slice *value = &reader->headers[reader->request.headers_count - 1].value;
    if (value->at == NULL) value->at = at;
    value->len = (size_t)(at + len - value->at);
    return 0;
}

/* Between the chunks: whole line ends, nothing invisible, not too much. */
static bool framing_is_clean(struct http_reader *reader, const char *end)
{
    for (const char *at = reader->framing; at < end; at++) {
        unsigned char c = (unsigned char)*at;
        if ((c == '\n') != (reader->framing_last == '\r')) return false;
        if (c == '\n') {
            reader->framing_digits = 0;
        } else if (is_hex_digit(c) && reader->framing_digits <= CHUNK_DIGITS_MAX) {
            if (++reader->framing_digits > CHUNK_DIGITS_MAX) return false;
        } else {
            reader->framing_digits = CHUNK_DIGITS_MAX + 1; /* what comes now is no size */
        }
        if ((c < ' ' && c != '\r' && c != '\n' && c != '\t') || c >= 0x7f) return false;
        reader->framing_last = *at;
        if (++reader->framing_len > CHUNK_LINES_MAX) return false;
    }
    reader->framing = end;
    return true;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct http_reader *reader = parser->data;

    if (!framing_is_clean(reader, at)) return -1;
    reader->framing = at + len;
    reader->framing_len = 0;
    buf_append(&reader->body, at, len);
    return reader->body.overflowed ? -1 : 0;
}

static int on_message_complete(llhttp_t *parser)
{
    struct http_reader *reader = parser->data;

    reader->is_complete = true;
    return HPE_PAUSED; /* what comes behind it is another request */
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- what the head says ---- */

/* How the body comes, if one comes. Returns 0 or a status. */
static int check_body(const struct http_reader *reader, bool *has_body)
{
    const struct http_request *request = &reader->request;
    size_t codings = header_count(request, "transfer-encoding");
    size_t lengths = header_count(request, "content-length");
    uint64_t len = 0;

    if (lengths + codings > 1) return 400;
    if (codings == 1) {
        if (request->is_old) return 400;
        if (!slice_is_word(http_header_get(request, "transfer-encoding"), "chunked")) return 400;
    }
    if (lengths == 1) {
        struct slice text = http_header_get(request, "content-length");
        if (text.len > LENGTH_DIGITS_MAX || !slice_to_u64(text, &len)) return 400;
    }
    *has_body = codings == 1 || len > 0;
    bool has_none = request->method == HTTP_METHOD_GET || request->method == HTTP_METHOD_HEAD;
    if (*has_body && has_none) return 400;
    return len > HTTP_BODY_MAX ? 413 : 0;
}

static int check_head(struct http_reader *reader, bool *has_body)
{
    struct http_request *request = &reader->request;

    request->headers = reader->headers;
    for (size_t i = 0; i < request->headers_count; i++) {
        reader->headers[i].value = slice_trim(reader->headers[i].value);
    }
    size_t hosts = header_count(request, "host");
    if (hosts > 1 || (hosts == 0 && !request->is_old)) return 400;
    request->host = http_header_get(request, "host");
    if (hosts == 1 && !is_host(request->host)) return 400;

    int status = check_body(reader, has_body);
    if (status != 0) return status;
    struct slice expect = http_header_get(request, "expect");
    if (expect.len > 0 && !slice_is_word(expect, "100-continue")) return 417;
    reader->expects = expect.len > 0 && *has_body && !request->is_old;
    request->is_upgrade = !request->is_old && http_header_has(request, "connection", "upgrade") &&
                          http_header_has(request, "upgrade", "websocket");
    request->keep = request->is_old ? http_header_has(request, "connection", "keep-alive")
                                    : !http_header_has(request, "connection", "close");
    return 0;
}

/* The whole head is there: the library has its say. */
static enum http_progress take_head(struct http_reader *reader)
{
    struct http_request *request = &reader->request;
    struct slice head = buf_slice(&reader->head);
    bool has_body = false;

    llhttp_init(&reader->parser, HTTP_REQUEST, &settings);
    reader->parser.data = reader;
    llhttp_errno_t rv = llhttp_execute(&reader->parser, head.at, head.len);
    if (rv != HPE_OK && !reader->is_complete) return refuse(reader, 400);
    int status = check_head(reader, &has_body);
    if (status != 0) return refuse(reader, status);
    if (reader->is_complete == has_body) return refuse(reader, 400); /* two opinions */

    struct slice rest = head;
    request->method_name = slice_cut(&rest, ' ');
    request->query = request->target;
    request->path = slice_cut(&request->query, '?');
    reader->stage = has_body ? STAGE_BODY : STAGE_COMPLETE;
    return has_body ? HTTP_READ_HEAD : HTTP_READ_ALL;
}

static int too_long(const struct http_reader *reader)
{
    return reader->lines == 0 ? 414 : 431;
}

static enum http_progress read_head(struct http_reader *reader, struct slice bytes, size_t *used)
{
    bool is_last = false;

    /* Something else than HTTP (a TLS hello) is known by its first byte. */
    if (reader->head.len == 0 && bytes.len > 0 && !is_token_byte((unsigned char)bytes.at[0]) &&
        bytes.at[0] != '\r' && bytes.at[0] != '\n') {
        return refuse(reader, 400);
    }
    while (bytes.len > 0) {
        size_t len = slice_find(bytes, '\n') + 1;
        if (len > bytes.len) len = bytes.len;
        bool is_line = bytes.at[len - 1] == '\n';
        size_t line_len = reader->head.len - reader->line_at + len;
        if (line_len > HTTP_LINE_MAX) return refuse(reader, too_long(reader));
        if (reader->head.len + len > HTTP_HEAD_MAX) return refuse(reader, too_long(reader));
        buf_add(&reader->head, slice_first(bytes, len));
        bytes = slice_skip(bytes, len);
        *used += len;
        if (!is_line) break;
        int status = take_line(reader, &is_last);
        if (status != 0) return refuse(reader, status);
        if (is_last) return take_head(reader);
    }
    return HTTP_READ_MORE;
}

static enum http_progress read_body(struct http_reader *reader, struct slice bytes, size_t *used)
{
    const char *end = bytes.at + bytes.len;

    reader->framing = bytes.at;
    llhttp_errno_t rv = llhttp_execute(&reader->parser, bytes.at, bytes.len);
    if (reader->body.overflowed) return refuse(reader, 413);
    if (reader->is_complete) end = llhttp_get_error_pos(&reader->parser);
    if (rv != HPE_OK && !reader->is_complete) return refuse(reader, 400);
    /* A body with a length has no framing: then all was taken by on_body. */
    if (!framing_is_clean(reader, end)) return refuse(reader, 400);
    *used += (size_t)(end - bytes.at);
    if (!reader->is_complete) return HTTP_READ_MORE;
    reader->stage = STAGE_COMPLETE;
    reader->request.body = buf_slice(&reader->body);
    return HTTP_READ_ALL;
}

struct http_reader *http_reader_new(void)
{
    struct http_reader *reader = mem_new(sizeof *reader);

    buf_init(&reader->head, HTTP_HEAD_MAX);
    buf_init(&reader->body, HTTP_BODY_MAX);
    return reader;
}

void http_reader_free(struct http_reader *reader)
{
    if (reader == NULL) return;
    buf_close(&reader->head);
    buf_close(&reader->body);
    mem_free(reader);
}

enum http_progress http_read(struct http_reader *reader, struct slice bytes, size_t *used)
{
    *used = 0;
    if (bytes.len == 0) return HTTP_READ_MORE;
    if (reader->stage == STAGE_HEAD) return read_head(reader, bytes, used);
    if (reader->stage == STAGE_BODY) return read_body(reader, bytes, used);
    return reader->stage == STAGE_COMPLETE ? HTTP_READ_ALL : HTTP_READ_BAD;
}

const struct http_request *http_reader_request(const struct http_reader *reader)
{
    return &reader->request;
}

int http_reader_status(const struct http_reader *reader)
{
    return reader->status;
}

bool http_reader_expects(const struct http_reader *reader)
{
    return reader->expects;
}

/* ---- writing ---- */

const char *http_status_words(int status)
{
    static const struct {
        int status;
        const char *words;
    } table[] = {
        {101, "Switching Protocols"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (table[i].status == status) return table[i].words;
    }
    return "Unknown";
}

static void add_line(struct buf *out, const char *name, struct slice value)
{
    buf_add(out, slice_from(name));
    buf_add(out, value);
    buf_add(out, slice_of("\r\n"));
}

void http_add_head(struct buf *out, const struct http_response *response,
                   const struct http_frame *frame, size_t body_len)
{
    buf_printf(out, "HTTP/1.1 %d %s\r\n", response->status, http_status_words(response->status));
    if (frame->date.len > 0) add_line(out, "Date: ", frame->date);
    if (response->type.len > 0) add_line(out, "Content-Type: ", response->type);
    if (response->status >= 200 && response->status != 204 && response->status != 304) {
        buf_printf(out, "Content-Length: %zu\r\n", body_len);
    }
    if (response->status >= 200 && !frame->keep) {
        buf_add(out, slice_of("Connection: close\r\n"));
    } else if (response->status >= 200 && frame->is_old) {
        buf_add(out, slice_of("Connection: keep-alive\r\n"));
    }
    buf_add(out, frame->every);
    buf_add(out, response->headers);
    buf_add(out, slice_of("\r\n"));
}

void http_respond(struct conn *conn, const struct http_response *response)
{
    struct http_frame frame;
    struct buf *out = conn_answer_begin(conn, &frame);

    if (out == NULL) {
        shared_unref(response->body_shared);
        return;
    }
    struct shared *shared = response->body_shared;
    struct slice body = shared != NULL ? shared_slice(shared) : response->body;
    bool has_body = !frame.is_head && response->status != 204 && response->status != 304;
    if (response->close) frame.keep = false;
    http_add_head(out, response, &frame, body.len);
    if (out->overflowed) {
        log_error("answer's head is too large", "status=%d", response->status);
        buf_reset(out);
        body = (struct slice){NULL, 0};
        has_body = false;
        http_add_head(out, &(struct http_response){.status = 500}, &frame, 0);
    }
    bool is_one_piece = shared == NULL && has_body;
    struct shared *head = shared_new(out->len + (is_one_piece ? body.len : 0));
    memcpy(head->bytes, out->at, out->len);
    if (is_one_piece && body.len > 0) memcpy(head->bytes + out->len, body.at, body.len);
    if (!has_body) {
        shared_unref(shared);
        shared = NULL;
    }
    conn_answer_end(conn, head, shared, frame.keep);
}

void http_respond_error(struct conn *conn, int status, const char *word, const char *sentence)
{
    struct slice headers = slice_from(status == 503 ? "Retry-After: 1\r\n" : "");
    struct buf body;

    buf_init(&body, HTTP_HEAD_MAX);
    buf_add_char(&body, '{');
    json_add_text(&body, "error", slice_from(word));
    json_add_text(&body, "message", slice_from(sentence));
    buf_add(&body, slice_of("}\n"));
    http_respond(conn, &(struct http_response){.status = status,
                                               .type = slice_of("application/json"),
                                               .headers = headers,
                                               .body = buf_slice(&body)});
    buf_close(&body);
}

static void respond_line(struct conn *conn, int status, struct slice text, struct slice headers)
{
    struct buf body;

    buf_init(&body, RESPONSE_MAX);
    buf_add(&body, text);
    buf_add_char(&body, '\n');
    http_respond(conn, &(struct http_response){.status = status,
                                               .type = slice_of("text/plain; charset=utf-8"),
                                               .headers = headers,
                                               .body = buf_slice(&body)});
    buf_close(&body);
}

void http_respond_text(struct conn *conn, int status, struct slice text)
{
    respond_line(conn, status, text, (struct slice){NULL, 0});
}

void http_respond_method(struct conn *conn, const char *allow)
{
    struct buf lines;

    buf_init(&lines, HTTP_HEAD_MAX);
    add_line(&lines, "Allow: ", slice_from(allow));
    respond_line(conn, 405, slice_from(http_status_words(405)), buf_slice(&lines));
    buf_close(&lines);
}
