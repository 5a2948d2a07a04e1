#include "cluster/scan.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cluster/wire.h"

enum {
    FORMAT = 1,
    PREAMBLE = 8, /* the two checksums */
    ENTRY_HEAD = 16,
    SECTOR = 512,
    ENTRIES_MAX = 1 << 20,
    SEGMENT_MAX = 256 * 1024 * 1024 /* of raft's own choice 8 MiB, more for one large entry */
};

static uint32_t crc32(const uint8_t *at, size_t len)
{
    static uint32_t table[256];
    if (table[1] == 0) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t value = i << 24;
            for (int bit = 0; bit < 8; bit++) {
                value = (value & 0x80000000u) != 0 ? value << 1 ^ 0x04c11db7u : value << 1;
            }
            table[i] = value;
        }
    }
    uint32_t crc = 0;
    for (size_t i = 0; i < len; i++)
        crc = crc << 8 ^ table[(crc >> 24 ^ at[i]) & 255];
    return crc;
}

static bool is_zero(const uint8_t *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (at[i] != 0) return false;
    }
    return true;
}

/* The length of the batch at the front of `rest`, or 0 when it does not verify. */
static size_t batch_length(struct slice rest)
{
    const uint8_t *at = (const uint8_t *)rest.at;
    if (rest.len < PREAMBLE + 8) return 0;
    uint64_t count = little_load(at + PREAMBLE, 8);
    if (count == 0 || count > ENTRIES_MAX) return 0;
    size_t header = 8 + (size_t)count * ENTRY_HEAD;
    if (rest.len < PREAMBLE + header) return 0;
    if (crc32(at + PREAMBLE, header) != little_load(at, 4)) return 0;
    size_t data = 0;
    for (uint64_t i = 0; i < count; i++) {
        size_t len = (size_t)little_load(at + PREAMBLE + 8 + i * ENTRY_HEAD + 12, 4);
        data += (len + 7) / 8 * 8;
        if (data > rest.len) return 0;
    }
    if (rest.len < PREAMBLE + header + data) return 0;
    if (crc32(at + PREAMBLE + header, data) != little_load(at + 4, 4)) return 0;
    return PREAMBLE + header + data;
}

/* Is there a sector, aligned in the file, that was never written? */
static bool has_hole(struct slice bytes, size_t from, size_t to)
{
    for (size_t at = (from + SECTOR - 1) / SECTOR * SECTOR; at + SECTOR <= to; at += SECTOR) {
        if (is_zero((const uint8_t *)bytes.at + at, SECTOR)) return true;
    }
    return false;
}

/* Where a batch that verifies begins behind `from`, or bytes.len. Batches begin at multiples of 8. */
static size_t next_batch(struct slice bytes, size_t from)
{
    for (size_t at = from + 8; at + PREAMBLE + 8 + ENTRY_HEAD <= bytes.len; at += 8) {
        const uint8_t *head = (const uint8_t *)bytes.at + at;
        if (is_zero(head, PREAMBLE)) continue;
        if (batch_length(slice_skip(bytes, at)) > 0) return at;
    }
    return bytes.len;
}

int scan_segment(struct slice bytes, struct errmsg *errmsg)
{
    const uint8_t *start = (const uint8_t *)bytes.at;
    if (bytes.len < 8 || is_zero(start, bytes.len)) return 0; /* prepared, never used */
    if (little_load(start, 8) != FORMAT) {
        /* The first sector of the first write may be missing. */
        if (has_hole(bytes, 0, bytes.len < SECTOR ? bytes.len : SECTOR)) return 0;
        errmsg_set(errmsg, "its format is not known");
        return ERR_DATA;
    }
    size_t at = 8;
    while (at < bytes.len) {
        size_t len = batch_length(slice_skip(bytes, at));
        if (len == 0) break;
        at += len;
    }
    if (at >= bytes.len || is_zero(start + at, bytes.len - at)) return 0;
    size_t next = next_batch(bytes, at);
    if (next == bytes.len || has_hole(bytes, at, next)) return 0; /* torn */
    errmsg_set(errmsg, "the batch at byte %zu is damaged, and good ones follow at byte %zu", at,
               next);
    return ERR_DATA;
}

static int scan_file(const char *path, struct errmsg *errmsg)
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        errmsg_set(errmsg, "cannot open %s: %s", path, strerror(errno));
        return ERR_IO;
    }
    int rv = 0;
    struct buf bytes;
    buf_init(&bytes, SEGMENT_MAX);
    while (rv == 0 && feof(file) == 0) {
        enum { PIECE = 1024 * 1024 };
        size_t before = bytes.len;
        char *into = buf_extend(&bytes, PIECE);
        if (into == NULL) break; /* more than raft would ever write: it will say so itself */
        size_t got = fread(into, 1, PIECE, file);
        buf_truncate(&bytes, before + got);
        if (ferror(file) != 0) {
            errmsg_set(errmsg, "cannot read %s: %s", path, strerror(errno));
            rv = ERR_IO;
        }
    }
    fclose(file);
    struct errmsg reason;
    if (rv == 0 && scan_segment(buf_slice(&bytes), &reason) != 0) {
        errmsg_set(errmsg, "%s is damaged: %s", path, reason.text);
        rv = ERR_DATA;
    }
    buf_close(&bytes);
    return rv;
}

int scan_open_segments(const char *raft_dir, struct errmsg *errmsg)
{
    DIR *listing = opendir(raft_dir);
    if (listing == NULL && errno == ENOENT) return 0;
    if (listing == NULL) {
        errmsg_set(errmsg, "cannot list %s: %s", raft_dir, strerror(errno));
        return ERR_IO;
    }
    int rv = 0;
    struct dirent *entry = readdir(listing);
    for (; rv == 0 && entry != NULL; entry = readdir(listing)) {
        char path[1024];
        if (strncmp(entry->d_name, "open-", 5) != 0) continue;
        int len = snprintf(path, sizeof path, "%s/%s", raft_dir, entry->d_name);
        if (len > 0 && (size_t)len < sizeof path) rv = scan_file(path, errmsg);
    }
    closedir(listing);
    return rv;
}
