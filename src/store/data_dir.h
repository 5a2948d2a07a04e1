/* A node's directory: who may use it, and whose it is.
 *
 *   LOCK      an flock for as long as a process uses the directory
 *   VERSION   text, one "key value" a line: format, node, id (raft's, hex), cluster (hex),
 *             state (forming | formed | joining | alone | removed), joined (a raft index; may be
 *             absent), begun (1; may be absent); written to a new file, synced, renamed
 *   secret    a lone node's, 0600, made by it
 *   raft/     the log, libraft's
 *   history/  the event store
 *
 * The directory is 0700 and refused when group or others can reach it. It is opened before the threads
 * start; later only the node marks it, when it forms or joins a cluster and when it leaves one.
 */
#pragma once
#include <stdbool.h>

#include "base/err.h"
#include "base/limits.h"

enum { DATA_DIR_FORMAT = 1 };

enum data_dir_state {
    DATA_DIR_EMPTY,   /* no VERSION, nothing inside: a first start */
    DATA_DIR_FORMING, /* agreed to form a cluster, raft may or may not have begun */
    DATA_DIR_FORMED,
    DATA_DIR_JOINING, /* has a raft id of its own making and asks to be admitted; cluster is zero */
    DATA_DIR_ALONE,   /* restored, imported or recovered: begins raft as a cluster of one, whatever
                       * the peers line says */
    DATA_DIR_REMOVED  /* was told that it is no member any more: never starts again */
};

struct data_dir {
    char path[256];
    int lock_fd;
    enum data_dir_state state;
    char node[NODE_NAME_MAX + 1];
    uint64_t raft_id;
    uint8_t cluster[16];
    uint64_t joined; /* index of the configuration that admitted it; 0 for a founder */
    bool has_begun;  /* of one that was admitted: something of the log has been durable here */
};

/* Makes the directory if absent, locks it, reads VERSION. `node` is the name it must belong to;
 * NULL: whichever.
 * 0; ERR_BUSY when another process holds it; ERR_DATA for another node's directory, or files without
 * a VERSION; ERR_FORMAT for a damaged VERSION; ERR_TOO_LARGE for a newer format; ERR_DENIED for its mode; ERR_IO. */
int data_dir_open(struct data_dir *dir, const char *path, const char *node, struct errmsg *errmsg);
void data_dir_close(struct data_dir *dir);

/* Writes VERSION durably with a new state (and the id and cluster set in *dir). 0 or ERR_IO. */
int data_dir_mark(struct data_dir *dir, enum data_dir_state state, struct errmsg *errmsg);

/* What was made in the directory itself is there after a power loss. 0 or ERR_IO. */
int data_dir_sync(const struct data_dir *dir, struct errmsg *errmsg);

/* How a node whose data is of no use here comes back: as a new member with a new id, for what it has
 * promised as the old one is lost. `address` is its own host:port. Wherever a node must say that, it says this. */
enum { REJOIN_WORDS_MAX = 1024 };
void data_dir_rejoin_words(const struct data_dir *dir, const char *address,
                           char out[REJOIN_WORDS_MAX]);

/* "PATH/name" into out; asserts that it fits. */
void data_dir_path(const struct data_dir *dir, const char *name, char *out, size_t size);

/* Bytes free for us on its file system, and bytes of the files below `name`. */
uint64_t data_dir_free_bytes(const struct data_dir *dir);
/* False: the disk or a quota has no room for a file of so many bytes in the folder `name`. Makes one without a
 * name, of blocks that nothing is written to, and lets it go. */
bool data_dir_has_room(const struct data_dir *dir, const char *name, uint64_t bytes);
uint64_t data_dir_used_bytes(const struct data_dir *dir, const char *name);
