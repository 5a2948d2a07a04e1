/* One mounted view, from mount to close: the LiveView engine's heart.
 *
 *   join ----> OPENING ----opened----> MOUNTED ----leave, close, replaced----> gone
 *                 \---refused, leave-----------------------------------------/
 *
 * Bytes in, bytes out: the engine opens no socket and reads no clock. What it needs of its thread is
 * struct live_host, function pointers given once. Each is called as the engine's last act, or its
 * header says that it may be called at once.
 *
 * An event is answered exactly once, status ok, with what changed in the reader's private holes. A page
 * that waits (LIVE_LATER) is answered through live_inform with the event's ref; one that ends before
 * that answers nothing.
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

struct live_address { /* what a path shows */
    const struct view *view;
    char room[ROOM_MAX]; /* for a room's page; canonical */
    uint8_t room_len;
    int hint; /* enum chat_refusal to show at first (a form without JavaScript was refused) */
};

enum live_find { LIVE_FOUND, LIVE_NOWHERE, LIVE_ELSEWHERE /* a full page load of `to` */ };

struct live_host {
    void *owner;
    struct token_keys keys;
    const char *node; /* this node's name */

    /* To the browser behind `connection`: one text frame in pieces. Takes a reference of each. */
    void (*send)(void *owner, void *connection, struct shared *const pieces[], size_t count);

    /* Which view a path of ours shows ("/lobby?x"); `to` is filled for LIVE_ELSEWHERE. Pure. */
    enum live_find (*find)(void *owner, struct slice path, struct live_address *address,
                           struct buf *to);

    /* Make ready what live->address needs (its room's tail), hold it until this node has applied
     * event number `seen` or SEEN_HOLD_MS are over, then call live_opened or live_refused; perhaps at
     * once. */
    void (*open)(void *owner, struct live *live, uint64_t seen);
    /* The live is going away, or shows another address from now on: forget it, wherever it waits.
     * After opened the topic has lost this reader already. */
    void (*close)(void *owner, struct live *live);

    /* Answers come as live_inform(live, ref, info), while the live is there. */
    void (*dispatch)(void *owner, struct live *live, const struct live_ref *ref,
                     const struct send_message *command);
    void (*check)(void *owner, struct live *live, const struct live_ref *ref,
                  const struct send_message *command);
    void (*history)(void *owner, struct live *live, const struct live_ref *ref,
                    uint64_t before_number);
    /* Tell (LIVE_APPLIED) when this command id is applied; one at a time for each live. */
    void (*watch)(void *owner, struct live *live, const struct command_id *id);
    void (*wake)(void *owner, struct live *live, uint32_t ms);
    void (*typing)(void *owner, struct live *live);

    int64_t (*wall_ms)(void *owner);
    void (*random)(void *owner, void *out, size_t len);
};

enum live_state { LIVE_OPENING, LIVE_MOUNTED, LIVE_DEAD /* the page of a GET */ };

struct live {
    struct channel *channel; /* NULL for a dead render */
    const struct live_host *host;
    enum live_state state;
    bool is_patch;            /* opening for a live_patch (or a server's patch) of a mounted live */
    bool behind;              /* opened before `seen` was reached */
    bool touch;               /* the browser has no mouse */
    struct live_address address;
    int16_t offset_minutes;   /* the reader's time zone, east of UTC */
    const struct identity *identity; /* the channel's (the request's, for a dead render) */
    struct topic *topic;      /* while MOUNTED */
    struct live *next_reader, *prev_reader;
    void *page;               /* view->page_size bytes */
    uint64_t *hashes;         /* view->template->private_slots, and one for the title behind them */
    char *style_nonce;        /* dead render: for CSP; mounted: NULL, the page keeps its first one */
    void *host_data;          /* the host's */
    struct live_ref ref;      /* that the join or patch will be answered with */
    char join_ref[REF_MAX];
    uint8_t join_ref_len;
    /* what the running handle_event or handle_info asked for; engine's */
    const void *stream_shared; /* render the stream from this instead (history) */
    int stream_at;
    struct buf *redirect_to;
    int redirect_kind;
};

/* ---- for pages ---- */

/* The command's room, sender and sender id are filled from the live, not from `command`. */
void live_dispatch(struct live *live, struct slice text, const struct command_id *id);
/* Is this command in the log? Answered after everything that was on its way is applied. */
void live_check(struct live *live, struct slice text, const struct command_id *id);
void live_history(struct live *live, uint64_t before_number);
void live_watch(struct live *live, const struct command_id *id);
void live_wake(struct live *live, uint32_t ms);
void live_typing(struct live *live);
/* A fresh command id. */
void live_new_id(struct live *live, struct command_id *id);
int64_t live_wall_ms(struct live *live);
/* Put into the answer (of the running handle_event or handle_info): */
void live_navigate(struct live *live, struct slice to); /* live_redirect, kind push */
void live_redirect(struct live *live, struct slice to); /* a full page load */
/* The stream of the diff that is about to be sent comes from this shared model's list. */
void live_stream(struct live *live, const void *shared, int at);

/* ---- for the host ---- */

/* What `open` asked for is there: mounts, subscribes, answers, in one step. `behind`: `seen` was not
 * reached in time. */
void live_opened(struct live *live, struct topic *topic, bool behind);
/* It cannot be had: reason "stale" or "reload"... of liveview-protocol 3.3. */
void live_refused(struct live *live, const char *reason);
/* Something came for it: handle_info, then the answer to `ref` (or, without one, a diff if anything
 * private changed). NULL ref: nobody waits. */
void live_inform(struct live *live, const struct live_ref *ref, const struct live_info *info);

/* The dead page: mounts a page for one request, renders its HTML (the inside of the root element) and
 * its title, and forgets it. */
void live_dead_render(const struct live_host *host, const struct live_address *address,
                      const struct identity *identity, struct topic *topic,
                      int16_t offset_minutes, const char *style_nonce, struct buf *html,
                      struct buf *title);
