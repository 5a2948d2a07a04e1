/* Who am I: the bytes of question and answer, and the verdict. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/ask.h"

static struct buf buf;

static int setup(void **state)
{
    (void)state;
    buf_init(&buf, ASK_BYTES_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_close(&buf);
    return 0;
}

static struct ask_question a_question(void)
{
    struct ask_question question = {.id = 0x1122334455667788, .joined = 41};
    memset(question.cluster, 7, sizeof question.cluster);
    snprintf(question.self, sizeof question.self, "tea-4=10.0.0.14:7000");
    return question;
}

/* Three members: tea-1 to tea-3 with ids 1 to 3, as of entry 50 of cluster 7. */
static struct ask_answer an_answer(void)
{
    struct ask_answer answer = {.index = 50, .members_count = 3};
    memset(answer.cluster, 7, sizeof answer.cluster);
    snprintf(answer.cluster_name, sizeof answer.cluster_name, "livetea");
    for (size_t i = 0; i < 3; i++) {
        answer.members[i].id = i + 1;
        answer.members[i].role = 1;
        snprintf(answer.members[i].self, SELF_SIZE, "tea-%zu=10.0.0.1%zu:7000", i + 1, i + 1);
    }
    return answer;
}

static void a_question_arrives_as_it_was_asked(void **state)
{
    (void)state;
    struct ask_question question = a_question(), heard;
    memset(question.self, 'x', SELF_SIZE - 1); /* the longest one */
    question.self[3] = '=';
    ask_question_encode(&buf, &question);
    assert_false(buf.overflowed);
    assert_int_equal(ask_question_decode(&heard, buf_slice(&buf)), 0);
    assert_int_equal(heard.id, question.id);
    assert_memory_equal(heard.cluster, question.cluster, sizeof heard.cluster);
    assert_int_equal(heard.joined, question.joined);
    assert_string_equal(heard.self, question.self);
    buf_add_char(&buf, 'n'); /* a newer node may say more */
    assert_int_equal(ask_question_decode(&heard, buf_slice(&buf)), 0);
}

static void an_answer_arrives_as_it_was_given(void **state)
{
    (void)state;
    struct ask_answer answer = an_answer(), heard;
    answer.verdict = ASK_ADMITTED;
    answer.members_count = MEMBERS_MAX;
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        answer.members[i].id = UINT64_MAX - i;
        answer.members[i].role = 2;
        memset(answer.members[i].self, 'x', SELF_SIZE - 1);
        answer.members[i].self[3] = '=';
    }
    memset(answer.sentence, 's', sizeof answer.sentence - 1);
    ask_answer_encode(&buf, &answer);
    assert_false(buf.overflowed);
    assert_int_equal(ask_answer_decode(&heard, buf_slice(&buf)), 0);
    assert_int_equal(heard.verdict, answer.verdict);
    assert_memory_equal(heard.cluster, answer.cluster, sizeof heard.cluster);
    assert_string_equal(heard.cluster_name, answer.cluster_name);
    assert_int_equal(heard.index, answer.index);
    assert_int_equal(heard.members_count, answer.members_count);
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        assert_int_equal(heard.members[i].id, answer.members[i].id);
        assert_int_equal(heard.members[i].role, answer.members[i].role);
        assert_string_equal(heard.members[i].self, answer.members[i].self);
    }
    assert_string_equal(heard.sentence, answer.sentence);
}

static void cut_at_any_byte_it_is_none(void **state)
{
    (void)state;
    struct ask_question question = a_question(), heard;
    struct ask_answer answer = an_answer(), told;
    ask_question_encode(&buf, &question);
    for (size_t len = 0; len < buf.len; len++) {
        assert_int_equal(ask_question_decode(&heard, slice_make(buf.at, len)), ERR_FORMAT);
    }
    buf_reset(&buf);
    ask_answer_encode(&buf, &answer);
    for (size_t len = 0; len < buf.len; len++) {
        assert_int_equal(ask_answer_decode(&told, slice_make(buf.at, len)), ERR_FORMAT);
    }
}

/* It would stand in logs and in /status as it is. */
static void what_is_no_line_of_text_is_refused(void **state)
{
    static const char *const bad[] = {"tea-4\n=10.0.0.14:7000", "tea-4=\x1b[2J", "tea-4=\xff"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ask_question question = a_question(), heard;
        struct ask_answer answer = an_answer(), told;
        snprintf(question.self, sizeof question.self, "%s", bad[i]);
        snprintf(answer.sentence, sizeof answer.sentence, "%s", bad[i]);
        buf_reset(&buf);
        ask_question_encode(&buf, &question);
        assert_int_equal(ask_question_decode(&heard, buf_slice(&buf)), ERR_FORMAT);
        buf_reset(&buf);
        ask_answer_encode(&buf, &answer);
        assert_int_equal(ask_answer_decode(&told, buf_slice(&buf)), ERR_FORMAT);
    }
}

/* Whatever the bytes are: within the limits, and every text ends. */
static void flipped_bytes_do_no_harm(void **state)
{
    (void)state;
    struct ask_question question = a_question(), heard;
    struct ask_answer answer = an_answer(), told;
    ask_question_encode(&buf, &question);
    size_t first = buf.len;
    ask_answer_encode(&buf, &answer);
    for (size_t place = 0; place < buf.len; place++) {
        for (unsigned flip = 1; flip < 256; flip++) {
            buf.at[place] = (char)((unsigned char)buf.at[place] ^ flip);
            if (ask_question_decode(&heard, slice_make(buf.at, first)) == 0) {
                assert_true(heard.id != 0 && strlen(heard.self) < SELF_SIZE);
                assert_non_null(strchr(heard.self, '='));
            }
            if (ask_answer_decode(&told, slice_make(buf.at + first, buf.len - first)) == 0) {
                assert_true(told.members_count <= MEMBERS_MAX && told.verdict <= ASK_FOREIGN);
                for (size_t i = 0; i < told.members_count; i++)
                    assert_true(strlen(told.members[i].self) < SELF_SIZE);
            }
            buf.at[place] = (char)((unsigned char)buf.at[place] ^ flip);
        }
    }
}

static void the_verdict_follows_from_the_list_alone(void **state)
{
    (void)state;
    static const struct {
        const char *about;
        uint64_t id;
        uint8_t cluster; /* 0: none yet */
        uint64_t joined;
        uint64_t index; /* of the answerer */
        enum ask_verdict verdict;
        const char *words;
    } table[] = {
        {"a fresh one", 9, 0, 0, 50, ASK_WAIT, "members add tea-4=10.0.0.14:7000"},
        {"a fresh one at a node without a cluster", 9, 0, 0, 0, ASK_WAIT, "in no cluster"},
        {"on the list, as new", 2, 0, 0, 50, ASK_ADMITTED, ""},
        {"on the list, as member", 2, 7, 50, 50, ASK_ADMITTED, ""},
        {"on the list, which is an older one", 2, 7, 60, 50, ASK_ADMITTED, ""},
        {"gone, by a newer list", 9, 7, 49, 50, ASK_REMOVED, ""},
        {"gone, by the same list", 9, 7, 50, 50, ASK_WAIT, ""},
        {"gone, by an older list", 9, 7, 51, 50, ASK_WAIT, ""},
        {"gone, a founder", 9, 7, 1, 2, ASK_REMOVED, ""},
        {"of another cluster", 9, 8, 1, 50, ASK_FOREIGN, ""},
        {"of another cluster, the same id", 2, 8, 1, 50, ASK_FOREIGN, ""},
        {"of a cluster, at a node without one", 9, 8, 1, 0, ASK_WAIT, "in no cluster"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct ask_question question = a_question();
        struct ask_answer answer = an_answer();
        question.id = table[i].id;
        question.joined = table[i].joined;
        memset(question.cluster, table[i].cluster, sizeof question.cluster);
        answer.index = table[i].index;
        ask_judge(&answer, &question);
        if (answer.verdict != table[i].verdict)
            fail_msg("%s: verdict %d", table[i].about, answer.verdict);
        assert_int_equal(answer.members_count == 0, answer.verdict == ASK_FOREIGN);
        if (strstr(answer.sentence, table[i].words) == NULL)
            fail_msg("%s: \"%s\"", table[i].about, answer.sentence);
    }
}

static void an_emptied_member_is_told_to_be_removed_first(void **state)
{
    (void)state;
    struct ask_question question = {.id = 9, .self = "tea-2=10.0.0.12:7000"};
    struct ask_answer answer = an_answer();
    ask_judge(&answer, &question);
    assert_int_equal(answer.verdict, ASK_WAIT);
    assert_non_null(strstr(answer.sentence, "members remove tea-2"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_question_arrives_as_it_was_asked),
        TEST(an_answer_arrives_as_it_was_given),
        TEST(cut_at_any_byte_it_is_none),
        TEST(what_is_no_line_of_text_is_refused),
        TEST(flipped_bytes_do_no_harm),
        TEST(the_verdict_follows_from_the_list_alone),
        TEST(an_emptied_member_is_told_to_be_removed_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
