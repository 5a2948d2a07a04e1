/* The inside of a node, for the files that make it up:
 *
 *   node.c         its life: start, form, tick, hand over, stop; what the domain thread calls
 *   node_raft.c    raft: open, propose, the change of leaders, close
 *   node_frames.c  what it says to other nodes, and what it makes of what they say
 *   node_gap.c     a gap, a full disk: what keeps it from leading
 *   node_backfill.c  events that it lacks, from others; and the other way
 *   status.c       what /status shows
 *
 *            formed or alone        node_stop             handed over      raft closed
 *   FORMING ---------------> RUNNING ---------> HANDING_OVER -------> CLOSING -------> freed
 *      +------------------------------- node_stop -----------------------^
 */
#pragma once
#include <raft.h>
#include <raft/uv.h>

#include "cluster/ask.h"
#include "cluster/backfill.h"
#include "cluster/backfill_read.h"
#include "cluster/barrier.h"
#include "cluster/beat.h"
#include "cluster/form.h"
#include "cluster/forward.h"
#include "cluster/guard.h"
#include "cluster/machine.h"
#include "cluster/node.h"
#include "cluster/propose.h"
#include "cluster/rpc.h"

enum node_phase { NODE_FORMING, NODE_RUNNING, NODE_HANDING_OVER, NODE_CLOSING };

struct in_flight; /* node_raft.c: a request of raft's and whose it is */

struct node {
    struct node_options options;
    enum node_phase phase;
    uint64_t id;
    char self[SELF_SIZE]; /* name=host:port */
    struct peer founders[PEERS_MAX];
    size_t founders_count;
    uint64_t started_ms;

    uv_timer_t tick;
    uv_prepare_t prepare;
    uv_check_t check;
    unsigned handles_open;
    uint64_t ticked_ms, beat_ms, formed_ms;
    uint64_t trust_ms; /* after a pause of the process: nobody is called away before this */

    struct transport *transport;
    struct rpc *rpc;
    struct beats beats;
    struct presence *presence;
    struct propose *propose;
    struct forward *forward;
    struct barrier *barrier;
    struct backfill *backfill;
    struct backfill_read *reads;
    struct machine machine;
    struct guard guard;
    struct raft raft;
    struct raft_io io;
    bool raft_is_open;
    struct in_flight *entry; /* the entry in flight, or NULL */
    struct in_flight *fence; /* the barrier in flight, or NULL */
    struct in_flight *base;  /* the manifest that begins the log, in flight, or NULL */
    struct raft_transfer transfer;
    bool is_transferring, is_stepping_down;

    bool is_leading;
    raft_id leader; /* 0 = none known */
    raft_term leader_term;
    raft_id elected; /* the leader that was announced last */
    raft_term elected_term;
    uint64_t leader_changes;
    bool was_level;
    bool is_disk_low;
    struct {
        bool is_open;
        uint64_t from, goal; /* the number it began at; what backfill was told, 0 = nothing */
        uint64_t opened_ms, told_ms; /* of the log's lines */
    } gap;
    uint64_t durable_ms; /* when the event store told of a commit last */
    bool is_store_stuck;

    struct buf frame; /* commands for the leader, of this turn */
    uint32_t frame_commands;
    struct buf scratch; /* any other frame */
    uint64_t browsers, disk_bytes;
    char waits_for[NODE_NAME_MAX + 1]; /* while forming */
    uint64_t handed_over_ms;
    void (*on_stopped)(void *owner);
    void *stopped_owner;
};

/* node.c */
void node_fatal(struct node *node, int exit_code, const char *sentence);
/* The data in our directory is of no use here: exit code 3, and how to come back. */
void node_fatal_data(struct node *node, const char *sentence);
void node_event(struct node *node, enum cluster_event_kind kind, uint64_t peer, uint64_t took_ms);
bool node_has_leader(const struct node *node); /* one that can be reached now */
const char *node_name_of(const struct node *node, uint64_t id);
void node_settle(struct node *node);                    /* end of a turn of the loop */
void node_close(struct node *node);                     /* raft is closed or was never open */
int node_begin_transfer(struct node *node, raft_id to); /* 0: the most up-to-date voter */

/* node_raft.c */
void node_raft_start(struct node *node, bool must_bootstrap);
void node_raft_close(struct node *node);
bool node_is_level(const struct node *node, raft_index slack);
enum submitted node_submit(void *owner, struct slice entry);
bool node_append_barrier(void *owner);
/* As leader, ready: a history that is older than the log has to be told first. True: nothing else may go
 * into the log yet. */
bool node_begins_log(struct node *node);

/* node_gap.c */
bool node_is_unfit(const struct node *node); /* to lead: a gap, or a full disk */
void node_gap_changed(void *owner);          /* the machine's on_gap */
void node_gap_tick(struct node *node, uint64_t now_ms);
void node_gap_status(const struct node *node, struct cluster_status *status);

/* node_backfill.c */
void node_backfill_make(struct node *node);
void node_backfill_tick(struct node *node, uint64_t now_ms);
int node_on_events_ask(struct node *node, const struct rpc_frame *frame);
int node_on_events(struct node *node, const struct rpc_frame *frame);

/* node_frames.c */
int node_on_frame(void *owner, const struct rpc_frame *frame);
void node_on_link(void *owner, uint64_t peer);
void node_tell_form(struct node *node, uint64_t to, bool wants_answer);
void node_beat(struct node *node);
void node_presence_tell(struct node *node);
void node_send_command(void *owner, const struct send_message *command);
void node_flush_commands(void *owner);
void node_refuse(void *owner, const struct proposal *proposal, enum chat_refusal refusal,
                 uint32_t wait_ms);
void node_ask_barrier(void *owner, uint64_t id);
void node_reply_barrier(void *owner, uint64_t to, uint64_t id);
