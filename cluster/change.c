#include "cluster/change.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <raft.h>

void change_say(struct change_answer *answer, enum change_result result, const char *word,
                const char *format, ...)
{
    va_list arguments;
    answer->result = result;
    snprintf(answer->word, sizeof answer->word, "%s", word);
    va_start(arguments, format);
    vsnprintf(answer->sentence, sizeof answer->sentence, format, arguments);
    va_end(arguments);
}

/* A refusal; every one ends here. */
#define NO(word, ...) (change_say(answer, CHANGE_REFUSED, word, __VA_ARGS__), false)

const struct change_member *change_find(const struct change_view *view, const char *name)
{
    for (size_t i = 0; i < view->members_count; i++) {
        if (strcmp(view->members[i].name, name) == 0) return &view->members[i];
    }
    return NULL;
}

static const char *leader_name(const struct change_view *view)
{
    for (size_t i = 0; i < view->members_count; i++) {
        if (view->members[i].id == view->self) return view->members[i].name;
    }
    return "?";
}

static size_t voters_count(const struct change_view *view)
{
    size_t count = 0;
    for (size_t i = 0; i < view->members_count; i++) {
        if (view->members[i].role == RAFT_VOTER) count++;
    }
    return count;
}

/* With `more` as a voter too, and without `less` (either may be NULL): is a majority sound? */
static bool keeps_majority(const struct change_view *view, const struct change_member *more,
                           const struct change_member *less, struct change_answer *answer)
{
    size_t voters = 0, sound = 0;
    for (size_t i = 0; i < view->members_count; i++) {
        const struct change_member *member = &view->members[i];
        bool is_voter = (member->role == RAFT_VOTER || member == more) && member != less;
        if (!is_voter) continue;
        voters++;
        if (member->is_sound) sound++;
    }
    if (2 * sound > voters) return true;
    return NO("not_healthy",
              "Of the %zu voters there would be, only %zu %s sound: a majority must be, or nothing "
              "can be sent any more. Bring nodes back first",
              voters, sound, sound == 1 ? "is" : "are");
}

static bool none_lacks_history(const struct change_view *view, const struct change_member *but,
                               struct change_answer *answer)
{
    for (size_t i = 0; i < view->members_count; i++) {
        const struct change_member *member = &view->members[i];
        if (member == but || !member->is_catching_up) continue;
        return NO("catching_up",
                  "%s is still fetching events, perhaps from %s: wait until it has caught up",
                  member->name, but == NULL ? "another" : but->name);
    }
    return true;
}

static bool is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strncmp(address, "localhost:", 10) == 0 ||
           strncmp(address, "[::1]", 5) == 0;
}

static bool names_a_node(const struct change_request *request, struct change_answer *answer)
{
    char line[NODE_NAME_MAX + 1 + ADDRESS_MAX + 1];
    struct peer peers[PEERS_MAX];
    size_t count = 0;
    snprintf(line, sizeof line, "%s=%s", request->name, request->address);
    bool is_one = peers_parse(peers, &count, slice_from(line), NULL) == 0 && count == 1;
    if (is_one && strcmp(peers[0].name, request->name) == 0 &&
        strcmp(peers[0].address, request->address) == 0) {
        return true;
    }
    return NO("bad_address", "\"%.*s\" is not name=host:port", 150, line);
}

/* The very node that is to be added is a member: nobody asks under its name who has another id, for that is one
 * that has lost its data. One that is away may have lost them too. */
static bool is_added(const struct change_view *view, const struct change_request *request)
{
    const struct change_member *member = change_find(view, request->name);
    if (member == NULL || strcmp(member->address, request->address) != 0) return false;
    if (view->asker != 0 && view->asker != member->id) return false;
    return member->is_sound || member->role != RAFT_VOTER;
}

static bool is_new(const struct change_view *view, const struct change_request *request,
                   struct change_answer *answer)
{
    for (size_t i = 0; i < view->members_count; i++) {
        const struct change_member *member = &view->members[i];
        if (strcmp(member->name, request->name) == 0) {
            return NO("name_used",
                      "%s is a member already. If its data was lost: livetea members remove %s "
                      "first, then add it",
                      member->name, member->name);
        }
        if (strcmp(member->address, request->address) == 0) {
            return NO("address_used", "%.100s is the address of %s", member->address, member->name);
        }
        if (is_loopback(member->address) != is_loopback(request->address)) {
            return NO("loopback",
                      "%s is a member as %.60s and %s would be one as %.60s: from one of them the "
                      "other cannot be reached",
                      member->name, member->address, request->name, request->address);
        }
    }
    return true;
}

static bool may_add(const struct change_view *view, const struct change_request *request,
                    const char *asker, struct change_answer *answer)
{
    if (!names_a_node(request, answer)) return false;
    if (is_added(view, request)) {
        change_say(answer, CHANGE_DONE, "",
                   "%s is a member already. If its data was lost: livetea members remove %s first, "
                   "then add it",
                   request->name, request->name);
        return false;
    }
    if (!is_new(view, request, answer)) return false;
    if (view->members_count >= MEMBERS_MAX) {
        return NO("too_many_members", "There are %zu members, and no more are possible",
                  view->members_count);
    }
    if (!keeps_majority(view, NULL, NULL, answer)) return false;
    if (asker == NULL) {
        return NO("not_asking",
                  "%s does not ask to be let in: start it with an empty data directory and "
                  "cluster.join = %s=...",
                  request->name, leader_name(view));
    }
    if (strcmp(asker, request->address) == 0) return true;
    return NO("not_asking", "%s asks to be let in as %.100s: add it so, or set its advertise",
              request->name, asker);
}

static bool may_promote(const struct change_view *view, const struct change_member *member,
                        struct change_answer *answer)
{
    if (member->role == RAFT_VOTER) return NO("already_voter", "%s votes already", member->name);
    if (voters_count(view) >= PEERS_MAX) {
        return NO("too_many_voters", "There are %zu voters, and no more are possible",
                  voters_count(view));
    }
    if (member->is_catching_up) {
        return NO("catching_up", "%s is still fetching events: wait until it has caught up",
                  member->name);
    }
    if (!member->is_sound)
        return NO("not_healthy", "%s is not heard, or has no room on its disk", member->name);
    if (member->behind > PROMOTE_BEHIND_MAX) {
        return NO("behind", "%s is %" PRIu64 " messages behind: wait until it has caught up",
                  member->name, member->behind);
    }
    return keeps_majority(view, member, NULL, answer);
}

static bool may_remove(const struct change_view *view, const struct change_member *member,
                       struct change_answer *answer)
{
    if (member->role == RAFT_VOTER && voters_count(view) == 1) {
        return NO("last_voter", "%s is the only voter: nobody would be left to decide anything",
                  member->name);
    }
    /* The other one would have to elect itself with a log that lacks the change, should it not get it. */
    if (member->role == RAFT_VOTER && member->id == view->self && voters_count(view) == 2) {
        return NO("leads", "%s leads, and one voter would be left: `livetea transfer` first",
                  member->name);
    }
    /* What one has that is still fetching others have, too: the sound ones all of it. */
    bool may_go = member->is_catching_up || none_lacks_history(view, member, answer);
    return may_go && keeps_majority(view, NULL, member, answer);
}

static bool may_transfer(const struct change_view *view, const struct change_request *request,
                         const struct change_member *member, struct change_answer *answer)
{
    if (request->name[0] == '\0') {
        for (size_t i = 0; i < view->members_count; i++) {
            member = &view->members[i];
            bool may_lead = member->role == RAFT_VOTER && member->is_sound;
            if (member->id != view->self && may_lead) return true;
        }
        return NO("no_other_voter", "There is no other sound voter to lead");
    }
    if (member->id == view->self) return NO("leads_already", "%s leads already", member->name);
    if (member->role != RAFT_VOTER) {
        return NO("not_voter", "%s has no vote, and so cannot lead", member->name);
    }
    if (member->is_catching_up) {
        return NO("catching_up", "%s is still fetching events, and so cannot lead", member->name);
    }
    if (member->is_sound) return true;
    return NO("not_healthy", "%s is not heard, or has no room on its disk", member->name);
}

bool change_allowed(const struct change_view *view, const struct change_request *request,
                    const char *asker, struct change_answer *answer)
{
    if (view->is_changing) {
        return NO("change_running", "Another change is on its way: try again when it is done");
    }
    if (view->is_transferring) {
        return NO("transfer_running", "Leadership is being handed over: try again");
    }
    if (!view->is_leader_ready) {
        return NO("not_ready", "The leader has just begun and is not ready yet: try again");
    }
    if (request->kind == CHANGE_ADD) return may_add(view, request, asker, answer);
    const struct change_member *member = change_find(view, request->name);
    bool is_open = request->kind == CHANGE_TRANSFER && request->name[0] == '\0';
    if (member == NULL && !is_open) {
        return NO("unknown_member", "There is no member \"%s\"", request->name);
    }
    if (request->kind == CHANGE_PROMOTE) return may_promote(view, member, answer);
    if (request->kind == CHANGE_REMOVE) return may_remove(view, member, answer);
    return may_transfer(view, request, member, answer);
}

bool change_is_so(const struct change_view *view, const struct change_request *request)
{
    const struct change_member *member = change_find(view, request->name);
    switch (request->kind) {
    case CHANGE_ADD: return member != NULL && strcmp(member->address, request->address) == 0;
    case CHANGE_PROMOTE: return member != NULL && member->role == RAFT_VOTER;
    case CHANGE_REMOVE: return member == NULL;
    case CHANGE_TRANSFER: return member != NULL && member->id == view->self;
    }
    return false;
}
