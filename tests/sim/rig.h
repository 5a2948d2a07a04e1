/* A cluster on raft's own simulator: virtual time, network and disk, the same every time. */
#pragma once
#include <raft.h>
#include <raft/fixture.h>

#include "cluster/guard.h"
#include "cluster/machine.h"

enum { RIG_NODES = 5, RIG_VALUES = 4096, RIG_HEARTBEAT_MS = 100, RIG_ELECTION_MS = 1000 };

struct rig;

struct rig_node {
    struct rig *rig;
    struct raft_fsm fsm;
    struct guard guard;
    bool is_guarded;
    bool gives_manifests;        /* else fsm->snapshot is busy */
    uint64_t values[RIG_VALUES]; /* as applied */
    size_t values_count;
    unsigned restored;

    /* With has_chats instead: the real machine, and a history in RAM. */
    struct chat chat;
    struct machine machine;
    struct shared *history[RIG_VALUES]; /* as on_event told them */
    uint64_t number;                    /* of the last one */
    uint64_t entry;                     /* on_entry's last */
};

struct rig {
    struct raft_fixture fixture;
    struct rig_node nodes[RIG_NODES];
    unsigned count;
    bool tells;          /* guard_tell_commit after every step */
    bool checks_match;   /* no leader believes more of a follower than is true */
    unsigned fatals;     /* calls of on_fatal, when it is to return */
    bool survives_fatal; /* else on_fatal ends the process with RIG_FATAL */
    bool has_chats;
    bool stores_late; /* else what is told is durable at once */
};

enum { RIG_FATAL = 42 };

struct rig_options {
    unsigned count;
    bool is_unguarded;
    bool is_stopped; /* do not start: the test puts entries in before */
    bool has_chats;  /* values are messages, snapshots are manifests */
};

void rig_init(struct rig *rig, const struct rig_options *options);
void rig_start(struct rig *rig);
void rig_close(struct rig *rig);

struct raft *rig_raft(struct rig *rig, unsigned i);
/* Proposes one value on node i; returns raft_apply's answer. */
int rig_propose(struct rig *rig, unsigned i, uint64_t value);
void rig_run(struct rig *rig, unsigned msecs);
/* Both ways between i and all others. */
void rig_cut(struct rig *rig, unsigned i);
void rig_join(struct rig *rig, unsigned i);
/* With a gap: gives `to` up to `most` events of `from`'s history. */
void rig_feed(struct rig *rig, unsigned to, unsigned from, uint64_t most);
/* All nodes have applied the same values, as far as they go. */
void rig_check_agreement(struct rig *rig);

/* Runs it in a child; returns its exit status, or 1000 + the signal that ended it. */
int rig_in_child(void (*run)(void));
