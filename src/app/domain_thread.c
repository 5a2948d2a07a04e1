/* One loop: mail from the web threads and the store on one side, the raft node on the other.
 *
 * Within one raft entry (from its first on_event to its on_entry) events for the web threads, events
 * for the store and answers to commands are gathered, and leave in this order at its end: a page
 * sees the message before its sender is told that it was sent.
 *
 * Longer than 500 lines because it has all that one thread does; each part is short, and what could
 * stand alone does: tails, vitals, snapshot_make, and the whole of cluster.
 */
#include "app/domain_thread.h"

#include <inttypes.h>
#include <unistd.h>

#include "app/disk_look.h"
#include "app/fatal.h"
#include "app/loop_delay.h"
#include "app/reach.h"
#include "app/snapshot_make.h"
#include "app/status.h"
#include "app/web_thread.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/forward.h"
#include "cluster/node.h"

enum { CHANGE_SOON_MS = 20 };

struct outgoing { /* events of the running entry, for one receiver */
    struct shared **events;
    size_t count, size;
};

struct domain_thread {
    uv_thread_t thread;
    uv_loop_t loop;
    struct mailbox mailbox;
    struct mailbox *store, *main;
    struct mailbox *web[VITALS_THREADS_MAX];
    int web_count; /* 0 once quiet: no mail leaves any more */
    uv_timer_t second, soon;
    struct loop_delay delay;
    uv_sem_t quiet;
    bool is_quiet;
    bool was_ready; /* as the log was told */

    const struct config *config;
    struct data_dir *dir;
    struct slice secret;
    const char *version;
    struct event_store *event_store;
    struct event_meta meta; /* of the store at start */
    uint64_t raft_durable;  /* as the store was told last */
    struct chat chat;
    struct node *node; /* NULL once stopped */
    struct tails *tails;
    struct vitals vitals;
    struct disk_look disk;

    bool in_entry;
    struct outgoing to_store, to_web[VITALS_THREADS_MAX];
    struct command_mail *answers, **answers_last; /* of the running entry */
    struct reach reach;
};

/* ---- events, up from the node ---- */

static void outgoing_add(struct outgoing *out, struct shared *bytes)
{
    if (out->count == out->size) {
        out->size = out->size == 0 ? 64 : 2 * out->size;
        out->events = mem_grow(out->events, out->size * sizeof *out->events);
    }
    out->events[out->count++] = shared_ref(bytes);
}

/* The gathered events as a mail, or NULL when there are none. */
static struct events_mail *outgoing_take(struct outgoing *out, int kind)
{
    if (out->count == 0) return NULL;
    struct events_mail *mail = mem_new(sizeof *mail + out->count * sizeof *mail->events);
    mail->mail.kind = kind;
    mail->count = out->count;
    memcpy(mail->events, out->events, out->count * sizeof *mail->events);
    out->count = 0;
    return mail;
}

static void on_event(void *owner, const struct message_sent *event, struct shared *bytes)
{
    struct domain_thread *domain = owner;
    domain->in_entry = true;
    outgoing_add(&domain->to_store, bytes);
    uint32_t threads = tails_add(domain->tails, event, bytes);
    for (int i = 0; i < domain->web_count; i++)
        if (threads & (1u << i)) outgoing_add(&domain->to_web[i], bytes);
}

static void send_answer(struct domain_thread *domain, struct command_mail *mail)
{
    (void)domain;
    mail->mail.kind = MAIL_ANSWER;
    mailbox_send(web_thread_mailbox(mail->thread), &mail->mail);
}

/* Nobody waits any more once this thread is to be quiet. */
static void settle_reach(struct domain_thread *domain)
{
    uint64_t now_ms = domain->is_quiet ? UINT64_MAX : uv_now(&domain->loop);
    struct reach_mail *mail;
    while ((mail = reach_next(&domain->reach, domain->chat.number, now_ms)) != NULL)
        mailbox_send(web_thread_mailbox(mail->who.thread), &mail->mail);
}

static void on_entry(void *owner, uint64_t index)
{
    struct domain_thread *domain = owner;
    uint64_t now_ns = clock_ns();

    /* Before the store can have them: what is found there was sent to those who show it. */
    for (int i = 0; i < domain->web_count; i++) {
        struct events_mail *events = outgoing_take(&domain->to_web[i], MAIL_EVENTS);
        if (events == NULL) continue;
        events->applied_ns = now_ns;
        events->number = domain->chat.number;
        mailbox_send(domain->web[i], &events->mail);
    }
    struct events_mail *append = outgoing_take(&domain->to_store, MAIL_APPEND);
    if (append != NULL) {
        append->index = index;
        append->raft_durable = domain->raft_durable = node_raft_durable(domain->node);
        mailbox_send(domain->store, &append->mail);
        node_lag(domain->node, tails_kept_bytes(domain->tails));
    }

    struct command_mail *answer = domain->answers;
    domain->answers = NULL;
    domain->answers_last = &domain->answers;
    domain->in_entry = false;
    while (answer != NULL) {
        struct command_mail *next = (struct command_mail *)answer->mail.next;
        send_answer(domain, answer);
        answer = next;
    }
    settle_reach(domain);
}

/* ---- commands, down from the web threads ---- */

static struct command_mail *mail_of_request(struct command_request *request)
{
    return (struct command_mail *)((char *)request - offsetof(struct command_mail, request));
}

static void on_answer(struct command_request *request, const struct answer *answer)
{
    struct command_mail *mail = mail_of_request(request);
    struct domain_thread *domain = mail->domain;
    mail->answer = *answer;
    if (!domain->in_entry) {
        send_answer(domain, mail);
        return;
    }
    mail->mail.next = NULL;
    *domain->answers_last = mail;
    domain->answers_last = (struct command_mail **)(void *)&mail->mail.next;
}

static void look_in_window(struct domain_thread *domain, struct command_mail *mail)
{
    const struct send_message *command = &mail->request.command;
    const struct window *window = &domain->chat.window;
    const struct window_entry *entry = window_find(window, &command->id);
    if (entry != NULL) {
        uint64_t content = command_content(&command->sender_id, command->room, command->text);
        mail->check = entry->content == content ? CHECK_KNOWN : CHECK_USED;
        mail->answer.number = entry->number;
        return;
    }
    bool is_whole = window->first <= 1 || command->unseen_up_to + 1 >= window->first;
    mail->check = is_whole ? CHECK_NOT_FOUND : CHECK_RETRY;
}

static void on_barrier(struct barrier_request *request, int status)
{
    struct command_mail *mail =
        (struct command_mail *)((char *)request - offsetof(struct command_mail, barrier));
    struct domain_thread *domain = mail->domain;
    if (status != 0)
        mail->check = CHECK_NOBODY;
    else
        look_in_window(domain, mail);
    send_answer(domain, mail);
}

static void take_command(struct domain_thread *domain, struct command_mail *mail)
{
    mail->domain = domain;
    if (domain->node == NULL || domain->is_quiet) { /* too late: this node is stopping */
        mail->answer = forward_not_taken(&mail->request.command, CHAT_NO_LEADER);
        mail->check = CHECK_NOBODY;
        send_answer(domain, mail); /* a web thread does not end before it has all its answers */
        return;
    }
    if (mail->is_check) {
        mail->barrier.on_barrier = on_barrier;
        node_barrier(domain->node, &mail->barrier);
        return;
    }
    mail->request.on_answer = on_answer;
    node_send(domain->node, &mail->request);
}

/* ---- changes of the members, down from the web threads ---- */

static void on_changed(struct change_request *request, const struct change_answer *answer)
{
    struct change_mail *mail =
        (struct change_mail *)((char *)request - offsetof(struct change_mail, request));
    mail->answer = *answer;
    mailbox_send(web_thread_mailbox(mail->thread), &mail->mail);
}

static void take_change(struct domain_thread *domain, struct change_mail *mail)
{
    mail->domain = domain;
    mail->request.on_changed = on_changed;
    if (domain->node != NULL && !domain->is_quiet) {
        node_change(domain->node, &mail->request);
        return;
    }
    struct change_answer answer = {.result = CHANGE_REFUSED, .word = "stopping"};
    snprintf(answer.sentence, sizeof answer.sentence, "This node is stopping. Ask another one.");
    on_changed(&mail->request, &answer);
}

/* ---- how things stand ---- */

/* The first check that fails: none is known of a leader before a gap is, and so on. */
static void log_not_ready(const struct snapshot *snapshot)
{
    struct ready_check checks[READY_CHECKS];
    size_t i = 0;
    status_checks(checks, snapshot);
    while (i < READY_CHECKS - 1 && checks[i].holds)
        i++;
    log_warn("not ready", "check=%s reason=\"%s\" number=%" PRIu64, checks[i].name, checks[i].why,
             snapshot->events);
}

static void log_ready(struct domain_thread *domain, const struct snapshot *snapshot)
{
    if (snapshot->ready == domain->was_ready) return;
    domain->was_ready = snapshot->ready;
    if (snapshot->ready) {
        log_info("ready", "http=%s role=%s number=%" PRIu64 " uptime_ms=%" PRIu64, snapshot->http,
                 snapshot->cluster.is_leader ? "leader" : "follower", snapshot->events,
                 snapshot->uptime_ms);
    } else if (!snapshot->draining) {
        log_not_ready(snapshot);
    }
}

static void tell_snapshot(struct domain_thread *domain)
{
    if (domain->web_count == 0 || domain->node == NULL) return;

    struct snapshot_input input = {.config = domain->config,
                                   .node = domain->node,
                                   .chat = &domain->chat,
                                   .tails = domain->tails,
                                   .vitals = &domain->vitals,
                                   .now_ms = uv_now(&domain->loop),
                                   .wall_ms = clock_wall_ms()};
    struct snapshot *snapshot = snapshot_make(&input);
    log_ready(domain, snapshot);
    for (int i = 0; i < domain->web_count; i++) {
        struct snapshot_mail *mail = mem_new(sizeof *mail);
        mail->mail.kind = MAIL_SNAPSHOT;
        mail->snapshot = snapshot_ref(snapshot);
        mailbox_send(domain->web[i], &mail->mail);
    }
    snapshot_unref(snapshot);
}

/* How far raft's log is goes with the events. When none come it goes alone: should the log ever end before
 * what it had, the store remembers. */
static void send_marks(struct domain_thread *domain)
{
    uint64_t raft_durable = node_raft_durable(domain->node);
    if (raft_durable <= domain->raft_durable) return;
    domain->raft_durable = raft_durable;
    struct events_mail *mail = mem_new(sizeof *mail);
    mail->mail.kind = MAIL_APPEND;
    mail->index = domain->chat.index;
    mail->raft_durable = raft_durable;
    mailbox_send(domain->store, &mail->mail);
}

static void on_disk_looked(struct disk_look *look)
{
    struct domain_thread *domain =
        (struct domain_thread *)((char *)look - offsetof(struct domain_thread, disk));
    domain->vitals.raft_bytes = look->raft_bytes;
    domain->vitals.free_bytes = look->free_bytes;
    if (domain->node != NULL) node_disk(domain->node, look->free_bytes);
}

static void on_second(uv_timer_t *timer)
{
    struct domain_thread *domain = timer->data;
    struct vitals *vitals = &domain->vitals;
    struct cluster_status cluster;
    struct web_counters web;
    if (domain->node == NULL) return;

    node_status(domain->node, &cluster);
    vitals_tick(vitals, &cluster, vitals_live(&cluster, domain->chat.number));
    disk_look(&domain->disk, &domain->loop, vitals->seconds % 10 == 1);
    vitals_web(vitals, &web);
    node_set_browsers(domain->node, web.conn.websockets,
                      vitals->history_bytes + vitals->raft_bytes);
    send_marks(domain);
    tell_snapshot(domain);
}

static void on_soon(uv_timer_t *timer)
{
    tell_snapshot(timer->data);
}

static void on_change(void *owner)
{
    struct domain_thread *domain = owner;
    if (!uv_is_active((uv_handle_t *)&domain->soon))
        uv_timer_start(&domain->soon, on_soon, CHANGE_SOON_MS, 0);
}

/* Who waits for an event has a time limit too. */
static void on_delay(void *owner)
{
    struct domain_thread *domain = owner;
    settle_reach(domain);
    /* A load that ended may have let events go, with no mail of the store behind it. */
    if (domain->node != NULL) node_lag(domain->node, tails_kept_bytes(domain->tails));
}

static void on_cluster_event(void *owner, const struct cluster_event *event)
{
    struct domain_thread *domain = owner;
    vitals_event(&domain->vitals, event);
    on_change(domain);
}

static void on_fatal(void *owner, int exit_code, const char *sentence)
{
    (void)owner;
    fatal(exit_code, exit_code == 1 ? "node failed" : "node cannot run", sentence);
}

static void on_removed(void *owner)
{
    struct domain_thread *domain = owner;
    struct drain_mail *mail = mem_new(sizeof *mail);
    *mail = (struct drain_mail){.mail.kind = MAIL_DRAIN_ASKED, .timeout_ms = DRAIN_DEFAULT_MS};
    snprintf(mail->reason, sizeof mail->reason, "removed from the cluster");
    mailbox_send(domain->main, &mail->mail);
}

/* ---- mail ---- */

static void on_tail(void *owner, int thread_number, struct room_mail *tail)
{
    struct domain_thread *domain = owner;
    if (thread_number < domain->web_count) {
        mailbox_send(domain->web[thread_number], &tail->mail);
        return;
    }
    shared_unref_all(tail->messages, tail->count); /* quiet already */
    mem_free(tail);
}

/* -1 once this thread is quiet. */
static int thread_number(const struct domain_thread *domain, struct web_thread *thread)
{
    const struct mailbox *box = web_thread_mailbox(thread);
    for (int i = 0; i < domain->web_count; i++)
        if (domain->web[i] == box) return i;
    return -1;
}

/* The aggregate knows each room of which an event came here, this node's store included. What a gap lacks is in
 * neither, and comes the way of new events. */
static void open_room(struct domain_thread *domain, struct slice room, int number)
{
    if (chat_find_room(&domain->chat, room) == NULL)
        tails_open_empty(domain->tails, room, number);
    else
        tails_open(domain->tails, room, number);
}

static void take_room(struct domain_thread *domain, struct room_mail *mail)
{
    struct slice room = slice_make(mail->room, mail->room_len);
    int number = thread_number(domain, mail->thread);
    bool is_open = mail->mail.kind == MAIL_ROOM_OPEN;
    if (number >= 0 && is_open) open_room(domain, room, number);
    if (number >= 0 && !is_open) tails_close(domain->tails, room, number);
    mem_free(mail);
}

static void take_presence(struct domain_thread *domain, struct presence_mail *mail)
{
    struct slice room = slice_make(mail->room, mail->room_len);
    struct slice name = slice_make(mail->name, mail->name_len);
    if (domain->node != NULL) {
        struct presence *presence = node_presence(domain->node);
        if (mail->what == PRESENCE_ENTER)
            presence_enter(presence, room, &mail->sender_id, name);
        else if (mail->what == PRESENCE_LEAVE)
            presence_leave(presence, room, &mail->sender_id);
        else
            presence_typing(presence, room, &mail->sender_id, uv_now(&domain->loop));
    }
    mem_free(mail);
}

static void take_durable(struct domain_thread *domain, struct durable_mail *mail)
{
    tails_durable(domain->tails, mail->number);
    if (domain->node != NULL) {
        node_durable(domain->node, mail->number);
        node_lag(domain->node, tails_kept_bytes(domain->tails));
    }
    domain->vitals.durable = mail->number;
    domain->vitals.history_bytes = mail->disk_bytes;
    domain->vitals.store_fsync = mail->fsync;
    mem_free(mail);
}

static void take_reach(struct domain_thread *domain, struct reach_mail *mail)
{
    if (domain->web_count == 0) {
        mem_free(mail);
        return;
    }
    reach_add(&domain->reach, mail, uv_now(&domain->loop));
    settle_reach(domain);
}

static void drain(struct domain_thread *domain)
{
    domain->vitals.draining = true;
    if (domain->node == NULL) return;
    node_transfer(domain->node, NULL); /* refused when it does not lead: nothing to hand over */
    tell_snapshot(domain);
}

static void report(const struct domain_thread *domain)
{
    struct cluster_status cluster;
    char sentence[BOARD_SENTENCE_MAX];
    if (domain->node == NULL) return;
    node_status(domain->node, &cluster);
    bool lacks_some = cluster.has_gap && cluster.gap.goal > domain->chat.number;
    uint64_t missing = lacks_some ? cluster.gap.goal - domain->chat.number : 0;
    board_sentence(sentence, &cluster);
    log_info("status",
             "sentence=\"%s\" leader=%s term=%" PRIu64 " number=%" PRIu64 " durable=%" PRIu64
             " missing=%" PRIu64 " commit_index=%" PRIu64 " applied_index=%" PRIu64
             " pending=%" PRIu64 " rooms=%zu",
             sentence, cluster.leader[0] == '\0' ? "-" : cluster.leader, cluster.term,
             domain->chat.number, domain->vitals.durable, missing, cluster.commit_index,
             cluster.applied_index, cluster.pending, domain->chat.rooms_count);
}

static void now_quiet(void *owner)
{
    struct domain_thread *domain = owner;
    domain->node = NULL;
    settle_reach(domain);
    domain->web_count = 0;
    uv_sem_post(&domain->quiet);
}

static void stop(struct domain_thread *domain)
{
    assert(domain->node == NULL);
    uv_close((uv_handle_t *)&domain->second, NULL);
    uv_close((uv_handle_t *)&domain->soon, NULL);
    loop_delay_stop(&domain->delay);
    mailbox_close(&domain->mailbox);
}

static void on_mail(void *owner, struct mail *mail)
{
    struct domain_thread *domain = owner;
    switch (mail->kind) {
    case MAIL_COMMAND:
    case MAIL_CHECK: take_command(domain, (struct command_mail *)mail); return;
    case MAIL_CHANGE: take_change(domain, (struct change_mail *)mail); return;
    case MAIL_ROOM_OPEN:
    case MAIL_ROOM_CLOSE: take_room(domain, (struct room_mail *)mail); return;
    case MAIL_REACH: take_reach(domain, (struct reach_mail *)mail); return;
    case MAIL_REACH_END: reach_drop(&domain->reach, &((const struct reach_mail *)mail)->who); break;
    case MAIL_PRESENCE: take_presence(domain, (struct presence_mail *)mail); return;
    case MAIL_DURABLE: take_durable(domain, (struct durable_mail *)mail); return;
    case MAIL_COUNTERS: {
        const struct counters_mail *counters = (const struct counters_mail *)mail;
        domain->vitals.threads[counters->thread_number] = counters->counters;
        break;
    }
    case MAIL_DRAIN: drain(domain); break;
    case MAIL_REPORT: report(domain); break;
    case MAIL_QUIET:
        domain->is_quiet = true;
        send_marks(domain);
        node_stop(domain->node, now_quiet, domain);
        break;
    case MAIL_STOP: stop(domain); break;
    default: assert(false && "a mail that the domain thread knows"); break;
    }
    mem_free(mail);
}

/* ---- start and stop ---- */

static void run(void *argument)
{
    struct domain_thread *domain = argument;
    uv_run(&domain->loop, UV_RUN_DEFAULT);
}

static int start_node(struct domain_thread *domain, struct errmsg *errmsg)
{
    const struct config *config = domain->config;
    struct node_options node_options = {
        .loop = &domain->loop,
        .handler = {.owner = domain,
                    .on_event = on_event,
                    .on_entry = on_entry,
                    .on_change = on_change,
                    .on_cluster_event = on_cluster_event,
                    .on_fatal = on_fatal,
                    .on_removed = on_removed},
        .chat = &domain->chat,
        .dir = domain->dir,
        .meta = domain->meta,
        .name = config->node.name,
        .cluster_name = config->cluster.name,
        .listen = config->cluster.listen,
        .advertise = config->cluster.advertise,
        .http_url = config->http.public_url,
        .version = domain->version,
        .peers = config->cluster.peers,
        .peers_count = config->cluster.peers_count,
        .join = config->cluster.join,
        .store = domain->event_store,
        .keep_log = config->store.keep_log,
        .secret = domain->secret,
        .heartbeat_ms = config->cluster.heartbeat_ms,
        .election_timeout_ms = config->cluster.election_timeout_ms,
    };
    return node_start(&domain->node, &node_options, errmsg);
}

int domain_thread_start(struct domain_thread **out, const struct domain_thread_options *options,
                        struct errmsg *errmsg)
{
    const struct config *config = options->config;
    struct chat_limits limits = {.text_code_points_max = config->chat.message_max,
                                 .rate = config->chat.rate,
                                 .rate_window_ms = config->chat.rate_window_ms};
    struct domain_thread *domain = mem_new(sizeof *domain);
    domain->config = config;
    domain->dir = options->dir;
    domain->event_store = options->store;
    domain->secret = options->secret;
    domain->main = options->main;
    domain->version = options->version;
    domain->disk = (struct disk_look){.dir = options->dir, .on_looked = on_disk_looked};
    domain->answers_last = &domain->answers;
    chat_init(&domain->chat, &limits);

    int rv = event_store_restore(options->store, &domain->chat, errmsg);
    if (rv != 0) goto fail;
    event_store_meta(options->store, &domain->meta);
    domain->raft_durable = domain->meta.raft_durable;

    uv_loop_init(&domain->loop);
    uv_sem_init(&domain->quiet, 0);
    vitals_init(&domain->vitals, uv_now(&domain->loop), clock_wall_ms(), domain->chat.number);
    domain->vitals.durable = domain->meta.number;
    domain->vitals.history_bytes = event_store_disk_bytes(options->store);
    domain->tails = tails_new(&domain->loop, options->store, domain->meta.number, on_tail, domain);
    mailbox_init(&domain->mailbox, &domain->loop, on_mail, domain);
    uv_timer_init(&domain->loop, &domain->second);
    uv_timer_init(&domain->loop, &domain->soon);
    domain->second.data = domain->soon.data = domain;
    uv_timer_start(&domain->second, on_second, LISTS_EVERY_MS, LISTS_EVERY_MS);
    loop_delay_start(&domain->delay, &domain->loop, &domain->vitals.domain_delay, on_delay, domain);
    *out = domain;
    return 0;

fail:
    chat_close(&domain->chat);
    mem_free(domain);
    return rv;
}

struct mailbox *domain_thread_mailbox(struct domain_thread *domain)
{
    return &domain->mailbox;
}

void domain_thread_web(struct domain_thread *domain, struct web_thread *const *threads,
                       size_t threads_count)
{
    assert(threads_count <= VITALS_THREADS_MAX);
    for (size_t i = 0; i < threads_count; i++)
        domain->web[i] = web_thread_mailbox(threads[i]);
    domain->web_count = (int)threads_count;
}

void domain_thread_store(struct domain_thread *domain, struct mailbox *store)
{
    domain->store = store;
}

int domain_thread_run(struct domain_thread *domain, struct errmsg *errmsg)
{
    int rv = start_node(domain, errmsg);
    if (rv != 0) return rv;
    rv = uv_thread_create(&domain->thread, run, domain);
    if (rv == 0) return 0;
    errmsg_set(errmsg, "domain thread: %s", uv_strerror(rv));
    return ERR_IO;
}

void domain_thread_wait_quiet(struct domain_thread *domain)
{
    uv_sem_wait(&domain->quiet);
}

void domain_thread_join(struct domain_thread *domain)
{
    uv_thread_join(&domain->thread);
    uv_loop_close(&domain->loop);
    uv_sem_destroy(&domain->quiet);
    tails_free(domain->tails);
    chat_close(&domain->chat);
    reach_close(&domain->reach);
    mem_free(domain->to_store.events);
    for (size_t i = 0; i < VITALS_THREADS_MAX; i++)
        mem_free(domain->to_web[i].events);
    mem_free(domain);
}
