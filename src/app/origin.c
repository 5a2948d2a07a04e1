#include "app/origin.h"

#include <stdio.h>
#include <strings.h>

struct place {
    struct slice scheme, host, port;
};

/* "http://host:port/..." in its parts; false for anything else. */
static bool split(struct slice url, struct place *place)
{
    size_t colon = slice_find(url, ':');
    struct slice rest = slice_skip(url, colon);
    if (!slice_starts(rest, slice_of("://"))) return false;
    rest = slice_skip(rest, 3);
    place->scheme = slice_first(url, colon);
    struct slice authority = slice_cut(&rest, '/');

    size_t host_len = slice_find(authority, ':');
    if (authority.len > 0 && authority.at[0] == '[') {
        host_len = slice_find(authority, ']') + 1;
        if (host_len > authority.len) return false;
    }
    place->host = slice_first(authority, host_len);
    place->port = slice_skip(authority, host_len + 1);
    if (host_len < authority.len && authority.at[host_len] != ':') return false;
    if (place->port.len == 0)
        place->port = slice_is(place->scheme, "https") ? slice_of("443") : slice_of("80");
    return place->host.len > 0;
}

static bool equal_any_case(struct slice a, struct slice b)
{
    return a.len == b.len && strncasecmp(a.at, b.at, a.len) == 0;
}

static bool is_loopback(struct slice host)
{
    return slice_is(host, "127.0.0.1") || slice_is(host, "[::1]") ||
           equal_any_case(host, slice_of("localhost"));
}

bool origin_is_of(struct slice origin, struct slice url)
{
    struct place a, b;
    if (!split(origin, &a) || !split(url, &b)) return false;
    if (!equal_any_case(a.scheme, b.scheme) || !slice_equal(a.port, b.port)) return false;
    return equal_any_case(a.host, b.host) || (is_loopback(a.host) && is_loopback(b.host));
}

static size_t kept(const struct origins *origins)
{
    return origins->count < ORIGINS_MAX ? origins->count : ORIGINS_MAX;
}

void origins_keep(struct origins *origins, const char *url)
{
    for (size_t i = 0; i < kept(origins); i++)
        if (strcmp(origins->urls[i], url) == 0) return;
    if (url[0] == '\0') return;
    char *place = origins->urls[origins->count++ % ORIGINS_MAX];
    snprintf(place, sizeof origins->urls[0], "%s", url);
}

bool origins_have(const struct origins *origins, struct slice origin)
{
    for (size_t i = 0; i < kept(origins); i++)
        if (origin_is_of(origin, slice_from(origins->urls[i]))) return true;
    return false;
}
