/* What may be changed in the list of members, and with which words it is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/change.h"

enum { STANDBY, VOTER };

/* Each letter is a member, tea-1, tea-2...: V a sound voter, v one that is away, g one with a gap;
 * S, s and d stand-bys likewise, b one that is behind. tea-1 leads. */
static struct change_view view_of(const char *letters)
{
    struct change_view view = {.self = 1, .is_leader_ready = true};
    for (size_t i = 0; letters[i] != '\0'; i++) {
        struct change_member *member = &view.members[view.members_count++];
        char letter = letters[i];
        member->id = i + 1;
        member->role = strchr("Vvg", letter) != NULL ? VOTER : STANDBY;
        member->is_sound = strchr("VSb", letter) != NULL;
        member->is_catching_up = strchr("gd", letter) != NULL;
        member->behind = letter == 'b' ? PROMOTE_BEHIND_MAX + 1 : PROMOTE_BEHIND_MAX;
        snprintf(member->name, sizeof member->name, "tea-%zu", i + 1);
        snprintf(member->address, sizeof member->address, "10.0.0.%zu:7000", i + 1);
    }
    return view;
}

static struct change_request request_of(enum change_kind kind, const char *name,
                                        const char *address)
{
    struct change_request request = {.kind = kind};
    snprintf(request.name, sizeof request.name, "%s", name);
    snprintf(request.address, sizeof request.address, "%s", address);
    return request;
}

static const struct {
    const char *about, *members;
    enum change_kind kind;
    const char *name, *address, *asker;
    const char *word;  /* NULL: allowed */
    const char *words; /* in the sentence */
} table[] = {
    {"a new one", "VVV", CHANGE_ADD, "tea-9", "10.0.0.9:7000", "10.0.0.9:7000", NULL, ""},
    {"a new one beside a dead one", "VVv", CHANGE_ADD, "tea-9", "10.0.0.9:7000", "10.0.0.9:7000",
     NULL, ""},
    {"a name that is used", "VVv", CHANGE_ADD, "tea-3", "10.0.0.9:7000", "10.0.0.9:7000",
     "name_used", "livetea members remove tea-3 first"},
    {"an address that is used", "VVV", CHANGE_ADD, "tea-9", "10.0.0.3:7000", "10.0.0.3:7000",
     "address_used", "10.0.0.3:7000 is the address of tea-3"},
    {"the leader's own address", "VVV", CHANGE_ADD, "tea-9", "10.0.0.1:7000", "10.0.0.1:7000",
     "address_used", "tea-1"},
    {"no address", "VVV", CHANGE_ADD, "tea-9", "10.0.0.9", "10.0.0.9", "bad_address",
     "\"tea-9=10.0.0.9\" is not name=host:port"},
    {"no name", "VVV", CHANGE_ADD, "", "10.0.0.9:7000", "10.0.0.9:7000", "bad_address",
     "is not name=host:port"},
    {"garbage", "VVV", CHANGE_ADD, "tea 9\n", "<script>", "<script>", "bad_address", "is not"},
    {"two at once", "VVV", CHANGE_ADD, "tea-8", "h:1, tea-9=h:2", "h:1", "bad_address", "is not"},
    {"a blank at its end", "VVV", CHANGE_ADD, "tea-9", "10.0.0.9:7000 ", "10.0.0.9:7000 ",
     "bad_address", "is not"},
    {"the port 0", "VVV", CHANGE_ADD, "tea-9", "10.0.0.9:0", "10.0.0.9:0", "bad_address", "is not"},
    {"one of this machine only", "VVV", CHANGE_ADD, "tea-9", "127.0.0.1:7000", "127.0.0.1:7000",
     "loopback", "cannot be reached"},
    {"the 15th", "VVVSSSSSSSSSSS", CHANGE_ADD, "tea-99", "h:1", "h:1", "too_many_members", "14"},
    {"no asker", "VVV", CHANGE_ADD, "tea-9", "10.0.0.9:7000", NULL, "not_asking",
     "tea-9 does not ask to be let in: start it with an empty data directory and cluster.join"},
    {"an asker elsewhere", "VVV", CHANGE_ADD, "tea-9", "10.0.0.9:7000", "10.0.0.8:7000",
     "not_asking", "tea-9 asks to be let in as 10.0.0.8:7000"},
    {"without a majority", "Vvv", CHANGE_ADD, "tea-9", "10.0.0.9:7000", "10.0.0.9:7000",
     "not_healthy", "Of the 3 voters there would be, only 1 is sound"},

    {"a stand-by", "VVVS", CHANGE_PROMOTE, "tea-4", "", NULL, NULL, ""},
    {"beside a dead one", "VVvS", CHANGE_PROMOTE, "tea-4", "", NULL, NULL, ""},
    {"of a lone voter", "VS", CHANGE_PROMOTE, "tea-2", "", NULL, NULL, ""},
    {"a voter", "VVVS", CHANGE_PROMOTE, "tea-2", "", NULL, "already_voter", "tea-2 votes already"},
    {"the leader", "VVVS", CHANGE_PROMOTE, "tea-1", "", NULL, "already_voter", "tea-1"},
    {"one that nobody knows", "VVVS", CHANGE_PROMOTE, "tea-9", "", NULL, "unknown_member",
     "There is no member \"tea-9\""},
    {"the 8th voter", "VVVVVVVS", CHANGE_PROMOTE, "tea-8", "", NULL, "too_many_voters", "7"},
    {"one that is away", "VVVs", CHANGE_PROMOTE, "tea-4", "", NULL, "not_healthy",
     "tea-4 is not heard"},
    {"one that lacks events", "VVVd", CHANGE_PROMOTE, "tea-4", "", NULL, "catching_up",
     "tea-4 is still fetching"},
    {"one that is behind", "VVVb", CHANGE_PROMOTE, "tea-4", "", NULL, "behind",
     "tea-4 is 1001 messages behind"},
    {"with two of four dead", "VVvvS", CHANGE_PROMOTE, "tea-5", "", NULL, NULL, ""},
    {"with three of five dead", "VVvvvS", CHANGE_PROMOTE, "tea-6", "", NULL, "not_healthy",
     "only 3 are sound"},

    {"one of three", "VVV", CHANGE_REMOVE, "tea-2", "", NULL, NULL, ""},
    {"the leader itself", "VVV", CHANGE_REMOVE, "tea-1", "", NULL, NULL, ""},
    {"one of two", "VV", CHANGE_REMOVE, "tea-2", "", NULL, NULL, ""},
    {"the leader of two", "VV", CHANGE_REMOVE, "tea-1", "", NULL, "leads",
     "`livetea transfer` first"},
    {"the leader of two, and a stand-by", "VVS", CHANGE_REMOVE, "tea-1", "", NULL, "leads",
     "one voter would be left"},
    {"a dead one", "VVv", CHANGE_REMOVE, "tea-3", "", NULL, NULL, ""},
    {"a dead stand-by", "VVVs", CHANGE_REMOVE, "tea-4", "", NULL, NULL, ""},
    {"one that nobody knows", "VVV", CHANGE_REMOVE, "tea-9", "", NULL, "unknown_member", "tea-9"},
    {"nobody", "VVV", CHANGE_REMOVE, "", "", NULL, "unknown_member", "\"\""},
    {"the last voter", "VS", CHANGE_REMOVE, "tea-1", "", NULL, "last_voter",
     "tea-1 is the only voter"},
    {"a sound one beside a dead one", "VVv", CHANGE_REMOVE, "tea-2", "", NULL, "not_healthy",
     "only 1 is sound"},
    {"one, while another lacks events", "VVVd", CHANGE_REMOVE, "tea-3", "", NULL, "catching_up",
     "tea-4 is still fetching events, perhaps from tea-3"},
    {"one of two that lack events", "VVVdd", CHANGE_REMOVE, "tea-4", "", NULL, NULL, ""},
    {"the one that lacks events", "VVVd", CHANGE_REMOVE, "tea-4", "", NULL, NULL, ""},
    {"a voter that lacks events", "VVg", CHANGE_REMOVE, "tea-3", "", NULL, NULL, ""},

    {"to another", "VVV", CHANGE_TRANSFER, "tea-2", "", NULL, NULL, ""},
    {"to whom it may be", "VVv", CHANGE_TRANSFER, "", "", NULL, NULL, ""},
    {"to itself", "VVV", CHANGE_TRANSFER, "tea-1", "", NULL, "leads_already",
     "tea-1 leads already"},
    {"to a stand-by", "VVS", CHANGE_TRANSFER, "tea-3", "", NULL, "not_voter", "tea-3 has no vote"},
    {"to one that nobody knows", "VVV", CHANGE_TRANSFER, "tea-9", "", NULL, "unknown_member", ""},
    {"to one that is away", "VVv", CHANGE_TRANSFER, "tea-3", "", NULL, "not_healthy", "not heard"},
    {"to one that lacks events", "VVg", CHANGE_TRANSFER, "tea-3", "", NULL, "catching_up", ""},
    {"to anybody, and nobody is there", "VSvg", CHANGE_TRANSFER, "", "", NULL, "no_other_voter",
     "no other sound voter"},
};

static void a_change_is_allowed_or_refused_with_a_sentence(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct change_view view = view_of(table[i].members);
        struct change_request request = request_of(table[i].kind, table[i].name, table[i].address);
        struct change_answer answer = {.word = ""};
        bool is_allowed = change_allowed(&view, &request, table[i].asker, &answer);
        if (is_allowed != (table[i].word == NULL))
            fail_msg("%s: \"%s\" %s", table[i].about, answer.word, answer.sentence);
        if (is_allowed) continue;
        assert_int_equal(answer.result, CHANGE_REFUSED);
        if (strcmp(answer.word, table[i].word) != 0)
            fail_msg("%s: \"%s\" %s", table[i].about, answer.word, answer.sentence);
        if (strstr(answer.sentence, table[i].words) == NULL)
            fail_msg("%s: %s", table[i].about, answer.sentence);
    }
}

/* Whatever it is: not now. */
static void nothing_is_changed_beside_something_else(void **state)
{
    (void)state;
    static const enum change_kind kinds[] = {CHANGE_ADD, CHANGE_PROMOTE, CHANGE_REMOVE,
                                             CHANGE_TRANSFER};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct change_view view = view_of("VVVS");
        struct change_answer answer;
        struct change_request request =
            request_of(kinds[i], kinds[i] == CHANGE_ADD ? "tea-9" : "tea-4", "10.0.0.9:7000");
        view.is_changing = true;
        assert_false(change_allowed(&view, &request, "10.0.0.9:7000", &answer));
        assert_string_equal(answer.word, "change_running");
        view.is_changing = false;
        view.is_transferring = true;
        assert_false(change_allowed(&view, &request, "10.0.0.9:7000", &answer));
        assert_string_equal(answer.word, "transfer_running");
        view.is_transferring = false;
        view.is_leader_ready = false;
        assert_false(change_allowed(&view, &request, "10.0.0.9:7000", &answer));
        assert_string_equal(answer.word, "not_ready");
    }
}

static void whether_it_is_so_the_list_says(void **state)
{
    (void)state;
    static const struct {
        enum change_kind kind;
        const char *name, *address;
        bool is_so;
    } wishes[] = {
        {CHANGE_ADD, "tea-4", "10.0.0.4:7000", true},
        {CHANGE_ADD, "tea-4", "10.0.0.5:7000", false},
        {CHANGE_ADD, "tea-9", "10.0.0.4:7000", false},
        {CHANGE_PROMOTE, "tea-2", "", true},
        {CHANGE_PROMOTE, "tea-4", "", false},
        {CHANGE_PROMOTE, "tea-9", "", false},
        {CHANGE_REMOVE, "tea-9", "", true},
        {CHANGE_REMOVE, "tea-4", "", false},
        {CHANGE_TRANSFER, "tea-1", "", true},
        {CHANGE_TRANSFER, "tea-2", "", false},
    };
    struct change_view view = view_of("VVVS");
    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++) {
        struct change_request request =
            request_of(wishes[i].kind, wishes[i].name, wishes[i].address);
        if (change_is_so(&view, &request) != wishes[i].is_so) fail_msg("wish %zu", i);
    }
}

/* An add whose answer was lost is asked for again: it is done, unless the node has lost its data since. */
static void who_is_added_already_is_not_refused(void **state)
{
    static const struct {
        const char *members, *name, *address;
        uint64_t asker; /* raft id of who asks under that name */
        bool is_done;
    } cases[] = {{"VVVS", "tea-4", "10.0.0.4:7000", 0, true},
                 {"VVVS", "tea-4", "10.0.0.4:7000", 4, true}, /* it has not heard of it yet */
                 {"VVVs", "tea-4", "10.0.0.4:7000", 4, true}, /* or has just begun */
                 {"VVV", "tea-3", "10.0.0.3:7000", 0, true},
                 {"VVv", "tea-3", "10.0.0.3:7000", 0, false},
                 {"VVVS", "tea-4", "10.0.0.4:7000", 99, false},
                 {"VVVS", "tea-4", "10.0.0.9:7000", 0, false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct change_view view = view_of(cases[i].members);
        struct change_request request = request_of(CHANGE_ADD, cases[i].name, cases[i].address);
        struct change_answer answer = {.word = "-"};
        view.asker = cases[i].asker;
        const char *asker = view.asker == 0 ? NULL : request.address;
        assert_false(change_allowed(&view, &request, asker, &answer));
        assert_int_equal(answer.result, cases[i].is_done ? CHANGE_DONE : CHANGE_REFUSED);
        assert_string_equal(answer.word, cases[i].is_done ? "" : "name_used");
        assert_non_null(strstr(answer.sentence, "is a member already"));
    }
}

/* The longest names and addresses there are: cut, not overrun. */
static void a_sentence_has_an_end(void **state)
{
    (void)state;
    struct change_view view = view_of("VVV");
    struct change_request request = request_of(CHANGE_ADD, "", "");
    struct change_answer answer;
    memset(request.name, 'n', NODE_NAME_MAX);
    memset(request.address, 'a', ADDRESS_MAX);
    assert_false(change_allowed(&view, &request, NULL, &answer));
    assert_string_equal(answer.word, "bad_address");
    memcpy(request.address + ADDRESS_MAX - 5, ":7000", 5);
    assert_false(change_allowed(&view, &request, request.name, &answer));
    assert_string_equal(answer.word, "not_asking");
    assert_true(strlen(answer.sentence) < sizeof answer.sentence);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_is_allowed_or_refused_with_a_sentence),
        cmocka_unit_test(nothing_is_changed_beside_something_else),
        cmocka_unit_test(whether_it_is_so_the_list_says),
        cmocka_unit_test(who_is_added_already_is_not_refused),
        cmocka_unit_test(a_sentence_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
