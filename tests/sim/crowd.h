/* The people of a simulated cluster: clients that write, and pages that show.
 *
 * A client sends its next command when the last one is accepted or refused. What is unknown it sends again
 * with the same id, at another node; it may lose patience with a node before that answers. If it
 * gives up it goes on under another name. Now and then it sends an old command once more, somewhere.
 *
 * A refusal speaks of the try that it answers. It counts as "never in the log" only when no other try of the
 * id was left without an answer.
 *
 * Nobody waits for an answer for longer than is promised, whatever happens to the others.
 *
 * A page may be slow to read: some events wait for it, and when it has too many it is closed and mounts again.
 * A page mounts at some node, brings the last number that it has shown or that its own client was
 * acknowledged, and moves when its node ends or keeps silent.
 */
#pragma once
#include "world.h"

struct crowd;

struct crowd_options {
    unsigned clients, pages;
    unsigned commands; /* of all clients together */
    unsigned pause_ms; /* between a client's commands, at most */
};

struct crowd *crowd_new(struct world *world, const struct crowd_options *options);
void crowd_free(struct crowd *crowd);
/* Clients and pages begin. */
void crowd_start(struct crowd *crowd);
/* Clients try without end now, and the pages stay where they are. */
void crowd_finish(struct crowd *crowd);
/* Each client sends one more command, or as many as it takes until one is accepted. Who is still not accepted
 * at the end of the proof is told to the checker. */
void crowd_prove(struct crowd *crowd);
bool crowd_is_proved(const struct crowd *crowd);
void crowd_end_proof(struct crowd *crowd);
/* Every client has its answers, and every page is mounted and level. */
bool crowd_is_done(const struct crowd *crowd);

/* One command by hand, for scenarios: of client 1000 + `who`, its nth, at a node. */
void crowd_send(struct crowd *crowd, unsigned who, unsigned n, unsigned node);
/* Its number, 0 = not acknowledged. */
uint64_t crowd_number(const struct crowd *crowd, unsigned who, unsigned n);

/* ---- the nodes tell ---- */

void crowd_answered(struct crowd *crowd, uint64_t attempt, const struct answer *answer);
/* The node that took it looks into its store anew. */
void crowd_asks_again(struct crowd *crowd, uint64_t attempt);
void crowd_event(struct crowd *crowd, struct world_node *node, const struct checker_line *line);
void crowd_entry(struct crowd *crowd, struct world_node *node);
void crowd_node_gone(struct crowd *crowd, struct world_node *node);
