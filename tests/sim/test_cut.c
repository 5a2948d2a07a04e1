/* The guard and raft_uv itself, on a real disk: what it tells of a log that it cuts. The words are the
 * library's, so nothing but the library can show that they are the right ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <raft.h>
#include <raft/uv.h>
#include <uv.h>

#include "base/mem.h"
#include "cluster/guard.h"
#include "promise.h"
#include "scratch.h"

struct one { /* the only voter, and raft as it is */
    char root[SCRATCH_MAX], dir[SCRATCH_MAX + 8];
    uv_loop_t loop;
    struct raft_uv_transport transport;
    struct raft_io io;
    struct raft_fsm fsm;
    struct raft raft;
    struct guard guard;
    struct raft_tracer tracer; /* sees all before the guard does */
    const char *spoils;        /* what is done to the directory when the cut begins, for a shell */
    bool is_cut, is_closed;
    unsigned fatals;
    char fatal[200];
};

/* ---- a transport without a network ---- */

static int do_init(struct raft_uv_transport *transport, raft_id id, const char *address)
{
    (void)transport;
    (void)id;
    (void)address;
    return 0;
}

static int do_listen(struct raft_uv_transport *transport, raft_uv_accept_cb accept)
{
    (void)transport;
    (void)accept;
    return 0;
}

static int do_connect(struct raft_uv_transport *transport, struct raft_uv_connect *request,
                      raft_id id, const char *address, raft_uv_connect_cb done)
{
    (void)transport;
    (void)request;
    (void)id;
    (void)address;
    (void)done;
    return RAFT_NOCONNECTION;
}

static void do_close(struct raft_uv_transport *transport, raft_uv_transport_close_cb done)
{
    done(transport);
}

/* ---- a machine that does nothing ---- */

static int do_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    (void)fsm;
    (void)buf;
    *result = NULL;
    return 0;
}

static int take_no_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *count)
{
    (void)fsm;
    (void)bufs;
    (void)count;
    return RAFT_BUSY;
}

/* ---- the node ---- */

static void shell(const struct one *one, const char *words)
{
    char command[1024];
    snprintf(command, sizeof command, "set -e; cd '%s'; %s", one->root, words);
    assert_int_equal(system(command), 0);
}

static void on_trace(struct raft_tracer *tracer, int type, const void *event)
{
    struct one *one = tracer->impl;
    if (type == RAFT_TRACER_DIAGNOSTIC) {
        const struct raft_tracer_info *told = event;
        const char *message = told->diagnostic.message;
        if (strcmp(message, "set truncate work") == 0) shell(one, one->spoils);
        if (strcmp(message, "clear truncate work") == 0) one->is_cut = true;
    }
    one->guard.tracer.emit(&one->guard.tracer, type, event);
}

/* The real one does not return. */
static void on_fatal(void *owner, const char *what, int status)
{
    struct one *one = owner;
    (void)status;
    one->fatals++;
    snprintf(one->fatal, sizeof one->fatal, "%s", what);
}

static void open_one(struct one *one)
{
    struct raft_configuration configuration;
    *one = (struct one){.transport = {.version = 1,
                                      .init = do_init,
                                      .listen = do_listen,
                                      .connect = do_connect,
                                      .close = do_close},
                        .fsm = {.version = 2, .apply = do_apply, .snapshot = take_no_snapshot},
                        .tracer = {.version = 2, .emit = on_trace}};
    one->tracer.impl = one;
    scratch_make(one->root, "cut");
    snprintf(one->dir, sizeof one->dir, "%s/raft", one->root);
    shell(one, "mkdir raft");
    uv_loop_init(&one->loop);
    assert_int_equal(raft_uv_init(&one->io, &one->loop, one->dir, &one->transport), 0);
    raft_uv_set_tracer(&one->io, NULL);
    raft_uv_set_auto_recovery(&one->io, false);
    assert_int_equal(raft_init(&one->raft, &one->io, &one->fsm, 1, "1"), 0);
    one->raft.tracer = NULL;
    guard_install(&one->guard, &one->raft,
                  &(struct guard_handler){.owner = one, .on_fatal = on_fatal});
    raft_uv_set_tracer(&one->io, &one->tracer);
    raft_configuration_init(&configuration);
    assert_int_equal(raft_configuration_add(&configuration, 1, "1", RAFT_VOTER), 0);
    assert_int_equal(raft_bootstrap(&one->raft, &configuration), 0);
    raft_configuration_close(&configuration);
    assert_int_equal(raft_start(&one->raft), 0);
}

static void on_closed(struct raft *raft)
{
    struct one *one = (struct one *)((char *)raft - offsetof(struct one, raft));
    raft_uv_close(&one->io);
    one->is_closed = true;
}

static void close_one(struct one *one)
{
    raft_close(&one->raft, on_closed);
    while (!one->is_closed)
        uv_run(&one->loop, UV_RUN_ONCE);
    uv_run(&one->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&one->loop), 0);
    assert_int_equal(scratch_remove(one->root), 0);
}

static void on_applied(struct raft_apply *apply, int status, void *result)
{
    (void)status;
    (void)result;
    mem_free(apply);
}

static void write_one(struct one *one)
{
    struct raft_apply *apply = mem_new(sizeof *apply);
    struct raft_buffer buf = {.base = raft_calloc(1, 8), .len = 8};
    assert_int_equal(raft_apply(&one->raft, apply, &buf, 1, on_applied), 0);
    while (one->raft.last_stored < raft_last_index(&one->raft))
        uv_run(&one->loop, UV_RUN_ONCE);
}

/* As a follower's is cut when a new leader has something else there. Returns what the guard ended the process
 * with, or "". */
static const char *cut_log(const char *spoils)
{
    static struct one one;
    static char fatal[sizeof one.fatal];
    open_one(&one);
    one.spoils = spoils;
    while (raft_last_index(&one.raft) < 6)
        write_one(&one);
    assert_int_equal(one.raft.io->truncate(one.raft.io, 4), 0);
    while (!one.is_cut)
        uv_run(&one.loop, UV_RUN_ONCE);
    snprintf(fatal, sizeof fatal, "%s", one.fatal);
    assert_true(one.fatals <= 1);
    if (one.fatals == 0)
        shell(&one, "ls raft | grep -q -- '-0*3$'; ! ls raft | grep -q -- '-0*6$'");
    if (one.fatals > 0) shell(&one, "! test -e gone || mv gone raft");
    close_one(&one);
    return fatal;
}

#define CUT "the log could not be cut"

static void a_log_that_could_not_be_cut_ends_the_process(void **state)
{
    (void)state;
    assert_string_equal(cut_log("true"), "");
    /* The directory cannot be listed, a segment not be read, what is left of it not be written. */
    assert_string_equal(cut_log("mv raft gone"), CUT);
    assert_string_equal(cut_log("for f in raft/*-*6; do : >$f; done"), CUT);
    assert_string_equal(cut_log("for f in raft/*-*6; do mkdir ${f%6}3; done"), CUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE("P1 P2 P12", a_log_that_could_not_be_cut_ends_the_process)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
