/* What a page must be able to do: model, update, view.
 *
 * A page is a struct of its own (the model, one for each mounted reader, `page_size` bytes, zeroed)
 * and these functions. They read no clock, draw no number, open no socket: what they want done they
 * ask for (live_* in live/live.h), and what comes back is a live_info.
 *
 * An event is answered with what changed in the page's private holes; a page that must wait for
 * something says LIVE_LATER. A view's title is the reader's own.
 *
 * What all readers of a topic see alike is not in the page but in the topic's shared model
 * (`shared`): rendered once for all of them. A view that shows no such thing has shared_slots 0.
 */
#pragma once
#include "chat/chat.h"
#include "chat/read_model.h"
#include "live/params.h"
#include "live/render.h"

struct live;

enum live_reply {
    LIVE_REPLY, /* answer the event now, with what changed */
    LIVE_LATER  /* the answer comes with a live_info that carries this event's ref */
};

enum live_info_kind {
    LIVE_ANSWERED,     /* of live_dispatch */
    LIVE_CHECKED,      /* of live_check */
    LIVE_APPLIED,      /* a watched command id was applied */
    LIVE_HISTORY,      /* of live_history */
    LIVE_STREAM_RESET, /* what the page had of the stream was replaced by what a join shows */
    LIVE_LISTS,        /* rooms, people or nodes changed; at most once a second */
    LIVE_WOKEN         /* of live_wake */
};

enum live_outcome { LIVE_ACCEPTED, LIVE_REFUSED, LIVE_UNKNOWN, LIVE_NOT_FOUND, LIVE_USED };

struct live_info {
    enum live_info_kind kind;
    struct command_id id; /* ANSWERED, CHECKED, APPLIED */
    /* Borrowed. ANSWERED, CHECKED: that was asked with. APPLIED: that is in the log now; empty if it is of
     * somebody else, or in another room. */
    struct slice text;
    /* ANSWERED: ACCEPTED, REFUSED, UNKNOWN. CHECKED: ACCEPTED (known, same content), USED, NOT_FOUND,
     * UNKNOWN (nobody to ask) */
    enum live_outcome outcome;
    enum chat_refusal refusal;      /* with REFUSED */
    uint32_t wait_ms;               /* with too_fast */
    uint64_t number;                /* with ACCEPTED */
    const struct message *messages; /* HISTORY: newest first */
    size_t messages_count;
    bool reached_start; /* HISTORY: nothing is older than these */
};

struct view {
    const char *name;
    const struct template *template;
    size_t page_size;

    void (*mount)(struct live *live, void *page);
    void (*unmount)(struct live *live, void *page); /* may be NULL */
    /* `self` is the page; value: form fields, or the members of a JSON value. */
    enum live_reply (*handle_event)(struct live *live, void *page, struct slice event,
                                    const struct params *params);
    void (*handle_info)(struct live *live, void *page, const struct live_info *info);
    void (*render)(struct render *r, const void *page, const void *shared);
    /* The title without its suffix, appended. */
    void (*title)(struct buf *out, const void *page, const void *shared);
};
