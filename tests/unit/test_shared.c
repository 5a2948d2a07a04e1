#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <uv.h>

#include "base/shared.h"

static void bytes_are_copied_and_counted(void **state)
{
    (void)state;
    struct shared *shared = shared_copy(slice_of("tea"));
    assert_int_equal(shared->len, 3);
    assert_true(slice_is(shared_slice(shared), "tea"));
    assert_ptr_equal(shared_ref(shared), shared);
    assert_int_equal(shared->references, 2);
    shared_unref(shared);
    assert_int_equal(shared->references, 1);
    assert_true(slice_is(shared_slice(shared), "tea"));
    shared_unref(shared);
    shared_unref(NULL);
    shared_unref(shared_new(0));
}

enum { ROUNDS = 2000 };

struct looker {
    uv_thread_t thread;
    struct shared *shared;
    int sum;
};

static void look_and_drop(void *owner)
{
    struct looker *looker = owner;
    for (int i = 0; i < ROUNDS; i++) {
        struct shared *mine = shared_ref(looker->shared);
        looker->sum += mine->bytes[i % 3] == "tea"[i % 3];
        shared_unref(mine);
    }
    shared_unref(looker->shared);
}

static void the_last_of_many_threads_frees_it(void **state)
{
    (void)state;
    struct shared *shared = shared_copy(slice_of("tea"));
    struct looker lookers[4];
    for (size_t i = 0; i < 4; i++) {
        lookers[i] = (struct looker){.shared = shared_ref(shared)};
        assert_int_equal(uv_thread_create(&lookers[i].thread, look_and_drop, &lookers[i]), 0);
    }
    shared_unref(shared);
    for (size_t i = 0; i < 4; i++) {
        uv_thread_join(&lookers[i].thread);
        assert_int_equal(lookers[i].sum, ROUNDS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_copied_and_counted),
        cmocka_unit_test(the_last_of_many_threads_frees_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
