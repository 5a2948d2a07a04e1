#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "chat/window.h"
#include "promise.h"

static struct command_id id_of(uint64_t number)
{
    struct command_id id = {.bytes = {0}};
    memcpy(id.bytes, &number, sizeof number);
    return id;
}

static void add(struct window *window, uint64_t number)
{
    struct command_id id = id_of(number);
    window_add(window, number, &id, number * 3 + 1);
}

static const struct window_entry *find(const struct window *window, uint64_t number)
{
    struct command_id id = id_of(number);
    return window_find(window, &id);
}

static void an_empty_window_knows_nothing(void **state)
{
    (void)state;
    struct window window;
    window_init(&window, 8);
    assert_null(find(&window, 1));
    assert_true(window.first > window.last);
    window_close(&window);
}

static void exactly_the_last_events_are_known(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 7, 64, 100, 300};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        struct window window;
        window_init(&window, sizes[s]);
        for (uint64_t number = 1; number <= 1000; number++) {
            add(&window, number);
            uint64_t first = number > sizes[s] ? number - sizes[s] + 1 : 1;
            assert_true(window.first == first && window.last == number);
            assert_non_null(find(&window, number));
            assert_non_null(find(&window, first));
            assert_null(find(&window, first - 1));
            assert_null(find(&window, number + 1));
        }
        for (uint64_t number = window.first; number <= window.last; number++) {
            assert_true(find(&window, number)->number == number);
            assert_true(find(&window, number)->content == number * 3 + 1);
        }
        window_close(&window);
    }
}

static void a_reset_window_goes_on_at_its_number(void **state)
{
    (void)state;
    struct window window;
    window_init(&window, 16);
    for (uint64_t number = 1; number <= 20; number++)
        add(&window, number);
    window_reset(&window, 5000);
    assert_null(find(&window, 20));
    for (uint64_t number = 5000; number < 5100; number++)
        add(&window, number);
    assert_true(window.first == 5084 && window.last == 5099);
    assert_null(find(&window, 5083));
    assert_non_null(find(&window, 5084));
    window_close(&window);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_window_knows_nothing),
        PROMISE("P11", exactly_the_last_events_are_known),
        PROMISE("P11", a_reset_window_goes_on_at_its_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
