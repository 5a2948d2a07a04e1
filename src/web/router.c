#include "web/router.h"

#include "base/text.h"

/* A decoded value may not hold what would make another path of it. */
static bool is_value(struct slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] == '/' || value.at[i] == '\0') return false;
    }
    return value.len > 0;
}

/* One segment against one of a pattern. Values are noted as offsets in `decoded`, which may move. */
static bool match_segment(struct slice wanted, struct slice segment, struct buf *decoded,
                          struct route_match *match)
{
    size_t before = decoded->len;

    if (wanted.len == 0 || wanted.at[0] != ':') return slice_equal(wanted, segment);
    if (match->values_count == ROUTE_VALUES_MAX) return false;
    if (!text_unescape_url(decoded, segment, false) || decoded->overflowed) return false;
    struct slice value = slice_skip(buf_slice(decoded), before);
    if (!is_value(value)) return false;
    match->values[match->values_count++] = (struct slice){.at = NULL, .len = value.len};
    return true;
}

static bool match_path(const struct route *route, struct slice path, struct buf *decoded,
                       struct route_match *match)
{
    struct slice wanted = slice_skip(slice_from(route->pattern), 1);
    struct slice rest = slice_skip(path, 1);

    buf_reset(decoded);
    match->values_count = 0;
    for (;;) {
        bool more_wanted = slice_find(wanted, '/') < wanted.len;
        bool more = slice_find(rest, '/') < rest.len;
        if (more_wanted != more) return false;
        if (!match_segment(slice_cut(&wanted, '/'), slice_cut(&rest, '/'), decoded, match)) {
            return false;
        }
        if (!more) return true;
    }
}

/* `decoded` grows no more: the values get their places. */
static void place_values(struct route_match *match, const struct buf *decoded)
{
    size_t place = 0;

    for (size_t i = 0; i < match->values_count; i++) {
        match->values[i].at = decoded->at + place;
        place += match->values[i].len;
    }
}

const struct route *router_find(const struct route *routes, size_t routes_count,
                                const struct http_request *request, struct buf *decoded,
                                struct route_match *match)
{
    unsigned method = 1u << request->method;

    *match = (struct route_match){.route = NULL};
    if (request->method == HTTP_METHOD_HEAD) method |= 1u << HTTP_METHOD_GET;
    if (request->path.len == 0 || request->path.at[0] != '/') return NULL;
    for (size_t i = 0; i < routes_count; i++) {
        if (!match_path(&routes[i], request->path, decoded, match)) continue;
        match->is_admin |= routes[i].is_admin;
        if ((routes[i].methods & method) != 0) {
            place_values(match, decoded);
            match->route = &routes[i];
            return match->route;
        }
        match->allowed |= routes[i].methods;
    }
    match->values_count = 0;
    if ((match->allowed & 1u << HTTP_METHOD_GET) != 0) match->allowed |= 1u << HTTP_METHOD_HEAD;
    return NULL;
}

void router_allow(unsigned methods, struct buf *out)
{
    static const struct {
        enum http_method method;
        const char *name;
    } names[] = {{HTTP_METHOD_GET, "GET"},
                 {HTTP_METHOD_HEAD, "HEAD"},
                 {HTTP_METHOD_POST, "POST"},
                 {HTTP_METHOD_DELETE, "DELETE"}};
    bool is_first = true;

    if ((methods & 1u << HTTP_METHOD_GET) != 0) methods |= 1u << HTTP_METHOD_HEAD;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if ((methods & 1u << names[i].method) == 0) continue;
        if (!is_first) buf_add(out, slice_of(", "));
        buf_add(out, slice_from(names[i].name));
        is_first = false;
    }
}
