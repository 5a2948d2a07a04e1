/* Longer than 500 lines because it is one table of answers with the words of each; a room's messages,
 * the status and the metrics, which have a shape of their own, are in files of theirs.
 */
#include "app/api.h"

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "app/commands.h"
#include "app/messages.h"
#include "app/metrics.h"
#include "app/status.h"
#include "app/version.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "pages/pages.h"

enum {
    SNAPSHOT_AGE_MAX_MS = 15 * 1000, /* made once a second: the domain thread hangs */
    BODY_MAX = 1024 * 1024,
    EVENTS_BYTES_MAX = 2 * 1024 * 1024, /* then the answer ends, and its reader goes on behind it */
    EVENTS_POLL_MS = 50,
    KNOWN_POLL_MS = 10,
    KNOWN_MAX_MS = 2000
};

static const char text_type[] = "text/plain; charset=utf-8";
static const char json_type_name[] = "application/json";

void api_respond(struct exchange *exchange, int status, const char *type, struct slice body)
{
    exchange_respond(exchange,
                     &(struct http_response){.status = status,
                                             .type = slice_from(type),
                                             .headers = slice_of("Cache-Control: no-store\r\n"),
                                             .body = body});
}

/* ---- how things stand ---- */

static void answer_livez(struct exchange *exchange)
{
    const struct snapshot *snapshot = web_thread_snapshot(exchange->thread);
    uint64_t age_ms = snapshot == NULL ? 0 : clock_ms() - snapshot->made_ms;
    if (age_ms > SNAPSHOT_AGE_MAX_MS) {
        api_respond(exchange, 503, text_type, slice_of("the domain thread is silent\n"));
    } else {
        api_respond(exchange, 200, text_type, slice_of("ok\n"));
    }
}

static bool is_flag(struct slice query, const char *name)
{
    return slice_is(query, name) ||
           (query.len == strlen(name) + 1 && slice_starts(query, slice_from(name)) &&
            query.at[query.len - 1] == '=');
}

static bool takes_flag(struct exchange *exchange, struct slice query, const char *name)
{
    struct errmsg errmsg;
    if (query.len == 0 || is_flag(query, name)) return true;
    errmsg_set(&errmsg, "The only parameter here is '%s'.", name);
    exchange_error(exchange, 400, "bad_parameter", errmsg.text);
    return false;
}

static void answer_readyz(struct exchange *exchange, const struct http_request *request)
{
    struct buf lines;
    if (!takes_flag(exchange, request->query, "verbose")) return;
    buf_init(&lines, 4096);
    bool ready = status_ready(&lines, web_thread_snapshot(exchange->thread));
    if (ready && web_thread_is_draining(exchange->thread)) {
        ready = false;
        buf_add(&lines, slice_of("[-]not_draining draining\n"));
    }
    if (request->query.len == 0) buf_reset(&lines);
    buf_add(&lines, ready ? slice_of("ready\n") : slice_of("not ready\n"));
    api_respond(exchange, ready ? 200 : 503, text_type, buf_slice(&lines));
    buf_close(&lines);
}

static void answer_starting(struct exchange *exchange)
{
    exchange_error(exchange, 503, "starting", "This node has just been started.");
}

static void answer_status(struct exchange *exchange, const struct http_request *request)
{
    const struct snapshot *snapshot = web_thread_snapshot(exchange->thread);
    struct buf plain, pretty;
    if (!takes_flag(exchange, request->query, "pretty")) return;
    if (snapshot == NULL) {
        answer_starting(exchange);
        return;
    }
    buf_init(&plain, STATUS_MAX);
    buf_init(&pretty, 4 * STATUS_MAX);
    status_write(&plain, snapshot, LIVETEA_VERSION, LIVETEA_COMMIT);
    if (request->query.len > 0) {
        status_pretty(&pretty, buf_slice(&plain));
    } else {
        buf_add(&pretty, buf_slice(&plain));
    }
    buf_add_char(&pretty, '\n');
    api_respond(exchange, 200, json_type_name, buf_slice(&pretty));
    buf_close(&pretty);
    buf_close(&plain);
}

static void answer_metrics(struct exchange *exchange)
{
    const struct snapshot *snapshot = web_thread_snapshot(exchange->thread);
    struct process_figures process;
    struct buf text;
    if (snapshot == NULL) {
        answer_starting(exchange);
        return;
    }
    process_figures_read(&process);
    buf_init(&text, METRICS_MAX);
    metrics_write(&text, &(struct metrics_input){.snapshot = snapshot,
                                                 .process = &process,
                                                 .version = LIVETEA_VERSION,
                                                 .commit = LIVETEA_COMMIT,
                                                 .raft = LIVETEA_RAFT_VERSION,
                                                 .libuv = LIVETEA_LIBUV_VERSION});
    api_respond(exchange, 200, "text/plain; version=0.0.4; charset=utf-8", buf_slice(&text));
    buf_close(&text);
}

/* ---- parameters ---- */

static bool parse_wait(struct slice text, uint32_t *wait_ms)
{
    uint64_t number, factor = 1000;
    if (text.len > 2 && slice_is(slice_skip(text, text.len - 2), "ms")) {
        text.len -= 2;
        factor = 1;
    } else if (text.len > 1 && text.at[text.len - 1] == 's') {
        text.len -= 1;
    }
    if (!slice_to_u64(text, &number) || number > API_WAIT_MAX_MS) return false;
    if (number * factor > API_WAIT_MAX_MS) return false;
    *wait_ms = (uint32_t)(number * factor);
    return true;
}

static const char *take_parameter(struct api_query *query, struct slice name, struct slice value,
                                  enum web_route route)
{
    uint64_t number;
    bool is_events = route == ROUTE_API_EVENTS;
    if (slice_is(name, "after")) {
        if (query->has_after) return "is given twice.";
        if (!slice_to_u64(value, &query->after)) return "must be a number.";
        query->has_after = true;
    } else if (slice_is(name, "before") && !is_events) {
        if (query->has_before) return "is given twice.";
        if (!slice_to_u64(value, &query->before)) return "must be a number.";
        query->has_before = true;
    } else if (slice_is(name, "limit")) {
        uint64_t most = is_events ? API_EVENTS_MAX : API_MESSAGES_MAX;
        if (!slice_to_u64(value, &number) || number < 1 || number > most)
            return is_events ? "must be 1 to 10000." : "must be 1 to 500.";
        query->limit = (uint32_t)number;
    } else if (slice_is(name, "wait")) {
        if (!parse_wait(value, &query->wait_ms)) return "must be 0 to 30s.";
    } else {
        return "is not known here.";
    }
    return NULL;
}

static_assert(API_EVENTS_MAX == 10000 && API_MESSAGES_MAX == 500, "as in the sentences above");

int api_query_parse(struct api_query *query, struct slice text, enum web_route route,
                    struct errmsg *errmsg)
{
    *query = (struct api_query){.limit = route == ROUTE_API_EVENTS ? API_EVENTS_DEFAULT
                                                                   : API_MESSAGES_DEFAULT};
    while (text.len > 0) {
        struct slice value = slice_cut(&text, '&');
        struct slice name = slice_cut(&value, '=');
        if (name.len == 0 && value.len == 0) continue;
        const char *problem = take_parameter(query, name, value, route);
        if (problem == NULL) continue;
        char quoted[96];
        errmsg_set(errmsg, "The parameter %s %s", log_quote(quoted, sizeof quoted, name), problem);
        return ERR_FORMAT;
    }
    if (query->wait_ms == 0 || query->has_after) return 0;
    errmsg_set(errmsg, "The parameter \"wait\" needs \"after\": what is waited for.");
    return ERR_FORMAT;
}

/* False, with the answer given, when there is something wrong with it. */
static bool read_query(struct exchange *exchange, const struct http_request *request,
                       struct api_query *query)
{
    struct errmsg errmsg;
    if (api_query_parse(query, request->query, exchange->route, &errmsg) == 0) return true;
    exchange_error(exchange, 400, "bad_parameter", errmsg.text);
    return false;
}

/* Nobody is told of a history with a hole, nor asked to be the door to one. Answers if it is so. */
static bool is_closed(struct exchange *exchange)
{
    const struct board *board = web_thread_board(exchange->thread);
    if (board != NULL && board->door == BOARD_OPEN) return false;
    if (board == NULL) {
        api_retry_after(exchange, 503, "starting", "This node has just been started.", 1000);
    } else if (board->door == BOARD_JOINING) {
        api_retry_after(exchange, 503, "joining", "This node is no member of the cluster yet.",
                        1000);
    } else {
        api_retry_after(exchange, 503, "catching_up",
                        "This node is catching up. Try another one, or again in a moment.", 1000);
    }
    return true;
}

/* Reads wait until this node is level, too: what it has is whole, but may be old. */
static bool is_old(struct exchange *exchange)
{
    if (is_closed(exchange)) return true;
    if (web_thread_board(exchange->thread)->behind == 0) return false;
    api_retry_after(exchange, 503, "catching_up",
                    "This node is catching up. Try another one, or again in a moment.", 1000);
    return true;
}

/* ---- rooms ---- */

static void add_room(struct buf *out, const struct board_room *room)
{
    json_add_key(out, NULL);
    buf_add_char(out, '{');
    json_add_text(out, "room", slice_make(room->name, room->name_len));
    json_add_u64(out, "messages", room->messages);
    json_add_key(out, "last");
    buf_add_char(out, '{');
    json_add_u64(out, "number", room->last_number);
    json_add_text(out, "sender", slice_make(room->sender, room->sender_len));
    json_add_text(out, "text", slice_make(room->text, room->text_len));
    json_add_time(out, "at", room->last_at_ms);
    buf_add_char(out, '}');
    json_add_u64(out, "here", room->here);
    buf_add_char(out, '}');
}

static void answer_rooms(struct exchange *exchange, const struct http_request *request)
{
    struct buf body;
    if (request->query.len > 0) {
        exchange_error(exchange, 400, "bad_parameter", "There are no parameters here.");
        return;
    }
    if (is_old(exchange)) return;
    const struct board *board = web_thread_board(exchange->thread);
    buf_init(&body, BODY_MAX);
    buf_add(&body, slice_of("{\"rooms\":["));
    for (size_t i = 0; i < board->rooms_count; i++)
        add_room(&body, &board->rooms[i]);
    buf_add(&body, slice_of("]"));
    json_add_u64(&body, "total", board->rooms_total);
    buf_add(&body, slice_of("}\n"));
    api_respond(exchange, 200, json_type_name, buf_slice(&body));
    buf_close(&body);
}

/* ---- a message comes ---- */

int api_post_parse(struct api_post *post, const struct json *body, struct errmsg *errmsg)
{
    static const char *const names[] = {"sender", "text", "id"};
    struct slice *const places[] = {&post->sender, &post->text, &post->id};
    size_t known = 0;
    *post = (struct api_post){0};
    if (json_type(body) != JSON_T_OBJECT) {
        errmsg_set(errmsg, "The body must be an object: {\"sender\",\"text\",\"id\"}.");
        return ERR_FORMAT;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct json *value = json_get(body, names[i]);
        if (value == NULL && places[i] == &post->id) continue;
        if (!json_is_string(value)) {
            errmsg_set(errmsg, "The body's member '%s' %s.", names[i],
                       value == NULL ? "is missing" : "must be a string");
            return ERR_FORMAT;
        }
        *places[i] = json_slice(value);
        known++;
        if (places[i] == &post->id) post->has_id = true;
    }
    if (json_count(body) == known) return 0;
    errmsg_set(errmsg, "The body may hold 'sender', 'text' and 'id', and nothing else.");
    return ERR_FORMAT;
}

void api_retry_after(struct exchange *exchange, int status, const char *word, const char *sentence,
                     uint32_t wait_ms)
{
    char header[96];
    struct buf body;
    uint32_t seconds = wait_ms == 0 ? 1 : (wait_ms + 999) / 1000;
    snprintf(header, sizeof header, "Retry-After: %u\r\nCache-Control: no-store\r\n",
             (unsigned)seconds);
    buf_init(&body, 1024);
    buf_add_char(&body, '{');
    json_add_text(&body, "error", slice_from(word));
    json_add_text(&body, "message", slice_from(sentence));
    buf_add(&body, slice_of("}\n"));
    exchange_respond(exchange, &(struct http_response){.status = status,
                                                       .type = slice_from(json_type_name),
                                                       .headers = slice_from(header),
                                                       .body = buf_slice(&body)});
    buf_close(&body);
}

static void answer_refusal(struct exchange *exchange, enum chat_refusal refusal, uint32_t wait_ms)
{
    const char *word = chat_refusal_word(refusal), *sentence = chat_refusal_sentence(refusal);
    switch (refusal) {
    case CHAT_TOO_FAST: api_retry_after(exchange, 429, word, sentence, wait_ms); return;
    case CHAT_ID_USED: exchange_error(exchange, 409, word, sentence); return;
    case CHAT_BUSY:
    case CHAT_NO_LEADER: api_retry_after(exchange, 503, word, sentence, 1000); return;
    case CHAT_ACCEPTED:
    case CHAT_TEXT_EMPTY:
    case CHAT_TEXT_TOO_LONG:
    case CHAT_TEXT_INVALID:
    case CHAT_NAME_INVALID:
    case CHAT_ROOM_INVALID:
    case CHAT_DUPLICATE:
    default: exchange_error(exchange, 422, word, sentence); return;
    }
}

static void answer_sent(struct exchange *exchange, const struct answer *answer)
{
    struct buf body;
    buf_init(&body, 512);
    buf_add_char(&body, '{');
    json_add_u64(&body, "number", answer->number);
    if (answer->index != 0) {
        json_add_u64(&body, "index", answer->index);
        json_add_time(&body, "at", answer->at_ms);
    } else {
        json_add_null(&body, "index");
        json_add_null(&body, "at");
    }
    buf_add(&body, slice_of("}\n"));
    api_respond(exchange, 201, json_type_name, buf_slice(&body));
    buf_close(&body);
}

/* A message that was sent before, and that the store has not yet: apply knows its number alone. The
 * rest is read when it is written, some milliseconds later. */
struct known {
    struct exchange *exchange;
    struct answer answer;
    uint64_t deadline_ms;
};

static bool read_known(struct known *known)
{
    struct event_reader *reader = web_thread_reader(known->exchange->thread);
    struct message_sent event;
    if (event_reader_begin(reader, NULL) != 0) return false;
    bool found = event_reader_get(reader, known->answer.number, &event, NULL) == 0;
    if (found) {
        known->answer.index = event.index;
        known->answer.at_ms = event.at_ms;
    }
    event_reader_end(reader);
    return found;
}

static void look_for_known(void *owner)
{
    struct known *known = owner;
    struct web_thread *thread = known->exchange->thread;
    bool is_over = known->exchange->conn == NULL || web_thread_is_draining(thread) ||
                   clock_ms() >= known->deadline_ms;
    if (!read_known(known) && !is_over) {
        chores_later(web_thread_chores(thread), KNOWN_POLL_MS, look_for_known, known);
        return;
    }
    answer_sent(known->exchange, &known->answer);
    mem_free(known);
}

static void answer_accepted(struct exchange *exchange, const struct answer *answer)
{
    if (answer->index != 0) {
        answer_sent(exchange, answer);
        return;
    }
    struct known *known = mem_new(sizeof *known);
    *known = (struct known){
        .exchange = exchange, .answer = *answer, .deadline_ms = clock_ms() + KNOWN_MAX_MS};
    look_for_known(known);
}

static void on_answer(void *owner, struct command_mail *mail)
{
    struct exchange *exchange = owner;
    switch (mail->answer.kind) {
    case ANSWER_ACCEPTED: answer_accepted(exchange, &mail->answer); return;
    case ANSWER_REFUSED:
        answer_refusal(exchange, mail->answer.refusal, mail->answer.wait_ms);
        return;
    case ANSWER_UNKNOWN:
    case ANSWER_RETRY:
        exchange_error(exchange, 504, "unknown",
                       "It is not known whether the message was sent. Send it again with the same "
                       "id to find out.");
        return;
    }
}

static bool is_json(const struct http_request *request)
{
    struct slice rest = http_header_get(request, "content-type");
    struct slice type = slice_trim(slice_cut(&rest, ';'));
    return type.len == strlen(json_type_name) &&
           strncasecmp(type.at, json_type_name, type.len) == 0;
}

bool api_may_change(struct exchange *exchange, const struct http_request *request)
{
    struct slice origin = http_header_get(request, "origin");
    bool may_say_nothing = exchange->route != ROUTE_API_MESSAGES && request->body.len == 0 &&
                           http_header_get(request, "content-type").len == 0;
    if (origin.len > 0 && !web_thread_origin_allowed(exchange->thread, origin)) {
        exchange_error(exchange, 403, "foreign_origin", "Pages of other sites may not do that.");
        return false;
    }
    if (!may_say_nothing && !is_json(request)) {
        exchange_error(exchange, 415, "not_json", "Content-Type must be application/json.");
        return false;
    }
    if (request->query.len > 0) {
        exchange_error(exchange, 400, "bad_parameter", "There are no parameters here.");
        return false;
    }
    return true;
}

static void answer_too_long(struct exchange *exchange, struct slice text, uint32_t most)
{
    struct errmsg sentence;
    size_t characters = text_code_points(text);
    if (characters > most) {
        errmsg_set(&sentence, "That message is too long: %zu of %u characters.", characters,
                   (unsigned)most);
    } else {
        errmsg_set(&sentence, "That message is too long: %zu of %d bytes.", text.len,
                   (int)CHAT_TEXT_MAX);
    }
    exchange_error(exchange, 422, chat_refusal_word(CHAT_TEXT_TOO_LONG), sentence.text);
}

static void make_id(struct command_id *id)
{
    uint8_t random[10];
    crypto_random(random, sizeof random);
    command_id_make(id, clock_wall_ms(), random);
}

/* Decides, and sends it on its way. The slices of `command` stand on what our caller frees. */
static void send_on(struct exchange *exchange, struct send_message *command)
{
    const struct config *config = web_thread_config(exchange->thread);
    struct chat_limits limits = {.text_code_points_max = config->chat.message_max};
    enum chat_refusal refusal = chat_check(&limits, command);
    if (refusal == CHAT_TEXT_TOO_LONG) {
        answer_too_long(exchange, command->text, config->chat.message_max);
        return;
    }
    if (refusal != CHAT_ACCEPTED) {
        answer_refusal(exchange, refusal, 0);
        return;
    }
    uint32_t wait_ms = web_thread_rate_address(exchange->thread, conn_address(exchange->conn));
    if (wait_ms > 0) {
        answer_refusal(exchange, CHAT_TOO_FAST, wait_ms);
        return;
    }
    struct command_mail *mail = command_mail_new(exchange->thread, command);
    mail->on_answer = on_answer;
    mail->owner = exchange;
    commands_send(exchange->thread, mail);
}

static void take_post(struct exchange *exchange, struct slice room, const struct api_post *post)
{
    struct send_message command = {.text = post->text};
    struct buf room_name, sender;
    if (post->has_id && !command_id_from(&command.id, post->id)) {
        exchange_error(exchange, 400, "bad_id", "'id' must be a UUID or 1 to 64 bytes of text.");
        return;
    }
    if (!post->has_id) make_id(&command.id);
    buf_init(&room_name, ROOM_MAX);
    buf_init(&sender, NAME_MAX_BYTES);
    if (!text_room(&room_name, room) || pages_is_reserved(buf_slice(&room_name))) {
        answer_refusal(exchange, CHAT_ROOM_INVALID, 0);
    } else if (!text_name(&sender, post->sender)) {
        answer_refusal(exchange, CHAT_NAME_INVALID, 0);
    } else {
        command.room = buf_slice(&room_name);
        command.sender = buf_slice(&sender);
        sender_id_of_api(&command.sender_id, command.sender);
        send_on(exchange, &command);
    }
    buf_close(&sender);
    buf_close(&room_name);
}

static void answer_bad_json(struct exchange *exchange, const struct errmsg *why)
{
    struct errmsg sentence;
    errmsg_set(&sentence, "The body is no good: %s.", why->text);
    exchange_error(exchange, 400, "bad_json", sentence.text);
}

static void answer_post(struct exchange *exchange, const struct http_request *request,
                        struct slice room)
{
    struct json *body = NULL;
    struct api_post post;
    struct errmsg errmsg;
    if (!api_may_change(exchange, request) || is_closed(exchange)) return;
    if (json_parse(&body, request->body, &errmsg) != 0) {
        answer_bad_json(exchange, &errmsg);
    } else if (api_post_parse(&post, body, &errmsg) != 0) {
        exchange_error(exchange, 400, "bad_body", errmsg.text);
    } else {
        take_post(exchange, room, &post);
    }
    json_free(body);
}

/* ---- the history ---- */

struct history { /* GET /api/events under way */
    struct exchange *exchange;
    struct api_query query;
    uint64_t deadline_ms;
    struct buf body;
    int status;
};

static bool on_history_event(void *owner, const struct message_sent *event, struct slice bytes)
{
    struct history *history = owner;
    (void)bytes;
    message_write(&history->body, event, true);
    buf_add_char(&history->body, '\n');
    return history->body.len < EVENTS_BYTES_MAX;
}

static void read_history(void *owner, struct event_reader *reader, int status)
{
    struct history *history = owner;
    history->status = status;
    if (status != 0) return;
    history->status = event_reader_from(reader, history->query.after + 1, history->query.limit,
                                        on_history_event, history);
}

static void finish_history(void *owner)
{
    struct history *history = owner;
    struct exchange *exchange = history->exchange;
    if (history->status != 0 && history->status != ERR_NOT_FOUND) {
        exchange_error(exchange, 500, "unreadable", "The history could not be read.");
    } else {
        api_respond(exchange, 200, "application/x-ndjson", buf_slice(&history->body));
    }
    buf_close(&history->body);
    mem_free(history);
}

static bool is_there(struct history *history)
{
    uint64_t number;
    if (web_thread_stored(history->exchange->thread, &number) != 0)
        return true; /* the read itself will tell */
    return number > history->query.after;
}

static void wait_for_history(void *owner)
{
    struct history *history = owner;
    struct web_thread *thread = history->exchange->thread;
    if (history->exchange->conn == NULL) { /* nobody to read for */
        finish_history(history);
        return;
    }
    bool is_over = web_thread_is_draining(thread) || clock_ms() >= history->deadline_ms;
    if (!is_over && !is_there(history)) {
        chores_later(web_thread_chores(thread), EVENTS_POLL_MS, wait_for_history, history);
        return;
    }
    if (chores_read(web_thread_chores(thread), exchange_address(history->exchange), read_history,
                    finish_history, history) == 0)
        return;
    api_retry_after(history->exchange, 503, "busy",
                    "Too much is being read. Try again in a moment.", 1000);
    buf_close(&history->body);
    mem_free(history);
}

static void answer_events(struct exchange *exchange, const struct http_request *request)
{
    struct api_query query;
    if (!read_query(exchange, request, &query)) return;
    struct history *history = mem_new(sizeof *history);
    *history = (struct history){
        .exchange = exchange, .query = query, .deadline_ms = clock_ms() + query.wait_ms};
    buf_init(&history->body, 2 * (size_t)EVENTS_BYTES_MAX);
    wait_for_history(history);
}

/* ---- all together ---- */

static void answer_messages(struct exchange *exchange, const struct http_request *request,
                            struct slice room)
{
    struct api_query query;
    struct buf name;
    if (exchange->method == HTTP_METHOD_POST) {
        answer_post(exchange, request, room);
        return;
    }
    if (!read_query(exchange, request, &query) || is_old(exchange)) return;
    buf_init(&name, ROOM_MAX);
    if (!text_room(&name, room) || pages_is_reserved(buf_slice(&name))) {
        exchange_error(exchange, 404, "no_room", "There can be no room of that name.");
    } else {
        messages_answer(exchange, buf_slice(&name), &query);
    }
    buf_close(&name);
}

void api_handle(struct exchange *exchange, const struct http_request *request,
                const struct route_match *match)
{
    switch (exchange->route) {
    case ROUTE_LIVEZ: answer_livez(exchange); return;
    case ROUTE_READYZ: answer_readyz(exchange, request); return;
    case ROUTE_STATUS: answer_status(exchange, request); return;
    case ROUTE_METRICS: answer_metrics(exchange); return;
    case ROUTE_API_ROOMS: answer_rooms(exchange, request); return;
    case ROUTE_API_MESSAGES: answer_messages(exchange, request, match->values[0]); return;
    case ROUTE_API_EVENTS: answer_events(exchange, request); return;
    case ROUTE_HOME:
    case ROUTE_ROOM:
    case ROUTE_CLUSTER:
    case ROUTE_SESSION:
    case ROUTE_ROOMS:
    case ROUTE_ASSETS:
    case ROUTE_FAVICON:
    case ROUTE_ROBOTS:
    case ROUTE_SOCKET:
    case ROUTE_TRANSFER:
    case ROUTE_DRAIN:
    case ROUTE_MEMBERS:
    case ROUTE_MEMBER:
    case ROUTE_BACKUP:
    case ROUTE_NONE:
    case WEB_ROUTES:
    default:
        exchange_error(exchange, 404, "not_found", "There is nothing at this address.");
        return;
    }
}
