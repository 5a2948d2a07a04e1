/* One member of the cluster: forms it, leads or follows, and brings commands into the log.
 *
 *   start      alone: bootstraps itself. With peers: asks them all; when all are new (or forming)
 *              they bootstrap the same configuration; when one is formed already and this directory
 *              is empty, the node ends with a sentence (docs/operations.md). With join: asks the
 *              members until `members add` has let it in (ask.h).
 *   a command  node_send: here when this node leads, else forwarded to the leader, and again when
 *              the leader changes or keeps silent, always with the same command id, until
 *              FORWARD_DEADLINE_MS. The answer comes when THIS node has applied it, with its number.
 *   an event   on_event, on every node, in log order, exactly once a run; also for what the store has
 *              not yet at start. Events that the store has are not told again.
 *   durable    the domain thread tells what the store has on disk (node_durable)
 *   a gap      events below raft's log are missing here: they are fetched from any other node
 *              (backfill.h) and told by on_event like all others; until then nothing else is decided
 *   stop       gives leadership away first, if it has it
 *
 * Everything happens in one loop, the domain thread's. Bytes from other nodes are believed only
 * after the handshake of transport.h; commands from them are checked again here.
 *
 * Failures of the disk end the process: on_fatal does not return.
 */
#pragma once
#include <uv.h>

#include "base/histogram.h"
#include "base/limits.h"
#include "chat/chat.h"
#include "cluster/presence.h"
#include "store/data_dir.h"
#include "store/event_store.h"

struct node;

struct peer { /* one of the `peers` line */
    char name[NODE_NAME_MAX + 1];
    char address[ADDRESS_MAX + 1]; /* host:port */
};

/* "tea-1=10.0.0.11:7000, tea-2=..." into at most PEERS_MAX peers, sorted by name. 0 or ERR_CONFIG
 * with what is wrong (syntax, a name or an address twice, too many). Pure. */
int peers_parse(struct peer *peers, size_t *peers_count, struct slice line, struct errmsg *errmsg);

enum answer_kind {
    ANSWER_ACCEPTED, /* in the log, applied here: number, index, at_ms */
    ANSWER_REFUSED,  /* definitely not, and never: refusal (and wait_ms for too_fast) */
    ANSWER_UNKNOWN,  /* may be, or may come to be, in the log */
    ANSWER_RETRY     /* look in the store again, and send it again with a newer unseen_up_to */
};

struct answer {
    enum answer_kind kind;
    enum chat_refusal refusal;
    uint32_t wait_ms;
    uint64_t number, index;
    int64_t at_ms;
};

struct command_request {         /* first member of the caller's; stays until its on_answer */
    struct send_message command; /* slices stand on the caller's memory */
    void (*on_answer)(struct command_request *request, const struct answer *answer);
    /* the rest is the node's, cluster/forward.c */
    struct command_request *same;        /* others with this id that wait for the same answer */
    struct command_request *next, *prev; /* all, and those to be sent in this turn of the loop */
    struct command_request *next_due;
    UT_hash_handle hh;
    uint64_t content, deadline_ms, again_ms, sending;
    int state;
    bool is_due;
};

struct barrier_request { /* first member of the caller's; stays until its on_barrier */
    /* status 0: everything that was accepted anywhere before node_barrier was called is applied
     * here. ERR_NO_LEADER or ERR_TIMEOUT (5 s): no such promise. */
    void (*on_barrier)(struct barrier_request *request, int status);
    /* the rest is the node's, cluster/barrier.c */
    struct barrier_request *next, *prev;
    uint64_t deadline_ms, again_ms, id, target;
};

enum member_state {
    MEMBER_AWAY,
    MEMBER_FOLLOWER,
    MEMBER_CANDIDATE,
    MEMBER_LEADER,
    MEMBER_CATCHING_UP
};

struct member_status {
    char name[NODE_NAME_MAX + 1], address[ADDRESS_MAX + 1], http[URL_MAX + 1], version[16];
    bool is_voter, is_self; /* not a voter: a stand-by */
    enum member_state state;
    bool known;       /* it has told us something, ever; else the figures below are empty */
    uint64_t away_ms; /* since it was heard last */
    uint64_t number, applied_index, browsers, disk_bytes, uptime_ms;
    double rtt_ms; /* NaN = not measured; always so for self */
    uint64_t messages_in, messages_out;
};

struct cluster_status {
    char name[64];
    bool is_forming; /* before the first bootstrap; waiting_for says for whom */
    bool is_joining; /* asks to be let in; joining_note says what it was told */
    char waiting_for[NODE_NAME_MAX + 1];
    char joining_note[200];
    bool has_gap; /* events are missing below the log, and are being fetched: */
    struct {
        uint64_t from, number, goal; /* began at, reached, ends at */
        uint64_t events_per_second;
        uint64_t waiting_bytes;       /* of entries that wait behind it */
        char peer[NODE_NAME_MAX + 1]; /* asked now; empty = none */
    } gap;
    uint64_t backfilled_in, backfilled_out; /* events, since the process began */
    uint64_t snapshots;                     /* manifests that raft wrote */
    uint64_t snapshot_us_max;               /* of raft's thread, for one */
    size_t history_copies;                  /* members up that have all events we know of */
    bool is_disk_full;                      /* takes nothing until there is room again */
    bool is_changing;                       /* a change of the members is on its way */
    char leader[NODE_NAME_MAX + 1];         /* empty = none known */
    char voted_for[NODE_NAME_MAX + 1];
    bool is_leader, is_ready; /* ready: accepts commands as leader, or follows one and is level */
    uint64_t raft_id, term, leader_changes;
    uint64_t last_index, stored_index, commit_index, applied_index, snapshot_index, first_index;
    uint64_t pending;         /* commands queued, in flight or forwarded */
    uint64_t last_contact_ms; /* since the leader was heard; 0 on the leader */
    uint64_t behind;          /* events, against the highest number that any node has told */
    uint64_t guard_trimmed, guard_dropped;
    size_t members_count, voters, voters_up;
    struct member_status members[MEMBERS_MAX];
    struct histogram commit; /* accepted by the leader to applied there; leader only */
    struct histogram fsync;  /* raft's writes */
    uint64_t results[5];     /* commands of this node: committed, refused, no_leader, unknown,
                              * duplicate */
};

enum cluster_event_kind {
    CLUSTER_ELECTED,
    CLUSTER_AWAY,
    CLUSTER_BACK,
    CLUSTER_LOST_LEADER,
    CLUSTER_FORMED,
    CLUSTER_TRANSFERRED,
    CLUSTER_CATCHING_UP, /* a node has begun to fetch events */
    CLUSTER_CAUGHT_UP,
    CLUSTER_ADDED,
    CLUSTER_PROMOTED,
    CLUSTER_REMOVED,
    CLUSTER_DISK_FULL, /* this node takes no more */
    CLUSTER_DISK_FREE
};

struct cluster_event { /* for "What happened" */
    int64_t at_ms;     /* wall clock */
    enum cluster_event_kind kind;
    char node[NODE_NAME_MAX + 1];
    uint64_t term;
    uint64_t took_ms; /* elected: since the old leader went silent; 0 = unknown */
};

/* ---- changing the members ---- */

enum change_kind { CHANGE_ADD, CHANGE_PROMOTE, CHANGE_REMOVE, CHANGE_TRANSFER };

enum change_result {
    CHANGE_DONE,    /* committed; of a transfer: the new leader is heard */
    CHANGE_REFUSED, /* nothing was changed: word and sentence say why */
    CHANGE_UNKNOWN  /* may have been, or may come to be: look at the members */
};

struct change_answer {
    enum change_result result;
    char word[24];      /* "name_used", "not_healthy": for programs */
    char sentence[200]; /* for a person */
};

struct change_request { /* first member of the caller's; stays until its on_changed */
    enum change_kind kind;
    char name[NODE_NAME_MAX + 1];  /* of a transfer: empty = the most up-to-date voter */
    char address[ADDRESS_MAX + 1]; /* of an add */
    void (*on_changed)(struct change_request *request, const struct change_answer *answer);
    /* the rest is the node's, cluster/node_change.c */
    struct change_request *next, *prev;
    uint64_t deadline_ms, id, leader;
    bool was_so, is_unsure;
};

struct node_handler {
    void *owner;
    /* The node's own reference is only lent. */
    void (*on_event)(void *owner, const struct message_sent *event, struct shared *bytes);
    /* After the last event of a raft entry, also of one without events. The store may commit up to
     * here. */
    void (*on_entry)(void *owner, uint64_t index);
    /* Role, leader, members' states or readiness changed: worth a look at node_status now. */
    void (*on_change)(void *owner);
    void (*on_cluster_event)(void *owner, const struct cluster_event *event);
    /* Must end the process: exit_code 1 (failed while running), 3 (data not usable), 4 (cannot
     * bind). Does not return. Any thread: a failed write may be noticed on one of libuv's pool. */
    void (*on_fatal)(void *owner, int exit_code, const char *sentence);
    /* This node was removed from the cluster, and its directory is marked so: stop in good order, so that
     * its browsers move. */
    void (*on_removed)(void *owner);
};

struct node_options {
    uv_loop_t *loop;
    struct node_handler handler;
    struct chat *chat;    /* the caller's; from now on the node applies to it */
    struct data_dir *dir; /* open; the node marks its state */
    struct event_store
        *store;             /* for reading: other nodes' backfill; bound when this node is let in */
    struct event_meta meta; /* of the event store as it was taken up into `chat` */
    const char *name, *cluster_name, *listen, *advertise, *http_url, *version;
    const struct peer *peers; /* sorted, with this node among them; 0 = alone */
    size_t peers_count;
    const char *join; /* "name=host:port, ..." of some members; empty = not to join */
    struct slice secret;
    unsigned keep_log;       /* entries between two snapshots, and kept behind one, */
    uint64_t keep_log_bytes; /* but no more than so many bytes of them; 0: LOG_BYTES_MAX */
    unsigned heartbeat_ms, election_timeout_ms;
};

/* The id of a cluster of that name with these founders: the first 16 bytes of SHA-256(name, sorted
 * peers line). A lone node's has an id at random instead (serve.c). Pure. */
void cluster_id_of(uint8_t id[16], const char *cluster_name, const struct peer *peers,
                   size_t peers_count);

/* A founder's id for raft: FNV-1a of its name, never 0. Pure. */
uint64_t peer_id(const char *name);

/* 0 when it is on its way (forming may take until all peers are up); ERR_BIND, ERR_DATA, ERR_IO. The
 * strings of the options must live as long as the node. */
int node_start(struct node **out, const struct node_options *options, struct errmsg *errmsg);

/* Hands over leadership (at most one election timeout), closes raft and the links, then on_stopped;
 * the node is freed before. What waits is answered: a command UNKNOWN, or REFUSED (no_leader) if it was
 * never sent; a barrier ERR_CLOSED; a change UNKNOWN. */
void node_stop(struct node *node, void (*on_stopped)(void *owner), void *owner);

void node_send(struct node *node, struct command_request *request);
void node_barrier(struct node *node, struct barrier_request *request);

/* The store thread has everything up to this number on disk. */
void node_durable(struct node *node, uint64_t number);
/* So many bytes of events were told by on_event and are not on disk: when it is too much, this node
 * takes no more until some are, and does not go on leading if none ever are. */
void node_lag(struct node *node, size_t bytes);
/* What a store transaction may write down as the mark that raft's own log had reached. */
uint64_t node_raft_durable(const struct node *node);

/* For the other nodes' status. Told with the next beat. */
void node_set_browsers(struct node *node, uint64_t browsers, uint64_t disk_bytes);

/* So much room is left on the disk; told once a second. raft goes on in memory while the disk is full,
 * and memory is not endless: below DISK_FREE_LOW a leader hands leadership over, below DISK_FREE_MIN the
 * node takes no entries and is not ready, until there is room again. */
void node_disk(struct node *node, uint64_t free_bytes);

/* The cluster's presence, kept by the node; the domain thread enters and leaves its pages there. */
struct presence *node_presence(struct node *node);

void node_status(const struct node *node, struct cluster_status *status);

/* At whichever node: the leader does it, or says why not. At most CHANGE_DEADLINE_MS: so long an add waits
 * for the node to ask to be let in. on_changed may be called before node_change returns. */
void node_change(struct node *node, struct change_request *request);

/* Gives leadership to `name` or, NULL, to the most up-to-date voter. 0 when begun; ERR_NOT_FOUND,
 * ERR_DENIED (not the leader), ERR_BUSY. */
int node_transfer(struct node *node, const char *name);
