/* A whole cluster in one process: simulated computers, and on each the real guard, machine, proposer,
 * forwarder, backfill and chat. Simulated besides the disk and the network of raft (sim_io.h): the event
 * store (durable a while after it was told, and what is durable survives), the frames between nodes, the
 * look into the store that a command gets before it is sent, and what cluster/node.c does to bring these
 * parts together.
 *
 *   crowd_ --> world_take --> the store, as far as it is durable --> forward --> propose | to the leader
 *   crowd_answered <-- on_answer, behind the last event of its entry <-- machine <-- raft
 *   crowd_event    <-- each event, in order, on each node that is up
 *
 * A kill leaves a node its disk and its store. A mistake is one that somebody could have made in building
 * this: each must be found by the checker, or the simulation proves nothing (test_mistakes.c).
 */
#pragma once
#include <setjmp.h>

#include "chat/chat.h"
#include "checker.h"
#include "cluster/backfill.h"
#include "cluster/forward.h"
#include "cluster/guard.h"
#include "cluster/machine.h"
#include "cluster/propose.h"
#include "sim_io.h"

enum { WORLD_HEARTBEAT_MS = 100, WORLD_ELECTION_MS = 1000, WORLD_ROOMS = 2, WORLD_CHANGES = 64 };

#define MISTAKE_TABLE(X)                                                                          \
    X(NO_MISTAKE, 0, "")                                                                          \
    X(DEDUP_IN_LEADER, 1, "ids are remembered by the leader alone")                               \
    X(DEDUP_BEFORE_APPEND, 2, "ids are looked for where they come in, not when they are applied") \
    X(WINDOW_NOT_REBUILT, 3, "the ids are not taken up again at start")                           \
    X(DEDUP_EXPIRES, 4, "ids are forgotten by the clock")                                         \
    X(ACK_BEFORE_COMMIT, 5, "acknowledged when it is appended")                                   \
    X(ACK_BEFORE_FLUSH, 6, "the log says that it is stored before it is")                         \
    X(OLD_TERM_COMMIT, 7, "entries of old terms are committed by counting")                       \
    X(LOST_IS_REFUSED, 8, "lost leadership is told as refused")                                   \
    X(NEW_ID_WHEN_REFUSED, 9, "what was refused once is sent under a new id")                     \
    X(SERVES_AFTER_PAUSE, 10, "an old leader answers after a pause as before it")                 \
    X(NOT_READY, 11,                                                                              \
      "a new leader judges before it has applied the old terms, and nobody after it")             \
    X(SHOWN_AT_APPEND, 12, "pages are shown what is appended")                                    \
    X(RENDER_THEN_SUBSCRIBE, 13, "a page is rendered, then subscribed")                           \
    X(SUBSCRIBE_THEN_RENDER, 14, "a page is subscribed, then rendered, without a filter")         \
    X(STALE_RECONNECT, 15, "a page is taken by a node that is behind it")                         \
    X(GAP_NOT_TOLD, 16, "pages are not told of events that were fetched")                         \
    X(STORE_AHEAD, 17, "the store's mark of the log is ahead of its events")                      \
    X(BACKFILL_STOPS, 18, "a backfill stops halfway, and the node serves")                        \
    X(CLOCK_IN_APPLY, 19, "applying looks at the clock")                                          \
    X(SLOW_PAGE_LOSES, 21, "what a slow page cannot take is left out")                            \
    X(RATE_BY_WALL_CLOCK, 23, "the limit of a sender's rate looks at the wall clock")             \
    X(NUMBER_OVERWRITTEN, 24, "a second answer has the number of the last event")                 \
    X(GOES_ON_AFTER_UNKNOWN, 25, "a command lands behind the client's next one")                  \
    X(FORGETS_TAIL, 26, "entries at the log's end are lost, and nobody notices")                  \
    X(NEVER_UNKNOWN, 28, "without a leader a command waits for one")                              \
    X(WINDOW_TOO_SHORT, 29, "a search that is older than the window counts as one")               \
    X(SNAPSHOT_NOT_HELD, 30, "the log is cut before the store has it")

#define MISTAKE_ENUM(name, number, words) name,
enum mistake { MISTAKE_TABLE(MISTAKE_ENUM) MISTAKES };
#undef MISTAKE_ENUM

unsigned mistake_number(enum mistake mistake);
const char *mistake_words(enum mistake mistake);

struct world;
struct crowd;
struct in_flight;

struct store {              /* a node's event store */
    struct shared **events; /* number n at n - 1; those beyond `number` are told and not on disk */
    struct checker_line *lines; /* of the same, as the checker wants them */
    size_t size;
    uint64_t number, told;
    uint64_t index, told_index; /* of the last raft entry whose events are in */
    uint64_t mark, told_mark;   /* raft_durable */
    bool is_committing, is_stuck;
    unsigned latency_ms;
    int64_t at_ms; /* of the last event that was told in this life */
};

struct taken; /* a command on its way through the node that took it */

struct world_node {
    struct host host;
    struct world *world;
    struct sim_io disk;
    struct store store;
    char address[16];
    bool is_member, has_joined, is_gone; /* gone: off for good */
    bool is_full;                        /* its disk */

    /* In RAM, made again at each start. */
    struct raft_io io;
    struct raft raft;
    struct guard guard;
    struct machine machine;
    struct raft_fsm machine_fsm; /* as the machine made it, when a mistake stands before it */
    struct chat chat;

    struct propose *propose;
    struct forward *forward;
    struct backfill *backfill;
    struct in_flight *entry;
    bool is_leading, is_closing, in_entry;
    uint64_t resumed_ms;
    uint64_t stood_ms;      /* until then it was paused; stays when it ends */
    uint64_t leaderless_ms; /* since when, 0 = somebody leads */
    int64_t clock_ms;       /* how wrong its wall clock is; stays when it ends */
    raft_id leader, elected;
    raft_term leader_term, elected_term;
    uint64_t chunks;     /* of backfill */
    uint64_t expired_ms; /* a mistake's */
    struct taken *answered, **answered_last;
    uint64_t beat_ms, heard_ms[SIM_HOSTS]; /* when each of the others was heard last, */
    uint64_t heard_number[SIM_HOSTS];      /* and what it told */
    bool heard_unfit[SIM_HOSTS];
};

struct member_change {         /* raft may call back for one that it refused */
    struct raft_change change; /* first */
    struct world *world;
    unsigned node;
    bool is_member; /* once it is done */
};

struct world {
    struct sim sim;
    struct net net;
    struct world_node nodes[SIM_HOSTS];
    unsigned count;
    struct checker *checker;
    struct crowd *crowd;
    enum mistake mistake;
    unsigned window;    /* ids that apply looks among */
    unsigned keep_log;  /* entries between two snapshots, and behind one */
    unsigned disk_ms;   /* of a write, when nothing makes it slow */
    unsigned lookup_ms; /* between the look into the store and what follows from it */
    bool is_blind;      /* leaders do not look for ids before an append: applying does */
    struct member_change changes[WORLD_CHANGES];
    unsigned changes_count;
    bool is_fatal;
    char fatal[200];
    bool jumps; /* to on_fatal when a node ends itself; else the process ends */
    jmp_buf on_fatal;
    uint64_t wait_max_ms,
        proof_max_ms;  /* for an answer; for one that accepts after the last heal */
    uint64_t level_ms; /* from the last heal until all were level */
    uint64_t elections, kills, ended, gaps, snapshots, backfilled, retries, known, repeated,
        changed;
};

struct world_options {
    uint64_t seed;
    unsigned count;
    unsigned window, keep_log;
    enum mistake mistake;
    bool traces;
};

/* All nodes are up, none leads. */
void world_init(struct world *world, const struct world_options *options);
void world_close(struct world *world);
void world_run(struct world *world, uint64_t for_ms);

/* The node that leads in the highest term; `count` = none. */
unsigned world_leader(const struct world *world);
void world_kill(struct world *world, unsigned i);
void world_start(struct world *world, unsigned i);
void world_pause(struct world *world, unsigned i);
void world_resume(struct world *world, unsigned i);
/* What cluster/node_gap.c does when there is no room, or there is again. */
void world_fill_disk(struct world *world, unsigned i, bool is_full);
/* The store goes on, if it was stuck. */
void store_wake(struct world_node *node);
void world_cut(struct world *world, unsigned from, unsigned to, bool is_cut);
/* Another computer, empty, that is no member yet. Returns its place. */
unsigned world_grow(struct world *world);
/* What the leader is asked for; false: not now. */
bool world_add(struct world *world, unsigned i);
bool world_stand_by(struct world *world, unsigned i); /* gets the log, and has no vote */
bool world_promote(struct world *world, unsigned i);
bool world_remove(struct world *world, unsigned i);
bool world_transfer(struct world *world, unsigned i);
/* A change may have been made although it was not told: who is a member, as the leader sees it. */
void world_sync_members(struct world *world);

/* A leader is ready, all members are up, know the same members, have applied the same and have it on disk.
 */
bool world_is_level(struct world *world);
/* Tells the checker what every member's store has. */
void world_tell_finals(struct world *world);
/* How far each member is. */
void world_trace(struct world *world);

/* A command arrives at a node from outside. The answer goes to crowd_answered with `attempt`. The texts
 * are copied. */
void world_take(struct world_node *node, const struct send_message *command, uint64_t attempt);

unsigned world_room_of(struct slice room);
/* Of two messages that are sent under one id: the text of the other one ends with an exclamation mark, and
 * its id for the checker has this bit. */
#define WORLD_OTHER (UINT64_C(1) << 63)
/* A mistake counts the ids of one message here. */
#define WORLD_AGAIN (UINT64_C(0xff) << 48)
bool world_is_other(struct slice text);
