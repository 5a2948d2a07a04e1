/* Members come and go while messages are written: whole nodes over loopback. Waits for what must come, and
 * measures no time. One file, though longer than 500 lines: all of its tests ask for changes, and wait, by the
 * same helpers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/crypto.h"
#include "cluster/node_state.h"
#include "cluster/wire.h"
#include "promise.h"
#include "trio.h"

enum { PATIENCE_MS = 60000, TRIES_MAX = 5 };

static struct trio trio;

/* ---- messages that flow: at each node one is on its way ---- */

struct flow {
    struct command_request request;
    bool is_on, is_waiting;
    uint64_t accepted, others;
};

static struct flow flows[TRIO_NODES];

static void on_answer(struct command_request *request, const struct answer *answer)
{
    struct flow *flow = (struct flow *)request;
    flow->is_waiting = false;
    if (answer->kind == ANSWER_ACCEPTED) {
        flow->accepted++;
    } else {
        flow->others++;
    }
}

static void turn(void)
{
    uv_run(&trio.loop, UV_RUN_ONCE);
    for (size_t i = 0; i < trio.count; i++) {
        struct flow *flow = &flows[i];
        if (!flow->is_on || flow->is_waiting || !trio.nodes[i].is_running) continue;
        flow->is_waiting = true;
        flow->request = (struct command_request){.on_answer = on_answer,
                                                 .command = {.room = slice_of("tea"),
                                                             .sender = slice_of("Ann"),
                                                             .text = slice_of("hello")}};
        crypto_random(&flow->request.command.id, sizeof flow->request.command.id);
        node_send(trio.nodes[i].node, &flow->request);
    }
}

/* What every node thinks, for who has to find out why a test waits in vain. */
static void fail_with_a_picture(void)
{
    for (size_t i = 0; i < trio.count; i++) {
        const struct trio_node *one = &trio.nodes[i];
        struct cluster_status status;
        if (!one->is_running) continue;
        node_status(one->node, &status);
        print_message("%s: leader %s term %d ready %d voters %zu/%zu members %zu events %d commit "
                      "%d accepted %d waiting %d\n",
                      one->name, status.leader, (int)status.term, status.is_ready, status.voters_up,
                      status.voters, status.members_count, (int)one->events,
                      (int)status.commit_index, (int)flows[i].accepted, flows[i].is_waiting);
    }
    fail_msg("waited in vain");
}

static void wait_for(bool (*is_so)(void))
{
    uint64_t end_ms = clock_ms() + PATIENCE_MS;
    while (!is_so()) {
        if (clock_ms() >= end_ms) fail_with_a_picture();
        turn();
    }
}

static void flow_at(size_t place, bool is_on)
{
    flows[place].is_on = is_on;
}

static bool nothing_flows(void)
{
    for (size_t i = 0; i < TRIO_NODES; i++) {
        if (flows[i].is_waiting) return false;
    }
    return true;
}

static uint64_t accepted(void)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < TRIO_NODES; i++)
        sum += flows[i].accepted;
    return sum;
}

static size_t quiet;

static bool it_is_quiet(void)
{
    return !flows[quiet].is_waiting;
}

/* What was on its way there is answered. */
static void stop_flow_at(size_t place)
{
    quiet = place;
    flow_at(place, false);
    wait_for(it_is_quiet);
}

static uint64_t wanted;

static bool so_many_are_accepted(void)
{
    return accepted() >= wanted;
}

/* So that the log moves between two changes. */
static void let_some_flow(void)
{
    wanted = accepted() + 20;
    wait_for(so_many_are_accepted);
}

/* ---- nodes ---- */

static struct cluster_status status_of(size_t place)
{
    struct cluster_status status;
    node_status(trio.nodes[place].node, &status);
    return status;
}

static const struct member_status *member(const struct cluster_status *status, const char *name)
{
    for (size_t i = 0; i < status->members_count; i++) {
        if (strcmp(status->members[i].name, name) == 0) return &status->members[i];
    }
    return NULL;
}

static bool is_stand_by(const struct cluster_status *status, const char *name)
{
    const struct member_status *found = member(status, name);
    return found != NULL && !found->is_voter;
}

static bool has_leader(void)
{
    return trio_leader(&trio) != NULL;
}

static size_t leader(void)
{
    wait_for(has_leader);
    return (size_t)(trio_leader(&trio) - trio.nodes);
}

static size_t a_follower(void)
{
    size_t led = leader();
    for (size_t i = 0; i < trio.count; i++) {
        if (trio.nodes[i].is_running && i != led) return i;
    }
    fail();
    return 0;
}

static size_t voters_wanted;

/* Every node that runs knows so many voters, all up, and is ready. */
static bool all_are_up(void)
{
    for (size_t i = 0; i < trio.count; i++) {
        if (!trio.nodes[i].is_running) continue;
        struct cluster_status status = status_of(i);
        bool is_so =
            status.is_ready && status.voters == voters_wanted && status.voters_up == voters_wanted;
        if (!is_so) return false;
    }
    return has_leader();
}

static void wait_for_voters(size_t voters)
{
    voters_wanted = voters;
    wait_for(all_are_up);
}

static bool all_are_level(void)
{
    uint64_t most = 0;
    for (size_t i = 0; i < trio.count; i++) {
        if (trio.nodes[i].is_running && trio.nodes[i].events > most) most = trio.nodes[i].events;
    }
    for (size_t i = 0; i < trio.count; i++) {
        if (trio.nodes[i].is_running && trio.nodes[i].events < most) return false;
    }
    return most >= wanted;
}

/* No more messages; then all that run have the same history, with all that was accepted. */
static void settle(void)
{
    const struct trio_node *first = NULL;
    for (size_t i = 0; i < TRIO_NODES; i++)
        flow_at(i, false);
    wait_for(nothing_flows);
    wanted = accepted();
    wait_for(all_are_level);
    for (size_t i = 0; i < trio.count; i++) {
        if (!trio.nodes[i].is_running) continue;
        if (first == NULL) first = &trio.nodes[i];
        assert_memory_equal(&trio.nodes[i].digest, &first->digest, sizeof first->digest);
        assert_int_equal(trio.nodes[i].events, first->events);
    }
}

static void empty(size_t place)
{
    char command[512];
    snprintf(command, sizeof command, "rm -rf '%s'", trio.nodes[place].path);
    assert_int_equal(system(command), 0);
}

/* ---- changes ---- */

struct change {
    struct change_request request;
    struct change_answer answer;
    bool is_answered;
};

static void on_changed(struct change_request *request, const struct change_answer *answer)
{
    struct change *change = (struct change *)request;
    change->is_answered = true;
    change->answer = *answer;
}

static void ask(size_t at, struct change *change, enum change_kind kind, const char *name,
                const char *address)
{
    *change = (struct change){.request = {.kind = kind, .on_changed = on_changed}};
    snprintf(change->request.name, sizeof change->request.name, "%s", name);
    snprintf(change->request.address, sizeof change->request.address, "%s", address);
    node_change(trio.nodes[at].node, &change->request);
}

static void await(struct change *change)
{
    uint64_t end_ms = clock_ms() + 2 * PATIENCE_MS;
    while (!change->is_answered) {
        assert_true(clock_ms() < end_ms);
        turn();
    }
}

static bool is_word(const struct change *change, const char *word)
{
    return strcmp(change->answer.word, word) == 0;
}

/* Another moment may be better: on a loaded machine a leader may be lost on the way, or a node be silent. */
static bool passes(const struct change *change)
{
    static const char *const soon[] = {"behind",           "catching_up", "not_healthy",
                                       "no_leader",        "not_asking",  "change_running",
                                       "transfer_running", "not_ready",   "not_taken"};
    if (change->answer.result == CHANGE_UNKNOWN) return true;
    for (size_t i = 0; i < sizeof soon / sizeof *soon; i++)
        if (is_word(change, soon[i])) return true;
    return false;
}

static void expect(size_t at, enum change_kind kind, const char *name, const char *address,
                   enum change_result result, const char *word)
{
    uint64_t end_ms = clock_ms() + 2 * PATIENCE_MS;
    for (;;) {
        static struct change change; /* may outlive a test that fails */
        ask(at, &change, kind, name, address);
        await(&change);
        if (change.answer.result == result && is_word(&change, word)) return;
        if (!passes(&change) || clock_ms() > end_ms)
            fail_msg("%s: %s: %s", name, change.answer.word, change.answer.sentence);
        turn();
    }
}

/* As the command line does it: again while it is too early; and when nobody knows, the list says whether it is
 * done. */
static void until_done(size_t at, enum change_kind kind, const char *name, const char *address)
{
    static const char *const done_before[] = {"name_used", "already_voter", "unknown_member",
                                              "leads_already"};
    uint64_t end_ms = clock_ms() + 2 * PATIENCE_MS;
    bool may_be_done = false;
    for (;;) {
        static struct change change;
        ask(at, &change, kind, name, address);
        await(&change);
        if (change.answer.result == CHANGE_DONE) return;
        if (change.answer.result == CHANGE_UNKNOWN) may_be_done = true;
        for (size_t i = 0; i < sizeof done_before / sizeof *done_before; i++)
            if (may_be_done && is_word(&change, done_before[i])) return;
        if (!passes(&change) || clock_ms() > end_ms)
            fail_msg("%s: %s: %s", name, change.answer.word, change.answer.sentence);
        turn();
    }
}

static void add(size_t at, size_t place)
{
    until_done(at, CHANGE_ADD, trio.nodes[place].name, trio.nodes[place].address);
}

static void promote(size_t at, size_t place)
{
    until_done(at, CHANGE_PROMOTE, trio.nodes[place].name, "");
}

static void remove_member(size_t at, const char *name)
{
    until_done(at, CHANGE_REMOVE, name, "");
}

static size_t join(size_t at, const char *name)
{
    size_t place = trio_more(&trio, name);
    trio_start(&trio, place);
    add(at, place);
    return place;
}

/* ---- each test's own cluster ---- */

static void prepare(size_t founders, unsigned keep_log)
{
    static int round;
    memset(flows, 0, sizeof flows);
    wanted = 0;
    /* Below the ports that the system gives out; another run of this test has others. */
    trio_init(&trio, founders, 30000 + (getpid() % 130) * 20 + round++ % 2 * 10);
    trio.keep_log = keep_log;
}

static void begin_keeping(size_t founders, unsigned keep_log)
{
    prepare(founders, keep_log);
    for (size_t i = 0; i < founders; i++)
        trio_start(&trio, i);
    wait_for_voters(founders);
}

static void begin(size_t founders)
{
    begin_keeping(founders, 8192);
}

static int teardown(void **state)
{
    (void)state;
    trio_close(&trio);
    return 0;
}

/* A machine that was busy for a second may have had another one elected: what was on its way is then refused, or
 * nobody knows of it. */
static bool a_leader_was_lost(void)
{
    for (size_t i = 0; i < trio.count; i++) {
        if (trio.nodes[i].told[CLUSTER_LOST_LEADER] > 0) return true;
    }
    return false;
}

/* ---- the tests ---- */

static void a_lone_node_grows_to_three(void **state)
{
    (void)state;
    begin(1);
    flow_at(0, true);
    let_some_flow();
    size_t second = join(0, "tea-2"), third = join(0, "tea-3");
    struct cluster_status status = status_of(0);
    assert_int_equal(status.members_count, 3);
    assert_int_equal(status.voters, 1);
    assert_true(is_stand_by(&status, "tea-2"));
    promote(0, second);
    promote(0, third);
    wait_for_voters(3);
    assert_int_equal(trio.nodes[0].told[CLUSTER_ADDED], 2);
    assert_int_equal(trio.nodes[0].told[CLUSTER_PROMOTED], 2);
    flow_at(second, true);
    let_some_flow();
    settle();
    if (!a_leader_was_lost()) assert_int_equal(flows[0].others + flows[second].others, 0);
    trio_stop(&trio, 0); /* any one may fail now */
    flow_at(third, true);
    let_some_flow();
    settle();
}

/* From then on it tells of changes; before, they are what it finds. */
static bool the_fifth_has_been_level(void)
{
    return trio.nodes[4].node->has_been_level;
}

static void three_become_five_and_three_again_while_messages_flow(void **state)
{
    (void)state;
    begin(3);
    for (size_t i = 0; i < 3; i++)
        flow_at(i, true);
    let_some_flow();
    size_t fourth = join(0, "tea-4"), fifth = join(1, "tea-5");
    let_some_flow();
    promote(2, fourth);
    promote(fifth, fifth);
    wait_for_voters(5);
    wait_for(the_fifth_has_been_level);
    flow_at(fourth, true);
    let_some_flow();
    for (size_t i = 0; i < 2; i++) {
        stop_flow_at(i);
        remove_member(fifth, trio.nodes[i].name);
        trio_stop(&trio, i);
        let_some_flow();
    }
    wait_for_voters(3);
    settle();
    struct cluster_status status = status_of(fourth);
    assert_int_equal(status.members_count, 3);
    assert_null(member(&status, "tea-1"));
    assert_int_equal(trio.nodes[fifth].told[CLUSTER_REMOVED], 2);
}

static size_t removed;

static bool it_was_told(void)
{
    return trio.nodes[removed].is_removed;
}

static bool it_is_forgotten(void)
{
    for (size_t i = 0; i < trio.count; i++) {
        if (i == removed || !trio.nodes[i].is_running) continue;
        struct cluster_status status = status_of(i);
        if (member(&status, trio.nodes[removed].name) != NULL) return false;
    }
    return true;
}

static void the_leader_too_can_be_removed(void **state)
{
    (void)state;
    begin(3);
    flow_at(0, true);
    flow_at(1, true);
    flow_at(2, true);
    let_some_flow();
    /* Asked at another one, whose link to it ends with it. */
    removed = leader();
    stop_flow_at(removed);
    remove_member(a_follower(), trio.nodes[removed].name);
    wait_for(it_was_told);
    trio_stop(&trio, removed);
    wait_for(it_is_forgotten);
    wait_for_voters(2);
    let_some_flow();
    settle();
}

/* It would be alone with the change that makes the other one the only voter. */
static void of_two_the_leader_hands_over_first(void **state)
{
    (void)state;
    begin(2);
    removed = leader();
    size_t left = a_follower();
    expect(left, CHANGE_REMOVE, trio.nodes[removed].name, "", CHANGE_REFUSED, "leads");
    until_done(left, CHANGE_TRANSFER, trio.nodes[left].name, "");
    remove_member(left, trio.nodes[removed].name);
    wait_for(it_was_told);
    trio_stop(&trio, removed);
    wait_for_voters(1);
    flow_at(left, true);
    let_some_flow();
    settle();
}

static void a_leader_that_has_removed_itself_needs_nobody_to_tell_it(void **state)
{
    (void)state;
    begin(3);
    removed = leader();
    remove_member(removed, trio.nodes[removed].name);
    for (size_t i = 0; i < 3; i++) {
        if (i != removed) trio_stop(&trio, i);
    }
    wait_for(it_was_told);
}

static void a_removed_node_that_was_away_is_told_and_stays_away(void **state)
{
    (void)state;
    struct errmsg errmsg = {.text = ""};
    begin(3);
    removed = a_follower();
    trio_stop(&trio, removed);
    remove_member(leader(), trio.nodes[removed].name);
    trio_start(&trio, removed);
    wait_for(it_was_told);
    assert_int_equal(trio.nodes[removed].dir.state, DATA_DIR_REMOVED);
    trio_stop(&trio, removed);
    assert_int_equal(trio_try(&trio, removed, &errmsg), ERR_DATA);
    assert_non_null(strstr(errmsg.text, "was removed from its cluster"));
    assert_non_null(strstr(errmsg.text, "livetea members add"));
}

static bool it_is_told_to_be_removed_first(void)
{
    struct cluster_status status = status_of(removed);
    return status.is_joining && strstr(status.joining_note, "members remove") != NULL;
}

static void an_emptied_node_comes_back_under_a_new_id(void **state)
{
    (void)state;
    begin(3);
    flow_at(leader(), true);
    removed = a_follower();
    const char *name = trio.nodes[removed].name;
    uint64_t id = status_of(removed).raft_id;
    trio_stop(&trio, removed);
    empty(removed);
    trio.nodes[removed].joins = true;
    trio_start(&trio, removed);
    wait_for(it_is_told_to_be_removed_first);
    let_some_flow();
    size_t led = leader();
    expect(led, CHANGE_ADD, name, trio.nodes[removed].address, CHANGE_REFUSED, "name_used");
    remove_member(led, name);
    add(led, removed);
    promote(led, removed);
    assert_int_not_equal(status_of(removed).raft_id, id);
    wait_for_voters(3);
    let_some_flow();
    settle();
}

static bool one_is_away(void)
{
    return status_of(leader()).voters_up < 3;
}

static void a_dead_node_is_replaced(void **state)
{
    (void)state;
    begin(3);
    size_t dead = a_follower();
    trio_stop(&trio, dead);
    wait_for(one_is_away);
    size_t led = leader();
    flow_at(led, true);
    size_t fresh = join(led, "tea-9");
    promote(led, fresh);
    /* Of two voters beside it the leader alone would not be enough. */
    size_t other = 3 - led - dead;
    remove_member(led, trio.nodes[dead].name);
    wait_for_voters(3);
    let_some_flow();
    settle();
    trio_stop(&trio, other);
    flow_at(fresh, true);
    let_some_flow();
    settle();
}

/* A voter comes and leads while one is away, and of those whom that one knows nobody is left. */
static void who_was_away_takes_a_leader_that_it_does_not_know(void **state)
{
    (void)state;
    begin(3);
    size_t away = a_follower();
    trio_stop(&trio, away);
    wait_for(one_is_away);
    size_t fresh = join(leader(), "tea-4");
    promote(leader(), fresh);
    until_done(fresh, CHANGE_TRANSFER, "tea-4", "");
    removed = away == 0 ? 1 : 0;
    remove_member(fresh, trio.nodes[removed].name);
    for (size_t i = 0; i < 3; i++) {
        if (i != away) trio_stop(&trio, i);
    }
    trio_start(&trio, away);
    flow_at(away, true);
    let_some_flow();
    settle();
    assert_int_equal(status_of(away).voters, 3);
}

static void a_majority_that_is_sound_is_never_given_up(void **state)
{
    (void)state;
    begin(3);
    size_t dead = a_follower();
    trio_stop(&trio, dead);
    wait_for(one_is_away);
    size_t other = 3 - leader() - dead;
    expect(leader(), CHANGE_REMOVE, trio.nodes[other].name, "", CHANGE_REFUSED, "not_healthy");
    assert_int_equal(status_of(leader()).members_count, 3);
}

static bool a_change_is_running(void)
{
    return status_of(leader()).is_changing;
}

static void a_second_change_is_refused_while_one_runs(void **state)
{
    (void)state;
    struct change first, second;
    begin(3);
    size_t led = leader(), other = a_follower();
    ask(led, &first, CHANGE_REMOVE, trio.nodes[other].name, "");
    wait_for(a_change_is_running);
    ask(led, &second, CHANGE_REMOVE, trio.nodes[3 - led - other].name, "");
    await(&second);
    await(&first);
    if (a_leader_was_lost()) return;
    assert_string_equal(second.answer.word, "change_running");
    assert_int_equal(first.answer.result, CHANGE_DONE);
    assert_int_equal(status_of(led).members_count, 2);
}

static void the_log_pauses_while_a_change_is_on_its_way(void **state)
{
    (void)state;
    struct change change;
    begin(3);
    size_t led = leader(), other = a_follower();
    flow_at(led, true);
    flow_at(3 - led - other, true);
    let_some_flow();
    ask(led, &change, CHANGE_REMOVE, trio.nodes[other].name, "");
    wait_for(a_change_is_running);
    struct cluster_status before = status_of(led);
    while (!change.is_answered) {
        struct cluster_status now = status_of(led);
        bool is_same = now.term == before.term;
        if (is_same) assert_true(now.last_index <= before.last_index + 1); /* it and nothing else */
        turn();
    }
    if (change.answer.result != CHANGE_DONE && a_leader_was_lost())
        remove_member(led, trio.nodes[other].name);
    else
        assert_int_equal(change.answer.result, CHANGE_DONE);
    trio_stop(&trio, other);
    let_some_flow();
    settle();
}

static void on_added(struct raft_change *change, int status)
{
    (void)change;
    assert_int_equal(status, 0);
}

static bool it_is_a_stand_by(void)
{
    const struct raft_configuration *list =
        &trio.nodes[leader()].node->raft.configuration_committed;
    for (unsigned i = 0; i < list->n; i++) {
        if (list->servers[i].id == 99) return list->servers[i].role == RAFT_STANDBY;
    }
    return false;
}

static void what_a_leader_leaves_half_done_is_ended(void **state)
{
    (void)state;
    static struct raft_change change;
    begin(3);
    struct raft *raft = &trio.nodes[leader()].node->raft;
    assert_int_equal(raft_add(raft, &change, 99, "tea-9=127.0.0.1:9", on_added), 0);
    wait_for(it_is_a_stand_by);
}

/* Its entry may still be taken back by another leader. */
static void an_add_that_is_not_committed_is_not_done(void **state)
{
    (void)state;
    static struct raft_change change;
    struct change again;
    begin(3);
    struct raft *raft = &trio.nodes[leader()].node->raft;
    assert_int_equal(raft_add(raft, &change, 99, "tea-9=127.0.0.1:9", on_added), 0);
    ask(leader(), &again, CHANGE_ADD, "tea-9", "127.0.0.1:9");
    assert_int_not_equal(raft->configuration_uncommitted_index, 0);
    assert_false(again.is_answered);
    await(&again);
    until_done(leader(), CHANGE_ADD, "tea-9", "127.0.0.1:9");
    assert_int_equal(status_of(leader()).members_count, 4);
}

static struct change in_log;

static bool it_is_in_the_log_or_over(void)
{
    return in_log.is_answered ||
           trio.nodes[leader()].node->raft.configuration_uncommitted_index != 0;
}

/* On a loaded machine the leader may be lost before. */
static size_t add_into_the_log(size_t place)
{
    uint64_t end_ms = clock_ms() + PATIENCE_MS;
    for (;;) {
        size_t led = leader();
        ask(led, &in_log, CHANGE_ADD, trio.nodes[place].name, trio.nodes[place].address);
        wait_for(it_is_in_the_log_or_over);
        if (!in_log.is_answered) return led;
        assert_true(clock_ms() < end_ms);
    }
}

static bool all_vote_or_stand_by(void)
{
    const struct raft_configuration *list =
        &trio.nodes[leader()].node->raft.configuration_committed;
    for (unsigned i = 0; i < list->n; i++) {
        if (list->servers[i].role == RAFT_SPARE) return false;
    }
    return list->n == 4;
}

/* The transfer is to a node that is away, so it lasts. */
static void an_add_that_is_in_the_list_is_not_told_as_refused(void **state)
{
    (void)state;
    begin(3);
    size_t dead = a_follower();
    raft_id heir = status_of(dead).raft_id;
    trio_stop(&trio, dead);
    wait_for(one_is_away);
    size_t fresh = trio_more(&trio, "tea-4");
    trio_start(&trio, fresh);
    size_t led = add_into_the_log(fresh);
    assert_int_equal(node_begin_transfer(trio.nodes[led].node, heir), 0);
    await(&in_log);
    if (in_log.answer.result == CHANGE_REFUSED) fail_msg("%s", in_log.answer.sentence);
    wait_for(all_vote_or_stand_by);
}

static void an_add_waits_for_its_node(void **state)
{
    (void)state;
    struct change change;
    begin(1);
    size_t place = trio_more(&trio, "tea-2");
    ask(0, &change, CHANGE_ADD, "tea-2", trio.nodes[place].address);
    flow_at(0, true);
    let_some_flow(); /* and nothing else does */
    assert_false(change.is_answered);
    trio_start(&trio, place);
    await(&change);
    assert_int_equal(change.answer.result, CHANGE_DONE);
    settle();
}

/* Asked at a follower, whose link to the leader may still be on its way. */
static void ask_until_it_waits(size_t at, struct change *change, const char *name)
{
    uint64_t end_ms = clock_ms() + PATIENCE_MS;
    for (;;) {
        ask(at, change, CHANGE_ADD, name, "127.0.0.1:9");
        if (!change->is_answered) return;
        assert_true(clock_ms() < end_ms);
        turn();
    }
}

static void an_answer_to_the_run_before_is_for_nobody(void **state)
{
    (void)state;
    static struct change before, now; /* answered when the cluster ends */
    struct buf body;
    begin(3);
    size_t at = a_follower();
    ask_until_it_waits(at, &before, "tea-4");
    trio_stop(&trio, at);
    assert_int_equal(before.answer.result, CHANGE_UNKNOWN);
    trio_start(&trio, at);
    wait_for_voters(3);
    ask_until_it_waits(at, &now, "tea-6");
    buf_init(&body, 100);
    wire_put_u8(&body, CHANGE_REFUSED);
    wire_put_text(&body, slice_of("not_asking"));
    wire_put_text(&body, slice_of("tea-4 does not ask to be let in"));
    const struct rpc_frame late = {.peer = now.request.leader,
                                   .type = RPC_CHANGE_REPLY,
                                   .id = before.request.id,
                                   .body = buf_slice(&body)};
    assert_int_equal(node_on_change_reply(trio.nodes[at].node, &late), 0);
    buf_close(&body);
    assert_false(now.is_answered);
}

static size_t standby;

static bool it_leads(void)
{
    return status_of(standby).is_leader;
}

static bool it_has_given_up(void)
{
    return flows[standby].others > 0;
}

static void a_stand_by_applies_and_has_no_vote(void **state)
{
    (void)state;
    begin(2);
    standby = join(0, "tea-3");
    flow_at(standby, true); /* commands from there go to the leader */
    let_some_flow();
    settle();
    if (!a_leader_was_lost()) assert_int_equal(trio.nodes[standby].events, accepted());
    struct cluster_status status = status_of(standby);
    assert_true(is_stand_by(&status, "tea-3"));
    assert_int_equal(status.voters, 2);
    trio_stop(&trio, a_follower() == standby ? 1 - leader() : a_follower());
    flow_at(standby, true); /* one voter of two, and the stand-by: no majority */
    wait_for(it_has_given_up);
    assert_false(it_leads());
    flow_at(standby, false);
}

static bool it_knows_of_no_leader(void)
{
    struct cluster_status status = status_of(standby);
    return status.leader[0] == '\0' && !status.is_ready;
}

static bool it_follows(void)
{
    return status_of(standby).is_ready;
}

static void a_stand_by_notices_that_nobody_leads(void **state)
{
    (void)state;
    begin(1);
    standby = join(0, "tea-2");
    wait_for(it_follows);
    trio_stop(&trio, 0);
    wait_for(it_knows_of_no_leader);
    trio_start(&trio, 0);
    wait_for(it_follows);
}

static bool it_is_known_to_be_full(void)
{
    const struct beats *beats = &trio.nodes[leader()].node->beats;
    for (size_t i = 0; i < beats->count; i++) {
        const struct neighbour *one = &beats->neighbours[i];
        if (strcmp(one->name, "tea-2") == 0) return (one->last.flags & BEAT_DISK_FULL) != 0;
    }
    return false;
}

/* It would be one of two voters, and take nothing. */
static void whose_disk_is_full_gets_no_vote(void **state)
{
    (void)state;
    begin(1);
    size_t second = join(0, "tea-2");
    standby = second;
    wait_for(it_follows);
    node_disk(trio.nodes[second].node, DISK_FREE_MIN - 1);
    wait_for(it_is_known_to_be_full);
    expect(0, CHANGE_PROMOTE, "tea-2", "", CHANGE_REFUSED, "not_healthy");
    node_disk(trio.nodes[second].node, DISK_FREE_AGAIN);
    promote(0, second);
    flow_at(0, true);
    let_some_flow();
    settle();
}

static bool the_joiner_runs(void)
{
    return trio.nodes[standby].dir.state == DATA_DIR_FORMED && all_are_level();
}

static void one_that_was_let_in_and_ended_at_once_finds_its_cluster(void **state)
{
    (void)state;
    struct errmsg errmsg;
    struct data_dir dir;
    begin(1);
    flow_at(0, true);
    let_some_flow();
    standby = trio_more(&trio, "tea-2");
    trio_start(&trio, standby);
    uint64_t id = status_of(standby).raft_id;
    struct cluster_status status = status_of(standby);
    assert_true(status.is_joining && !status.is_ready);
    add(0, standby);
    trio_stop(&trio, standby);
    /* As if it had ended behind the mark, and nothing of the log had come. */
    assert_int_equal(data_dir_open(&dir, trio.nodes[standby].path, "tea-2", &errmsg), 0);
    if (dir.state == DATA_DIR_JOINING) {
        memcpy(dir.cluster, trio.nodes[0].dir.cluster, sizeof dir.cluster);
        dir.joined = 2;
        assert_int_equal(data_dir_mark(&dir, DATA_DIR_FORMED, &errmsg), 0);
    }
    data_dir_close(&dir);
    trio_start(&trio, standby);
    assert_int_equal(status_of(standby).raft_id, id);
    wanted = accepted();
    wait_for(the_joiner_runs);
    settle();
}

static bool the_log_is_cut(void)
{
    return status_of(0).first_index > 100;
}

static void who_joins_a_long_history_fetches_what_the_log_has_not(void **state)
{
    (void)state;
    begin_keeping(1, 64);
    flow_at(0, true);
    wait_for(the_log_is_cut);
    size_t place = join(0, "tea-2");
    promote(0, place); /* refused while it lacks events */
    assert_false(status_of(place).has_gap);
    assert_true(
        trio.nodes[0].told[CLUSTER_CATCHING_UP] + trio.nodes[place].told[CLUSTER_CATCHING_UP] > 0);
    wait_for_voters(2);
    settle();
    trio_stop(&trio, place);
    trio_start(&trio, place);
    wait_for_voters(2);
}

static void a_restored_node_is_alone_whatever_the_peers_line_says(void **state)
{
    (void)state;
    struct errmsg errmsg;
    struct data_dir *dir = &trio.nodes[0].dir;
    prepare(3, 8192);
    assert_int_equal(data_dir_open(dir, trio.nodes[0].path, "tea-1", &errmsg), 0);
    dir->raft_id = peer_id("tea-1");
    memset(dir->cluster, 9, sizeof dir->cluster);
    assert_int_equal(data_dir_mark(dir, DATA_DIR_ALONE, &errmsg), 0);
    data_dir_close(dir);
    trio_start(&trio, 0);
    wait_for_voters(1);
    assert_int_equal(dir->state, DATA_DIR_FORMED);
    assert_int_equal(dir->cluster[0], 9);
    flow_at(0, true);
    let_some_flow();
    for (size_t i = 1; i < 3; i++) {
        trio.nodes[i].joins = true;
        trio_start(&trio, i);
        add(0, i);
        promote(i, i);
    }
    wait_for_voters(3);
    assert_int_equal(trio.nodes[2].dir.cluster[0], 9);
    settle();
}

static void leadership_goes_where_it_is_asked_to(void **state)
{
    (void)state;
    begin(3);
    size_t led = leader(), to = a_follower(), other = 3 - led - to;
    flow_at(to, true);
    for (int tries = 0; leader() != to; tries++) { /* yet another one may have been elected */
        assert_true(tries < TRIES_MAX);
        until_done(other, CHANGE_TRANSFER, trio.nodes[to].name, "");
    }
    expect(to, CHANGE_TRANSFER, trio.nodes[to].name, "", CHANGE_REFUSED, "leads_already");
    for (int tries = 0; leader() == to; tries++) {
        assert_true(tries < TRIES_MAX);
        until_done(to, CHANGE_TRANSFER, "", "");
    }
    size_t fourth = join(to, "tea-4");
    expect(to, CHANGE_TRANSFER, trio.nodes[fourth].name, "", CHANGE_REFUSED, "not_voter");
    settle();
}

/* ---- what a new node lacks ---- */

static bool lacks_nothing(size_t place)
{
    struct cluster_status status = status_of(place);
    return !status.has_gap && status.history_copies == status.members_count;
}

static size_t newest;

static bool it_lacks_nothing(void)
{
    return lacks_nothing(newest);
}

/* It begins at its first entry, and the history is older: that entry says so. */
static void who_joins_a_restored_node_fetches_the_history(void **state)
{
    (void)state;
    prepare(1, 8192);
    trio_fill(&trio, 0, 50);
    trio_start(&trio, 0);
    wait_for_voters(1);
    newest = join(0, "tea-9");
    promote(0, newest);
    wait_for(it_lacks_nothing);
    assert_int_equal(status_of(newest).backfilled_in, 50);
    flow_at(0, true);
    flow_at(newest, true);
    let_some_flow();
    for (size_t i = 0; i < TRIO_NODES; i++)
        flow_at(i, false);
    wait_for(nothing_flows);
    wanted = 50 + accepted();
    wait_for(all_are_level);
    if (!a_leader_was_lost()) assert_int_equal(trio.nodes[0].events, wanted);
    assert_memory_equal(&trio.nodes[newest].digest, &trio.nodes[0].digest, 16);
    uint64_t number = trio.nodes[0].events;
    trio_stop(&trio, newest);
    trio_verify(&trio, newest, number);
    trio_start(&trio, newest);
    wait_for_voters(2);
    assert_int_equal(trio.nodes[newest].events, number);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_lone_node_grows_to_three),
        TEST(three_become_five_and_three_again_while_messages_flow),
        TEST(the_leader_too_can_be_removed),
        PROMISE_WITH("P10", of_two_the_leader_hands_over_first, NULL, teardown),
        TEST(a_leader_that_has_removed_itself_needs_nobody_to_tell_it),
        TEST(a_removed_node_that_was_away_is_told_and_stays_away),
        TEST(an_emptied_node_comes_back_under_a_new_id),
        TEST(a_dead_node_is_replaced),
        PROMISE_WITH("P10", who_was_away_takes_a_leader_that_it_does_not_know, NULL, teardown),
        PROMISE_WITH("P10", whose_disk_is_full_gets_no_vote, NULL, teardown),
        TEST(a_majority_that_is_sound_is_never_given_up),
        TEST(a_second_change_is_refused_while_one_runs),
        TEST(the_log_pauses_while_a_change_is_on_its_way),
        TEST(what_a_leader_leaves_half_done_is_ended),
        TEST(an_add_that_is_not_committed_is_not_done),
        PROMISE_WITH("P6", an_add_that_is_in_the_list_is_not_told_as_refused, NULL, teardown),
        TEST(an_add_waits_for_its_node),
        PROMISE_WITH("P6", an_answer_to_the_run_before_is_for_nobody, NULL, teardown),
        TEST(a_stand_by_applies_and_has_no_vote),
        TEST(a_stand_by_notices_that_nobody_leads),
        TEST(one_that_was_let_in_and_ended_at_once_finds_its_cluster),
        TEST(who_joins_a_long_history_fetches_what_the_log_has_not),
        TEST(a_restored_node_is_alone_whatever_the_peers_line_says),
        TEST(who_joins_a_restored_node_fetches_the_history),
        TEST(leadership_goes_where_it_is_asked_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
