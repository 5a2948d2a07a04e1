/* What the nodes know of each other: a beat four times a second, which is status and sign of life.
 *
 * A node is away when its last beat is older than BEAT_AWAY_MS, or at once when its link to us is gone
 * and dialing it is refused: nobody listens there any more. The beat carries the sender's clock; the
 * next one the other way brings it back, with the time that it lay there: that gives the round trip
 * without a message of its own.
 *
 *   beat   number u64 | applied index u64 | term u64 | leader u64 | state u8 | flags u8 | browsers u64
 *          | disk bytes u64 | uptime ms u64 | sent ns u64 | echo ns u64 (0 = none) | held ns u64
 *          | version text | http url text                       later releases add behind that
 *
 * Knows neither raft nor libuv. The domain thread.
 */
#pragma once
#include "base/buf.h"
#include "base/limits.h"

enum { BEAT_EVERY_MS = 250, BEAT_AWAY_MS = 1000 };
enum { BEAT_READY = 1, BEAT_CATCHING_UP = 2, BEAT_DISK_FULL = 4 }; /* flags */

struct beat { /* a node about itself */
    uint64_t number, applied_index, term, leader;
    uint8_t state; /* raft's number: 1 follower, 2 candidate, 3 leader */
    uint8_t flags;
    uint64_t browsers, disk_bytes, uptime_ms;
    char version[16];
    char http[URL_MAX + 1];
};

struct neighbour { /* another node, as we see it */
    uint64_t id;
    char name[NODE_NAME_MAX + 1];
    char address[ADDRESS_MAX + 1]; /* host:port */
    bool is_known;                 /* a beat has come, ever; in this run */
    bool is_away;
    uint64_t heard_ms; /* clock_ms of its last beat; before the first, of our start */
    struct beat last;
    double rtt_ms; /* NaN = not measured */
    uint64_t their_ns,
        received_ns; /* for the echo: its clock in its last beat, ours when it came */
    bool is_form_heard;
    int form_state; /* enum data_dir_state */
};

struct beats {
    struct neighbour neighbours[2 * MEMBERS_MAX]; /* who has just left may stay for a moment */
    size_t count;
};

/* NULL if the table is full. Known already: that one. */
struct neighbour *beats_add(struct beats *beats, uint64_t id, const char *name, const char *address,
                            uint64_t now_ms);
/* Moves those behind it: pointers into the table are of no use afterwards. Unknown: nothing. */
void beats_remove(struct beats *beats, uint64_t id);
struct neighbour *beats_find(struct beats *beats, uint64_t id);

void beat_encode(struct buf *out, const struct beat *mine, const struct neighbour *to,
                 uint64_t now_ns);
/* 0 or ERR_FORMAT, then nothing is changed. */
int beat_decode(struct neighbour *from, struct slice body, uint64_t now_ns);

/* Does it count as away now? `is_gone`: no link from it, and dialing it was refused. */
bool neighbour_silent(const struct neighbour *neighbour, bool is_gone, uint64_t now_ms);
