/* A test that shows a promise has its name in its title, so that both are found by it:
 * grep -rn 'P7' tests. docs/reliability.md has the twelve of them.
 *
 *   P7: a page never shows what is not committed
 */
#pragma once

#define PROMISE(numbers, test) PROMISE_WITH(numbers, test, NULL, NULL)
#define PROMISE_WITH(numbers, test, setup, teardown)    \
    {                                                   \
        numbers ": " #test, test, setup, teardown, NULL \
    }
