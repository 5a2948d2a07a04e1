#include "cli/admin.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/json.h"

enum { DURATION_MIN_MS = 1000 };

bool admin_option(struct admin *admin, int place, const char *value)
{
    switch (place) {
    case ADMIN_NODE: admin->nodes = value; return true;
    case ADMIN_SECRET: admin->secret_file = value; return true;
    case ADMIN_CONFIG: admin->config_file = value; return true;
    default: return false;
    }
}

int admin_open(struct admin *admin)
{
    struct errmsg errmsg = {{0}};
    int rv = cli_client(admin->cli, admin->command, admin->nodes, &admin->client);
    if (rv != 0) return rv;
    rv = admin->cli->tokens(admin->cli, admin->secret_file, admin->config_file, &admin->tokens,
                            &errmsg);
    if (rv == 0) return 0;
    return cli_usage_error(admin->cli, admin->command, "%s", errmsg.text);
}

int admin_one_node(const struct admin *admin)
{
    if (admin->client.nodes_count == 1) return 0;
    return cli_usage_error(admin->cli, admin->command, "which one of the %zu nodes? Say so by -n",
                           admin->client.nodes_count);
}

int admin_ask(struct admin *admin, const struct client_request *request,
              struct client_answer *answer, struct errmsg *errmsg)
{
    for (size_t tried = 0;; tried++) {
        struct client_request with_token = *request;
        with_token.bearer = admin->tokens.text[admin->token];
        int rv = client_ask(&admin->client, &with_token, answer, errmsg);
        if (rv != 0 || answer->status != 401 || tried + 1 >= admin->tokens.count) return rv;
        admin->token = (admin->token + 1) % admin->tokens.count;
    }
}

/* ---- how it ended ---- */

static int tell_unknown(const struct admin *admin, const char *why)
{
    fprintf(admin->cli->err,
            "livetea %s: %s. It is not known whether that was done: look at 'livetea members'\n",
            admin->command, why);
    return CLI_UNKNOWN;
}

int admin_tell(const struct admin *admin, int rv, const struct client_answer *answer,
               const struct errmsg *errmsg)
{
    FILE *err = admin->cli->err;
    if (rv != 0 && answer->was_sent) return tell_unknown(admin, errmsg->text);
    if (rv != 0) {
        fprintf(err, "livetea %s: %s\n", admin->command, errmsg->text);
        return CLI_UNREACHABLE;
    }
    if (answer->status == 504) return tell_unknown(admin, "no answer from the leader in time");
    if (answer->status == 401) {
        fprintf(err, "livetea %s: %s does not believe the secret in %s\n", admin->command,
                answer->node, admin->tokens.from);
    } else if (cli_is_hidden(answer)) {
        fprintf(err,
                "livetea %s: %s has no such address. With http.admin_listen set, a node hears "
                "administrators only there\n",
                admin->command, answer->node);
    } else {
        cli_tell_answer(admin->cli, admin->command, answer);
    }
    return CLI_REFUSED;
}

/* A refusal with one of these words. */
static bool is_refused_as(const struct client_answer *answer, const char *const *words,
                          size_t words_count)
{
    struct json *body = NULL;
    bool is_one = false;
    if (answer->status != 409 && answer->status != 503) return false;
    if (json_parse(&body, buf_slice(&answer->body), NULL) != 0) return false;
    struct slice word = json_slice(json_get(body, "error"));
    for (size_t i = 0; i < words_count; i++)
        is_one |= slice_is(word, words[i]);
    json_free(body);
    return is_one;
}

/* Refusals that are none any more in a moment. */
static bool passes(const struct client_answer *answer)
{
    static const char *const words[] = {"not_asking",     "behind",           "catching_up",
                                        "change_running", "transfer_running", "not_ready",
                                        "busy",           "no_leader"};
    return is_refused_as(answer, words, sizeof words / sizeof *words);
}

static bool is_done(const struct admin_change *change, const struct client_answer *answer)
{
    if (answer->status >= 200 && answer->status < 300) return true;
    return change->already != NULL && is_refused_as(answer, &change->already, 1);
}

int admin_change(struct admin *admin, const struct admin_change *change)
{
    struct client_answer answer;
    struct errmsg errmsg = {{0}};
    struct client_request request = {.method = change->method,
                                     .path = change->path,
                                     .body = change->body,
                                     .deadline_ms = ADMIN_CHANGE_MS,
                                     .once = true};
    int code = CLI_DONE;
    client_answer_init(&answer);
    int rv = admin_ask(admin, &request, &answer, &errmsg);
    if (rv == 0 && is_done(change, &answer))
        fprintf(admin->cli->out, "%s\n", change->done);
    else if (rv == 0 && change->may_wait && passes(&answer))
        code = ADMIN_WAIT;
    else
        code = admin_tell(admin, rv, &answer, &errmsg);
    client_answer_close(&answer);
    return code;
}

/* ---- time ---- */

int admin_duration(const struct admin *admin, const char *option, const char *text,
                   uint64_t most_ms, uint64_t *ms)
{
    struct slice number = slice_from(text);
    uint64_t factor = 1000;
    if (number.len > 2 && slice_is(slice_skip(number, number.len - 2), "ms")) {
        number.len -= 2;
        factor = 1;
    } else if (number.len > 1 && number.at[number.len - 1] == 'm') {
        number.len -= 1;
        factor = 60 * 1000;
    } else if (number.len > 1 && number.at[number.len - 1] == 's') {
        number.len -= 1;
    }
    if (slice_to_u64(number, ms) && *ms <= most_ms && *ms * factor >= DURATION_MIN_MS &&
        *ms * factor <= most_ms) {
        *ms *= factor;
        return 0;
    }
    return cli_usage_error(admin->cli, admin->command, "%s '%s': must be 1s to %dm", option, text,
                           (int)(most_ms / 60000));
}

void admin_rest(unsigned ms)
{
    struct timespec rest = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
        continue;
}
