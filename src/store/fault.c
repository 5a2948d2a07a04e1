#include "store/fault.h"

#include <inttypes.h>
#include <link.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <ucontext.h>

/* Written before the threads start and after they ended. */
static struct {
    uintptr_t map_from, map_to, code_from, code_to;
    fault_fn on_fault;
    void *owner;
} watched;

static uintptr_t place_of_fault(const void *context)
{
#if defined(__x86_64__)
    return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.pc;
#else
    (void)context;
    return 0;
#endif
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    uintptr_t data = (uintptr_t)info->si_addr, code = place_of_fault(context);
    bool is_in_map = data >= watched.map_from && data < watched.map_to;
    bool is_in_lmdb = code >= watched.code_from && code < watched.code_to;
    if (watched.on_fault != NULL && (is_in_map || is_in_lmdb))
        watched.on_fault(watched.owner, "a page of it leads nowhere");
    /* Not ours: the same instruction again, with nobody to catch it. */
    signal(number, SIG_DFL);
}

static void on_assert(MDB_env *env, const char *what)
{
    (void)env;
    (void)what; /* names LMDB's own lines */
    if (watched.on_fault != NULL) watched.on_fault(watched.owner, "a page of it makes no sense");
}

/* LMDB's code, if it is a library of its own. */
static int find_code(struct dl_phdr_info *object, size_t size, void *wanted)
{
    uintptr_t place = *(const uintptr_t *)wanted;
    (void)size;
    if (object->dlpi_name == NULL || object->dlpi_name[0] == '\0') return 0;
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        uintptr_t from = object->dlpi_addr + part->p_vaddr;
        if (part->p_type != PT_LOAD || place < from || place >= from + part->p_memsz) continue;
        watched.code_from = from;
        watched.code_to = from + part->p_memsz;
        return 1;
    }
    return 0;
}

/* Where the file is mapped, as the kernel tells it: "from-to rights offset device inode name". */
static void find_map(MDB_env *env)
{
    char line[512];
    mdb_filehandle_t fd;
    struct stat file;
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL) return;
    bool is_known = mdb_env_get_fd(env, &fd) == 0 && fstat(fd, &file) == 0;
    while (is_known && fgets(line, sizeof line, maps) != NULL) {
        uint64_t from, to, inode;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %" SCNu64, &from, &to, &inode) != 3)
            continue;
        if (inode != (uint64_t)file.st_ino) continue;
        watched.map_from = (uintptr_t)from;
        watched.map_to = (uintptr_t)to;
    }
    fclose(maps);
}

void fault_watch(MDB_env *env, fault_fn on_fault, void *owner)
{
    uintptr_t place = (uintptr_t)mdb_env_create;
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_NODEFER};
    memset(&watched, 0, sizeof watched);
    dl_iterate_phdr(find_code, &place);
    find_map(env);
    watched.owner = owner;
    watched.on_fault = on_fault;
    mdb_env_set_assert(env, on_assert);
    action.sa_sigaction = on_signal;
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

void fault_forget(void)
{
    if (watched.on_fault == NULL) return;
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    memset(&watched, 0, sizeof watched);
}
