#include "live/channel.h"

#include "base/json.h"
#include "live/params.h"

#ifndef LIVETEA_CLIENT_VERSION
#error "the build says which client it serves"
#endif

const char channel_client_version[] = LIVETEA_CLIENT_VERSION;
const struct slice channel_topic = SLICE("lv:lt");

enum {
    CLOSE_PROTOCOL = 1002,
    CLOSE_POLICY = 1008,
    CLOSE_TOO_LARGE = 1009,
    OFFSET_MIN = -720,
    OFFSET_MAX = 840,
    OFFSET_STEP = 15 /* minutes: no zone in use lies between */
};

struct request { /* one frame; slices stand on its JSON */
    struct slice join_ref, ref, topic, event;
    const struct json *payload;
};

void channel_init(struct channel *channel, const struct live_host *host, void *connection,
                  const uint8_t csrf[16])
{
    *channel = (struct channel){.host = host, .connection = connection};
    memcpy(channel->csrf, csrf, sizeof channel->csrf);
}

void channel_close(struct channel *channel)
{
    if (channel->live != NULL) live_close(channel->live);
}

/* ---- frames out ---- */

static void add_ref(struct buf *out, struct slice ref)
{
    if (ref.len == 0)
        buf_add(out, slice_of("null"));
    else
        json_add_string(out, ref);
    buf_add_char(out, ',');
}

static struct buf *begin(struct channel *channel, struct slice join_ref, struct slice ref,
                         struct slice topic, const char *event)
{
    struct buf *out = channel->host->scratch;
    buf_reset(out);
    buf_add_char(out, '[');
    add_ref(out, join_ref);
    add_ref(out, ref);
    json_add_string(out, topic);
    buf_add(out, slice_of(",\""));
    buf_add(out, slice_from(event));
    buf_add(out, slice_of("\","));
    return out;
}

struct buf *channel_begin(struct channel *channel, struct slice join_ref, struct slice ref,
                          const char *event)
{
    return begin(channel, join_ref, ref, channel_topic, event);
}

bool channel_end(struct channel *channel)
{
    const struct live_host *host = channel->host;
    buf_add_char(host->scratch, ']');
    if (host->scratch->overflowed) return false;
    struct shared *payload = shared_copy(buf_slice(host->scratch));
    host->send(host->owner, channel->connection, &payload, 1);
    shared_unref(payload);
    return true;
}

void channel_reply(struct channel *channel, struct slice join_ref, struct slice ref,
                   struct slice topic, const char *status, struct slice response)
{
    if (ref.len == 0) return;
    struct buf *out = begin(channel, join_ref, ref, topic, "phx_reply");
    buf_add(out, slice_of("{\"status\":\""));
    buf_add(out, slice_from(status));
    buf_add(out, slice_of("\",\"response\":"));
    buf_add(out, response);
    buf_add_char(out, '}');
    channel_end(channel);
}

static void reply_ok(struct channel *channel, const struct request *request)
{
    channel_reply(channel, request->join_ref, request->ref, request->topic, "ok", slice_of("{}"));
}

static void reply_error(struct channel *channel, const struct request *request,
                        struct slice response)
{
    channel_reply(channel, request->join_ref, request->ref, request->topic, "error", response);
}

void channel_crash(struct channel *channel)
{
    struct live *live = channel->live;
    if (live == NULL) return;
    struct slice join_ref = live_ref_text(&live->join_ref);
    struct buf *out = channel_begin(channel, join_ref, join_ref, "phx_error");
    buf_add(out, slice_of("{\"reason\":\"channel_crash\"}"));
    live_close(live);
    channel_end(channel);
}

/* ---- frames in ---- */

/* A short string, or null. */
static bool read_ref(struct slice *ref, const struct json *value)
{
    *ref = json_slice(value);
    return (json_is_string(value) || json_is_null(value)) && ref->len <= REF_MAX;
}

static bool read_request(struct request *request, const struct json *frame)
{
    if (json_type(frame) != JSON_T_ARRAY || json_count(frame) != 5) return false;
    request->topic = json_slice(json_at(frame, 2));
    request->event = json_slice(json_at(frame, 3));
    request->payload = json_at(frame, 4);
    return read_ref(&request->join_ref, json_at(frame, 0)) &&
           read_ref(&request->ref, json_at(frame, 1)) && json_is_string(json_at(frame, 2)) &&
           json_is_string(json_at(frame, 3)) && request->topic.len <= TOPIC_MAX;
}

/* "http://host/lobby?x#y" to "/lobby?x". False for what is no address of a page. */
static bool path_of(struct slice url, struct slice *path)
{
    size_t colon = slice_find(url, ':');
    struct slice scheme = slice_first(url, colon);
    if (slice_is(scheme, "http") || slice_is(scheme, "https")) {
        if (!slice_starts(slice_skip(url, colon), slice_of("://"))) return false;
        url = slice_skip(url, colon + 3);
        url = slice_skip(url, slice_find(url, '/'));
        if (url.len == 0) url = slice_of("/");
    }
    *path = slice_first(url, slice_find(url, '#'));
    return path->len > 0 && path->at[0] == '/';
}

static enum live_find find(struct channel *channel, struct slice url, struct live_address *address)
{
    const struct live_host *host = channel->host;
    struct slice path;
    buf_reset(host->words);
    *address = (struct live_address){.view = NULL};
    if (!path_of(url, &path)) return LIVE_NOWHERE;
    return host->find(host->owner, path, address, host->words);
}

/* {"redirect":{"to":"..."}} to what find said, in a buffer of its own. */
static void add_redirect(struct buf *out, const struct buf *to)
{
    buf_add(out, slice_of("{\"redirect\":{\"to\":"));
    json_add_string(out, buf_slice(to));
    buf_add(out, slice_of("}}"));
}

static void reply_redirect(struct channel *channel, const struct request *request,
                           const char *status)
{
    struct buf response;
    buf_init(&response, HTTP_LINE_MAX * 6);
    add_redirect(&response, channel->host->words);
    channel_reply(channel, request->join_ref, request->ref, request->topic, status,
                  response.overflowed ? slice_of("{}") : buf_slice(&response));
    buf_close(&response);
}

static bool read_identity(struct channel *channel, const struct request *request)
{
    const struct live_host *host = channel->host;
    struct slice token = json_slice(json_get(request->payload, "session"));
    struct identity who;
    int64_t now_s = host->wall_ms(host->owner) / 1000;
    if (!token_read_session(&who, &host->keys, token, now_s)) return false;
    uint8_t difference = 0; /* both are known to the page: no secret, but it costs nothing */
    for (size_t i = 0; i < sizeof who.csrf; i++)
        difference |= (uint8_t)(who.csrf[i] ^ channel->csrf[i]);
    if (difference != 0) return false;
    channel->identity = who;
    return true;
}

static int64_t read_number(const struct json *params, const char *name)
{
    int64_t value;
    return json_to_i64(json_get(params, name), &value) ? value : 0;
}

/* Every offset that is let in costs a rendering of each message of its room, for all readers: only
 * those that exist. */
static int64_t read_offset(const struct json *params)
{
    int64_t offset = read_number(params, "tz");
    bool exists = offset >= OFFSET_MIN && offset <= OFFSET_MAX && offset % OFFSET_STEP == 0;
    return exists ? offset : 0;
}

/* One view more? The bucket is one number, as in chat/rate.c. */
static bool may_open(struct channel *channel)
{
    const struct live_host *host = channel->host;
    uint64_t now_ms = host->now_ms(host->owner);
    if (channel->joins_full_ms < now_ms) channel->joins_full_ms = now_ms;
    uint64_t ahead_ms = channel->joins_full_ms - now_ms + CHANNEL_JOIN_EVERY_MS;
    if (ahead_ms > (uint64_t)CHANNEL_JOINS_MAX * CHANNEL_JOIN_EVERY_MS) return false;
    channel->joins_full_ms += CHANNEL_JOIN_EVERY_MS;
    return true;
}

static void on_join(struct channel *channel, const struct request *request)
{
    if (channel->live != NULL) live_close(channel->live);
    if (request->ref.len == 0) return; /* no answer, so no page that diffs could be of */
    if (!read_identity(channel, request)) {
        reply_error(channel, request, slice_of("{\"reason\":\"stale\"}"));
        return;
    }
    const struct json *url = json_get(request->payload, "url");
    bool is_redirect = !json_is_string(url);
    if (is_redirect) url = json_get(request->payload, "redirect");
    struct live_address address;
    enum live_find found = find(channel, json_slice(url), &address);
    if (found == LIVE_NOWHERE) {
        reply_error(channel, request,
                    slice_of("{\"reason\":\"reload\",\"status\":404,\"token\":\"\"}"));
        return;
    }
    if (found == LIVE_ELSEWHERE) {
        reply_redirect(channel, request, "error");
        return;
    }
    const struct json *params = json_get(request->payload, "params");
    int64_t offset = read_offset(params);
    int64_t seen = read_number(params, "seen");
    bool is_rejoin = read_number(params, "_mounts") > 0;
    live_join(channel, &(struct live_join){.ref = request->ref,
                                           .join_ref = request->join_ref,
                                           .address = &address,
                                           .offset_minutes = (int16_t)offset,
                                           .touch = json_to_bool(json_get(params, "touch"), false),
                                           .from = json_slice(json_get(params, "from")),
                                           .is_rejoin = is_rejoin,
                                           .is_redirect = is_redirect && !is_rejoin,
                                           .seen = seen > 0 ? (uint64_t)seen : 0});
}

static void on_event(struct channel *channel, const struct request *request)
{
    const struct json *value = json_get(request->payload, "value");
    struct slice event = json_slice(json_get(request->payload, "event"));
    struct params params;
    struct live_ref ref;
    /* A client numbers each. Of what has no number nobody could say how much is under way. */
    if (request->ref.len == 0) return;
    live_ref_set(&ref, request->ref);
    params_init(&params);
    if (json_is_string(value))
        params_read_form(&params, json_slice(value));
    else
        params_read_json(&params, value);
    if (event.len == 0 || params.is_broken)
        reply_ok(channel, request);
    else
        live_event(channel->live, &ref, event, &params);
    params_close(&params);
}

/* 0, or the code to close the connection with. */
static int on_live_patch(struct channel *channel, const struct request *request)
{
    struct slice url = json_slice(json_get(request->payload, "url"));
    struct live_address address;
    struct live_ref ref;
    enum live_find found = find(channel, url, &address);
    if (found == LIVE_ELSEWHERE) {
        reply_redirect(channel, request, "ok");
        return 0;
    }
    if (found == LIVE_NOWHERE) {
        channel_reply(channel, request->join_ref, request->ref, request->topic, "ok",
                      slice_of("{\"link_redirect\":true}"));
        return 0;
    }
    bool is_elsewhere = !live_address_equal(&channel->live->address, &address);
    if (is_elsewhere && !may_open(channel)) return CLOSE_POLICY;
    live_ref_set(&ref, request->ref);
    live_patch(channel->live, &ref, &address);
    return 0;
}

static bool is_current(const struct channel *channel, const struct request *request)
{
    return channel->live != NULL &&
           slice_equal(live_ref_text(&channel->live->join_ref), request->join_ref);
}

/* The client leaves what it never joined, twice, and the page's body with an empty id: all ok. A leave
 * of an earlier join leaves the present one alone. */
static void on_leave(struct channel *channel, const struct request *request)
{
    if (slice_equal(request->topic, channel_topic) && is_current(channel, request))
        live_close(channel->live);
    reply_ok(channel, request);
}

/* 0, or the code to close the connection with. */
static int on_request(struct channel *channel, const struct request *request)
{
    if (slice_is(request->event, "phx_leave")) {
        on_leave(channel, request);
    } else if (slice_is(request->topic, "phoenix")) {
        reply_ok(channel, request); /* heartbeat */
    } else if (!slice_equal(request->topic, channel_topic)) {
        reply_error(channel, request, slice_of("{\"reason\":\"unmatched topic\"}"));
    } else if (slice_is(request->event, "phx_join")) {
        if (!may_open(channel)) return CLOSE_POLICY;
        on_join(channel, request);
    } else if (channel->live == NULL) {
        reply_error(channel, request, slice_of("{\"reason\":\"unmatched topic\"}"));
    } else if (!is_current(channel, request)) {
        return 0; /* meant for an earlier join */
    } else if (slice_is(request->event, "event")) {
        on_event(channel, request);
    } else if (slice_is(request->event, "live_patch")) {
        return on_live_patch(channel, request);
    } else {
        reply_ok(channel, request);
    }
    return 0;
}

int channel_receive(struct channel *channel, struct slice text)
{
    struct json *frame;
    struct request request;
    if (text.len > WS_MESSAGE_MAX) return CLOSE_TOO_LARGE;
    int rv = json_parse(&frame, text, NULL);
    if (rv != 0) return rv == ERR_TOO_LARGE ? CLOSE_TOO_LARGE : CLOSE_PROTOCOL;
    int code = read_request(&request, frame) ? on_request(channel, &request) : CLOSE_PROTOCOL;
    json_free(frame);
    return code;
}
