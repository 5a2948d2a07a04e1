/* The store thread: the write side of the event store, and nothing else.
 *
 * Events come in order; what came in STORE_BATCH_MS, or STORE_BATCH_EVENTS of them, make one durable commit,
 * then the domain thread is told. When more wait already, as in a backfill, up to
 * STORE_BATCH_EVENTS_MAX go into one: the larger a commit, the less each event in it costs. A mail without
 * events moves the marks alone.
 *
 * raft's log on a majority keeps the events already, so this may lag. No room on the disk ends nothing: the batch is
 * kept, and tried again every STORE_FULL_RETRY_MS, while what comes collects behind it (the node takes
 * no more than STORE_LAG_BYTES_MAX); a stop goes without it then. Any other failure ends the process (exit 1).
 */
#pragma once
#include "app/mails.h"
#include "store/event_store.h"

struct store_thread;

int store_thread_start(struct store_thread **out, struct event_store *store, struct mailbox *domain,
                       struct errmsg *errmsg);
struct mailbox *store_thread_mailbox(struct store_thread *store);
/* After MAIL_STOP: commits what is left, if there is room, waits for its end, frees it. */
void store_thread_join(struct store_thread *store);
