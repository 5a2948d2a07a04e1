/* A directory of a test's own, in memory where there is such a place: it is the calls that count, not the disk. For
 * cmocka's tests.
 */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SCRATCH_MAX = 64 };

static inline void scratch_make(char root[SCRATCH_MAX], const char *name)
{
    snprintf(root, SCRATCH_MAX, "%s/livetea-%s-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", name);
    assert_non_null(mkdtemp(root));
}

static inline void scratch_empty(const char *root)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'/*", root);
    assert_int_equal(system(command), 0);
}

static inline int scratch_remove(const char *root)
{
    scratch_empty(root);
    return rmdir(root);
}
