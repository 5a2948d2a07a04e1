/* Failures that are known by name, step by step; and that a mistake in the same place is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "crowd.h"
#include "promise.h"

enum { PATIENCE_MS = 20 * 1000, KEEP = 8, SMALL_WINDOW = 8, MANY = 1000000 };

struct scene {
    struct world *world;
    struct crowd *crowd;
    unsigned a, b, c; /* the leader at first, and two others */
};

static void begin(struct scene *scene, enum mistake mistake, unsigned count, unsigned window,
                  unsigned keep_log)
{
    struct world *world = mem_new(sizeof *world);
    world_init(
        world,
        &(struct world_options){
            .seed = 7, .count = count, .window = window, .keep_log = keep_log, .mistake = mistake});
    struct crowd *crowd =
        crowd_new(world, &(struct crowd_options){.clients = 1, .pages = 3, .pause_ms = 1});
    *scene = (struct scene){.world = world, .crowd = crowd};
    crowd_start(crowd);
    world_run(world, 4000);
    scene->a = world_leader(world);
    assert_true(scene->a < count);
    scene->b = (scene->a + 1) % count;
    scene->c = (scene->a + 2) % count;
}

static void cut(struct scene *scene, unsigned i, bool is_cut)
{
    for (unsigned k = 0; k < scene->world->count; k++) {
        if (k == i) continue;
        world_cut(scene->world, i, k, is_cut);
        world_cut(scene->world, k, i, is_cut);
    }
}

static void link_only(struct scene *scene, unsigned i, unsigned k)
{
    world_cut(scene->world, i, k, false);
    world_cut(scene->world, k, i, false);
}

/* Step by step until somebody but `not_this` leads. */
static unsigned run_until_leads(struct scene *scene, unsigned not_this)
{
    struct world *world = scene->world;
    for (unsigned i = 0; i < PATIENCE_MS; i++) {
        unsigned leader = world_leader(world);
        if (leader < world->count && leader != not_this) return leader;
        world_run(world, 1);
    }
    fail_msg("nobody leads");
    return 0;
}

static void run_until_number(struct scene *scene, unsigned i, uint64_t number)
{
    for (unsigned k = 0; k < PATIENCE_MS; k++) {
        if (scene->world->nodes[i].chat.number >= number) return;
        world_run(scene->world, 1);
    }
    fail_msg("node %u stays at %u", i, (unsigned)scene->world->nodes[i].chat.number);
}

static void write_some(struct scene *scene, unsigned node, unsigned who, unsigned count)
{
    for (unsigned n = 1; n <= count; n++) {
        crowd_send(scene->crowd, who, n, node);
        world_run(scene->world, 60);
    }
}

static struct checker_report finish(struct scene *scene)
{
    struct world *world = scene->world;
    struct checker_report report;
    for (unsigned i = 0; i < world->count; i++) {
        cut(scene, i, false);
        world->nodes[i].store.is_stuck = false;
        world_resume(world, i);
        world_start(world, i);
        store_wake(&world->nodes[i]);
    }
    world_run(world, 12000); /* beyond every deadline */
    crowd_finish(scene->crowd);
    for (unsigned i = 0; i < 100 && !(crowd_is_done(scene->crowd) && world_is_level(world)); i++)
        world_run(world, 250);
    world_tell_finals(world);
    checker_run(world->checker, &report);
    world_close(world);
    crowd_free(scene->crowd);
    mem_free(world);
    return report;
}

static void assert_good(struct scene *scene)
{
    struct checker_report report = finish(scene);
    if (report.first != CHECKER_ERRORS)
        fail_msg("%s: %s", checker_name(report.first), report.words);
}

/* ---- Figure 8 of the Raft paper ---- */

/* A has an entry of term 2 that nobody else got; B has one of term 3 in its place. A leads again, gives its
 * entry to C, and ends before anything of its new term is anywhere else. Then B may lead, and replace it. */
static struct checker_report figure_8(enum mistake mistake)
{
    struct scene scene;
    begin(&scene, mistake, 3, WINDOW_EVENTS, MANY);
    struct world *world = scene.world;
    write_some(&scene, scene.a, 1, 1);
    cut(&scene, scene.a, true);
    crowd_send(scene.crowd, 2, 1, scene.a);
    world_run(world, 50);
    unsigned second = run_until_leads(&scene, scene.a);
    unsigned third = 3 - scene.a - second;
    cut(&scene, second, true);
    assert_int_equal(world->nodes[third].chat.number, 1);

    link_only(&scene, scene.a, third);
    raft_term term = world->nodes[second].raft.current_term;
    while (world->nodes[scene.a].raft.state != RAFT_LEADER ||
           world->nodes[scene.a].raft.current_term <= term) {
        world_run(world, 1);
        assert_true(world->sim.now_ms < 100 * 1000);
    }
    run_until_number(&scene, scene.a, 2);
    cut(&scene, scene.a, true); /* also what is on its way */
    world_kill(world, scene.a);
    world_run(world, 10); /* the answer is on its way already */
    link_only(&scene, second, third);
    world_run(world, 5000);
    write_some(&scene, third, 3, 2);
    return finish(&scene);
}

static void an_entry_of_an_old_term_is_not_committed_by_counting(void **state)
{
    (void)state;
    struct checker_report report = figure_8(NO_MISTAKE);
    assert_string_equal(checker_name(report.first), "none");
    report = figure_8(OLD_TERM_COMMIT);
    assert_true(report.counts[CHECKER_LOST] + report.counts[CHECKER_DIVERGED] > 0);
}

/* ---- a leader that returns ---- */

/* It has entries that nobody got, at the indexes of the new leader's. What it then acknowledges it must
 * have: the new leader and it are the majority, and the new leader ends. */
static void what_a_returning_leader_acknowledges_it_has(void **state)
{
    (void)state;
    for (unsigned wait_ms = 0; wait_ms < 120; wait_ms += 7) {
        struct scene scene;
        begin(&scene, NO_MISTAKE, 3, WINDOW_EVENTS, MANY);
        cut(&scene, scene.a, true);
        for (unsigned who = 10; who < 16; who++)
            crowd_send(scene.crowd, who, 1, scene.a);
        world_run(scene.world, 100);
        unsigned second = run_until_leads(&scene, scene.a), third = 3 - scene.a - second;
        world_run(scene.world, 500);
        write_some(&scene, second, 1, 3);
        cut(&scene, third, true);
        link_only(&scene, scene.a, second);
        crowd_send(scene.crowd, 2, 1, second);
        crowd_send(scene.crowd, 3, 1, second);
        world_run(scene.world, wait_ms);
        world_kill(scene.world, second);
        link_only(&scene, scene.a, third);
        world_run(scene.world, 6000);
        write_some(&scene, third, 4, 2);
        assert_good(&scene);
    }
}

/* Its tail is to be cut and a snapshot to be installed at once; and it ends somewhere in between. */
static void a_snapshot_comes_while_the_tail_is_cut(void **state)
{
    (void)state;
    uint64_t gaps = 0;
    for (unsigned wait_ms = 0; wait_ms < 400; wait_ms += 13) {
        struct scene scene;
        begin(&scene, NO_MISTAKE, 3, SMALL_WINDOW, KEEP);
        write_some(&scene, scene.b, 1, 3);
        cut(&scene, scene.a, true);
        for (unsigned who = 10; who < 16; who++)
            crowd_send(scene.crowd, who, 1, scene.a);
        world_run(scene.world, 100);
        unsigned second = run_until_leads(&scene, scene.a);
        world_run(scene.world, 500);
        write_some(&scene, second, 2, 4 * KEEP);
        scene.world->nodes[scene.a].disk.disk.latency_ms = 30;
        cut(&scene, scene.a, false);
        world_run(scene.world, wait_ms);
        world_kill(scene.world, scene.a);
        world_run(scene.world, 300);
        world_start(scene.world, scene.a);
        world_run(scene.world, 2000);
        gaps += scene.world->gaps;
        assert_good(&scene);
    }
    assert_true(gaps > 10); /* else it has shown nothing */
}

/* C is so far behind that it needs a snapshot, and the new leader writes its first one of its term while the
 * one before it is asked for: what is sent must have the index and the term of one of them. */
static void a_snapshot_is_replaced_while_it_is_sent(void **state)
{
    enum { WRITES = 12, STEP_MS = 25 };
    uint64_t gaps = 0;
    (void)state;
    for (unsigned at_ms = 0; at_ms < WRITES * STEP_MS; at_ms += 5) {
        struct scene scene;
        begin(&scene, NO_MISTAKE, 3, WINDOW_EVENTS, KEEP);
        cut(&scene, scene.c, true);
        write_some(&scene, scene.a, 1, 4 * KEEP + at_ms % KEEP);
        assert_true(world_transfer(scene.world, scene.b));
        assert_int_equal(run_until_leads(&scene, scene.a), scene.b);
        scene.world->nodes[scene.b].disk.disk.latency_ms = 60;
        uint64_t join_ms = scene.world->sim.now_ms + at_ms;
        for (unsigned n = 1; n <= WRITES; n++) {
            crowd_send(scene.crowd, 2, n, scene.a);
            for (unsigned ms = 0; ms < STEP_MS; ms++) {
                if (scene.world->sim.now_ms == join_ms) cut(&scene, scene.c, false);
                world_run(scene.world, 1);
            }
        }
        world_run(scene.world, 3000);
        gaps += scene.world->gaps;
        assert_good(&scene);
    }
    assert_true(gaps > 10);
}

/* C was killed before it could write a snapshot, and at its start applies two changes of members and enough
 * for a snapshot in one step. The snapshot must not have the members of in between: the next start would
 * believe them. */
static void a_snapshot_has_the_members_of_its_index(void **state)
{
    struct scene scene;
    (void)state;
    begin(&scene, NO_MISTAKE, 3, WINDOW_EVENTS, 4 * KEEP);
    struct world *world = scene.world;
    world->nodes[scene.c].store.is_stuck = true;
    unsigned joined = world_grow(world);
    assert_true(world_add(world, joined));
    world_run(world, 1500);
    assert_true(world_promote(world, joined));
    world_run(world, 3000);
    assert_true(world->nodes[joined].is_member);
    write_some(&scene, scene.a, 1, 4 * KEEP);
    assert_int_equal(world->nodes[scene.c].raft.trail.snapshot.index, 0);
    for (unsigned starts = 0; starts < 2; starts++) {
        world_kill(world, scene.c);
        world->nodes[scene.c].store.is_stuck = false;
        world_start(world, scene.c);
        world_run(world, 4000);
        assert_true(world->nodes[scene.c].raft.trail.snapshot.index > 0);
    }
    assert_int_equal(world->nodes[scene.c].raft.configuration_uncommitted_index, 0);
    assert_true(world_is_level(world));
    assert_good(&scene);
}

/* ---- one id, two ways ---- */

/* The leader ends when others have the entry and nobody knows that it is committed; the command is sent
 * again by its node, and by its client elsewhere. */
static void a_command_is_executed_once_across_a_failover(void **state)
{
    (void)state;
    for (unsigned wait_ms = 1; wait_ms < 60; wait_ms += 2) {
        struct scene scene;
        begin(&scene, NO_MISTAKE, 3, WINDOW_EVENTS, MANY);
        crowd_send(scene.crowd, 1, 1, scene.b);
        world_run(scene.world, wait_ms);
        world_kill(scene.world, scene.a);
        crowd_send(scene.crowd, 1, 1, scene.c);
        run_until_leads(&scene, scene.a);
        crowd_send(scene.crowd, 1, 1, scene.b);
        run_until_number(&scene, scene.c, 1);
        world_run(scene.world, 3000);
        assert_int_equal(crowd_number(scene.crowd, 1, 1), 1);
        assert_good(&scene);
    }
}

/* Two of five are cut off with the old leader, and bring it a command; the same command comes to the
 * others and their new leader. And later once more, to a node whose store does not know it yet. */
static struct checker_report two_leaders(enum mistake mistake, uint64_t *number)
{
    struct scene scene;
    begin(&scene, mistake, 5, WINDOW_EVENTS, MANY);
    struct world *world = scene.world;
    for (unsigned i = 0; i < 5; i++) {
        for (unsigned k = 0; k < 5; k++) {
            bool i_old = i == scene.a || i == scene.b, k_old = k == scene.a || k == scene.b;
            if (i_old != k_old) world_cut(world, i, k, true);
        }
    }
    world->nodes[scene.c].store.is_stuck = true;
    crowd_send(scene.crowd, 1, 1, scene.b);
    unsigned second = run_until_leads(&scene, scene.a);
    world_run(world, 200);
    crowd_send(scene.crowd, 1, 1, scene.c);
    run_until_number(&scene, second, 1);
    write_some(&scene, second, 2, 3);
    for (unsigned i = 0; i < 5; i++)
        cut(&scene, i, false);
    world_run(world, 2000);
    crowd_send(scene.crowd, 1, 1, scene.c);
    world_run(world, 2000);
    *number = crowd_number(scene.crowd, 1, 1);
    return finish(&scene);
}

static void one_id_that_reaches_two_leaders_is_executed_once(void **state)
{
    uint64_t number;
    (void)state;
    struct checker_report report = two_leaders(NO_MISTAKE, &number);
    assert_string_equal(checker_name(report.first), "none");
    assert_int_equal(number, 1);
    assert_int_equal(report.length, 4);
    report = two_leaders(DEDUP_BEFORE_APPEND, &number);
    assert_true(report.counts[CHECKER_DUPLICATE] > 0);
}

/* ---- a retry that is older than the window ---- */

/* C's store is stuck before the event of an id that comes to C again: its search is true, and too old to
 * decide anything once the window has passed over the id. */
static struct checker_report late_retry(enum mistake mistake, uint64_t *retries)
{
    struct scene scene;
    begin(&scene, mistake, 3, SMALL_WINDOW, MANY);
    struct world *world = scene.world;
    world->nodes[scene.c].store.is_stuck = true;
    crowd_send(scene.crowd, 1, 1, scene.b);
    run_until_number(&scene, scene.c, 1);
    write_some(&scene, scene.b, 2, 3 * SMALL_WINDOW);
    crowd_send(scene.crowd, 1, 1, scene.c);
    world_run(world, 1000);
    *retries = world->retries;
    world->nodes[scene.c].store.is_stuck = false;
    store_wake(&world->nodes[scene.c]);
    world_run(world, 1000);
    return finish(&scene);
}

static void a_retry_older_than_the_window_is_searched_again(void **state)
{
    uint64_t retries;
    (void)state;
    struct checker_report report = late_retry(NO_MISTAKE, &retries);
    assert_string_equal(checker_name(report.first), "none");
    assert_true(retries > 0);
    assert_int_equal(report.length, 1 + 3 * SMALL_WINDOW);
    report = late_retry(WINDOW_TOO_SHORT, &retries);
    assert_true(report.counts[CHECKER_DUPLICATE] > 0);
}

/* ---- one sender, and two ---- */

/* Sends again, at one node after the other, until it is acknowledged, and only then goes on. */
static void say(struct scene *scene, unsigned who, unsigned n, unsigned node)
{
    struct world *world = scene->world;
    for (unsigned tries = 0; tries < 30; tries++, node = (node + 1) % world->count) {
        crowd_send(scene->crowd, who, n, node);
        for (unsigned ms = 0; ms < 700; ms++) {
            world_run(world, 1);
            if (crowd_number(scene->crowd, who, n) > 0) return;
        }
    }
    fail_msg("message %u of %u is never acknowledged", n, who);
}

/* The leader ends at some moment of the third message, and comes back; what was sent before it comes once more
 * when others stand behind it. */
static struct checker_report one_sender(enum mistake mistake, unsigned wait_ms)
{
    struct scene scene;
    begin(&scene, mistake, 3, WINDOW_EVENTS, MANY);
    say(&scene, 1, 1, scene.b);
    say(&scene, 1, 2, scene.b);
    crowd_send(scene.crowd, 1, 3, scene.b);
    world_run(scene.world, wait_ms);
    world_kill(scene.world, scene.a);
    say(&scene, 1, 3, scene.c);
    world_start(scene.world, scene.a);
    for (unsigned n = 4; n <= 7; n++) {
        say(&scene, 1, n, n % 3);
        crowd_send(scene.crowd, 1, n - 2, (n + 1) % 3); /* late */
    }
    return finish(&scene);
}

static void messages_of_one_sender_stay_in_order_across_a_failover(void **state)
{
    (void)state;
    for (unsigned wait_ms = 0; wait_ms < 60; wait_ms += 3) {
        struct checker_report report = one_sender(NO_MISTAKE, wait_ms);
        assert_string_equal(checker_name(report.first), "none");
        assert_int_equal(report.length, 7);
    }
    /* A second copy behind what was sent after the first one: it depends on the moment. */
    uint64_t found = 0;
    for (unsigned wait_ms = 0; wait_ms < 60; wait_ms += 3) {
        struct checker_report report = one_sender(DEDUP_IN_LEADER, wait_ms);
        found += report.counts[CHECKER_SENDER_ORDER] + report.counts[CHECKER_DUPLICATE];
    }
    assert_true(found > 0);
}

/* What is acknowledged at one node stands before whatever is sent after it at any other: also at a leader that
 * was asleep, or is cut off, and does not know that it leads no more. */
static struct checker_report two_senders(enum mistake mistake, bool is_asleep, unsigned wait_ms)
{
    struct scene scene;
    begin(&scene, mistake, 3, WINDOW_EVENTS, MANY);
    struct world *world = scene.world;
    write_some(&scene, scene.b, 3, 2);
    if (is_asleep) world_pause(world, scene.a);
    if (!is_asleep) cut(&scene, scene.a, true);
    crowd_send(scene.crowd, 1, 1, scene.a);
    unsigned second = run_until_leads(&scene, scene.a);
    say(&scene, 2, 1, second);
    say(&scene, 2, 2, second);
    crowd_send(scene.crowd, 4, 1, scene.a); /* first sent when those are acknowledged */
    if (is_asleep) world_resume(world, scene.a);
    world_run(world, wait_ms);
    cut(&scene, scene.a, false);
    say(&scene, 4, 1, scene.a);
    say(&scene, 2, 3, second);
    say(&scene, 1, 1, scene.b);
    return finish(&scene);
}

static void what_was_acknowledged_stands_before_what_is_sent_after_it(void **state)
{
    (void)state;
    for (unsigned wait_ms = 0; wait_ms < 40; wait_ms += 2) {
        struct checker_report report = two_senders(NO_MISTAKE, wait_ms % 4 == 0, wait_ms);
        assert_string_equal(checker_name(report.first), "none");
        assert_int_equal(report.length, 7);
    }
    struct checker_report report = two_senders(ACK_BEFORE_COMMIT, false, 0);
    assert_true(report.counts[CHECKER_REALTIME_ORDER] > 0);
}

/* ---- what pages show ---- */

/* A leader that is cut off has messages in its log that nobody else gets; its own pages must not show them, for
 * others stand in their place later. */
static struct checker_report cut_off_leader(enum mistake mistake, uint64_t *events)
{
    struct scene scene;
    begin(&scene, mistake, 3, WINDOW_EVENTS, MANY);
    write_some(&scene, scene.a, 1, 2);
    cut(&scene, scene.a, true);
    for (unsigned who = 10; who < 14; who++)
        crowd_send(scene.crowd, who, 1, scene.a);
    unsigned second = run_until_leads(&scene, scene.a);
    *events = scene.world->nodes[scene.a].chat.number;
    write_some(&scene, second, 2, 4);
    return finish(&scene);
}

static void a_page_never_shows_what_is_not_committed(void **state)
{
    uint64_t events;
    (void)state;
    struct checker_report report = cut_off_leader(NO_MISTAKE, &events);
    assert_string_equal(checker_name(report.first), "none");
    assert_int_equal(events, 2);
    assert_true(report.views > 0);
    report = cut_off_leader(SHOWN_AT_APPEND, &events);
    assert_true(report.counts[CHECKER_VIEW_PHANTOM] + report.counts[CHECKER_VIEW_MISMATCH] > 0);
}

/* ---- an entry that comes again ---- */

static void between(struct scene *scene, const unsigned nodes[], unsigned count)
{
    for (unsigned i = 0; i < scene->world->count; i++)
        cut(scene, i, true);
    for (unsigned i = 0; i < count; i++)
        for (unsigned k = 0; k < count; k++)
            link_only(scene, nodes[i], nodes[k]);
}

static raft_index last_of(const struct scene *scene, unsigned i)
{
    return raft_last_index(&scene->world->nodes[i].raft);
}

/* a has an entry that only b has besides; messages with it wait for the others, who are away. c, elected by
 * them, puts another in its place at a, and ends; then b, elected by d and e, sends the first one again. */
static struct checker_report an_entry_again(void)
{
    struct scene scene;
    begin(&scene, NO_MISTAKE, 5, WINDOW_EVENTS, MANY);
    struct world *world = scene.world;
    world->net.keeps = true;
    write_some(&scene, scene.b, 1, 3);
    world_run(world, 1000);
    unsigned a = scene.a, b = scene.b;
    between(&scene, (const unsigned[]){a, b}, 2);
    crowd_send(scene.crowd, 2, 1, a);
    world_run(world, 40);
    raft_index index = last_of(&scene, a);
    raft_term term = guard_term_at(&world->nodes[a].raft, index);
    assert_int_equal(last_of(&scene, b), index);

    unsigned others[3], count = 0;
    for (unsigned i = 0; i < 5; i++)
        if (i != a && i != b) others[count++] = i;
    between(&scene, others, 3);
    unsigned c = run_until_leads(&scene, a);
    between(&scene, (const unsigned[]){a, c}, 2);
    for (unsigned i = 0; i < PATIENCE_MS && guard_term_at(&world->nodes[a].raft, index) == term;
         i++)
        world_run(world, 1);
    assert_true(guard_term_at(&world->nodes[a].raft, index) > term);
    world_kill(world, c);

    between(&scene,
            (const unsigned[]){b, others[0] == c ? others[2] : others[0],
                               others[1] == c ? others[2] : others[1]},
            3);
    assert_int_equal(run_until_leads(&scene, c), b);
    link_only(&scene, a, b);
    for (unsigned i = 0; i < PATIENCE_MS && guard_term_at(&world->nodes[a].raft, index) != term;
         i++)
        world_run(world, 1);
    assert_int_equal(guard_term_at(&world->nodes[a].raft, index), term);
    crowd_send(scene.crowd, 3, 1, b);
    world_run(world, 5000);
    return finish(&scene);
}

static void an_entry_that_was_cut_may_come_again(void **state)
{
    (void)state;
    struct checker_report report = an_entry_again();
    assert_string_equal(checker_name(report.first), "none");
    assert_int_equal(report.length, 5);
}

/* ---- a log that stands still ---- */

static void end_and_come_back(unsigned keep_log)
{
    struct scene scene;
    begin(&scene, NO_MISTAKE, 3, WINDOW_EVENTS, keep_log);
    struct world *world = scene.world;
    struct world_node *node = &world->nodes[scene.b];
    write_some(&scene, scene.a, 1, 3);
    sim_io_stick(&node->disk, true);
    node->disk.may_end = true;
    write_some(&scene, scene.a, 2, 3);
    cut(&scene, scene.b, true);
    write_some(&scene, scene.a, 3, 40);
    cut(&scene, scene.b, false);
    world_run(world, 1000);
    assert_int_equal(node->raft.snapshot.installing, keep_log < MANY);
    world_run(world, LOG_STILL_MAX_MS - 4000);
    assert_int_equal(world->ended, 0);
    assert_true(sim_io_waiting(&node->disk) > 0);
    assert_int_equal(world_leader(world), scene.a);
    world_run(world, 8000);
    assert_int_equal(world->ended, 1);
    assert_false(node->host.is_up);
    assert_good(&scene);
}

/* Also when a snapshot has come meanwhile, and waits for the same append. */
static void a_follower_whose_append_never_ends_ends_and_comes_back(void **state)
{
    (void)state;
    end_and_come_back(MANY);
    end_and_come_back(KEEP);
}

/* A disk that hangs for most of that time, an hour's sleep meanwhile, a slow disk, a full one, nobody there. */
static void what_passes_ends_nobody(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, NO_MISTAKE, 3, WINDOW_EVENTS, MANY);
    struct world *world = scene.world;
    unsigned b = scene.b;
    struct sim_io *disk = &world->nodes[b].disk;

    sim_io_stick(disk, true);
    write_some(&scene, scene.a, 1, 3);
    world_run(world, LOG_STILL_MAX_MS / 2);
    world_pause(world, b);
    world_run(world, 3600 * 1000);
    world_resume(world, b);
    world_run(world, LOG_STILL_MAX_MS / 3);
    cut(&scene, b, true);
    world_run(world, 2 * LOG_STILL_MAX_MS);
    cut(&scene, b, false);
    world_fill_disk(world, b, true);
    world_run(world, 2 * LOG_STILL_MAX_MS);
    world_fill_disk(world, b, false);
    assert_true(sim_io_waiting(disk) > 0);
    world_run(world, LOG_STILL_MAX_MS / 2);
    sim_io_stick(disk, false);
    world_run(world, 5000);

    disk->disk.latency_ms = 2500;
    write_some(&scene, world_leader(world), 2, 2 * LOG_STILL_MAX_MS / 60);
    assert_int_equal(world->ended, 0);
    assert_good(&scene);
}

/* It tells at once what is committed, and what is applied only when it is on the disk. */
static void an_installation_that_takes_long_ends_nobody(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, NO_MISTAKE, 3, WINDOW_EVENTS, KEEP);
    struct world *world = scene.world;
    struct world_node *node = &world->nodes[scene.b];
    write_some(&scene, scene.a, 1, 3);
    cut(&scene, scene.b, true);
    write_some(&scene, scene.a, 2, 40);
    sim_io_stick(&node->disk, true);
    cut(&scene, scene.b, false);
    world_run(world, LOG_STILL_MAX_MS - 5000);
    assert_true(node->raft.snapshot.installing);
    world_fill_disk(world, scene.b, true);
    world_run(world, 2 * LOG_STILL_MAX_MS);
    world_fill_disk(world, scene.b, false);
    sim_io_stick(&node->disk, false);
    assert_good(&scene);
}

/* Raft would try to write it without end, and nothing that comes behind it could be applied. */
static void a_full_disk_is_given_no_snapshot(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, NO_MISTAKE, 3, WINDOW_EVENTS, KEEP);
    struct world *world = scene.world;
    const struct world_node *node = &world->nodes[scene.b];
    write_some(&scene, scene.a, 1, 3);
    cut(&scene, scene.b, true);
    write_some(&scene, scene.a, 2, 40);
    raft_index before = last_of(&scene, scene.b);
    world_fill_disk(world, scene.b, true);
    cut(&scene, scene.b, false);
    for (unsigned ms = 0; ms < 5000; ms += 10) {
        world_run(world, 10);
        assert_false(node->raft.snapshot.installing);
    }
    assert_int_equal(last_of(&scene, scene.b), before);
    assert_int_equal(node->raft.state, RAFT_FOLLOWER);
    assert_int_equal(world_leader(world), scene.a);
    world_fill_disk(world, scene.b, false);
    world_run(world, 5000);
    assert_true(world_is_level(world));
    assert_true(world->gaps > 0); /* by a snapshot */
    assert_good(&scene);
}

/* ---- a leader that nobody elects ---- */

/* a is the only voter, b has the log and no vote. Returns b. */
static unsigned begin_with_stand_by(struct scene *scene)
{
    begin(scene, NO_MISTAKE, 1, WINDOW_EVENTS, MANY);
    struct world *world = scene->world;
    unsigned b = world_grow(world);
    assert_true(world_add(world, b));
    world_run(world, 500);
    assert_true(world_stand_by(world, b));
    world_run(world, 1000);
    write_some(scene, scene->a, 1, 3);
    return b;
}

/* a gives b an entry and ends while its own disk is at it; back again it leads without an election, and what it
 * puts in that place must not look like what b has there. Returns whether b had what a lost. */
static bool only_voter(unsigned wait_ms)
{
    struct scene scene;
    unsigned b = begin_with_stand_by(&scene), a = scene.a;
    struct world *world = scene.world;
    world->nodes[a].disk.disk.latency_ms = 20 * 1000;
    raft_index before = last_of(&scene, a);
    crowd_send(scene.crowd, 2, 1, a);
    for (unsigned i = 0; i < PATIENCE_MS && last_of(&scene, b) == before; i++)
        world_run(world, 1);
    assert_int_equal(last_of(&scene, b), before + 1);
    world_run(world, 30 + wait_ms);
    world_kill(world, a);
    world->nodes[a].disk.disk.latency_ms = 1;
    bool is_lost = world->nodes[a].disk.disk.count == before;
    world_start(world, a);
    crowd_send(scene.crowd, 3, 1, a);
    world_run(world, 3000);
    for (unsigned i = 0; i < 40 && !world->nodes[b].is_member; i++) {
        (void)world_promote(world, b);
        world_run(world, 500);
    }
    assert_true(world->nodes[b].is_member);
    assert_good(&scene);
    return is_lost;
}

static void what_an_only_voter_lost_is_lost_at_its_stand_by_too(void **state)
{
    enum { ROUNDS = 24 };
    unsigned lost = 0;
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++)
        lost += only_voter(50 * round);
    assert_true(lost > 1 && lost < ROUNDS); /* else it has shown only half of it */
}

/* What makes b the second voter is in a's log alone when they part: a asks for the vote of b, and b knows of no
 * vote that it has. */
static void who_does_not_know_that_it_has_a_vote_votes(void **state)
{
    (void)state;
    for (unsigned killed = 0; killed < 2; killed++) {
        struct scene scene;
        unsigned b = begin_with_stand_by(&scene), a = scene.a;
        struct world *world = scene.world;
        world_run(world, 1000);
        raft_index before = last_of(&scene, a);
        assert_int_equal(last_of(&scene, b), before);
        cut(&scene, b, true);
        assert_true(world_promote(world, b));
        world_run(world, 5000);
        assert_true(last_of(&scene, a) > before);
        assert_int_equal(last_of(&scene, b), before);
        assert_true(world_leader(world) >= world->count);
        if (killed) {
            world_kill(world, a);
            world_start(world, a);
        }
        cut(&scene, b, false);
        world_run(world, 5000);
        assert_int_equal(world_leader(world), a);
        assert_true(last_of(&scene, b) > before);
        write_some(&scene, b, 2, 3);
        assert_good(&scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISE("P1", an_entry_that_was_cut_may_come_again),
        PROMISE("P1 P7", an_entry_of_an_old_term_is_not_committed_by_counting),
        PROMISE("P1 P5", what_a_returning_leader_acknowledges_it_has),
        PROMISE("P1", a_snapshot_comes_while_the_tail_is_cut),
        PROMISE("P2", a_snapshot_is_replaced_while_it_is_sent),
        cmocka_unit_test(a_snapshot_has_the_members_of_its_index),
        PROMISE("P1 P2 P7", what_an_only_voter_lost_is_lost_at_its_stand_by_too),
        PROMISE("P10", who_does_not_know_that_it_has_a_vote_votes),
        PROMISE("P3", a_command_is_executed_once_across_a_failover),
        PROMISE("P3", one_id_that_reaches_two_leaders_is_executed_once),
        PROMISE("P4", messages_of_one_sender_stay_in_order_across_a_failover),
        PROMISE("P5", what_was_acknowledged_stands_before_what_is_sent_after_it),
        PROMISE("P7", a_page_never_shows_what_is_not_committed),
        PROMISE("P3 P11", a_retry_older_than_the_window_is_searched_again),
        PROMISE("P12", a_follower_whose_append_never_ends_ends_and_comes_back),
        PROMISE("P12", what_passes_ends_nobody),
        PROMISE("P12", an_installation_that_takes_long_ends_nobody),
        PROMISE("P12", a_full_disk_is_given_no_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
