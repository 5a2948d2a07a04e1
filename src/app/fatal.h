/* Fail-stop: a node that cannot keep its promises ends, at once, with a clear line.
 *
 * Nothing is flushed or handed over: what was acknowledged is on a majority already, and the
 * supervisor starts the node again. Any thread.
 */
#pragma once

/* Exit codes of `serve`: 1 failed while running, 3 data not usable, 4 cannot bind. */
_Noreturn void fatal(int exit_code, const char *words, const char *sentence);
