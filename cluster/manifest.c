#include "cluster/manifest.h"

#include <assert.h>
#include <string.h>

#include "base/checksum.h"
#include "base/little_endian.h"

enum { /* offsets */
       AT_VERSION = 8,
       AT_LENGTH = 12,
       AT_CLUSTER = 16,
       AT_INDEX = 32,
       AT_NUMBER = 40,
       AT_AT_MS = 48,
       AT_DIGEST = 56,
       AT_CRC = 76
};

static const char magic[AT_VERSION] = {'L', 'T', 'E', 'A', 'M', 'A', 'N', '1'};

static_assert(AT_CRC + 4 == MANIFEST_SIZE, "the checksum is last");

void manifest_encode(char out[MANIFEST_SIZE], const struct manifest *manifest)
{
    memset(out, 0, MANIFEST_SIZE);
    memcpy(out, magic, sizeof magic);
    little_store(out + AT_VERSION, MANIFEST_VERSION, 4);
    little_store(out + AT_LENGTH, MANIFEST_SIZE, 4);
    memcpy(out + AT_CLUSTER, manifest->cluster, sizeof manifest->cluster);
    little_store(out + AT_INDEX, manifest->index, 8);
    little_store(out + AT_NUMBER, manifest->number, 8);
    little_store(out + AT_AT_MS, (uint64_t)manifest->at_ms, 8);
    memcpy(out + AT_DIGEST, &manifest->digest, sizeof manifest->digest);
    little_store(out + AT_CRC, crc32c(slice_make(out, AT_CRC)), 4);
}

int manifest_decode(struct manifest *manifest, struct slice bytes, struct errmsg *errmsg)
{
    if (bytes.len < AT_CLUSTER || memcmp(bytes.at, magic, sizeof magic) != 0) {
        errmsg_set(errmsg, "the raft log's snapshot is no manifest of Live Tea");
        return ERR_FORMAT;
    }
    /* Of a newer one nothing else is known, not even where its checksum stands. */
    uint32_t version = little_load_u32(bytes.at + AT_VERSION);
    if (version > MANIFEST_VERSION) {
        errmsg_set(errmsg,
                   "the raft log's snapshot has version %u, made by a newer Live Tea: start that "
                   "version again",
                   (unsigned)version);
        return ERR_TOO_LARGE;
    }
    bool is_whole = bytes.len == MANIFEST_SIZE && version == MANIFEST_VERSION &&
                    little_load_u32(bytes.at + AT_LENGTH) == MANIFEST_SIZE &&
                    little_load_u32(bytes.at + AT_CRC) == crc32c(slice_first(bytes, AT_CRC));
    if (!is_whole) {
        errmsg_set(errmsg, "the raft log's snapshot is damaged: its checksum is wrong");
        return ERR_FORMAT;
    }
    *manifest = (struct manifest){.index = little_load(bytes.at + AT_INDEX, 8),
                                  .number = little_load(bytes.at + AT_NUMBER, 8),
                                  .at_ms = (int64_t)little_load(bytes.at + AT_AT_MS, 8)};
    memcpy(manifest->cluster, bytes.at + AT_CLUSTER, sizeof manifest->cluster);
    memcpy(&manifest->digest, bytes.at + AT_DIGEST, sizeof manifest->digest);
    return 0;
}
