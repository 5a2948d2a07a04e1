#include "faulty_memory.h"

#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SEEN_BY_LIBRARIES __attribute__((visibility("default")))

enum { FAILED = 3, REACHED_END = 0, NOTHING_FAILED = 4, WORDS_MAX = 4096 };

static _Thread_local bool is_armed;
static _Thread_local unsigned left;

static bool is_turn(void)
{
    if (!is_armed || left == 0 || --left > 0) return false;
    errno = ENOMEM;
    return true;
}

#define ALLOCATOR(result, name, failure, parameters, arguments)      \
    SEEN_BY_LIBRARIES result name parameters;                        \
    SEEN_BY_LIBRARIES result name parameters                         \
    {                                                                \
        static result(*real) parameters;                             \
        if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, #name); \
        return is_turn() ? (failure) : real arguments;               \
    }

ALLOCATOR(void *, malloc, NULL, (size_t size), (size))
ALLOCATOR(void *, calloc, NULL, (size_t count, size_t size), (count, size))
ALLOCATOR(void *, realloc, NULL, (void *at, size_t size), (at, size))
ALLOCATOR(void *, aligned_alloc, NULL, (size_t alignment, size_t size), (alignment, size))
ALLOCATOR(int, posix_memalign, ENOMEM, (void **at, size_t alignment, size_t size),
          (at, alignment, size))

static _Noreturn void be_child(const struct faulty_memory_trial *trial, unsigned n)
{
    struct errmsg errmsg = {.text = ""};
    signal(SIGABRT, SIG_DFL); /* the test runner's handler would go on */
    left = n;
    is_armed = true;
    int rv = trial->attempt(&errmsg);
    is_armed = false;
    if (rv != 0 && left == 0) {
        fprintf(stderr, "%s\n", errmsg.text);
        _exit(strlen(errmsg.text) < 10 ? 99 : FAILED);
    }
    if (rv != 0) fprintf(stderr, "nothing failed, and yet: %s\n", errmsg.text);
    _exit(rv != 0 ? 99 : left == 0 ? REACHED_END : NOTHING_FAILED);
}

static void listen(int fd, char words[WORDS_MAX])
{
    size_t len = 0;
    ssize_t got;
    while ((got = read(fd, words + len, WORDS_MAX - 1 - len)) > 0)
        len += (size_t)got;
    words[len] = '\0';
    close(fd);
}

/* Returns how it ended. */
static int try_one(const struct faulty_memory_trial *trial, unsigned n, char words[WORDS_MAX])
{
    int pipes[2], status = 0;
    assert_int_equal(pipe(pipes), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(pipes[1], STDERR_FILENO);
        close(pipes[0]);
        close(pipes[1]);
        be_child(trial, n);
    }
    close(pipes[1]);
    listen(pipes[0], words);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

void faulty_memory_try(const struct faulty_memory_trial *trial, unsigned calls_min)
{
    unsigned deaths = 0, errors = 0, n = 1;
    for (unsigned tries = 0;; tries++) {
        char words[WORDS_MAX];
        if (trial->prepare != NULL) trial->prepare();
        int status = try_one(trial, n, words);
        bool is_death =
            WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT &&
            (strstr(words, "out of memory") != NULL || strstr(words, "libcrypto failed") != NULL);
        bool is_over = WIFEXITED(status) && WEXITSTATUS(status) == NOTHING_FAILED;
        bool is_error = WIFEXITED(status) && WEXITSTATUS(status) == FAILED;
        bool is_fine = WIFEXITED(status) && WEXITSTATUS(status) == REACHED_END;
        if (!is_death && !is_over && !is_error && !is_fine)
            fail_msg("%s: allocation %u: status %x: %s", trial->name, n, (unsigned)status, words);
        if (getenv("FAULTY_VERBOSE") != NULL)
            print_message("%s %u: %x %s\n", trial->name, n, (unsigned)status, words);
        deaths += is_death;
        errors += is_error;
        if (trial->check != NULL) trial->check();
        if (is_over) break;
        n += 1 + tries / 200; /* every one at first, then wider steps */
    }
    print_message("%s: %u allocations; %u of those that failed ended the process, %u were told\n",
                  trial->name, n - 1, deaths, errors);
    assert_true(n - 1 >= calls_min);
}
