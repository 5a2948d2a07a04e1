/* When LMDB falls over its own file.
 *
 * LMDB believes its pages: behind a damaged one it reads where nothing is, and the process would end by a
 * signal, be started again, and end again. For the one store of a node the signal becomes what it means:
 * damage. Only a fault inside LMDB's code or in its map counts; of any other one the process dies as ever.
 */
#pragma once
#include <lmdb.h>

typedef void (*fault_fn)(void *owner, const char *what);

/* From now on, for this environment. on_fault does not return; it runs on the thread that fell. */
void fault_watch(MDB_env *env, fault_fn on_fault, void *owner);
/* Before the environment is closed. */
void fault_forget(void);
