/* The members of the cluster: who they are, and who comes and goes. */
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/admin.h"
#include "cli/table.h"

enum {
    ASK_MS = 1000,
    POLL_MS = 250,
    TIMEOUT_MS = 60 * 1000,
    TIMEOUT_MAX_MS = 60 * 60 * 1000,
    OUT_MAX = 256 * 1024
};

enum { OPTION_OUTPUT = ADMIN_OPTIONS, OPTION_PROMOTE, OPTION_TIMEOUT };
static const struct option_spec members_options[] = {
    ADMIN_OPTION_ROWS,
    [OPTION_OUTPUT] = {.name = "output",
                       .letter = 'o',
                       .argument = "table|json",
                       .help = "Of the list. Default: a table on a terminal, else JSON."},
    [OPTION_PROMOTE] = {.name = "promote",
                        .help = "Of add: make it a voter as soon as it has caught up."},
    [OPTION_TIMEOUT] = {.name = "timeout",
                        .argument = "TIME",
                        .help = "Of add: how long to wait, 1s to 60m. Default: 60s."}};

enum { NAME, ROLE, STATE, NUMBER, BEHIND, ADDRESS, COLUMNS };
static const struct table_column columns[COLUMNS] = {
    [NAME] = {.title = "NAME", .width_min = 5},
    [ROLE] = {.title = "ROLE", .width_min = 7},
    [STATE] = {.title = "STATE", .width_min = 8},
    [NUMBER] = {.title = "NUMBER", .is_right = true},
    [BEHIND] = {.title = "BEHIND", .is_right = true},
    [ADDRESS] = {.title = "ADDRESS"}};

struct wishes {
    struct admin admin;
    const char *words[2]; /* add NAME=HOST:PORT, ... */
    size_t words_count;
    uint64_t timeout_ms;
    bool is_table, promote;
};

/* ---- who they are ---- */

/* /status of a node, to be freed; NULL, with what is wrong. */
static struct json *ask_status(struct admin *admin, struct errmsg *errmsg)
{
    struct client_answer answer;
    struct json *status = NULL;
    struct client_request request = {
        .method = "GET", .path = slice_of("/status"), .deadline_ms = ASK_MS};
    client_answer_init(&answer);
    bool is_answered = client_ask(&admin->client, &request, &answer, errmsg) == 0;
    if (is_answered &&
        (answer.status != 200 || json_parse(&status, buf_slice(&answer.body), NULL) != 0))
        errmsg_set(errmsg, "%s answers /status with %d", answer.node, answer.status);
    client_answer_close(&answer);
    return status;
}

static void add_state(struct buf *out, const struct json *member)
{
    struct slice state = json_slice(json_get(member, "state"));
    int64_t seconds;
    if (slice_is(state, "catching_up")) state = slice_of("catching up");
    buf_add(out, state);
    if (!slice_is(state, "away") || !json_to_i64(json_get(member, "away_seconds"), &seconds) ||
        seconds < 0)
        return;
    buf_add_char(out, ' ');
    table_add_age(out, (uint64_t)seconds);
}

static void add_row(struct table *table, const struct json *member)
{
    struct buf text;
    if (!table_row(table)) return;
    buf_init(&text, TABLE_CELL_MAX);
    add_state(&text, member);
    table_set(table, NAME, json_slice(json_get(member, "name")));
    table_set(table, ROLE, json_slice(json_get(member, "role")));
    table_set(table, STATE, buf_slice(&text));
    table_set_number(table, NUMBER, json_get(member, "number"));
    table_set_number(table, BEHIND, json_get(member, "behind"));
    table_set(table, ADDRESS, json_slice(json_get(member, "address")));
    buf_close(&text);
}

static void add_number(struct buf *out, const struct json *member, const char *key)
{
    int64_t number;
    if (json_to_i64(json_get(member, key), &number))
        json_add_i64(out, key, number);
    else
        json_add_null(out, key);
}

static void add_object(struct buf *out, const struct json *member)
{
    json_add_key(out, NULL);
    buf_add_char(out, '{');
    json_add_text(out, "name", json_slice(json_get(member, "name")));
    json_add_text(out, "role", json_slice(json_get(member, "role")));
    json_add_text(out, "state", json_slice(json_get(member, "state")));
    add_number(out, member, "number");
    add_number(out, member, "behind");
    json_add_text(out, "address", json_slice(json_get(member, "address")));
    buf_add_char(out, '}');
}

static int list(struct wishes *wishes)
{
    struct admin *admin = &wishes->admin;
    struct buf out;
    struct errmsg errmsg;
    int code = cli_client(admin->cli, admin->command, admin->nodes, &admin->client);
    if (code != 0) return code;
    struct json *status = ask_status(admin, &errmsg);
    if (status == NULL) {
        fprintf(admin->cli->err, "livetea %s: %s\n", admin->command, errmsg.text);
        return CLI_UNREACHABLE;
    }

    struct table table;
    const struct json *members = json_get(status, "members");
    buf_init(&out, OUT_MAX);
    table_init(&table, columns, COLUMNS);
    if (!wishes->is_table) buf_add(&out, slice_of("{\"members\":["));
    for (size_t i = 0; i < json_count(members); i++) {
        if (wishes->is_table)
            add_row(&table, json_at(members, i));
        else
            add_object(&out, json_at(members, i));
    }
    if (wishes->is_table)
        table_print(&table, &out);
    else
        buf_add(&out, slice_of("]}\n"));
    fwrite(out.at, 1, out.len, admin->cli->out);
    table_close(&table);
    buf_close(&out);
    json_free(status);
    return CLI_DONE;
}

/* ---- who comes and goes ---- */

static void add_path(struct buf *path, struct slice name)
{
    buf_add(path, slice_of("/api/cluster/members/"));
    text_escape_url(path, name);
}

/* At the end of an addition it waits, and one that has a vote already, as by a call whose answer was lost, is what
 * was wanted. */
static int promote(struct admin *admin, struct slice name, bool is_addition)
{
    const char *already = is_addition ? "already_voter" : NULL;
    struct buf path, done;
    buf_init(&path, 1024);
    buf_init(&done, 1024);
    add_path(&path, name);
    buf_printf(&done, "%.*s is a voter.", (int)name.len, name.at);
    buf_add_char(&done, '\0');
    int code = admin_change(admin, &(struct admin_change){.method = "POST",
                                                          .path = buf_slice(&path),
                                                          .body = slice_of("{\"role\":\"voter\"}"),
                                                          .done = done.at,
                                                          .may_wait = is_addition,
                                                          .already = already});
    buf_close(&done);
    buf_close(&path);
    return code;
}

static int remove_member(struct admin *admin, struct slice name)
{
    struct buf path, done;
    buf_init(&path, 1024);
    buf_init(&done, 1024);
    add_path(&path, name);
    buf_printf(&done, "%.*s is no member any more.", (int)name.len, name.at);
    buf_add_char(&done, '\0');
    int code = admin_change(
        admin,
        &(struct admin_change){.method = "DELETE", .path = buf_slice(&path), .done = done.at});
    buf_close(&done);
    buf_close(&path);
    return code;
}

/* What a node says of one member: how many events it lacks; -1: it is away, fetches them still, or is not
 * known there yet. */
static int64_t lacks(const struct json *status, struct slice name)
{
    const struct json *members = json_get(status, "members");
    for (size_t i = 0; i < json_count(members); i++) {
        const struct json *member = json_at(members, i);
        struct slice state = json_slice(json_get(member, "state"));
        int64_t behind;
        if (!slice_equal(json_slice(json_get(member, "name")), name)) continue;
        if (slice_is(state, "away") || slice_is(state, "catching_up")) return -1;
        return json_to_i64(json_get(member, "behind"), &behind) ? behind : -1;
    }
    return -1;
}

/* The leader lets it become level; while many write a status never shows it to be. */
static bool is_near(int64_t lacks)
{
    return lacks >= 0 && lacks <= PROMOTE_BEHIND_MAX;
}

static int promote_when_level(struct wishes *wishes, struct slice name, uint64_t deadline_ms)
{
    struct admin *admin = &wishes->admin;
    struct errmsg errmsg = {{0}};
    bool was_silent = false;
    fprintf(admin->cli->err, "waiting until it has caught up\n");
    do {
        int code;
        struct json *status = ask_status(admin, &errmsg);
        bool is_level = status != NULL && is_near(lacks(status, name));
        if (status == NULL && !was_silent) /* it may come back: once is enough */
            fprintf(admin->cli->err, "livetea members: %s: still waiting\n", errmsg.text);
        was_silent = status == NULL;
        json_free(status);
        if (is_level) code = promote(admin, name, true);
        if (is_level && code != ADMIN_WAIT) return code;
        admin_rest(POLL_MS);
    } while (clock_ms() < deadline_ms);
    fprintf(admin->cli->err,
            "livetea members: %.*s is a member without a vote; %s within --timeout. Then: livetea "
            "members promote %.*s\n",
            (int)name.len, name.at,
            was_silent ? "no node could be reached" : "it has not caught up", (int)name.len,
            name.at);
    return was_silent ? CLI_UNREACHABLE : CLI_REFUSED;
}

static int add(struct wishes *wishes, struct slice name, struct slice address)
{
    struct admin *admin = &wishes->admin;
    uint64_t deadline_ms = clock_ms() + wishes->timeout_ms;
    struct buf body, done;
    buf_init(&body, 4096);
    buf_init(&done, 1024);
    buf_add_char(&body, '{');
    json_add_text(&body, "name", name);
    json_add_text(&body, "address", address);
    buf_add_char(&body, '}');
    buf_printf(&done, "%.*s is a member.", (int)name.len, name.at);
    buf_add_char(&done, '\0');
    struct admin_change change = {.method = "POST",
                                  .path = slice_of("/api/cluster/members"),
                                  .body = buf_slice(&body),
                                  .done = done.at,
                                  .may_wait = true};
    fprintf(admin->cli->err, "waiting for %.*s to ask; start it with cluster.join\n", (int)name.len,
            name.at);
    fflush(admin->cli->err);
    int code = admin_change(admin, &change);
    while (code == ADMIN_WAIT) {
        admin_rest(POLL_MS);
        change.may_wait = clock_ms() < deadline_ms;
        code = admin_change(admin, &change);
    }
    buf_close(&done);
    buf_close(&body);
    if (code != CLI_DONE || !wishes->promote) return code;
    fflush(admin->cli->out);
    return promote_when_level(wishes, name, deadline_ms);
}

static int change(struct wishes *wishes)
{
    const char *verb = wishes->words[0];
    struct admin *admin = &wishes->admin;
    struct slice address = slice_from(wishes->words[1]);
    bool is_add = strcmp(verb, "add") == 0, is_promote = strcmp(verb, "promote") == 0;
    if (!is_add && !is_promote && strcmp(verb, "remove") != 0) {
        return cli_usage_error(admin->cli, "members", "'%s': must be add, promote or remove", verb);
    }
    if (wishes->words_count < 2) {
        return cli_usage_error(admin->cli, "members", "%s which one? %s", verb,
                               is_add ? "NAME=HOST:PORT" : "NAME");
    }
    if (!text_valid(address)) return cli_usage_error(admin->cli, "members", "that is not UTF-8");
    struct slice name = is_add ? slice_cut(&address, '=') : address;
    if (name.len == 0 || name.len > NODE_NAME_MAX || (is_add && address.len == 0)) {
        return cli_usage_error(admin->cli, "members", "'%s': must be %s", wishes->words[1],
                               is_add ? "NAME=HOST:PORT, its cluster port" : "a node's name");
    }
    int code = admin_open(admin);
    if (code != 0) return code;
    if (is_add) return add(wishes, name, address);
    return is_promote ? promote(admin, name, false) : remove_member(admin, name);
}

static int read_wishes(const struct cli *cli, int argc, char *const *argv, struct wishes *wishes)
{
    struct options options = {.argc = argc, .argv = argv};
    struct errmsg errmsg;
    const char *value;
    *wishes = (struct wishes){.admin = {.cli = cli, .command = "members"},
                              .timeout_ms = TIMEOUT_MS,
                              .is_table = cli->is_terminal};
    for (;;) {
        int place = options_next(&options, members_options,
                                 sizeof members_options / sizeof *members_options, &value, &errmsg);
        int rv = 0;
        switch (place) {
        case OPTIONS_END: return 0;
        case OPTIONS_BAD: return cli_usage_error(cli, "members", "%s", errmsg.text);
        case OPTIONS_WORD:
            if (wishes->words_count == 2)
                return cli_usage_error(cli, "members", "unexpected argument '%s'", value);
            wishes->words[wishes->words_count++] = value;
            break;
        case OPTION_PROMOTE: wishes->promote = true; break;
        case OPTION_TIMEOUT:
            rv = admin_duration(&wishes->admin, "--timeout", value, TIMEOUT_MAX_MS,
                                &wishes->timeout_ms);
            break;
        case OPTION_OUTPUT:
            wishes->is_table = strcmp(value, "table") == 0;
            if (!wishes->is_table && strcmp(value, "json") != 0)
                rv = cli_usage_error(cli, "members", "-o '%s': must be table or json", value);
            break;
        default: admin_option(&wishes->admin, place, value); break;
        }
        if (rv != 0) return rv;
    }
}

static int run_members(const struct cli *cli, int argc, char *const *argv)
{
    struct wishes wishes;
    int rv = read_wishes(cli, argc, argv, &wishes);
    if (rv != 0) return rv;
    return cli_finish(cli, wishes.words_count == 0 ? list(&wishes) : change(&wishes));
}

const struct cli_command members_command = {
    .name = "members",
    .arguments = "[add NAME=HOST:PORT [--promote] | promote NAME | remove NAME]",
    .summary = "lists the cluster's members; adds, promotes, removes one",
    .help = "add     lets in a node that was started with an empty directory and cluster.join; it\n"
            "        gets the history and serves browsers, and has no vote\n"
            "promote gives a vote to one that has caught up\n"
            "remove  takes one away, also one that is gone for good; its name can come back,\n"
            "        with an empty directory\n"
            "Each waits until it is done; one change at a time.\n"
            "Exit: 0 done, 1 refused, 2 bad option, 4 no node could be reached, 5 not known (look\n"
            "at the list).",
    .options = members_options,
    .options_count = sizeof members_options / sizeof *members_options,
    .run = run_members};
