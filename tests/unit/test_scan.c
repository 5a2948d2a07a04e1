#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <raft/uv.h>
#include <uv.h>

#include "base/buf.h"
#include "cluster/scan.h"
#include "cluster/transport.h"
#include "promise.h"

/* The segments are raft's own: a lone node writes some entries, and is stopped in the middle. */

static char root[64];

static int on_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    unsigned *applied = fsm->data;
    (void)buf;
    *result = NULL;
    (*applied)++;
    return 0;
}

static int on_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n)
{
    (void)fsm;
    (void)bufs;
    (void)n;
    return RAFT_BUSY;
}

static int on_restore(struct raft_fsm *fsm, struct raft_buffer *buf)
{
    (void)fsm;
    (void)buf;
    return 0;
}

static void on_proposed(struct raft_apply *apply, int status, void *result)
{
    (void)apply;
    (void)status;
    (void)result;
}

static void read_file(const char *name, struct buf *out)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t got = 1;
    while (got > 0) {
        char *at = buf_extend(out, 65536);
        assert_non_null(at);
        got = fread(at, 1, 65536, file);
        buf_truncate(out, out->len - 65536 + got);
    }
    fclose(file);
}

static void write_file(const char *name, struct slice bytes)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.at, 1, bytes.len, file), bytes.len);
    fclose(file);
}

static void on_closed(struct raft *raft)
{
    raft_uv_close(raft->io);
}

static bool may_link(void *owner, enum link_kind kind, uint64_t id)
{
    (void)kind;
    (void)owner;
    (void)id;
    return true;
}

static void on_link(void *owner, uint64_t id, uv_stream_t *stream)
{
    (void)owner;
    (void)id;
    transport_close_stream(stream);
}

static void on_transport_closed(void *owner)
{
    (void)owner;
}

/* Twenty entries of 1000 bytes, each a write of its own; the open segment as it stands then. */
static void make_segment(struct buf *out)
{
    static struct raft raft;
    static struct raft_apply applies[20];
    uv_loop_t loop;
    struct transport *transport;
    struct raft_io io = {.data = NULL};
    struct errmsg errmsg;
    unsigned applied = 0;
    struct raft_fsm fsm = {.version = 2,
                           .data = &applied,
                           .apply = on_apply,
                           .snapshot = on_snapshot,
                           .restore = on_restore};
    struct raft_configuration configuration;
    memset(&raft, 0, sizeof raft);
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(transport_open(&transport,
                                    &(struct transport_options){.loop = &loop,
                                                                .listen = "127.0.0.1:0",
                                                                .self = "a=127.0.0.1:1",
                                                                .id = 1,
                                                                .secret = slice_of("secret"),
                                                                .may_link = may_link,
                                                                .on_link = on_link},
                                    &errmsg),
                     0);
    assert_int_equal(raft_uv_init(&io, &loop, root, transport_raft(transport)), 0);
    raft_uv_set_tracer(&io, NULL);
    assert_int_equal(raft_init(&raft, &io, &fsm, 1, "a=127.0.0.1:1"), 0);
    raft.tracer = NULL;
    raft_configuration_init(&configuration);
    assert_int_equal(raft_configuration_add(&configuration, 1, "a=127.0.0.1:1", RAFT_VOTER), 0);
    assert_int_equal(raft_bootstrap(&raft, &configuration), 0);
    raft_configuration_close(&configuration);
    assert_int_equal(raft_start(&raft), 0);
    for (unsigned i = 0; i < 20; i++) {
        struct raft_buffer buf = {.base = raft_malloc(1000), .len = 1000};
        memset(buf.base, 'a' + (int)i, buf.len);
        assert_int_equal(raft_apply(&raft, &applies[i], &buf, 1, on_proposed), 0);
        while (applied < i + 1)
            uv_run(&loop, UV_RUN_ONCE);
    }
    read_file("open-1", out);
    raft_close(&raft, on_closed);
    uv_run(&loop, UV_RUN_NOWAIT);
    while (io.impl != NULL)
        uv_run(&loop, UV_RUN_ONCE);
    transport_close(transport, on_transport_closed, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static struct buf segment, copy;

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/livetea-scan-XXXXXX");
    assert_non_null(mkdtemp(root));
    buf_init(&segment, 16 * 1024 * 1024);
    buf_init(&copy, 16 * 1024 * 1024);
    make_segment(&segment);
    assert_true(segment.len > 20000);
    return 0;
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    buf_close(&segment);
    buf_close(&copy);
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static int scan_copy(void)
{
    struct errmsg errmsg;
    return scan_segment(buf_slice(&copy), &errmsg);
}

static void take_copy(void)
{
    buf_reset(&copy);
    buf_add(&copy, buf_slice(&segment));
}

static size_t place_of(char c)
{
    const char *at = memchr(segment.at, c, segment.len);
    while (at != NULL && at[1] != c)
        at = memchr(at + 1, c, segment.len - (size_t)(at - segment.at));
    assert_non_null(at);
    return (size_t)(at - segment.at);
}

static void a_sound_segment_passes(void **state)
{
    (void)state;
    take_copy();
    assert_int_equal(scan_copy(), 0);
    memset(copy.at, 0, copy.len);
    assert_int_equal(scan_copy(), 0); /* prepared and not used */
    buf_reset(&copy);
    assert_int_equal(scan_copy(), 0);
}

static void a_flipped_bit_before_good_batches_is_damage(void **state)
{
    (void)state;
    for (char c = 'a'; c < 't'; c++) {
        take_copy();
        copy.at[place_of(c) + 100] ^= 0x10;
        assert_int_equal(scan_copy(), ERR_DATA);
    }
}

static void a_torn_end_is_no_damage(void **state)
{
    (void)state;
    /* Of the last batch some sectors were not written. */
    size_t last = place_of('t');
    for (size_t sector = (last + 511) / 512 * 512; sector < last + 900; sector += 512) {
        take_copy();
        memset(copy.at + sector, 0, copy.len - sector);
        assert_int_equal(scan_copy(), 0);
    }
    take_copy();
    copy.at[last + 100] ^= 1; /* or it rotted: nobody can tell, the store's mark decides */
    assert_int_equal(scan_copy(), 0);
}

static void a_hole_in_a_large_write_is_no_damage(void **state)
{
    (void)state;
    /* One write held several batches; a sector in its middle did not make it. */
    size_t hole = (place_of('m') + 511) / 512 * 512;
    take_copy();
    memset(copy.at + hole, 0, 512);
    assert_int_equal(scan_copy(), 0);
}

static void another_format_is_not_read(void **state)
{
    (void)state;
    take_copy();
    copy.at[0] = 2;
    assert_int_equal(scan_copy(), ERR_DATA);
}

/* ---- a whole directory ---- */

static const char first_name[] = "0000000000000001-0000000000000001",
                  closed_name[] = "0000000000000002-0000000000000021";

static int scan_root(struct scan_found *found, struct errmsg *errmsg)
{
    *errmsg = (struct errmsg){.text = ""};
    return scan_raft_dir(found, root, SCAN_ALL, errmsg);
}

static void assert_damaged(const char *words)
{
    struct scan_found found;
    struct errmsg errmsg;
    assert_int_equal(scan_root(&found, &errmsg), ERR_DATA);
    if (strstr(errmsg.text, words) == NULL) fail_msg("\"%s\" in \"%s\"", words, errmsg.text);
}

/* The file with one of its bits flipped is refused with these words; then it is as it was. */
static void flip(const char *name, size_t place, const char *words)
{
    buf_reset(&copy);
    read_file(name, &copy);
    copy.at[place] ^= 4;
    write_file(name, buf_slice(&copy));
    assert_damaged(words);
    copy.at[place] ^= 4;
    write_file(name, buf_slice(&copy));
}

static void remove_file(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", root, name);
    assert_int_equal(remove(path), 0);
}

static uint32_t crc_of(const char *at, size_t len)
{
    uint32_t crc = 0;
    for (size_t i = 0; i < 8 * len; i++) {
        uint32_t bit = (uint32_t)(unsigned char)at[i / 8] >> (7 - i % 8) & 1;
        crc = (crc << 1) ^ ((crc >> 31 ^ bit) != 0 ? 0x04c11db7u : 0);
    }
    return crc;
}

static void add_snapshot(uint64_t index)
{
    char meta[64] = {1}, bytes[MANIFEST_SIZE], name[64];
    meta[16] = 1;  /* configuration index */
    meta[24] = 32; /* bytes of configuration, anything */
    meta[40] = 7;
    uint32_t crc = crc_of(meta + 16, sizeof meta - 16);
    for (size_t i = 0; i < 4; i++)
        meta[8 + i] = (char)(unsigned char)(crc >> 8 * i);
    manifest_encode(bytes, &(struct manifest){.cluster = {5}, .index = index, .number = 17});
    snprintf(name, sizeof name, "snapshot-1-%d-99", (int)index);
    write_file(name, slice_make(bytes, sizeof bytes));
    snprintf(name, sizeof name, "snapshot-1-%d-99.meta", (int)index);
    write_file(name, slice_make(meta, sizeof meta));
}

static void what_raft_wrote_is_read_whole(void **state)
{
    struct scan_found found;
    struct errmsg errmsg;
    (void)state;
    if (scan_root(&found, &errmsg) != 0) fail_msg("%s", errmsg.text);
    assert_true(found.segments == 2 && found.first == 1 && found.last == 21);
    assert_true(found.has_metadata && found.term == 1 && found.last_term == 1);
    assert_false(found.has_snapshot);

    write_file("open-2", buf_slice(&segment)); /* behind the closed one, after a crash */
    assert_int_equal(scan_root(&found, &errmsg), 0);
    assert_true(found.segments == 3 && found.last == 41);
    remove_file("open-2");

    add_snapshot(20);
    assert_int_equal(scan_root(&found, &errmsg), 0);
    assert_true(found.has_snapshot && found.snapshot_index == 20 && found.manifest.number == 17);
    remove_file("snapshot-1-20-99");
    remove_file("snapshot-1-20-99.meta");
    assert_int_equal(scan_raft_dir(&found, "/nonexistent/raft", SCAN_ALL, &errmsg), 0);
    assert_true(found.segments == 0 && !found.has_metadata);
}

static void a_bad_closed_segment_is_named(void **state)
{
    (void)state;
    struct buf whole;
    buf_init(&whole, 16 * 1024 * 1024);
    read_file(closed_name, &whole);
    for (size_t place = 8; place < whole.len; place += 997)
        flip(closed_name, place, "0000000000000021 is damaged: the batch at byte");
    flip(closed_name, 0, "format is not known");
    write_file(closed_name, slice_first(buf_slice(&whole), whole.len - 1032));
    assert_damaged("fewer entries than its name says");
    write_file(closed_name, slice_first(buf_slice(&whole), whole.len / 2 + 40));
    assert_damaged("cannot be read");
    write_file(closed_name, buf_slice(&whole));
    write_file("0000000000000024-0000000000000025", buf_slice(&whole));
    assert_damaged("the entries before it are missing");
    remove_file("0000000000000024-0000000000000025");
    struct buf first;
    buf_init(&first, 4096 + 65536);
    read_file(first_name, &first);
    remove_file(first_name);
    remove_file(closed_name);
    write_file("0000000000000009-0000000000000028", buf_slice(&whole));
    assert_damaged("begin at 9, and there is no snapshot");
    remove_file("0000000000000009-0000000000000028");
    write_file(first_name, buf_slice(&first));
    write_file(closed_name, buf_slice(&whole));
    buf_close(&first);
    buf_close(&whole);
}

static void metadata_must_fit_one_another_and_the_log(void **state)
{
    struct buf one;
    struct scan_found found;
    struct errmsg errmsg;
    (void)state;
    buf_init(&one, 16 * 1024 * 1024);
    read_file("metadata1", &one);
    flip("metadata1", 0, "metadata1 is damaged: its format");
    remove_file("metadata1");
    assert_damaged("votes are forgotten");
    write_file("metadata1", slice_first(buf_slice(&one), 20)); /* torn: as if it had not been */
    assert_damaged("votes are forgotten");

    char two[32];
    memcpy(two, one.at, sizeof two);
    two[8] = 2;
    two[16] = 3;
    write_file("metadata1", buf_slice(&one));
    write_file("metadata2", slice_make(two, sizeof two));
    assert_int_equal(scan_root(&found, &errmsg), 0);
    assert_true(found.term == 3);
    two[8] = 6;
    write_file("metadata2", slice_make(two, sizeof two));
    assert_damaged("does not follow that of the other one");
    two[8] = 2;
    two[16] = 0;
    write_file("metadata2", slice_make(two, sizeof two));
    assert_damaged("its term is before");
    two[8] = 3;
    write_file("metadata2", slice_make(two, sizeof two));
    assert_damaged("its version is impossible");
    remove_file("metadata2");
    buf_close(&one);
}

static int count_entry(void *owner, uint64_t index, struct slice bytes)
{
    assert_true(index > 50 && bytes.len == 1000);
    ++*(uint64_t *)owner;
    return 0;
}

static void a_bad_snapshot_is_named(void **state)
{
    (void)state;
    add_snapshot(20);
    for (size_t place = 0; place < MANIFEST_SIZE; place += 7)
        flip("snapshot-1-20-99", place, "snapshot-1-20-99 is damaged");
    for (size_t place = 16; place < 64; place += 5)
        flip("snapshot-1-20-99.meta", place, "snapshot-1-20-99.meta is damaged");
    add_snapshot(50); /* the newest counts; that it lies beyond the log is an install */
    struct scan_found found;
    struct errmsg errmsg;
    assert_int_equal(scan_root(&found, &errmsg), 0);
    assert_true(found.snapshot_index == 50);
    buf_reset(&copy);
    read_file(closed_name, &copy);
    write_file("0000000000000051-0000000000000070", buf_slice(&copy)); /* and the log goes on */
    assert_int_equal(scan_root(&found, &errmsg), 0);
    assert_true(found.segments == 1 && found.first == 51 && found.last == 70);
    uint64_t count = 0, last = 0;
    assert_int_equal(scan_entries(root, 50, count_entry, &count, &last, &errmsg), 0);
    assert_true(count == 20 && last == 70);
    remove_file("0000000000000051-0000000000000070");
    remove_file("snapshot-1-50-99.meta"); /* was never finished */
    assert_int_equal(scan_root(&found, &errmsg), 0);
    assert_true(found.snapshot_index == 20);
}

/* At start: what raft reads itself is left to it, what it would pass over is not. */
static void a_start_looks_at_what_raft_does_not(void **state)
{
    struct scan_found found;
    struct errmsg errmsg;
    (void)state;
    buf_reset(&copy);
    read_file(closed_name, &copy);
    copy.at[500] ^= 1;
    write_file(closed_name, buf_slice(&copy));
    assert_int_equal(scan_raft_dir(&found, root, SCAN_START, &errmsg), 0);
    assert_true(found.segments == 2 && found.last == 21);
    copy.at[500] ^= 1;
    write_file(closed_name, buf_slice(&copy));

    take_copy();
    copy.at[place_of('c') + 100] ^= 0x10;
    write_file("open-7", buf_slice(&copy));
    assert_int_equal(scan_raft_dir(&found, root, SCAN_START, &errmsg), ERR_DATA);
    assert_non_null(strstr(errmsg.text, "open-7 is damaged"));
    remove_file("open-7");
}

/* ---- entries ---- */

static int take_entry(void *owner, uint64_t index, struct slice bytes)
{
    uint64_t *next = owner;
    assert_true(index == *next && bytes.len == 1000);
    assert_int_equal(bytes.at[0], 'a' + (char)index - 2);
    (*next)++;
    return index == 20 ? ERR_CLOSED : 0;
}

static void entries_are_given_up_to_the_first_bad_one(void **state)
{
    uint64_t next = 2, last = 0;
    struct errmsg errmsg;
    (void)state;
    assert_int_equal(scan_entries(root, 0, take_entry, &next, &last, &errmsg), ERR_CLOSED);
    assert_int_equal(next, 21); /* all but the first, which is the list of members */
    next = 5;
    assert_int_equal(scan_entries(root, 4, take_entry, &next, &last, &errmsg), ERR_CLOSED);
    assert_true(next == 21 && last == 20);
    next = 21;
    assert_int_equal(scan_entries(root, 20, take_entry, &next, &last, &errmsg), 0);
    assert_true(next == 22 && last == 21);
    assert_int_equal(scan_entries(root, 30, take_entry, &next, &last, &errmsg), 0);
    assert_true(next == 22 && last == 30);

    buf_reset(&copy);
    read_file(closed_name, &copy);
    copy.at[8 + 5 * 1032 + 500] ^= 1; /* of entry 7 */
    write_file(closed_name, buf_slice(&copy));
    next = 5;
    assert_int_equal(scan_entries(root, 4, take_entry, &next, &last, &errmsg), 0);
    assert_true(next == 7 && last == 6);
    copy.at[8 + 5 * 1032 + 500] ^= 1;
    write_file(closed_name, buf_slice(&copy));

    /* A truncation was cut off: what is kept of a segment stands beside it. */
    write_file("0000000000000002-0000000000000005", slice_first(buf_slice(&copy), 8 + 4 * 1032));
    next = 2;
    assert_int_equal(scan_entries(root, 0, take_entry, &next, &last, &errmsg), ERR_CLOSED);
    assert_true(next == 21 && last == 20);
    remove_file("0000000000000002-0000000000000005");

    remove_file(first_name); /* the log begins at 2: nothing continues a store at 0 */
    next = 1;
    assert_int_equal(scan_entries(root, 0, take_entry, &next, &last, &errmsg), 0);
    assert_true(next == 1 && last == 0);
    next = 2;
    assert_int_equal(scan_entries(root, 1, take_entry, &next, &last, &errmsg), ERR_CLOSED);
    assert_int_equal(next, 21);
}

/* ---- after an install that was cut off ---- */

static bool is_there(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return access(path, F_OK) == 0;
}

static void clear_root(void)
{
    struct errmsg errmsg = {.text = ""};
    if (scan_clear(root, &errmsg) != 0) fail_msg("%s", errmsg.text);
}

static void remove_snapshot(uint64_t index)
{
    char name[64];
    snprintf(name, sizeof name, "snapshot-1-%d-99", (int)index);
    remove_file(name);
    snprintf(name, sizeof name, "snapshot-1-%d-99.meta", (int)index);
    remove_file(name);
}

static void a_log_before_an_installed_snapshot_is_removed(void **state)
{
    struct scan_found found;
    struct errmsg errmsg;
    struct buf first, closed;
    (void)state;
    buf_init(&first, 1024 * 1024);
    buf_init(&closed, 16 * 1024 * 1024);
    read_file(first_name, &first);
    read_file(closed_name, &closed);

    clear_root();     /* no snapshot */
    add_snapshot(15); /* our own: the log goes on behind it */
    clear_root();
    add_snapshot(21);
    clear_root();
    assert_true(is_there(first_name) && is_there(closed_name));

    add_snapshot(1000);
    write_file("open-2", buf_slice(&segment)); /* its entries stand behind one of the two */
    clear_root();
    assert_true(is_there(first_name) && is_there(closed_name) && is_there("open-2"));
    remove_file("open-2");
    write_file("snapshot-1-1000-99", slice_of("damaged"));
    clear_root();
    assert_true(is_there(first_name) && is_there(closed_name));

    add_snapshot(1000);
    buf_reset(&copy);
    memset(buf_extend(&copy, 4096), 0, 4096);
    write_file("open-2", buf_slice(&copy)); /* prepared, not used */
    clear_root();
    assert_false(is_there(first_name) || is_there(closed_name));
    assert_true(is_there("open-2"));
    assert_int_equal(scan_root(&found, &errmsg), 0);
    assert_true(found.segments == 0 && found.snapshot_index == 1000);

    /* One that is left of a log that has gone on since. */
    write_file(first_name, buf_slice(&first));
    write_file("0000000000001001-0000000000001020", buf_slice(&closed));
    clear_root();
    assert_false(is_there(first_name));
    assert_true(is_there("0000000000001001-0000000000001020"));
    assert_int_equal(scan_root(&found, &errmsg), 0);
    assert_true(found.first == 1001 && found.last == 1020);

    remove_file("0000000000001001-0000000000001020");
    remove_file("open-2");
    remove_snapshot(15);
    remove_snapshot(21);
    remove_snapshot(1000);
    write_file(first_name, buf_slice(&first));
    write_file(closed_name, buf_slice(&closed));
    buf_close(&first);
    buf_close(&closed);
}

static void a_segment_that_was_being_cut_is_whole_again(void **state)
{
    static const char cut_name[] = "0000000000000002-0000000000000010";
    struct scan_found found;
    struct errmsg errmsg;
    (void)state;
    write_file(cut_name, slice_first(buf_slice(&segment), 5000)); /* and not to its end */
    clear_root();
    assert_false(is_there(cut_name));
    assert_int_equal(scan_root(&found, &errmsg), 0);
    assert_true(found.first == 1 && found.last == 21);
}

static void a_beginning_that_was_cut_off_is_forgotten(void **state)
{
    struct errmsg errmsg;
    struct buf first, closed, metadata;
    (void)state;
    buf_init(&first, 1024 * 1024);
    buf_init(&closed, 16 * 1024 * 1024);
    buf_init(&metadata, 1024 * 1024);
    read_file(first_name, &first);
    read_file(closed_name, &closed);
    read_file("metadata1", &metadata);

    assert_int_equal(scan_forget_beginning(root, &errmsg), 0); /* a log that is used */
    assert_true(is_there(first_name) && is_there(closed_name) && is_there("metadata1"));
    remove_file(closed_name);
    assert_int_equal(scan_forget_beginning(root, &errmsg), 0);
    assert_false(is_there(first_name) || is_there("metadata1"));
    write_file("metadata1", buf_slice(&metadata));
    assert_int_equal(scan_forget_beginning(root, &errmsg), 0);
    assert_false(is_there("metadata1"));
    assert_int_equal(scan_forget_beginning(root, &errmsg), 0); /* nothing there */

    write_file(first_name, buf_slice(&first));
    write_file(closed_name, buf_slice(&closed));
    write_file("metadata1", buf_slice(&metadata));
    buf_close(&first);
    buf_close(&closed);
    buf_close(&metadata);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_segment_passes),
        PROMISE("P12", a_flipped_bit_before_good_batches_is_damage),
        PROMISE("P1", a_torn_end_is_no_damage),
        cmocka_unit_test(a_hole_in_a_large_write_is_no_damage),
        cmocka_unit_test(another_format_is_not_read),
        cmocka_unit_test(a_beginning_that_was_cut_off_is_forgotten),
        cmocka_unit_test(what_raft_wrote_is_read_whole),
        PROMISE("P12", a_bad_closed_segment_is_named),
        PROMISE("P12", metadata_must_fit_one_another_and_the_log),
        PROMISE("P12", a_bad_snapshot_is_named),
        cmocka_unit_test(a_start_looks_at_what_raft_does_not),
        cmocka_unit_test(a_log_before_an_installed_snapshot_is_removed),
        cmocka_unit_test(a_segment_that_was_being_cut_is_whole_again),
        cmocka_unit_test(entries_are_given_up_to_the_first_bad_one),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
