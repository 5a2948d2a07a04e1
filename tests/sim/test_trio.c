/* Whole nodes over loopback: form, write, fall silent, come back. Waits for what must come, and
 * measures no time. One file, though longer than 500 lines: the same three nodes, in one trouble after another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/crypto.h"
#include "cluster/node_state.h"
#include "promise.h"
#include "trio.h"

enum { PATIENCE_MS = 60000, KEEP = 64 };

static struct trio trio;

struct asked {
    struct command_request request;
    struct answer answer;
    bool is_answered;
};

struct waiting {
    struct barrier_request request;
    bool is_over;
    int status;
};

static uint64_t wanted;

static int begin_keeping(unsigned keep_log, uint64_t keep_log_bytes)
{
    static int round;
    wanted = 0;
    /* Below the ports that the system gives out; another run of this test has others. */
    trio_init(&trio, 3, 20000 + (getpid() % 1000) * 10 + round++ % 3 * 3);
    trio.keep_log = keep_log;
    trio.keep_log_bytes = keep_log_bytes;
    for (size_t i = 0; i < 3; i++)
        trio_start(&trio, i);
    return 0;
}

static int begin(unsigned keep_log)
{
    return begin_keeping(keep_log, 0);
}

static int setup(void **state)
{
    (void)state;
    return begin(8192);
}

static int setup_short_log(void **state)
{
    (void)state;
    return begin(KEEP);
}

static int teardown(void **state)
{
    (void)state;
    trio_close(&trio);
    return 0;
}

static bool has_leader(struct trio *t)
{
    return trio_leader(t) != NULL;
}

static bool all_are_ready(struct trio *t)
{
    for (size_t i = 0; i < t->count; i++) {
        struct cluster_status status;
        if (!t->nodes[i].is_running) continue;
        node_status(t->nodes[i].node, &status);
        if (!status.is_ready || status.voters_up != 3) return false;
    }
    return has_leader(t);
}

static void wait_for(bool (*is_so)(struct trio *t))
{
    assert_true(trio_run_until(&trio, is_so, PATIENCE_MS));
}

static size_t a_follower(void)
{
    for (size_t i = 0; i < trio.count; i++) {
        if (trio.nodes[i].is_running && &trio.nodes[i] != trio_leader(&trio)) return i;
    }
    return trio.count;
}

static void on_answer(struct command_request *request, const struct answer *answer)
{
    struct asked *asked = (struct asked *)request;
    asked->is_answered = true;
    asked->answer = *answer;
}

static void on_barrier(struct barrier_request *request, int status)
{
    struct waiting *waiting = (struct waiting *)request;
    waiting->is_over = true;
    waiting->status = status;
}

static void prepare(struct asked *asked, const char *text)
{
    *asked = (struct asked){.request = {.on_answer = on_answer}};
    asked->request.command = (struct send_message){
        .room = slice_of("tea"), .sender = slice_of("Ann"), .text = slice_from(text)};
    crypto_random(&asked->request.command.id, sizeof asked->request.command.id);
}

static void wait_for_answer(struct asked *asked)
{
    while (!asked->is_answered)
        uv_run(&trio.loop, UV_RUN_ONCE);
}

static void ask_at(size_t i, struct asked *asked)
{
    asked->is_answered = false;
    node_send(trio.nodes[i].node, &asked->request);
    wait_for_answer(asked);
}

/* What nobody took, or nobody knows of, for a leader was lost on the way: on a loaded machine that may be. */
static bool passes(const struct answer *answer)
{
    bool is_refused = answer->kind == ANSWER_REFUSED && answer->refusal == CHAT_NO_LEADER;
    return is_refused || answer->kind == ANSWER_UNKNOWN || answer->kind == ANSWER_RETRY;
}

/* Again under its id, as somebody does who has no answer that holds. */
static void until_answered(size_t i, struct asked *asked)
{
    uint64_t end_ms = clock_ms() + PATIENCE_MS;
    wait_for_answer(asked);
    while (passes(&asked->answer) && clock_ms() < end_ms) {
        if (asked->answer.kind != ANSWER_REFUSED) asked->request.command.retried = true;
        ask_at(i, asked);
    }
}

static void write_at(size_t i, struct asked *asked, const char *text)
{
    prepare(asked, text);
    node_send(trio.nodes[i].node, &asked->request);
    until_answered(i, asked);
}

static bool all_have_it(struct trio *t)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->nodes[i].is_running && t->nodes[i].events < wanted) return false;
    }
    return true;
}

static void what_one_node_takes_all_nodes_have_in_the_same_order(void **state)
{
    (void)state;
    struct asked asked;
    wait_for(all_are_ready);
    for (uint64_t i = 0; i < 9; i++) {
        write_at(i % 3, &asked, "hello");
        assert_int_equal(asked.answer.kind, ANSWER_ACCEPTED);
        assert_int_equal(asked.answer.number, i + 1);
    }
    wanted = 9;
    wait_for(all_have_it);
    assert_memory_equal(&trio.nodes[0].digest, &trio.nodes[1].digest, 16);
    assert_memory_equal(&trio.nodes[0].digest, &trio.nodes[2].digest, 16);
}

static void one_id_at_three_nodes_is_one_message(void **state)
{
    (void)state;
    struct asked asked[3];
    wait_for(all_are_ready);
    prepare(&asked[0], "only once");
    asked[1] = asked[2] = asked[0];
    for (size_t i = 0; i < 3; i++)
        node_send(trio.nodes[i].node, &asked[i].request);
    for (size_t i = 0; i < 3; i++) {
        until_answered(i, &asked[i]);
        assert_int_equal(asked[i].answer.kind, ANSWER_ACCEPTED);
        assert_int_equal(asked[i].answer.number, 1);
    }
    wanted = 1;
    wait_for(all_have_it);
    assert_int_equal(trio.nodes[0].events, 1);
}

static void a_refusal_of_the_leader_comes_back(void **state)
{
    (void)state;
    struct asked asked;
    wait_for(all_are_ready);
    write_at(a_follower(), &asked, " \t ");
    assert_int_equal(asked.answer.kind, ANSWER_REFUSED);
    assert_int_equal(asked.answer.refusal, CHAT_TEXT_EMPTY);
}

/* With no leader for five seconds a barrier has no answer: then once more. */
static void wait_behind_a_barrier(size_t place)
{
    uint64_t end_ms = clock_ms() + PATIENCE_MS;
    struct waiting waiting;
    do {
        waiting = (struct waiting){.request = {.on_barrier = on_barrier}};
        node_barrier(trio.nodes[place].node, &waiting.request);
        while (!waiting.is_over)
            uv_run(&trio.loop, UV_RUN_ONCE);
    } while (waiting.status != 0 && clock_ms() < end_ms);
    assert_int_equal(waiting.status, 0);
}

static void behind_a_barrier_everything_accepted_before_is_here(void **state)
{
    (void)state;
    struct asked asked[20];
    wait_for(all_are_ready);
    size_t follower = a_follower();
    size_t leader = (size_t)(trio_leader(&trio) - trio.nodes);
    for (size_t i = 0; i < 20; i++) {
        prepare(&asked[i], "hello");
        node_send(trio.nodes[leader].node, &asked[i].request);
    }
    for (size_t i = 0; i < 20; i++)
        until_answered(leader, &asked[i]);
    for (size_t i = 0; i < 3; i++) {
        wait_behind_a_barrier((follower + i) % 3);
        assert_int_equal(trio.nodes[(follower + i) % 3].events, 20);
    }
}

static bool is_present_everywhere(struct trio *t)
{
    for (size_t i = 0; i < t->count; i++) {
        if (presence_count(node_presence(t->nodes[i].node), slice_of("tea")) != 1) return false;
    }
    return true;
}

static void who_is_at_one_node_is_seen_at_all(void **state)
{
    (void)state;
    const struct sender_id ann = {{1}};
    wait_for(all_are_ready);
    presence_enter(node_presence(trio.nodes[1].node), slice_of("tea"), &ann, slice_of("Ann"));
    wait_for(is_present_everywhere);
}

static struct trio_node *stopped;

static bool is_seen_away(struct trio *t)
{
    for (size_t i = 0; i < t->count; i++) {
        struct cluster_status status;
        if (!t->nodes[i].is_running) continue;
        node_status(t->nodes[i].node, &status);
        for (size_t k = 0; k < status.members_count; k++) {
            bool is_it = strcmp(status.members[k].name, stopped->name) == 0;
            if (is_it && status.members[k].state != MEMBER_AWAY) return false;
        }
    }
    return true;
}

static void a_leader_that_stops_hands_over_and_comes_back_level(void **state)
{
    (void)state;
    struct asked asked;
    wait_for(all_are_ready);
    write_at(0, &asked, "before");
    wait_for(has_leader);
    stopped = trio_leader(&trio);
    size_t place = (size_t)(stopped - trio.nodes);
    trio_stop(&trio, place);
    wait_for(has_leader);
    wait_for(is_seen_away);
    write_at(a_follower(), &asked, "meanwhile");
    assert_int_equal(asked.answer.number, 2);
    trio_start(&trio, place);
    wanted = 2;
    wait_for(all_have_it);
    wait_for(all_are_ready);
    assert_memory_equal(&stopped->digest, &trio.nodes[(place + 1) % 3].digest, 16);
    assert_true(trio.nodes[(place + 1) % 3].told[CLUSTER_AWAY] > 0);
    assert_true(trio.nodes[(place + 1) % 3].told[CLUSTER_BACK] > 0);
}

static void without_a_majority_a_new_command_is_refused(void **state)
{
    (void)state;
    struct asked asked;
    wait_for(all_are_ready);
    size_t left = a_follower();
    for (size_t i = 0; i < 3; i++) {
        if (i != left) trio_stop(&trio, i);
    }
    prepare(&asked, "anybody?");
    ask_at(left, &asked);
    assert_int_not_equal(asked.answer.kind, ANSWER_ACCEPTED);
    assert_int_equal(trio.nodes[left].events, 0);
}

static int setup_forming(void **state)
{
    (void)state;
    wanted = 0;
    trio_init(&trio, 3, 20000 + (getpid() % 1000) * 10);
    trio_start(&trio, 0); /* and none of the others */
    return 0;
}

static struct asked early;
static struct waiting early_too;

static bool who_came_early_is_answered(struct trio *t)
{
    (void)t;
    return early.is_answered && early_too.is_over;
}

static void a_node_that_forms_lets_nobody_wait_for_ever(void **state)
{
    (void)state;
    prepare(&early, "anybody?");
    node_send(trio.nodes[0].node, &early.request);
    early_too = (struct waiting){.request = {.on_barrier = on_barrier}};
    node_barrier(trio.nodes[0].node, &early_too.request);
    wait_for(who_came_early_is_answered);
    assert_int_equal(early.answer.kind, ANSWER_REFUSED);
    assert_int_equal(early.answer.refusal, CHAT_NO_LEADER);
    assert_int_equal(early_too.status, ERR_NO_LEADER);
}

/* ---- a log that is cut, and a node that was away ---- */

static struct trio_node *away;

static bool has_gap_now(struct trio *t)
{
    struct cluster_status status;
    (void)t;
    node_status(away->node, &status);
    return status.has_gap;
}

static bool has_some_of_what_is_missing(struct trio *t)
{
    struct cluster_status status;
    node_status(away->node, &status);
    return has_gap_now(t) && status.gap.number > status.gap.from;
}

static bool all_are_level(struct trio *t)
{
    for (size_t i = 0; i < t->count; i++) {
        struct cluster_status status;
        if (!t->nodes[i].is_running) continue;
        node_status(t->nodes[i].node, &status);
        if (status.has_gap) return false;
    }
    return all_have_it(t) && all_are_ready(t);
}

static bool all_have_a_snapshot(struct trio *t)
{
    for (size_t i = 0; i < t->count; i++) {
        struct cluster_status status;
        if (!t->nodes[i].is_running) continue;
        node_status(t->nodes[i].node, &status);
        if (status.snapshots == 0 || status.first_index <= 5) return false;
    }
    return true;
}

static void write_many(size_t at, unsigned count, const char *text)
{
    struct asked asked;
    for (; count > 0; count--) {
        write_at(at, &asked, text); /* an entry each */
        assert_int_equal(asked.answer.kind, ANSWER_ACCEPTED);
        wanted = asked.answer.number;
    }
}

/* The others' last beats may be older than what came last. */
static bool it_knows_of_three_copies(struct trio *t)
{
    struct cluster_status status;
    (void)t;
    node_status(away->node, &status);
    return status.history_copies == 3;
}

/* A follower is gone while the others write more than they keep. */
static void leave_one_behind(unsigned count, const char *text)
{
    wait_for(all_are_ready);
    write_many(0, 5, "before");
    wait_for(all_have_it);
    away = &trio.nodes[a_follower()];
    size_t place = (size_t)(away - trio.nodes);
    trio_stop(&trio, place);
    assert_int_equal(away->events, 5);
    write_many((place + 1) % 3, count, text);
}

static void all_stop_with_the_same(void)
{
    wait_for(all_are_level);
    for (size_t i = 1; i < 3; i++)
        assert_memory_equal(&trio.nodes[i].digest, &trio.nodes[0].digest, 16);
    for (size_t i = 0; i < 3; i++) {
        trio_stop(&trio, i);
        trio_verify(&trio, i, wanted);
    }
}

static void a_node_that_was_away_for_long_gets_what_it_lacks(void **state)
{
    (void)state;
    leave_one_behind(5 * KEEP, "meanwhile");
    struct cluster_status status;
    size_t place = (size_t)(away - trio.nodes);
    wait_for(all_have_a_snapshot);
    trio_start(&trio, place);
    write_many((place + 1) % 3, 20, "and then"); /* some of it behind the gap */
    wait_for(all_are_level);
    assert_int_equal(away->told[CLUSTER_CATCHING_UP], 1);
    assert_int_equal(away->told[CLUSTER_CAUGHT_UP], 1);
    node_status(away->node, &status);
    assert_true(status.backfilled_in > 2 * KEEP);
    wait_for(it_knows_of_three_copies);
    write_many(place, 3, "and at itself");
    all_stop_with_the_same();
}

static bool all_logs_are_short(struct trio *t)
{
    for (size_t i = 0; i < t->count; i++) {
        struct cluster_status status;
        node_status(t->nodes[i].node, &status);
        if (status.snapshots < 2) return false;
        if (status.last_index - status.first_index >= 50) return false; /* two times 64 KiB */
    }
    return true;
}

/* Far fewer entries than are kept by their number. */
static void a_log_of_large_entries_is_cut_by_their_bytes(void **state)
{
    char text[4001];
    (void)state;
    memset(text, 'x', 4000);
    text[4000] = '\0';
    wait_for(all_are_ready);
    write_many(0, 100, text);
    wait_for(all_have_it);
    wait_for(all_logs_are_short);
    all_stop_with_the_same();
    for (size_t i = 0; i < 3; i++)
        trio_start(&trio, i);
    wait_for(all_are_ready);
    write_many(1, 3, "as before");
    all_stop_with_the_same();
}

static int setup_few_bytes(void **state)
{
    (void)state;
    return begin_keeping(8192, 64 * 1024);
}

static void who_ends_within_a_gap_goes_on_there(void **state)
{
    (void)state;
    static char text[CHAT_TEXT_CODE_POINTS_MAX + 1];
    memset(text, 'x', sizeof text - 1);
    leave_one_behind(1000, text); /* more than fits one answer */
    size_t place = (size_t)(away - trio.nodes);
    trio_start(&trio, place);
    wait_for(has_some_of_what_is_missing);
    node_lag(away->node,
             BACKFILL_LAG_MAX + 1); /* it asks for no more, and ends before it has all */
    trio_stop(&trio, place);
    uint64_t reached = away->events;
    assert_true(reached > 5 && reached < wanted);
    trio_verify(&trio, place, reached);
    trio_start(&trio, place);
    assert_int_equal(away->events, reached);
    wait_for(has_gap_now); /* nothing of it had to be fetched again: numbers are dense */
    all_stop_with_the_same();
}

static struct trio_node *unfit;

static bool another_one_leads(struct trio *t)
{
    const struct trio_node *leader = trio_leader(t);
    return leader != NULL && leader != unfit;
}

static void a_leader_with_a_gap_hands_over(void **state)
{
    (void)state;
    wait_for(all_are_ready);
    unfit = trio_leader(&trio);
    struct node *node = unfit->node;
    guard_gap(&node->guard, true, 0); /* as the machine would have it */
    wait_for(another_one_leads);
    guard_gap(&node->guard, false, 0);
    wait_for(all_are_ready);
}

static void a_leader_whose_disk_is_full_hands_over_and_comes_back(void **state)
{
    (void)state;
    struct cluster_status status;
    wait_for(all_are_ready);
    unfit = trio_leader(&trio);
    size_t place = (size_t)(unfit - trio.nodes);
    node_disk(unfit->node, DISK_FREE_MIN - 1);
    node_status(unfit->node, &status);
    assert_true(status.is_disk_full && !status.is_ready);
    assert_int_equal(unfit->told[CLUSTER_DISK_FULL], 1);
    wait_for(another_one_leads);
    write_many((place + 1) % 3, 10, "without it");
    assert_int_equal(unfit->events, 0);
    node_disk(unfit->node, DISK_FREE_MIN + 1); /* not yet: it would be full again at once */
    node_status(unfit->node, &status);
    assert_true(status.is_disk_full);
    node_disk(unfit->node, DISK_FREE_AGAIN);
    assert_int_equal(unfit->told[CLUSTER_DISK_FREE], 1);
    wait_for(all_are_level);
    assert_int_equal(unfit->events, 10);
}

static bool another_one_leads_with_more_room(struct trio *t)
{
    const struct trio_node *leader = trio_leader(t);
    node_disk(unfit->node, DISK_FREE_LOW - 1); /* as each second */
    return leader != NULL && leader != unfit;
}

/* A leader is unfit, and raft is asked already to give its part to one that is not there: it takes no second wish
 * meanwhile. Returns the place of that one. */
static size_t ask_one_who_is_gone(void)
{
    wait_for(all_are_ready);
    size_t gone = ((size_t)(trio_leader(&trio) - trio.nodes) + 1) % 3;
    uint64_t id = trio.nodes[gone].node->id;
    trio_stop(&trio, gone);
    wait_for(has_leader);
    unfit = trio_leader(&trio);
    assert_int_equal(node_begin_transfer(unfit->node, id), 0);
    return gone;
}

static void a_leader_with_little_room_tries_again_until_somebody_takes_over(void **state)
{
    (void)state;
    size_t gone = ask_one_who_is_gone();
    wait_for(another_one_leads_with_more_room);
    trio_start(&trio, gone);
    wait_for(all_are_ready);
}

static bool another_one_leads_while_its_store_hangs(struct trio *t)
{
    const struct trio_node *leader = trio_leader(t);
    unfit->node->durable_ms = clock_ms() - 2 * STORE_STUCK_MS;
    return leader != NULL && leader != unfit;
}

static void a_leader_whose_store_hangs_tries_again_until_somebody_takes_over(void **state)
{
    (void)state;
    size_t gone = ask_one_who_is_gone();
    guard_lag(&unfit->node->guard, STORE_LAG_BYTES_MAX + 1);
    wait_for(another_one_leads_while_its_store_hangs);
    guard_lag(&unfit->node->guard, 0);
    trio_start(&trio, gone);
    wait_for(all_are_ready);
}

/* A beat has brought it. */
static bool all_know_who_is_unfit(struct trio *t)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct beats *beats = &t->nodes[i].node->beats;
        for (size_t k = 0; k < beats->count; k++) {
            const struct neighbour *one = &beats->neighbours[k];
            bool is_it = strcmp(one->name, unfit->name) == 0;
            if (is_it && (one->last.flags & BEAT_DISK_FULL) == 0) return false;
        }
    }
    return true;
}

/* raft would choose between the two others by their logs. */
static void a_leader_that_stops_passes_over_one_whose_disk_is_full(void **state)
{
    (void)state;
    int rounds = 0;
    wait_for(all_are_ready);
    for (int tries = 0; rounds < 2; tries++) {
        assert_true(tries < 10);
        size_t led = (size_t)(trio_leader(&trio) - trio.nodes);
        unfit = &trio.nodes[(led + 1) % 3];
        const struct trio_node *fit = &trio.nodes[(led + 2) % 3];
        node_disk(unfit->node, 0);
        wait_for(all_know_who_is_unfit);
        bool leads_on = trio_leader(&trio) == &trio.nodes[led];
        unsigned handed_over = trio.nodes[led].told[CLUSTER_TRANSFERRED];
        trio_stop(&trio, led);
        /* On a loaded machine another one may have led by then, or nobody have taken it in time. */
        if (leads_on && trio.nodes[led].told[CLUSTER_TRANSFERRED] > handed_over) {
            assert_string_equal(trio.nodes[led].heir, fit->name);
            rounds++;
        }
        node_disk(unfit->node, UINT64_MAX);
        trio_start(&trio, led);
        wait_for(all_are_level);
    }
}

/* ---- starts that end at once ---- */

/* The same program again, for one node: `port place root of`. Never comes back if that node goes on. */
static _Noreturn void run_one_node(char **words)
{
    size_t place = (size_t)atoi(words[2]);
    trio_init(&trio, (size_t)atoi(words[4]), atoi(words[1]));
    (void)rmdir(trio.root); /* it works in the other process's, and ends without a word to us */
    trio.keep_log = KEEP;
    snprintf(trio.nodes[place].path, sizeof trio.nodes[place].path, "%s", words[3]);
    trio_start(&trio, place);
    for (;;)
        uv_run(&trio.loop, UV_RUN_ONCE);
}

static int exit_code_of(size_t place)
{
    char port[16], number[16], count[16];
    snprintf(port, sizeof port, "%d", trio.first_port);
    snprintf(number, sizeof number, "%zu", place);
    snprintf(count, sizeof count, "%zu", trio.count);
    char self[] = "test_trio";
    char *words[] = {self, port, number, trio.nodes[place].path, count, NULL};
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        execv("/proc/self/exe", words);
        _exit(99);
    }
    int status = 0;
    while (waitpid(pid, &status, WNOHANG) == 0)
        uv_run(&trio.loop, UV_RUN_NOWAIT);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* A shell's words about the directory of a node, as $1. */
static void shell(size_t place, const char *words)
{
    char command[1024];
    snprintf(command, sizeof command, "set -e; set -- '%s'; %s", trio.nodes[place].path, words);
    assert_int_equal(system(command), 0);
}

static void an_emptied_founder_does_not_begin_again(void **state)
{
    (void)state;
    wait_for(all_are_ready);
    size_t place = a_follower();
    trio_stop(&trio, place);
    shell(place, "rm -rf \"$1\"");
    assert_int_equal(exit_code_of(place), 3);
}

static void a_log_without_its_snapshots_is_refused(void **state)
{
    (void)state;
    wait_for(all_are_ready);
    write_many(0, 5 * KEEP, "hello");
    wait_for(all_have_it);
    wait_for(all_have_a_snapshot);
    size_t place = a_follower();
    trio_stop(&trio, place);
    shell(place, "cp -r \"$1\" \"$1.kept\"; rm \"$1\"/raft/snapshot-*");
    assert_int_equal(exit_code_of(place), 3);

    /* One byte of the newest manifest: raft itself would not notice. */
    shell(place, "rm -rf \"$1\"; cp -r \"$1.kept\" \"$1\"; "
                 "for f in $(ls -t \"$1\"/raft/snapshot-* | grep -v meta); do "
                 "printf x | dd of=$f bs=1 seek=50 conv=notrunc status=none; done");
    assert_int_equal(exit_code_of(place), 3);

    shell(place, "rm -rf \"$1\"; mv \"$1.kept\" \"$1\"");
    trio_start(&trio, place);
    wait_for(all_are_level);
}

static void a_lost_history_is_fetched_again(void **state)
{
    (void)state;
    wait_for(all_are_ready);
    write_many(0, 5 * KEEP, "hello");
    wait_for(all_have_it);
    wait_for(all_have_a_snapshot);
    size_t place = a_follower();
    away = &trio.nodes[place];
    trio_stop(&trio, place);
    shell(place, "rm -rf \"$1\"/history");
    trio_start(&trio, place);
    assert_int_equal(away->events, 0);
    all_stop_with_the_same();
    assert_int_equal(away->told[CLUSTER_CAUGHT_UP], 1);
}

static int begin_alone_with(uint64_t events)
{
    wanted = 0;
    trio_init(&trio, 1, 20000 + (getpid() % 1000) * 10 + 9);
    trio.keep_log = KEEP;
    if (events > 0) trio_fill(&trio, 0, events);
    trio_start(&trio, 0);
    return 0;
}

static int setup_alone(void **state)
{
    (void)state;
    return begin_alone_with(0);
}

static void who_is_alone_cannot_fetch_a_lost_history(void **state)
{
    (void)state;
    wait_for(has_leader);
    write_many(0, 5 * KEEP, "hello");
    trio_stop(&trio, 0);
    trio_verify(&trio, 0, wanted);
    trio_start(&trio, 0); /* as it is: behind its snapshot and its log */
    wait_for(has_leader);
    write_many(0, 1, "again");
    trio_stop(&trio, 0);
    shell(0, "rm -rf \"$1\"/history");
    assert_int_equal(exit_code_of(0), 3);
}

static struct asked last_asked;
static struct trio_node *asked_node;

static void ask_node(struct trio_node *one)
{
    asked_node = one;
    prepare(&last_asked, "hello");
    node_send(one->node, &last_asked.request);
}

static bool last_is_answered(struct trio *t)
{
    (void)t;
    return last_asked.is_answered;
}

/* Until the segment is made, which is tried twice a second, there may be no room for more: it is asked again. */
static bool last_is_accepted(struct trio *t)
{
    (void)t;
    if (!last_asked.is_answered) return false;
    if (last_asked.answer.kind == ANSWER_ACCEPTED) return true;
    assert_int_equal(last_asked.answer.refusal, CHAT_BUSY);
    ask_node(asked_node);
    return false;
}

/* Its leader is known, and would take the command; but what became of it would never be seen here. */
static void a_follower_whose_disk_is_full_refuses_what_it_is_asked(void **state)
{
    (void)state;
    wait_for(all_are_ready);
    size_t place = (size_t)(trio_leader(&trio) - trio.nodes);
    unfit = &trio.nodes[(place + 1) % 3];
    node_disk(unfit->node, DISK_FREE_MIN - 1);
    write_many(place, 5, "without it");
    ask_node(unfit);
    wait_for(last_is_answered);
    assert_int_equal(last_asked.answer.kind, ANSWER_REFUSED);
    assert_int_equal(last_asked.answer.refusal, CHAT_NO_LEADER);
    assert_int_equal(unfit->events, 0);
    node_disk(unfit->node, DISK_FREE_AGAIN);
    wait_for(all_are_level);
    assert_int_equal(unfit->events, 5);
}

/* As one is left behind whose directory could not be flushed. */
static void a_segment_left_half_made_is_made_again(void **state)
{
    (void)state;
    wait_for(has_leader);
    shell(0, "test ! -e \"$1\"/raft/open-8; : >\"$1\"/raft/open-8");
    for (unsigned i = 0; i < 8 * KEEP; i++) { /* a segment for each KEEP at least */
        ask_node(&trio.nodes[0]);
        wait_for(last_is_accepted);
    }
    shell(0, "test -e \"$1\"/raft/open-9");
}

/* ---- a log that stands still ---- */

static struct trio_node *still;

/* Not all the time that it takes is waited for, only the last of it: each turn once more, should something
 * have moved after all. Somebody writes meanwhile. */
static void stand_still_for(unsigned for_ms)
{
    struct watchdog *watchdog = &still->node->guard.watchdog;
    if (last_asked.is_answered) ask_node(asked_node);
    if (watchdog->not_stored_ms >= 200 && watchdog->not_stored_ms < for_ms - 200)
        watchdog->not_stored_ms = for_ms - 200;
}

static bool another_one_leads_instead(struct trio *t)
{
    const struct trio_node *leader = trio_leader(t);
    stand_still_for(LOG_STILL_LEADER_MS);
    return leader != NULL && leader != still;
}

static bool has_ended(struct trio *t)
{
    (void)t;
    stand_still_for(LOG_STILL_MAX_MS);
    return still->exit_code != 0;
}

/* Nobody can make the segment that comes next: a directory has its name, which no unlink takes away. */
static void a_leader_whose_log_stands_still_hands_over_then_ends(void **state)
{
    (void)state;
    wait_for(all_are_ready);
    still = trio_leader(&trio);
    still->may_end = true;
    size_t place = (size_t)(still - trio.nodes);
    shell(place, "cd \"$1\"/raft; n=$(ls | sed -n 's/^open-//p' | sort -n | tail -n 1); "
                 "mkdir open-$((n + 1)) || mkdir open-$((n + 2))");
    ask_node(&trio.nodes[(place + 1) % 3]);
    for (unsigned i = 0; still->node->guard.watchdog.not_stored_ms < 200; i++) {
        assert_true(i < 8 * KEEP);
        wait_for(last_is_accepted);
        ask_node(asked_node);
    }
    wait_for(another_one_leads_instead);
    assert_int_equal(still->exit_code, 0);
    wait_for(has_ended);
    assert_int_equal(still->exit_code, 1);

    wait_for(last_is_answered);
    trio_stop(&trio, place);
    still->may_end = false; /* before, it says so again as long as it runs */
    shell(place, "rmdir \"$1\"/raft/open-*");
    trio_start(&trio, place);
    wait_for(all_are_ready);
    ask_node(asked_node);
    wait_for(last_is_accepted);
    wanted = last_asked.answer.number;
    all_stop_with_the_same();
}

static int setup_restored(void **state)
{
    (void)state;
    return begin_alone_with(20);
}

static void a_history_that_is_older_than_its_log_goes_on(void **state)
{
    (void)state;
    struct cluster_status status;
    wait_for(has_leader);
    write_many(0, 1, "now");
    assert_int_equal(wanted, 21);
    node_status(trio.nodes[0].node, &status);
    /* The members, the manifest, this one; and a barrier, if the term began before the manifest came. */
    uint64_t last = status.last_index;
    assert_true(last == 3 || last == 4);
    trio_stop(&trio, 0);
    trio_verify(&trio, 0, 21);
    trio_start(&trio, 0);
    wait_for(has_leader);
    assert_false(node_begins_log(trio.nodes[0].node)); /* no second manifest */
    write_many(0, 1, "and again");
    assert_int_equal(wanted, 22);
    node_status(trio.nodes[0].node, &status);
    assert_true(status.last_index > last && status.last_index <= last + 2);
}

int main(int words_count, char **words)
{
    if (words_count == 5) run_one_node(words);
#define TEST(name)       cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_SHORT(name) cmocka_unit_test_setup_teardown(name, setup_short_log, teardown)
    const struct CMUnitTest tests[] = {
        PROMISE_WITH("P2", what_one_node_takes_all_nodes_have_in_the_same_order, setup, teardown),
        PROMISE_WITH("P3", one_id_at_three_nodes_is_one_message, setup, teardown),
        PROMISE_WITH("P6", a_refusal_of_the_leader_comes_back, setup, teardown),
        PROMISE_WITH("P5 P9", behind_a_barrier_everything_accepted_before_is_here, setup, teardown),
        TEST(who_is_at_one_node_is_seen_at_all),
        TEST(a_leader_that_stops_hands_over_and_comes_back_level),
        PROMISE_WITH("P6 P10", without_a_majority_a_new_command_is_refused, setup, teardown),
        PROMISE_WITH("P6", a_node_that_forms_lets_nobody_wait_for_ever, setup_forming, teardown),
        TEST(a_leader_with_a_gap_hands_over),
        TEST(a_leader_whose_disk_is_full_hands_over_and_comes_back),
        TEST(a_leader_with_little_room_tries_again_until_somebody_takes_over),
        PROMISE_WITH("P10", a_leader_whose_store_hangs_tries_again_until_somebody_takes_over, setup,
                     teardown),
        TEST(a_follower_whose_disk_is_full_refuses_what_it_is_asked),
        TEST(a_leader_that_stops_passes_over_one_whose_disk_is_full),
        TEST(an_emptied_founder_does_not_begin_again),
        TEST_SHORT(a_node_that_was_away_for_long_gets_what_it_lacks),
        PROMISE_WITH("P1", who_ends_within_a_gap_goes_on_there, setup_short_log, teardown),
        cmocka_unit_test_setup_teardown(a_log_of_large_entries_is_cut_by_their_bytes,
                                        setup_few_bytes, teardown),
        PROMISE_WITH("P12", a_log_without_its_snapshots_is_refused, setup_short_log, teardown),
        PROMISE_WITH("P1", a_lost_history_is_fetched_again, setup_short_log, teardown),
        cmocka_unit_test_setup_teardown(a_history_that_is_older_than_its_log_goes_on,
                                        setup_restored, teardown),
        cmocka_unit_test_setup_teardown(who_is_alone_cannot_fetch_a_lost_history, setup_alone,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_segment_left_half_made_is_made_again, setup_alone,
                                        teardown),
        PROMISE_WITH("P12", a_leader_whose_log_stands_still_hands_over_then_ends, setup_short_log,
                     teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
