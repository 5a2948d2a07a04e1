#include "app/chores.h"

#include <assert.h>

#include <utlist.h>

#include "base/hash_table.h"
#include "base/mem.h"
#include "web/addresses.h"

struct later {
    uv_timer_t timer;
    struct chores *chores;
    void (*run)(void *owner);
    void *owner;
    struct later *next, *prev;
};

struct asker { /* an address that has reads under way; it goes with the last of them */
    UT_hash_handle hh;
    unsigned reads;
    unsigned len;
    char address[ADDRESS_TEXT_MAX];
};

struct read {
    uv_work_t work;
    struct chores *chores;
    void (*run)(void *owner, struct event_reader *reader, int status);
    void (*done)(void *owner);
    void *owner;
    struct asker *asker;
    struct read *next, *prev; /* while it waits */
};

struct chores {
    uv_loop_t *loop;
    struct event_store *store;
    struct later *laters;
    struct asker *askers;
    struct read *waiting; /* reads whose turn has not come */
    unsigned reads;       /* running and waiting */
    unsigned running;
    bool is_stopping;
};

struct chores *chores_new(uv_loop_t *loop, struct event_store *store)
{
    struct chores *chores = mem_new(sizeof *chores);
    *chores = (struct chores){.loop = loop, .store = store};
    return chores;
}

void chores_free(struct chores *chores)
{
    assert(chores->laters == NULL && chores->reads == 0);
    mem_free(chores);
}

static void on_later_closed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

static void run_later(struct later *later)
{
    void (*run)(void *owner) = later->run;
    void *owner = later->owner;
    DL_DELETE(later->chores->laters, later);
    uv_close((uv_handle_t *)&later->timer, on_later_closed);
    run(owner);
}

static void on_later(uv_timer_t *timer)
{
    run_later(timer->data);
}

void chores_stop(struct chores *chores)
{
    chores->is_stopping = true;
    while (chores->laters != NULL)
        run_later(chores->laters);
}

struct later *chores_later(struct chores *chores, uint32_t ms, void (*run)(void *owner),
                           void *owner)
{
    struct later *later = mem_new(sizeof *later);
    *later = (struct later){.chores = chores, .run = run, .owner = owner};
    uv_timer_init(chores->loop, &later->timer);
    later->timer.data = later;
    DL_APPEND(chores->laters, later);
    uv_timer_start(&later->timer, on_later, chores->is_stopping ? 0 : ms, 0);
    return later;
}

void chores_cancel(struct later *later)
{
    DL_DELETE(later->chores->laters, later);
    uv_close((uv_handle_t *)&later->timer, on_later_closed);
}

unsigned chores_pool_threads(uint32_t web_threads)
{
    return POOL_OTHERS + READS_RUNNING_MAX * web_threads;
}

/* NULL if it has as many reads under way as it may. */
static struct asker *asker_enter(struct chores *chores, struct slice address)
{
    struct asker *asker;
    struct slice text = slice_first(address, ADDRESS_TEXT_MAX);
    HASH_FIND(hh, chores->askers, text.at, text.len, asker);
    if (asker == NULL) {
        asker = mem_new(sizeof *asker);
        asker->len = (unsigned)text.len;
        memcpy(asker->address, text.at, text.len);
        HASH_ADD_KEYPTR(hh, chores->askers, asker->address, asker->len, asker);
    }
    if (asker->reads == READS_PER_ADDRESS_MAX) return NULL;
    asker->reads++;
    return asker;
}

static void asker_leave(struct chores *chores, struct asker *asker)
{
    if (--asker->reads > 0) return;
    HASH_DEL(chores->askers, asker);
    mem_free(asker);
}

static void on_pool(uv_work_t *work)
{
    struct read *read = work->data;
    struct event_reader *reader;
    int status = event_reader_open(&reader, read->chores->store, NULL);
    if (status != 0) {
        read->run(read->owner, NULL, status);
        return;
    }
    status = event_reader_begin(reader, NULL);
    read->run(read->owner, status == 0 ? reader : NULL, status);
    if (status == 0) event_reader_end(reader);
    event_reader_close(reader);
}

static void on_read(uv_work_t *work, int status);

static void run_read(struct read *read)
{
    struct chores *chores = read->chores;
    int rv = uv_queue_work(chores->loop, &read->work, on_pool, on_read);
    assert(rv == 0);
    chores->running++;
}

static void on_read(uv_work_t *work, int status)
{
    struct read *read = work->data;
    struct chores *chores = read->chores;
    void (*done)(void *owner) = read->done;
    void *owner = read->owner;
    (void)status;
    chores->reads--;
    chores->running--;
    asker_leave(chores, read->asker);
    mem_free(read);
    if (chores->waiting != NULL) {
        struct read *next = chores->waiting;
        DL_DELETE(chores->waiting, next);
        run_read(next);
    }
    done(owner);
}

int chores_read(struct chores *chores, struct slice address,
                void (*run)(void *owner, struct event_reader *reader, int status),
                void (*done)(void *owner), void *owner)
{
    if (chores->reads == READS_MAX) return ERR_BUSY;
    struct asker *asker = asker_enter(chores, address);
    if (asker == NULL) return ERR_BUSY;
    struct read *read = mem_new(sizeof *read);
    *read =
        (struct read){.chores = chores, .asker = asker, .run = run, .done = done, .owner = owner};
    read->work.data = read;
    chores->reads++;
    if (chores->running < READS_RUNNING_MAX)
        run_read(read);
    else
        DL_APPEND(chores->waiting, read);
    return 0;
}
