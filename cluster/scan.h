/* Reads raft's open segments before raft does.
 *
 * At start raft cuts an open segment at the first batch that it cannot verify, whatever stands behind
 * it, and says nothing: after one flipped bit it has forgotten entries that it had acknowledged. That
 * cut is right for a write that the power loss tore, and wrong for damage. The two can be told apart in
 * most cases:
 *
 *   torn     the file was full of zeros before, so what was not written is zeros in whole sectors
 *   damaged  the bad batch has no such hole in it, and batches that verify stand behind it
 *
 * For the rest, a bad last batch, the mark in the event store decides (raft_durable, node_raft.c).
 *
 * A segment: format u64 = 1; then batches: CRC of header u32 | CRC of data u32 | header: count u64,
 * and for each entry term u64, type u8, 3 unused, length u32 | data, each entry padded to 8. The CRC is
 * CRC-32, polynomial 0x04c11db7, not reflected, starting with 0. All little-endian.
 */
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include "cluster/manifest.h"

/* What lies in the raft directory of a node that does not run. */
struct scan_found {
    bool has_metadata, has_snapshot;
    uint64_t term, voted_for; /* of the newer metadata file */
    uint64_t segments;        /* closed ones, and open ones with entries */
    uint64_t first, last;     /* entries in them; first > last: none */
    uint64_t last_term;
    uint64_t snapshot_index, snapshot_term;
    struct manifest manifest; /* of the newest snapshot */
};

enum scan_depth {
    SCAN_START, /* what raft does not look at, or answers with silence: closed segments by their names only,
                 * for raft reads these itself and says what is wrong */
    SCAN_ALL
};

/* Both metadata files, every segment, the newest snapshot, and how they fit one another. 0; ERR_DATA with the
 * file and the place; ERR_IO. A directory that is not there has nothing in it.
 *
 *   metadata1, metadata2   format u64 = 1 | version u64 | term u64 | voted for u64; odd versions in the
 *                          first; the higher one counts, a short file was never written
 *   FIRST-LAST             a closed segment: nothing but batches
 *   snapshot-TERM-INDEX-TIME.meta   format u64 = 1 | CRC of the rest u64 | configuration index u64 | its
 *                          length u64 | configuration; beside it the snapshot itself: a manifest
 */
int scan_raft_dir(struct scan_found *found, const char *raft_dir, enum scan_depth depth,
                  struct errmsg *errmsg);

/* Before a start: removes closed segments that a process left which ended in the middle of something, and over which
 * raft would fall:
 *
 *   install    A snapshot that another node sent takes the place of the whole log; raft writes it, and then removes
 *              the segments before it. With both there raft counts what it appends behind the snapshot from the end
 *              of those segments: it does not start any more, or takes entries for others. They go, if the snapshot
 *              can be read and reaches beyond them all.
 *   truncate   What is kept of a segment is written beside it, maybe not to its end, and then the segment is removed.
 *              Of two that begin at the same entry the shorter one goes: as if raft had not begun.
 *
 * 0; ERR_IO. */
int scan_clear(const char *raft_dir, struct errmsg *errmsg);

/* Before a log is begun: removes the metadata and the first segment that an earlier beginning has left which was not
 * finished, and which raft would take for a log. With more than that there nothing is removed. 0; ERR_IO. */
int scan_forget_beginning(const char *raft_dir, struct errmsg *errmsg);

/* Of one entry that holds commands. 0 to go on. */
typedef int (*scan_entry_fn)(void *owner, uint64_t index, struct slice bytes);

/* Gives out the entries behind `after`, in order, changing nothing on disk: for a directory that raft will not
 * see again. It ends where they end, where one cannot be read, and, with nothing given, when they begin
 * later than at `after` + 1. *last is the last one read. 0; what on_entry returned; ERR_IO. */
int scan_entries(const char *raft_dir, uint64_t after, scan_entry_fn on_entry, void *owner,
                 uint64_t *last, struct errmsg *errmsg);

/* One segment's bytes. 0, or ERR_DATA with the place. Pure. */
int scan_segment(struct slice bytes, struct errmsg *errmsg);
