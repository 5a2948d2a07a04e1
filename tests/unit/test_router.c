/* Paths and what they lead to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "web/router.h"

enum { HOME = 1, ROOM, MESSAGES, ONE_MESSAGE, DELETE_ONE, REST };

#define ON(method) (1u << (method))

static const struct route routes[] = {
    {.pattern = "/", .methods = ON(HTTP_METHOD_GET), .id = HOME},
    {.pattern = "/api/rooms/:room/messages", .methods = ON(HTTP_METHOD_GET), .id = MESSAGES},
    {.pattern = "/api/rooms/:room/messages", .methods = ON(HTTP_METHOD_POST), .id = MESSAGES},
    {.pattern = "/api/rooms/:room/:message", .methods = ON(HTTP_METHOD_DELETE), .id = DELETE_ONE},
    {.pattern = "/:room", .methods = ON(HTTP_METHOD_GET), .id = ROOM},
};

static const struct route *find(enum http_method method, struct slice path, struct buf *decoded,
                                struct route_match *match)
{
    struct http_request request = {.method = method, .path = path};
    return router_find(routes, sizeof routes / sizeof *routes, &request, decoded, match);
}

static void a_path_leads_to_its_route_with_its_values_decoded(void **state)
{
    struct buf decoded;
    struct route_match match;

    (void)state;
    buf_init(&decoded, 1024);
    assert_int_equal(find(HTTP_METHOD_GET, slice_of("/"), &decoded, &match)->id, HOME);
    assert_int_equal(find(HTTP_METHOD_HEAD, slice_of("/"), &decoded, &match)->id, HOME);
    assert_int_equal(find(HTTP_METHOD_GET, slice_of("/caf%C3%A9"), &decoded, &match)->id, ROOM);
    assert_int_equal(match.values_count, 1);
    assert_true(slice_is(match.values[0], "caf\xc3\xa9"));
    assert_int_equal(
        find(HTTP_METHOD_DELETE, slice_of("/api/rooms/a%20b/42"), &decoded, &match)->id,
        DELETE_ONE);
    assert_true(slice_is(match.values[0], "a b"));
    assert_true(slice_is(match.values[1], "42"));
    assert_true(slice_is(slice_of("a+b"), "a+b"));
    assert_non_null(find(HTTP_METHOD_GET, slice_of("/a+b"), &decoded, &match));
    assert_true(slice_is(match.values[0], "a+b"));
    buf_close(&decoded);
}

static void a_known_path_tells_its_methods(void **state)
{
    struct buf decoded;
    struct buf allow;
    struct route_match match;

    (void)state;
    buf_init(&decoded, 1024);
    buf_init(&allow, 64);
    assert_null(find(HTTP_METHOD_OTHER, slice_of("/api/rooms/tea/messages"), &decoded, &match));
    router_allow(match.allowed, &allow);
    assert_true(slice_is(buf_slice(&allow), "GET, HEAD, POST, DELETE"));
    buf_reset(&allow);
    assert_null(find(HTTP_METHOD_POST, slice_of("/"), &decoded, &match));
    router_allow(match.allowed, &allow);
    assert_true(slice_is(buf_slice(&allow), "GET, HEAD"));
    assert_null(find(HTTP_METHOD_GET, slice_of("/a/b"), &decoded, &match));
    assert_int_equal(match.allowed, 0);
    buf_close(&allow);
    buf_close(&decoded);
}

static void a_path_that_hides_something_leads_nowhere(void **state)
{
    static const char *const paths[] = {"",     "x",      "//",         "/a/",      "/..%2f",
                                        "/%00", "/a%2Fb", "/%2e%2e%2f", "//etc",    "/%",
                                        "/%4",  "/%zz",   "/../",       "/%2e%2e/", "/a/../b"};
    struct buf decoded;
    struct route_match match;

    (void)state;
    buf_init(&decoded, 1024);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        assert_null(find(HTTP_METHOD_GET, slice_from(paths[i]), &decoded, &match));
        assert_int_equal(match.allowed, 0);
        assert_int_equal(match.values_count, 0);
    }
    buf_close(&decoded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_leads_to_its_route_with_its_values_decoded),
        cmocka_unit_test(a_known_path_tells_its_methods),
        cmocka_unit_test(a_path_that_hides_something_leads_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
