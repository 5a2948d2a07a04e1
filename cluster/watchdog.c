#include "cluster/watchdog.h"

#include "base/limits.h"

static bool not_applied(struct watchdog *watchdog, const struct watchdog_view *view,
                        unsigned tick_ms)
{
    bool moves = view->committed <= view->applied || view->applied != watchdog->applied;
    watchdog->applied = view->applied;
    if (moves || view->is_installing) {
        watchdog->not_applied_ms = 0;
    } else {
        watchdog->not_applied_ms += tick_ms;
    }
    return watchdog->not_applied_ms >= COMMIT_STILL_MAX_MS;
}

/* Is it clear that the log stands still, and that we are the cause? */
static bool counts(const struct watchdog_view *view)
{
    if (view->is_leader) return true;
    bool is_behind = view->is_holding || view->wanted > view->stored; /* by length or by content */
    return view->hears_leader && is_behind && !view->has_gap;
}

static bool not_stored(struct watchdog *watchdog, const struct watchdog_view *view,
                       unsigned tick_ms)
{
    bool waits =
        view->is_appending || view->is_installing || (view->is_holding && !view->is_leader);
    bool moves = view->stored != watchdog->stored || view->appended != watchdog->appended;
    watchdog->stored = view->stored;
    watchdog->appended = view->appended;
    if (!waits || moves || view->lacks_room) {
        watchdog->not_stored_ms = 0;
    } else if (counts(view)) {
        watchdog->not_stored_ms += tick_ms;
    }
    uint64_t most_ms = LOG_STILL_MAX_MS + view->bytes * 1000 / LOG_STILL_BYTES_PER_S;
    return !view->is_leader && counts(view) && watchdog->not_stored_ms >= most_ms;
}

enum watchdog_verdict watchdog_tick(struct watchdog *watchdog, const struct watchdog_view *view,
                                    unsigned tick_ms)
{
    bool is_stuck = not_applied(watchdog, view, tick_ms);
    bool is_still = not_stored(watchdog, view, tick_ms);
    if (is_stuck) return WATCHDOG_NOT_APPLIED;
    return is_still ? WATCHDOG_NOT_STORED : WATCHDOG_WELL;
}

bool watchdog_stands_still(const struct watchdog *watchdog)
{
    return watchdog->not_stored_ms >= LOG_STILL_LEADER_MS;
}
