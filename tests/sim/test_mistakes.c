/* Does the simulation find what it is there to find? Each mistake is planted, alone, and seeds are run until
 * something is wrong. A mistake may leave the library in the middle of something, so each has a process of
 * its own.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "faults.h"
#include "promise.h"

enum { SEEDS = 1000 };

/* Found by hand-made scenarios only: chance would have to hit some ten milliseconds four times in a row. */
static bool is_rare(enum mistake mistake)
{
    return mistake == OLD_TERM_COMMIT; /* test_scenarios.c */
}

static int look_for(enum mistake mistake)
{
    struct run_result result;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run_seed(&(struct run_options){.seed = seed, .mistake = mistake}, &result);
        if (result.is_good) continue;
        printf("mistake %2u, %s: found after %" PRIu64 " seeds: %s\n", mistake_number(mistake),
               mistake_words(mistake), seed, result.error);
        return 0;
    }
    printf("mistake %2u, %s: not found in %d seeds\n", mistake_number(mistake),
           mistake_words(mistake), SEEDS);
    return 1;
}

static void each_mistake_is_found(void **state)
{
    (void)state;
    unsigned missed = 0;
    for (int i = NO_MISTAKE + 1; i < MISTAKES; i++) {
        enum mistake mistake = (enum mistake)i;
        int status = 0;
        if (is_rare(mistake)) continue;
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
            int rv = look_for(mistake);
            fflush(NULL);
            _exit(rv);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) missed++;
    }
    assert_int_equal(missed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE("P1 P2 P3 P4 P5 P6 P7 P8 P9 P11", each_mistake_is_found)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
