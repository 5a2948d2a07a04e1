/* Who is connected, by address: how many connections, how many WebSockets of each.
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

/* The entry of this text (cut at ADDRESS_TEXT_MAX), with one connection more. */
struct address *addresses_enter(struct addresses *addresses, struct slice text);
/* One connection less. NULL is fine. */
void addresses_leave(struct addresses *addresses, struct address *address);

struct slice address_text(const struct address *address);
uint32_t address_connections(const struct address *address);
uint32_t address_websockets(const struct address *address);
/* +1 or -1 */
void address_count_websocket(struct address *address, int change);
