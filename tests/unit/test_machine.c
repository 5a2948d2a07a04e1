/* Raft's state machine, by its callbacks: raft itself lends only its applied index. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/machine.h"
#include "promise.h"

enum { HISTORY = 40, TOLD_MAX = 4096 };

static const uint8_t cluster[16] = "one cluster's 16";
static const struct chat_limits limits = {.text_code_points_max = 100};

/* ---- a node: its chat, its machine, and what it was told ---- */

struct one {
    struct raft raft;
    struct chat chat;
    struct machine machine;
    uint64_t events[TOLD_MAX]; /* numbers, as told */
    size_t events_count;
    struct shared *bytes[TOLD_MAX];
    unsigned outcomes[CHAT_INVALID + 1];
    uint64_t entry; /* index told last */
    unsigned gaps;  /* times on_gap was called */
    uint64_t manifest_number;
    unsigned asked; /* for a digest in the store */
    const struct digest *stored;
    unsigned fatals;
    char sentence[ERRMSG_MAX];
};

static void on_event(void *owner, const struct message_sent *event, struct shared *bytes)
{
    struct one *one = owner;
    assert_true(one->events_count < TOLD_MAX);
    one->bytes[one->events_count] = shared_ref(bytes);
    one->events[one->events_count++] = event->number;
}

static void on_outcome(void *owner, const struct command_id *id, enum chat_outcome outcome,
                       const struct message_sent *event)
{
    struct one *one = owner;
    (void)id;
    (void)event;
    one->outcomes[outcome]++;
}

static void on_entry(void *owner, uint64_t index)
{
    struct one *one = owner;
    assert_true(index >= one->entry); /* the store's marks never go back */
    one->entry = index;
}

static void on_gap(void *owner)
{
    struct one *one = owner;
    one->gaps++;
}

static void on_manifest(void *owner, const struct manifest *manifest)
{
    struct one *one = owner;
    one->manifest_number = manifest->number;
}

static int digest_at(void *owner, uint64_t number, struct digest *digest)
{
    struct one *one = owner;
    one->asked++;
    if (one->stored == NULL) return ERR_NOT_FOUND;
    *digest = one->stored[number];
    return 0;
}

static void on_fatal(void *owner, int exit_code, const char *sentence)
{
    struct one *one = owner;
    assert_int_equal(exit_code, 3);
    one->fatals++;
    snprintf(one->sentence, sizeof one->sentence, "%s", sentence);
}

static void one_init(struct one *one, uint64_t stored_index)
{
    *one = (struct one){.fatals = 0};
    chat_init(&one->chat, &limits);
    machine_init(&one->machine, &one->raft, &one->chat, cluster, stored_index,
                 &(struct machine_handler){.owner = one,
                                           .on_event = on_event,
                                           .on_outcome = on_outcome,
                                           .on_entry = on_entry,
                                           .on_gap = on_gap,
                                           .on_manifest = on_manifest,
                                           .digest_at = digest_at,
                                           .on_fatal = on_fatal});
}

static void one_close(struct one *one)
{
    for (size_t i = 0; i < one->events_count; i++)
        shared_unref(one->bytes[i]);
    machine_close(&one->machine);
    chat_close(&one->chat);
}

/* ---- a history: entry i of the log brings the events 2i - 1 and 2i ---- */

static void make_entry(struct buf *out, uint64_t index)
{
    buf_reset(out);
    for (uint64_t number = 2 * index - 1; number <= 2 * index; number++) {
        char text[32];
        int len = snprintf(text, sizeof text, "message %u", (unsigned)number);
        struct send_message command = {.room = number % 3 == 0 ? slice_of("cake") : slice_of("tea"),
                                       .sender = slice_of("Maja"),
                                       .text = slice_make(text, (size_t)len),
                                       .at_ms = 1000 + (int64_t)number};
        memcpy(command.id.bytes, &number, sizeof number);
        command.unseen_up_to = number - 1;
        assert_true(batch_add(out, &command));
    }
    batch_finish(out, 2);
}

/* As raft does it. */
static void apply_bytes(struct one *one, uint64_t index, struct slice bytes)
{
    void *result;
    char *kept = mem_new(bytes.len);
    memcpy(kept, bytes.at, bytes.len);
    struct raft_buffer buf = {.base = kept, .len = bytes.len};
    assert_int_equal(raft_last_applied(&one->raft), index - 1);
    assert_int_equal(one->machine.fsm.apply(&one->machine.fsm, &buf, &result), 0);
    one->raft.last_applied = index;
    memset(kept, 0xee, bytes.len); /* raft's buffer is good during the call only */
    mem_free(kept);
}

static void apply_entry(struct one *one, uint64_t index)
{
    struct buf entry;
    buf_init(&entry, 64 * 1024);
    make_entry(&entry, index);
    apply_bytes(one, index, buf_slice(&entry));
    buf_close(&entry);
}

static void apply_to(struct one *one, uint64_t index)
{
    while (raft_last_applied(&one->raft) < index)
        apply_entry(one, raft_last_applied(&one->raft) + 1);
}

/* The manifest that `from` gives to raft now. */
static void take(struct one *from, char out[MANIFEST_SIZE])
{
    struct raft_buffer *bufs;
    unsigned count;
    assert_int_equal(from->machine.fsm.snapshot(&from->machine.fsm, &bufs, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(bufs->len, MANIFEST_SIZE);
    memcpy(out, bufs->base, MANIFEST_SIZE);
    raft_free(bufs->base);
    raft_free(bufs);
}

static int restore(struct one *one, const char manifest[MANIFEST_SIZE])
{
    struct raft_buffer buf = {.base = raft_malloc(MANIFEST_SIZE), .len = MANIFEST_SIZE};
    memcpy(buf.base, manifest, MANIFEST_SIZE);
    int rv = one->machine.fsm.restore(&one->machine.fsm, &buf);
    struct manifest decoded;
    if (rv != 0) {
        raft_free(buf.base);
        return rv;
    }
    assert_int_equal(manifest_decode(&decoded, slice_make(manifest, MANIFEST_SIZE), NULL), 0);
    one->raft.last_applied = decoded.index;
    return 0;
}

/* The whole node and the manifest of its state at entry `index`. */
static void whole(struct one *one, uint64_t index, char manifest[MANIFEST_SIZE])
{
    one_init(one, 0);
    apply_to(one, index);
    take(one, manifest);
}

static int give(struct one *to, const struct one *from, uint64_t number)
{
    struct errmsg errmsg;
    return machine_backfill(&to->machine, shared_slice(from->bytes[number - 1]), &errmsg);
}

static void assert_same(const struct one *a, const struct one *b)
{
    assert_true(a->chat.number == b->chat.number && a->chat.index == b->chat.index);
    assert_memory_equal(&a->chat.digest, &b->chat.digest, sizeof a->chat.digest);
    assert_int_equal(a->chat.rooms_count, b->chat.rooms_count);
    for (size_t i = 0; i < b->events_count; i++) {
        const struct one *shorter = b;
        size_t skipped = a->events_count - b->events_count;
        assert_int_equal(a->events[skipped + i], shorter->events[i]);
        assert_true(
            slice_equal(shared_slice(a->bytes[skipped + i]), shared_slice(shorter->bytes[i])));
    }
}

static bool is_busy(struct one *one)
{
    struct raft_buffer *bufs;
    unsigned count;
    int rv = one->machine.fsm.snapshot(&one->machine.fsm, &bufs, &count);
    if (rv == RAFT_BUSY) return true;
    assert_int_equal(rv, 0);
    raft_free(bufs->base);
    raft_free(bufs);
    return false;
}

/* ---- manifests that are given ---- */

static void a_manifest_says_where_the_history_stands(void **state)
{
    (void)state;
    struct one one;
    struct manifest manifest;
    char bytes[MANIFEST_SIZE];
    whole(&one, 7, bytes);
    assert_int_equal(manifest_decode(&manifest, slice_make(bytes, sizeof bytes), NULL), 0);
    assert_true(manifest.index == 7 && manifest.number == 14 && manifest.at_ms == 1014);
    assert_memory_equal(&manifest.digest, &one.chat.digest, sizeof manifest.digest);
    assert_memory_equal(manifest.cluster, cluster, sizeof cluster);
    assert_int_equal(one.manifest_number, 14);
    one.raft.last_applied = 9; /* entries of raft's own: a barrier, a change */
    take(&one, bytes);
    assert_int_equal(manifest_decode(&manifest, slice_make(bytes, sizeof bytes), NULL), 0);
    assert_true(manifest.index == 9 && manifest.number == 14);
    assert_int_equal(one.machine.manifests, 2);
    assert_int_equal(one.machine.log_bytes, 0);
    one_close(&one);
}

/* The store may be ahead of raft's log after a crash. Of an index below it the number is not known. */
static void while_raft_repeats_what_is_stored_there_is_no_manifest(void **state)
{
    (void)state;
    struct one one;
    one_init(&one, 3);
    one.chat.number = 6;
    one.chat.index = 3;
    for (uint64_t index = 1; index < 3; index++) {
        apply_entry(&one, index);
        assert_true(is_busy(&one));
    }
    apply_entry(&one, 3);
    assert_int_equal(one.events_count, 0); /* it was all there */
    assert_false(is_busy(&one));
    one_close(&one);
}

/* ---- manifests that are restored ---- */

static void a_manifest_of_what_is_here_changes_nothing(void **state)
{
    (void)state;
    struct one one;
    struct one other;
    char bytes[MANIFEST_SIZE];
    whole(&one, 5, bytes);
    whole(&other, 5, bytes);
    assert_int_equal(restore(&one, bytes), 0);
    assert_false(one.machine.has_gap);
    assert_int_equal(one.gaps, 0);
    assert_same(&one, &other);

    other.raft.last_applied = 6; /* one more entry, without events */
    take(&other, bytes);
    assert_int_equal(restore(&one, bytes), 0);
    assert_false(one.machine.has_gap);
    assert_int_equal(one.chat.index, 6);
    assert_int_equal(one.entry, 6);
    one_close(&one);
    one_close(&other);
}

static void a_manifest_behind_the_store_is_compared_with_it(void **state)
{
    (void)state;
    struct one early;
    struct one late;
    char bytes[MANIFEST_SIZE];
    char ignored[MANIFEST_SIZE];
    struct digest stored[HISTORY] = {{{0}}};
    whole(&early, 5, bytes);
    whole(&late, 9, ignored);
    stored[10] = early.chat.digest;
    late.stored = stored;
    assert_int_equal(restore(&late, bytes), 0);
    assert_false(late.machine.has_gap);
    assert_int_equal(late.asked, 1);
    assert_true(late.chat.number == 18 && late.chat.index == 9);

    stored[10].bytes[0] ^= 1;
    assert_int_not_equal(restore(&late, bytes), 0);
    assert_int_equal(late.fatals, 1);
    late.stored = NULL; /* it cannot be read */
    assert_int_not_equal(restore(&late, bytes), 0);
    assert_int_equal(late.fatals, 2);
    one_close(&early);
    one_close(&late);
}

static void a_manifest_of_another_history_ends_the_node(void **state)
{
    (void)state;
    struct one one;
    struct manifest manifest;
    char good[MANIFEST_SIZE];
    char bad[MANIFEST_SIZE];
    whole(&one, 5, good);
    assert_int_equal(manifest_decode(&manifest, slice_make(good, sizeof good), NULL), 0);

    memcpy(bad, good, sizeof bad);
    bad[70] ^= 1; /* damaged */
    assert_int_not_equal(restore(&one, bad), 0);
    assert_non_null(strstr(one.sentence, "damaged"));

    struct manifest wrong = manifest;
    wrong.cluster[0] ^= 1;
    manifest_encode(bad, &wrong);
    assert_int_not_equal(restore(&one, bad), 0);
    assert_non_null(strstr(one.sentence, "another cluster"));

    wrong = manifest;
    wrong.digest.bytes[3] ^= 1;
    manifest_encode(bad, &wrong);
    assert_int_not_equal(restore(&one, bad), 0);

    wrong = manifest; /* more events in fewer entries */
    wrong.index = 4;
    wrong.number = 11;
    manifest_encode(bad, &wrong);
    assert_int_not_equal(restore(&one, bad), 0);
    wrong = manifest; /* fewer in more */
    wrong.index = 6;
    wrong.number = 9;
    manifest_encode(bad, &wrong);
    assert_int_not_equal(restore(&one, bad), 0);
    wrong = manifest; /* and more in as many */
    wrong.number = 11;
    manifest_encode(bad, &wrong);
    assert_int_not_equal(restore(&one, bad), 0);
    assert_int_equal(one.fatals, 6);
    assert_false(one.machine.has_gap);
    one_close(&one);
}

/* ---- a gap ---- */

static void a_gap_is_filled_and_what_waited_is_applied(void **state)
{
    (void)state;
    struct one source;
    struct one away;
    char bytes[MANIFEST_SIZE];
    char ignored[MANIFEST_SIZE];
    whole(&source, 8, bytes);
    whole(&away, 2, ignored);
    assert_int_equal(restore(&away, bytes), 0);
    assert_true(away.machine.has_gap);
    assert_true(away.machine.goal.number == 16 && away.machine.goal.index == 8);
    assert_int_equal(machine_decided(&away.machine), 2);
    assert_true(is_busy(&away));

    apply_to(&source, 10);
    apply_to(&away, 10); /* waits */
    assert_int_equal(away.chat.number, 4);
    assert_true(away.machine.waiting_bytes > 0);
    assert_int_equal(machine_decided(&away.machine), 2);

    for (uint64_t number = 5; number < 16; number++) {
        assert_int_equal(give(&away, &source, number), 0);
        assert_int_equal(away.chat.number, number);
        if (number == 9) machine_backfill_flush(&away.machine);
    }
    assert_int_equal(away.entry, 2); /* the index before the gap, whatever came since */
    assert_true(away.machine.has_gap);
    assert_int_equal(give(&away, &source, 16), 0);
    assert_false(away.machine.has_gap);
    assert_int_equal(away.machine.waiting_bytes, 0);
    assert_int_equal(machine_decided(&away.machine), 10);
    assert_int_equal(away.entry, 10);
    assert_same(&away, &source);
    assert_int_equal(away.outcomes[CHAT_APPLIED], 20); /* whoever waits for one has his answer */
    assert_false(is_busy(&away));

    apply_to(&source, 11);
    apply_to(&away, 11);
    assert_same(&away, &source);
    one_close(&source);
    one_close(&away);
}

static void what_does_not_fit_into_a_gap_is_not_taken(void **state)
{
    (void)state;
    struct one source;
    struct one away;
    char bytes[MANIFEST_SIZE];
    struct errmsg errmsg;
    whole(&source, 8, bytes);
    one_init(&away, 0);
    assert_int_equal(give(&away, &source, 1), ERR_DATA); /* nothing is missing */
    assert_int_equal(restore(&away, bytes), 0);
    assert_int_equal(give(&away, &source, 2), ERR_DATA);
    char copy[512];
    struct slice first = shared_slice(source.bytes[0]);
    assert_true(first.len < sizeof copy);
    for (size_t i = 0; i < first.len; i++) {
        memcpy(copy, first.at, first.len);
        copy[i] = (char)(copy[i] ^ 0x10);
        int rv = machine_backfill(&away.machine, slice_make(copy, first.len), &errmsg);
        assert_int_equal(rv, ERR_FORMAT);
        rv = machine_backfill(&away.machine, slice_make(first.at, i), &errmsg);
        assert_int_equal(rv, ERR_FORMAT);
    }
    assert_int_equal(away.chat.number, 0);
    assert_int_equal(away.events_count, 0);
    assert_int_equal(give(&away, &source, 1), 0);
    assert_int_equal(give(&away, &source, 1), ERR_DATA);
    assert_int_equal(away.fatals, 0);
    one_close(&source);
    one_close(&away);
}

static void another_manifest_within_a_gap_moves_the_goal(void **state)
{
    (void)state;
    struct one source;
    struct one away;
    char first[MANIFEST_SIZE];
    char second[MANIFEST_SIZE];
    whole(&source, 4, first);
    apply_to(&source, 9);
    take(&source, second);
    one_init(&away, 0);
    assert_int_equal(restore(&away, first), 0);
    assert_int_equal(give(&away, &source, 1), 0);
    apply_to(&away, 6); /* two that wait */
    size_t waiting = away.machine.waiting_bytes;
    assert_true(waiting > 0);
    assert_int_equal(restore(&away, second), 0);
    assert_true(away.machine.goal.number == 18 && away.machine.goal.index == 9);
    assert_int_equal(away.machine.waiting_bytes, 0); /* the events of both are below it */
    assert_int_not_equal(restore(&away, first), 0);  /* raft never goes back */
    away.raft.last_applied = 9;

    for (uint64_t number = 2; number <= 18; number++)
        assert_int_equal(give(&away, &source, number), 0);
    assert_false(away.machine.has_gap);
    assert_same(&away, &source);
    one_close(&source);
    one_close(&away);
}

static void a_goal_with_another_digest_ends_the_node(void **state)
{
    (void)state;
    struct one source;
    struct one away;
    struct manifest manifest;
    char bytes[MANIFEST_SIZE];
    whole(&source, 4, bytes);
    assert_int_equal(manifest_decode(&manifest, slice_make(bytes, sizeof bytes), NULL), 0);
    manifest.digest.bytes[0] ^= 1;
    manifest_encode(bytes, &manifest);
    one_init(&away, 0);
    assert_int_equal(restore(&away, bytes), 0);
    for (uint64_t number = 1; number <= 8; number++)
        give(&away, &source, number);
    assert_int_equal(away.fatals, 1);
    assert_true(away.machine.has_gap);
    one_close(&source);
    one_close(&away);
}

static void a_gap_goes_on_after_a_restart(void **state)
{
    (void)state;
    struct one source;
    struct one away;
    char bytes[MANIFEST_SIZE];
    whole(&source, 8, bytes);
    one_init(&away, 0);
    /* As the store has it: some of the missing events, and the index before the gap. */
    for (uint64_t number = 1; number <= 7; number++) {
        struct message_sent event;
        assert_int_equal(event_decode(&event, shared_slice(source.bytes[number - 1]), NULL), 0);
        assert_int_equal(chat_take(&away.chat, &event, NULL), 0);
    }
    assert_int_equal(restore(&away, bytes), 0);
    assert_true(away.machine.has_gap);
    for (uint64_t number = 8; number <= 16; number++)
        assert_int_equal(give(&away, &source, number), 0);
    assert_false(away.machine.has_gap);
    assert_true(away.chat.number == 16 && away.chat.index == 8);
    one_close(&source);

    /* All of them, and the process ended before the index was written. */
    struct one whole_again;
    whole(&source, 8, bytes);
    one_init(&whole_again, 0);
    whole_again.chat.number = 16;
    whole_again.chat.digest = source.chat.digest;
    assert_int_equal(restore(&whole_again, bytes), 0);
    assert_false(whole_again.machine.has_gap);
    assert_int_equal(whole_again.chat.index, 8);
    one_close(&whole_again);
    one_close(&source);
    one_close(&away);
}

/* A long queue is not applied in one go: the thread has heartbeats to send. */
static void what_waited_is_applied_in_pieces(void **state)
{
    (void)state;
    struct one source;
    struct one away;
    struct buf big;
    char bytes[MANIFEST_SIZE];
    static char text[CHAT_TEXT_MAX / 8];
    enum { BIG = 1400 };
    memset(text, 'x', sizeof text);
    whole(&source, 2, bytes);
    one_init(&away, 0);
    assert_int_equal(restore(&away, bytes), 0);
    buf_init(&big, 64 * 1024);
    for (uint64_t i = 3; i < 3 + BIG; i++) {
        struct send_message command = {.room = slice_of("tea"),
                                       .sender = slice_of("Maja"),
                                       .text = slice_make(text, sizeof text),
                                       .unseen_up_to = i,
                                       .at_ms = 5000};
        uint64_t id = 1000 + i;
        memcpy(command.id.bytes, &id, sizeof id);
        buf_reset(&big);
        assert_true(batch_add(&big, &command));
        batch_finish(&big, 1);
        apply_bytes(&source, i, buf_slice(&big));
        apply_bytes(&away, i, buf_slice(&big));
    }
    buf_close(&big);
    for (uint64_t number = 1; number <= 4; number++)
        assert_int_equal(give(&away, &source, number), 0);
    assert_true(away.machine.is_filled && away.machine.has_gap);
    assert_true(away.chat.index > 2 && away.chat.index < 2 + BIG);
    assert_int_equal(machine_decided(&away.machine), away.chat.index);
    assert_int_equal(give(&away, &source, away.chat.number + 1), ERR_DATA);
    assert_true(is_busy(&away));
    apply_to(&source, 3 + BIG);
    apply_to(&away, 3 + BIG); /* comes behind the others */
    for (unsigned i = 0; i < 10 && away.machine.has_gap; i++)
        machine_drain(&away.machine);
    assert_false(away.machine.has_gap);
    assert_same(&away, &source);
    one_close(&source);
    one_close(&away);
}

static void what_waits_is_freed_with_the_machine(void **state)
{
    (void)state;
    struct one source;
    struct one away;
    char bytes[MANIFEST_SIZE];
    whole(&source, 2, bytes);
    one_init(&away, 0);
    assert_int_equal(restore(&away, bytes), 0);
    apply_to(&away, 5);
    one_close(&source);
    one_close(&away); /* the address sanitizer looks for what is left */
    assert_int_equal(away.machine.waiting_bytes, 0);
}

/* ---- a log that begins behind a history ---- */

static void a_log_may_begin_with_a_manifest(void **state)
{
    (void)state;
    struct one source;
    struct one restored;
    struct one joiner;
    char ignored[MANIFEST_SIZE];
    char base[MANIFEST_SIZE];
    whole(&source, 3, ignored);
    one_init(&restored, 0); /* has the six events, and a log of its own */
    restored.chat.number = 6;
    restored.chat.at_ms = source.chat.at_ms;
    restored.chat.digest = source.chat.digest;
    machine_base_entry(&restored.machine, base);
    struct slice entry = slice_make(base, sizeof base);
    assert_true(machine_is_base(entry));
    assert_int_equal(entry.len % 8, 0);
    restored.raft.last_applied = 1;
    apply_bytes(&restored, 2, entry);
    assert_false(restored.machine.has_gap);
    assert_true(restored.chat.index == 2 && restored.entry == 2);

    one_init(&joiner, 0);
    joiner.raft.last_applied = 1;
    apply_bytes(&joiner, 2, entry);
    assert_true(joiner.machine.has_gap);
    assert_true(joiner.machine.goal.number == 6 && joiner.machine.goal.index == 2);
    for (uint64_t number = 1; number <= 6; number++)
        assert_int_equal(give(&joiner, &source, number), 0);
    assert_false(joiner.machine.has_gap);
    assert_true(joiner.chat.number == 6 && joiner.chat.index == 2 && joiner.fatals == 0);

    struct buf batch;
    buf_init(&batch, 64 * 1024);
    make_entry(&batch, 1);
    assert_false(machine_is_base(buf_slice(&batch)));
    buf_close(&batch);
    one_close(&source);
    one_close(&restored);
    one_close(&joiner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manifest_says_where_the_history_stands),
        cmocka_unit_test(while_raft_repeats_what_is_stored_there_is_no_manifest),
        cmocka_unit_test(a_manifest_of_what_is_here_changes_nothing),
        PROMISE("P12", a_manifest_behind_the_store_is_compared_with_it),
        PROMISE("P12", a_manifest_of_another_history_ends_the_node),
        PROMISE("P2", a_gap_is_filled_and_what_waited_is_applied),
        PROMISE("P12", what_does_not_fit_into_a_gap_is_not_taken),
        cmocka_unit_test(another_manifest_within_a_gap_moves_the_goal),
        PROMISE("P12", a_goal_with_another_digest_ends_the_node),
        PROMISE("P1", a_gap_goes_on_after_a_restart),
        cmocka_unit_test(what_waited_is_applied_in_pieces),
        cmocka_unit_test(what_waits_is_freed_with_the_machine),
        cmocka_unit_test(a_log_may_begin_with_a_manifest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
