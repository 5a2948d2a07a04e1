/* However many ask how far the store is, it is looked up once in a while; and what came meanwhile is told then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/store_look.h"

static struct { /* the store of this test */
    uint64_t number;
    int status;
    unsigned looks;
    bool is_open;
} store;

int __wrap_event_reader_begin(struct event_reader *reader, struct event_meta *meta);

int __wrap_event_reader_begin(struct event_reader *reader, struct event_meta *meta)
{
    assert_null(reader);
    store.looks++;
    store.is_open = store.status == 0;
    *meta = (struct event_meta){.number = store.number};
    return store.status;
}

void __wrap_event_reader_end(struct event_reader *reader);

void __wrap_event_reader_end(struct event_reader *reader)
{
    assert_null(reader);
    assert_true(store.is_open);
    store.is_open = false;
}

static uint64_t number_at(struct store_look *look, uint64_t now_ms)
{
    uint64_t number = 0;
    assert_int_equal(store_look(look, now_ms, &number), 0);
    assert_false(store.is_open);
    return number;
}

static void many_who_ask_are_one_look(void **state)
{
    struct store_look look = {.reader = NULL};
    (void)state;
    store.number = 7;
    store.looks = 0;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(number_at(&look, 100), 7);
    assert_int_equal(store.looks, 1);
    store.number = 8;
    assert_int_equal(number_at(&look, 100 + STORE_LOOK_MS - 1), 7);
    assert_int_equal(number_at(&look, 100 + STORE_LOOK_MS), 8);
    assert_int_equal(store.looks, 2);
}

/* The clock of a loop may begin at 0. */
static void the_first_is_told_what_there_is(void **state)
{
    struct store_look look = {.reader = NULL};
    (void)state;
    store.number = 3;
    assert_int_equal(number_at(&look, 0), 3);
}

static void a_look_that_failed_is_tried_again(void **state)
{
    struct store_look look = {.reader = NULL};
    uint64_t number = 0;
    (void)state;
    store.number = 5;
    store.status = ERR_IO;
    assert_int_equal(store_look(&look, 1, &number), ERR_IO);
    store.status = 0;
    assert_int_equal(number_at(&look, 1), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_who_ask_are_one_look),
        cmocka_unit_test(the_first_is_told_what_there_is),
        cmocka_unit_test(a_look_that_failed_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
