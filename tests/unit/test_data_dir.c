#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "promise.h"
#include "store/data_dir.h"
#include "synced.h"

enum { NOBODY = 65534 };

static char root[64], path[128];
static struct errmsg errmsg;

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/livetea-dir-XXXXXX");
    assert_non_null(mkdtemp(root));
    snprintf(path, sizeof path, "%s/data", root);
    errmsg.text[0] = '\0';
    return 0;
}

static int teardown(void **state)
{
    char command[256];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static void put(const char *name, const char *text)
{
    char file[256];
    snprintf(file, sizeof file, "%s/%s", path, name);
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    fclose(out);
}

static void a_new_directory_is_empty_and_private(void **state)
{
    (void)state;
    struct data_dir dir;
    struct stat status;
    assert_int_equal(data_dir_open(&dir, path, "tea-1", &errmsg), 0);
    assert_int_equal(dir.state, DATA_DIR_EMPTY);
    assert_string_equal(dir.node, "tea-1");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    data_dir_close(&dir);
}

/* Also when the process that made it was cut off before it had. */
static void a_directory_is_there_after_a_power_loss(void **state)
{
    (void)state;
    struct data_dir dir;
    assert_int_equal(mkdir(path, 0700), 0);
    synced_forget();
    assert_int_equal(data_dir_open(&dir, path, "tea-1", &errmsg), 0);
    assert_true(was_synced(root));
    data_dir_close(&dir);
}

static int try_as_nobody(void)
{
    struct data_dir dir;
    if (geteuid() == 0 && setuid(NOBODY) != 0) return 99;
    int fd = open(root, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) return 98; /* it can be listed all the same */
    return data_dir_open(&dir, path, "tea-1", &errmsg);
}

static void it_may_lie_where_nothing_can_be_listed(void **state)
{
    (void)state;
    int status = 0;
    if (geteuid() == 0 && chown(root, NOBODY, NOBODY) != 0)
        skip(); /* nobody else is there to try it */
    assert_int_equal(chmod(root, 0300), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) _exit(try_as_nobody());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(chmod(root, 0700), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void marks_are_found_again(void **state)
{
    (void)state;
    struct data_dir dir;
    static const enum data_dir_state steps[] = {DATA_DIR_FORMING, DATA_DIR_FORMED, DATA_DIR_JOINING,
                                                DATA_DIR_ALONE, DATA_DIR_REMOVED};
    assert_int_equal(data_dir_open(&dir, path, "tea-1", &errmsg), 0);
    dir.raft_id = 0x0123456789abcdefu;
    memset(dir.cluster, 0xab, sizeof dir.cluster);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct data_dir again;
        dir.joined = i * UINT64_C(5000000000);
        dir.has_begun = i % 2 == 1;
        assert_int_equal(data_dir_mark(&dir, steps[i], &errmsg), 0);
        data_dir_close(&dir);
        assert_int_equal(data_dir_open(&again, path, "tea-1", &errmsg), 0);
        assert_int_equal(again.state, steps[i]);
        assert_int_equal(again.raft_id, 0x0123456789abcdefu);
        assert_memory_equal(again.cluster, dir.cluster, 16);
        assert_int_equal(again.joined, dir.joined);
        assert_int_equal(again.has_begun, dir.has_begun);
        dir = again;
    }
    data_dir_close(&dir);
}

static void two_processes_cannot_use_it(void **state)
{
    (void)state;
    struct data_dir first, second;
    assert_int_equal(data_dir_open(&first, path, "tea-1", &errmsg), 0);
    assert_int_equal(data_dir_open(&second, path, "tea-1", &errmsg), ERR_BUSY);
    assert_non_null(strstr(errmsg.text, "in use"));
    data_dir_close(&first);
    assert_int_equal(data_dir_open(&second, path, "tea-1", &errmsg), 0);
    data_dir_close(&second);
}

static void another_nodes_directory_is_refused(void **state)
{
    (void)state;
    struct data_dir dir;
    assert_int_equal(data_dir_open(&dir, path, "tea-1", &errmsg), 0);
    dir.raft_id = 1;
    assert_int_equal(data_dir_mark(&dir, DATA_DIR_FORMED, &errmsg), 0);
    data_dir_close(&dir);
    assert_int_equal(data_dir_open(&dir, path, "tea-2", &errmsg), ERR_DATA);
    assert_non_null(strstr(errmsg.text, "belongs to node tea-1"));
}

static void files_without_a_version_are_somebodys(void **state)
{
    (void)state;
    struct data_dir dir;
    assert_int_equal(mkdir(path, 0700), 0);
    put("holiday.txt", "beach");
    assert_int_equal(data_dir_open(&dir, path, "tea-1", &errmsg), ERR_DATA);
    assert_non_null(strstr(errmsg.text, "holiday.txt"));
}

static void a_directory_that_others_can_read_is_refused(void **state)
{
    (void)state;
    struct data_dir dir;
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chmod(path, 0750), 0);
    assert_int_equal(data_dir_open(&dir, path, "tea-1", &errmsg), ERR_DENIED);
    assert_non_null(strstr(errmsg.text, "chmod 700"));
}

static void a_version_that_is_none_is_refused(void **state)
{
    (void)state;
#define CLUSTER "cluster 00000000000000000000000000000000\n"
    static const char *const wrong[] = {
        "",
        "format 1\n",
        ("format x\nnode tea-1\nid 0000000000000001\n" CLUSTER "state formed\n"),
        ("format 1\nnode tea-1\nid 0000000000000000\n" CLUSTER "state formed\n"),
        ("format 1\nnode tea-1\nid 0000000000000001\ncluster 0000\nstate formed\n"),
        ("format 1\nnode tea-1\nid 0000000000000001\n" CLUSTER "state maybe\n"),
        ("format 1\nnode tea-1\nid 0000000000000001\n" CLUSTER "state empty\n"),
        ("format 1\nnode tea-1\nid 0000000000000001\n" CLUSTER "state formed\njoined x\n"),
        ("format 1\nnode tea-1\nid 0000000000000001\n" CLUSTER "state formed\nbegun 2\n"),
        ("format 1\nnode tea-1\nid 0000000000000001\n" CLUSTER "joined 7\n"),
        ("format 1\nformat 1\nnode tea-1\nid 0000000000000001\n" CLUSTER "state formed\n")};
    struct data_dir dir;
    assert_int_equal(mkdir(path, 0700), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        put("VERSION", wrong[i]);
        assert_int_equal(data_dir_open(&dir, path, "tea-1", &errmsg), ERR_FORMAT);
    }
    /* What it says is told as a line of text. */
    put("VERSION", "format 1\nnode \x1b[2Jtea\nid 0000000000000001\n" CLUSTER "state formed\n");
    assert_int_equal(data_dir_open(&dir, path, NULL, &errmsg), ERR_FORMAT);
    assert_non_null(strstr(errmsg.text, "\"node \\u001b[2Jtea\""));
    put("VERSION", "format 9\nshape round\n");
    assert_int_equal(data_dir_open(&dir, path, "tea-1", &errmsg), ERR_TOO_LARGE);
    assert_non_null(strstr(errmsg.text, "newer"));
}

static void a_key_that_is_not_known_is_passed_over(void **state)
{
    (void)state;
    struct data_dir dir;
    assert_int_equal(mkdir(path, 0700), 0);
    put("VERSION", "format 1\nnode tea-1\nid 00000000000000ff\nshape round\ncluster "
                   "000102030405060708090a0b0c0d0e0f\nstate forming\n");
    assert_int_equal(data_dir_open(&dir, path, "tea-1", &errmsg), 0);
    assert_int_equal(dir.raft_id, 255);
    assert_int_equal(dir.cluster[15], 15);
    data_dir_close(&dir);
}

static void how_to_come_back_is_said_with_names_and_places(void **state)
{
    (void)state;
    struct data_dir dir;
    char words[REJOIN_WORDS_MAX];
    assert_int_equal(data_dir_open(&dir, path, "tea-1", &errmsg), 0);
    data_dir_rejoin_words(&dir, "10.0.0.1:7000", words);
    assert_non_null(strstr(words, "members remove tea-1."));
    assert_non_null(strstr(words, "members add tea-1=10.0.0.1:7000 --promote"));
    assert_non_null(strstr(words, path));
    dir.state = DATA_DIR_REMOVED;
    data_dir_rejoin_words(&dir, "10.0.0.1:7000", words);
    assert_null(strstr(words, "members remove"));
    assert_non_null(strstr(words, "members add tea-1=10.0.0.1:7000 --promote"));
    data_dir_close(&dir);
}

static void what_a_cut_off_start_leaves_is_no_matter(void **state)
{
    (void)state;
    struct data_dir dir;
    char below[256];
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(below, sizeof below, "%s/raft", path);
    assert_int_equal(mkdir(below, 0700), 0);
    put("VERSION.new", "form");
    put("secret", "s");
    assert_int_equal(data_dir_open(&dir, path, "tea-1", &errmsg), 0);
    assert_int_equal(dir.state, DATA_DIR_EMPTY);
    assert_true(data_dir_free_bytes(&dir) > 0);
    data_dir_close(&dir);
    put("raft/open-1", "a log");
    assert_int_equal(data_dir_open(&dir, path, "tea-1", &errmsg), ERR_DATA);
}

static int fallocate_answer;

int __wrap_fallocate(int fd, int mode, off_t offset, off_t len);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t len)
{
    assert_true(fd >= 0 && mode == 0 && offset == 0 && len == 8192);
    errno = fallocate_answer;
    return fallocate_answer == 0 ? 0 : -1;
}

static void only_a_full_disk_or_quota_has_no_room(void **state)
{
    (void)state;
    static const int errors[] = {0, EIO, EINTR, EOPNOTSUPP, ENOSPC, EDQUOT};
    struct data_dir dir;
    assert_int_equal(data_dir_open(&dir, path, "tea-1", &errmsg), 0);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        fallocate_answer = errors[i];
        bool has_room = errors[i] != ENOSPC && errors[i] != EDQUOT;
        assert_int_equal(data_dir_has_room(&dir, ".", 8192), has_room);
        assert_true(data_dir_has_room(&dir, "nothing here", 8192));
    }
    data_dir_close(&dir);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_new_directory_is_empty_and_private),
        TEST(only_a_full_disk_or_quota_has_no_room),
        PROMISE_WITH("P1", a_directory_is_there_after_a_power_loss, setup, teardown),
        TEST(it_may_lie_where_nothing_can_be_listed),
        TEST(marks_are_found_again),
        TEST(two_processes_cannot_use_it),
        TEST(another_nodes_directory_is_refused),
        TEST(files_without_a_version_are_somebodys),
        TEST(a_directory_that_others_can_read_is_refused),
        TEST(a_version_that_is_none_is_refused),
        TEST(a_key_that_is_not_known_is_passed_over),
        TEST(how_to_come_back_is_said_with_names_and_places),
        TEST(what_a_cut_off_start_leaves_is_no_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
