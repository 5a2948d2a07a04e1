#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"

struct log_file {
    char path[64];
    char text[64 * 1024];
};

static int open_file(void **state)
{
    struct log_file *file = calloc(1, sizeof *file);
    snprintf(file->path, sizeof file->path, "/tmp/livetea-test-log-%ld", (long)getpid());
    unlink(file->path);
    *state = file;
    return 0;
}

static int remove_file(void **state)
{
    struct log_file *file = *state;
    unlink(file->path);
    free(file);
    return 0;
}

static void start(const struct log_file *file, enum log_format format)
{
    assert_int_equal(log_open(&(struct log_options){
                         .level = LOG_INFO, .format = format, .file = file->path, .node = "tea-3"}),
                     0);
}

static const char *content(struct log_file *file)
{
    int fd = open(file->path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t len = read(fd, file->text, sizeof file->text - 1);
    assert_true(len >= 0);
    file->text[len] = '\0';
    close(fd);
    return file->text;
}

static void a_fact_is_one_line_of_text(void **state)
{
    struct log_file *file = *state;
    start(file, LOG_TEXT);
    log_info("cluster", "name=%s members=%d", "livetea", 3);
    log_warn("a line\nbreak", "%s", "reason=\"x\ny\"");
    log_error("bare", "%s", "");
    log_debug("not wanted", "x=%d", 1);
    const char *text = content(file);
    assert_true(text[2] == ':' && text[5] == ':' && text[8] == '.');
    assert_string_equal(strchr(text, ' '), strstr(text, " info  cluster name=livetea members=3\n"));
    assert_non_null(strstr(text, " warn  a line break reason=\"x y\"\n"));
    assert_non_null(strstr(text, " error bare\n"));
    assert_null(strstr(text, "not wanted"));
}

static void a_fact_is_one_object_of_json(void **state)
{
    struct log_file *file = *state;
    start(file, LOG_JSON);
    char quoted[64];
    log_quote(quoted, sizeof quoted, slice_of("a \"b\"\n\xf0\x9f\x8d\xb5\xff"));
    log_info("elected",
             "term=%d took_ms=1.5 leader=true id=007 node=tea-3 who=%s why=disk is full empty= "
             "x=\"y z\"",
             8, quoted);
    char *line = strdup(content(file));
    struct json *json = NULL;
    assert_int_equal(json_parse(&json, slice_make(line, strlen(line) - 1), NULL), 0);
    assert_non_null(strstr(line,
                           "\"level\":\"info\",\"node\":\"tea-3\",\"msg\":\"elected\",\"term\":8,"
                           "\"took_ms\":1.5,\"leader\":true,\"id\":\"007\""));
    assert_true(strncmp(line, "{\"ts\":\"", 7) == 0);
    assert_true(
        slice_is(json_slice(json_get(json, "who")), "a \"b\"\n\xf0\x9f\x8d\xb5\xef\xbf\xbd"));
    assert_true(slice_is(json_slice(json_get(json, "why")), "disk is full"));
    assert_true(json_is_string(json_get(json, "empty")));
    assert_true(slice_is(json_slice(json_get(json, "x")), "y z"));
    json_free(json);
    free(line);
}

/* Whatever is in the facts, a line of JSON is JSON. */
static void no_fact_breaks_the_json(void **state)
{
    struct log_file *file = *state;
    static const char *const facts[] = {"no key here",  "a=\"unclosed",
                                        "a=\"x\\",      "=",
                                        "a==b",         "\"",
                                        "a=\\u12 b",    "a=\xff\xfe",
                                        "a=1 1",        "a=-",
                                        "a=1.",         "a=.5",
                                        "a=1e5",        "a=99999999999999999999",
                                        "  a=1  b=2  ", "a=\x01"};
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        unlink(file->path);
        start(file, LOG_JSON);
        /* Other words each time, or they would count as repeats: their address is their name. */
        static char words[32][32];
        snprintf(words[i], sizeof words[i], "fact %zu", i);
        log_info(words[i], "%s", facts[i]);
        const char *text = content(file);
        struct json *json = NULL;
        assert_int_equal(json_parse(&json, slice_make(text, strlen(text) - 1), NULL), 0);
        assert_true(slice_is(json_slice(json_get(json, "msg")), words[i]));
        json_free(json);
    }
}

static void a_very_long_fact_is_cut_and_stays_json(void **state)
{
    struct log_file *file = *state;
    start(file, LOG_JSON);
    char *large = calloc(1, 3 * LOG_LINE_MAX);
    memset(large, '\x01', 3 * LOG_LINE_MAX - 1);
    log_info("large", "a=%s", large);
    const char *text = content(file);
    struct json *json = NULL;
    assert_int_equal(json_parse(&json, slice_make(text, strlen(text) - 1), NULL), 0);
    json_free(json);
    free(large);
}

static void what_repeats_is_not_written_again_and_again(void **state)
{
    struct log_file *file = *state;
    start(file, LOG_TEXT);
    for (int i = 0; i < 1000; i++)
        log_warn("peer away", "try=%d", i);
    log_warn("another", "%s", "");
    const char *text = content(file);
    size_t lines = 0;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    assert_int_equal(lines, LOG_REPEATS_MAX + 1);
}

static void quoted_text_fits_and_is_closed(void **state)
{
    (void)state;
    char out[12];
    for (size_t size = 3; size <= sizeof out; size++) {
        memset(out, 'x', sizeof out);
        const char *quoted = log_quote(out, size, slice_of("ab\"\xc3\xa9\xf0\x9f\x8d\xb5 more"));
        size_t len = strlen(quoted);
        assert_true(len < size);
        assert_int_equal(quoted[0], '"');
        assert_int_equal(quoted[len - 1], '"');
    }
    assert_string_equal(log_quote(out, sizeof out, slice_of("a b")), "\"a b\"");
}

static void a_log_that_cannot_be_opened_is_told(void **state)
{
    (void)state;
    assert_int_equal(log_open(&(struct log_options){.level = LOG_INFO, .file = "/nowhere/x/y"}),
                     ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_fact_is_one_line_of_text, open_file, remove_file),
        cmocka_unit_test_setup_teardown(a_fact_is_one_object_of_json, open_file, remove_file),
        cmocka_unit_test_setup_teardown(no_fact_breaks_the_json, open_file, remove_file),
        cmocka_unit_test_setup_teardown(a_very_long_fact_is_cut_and_stays_json, open_file,
                                        remove_file),
        cmocka_unit_test_setup_teardown(what_repeats_is_not_written_again_and_again, open_file,
                                        remove_file),
        cmocka_unit_test(quoted_text_fits_and_is_closed),
        cmocka_unit_test(a_log_that_cannot_be_opened_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
