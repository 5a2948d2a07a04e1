/* One browser with one room's page open, without a screen.
 *
 * It speaks the wire of a stock LiveView client: upgrade, phx_join, form events, answers to PING.
 * Of what comes it looks at what a generator counts, and at no more: which messages a diff inserts
 * into the stream, by looking for `["m-NUMBER",` at the place of an insert; which request a reply
 * answers; the close code.
 *
 *   NEW -> CONNECTING -> UPGRADING -> JOINING -> LIVE -> CLOSED
 *
 * Numbers of a room only rise, so one number per browser tells what came twice.
 */
#pragma once
#include "bench/loop.h"
#include "bench/visitor.h"

enum browser_state {
    BROWSER_NEW,
    BROWSER_CONNECTING,
    BROWSER_UPGRADING,
    BROWSER_JOINING,
    BROWSER_LIVE,
    BROWSER_CLOSED
};

struct browser;

/* What a browser tells its generator; any may be NULL. */
struct browser_calls {
    void (*on_live)(struct browser *browser);
    /* A diff has put `count` messages into the page that it did not have. */
    void (*on_messages)(struct browser *browser, struct slice diff, unsigned count);
    void (*on_reply)(struct browser *browser, uint64_t ref, struct slice frame);
    /* status: a close code, an HTTP status of the upgrade, or 0 for a broken connection */
    void (*on_closed)(struct browser *browser, bool was_live, int status);
};

struct browser {
    struct watch watch; /* first: a watch is cast back */
    uint8_t state;
    uint16_t tries;    /* the crowd's: failed ones since it was live */
    uint32_t room;     /* bench-ROOM */
    uint64_t ref;      /* of the last request */
    uint64_t newest;   /* highest number on the page */
    uint64_t messages; /* that came in diffs since the join */
    uint64_t again;    /* messages whose number was not above all before */
    uint64_t sent_ns;  /* its owner's: when the last event was sent */
    uint64_t retry_ns; /* the crowd's: when to try again */
    char *torso;       /* a frame that is not whole yet */
    size_t torso_len;
    const struct place *place;
    const struct visitor *visitor;
    struct loop *loop;
    const struct browser_calls *calls;
    struct crowd *crowd;
};

/* Of all browsers of this program. */
struct browser_totals {
    uint64_t bytes;         /* received, after the joins */
    uint64_t diffs;         /* frames that inserted messages */
    uint64_t diff_bytes;    /* and their bytes, with frame headers */
    uint64_t diff_messages; /* and how many they inserted */
    uint64_t reads;         /* calls of recv that brought something */
    bool is_refusal_told;   /* of a join: the first is */
};

extern struct browser_totals browser_totals;

/* Connects, or connects anew after CLOSED. */
void browser_open(struct browser *browser);
/* Gone without a word, as a lid that is shut. */
void browser_close(struct browser *browser);
/* Submits the message box. `text` has letters, digits, blanks and ^ only. */
void browser_send(struct browser *browser, struct slice text, struct slice nonce);

/* The reply to a refused message brings a hint, by its class. */
bool reply_is_refusal(struct slice frame);
