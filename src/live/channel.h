/* Phoenix channels over one WebSocket: join, event, heartbeat, leave (vsn 2.0.0).
 *
 * Frames are [join_ref, ref, topic, event, payload]. What is answered, and how, is in
 * docs/protocol.md; the short of it: every join, event, live_patch and leave gets its phx_reply;
 * events always with status ok; what is no frame at all closes the connection; what belongs to no
 * topic of this connection is answered "unmatched topic"; an event of an older join has no effect.
 *
 * Of the topics only lv:lt, the one root of a page, can be joined.
 *
 * What a page may cost is limited for each view (its events that wait, its checks and typing), and a join
 * or a patch makes a view anew: so a connection has only so many of them. They are more than the quickest
 * hand can do: all of a browser's history at once, and five a second.
 *
 * One web thread.
 */
#pragma once
#include "live/live.h"

enum { CHANNEL_CLIENT_VERSION_MAX = 16 };

/* "1.2.12": of the stock phoenix_live_view that is built in. */
extern const char channel_client_version[];

struct channel {
    const struct live_host *host;
    void *connection;         /* the host's, handed to host->send */
    uint8_t csrf[16];         /* of the upgrade */
    struct live *live;        /* the joined (or joining) root view, or NULL */
    struct identity identity; /* of the last join */
    bool is_joined_once;      /* a join was answered with ok */
    uint64_t joins_full_ms;   /* when all CHANNEL_JOINS_MAX may be had again, by host->now_ms */
};

void channel_init(struct channel *channel, const struct live_host *host, void *connection,
                  const uint8_t csrf[16]);
/* The connection is gone, or going: unmounts. Sends nothing. */
void channel_close(struct channel *channel);

/* One text message. 0, or the code to close the connection with: 1002 for what is no frame, 1008 for too many joins,
 * 1009 for a message that is too large or too deep. */
int channel_receive(struct channel *channel, struct slice text);

/* Makes the client rejoin: phx_error. For tests and for a view that lost its way. */
void channel_crash(struct channel *channel);

/* ---- for the engine ---- */

/* Begins a frame in the host's scratch, which it resets: [join_ref,ref,"lv:lt","event", */
struct buf *channel_begin(struct channel *channel, struct slice join_ref, struct slice ref,
                          const char *event);
/* Ends and sends it. False, and nothing sent, if it did not fit. */
bool channel_end(struct channel *channel);
/* A whole phx_reply; nothing if ref is empty: nobody waits. */
void channel_reply(struct channel *channel, struct slice join_ref, struct slice ref,
                   struct slice topic, const char *status, struct slice response);
extern const struct slice channel_topic; /* lv:lt */
