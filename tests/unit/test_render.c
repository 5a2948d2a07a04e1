/* Render against the client's rules: whatever changed in the models, the tree that a client keeps makes
 * the HTML that a dead render of the same models makes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "client_tree.h"
#include "garden.h"
#include "garden.heex.h"

enum { OUT_MAX = 1 << 20, STEPS = 400, SEEDS = 12, TEXTS = 8 };

static const struct slice texts[TEXTS] = {SLICE(""),
                                          SLICE("tea"),
                                          SLICE("<b>&\"'</b>"),
                                          SLICE("back\\slash \"quoted\" {@x}"),
                                          SLICE("two\nlines\tand\x01 more"),
                                          SLICE("gr\xc3\xbcn \xf0\x9f\xab\x96 \xe2\x80\xa8"),
                                          SLICE("oolong"),
                                          SLICE("%F0")};
static const char *const strings[TEXTS] = {"", "a", "<", "\\", "d\n", "e", "f", "g"};

struct world {
    struct garden_page page;
    struct garden_shared shared;
    struct slice words[GARDEN_WORDS];
    struct garden_group groups[GARDEN_GROUPS];
    struct garden_message messages[GARDEN_MESSAGES];
    char ids[GARDEN_MESSAGES][8];
    size_t messages_count;
    uint64_t private_hashes[64], shared_hashes[64];
    struct client_tree tree;
    struct buf out, html, expected;
    uint64_t random;
    bool joined;
};

static unsigned draw(struct world *world, unsigned below)
{
    world->random = world->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(world->random >> 33) % below;
}

static struct slice draw_text(struct world *world)
{
    return texts[draw(world, TEXTS)];
}

static void world_init(struct world *world, uint64_t seed)
{
    *world = (struct world){.random = seed * 0x9e3779b97f4a7c15u + 1};
    world->page.words = world->words;
    world->shared.groups = world->groups;
    for (size_t i = 0; i < GARDEN_GROUPS; i++)
        world->groups[i].tags = texts;
    client_tree_init(&world->tree);
    buf_init(&world->out, OUT_MAX);
    buf_init(&world->html, OUT_MAX);
    buf_init(&world->expected, OUT_MAX);
    assert_true(garden_template.private_slots < 64 && garden_template.shared_slots < 64);
}

static void world_close(struct world *world)
{
    client_tree_close(&world->tree);
    buf_close(&world->out);
    buf_close(&world->html);
    buf_close(&world->expected);
}

static void change_page(struct world *world)
{
    struct garden_page *page = &world->page;
    switch (draw(world, 9)) {
    case 0: page->class = draw_text(world); break;
    case 1: page->text = draw_text(world); break;
    case 2: page->deep = draw(world, 4) == 0 ? NULL : strings[draw(world, TEXTS)]; break;
    case 3: page->flag = !page->flag; break;
    case 4: page->second = !page->second; break;
    case 5: page->number = (int)draw(world, 5) - 2; break;
    case 6: page->words_count = draw(world, GARDEN_WORDS + 1); break;
    case 7: world->words[draw(world, GARDEN_WORDS)] = draw_text(world); break;
    default: page->markup.text = draw(world, 2) == 0 ? slice_of("<i>\"x\"</i>\n") : slice_of("");
    }
}

static void change_shared(struct world *world)
{
    struct garden_shared *shared = &world->shared;
    struct garden_group *group = &world->groups[draw(world, GARDEN_GROUPS)];
    switch (draw(world, 8)) {
    case 0: shared->groups_count = draw(world, GARDEN_GROUPS + 1); break;
    case 1: group->name = draw_text(world); break;
    case 2: group->tags = texts + draw(world, 3); break;
    case 3: group->tags_count = draw(world, 4); break;
    case 4: group->hot = !group->hot; break;
    case 5: group->count = draw(world, 3); break;
    case 6: shared->open = !shared->open; break;
    default: shared->count = draw(world, 3); shared->name = draw_text(world);
    }
}

static void add_message(struct world *world)
{
    size_t i = world->messages_count;
    if (i == GARDEN_MESSAGES) return;
    world->messages_count++;
    int len = snprintf(world->ids[i], sizeof world->ids[i], "m-%zu", i);
    bool is_empty = draw(world, 3) == 0;
    world->messages[i] =
        (struct garden_message){.id = slice_make(world->ids[i], (size_t)len),
                                .body.text = is_empty ? slice_of("") : slice_of("<b>\"said\"</b>"),
                                .flag = draw(world, 2) == 0};
}

/* What the stream's list holds: messages from `first` on. */
static void show_messages(struct world *world, size_t first)
{
    world->shared.messages = world->messages + first;
    world->shared.messages_count = world->messages_count - first;
}

static void expect_no_problem(const struct world *world, const char *problem)
{
    if (problem != NULL) fail_msg("%s in %.*s", problem, (int)world->out.len, world->out.at);
}

static void apply(struct world *world, bool is_join)
{
    struct json *json;
    assert_false(world->out.overflowed);
    if (world->out.len == 0) return;
    if (json_parse(&json, buf_slice(&world->out), NULL) != 0)
        fail_msg("not JSON: %.*s", (int)world->out.len, world->out.at);
    expect_no_problem(world, is_join ? client_tree_join(&world->tree, json)
                                     : client_tree_diff(&world->tree, json));
    json_free(json);
}

static void compare(struct world *world)
{
    struct render r;
    show_messages(world, 0);
    buf_reset(&world->expected);
    buf_reset(&world->html);
    render_init(&r, RENDER_HTML, RENDER_ALL, &world->expected);
    garden_render(&r, &world->page, &world->shared);
    expect_no_problem(world, client_tree_html(&world->tree, &world->html));
    if (!slice_equal(buf_slice(&world->html), buf_slice(&world->expected)))
        fail_msg("shown    %.*s\nexpected %.*s\nafter    %.*s", (int)world->html.len,
                 world->html.at, (int)world->expected.len, world->expected.at, (int)world->out.len,
                 world->out.at);
}

static void render_tree(struct world *world, bool is_patch, bool is_spliced)
{
    struct render r;
    struct shared *stream = NULL;
    show_messages(world, 0);
    buf_reset(&world->out);
    if (is_spliced) {
        render_init_stream(&r, &world->out);
        garden_render(&r, NULL, &world->shared);
        assert_true(r.changed);
        stream = shared_copy(buf_slice(&world->out));
        buf_reset(&world->out);
    }
    render_init(&r, RENDER_TREE, RENDER_ALL, &world->out);
    r.private_hashes = world->private_hashes;
    r.shared_hashes = world->shared_hashes;
    r.stream_reset = is_patch;
    r.stream_json = stream;
    garden_render(&r, &world->page, &world->shared);
    assert_int_equal(r.depth, 0);
    assert_int_equal(r.opened, 0);
    if (stream != NULL) {
        struct slice all = buf_slice(&world->out);
        struct buf whole;
        buf_init(&whole, OUT_MAX);
        buf_add(&whole, slice_first(all, r.splice_at));
        buf_add(&whole, shared_slice(stream));
        buf_add(&whole, slice_skip(all, r.splice_at));
        buf_close(&world->out);
        world->out = whole;
        shared_unref(stream);
    }
    apply(world, !is_patch);
    world->joined = true;
    compare(world);
}

/* One diff for the scopes; what they do not say is not even there. */
static void render_diff(struct world *world, unsigned scopes, size_t first_message)
{
    struct render r;
    show_messages(world, first_message);
    buf_reset(&world->out);
    render_init(&r, RENDER_DIFF, scopes, &world->out);
    r.private_hashes = world->private_hashes;
    r.shared_hashes = world->shared_hashes;
    bool with_shared = (scopes & (RENDER_SHARED | RENDER_STREAM)) != 0;
    garden_render(&r, (scopes & RENDER_PRIVATE) != 0 ? &world->page : NULL,
                  with_shared ? &world->shared : NULL);
    assert_int_equal(r.changed, world->out.len > 0);
    apply(world, false);
}

static void step(struct world *world)
{
    size_t before = world->messages_count;
    for (unsigned i = draw(world, 4); i > 0; i--)
        change_page(world);
    for (unsigned i = draw(world, 4); i > 0; i--)
        change_shared(world);
    if (draw(world, 6) == 0) add_message(world);
    unsigned how = draw(world, 20);
    if (!world->joined || how == 0) {
        render_tree(world, false, draw(world, 2) == 0);
    } else if (how == 1) {
        render_tree(world, true, draw(world, 2) == 0);
    } else if (how < 6) {
        render_diff(world, RENDER_ALL, before);
    } else {
        render_diff(world, RENDER_SHARED | RENDER_STREAM, before);
        render_diff(world, RENDER_PRIVATE, before);
    }
    compare(world);
}

static void any_changes_lead_to_the_html_of_a_dead_render(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world world;
        world_init(&world, seed);
        for (int i = 0; i < STEPS; i++)
            step(&world);
        world_close(&world);
    }
}

static void start(struct world *world)
{
    world_init(world, 1);
    world->page.text = texts[1];
    world->page.flag = true;
    world->words[0] = texts[1];
    world->page.words_count = 1;
    world->groups[0] = (struct garden_group){.name = texts[6], .tags = texts + 1, .tags_count = 1};
    world->shared.groups_count = 1;
    world->shared.open = true;
    add_message(world);
    render_tree(world, false, false);
}

static void nothing_is_written_when_nothing_changed(void **state)
{
    struct world world;
    (void)state;
    start(&world);
    render_diff(&world, RENDER_ALL, world.messages_count);
    assert_int_equal(world.out.len, 0);
    world_close(&world);
}

static void only_what_changed_is_written(void **state)
{
    struct world world;
    (void)state;
    start(&world);
    world.shared.count = 7;
    render_diff(&world, RENDER_SHARED, world.messages_count);
    assert_true(slice_is(buf_slice(&world.out), "{\"6\":{\"0\":\"7\"}}"));
    world.page.number = 3;
    render_diff(&world, RENDER_PRIVATE, world.messages_count);
    assert_int_equal(world.out.len, 0); /* nobody sees it */
    world.page.deep = "x";
    render_diff(&world, RENDER_PRIVATE, world.messages_count);
    assert_true(slice_is(buf_slice(&world.out),
                         "{\"3\":{\"1\":{\"0\":\"x\",\"s\":[\"<b>\",\"</b>\"]}},"
                         "\"8\":{\"2\":{\"0\":\"3\",\"s\":[\"<p>\",\"</p>\"]}}}"));
    world_close(&world);
}

static void a_stream_sends_inserts_without_statics(void **state)
{
    struct world world;
    (void)state;
    start(&world);
    size_t before = world.messages_count;
    add_message(&world);
    world.messages[before].body.text = slice_of("<b>");
    world.messages[before].flag = false;
    render_diff(&world, RENDER_STREAM, before);
    assert_true(
        slice_is(buf_slice(&world.out),
                 "{\"7\":{\"k\":{\"0\":{\"0\":\" id=\\\"m-1\\\"\",\"1\":\"<b>\",\"2\":\"\"},"
                 "\"kc\":1},\"stream\":[\"0\",[[\"m-1\",-1,null]],[]]}}"));
    world_close(&world);
}

static void a_torso_is_noticed(void **state)
{
    struct world world;
    struct render r;
    struct buf small;
    (void)state;
    start(&world);
    size_t whole = world.out.len;
    for (size_t max = 0; max < whole; max++) {
        buf_init(&small, max);
        render_init(&r, RENDER_TREE, RENDER_ALL, &small);
        r.private_hashes = world.private_hashes;
        r.shared_hashes = world.shared_hashes;
        garden_render(&r, &world.page, &world.shared);
        assert_true(small.overflowed);
        buf_close(&small);
    }
    world_close(&world);
}

static void numbers_are_written_to_their_ends(void **state)
{
    struct render r;
    struct buf out;
    (void)state;
    buf_init(&out, OUT_MAX);
    render_init(&r, RENDER_HTML, RENDER_ALL, &out);
    assert_true(slice_is(render_digits_u64(&r, 0), "0"));
    assert_true(slice_is(render_digits_u64(&r, UINT64_MAX), "18446744073709551615"));
    assert_true(slice_is(render_digits_i64(&r, INT64_MIN), "-9223372036854775808"));
    assert_true(slice_is(render_digits_i64(&r, INT64_MAX), "9223372036854775807"));
    assert_true(slice_is(render_digits_i64(&r, -1), "-1"));
    buf_close(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_changes_lead_to_the_html_of_a_dead_render),
        cmocka_unit_test(nothing_is_written_when_nothing_changed),
        cmocka_unit_test(only_what_changed_is_written),
        cmocka_unit_test(a_stream_sends_inserts_without_statics),
        cmocka_unit_test(a_torso_is_noticed),
        cmocka_unit_test(numbers_are_written_to_their_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
