#include "cluster/forward.h"

#include <assert.h>

#include <utlist.h>

#include "base/crypto.h"
#include "base/mem.h"

enum request_state {
    REQUEST_NEW,    /* nobody has seen it but us */
    REQUEST_SENT,   /* one copy, without the mark */
    REQUEST_RETRIED /* the copy that was sent last has the mark; so will all later ones */
};

enum { RESULT_COMMITTED, RESULT_REFUSED, RESULT_NO_LEADER, RESULT_UNKNOWN, RESULT_DUPLICATE };

struct forward {
    struct chat *chat;
    struct forward_handler handler;
    unsigned election_timeout_ms;
    struct command_request *by_id; /* the first of each id; others hang on its `same` */
    struct command_request *all;   /* the same ones, oldest first */
    struct command_request *due, **due_last;
    uint64_t last_sending;
    size_t waiting;
    bool has_leader; /* at the end of the last turn */
    uint64_t results[5];
};

static unsigned hash_of(const struct command_id *id)
{
    return (unsigned)hash_keyed(id, sizeof *id);
}

static struct command_request *find(const struct forward *forward, const struct command_id *id)
{
    struct command_request *found;
    HASH_FIND_BYHASHVALUE(hh, forward->by_id, id, sizeof *id, hash_of(id), found);
    return found;
}

static void make_due(struct forward *forward, struct command_request *request)
{
    if (request->is_due) return;
    request->is_due = true;
    request->next_due = NULL;
    *forward->due_last = request;
    forward->due_last = &request->next_due;
}

static void not_due(struct forward *forward, struct command_request *request)
{
    if (!request->is_due) return;
    struct command_request **at = &forward->due;
    request->is_due = false;
    while (*at != NULL && *at != request)
        at = &(*at)->next_due;
    if (*at == NULL) return; /* being sent at this moment */
    *at = request->next_due;
    if (*at == NULL) forward->due_last = at;
}

static void count(struct forward *forward, const struct answer *answer, bool is_duplicate)
{
    size_t result = RESULT_UNKNOWN;
    if (answer->kind == ANSWER_ACCEPTED)
        result = is_duplicate ? RESULT_DUPLICATE : RESULT_COMMITTED;
    if (answer->kind == ANSWER_REFUSED) {
        result = answer->refusal == CHAT_NO_LEADER ? RESULT_NO_LEADER : RESULT_REFUSED;
    }
    /* A retry is asked for again: its result is still to come. */
    if (answer->kind != ANSWER_RETRY) forward->results[result]++;
}

/* To it and to all that joined it. */
static void answer(struct forward *forward, struct command_request *request,
                   const struct answer *given, bool is_duplicate)
{
    not_due(forward, request);
    HASH_DEL(forward->by_id, request);
    DL_DELETE(forward->all, request);
    while (request != NULL) {
        struct command_request *next = request->same;
        forward->waiting--;
        count(forward, given, is_duplicate);
        request->on_answer(request, given); /* it may be gone now */
        request = next;
    }
}

static void refuse(struct forward *forward, struct command_request *request,
                   enum chat_refusal refusal, uint32_t wait_ms)
{
    answer(forward, request,
           &(struct answer){.kind = ANSWER_REFUSED, .refusal = refusal, .wait_ms = wait_ms}, false);
}

struct answer forward_not_taken(const struct send_message *command, enum chat_refusal refusal)
{
    if (command->retried) return (struct answer){.kind = ANSWER_UNKNOWN};
    return (struct answer){.kind = ANSWER_REFUSED, .refusal = refusal};
}

static void answer_at_once(struct forward *forward, struct command_request *request,
                           enum chat_refusal refusal)
{
    struct answer given = forward_not_taken(&request->command, refusal);
    count(forward, &given, false);
    request->on_answer(request, &given);
}

struct forward *forward_new(struct chat *chat, unsigned election_timeout_ms, uint64_t last_sending,
                            const struct forward_handler *handler)
{
    struct forward *forward = mem_new(sizeof *forward);
    *forward = (struct forward){.chat = chat,
                                .handler = *handler,
                                .election_timeout_ms = election_timeout_ms,
                                .last_sending = last_sending};
    forward->due_last = &forward->due;
    return forward;
}

static void give_up(struct forward *forward, struct command_request *request)
{
    if (request->state == REQUEST_NEW) {
        refuse(forward, request, CHAT_NO_LEADER, 0);
    } else {
        answer(forward, request, &(struct answer){.kind = ANSWER_UNKNOWN}, false);
    }
}

void forward_free(struct forward *forward)
{
    while (forward->all != NULL)
        give_up(forward, forward->all);
    mem_free(forward);
}

static uint64_t leader_patience(const struct forward *forward)
{
    uint64_t patience_ms = 2 * (uint64_t)forward->election_timeout_ms + 1000;
    return patience_ms < NO_LEADER_WAIT_MAX_MS ? patience_ms : NO_LEADER_WAIT_MAX_MS;
}

void forward_add(struct forward *forward, struct command_request *request, uint64_t now_ms)
{
    const struct send_message *command = &request->command;
    request->content = command_content(&command->sender_id, command->room, command->text);
    request->state = command->retried ? REQUEST_RETRIED : REQUEST_NEW;
    request->same = NULL;
    request->is_due = false;
    request->deadline_ms = now_ms + FORWARD_DEADLINE_MS;
    request->again_ms = 0;
    request->sending = 0;

    struct command_request *known = find(forward, &command->id);
    if (known != NULL && known->content != request->content) {
        answer_at_once(forward, request, CHAT_ID_USED);
        return;
    }
    if (known == NULL && forward->waiting >= COMMANDS_WAITING_MAX) {
        answer_at_once(forward, request, CHAT_BUSY);
        return;
    }
    forward->waiting++;
    if (known != NULL) {
        request->same = known->same;
        known->same = request;
        return;
    }
    HASH_ADD_BYHASHVALUE(hh, forward->by_id, command.id, sizeof command->id, hash_of(&command->id),
                         request);
    DL_APPEND(forward->all, request);
    make_due(forward, request);
}

static void send_one(struct forward *forward, struct command_request *request, uint64_t now_ms)
{
    request->is_due = false;
    request->command.retried = request->state == REQUEST_RETRIED;
    if (request->state == REQUEST_NEW) request->state = REQUEST_SENT;
    request->again_ms = now_ms + forward->election_timeout_ms * 3 / 2;
    request->sending = forward->last_sending;
    forward->handler.send(forward->handler.owner, &request->command, request->sending);
}

void forward_flush(struct forward *forward, bool has_leader, uint64_t now_ms)
{
    forward->has_leader = has_leader;
    if (!has_leader || forward->due == NULL) return;
    struct command_request *request = forward->due;
    forward->last_sending++;
    forward->due = NULL;
    forward->due_last = &forward->due;
    while (request != NULL) {
        /* What is sent may be refused and answered at once: look ahead. Only this one can go, for
         * each has an id of its own. */
        struct command_request *next = request->next_due;
        send_one(forward, request, now_ms);
        request = next;
    }
    forward->handler.flush(forward->handler.owner);
}

/* It was sent once already: from now on its copies say so, and what is said of the first one counts no more. */
static void again(struct forward *forward, struct command_request *request)
{
    if (request->state == REQUEST_SENT) {
        request->state = REQUEST_RETRIED;
        request->sending = 0;
    }
    make_due(forward, request);
}

/* Somebody waits for an answer, and the truth is that nobody is there to give one. */
static bool is_hopeless(const struct forward *forward, const struct command_request *request,
                        uint64_t now_ms)
{
    uint64_t waited_ms = now_ms - (request->deadline_ms - FORWARD_DEADLINE_MS);
    if (request->state == REQUEST_NEW) return waited_ms >= leader_patience(forward);
    return !forward->has_leader && waited_ms >= NO_LEADER_WAIT_MAX_MS;
}

void forward_tick(struct forward *forward, uint64_t now_ms)
{
    struct command_request *request, *next;
    DL_FOREACH_SAFE(forward->all, request, next) {
        bool never_sent = request->state == REQUEST_NEW;
        if (now_ms >= request->deadline_ms || is_hopeless(forward, request, now_ms)) {
            give_up(forward, request);
        } else if (!never_sent && now_ms >= request->again_ms) {
            again(forward, request);
        }
    }
}

void forward_leader_changed(struct forward *forward)
{
    struct command_request *request;
    DL_FOREACH(forward->all, request) {
        if (request->state != REQUEST_NEW) again(forward, request);
    }
}

void forward_applied(struct forward *forward, const struct command_id *id,
                     enum chat_outcome outcome, const struct message_sent *event)
{
    if (forward->by_id == NULL) return;
    struct command_request *request = find(forward, id);
    if (request == NULL) return;
    struct answer given = {.kind = ANSWER_ACCEPTED,
                           .number = event->number,
                           .index = event->index,
                           .at_ms = event->at_ms};
    switch (outcome) {
    case CHAT_APPLIED:
        /* Somebody else may have used the id for another message, here at the same time. */
        if (command_content(&event->sender_id, event->room, event->text) != request->content) {
            refuse(forward, request, CHAT_ID_USED, 0);
            return;
        }
        answer(forward, request, &given, false);
        break;
    case CHAT_KNOWN: {
        const struct window_entry *known = window_find(&forward->chat->window, id);
        if (known != NULL && known->content != request->content) {
            refuse(forward, request, CHAT_ID_USED, 0);
            return;
        }
        answer(forward, request, &given, true);
        break;
    }
    case CHAT_USED: {
        /* That was about the command in the log, which need not be this one. */
        const struct window_entry *known = window_find(&forward->chat->window, id);
        if (known != NULL && known->content == request->content) {
            given.number = known->number;
            answer(forward, request, &given, true);
            return;
        }
        refuse(forward, request, CHAT_ID_USED, 0);
        break;
    }
    case CHAT_RETRY: answer(forward, request, &(struct answer){.kind = ANSWER_RETRY}, false); break;
    case CHAT_INVALID: refuse(forward, request, CHAT_TEXT_INVALID, 0); break;
    }
}

/* The leader has it in its window; if we have it too, that is the answer. If not, it is on its way
 * to us, and is answered when it is applied here. */
static void duplicate(struct forward *forward, struct command_request *request)
{
    const struct window_entry *known = window_find(&forward->chat->window, &request->command.id);
    if (known == NULL || known->content != request->content) return;
    answer(forward, request, &(struct answer){.kind = ANSWER_ACCEPTED, .number = known->number},
           true);
}

/* The leader has the id for another message: applied, or only queued. An earlier copy of ours may be in the
 * log all the same, and only what is applied decides. If nothing is yet, it comes, or the next try tells. */
static void used(struct forward *forward, struct command_request *request)
{
    const struct window_entry *known = window_find(&forward->chat->window, &request->command.id);
    if (known == NULL) return;
    if (known->content == request->content) {
        duplicate(forward, request);
    } else {
        refuse(forward, request, CHAT_ID_USED, 0);
    }
}

void forward_refused(struct forward *forward, const struct command_id *id,
                     enum chat_refusal refusal, uint32_t wait_ms, uint64_t sending)
{
    struct command_request *request = find(forward, id);
    if (request == NULL || request->state == REQUEST_NEW) return;
    if (refusal == CHAT_DUPLICATE) {
        duplicate(forward, request);
        return;
    }
    if (sending != request->sending) return; /* of an earlier copy, or an earlier request's */
    if (request->state == REQUEST_SENT) {
        refuse(forward, request, refusal, wait_ms);
        return;
    }
    if (refusal == CHAT_ID_USED) {
        used(forward, request);
        return;
    }
    /* Full, or no leader any more: the time for the next try comes by itself. */
    if (refusal == CHAT_BUSY || refusal == CHAT_NO_LEADER || refusal == CHAT_TOO_FAST) return;
    answer(forward, request, &(struct answer){.kind = ANSWER_UNKNOWN}, false);
}

void forward_dropped(struct forward *forward, const struct command_id *id, bool may_be_in_log)
{
    struct command_request *request = find(forward, id);
    if (request == NULL) return;
    if (may_be_in_log) {
        again(forward, request);
    } else {
        if (request->state == REQUEST_SENT) request->state = REQUEST_NEW;
        make_due(forward, request);
    }
}

size_t forward_waiting(const struct forward *forward)
{
    return forward->waiting;
}

void forward_results(const struct forward *forward, uint64_t results[5])
{
    for (size_t i = 0; i < 5; i++)
        results[i] = forward->results[i];
}
