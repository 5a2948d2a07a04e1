/* Start: directory, secret, event store, domain thread's state, web threads (their sockets are bound),
 * store thread, then the node and all loops. Stop, when a signal asks for it, an administrator, or the
 * cluster that has removed this node (MAIL_DRAIN_ASKED), in the order that mail needs; what asks again can
 * only shorten the time that browsers have:
 *
 *     DRAIN -> domain    leadership away; /readyz says no
 *     DRAIN -> web       listener closed, then browsers with 1012
 *     QUIET -> domain    the node stops, every waiting command is answered; it mails nobody any more
 *     STOP  -> web       joined
 *     STOP  -> store     commits what is left, tells the domain thread, joined
 *     STOP  -> domain    joined
 */
#include "app/serve.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <unistd.h>

#include <uv.h>

#include "app/domain_thread.h"
#include "app/fatal.h"
#include "app/secret.h"
#include "app/store_thread.h"
#include "app/version.h"
#include "app/web_thread.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"

enum { HAND_OVER_MS = 100, DRAIN_BY_SIGNAL_MS = 3000, POLL_MS = 10 };

enum phase { RUNNING, HANDING_OVER, DRAINING, STOPPING };

struct server {
    const struct config *config;
    struct data_dir dir;
    struct secret secret;
    struct event_store *event_store;
    struct domain_thread *domain;
    struct store_thread *store;
    struct web_thread *web[HTTP_THREADS_MAX];
    uint32_t web_count;
    uv_sem_t drained; /* posted once by each web thread */
    uint32_t drained_count;
    uv_loop_t loop; /* signals, what asks to stop, and the clock of stopping */
    struct mailbox mailbox;
    uv_signal_t term, interrupt, hangup, usr1;
    uv_timer_t timer;
    enum phase phase;
    uint64_t draining_at_ms; /* not before: leadership goes first */
    uint64_t stop_at_ms;     /* whoever is there yet is left behind */
    bool was_signalled;
};

static void mail_to(struct mailbox *box, int kind)
{
    struct mail *mail = mem_new(sizeof *mail);
    mail->kind = kind;
    mailbox_send(box, mail);
}

/* ---- stopping ---- */

static void enter(struct server *server, enum phase phase)
{
    server->phase = phase;
    if (phase == HANDING_OVER) mail_to(domain_thread_mailbox(server->domain), MAIL_DRAIN);
    if (phase == DRAINING)
        for (uint32_t i = 0; i < server->web_count; i++)
            mail_to(web_thread_mailbox(server->web[i]), MAIL_DRAIN);
    if (phase == STOPPING) uv_stop(&server->loop);
}

static void on_poll(uv_timer_t *timer)
{
    struct server *server = timer->data;
    uint64_t now_ms = uv_now(&server->loop);
    if (server->phase == HANDING_OVER) {
        if (now_ms >= server->draining_at_ms) enter(server, DRAINING);
        return;
    }
    while (uv_sem_trywait(&server->drained) == 0)
        server->drained_count++;
    if (server->phase != DRAINING) return;
    bool all_gone = server->drained_count >= server->web_count;
    if (!all_gone && now_ms < server->stop_at_ms) return;
    if (!all_gone) log_info("browsers are left behind", "note=\"they had their time\"");
    enter(server, STOPPING);
}

/* Browsers have so long from now on; one that stops already goes on stopping, never for longer. */
static void stop_within(struct server *server, uint32_t browsers_ms)
{
    uint64_t now_ms = uv_now(&server->loop), stop_at_ms = now_ms + browsers_ms;
    if (server->phase != RUNNING) {
        if (stop_at_ms < server->stop_at_ms) server->stop_at_ms = stop_at_ms;
        return;
    }
    server->draining_at_ms = now_ms + HAND_OVER_MS;
    server->stop_at_ms = stop_at_ms;
    enter(server, HANDING_OVER);
    uv_timer_start(&server->timer, on_poll, POLL_MS, POLL_MS);
}

static void on_stop_signal(uv_signal_t *handle, int number)
{
    struct server *server = handle->data;
    if (server->was_signalled) {
        log_warn("stopping at once", "signal=%d", number);
        _exit(0);
    }
    server->was_signalled = true;
    log_info("stopping", "signal=%d", number);
    stop_within(server, DRAIN_BY_SIGNAL_MS);
}

static void on_mail(void *owner, struct mail *mail)
{
    struct server *server = owner;
    assert(mail->kind == MAIL_DRAIN_ASKED);
    const struct drain_mail *drain = (const struct drain_mail *)mail;
    log_info("stopping", "reason=\"%s\" timeout_ms=%u", drain->reason, (unsigned)drain->timeout_ms);
    stop_within(server, drain->timeout_ms);
    mem_free(mail);
}

static void on_hangup(uv_signal_t *handle, int number)
{
    struct server *server = handle->data;
    struct secret secret;
    struct errmsg errmsg = {{0}};
    int level = server->config->log.level;
    (void)number;
    if (config_log_level_now(server->config, &level, &errmsg) == 0)
        log_set_level((enum log_level)level);
    else
        log_warn("log level not read again", "reason=\"%s\"", errmsg.text);
    if (secret_read(&secret, server->config->node.secret_file, &errmsg) != 0)
        log_warn("secret not read again", "reason=\"%s\"", errmsg.text);
    else if (secret.count != server->secret.count ||
             memcmp(secret.lens, server->secret.lens, sizeof secret.lens) != 0 ||
             memcmp(secret.bytes, server->secret.bytes, sizeof secret.bytes) != 0)
        log_warn("secret has changed", "note=\"it is taken up at the next start\"");
    crypto_forget(&secret, sizeof secret);
    log_info("read again", "log_level=%d", level);
}

static void on_usr1(uv_signal_t *handle, int number)
{
    struct server *server = handle->data;
    (void)number;
    mail_to(domain_thread_mailbox(server->domain), MAIL_REPORT);
}

static void watch_signal(struct server *server, uv_signal_t *handle, uv_signal_cb on_signal,
                         int number)
{
    uv_signal_init(&server->loop, handle);
    handle->data = server;
    uv_signal_start(handle, on_signal, number);
}

/* What comes from here on finds a node that has stopped: it is not to end in another way for that. */
static void unwatch_signal(uv_signal_t *handle, int number)
{
    uv_close((uv_handle_t *)handle, NULL); /* libuv gives it its first meaning back */
    (void)signal(number, SIG_IGN);
}

static void stop_all(struct server *server)
{
    /* Nobody looks at signals from here on. Should something hang, the process ends all the same. */
    alarm(STOP_MAX_S);
    mail_to(domain_thread_mailbox(server->domain), MAIL_QUIET);
    domain_thread_wait_quiet(server->domain);
    for (uint32_t i = 0; i < server->web_count; i++)
        mail_to(web_thread_mailbox(server->web[i]), MAIL_STOP);
    for (uint32_t i = 0; i < server->web_count; i++)
        web_thread_join(server->web[i]);
    /* The store first tells the domain thread of its last commit, so it is joined before that ends. */
    mail_to(store_thread_mailbox(server->store), MAIL_STOP);
    store_thread_join(server->store);
    mail_to(domain_thread_mailbox(server->domain), MAIL_STOP);
    domain_thread_join(server->domain);
}

/* ---- starting ---- */

static int exit_code_of(int rv)
{
    if (rv == ERR_DATA || rv == ERR_DENIED || rv == ERR_BUSY || rv == ERR_FORMAT ||
        rv == ERR_TOO_LARGE)
        return 3;
    if (rv == ERR_BIND) return 4;
    if (rv == ERR_CONFIG) return 2;
    return 1;
}

/* Founders give their cluster an id that each of them computes. A lone one has nobody to ask whether it has
 * been here before: its cluster gets an id at random, so that without its directory it begins another
 * cluster, and cannot be taken for the member that it was when others have joined it since. */
static void new_cluster(const struct server *server, uint8_t cluster[16])
{
    static const uint8_t unbound[16];
    const struct config *config = server->config;
    struct event_meta meta;
    if (config->cluster.peers_count > 1) {
        cluster_id_of(cluster, config->cluster.name, config->cluster.peers,
                      config->cluster.peers_count);
        return;
    }
    event_store_meta(server->event_store, &meta); /* of a first start that was cut off */
    memcpy(cluster, meta.cluster, sizeof meta.cluster);
    if (memcmp(cluster, unbound, sizeof unbound) == 0) crypto_random(cluster, sizeof unbound);
}

enum { REBUILD_LOG_MS = 5000 };

static void on_rebuilt(void *owner, uint64_t number, uint64_t of)
{
    uint64_t *told_ms = owner, now_ms = clock_ms();
    if (now_ms - *told_ms < REBUILD_LOG_MS) return;
    *told_ms = now_ms;
    log_info("derived tables", "number=%" PRIu64 " of=%" PRIu64, number, of);
}

/* Another release keeps other tables beside the events, or the last rebuilding was cut off. */
static int rebuild(struct event_store *store, struct errmsg *errmsg)
{
    struct event_store_damage damage;
    uint64_t started_ms = clock_ms(), told_ms = started_ms;
    if (!event_store_must_rebuild(store)) return 0;
    log_info("derived tables are made again", "note=\"the node starts when they are there\"");
    int rv = event_store_rebuild(store, on_rebuilt, &told_ms, &damage, errmsg);
    if (rv == 0) log_info("derived tables", "took_ms=%" PRIu64, clock_ms() - started_ms);
    return rv;
}

/* What is here cannot be served, and must not be spread: the end, with the way back. */
static _Noreturn void end_damaged(struct server *server, const char *sentence)
{
    char rejoin[REJOIN_WORDS_MAX], text[REJOIN_WORDS_MAX + 1024];
    snprintf(server->dir.node, sizeof server->dir.node, "%s", server->config->node.name);
    data_dir_rejoin_words(&server->dir, server->config->cluster.advertise, rejoin);
    snprintf(text, sizeof text, "%s. %s", sentence, rejoin);
    fatal(3, "data not usable", text);
}

/* Any thread. */
static void on_damage(void *owner, const char *what)
{
    struct server *server = owner;
    char sentence[512];
    snprintf(sentence, sizeof sentence, "the history in %s is damaged: %s", server->dir.path, what);
    end_damaged(server, sentence);
}

static int open_history(struct server *server, struct errmsg *errmsg)
{
    static char history[512];
    data_dir_path(&server->dir, "history", history, sizeof history);
    struct event_store_options options = {.dir = history,
                                          .map_bytes = server->config->store.map_size,
                                          .on_damage = on_damage,
                                          .damage_owner = server};
    int rv = event_store_open(&server->event_store, &options, errmsg);
    if (rv == 0) rv = rebuild(server->event_store, errmsg);
    if (rv == ERR_DATA) end_damaged(server, errmsg->text);
    return rv;
}

static int open_data(struct server *server, struct errmsg *errmsg)
{
    const struct config *config = server->config;
    int rv = data_dir_open(&server->dir, config->node.data_dir, config->node.name, errmsg);
    if (rv == ERR_FORMAT) end_damaged(server, errmsg->text);
    if (rv != 0) return rv;

    bool joins = config->cluster.join[0] != '\0';
    bool is_alone = config->cluster.peers_count == 0 && !joins;
    rv = is_alone ? secret_read_or_make(&server->secret, config->node.secret_file, errmsg)
                  : secret_read(&server->secret, config->node.secret_file, errmsg);
    if (rv != 0) return ERR_CONFIG;

    rv = open_history(server, errmsg);
    if (rv != 0) return rv;

    bool is_new = server->dir.state == DATA_DIR_EMPTY;
    /* Who joins has no cluster yet: the node binds the store when it is let in. */
    if (server->dir.state == DATA_DIR_JOINING || (is_new && joins)) return 0;
    if (is_new) new_cluster(server, server->dir.cluster);
    return event_store_bind(server->event_store, server->dir.cluster, errmsg);
}

static int start_threads(struct server *server, struct errmsg *errmsg)
{
    const struct config *config = server->config;
    struct domain_thread_options domain = {.config = config,
                                           .dir = &server->dir,
                                           .store = server->event_store,
                                           .version = LIVETEA_VERSION,
                                           .secret = secret_slice(&server->secret, 0),
                                           .main = &server->mailbox};
    int rv = domain_thread_start(&server->domain, &domain, errmsg);
    if (rv == ERR_DATA) end_damaged(server, errmsg->text);
    if (rv != 0) return rv;
    struct mailbox *domain_box = domain_thread_mailbox(server->domain);

    server->web_count = config->http.threads;
    for (uint32_t i = 0; i < server->web_count; i++) {
        struct web_thread_options web = {.config = config,
                                         .number = (int)i,
                                         .domain = domain_box,
                                         .main = &server->mailbox,
                                         .store = server->event_store,
                                         .secret = &server->secret,
                                         .drained = &server->drained};
        rv = web_thread_start(&server->web[i], &web, errmsg);
        if (rv != 0) return rv;
    }
    domain_thread_web(server->domain, server->web, server->web_count);

    rv = store_thread_start(&server->store, server->event_store, domain_box, errmsg);
    if (rv != 0) return rv;
    domain_thread_store(server->domain, store_thread_mailbox(server->store));

    rv = domain_thread_run(server->domain, errmsg);
    for (uint32_t i = 0; rv == 0 && i < server->web_count; i++)
        rv = web_thread_run(server->web[i], errmsg);
    return rv;
}

int serve(const struct config *config)
{
    struct errmsg errmsg = {{0}};
    struct server *server = mem_new(sizeof *server);
    server->config = config;

    log_info("starting", "version=%s node=%s data=%s config=%s", LIVETEA_VERSION, config->node.name,
             config->node.data_dir, config->file[0] == '\0' ? "-" : config->file);
    uv_sem_init(&server->drained, 0);
    uv_loop_init(&server->loop);
    mailbox_init(&server->mailbox, &server->loop, on_mail, server);
    uv_timer_init(&server->loop, &server->timer);
    server->timer.data = server;
    int rv = open_data(server, &errmsg);
    if (rv == 0) {
        /* Before anybody is answered: who was may send one. They are looked at below. */
        watch_signal(server, &server->term, on_stop_signal, SIGTERM);
        watch_signal(server, &server->interrupt, on_stop_signal, SIGINT);
        watch_signal(server, &server->hangup, on_hangup, SIGHUP);
        watch_signal(server, &server->usr1, on_usr1, SIGUSR1);
        rv = start_threads(server, &errmsg);
    }
    if (rv != 0) {
        log_error("cannot start", "reason=\"%s\"",
                  errmsg.text[0] == '\0' ? err_words(rv) : errmsg.text);
        _exit(
            exit_code_of(rv)); /* half of the threads may be there: nothing to take down in order */
    }

    uv_run(&server->loop, UV_RUN_DEFAULT);

    stop_all(server);
    unwatch_signal(&server->term, SIGTERM);
    unwatch_signal(&server->interrupt, SIGINT);
    unwatch_signal(&server->hangup, SIGHUP);
    unwatch_signal(&server->usr1, SIGUSR1);
    uv_close((uv_handle_t *)&server->timer, NULL);
    mailbox_close(&server->mailbox);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    uv_loop_close(&server->loop);
    uv_sem_destroy(&server->drained);
    event_store_close(server->event_store);
    data_dir_close(&server->dir);
    crypto_forget(&server->secret, sizeof server->secret);
    mem_free(server);
    log_info("stopped", "node=%s", config->node.name);
    return 0;
}
