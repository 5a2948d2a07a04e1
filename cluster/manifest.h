/* Our snapshot: not the history, only how far it reaches.
 *
 * The event store keeps every event for ever, so what raft needs to keep of the entries that it drops is
 * where the history stood behind them. A manifest has the same size whatever the history:
 *
 *   "LTEAMAN1" | version u32 = 1 | length u32 = 80 | cluster 16 | index u64 | number u64 | at_ms u64
 *   | digest 16 | zero u32 | CRC-32C of all before u32                                     = 80 bytes
 *
 * index: of the last entry that is in; number, at_ms, digest: of the last event up to there. Little-endian.
 * raft keeps no checksum of a snapshot's content, so this one has its own. Pure.
 */
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include "chat/ids.h"

enum { MANIFEST_SIZE = 80, MANIFEST_VERSION = 1 };

struct manifest {
    uint8_t cluster[16];
    uint64_t index, number;
    int64_t at_ms;
    struct digest digest;
};

void manifest_encode(char out[MANIFEST_SIZE], const struct manifest *manifest);
/* 0; ERR_FORMAT (damaged, or no manifest); ERR_TOO_LARGE for a newer version. With a sentence. */
int manifest_decode(struct manifest *manifest, struct slice bytes, struct errmsg *errmsg);
