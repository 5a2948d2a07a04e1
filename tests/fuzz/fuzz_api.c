/* What the addresses, parameters, headers and bodies of requests are made into. Byte 0:
 *
 *   'r'  a path, by the node's own routes: byte 1 is the method
 *   'q' 'e' 'b'  the query of a GET of messages, of events, of a backup
 *   'p'  the body of a message
 *   'm' 'M' 'D' 't' 'd'  the bodies of an administrator: members, one member (its name is the first line) as POST
 *        and DELETE, transfer, drain
 *   'a'  a header of an administrator
 *   'o'  an Origin and an address, a line each
 *   'c' 's' 'f'  the tokens of a cookie, of a join, of a form, as they came
 *   'C' 'S'  such a token that is signed right for whatever name and node the rest gives it
 */
#include <ctype.h>

#include "app/admin.h"
#include "app/admin_api.h"
#include "app/api.h"
#include "app/backup_api.h"
#include "app/origin.h"
#include "base/json.h"
#include "base/text.h"
#include "fuzz.h"
#include "live/token.h"

enum { NOW_S = 1764000000 };

static const struct token_keys keys = {.secrets = {SLICE("one secret of at least 32 bytes..."),
                                                   SLICE("an older one of 32 bytes or so...")}};

/* What is told goes into JSON and onto terminals. */
static void check_words(const struct errmsg *errmsg)
{
    struct slice words = slice_from(errmsg->text);
    FUZZ_HOLDS(words.len > 0 && text_valid(words) && !text_has_controls(words));
}

/* ---- addresses ---- */

static void find_route(struct slice rest)
{
    struct buf decoded;
    struct route_match match;
    if (rest.len < 1) return;
    unsigned method = (unsigned char)rest.at[0] % (HTTP_METHOD_OTHER + 1u);
    struct http_request request = {.method = (enum http_method)method, .path = slice_skip(rest, 1)};
    buf_init(&decoded, HTTP_LINE_MAX);
    const struct route *route = router_find(web_routes, ROUTE_NONE, &request, &decoded, &match);
    FUZZ_HOLDS(route == match.route && match.values_count <= ROUTE_VALUES_MAX);
    FUZZ_HOLDS(route == NULL || match.route->id < ROUTE_NONE);
    FUZZ_HOLDS(route != NULL || match.values_count == 0);
    FUZZ_HOLDS(request.method != HTTP_METHOD_OTHER || route == NULL);
    for (size_t i = 0; i < match.values_count; i++) {
        struct slice value = match.values[i];
        FUZZ_HOLDS(value.len > 0 && slice_find(value, '/') == value.len);
        FUZZ_HOLDS(slice_find(value, '\0') == value.len);
    }
    if (route == NULL && match.allowed != 0) { /* with one of those it is found */
        while ((match.allowed & 1u << request.method) == 0)
            request.method = (enum http_method)((request.method + 1u) % HTTP_METHOD_OTHER);
        FUZZ_HOLDS(router_find(web_routes, ROUTE_NONE, &request, &decoded, &match) != NULL);
    }
    buf_close(&decoded);
}

static void read_query(struct slice text, enum web_route route)
{
    struct api_query query;
    struct errmsg errmsg = {""};
    uint32_t most = route == ROUTE_API_EVENTS ? API_EVENTS_MAX : 500;
    if (api_query_parse(&query, text, route, &errmsg) != 0) {
        check_words(&errmsg);
        return;
    }
    FUZZ_HOLDS(query.limit >= 1 && query.limit <= most && query.wait_ms <= 30000);
    FUZZ_HOLDS(query.wait_ms == 0 || query.has_after);
}

static void read_portion(struct slice text)
{
    struct backup_portion portion;
    struct errmsg errmsg = {""};
    if (backup_portion_parse(&portion, text, &errmsg) != 0) {
        check_words(&errmsg);
        return;
    }
    FUZZ_HOLDS(portion.from <= portion.to || portion.from == 0);
}

/* ---- bodies ---- */

static void read_post(const struct json *body)
{
    struct api_post post;
    struct errmsg errmsg = {""};
    if (api_post_parse(&post, body, &errmsg) != 0) {
        check_words(&errmsg);
        return;
    }
    FUZZ_HOLDS(text_valid(post.sender) && text_valid(post.text) && text_valid(post.id));
    FUZZ_HOLDS(post.has_id || post.id.len == 0);
}

static bool is_node_name(const char *name)
{
    for (const char *c = name; *c != '\0'; c++)
        if (!isalnum((unsigned char)*c) && strchr("-_.", *c) == NULL) return false;
    return name[0] != '\0';
}

static void read_change(const struct json *body, enum web_route route, bool is_delete,
                        struct slice name)
{
    struct change_request change;
    struct errmsg errmsg = {""};
    if (admin_change_parse(&change, route, is_delete, name, body, &errmsg) != 0) {
        check_words(&errmsg);
        return;
    }
    bool may_be_anybody = change.kind == CHANGE_TRANSFER && change.name[0] == '\0';
    FUZZ_HOLDS(may_be_anybody || is_node_name(change.name));
    FUZZ_HOLDS((change.kind == CHANGE_ADD) == (change.address[0] != '\0'));
    FUZZ_HOLDS(strpbrk(change.address, " ,=\t\r\n") == NULL);
    FUZZ_HOLDS(route != ROUTE_MEMBER || slice_is(name, change.name));
}

static void read_drain(const struct json *body)
{
    uint32_t timeout_ms = UINT32_MAX;
    struct errmsg errmsg = {""};
    if (admin_drain_parse(&timeout_ms, body, &errmsg) != 0)
        check_words(&errmsg);
    else
        FUZZ_HOLDS(timeout_ms <= DRAIN_MAX_MS);
}

static void read_body(char kind, struct slice name, struct slice text)
{
    struct json *body = NULL;
    struct errmsg errmsg = {""};
    if (text.len > 0 && json_parse(&body, text, &errmsg) != 0) {
        check_words(&errmsg);
        return;
    }
    switch (kind) {
    case 'p': read_post(body); break;
    case 'm': read_change(body, ROUTE_MEMBERS, false, name); break;
    case 'M': read_change(body, ROUTE_MEMBER, false, name); break;
    case 'D': read_change(body, ROUTE_MEMBER, true, name); break;
    case 't': read_change(body, ROUTE_TRANSFER, false, name); break;
    default: read_drain(body); break;
    }
    json_free(body);
}

/* ---- who it is ---- */

static void compare_origins(struct slice rest)
{
    struct slice origin = slice_cut(&rest, '\n');
    bool is_of = origin_is_of(origin, rest);
    FUZZ_HOLDS(is_of == origin_is_of(rest, origin)); /* neither looks at a path */
    FUZZ_HOLDS(!is_of || (slice_starts(rest, slice_of("http")) || rest.len > 0));
    FUZZ_HOLDS(!is_of || (origin_is_of(origin, origin) && origin_is_of(rest, rest)));
    FUZZ_HOLDS(!is_of || slice_find(origin, ':') < origin.len);
    FUZZ_HOLDS(!origin_is_of(slice_of("null"), rest) && !origin_is_of(slice_of(""), rest));
    FUZZ_HOLDS(!origin_is_of(origin, slice_of("https://tea.example")) ||
               origin_is_of(slice_of("https://tea.example:443/x"), origin));
}

static void believe(struct slice header)
{
    static const struct secret secret = {
        .count = 1, .lens = {32}, .bytes = {"0123456789abcdef0123456789abcdef"}};
    FUZZ_HOLDS(!admin_believes(&secret, header)); /* who does not know the secret has no token */
}

static void read_tokens(char kind, struct slice token)
{
    struct identity who = {.issued_s = 1};
    uint8_t csrf[16];
    switch (kind) {
    case 'c': FUZZ_HOLDS(!token_read_cookie(&who, &keys, token, NOW_S)); break;
    case 's': FUZZ_HOLDS(!token_read_session(&who, &keys, token, NOW_S)); break;
    default: FUZZ_HOLDS(!token_read_csrf(csrf, &keys, token)); break;
    }
    FUZZ_HOLDS(who.issued_s == 1);
}

/* It is read back as it was made, and not as a token of another kind, nor with one bit changed. */
static void make_token(char kind, struct slice rest)
{
    struct identity who = {.issued_s = NOW_S}, read;
    struct buf token;
    size_t place = rest.len > 0 ? (unsigned char)rest.at[0] : 0;
    rest = slice_skip(rest, 1);
    struct slice name = slice_first(rest, rest.len % (NAME_MAX_BYTES + 1u));
    struct slice node = slice_first(slice_skip(rest, name.len), NODE_NAME_MAX);
    if (name.len > 0) memcpy(who.name, name.at, name.len);
    if (node.len > 0) memcpy(who.node, node.at, node.len);
    who.name_len = (uint8_t)name.len;
    who.node_len = (uint8_t)node.len;
    memset(who.session, (int)place, sizeof who.session);
    identity_derive(&who, &keys);
    buf_init(&token, 2 * TOKEN_MAX);
    if (kind == 'C')
        token_add_cookie(&token, &keys, &who);
    else
        token_add_session(&token, &keys, &who);
    bool is_cookie = token_read_cookie(&read, &keys, buf_slice(&token), NOW_S);
    bool is_session = token_read_session(&read, &keys, buf_slice(&token), NOW_S);
    FUZZ_HOLDS(is_cookie == (kind == 'C') && is_session == (kind == 'S'));
    FUZZ_HOLDS(slice_equal(identity_name(&read), name));
    FUZZ_HOLDS(memcmp(read.session, who.session, sizeof who.session) == 0);
    FUZZ_HOLDS(memcmp(read.csrf, who.csrf, sizeof who.csrf) == 0);
    FUZZ_HOLDS(kind == 'C' || slice_equal(slice_make(read.node, read.node_len), node));
    token.at[place % token.len] ^= 1;
    read_tokens(kind == 'C' ? 'c' : 's', buf_slice(&token));
    buf_close(&token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    char kind = (char)data[0];
    struct slice rest = slice_make(data + 1, size - 1), name = {NULL, 0};
    switch (kind) {
    case 'r': find_route(rest); break;
    case 'q': read_query(rest, ROUTE_API_MESSAGES); break;
    case 'e': read_query(rest, ROUTE_API_EVENTS); break;
    case 'b': read_portion(rest); break;
    case 'M':
    case 'D':
        name = slice_cut(&rest, '\n');
        read_body(kind, name, rest);
        break;
    case 'p':
    case 'm':
    case 't':
    case 'd': read_body(kind, name, rest); break;
    case 'a': believe(rest); break;
    case 'o': compare_origins(rest); break;
    case 'c':
    case 's':
    case 'f': read_tokens(kind, rest); break;
    case 'C':
    case 'S': make_token(kind, rest); break;
    default: break;
    }
    return 0;
}
