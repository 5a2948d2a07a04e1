/* A backup: the whole history and who was there, as one file.
 *
 *   head     "LTEABAK1" | version u32 = 1 | head's length u32 | cluster 16 | number u64 | at_ms u64 (of its
 *            making) | digest 16 | node's name, cluster's name, members: each u16 length and text
 *            | CRC-32C of all before u32
 *   events   number 1, 2, 3...: length u32 | bytes as event_encode makes them, with their own checksum
 *   end      length u32 = 0xffffffff | number u64 | digest 16 | CRC-32C of these 28 bytes u32
 *
 * Little-endian. The digest in the head is that of the last event, so whoever has the head knows what
 * the rest must be; a file that was cut is noticed for it has no end. The history only grows, so a copy
 * of its first N events is consistent whatever happens meanwhile. Pure: bytes in, bytes out.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "chat/ids.h"

enum {
    BACKUP_VERSION = 1,
    BACKUP_HEAD_MAX = 16 * 1024,
    BACKUP_HEAD_FIXED = 16, /* bytes after which its length is known */
    BACKUP_END_SIZE = 32
};

#define BACKUP_END UINT32_C(0xffffffff) /* where an event's length would be: the end */

struct backup_head {
    uint8_t cluster[16];
    uint64_t number;
    int64_t at_ms;
    struct digest digest;
    char node[NODE_NAME_MAX + 1];
    char cluster_name[64];
    char members[4096]; /* "tea-1=10.0.0.11:7000, ..." */
};

void backup_head_encode(struct buf *out, const struct backup_head *head);
/* Bytes of the whole head, from its first BACKUP_HEAD_FIXED; 0: this is no backup, or a newer one (with a
 * sentence). */
size_t backup_head_size(struct slice fixed, struct errmsg *errmsg);
/* 0 or ERR_FORMAT, with a sentence. */
int backup_head_decode(struct backup_head *head, struct slice bytes, struct errmsg *errmsg);
void backup_end_encode(char out[BACKUP_END_SIZE], const struct backup_head *head);
int backup_end_check(const struct backup_head *head, struct slice bytes, struct errmsg *errmsg);
