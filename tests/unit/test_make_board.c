/* What pages say of the whole cluster, and whom this node shows its history. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "app/make_board.h"
#include "app/vitals.h"
#include "base/mem.h"
#include "promise.h"

static struct cluster_status cluster;
static char sentence[BOARD_SENTENCE_MAX];

/* Members by their states: a letter each, L leader, f follower, c catching up, a away; s a stand-by
 * that follows. */
static void members(const char *letters)
{
    cluster = (struct cluster_status){.is_ready = true, .members_count = strlen(letters)};
    for (size_t i = 0; i < cluster.members_count; i++) {
        struct member_status *member = &cluster.members[i];
        member->is_voter = letters[i] != 's';
        member->known = true;
        snprintf(member->name, sizeof member->name, "tea-%zu", i + 1);
        member->state = letters[i] == 'L'   ? MEMBER_LEADER
                        : letters[i] == 'c' ? MEMBER_CATCHING_UP
                        : letters[i] == 'a' ? MEMBER_AWAY
                                            : MEMBER_FOLLOWER;
        if (letters[i] == 'L') snprintf(cluster.leader, sizeof cluster.leader, "%s", member->name);
        cluster.voters += member->is_voter;
        cluster.voters_up += member->is_voter && member->state != MEMBER_AWAY;
    }
}

static void assert_says(const char *letters, const char *expected)
{
    members(letters);
    board_sentence(sentence, &cluster);
    assert_string_equal(sentence, expected);
}

static void the_sentence_counts_who_votes(void **state)
{
    (void)state;
    assert_says("L", "This is the only node. If it fails, the chat stops.");
    assert_says("Lff", "All 3 nodes are up. Any one may fail.");
    assert_says("Lfff", "All 4 nodes are up. Any one may fail.");
    assert_says("Lffff", "All 5 nodes are up. Any two may fail.");
    assert_says("Lfa", "2 of 3 nodes are up. No other may fail.");
    assert_says("Lffaf", "4 of 5 nodes are up. One more may fail.");
    assert_says("fff", "3 of 3 nodes are up. They are choosing a leader.");
    assert_says("faa", "1 of 3 nodes is up. Nothing can be sent until another is back.");
    assert_says("Lffs", "All 3 voters are up. Any one may fail.");
    assert_says("Lfas", "2 of 3 voters are up. No other may fail.");
    assert_says("", "This node was let in, and waits for the cluster to reach it.");
    assert_says("Ls", "Only one node has a vote. If it fails, the chat stops.");
}

static void who_lacks_events_is_named_and_is_no_copy_of_the_history(void **state)
{
    (void)state;
    assert_says("Lfc", "All 3 nodes are up. Any one may fail. tea-3 is catching up.");
    assert_says("Lcc", "All 3 nodes are up. None may fail. 2 are catching up.");
    assert_int_equal(board_may_fail(&cluster), 0);
    assert_says("Lffcc", "All 5 nodes are up. Any two may fail. 2 are catching up.");
    assert_says("Lcccf", "All 5 nodes are up. Any one may fail. 3 are catching up.");
    assert_says("Lfsc", "All 3 voters are up. Any one may fail. tea-4 is catching up.");
}

static void a_node_that_is_no_member_says_only_that(void **state)
{
    (void)state;
    members("f");
    cluster.is_joining = true;
    board_sentence(sentence, &cluster);
    assert_string_equal(sentence, "This node is no member of the cluster yet.");
    snprintf(cluster.joining_note, sizeof cluster.joining_note, "%0199d", 0);
    board_sentence(sentence, &cluster);
    assert_int_equal(strlen(sentence), 42 + 1 + 199);
}

/* ---- the board ---- */

static struct chat chat;
static struct shared *bytes;

static struct presence *presence;
static struct slice shown[BOARD_SHOWN_MAX];
static size_t shown_count;

static const struct board *make(void)
{
    static const float none[BOARD_SPARK];
    if (presence == NULL) presence = presence_new();
    struct board_input input = {.cluster = &cluster,
                                .chat = &chat,
                                .presence = presence,
                                .shown = shown,
                                .shown_count = shown_count,
                                .self = "tea-1",
                                .messages_per_second = none,
                                .commit_p99_ms = none,
                                .browsers_spark = none,
                                .fsync_p99_ms = none};
    shared_unref(bytes);
    bytes = make_board(&input);
    return board_of(bytes);
}

static void the_door_is_closed_while_events_are_missing(void **state)
{
    (void)state;
    members("fLf");
    cluster.members[0].is_self = true;
    chat.number = 12034;
    assert_int_equal(make()->door, BOARD_OPEN);
    cluster.has_gap = true;
    cluster.gap.goal = 48213;
    assert_int_equal(make()->door, BOARD_GAP);
    assert_int_equal(make()->goal, 48213);
    assert_int_equal(make()->behind, 36179);
    /* The goal is reached, what waited is not applied: nobody is told that it is over. */
    chat.number = 48213;
    assert_int_equal(make()->behind, 1);
    cluster.has_gap = false;
    assert_int_equal(make()->door, BOARD_OPEN);
    assert_int_equal(make()->behind, 0);
    cluster.is_joining = true;
    assert_int_equal(make()->door, BOARD_JOINING);
}

static void nodes_are_behind_the_highest_number_that_is_known(void **state)
{
    (void)state;
    members("fLf");
    cluster.members[0].is_self = true;
    chat.number = 80;
    cluster.members[1].number = 100;
    cluster.members[2].number = 97;
    assert_int_equal(make()->nodes[0].behind, 20);
    assert_int_equal(make()->nodes[1].behind, 0);
    assert_int_equal(make()->nodes[2].behind, 3);
    cluster.has_gap = true;
    cluster.gap.goal = 120;
    assert_int_equal(make()->nodes[0].behind, 40);
    shared_unref(bytes);
    bytes = NULL;
}

/* ---- rates ---- */

static void fetched_events_are_nobodys_messages_of_now(void **state)
{
    static struct vitals vitals;
    (void)state;
    members("Lff");
    vitals_init(&vitals, 0, 0, 100);
    vitals_tick(&vitals, &cluster, vitals_live(&cluster, 107));
    assert_int_equal(vitals.messages_per_second[BOARD_SPARK - 1], 7);
    cluster.backfilled_in = 300000;
    vitals_tick(&vitals, &cluster, vitals_live(&cluster, 300110));
    assert_int_equal(vitals.messages_per_second[BOARD_SPARK - 1], 3);
    /* counted before its events are: no number runs backwards */
    cluster.backfilled_in = 300200;
    vitals_tick(&vitals, &cluster, vitals_live(&cluster, 300150));
    assert_int_equal(vitals.messages_per_second[BOARD_SPARK - 1], 0);
}

static void people_come(struct slice room, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct sender_id who = {{0}};
        memcpy(who.bytes, &i, sizeof i);
        presence_enter(presence, room, &who, slice_of("Maja"));
    }
    shown[shown_count++] = room;
}

/* A list has an end; how many there are is told all the same. */
static void all_are_counted_though_not_all_are_listed(void **state)
{
    static char names[250][8];
    (void)state;
    members("fLf");
    people_come(slice_of("lobby"), PRESENT_MAX + 20);
    const struct board *board = make();
    assert_int_equal(board->people_count, PRESENT_MAX);
    for (size_t i = 0; i < board->people_count; i++)
        assert_int_equal(board->people[i].here, PRESENT_MAX + 20);

    /* Of many rooms each has at least one, or nobody would be here. */
    for (size_t i = 0; i < 250; i++) {
        snprintf(names[i], sizeof names[i], "x%zu", i);
        people_come(slice_from(names[i]), 20);
    }
    board = make();
    assert_true(board->people_count <= BOARD_PEOPLE_MAX);
    size_t rooms = 1;
    for (size_t i = 1; i < board->people_count; i++) {
        const struct board_person *person = &board->people[i], *before = person - 1;
        if (person->room_len == before->room_len &&
            memcmp(person->room, before->room, person->room_len) == 0)
            continue;
        rooms++;
        assert_int_equal(person->here, 20);
    }
    assert_int_equal(rooms, 251);
    shown_count = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sentence_counts_who_votes),
        cmocka_unit_test(who_lacks_events_is_named_and_is_no_copy_of_the_history),
        cmocka_unit_test(a_node_that_is_no_member_says_only_that),
        PROMISE("P12", the_door_is_closed_while_events_are_missing),
        cmocka_unit_test(nodes_are_behind_the_highest_number_that_is_known),
        cmocka_unit_test(fetched_events_are_nobodys_messages_of_now),
        cmocka_unit_test(all_are_counted_though_not_all_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
