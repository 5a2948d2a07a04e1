/* What counts as one address, and how many have it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "web/addresses.h"

static void what_counts_of_an_address(void **state)
{
    static const struct {
        struct slice text;
        const char *counted; /* "": it is no address */
    } table[] = {
        {SLICE("192.0.2.1"), "192.0.2.1"},
        {SLICE("192.0.2.1:4000"), "192.0.2.1"},
        {SLICE("255.255.255.255:65535"), "255.255.255.255"},
        {SLICE("2001:db8:0:1:2:3:4:5"), "2001:db8:0:1::/64"},
        {SLICE("2001:db8:0:1:ffff:ffff:ffff:ffff"), "2001:db8:0:1::/64"},
        {SLICE("2001:DB8:0:1::"), "2001:db8:0:1::/64"},
        {SLICE("2001:0db8:0000:0001:0000:0000:0000:0001"), "2001:db8:0:1::/64"},
        {SLICE("2001:db8:0:2::1"), "2001:db8:0:2::/64"},
        {SLICE("[2001:db8:0:1::7]"), "2001:db8:0:1::/64"},
        {SLICE("[2001:db8:0:1::7]:4000"), "2001:db8:0:1::/64"},
        {SLICE("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), "ffff:ffff:ffff:ffff::/64"},
        {SLICE("::1"), "::/64"},
        {SLICE("fe80::1%eth0"), "fe80::/64"},
        {SLICE("[fe80::1%eth0]:80"), "fe80::/64"},
        {SLICE("::ffff:192.0.2.1"), "192.0.2.1"},
        {SLICE("::ffff:c000:201"), "192.0.2.1"},
        {SLICE("[::ffff:192.0.2.1]:4000"), "192.0.2.1"},
        {SLICE("64:ff9b::192.0.2.1"), "192.0.2.1"},
        {SLICE("64:ff9b:1::192.0.2.1"), "64:ff9b:1::/64"},
        {SLICE("::fffe:192.0.2.1"), "::/64"},
        {SLICE(""), ""},
        {SLICE("unknown"), ""},
        {SLICE("_hidden"), ""},
        {SLICE("192.0.2"), ""},
        {SLICE("192.0.2.256"), ""},
        {SLICE("192.0.2.1:"), ""},
        {SLICE("192.0.2.1:x"), ""},
        {SLICE("192.0.2.1:65536"), ""},
        {SLICE("[192.0.2.1]:80"), ""},
        {SLICE("192.0.2.1\0x"), ""},
        {SLICE(":80"), ""},
        {SLICE("["), ""},
        {SLICE("[]"), ""},
        {SLICE("[]:80"), ""},
        {SLICE("[2001:db8::1"), ""},
        {SLICE("[2001:db8::1]80"), ""},
        {SLICE("[2001:db8::1]:"), ""},
        {SLICE("2001:db8::1::"), ""},
        {SLICE("2001:db8:0:1:2:3:4:5:6"), ""},
        {SLICE("%eth0"), ""},
        {SLICE("00000000000000000000000000000000000000000000000000000001:2:3:4:5:6:7:8"), ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char room[ADDRESS_TEXT_MAX + 1];
        struct slice counted = address_counted(table[i].text, room);
        if (slice_is(counted, table[i].counted)) continue;
        fail_msg("%.*s: %.*s, and not %s", (int)table[i].text.len, table[i].text.at,
                 (int)counted.len, counted.len == 0 ? "" : counted.at, table[i].counted);
    }
}

static void connections_of_one_address_are_counted_together(void **state)
{
    struct addresses addresses = {NULL};

    (void)state;
    struct address *one = addresses_enter(&addresses, slice_of("192.0.2.1"));
    struct address *other = addresses_enter(&addresses, slice_of("2001:db8::/64"));
    assert_ptr_equal(addresses_enter(&addresses, slice_of("192.0.2.1")), one);
    assert_ptr_not_equal(one, other);
    assert_int_equal(address_connections(one), 2);
    assert_int_equal(address_connections(other), 1);
    address_count_websocket(one, 1);
    assert_int_equal(address_websockets(one), 1);
    assert_int_equal(address_websockets(other), 0);
    assert_true(slice_is(address_text(other), "2001:db8::/64"));
    addresses_leave(&addresses, one);
    assert_int_equal(address_connections(one), 1);
    addresses_leave(&addresses, one);
    addresses_leave(&addresses, other);
    addresses_leave(&addresses, NULL);
    assert_null(addresses.by_text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_counts_of_an_address),
        cmocka_unit_test(connections_of_one_address_are_counted_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
