/* The `peers` line, and the ids that follow from it. Pure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/crypto.h"
#include "cluster/node.h"

enum { ID_TEXT_MAX = 16 * 1024 };

static bool is_name(struct slice name)
{
    if (name.len == 0 || name.len > NODE_NAME_MAX) return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool is_digit = c >= '0' && c <= '9';
        if (!is_letter && !is_digit && !(i > 0 && (c == '-' || c == '_' || c == '.'))) return false;
    }
    return true;
}

/* host:port, where the host is a name, an IPv4 address or an IPv6 address in brackets. */
static bool is_address(struct slice address)
{
    size_t colon = address.len;
    while (colon > 0 && address.at[colon - 1] != ':')
        colon--;
    if (colon < 2 || address.len > ADDRESS_MAX) return false;
    struct slice host = slice_first(address, colon - 1);
    uint64_t port;
    if (!slice_to_u64(slice_skip(address, colon), &port) || port == 0 || port > 65535) return false;
    bool bracketed = host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']';
    if (bracketed) host = slice_make(host.at + 1, host.len - 2);
    for (size_t i = 0; i < host.len; i++) {
        char c = host.at[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool is_digit = c >= '0' && c <= '9';
        if (is_letter || is_digit || c == '.' || c == '-' || c == '_') continue;
        if (!bracketed || (c != ':' && c != '%')) return false;
    }
    return host.len > 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct peer *)a)->name, ((const struct peer *)b)->name);
}

static int parse_one(struct peer *peer, struct slice text, struct errmsg *errmsg)
{
    struct slice address = text;
    struct slice name = slice_trim(slice_cut(&address, '='));
    address = slice_trim(address);
    if (name.at == NULL || address.at == NULL || !is_name(name) || !is_address(address)) {
        errmsg_set(errmsg, "peers: \"%.*s\" is not name=host:port",
                   (int)(text.len < 100 ? text.len : 100), text.at == NULL ? "" : text.at);
        return ERR_CONFIG;
    }
    *peer = (struct peer){.name = ""};
    memcpy(peer->name, name.at, name.len);
    memcpy(peer->address, address.at, address.len);
    return 0;
}

static int check_new(const struct peer *peers, size_t count, struct errmsg *errmsg)
{
    const struct peer *added = &peers[count];
    for (size_t i = 0; i < count; i++) {
        bool same_name = strcmp(peers[i].name, added->name) == 0;
        /* Two names with one hash would be one member to raft. */
        bool same_id = peer_id(peers[i].name) == peer_id(added->name);
        bool same_address = strcmp(peers[i].address, added->address) == 0;
        if (!same_name && !same_address && !same_id) continue;
        errmsg_set(errmsg, "peers: %s stands there twice",
                   same_name || same_id ? added->name : added->address);
        return ERR_CONFIG;
    }
    return 0;
}

int peers_parse(struct peer *peers, size_t *peers_count, struct slice line, struct errmsg *errmsg)
{
    size_t count = 0;
    while (line.len > 0) {
        struct slice one = slice_trim(slice_cut(&line, ','));
        if (one.len == 0 && line.len == 0 && count > 0) break; /* a comma at the end */
        if (count == PEERS_MAX) {
            errmsg_set(errmsg, "peers: more than %d", PEERS_MAX);
            return ERR_CONFIG;
        }
        int rv = parse_one(&peers[count], one, errmsg);
        if (rv == 0) rv = check_new(peers, count, errmsg);
        if (rv != 0) return rv;
        count++;
    }
    if (count > 1) qsort(peers, count, sizeof *peers, by_name);
    *peers_count = count;
    return 0;
}

void cluster_id_of(uint8_t id[16], const char *cluster_name, const struct peer *peers,
                   size_t peers_count)
{
    uint8_t hash[SHA256_SIZE];
    struct buf text;
    buf_init(&text, ID_TEXT_MAX);
    buf_add(&text, slice_from(cluster_name));
    buf_add_char(&text, '\n');
    for (size_t i = 0; i < peers_count; i++) {
        buf_printf(&text, "%s%s=%s", i == 0 ? "" : ",", peers[i].name, peers[i].address);
    }
    struct slice whole = buf_slice(&text);
    crypto_sha256(hash, &whole, 1);
    memcpy(id, hash, 16);
    buf_close(&text);
}

uint64_t peer_id(const char *name)
{
    uint64_t id = hash_fnv1a(slice_from(name));
    return id == 0 ? 1 : id; /* 0 is nobody to raft */
}
