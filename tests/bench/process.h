/* What a process costs, as the kernel counts it in /proc. */
#pragma once
#include <stdint.h>

/* Processor time of all threads, in seconds; 10 ms fine. 0 for pid 0. */
double process_cpu_s(int pid);
/* Of this process, 1 us fine. */
double process_own_cpu_s(void);

struct process_memory {
    uint64_t resident;  /* bytes: VmRSS */
    uint64_t anonymous; /* bytes: RssAnon, which leaves mapped files out */
};

struct process_memory process_memory(int pid);
