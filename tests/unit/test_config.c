#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/secret.h"
#include "app/settings.h"

#define SECRET_LINE "0123456789012345678901234567890123456789\n"

struct fixture {
    char dir[64];
    char file[128], secret[128], data_dir[128];
    char line_dir[160], line_secret[160]; /* for the environment */
    char *environment[8];
    char *arguments[16];
    int argc;
    struct config config;
    struct buf errors, warnings;
};

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    snprintf(fixture->dir, sizeof fixture->dir, "/tmp/livetea-config-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    snprintf(fixture->file, sizeof fixture->file, "%s/tea.conf", fixture->dir);
    snprintf(fixture->secret, sizeof fixture->secret, "%s/secret", fixture->dir);
    snprintf(fixture->data_dir, sizeof fixture->data_dir, "%s/data", fixture->dir);
    snprintf(fixture->line_dir, sizeof fixture->line_dir, "STATE_DIRECTORY=%s", fixture->data_dir);
    snprintf(fixture->line_secret, sizeof fixture->line_secret, "CREDENTIALS_DIRECTORY=%s",
             fixture->dir);
    write_file(fixture->secret, SECRET_LINE, 0600);
    fixture->environment[0] = fixture->line_dir;
    fixture->environment[1] = fixture->line_secret;
    static char option[] = "-c", name[] = "--node-name", value[] = "tea-1";
    fixture->arguments[0] = option;
    fixture->arguments[1] = fixture->file;
    fixture->arguments[2] = name;
    fixture->arguments[3] = value;
    fixture->argc = 4;
    buf_init(&fixture->errors, 64 * 1024);
    buf_init(&fixture->warnings, 64 * 1024);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    unlink(fixture->file);
    unlink(fixture->secret);
    rmdir(fixture->dir);
    buf_close(&fixture->errors);
    buf_close(&fixture->warnings);
    free(fixture);
    return 0;
}

static int load(struct fixture *fixture, const char *text)
{
    struct config_input input = {
        .argc = fixture->argc, .argv = fixture->arguments, .environment = fixture->environment};
    write_file(fixture->file, text, 0644);
    buf_reset(&fixture->errors);
    buf_reset(&fixture->warnings);
    int rv = config_load(&fixture->config, &input, &fixture->errors, &fixture->warnings);
    buf_add_char(&fixture->errors, '\0');
    buf_add_char(&fixture->warnings, '\0');
    return rv;
}

static void give(struct fixture *fixture, const char *argument)
{
    fixture->arguments[fixture->argc++] = (char *)(uintptr_t)argument;
}

static void assert_loads(struct fixture *fixture, const char *text)
{
    if (load(fixture, text) != 0) fail_msg("%s", fixture->errors.at);
}

static void assert_error(struct fixture *fixture, const char *text, const char *words)
{
    assert_int_equal(load(fixture, text), ERR_CONFIG);
    if (strstr(fixture->errors.at, words) == NULL)
        fail_msg("'%s' is not in:\n%s", words, fixture->errors.at);
}

/* ---- values ---- */

static void durations_have_units(void **state)
{
    uint64_t ms;
    (void)state;
    assert_true(setting_duration(slice_of("250ms"), &ms) && ms == 250);
    assert_true(setting_duration(slice_of("30s"), &ms) && ms == 30000);
    assert_true(setting_duration(slice_of("5m"), &ms) && ms == 300000);
    assert_true(setting_duration(slice_of("1h"), &ms) && ms == 3600000);
    assert_true(setting_duration(slice_of("0"), &ms) && ms == 0);
    assert_false(setting_duration(slice_of("5"), &ms));
    assert_false(setting_duration(slice_of("5 s"), &ms));
    assert_false(setting_duration(slice_of("-5s"), &ms));
    assert_false(setting_duration(slice_of("s"), &ms));
    assert_false(setting_duration(slice_of("9999999999999999999h"), &ms));
}

static void sizes_are_binary(void **state)
{
    uint64_t bytes;
    (void)state;
    assert_true(setting_size(slice_of("64KiB"), &bytes) && bytes == 65536);
    assert_true(setting_size(slice_of("1GiB"), &bytes) && bytes == 1073741824);
    assert_true(setting_size(slice_of("512"), &bytes) && bytes == 512);
    assert_false(setting_size(slice_of("1GB"), &bytes));
    assert_false(setting_size(slice_of("1.5GiB"), &bytes));
    assert_false(setting_size(slice_of("9999999999999TiB"), &bytes));
}

static void addresses_are_host_and_port(void **state)
{
    (void)state;
    assert_null(setting_address_problem(slice_of("127.0.0.1:4000")));
    assert_null(setting_address_problem(slice_of("tea-1.example:1")));
    assert_null(setting_address_problem(slice_of("[::1]:65535")));
    assert_null(setting_address_problem(slice_of(":4000")));
    assert_string_equal(setting_address_problem(slice_of("0.0.0.0:99999")),
                        "port must be 1 to 65535");
    assert_non_null(setting_address_problem(slice_of("127.0.0.1")));
    assert_non_null(setting_address_problem(slice_of("127.0.0.1:0")));
    assert_non_null(setting_address_problem(slice_of("::1:4000")));
    assert_non_null(setting_address_problem(slice_of("a b:4000")));
    assert_non_null(setting_address_problem(slice_of("")));
}

/* ---- layers ---- */

static void an_option_wins_over_environment_file_and_default(void **state)
{
    struct fixture *fixture = *state;
    static char rate[] = "LIVETEA_CHAT_RATE=7", window[] = "LIVETEA_CHAT_RATE_WINDOW=20s";
    fixture->environment[2] = rate;
    fixture->environment[3] = window;
    give(fixture, "--chat-rate=8");
    assert_loads(fixture, "[chat]\nrate = 6\nrate_window = 30s\nmessage_max = 100\n");
    assert_int_equal(fixture->config.chat.rate, 8);
    assert_int_equal(fixture->config.chat.rate_window_ms, 20000);
    assert_int_equal(fixture->config.chat.message_max, 100);
    assert_int_equal(fixture->config.cluster.heartbeat_ms, 40);
}

static void what_holds_is_shown_with_where_it_comes_from(void **state)
{
    struct fixture *fixture = *state;
    static char rate[] = "LIVETEA_CHAT_RATE=7";
    struct buf out;
    fixture->environment[2] = rate;
    assert_loads(fixture, "\n[chat]\nmessage_max = 100\n");
    buf_init(&out, 64 * 1024);
    config_show(&out, &fixture->config);
    buf_add_char(&out, '\0');
    assert_non_null(strstr(out.at, "; LIVETEA_CHAT_RATE\n"));
    assert_non_null(strstr(out.at, "tea.conf:3\n"));
    assert_non_null(strstr(out.at, "; --node-name\n"));
    assert_non_null(strstr(out.at, "; default\n"));
    buf_close(&out);
}

static void what_is_not_set_is_derived(void **state)
{
    struct fixture *fixture = *state;
    assert_loads(fixture, "[http]\nlisten = 127.0.0.1:4009\n");
    assert_string_equal(fixture->config.http.public_url, "http://127.0.0.1:4009");
    assert_string_equal(fixture->config.node.data_dir, fixture->data_dir);
    assert_string_equal(fixture->config.node.secret_file, fixture->secret);
    assert_string_equal(fixture->config.cluster.listen, "127.0.0.1:7000");
    assert_string_equal(fixture->config.cluster.advertise, "127.0.0.1:7000");
    assert_in_range(fixture->config.http.threads, 1, HTTP_THREADS_MAX);
    assert_int_equal(fixture->config.cluster.peers_count, 0);
}

static void the_default_file_sets_the_defaults(void **state)
{
    struct fixture *fixture = *state;
    struct buf file, set, bare, shown;
    buf_init(&file, 64 * 1024);
    buf_init(&set, 64 * 1024);
    buf_init(&bare, 64 * 1024);
    buf_init(&shown, 64 * 1024);
    config_default_file(&file);
    struct slice rest = buf_slice(&file);
    size_t keys = 0;
    while (rest.len > 0) { /* take the '#' before each key away */
        struct slice line = slice_cut(&rest, '\n');
        bool is_key = line.len > 1 && line.at[0] == '#' && line.at[1] != ' ';
        keys += is_key;
        buf_add(&set, is_key ? slice_skip(line, 1) : line);
        buf_add_char(&set, '\n');
    }
    buf_add_char(&set, '\0');
    assert_int_equal(keys, settings_count);
    assert_loads(fixture, "");
    for (size_t i = 0; i < settings_count; i++)
        setting_show(&bare, &fixture->config, &settings[i]);
    assert_loads(fixture, set.at);
    for (size_t i = 0; i < settings_count; i++)
        setting_show(&shown, &fixture->config, &settings[i]);
    assert_true(slice_equal(buf_slice(&bare), buf_slice(&shown)));
    buf_close(&file);
    buf_close(&set);
    buf_close(&bare);
    buf_close(&shown);
}

/* ---- what is wrong ---- */

static void an_unknown_key_is_told_with_the_nearest_one(void **state)
{
    struct fixture *fixture = *state;
    assert_error(fixture, "[cluster]\n\nperrs = x\n",
                 "tea.conf:3: [cluster] unknown key 'perrs'. Did you mean 'peers'?\n");
    assert_error(fixture, "[http]\nrate = 3\n", "unknown key 'rate'. It belongs to [chat]\n");
    assert_error(fixture, "[htpp]\nlisten = :1\n",
                 "tea.conf:2: unknown section [htpp]. Did you mean [http]?\n");
    assert_error(fixture, "listen = :1\n", "tea.conf:1: a key before the first [section]\n");
}

static void a_bad_value_is_told_with_its_place_and_reason(void **state)
{
    struct fixture *fixture = *state;
    assert_error(fixture, "[http]\nlisten = 0.0.0.0:99999\n",
                 "tea.conf:2: [http] listen = 0.0.0.0:99999: port must be 1 to 65535\n");
    assert_error(fixture, "[chat]\nmessage_max = 4001\n", "must be 1 to 4000\n");
    assert_error(fixture, "[log]\nlevel = loud\n", "must be one of error warn info debug\n");
    assert_error(fixture, "[http]\nbehind_proxy = maybe\n", "must be true or false\n");
    assert_error(fixture, "[http]\npublic_url = tea.example\n", "must be http://HOST[:PORT]");
    assert_error(fixture, "[http]\npublic_url = http://tea.example/x\n", "nothing behind it\n");
}

static void everything_that_is_wrong_is_told_at_once(void **state)
{
    struct fixture *fixture = *state;
    give(fixture, "--chat-raet");
    give(fixture, "--chat-message-max=0");
    assert_error(fixture, "[http]\nlisten = x\njunk\n[nowhere]\na = 1\nb = 2\n",
                 "tea.conf:2: [http] listen = x: ");
    assert_non_null(strstr(fixture->errors.at, "tea.conf:3: neither [section] nor key = value\n"));
    assert_non_null(strstr(fixture->errors.at, "tea.conf:5: unknown section [nowhere]"));
    assert_null(strstr(fixture->errors.at, "tea.conf:6"));
    assert_non_null(strstr(fixture->errors.at, "unknown option '--chat-raet'. Did you mean "
                                               "'--chat-rate'?\n"));
    assert_non_null(strstr(fixture->errors.at, "--chat-message-max 0: must be 1 to 4000\n"));
}

static void a_key_is_set_once(void **state)
{
    struct fixture *fixture = *state;
    assert_error(fixture, "[chat]\nrate = 1\nrate = 2\n",
                 "tea.conf:3: [chat] rate was set in line 2 already\n");
}

static void a_missing_file_is_an_error_when_it_was_named(void **state)
{
    struct fixture *fixture = *state;
    struct config_input input = {
        .argc = fixture->argc, .argv = fixture->arguments, .environment = fixture->environment};
    assert_int_equal(config_load(&fixture->config, &input, &fixture->errors, &fixture->warnings),
                     ERR_CONFIG);
    buf_add_char(&fixture->errors, '\0');
    assert_non_null(strstr(fixture->errors.at, "tea.conf: No such file"));
}

static void a_variable_that_nobody_knows_is_a_warning(void **state)
{
    struct fixture *fixture = *state;
    static char port[] = "LIVETEA_PORT=tcp://10.0.0.1:4000";
    fixture->environment[2] = port;
    assert_loads(fixture, "");
    assert_string_equal(fixture->warnings.at, "LIVETEA_PORT: no setting has this name\n");
}

/* ---- the file's lines ---- */

static void a_list_goes_on_in_indented_lines_and_however_long_they_are(void **state)
{
    struct fixture *fixture = *state;
    struct buf text;
    buf_init(&text, 8 * 1024);
    buf_add(&text, slice_of("[cluster]\npeers = tea-1=127.0.0.1:7001,\n"));
    buf_add_char(&text, '\t');
    for (int i = 2; i <= 7; i++)
        buf_printf(&text,
                   "%stea-%d=machine-%d.with-a-rather-long-name.in-some-far-away-place.example"
                   ":7000",
                   i == 2 ? "" : ", ", i, i);
    buf_add_char(&text, '\n');
    buf_add_char(&text, '\0');
    assert_true(text.len > 400);
    assert_loads(fixture, text.at);
    assert_int_equal(fixture->config.cluster.peers_count, 7);
    assert_string_equal(fixture->config.cluster.peers[6].name, "tea-7");
    assert_string_equal(fixture->config.cluster.advertise, "127.0.0.1:7001");
    assert_string_equal(fixture->config.cluster.listen, "127.0.0.1:7001");
    buf_close(&text);
}

static void long_remarks_and_blank_lines_are_no_matter(void **state)
{
    struct fixture *fixture = *state;
    struct buf text;
    buf_init(&text, 8 * 1024);
    buf_printf(&text, "# %0500d\n%500s\n[chat]\nrate = 3\n  ; %0500d\n%500s\n", 7, "", 7, "");
    buf_add_char(&text, '\0');
    assert_loads(fixture, text.at);
    assert_int_equal(fixture->config.chat.rate, 3);
    buf_close(&text);
}

static void an_endless_word_is_too_long(void **state)
{
    struct fixture *fixture = *state;
    struct buf text;
    buf_init(&text, 8 * 1024);
    buf_printf(&text, "[log]\nfile = /%0500d\n[nowhere]\na = 1\n", 7);
    buf_add_char(&text, '\0');
    assert_error(fixture, text.at, "tea.conf:2: this line is too long\n");
    assert_non_null(strstr(fixture->errors.at, "tea.conf:4: unknown section [nowhere]\n"));
    buf_close(&text);
}

static void an_indented_line_behind_what_is_no_list_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    assert_error(fixture, "[chat]\nrate = 1\n  rate_window = 5s\n",
                 "tea.conf:3: an indented line goes on with [chat] rate, which is no list\n");
}

static void remarks_ends_of_lines_and_byte_order_marks_are_no_matter(void **state)
{
    struct fixture *fixture = *state;
    assert_loads(fixture, "\xef\xbb\xbf; remark\r\n[chat]\r\n\r\n# another\r\n"
                          "rate = 3 ; and one more\r\n");
    assert_int_equal(fixture->config.chat.rate, 3);
}

/* ---- what must fit ---- */

static void a_remark_behind_a_value_begins_with_a_semicolon(void **state)
{
    struct fixture *fixture = *state;
    assert_loads(fixture, "[node]\ndata_dir = /tmp/tea;1 ; ours\n");
    assert_string_equal(fixture->config.node.data_dir, "/tmp/tea;1");
    assert_error(fixture, "[node]\ndata_dir = /tmp/tea # ours\n",
                 ":2: [node] data_dir = /tmp/tea # ours: a remark behind a value begins with ';'");
    assert_error(fixture, "[store]\nkeep_log = 8192\t# as ever\n", "remark behind a value");
    assert_error(fixture, "[log]\nfile = # none\n", "remark behind a value");
    assert_error(fixture, "[cluster]\njoin = tea-2=10.0.0.2:7000, # here\n tea-3=10.0.0.3:7000\n",
                 ":2: [cluster] join");
    assert_loads(fixture, "[node]\ndata_dir = /tmp/tea#1\n[ui]\ntitle = Tea # 1\n");
    assert_string_equal(fixture->config.node.data_dir, "/tmp/tea#1");
    assert_string_equal(fixture->config.ui.title, "Tea # 1");
}

/* A block of operations.md is indented by four, and one with settings begins with a [section]. */
static void what_operations_md_shows_can_be_loaded(void **state)
{
    struct fixture *fixture = *state;
    char line[1024], text[4096] = "";
    int blocks = 0;
    bool goes_on = true;
    FILE *file = fopen(OPERATIONS, "re");
    assert_non_null(file);
    give(fixture, "--node-secret-file");
    give(fixture, fixture->secret);
    while (goes_on) {
        goes_on = fgets(line, sizeof line, file) != NULL;
        bool is_block = goes_on && strncmp(line, "    ", 4) == 0;
        if (is_block && (text[0] != '\0' || line[4] == '[')) {
            strncat(text, line + 4, sizeof text - strlen(text) - 1);
        } else if (text[0] != '\0' && (!goes_on || line[0] != '\n')) {
            assert_loads(fixture, text);
            blocks++;
            text[0] = '\0';
        }
    }
    fclose(file);
    assert_int_equal(blocks, 2);
}

static void orders_for_a_terminal_are_no_settings(void **state)
{
    struct fixture *fixture = *state;
    assert_error(fixture, "[chat]\n\x1b[31mrate = 3\n", "no text file");
    assert_error(fixture, "[chat]\nrate\x7f = 3\n", "no text file");
    assert_error(fixture, "[chat]\nrate = 3\rx = 4\n", "no text file");
    assert_loads(fixture, "[chat]\n\trate\t=\t3\r\n");
}

static void peers_name_this_node(void **state)
{
    struct fixture *fixture = *state;
    assert_error(fixture, "[cluster]\npeers = tea-2=a:1, tea-3=b:1\n",
                 "this node, tea-1, is not among them\n");
    assert_error(fixture, "[cluster]\npeers = tea-1\n", "tea.conf:2: [cluster] peers = tea-1: ");
}

static void an_election_waits_for_ten_heartbeats(void **state)
{
    struct fixture *fixture = *state;
    assert_error(fixture, "[cluster]\nheartbeat = 41ms\n",
                 "[cluster] election_timeout = 400ms: must be at least 10 times the heartbeat\n");
    assert_error(fixture, "[cluster]\nheartbeat = 15ms\nelection_timeout = 150ms\n",
                 "choose another pair\n");
}

static void who_joins_names_members_and_has_their_secret(void **state)
{
    struct fixture *fixture = *state;
    const char *join = "[cluster]\njoin = tea-8=10.0.0.8:7000, tea-9=10.0.0.9:7000\n";
    assert_loads(fixture, join);
    assert_string_equal(fixture->config.cluster.join, "tea-8=10.0.0.8:7000, tea-9=10.0.0.9:7000");
    assert_int_equal(fixture->config.cluster.peers_count, 0);
    assert_error(fixture, "[cluster]\njoin = tea-9=10.0.0.9\n",
                 "[cluster] join = tea-9=10.0.0.9: \"tea-9=10.0.0.9\" is not name=host:port\n");
    assert_error(fixture, "[cluster]\njoin = tea-9=10.0.0.9:7000\npeers = tea-1=127.0.0.1:7000\n",
                 "either one of the first (peers) or joins later\n");
    unlink(fixture->secret);
    assert_error(fixture, join, "[node] secret_file: ");
}

static void a_cluster_needs_a_secret_that_others_cannot_read(void **state)
{
    struct fixture *fixture = *state;
    const char *peers = "[cluster]\npeers = tea-1=127.0.0.1:7001, tea-2=127.0.0.1:7002, "
                        "tea-3=127.0.0.1:7003\n";
    assert_loads(fixture, peers);
    chmod(fixture->secret, 0640);
    assert_error(fixture, peers, "mode 0640 lets others read it");
    unlink(fixture->secret);
    assert_error(fixture, peers, "[node] secret_file: ");
    assert_loads(fixture, ""); /* a lone node makes its own */
}

static void a_proxy_needs_a_public_url(void **state)
{
    struct fixture *fixture = *state;
    assert_error(fixture, "[http]\nbehind_proxy = true\n", "needs public_url");
    assert_loads(fixture, "[http]\nbehind_proxy = true\npublic_url = https://tea.example/\n");
    assert_string_equal(fixture->config.http.public_url, "https://tea.example");
}

static void two_addresses_are_not_the_same(void **state)
{
    struct fixture *fixture = *state;
    assert_error(fixture, "[cluster]\nlisten = 127.0.0.1:4000\n", "the same as an address of");
    assert_error(fixture, "[http]\nadmin_listen = 127.0.0.1:4000\n", "the same as listen");
}

/* ---- secrets ---- */

static void a_secret_may_have_its_predecessor_behind_it(void **state)
{
    struct fixture *fixture = *state;
    struct secret secret;
    struct errmsg errmsg;
    write_file(fixture->secret, SECRET_LINE "\nabcdefghijabcdefghijabcdefghijabcdefghij", 0600);
    assert_int_equal(secret_read(&secret, fixture->secret, &errmsg), 0);
    assert_int_equal(secret.count, 2);
    assert_true(slice_is(secret_slice(&secret, 0), "0123456789012345678901234567890123456789"));
    assert_true(slice_is(secret_slice(&secret, 1), "abcdefghijabcdefghijabcdefghijabcdefghij"));
}

static void what_is_no_secret_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct secret secret;
    struct errmsg errmsg;
    const char *const bad[] = {"", "\n\n", "short\n", SECRET_LINE SECRET_LINE SECRET_LINE,
                               "with blanks 0123456789012345678901234567890123456789\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file(fixture->secret, bad[i], 0600);
        assert_int_equal(secret_read(&secret, fixture->secret, &errmsg), ERR_FORMAT);
    }
    write_file(fixture->secret, SECRET_LINE, 0604);
    assert_int_equal(secret_read(&secret, fixture->secret, &errmsg), ERR_DENIED);
    assert_int_equal(secret_read(&secret, fixture->dir, &errmsg), ERR_FORMAT);
}

static void a_lone_node_makes_its_secret_once(void **state)
{
    struct fixture *fixture = *state;
    struct secret first, second;
    struct errmsg errmsg;
    struct stat about;
    unlink(fixture->secret);
    assert_int_equal(secret_read_or_make(&first, fixture->secret, &errmsg), 0);
    assert_int_equal(stat(fixture->secret, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    assert_int_equal(secret_read_or_make(&second, fixture->secret, &errmsg), 0);
    assert_true(slice_equal(secret_slice(&first, 0), secret_slice(&second, 0)));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_have_units),
        cmocka_unit_test(sizes_are_binary),
        cmocka_unit_test(addresses_are_host_and_port),
        TEST(an_option_wins_over_environment_file_and_default),
        TEST(what_holds_is_shown_with_where_it_comes_from),
        TEST(what_is_not_set_is_derived),
        TEST(the_default_file_sets_the_defaults),
        TEST(an_unknown_key_is_told_with_the_nearest_one),
        TEST(a_bad_value_is_told_with_its_place_and_reason),
        TEST(everything_that_is_wrong_is_told_at_once),
        TEST(a_key_is_set_once),
        TEST(a_missing_file_is_an_error_when_it_was_named),
        TEST(a_variable_that_nobody_knows_is_a_warning),
        TEST(a_list_goes_on_in_indented_lines_and_however_long_they_are),
        TEST(long_remarks_and_blank_lines_are_no_matter),
        TEST(an_endless_word_is_too_long),
        TEST(an_indented_line_behind_what_is_no_list_is_an_error),
        TEST(remarks_ends_of_lines_and_byte_order_marks_are_no_matter),
        TEST(a_remark_behind_a_value_begins_with_a_semicolon),
        TEST(what_operations_md_shows_can_be_loaded),
        TEST(orders_for_a_terminal_are_no_settings),
        TEST(peers_name_this_node),
        TEST(an_election_waits_for_ten_heartbeats),
        TEST(who_joins_names_members_and_has_their_secret),
        TEST(a_cluster_needs_a_secret_that_others_cannot_read),
        TEST(a_proxy_needs_a_public_url),
        TEST(two_addresses_are_not_the_same),
        TEST(a_secret_may_have_its_predecessor_behind_it),
        TEST(what_is_no_secret_is_refused),
        TEST(a_lone_node_makes_its_secret_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
