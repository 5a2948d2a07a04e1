/* raft's disk and network, simulated: what raft_uv is in a real node.
 *
 * raft's own fixture cannot lose what was not flushed, its revive keeps the memory, and its disk
 * counts from 1 behind a snapshot that was installed. Here a kill takes everything but the disk:
 *
 *   writes     one after another, each with a latency; what is appended during one is the next one. What
 *              raft was told is stored is on the disk. A kill leaves any prefix of what was on its way.
 *   messages   in order on each link (unless the net reorders), with a latency and a jitter. A link may
 *              be cut or lossy in one direction; a message is lost when its link is cut at its start or
 *              its end, or its receiver ends meanwhile. As raft_uv does, a node may keep its last few
 *              messages to one that it has no connection to, and send them when it has one again.
 *   errors     a write or a read may fail: then the node has to end itself.
 */
#pragma once
#include <setjmp.h>

#include <raft.h>

#include "host.h"

enum { SIM_HOSTS = 8, NET_KEPT_MAX = 3 /* messages for one that is away, as raft_uv */ };

struct net_link {
    bool is_cut;
    unsigned loss_percent;
    unsigned latency_ms, jitter_ms;
    uint64_t last_ms; /* when the last message arrives */
};

struct net {
    struct sim *sim;
    struct sim_io *ios[SIM_HOSTS];
    unsigned count;
    struct net_link links[SIM_HOSTS][SIM_HOSTS]; /* from, to */
    bool reorders, keeps;
    uint64_t sent, lost, kept; /* kept: and sent later */
};

struct disk_entry {
    raft_term term;
    unsigned short type;
    size_t len;
    void *bytes;
};

struct disk_snapshot {
    raft_index index; /* 0 = none */
    raft_term term;
    struct raft_configuration configuration;
    raft_index configuration_index;
    size_t len;
    void *bytes;
};

struct disk {
    raft_term term;
    raft_id vote;
    struct disk_entry *entries;
    size_t count, size;
    raft_index first; /* of entries[0] */
    struct disk_snapshot snapshot;
    unsigned latency_ms;
    bool fails_writing, fails_reading; /* with the next operation of the kind */
    /* Mistakes, for tests of the tests. */
    unsigned flush_ms;  /* not 0: says that it is stored so long before it is */
    raft_index flushed; /* then: up to there it really is */
    unsigned forgets;   /* so many entries at the end are lost with every kill */
};

struct disk_op;
struct kept_message;

struct sim_io {
    struct raft_io *io;
    struct host *host;
    struct net *net;
    struct disk disk;
    raft_id id;
    const char *address;
    raft_index next_index; /* of the next entry to be appended, behind all that is queued */
    struct disk_op *ops;   /* what is queued, in order */
    struct disk_op *reads; /* of snapshots: they wait for nobody */
    bool is_working;
    unsigned tick_ms;
    raft_io_tick_cb on_tick;
    raft_io_recv_cb on_recv;
    struct kept_message *kept;
    bool is_stuck; /* nothing that is queued is begun any more, as long as the node lives */
    bool may_end;  /* the node may end itself in a tick */
    /* An operation has failed, which raft_uv tells in a trace or with the operation's status, or the node may
     * end itself. Whoever does so jumps to `ending`, and on_ended follows. */
    bool is_failing;
    jmp_buf ending;
    void (*on_trace)(struct sim_io *sim_io, const char *message);
    void (*on_ended)(struct sim_io *sim_io);
};

void net_init(struct net *net, struct sim *sim);
void net_add(struct net *net, struct sim_io *io);
/* Whether and when a message that leaves now arrives. */
bool net_takes(struct net *net, unsigned from, unsigned to, uint64_t *in_ms);
bool net_delivers(const struct net *net, unsigned from, unsigned to);

bool net_connects(const struct sim_io *sim_io, raft_id to);

/* One message of raft's; it may be lost. */
void net_send(struct sim_io *sim_io, const struct raft_message *message);
void net_copy_message(struct raft_message *to, const struct raft_message *from);
void net_free_message(struct raft_message *message);

/* Copies in raft's memory: bytes; a configuration; entries, with all their bytes in one batch. */
void *sim_raft_copy(const void *at, size_t len);
void sim_copy_configuration(struct raft_configuration *to, const struct raft_configuration *from);
struct raft_entry *sim_raft_entries(const struct disk_entry *from, size_t count);

/* Fills the table for a new life of the host. */
void sim_io_open(struct sim_io *sim_io, struct raft_io *io, struct host *host, struct net *net);
/* What a fault of the library's looks like whose operations never end; false: it was a disk that hung. */
void sim_io_stick(struct sim_io *sim_io, bool is_stuck);
/* Power is lost: before raft_close. */
void sim_io_lose(struct sim_io *sim_io);
/* Operations that the disk has not done. */
unsigned sim_io_waiting(const struct sim_io *sim_io);
/* The disk's memory. */
void sim_io_free(struct sim_io *sim_io);
