/* What nodes send to one another and keep in snapshots, apart from how it came. Byte 0:
 *
 *   'q' 'a'  a question of who is no member, and its answer
 *   'm' 'M'  a manifest; 'M': its checksum is put right, for chance would never find it
 *   'g'      events that fill a gap
 *
 * What could be read can be written, and is then read the same.
 */
#include "base/checksum.h"
#include "base/little_endian.h"
#include "base/mem.h"
#include "cluster/ask.h"
#include "cluster/backfill.h"
#include "cluster/manifest.h"
#include "fuzz.h"

enum { CHECKSUM = 4 };

static bool is_ended(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static void read_question(struct slice bytes)
{
    struct ask_question question, again;
    struct buf out;
    if (ask_question_decode(&question, bytes) != 0) return;
    FUZZ_HOLDS(is_ended(question.self, sizeof question.self));
    buf_init(&out, ASK_BYTES_MAX);
    ask_question_encode(&out, &question);
    FUZZ_HOLDS(!out.overflowed);
    FUZZ_HOLDS(ask_question_decode(&again, buf_slice(&out)) == 0);
    FUZZ_HOLDS(again.id == question.id && again.joined == question.joined);
    FUZZ_HOLDS(strcmp(again.self, question.self) == 0);
    buf_close(&out);
}

static void read_answer(struct slice bytes)
{
    struct ask_answer answer, again;
    struct buf out;
    if (ask_answer_decode(&answer, bytes) != 0) return;
    FUZZ_HOLDS(answer.members_count <= MEMBERS_MAX && answer.verdict <= ASK_FOREIGN);
    FUZZ_HOLDS(is_ended(answer.cluster_name, sizeof answer.cluster_name));
    FUZZ_HOLDS(is_ended(answer.sentence, sizeof answer.sentence));
    for (size_t i = 0; i < answer.members_count; i++)
        FUZZ_HOLDS(is_ended(answer.members[i].self, sizeof answer.members[i].self));
    buf_init(&out, ASK_BYTES_MAX);
    ask_answer_encode(&out, &answer);
    FUZZ_HOLDS(!out.overflowed);
    FUZZ_HOLDS(ask_answer_decode(&again, buf_slice(&out)) == 0);
    FUZZ_HOLDS(again.verdict == answer.verdict && again.index == answer.index);
    FUZZ_HOLDS(again.members_count == answer.members_count);
    buf_close(&out);
}

static void read_manifest(struct slice bytes)
{
    struct manifest manifest;
    struct errmsg errmsg = {""};
    char out[MANIFEST_SIZE];
    if (manifest_decode(&manifest, bytes, &errmsg) != 0) {
        FUZZ_HOLDS(errmsg.text[0] != '\0');
        return;
    }
    FUZZ_HOLDS(bytes.len == MANIFEST_SIZE);
    manifest_encode(out, &manifest);
    struct manifest again;
    FUZZ_HOLDS(manifest_decode(&again, slice_make(out, sizeof out), &errmsg) == 0);
    FUZZ_HOLDS(again.index == manifest.index && again.number == manifest.number);
}

/* What stands behind the events is a newer node's, and passed over. */
static void read_events(struct slice bytes)
{
    struct backfill_head head;
    struct slice events;
    uint64_t from, up_to;
    uint32_t most;
    (void)backfill_ask_decode(bytes, &from, &up_to, &most);
    if (backfill_head_decode(&head, bytes, &events) != 0) return;
    FUZZ_HOLDS(head.status <= BACKFILL_DAMAGED);
    for (uint32_t i = 0; i < head.count; i++) {
        const char *end = events.at == NULL ? NULL : events.at + events.len;
        struct slice event = backfill_event_take(&events);
        FUZZ_HOLDS(event.len == 0 || event.at + event.len <= end);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    size_t len = size - 1;
    char *copy = mem_copy(data + 1, len);
    struct slice bytes = slice_make(copy, len);
    switch (data[0]) {
    case 'q': read_question(bytes); break;
    case 'a': read_answer(bytes); break;
    case 'M':
        if (len >= CHECKSUM)
            little_store(copy + len - CHECKSUM, crc32c(slice_first(bytes, len - CHECKSUM)),
                         CHECKSUM);
        read_manifest(bytes);
        break;
    case 'm': read_manifest(bytes); break;
    case 'g': read_events(bytes); break;
    default: break;
    }
    mem_free(copy);
    return 0;
}
