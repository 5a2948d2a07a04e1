/* Longer than 500 lines because each of the rooms of this floor asks it for something in a function of a
 * few lines; what they do with it is theirs.
 */
#include "app/web_thread.h"

#include <utlist.h>

#include "app/admin_api.h"
#include "app/api.h"
#include "app/commands.h"
#include "app/loop_delay.h"
#include "app/origin.h"
#include "app/rooms.h"
#include "app/routes.h"
#include "app/site.h"
#include "app/store_look.h"
#include "app/viewers.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/hash_table.h"
#include "base/log.h"
#include "base/mem.h"
#include "web/assets.h"

enum { BACKLOG = 1024, ADDRESS_RATE = 10 };

struct browser { /* one WebSocket */
    enum user_kind kind;
    struct channel channel;
};

struct web_thread {
    uv_thread_t thread;
    uv_loop_t loop;
    struct mailbox mailbox, *domain, *main;
    int number;
    bool is_draining, is_stopping, is_drained, is_closed;
    unsigned drains_held;
    size_t commands_away; /* sent to the domain thread, not answered yet */
    struct answers answers;
    uv_sem_t *drained;
    const struct config *config;
    const struct secret *secret;
    struct event_reader *reader;
    struct store_look store_look;
    struct conn_server *server, *admin_server; /* the second NULL unless admin_listen is set */
    struct listener *listener, *admin_listener;
    int servers_open;
    struct snapshot *snapshot;
    uint64_t applied;
    struct rooms *rooms;
    struct viewers *viewers;
    struct site *site;
    struct rate address_rate;
    struct origins origins;
    struct web_counters counters;
    struct buf decoded;
    uv_check_t turn_end;
    uv_timer_t second;
    struct loop_delay delay;
    struct chores *chores;
};

/* ---- requests ---- */

static void respond_asset(struct exchange *exchange, const struct http_request *request,
                          struct slice name)
{
    struct conn *conn = exchange_over(exchange, assets_find(name) != NULL ? 200 : 404);
    assets_respond(conn, request, name);
}

static bool is_api(const struct http_request *request)
{
    return slice_starts(request->path, slice_of("/api/"));
}

static void respond_method(struct web_thread *thread, struct exchange *exchange,
                           const struct http_request *request, unsigned allowed)
{
    char allow[64];
    buf_reset(&thread->decoded);
    router_allow(allowed, &thread->decoded);
    size_t len = thread->decoded.len < sizeof allow ? thread->decoded.len : sizeof allow - 1;
    memcpy(allow, thread->decoded.at, len);
    allow[len] = '\0';
    if (!is_api(request)) {
        http_respond_method(exchange_over(exchange, 405), allow);
        return;
    }
    char header[sizeof allow + 16];
    snprintf(header, sizeof header, "Allow: %s\r\n", allow);
    exchange_respond(exchange, &(struct http_response){
                                   .status = 405,
                                   .type = slice_of("application/json"),
                                   .headers = slice_from(header),
                                   .body = slice_of("{\"error\":\"method_not_allowed\",\"message\":"
                                                    "\"This address has not that method.\"}\n")});
}

/* Only one thread has the listener for administrators, and all must know whether there is one. */
static bool is_apart(const struct web_thread *thread)
{
    return thread->config->http.admin_listen[0] != '\0';
}

static void on_request(void *owner, struct conn *conn, const struct http_request *request)
{
    struct web_thread *thread = owner;
    struct route_match match = {0};
    struct exchange *exchange = exchange_new(thread, conn, request);

    const struct route *route =
        router_find(web_routes, ROUTE_NONE, request, &thread->decoded, &match);
    bool is_hidden = match.is_admin && is_apart(thread) && !conn_is_admin(conn);
    if (route == NULL && match.allowed != 0 && !is_hidden) {
        respond_method(thread, exchange, request, match.allowed);
        return;
    }
    if (route == NULL || is_hidden) {
        if (is_api(request) || is_hidden) {
            exchange_error(exchange, 404, "not_found", "There is nothing at this address.");
            return;
        }
        site_not_found(thread->site, exchange, request);
        return;
    }

    exchange->route = (enum web_route)route->id;
    switch (exchange->route) {
    case ROUTE_HOME:
    case ROUTE_ROOM:
    case ROUTE_CLUSTER:
    case ROUTE_SESSION:
    case ROUTE_ROOMS: site_handle(thread->site, exchange, request); return;
    case ROUTE_ASSETS: respond_asset(exchange, request, match.values[0]); return;
    case ROUTE_FAVICON: respond_asset(exchange, request, slice_of("favicon.svg")); return;
    case ROUTE_ROBOTS: respond_asset(exchange, request, slice_of("robots.txt")); return;
    case ROUTE_SOCKET: {
        exchange_error(exchange, 426, "upgrade_required", "This address is for WebSockets.");
        return;
    }
    case ROUTE_LIVEZ:
    case ROUTE_READYZ:
    case ROUTE_STATUS:
    case ROUTE_METRICS:
    case ROUTE_API_ROOMS:
    case ROUTE_API_MESSAGES:
    case ROUTE_API_EVENTS: api_handle(exchange, request, &match); return;
    case ROUTE_TRANSFER:
    case ROUTE_DRAIN:
    case ROUTE_MEMBERS:
    case ROUTE_MEMBER:
    case ROUTE_BACKUP: admin_api_handle(exchange, request, &match); return;
    case ROUTE_NONE:
    case WEB_ROUTES:
    default: site_not_found(thread->site, exchange, request); return;
    }
}

/* ---- WebSockets ---- */

static int on_upgrade(void *owner, struct conn *conn, const struct http_request *request)
{
    struct web_thread *thread = owner;
    uint8_t csrf[16];
    int status = site_upgrade(thread->site, request, csrf);
    if (status != 0) return status;

    struct browser *browser = mem_new(sizeof *browser);
    browser->kind = USER_BROWSER;
    channel_init(&browser->channel, viewers_host(thread->viewers), conn, csrf);
    conn_set_user(conn, browser);
    return 0;
}

static void on_message(void *owner, struct conn *conn, struct slice text)
{
    struct browser *browser = conn_user(conn);
    (void)owner;
    int code = channel_receive(&browser->channel, text);
    if (code != 0) conn_close(conn, code, CONN_END_PROTOCOL);
}

static void on_closed(void *owner, struct conn *conn, enum conn_end end)
{
    enum user_kind *kind = conn_user(conn); /* the first member of both */
    (void)owner;
    (void)end;
    if (kind == NULL) return;
    if (*kind == USER_EXCHANGE) {
        ((struct exchange *)(void *)kind)->conn = NULL;
        return;
    }
    struct browser *browser = (struct browser *)(void *)kind;
    channel_close(&browser->channel);
    mem_free(browser);
}

/* ---- what the rooms of this floor ask for ---- */

const struct config *web_thread_config(const struct web_thread *thread)
{
    return thread->config;
}

uv_loop_t *web_thread_loop(struct web_thread *thread)
{
    return &thread->loop;
}

const struct snapshot *web_thread_snapshot(const struct web_thread *thread)
{
    return thread->snapshot;
}

const struct board *web_thread_board(const struct web_thread *thread)
{
    return thread->snapshot == NULL ? NULL : board_of(thread->snapshot->board);
}

struct event_reader *web_thread_reader(struct web_thread *thread)
{
    return thread->reader;
}

int web_thread_stored(struct web_thread *thread, uint64_t *number)
{
    return store_look(&thread->store_look, uv_now(&thread->loop), number);
}

struct rooms *web_thread_rooms(struct web_thread *thread)
{
    return thread->rooms;
}

struct viewers *web_thread_viewers(struct web_thread *thread)
{
    return thread->viewers;
}

struct web_counters *web_thread_counters(struct web_thread *thread)
{
    return &thread->counters;
}

uint64_t web_thread_applied(const struct web_thread *thread)
{
    return thread->applied;
}

bool web_thread_is_draining(const struct web_thread *thread)
{
    return thread->is_draining;
}

bool web_thread_outlive(struct web_thread *thread, struct conn *conn)
{
    if (thread->drains_held == DRAINS_HELD_MAX || !conn_outlive(conn)) return false;
    thread->drains_held++;
    return true;
}

void web_thread_mail_domain(struct web_thread *thread, struct mail *mail)
{
    bool comes_back =
        mail->kind == MAIL_COMMAND || mail->kind == MAIL_CHECK || mail->kind == MAIL_CHANGE;
    if (comes_back) thread->commands_away++;
    mailbox_send(thread->domain, mail);
}

void web_thread_mail_answer(struct web_thread *thread, struct mail *mail)
{
    mail->kind = MAIL_ANSWER;
    thread->commands_away++;
    mailbox_send(&thread->mailbox, mail);
}

void web_thread_mail_main(struct web_thread *thread, struct mail *mail)
{
    mailbox_send(thread->main, mail);
}

const struct secret *web_thread_secret(const struct web_thread *thread)
{
    return thread->secret;
}

uint32_t web_thread_rate_address(struct web_thread *thread, struct slice address)
{
    struct sender_id who;
    sender_id_of_api(&who, address);
    return rate_take(&thread->address_rate, &who, uv_now(&thread->loop));
}

bool web_thread_origin_allowed(const struct web_thread *thread, struct slice origin)
{
    const struct config *config = thread->config;
    struct slice extra = slice_from(config->http.allowed_origins);
    if (origin_is_of(origin, slice_from(config->http.public_url))) return true;
    while (extra.len > 0)
        if (origin_is_of(origin, slice_cut(&extra, ' '))) return true;
    return origins_have(&thread->origins, origin);
}

struct chores *web_thread_chores(struct web_thread *thread)
{
    return thread->chores;
}

/* ---- mail and timers ---- */

/* Does a page that is nobody else's say something else now? (Who types is in each reader's own part.) */
static bool is_news(const struct board *board, const struct board *before)
{
    if (board->number != before->number || board->health != before->health) return true;
    if (board->behind != before->behind || board->people_count != before->people_count) return true;
    return memcmp(board->people, before->people, board->people_count * sizeof *board->people) != 0;
}

static void take_snapshot(struct web_thread *thread, struct snapshot *snapshot)
{
    struct snapshot *before = thread->snapshot;
    const struct board *new = board_of(snapshot->board);
    bool tells = before == NULL || is_news(new, board_of(before->board));
    thread->snapshot = snapshot;
    if (snapshot->events > thread->applied) thread->applied = snapshot->events;
    for (size_t i = 0; i < new->nodes_count; i++)
        origins_keep(&thread->origins, new->nodes[i].http);
    rooms_board(thread->rooms, new);
    if (tells) viewers_lists(thread->viewers);
    snapshot_unref(before);
}

static void free_events(struct events_mail *mail)
{
    shared_unref_all(mail->events, mail->count);
    mem_free(mail);
}

static void free_tail(struct room_mail *mail)
{
    shared_unref_all(mail->messages, mail->count);
    mem_free(mail);
}

static void drain(struct web_thread *thread)
{
    if (thread->is_draining) return;
    thread->is_draining = true;
    listener_stop(thread->listener, NULL, NULL);
    thread->listener = NULL;
    conn_server_drain(thread->server, 0);
}

/* Once all connections are closed and every command has its answer: whoever waited for one, an
 * exchange without a browser by now, is freed by it. */
static void close_if_done(struct web_thread *thread)
{
    if (thread->servers_open > 0 || thread->is_closed) return;
    chores_stop(thread->chores); /* may answer, or send, some of them */
    if (thread->commands_away > 0) return;
    thread->is_closed = true;
    viewers_stop(thread->viewers);
    uv_close((uv_handle_t *)&thread->turn_end, NULL);
    uv_close((uv_handle_t *)&thread->second, NULL);
    loop_delay_stop(&thread->delay);
    mailbox_close(&thread->mailbox);
}

static void on_server_stopped(void *owner)
{
    struct web_thread *thread = owner;
    thread->servers_open--;
    close_if_done(thread);
}

static void stop(struct web_thread *thread)
{
    thread->is_draining = true;
    thread->is_stopping = true;
    if (thread->listener != NULL) listener_stop(thread->listener, NULL, NULL);
    if (thread->admin_listener != NULL) listener_stop(thread->admin_listener, NULL, NULL);
    conn_server_stop(thread->server, on_server_stopped, thread);
    if (thread->admin_server != NULL)
        conn_server_stop(thread->admin_server, on_server_stopped, thread);
}

static void on_mail(void *owner, struct mail *mail)
{
    struct web_thread *thread = owner;
    switch (mail->kind) {
    case MAIL_ANSWER: answers_add(&thread->answers, (struct command_mail *)mail); return;
    case MAIL_CHANGE: {
        struct change_mail *change = (struct change_mail *)mail;
        thread->commands_away--;
        change->on_answer(change->owner, change);
        mem_free(change);
        if (thread->is_stopping) close_if_done(thread);
        return;
    }
    case MAIL_EVENTS: {
        struct events_mail *events = (struct events_mail *)mail;
        if (events->number > thread->applied) thread->applied = events->number;
        rooms_events_came(thread->rooms, events);
        free_events(events);
        return;
    }
    case MAIL_ROOM_TAIL: {
        struct room_mail *tail = (struct room_mail *)mail;
        if (tail->number > thread->applied) thread->applied = tail->number;
        rooms_tail_came(thread->rooms, tail);
        free_tail(tail);
        return;
    }
    case MAIL_REACH: viewers_reached(thread->viewers, (struct reach_mail *)mail); break;
    case MAIL_SNAPSHOT: take_snapshot(thread, ((struct snapshot_mail *)mail)->snapshot); break;
    case MAIL_DRAIN: drain(thread); break;
    case MAIL_STOP: stop(thread); break;
    default: assert(false && "a mail that a web thread knows"); break;
    }
    mem_free(mail);
}

/* Behind the messages that came before them: a page that has to move between the two has shown its own. */
static void tell_answers(struct web_thread *thread)
{
    if (thread->answers.first == NULL) return;
    /* Who is told may ask for more meanwhile. */
    size_t told = answers_tell(thread, &thread->answers, thread->is_stopping);
    thread->commands_away -= told;
    if (thread->is_stopping) close_if_done(thread);
}

static void on_turn_end(uv_check_t *check)
{
    struct web_thread *thread = check->data;
    rooms_flush(thread->rooms);
    tell_answers(thread);
    rooms_trim(thread->rooms);
    if (thread->is_closed) return;
    if (!thread->is_draining || thread->is_drained) return;
    if (conn_server_counters(thread->server)->connections > 0) return;
    thread->is_drained = true;
    uv_sem_post(thread->drained);
}

static void add_admin(struct conn_counters *sum, const struct conn_counters *admin)
{
    sum->http_requests += admin->http_requests;
    sum->http_bad += admin->http_bad;
    sum->connections += admin->connections;
    sum->received_bytes += admin->received_bytes;
    sum->sent_bytes += admin->sent_bytes;
}

static void on_second(uv_timer_t *timer)
{
    struct web_thread *thread = timer->data;
    struct counters_mail *mail = mem_new(sizeof *mail);
    struct web_counters *counters = &thread->counters;
    counters->conn = *conn_server_counters(thread->server);
    if (thread->admin_server != NULL)
        add_admin(&counters->conn, conn_server_counters(thread->admin_server));
    counters->rooms_shown = rooms_count(thread->rooms);
    counters->views = viewers_count(thread->viewers);
    counters->subscriptions = counters->views;
    mail->mail.kind = MAIL_COUNTERS;
    mail->thread_number = thread->number;
    mail->counters = *counters;
    mailbox_send(thread->domain, &mail->mail);
    rooms_sweep(thread->rooms);
}

/* ---- start and stop ---- */

static struct conn_server *new_server(struct web_thread *thread, bool is_admin)
{
    char every[64];
    const struct config *config = thread->config;
    int len = snprintf(every, sizeof every, "X-Livetea-Node: %s\r\n", config->node.name);
    struct conn_server_options options = {
        .loop = &thread->loop,
        .handler = {.owner = thread,
                    .on_request = on_request,
                    .on_upgrade = on_upgrade,
                    .on_message = on_message,
                    .on_closed = on_closed},
        /* Rounded up: of none a server makes "no limit". */
        .limits = {.connections_max = (config->http.max_connections + config->http.threads - 1) /
                                      config->http.threads,
                   .per_address_max = config->http.max_per_address,
                   .out_max = (size_t)config->http.send_queue,
                   .behind_proxy = config->http.behind_proxy},
        .every = slice_make(every, (size_t)len),
        .admin = is_admin};
    thread->servers_open++;
    return conn_server_new(&options);
}

static int listen_on(struct web_thread *thread, struct listener **out, struct conn_server *server,
                     const char *address, struct errmsg *errmsg)
{
    struct listen_options options = {.loop = &thread->loop,
                                     .server = server,
                                     .address = address,
                                     .backlog = BACKLOG,
                                     .is_shared = thread->config->http.threads > 1,
                                     .is_first = thread->number == 0};
    return listener_start(out, &options, errmsg);
}

static void run(void *argument)
{
    struct web_thread *thread = argument;
    uv_run(&thread->loop, UV_RUN_DEFAULT);
}

static void start_timers(struct web_thread *thread)
{
    uv_check_init(&thread->loop, &thread->turn_end);
    uv_timer_init(&thread->loop, &thread->second);
    thread->turn_end.data = thread->second.data = thread;
    uv_check_start(&thread->turn_end, on_turn_end);
    uv_timer_start(&thread->second, on_second, LISTS_EVERY_MS, LISTS_EVERY_MS);
    loop_delay_start(&thread->delay, &thread->loop, &thread->counters.loop_delay, NULL, NULL);
}

int web_thread_start(struct web_thread **out, const struct web_thread_options *options,
                     struct errmsg *errmsg)
{
    const struct config *config = options->config;
    struct token_keys keys = {
        .secrets = {secret_slice(options->secret, 0), secret_slice(options->secret, 1)}};
    struct web_thread *thread = mem_new(sizeof *thread);
    thread->number = options->number;
    thread->config = config;
    thread->secret = options->secret;
    thread->domain = options->domain;
    thread->main = options->main;
    thread->drained = options->drained;

    uv_loop_init(&thread->loop);
    int rv = event_reader_open(&thread->reader, options->store, errmsg);
    if (rv != 0) return rv; /* the process ends: what was begun goes with it */
    thread->store_look.reader = thread->reader;
    buf_init(&thread->decoded, HTTP_LINE_MAX);
    rate_init(&thread->address_rate, ADDRESS_RATE * config->chat.rate, config->chat.rate_window_ms);
    mailbox_init(&thread->mailbox, &thread->loop, on_mail, thread);
    start_timers(thread);
    thread->chores = chores_new(&thread->loop, options->store);
    thread->viewers = viewers_new(thread, &keys);
    thread->rooms = rooms_new(thread);
    thread->site = site_new(thread, &keys);

    thread->server = new_server(thread, config->http.admin_listen[0] == '\0');
    rv = listen_on(thread, &thread->listener, thread->server, config->http.listen, errmsg);
    if (rv != 0) return rv;
    if (config->http.admin_listen[0] != '\0' && thread->number == 0) {
        thread->admin_server = new_server(thread, true);
        rv = listen_on(thread, &thread->admin_listener, thread->admin_server,
                       config->http.admin_listen, errmsg);
        if (rv != 0) return rv;
    }
    *out = thread;
    return 0;
}

int web_thread_run(struct web_thread *thread, struct errmsg *errmsg)
{
    int rv = uv_thread_create(&thread->thread, run, thread);
    if (rv == 0) return 0;
    errmsg_set(errmsg, "web thread: %s", uv_strerror(rv));
    return ERR_IO;
}

struct mailbox *web_thread_mailbox(struct web_thread *thread)
{
    return &thread->mailbox;
}

void web_thread_join(struct web_thread *thread)
{
    uv_thread_join(&thread->thread);
    uv_loop_close(&thread->loop);
    rooms_free(thread->rooms); /* may answer pages that still wait for one */
    site_free(thread->site);
    viewers_free(thread->viewers);
    chores_free(thread->chores);
    event_reader_close(thread->reader);
    rate_close(&thread->address_rate);
    buf_close(&thread->decoded);
    snapshot_unref(thread->snapshot);
    mem_free(thread);
}
