#include "web/assets.h"

#include <assert.h>
#include <strings.h>

#include "base/limits.h"

enum encoding { ENCODING_PLAIN, ENCODING_GZIP, ENCODING_BROTLI, ENCODINGS };

static const char *const encoding_names[ENCODINGS] = {"identity", "gzip", "br"};

const struct asset *assets_find(struct slice name)
{
    for (size_t i = 0; i < assets_count; i++) {
        if (slice_is(name, assets[i].name)) return &assets[i];
    }
    return NULL;
}

void assets_add_url(struct buf *out, const char *name)
{
    const struct asset *asset = assets_find(slice_from(name));

    assert(asset != NULL);
    buf_printf(out, "/assets/%s?v=%s", asset->name, asset->hash);
}

static struct slice asset_bytes(const struct asset *asset, enum encoding encoding)
{
    switch (encoding) {
    case ENCODING_GZIP: return slice_make(asset->gzip, asset->gzip_len);
    case ENCODING_BROTLI: return slice_make(asset->brotli, asset->brotli_len);
    case ENCODING_PLAIN:
    case ENCODINGS: break;
    }
    return slice_make(asset->plain, asset->plain_len);
}

/* "q=0", "q=0.0": that coding is not wanted. Degrees between are not looked at: among what is taken
 * we choose the smallest. */
static bool is_refused(struct slice parameters)
{
    while (parameters.len > 0) {
        struct slice value = slice_trim(slice_cut(&parameters, ';'));
        struct slice key = slice_trim(slice_cut(&value, '='));
        value = slice_trim(value);
        if (key.len != 1 || (key.at[0] != 'q' && key.at[0] != 'Q')) continue;
        for (size_t i = 0; i < value.len; i++) {
            if (value.at[i] != '0' && value.at[i] != '.') return false;
        }
        return true;
    }
    return false;
}

/* What Accept-Encoding says of one coding: its own element counts, else that of "*". */
static bool accepts(struct slice header, const char *name)
{
    bool by_star = false;

    while (header.len > 0) {
        struct slice parameters = slice_cut(&header, ',');
        struct slice coding = slice_trim(slice_cut(&parameters, ';'));
        if (coding.len == strlen(name) && strncasecmp(coding.at, name, coding.len) == 0) {
            return !is_refused(parameters);
        }
        if (slice_is(coding, "*")) by_star = !is_refused(parameters);
    }
    return by_star;
}

static enum encoding choose(const struct asset *asset, const struct http_request *request)
{
    struct slice header = http_header_get(request, "Accept-Encoding");

    if (asset->brotli != NULL && accepts(header, encoding_names[ENCODING_BROTLI])) {
        return ENCODING_BROTLI;
    }
    if (asset->gzip != NULL && accepts(header, encoding_names[ENCODING_GZIP])) return ENCODING_GZIP;
    return ENCODING_PLAIN;
}

/* The tag names the content, in whatever encoding it came: the weak form is right for that. */
static bool is_known(const struct asset *asset, const struct http_request *request)
{
    struct slice header = http_header_get(request, "If-None-Match");

    while (header.len > 0) {
        struct slice tag = slice_trim(slice_cut(&header, ','));
        if (slice_is(tag, "*")) return true;
        if (slice_starts(tag, slice_of("W/"))) tag = slice_skip(tag, 2);
        if (tag.len < 2 || tag.at[0] != '"' || tag.at[tag.len - 1] != '"') continue;
        if (slice_is(slice_first(slice_skip(tag, 1), tag.len - 2), asset->hash)) return true;
    }
    return false;
}

static bool is_named_exactly(const struct asset *asset, const struct http_request *request)
{
    struct buf version;

    buf_init(&version, 64);
    bool rv = http_query_get(request, "v", &version) && slice_is(buf_slice(&version), asset->hash);
    buf_close(&version);
    return rv;
}

static struct shared *body_of(struct conn *conn, const struct asset *asset, enum encoding encoding)
{
    size_t place = (size_t)(asset - assets) * ENCODINGS + (size_t)encoding;
    struct shared **kept = conn_kept(conn, place, assets_count * ENCODINGS);

    if (*kept == NULL) *kept = shared_copy(asset_bytes(asset, encoding));
    return shared_ref(*kept);
}

void assets_respond(struct conn *conn, const struct http_request *request, struct slice name)
{
    const struct asset *asset = assets_find(name);
    struct buf headers;

    if (asset == NULL) {
        http_respond_text(conn, 404, slice_of("There is no such file."));
        return;
    }
    if (request->method != HTTP_METHOD_GET && request->method != HTTP_METHOD_HEAD) {
        http_respond_method(conn, "GET, HEAD");
        return;
    }
    enum encoding encoding = choose(asset, request);
    bool is_unchanged = is_known(asset, request);
    buf_init(&headers, HTTP_HEAD_MAX);
    buf_printf(
        &headers, "ETag: W/\"%s\"\r\nCache-Control: %s\r\nVary: Accept-Encoding\r\n", asset->hash,
        is_named_exactly(asset, request) ? "public, max-age=31536000, immutable" : "no-cache");
    buf_add(&headers, slice_of("X-Content-Type-Options: nosniff\r\n"));
    if (encoding != ENCODING_PLAIN && !is_unchanged) {
        buf_printf(&headers, "Content-Encoding: %s\r\n", encoding_names[encoding]);
    }
    http_respond(conn, &(struct http_response){
                           .status = is_unchanged ? 304 : 200,
                           .type = is_unchanged ? (struct slice){NULL, 0} : slice_from(asset->type),
                           .headers = buf_slice(&headers),
                           .body_shared = is_unchanged ? NULL : body_of(conn, asset, encoding)});
    buf_close(&headers);
}
