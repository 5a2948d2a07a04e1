#include "cluster/propose.h"

#include <assert.h>
#include <string.h>

#include <utlist.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/limits.h"
#include "base/mem.h"

struct propose {
    struct chat *chat;
    struct propose_handler handler;
    size_t queue_max;
    struct proposal *queue;     /* oldest first */
    struct proposal *in_flight; /* of the entry that was submitted */
    struct proposal *by_id;     /* of both */
    size_t queued, flying;
    size_t bytes;           /* of the texts of both */
    uint64_t added, passed; /* how many ever came in, and how many left the queue */
    struct buf batch;
    struct histogram times;
};

static unsigned hash_of(const struct command_id *id)
{
    return (unsigned)hash_keyed(id, sizeof *id);
}

static struct proposal *find(const struct propose *propose, const struct command_id *id)
{
    struct proposal *found;
    HASH_FIND_BYHASHVALUE(hh, propose->by_id, id, sizeof *id, hash_of(id), found);
    return found;
}

static size_t text_bytes(const struct send_message *command)
{
    return command->room.len + command->sender.len + command->text.len;
}

static void remember(struct propose *propose, struct proposal *proposal)
{
    HASH_ADD_BYHASHVALUE(hh, propose->by_id, command.id, sizeof proposal->command.id,
                         hash_of(&proposal->command.id), proposal);
    propose->bytes += text_bytes(&proposal->command);
}

/* Of it nothing is known any more; its memory stays. */
static void let_go(struct propose *propose, struct proposal *proposal)
{
    HASH_DEL(propose->by_id, proposal);
    propose->bytes -= text_bytes(&proposal->command);
}

static void forget(struct propose *propose, struct proposal *proposal)
{
    let_go(propose, proposal);
    mem_free(proposal);
}

static struct proposal *proposal_new(const struct send_message *command, uint64_t origin,
                                     uint64_t sending)
{
    struct proposal *proposal = mem_new(sizeof *proposal + command_texts_len(command));
    command_copy(&proposal->command, command, proposal->bytes);
    proposal->origin = origin;
    proposal->sending = sending;
    proposal->content = command_content(&command->sender_id, command->room, command->text);
    proposal->queued_ns = clock_ns();
    return proposal;
}

struct propose *propose_new(struct chat *chat, size_t queue_max,
                            const struct propose_handler *handler)
{
    struct propose *propose = mem_new(sizeof *propose);
    *propose = (struct propose){.chat = chat, .queue_max = queue_max, .handler = *handler};
    buf_init(&propose->batch, BATCH_BYTES_MAX + 64);
    return propose;
}

static void forget_all(struct propose *propose, struct proposal **list)
{
    struct proposal *proposal, *next;
    DL_FOREACH_SAFE(*list, proposal, next) {
        DL_DELETE(*list, proposal);
        forget(propose, proposal);
    }
}

void propose_free(struct propose *propose)
{
    forget_all(propose, &propose->queue);
    forget_all(propose, &propose->in_flight);
    buf_close(&propose->batch);
    mem_free(propose);
}

static void refuse(struct propose *propose, const struct proposal *proposal,
                   enum chat_refusal refusal, uint32_t wait_ms)
{
    propose->handler.on_refused(propose->handler.owner, proposal, refusal, wait_ms);
}

void propose_add(struct propose *propose, const struct send_message *command, uint64_t origin,
                 uint64_t sending)
{
    struct proposal *proposal = proposal_new(command, origin, sending);
    struct proposal *known = find(propose, &command->id);
    enum chat_refusal refusal = CHAT_ACCEPTED;
    if (known != NULL && known->content != proposal->content) refusal = CHAT_ID_USED;
    bool is_full = propose->queued >= propose->queue_max ||
                   propose->bytes + text_bytes(command) > PROPOSE_BYTES_MAX;
    if (known == NULL && is_full) refusal = CHAT_BUSY;
    if (refusal != CHAT_ACCEPTED) refuse(propose, proposal, refusal, 0);
    bool joins = known != NULL && refusal == CHAT_ACCEPTED;
    if (joins && known->origin == origin) known->sending = sending;
    if (known != NULL || refusal != CHAT_ACCEPTED) {
        mem_free(proposal);
        return;
    }
    remember(propose, proposal);
    DL_APPEND(propose->queue, proposal);
    propose->queued++;
    propose->added++;
}

static void leave_queue(struct propose *propose, struct proposal *proposal)
{
    DL_DELETE(propose->queue, proposal);
    propose->queued--;
    propose->passed++;
}

/* Moves what is allowed from the queue into a batch; those that are not are refused. Returns how many
 * it holds. */
static uint32_t fill_batch(struct propose *propose, uint64_t now_ms, int64_t wall_ms)
{
    struct proposal *proposal, *next;
    uint32_t count = 0;
    buf_reset(&propose->batch);
    DL_FOREACH_SAFE(propose->queue, proposal, next) {
        uint32_t wait_ms = 0;
        if (count == BATCH_COMMANDS_MAX) break;
        enum chat_refusal refusal =
            proposal->has_token ? chat_judge(propose->chat, &proposal->command)
                                : chat_execute(propose->chat, &proposal->command, now_ms, &wait_ms);
        if (refusal != CHAT_ACCEPTED) {
            leave_queue(propose, proposal);
            refuse(propose, proposal, refusal, wait_ms);
            forget(propose, proposal);
            continue;
        }
        proposal->has_token = true;
        proposal->command.at_ms = wall_ms;
        bool fits = batch_add(&propose->batch, &proposal->command);
        if (!fits) break;
        count++;
        leave_queue(propose, proposal);
        DL_APPEND(propose->in_flight, proposal);
    }
    return count;
}

static void back_to_queue(struct propose *propose)
{
    DL_CONCAT(propose->in_flight, propose->queue);
    propose->queue = propose->in_flight;
    propose->in_flight = NULL;
    propose->queued += propose->flying;
    propose->passed -= propose->flying;
    propose->flying = 0;
}

static void refuse_in_flight(struct propose *propose)
{
    struct proposal *proposal, *next;
    DL_FOREACH_SAFE(propose->in_flight, proposal, next) {
        DL_DELETE(propose->in_flight, proposal);
        refuse(propose, proposal, CHAT_BUSY, 0);
        forget(propose, proposal);
    }
    propose->flying = 0;
}

void propose_pump(struct propose *propose, uint64_t now_ms, int64_t wall_ms)
{
    if (propose->in_flight != NULL || propose->queue == NULL) return;
    uint32_t count = fill_batch(propose, now_ms, wall_ms);
    propose->flying = count;
    if (count == 0) {
        assert(propose->queue == NULL); /* one command always fits */
        return;
    }
    batch_finish(&propose->batch, count);
    assert(!propose->batch.overflowed && propose->batch.len % 8 == 0);
    enum submitted submitted =
        propose->handler.submit(propose->handler.owner, buf_slice(&propose->batch));
    if (submitted == SUBMIT_LATER) back_to_queue(propose);
    if (submitted == SUBMIT_FULL) refuse_in_flight(propose);
}

void propose_done(struct propose *propose)
{
    struct proposal *proposal, *next;
    uint64_t now_ns = clock_ns();
    DL_FOREACH_SAFE(propose->in_flight, proposal, next) {
        histogram_add(&propose->times, (now_ns - proposal->queued_ns) / 1000);
        DL_DELETE(propose->in_flight, proposal);
        forget(propose, proposal);
    }
    propose->flying = 0;
}

static void drop_all(struct propose *propose, struct proposal *list, bool may_be_in_log)
{
    while (list != NULL) {
        struct proposal *proposal = list;
        list = proposal->next;          /* its neighbours go too: the links need no repair */
        assert(propose->by_id != NULL); /* it is in there */
        let_go(propose, proposal);
        propose->handler.on_dropped(propose->handler.owner, proposal, may_be_in_log);
        mem_free(proposal);
    }
}

void propose_drop(struct propose *propose)
{
    struct proposal *queue = propose->queue, *in_flight = propose->in_flight;
    propose->queue = NULL;
    propose->in_flight = NULL;
    propose->passed += propose->queued;
    propose->queued = 0;
    propose->flying = 0;
    drop_all(propose, in_flight, true);
    drop_all(propose, queue, false);
}

size_t propose_waiting(const struct propose *propose)
{
    return propose->queued + propose->flying;
}

uint64_t propose_mark(const struct propose *propose)
{
    return propose->added;
}

bool propose_passed(const struct propose *propose, uint64_t mark)
{
    return propose->passed >= mark;
}

const struct histogram *propose_times(const struct propose *propose)
{
    return &propose->times;
}
