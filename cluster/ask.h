/* Who am I? What a node asks that is no member yet, or perhaps no longer.
 *
 * A link of its own kind (LINK_ASK, transport.h), one question and one answer on it, open to anybody who
 * knows the cluster's secret: the one door for nodes that are not in the list of members.
 *
 *   question   version u8 = 1 | raft id u64 | cluster 16 (zeros: none yet) | joined u64
 *              | name=host:port long text
 *   answer     version u8 = 1 | verdict u8 | cluster 16 | cluster name text | configuration index u64
 *              | members u8: each id u64, role u8, name=host:port long text | sentence text
 *
 * Each after a length u32 of what follows, which is at most ASK_BYTES_MAX. A long text is two bytes with
 * its length and so many bytes. Later releases add behind that.
 *
 * A new node makes up a raft id at random, writes it down durably (state JOINING) and asks all addresses of
 * cluster.join and all members that it was told of, every ASK_EVERY_MS. Members remember who asks; the
 * leader's `members add` looks there (change.h). Once the id is in a committed list of members the verdict
 * is ADMITTED, and the node begins raft under it. So an id is never used twice: a node that has lost its
 * directory comes back with another one, and its old one, which may have voted, stays away for ever.
 *
 * A member that hears no leader for some time asks the same way whether it still is one. REMOVED is said only by
 * who has a committed list of members of a higher index than the asker has ever known itself in, and is
 * not on it: lists follow one another in the log, so that is final.
 *
 * Pure: coding and judging. node_join.c does the rest.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"

enum {
    ASK_VERSION = 1,
    ASK_BYTES_MAX = 16 * 1024,
    SELF_SIZE = NODE_NAME_MAX + 1 + ADDRESS_MAX + 1
};

enum ask_verdict {
    ASK_WAIT,     /* not a member: `members add` has to be said; or this node knows no leader now */
    ASK_ADMITTED, /* on the list: here is the cluster */
    ASK_REMOVED,  /* was on it, and is no more */
    ASK_FOREIGN   /* another cluster's */
};

struct ask_question {
    uint64_t id;
    uint8_t cluster[16];
    uint64_t joined;      /* highest configuration index in which it knows itself */
    char self[SELF_SIZE]; /* name=host:port */
};

struct ask_member {
    uint64_t id;
    uint8_t role; /* raft's number */
    char self[SELF_SIZE];
};

struct ask_answer {
    enum ask_verdict verdict;
    uint8_t cluster[16];
    char cluster_name[64];
    uint64_t index; /* of the answerer's committed configuration */
    size_t members_count;
    struct ask_member members[MEMBERS_MAX];
    char sentence[200]; /* why to wait; for a person */
};

/* Without the length before it. 0 or ERR_FORMAT. */
void ask_question_encode(struct buf *out, const struct ask_question *question);
int ask_question_decode(struct ask_question *question, struct slice bytes);
void ask_answer_encode(struct buf *out, const struct ask_answer *answer);
int ask_answer_decode(struct ask_answer *answer, struct slice bytes);

/* What a node that knows this committed list answers (index 0: none yet). `answer` comes with everything
 * but verdict and sentence filled in. */
void ask_judge(struct ask_answer *answer, const struct ask_question *question);
