#include "app/site.h"

#include <inttypes.h>

#include "app/commands.h"
#include "app/rooms.h"
#include "app/viewers.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "pages/pages.h"
#include "pages/when.h"
#include "web/assets.h"

enum { BACKLOG_MAX_MS = 3000, COOKIE_RENEW_S = 24 * 3600 };

struct site {
    struct web_thread *thread;
    struct token_keys keys;
    struct buf nodes; /* public URLs of the members, for the page and the CSP */
    uint64_t nodes_version;
    struct buf html, title, page, text, headers; /* scratch, used within one call */
};

struct visit { /* one page on its way: its room may have to be loaded */
    struct room_waiter waiter;
    struct site *site;
    struct exchange *exchange;
    struct live_address address;
    struct identity identity;
    bool set_cookie;
};

struct posted { /* one message from a form without JavaScript */
    struct site *site;
    struct exchange *exchange;
    char room[ROOM_MAX];
    uint8_t room_len;
};

struct site *site_new(struct web_thread *thread, const struct token_keys *keys)
{
    struct site *site = mem_new(sizeof *site);
    *site = (struct site){.thread = thread, .keys = *keys, .nodes_version = UINT64_MAX};
    buf_init(&site->nodes, MEMBERS_MAX * (URL_MAX + 1));
    buf_init(&site->html, RESPONSE_MAX);
    buf_init(&site->title, 1024);
    buf_init(&site->page, RESPONSE_MAX);
    buf_init(&site->text, HTTP_BODY_MAX);
    buf_init(&site->headers, 16 * 1024);
    return site;
}

void site_free(struct site *site)
{
    buf_close(&site->nodes);
    buf_close(&site->html);
    buf_close(&site->title);
    buf_close(&site->page);
    buf_close(&site->text);
    buf_close(&site->headers);
    mem_free(site);
}

/* ---- who is it ---- */

/* True if a cookie is to be set: there was none that is good, or it is more than a day old. */
static bool read_identity(struct site *site, const struct http_request *request,
                          struct identity *identity)
{
    int64_t now_s = clock_wall_ms() / 1000;
    struct slice cookie = http_cookie_get(request, "livetea");
    if (cookie.len > 0 && token_read_cookie(identity, &site->keys, cookie, now_s))
        return now_s - identity->issued_s > COOKIE_RENEW_S;
    *identity = (struct identity){.issued_s = now_s};
    crypto_random(identity->session, sizeof identity->session);
    identity_derive(identity, &site->keys);
    return true;
}

static void add_cookie(struct site *site, const struct identity *identity)
{
    const struct config *config = web_thread_config(site->thread);
    bool is_secure = slice_starts(slice_from(config->http.public_url), slice_of("https:"));
    buf_add(&site->headers, slice_of("Set-Cookie: livetea="));
    token_add_cookie(&site->headers, &site->keys, identity);
    buf_printf(&site->headers, "; Path=/; Max-Age=%d; HttpOnly; SameSite=Lax%s\r\n",
               (int)COOKIE_AGE_S, is_secure ? "; Secure" : "");
}

/* ---- pages ---- */

static struct slice nodes_of(struct site *site)
{
    const struct board *board = web_thread_board(site->thread);
    if (web_thread_config(site->thread)->http.behind_proxy || board == NULL)
        return (struct slice){NULL, 0};
    if (board->version == site->nodes_version) return buf_slice(&site->nodes);
    site->nodes_version = board->version;
    buf_reset(&site->nodes);
    for (size_t i = 0; i < board->nodes_count; i++) {
        if (board->nodes[i].http[0] == '\0') continue;
        if (site->nodes.len > 0) buf_add_char(&site->nodes, ' ');
        buf_add(&site->nodes, slice_from(board->nodes[i].http));
    }
    return buf_slice(&site->nodes);
}

static void respond_page(struct site *site, struct exchange *exchange, int status,
                         const struct frame *frame, const char *nonce)
{
    buf_reset(&site->page);
    pages_frame(&site->page, frame);
    buf_add(&site->headers, slice_of("Content-Security-Policy: "));
    pages_csp(&site->headers, nodes_of(site), nonce);
    buf_add(&site->headers, slice_of("\r\nReferrer-Policy: same-origin\r\n"
                                     "X-Content-Type-Options: nosniff\r\n"
                                     "Cache-Control: no-store\r\n"));
    if (site->page.overflowed || site->headers.overflowed) {
        exchange_error(exchange, 500, "too_large", "The page became too large.");
        return;
    }
    struct http_response response = {.status = status,
                                     .type = slice_of("text/html; charset=utf-8"),
                                     .headers = buf_slice(&site->headers),
                                     .body = buf_slice(&site->page)};
    exchange_respond(exchange, &response);
}

static struct frame frame_of(struct site *site, struct slice title, struct slice content)
{
    return (struct frame){.title = title,
                          .ui_title = slice_from(web_thread_config(site->thread)->ui.title),
                          .nodes = nodes_of(site),
                          .add_asset = assets_add_url,
                          .content = content};
}

/* A page that is not live. */
static void respond_plain(struct site *site, struct exchange *exchange, int status,
                          struct slice title)
{
    struct frame frame = frame_of(site, title, buf_slice(&site->html));
    respond_page(site, exchange, status, &frame, NULL);
}

/* A page that was asked for comes by itself once it can; a form would not be sent again. */
static void respond_unavailable(struct site *site, struct exchange *exchange, struct slice path,
                                struct slice sentence)
{
    struct buf words;
    bool is_form = exchange->method == HTTP_METHOD_POST;
    buf_init(&words, 1024);
    buf_add(&words, sentence);
    buf_add(&words, is_form ? slice_of(" Nothing was sent: go back, and try again in a moment.")
                            : slice_of(" This page loads itself again."));
    buf_reset(&site->html);
    buf_reset(&site->headers);
    buf_add(&site->headers, slice_of("Retry-After: 1\r\n"));
    if (!is_form) buf_add(&site->headers, slice_of("Refresh: 2\r\n"));
    pages_unavailable(&site->html, buf_slice(&words), web_thread_board(site->thread), path);
    respond_plain(site, exchange, 503, slice_of("Not now"));
    buf_close(&words);
}

/* Does this node show its history to whoever comes new? Answers if not. */
static bool is_closed(struct site *site, struct exchange *exchange,
                      const struct http_request *request)
{
    const struct board *board = web_thread_board(site->thread);
    struct buf sentence;
    buf_init(&sentence, 512);
    if (board == NULL) {
        buf_add(&sentence, slice_of("This node is starting."));
    } else if (board->door == BOARD_GAP) {
        buf_add(&sentence, slice_of("This node is catching up: "));
        when_add_count(&sentence, board->number);
        buf_add(&sentence, slice_of(" of "));
        when_add_count(&sentence, board->goal);
        buf_add(&sentence, slice_of(" messages."));
    } else if (board->door == BOARD_JOINING) {
        buf_add(&sentence, slice_of("This node is no member of the cluster yet."));
    }
    bool closed = sentence.len > 0;
    if (closed) respond_unavailable(site, exchange, request->path, buf_slice(&sentence));
    buf_close(&sentence);
    return closed;
}

void site_not_found(struct site *site, struct exchange *exchange,
                    const struct http_request *request)
{
    buf_reset(&site->html);
    buf_reset(&site->headers);
    pages_not_found(&site->html, request->path);
    respond_plain(site, exchange, 404, slice_of("Not found"));
}

static void render_visit(struct visit *visit)
{
    struct site *site = visit->site;
    struct rooms *rooms = web_thread_rooms(site->thread);
    int16_t offset = (int16_t)web_thread_config(site->thread)->ui.timezone_offset;
    const struct live_address *address = &visit->address;
    struct topic *topic = address->view == &chat_view
                              ? room_topic(rooms, visit->waiter.room, offset)
                          : address->view == &cluster_view ? rooms_cluster_topic(rooms, offset)
                                                           : rooms_home_topic(rooms, offset);
    const char *node = web_thread_config(site->thread)->node.name;
    char nonce[PAGES_NONCE];
    struct buf tokens;

    /* The same identity makes the nonce here and in each join, so it is complete from here on. */
    visit->identity.issued_s = clock_wall_ms() / 1000;
    visit->identity.node_len = (uint8_t)strlen(node);
    memcpy(visit->identity.node, node, visit->identity.node_len);
    pages_style_nonce(nonce, &visit->identity);
    buf_reset(&site->html);
    buf_reset(&site->title);
    live_dead_render(viewers_host(web_thread_viewers(site->thread)), address, &visit->identity,
                     topic, offset, nonce, &site->html, &site->title);

    buf_reset(&site->headers);
    if (visit->set_cookie) add_cookie(site, &visit->identity);

    buf_init(&tokens, 2 * TOKEN_MAX);
    token_add_csrf(&tokens, &site->keys, visit->identity.csrf);
    size_t csrf_len = tokens.len;
    token_add_session(&tokens, &site->keys, &visit->identity);

    struct frame frame = frame_of(site, buf_slice(&site->title), buf_slice(&site->html));
    frame.csrf = slice_first(buf_slice(&tokens), csrf_len);
    frame.session = slice_skip(buf_slice(&tokens), csrf_len);
    respond_page(site, visit->exchange, 200, &frame, nonce);
    buf_close(&tokens);
}

/* Its request is gone by now. */
static void refuse_visit(struct visit *visit)
{
    struct buf path;
    buf_init(&path, HTTP_LINE_MAX);
    buf_add_char(&path, '/');
    text_escape_url(&path, slice_make(visit->address.room, visit->address.room_len));
    respond_unavailable(visit->site, visit->exchange, buf_slice(&path),
                        slice_of("This room cannot be read here at the moment."));
    buf_close(&path);
}

static void finish_visit(struct visit *visit)
{
    rooms_leave(web_thread_rooms(visit->site->thread), &visit->waiter);
    mem_free(visit);
}

static void on_visit_ready(struct room_waiter *waiter, int status)
{
    struct visit *visit = (struct visit *)(void *)waiter; /* its first member */
    if (status == 0)
        render_visit(visit);
    else
        refuse_visit(visit);
    finish_visit(visit);
}

static void respond_moved(struct site *site, struct exchange *exchange, struct slice to)
{
    buf_reset(&site->headers);
    buf_add(&site->headers, slice_of("Location: "));
    buf_add(&site->headers, to);
    buf_add(&site->headers, slice_of("\r\n"));
    struct http_response response = {.status = 301, .headers = buf_slice(&site->headers)};
    exchange_respond(exchange, &response);
}

static void get_page(struct site *site, struct exchange *exchange,
                     const struct http_request *request)
{
    struct live_address address = {0};
    buf_reset(&site->text);
    enum live_find found = pages_find(request->target, &address, &site->text);
    if (found == LIVE_ELSEWHERE) {
        respond_moved(site, exchange, buf_slice(&site->text));
        return;
    }
    if (found == LIVE_NOWHERE) {
        site_not_found(site, exchange, request);
        return;
    }
    if (web_thread_is_draining(site->thread)) {
        respond_unavailable(site, exchange, request->path, slice_of("This node is stopping."));
        return;
    }
    if (is_closed(site, exchange, request)) return;

    struct visit *visit = mem_new(sizeof *visit);
    *visit = (struct visit){
        .site = site, .exchange = exchange, .address = address, .waiter.on_ready = on_visit_ready};
    visit->set_cookie = read_identity(site, request, &visit->identity);
    if (address.view != &chat_view) {
        on_visit_ready(&visit->waiter, 0);
        return;
    }
    rooms_open(web_thread_rooms(site->thread), &visit->waiter,
               slice_make(visit->address.room, visit->address.room_len));
}

/* ---- forms ---- */

static void respond_see_other(struct site *site, struct exchange *exchange, struct slice to)
{
    buf_add(&site->headers, slice_of("Location: "));
    buf_add(&site->headers, to);
    buf_add(&site->headers, slice_of("\r\nCache-Control: no-store\r\n"));
    struct http_response response = {.status = 303, .headers = buf_slice(&site->headers)};
    exchange_respond(exchange, &response);
}

static void post_session(struct site *site, struct exchange *exchange, const struct params *params,
                         struct identity *identity)
{
    struct live_address address;
    struct slice back = params_get(params, "back");
    buf_reset(&site->text);
    bool is_name = text_name(&site->text, params_get(params, "name"));
    if (is_name) {
        identity->name_len = (uint8_t)site->text.len;
        memcpy(identity->name, site->text.at, site->text.len);
        identity->issued_s = clock_wall_ms() / 1000;
        add_cookie(site, identity);
    }
    /* Only to a path of ours, as it is written canonically. What stands behind it is not looked at by
     * pages_find, and could end the header's line. */
    buf_reset(&site->text);
    back = slice_first(back, slice_find(back, '?'));
    back = slice_first(back, slice_find(back, '#'));
    if (pages_find(back, &address, &site->text) != LIVE_FOUND) back = slice_of("/");
    buf_reset(&site->text);
    buf_add(&site->text, back);
    if (!is_name) buf_add(&site->text, slice_of("?e=invalid_name"));
    respond_see_other(site, exchange, buf_slice(&site->text));
}

static void post_rooms(struct site *site, struct exchange *exchange, const struct params *params)
{
    struct buf room;
    buf_init(&room, ROOM_MAX);
    buf_reset(&site->text);
    if (text_room(&room, params_get(params, "room")) && !pages_is_reserved(buf_slice(&room))) {
        buf_add_char(&site->text, '/');
        text_escape_url(&site->text, buf_slice(&room));
    } else {
        buf_add(&site->text, slice_of("/?e=invalid_room"));
    }
    buf_close(&room);
    respond_see_other(site, exchange, buf_slice(&site->text));
}

static void on_posted(void *owner, struct command_mail *mail)
{
    struct posted *posted = owner;
    struct site *site = posted->site;
    buf_reset(&site->headers);
    buf_reset(&site->text);
    buf_add_char(&site->text, '/');
    text_escape_url(&site->text, slice_make(posted->room, posted->room_len));
    if (mail->answer.kind == ANSWER_REFUSED)
        buf_printf(&site->text, "?e=%s", chat_refusal_word(mail->answer.refusal));
    else if (mail->answer.kind == ANSWER_UNKNOWN)
        buf_add(&site->text, slice_of("?e=unknown"));
    respond_see_other(site, posted->exchange, buf_slice(&site->text));
    mem_free(posted);
}

/* A browser ends the lines of a form that it sends itself by CR LF; in a message they end by LF. */
static struct slice lines_of(struct buf *out, struct slice text)
{
    buf_reset(out);
    while (text.len > 0) {
        size_t place = slice_find(text, '\r');
        buf_add(out, slice_first(text, place));
        text = slice_skip(text, place);
        if (text.len == 0) break;
        if (!slice_starts(text, slice_of("\r\n"))) buf_add_char(out, '\r');
        text = slice_skip(text, 1);
    }
    return buf_slice(out);
}

static void post_message(struct site *site, struct exchange *exchange,
                         const struct http_request *request, const struct params *params,
                         const struct identity *identity)
{
    struct live_address address = {0};
    struct command_id id;
    uint8_t random[10];
    buf_reset(&site->text);
    if (pages_find(request->path, &address, &site->text) != LIVE_FOUND ||
        address.view != &chat_view) {
        site_not_found(site, exchange, request);
        return;
    }

    struct slice nonce = params_get(params, "nonce");
    crypto_random(random, sizeof random);
    if (nonce.len == 0)
        command_id_make(&id, clock_wall_ms(), random);
    else if (!command_id_from(&id, nonce)) {
        exchange_error(exchange, 400, "invalid_nonce", "The form's nonce is too long.");
        return;
    }

    struct posted *posted = mem_new(sizeof *posted);
    *posted = (struct posted){.site = site, .exchange = exchange, .room_len = address.room_len};
    memcpy(posted->room, address.room, address.room_len);
    struct send_message command = {.room = slice_make(address.room, address.room_len),
                                   .sender = identity_name(identity),
                                   .text = lines_of(&site->text, params_get(params, "message")),
                                   .sender_id = identity->sender_id,
                                   .id = id};
    struct command_mail *mail = command_mail_new(site->thread, &command);
    mail->on_answer = on_posted;
    mail->owner = posted;
    if (identity->name_len == 0) {
        commands_refuse(site->thread, mail, CHAT_NAME_INVALID, 0);
        return;
    }
    uint32_t wait_ms = web_thread_rate_address(site->thread, conn_address(exchange->conn));
    if (wait_ms > 0) {
        commands_refuse(site->thread, mail, CHAT_TOO_FAST, wait_ms);
        return;
    }
    commands_send(site->thread, mail);
}

/* The form's token is ours, and it was made for this browser. */
static bool form_is_allowed(struct site *site, const struct http_request *request,
                            const struct params *params, const struct identity *identity)
{
    uint8_t csrf[16];
    struct slice origin = http_header_get(request, "Origin");
    if (origin.len > 0 && !web_thread_origin_allowed(site->thread, origin)) return false;
    return token_read_csrf(csrf, &site->keys, params_get(params, "_csrf_token")) &&
           crypto_equal(csrf, identity->csrf, sizeof csrf);
}

static void post_form(struct site *site, struct exchange *exchange,
                      const struct http_request *request)
{
    struct identity identity;
    struct params params;
    if (is_closed(site, exchange, request)) return;
    struct slice type = http_header_get(request, "Content-Type");
    struct slice media = slice_trim(slice_cut(&type, ';'));
    if (!slice_is(media, "application/x-www-form-urlencoded")) {
        exchange_error(exchange, 415, "unsupported_type",
                       "A form comes as application/x-www-form-urlencoded.");
        return;
    }
    params_init(&params);
    params_read_form(&params, request->body);
    read_identity(site, request, &identity);
    buf_reset(&site->headers);

    if (params.is_broken) {
        exchange_error(exchange, 400, "invalid_form", "The form is not well encoded.");
    } else if (!form_is_allowed(site, request, &params, &identity)) {
        exchange_error(
            exchange, 403, "forbidden",
            "This form is not of a page of ours, or its page is too old. Load it again.");
    } else if (exchange->route == ROUTE_SESSION) {
        post_session(site, exchange, &params, &identity);
    } else if (exchange->route == ROUTE_ROOMS) {
        post_rooms(site, exchange, &params);
    } else {
        post_message(site, exchange, request, &params, &identity);
    }
    params_close(&params);
}

void site_handle(struct site *site, struct exchange *exchange, const struct http_request *request)
{
    if (exchange->method == HTTP_METHOD_POST) {
        post_form(site, exchange, request);
        return;
    }
    get_page(site, exchange, request);
}

/* ---- the upgrade ---- */

int site_upgrade(struct site *site, const struct http_request *request, uint8_t csrf[16])
{
    struct slice origin = http_header_get(request, "Origin");
    buf_reset(&site->text);
    if (!slice_is(request->path, "/live/websocket")) return 404;
    if (!http_query_get(request, "vsn", &site->text) || !slice_is(buf_slice(&site->text), "2.0.0"))
        return 400;
    if (!web_thread_origin_allowed(site->thread, origin)) return 403;
    buf_reset(&site->text);
    if (!http_query_get(request, "_csrf_token", &site->text) ||
        !token_read_csrf(csrf, &site->keys, buf_slice(&site->text)))
        return 403;
    const struct board *board = web_thread_board(site->thread);
    if (web_thread_is_draining(site->thread) || board == NULL) return 503;
    if (board->door != BOARD_OPEN) return 503;
    if (viewers_backlog_ms(web_thread_viewers(site->thread)) > BACKLOG_MAX_MS) return 503;
    return 0;
}
