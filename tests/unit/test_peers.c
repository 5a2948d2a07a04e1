#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/form.h"
#include "cluster/node.h"

static struct peer peers[PEERS_MAX];
static size_t count;
static struct errmsg errmsg;

static int parse(const char *line)
{
    return peers_parse(peers, &count, slice_from(line), &errmsg);
}

static void peers_are_sorted_by_name(void **state)
{
    (void)state;
    assert_int_equal(parse("tea-3=c.example:7000, tea-1=10.0.0.1:7000,tea-2 = [::1]:7001 ,"), 0);
    assert_int_equal(count, 3);
    assert_string_equal(peers[0].name, "tea-1");
    assert_string_equal(peers[0].address, "10.0.0.1:7000");
    assert_string_equal(peers[1].address, "[::1]:7001");
    assert_string_equal(peers[2].address, "c.example:7000");
}

static void an_empty_line_names_nobody(void **state)
{
    (void)state;
    assert_int_equal(parse(""), 0);
    assert_int_equal(count, 0);
}

static void what_is_no_name_and_address_is_refused_with_its_words(void **state)
{
    (void)state;
    static const char *const wrong[] = {"tea-1",           "=a:1",           "tea-1=",
                                        "tea-1=host",      "tea-1=host:0",   "tea-1=host:70000",
                                        "tea-1=host:7x",   "-tea=host:7000", "te a=host:7000",
                                        "tea-1=ho st:700", "a=b:1,,c=d:2",   "tea-1=:7000",
                                        "tea-1=a/b:7000",  "tea-1=::1:7000", "tea;1=host:7000"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        errmsg.text[0] = '\0';
        assert_int_equal(parse(wrong[i]), ERR_CONFIG);
        assert_true(strlen(errmsg.text) > 0);
    }
}

static void nobody_stands_there_twice(void **state)
{
    (void)state;
    assert_int_equal(parse("a=h:1,a=h:2"), ERR_CONFIG);
    assert_non_null(strstr(errmsg.text, "a stands there twice"));
    assert_int_equal(parse("a=h:1,b=h:1"), ERR_CONFIG);
    assert_non_null(strstr(errmsg.text, "h:1 stands there twice"));
}

static void there_are_at_most_seven(void **state)
{
    (void)state;
    assert_int_equal(parse("a=h:1,b=h:2,c=h:3,d=h:4,e=h:5,f=h:6,g=h:7"), 0);
    assert_int_equal(parse("a=h:1,b=h:2,c=h:3,d=h:4,e=h:5,f=h:6,g=h:7,i=h:8"), ERR_CONFIG);
}

static void the_cluster_id_depends_on_all_of_it_and_not_on_the_order(void **state)
{
    (void)state;
    uint8_t first[16], second[16];
    assert_int_equal(parse("a=h:1,b=h:2"), 0);
    cluster_id_of(first, "tea", peers, count);
    assert_int_equal(parse("b=h:2,a=h:1"), 0);
    cluster_id_of(second, "tea", peers, count);
    assert_memory_equal(first, second, 16);
    cluster_id_of(second, "coffee", peers, count);
    assert_memory_not_equal(first, second, 16);
    assert_int_equal(parse("a=h:1,b=h:3"), 0);
    cluster_id_of(second, "tea", peers, count);
    assert_memory_not_equal(first, second, 16);
}

static void a_raft_id_comes_from_the_name(void **state)
{
    (void)state;
    assert_int_equal(peer_id("tea-1"), peer_id("tea-1"));
    assert_int_not_equal(peer_id("tea-1"), peer_id("tea-2"));
    assert_int_not_equal(peer_id(""), 0);
}

/* ---- forming ---- */

static enum form_step decide(enum data_dir_state mine, int b, int c, const char **who)
{
    /* -1: not heard */
    struct form_peer others[] = {
        {.name = "b", .is_heard = b >= 0, .state = b < 0 ? DATA_DIR_EMPTY : (enum data_dir_state)b},
        {.name = "c",
         .is_heard = c >= 0,
         .state = c < 0 ? DATA_DIR_EMPTY : (enum data_dir_state)c}};
    return form_decide(mine, others, 2, who);
}

static void a_cluster_forms_when_all_founders_were_heard(void **state)
{
    (void)state;
    const char *who;
    assert_int_equal(decide(DATA_DIR_EMPTY, DATA_DIR_EMPTY, -1, &who), FORM_WAIT);
    assert_string_equal(who, "c");
    assert_int_equal(decide(DATA_DIR_EMPTY, DATA_DIR_EMPTY, DATA_DIR_EMPTY, &who), FORM_MARK);
    assert_int_equal(decide(DATA_DIR_EMPTY, DATA_DIR_FORMING, DATA_DIR_EMPTY, &who), FORM_MARK);
    assert_int_equal(decide(DATA_DIR_FORMING, DATA_DIR_EMPTY, DATA_DIR_FORMING, &who), FORM_WAIT);
    assert_string_equal(who, "b");
    assert_int_equal(decide(DATA_DIR_FORMING, DATA_DIR_FORMING, DATA_DIR_FORMING, &who),
                     FORM_BOOTSTRAP);
    assert_int_equal(decide(DATA_DIR_FORMING, DATA_DIR_FORMED, DATA_DIR_FORMING, &who),
                     FORM_BOOTSTRAP);
}

/* One that has begun has heard that all were marked; the third may be gone since, or have lost all. */
static void a_marked_node_begins_beside_one_that_has_begun(void **state)
{
    (void)state;
    const char *who;
    assert_int_equal(decide(DATA_DIR_FORMING, -1, DATA_DIR_FORMED, &who), FORM_BOOTSTRAP);
    assert_int_equal(decide(DATA_DIR_FORMING, DATA_DIR_FORMED, DATA_DIR_EMPTY, &who),
                     FORM_BOOTSTRAP);
    assert_int_equal(decide(DATA_DIR_FORMING, -1, DATA_DIR_FORMING, &who), FORM_WAIT);
}

static void an_empty_node_never_begins_beside_a_formed_one(void **state)
{
    (void)state;
    const char *who;
    assert_int_equal(decide(DATA_DIR_EMPTY, -1, DATA_DIR_FORMED, &who), FORM_TOO_LATE);
    assert_string_equal(who, "c");
    assert_int_equal(decide(DATA_DIR_EMPTY, DATA_DIR_FORMED, DATA_DIR_EMPTY, &who), FORM_TOO_LATE);
}

static void a_lone_node_forms_at_once(void **state)
{
    (void)state;
    const char *who;
    assert_int_equal(form_decide(DATA_DIR_EMPTY, NULL, 0, &who), FORM_MARK);
    assert_int_equal(form_decide(DATA_DIR_FORMING, NULL, 0, &who), FORM_BOOTSTRAP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peers_are_sorted_by_name),
        cmocka_unit_test(an_empty_line_names_nobody),
        cmocka_unit_test(what_is_no_name_and_address_is_refused_with_its_words),
        cmocka_unit_test(nobody_stands_there_twice),
        cmocka_unit_test(there_are_at_most_seven),
        cmocka_unit_test(the_cluster_id_depends_on_all_of_it_and_not_on_the_order),
        cmocka_unit_test(a_raft_id_comes_from_the_name),
        cmocka_unit_test(a_cluster_forms_when_all_founders_were_heard),
        cmocka_unit_test(a_marked_node_begins_beside_one_that_has_begun),
        cmocka_unit_test(an_empty_node_never_begins_beside_a_formed_one),
        cmocka_unit_test(a_lone_node_forms_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
