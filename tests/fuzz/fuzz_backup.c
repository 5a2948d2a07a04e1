/* The head and the end of a backup. Byte 0: 'h' a head as it is, 'H' one whose checksum is put right, for
 * chance would never find it; 'e' and 'E' an end.
 */
#include "base/checksum.h"
#include "base/little_endian.h"
#include "base/mem.h"
#include "fuzz.h"
#include "store/backup.h"

enum { CHECKSUM = 4 };

/* What was read can be written, and is then the same. */
static void read_head(struct slice bytes)
{
    struct backup_head head, again;
    struct errmsg errmsg = {""};
    size_t size = backup_head_size(slice_first(bytes, BACKUP_HEAD_FIXED), &errmsg);
    FUZZ_HOLDS(size <= BACKUP_HEAD_MAX);
    FUZZ_HOLDS(size > 0 || errmsg.text[0] != '\0');
    if (backup_head_decode(&head, bytes, &errmsg) != 0) {
        FUZZ_HOLDS(errmsg.text[0] != '\0');
        return;
    }
    struct buf out;
    buf_init(&out, 2 * BACKUP_HEAD_MAX);
    backup_head_encode(&out, &head);
    FUZZ_HOLDS(!out.overflowed);
    FUZZ_HOLDS(backup_head_decode(&again, buf_slice(&out), &errmsg) == 0);
    FUZZ_HOLDS(again.number == head.number && again.at_ms == head.at_ms);
    FUZZ_HOLDS(memcmp(again.cluster, head.cluster, sizeof head.cluster) == 0);
    FUZZ_HOLDS(strcmp(again.node, head.node) == 0 && strcmp(again.members, head.members) == 0);
    buf_close(&out);
}

static void read_end(struct slice bytes)
{
    static const struct backup_head head = {.number = 3};
    struct errmsg errmsg = {""};
    char right[BACKUP_END_SIZE];
    backup_end_encode(right, &head);
    bool is_right = slice_equal(bytes, slice_make(right, sizeof right));
    FUZZ_HOLDS((backup_end_check(&head, bytes, &errmsg) == 0) == is_right);
    FUZZ_HOLDS(is_right || errmsg.text[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    size_t len = size - 1;
    char *copy = mem_copy(data + 1, len);
    bool has_sum = (data[0] == 'H' || data[0] == 'E') && len >= CHECKSUM;
    if (has_sum) {
        uint32_t sum = crc32c(slice_make(copy, len - CHECKSUM));
        little_store(copy + len - CHECKSUM, sum, CHECKSUM);
    }
    switch (data[0]) {
    case 'h':
    case 'H': read_head(slice_make(copy, len)); break;
    case 'e':
    case 'E': read_end(slice_make(copy, len)); break;
    default: break;
    }
    mem_free(copy);
    return 0;
}
