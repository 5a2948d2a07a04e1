/* A host for the engine that has no sockets and no cluster: rooms in RAM, browsers that are lists of
 * frames, a leader that answers at the end of each turn. For the golden transcripts and for unit tests.
 *
 * Browsers are named A to Z. What is sent to one is appended to `out` as a line "A> frame" and merged
 * into its client_tree; what is wrong with it there is a line "A? ...".
 *
 *   /        the door: one form      /:room    a room (tea.heex)
 */
#pragma once
#include "client_tree.h"
#include "live/channel.h"

enum { FAKE_BROWSERS = 26, FAKE_ROOMS = 8, FAKE_OUT_MAX = 8 * 1024 * 1024 };

struct fake_job;
struct fake_room;

struct fake_browser {
    bool is_open;
    struct channel channel;
    struct client_tree tree;
    size_t frames_count; /* sent to it */
    struct shared *last; /* the last complete frame that was sent to many */
};

struct fake_host {
    struct live_host host;
    struct buf scratch, words, out;
    struct fake_browser browsers[FAKE_BROWSERS];
    struct fake_room *rooms[FAKE_ROOMS];
    struct fake_room *door;
    struct fake_job *jobs; /* in the order in which they came */
    uint64_t number;       /* of the last message of all rooms */
    uint8_t randoms;       /* drawn so far */
    bool holds_opens;      /* opens wait until they are released */
    bool is_slow;          /* all else that is asked for waits */
    bool has_no_leader;    /* commands are answered "unknown" */
    int64_t now_ms;
};

void fake_host_init(struct fake_host *fake);
void fake_host_close(struct fake_host *fake);

/* Opens browser `name` with the csrf id of the person `who`. */
struct fake_browser *fake_host_open(struct fake_host *fake, char name, struct slice who);
void fake_host_shut(struct fake_host *fake, char name);
/* A frame from the browser, then everything that is due. Returns channel_receive's answer. */
int fake_host_receive(struct fake_host *fake, char name, struct slice frame);
/* Does what waits. */
void fake_host_turn(struct fake_host *fake);

struct fake_browser *fake_host_browser(struct fake_host *fake, char name);
void fake_identity(struct identity *identity, const struct token_keys *keys, struct slice who);
/* The session token of a person. */
void fake_host_session(struct fake_host *fake, struct buf *out, struct slice who);
/* A message that came in by another node; `id` may be empty. */
void fake_host_say(struct fake_host *fake, struct slice room, struct slice id, struct slice sender,
                   struct slice text);
/* Changes of the shared model that are broadcast: "people ann bob", "away 2". */
void fake_host_people(struct fake_host *fake, struct slice room, struct slice names);
void fake_host_away(struct fake_host *fake, struct slice room, unsigned away);
/* Rooms, people or nodes changed: LIVE_LISTS to all. */
void fake_host_lists(struct fake_host *fake);
/* Refuses the opens that wait. */
void fake_host_refuse(struct fake_host *fake, const char *reason);
/* What a GET of the path would put into the page. */
void fake_host_dead(struct fake_host *fake, struct slice path, struct slice who, struct buf *html,
                    struct buf *title);
