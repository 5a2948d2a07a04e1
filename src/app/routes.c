#include "app/routes.h"

const struct route web_routes[ROUTE_NONE] = {
#define WEB_ROUTE_ROW(id, pattern, methods, is_admin) {(pattern), (methods), (id), (is_admin)},
    WEB_ROUTE_TABLE(WEB_ROUTE_ROW)
#undef WEB_ROUTE_ROW
};

const char *web_route_pattern(enum web_route route)
{
    return route < ROUTE_NONE ? web_routes[route].pattern : "none";
}
