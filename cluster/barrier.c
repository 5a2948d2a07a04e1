#include "cluster/barrier.h"

#include <utlist.h>

#include "base/mem.h"

struct barrier_waiter { /* on the leader: one that asked */
    struct barrier_waiter *next, *prev;
    uint64_t from, id, mark;
};

struct barrier {
    struct barrier_handler handler;
    unsigned election_timeout_ms;
    uint64_t last_id;
    struct barrier_request *requests;
    size_t aimed;                     /* requests that know their target */
    uint64_t due_ms;                  /* no request asks before this */
    struct barrier_waiter *waiting;   /* for the next barrier */
    struct barrier_waiter *in_flight; /* for the one that was appended */
    size_t waiting_count;
};

static void answer(struct barrier *barrier, struct barrier_request *request, int status)
{
    DL_DELETE(barrier->requests, request);
    if (request->target != 0) barrier->aimed--;
    request->on_barrier(request, status);
}

struct barrier *barrier_new(unsigned election_timeout_ms, uint64_t last_id,
                            const struct barrier_handler *handler)
{
    struct barrier *barrier = mem_new(sizeof *barrier);
    *barrier = (struct barrier){
        .handler = *handler, .election_timeout_ms = election_timeout_ms, .last_id = last_id};
    return barrier;
}

static void forget(struct barrier *barrier, struct barrier_waiter **list)
{
    struct barrier_waiter *waiter, *next;
    DL_FOREACH_SAFE(*list, waiter, next) {
        DL_DELETE(*list, waiter);
        mem_free(waiter);
        barrier->waiting_count--;
    }
}

void barrier_free(struct barrier *barrier)
{
    while (barrier->requests != NULL)
        answer(barrier, barrier->requests, ERR_CLOSED);
    forget(barrier, &barrier->waiting);
    forget(barrier, &barrier->in_flight);
    mem_free(barrier);
}

/* ---- the asker ---- */

void barrier_add(struct barrier *barrier, struct barrier_request *request, uint64_t now_ms)
{
    request->id = ++barrier->last_id;
    request->target = 0;
    request->deadline_ms = now_ms + BARRIER_DEADLINE_MS;
    request->again_ms = 0;
    barrier->due_ms = 0;
    DL_APPEND(barrier->requests, request);
}

void barrier_flush(struct barrier *barrier, bool has_leader, uint64_t now_ms)
{
    struct barrier_request *request;
    uint64_t newest = 0;
    if (!has_leader || barrier->requests == NULL || now_ms < barrier->due_ms) return;
    barrier->due_ms = UINT64_MAX;
    DL_FOREACH(barrier->requests, request) {
        if (request->target != 0) continue;
        if (now_ms >= request->again_ms) {
            request->again_ms = now_ms + barrier->election_timeout_ms * 3 / 2;
            newest = request->id; /* the ids rise */
        }
        if (request->again_ms < barrier->due_ms) barrier->due_ms = request->again_ms;
    }
    if (newest != 0) barrier->handler.ask(barrier->handler.owner, newest);
}

void barrier_tick(struct barrier *barrier, bool has_leader, uint64_t now_ms)
{
    struct barrier_request *request, *next;
    DL_FOREACH_SAFE(barrier->requests, request, next) {
        if (now_ms < request->deadline_ms) continue;
        answer(barrier, request, has_leader ? ERR_TIMEOUT : ERR_NO_LEADER);
    }
}

void barrier_leader_changed(struct barrier *barrier)
{
    struct barrier_request *request;
    barrier->due_ms = 0;
    DL_FOREACH(barrier->requests, request) {
        request->again_ms = 0;
    }
}

void barrier_replied(struct barrier *barrier, uint64_t id, uint64_t index, uint64_t applied)
{
    struct barrier_request *request;
    if (id > barrier->last_id) return; /* another run's */
    DL_FOREACH(barrier->requests, request) {
        if (request->id > id) break; /* came after it was asked */
        if (request->target != 0) continue;
        request->target = index;
        barrier->aimed += index != 0;
    }
    barrier_applied(barrier, applied);
}

void barrier_applied(struct barrier *barrier, uint64_t applied)
{
    struct barrier_request *request, *next;
    if (barrier->aimed == 0) return;
    DL_FOREACH_SAFE(barrier->requests, request, next) {
        if (request->target != 0 && request->target <= applied) answer(barrier, request, 0);
    }
}

/* ---- the leader ---- */

void barrier_asked(struct barrier *barrier, uint64_t from, uint64_t id, uint64_t mark)
{
    if (barrier->waiting_count >= BARRIERS_WAITING_MAX) return;
    struct barrier_waiter *waiter = mem_new(sizeof *waiter);
    *waiter = (struct barrier_waiter){.from = from, .id = id, .mark = mark};
    DL_APPEND(barrier->waiting, waiter);
    barrier->waiting_count++;
}

void barrier_pump(struct barrier *barrier, bool (*passed)(void *owner, uint64_t mark), void *owner)
{
    if (barrier->in_flight != NULL || barrier->waiting == NULL) return;
    struct barrier_waiter *waiter, *next;
    DL_FOREACH_SAFE(barrier->waiting, waiter, next) {
        if (!passed(owner, waiter->mark)) break; /* the marks rise */
        DL_DELETE(barrier->waiting, waiter);
        DL_APPEND(barrier->in_flight, waiter);
    }
    if (barrier->in_flight == NULL) return;
    if (barrier->handler.append(barrier->handler.owner)) return;
    forget(barrier, &barrier->in_flight); /* they ask again */
}

void barrier_committed(struct barrier *barrier, bool is_ok)
{
    struct barrier_waiter *waiter;
    if (is_ok) {
        DL_FOREACH(barrier->in_flight, waiter) {
            barrier->handler.reply(barrier->handler.owner, waiter->from, waiter->id);
        }
    }
    forget(barrier, &barrier->in_flight);
    if (!is_ok) forget(barrier, &barrier->waiting);
}
