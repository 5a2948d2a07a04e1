/* How an answer is made: the frame's head goes into the host's scratch, the render's tree or diff
 * behind it, the title into the root's braces, and what is in scratch is copied once into the bytes
 * that the connection queues. Of a join only what stands around the stream is copied: the stream's
 * bytes are the topic's, the same for all.
 *
 * Longer than 500 lines because a view has one life: what it is told, asks for and answers turn on the
 * same few states.
 */
#include "live/live.h"

#include <assert.h>

#include "base/crypto.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "live/channel.h"

void live_ref_set(struct live_ref *ref, struct slice text)
{
    assert(text.len <= REF_MAX);
    *ref = (struct live_ref){.len = (uint8_t)text.len};
    if (text.len > 0) memcpy(ref->text, text.at, text.len);
}

bool live_address_equal(const struct live_address *a, const struct live_address *b)
{
    return a->view == b->view &&
           slice_equal(slice_make(a->room, a->room_len), slice_make(b->room, b->room_len));
}

/* ---- what waits ---- */

static void add_pending(struct live *live, const struct live_ref *ref)
{
    struct live_pending *pending = mem_new(sizeof *pending);
    *pending = (struct live_pending){.next = live->pending, .ref = *ref};
    live->pending = pending;
    live->pending_count++;
}

/* False if nobody waits for it. */
static bool take_pending(struct live *live, const struct live_ref *ref)
{
    for (struct live_pending **at = &live->pending; *at != NULL; at = &(*at)->next) {
        struct live_pending *found = *at;
        if (!slice_equal(live_ref_text(&found->ref), live_ref_text(ref))) continue;
        *at = found->next;
        live->pending_count--;
        mem_free(found);
        return true;
    }
    return false;
}

static void reply(struct live *live, const struct live_ref *ref, const char *status,
                  struct slice response)
{
    channel_reply(live->channel, live_ref_text(&live->join_ref), live_ref_text(ref), channel_topic,
                  status, response);
}

static void reply_ok(struct live *live, const struct live_ref *ref)
{
    reply(live, ref, "ok", slice_of("{}"));
}

/* ---- the page's life ---- */

static size_t hashes_count(const struct view *view)
{
    return view->template->private_slots + 1u;
}

static void mount(struct live *live, struct topic *topic)
{
    const struct view *view = live->address.view;
    live->topic = topic;
    live->page = mem_new(view->page_size);
    live->hashes = mem_new_array(hashes_count(view), sizeof *live->hashes);
    view->mount(live, live->page);
}

static void unmount(struct live *live)
{
    const struct view *view = live->address.view;
    if (live->page == NULL) return;
    if (view->unmount != NULL) view->unmount(live, live->page);
    mem_free(live->page);
    mem_free(live->hashes);
    live->page = NULL;
    live->hashes = NULL;
}

/* Its topic, its page and the host have nothing to do with it any more. */
static void detach(struct live *live)
{
    if (live->state == LIVE_MOUNTED) topic_remove(live->topic, live);
    live->state = LIVE_OPENING;
    unmount(live); /* it may look at the topic once more, which the host may give up */
    live->host->close(live->host->owner, live);
    live->topic = NULL;
}

static void forget_wishes(struct live *live)
{
    mem_free(live->redirect_to);
    live->redirect_to = NULL;
    live->redirect = LIVE_STAY;
    live->stream_shared = NULL;
}

void live_close(struct live *live)
{
    live->channel->live = NULL;
    detach(live);
    forget_wishes(live);
    while (live->pending != NULL) {
        struct live_pending *next = live->pending->next;
        mem_free(live->pending);
        live->pending = next;
    }
    mem_free(live->reader);
    mem_free(live);
}

/* ---- what goes out ---- */

/* The title, if it is another one, before the last brace of `out`; or as all there is. */
static bool add_title(struct live *live, bool always)
{
    const struct view *view = live->address.view;
    struct buf *out = live->host->scratch;
    struct buf *title = live->host->words;
    uint64_t *slot = &live->hashes[hashes_count(view) - 1];

    buf_reset(title);
    view->title(title, live->page, live->topic->shared);
    uint64_t hash = hash_keyed(title->at, title->len) | 1;
    if (!always && hash == *slot) return false;
    *slot = hash;
    json_add_text(out, "t", buf_slice(title));
    return true;
}

/* A view that cannot be told what changed must join anew. */
static void crash(struct live *live)
{
    log_error("page does not fit into an answer", "view=%s", live->address.view->name);
    channel_crash(live->channel);
}

/* What changed in the page, as a message of its own or in the answer to `ref`. */
static void send_changes(struct live *live, const struct live_ref *ref)
{
    const struct view *view = live->address.view;
    bool is_answer = ref != NULL && ref->len > 0;
    struct slice ref_text = is_answer ? live_ref_text(ref) : slice_of("");
    struct buf *out = channel_begin(live->channel, live_ref_text(&live->join_ref), ref_text,
                                    is_answer ? "phx_reply" : "diff");
    if (is_answer) buf_add(out, slice_of("{\"status\":\"ok\",\"response\":{\"diff\":"));

    struct render r;
    bool has_stream = live->stream_shared != NULL;
    render_init(&r, RENDER_DIFF, RENDER_PRIVATE | (has_stream ? RENDER_STREAM : 0u), out);
    r.private_hashes = live->hashes;
    r.stream_at = live->stream_at;
    view->render(&r, live->page, has_stream ? live->stream_shared : live->topic->shared);

    if (r.changed)
        buf_truncate(out, out->len - 1);
    else
        buf_add_char(out, '{');
    bool changed = add_title(live, false) || r.changed;
    buf_add_char(out, '}');
    if (out->overflowed) {
        crash(live);
    } else if (changed) {
        if (is_answer) buf_append(out, "}}", 2);
        if (!channel_end(live->channel)) crash(live);
    } else if (is_answer) {
        reply_ok(live, ref);
    }
}

static void add_redirect(struct buf *out, const struct live *live)
{
    bool navigates = live->redirect == LIVE_NAVIGATE;
    buf_add(out, slice_of("{"));
    json_add_text(out, "to", slice_from(live->redirect_to));
    if (navigates) json_add_text(out, "kind", slice_of("push"));
    buf_add_char(out, '}');
}

static const char *redirect_word(const struct live *live)
{
    return live->redirect == LIVE_NAVIGATE ? "live_redirect" : "redirect";
}

static void send_redirect(struct live *live, const struct live_ref *ref, const char *status)
{
    bool is_answer = ref != NULL && ref->len > 0;
    struct slice join_ref = live_ref_text(&live->join_ref);
    struct buf *out =
        channel_begin(live->channel, join_ref, is_answer ? live_ref_text(ref) : slice_of(""),
                      is_answer ? "phx_reply" : redirect_word(live));
    if (is_answer) {
        buf_add_char(out, '{');
        json_add_text(out, "status", slice_from(status));
        buf_add(out, slice_of(",\"response\":{"));
        json_add_key(out, redirect_word(live));
    }
    add_redirect(out, live);
    if (is_answer) buf_append(out, "}}", 2);
    channel_end(live->channel);
}

/* After a handler: the answer to its event, or what changed if there is no event. */
static void respond(struct live *live, const struct live_ref *ref)
{
    if (live->redirect != LIVE_STAY) {
        send_redirect(live, ref, "ok");
        forget_wishes(live);
        return;
    }
    struct channel *channel = live->channel;
    send_changes(live, ref);
    if (channel->live == live) forget_wishes(live); /* else it crashed, and is gone */
}

/* The stream as every join shows it, kept by the topic. */
static void encode_stream(struct topic *topic, struct buf *scratch)
{
    struct render r;
    if (topic->stream_json != NULL) return;
    buf_reset(scratch);
    render_init_stream(&r, scratch);
    topic->view->render(&r, NULL, topic->shared);
    if (r.changed && !scratch->overflowed) topic->stream_json = shared_copy(buf_slice(scratch));
}

static void send_spliced(struct live *live, size_t splice_at)
{
    const struct live_host *host = live->host;
    struct slice all = buf_slice(host->scratch);
    if (splice_at == SIZE_MAX) splice_at = all.len;
    struct shared *before = shared_copy(slice_first(all, splice_at));
    struct shared *behind = shared_copy(slice_skip(all, splice_at));
    struct shared *pieces[] = {before, live->topic->stream_json, behind};
    bool has_stream = behind->len > 0;
    host->send(host->owner, live->channel->connection, pieces, has_stream ? 3 : 1);
    shared_unref(before);
    shared_unref(behind);
}

/* The whole tree, to a join or a patch. False, and nothing sent, if it does not fit. */
static bool send_tree(struct live *live)
{
    const struct view *view = live->address.view;
    struct topic *topic = live->topic;
    encode_stream(topic, live->host->scratch);
    struct buf *out = channel_begin(live->channel, live_ref_text(&live->join_ref),
                                    live_ref_text(&live->ref), "phx_reply");
    buf_add(out, slice_of("{\"status\":\"ok\",\"response\":{"));
    buf_add(out, live->is_patch ? slice_of("\"diff\":") : slice_of("\"rendered\":"));

    struct render r;
    render_init(&r, RENDER_TREE, RENDER_ALL, out);
    r.private_hashes = live->hashes;
    /* With other readers the hashes say what they were told, which may be less than is told here. */
    r.shared_hashes = topic->readers == NULL ? topic->hashes : NULL;
    r.stream_reset = live->is_patch;
    r.stream_json = topic->stream_json;
    view->render(&r, live->page, topic->shared);

    buf_truncate(out, out->len - 1);
    add_title(live, true);
    buf_add_char(out, '}');
    if (!live->is_patch) {
        json_add_text(out, "liveview_version", slice_from(channel_client_version));
    }
    buf_append(out, "}}]", 3);
    if (out->overflowed) return false;
    if (live->ref.len > 0) send_spliced(live, r.splice_at);
    return true;
}

/* ---- for the host ---- */

void live_opened(struct live *live, struct topic *topic, bool behind)
{
    assert(live->state == LIVE_OPENING && topic->view == live->address.view);
    live->behind = behind;
    mount(live, topic);
    if (live->redirect != LIVE_STAY) {
        send_redirect(live, &live->ref, live->is_patch ? "ok" : "error");
        live_close(live);
        return;
    }
    if (!send_tree(live)) {
        log_error("page does not fit into an answer", "view=%s", live->address.view->name);
        live_refused(live, "too large");
        return;
    }
    live->state = LIVE_MOUNTED;
#ifdef LIVETEA_MISTAKE_SUBSCRIBE
    live->misses_next = true;
#endif
    topic_add(topic, live);
    live->is_patch = false;
    live->channel->is_joined_once = true;
}

void live_refused(struct live *live, const char *reason)
{
    assert(live->state == LIVE_OPENING);
    struct buf response;
    buf_init(&response, HTTP_LINE_MAX);
    if (live->is_patch) {
        reply(live, &live->ref, "ok", slice_of("{\"link_redirect\":true}"));
    } else {
        buf_add_char(&response, '{');
        json_add_text(&response, "reason", slice_from(reason));
        if (strcmp(reason, "reload") == 0) {
            json_add_u64(&response, "status", 503);
            json_add_text(&response, "token", slice_of(""));
        }
        buf_add_char(&response, '}');
        reply(live, &live->ref, "error", buf_slice(&response));
    }
    buf_close(&response);
    live_close(live);
}

void live_inform(struct live *live, const struct live_ref *ref, const struct live_info *info)
{
    if (live->state != LIVE_MOUNTED) return;
    struct live_ref own = {.len = 0};
    if (ref != NULL && ref->len > 0 && take_pending(live, ref)) own = *ref;
    live->running = NULL;
    live->address.view->handle_info(live, live->page, info);
    respond(live, &own);
}

/* ---- for the channel ---- */

void live_join(struct channel *channel, const struct live_join *join)
{
    const struct live_host *host = channel->host;
    struct live *live = mem_new(sizeof *live);
    *live = (struct live){.channel = channel,
                          .host = host,
                          .state = LIVE_OPENING,
                          .is_rejoin = join->is_rejoin,
                          .seen = join->is_redirect ? 0 : join->seen,
                          .touch = join->touch,
                          .offset_minutes = join->offset_minutes,
                          .address = *join->address,
                          .identity = &channel->identity};
    if (join->from.len > 0 && join->from.len <= NODE_NAME_MAX)
        memcpy(live->from, join->from.at, join->from.len);
    live_ref_set(&live->ref, join->ref);
    live_ref_set(&live->join_ref, join->join_ref);
    channel->live = live;
    host->open(host->owner, live, join->seen);
}

void live_event(struct live *live, const struct live_ref *ref, struct slice event,
                const struct params *params)
{
    if (live->state != LIVE_MOUNTED || live->pending_count >= EVENTS_PENDING_MAX) {
        reply_ok(live, ref);
        return;
    }
    live->running = ref;
    enum live_reply how = live->address.view->handle_event(live, live->page, event, params);
    live->running = NULL;
    if (how == LIVE_REPLY) {
        respond(live, ref);
        return;
    }
    live->stream_shared = NULL; /* was for this answer */
    add_pending(live, ref);
}

/* All that waits for an answer of the page that goes. */
static void answer_pending(struct live *live)
{
    while (live->pending != NULL) {
        struct live_ref ref = live->pending->ref;
        take_pending(live, &ref);
        reply_ok(live, &ref);
    }
}

void live_patch(struct live *live, const struct live_ref *ref, const struct live_address *address)
{
    bool is_joining = live->state == LIVE_OPENING && !live->is_patch;
    if (is_joining || live_address_equal(&live->address, address)) {
        reply_ok(live, ref); /* a join that is not answered yet cannot be patched */
        return;
    }
    bool was_patching = live->state == LIVE_OPENING;
    struct live_ref before = live->ref;
    detach(live);
    answer_pending(live);
    forget_wishes(live);
    if (was_patching) reply_ok(live, &before); /* the user went on before it came */

    live->ref = *ref;
    live->address = *address;
    live->is_patch = true;
    live->behind = false;
    live->host->open(live->host->owner, live, 0);
}

/* ---- for pages ---- */

static const struct live_ref nobody = {.len = 0};

static const struct live_ref *waiting(const struct live *live)
{
    return live->running == NULL ? &nobody : live->running;
}

static struct send_message command_of(const struct live *live, struct slice text,
                                      const struct command_id *id)
{
    return (struct send_message){.room = slice_make(live->address.room, live->address.room_len),
                                 .sender = identity_name(live->identity),
                                 .text = text,
                                 .sender_id = live->identity->sender_id,
                                 .id = *id};
}

void live_dispatch(struct live *live, struct slice text, const struct command_id *id, bool retried)
{
    if (live->state == LIVE_DEAD) return;
    struct send_message command = command_of(live, text, id);
    command.retried = retried;
    live->host->dispatch(live->host->owner, live, waiting(live), &command);
}

void live_check(struct live *live, struct slice text, const struct command_id *id)
{
    if (live->state == LIVE_DEAD) return;
    struct send_message command = command_of(live, text, id);
    live->host->check(live->host->owner, live, waiting(live), &command);
}

void live_history(struct live *live, uint64_t before_number)
{
    if (live->state == LIVE_DEAD) return;
    live->host->history(live->host->owner, live, waiting(live), before_number);
}

void live_watch(struct live *live, const struct command_id *id)
{
    if (live->state == LIVE_DEAD) return;
    live->host->watch(live->host->owner, live, id);
}

void live_wake(struct live *live, uint32_t ms)
{
    if (live->state == LIVE_DEAD) return;
    live->host->wake(live->host->owner, live, ms);
}

void live_typing(struct live *live)
{
    if (live->state == LIVE_DEAD) return;
    live->host->typing(live->host->owner, live);
}

int live_hint(const struct live *live)
{
    return live->is_rejoin || live->is_patch ? CHAT_ACCEPTED : live->address.hint;
}

void live_new_id(struct live *live, struct command_id *id)
{
    uint8_t random[10];
    live->host->random(live->host->owner, random, sizeof random);
    command_id_make(id, live_wall_ms(live), random);
}

int64_t live_wall_ms(struct live *live)
{
    return live->host->wall_ms(live->host->owner);
}

static void go(struct live *live, enum live_redirect_kind kind, struct slice to)
{
    mem_free(live->redirect_to);
    live->redirect_to = mem_string(to.at, to.len);
    live->redirect = kind;
}

void live_navigate(struct live *live, struct slice to)
{
    go(live, LIVE_NAVIGATE, to);
}

void live_redirect(struct live *live, struct slice to)
{
    go(live, LIVE_REDIRECT, to);
}

void live_stream(struct live *live, const void *shared, int at)
{
    live->stream_shared = shared;
    live->stream_at = at;
}

/* ---- the page of a GET ---- */

/* NOLINTNEXTLINE(readability-function-size): all that a page stands on, from its one caller */
void live_dead_render(const struct live_host *host, const struct live_address *address,
                      const struct identity *identity, struct topic *topic, int16_t offset_minutes,
                      const char *style_nonce, struct buf *html, struct buf *title)
{
    struct live live = {.host = host,
                        .state = LIVE_DEAD,
                        .offset_minutes = offset_minutes,
                        .address = *address,
                        .identity = identity,
                        .style_nonce = style_nonce};
    struct render r;
    mount(&live, topic);
    render_init(&r, RENDER_HTML, RENDER_ALL, html);
    address->view->render(&r, live.page, topic->shared);
    address->view->title(title, live.page, topic->shared);
    unmount(&live);
    forget_wishes(&live);
    mem_free(live.reader);
}
