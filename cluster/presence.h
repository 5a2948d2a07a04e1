/* Who is here and who types, over all nodes: no events, never in the log.
 *
 * Each node counts its own pages (enter, leave) and tells the others over the cluster links: what
 * changed at once, gathered for up to a second, and all of it every five seconds. What a node has
 * told expires when nothing was heard of it for ten. Bounded: PRESENCE_ENTRIES_MAX of one node, the
 * rest is not told. One name a person and room, however many pages. Domain thread.
 */
#pragma once
#include "base/buf.h"
#include "base/limits.h"
#include "chat/ids.h"

struct presence;

struct present { /* one person in one room */
    struct sender_id sender_id;
    char name[NAME_MAX_BYTES];
    uint8_t name_len;
    bool is_typing;
};

struct presence *presence_new(void);
void presence_free(struct presence *presence);

/* A page of this node shows the room now, or no longer. Nameless readers are not counted. */
void presence_enter(struct presence *presence, struct slice room, const struct sender_id *who,
                    struct slice name);
void presence_leave(struct presence *presence, struct slice room, const struct sender_id *who);
/* Somebody types: shown for five seconds. */
void presence_typing(struct presence *presence, struct slice room, const struct sender_id *who,
                     uint64_t now_ms);

/* What to tell the other nodes (a whole picture); appended. False if nothing changed and none is
 * due. */
bool presence_tell(struct presence *presence, struct buf *out, uint64_t now_ms);
/* What node `peer` told. 0 or ERR_FORMAT. */
int presence_hear(struct presence *presence, uint64_t peer, struct slice told, uint64_t now_ms);
/* Drops what has expired. */
void presence_expire(struct presence *presence, uint64_t now_ms);

/* Goes up whenever presence_list or presence_count may answer differently. */
uint64_t presence_version(const struct presence *presence);
/* Up to `max` people of a room, in the order of their names; returns how many there are in all. */
size_t presence_list(const struct presence *presence, struct slice room, struct present *out,
                     size_t max);
size_t presence_count(const struct presence *presence, struct slice room);
/* People on all nodes, each once. */
size_t presence_total(const struct presence *presence);
