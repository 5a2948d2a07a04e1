#include "cluster/beat.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "cluster/wire.h"

struct neighbour *beats_find(struct beats *beats, uint64_t id)
{
    for (size_t i = 0; i < beats->count; i++) {
        if (beats->neighbours[i].id == id) return &beats->neighbours[i];
    }
    return NULL;
}

struct neighbour *beats_add(struct beats *beats, uint64_t id, const char *name, const char *address,
                            uint64_t now_ms)
{
    struct neighbour *neighbour = beats_find(beats, id);
    if (neighbour != NULL) return neighbour;
    if (beats->count == sizeof beats->neighbours / sizeof *beats->neighbours) return NULL;
    neighbour = &beats->neighbours[beats->count++];
    *neighbour = (struct neighbour){.id = id, .heard_ms = now_ms, .rtt_ms = NAN};
    snprintf(neighbour->name, sizeof neighbour->name, "%s", name);
    snprintf(neighbour->address, sizeof neighbour->address, "%s", address);
    return neighbour;
}

void beats_remove(struct beats *beats, uint64_t id)
{
    struct neighbour *gone = beats_find(beats, id);
    if (gone == NULL) return;
    size_t behind = beats->count - (size_t)(gone - beats->neighbours) - 1;
    memmove(gone, gone + 1, behind * sizeof *gone);
    beats->count--;
}

void beat_encode(struct buf *out, const struct beat *mine, const struct neighbour *to,
                 uint64_t now_ns)
{
    bool has_echo = to->their_ns != 0;
    wire_put_u64(out, mine->number);
    wire_put_u64(out, mine->applied_index);
    wire_put_u64(out, mine->term);
    wire_put_u64(out, mine->leader);
    wire_put_u8(out, mine->state);
    wire_put_u8(out, mine->flags);
    wire_put_u64(out, mine->browsers);
    wire_put_u64(out, mine->disk_bytes);
    wire_put_u64(out, mine->uptime_ms);
    wire_put_u64(out, now_ns);
    wire_put_u64(out, has_echo ? to->their_ns : 0);
    wire_put_u64(out, has_echo ? now_ns - to->received_ns : 0);
    wire_put_text(out, slice_from(mine->version));
    wire_put_text(out, slice_from(mine->http));
}

static void take_text(char *out, size_t size, struct slice text)
{
    text = slice_first(text, size - 1);
    if (text.len > 0) memcpy(out, text.at, text.len);
    out[text.len] = '\0';
}

int beat_decode(struct neighbour *from, struct slice body, uint64_t now_ns)
{
    struct wire wire = wire_of(body);
    struct beat beat = {.number = wire_get_u64(&wire)};
    beat.applied_index = wire_get_u64(&wire);
    beat.term = wire_get_u64(&wire);
    beat.leader = wire_get_u64(&wire);
    beat.state = wire_get_u8(&wire);
    beat.flags = wire_get_u8(&wire);
    beat.browsers = wire_get_u64(&wire);
    beat.disk_bytes = wire_get_u64(&wire);
    beat.uptime_ms = wire_get_u64(&wire);
    uint64_t their_ns = wire_get_u64(&wire);
    uint64_t echo_ns = wire_get_u64(&wire);
    uint64_t held_ns = wire_get_u64(&wire);
    struct slice version = wire_get_text(&wire), http = wire_get_text(&wire);
    if (wire.failed || !wire_is_line(version) || !wire_is_line(http)) return ERR_FORMAT;
    take_text(beat.version, sizeof beat.version, version);
    take_text(beat.http, sizeof beat.http, http);

    from->is_known = true;
    from->heard_ms = now_ns / 1000000;
    from->last = beat;
    from->their_ns = their_ns;
    from->received_ns = now_ns;
    /* An echo of another run of ours, or nonsense, is no measurement. */
    if (echo_ns != 0 && echo_ns < now_ns && held_ns < now_ns - echo_ns) {
        from->rtt_ms = (double)(now_ns - echo_ns - held_ns) / 1e6;
    }
    return 0;
}

bool neighbour_silent(const struct neighbour *neighbour, bool is_gone, uint64_t now_ms)
{
    return is_gone || now_ms - neighbour->heard_ms >= BEAT_AWAY_MS;
}
