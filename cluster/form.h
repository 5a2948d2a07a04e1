/* When may a first cluster begin?
 *
 * A directory that is empty may be new, or may be that of a node that has lost everything, its votes
 * too; bootstrapping such a one again could make two histories. So the nodes ask each other, and all
 * that the peers line names must be up once, at the very first start:
 *
 *   1. all others are EMPTY or FORMING       -> mark FORMING, durably
 *   2. all others are FORMING, or one FORMED -> bootstrap raft with the same configuration, mark FORMED
 *   3. EMPTY, and somebody is FORMED         -> this one comes too late: it ends, and says why
 *
 * A node that ends between 1 and 2 goes on there. Each step needs word of the other nodes from this run of
 * the process, so nobody bootstraps on what it was told in another life: of every one of them, or of one
 * that is FORMED and so has heard them all. Pure.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "store/data_dir.h"

enum form_step { FORM_WAIT, FORM_MARK, FORM_BOOTSTRAP, FORM_TOO_LATE };

struct form_peer {
    const char *name;
    bool is_heard;
    enum data_dir_state state;
};

/* `waits_for` gets the name of one that keeps us waiting, or of one that is FORMED when too late. */
enum form_step form_decide(enum data_dir_state mine, const struct form_peer *others,
                           size_t others_count, const char **waits_for);
