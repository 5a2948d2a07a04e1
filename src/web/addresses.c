#include "web/addresses.h"

#include "base/hash_table.h"
#include "base/mem.h"

struct address {
    UT_hash_handle hh;
    uint32_t connections, websockets;
    unsigned len;
    char text[ADDRESS_TEXT_MAX];
};

struct address *addresses_enter(struct addresses *addresses, struct slice text)
{
    struct address *address = NULL;

    /* Who has gone before it was accepted has no address, and memcmp takes no NULL. */
    text = text.len == 0 ? slice_of("") : slice_first(text, ADDRESS_TEXT_MAX);
    unsigned len = (unsigned)text.len;
    HASH_FIND(hh, addresses->by_text, text.at, len, address);
    if (address == NULL) {
        address = mem_new(sizeof *address);
        address->len = len;
        if (len > 0) memcpy(address->text, text.at, len);
        HASH_ADD(hh, addresses->by_text, text, len, address);
    }
    address->connections++;
    return address;
}

void addresses_leave(struct addresses *addresses, struct address *address)
{
    if (address == NULL || --address->connections > 0) return;
    HASH_DEL(addresses->by_text, address);
    mem_free(address);
}

struct slice address_text(const struct address *address)
{
    return slice_make(address->text, address->len);
}

uint32_t address_connections(const struct address *address)
{
    return address->connections;
}

uint32_t address_websockets(const struct address *address)
{
    return address->websockets;
}

void address_count_websocket(struct address *address, int change)
{
    address->websockets += (uint32_t)change;
}
