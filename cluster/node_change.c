/* Changes of the members, done one after another by the leader. Longer than 500 lines because both ends are
 * here, the node that is asked and the leader that does it: they share a request and its answers.
 *
 *               the log is empty-handed          raft: committed
 *   WAITING -----> PAUSED ----------> ADDING ----------> STANDBY ----------> answered
 *   (an add, for    |  \------------> PROMOTING ----------------------------/
 *   its node to     |  \------------> REMOVING -----------------------------/
 *   ask; a promo-   |  \------------> TRANSFERRING -------------------------/
 *   tion, for word  |
 *   that it has     |
 *   all of it)      |
 *                   +-- not allowed (any more), too late: refused
 *
 * From PAUSED on the log takes no commands: the entry in flight ends, and none follows until the change is
 * committed. To promote, the stand-by's log must be level first, which it soon is while none
 * follow; so raft never has to catch it up, which could take long.
 *
 * A leader that stops leading refuses what it has not begun. What raft has, raft ends: its callback says
 * whether it is committed, or that nobody knows. A member that was added but is no stand-by yet, because a
 * leader ended between the two, is made one by the next.
 *
 * Raft remembers a request even when it has refused it; so each has memory of its own, and a refused one
 * is taken out of raft's hands.
 *
 *   RPC_CHANGE         kind u8 | name text | address text | patience ms u32      (request id: the asker's)
 *   RPC_CHANGE_REPLY   result u8 | word text | sentence text
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/node_state.h"
#include "cluster/wire.h"

enum {
    WISHES_MAX = 8,  /* at the leader, waiting or being done */
    LEVEL_MS = 2000, /* for a stand-by to say that it is level, and to be while the log pauses */
    ANSWER_EARLY_MS = 1000, /* before the asking node gives up */
    UNSURE_MS = 2000,       /* for the answer of a leader that leads no more */
    FINISH_AGAIN_MS = 5000  /* what a leader before us left half done, when raft refused it */
};

enum wish_step {
    WISH_WAITING,
    WISH_PAUSED,
    WISH_ADDING,
    WISH_STANDBY,
    WISH_PROMOTING,
    WISH_REMOVING,
    WISH_TRANSFERRING
};

struct in_raft { /* one request of raft's */
    struct raft_change change;
    struct node *node;
};

struct wish { /* at the leader */
    struct wish *next, *prev;
    enum wish_step step;
    struct change_request request; /* a copy: kind, name, address, id, deadline_ms */
    struct change_request *caller; /* who asked at this node; NULL: */
    uint64_t origin;               /* at that one; 0: nobody, a leader before us has begun it */
    uint64_t target;               /* the member's id */
    uint64_t taken_ms, paused_ms;
    raft_index mark; /* what was committed when it was taken */
};

struct changes {
    struct wish *wishes;
    size_t wishes_count;
    struct wish *running;    /* the one that is beyond WAITING, or NULL */
    struct in_raft *in_raft; /* its request, or NULL */
    struct change_request *forwarded;
    uint64_t last_id;
    uint64_t finish_at_ms; /* not before: see FINISH_AGAIN_MS */
};

bool node_is_changing(const struct node *node)
{
    return node->changes != NULL && node->changes->running != NULL;
}

/* ---- answers ---- */

static void reply(struct node *node, uint64_t to, uint64_t id, const struct change_answer *answer)
{
    buf_reset(&node->scratch);
    wire_put_u8(&node->scratch, (uint8_t)answer->result);
    wire_put_text(&node->scratch, slice_from(answer->word));
    wire_put_text(&node->scratch, slice_from(answer->sentence));
    rpc_send(node->rpc, to, RPC_CHANGE_REPLY, id, buf_slice(&node->scratch));
}

static const char *words_of(enum change_kind kind)
{
    static const char *const words[] = {[CHANGE_ADD] = "add",
                                        [CHANGE_PROMOTE] = "promote",
                                        [CHANGE_REMOVE] = "remove",
                                        [CHANGE_TRANSFER] = "transfer"};
    return words[kind];
}

static void answer_wish(struct node *node, struct wish *wish, const struct change_answer *answer)
{
    struct changes *changes = node->changes;
    log_info("change of members", "change=%s member=%s result=%s word=%s",
             words_of(wish->request.kind), wish->request.name,
             answer->result == CHANGE_DONE      ? "done"
             : answer->result == CHANGE_REFUSED ? "refused"
                                                : "unknown",
             answer->word);
    if (changes->running == wish) changes->running = NULL;
    DL_DELETE(changes->wishes, wish);
    changes->wishes_count--;
    struct change_request *caller = wish->caller;
    uint64_t origin = wish->origin, id = wish->request.id;
    mem_free(wish);
    if (caller != NULL) {
        caller->on_changed(caller, answer);
    } else if (origin != 0) {
        reply(node, origin, id, answer);
    }
}

static void done(struct node *node, struct wish *wish)
{
    struct change_answer answer;
    const char *name = wish->request.name, *what = "";
    switch (wish->request.kind) {
    case CHANGE_ADD: what = "is a stand-by now"; break;
    case CHANGE_PROMOTE: what = "votes now"; break;
    case CHANGE_REMOVE: what = "is no member any more"; break;
    case CHANGE_TRANSFER:
        what = "leads now";
        name = node_name_of(node, node->leader);
        break;
    }
    change_say(&answer, CHANGE_DONE, "done", "%s %s", name, what);
    /* Who is told that it is done finds it so. That this node was removed itself it hears after that. */
    if (wish->target != node->id) node_sync_members(node, clock_ms());
    answer_wish(node, wish, &answer);
}

static void refuse(struct node *node, struct wish *wish, const char *word, const char *sentence)
{
    struct change_answer answer;
    change_say(&answer, CHANGE_REFUSED, word, "%s", sentence);
    answer_wish(node, wish, &answer);
}

static void unknown(struct node *node, struct wish *wish)
{
    struct change_answer answer;
    change_say(&answer, CHANGE_UNKNOWN, "unknown",
               "The leader has changed meanwhile: it may or may not have been done. See `livetea "
               "members`");
    answer_wish(node, wish, &answer);
}

/* ---- raft ---- */

static void on_raft_change(struct raft_change *change, int status)
{
    struct in_raft *request = (struct in_raft *)change;
    struct node *node = request->node;
    struct changes *changes = node->changes;
    bool is_current = changes != NULL && changes->in_raft == request;
    mem_free(request);
    if (!is_current || changes->running == NULL) return;
    struct wish *wish = changes->running;
    changes->in_raft = NULL;
    if (status == RAFT_NOCONNECTION) {
        refuse(node, wish, "behind", "It did not catch up with the log in time");
    } else if (status != 0) {
        unknown(node, wish);
    } else if (wish->step == WISH_ADDING) {
        wish->step = WISH_STANDBY; /* at the end of this turn */
    } else {
        done(node, wish);
    }
}

/* What raft said when it took nothing. A member that was added on somebody's wish is in the list: that it has to
 * become a stand-by is no wish of theirs, and is done later, by the next leader perhaps. */
static void refused_by_raft(struct node *node, struct wish *wish, int rv)
{
    const char *name = wish->request.name;
    log_warn("raft refuses a change", "change=%s member=%s reason=\"%s\"",
             words_of(wish->request.kind), name, raft_strerror(rv));
    bool is_asked = wish->caller != NULL || wish->origin != 0;
    if (wish->step == WISH_STANDBY) node->changes->finish_at_ms = clock_ms() + FINISH_AGAIN_MS;
    if (wish->step == WISH_STANDBY && is_asked) {
        done(node, wish);
    } else if (rv == RAFT_NOTLEADER) {
        refuse(node, wish, "no_leader", "The leader has changed meanwhile: try again");
    } else if (rv == RAFT_CANTCHANGE) {
        refuse(node, wish, "change_running", "Another change is on its way: try again");
    } else if (rv == RAFT_NOSPACE) {
        refuse(node, wish, "disk_full", "A majority of the nodes is short of disk space");
    } else {
        refuse(node, wish, "not_possible", raft_strerror(rv));
    }
}

static int ask_raft(struct node *node, struct wish *wish, struct raft_change *change)
{
    char self[SELF_SIZE];
    struct raft *raft = &node->raft;
    switch (wish->step) {
    case WISH_ADDING:
        snprintf(self, sizeof self, "%s=%s", wish->request.name, wish->request.address);
        return raft_add(raft, change, wish->target, self, on_raft_change);
    case WISH_STANDBY: return raft_assign(raft, change, wish->target, RAFT_STANDBY, on_raft_change);
    case WISH_PROMOTING: return raft_assign(raft, change, wish->target, RAFT_VOTER, on_raft_change);
    case WISH_REMOVING: return raft_remove(raft, change, wish->target, on_raft_change);
    case WISH_WAITING:
    case WISH_PAUSED:
    case WISH_TRANSFERRING: break;
    }
    return RAFT_INVALID;
}

static void give_to_raft(struct node *node, struct wish *wish)
{
    struct in_raft *request = mem_new(sizeof *request);
    request->node = node;
    int rv = ask_raft(node, wish, &request->change);
    if (rv == 0) {
        node->changes->in_raft = request;
        return;
    }
    if (node->raft.legacy.change == &request->change) node->raft.legacy.change = NULL;
    mem_free(request);
    refused_by_raft(node, wish, rv);
}

static void transfer(struct node *node, struct wish *wish)
{
    int rv = node_begin_transfer(node, wish->target);
    if (rv == 0) return;
    if (rv == ERR_NOT_FOUND) {
        refuse(node, wish, "no_other_voter", "There is no other sound voter to lead");
    } else {
        refuse(node, wish, "transfer_running", "Leadership is being handed over: try again");
    }
}

void node_changes_transferred(struct node *node, raft_id leader)
{
    struct wish *wish = node->changes == NULL ? NULL : node->changes->running;
    if (wish == NULL || wish->step != WISH_TRANSFERRING) return;
    bool is_done = leader != 0 && leader != node->id;
    if (wish->target != 0 && leader != wish->target) is_done = false;
    if (is_done) {
        done(node, wish);
    } else if (leader == node->id) {
        refuse(node, wish, "not_taken", "Nobody took the leadership over in time: as before");
    } else {
        unknown(node, wish);
    }
}

/* ---- one step ---- */

static bool is_level(struct node *node, uint64_t id)
{
    raft_index match;
    return raft_match_index(&node->raft, id, &match) == 0 && match == raft_last_index(&node->raft);
}

/* Allowed as it stands now? Then whom it is about. Else it is refused. */
static bool judge(struct node *node, struct wish *wish)
{
    static const enum wish_step first[] = {[CHANGE_ADD] = WISH_ADDING,
                                           [CHANGE_PROMOTE] = WISH_PROMOTING,
                                           [CHANGE_REMOVE] = WISH_REMOVING,
                                           [CHANGE_TRANSFER] = WISH_TRANSFERRING};
    struct change_view view;
    struct change_answer answer;
    const char *asker = NULL;
    node_view(node, &view);
    view.is_leader_ready = true;                                        /* as we have just seen */
    view.is_changing = node->raft.configuration_uncommitted_index != 0; /* and not this one */
    if (wish->request.kind == CHANGE_ADD) asker = node_asker(node, wish->request.name, &view.asker);
    if (!change_allowed(&view, &wish->request, asker, &answer)) {
        answer_wish(node, wish, &answer);
        return false;
    }
    const struct change_member *member = change_find(&view, wish->request.name);
    wish->target = member == NULL ? view.asker : member->id;
    wish->step = first[wish->request.kind];
    return true;
}

static void step_paused(struct node *node, struct wish *wish, uint64_t now_ms)
{
    bool is_busy = node->entry != NULL || node->fence != NULL || !guard_ready(&node->guard) ||
                   node_begins_log(node);
    if (is_busy && now_ms < wish->request.deadline_ms) return;
    if (is_busy) {
        refuse(node, wish, "not_ready", "The leader is not ready: try again");
        return;
    }
    const struct change_member *member = NULL;
    struct change_view view;
    if (wish->request.kind == CHANGE_PROMOTE) {
        node_view(node, &view);
        member = change_find(&view, wish->request.name);
    }
    bool must_wait = member != NULL && member->is_sound && !is_level(node, member->id);
    if (must_wait && now_ms - wish->paused_ms < LEVEL_MS) return;
    if (must_wait) {
        refuse(node, wish, "behind", "Its log does not become level: wait until it has caught up");
        return;
    }
    if (!judge(node, wish)) return;
    if (wish->step == WISH_TRANSFERRING) {
        transfer(node, wish);
    } else {
        give_to_raft(node, wish);
    }
}

static bool is_asking(const struct node *node, const struct wish *wish)
{
    uint64_t id;
    const char *asker = node_asker(node, wish->request.name, &id);
    return asker != NULL && strcmp(asker, wish->request.address) == 0;
}

/* As raft's list says, whoever led; a change that is not committed yet may still be taken back. */
static bool is_so(const struct node *node, const struct change_request *request)
{
    struct change_view view;
    if (!node->raft_is_open || node->raft.configuration_uncommitted_index != 0) return false;
    node_view(node, &view);
    if (request->kind == CHANGE_TRANSFER && request->name[0] == '\0') {
        return node->leader != 0 && node->leader != request->leader;
    }
    return change_is_so(&view, request);
}

/* Its last beat may be older than a gap that it has since. What it says that it has applied is no older
 * than the request. */
static bool has_applied(const struct node *node, const struct wish *wish)
{
    for (size_t i = 0; i < node->beats.count; i++) {
        const struct neighbour *neighbour = &node->beats.neighbours[i];
        if (strcmp(neighbour->name, wish->request.name) != 0) continue;
        return neighbour->last.applied_index >= wish->mark;
    }
    return true; /* not there: refused for that */
}

/* The next of those that wait; an add whose time is over, or that is done already, is judged as it stands. */
static void begin_next(struct node *node, uint64_t now_ms)
{
    struct wish *wish, *next;
    DL_FOREACH_SAFE(node->changes->wishes, wish, next) {
        bool is_late = now_ms >= wish->request.deadline_ms;
        bool is_add = wish->request.kind == CHANGE_ADD;
        bool has_to_wait = !is_late && !is_asking(node, wish) && !is_so(node, &wish->request);
        if (is_add && has_to_wait) continue;
        if (wish->request.kind == CHANGE_PROMOTE && !has_applied(node, wish)) {
            if (now_ms - wish->taken_ms < LEVEL_MS) continue;
            refuse(node, wish, "behind", "It does not become level: wait until it has caught up");
            continue;
        }
        wish->step = WISH_PAUSED;
        wish->paused_ms = now_ms;
        node->changes->running = wish;
        return;
    }
}

void node_changes_settle(struct node *node)
{
    struct changes *changes = node->changes;
    uint64_t now_ms = clock_ms();
    if (!node->is_leading) return;
    if (changes->running == NULL) begin_next(node, now_ms);
    struct wish *wish = changes->running;
    if (wish == NULL || changes->in_raft != NULL) return;
    if (wish->step == WISH_PAUSED) {
        step_paused(node, wish, now_ms);
    } else if (wish->step == WISH_STANDBY) {
        give_to_raft(node, wish);
    }
}

void node_changes_stop_leading(struct node *node)
{
    struct wish *wish, *next;
    struct changes *changes = node->changes;
    if (changes == NULL) return;
    DL_FOREACH_SAFE(changes->wishes, wish, next) {
        bool is_begun = wish->step == WISH_TRANSFERRING || wish->step == WISH_STANDBY ||
                        (wish == changes->running && changes->in_raft != NULL);
        if (!is_begun) {
            refuse(node, wish, "no_leader", "The leader has changed meanwhile: try again");
        } else if (wish->step == WISH_STANDBY && changes->in_raft == NULL) {
            done(node, wish); /* the next leader does the rest */
        }
    }
}

/* ---- asked here ---- */

static bool copy_text(char *out, size_t size, struct slice text)
{
    if (text.len >= size || slice_find(text, '\0') != text.len) return false;
    if (text.len > 0) memcpy(out, text.at, text.len);
    out[text.len] = '\0';
    return true;
}

/* Refuses what it can at once, so that nobody waits for the node of an add that is not allowed. */
static void take_wish(struct node *node, const struct change_request *request,
                      struct change_request *caller, uint64_t origin)
{
    struct changes *changes = node->changes;
    struct change_view view;
    struct change_answer answer;
    struct wish *wish = mem_new(sizeof *wish);
    *wish = (struct wish){.request = *request,
                          .caller = caller,
                          .origin = origin,
                          .taken_ms = clock_ms(),
                          .mark = node->raft.commit_index};
    DL_APPEND(changes->wishes, wish);
    changes->wishes_count++;
    node_view(node, &view);
    view.is_leader_ready = true; /* it will be, or the next one is asked */
    if (request->kind == CHANGE_ADD) node_asker(node, request->name, &view.asker);
    if (changes->wishes_count > WISHES_MAX) {
        refuse(node, wish, "busy", "Too many changes wait: try again");
        return;
    }
    bool is_allowed = change_allowed(&view, request, request->address, &answer);
    bool is_begun = !is_allowed && answer.result == CHANGE_DONE && !is_so(node, request);
    if (is_allowed || is_begun) return; /* goes on at the end of this turn */
    answer_wish(node, wish, &answer);
}

static void forward(struct node *node, struct change_request *request)
{
    struct change_answer answer;
    request->leader = node->leader;
    request->is_unsure = false;
    request->was_so = is_so(node, request);
    buf_reset(&node->scratch);
    wire_put_u8(&node->scratch, (uint8_t)request->kind);
    wire_put_text(&node->scratch, slice_from(request->name));
    wire_put_text(&node->scratch, slice_from(request->address));
    wire_put_u32(&node->scratch, CHANGE_DEADLINE_MS - ANSWER_EARLY_MS);
    int rv = rpc_send(node->rpc, node->leader, RPC_CHANGE, request->id, buf_slice(&node->scratch));
    if (rv == 0) {
        DL_APPEND(node->changes->forwarded, request);
        return;
    }
    change_say(&answer, CHANGE_REFUSED, "no_leader", "The leader cannot be reached: try again");
    request->on_changed(request, &answer);
}

void node_change(struct node *node, struct change_request *request)
{
    struct change_answer answer;
    uint64_t now_ms = clock_ms();
    bool is_member = node->phase == NODE_RUNNING && !node->is_removed;
    if (is_member && (node->is_leading || node_has_leader(node))) {
        request->id = ++node->changes->last_id;
        request->deadline_ms = now_ms + CHANGE_DEADLINE_MS;
        if (!node->is_leading) {
            forward(node, request);
            return;
        }
        take_wish(node, request, request, node->id);
        return;
    }
    change_say(&answer, CHANGE_REFUSED, "no_leader",
               "There is no leader now, so nothing can be changed: try again");
    request->on_changed(request, &answer);
}

/* ---- between nodes ---- */

int node_on_change_frame(struct node *node, const struct rpc_frame *frame)
{
    struct wire wire = wire_of(frame->body);
    struct change_request request = {.id = frame->id};
    uint8_t kind = wire_get_u8(&wire);
    struct slice name = wire_get_text(&wire), address = wire_get_text(&wire);
    uint32_t patience_ms = wire_get_u32(&wire);
    if (wire.failed || kind > CHANGE_TRANSFER || patience_ms > CHANGE_DEADLINE_MS)
        return ERR_FORMAT;
    if (!copy_text(request.name, sizeof request.name, name)) return ERR_FORMAT;
    if (!copy_text(request.address, sizeof request.address, address)) return ERR_FORMAT;
    request.kind = (enum change_kind)kind;
    request.deadline_ms = clock_ms() + patience_ms;
    if (node->phase == NODE_RUNNING && node->is_leading) {
        take_wish(node, &request, NULL, frame->peer);
        return 0;
    }
    struct change_answer answer;
    change_say(&answer, CHANGE_REFUSED, "no_leader", "The leader has changed meanwhile: try again");
    reply(node, frame->peer, frame->id, &answer);
    return 0;
}

static void answer_forwarded(struct node *node, struct change_request *request,
                             const struct change_answer *answer)
{
    DL_DELETE(node->changes->forwarded, request);
    request->on_changed(request, answer);
}

int node_on_change_reply(struct node *node, const struct rpc_frame *frame)
{
    struct wire wire = wire_of(frame->body);
    struct change_answer answer;
    struct change_request *request;
    uint8_t result = wire_get_u8(&wire);
    struct slice word = wire_get_text(&wire), sentence = wire_get_text(&wire);
    if (wire.failed || result > CHANGE_UNKNOWN) return ERR_FORMAT;
    if (!copy_text(answer.word, sizeof answer.word, word)) return ERR_FORMAT;
    if (!copy_text(answer.sentence, sizeof answer.sentence, sentence)) return ERR_FORMAT;
    answer.result = (enum change_result)result;
    DL_FOREACH(node->changes->forwarded, request) {
        if (request->id != frame->id || request->leader != frame->peer) continue;
        answer_forwarded(node, request, &answer);
        break;
    }
    return 0;
}

static void make_unsure(struct change_request *request, uint64_t now_ms)
{
    if (request->is_unsure) return;
    request->is_unsure = true;
    if (request->deadline_ms > now_ms + UNSURE_MS) request->deadline_ms = now_ms + UNSURE_MS;
}

/* What was on its way may have been lost with it. */
void node_changes_link_lost(struct node *node, uint64_t peer)
{
    struct change_request *request;
    if (node->changes == NULL) return;
    DL_FOREACH(node->changes->forwarded, request) {
        if (request->leader == peer) make_unsure(request, clock_ms());
    }
}

/* The answer of a leader that leads no more, or was removed, may not come: the list tells as well. */
static void look_at_forwarded(struct node *node, uint64_t now_ms)
{
    struct change_request *request, *next;
    struct rpc_peer_status link;
    DL_FOREACH_SAFE(node->changes->forwarded, request, next) {
        struct change_answer answer;
        bool is_there = node->leader == request->leader &&
                        rpc_peer_status(node->rpc, request->leader, &link) && link.is_up;
        if (!is_there) make_unsure(request, now_ms);
        if (request->is_unsure && !request->was_so && is_so(node, request)) {
            change_say(&answer, CHANGE_DONE, "done", "It is done");
            answer_forwarded(node, request, &answer);
        } else if (now_ms >= request->deadline_ms) {
            change_say(&answer, CHANGE_UNKNOWN, "unknown",
                       "No answer came from the leader: it may or may not have been done. See "
                       "`livetea members`");
            answer_forwarded(node, request, &answer);
        }
    }
}

/* ---- time ---- */

/* What a leader before us has left half done. */
static void finish_additions(struct node *node, uint64_t now_ms)
{
    struct changes *changes = node->changes;
    const struct raft_configuration *list = &node->raft.configuration;
    bool is_free = changes->running == NULL && guard_ready(&node->guard) &&
                   !node->is_transferring && node->raft.configuration_uncommitted_index == 0 &&
                   now_ms >= changes->finish_at_ms;
    for (unsigned i = 0; is_free && i < list->n; i++) {
        if (list->servers[i].role != RAFT_SPARE) continue;
        struct wish *wish = mem_new(sizeof *wish);
        *wish = (struct wish){.step = WISH_STANDBY, .target = list->servers[i].id};
        snprintf(wish->request.name, sizeof wish->request.name, "%s",
                 node_name_of(node, wish->target));
        DL_APPEND(changes->wishes, wish);
        changes->wishes_count++;
        changes->running = wish;
        return;
    }
}

void node_changes_tick(struct node *node, uint64_t now_ms)
{
    if (node->is_leading) finish_additions(node, now_ms);
    look_at_forwarded(node, now_ms);
}

void node_changes_start(struct node *node)
{
    node->changes = mem_new(sizeof *node->changes);
    node->changes->last_id = node->before_ids;
}

void node_changes_close(struct node *node)
{
    struct changes *changes = node->changes;
    struct wish *wish, *next;
    struct change_request *request, *after;
    struct change_answer answer;
    change_say(&answer, CHANGE_UNKNOWN, "unknown",
               "This node stops: it may or may not have been done. See `livetea members`");
    DL_FOREACH_SAFE(changes->forwarded, request, after) {
        answer_forwarded(node, request, &answer);
    }
    DL_FOREACH_SAFE(changes->wishes, wish, next) {
        answer_wish(node, wish, &answer);
    }
    mem_free(changes);
    node->changes = NULL;
}
