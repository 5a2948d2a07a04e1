/* Changing the list of members: what is allowed. node_change.c does it, step by step.
 *
 *   add      a node that asks to join (ask.h) -> SPARE -> STANDBY: gets the log, has no vote
 *   promote  a stand-by that has caught up    -> VOTER
 *   remove   any member, also the leader; a node that is gone for good
 *   transfer leadership to another voter: no change of the list, but decided and forwarded like one
 *
 * Only the leader changes, one change at a time, each committed before the next; the log takes no commands
 * while one is on its way (the library books a change that stands behind other entries at a wrong
 * index; guard.h). Asked at another node, it goes to the leader (RPC_CHANGE) and its answer comes back.
 *
 * change_allowed decides, with a sentence for the person who asked. A voter counts as sound when it is heard,
 * lacks no events, and has room on its disk. After every change a majority of the voters there will be must
 * be sound: so a dead machine can be replaced, but the last healthy ones cannot be removed. While any member
 * lacks history no one that has all of it is removed: it may be the only one. Of two voters the leader is
 * not removed: should the other one not get that change, neither could be elected any more.
 *
 * Pure.
 */
#pragma once
#include "cluster/node.h"

struct change_member {
    uint64_t id;
    char name[NODE_NAME_MAX + 1];
    char address[ADDRESS_MAX + 1]; /* host:port */
    int role;                      /* raft's number: 0 stand-by, 1 voter, 2 spare */
    bool is_sound, is_catching_up;
    uint64_t behind; /* events */
};

struct change_view { /* as the leader sees it */
    uint64_t self;   /* the leader's id */
    bool is_leader_ready, is_changing, is_transferring;
    uint64_t asker; /* raft id of the node that asks to join under an add's name; 0 = none */
    size_t members_count;
    struct change_member members[MEMBERS_MAX];
};

/* The member of that name, or NULL. */
const struct change_member *change_find(const struct change_view *view, const char *name);

/* True, or false with a refusal (word and sentence), or with "done" when there is nothing to do: the node that an
 * add speaks of is a member, by an add whose answer was lost for instance. `asker`: under which address a node of
 * the name that add speaks of asks to be let in now; NULL = none does. */
bool change_allowed(const struct change_view *view, const struct change_request *request,
                    const char *asker, struct change_answer *answer);

/* Is it as the request wants it? */
bool change_is_so(const struct change_view *view, const struct change_request *request);

/* Fills an answer in. */
__attribute__((format(printf, 4, 5))) void change_say(struct change_answer *answer,
                                                      enum change_result result, const char *word,
                                                      const char *format, ...);
