/* The store thread: the write side of the event store, and nothing else.
 *
 * Events come in order; up to STORE_BATCH_MS or STORE_BATCH_EVENTS of them make one durable commit,
 * then the domain thread is told. raft's log on a majority already keeps them, so this may lag; but a
 * failed commit ends the process (exit 1).
 */
#pragma once
#include "app/mails.h"
#include "store/event_store.h"

struct store_thread;

int store_thread_start(struct store_thread **out, struct event_store *store, struct mailbox *domain,
                       struct errmsg *errmsg);
struct mailbox *store_thread_mailbox(struct store_thread *store);
/* After MAIL_STOP: commits what is left, waits for its end, frees it. */
void store_thread_join(struct store_thread *store);
