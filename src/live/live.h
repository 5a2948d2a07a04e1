/* One mounted view, from mount to close: the LiveView engine's heart.
 *
 *                  .------- live_patch to another address -------.
 *                  v                                              |
 *   join ----> OPENING ----opened----> MOUNTED ------------------'
 *                  |                      |
 *                  '--refused, leave------'--leave, close, replaced, crash----> gone
 *
 * Bytes in, bytes out: the engine opens no socket and reads no clock. What it needs of its thread is
 * struct live_host, function pointers given once. What the host answers (live_opened, live_refused,
 * live_inform) it calls later, from its loop; of `open` alone also from within.
 *
 * An event is answered exactly once, status ok, with what changed in the reader's private holes. A page
 * that waits (LIVE_LATER) is answered through live_inform with the event's ref. A view that goes to
 * another address first answers what waits with {}; one that ends answers nothing. While a view is
 * OPENING its events are answered {}.
 *
 * Owned by a channel (live/channel.h), one web thread.
 */
#pragma once
#include "live/pubsub.h"
#include "live/token.h"

struct channel;

struct live_ref { /* of an event that waits for its answer */
    char text[REF_MAX];
    uint8_t len; /* 0: nobody waits */
};

enum { LIVE_HINT_UNKNOWN = -1 }; /* what became of that form is not known */

struct live_address { /* what a path shows */
    const struct view *view;
    char room[ROOM_MAX]; /* for a room's page; canonical */
    uint8_t room_len;
    int hint; /* enum chat_refusal of a form that was sent without JavaScript, or LIVE_HINT_UNKNOWN */
};

enum live_find { LIVE_FOUND, LIVE_NOWHERE, LIVE_ELSEWHERE /* a full page load of `to` */ };

struct live_host {
    void *owner;
    struct token_keys keys;
    const char *node;    /* this node's name */
    struct buf *scratch; /* the thread's, for what is being written; the engine resets it */
    struct buf *words;   /* another one, small: titles, addresses */

    /* To the browser behind `connection`, a text frame whose payload comes in pieces: the host puts
     * a head before them. Takes its own reference of each. Sending never calls back into the engine: a
     * connection that cannot keep up is closed in a later turn. */
    void (*send)(void *owner, void *connection, struct shared *const pieces[], size_t count);
    /* A complete frame around a payload, one reference, to be sent to many by send_frame. */
    struct shared *(*frame)(void *owner, struct slice payload);
    void (*send_frame)(void *owner, void *connection, struct shared *frame);

    /* Which view a path of ours shows ("/lobby?x"); `to` is filled for LIVE_ELSEWHERE. Pure. */
    enum live_find (*find)(void *owner, struct slice path, struct live_address *address,
                           struct buf *to);

    /* Make ready what live->address needs (its room's tail), hold it until this node has applied
     * event number `seen` or SEEN_HOLD_MS are over, then call live_opened or live_refused; perhaps at
     * once. */
    void (*open)(void *owner, struct live *live, uint64_t seen);
    /* The live is going away, or shows another address from now on (live->address is the old one
     * still): forget it, wherever it waits. Its topic has lost this reader already. */
    void (*close)(void *owner, struct live *live);

    /* Answers come as live_inform(live, ref, info), later, while the live is there. `ref` is that of
     * the event whose handler asked, to be copied; its len is 0 when nobody waits. The command's
     * slices are borrowed. */
    void (*dispatch)(void *owner, struct live *live, const struct live_ref *ref,
                     const struct send_message *command);
    void (*check)(void *owner, struct live *live, const struct live_ref *ref,
                  const struct send_message *command);
    void (*history)(void *owner, struct live *live, const struct live_ref *ref,
                    uint64_t before_number);
    /* Tell (LIVE_APPLIED) when this command id is applied; one at a time for each live. */
    void (*watch)(void *owner, struct live *live, const struct command_id *id);
    /* Tell (LIVE_WOKEN) after so long; one at a time for each live: a later wish replaces an earlier one. */
    void (*wake)(void *owner, struct live *live, uint32_t ms);
    void (*typing)(void *owner, struct live *live);

    int64_t (*wall_ms)(void *owner);
    uint64_t (*now_ms)(void *owner); /* rises evenly, whatever is done to the clock on the wall */
    void (*random)(void *owner, void *out, size_t len);
};

enum live_state { LIVE_OPENING, LIVE_MOUNTED, LIVE_DEAD /* the page of a GET */ };

enum live_redirect_kind { LIVE_STAY, LIVE_NAVIGATE, LIVE_REDIRECT };

struct live_pending { /* an event whose answer comes later */
    struct live_pending *next;
    struct live_ref ref;
};

struct live {
    struct channel *channel; /* NULL for a dead render */
    const struct live_host *host;
    enum live_state state;
    bool is_patch;  /* opening for a live_patch of a joined live */
    bool is_rejoin; /* this page of the browser was joined before (params._mounts > 0) */
    bool behind;    /* opened before `seen` was reached */
    char from[NODE_NAME_MAX + 1]; /* the page's word for the node that served it before; or empty */
    uint64_t seen; /* number of the newest message that it showed before, of this room; 0 = none */
    bool touch;    /* the browser has no mouse */
    int16_t offset_minutes; /* the reader's time zone, east of UTC */
    struct live_address address;
    const struct identity *identity; /* the channel's (the request's, for a dead render) */
    struct topic *topic;             /* while MOUNTED or DEAD */
    struct live *next_reader, *prev_reader;
    void *page;       /* view->page_size bytes; NULL while OPENING */
    void *reader;     /* the pages': one mem_new block that outlives a patch; NULL at first, the
                               * engine gives it to mem_free with the live */
    uint64_t *hashes; /* view->template->private_slots, and one for the title behind them */
    const char *style_nonce; /* dead render: for CSP; mounted: NULL, the page keeps its first one */
    void *host_data;         /* the host's */
    struct live_ref ref;     /* that the join or patch will be answered with */
    struct live_ref join_ref;
    struct live_pending *pending;
    unsigned pending_count;
    /* what the running handle_event, handle_info or mount asked for; engine's */
    const struct live_ref *running; /* its event's ref, or NULL */
    const void *stream_shared;      /* render the stream from this (history), or NULL */
    int stream_at;
    enum live_redirect_kind redirect;
    char *redirect_to; /* owned */
#ifdef LIVETEA_MISTAKE_SUBSCRIBE
    bool misses_next; /* the next broadcast: it fell between rendering and subscribing */
#endif
};

/* ---- for pages ---- */

/* These do nothing for a dead render. Room, sender and sender id of a command are the live's.
 * `retried`: it may be in the log already, so that it is never answered as refused by who cannot know. */
void live_dispatch(struct live *live, struct slice text, const struct command_id *id, bool retried);
/* Is this command in the log? Answered after everything that was on its way is applied. */
void live_check(struct live *live, struct slice text, const struct command_id *id);
void live_history(struct live *live, uint64_t before_number);
void live_watch(struct live *live, const struct command_id *id);
void live_wake(struct live *live, uint32_t ms); /* once; in place of what was asked for before */
void live_typing(struct live *live);
/* What became of the form that led to this address: told once, though the address stays. */
int live_hint(const struct live *live);
/* A fresh command id. */
void live_new_id(struct live *live, struct command_id *id);
int64_t live_wall_ms(struct live *live);
/* Put into the answer (of the running mount, handle_event or handle_info), instead of a diff: */
void live_navigate(struct live *live, struct slice to); /* live_redirect, kind push: a path */
void live_redirect(struct live *live, struct slice to); /* a full page load: a path or URL */
/* The stream of the diff that is about to be sent holds this shared model's list; it must live until
 * the running handler has returned and its answer is out. at: -1 append, 0 prepend. */
void live_stream(struct live *live, const void *shared, int at);

/* ---- for the host ---- */

/* What `open` asked for is there: mounts, subscribes, answers, in one step. `behind`: `seen` was not
 * reached in time. The live may be gone afterwards. */
void live_opened(struct live *live, struct topic *topic, bool behind);
/* It cannot be had: the page loads anew from whom it reaches ("stale", "unauthorized": at once;
 * "reload": at once, and gets what the GET answers). A view that was to be patched is left alone by
 * its page, which joins anew. The live is gone afterwards. */
void live_refused(struct live *live, const char *reason);
/* Something came for it: handle_info, then the answer to `ref` (or, without one, a diff if anything
 * private changed). NULL ref, or one that was answered already: nobody waits. What comes while it is
 * OPENING is dropped. The live may be gone afterwards. */
void live_inform(struct live *live, const struct live_ref *ref, const struct live_info *info);

/* The dead page: mounts a page for one request, renders its HTML (the inside of the root element) and
 * its title, and forgets it. */
void live_dead_render(const struct live_host *host, const struct live_address *address,
                      const struct identity *identity, struct topic *topic, int16_t offset_minutes,
                      const char *style_nonce, struct buf *html, struct buf *title);

/* ---- for the channel ---- */

struct live_join {
    struct slice ref, join_ref;
    struct slice from; /* the node that served the page before, as the page has it */
    const struct live_address *address;
    int16_t offset_minutes;
    bool touch, is_rejoin;
    bool is_redirect; /* first join in another page's place: `seen` is of that one's room */
    uint64_t seen;
};

/* Makes the channel's live and opens it; it is answered sooner or later. */
void live_join(struct channel *channel, const struct live_join *join);
/* Ends it without a word; the channel has none then. */
void live_close(struct live *live);
void live_event(struct live *live, const struct live_ref *ref, struct slice event,
                const struct params *params);
/* To another address of a joined live. */
void live_patch(struct live *live, const struct live_ref *ref, const struct live_address *address);
void live_ref_set(struct live_ref *ref, struct slice text); /* at most REF_MAX bytes */
static inline struct slice live_ref_text(const struct live_ref *ref)
{
    return slice_make(ref->text, ref->len);
}
bool live_address_equal(const struct live_address *a, const struct live_address *b);
