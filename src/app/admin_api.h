/* What an administrator asks of a running node, with the token of app/admin.h and only with it:
 *
 *     POST   /api/cluster/transfer        {"to": NAME}            leadership to NAME, or the best voter
 *     POST   /api/cluster/drain           {"timeout_ms": N}       this node stops in good order
 *     POST   /api/cluster/members         {"name", "address"}     a node that asks to join, as stand-by
 *     POST   /api/cluster/members/:name   {"role": "voter"}       a stand-by that has caught up
 *     DELETE /api/cluster/members/:name
 *     GET    /api/cluster/backup                                  backup_api.h
 *
 * A change is asked of whichever node: the leader does it, and the answer waits until it is committed: 200
 * {"done":true}, 409 refused, 503 no leader (nothing was done), 504 not known. A drain is answered with
 * 202 before it begins, and the connection of that answer ends with the process. Without the token,
 * whatever else is wrong: 401. No page of a browser is meant: there is no header that would let one in.
 */
#pragma once
#include "app/web_thread.h"

/* ROUTE_TRANSFER, ROUTE_DRAIN, ROUTE_MEMBERS, ROUTE_MEMBER, ROUTE_BACKUP. */
void admin_api_handle(struct exchange *exchange, const struct http_request *request,
                      const struct route_match *match);

/* ---- for tests; pure ---- */

struct json;

/* What a request for a change says. `name`: of the path; `body` may be NULL, as for {}. 0, or ERR_FORMAT
 * with the sentence for who asked. */
int admin_change_parse(struct change_request *change, enum web_route route, bool is_delete,
                       struct slice name, const struct json *body, struct errmsg *errmsg);
int admin_drain_parse(uint32_t *timeout_ms, const struct json *body, struct errmsg *errmsg);

/* The status of an answer. */
int admin_change_status(const struct change_answer *answer);
