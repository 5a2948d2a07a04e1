/* A web thread: a loop, its listening socket, its connections and live views, and copies of the tails
 * of the rooms that they show.
 *
 * It is made of rooms in one floor: web_thread (the loop, mail, sockets), site (pages, forms, the
 * upgrade), api, messages, admin_api and backup_api (programs), exchange (one request on its way to an
 * answer), rooms (shown rooms and their topics), commands (to the domain thread and back), viewers (what the
 * engine asks of its thread), older (pages of older messages), chores (reads on the pool, calls after a
 * while). None of them knows another thread but by mail.
 */
#pragma once
#include <uv.h>

#include "app/chores.h"
#include "app/config.h"
#include "app/exchange.h"
#include "app/mails.h"
#include "app/secret.h"
#include "store/event_store.h"
#include "web/listener.h"
#include "web/router.h"

struct domain_thread;
struct web_thread;

struct web_thread_options {
    const struct config *config;
    int number;                  /* 0, 1, 2... */
    struct mailbox *domain;      /* where to send */
    struct mailbox *main;        /* who stops the node */
    struct event_store *store;   /* for readers of its own */
    const struct secret *secret; /* signs sessions and csrf tokens, tells administrators */
    uv_sem_t *drained;           /* posted once, when the last browser has gone after MAIL_DRAIN */
};

/* Binds its listeners. 0 or ERR_BIND, ERR_IO; after an error the process ends. */
int web_thread_start(struct web_thread **out, const struct web_thread_options *options,
                     struct errmsg *errmsg);
/* Starts the loop's thread, once the domain thread knows it. 0 or ERR_IO. */
int web_thread_run(struct web_thread *thread, struct errmsg *errmsg);
struct mailbox *web_thread_mailbox(struct web_thread *thread);
/* After MAIL_STOP was sent: waits for its end, frees it. */
void web_thread_join(struct web_thread *thread);

/* ---- for the rooms of this floor; all in the thread's own loop ---- */

const struct config *web_thread_config(const struct web_thread *thread);
uv_loop_t *web_thread_loop(struct web_thread *thread);
/* The newest; NULL before the first. Borrowed for this turn. */
const struct snapshot *web_thread_snapshot(const struct web_thread *thread);
const struct board *web_thread_board(const struct web_thread *thread);
/* A reader of the store for short reads in this turn. */
struct event_reader *web_thread_reader(struct web_thread *thread);
/* See store_look.h. */
int web_thread_stored(struct web_thread *thread, uint64_t *number);
struct rooms *web_thread_rooms(struct web_thread *thread);
struct viewers *web_thread_viewers(struct web_thread *thread);
struct web_counters *web_thread_counters(struct web_thread *thread);
void web_thread_mail_domain(struct web_thread *thread, struct mail *mail);
/* Takes the mail of a command whose answer is known here already. It is told like one of the domain thread's: behind
 * the events that were sent to this thread before. */
void web_thread_mail_answer(struct web_thread *thread, struct mail *mail);
void web_thread_mail_main(struct web_thread *thread, struct mail *mail);
const struct secret *web_thread_secret(const struct web_thread *thread);
/* The number of the newest event that this node is known to have applied. */
uint64_t web_thread_applied(const struct web_thread *thread);
/* One command more from this address: 0, or ms to wait (ten times the sender's rate). */
uint32_t web_thread_rate_address(struct web_thread *thread, struct slice address);
/* Is this Origin one of ours? Compared by scheme, host and port. */
bool web_thread_origin_allowed(const struct web_thread *thread, struct slice origin);
bool web_thread_is_draining(const struct web_thread *thread);
/* Who asks on this connection learns by its end that the process has ended (conn_outlive), up to
 * DRAINS_HELD_MAX times. */
bool web_thread_outlive(struct web_thread *thread, struct conn *conn);

struct chores *web_thread_chores(struct web_thread *thread);
