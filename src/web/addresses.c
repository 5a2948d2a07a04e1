#include "web/addresses.h"

#include <stdio.h>

#include <uv.h>

#include "base/hash_table.h"
#include "base/mem.h"

struct address {
    UT_hash_handle hh;
    uint32_t connections, websockets;
    unsigned len;
    char text[ADDRESS_TEXT_MAX];
};

/* "host", "host:port", "[host]", "[host]:port"; an IPv6 address without brackets has no port. */
static bool split_port(struct slice text, struct slice *host)
{
    struct slice rest = text;
    uint64_t port = 0;

    if (text.len > 0 && text.at[0] == '[') {
        rest = slice_skip(text, 1);
        if (slice_find(rest, ']') == rest.len) return false;
        *host = slice_cut(&rest, ']');
        if (slice_find(*host, ':') == host->len) return false;
        if (rest.len == 0) return true;
        if (rest.at[0] != ':') return false;
        rest = slice_skip(rest, 1);
    } else {
        *host = slice_cut(&rest, ':');
        if (host->len == text.len) return true;
        if (slice_find(rest, ':') < rest.len) {
            *host = text;
            return true;
        }
    }
    return slice_to_u64(rest, &port) && port <= UINT16_MAX;
}

/* The four bytes of an IPv4 address in these sixteen, or NULL. */
static const uint8_t *v4_inside(const uint8_t bytes[16])
{
    static const uint8_t prefixes[][12] = {
        {[10] = 0xff, [11] = 0xff},                        /* ::ffff:0:0/96, a socket for both */
        {[0] = 0x00, [1] = 0x64, [2] = 0xff, [3] = 0x9b}}; /* 64:ff9b::/96, RFC 6052 */

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if (memcmp(bytes, prefixes[i], sizeof *prefixes) == 0) return bytes + sizeof *prefixes;
    }
    return NULL;
}

struct slice address_counted(struct slice text, char room[ADDRESS_TEXT_MAX + 1])
{
    const struct slice none = {NULL, 0};
    struct slice host = {NULL, 0};
    char name[ADDRESS_TEXT_MAX + 1] = "";
    uint8_t bytes[16] = {0};

    if (!split_port(text, &host)) return none;
    host = slice_cut(&host, '%');
    if (host.len == 0 || host.len > ADDRESS_TEXT_MAX) return none;
    memcpy(name, host.at, host.len);
    if (strlen(name) != host.len) return none;
    const uint8_t *v4 = bytes;
    if (uv_inet_pton(AF_INET, name, bytes) != 0) {
        if (uv_inet_pton(AF_INET6, name, bytes) != 0) return none;
        v4 = v4_inside(bytes);
    }
    if (v4 != NULL) {
        (void)uv_inet_ntop(AF_INET, v4, room, ADDRESS_TEXT_MAX + 1);
        return slice_from(room);
    }
    memset(bytes + 8, 0, 8);
    (void)uv_inet_ntop(AF_INET6, bytes, name, sizeof name);
    (void)snprintf(room, ADDRESS_TEXT_MAX + 1, "%.*s/64", ADDRESS_TEXT_MAX - 3, name);
    return slice_from(room);
}

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
