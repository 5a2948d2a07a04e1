/* Who is connected, by address: how many connections, how many WebSockets of each.
 *
 * What counts as one address is what one subscriber gets of it. An IPv4 address is one, also where it stands
 * in an IPv6 address ("::ffff:192.0.2.1"; "64:ff9b::192.0.2.1", of a translator in front of us). Of any other
 * IPv6 address the first 64 bits count: whoever has one there has all 2^64 of them.
 *
 * One entry for all connections of an address; it goes with the last of them. One web thread.
 */
#pragma once
#include "base/slice.h"

enum { ADDRESS_TEXT_MAX = 46 };

struct address;

struct addresses {
    struct address *by_text;
};

/* What counts of an address in text, as a socket or a proxy writes it: with a port or without
 * ("192.0.2.1:4000", "[2001:db8::1]:4000"), an IPv6 one with a zone, in brackets or not. Written into `room`:
 * "192.0.2.1", or "2001:db8:0:1::/64". An empty slice if the text is no address. */
struct slice address_counted(struct slice text, char room[ADDRESS_TEXT_MAX + 1]);

/* The entry of this text (cut at ADDRESS_TEXT_MAX), with one connection more. */
struct address *addresses_enter(struct addresses *addresses, struct slice text);
/* One connection less. NULL is fine. */
void addresses_leave(struct addresses *addresses, struct address *address);

struct slice address_text(const struct address *address);
uint32_t address_connections(const struct address *address);
uint32_t address_websockets(const struct address *address);
/* +1 or -1 */
void address_count_websocket(struct address *address, int change);
