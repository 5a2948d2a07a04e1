/* A backup of a running node, for the administrator that admin_api.h let in:
 *
 *     GET /api/cluster/backup                  the head of a backup (store/backup.h)
 *     GET /api/cluster/backup?from=N&to=M      events as its body has them, from N on, as many as fit
 *
 * Made of several requests to one node. The head says up to which number, and what digest the event of that
 * number has; the history only grows, so the events up to there are the same whenever they are asked
 * for. They are read on the pool.
 */
#pragma once
#include "app/web_thread.h"

/* ROUTE_BACKUP. */
void backup_api_handle(struct exchange *exchange, const struct http_request *request);

/* ---- for tests; pure ---- */

struct backup_portion { /* from 0: the head is asked for */
    uint64_t from, to;
};

/* 0, or ERR_FORMAT with the sentence for who asked. */
int backup_portion_parse(struct backup_portion *portion, struct slice query, struct errmsg *errmsg);
