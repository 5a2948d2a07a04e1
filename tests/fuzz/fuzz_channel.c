/* Two browsers at one host, line by line:
 *
 *   <frame    ann sends it         >frame   bob does
 *   s text    a message comes      p names  people change
 *   h, w      opens wait; answers wait (again: they go on)
 *   n         no leader, or one again
 *   l, c      lists change; ann's view crashes
 *   x         ann's connection is gone, and she is back
 *
 * In a frame, %S is the session token of who sends it. Whatever comes in, what goes out must be
 * JSON that fits into the page that the browser has.
 */
#include "base/text.h"
#include "fake_host.h"
#include "fuzz.h"

enum { LINES_MAX = 64, FRAME_MAX = 256 * 1024 };

static enum live_find (*find)(void *owner, struct slice path, struct live_address *address,
                              struct buf *to);

/* The host has room for a few rooms only. */
static enum live_find find_one(void *owner, struct slice path, struct live_address *address,
                               struct buf *to)
{
    enum live_find found = find(owner, path, address, to);
    struct slice room = slice_make(address->room, address->room_len);
    bool is_known = room.len == 0 || slice_is(room, "lobby") || slice_is(room, "tea");
    return found == LIVE_FOUND && !is_known ? LIVE_NOWHERE : found;
}

static struct slice person(char name)
{
    return name == 'A' ? slice_of("ann") : slice_of("bob");
}

static void send_frame(struct fake_host *fake, char name, struct slice line)
{
    struct buf frame;
    buf_init(&frame, FRAME_MAX);
    while (line.len > 0) {
        if (slice_starts(line, slice_of("%S"))) {
            fake_host_session(fake, &frame, person(name));
            line = slice_skip(line, 2);
        } else {
            buf_add_char(&frame, line.at[0]);
            line = slice_skip(line, 1);
        }
    }
    if (fake_host_receive(fake, name, buf_slice(&frame)) != 0)
        fake_host_open(fake, name, person(name));
    buf_close(&frame);
}

static void play(struct fake_host *fake, struct slice line)
{
    struct slice rest = slice_skip(line, 1);
    switch (line.len == 0 ? '\0' : line.at[0]) {
    case '<': send_frame(fake, 'A', rest); break;
    case '>': send_frame(fake, 'B', rest); break;
    case 's':
        if (text_valid(rest) && !text_has_controls(rest))
            fake_host_say(fake, slice_of("lobby"), slice_of(""), slice_of("eve"), rest);
        break;
    case 'p': fake_host_people(fake, slice_of("lobby"), slice_of("ann bob")); break;
    case 'h': fake->holds_opens = !fake->holds_opens; break;
    case 'w': fake->is_slow = !fake->is_slow; break;
    case 'n': fake->has_no_leader = !fake->has_no_leader; break;
    case 'l': fake_host_lists(fake); break;
    case 'c': channel_crash(&fake_host_browser(fake, 'A')->channel); break;
    case 'x': fake_host_open(fake, 'A', person('A')); break;
    default: break;
    }
    fake_host_turn(fake);
}

static void check(struct fake_host *fake)
{
    for (struct slice rest = buf_slice(&fake->out); rest.len > 0;) {
        struct slice line = slice_cut(&rest, '\n');
        if (line.len < 2 || line.at[1] != '?') continue;
        fprintf(stderr, "%.*s\n", (int)fake->out.len, fake->out.at);
        abort();
    }
    buf_reset(&fake->out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fake_host fake;
    fake_host_init(&fake);
    find = fake.host.find;
    fake.host.find = find_one;
    fake_host_open(&fake, 'A', person('A'));
    fake_host_open(&fake, 'B', person('B'));
    struct slice rest = slice_make(data, size);
    for (unsigned lines = 0; rest.len > 0 && lines < LINES_MAX; lines++) {
        play(&fake, slice_cut(&rest, '\n'));
        check(&fake);
    }
    fake_host_close(&fake);
    return 0;
}
