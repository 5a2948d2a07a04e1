/* The table of routes, and the frame around every page.
 *
 *   /          home      /:room     a room      /cluster   the nodes
 *
 * Each page is a view (live/view.h): model, update, view. What its readers see alike is its shared
 * model, one for each topic, made and fed by the web thread:
 *
 *   home     one a time zone offset       cluster    one a time zone offset
 *   chat     one a room and time zone offset
 *
 * Pure but for what their headers say.
 */
#pragma once
#include "live/live.h"
#include "pages/board.h"

extern const struct view home_view, chat_view, cluster_view;

/* Which view a path of ours ("/lobby?e=too_fast", still encoded) shows. LIVE_ELSEWHERE with `to` for
 * a room whose name is not in its canonical form ("/Lobby"); LIVE_NOWHERE for reserved words and
 * what can be no room. */
enum live_find pages_find(struct slice path, struct live_address *address, struct buf *to);

/* First words of paths that are no rooms. */
bool pages_is_reserved(struct slice word);

struct frame {                  /* what root.html has holes for */
    struct slice title;         /* without suffix */
    struct slice ui_title;      /* [ui] title, "Live Tea" */
    struct slice csrf, session; /* tokens; an empty session: a page that is not live */
    struct slice nodes;         /* public URLs, blank between them; empty behind a proxy */
    struct slice content;       /* the inside of the root */
    /* "/assets/app.js?v=HASH" for its name, appended (web/assets.h); NULL: names without a hash */
    void (*add_asset)(struct buf *out, const char *name);
};

void pages_frame(struct buf *out, const struct frame *frame);

/* "(3) " before a title; nothing for 0. */
void pages_add_unread(struct buf *out, uint64_t unread);

/* The nonce of the private style in the page of this identity: for the policy of the response and for
 * live_dead_render. It follows from what the page's session token carries (the secret session id and
 * issued_s), so the identity must be the one that token_add_session was given. A join renders the
 * same: a page that the client builds anew when it navigates needs it again. */
enum { PAGES_NONCE = 23 }; /* with its final NUL */
void pages_style_nonce(char out[PAGES_NONCE], const struct identity *identity);

/* The value of Content-Security-Policy. `nodes` as in frame; `nonce` may be NULL. */
void pages_csp(struct buf *out, struct slice nodes, const char *nonce);

/* The inside of pages that are not live: 404; 503 while this node starts, catches up or stops, with links to
 * the same path on other nodes (`board` NULL: none is known). */
void pages_not_found(struct buf *out, struct slice path);
void pages_unavailable(struct buf *out, struct slice sentence, const struct board *board,
                       struct slice path);

/* ---- shared models ----
 * made with room/offset; `board` is borrowed until the next call with another one. */

struct shared_options {
    struct slice room; /* chat only */
    int16_t offset_minutes;
    bool is_status_apart; /* /status is on another listener, which browsers do not reach */
    struct slice ui_title;
};

void *home_shared_new(const struct shared_options *options);
void home_shared_free(void *shared);
void home_shared_board(void *shared, const struct board *board);

void *cluster_shared_new(const struct shared_options *options);
void cluster_shared_free(void *shared);
void cluster_shared_board(void *shared, const struct board *board);

void *chat_shared_new(const struct shared_options *options);
void chat_shared_free(void *shared);
void chat_shared_board(void *shared, const struct board *board);

/* A room's messages. The stream's list is what a join shows (the newest PAGE_MESSAGES of what was
 * added) until chat_shared_fresh, then what was added since the last chat_shared_settle, for the
 * broadcast; settle goes back. The lines are rendered once, here.
 *
 *     chat_shared_add(shared, message) ...      for each new message of this turn
 *     chat_shared_fresh(shared); topic_broadcast(...); chat_shared_settle(shared);
 *     topic_stream_changed(topic);
 *
 * A broadcast for a new board stands between fresh and settle as well: else it would send the whole
 * list again.
 *
 * `now_ms` is the wall clock, for the words of day lines ("Today"). */
void chat_shared_tail(void *shared, const struct room_tail *tail, int64_t now_ms); /* at first */
void chat_shared_add(void *shared, const struct message *message, int64_t now_ms);
void chat_shared_fresh(void *shared);
void chat_shared_settle(void *shared);
/* So much came that not all of it is shown: all lines are made anew, of the newest messages of the tail.
 * To be broadcast by topic_broadcast_reset. */
void chat_shared_restart(void *shared, const struct room_tail *tail, int64_t now_ms);
/* A line said "Today" of a day that is over: what was encoded is to be made again. */
bool chat_shared_day_passed(void *shared, int64_t now_ms);
