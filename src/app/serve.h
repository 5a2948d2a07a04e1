/* A node from its first to its last breath: directory, store, threads, signals.
 *
 * main has read the settings, opened the log and made the process fit (umask, no core, no SIGPIPE)
 * before. SIGTERM and SIGINT drain, then stop; the second one stops at once. SIGHUP reads the log
 * level again, and says whether the secret has changed: that is taken up at the next start. SIGUSR1 logs a
 * status line.
 */
#pragma once
#include "app/config.h"

/* Returns when it was stopped; the exit code of the process: 0 stopped as asked, 1 failed while
 * running, 3 data not usable, 4 cannot bind. What is wrong was logged. */
int serve(const struct config *config);
