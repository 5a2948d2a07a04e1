#include "app/admin_api.h"

#include <stdio.h>

#include "app/admin.h"
#include "app/api.h"
#include "app/backup_api.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

static const char json_type_name[] = "application/json";

/* ---- what is asked ---- */

/* The rules of the peers line, for one member. `address` may be a stand-in. */
static bool take_member(struct peer *member, struct slice name, struct slice address)
{
    char line[NODE_NAME_MAX + ADDRESS_MAX + 8];
    struct peer peers[PEERS_MAX];
    size_t count = 0;
    int len = snprintf(line, sizeof line, "%.*s=%.*s", (int)slice_first(name, sizeof line).len,
                       name.len == 0 ? "" : name.at, (int)slice_first(address, sizeof line).len,
                       address.len == 0 ? "" : address.at);
    if (len < 0 || (size_t)len >= sizeof line) return false;
    if (peers_parse(peers, &count, slice_from(line), NULL) != 0 || count != 1) return false;
    *member = peers[0];
    /* The line may hold more than the two: a comma, a blank, another '='. */
    return slice_is(name, member->name) && slice_is(address, member->address);
}

static int take_name(struct change_request *change, struct slice name, struct errmsg *errmsg)
{
    struct peer member;
    if (take_member(&member, name, slice_of("localhost:1"))) {
        memcpy(change->name, member.name, sizeof change->name);
        return 0;
    }
    errmsg_set(errmsg, "A node's name is 1 to %d letters, digits and '-'.", (int)NODE_NAME_MAX);
    return ERR_FORMAT;
}

/* The text of a member of the body. False, with the sentence, for anything that is no text. */
static bool take_text(struct slice *out, const struct json *body, const char *key,
                      struct errmsg *errmsg)
{
    const struct json *value = json_get(body, key);
    *out = json_slice(value);
    if (json_is_string(value)) return true;
    errmsg_set(errmsg, "The body's member '%s' %s.", key,
               value == NULL ? "is missing" : "must be a string");
    return false;
}

static int must_hold(const struct json *body, size_t count, const char *what, struct errmsg *errmsg)
{
    bool is_object = body == NULL || json_type(body) == JSON_T_OBJECT;
    if (is_object && json_count(body) == count) return 0;
    errmsg_set(errmsg, "The body must be %s, and hold nothing else.", what);
    return ERR_FORMAT;
}

static int parse_add(struct change_request *change, const struct json *body, struct errmsg *errmsg)
{
    struct slice name, address;
    struct peer member;
    change->kind = CHANGE_ADD;
    if (!take_text(&name, body, "name", errmsg)) return ERR_FORMAT;
    if (!take_text(&address, body, "address", errmsg)) return ERR_FORMAT;
    if (must_hold(body, 2, "{\"name\",\"address\"}", errmsg) != 0) return ERR_FORMAT;
    if (take_name(change, name, errmsg) != 0) return ERR_FORMAT;
    if (take_member(&member, name, address)) {
        memcpy(change->address, member.address, sizeof change->address);
        return 0;
    }
    errmsg_set(errmsg, "An address of a node is that of its cluster port, as host:port.");
    return ERR_FORMAT;
}

static int parse_member(struct change_request *change, bool is_delete, struct slice name,
                        const struct json *body, struct errmsg *errmsg)
{
    struct slice role;
    change->kind = is_delete ? CHANGE_REMOVE : CHANGE_PROMOTE;
    if (take_name(change, name, errmsg) != 0) return ERR_FORMAT;
    if (is_delete) return must_hold(body, 0, "empty", errmsg);
    if (!take_text(&role, body, "role", errmsg)) return ERR_FORMAT;
    if (slice_is(role, "voter")) return must_hold(body, 1, "{\"role\":\"voter\"}", errmsg);
    errmsg_set(errmsg, "A member can be made a \"voter\", and nothing else.");
    return ERR_FORMAT;
}

int admin_change_parse(struct change_request *change, enum web_route route, bool is_delete,
                       struct slice name, const struct json *body, struct errmsg *errmsg)
{
    struct slice to;
    *change = (struct change_request){.kind = CHANGE_TRANSFER};
    if (route == ROUTE_MEMBERS) return parse_add(change, body, errmsg);
    if (route == ROUTE_MEMBER) return parse_member(change, is_delete, name, body, errmsg);
    bool has_to = json_get(body, "to") != NULL;
    if (must_hold(body, has_to ? 1 : 0, "{\"to\"} or empty", errmsg) != 0) return ERR_FORMAT;
    if (!has_to) return 0;
    if (!take_text(&to, body, "to", errmsg)) return ERR_FORMAT;
    return take_name(change, to, errmsg);
}

int admin_drain_parse(uint32_t *timeout_ms, const struct json *body, struct errmsg *errmsg)
{
    int64_t number = DRAIN_DEFAULT_MS;
    const struct json *value = json_get(body, "timeout_ms");
    if (must_hold(body, value == NULL ? 0 : 1, "{\"timeout_ms\"} or empty", errmsg) != 0)
        return ERR_FORMAT;
    if (value != NULL && (!json_to_i64(value, &number) || number < 0 || number > DRAIN_MAX_MS)) {
        errmsg_set(errmsg, "'timeout_ms' must be a number from 0 to %d.", (int)DRAIN_MAX_MS);
        return ERR_FORMAT;
    }
    *timeout_ms = (uint32_t)number;
    return 0;
}

/* ---- changes ---- */

int admin_change_status(const struct change_answer *answer)
{
    if (answer->result == CHANGE_DONE) return 200;
    if (answer->result == CHANGE_UNKNOWN) return 504;
    /* Nothing was done: another node may know better, or this one in a moment. */
    bool is_nobody =
        strcmp(answer->word, "no_leader") == 0 || strcmp(answer->word, "stopping") == 0;
    return is_nobody ? 503 : 409;
}

static const char *const kind_words[] = {[CHANGE_ADD] = "add",
                                         [CHANGE_PROMOTE] = "promote",
                                         [CHANGE_REMOVE] = "remove",
                                         [CHANGE_TRANSFER] = "transfer"};

/* What the cluster says has no final stop; what is answered has one. */
static const char *whole_sentence(struct errmsg *out, const char *sentence)
{
    size_t len = strlen(sentence);
    bool is_whole = len > 0 && strchr(".?!", sentence[len - 1]) != NULL;
    errmsg_set(out, "%s%s", len == 0 ? "It is done" : sentence, is_whole ? "" : ".");
    return out->text;
}

static void on_changed(void *owner, struct change_mail *mail)
{
    struct exchange *exchange = owner;
    const struct change_answer *answer = &mail->answer;
    struct errmsg whole;
    int status = admin_change_status(answer);
    const char *sentence = whole_sentence(&whole, answer->sentence);
    log_info("change asked for by an administrator", "kind=%s name=%s status=%d word=%s",
             kind_words[mail->request.kind],
             mail->request.name[0] == '\0' ? "-" : mail->request.name, status,
             answer->word[0] == '\0' ? "-" : answer->word);
    if (status == 503) {
        api_retry_after(exchange, status, answer->word, sentence, 1000);
        return;
    }
    if (status == 504) {
        exchange_error(exchange, status, "unknown",
                       answer->sentence[0] == '\0'
                           ? "It is not known whether that was done. Look at the members."
                           : sentence);
        return;
    }
    if (status != 200) {
        exchange_error(exchange, status, answer->word, sentence);
        return;
    }
    struct buf body;
    buf_init(&body, 1024);
    buf_add_char(&body, '{');
    json_add_bool(&body, "done", true);
    json_add_text(&body, "message", slice_from(sentence));
    buf_add(&body, slice_of("}\n"));
    api_respond(exchange, status, json_type_name, buf_slice(&body));
    buf_close(&body);
}

static void send_change(struct exchange *exchange, const struct change_request *change)
{
    struct change_mail *mail = mem_new(sizeof *mail);
    *mail = (struct change_mail){.mail.kind = MAIL_CHANGE,
                                 .thread = exchange->thread,
                                 .request = *change,
                                 .on_answer = on_changed,
                                 .owner = exchange};
    web_thread_mail_domain(exchange->thread, &mail->mail);
}

/* Answered first: the main thread takes its time before it closes anything. The answer's connection ends
 * with the process, so that who asks knows when that is. */
static void drain(struct exchange *exchange, uint32_t timeout_ms)
{
    struct web_thread *thread = exchange->thread;
    if (!web_thread_outlive(thread, exchange->conn)) {
        api_retry_after(exchange, 503, "busy", "Too many wait for the end of this node already.",
                        1000);
        return;
    }
    struct drain_mail *mail = mem_new(sizeof *mail);
    struct buf body;
    *mail = (struct drain_mail){.mail.kind = MAIL_DRAIN_ASKED, .timeout_ms = timeout_ms};
    snprintf(mail->reason, sizeof mail->reason, "an administrator asked for it");
    buf_init(&body, 256);
    buf_add_char(&body, '{');
    json_add_bool(&body, "draining", true);
    json_add_u64(&body, "timeout_ms", timeout_ms);
    buf_add(&body, slice_of("}\n"));
    api_respond(exchange, 202, json_type_name, buf_slice(&body));
    buf_close(&body);
    web_thread_mail_main(thread, &mail->mail);
}

static void take_change(struct exchange *exchange, const struct http_request *request,
                        struct slice name)
{
    struct json *body = NULL;
    struct errmsg errmsg;
    struct change_request change;
    uint32_t timeout_ms;
    int rv = request->body.len == 0 ? 0 : json_parse(&body, request->body, &errmsg);
    if (rv != 0) {
        struct errmsg sentence;
        errmsg_set(&sentence, "The body is no good: %s.", errmsg.text);
        exchange_error(exchange, 400, "bad_json", sentence.text);
        return;
    }
    if (exchange->route == ROUTE_DRAIN)
        rv = admin_drain_parse(&timeout_ms, body, &errmsg);
    else
        rv = admin_change_parse(&change, exchange->route, request->method == HTTP_METHOD_DELETE,
                                name, body, &errmsg);
    json_free(body);
    if (rv != 0) {
        exchange_error(exchange, 400, "bad_body", errmsg.text);
    } else if (exchange->route == ROUTE_DRAIN) {
        drain(exchange, timeout_ms);
    } else {
        send_change(exchange, &change);
    }
}

/* ---- all together ---- */

static void refuse_stranger(struct exchange *exchange)
{
    exchange_respond(
        exchange,
        &(struct http_response){
            .status = 401,
            .type = slice_from(json_type_name),
            .headers = slice_of("WWW-Authenticate: Bearer\r\nCache-Control: no-store\r\n"),
            .body = slice_of("{\"error\":\"unauthorized\",\"message\":\"An administrator's token "
                             "is needed here.\"}\n")});
}

void admin_api_handle(struct exchange *exchange, const struct http_request *request,
                      const struct route_match *match)
{
    struct slice authorization = http_header_get(request, "authorization");
    if (!admin_believes(web_thread_secret(exchange->thread), authorization)) {
        refuse_stranger(exchange);
    } else if (exchange->route == ROUTE_BACKUP) {
        backup_api_handle(exchange, request);
    } else if (api_may_change(exchange, request)) {
        take_change(exchange, request, match->values[0]);
    }
}
