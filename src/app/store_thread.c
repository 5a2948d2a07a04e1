#include "app/store_thread.h"

#include "app/fatal.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

struct store_thread {
    uv_thread_t thread;
    uv_loop_t loop;
    uv_timer_t timer; /* active while something waits: for long enough, or for room on the disk */
    struct mailbox mailbox, *domain;
    struct event_store *store;
    struct shared **events; /* that wait for the next commit; one reference each */
    size_t count, size;
    uint64_t index, raft_durable; /* of the last of them */
    uint64_t number;              /* on disk */
    struct histogram fsync;
    bool is_full;
};

static void tell_domain(struct store_thread *store)
{
    struct durable_mail *mail = mem_new(sizeof *mail);
    *mail = (struct durable_mail){.mail.kind = MAIL_DURABLE,
                                  .number = store->number,
                                  .disk_bytes = event_store_disk_bytes(store->store),
                                  .fsync = store->fsync};
    mailbox_send(store->domain, &mail->mail);
}

/* The batch is kept as it is: a transaction that failed has written nothing. */
static void no_room(struct store_thread *store, const struct errmsg *errmsg)
{
    if (!store->is_full) {
        log_error("the event store has no room", "reason=\"%s\" events=%zu", errmsg->text,
                  store->count);
    }
    store->is_full = true;
    uv_timer_again(&store->timer);
}

/* The timer runs; afterwards only if there was no room. */
static void commit(struct store_thread *store)
{
    struct errmsg errmsg = {{0}};
    struct event_append append = {.events = store->events,
                                  .events_count = store->count,
                                  .index = store->index,
                                  .raft_durable = store->raft_durable};
    uint64_t before_ns = clock_ns();
    int rv = event_store_append(store->store, &append, &errmsg);
    if (rv == ERR_FULL) {
        no_room(store, &errmsg);
        return;
    }
    if (rv != 0) fatal(1, "event store failed", errmsg.text);
    uv_timer_stop(&store->timer);
    histogram_add(&store->fsync, (clock_ns() - before_ns) / 1000);
    if (store->is_full) log_info("the event store has room again", "events=%zu", store->count);
    store->is_full = false;
    store->number += store->count;
    shared_unref_all(store->events, store->count);
    store->count = 0;
    tell_domain(store);
}

static void on_timer(uv_timer_t *timer)
{
    commit(timer->data);
}

static void keep(struct store_thread *store, const struct events_mail *mail)
{
    if (store->count + mail->count > store->size) {
        store->size = 2 * (store->count + mail->count);
        store->events = mem_grow(store->events, store->size * sizeof *store->events);
    }
    if (mail->count > 0) {
        memcpy(store->events + store->count, mail->events, mail->count * sizeof *store->events);
    }
    store->count += mail->count;
    store->index = mail->index;
    store->raft_durable = mail->raft_durable;
}

static void append(struct store_thread *store, struct events_mail *mail)
{
    keep(store, mail);
    mem_free(mail);
    if (!uv_is_active((uv_handle_t *)&store->timer))
        uv_timer_start(&store->timer, on_timer, STORE_BATCH_MS, STORE_FULL_RETRY_MS);
    if (store->is_full) return; /* it tries again */
    bool is_enough = store->count >= STORE_BATCH_EVENTS_MAX ||
                     (store->count >= STORE_BATCH_EVENTS && !mailbox_has_more(&store->mailbox));
    if (is_enough) commit(store);
}

static void stop(struct store_thread *store)
{
    if (uv_is_active((uv_handle_t *)&store->timer)) commit(store);
    if (store->is_full) log_warn("stopped without room for events", "events=%zu", store->count);
    uv_close((uv_handle_t *)&store->timer, NULL);
    mailbox_close(&store->mailbox);
}

static void on_mail(void *owner, struct mail *mail)
{
    struct store_thread *store = owner;
    if (mail->kind == MAIL_APPEND) {
        append(store, (struct events_mail *)mail);
        return;
    }
    assert(mail->kind == MAIL_STOP);
    mem_free(mail);
    stop(store);
}

static void run(void *argument)
{
    struct store_thread *store = argument;
    uv_run(&store->loop, UV_RUN_DEFAULT);
}

int store_thread_start(struct store_thread **out, struct event_store *event_store,
                       struct mailbox *domain, struct errmsg *errmsg)
{
    struct event_meta meta;
    struct store_thread *store = mem_new(sizeof *store);
    event_store_meta(event_store, &meta);
    store->store = event_store;
    store->domain = domain;
    store->number = meta.number;

    int rv = uv_loop_init(&store->loop);
    if (rv != 0) goto fail;
    uv_timer_init(&store->loop, &store->timer);
    store->timer.data = store;
    mailbox_init(&store->mailbox, &store->loop, on_mail, store);

    rv = uv_thread_create(&store->thread, run, store);
    if (rv != 0) goto fail;
    *out = store;
    return 0;

fail:
    errmsg_set(errmsg, "store thread: %s", uv_strerror(rv));
    mem_free(store);
    return ERR_IO;
}

struct mailbox *store_thread_mailbox(struct store_thread *store)
{
    return &store->mailbox;
}

void store_thread_join(struct store_thread *store)
{
    uv_thread_join(&store->thread);
    uv_loop_close(&store->loop);
    shared_unref_all(store->events, store->count); /* there was no room for them */
    mem_free(store->events);
    mem_free(store);
}
