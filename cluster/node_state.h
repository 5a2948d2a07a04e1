/* The inside of a node, for the files that make it up:
 *
 *   node.c          its life: start, form, tick, hand over, stop; what the domain thread calls
 *   node_raft.c     raft: open, propose, the change of leaders, close
 *   node_join.c     questions (ask.h), its own and those of others: being let in, being removed
 *   node_members.c  the list of members: links to them, what is told of them
 *   node_change.c   changes of that list, asked for here or elsewhere (change.h)
 *   node_frames.c   what it says to other nodes, and what it makes of what they say
 *   node_gap.c      a gap, a full disk, a log that stands still: what keeps it from leading
 *   node_backfill.c events that it lacks, from others; and the other way
 *   status.c        what /status shows
 *
 *            formed or alone        node_stop             handed over      raft closed
 *   FORMING ---------------> RUNNING ---------> HANDING_OVER -------> CLOSING -------> freed
 *      |                        ^                                       ^
 *   JOINING ----- let in -------+                                       |
 *      +------------------------------- node_stop -----------------------+
 *
 * Which of the first three it is the directory says (data_dir.h): EMPTY or FORMING forms, EMPTY with
 * cluster.join or JOINING joins, FORMED and ALONE run at once, REMOVED does not start.
 */
#pragma once
#include <raft.h>
#include <raft/uv.h>

#include "cluster/ask.h"
#include "cluster/backfill.h"
#include "cluster/backfill_read.h"
#include "cluster/barrier.h"
#include "cluster/beat.h"
#include "cluster/change.h"
#include "cluster/form.h"
#include "cluster/forward.h"
#include "cluster/guard.h"
#include "cluster/machine.h"
#include "cluster/node.h"
#include "cluster/propose.h"
#include "cluster/rpc.h"

enum node_phase { NODE_JOINING, NODE_FORMING, NODE_RUNNING, NODE_HANDING_OVER, NODE_CLOSING };

struct in_flight; /* node_raft.c: a request of raft's and whose it is */
struct asking;    /* node_join.c */
struct changes;   /* node_change.c */

struct known_member { /* of the committed list, as it was told last */
    uint64_t id;
    int role;
    char name[NODE_NAME_MAX + 1];
};

struct node {
    struct node_options options;
    enum node_phase phase;
    uint64_t id;
    char self[SELF_SIZE]; /* name=host:port */
    struct peer founders[PEERS_MAX];
    size_t founders_count; /* 0: it joins */
    uint64_t started_ms;
    uint64_t before_ids; /* of its questions: they come behind it */

    struct asking *asking;
    struct changes *changes;
    struct ask_member
        told[MEMBERS_MAX]; /* the members as we were told, until raft's list is here */
    size_t told_count;
    struct known_member known[MEMBERS_MAX];
    size_t known_count;
    raft_index known_index; /* of that list; 0 = none yet */
    uint64_t unsettled_ms;  /* since when the last list of the log is not committed; 0 = it is */
    bool is_unsettled_told;
    bool is_removed; /* and has told so */

    uv_timer_t tick;
    uv_prepare_t prepare;
    uv_check_t check;
    unsigned handles_open;
    uint64_t ticked_ms, beat_ms, formed_ms;
    uint64_t trust_ms; /* after a pause of the process: nobody is called away before this */

    struct transport *transport;
    struct rpc *rpc; /* NULL when its links are closed, at the end */
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
    bool was_level, has_been_level; /* now, as it was told; ever, in this run */
    bool is_disk_low;
    unsigned disk_low_tries; /* to hand over since it is */
    uint64_t log_still_ms;   /* when it was told last that the log stands still; 0 = it goes on */
    struct {
        bool is_open;
        uint64_t from, goal; /* the number it began at; what backfill was told, 0 = nothing */
        uint64_t opened_ms, told_ms; /* of the log's lines */
    } gap;
    uint64_t durable_ms;     /* when the event store told of a commit last */
    uint64_t store_again_ms; /* a leader whose store hangs tries again then to hand over */
    bool is_store_stuck;

    struct buf frame; /* commands for the leader, of this turn */
    uint32_t frame_commands;
    uint64_t frame_sending;
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
void node_bound_log(struct node *node); /* end of a turn of the loop */
enum submitted node_submit(void *owner, struct slice entry);
bool node_append_barrier(void *owner);
/* As leader, ready: a history that is older than the log has to be told first. True: nothing else may go
 * into the log yet. */
bool node_begins_log(struct node *node);

/* node_gap.c */
/* To whom leadership goes when nobody says: a voter, or 0, raft's own choice, which does not know who is away, or
 * is unfit and would decline. */
raft_id node_heir(struct node *node);
/* `to` 0: to node_heir. Not a word when there is nobody: a lone node has nobody to give it to. */
void node_give_away(struct node *node, raft_id to, const char *reason);
void node_gap_changed(void *owner); /* the machine's on_gap */
void node_gap_tick(struct node *node, uint64_t now_ms);
void node_gap_status(const struct node *node, struct cluster_status *status);

/* node_backfill.c */
void node_backfill_make(struct node *node);
void node_backfill_tick(struct node *node, uint64_t now_ms);
int node_on_events_ask(struct node *node, const struct rpc_frame *frame);
int node_on_events(struct node *node, const struct rpc_frame *frame);

/* node_join.c */
void node_asking_start(struct node *node);
void node_asking_close(struct node *node);
void node_asking_tick(struct node *node, uint64_t now_ms);
void node_on_ask(void *owner, uv_stream_t *stream);
void node_join_tick(struct node *node, uint64_t now_ms);
const char *node_join_note(const struct node *node); /* what it was told last; never NULL */
/* Under which address a node of this name asks to be let in now, and its id; or NULL. */
const char *node_asker(const struct node *node, const char *name, uint64_t *id);
/* Marks the directory and tells. Once. */
void node_was_removed(struct node *node);

/* node_members.c */
bool node_has_member(const struct node *node, uint64_t id);
void node_sync_members(struct node *node, uint64_t now_ms);
void node_compare_peers(const struct node *node);
/* The highest index of a list in which this node knows itself. */
raft_index node_joined(const struct node *node);
void node_view(const struct node *node, struct change_view *view);

/* node_change.c */
void node_changes_start(struct node *node);
void node_changes_close(struct node *node); /* answers what is left UNKNOWN */
void node_changes_tick(struct node *node, uint64_t now_ms);
void node_changes_settle(struct node *node);
bool node_is_changing(const struct node *node); /* the log takes no commands */
void node_changes_stop_leading(struct node *node);
void node_changes_link_lost(struct node *node, uint64_t peer); /* ours to it */
void node_changes_transferred(struct node *node, raft_id leader);
int node_on_change_frame(struct node *node, const struct rpc_frame *frame);
int node_on_change_reply(struct node *node, const struct rpc_frame *frame);

/* node_frames.c */
int node_on_frame(void *owner, const struct rpc_frame *frame);
void node_on_link(void *owner, uint64_t peer);
void node_tell_form(struct node *node, uint64_t to, bool wants_answer);
void node_beat(struct node *node);
void node_presence_tell(struct node *node);
void node_send_command(void *owner, const struct send_message *command, uint64_t sending);
void node_flush_commands(void *owner);
void node_refuse(void *owner, const struct proposal *proposal, enum chat_refusal refusal,
                 uint32_t wait_ms);
void node_ask_barrier(void *owner, uint64_t id);
void node_reply_barrier(void *owner, uint64_t to, uint64_t id);
