/* Every address of a node: pattern, methods, and whether it is only on the admin listener when there is
 * one. In the order in which they are looked for: a room's page is what nothing else is. The first words
 * of these paths can be no rooms: pages_is_reserved knows them.
 */
#pragma once
#include "web/router.h"

#define ROUTE_READS   (1u << HTTP_METHOD_GET)
#define ROUTE_WRITES  (1u << HTTP_METHOD_POST)
#define ROUTE_DELETES (1u << HTTP_METHOD_DELETE)

/* id, pattern (also the route label of the metrics), methods, is_admin */
#define WEB_ROUTE_TABLE(X)                                                                \
    X(ROUTE_HOME, "/", ROUTE_READS, false)                                                \
    X(ROUTE_CLUSTER, "/cluster", ROUTE_READS, false)                                      \
    X(ROUTE_SESSION, "/session", ROUTE_WRITES, false)                                     \
    X(ROUTE_ROOMS, "/rooms", ROUTE_WRITES, false)                                         \
    X(ROUTE_ASSETS, "/assets/:name", ROUTE_READS, false)                                  \
    X(ROUTE_FAVICON, "/favicon.ico", ROUTE_READS, false)                                  \
    X(ROUTE_ROBOTS, "/robots.txt", ROUTE_READS, false)                                    \
    X(ROUTE_SOCKET, "/live/websocket", ROUTE_READS, false)                                \
    X(ROUTE_LIVEZ, "/livez", ROUTE_READS, false)                                          \
    X(ROUTE_READYZ, "/readyz", ROUTE_READS, false)                                        \
    X(ROUTE_STATUS, "/status", ROUTE_READS, true)                                         \
    X(ROUTE_METRICS, "/metrics", ROUTE_READS, true)                                       \
    X(ROUTE_API_ROOMS, "/api/rooms", ROUTE_READS, false)                                  \
    X(ROUTE_API_MESSAGES, "/api/rooms/:room/messages", ROUTE_READS | ROUTE_WRITES, false) \
    X(ROUTE_API_EVENTS, "/api/events", ROUTE_READS, true)                                 \
    X(ROUTE_TRANSFER, "/api/cluster/transfer", ROUTE_WRITES, true)                        \
    X(ROUTE_DRAIN, "/api/cluster/drain", ROUTE_WRITES, true)                              \
    X(ROUTE_MEMBERS, "/api/cluster/members", ROUTE_WRITES, true)                          \
    X(ROUTE_MEMBER, "/api/cluster/members/:name", ROUTE_WRITES | ROUTE_DELETES, true)     \
    X(ROUTE_BACKUP, "/api/cluster/backup", ROUTE_READS, true)                             \
    X(ROUTE_ROOM, "/:room", ROUTE_READS | ROUTE_WRITES, false)

#define WEB_ROUTE_ENUM(id, pattern, methods, is_admin) id,
enum web_route { WEB_ROUTE_TABLE(WEB_ROUTE_ENUM) ROUTE_NONE, WEB_ROUTES };
#undef WEB_ROUTE_ENUM

extern const struct route web_routes[ROUTE_NONE];

/* "none" for ROUTE_NONE. */
const char *web_route_pattern(enum web_route route);
