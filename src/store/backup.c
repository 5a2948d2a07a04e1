#include "store/backup.h"

#include <inttypes.h>

#include "base/checksum.h"
#include "base/little_endian.h"

enum {
    FIXED = 16 + 16 + 8 + 8 + 16, /* up to the texts */
    HEAD_MIN = FIXED + 3 * 2 + 4,
    END_CHECKED = 28
};

static const char magic[8] = {'L', 'T', 'E', 'A', 'B', 'A', 'K', '1'};

/* ---- head ---- */

static void add_text(struct buf *out, const char *text)
{
    char len[2];
    struct slice slice = slice_from(text);
    little_store(len, slice.len, sizeof len);
    buf_append(out, len, sizeof len);
    buf_add(out, slice);
}

void backup_head_encode(struct buf *out, const struct backup_head *head)
{
    char fixed[FIXED];
    size_t start = out->len;
    size_t len = HEAD_MIN + strlen(head->node) + strlen(head->cluster_name) + strlen(head->members);
    memcpy(fixed, magic, sizeof magic);
    little_store(fixed + 8, BACKUP_VERSION, 4);
    little_store(fixed + 12, len, 4);
    memcpy(fixed + 16, head->cluster, 16);
    little_store(fixed + 32, head->number, 8);
    little_store(fixed + 40, (uint64_t)head->at_ms, 8);
    memcpy(fixed + 48, head->digest.bytes, 16);
    buf_append(out, fixed, sizeof fixed);
    add_text(out, head->node);
    add_text(out, head->cluster_name);
    add_text(out, head->members);
    char checksum[4];
    little_store(checksum, crc32c(slice_skip(buf_slice(out), start)), sizeof checksum);
    buf_append(out, checksum, sizeof checksum);
}

size_t backup_head_size(struct slice fixed, struct errmsg *errmsg)
{
    if (fixed.len < BACKUP_HEAD_FIXED) {
        errmsg_set(errmsg, "it is no backup: it ends after %zu bytes", fixed.len);
        return 0;
    }
    if (memcmp(fixed.at, magic, sizeof magic) != 0) {
        errmsg_set(errmsg, "it is no backup of Live Tea");
        return 0;
    }
    uint32_t version = little_load_u32(fixed.at + 8);
    if (version > BACKUP_VERSION) {
        errmsg_set(errmsg,
                   "the backup has version %" PRIu32
                   ", made by a newer Live Tea; this one reads up to %d",
                   version, (int)BACKUP_VERSION);
        return 0;
    }
    size_t len = little_load_u32(fixed.at + 12);
    if (version == 0 || len < HEAD_MIN || len > BACKUP_HEAD_MAX) {
        errmsg_set(errmsg, "the backup's head is damaged");
        return 0;
    }
    return len;
}

/* Takes a text off the front of `rest` into `out` with its NUL; false when it does not fit. */
static bool take_text(struct slice *rest, char *out, size_t size)
{
    if (rest->len < 2) return false;
    size_t len = (size_t)little_load(rest->at, 2);
    *rest = slice_skip(*rest, 2);
    if (len > rest->len || len >= size) return false;
    if (len > 0) memcpy(out, rest->at, len);
    out[len] = '\0';
    *rest = slice_skip(*rest, len);
    return strlen(out) == len;
}

int backup_head_decode(struct backup_head *head, struct slice bytes, struct errmsg *errmsg)
{
    *head = (struct backup_head){.number = 0};
    size_t len = backup_head_size(bytes, errmsg);
    if (len == 0) return ERR_FORMAT;
    if (bytes.len < len) {
        errmsg_set(errmsg, "the backup is cut off in its head, after %zu of %zu bytes", bytes.len,
                   len);
        return ERR_FORMAT;
    }
    struct slice checked = slice_first(bytes, len - 4);
    bool is_good = little_load_u32(bytes.at + checked.len) == crc32c(checked);
    struct slice rest = slice_skip(checked, FIXED);
    is_good = is_good && take_text(&rest, head->node, sizeof head->node) &&
              take_text(&rest, head->cluster_name, sizeof head->cluster_name) &&
              take_text(&rest, head->members, sizeof head->members) && rest.len == 0;
    if (!is_good) {
        errmsg_set(errmsg, "the backup's head is damaged");
        return ERR_FORMAT;
    }
    memcpy(head->cluster, bytes.at + 16, 16);
    head->number = little_load(bytes.at + 32, 8);
    head->at_ms = (int64_t)little_load(bytes.at + 40, 8);
    memcpy(head->digest.bytes, bytes.at + 48, 16);
    return 0;
}

/* ---- end ---- */

void backup_end_encode(char out[BACKUP_END_SIZE], const struct backup_head *head)
{
    little_store(out, BACKUP_END, 4);
    little_store(out + 4, head->number, 8);
    memcpy(out + 12, head->digest.bytes, 16);
    little_store(out + END_CHECKED, crc32c(slice_make(out, END_CHECKED)), 4);
}

int backup_end_check(const struct backup_head *head, struct slice bytes, struct errmsg *errmsg)
{
    char expected[BACKUP_END_SIZE];
    backup_end_encode(expected, head);
    if (bytes.len < BACKUP_END_SIZE) {
        errmsg_set(errmsg, "the backup is cut off: its end is missing");
        return ERR_FORMAT;
    }
    if (slice_equal(bytes, slice_make(expected, sizeof expected))) return 0;
    bool is_whole =
        little_load_u32(bytes.at + END_CHECKED) == crc32c(slice_first(bytes, END_CHECKED));
    errmsg_set(errmsg, is_whole && bytes.len == BACKUP_END_SIZE
                           ? "the backup's end is that of another history than its head"
                           : "the backup's end is damaged");
    return ERR_FORMAT;
}
