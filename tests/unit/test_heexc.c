/* The template compiler is a program: it is run, and what it says is compared. That what it makes is
 * right is test_render's matter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/slice.h"

static char folder[64];
static char said[8192], made[1 << 16];

static void path_of(char *out, size_t size, const char *name)
{
    snprintf(out, size, "%s/%s", folder, name);
}

static void write_file(const char *name, const char *text)
{
    char path[128];
    path_of(path, sizeof path, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static void read_file(char *out, size_t size, const char *name)
{
    char path[128];
    path_of(path, sizeof path, name);
    FILE *file = fopen(path, "rb");
    out[0] = '\0';
    if (file == NULL) return;
    out[fread(out, 1, size - 1, file)] = '\0';
    fclose(file);
}

/* Compiles a template of that text; its exit status. */
static int compile(const char *text)
{
    char command[1024];
    write_file("page.heex", text);
    snprintf(command, sizeof command,
             "cd %s && rm -f page.heex.h && %s page.heex page.heex.h page.d 2>said", folder, HEEXC);
    int status = system(command);
    read_file(said, sizeof said, "said");
    read_file(made, sizeof made, "page.heex.h");
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void expect_error(const char *text, const char *error)
{
    if (compile(text) != 1) fail_msg("no error in %s", text);
    if (!slice_starts(slice_from(said), slice_from(error)))
        fail_msg("of %s it said %s", text, said);
    assert_int_equal(strlen(made), 0); /* nothing is left behind */
}

static void expect_made(const char *text, const char *words)
{
    if (compile(text) != 0) fail_msg("of %s it said %s", text, said);
    if (strstr(made, words) == NULL) fail_msg("made %s", made);
}

static void plain_html_is_one_static(void **state)
{
    (void)state;
    expect_made("<p class=\"a\"  id='b'\n hidden>x{y} &amp; {z</p>\n",
                "SLICE(\"<p class=\\\"a\\\" id='b' hidden>x{y} &amp; {z</p>\")");
    expect_made("", "SLICE(\"\")");
}

static void white_space_is_kept_as_one(void **state)
{
    (void)state;
    expect_made("\n<p>\n    a   b\n\n  <b>c</b>  d\n</p>\n\n",
                "SLICE(\"<p>\\na b\\n<b>c</b> d\\n</p>\")");
    expect_made("<pre>\n  a   b\n</pre><textarea>\n  c</textarea>",
                "SLICE(\"<pre>\\n  a   b\\n</pre><textarea>\\n  c</textarea>\")");
}

static void comments_are_dropped(void **state)
{
    (void)state;
    expect_made("a<%!-- <b> {@x} --%>b<!-- c -->d", "SLICE(\"abd\")");
}

static void elements_without_content_may_close_themselves(void **state)
{
    (void)state;
    expect_made("<br><br/><img src=\"x\"/><i class=\"y\" />",
                "SLICE(\"<br><br><img src=\\\"x\\\"><i class=\\\"y\\\"></i>\")");
}

static void bytes_become_c_and_json(void **state)
{
    (void)state;
    expect_made("\xc3\xbc\?\?(\\\"", "SLICE(\"\\303\\274\\?\\?(\\\\\\\"\")");
    expect_made("\xc3\xbc\?\?(\\\"",
                "SLICE(\"\\\"s\\\":[\\\"\\303\\274\\?\\?(\\\\\\\\\\\\\\\"\\\"]\")");
}

static void holes_have_slots_by_scope(void **state)
{
    (void)state;
    expect_made("{@a}{@shared.b}{@c}<i class={@shared.d}></i>",
                "render_hole(r, RENDER_PRIVATE, 1))");
    assert_non_null(strstr(made, "render_hole(r, RENDER_SHARED, 1))"));
    assert_non_null(strstr(made, "render_attribute(r, \"class\", shared->d)"));
    assert_non_null(strstr(made, ".private_slots = 2,"));
    assert_non_null(strstr(made, ".shared_slots = 2,"));
    assert_non_null(strstr(made, "#line 1 \"page.heex\""));
    expect_made("{@a.b.c}", "render_value(r, page->a.b.c)");
    assert_non_null(strstr(made, "(void)shared_at;"));
}

static void an_include_is_spliced_and_named_to_the_build(void **state)
{
    char dependencies[512];
    (void)state;
    write_file("side.heex", "<nav>\n{@x}</nav>\n");
    expect_made("<p></p><%!-- include: side.heex --%><p>{@y}</p>", "#line 2 \"side.heex\"");
    read_file(dependencies, sizeof dependencies, "page.d");
    assert_string_equal(dependencies, "page.heex.h: page.heex side.heex\n");
    write_file("side.heex", "\n<nav>");
    expect_error("<%!-- include: side.heex --%></nav>",
                 "side.heex:2:1: error: <nav> is not closed");
    write_file("side.heex", "</nav>");
    expect_error("<nav><%!-- include: side.heex --%>",
                 "side.heex:1:1: error: </nav> closes nothing");
    write_file("side.heex", "<%!-- include: side.heex --%>");
    expect_error("<%!-- include: side.heex --%>", "side.heex:1:1: error: an include inside");
    expect_error("\n <%!-- include: no.heex --%>", "page.heex:2:2: error: cannot open no.heex");
}

static void what_does_not_match_is_an_error_at_its_place(void **state)
{
    (void)state;
    expect_error("<p>\n <b>x</p>", "page.heex:2:6: error: </p> where </b> is missing");
    expect_error("</p>", "page.heex:1:1: error: </p> closes nothing");
    expect_error("\xc3\xbc <p>", "page.heex:1:3: error: <p> is not closed");
    expect_error("<p", "page.heex:1:3: error: a tag without end");
    expect_error("<p a", "page.heex:1:5: error: a tag without end");
    expect_error("<p a=b></p>", "page.heex:1:6: error: a value needs quotes or braces");
    expect_error("<p a=\"b></p>", "page.heex:1:7: error: a value without its end");
    expect_error("<p a=\"1\" a></p>", "page.heex:1:10: error: attribute a twice");
    expect_error("<p {@rest}></p>", "page.heex:1:4: error: not an attribute");
    expect_error("{@a", "page.heex:1:2: error: an expression without its end");
    expect_error("<%!-- a", "page.heex:1:6: error: a comment without its end");
    expect_error("<!-- a", "page.heex:1:5: error: a comment without its end");
    expect_error("<%= @x %>", "page.heex:1:1: error: of <% there is only the comment");
    expect_error("<.button />", "page.heex:1:1: error: not an element");
    expect_error("<Button />", "page.heex:1:1: error: not an element");
    expect_error("a < b", "page.heex:1:3: error: not an element");
    expect_error("<p></P>", "page.heex:1:4: error: </P> where </p>");
    expect_error("<script>{@x}</script>", "page.heex:1:9: error: a hole in a <script>");
}

static void there_are_no_expressions(void **state)
{
    (void)state;
    expect_error("{@a + 1}", "page.heex:1:2: error: {@a + 1}: not @field");
    expect_error("{@}", "page.heex:1:2: error: {@}: not @field");
    expect_error("{@a.}", "page.heex:1:2: error: {@a.}: not @field");
    expect_error("{@a..b}", "page.heex:1:2: error: {@a..b}: not @field");
    expect_error("{@1}", "page.heex:1:2: error: {@1}: not @field");
    expect_error("{@f(x)}", "page.heex:1:2: error: {@f(x)}: not @field");
    expect_error("{@shared}", "page.heex:1:2: error: {@shared}: of it one field");
    expect_error("<p a={b.c}></p>", "page.heex:1:7: error: no loop has an item b");
    expect_error("<p a={\"x\"}></p>", "page.heex:1:7: error: {\"x\"}: not @field");
    expect_error("<p a={!@x}></p>", "page.heex:1:7: error: ! is for :if alone");
}

static void specials_have_their_form(void **state)
{
    (void)state;
    expect_error("<p :if=\"x\"></p>", "page.heex:1:4: error: :if needs braces");
    expect_error("<p :for></p>", "page.heex:1:4: error: :for needs braces");
    expect_error("<p :let={@x}></p>", "page.heex:1:4: error: :let means nothing here");
    expect_error("<p :for={@x}></p>", "page.heex:1:10: error: :for={item <- @list}");
    expect_error("<p :for={X <- @x}></p>", "page.heex:1:10: error: an item is named");
    expect_error("<p :for={x <- @x}><i :for={x <- x.y}></i></p>",
                 "page.heex:1:28: error: x is an item already");
    expect_error("<p :if={@a} :for={x <- @x}></p>",
                 "page.heex:1:1: error: :if and :for on one element");
    expect_error("<form phx-submit=\"x\"></form>",
                 "page.heex:1:1: error: a form with phx-submit needs an id");
    expect_error("<form id={x.id} phx-submit=\"x\" :for={x <- @x}></form>",
                 "page.heex:1:1: error: a form with phx-submit cannot be repeated");
    expect_made("<p :if={!@a} :key={@k}>x</p>", "render_if(r, !render_truth(page->a), ");
}

static void a_block_is_private_or_shared_and_so_is_its_inside(void **state)
{
    (void)state;
    expect_error("<p :if={@a}>{@shared.b}</p>",
                 "page.heex:1:14: error: a shared value inside of a private block");
    expect_error("<p :if={@shared.a}>{@b}</p>",
                 "page.heex:1:21: error: a private value inside of a shared block");
    expect_error("<form id=\"f\" phx-submit=\"x\">{@shared.b}</form>",
                 "page.heex:1:30: error: a shared value");
    expect_error("<p :for={x <- @shared.a}>{@b}</p>", "page.heex:1:27: error: a private value");
    expect_error("<p :for={x <- @a}><i :if={@shared.b}></i></p>",
                 "page.heex:1:27: error: a shared value");
    expect_made("<p :for={x <- @a}>{@b}{x}{x.c}</p>", "render_value(r, page->a[i0].c)");
    expect_made("<p :for={x <- @a}><i :for={y <- x.z}>{y.w}{x.v}</i></p>",
                "render_value(r, page->a[i0].z[i1].w)");
}

static void a_stream_stands_alone_in_its_container(void **state)
{
#define CONTAINER "<div id=\"s\" phx-update=\"stream\">"
    (void)state;
    expect_made(CONTAINER "\n <%!-- x --%> <p :for={m <- @shared.ms} id={m.id}>{m.x}</p>\n</div>",
                "render_insert(r, shared->ms[i0].id)");
    expect_error(CONTAINER "</div>", "page.heex:1:33: error: a stream without its :for");
    expect_error(CONTAINER "x</div>", "page.heex:1:33: error: text beside a stream");
    expect_error(CONTAINER "<p></p></div>",
                 "page.heex:1:33: error: what has phx-update=\"stream\"");
    expect_error(CONTAINER "<p :for={m <- @shared.ms} id={m.id}></p><p></p></div>",
                 "page.heex:1:73: error: what has phx-update=\"stream\"");
    expect_error(CONTAINER "<p :for={m <- @ms} id={m.id}></p></div>",
                 "page.heex:1:36: error: a stream's list is {@shared...}");
    expect_error(CONTAINER "<p :for={m <- @shared.ms}></p></div>",
                 "page.heex:1:36: error: an item of a stream needs id={...}");
    expect_error(CONTAINER "<p :for={m <- @shared.ms} id={@shared.x}></p></div>",
                 "page.heex:1:59: error: the id of an item is the item's own");
    expect_error(CONTAINER "<p :for={m <- @shared.ms} id={m.id}>{@shared.x}</p></div>",
                 "page.heex:1:70: error: in a stream only its item");
    expect_error("<p :if={@a}>" CONTAINER "<p :for={m <- @shared.ms} id={m.id}></p></div></p>",
                 "page.heex:1:13: error: a stream inside of an :if");
    expect_error("<div phx-update=\"stream\"></div>",
                 "page.heex:1:1: error: a stream's container needs an id");
    expect_error(CONTAINER "<p :for={m <- @shared.ms} id={m.id}></p></div>" CONTAINER
                           "<p :for={m <- @shared.ms} id={m.id}></p></div>",
                 "page.heex:1:114: error: a template has one stream at most");
}

static void any_prefix_of_a_template_ends_well(void **state)
{
    static const char whole[] =
        "<style nonce={@n}>a{b:c}</style><%!-- x --%><p :if={!@f} a='b' c>t{@u.v}</p><ul><li "
        ":for={x <- "
        "@shared.xs} :key={x.k}>{x}</li></ul><form id=\"f\" phx-submit=\"y\"><br/>{ </form>";
    char text[sizeof whole];
    (void)state;
    for (size_t len = 0; len < sizeof whole; len += 3) {
        memcpy(text, whole, len);
        text[len] = '\0';
        int status = compile(text);
        assert_true(status == 0 || status == 1);
        assert_true((status == 1) == (strlen(said) > 0));
    }
}

static int start(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/heexc-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int stop(void **state)
{
    static const char *const names[] = {"page.heex", "page.heex.h", "page.d", "side.heex", "said"};
    char path[128];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        path_of(path, sizeof path, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_html_is_one_static),
        cmocka_unit_test(white_space_is_kept_as_one),
        cmocka_unit_test(comments_are_dropped),
        cmocka_unit_test(elements_without_content_may_close_themselves),
        cmocka_unit_test(bytes_become_c_and_json),
        cmocka_unit_test(holes_have_slots_by_scope),
        cmocka_unit_test(an_include_is_spliced_and_named_to_the_build),
        cmocka_unit_test(what_does_not_match_is_an_error_at_its_place),
        cmocka_unit_test(there_are_no_expressions),
        cmocka_unit_test(specials_have_their_form),
        cmocka_unit_test(a_block_is_private_or_shared_and_so_is_its_inside),
        cmocka_unit_test(a_stream_stands_alone_in_its_container),
        cmocka_unit_test(any_prefix_of_a_template_ends_well),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
