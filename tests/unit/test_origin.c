#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "app/origin.h"

static bool is_of(const char *origin, const char *url)
{
    return origin_is_of(slice_from(origin), slice_from(url));
}

static void an_origin_is_scheme_host_and_port(void **state)
{
    (void)state;
    assert_true(is_of("https://tea.example", "https://tea.example/lobby"));
    assert_true(is_of("https://TEA.example:443", "https://tea.example"));
    assert_true(is_of("http://localhost:4000", "http://127.0.0.1:4000"));
    assert_true(is_of("http://[::1]:4000", "http://127.0.0.1:4000"));
    assert_false(is_of("http://tea.example", "https://tea.example"));
    assert_false(is_of("https://tea.example:444", "https://tea.example"));
    assert_false(is_of("https://tea.example.evil", "https://tea.example"));
    assert_false(is_of("null", "https://tea.example"));
    assert_false(is_of("", ""));
}

static bool have(const struct origins *origins, const char *origin)
{
    return origins_have(origins, slice_from(origin));
}

static void what_was_kept_is_had_until_many_others_came(void **state)
{
    static struct origins origins;
    char url[64];
    (void)state;
    assert_false(have(&origins, "http://tea-1.example:4000"));
    for (int again = 0; again < 2 * ORIGINS_MAX; again++) {
        origins_keep(&origins, "http://tea-1.example:4000");
        origins_keep(&origins, "");
    }
    assert_true(have(&origins, "http://tea-1.example:4000"));
    assert_false(have(&origins, "http://tea-2.example:4000"));
    assert_false(have(&origins, ""));
    assert_int_equal(origins.count, 1);

    for (int i = 2; i <= ORIGINS_MAX; i++) {
        snprintf(url, sizeof url, "http://tea-%d.example:4000", i);
        origins_keep(&origins, url);
    }
    assert_true(have(&origins, "http://tea-1.example:4000"));
    origins_keep(&origins, "http://one-more.example:4000");
    assert_false(have(&origins, "http://tea-1.example:4000"));
    assert_true(have(&origins, "http://tea-2.example:4000"));
    assert_true(have(&origins, "http://one-more.example:4000"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_origin_is_scheme_host_and_port),
        cmocka_unit_test(what_was_kept_is_had_until_many_others_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
