/* Reads of the store on the pool: few at a time of each web thread, so many of each address, and never all of the
 * pool, for raft's disk has the same. The store is not looked at: no reader of it opens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "app/chores.h"

enum { THREADS = 5, ADDRESSES = READS_MAX / READS_PER_ADDRESS_MAX };

static uv_loop_t loop;
static uv_sem_t gate; /* each read waits for it */
static unsigned done;

int __wrap_event_reader_open(struct event_reader **out, struct event_store *store,
                             struct errmsg *errmsg);

int __wrap_event_reader_open(struct event_reader **out, struct event_store *store,
                             struct errmsg *errmsg)
{
    (void)store;
    (void)errmsg;
    *out = NULL;
    return ERR_CLOSED;
}

static int begin(void **state)
{
    (void)state;
    done = 0;
    uv_loop_init(&loop);
    uv_sem_init(&gate, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    uv_sem_destroy(&gate);
    return uv_loop_close(&loop);
}

static void run_read(void *owner, struct event_reader *reader, int status)
{
    (void)owner;
    (void)reader;
    (void)status;
    uv_sem_wait(&gate);
}

static void on_read(void *owner)
{
    (void)owner;
    done++;
}

static int read_for(struct chores *chores, const char *address)
{
    return chores_read(chores, slice_from(address), run_read, on_read, NULL);
}

static void finish(unsigned reads)
{
    for (unsigned i = 0; i < reads; i++)
        uv_sem_post(&gate);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(done, reads);
}

/* ---- the pool ---- */

static struct {
    uv_work_t works[POOL_OTHERS];
    uv_barrier_t all_run;
    unsigned done;
} others;

static void run_other(uv_work_t *work)
{
    (void)work;
    uv_barrier_wait(&others.all_run);
}

static void on_other(uv_work_t *work, int status)
{
    (void)work;
    assert_int_equal(status, 0);
    others.done++;
}

/* All web threads read as much as they may, and none of it ends: what else there is runs all the same, all of it
 * at once. */
static void reads_leave_the_pool_to_others(void **state)
{
    struct chores *chores[THREADS];
    (void)state;
    for (size_t i = 0; i < THREADS; i++) {
        chores[i] = chores_new(&loop, NULL);
        for (int read = 0; read < 2 * READS_RUNNING_MAX; read++)
            assert_int_equal(read_for(chores[i], "192.0.2.1"), 0);
    }
    assert_int_equal(loop.active_reqs.count, THREADS * READS_RUNNING_MAX);
    uv_barrier_init(&others.all_run, POOL_OTHERS);
    for (size_t i = 0; i < POOL_OTHERS; i++)
        uv_queue_work(&loop, &others.works[i], run_other, on_other);
    while (others.done < POOL_OTHERS)
        uv_run(&loop, UV_RUN_ONCE);
    uv_barrier_destroy(&others.all_run);
    assert_int_equal(done, 0);
    finish(THREADS * 2 * READS_RUNNING_MAX);
    for (size_t i = 0; i < THREADS; i++)
        chores_free(chores[i]);
}

/* ---- addresses ---- */

static void an_address_has_so_many_reads_and_leaves_the_rest_to_others(void **state)
{
    struct chores *chores = chores_new(&loop, NULL);
    (void)state;
    for (int i = 0; i < READS_PER_ADDRESS_MAX; i++)
        assert_int_equal(read_for(chores, "192.0.2.1"), 0);
    assert_int_equal(read_for(chores, "192.0.2.1"), ERR_BUSY);
    assert_int_equal(read_for(chores, "192.0.2.12"), 0);
    assert_int_equal(read_for(chores, ""), 0); /* whoever has gone meanwhile */
    assert_int_equal(read_for(chores, "192.0.2.1"), ERR_BUSY);
    finish(READS_PER_ADDRESS_MAX + 2);
    chores_free(chores);
}

static void whose_reads_are_done_may_read_again(void **state)
{
    struct chores *chores = chores_new(&loop, NULL);
    (void)state;
    for (int i = 0; i < READS_PER_ADDRESS_MAX; i++)
        assert_int_equal(read_for(chores, "2001:db8:0:1::/64"), 0);
    uv_sem_post(&gate);
    while (done == 0)
        uv_run(&loop, UV_RUN_ONCE);
    done = 0;
    assert_int_equal(read_for(chores, "2001:db8:0:1::/64"), 0);
    assert_int_equal(read_for(chores, "2001:db8:0:1::/64"), ERR_BUSY);
    finish(READS_PER_ADDRESS_MAX);
    chores_free(chores);
}

static void all_addresses_together_have_so_many(void **state)
{
    struct chores *chores = chores_new(&loop, NULL);
    char address[32];
    (void)state;
    for (int i = 0; i < ADDRESSES; i++) {
        snprintf(address, sizeof address, "192.0.2.%d", i);
        for (int read = 0; read < READS_PER_ADDRESS_MAX; read++)
            assert_int_equal(read_for(chores, address), 0);
    }
    assert_int_equal(read_for(chores, "198.51.100.1"), ERR_BUSY);
    finish(READS_MAX);
    chores_free(chores);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(reads_leave_the_pool_to_others),
        TEST(an_address_has_so_many_reads_and_leaves_the_rest_to_others),
        TEST(whose_reads_are_done_may_read_again),
        TEST(all_addresses_together_have_so_many),
    };
    char threads[16];
    snprintf(threads, sizeof threads, "%u", chores_pool_threads(THREADS));
    setenv("UV_THREADPOOL_SIZE", threads, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
