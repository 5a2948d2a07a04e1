#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <threads.h>

#include <cmocka.h>

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

static int look_and_drop(void *owner)
{
    struct shared *shared = owner;
    int sum = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct shared *mine = shared_ref(shared);
        sum += mine->bytes[i % 3];
        shared_unref(mine);
    }
    shared_unref(shared);
    return sum > 0 ? 0 : 1;
}

static void the_last_of_many_threads_frees_it(void **state)
{
    (void)state;
    struct shared *shared = shared_copy(slice_of("tea"));
    thrd_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(thrd_create(&threads[i], look_and_drop, shared_ref(shared)), thrd_success);
    shared_unref(shared);
    for (size_t i = 0; i < 4; i++) {
        int rv = 1;
        thrd_join(threads[i], &rv);
        assert_int_equal(rv, 0);
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
