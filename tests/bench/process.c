#include "bench/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/loop.h"

enum { PROC_FILE_MAX = 8192 };

static struct slice read_proc(int pid, const char *name, char bytes[PROC_FILE_MAX])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) die("%s: %s; does the node still run?", path, strerror(errno));
    ssize_t len = read(fd, bytes, PROC_FILE_MAX);
    close(fd);
    if (len <= 0) die("%s: nothing to read", path);
    return slice_make(bytes, (size_t)len);
}

static struct slice field(struct slice *rest)
{
    while (rest->len > 0 && (rest->at[0] == ' ' || rest->at[0] == '\t'))
        *rest = slice_skip(*rest, 1);
    return slice_cut(rest, ' ');
}

double process_cpu_s(int pid)
{
    char bytes[PROC_FILE_MAX];
    uint64_t user = 0, system = 0;
    if (pid == 0) return 0;

    /* the second field is a name in brackets and may hold anything: count from the last bracket */
    struct slice rest = read_proc(pid, "stat", bytes);
    const char *bracket = memrchr(rest.at, ')', rest.len);
    if (bracket == NULL) die("/proc/%d/stat is not as expected", pid);
    rest = slice_skip(rest, (size_t)(bracket - rest.at) + 1);
    for (int i = 3; i < 14; i++)
        field(&rest);
    if (!slice_to_u64(field(&rest), &user) || !slice_to_u64(field(&rest), &system))
        die("/proc/%d/stat is not as expected", pid);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

double process_own_cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct process_memory process_memory(int pid)
{
    char bytes[PROC_FILE_MAX];
    struct process_memory memory = {.resident = 0};
    struct slice rest = read_proc(pid, "status", bytes);

    while (rest.len > 0) {
        struct slice line = slice_cut(&rest, '\n');
        struct slice name = slice_cut(&line, ':');
        uint64_t kib = 0;
        if (!slice_is(name, "VmRSS") && !slice_is(name, "RssAnon")) continue;
        if (!slice_to_u64(field(&line), &kib)) die("/proc/%d/status is not as expected", pid);
        if (slice_is(name, "VmRSS"))
            memory.resident = kib * 1024;
        else
            memory.anonymous = kib * 1024;
    }
    return memory;
}
