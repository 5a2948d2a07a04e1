#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "cli/table.h"

/* A command line run in this process, with its output in memory. */
struct run {
    struct cli cli;
    char *out, *err;
    size_t out_len, err_len;
    int code;
};

static int on_echo(const struct cli *cli, int argc, char *const *argv)
{
    for (int i = 0; i < argc; i++)
        fprintf(cli->out, "<%s>", argv[i]);
    return cli_finish(cli, CLI_DONE);
}

static const struct option_spec echo_options[] = {
    {.name = "loud", .letter = 'l', .help = "Shouts."},
    {.name = "times", .argument = "N", .help = "So often."},
};
static const struct cli_command echo_command = {.name = "echo",
                                                .arguments = "[WORD ...]",
                                                .summary = "says it again",
                                                .options = echo_options,
                                                .options_count = 2,
                                                .run = on_echo};
static const struct cli_command *const commands[] = {&echo_command, &status_command, &send_command,
                                                     &tail_command};

static void run(struct run *run, char *const *environment, const char *const *words)
{
    char *argv[16] = {NULL};
    int argc = 0;
    for (; words[argc] != NULL; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    *run = (struct run){.cli = {.environment = environment,
                                .commands = commands,
                                .commands_count = sizeof commands / sizeof *commands,
                                .version = "livetea 1.2.3"}};
    run->cli.in = fopen("/dev/null", "r");
    run->cli.out = open_memstream(&run->out, &run->out_len);
    run->cli.err = open_memstream(&run->err, &run->err_len);
    run->code = cli_run(&run->cli, argc, argv);
    fclose(run->cli.in);
    fclose(run->cli.out);
    fclose(run->cli.err);
}

static void run_close(struct run *run)
{
    free(run->out);
    free(run->err);
}

#define RUN(...)   \
    struct run it; \
    run(&it, NULL, (const char *const[]){"livetea", __VA_ARGS__, NULL})

static void no_command_shows_the_short_help_and_ends_with_2(void **state)
{
    struct run it;
    (void)state;
    run(&it, NULL, (const char *const[]){"livetea", NULL});
    assert_int_equal(it.code, 2);
    assert_int_equal(it.out_len, 0);
    assert_non_null(strstr(it.err, "  echo            says it again\n"));
    run_close(&it);
}

static void help_goes_to_the_output(void **state)
{
    (void)state;
    RUN("--help");
    assert_int_equal(it.code, 0);
    assert_non_null(strstr(it.out, "Usage: livetea COMMAND"));
    run_close(&it);
}

static void a_command_has_help_of_its_own(void **state)
{
    const char *const ways[][3] = {
        {"help", "echo", NULL}, {"echo", "--help", NULL}, {"echo", "-h", NULL}};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        RUN(ways[i][0], ways[i][1]);
        assert_int_equal(it.code, 0);
        assert_non_null(strstr(it.out, "Usage: livetea echo [WORD ...]\n"));
        assert_non_null(strstr(it.out, "  -l, --loud                  Shouts.\n"));
        assert_non_null(strstr(it.out, "      --times N               So often.\n"));
        run_close(&it);
    }
}

static void a_misspelt_command_is_told_the_nearest_one(void **state)
{
    (void)state;
    RUN("stauts");
    assert_int_equal(it.code, 2);
    assert_non_null(strstr(it.err, "unknown command 'stauts'. Did you mean 'status'?"));
    run_close(&it);
}

static void the_version_is_a_line(void **state)
{
    (void)state;
    RUN("-V");
    assert_string_equal(it.out, "livetea 1.2.3\n");
    assert_int_equal(it.code, 0);
    run_close(&it);
}

static void words_reach_the_command(void **state)
{
    (void)state;
    RUN("echo", "a", "--", "--help");
    assert_string_equal(it.out, "<a><--><--help>");
    run_close(&it);
}

static void bad_options_end_with_2(void **state)
{
    (void)state;
    {
        RUN("status", "--wacth");
        assert_int_equal(it.code, 2);
        assert_non_null(strstr(it.err, "unknown option '--wacth'. Did you mean '--watch'?"));
        run_close(&it);
    }
    {
        RUN("status", "-o", "xml");
        assert_int_equal(it.code, 2);
        run_close(&it);
    }
    {
        RUN("send");
        assert_int_equal(it.code, 2);
        assert_non_null(strstr(it.err, "which room?"));
        run_close(&it);
    }
    {
        RUN("tail", "lobby", "--lines", "501");
        assert_int_equal(it.code, 2);
        run_close(&it);
    }
    {
        RUN("status", "-n", "https://tea.example");
        assert_int_equal(it.code, 2);
        assert_non_null(strstr(it.err, "speaks no TLS"));
        run_close(&it);
    }
}

static void a_node_that_is_not_there_ends_with_4(void **state)
{
    /* Port 1 of this machine: nobody listens there. */
    static char node[] = "LIVETEA_NODE=http://127.0.0.1:1", user[] = "USER=kari";
    char *environment[] = {node, user, NULL};
    struct run it;
    (void)state;
    run(&it, environment, (const char *const[]){"livetea", "status", NULL});
    assert_int_equal(it.code, 4);
    assert_non_null(strstr(it.err, "http://127.0.0.1:1"));
    run_close(&it);
    run(&it, environment, (const char *const[]){"livetea", "send", "lobby", "hello", NULL});
    assert_int_equal(it.code, 4);
    run_close(&it);
    run(&it, environment, (const char *const[]){"livetea", "status", "--ready", NULL});
    assert_int_equal(it.code, 4);
    assert_int_equal(it.out_len, 0);
    run_close(&it);
}

/* ---- options ---- */

static int next(struct options *options, const char **value, struct errmsg *errmsg)
{
    return options_next(options, echo_options, 2, value, errmsg);
}

static void options_have_many_forms(void **state)
{
    char *argv[] = {(char[]){"--times"}, (char[]){"3"},  (char[]){"--times=4"}, (char[]){"-l"},
                    (char[]){"word"},    (char[]){"--"}, (char[]){"--loud"}};
    struct options options = {.argc = 7, .argv = argv};
    const char *value;
    (void)state;
    assert_int_equal(next(&options, &value, NULL), 1);
    assert_string_equal(value, "3");
    assert_int_equal(next(&options, &value, NULL), 1);
    assert_string_equal(value, "4");
    assert_int_equal(next(&options, &value, NULL), 0);
    assert_null(value);
    assert_int_equal(next(&options, &value, NULL), OPTIONS_WORD);
    assert_string_equal(value, "word");
    assert_int_equal(next(&options, &value, NULL), OPTIONS_WORD);
    assert_string_equal(value, "--loud");
    assert_int_equal(next(&options, &value, NULL), OPTIONS_END);
}

static void options_are_never_abbreviated(void **state)
{
    char *argv[] = {(char[]){"--lou"}, (char[]){"--loud=1"}, (char[]){"-x"}, (char[]){"--times"}};
    struct options options = {.argc = 4, .argv = argv};
    struct errmsg errmsg;
    const char *value;
    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(next(&options, &value, &errmsg), OPTIONS_BAD);
    assert_string_equal(errmsg.text, "'--times' needs a value: N");
}

static void a_swap_of_neighbours_is_one_step(void **state)
{
    (void)state;
    assert_int_equal(options_distance(slice_of("perrs"), slice_of("peers")), 1);
    assert_int_equal(options_distance(slice_of("lisetn"), slice_of("listen")), 1);
    assert_int_equal(options_distance(slice_of(""), slice_of("abc")), 3);
    assert_int_equal(options_distance(slice_of("abc"), slice_of("abc")), 0);
    assert_int_equal(options_distance(slice_of("kitten"), slice_of("sitting")), 3);
}

/* ---- tables ---- */

static void a_table_is_as_wide_as_its_cells(void **state)
{
    const struct table_column columns[] = {
        {.title = "NODE", .width_min = 6}, {.title = "N", .is_right = true}, {.title = "ROOM"}};
    struct table table;
    struct buf out;
    (void)state;
    buf_init(&out, 4096);
    table_init(&table, columns, 3);
    assert_true(table_row(&table));
    table_set(&table, 0, slice_of("tea-1"));
    table_set(&table, 1, slice_of("12345"));
    assert_true(table_row(&table));
    table_set(&table, 0, slice_of("bl\xc3\xa5"));
    table_set(&table, 1, slice_of("7"));
    table_set(&table, 2, slice_of("lobby"));
    table_print(&table, &out);
    buf_add_char(&out, '\0');
    assert_string_equal(out.at, "NODE        N  ROOM\n"
                                "tea-1   12345  -\n"
                                "bl\xc3\xa5         7  lobby\n");
    table_close(&table);
    buf_close(&out);
}

static void nothing_of_strangers_steers_a_terminal(void **state)
{
    struct buf out;
    (void)state;
    buf_init(&out, 4096);
    table_add_plain(&out, slice_of("a\033[2Jb\nc\td\xe2\x80\xae"
                                   "e\xc2\x9b"
                                   "f\xff"));
    buf_add_char(&out, '\0');
    assert_string_equal(out.at, "a?[2Jb?c d?e?f?");
    buf_close(&out);
}

static void ages_and_sizes_are_short(void **state)
{
    struct buf out;
    (void)state;
    buf_init(&out, 4096);
    const uint64_t seconds[] = {41, 11 * 60 + 5, 3 * 3600 + 5 * 60, 6 * 86400 + 4 * 3600};
    for (size_t i = 0; i < 4; i++) {
        table_add_age(&out, seconds[i]);
        buf_add_char(&out, '|');
    }
    const uint64_t bytes[] = {512, 222298112, 3ull << 30};
    for (size_t i = 0; i < 3; i++) {
        table_add_bytes(&out, bytes[i]);
        buf_add_char(&out, '|');
    }
    buf_add_char(&out, '\0');
    assert_string_equal(out.at, "41s|11m|3h 5m|6d 4h|0 kB|212 MB|3.0 GB|");
    buf_close(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_command_shows_the_short_help_and_ends_with_2),
        cmocka_unit_test(help_goes_to_the_output),
        cmocka_unit_test(a_command_has_help_of_its_own),
        cmocka_unit_test(a_misspelt_command_is_told_the_nearest_one),
        cmocka_unit_test(the_version_is_a_line),
        cmocka_unit_test(words_reach_the_command),
        cmocka_unit_test(bad_options_end_with_2),
        cmocka_unit_test(a_node_that_is_not_there_ends_with_4),
        cmocka_unit_test(options_have_many_forms),
        cmocka_unit_test(options_are_never_abbreviated),
        cmocka_unit_test(a_swap_of_neighbours_is_one_step),
        cmocka_unit_test(a_table_is_as_wide_as_its_cells),
        cmocka_unit_test(nothing_of_strangers_steers_a_terminal),
        cmocka_unit_test(ages_and_sizes_are_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
