/* The commands that this node has taken, until each has its answer.
 *
 *            leader known                        applied here, refused, deadline
 *   WAITING ----------------> SENT ------------------------------------------------> answered
 *      ^                       |  silence of 1.5 election timeouts, another leader,
 *      +-----------------------+  or dropped by our own queue
 *
 * A command is answered ACCEPTED when this node applies it, whoever led, so a leader's reply that is
 * lost costs nothing; the leader answers only what it refuses. It is sent again with the same id, now
 * marked as retried, until FORWARD_DEADLINE_MS: then UNKNOWN if it was ever sent to somebody, else
 * REFUSED. One that was never sent waits for a leader for two election timeouts and a second, at most
 * NO_LEADER_WAIT_MAX_MS; for one that was sent it is UNKNOWN after NO_LEADER_WAIT_MAX_MS if there is no
 * leader then: whoever waits hears the truth, and a page sends it again when there is one.
 *
 * Once a command may be in a log, the answer is never REFUSED on the word of a leader that judged
 * another copy of it: a refusal counts if it is for the copy that was sent last. So each sending has a
 * number, and a refusal gives it back. The mark would not do: what was answered UNKNOWN a program may ask
 * for again without one, and what the leader said of the first try may come as late as that. It may even
 * have been another run of this node, so the numbers rise from where each is told to begin.
 *
 * A leader with other limits may refuse the last copy when an earlier leader has let one in: that is UNKNOWN.
 * One that has no token for it, no room or no leadership is asked again until the deadline, and UNKNOWN then.
 * And that the id is used for another message (id_used) counts when that message is applied here, for the
 * leader may only have it in its queue.
 *
 * Requests with the id of one that waits join it and get its answer; with other content they are
 * refused (id_used). At most COMMANDS_WAITING_MAX wait, then CHAT_BUSY.
 *
 * Knows neither raft nor libuv. The domain thread.
 */
#pragma once
#include "cluster/node.h"

struct forward;

struct forward_handler {
    void *owner;
    /* Brings one command on its way to the present leader, this node perhaps; all of one turn have the
     * same number. */
    void (*send)(void *owner, const struct send_message *command, uint64_t sending);
    /* After the last one of a turn: what was gathered goes out. */
    void (*flush)(void *owner);
};

/* The first sending has the number behind `last_sending`. */
struct forward *forward_new(struct chat *chat, unsigned election_timeout_ms, uint64_t last_sending,
                            const struct forward_handler *handler);
/* Answers what waits: UNKNOWN, or REFUSED (no_leader) what was never sent. */
void forward_free(struct forward *forward);

/* May answer at once. */
void forward_add(struct forward *forward, struct command_request *request, uint64_t now_ms);

/* What is told of a command that is not taken: REFUSED for that reason, or UNKNOWN if a copy of it may be in a log. */
struct answer forward_not_taken(const struct send_message *command, enum chat_refusal refusal);

/* End of a turn of the loop: sends what is due. `has_leader`: somebody is there to send to. */
void forward_flush(struct forward *forward, bool has_leader, uint64_t now_ms);
/* Every 50 ms or so. */
void forward_tick(struct forward *forward, uint64_t now_ms);

/* Another leader, or the same in another term: everything that was sent is due again. */
void forward_leader_changed(struct forward *forward);

/* The machine applied a command of this id. `event` with its number, index and at_ms for APPLIED, its
 * number for KNOWN. */
void forward_applied(struct forward *forward, const struct command_id *id,
                     enum chat_outcome outcome, const struct message_sent *event);

/* A leader refused a copy of this sending. */
void forward_refused(struct forward *forward, const struct command_id *id,
                     enum chat_refusal refusal, uint32_t wait_ms, uint64_t sending);

/* Our own queue gave it back. */
void forward_dropped(struct forward *forward, const struct command_id *id, bool may_be_in_log);

size_t forward_waiting(const struct forward *forward);
/* committed, refused, no_leader, unknown, duplicate */
void forward_results(const struct forward *forward, uint64_t results[5]);
