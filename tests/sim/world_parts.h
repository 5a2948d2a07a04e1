/* What the files of the simulated cluster know of one another. */
#pragma once
#include "crowd.h"
#include "world.h"

struct taken {
    struct host_event event; /* while it waits for its look into the store */
    struct command_request request;
    struct world_node *node;
    uint64_t attempt, deadline_ms;
    struct taken *next; /* answered in this entry */
    struct answer answer;
    char bytes[];
};

void world_fatal(struct world *world, const struct world_node *node, const char *words);

/* ---- world_store.c ---- */

void store_add(struct world_node *node, const struct message_sent *event, struct shared *bytes);
/* What was told up to this entry may be committed. */
void store_entry(struct world_node *node, uint64_t index);
/* Takes the chat up from what is durable. */
void store_restore(struct world_node *node);
/* Power is lost. */
void store_lose(struct world_node *node);
void store_free(struct store *store);
void store_commit(struct world_node *node);
uint64_t node_mark(const struct world_node *node);

/* ---- world_node.c ---- */

/* From a disk and a store to a running node. */
void node_open(struct world_node *node, bool must_bootstrap);
void node_shut(struct world_node *node);
void node_turn(struct host *host);
void node_on_answer(struct command_request *request, const struct answer *answer);

/* ---- world_mistakes.c ---- */

void mistake_plant(struct world_node *node);
/* What was only appended. */
void mistake_at_append(struct world_node *node, struct slice entry);
void mistake_commit_old_terms(struct world_node *node);

/* ---- world_frames.c ---- */

#define WALL_MS UINT64_C(1000000000000) /* when simulated time begins */

enum frame_kind { FRAME_FORWARD, FRAME_REFUSED, FRAME_ASK, FRAME_EVENTS, FRAME_BEAT };

void frame_send(struct world_node *node, unsigned to, enum frame_kind kind, uint64_t request,
                struct slice body);
void node_send_command(void *owner, const struct send_message *command, uint64_t sending);
void node_on_refused(void *owner, const struct proposal *proposal, enum chat_refusal refusal,
                     uint32_t wait_ms);
struct backfill *node_backfill_new(struct world_node *node);
void node_tick(struct world_node *node);
