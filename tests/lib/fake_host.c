#include "fake_host.h"

#include <assert.h>
#include <stdio.h>

#include "base/crypto.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"

/* ---- the views ---- */

struct tea_who {
    struct slice name, class;
};

struct tea_line {
    struct slice dom_id, sender, text;
};

struct tea_shared {
    struct slice room;
    unsigned away;
    const struct tea_who *people;
    size_t people_count;
    const struct tea_line *messages;
    size_t messages_count;
};

struct tea_page {
    struct slice style_nonce, notice, nonce, draft;
    struct html rules;
    char nonce_text[COMMAND_ID_TEXT];
    char draft_text[CHAT_TEXT_MAX];
    struct command_id id;
    unsigned unread;
    struct tea_shared history;
};

struct door_shared {
    unsigned online;
};

struct door_page {
    struct slice room;
};

#include "door.heex.h"
#include "tea.heex.h"

enum { LINES_MAX = 200, PAGE_LINES = 3, JOB_TEXT_MAX = CHAT_TEXT_MAX };

struct fake_line {
    uint64_t number;
    struct command_id id;
    struct buf text; /* dom id, sender, text, one behind the other */
    struct tea_line line;
};

struct fake_room {
    struct topic topic;
    struct tea_shared tea;
    struct door_shared door;
    char name[ROOM_MAX];
    struct fake_line lines[LINES_MAX];
    struct tea_line shown[LINES_MAX];
    size_t lines_count;
    struct buf people_text;
    struct tea_who people[16];
};

enum job_kind { JOB_OPEN, JOB_DISPATCH, JOB_CHECK, JOB_HISTORY };

struct fake_job {
    struct fake_job *next;
    enum job_kind kind;
    struct live *live; /* NULL: gone meanwhile */
    struct live_ref ref;
    struct command_id id;
    uint64_t before;
    struct live_address address;
    struct buf text, sender;
};

static void fresh_nonce(struct live *live, struct tea_page *page)
{
    live_new_id(live, &page->id);
    command_id_text(page->nonce_text, &page->id);
    page->nonce = slice_make(page->nonce_text, COMMAND_ID_TEXT);
    page->draft = slice_of("");
}

static void keep_draft(struct tea_page *page, struct slice text)
{
    size_t len = text.len < sizeof page->draft_text ? text.len : sizeof page->draft_text;
    if (len > 0) memcpy(page->draft_text, text.at, len);
    page->draft = slice_make(page->draft_text, len);
}

static void tea_mount(struct live *live, void *self)
{
    struct tea_page *page = self;
    page->style_nonce = slice_from(live->style_nonce);
    page->rules.text = slice_of(".u-1>b{color:red}");
    if (live->behind) page->notice = slice_of("This node is catching up.");
    fresh_nonce(live, page);
}

static enum live_reply older(struct live *live, const struct params *params)
{
    struct slice id = params_get(params, "id");
    uint64_t number;
    if (!slice_starts(id, slice_of("m-")) || !slice_to_u64(slice_skip(id, 2), &number))
        return LIVE_REPLY;
    live_history(live, number);
    return LIVE_LATER;
}

static enum live_reply tea_handle_event(struct live *live, void *self, struct slice event,
                                        const struct params *params)
{
    struct tea_page *page = self;
    struct slice text = params_get(params, "message");
    if (slice_is(event, "older")) return older(live, params);
    if (slice_is(event, "go")) live_navigate(live, params_get(params, "to"));
    if (slice_is(event, "away")) live_redirect(live, params_get(params, "to"));
    if (slice_is(event, "wake")) live_wake(live, 10);
    if (!slice_is(event, "send_message") && !slice_is(event, "recover")) return LIVE_REPLY;
    page->notice = slice_of("");
    if (text_blank(text)) {
        fresh_nonce(live, page);
        return LIVE_REPLY;
    }
    if (!command_id_from(&page->id, params_get(params, "nonce"))) return LIVE_REPLY;
    command_id_text(page->nonce_text, &page->id);
    keep_draft(page, text);
    if (slice_is(event, "recover"))
        live_check(live, text, &page->id);
    else
        live_dispatch(live, text, &page->id, false);
    return LIVE_LATER;
}

/* The text stays, under a new id. */
static void used(struct live *live, struct tea_page *page)
{
    struct slice draft = page->draft;
    fresh_nonce(live, page);
    page->draft = draft;
    page->notice = slice_of("Your earlier message was sent, this one not yet.");
}

static void tea_history(struct live *live, struct tea_page *page, const struct live_info *info)
{
    static struct tea_line lines[PAGE_LINES];
    static char ids[PAGE_LINES][24];
    size_t count = info->messages_count;
    for (size_t i = 0; i < count; i++) {
        const struct message_sent *event = &info->messages[i].event;
        int len = snprintf(ids[i], sizeof ids[i], "m-%llu", (unsigned long long)event->number);
        lines[i] = (struct tea_line){.dom_id = slice_make(ids[i], (size_t)len),
                                     .sender = event->sender,
                                     .text = event->text};
    }
    if (count == 0) return;
    page->history = (struct tea_shared){.messages = lines, .messages_count = count};
    live_stream(live, &page->history, 0);
}

static void tea_handle_info(struct live *live, void *self, const struct live_info *info)
{
    struct tea_page *page = self;
    switch (info->kind) {
    case LIVE_ANSWERED:
    case LIVE_CHECKED:
        if (info->outcome == LIVE_ACCEPTED) fresh_nonce(live, page);
        if (info->outcome == LIVE_USED || info->refusal == CHAT_ID_USED) used(live, page);
        if (info->outcome == LIVE_UNKNOWN && info->kind == LIVE_ANSWERED)
            page->notice = slice_of("Not sent: no leader.");
        if (info->outcome == LIVE_NOT_FOUND) live_watch(live, &info->id);
        return;
    case LIVE_APPLIED: fresh_nonce(live, page); return;
    case LIVE_HISTORY: tea_history(live, page, info); return;
    case LIVE_STREAM_RESET: return;
    case LIVE_LISTS: page->unread++; return;
    case LIVE_WOKEN: page->notice = slice_of(""); return;
    }
}

static void tea_title(struct buf *out, const void *self, const void *shared)
{
    const struct tea_page *page = self;
    const struct tea_shared *tea = shared;
    if (page->unread > 0) buf_printf(out, "(%u) ", page->unread);
    buf_add(out, tea->room);
}

static const struct view tea_view = {.name = "tea",
                                     .template = &tea_template,
                                     .page_size = sizeof(struct tea_page),
                                     .mount = tea_mount,
                                     .handle_event = tea_handle_event,
                                     .handle_info = tea_handle_info,
                                     .render = tea_render,
                                     .title = tea_title};

static void door_mount(struct live *live, void *self)
{
    (void)live;
    (void)self;
}

static enum live_reply door_handle_event(struct live *live, void *self, struct slice event,
                                         const struct params *params)
{
    struct buf room;
    (void)self;
    if (!slice_is(event, "enter")) return LIVE_REPLY;
    buf_init(&room, 4 * ROOM_MAX);
    buf_add_char(&room, '/');
    if (text_room(&room, params_get(params, "room"))) live_navigate(live, buf_slice(&room));
    buf_close(&room);
    return LIVE_REPLY;
}

static void door_handle_info(struct live *live, void *self, const struct live_info *info)
{
    (void)live;
    (void)self;
    (void)info;
}

static void door_title(struct buf *out, const void *self, const void *shared)
{
    (void)self;
    (void)shared;
    buf_add(out, slice_of("Tea"));
}

static const struct view door_view = {.name = "door",
                                      .template = &door_template,
                                      .page_size = sizeof(struct door_page),
                                      .mount = door_mount,
                                      .handle_event = door_handle_event,
                                      .handle_info = door_handle_info,
                                      .render = door_render,
                                      .title = door_title};

/* ---- rooms ---- */

static void broadcast(struct fake_host *fake, struct fake_room *room)
{
    topic_broadcast(&room->topic, &fake->host, &fake->scratch);
}

static void show_all(struct fake_room *room)
{
    for (size_t i = 0; i < room->lines_count; i++)
        room->shown[i] = room->lines[i].line;
    room->tea.messages = room->shown;
    room->tea.messages_count = room->lines_count;
}

static struct fake_room *room_new(const struct view *view, struct slice name)
{
    struct fake_room *room = mem_new(sizeof *room);
    if (name.len > 0) memcpy(room->name, name.at, name.len);
    room->tea.room = slice_make(room->name, name.len);
    room->tea.people = room->people;
    room->door.online = 3;
    buf_init(&room->people_text, 1024);
    void *shared = view == &tea_view ? (void *)&room->tea : (void *)&room->door;
    topic_init(&room->topic, view, shared);
    return room;
}

static void room_free(struct fake_room *room)
{
    if (room == NULL) return;
    topic_close(&room->topic);
    for (size_t i = 0; i < room->lines_count; i++)
        buf_close(&room->lines[i].text);
    buf_close(&room->people_text);
    mem_free(room);
}

static struct fake_room *room_of(struct fake_host *fake, struct slice name)
{
    for (size_t i = 0; i < FAKE_ROOMS; i++) {
        if (fake->rooms[i] == NULL) fake->rooms[i] = room_new(&tea_view, name);
        if (slice_equal(fake->rooms[i]->tea.room, name)) return fake->rooms[i];
    }
    assert(false && "too many rooms");
    return NULL;
}

static struct fake_line *find_id(struct fake_host *fake, const struct command_id *id,
                                 struct fake_room **room)
{
    for (size_t i = 0; i < FAKE_ROOMS && fake->rooms[i] != NULL; i++)
        for (size_t k = 0; k < fake->rooms[i]->lines_count; k++)
            if (command_id_equal(&fake->rooms[i]->lines[k].id, id)) {
                *room = fake->rooms[i];
                return &fake->rooms[i]->lines[k];
            }
    return NULL;
}

static void tell_watchers(struct fake_host *fake, const struct command_id *id)
{
    for (size_t i = 0; i < FAKE_BROWSERS; i++) {
        struct live *live = fake->browsers[i].is_open ? fake->browsers[i].channel.live : NULL;
        if (live == NULL || live->host_data == NULL) continue;
        if (!command_id_equal(live->host_data, id)) continue;
        mem_free(live->host_data);
        live->host_data = NULL;
        live_inform(live, NULL, &(struct live_info){.kind = LIVE_APPLIED, .id = *id});
    }
}

static void add_line(struct fake_host *fake, struct fake_room *room, const struct command_id *id,
                     struct slice sender, struct slice text)
{
    assert(room->lines_count < LINES_MAX);
    struct fake_line *made = &room->lines[room->lines_count++];
    made->number = ++fake->number;
    made->id = *id;
    buf_init(&made->text, 2 * CHAT_TEXT_MAX);
    buf_printf(&made->text, "m-%llu", (unsigned long long)made->number);
    size_t id_len = made->text.len;
    buf_add(&made->text, sender);
    buf_add(&made->text, text);
    const char *at = made->text.at;
    made->line = (struct tea_line){.dom_id = slice_make(at, id_len),
                                   .sender = slice_make(at + id_len, sender.len),
                                   .text = slice_make(at + id_len + sender.len, text.len)};
    room->tea.messages = &made->line;
    room->tea.messages_count = 1;
    broadcast(fake, room);
    show_all(room);
    topic_stream_changed(&room->topic);
    tell_watchers(fake, id);
}

/* ---- jobs ---- */

static struct fake_job *add_job(struct fake_host *fake, enum job_kind kind, struct live *live,
                                const struct live_ref *ref)
{
    struct fake_job *job = mem_new(sizeof *job);
    struct fake_job **at = &fake->jobs;
    while (*at != NULL)
        at = &(*at)->next;
    *at = job;
    *job = (struct fake_job){.kind = kind, .live = live, .address = live->address};
    if (ref != NULL) job->ref = *ref;
    buf_init(&job->text, JOB_TEXT_MAX);
    buf_init(&job->sender, JOB_TEXT_MAX);
    return job;
}

static void free_job(struct fake_job *job)
{
    buf_close(&job->text);
    buf_close(&job->sender);
    mem_free(job);
}

static struct fake_room *address_room(struct fake_host *fake, const struct live_address *address)
{
    if (address->view == &door_view) return fake->door;
    return room_of(fake, slice_make(address->room, address->room_len));
}

static void answer(struct fake_job *job, const struct live_info *info)
{
    if (job->live != NULL) live_inform(job->live, &job->ref, info);
}

static void do_command(struct fake_host *fake, struct fake_job *job)
{
    bool is_check = job->kind == JOB_CHECK;
    struct fake_room *here = address_room(fake, &job->address);
    struct fake_room *there = NULL;
    struct fake_line *known = find_id(fake, &job->id, &there);
    struct live_info info = {.kind = is_check ? LIVE_CHECKED : LIVE_ANSWERED, .id = job->id};
    bool is_same =
        known != NULL && there == here && slice_equal(known->line.text, buf_slice(&job->text));
    if (fake->has_no_leader) {
        info.outcome = LIVE_UNKNOWN;
    } else if (is_same) {
        info.outcome = LIVE_ACCEPTED;
        info.number = known->number;
    } else if (known != NULL) {
        info.outcome = is_check ? LIVE_USED : LIVE_REFUSED;
        info.refusal = is_check ? CHAT_ACCEPTED : CHAT_ID_USED;
    } else if (is_check) {
        info.outcome = LIVE_NOT_FOUND;
    } else {
        info.outcome = LIVE_ACCEPTED;
        info.number = fake->number + 1;
        add_line(fake, here, &job->id, buf_slice(&job->sender), buf_slice(&job->text));
    }
    answer(job, &info);
}

static void do_history(struct fake_host *fake, struct fake_job *job)
{
    struct fake_room *room = address_room(fake, &job->address);
    struct message messages[PAGE_LINES];
    size_t count = 0;
    for (size_t i = room->lines_count; i > 0 && count < PAGE_LINES; i--) {
        const struct fake_line *line = &room->lines[i - 1];
        if (line->number >= job->before) continue;
        messages[count++] = (struct message){.event = {.number = line->number,
                                                       .sender = line->line.sender,
                                                       .text = line->line.text}};
    }
    answer(job, &(struct live_info){.kind = LIVE_HISTORY,
                                    .messages = messages,
                                    .messages_count = count,
                                    .reached_start = count < PAGE_LINES});
}

static void do_job(struct fake_host *fake, struct fake_job *job)
{
    switch (job->kind) {
    case JOB_OPEN:
        if (job->live != NULL)
            live_opened(job->live, &address_room(fake, &job->address)->topic,
                        job->before > fake->number);
        break;
    case JOB_DISPATCH:
    case JOB_CHECK: do_command(fake, job); break;
    case JOB_HISTORY: do_history(fake, job); break;
    }
}

void fake_host_turn(struct fake_host *fake)
{
    struct fake_job **at = &fake->jobs;
    while (*at != NULL) {
        struct fake_job *job = *at;
        if (job->kind == JOB_OPEN ? fake->holds_opens : fake->is_slow) {
            at = &job->next;
            continue;
        }
        *at = job->next;
        do_job(fake, job);
        free_job(job);
        at = &fake->jobs; /* it may have made others */
    }
}

void fake_host_refuse(struct fake_host *fake, const char *reason)
{
    for (struct fake_job *job = fake->jobs; job != NULL; job = job->next) {
        if (job->kind != JOB_OPEN || job->live == NULL) continue;
        live_refused(job->live, reason); /* its close forgets the job's live */
    }
}

/* ---- what the engine asks of its host ---- */

static void note(struct fake_host *fake, const struct fake_browser *browser, char sign,
                 struct slice text)
{
    buf_add_char(&fake->out, (char)('A' + (browser - fake->browsers)));
    buf_add_char(&fake->out, sign);
    buf_add_char(&fake->out, ' ');
    buf_add(&fake->out, text);
    buf_add_char(&fake->out, '\n');
}

static const char *merge_frame(struct fake_browser *browser, const struct json *frame)
{
    const struct json *payload = json_at(frame, 4);
    const struct json *response = json_get(payload, "response");
    const struct json *rendered = json_get(response, "rendered");
    const struct json *diff = json_get(response, "diff");
    if (slice_is(json_slice(json_at(frame, 3)), "diff")) diff = payload;
    if (rendered != NULL) return client_tree_join(&browser->tree, rendered);
    return diff == NULL ? NULL : client_tree_diff(&browser->tree, diff);
}

static void receive_frame(struct fake_host *fake, struct fake_browser *browser, struct slice text)
{
    struct json *frame;
    struct errmsg errmsg;
    browser->frames_count++;
    note(fake, browser, '>', text);
    if (json_parse(&frame, text, &errmsg) != 0) {
        note(fake, browser, '?', slice_from(errmsg.text));
        return;
    }
    const char *problem = merge_frame(browser, frame);
    if (problem != NULL) note(fake, browser, '?', slice_from(problem));
    json_free(frame);
}

static void host_send(void *owner, void *connection, struct shared *const pieces[], size_t count)
{
    struct buf text;
    buf_init(&text, FAKE_OUT_MAX);
    for (size_t i = 0; i < count; i++)
        buf_add(&text, shared_slice(pieces[i]));
    receive_frame(owner, connection, buf_slice(&text));
    buf_close(&text);
}

static struct shared *host_frame(void *owner, struct slice payload)
{
    (void)owner;
    return shared_copy(payload);
}

static void host_send_frame(void *owner, void *connection, struct shared *frame)
{
    struct fake_browser *browser = connection;
    shared_unref(browser->last);
    browser->last = shared_ref(frame);
    receive_frame(owner, browser, shared_slice(frame));
}

static enum live_find host_find(void *owner, struct slice path, struct live_address *address,
                                struct buf *to)
{
    struct buf raw, name;
    (void)owner;
    path = slice_skip(slice_first(path, slice_find(path, '?')), 1);
    *address = (struct live_address){.view = path.len == 0 ? &door_view : &tea_view};
    if (path.len == 0) return LIVE_FOUND;
    buf_init(&raw, HTTP_LINE_MAX);
    buf_init(&name, HTTP_LINE_MAX);
    enum live_find found = LIVE_NOWHERE;
    bool good = text_unescape_url(&raw, path, false) && text_valid(buf_slice(&raw)) &&
                text_room(&name, buf_slice(&raw));
    if (good && slice_equal(buf_slice(&raw), buf_slice(&name))) {
        memcpy(address->room, name.at, name.len);
        address->room_len = (uint8_t)name.len;
        found = LIVE_FOUND;
    } else if (good) {
        buf_add_char(to, '/');
        text_escape_url(to, buf_slice(&name));
        found = LIVE_ELSEWHERE;
    }
    buf_close(&raw);
    buf_close(&name);
    return found;
}

static void host_open(void *owner, struct live *live, uint64_t seen)
{
    struct fake_host *fake = owner;
    struct fake_job *job = add_job(fake, JOB_OPEN, live, NULL);
    job->before = seen;
    live->host_data = NULL;
}

static void host_close(void *owner, struct live *live)
{
    struct fake_host *fake = owner;
    for (struct fake_job *job = fake->jobs; job != NULL; job = job->next)
        if (job->live == live) job->live = NULL;
    mem_free(live->host_data);
    live->host_data = NULL;
}

static void add_command(struct fake_host *fake, enum job_kind kind, struct live *live,
                        const struct live_ref *ref, const struct send_message *command)
{
    struct fake_job *job = add_job(fake, kind, live, ref);
    job->id = command->id;
    buf_add(&job->text, command->text);
    buf_add(&job->sender, command->sender);
}

static void host_dispatch(void *owner, struct live *live, const struct live_ref *ref,
                          const struct send_message *command)
{
    add_command(owner, JOB_DISPATCH, live, ref, command);
}

static void host_check(void *owner, struct live *live, const struct live_ref *ref,
                       const struct send_message *command)
{
    add_command(owner, JOB_CHECK, live, ref, command);
}

static void host_history(void *owner, struct live *live, const struct live_ref *ref,
                         uint64_t before_number)
{
    add_job(owner, JOB_HISTORY, live, ref)->before = before_number;
}

static void host_watch(void *owner, struct live *live, const struct command_id *id)
{
    (void)owner;
    mem_free(live->host_data);
    live->host_data = mem_copy(id, sizeof *id);
}

static void host_wake(void *owner, struct live *live, uint32_t ms)
{
    (void)owner;
    (void)live;
    (void)ms;
}

static void host_typing(void *owner, struct live *live)
{
    (void)owner;
    (void)live;
}

static int64_t host_wall_ms(void *owner)
{
    const struct fake_host *fake = owner;
    return fake->now_ms;
}

static uint64_t host_now_ms(void *owner)
{
    const struct fake_host *fake = owner;
    return (uint64_t)fake->now_ms;
}

static void host_random(void *owner, void *out, size_t len)
{
    struct fake_host *fake = owner;
    memset(out, 0, len);
    ((uint8_t *)out)[len - 1] = ++fake->randoms;
}

/* ---- for tests ---- */

void fake_host_init(struct fake_host *fake)
{
    *fake = (struct fake_host){.now_ms = 1764000000000};
    buf_init(&fake->scratch, RESPONSE_MAX);
    buf_init(&fake->words, HTTP_LINE_MAX);
    buf_init(&fake->out, FAKE_OUT_MAX);
    fake->door = room_new(&door_view, slice_of(""));
    fake->host = (struct live_host){
        .owner = fake,
        .keys = {.secrets = {SLICE("a secret of thirty-two bytes ...")}},
        .node = "tea-1",
        .scratch = &fake->scratch,
        .words = &fake->words,
        .send = host_send,
        .frame = host_frame,
        .send_frame = host_send_frame,
        .find = host_find,
        .open = host_open,
        .close = host_close,
        .dispatch = host_dispatch,
        .check = host_check,
        .history = host_history,
        .watch = host_watch,
        .wake = host_wake,
        .typing = host_typing,
        .wall_ms = host_wall_ms,
        .now_ms = host_now_ms,
        .random = host_random,
    };
}

void fake_host_close(struct fake_host *fake)
{
    for (char name = 'A'; name <= 'Z'; name++)
        fake_host_shut(fake, name);
    fake->holds_opens = false;
    fake->is_slow = false;
    fake_host_turn(fake);
    for (size_t i = 0; i < FAKE_ROOMS; i++)
        room_free(fake->rooms[i]);
    room_free(fake->door);
    buf_close(&fake->scratch);
    buf_close(&fake->words);
    buf_close(&fake->out);
}

void fake_identity(struct identity *identity, const struct token_keys *keys, struct slice who)
{
    *identity = (struct identity){.issued_s = 1764000000 - 60, .name_len = (uint8_t)who.len};
    assert(who.len <= sizeof identity->session);
    memcpy(identity->session, who.at, who.len);
    memcpy(identity->name, who.at, who.len);
    identity_derive(identity, keys);
}

void fake_host_session(struct fake_host *fake, struct buf *out, struct slice who)
{
    struct identity identity;
    fake_identity(&identity, &fake->host.keys, who);
    token_add_session(out, &fake->host.keys, &identity);
}

struct fake_browser *fake_host_browser(struct fake_host *fake, char name)
{
    assert(name >= 'A' && name <= 'Z');
    return &fake->browsers[name - 'A'];
}

struct fake_browser *fake_host_open(struct fake_host *fake, char name, struct slice who)
{
    struct identity identity;
    struct fake_browser *browser = fake_host_browser(fake, name);
    fake_host_shut(fake, name);
    fake_identity(&identity, &fake->host.keys, who);
    *browser = (struct fake_browser){.is_open = true};
    client_tree_init(&browser->tree);
    channel_init(&browser->channel, &fake->host, browser, identity.csrf);
    return browser;
}

void fake_host_shut(struct fake_host *fake, char name)
{
    struct fake_browser *browser = fake_host_browser(fake, name);
    if (!browser->is_open) return;
    channel_close(&browser->channel);
    client_tree_close(&browser->tree);
    shared_unref(browser->last);
    *browser = (struct fake_browser){.is_open = false};
}

int fake_host_receive(struct fake_host *fake, char name, struct slice frame)
{
    struct fake_browser *browser = fake_host_browser(fake, name);
    assert(browser->is_open);
    int code = channel_receive(&browser->channel, frame);
    fake_host_turn(fake);
    return code;
}

void fake_host_say(struct fake_host *fake, struct slice room, struct slice id, struct slice sender,
                   struct slice text)
{
    struct command_id command = {{0xff}};
    command.bytes[15] = (uint8_t)(fake->number + 1);
    if (id.len > 0) command_id_from(&command, id);
    add_line(fake, room_of(fake, room), &command, sender, text);
}

void fake_host_people(struct fake_host *fake, struct slice name, struct slice names)
{
    struct fake_room *room = room_of(fake, name);
    size_t count = 0;
    buf_reset(&room->people_text);
    buf_add(&room->people_text, names);
    for (struct slice rest = buf_slice(&room->people_text); rest.len > 0;) {
        struct slice one = slice_cut(&rest, ' ');
        room->people[count++] =
            (struct tea_who){.name = one, .class = slice_is(one, "ann") ? slice_of("me") : one};
    }
    room->tea.people_count = count;
    room->tea.messages_count = 0;
    broadcast(fake, room);
    show_all(room);
}

void fake_host_away(struct fake_host *fake, struct slice name, unsigned away)
{
    struct fake_room *room = room_of(fake, name);
    room->tea.away = away;
    room->tea.messages_count = 0;
    broadcast(fake, room);
    show_all(room);
}

void fake_host_lists(struct fake_host *fake)
{
    for (size_t i = 0; i < FAKE_BROWSERS; i++) {
        struct live *live = fake->browsers[i].channel.live;
        if (fake->browsers[i].is_open && live != NULL)
            live_inform(live, NULL, &(struct live_info){.kind = LIVE_LISTS});
    }
}

void fake_host_dead(struct fake_host *fake, struct slice path, struct slice who, struct buf *html,
                    struct buf *title)
{
    struct live_address address;
    struct identity identity;
    struct buf to;
    buf_init(&to, HTTP_LINE_MAX);
    fake_identity(&identity, &fake->host.keys, who);
    if (host_find(fake, path, &address, &to) == LIVE_FOUND)
        live_dead_render(&fake->host, &address, &identity, &address_room(fake, &address)->topic, 0,
                         NULL, html, title);
    buf_close(&to);
}
