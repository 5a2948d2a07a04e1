/* Changing the list of members: what is allowed, and the change itself, step by step.
 *
 *   add      a node that asks to join (ask.h) -> SPARE -> STANDBY: gets the log, has no vote
 *   promote  a stand-by that has caught up    -> VOTER
 *   remove   any member, also the leader; a node that is gone for good
 *
 * Only the leader changes, one change at a time, each committed before the next; the log takes no commands
 * while one is on its way (the library books a change that stands behind other entries at a wrong
 * index; guard.h). Asked at another node, it goes to the leader (RPC_CHANGE) and its answer comes back.
 *
 * change_allowed decides, with a sentence for the person who asked. A voter counts as sound when it is heard,
 * and lacks no events. After every change a majority of the voters there will be must be sound: so a
 * dead machine can be replaced, but the last healthy ones cannot be removed. While any member
 * lacks history no other one is removed: it may be the only one that has it.
 */
#pragma once
#include "cluster/node.h"

struct change_member {
    uint64_t id;
    char name[NODE_NAME_MAX + 1];
    char address[ADDRESS_MAX + 1];
    int role; /* raft's number */
    bool is_sound, is_catching_up;
    uint64_t behind; /* events */
};

struct change_view { /* as the leader sees it */
    bool is_leader_ready, is_changing, is_transferring;
    size_t members_count;
    struct change_member members[MEMBERS_MAX];
};

/* True, or false with a refusal (word and sentence). Pure. `asker`: the node that add speaks of asks to
 * join now. */
bool change_allowed(const struct change_view *view, const struct change_request *request,
                    bool is_asking, struct change_answer *answer);
