/* The domain thread: owns the aggregate, the raft node, the order of events, the tails of shown rooms,
 * and what is not durable yet. It waits for no disk and talks to no browser.
 *
 * What the store has not on disk yet is kept here, so every read is the store up to some number D
 * followed by what is kept behind D: a tail that was not in RAM is read on the pool (the store up to
 * D), and completed in one step of the loop.
 */
#pragma once
#include "app/config.h"
#include "app/mails.h"

struct domain_thread;
struct web_thread;

struct domain_thread_options {
    const struct config *config;
    struct data_dir *dir;
    struct event_store *store; /* for reading, and its figures at start */
    const char *version;
    struct slice secret;  /* for the cluster's links */
    struct mailbox *main; /* who stops the node */
};

/* Takes up the store. 0, or what event_store_restore answers. */
int domain_thread_start(struct domain_thread **out, const struct domain_thread_options *options,
                        struct errmsg *errmsg);
struct mailbox *domain_thread_mailbox(struct domain_thread *domain);
/* Before the first mail from any of them: who they are. */
void domain_thread_web(struct domain_thread *domain, struct web_thread *const *threads,
                       size_t threads_count);
void domain_thread_store(struct domain_thread *domain, struct mailbox *store);
/* Waits until a MAIL_QUIET is done: the node has stopped and every waiting command was answered. */
void domain_thread_wait_quiet(struct domain_thread *domain);
/* Starts the node and the loop's thread, once the others are known. 0, or what node_start answers. */
int domain_thread_run(struct domain_thread *domain, struct errmsg *errmsg);
void domain_thread_join(struct domain_thread *domain);
