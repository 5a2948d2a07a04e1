#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/backup.h"

static const struct backup_head example = {.cluster = {1, 2, 3},
                                           .number = 48213,
                                           .at_ms = 1763886771204,
                                           .digest = {.bytes = {9, 8, 7}},
                                           .node = "tea-1",
                                           .cluster_name = "livetea",
                                           .members = "tea-1=10.0.0.11:7000"};

static struct buf encoded(const struct backup_head *head)
{
    struct buf bytes;
    buf_init(&bytes, BACKUP_HEAD_MAX);
    backup_head_encode(&bytes, head);
    assert_false(bytes.overflowed);
    return bytes;
}

static void what_is_written_is_read(void **state)
{
    struct backup_head head;
    struct errmsg errmsg;
    struct buf bytes = encoded(&example);
    (void)state;
    assert_int_equal(backup_head_size(slice_first(buf_slice(&bytes), BACKUP_HEAD_FIXED), &errmsg),
                     bytes.len);
    buf_add(&bytes, slice_of("and events behind it"));
    assert_int_equal(backup_head_decode(&head, buf_slice(&bytes), &errmsg), 0);
    assert_memory_equal(head.cluster, example.cluster, 16);
    assert_true(head.number == example.number && head.at_ms == example.at_ms);
    assert_memory_equal(&head.digest, &example.digest, sizeof head.digest);
    assert_string_equal(head.node, "tea-1");
    assert_string_equal(head.cluster_name, "livetea");
    assert_string_equal(head.members, "tea-1=10.0.0.11:7000");
    buf_close(&bytes);
}

static void the_longest_head_fits(void **state)
{
    struct backup_head head = example, again;
    (void)state;
    memset(head.node, 'n', sizeof head.node - 1);
    memset(head.cluster_name, 'c', sizeof head.cluster_name - 1);
    memset(head.members, 'm', sizeof head.members - 1);
    struct buf bytes = encoded(&head);
    assert_int_equal(backup_head_decode(&again, buf_slice(&bytes), NULL), 0);
    assert_string_equal(again.members, head.members);
    buf_close(&bytes);
}

static void a_head_cut_at_any_byte_is_refused_with_a_sentence(void **state)
{
    struct buf bytes = encoded(&example);
    (void)state;
    for (size_t len = 0; len < bytes.len; len++) {
        struct backup_head head;
        struct errmsg errmsg = {.text = ""};
        /* A copy of its own, so that a sanitizer sees who reads behind it. */
        char *cut = malloc(len + 1);
        memcpy(cut, bytes.at, len);
        assert_int_equal(backup_head_decode(&head, slice_make(cut, len), &errmsg), ERR_FORMAT);
        assert_true(strlen(errmsg.text) > 10);
        free(cut);
    }
    buf_close(&bytes);
}

static void a_head_with_any_bit_flipped_is_refused(void **state)
{
    struct buf bytes = encoded(&example);
    (void)state;
    for (size_t bit = 0; bit < 8 * bytes.len; bit++) {
        struct backup_head head;
        struct errmsg errmsg = {.text = ""};
        bytes.at[bit / 8] = (char)(bytes.at[bit / 8] ^ (1 << bit % 8));
        assert_int_equal(backup_head_decode(&head, buf_slice(&bytes), &errmsg), ERR_FORMAT);
        assert_true(strlen(errmsg.text) > 10);
        bytes.at[bit / 8] = (char)(bytes.at[bit / 8] ^ (1 << bit % 8));
    }
    buf_close(&bytes);
}

static void a_newer_version_is_called_newer(void **state)
{
    struct backup_head head;
    struct errmsg errmsg;
    struct buf bytes = encoded(&example);
    (void)state;
    bytes.at[8] = 2;
    assert_int_equal(backup_head_decode(&head, buf_slice(&bytes), &errmsg), ERR_FORMAT);
    assert_non_null(strstr(errmsg.text, "version 2"));
    assert_non_null(strstr(errmsg.text, "newer"));
    buf_close(&bytes);
    assert_int_equal(backup_head_decode(&head, slice_of("{\"number\":1, no backup}"), &errmsg),
                     ERR_FORMAT);
    assert_non_null(strstr(errmsg.text, "no backup"));
}

static void the_end_is_that_of_its_head(void **state)
{
    char end[BACKUP_END_SIZE];
    struct backup_head other = example;
    struct errmsg errmsg = {.text = ""};
    (void)state;
    backup_end_encode(end, &example);
    assert_int_equal(backup_end_check(&example, slice_make(end, sizeof end), &errmsg), 0);
    for (size_t len = 0; len < sizeof end; len++) {
        assert_int_equal(backup_end_check(&example, slice_make(end, len), &errmsg), ERR_FORMAT);
        assert_non_null(strstr(errmsg.text, "end is missing"));
    }
    for (size_t bit = 0; bit < 8 * sizeof end; bit++) {
        end[bit / 8] = (char)(end[bit / 8] ^ (1 << bit % 8));
        assert_int_equal(backup_end_check(&example, slice_make(end, sizeof end), &errmsg),
                         ERR_FORMAT);
        assert_non_null(strstr(errmsg.text, "damaged"));
        end[bit / 8] = (char)(end[bit / 8] ^ (1 << bit % 8));
    }
    other.number++;
    assert_int_equal(backup_end_check(&other, slice_make(end, sizeof end), &errmsg), ERR_FORMAT);
    assert_non_null(strstr(errmsg.text, "another history"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(the_longest_head_fits),
        cmocka_unit_test(a_head_cut_at_any_byte_is_refused_with_a_sentence),
        cmocka_unit_test(a_head_with_any_bit_flipped_is_refused),
        cmocka_unit_test(a_newer_version_is_called_newer),
        cmocka_unit_test(the_end_is_that_of_its_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
