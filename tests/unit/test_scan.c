#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <raft/uv.h>
#include <uv.h>

#include "base/buf.h"
#include "cluster/scan.h"
#include "cluster/transport.h"

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

static bool is_member(void *owner, uint64_t id)
{
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
                                                                .is_member = is_member,
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

static void files_are_named_in_the_message(void **state)
{
    (void)state;
    struct errmsg errmsg;
    assert_int_equal(scan_open_segments("/nonexistent/raft", &errmsg), 0);
    take_copy();
    copy.at[place_of('c') + 100] ^= 0x10;
    write_file("open-7", buf_slice(&copy));
    assert_int_equal(scan_open_segments(root, &errmsg), ERR_DATA);
    assert_non_null(strstr(errmsg.text, "open-7 is damaged"));
}

static void another_format_is_not_read(void **state)
{
    (void)state;
    take_copy();
    copy.at[0] = 2;
    assert_int_equal(scan_copy(), ERR_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_segment_passes),
        cmocka_unit_test(a_flipped_bit_before_good_batches_is_damage),
        cmocka_unit_test(a_torn_end_is_no_damage),
        cmocka_unit_test(a_hole_in_a_large_write_is_no_damage),
        cmocka_unit_test(files_are_named_in_the_message),
        cmocka_unit_test(another_format_is_not_read),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
