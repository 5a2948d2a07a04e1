/* "Is everything applied here that anybody had accepted before now?"
 *
 * A node asks the leader (RPC_BARRIER). The leader waits until all that it had queued then is in the
 * log, appends a barrier of raft's behind it, and when that is committed, which no leader that was
 * deposed without knowing it can do, answers with its last index. The asker waits until it has applied
 * that much. Asks that come while a barrier is on its way share the next one.
 * One question stands for all requests that the asker had by then: ten thousand pages that come back
 * at once ask one.
 *
 * The asker's ids rise from where it is told to begin, so an answer to another run of it, which began elsewhere, is
 * for nobody.
 *
 * It is sent again after 1.5 election timeouts and when the leader changes; after
 * BARRIER_DEADLINE_MS the answer is ERR_TIMEOUT, or ERR_NO_LEADER when there is none.
 *
 * Knows neither raft nor libuv. The domain thread.
 */
#pragma once
#include "cluster/node.h"

struct barrier;

struct barrier_handler {
    void *owner;
    /* To the leader, this node perhaps: barrier_asked there. */
    void (*ask)(void *owner, uint64_t id);
    /* The leader's answer to a node, itself perhaps: barrier_replied there. */
    void (*reply)(void *owner, uint64_t to, uint64_t id);
    /* Append a barrier; barrier_committed follows. False: not now (not the leader). */
    bool (*append)(void *owner);
};

/* The first question has the id behind `last_id`. */
struct barrier *barrier_new(unsigned election_timeout_ms, uint64_t last_id,
                            const struct barrier_handler *handler);
/* Answers what waits with ERR_CLOSED. */
void barrier_free(struct barrier *barrier);

/* ---- the asker ---- */

void barrier_add(struct barrier *barrier, struct barrier_request *request, uint64_t now_ms);
void barrier_flush(struct barrier *barrier, bool has_leader, uint64_t now_ms);
void barrier_tick(struct barrier *barrier, bool has_leader, uint64_t now_ms);
void barrier_leader_changed(struct barrier *barrier);
/* The leader had applied up to `index`: for the request `id` and all before it. */
void barrier_replied(struct barrier *barrier, uint64_t id, uint64_t index, uint64_t applied);
/* This node has applied up to here. */
void barrier_applied(struct barrier *barrier, uint64_t applied);

/* ---- the leader ---- */

/* `mark`: see propose_mark. More than BARRIERS_WAITING_MAX are dropped: they ask again. */
void barrier_asked(struct barrier *barrier, uint64_t from, uint64_t id, uint64_t mark);
/* After the queue has moved: appends a barrier if somebody waits and all before it has passed. */
void barrier_pump(struct barrier *barrier, bool (*passed)(void *owner, uint64_t mark), void *owner);
/* The one that was appended is applied, or (not ok) leadership was lost. */
void barrier_committed(struct barrier *barrier, bool is_ok);
