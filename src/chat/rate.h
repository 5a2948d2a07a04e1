/* How fast one may write: a token bucket for each sender, on the leader, by its monotonic clock.
 *
 * Advisory: not in the log, not replicated; a new leader starts with full buckets. `burst` messages
 * at once, and one more every window_ms / burst. Bounded: buckets that are full again are dropped,
 * so memory follows the senders of the last windows. One thread.
 *
 * What is said to be a second copy finds a reserve behind an empty bucket, as large as that: it was counted
 * before, perhaps by another leader. Anybody can say so. So what is taken of the reserve has to grow again before
 * the bucket does, and over time nobody writes more with it than without.
 */
#pragma once
#include "chat/ids.h"

struct rate_bucket;

struct rate {
    struct rate_bucket *buckets; /* a uthash */
    uint32_t burst;              /* 0 = no limit */
    uint32_t window_ms;
    uint64_t swept_ms;
};

void rate_init(struct rate *rate, uint32_t burst, uint32_t window_ms);
void rate_close(struct rate *rate);
/* Takes one token. 0, or how many ms until there is one (nothing taken then). */
uint32_t rate_take(struct rate *rate, const struct sender_id *who, uint64_t now_ms);
/* The same for a second copy: of the reserve, when the bucket is empty. */
uint32_t rate_take_again(struct rate *rate, const struct sender_id *who, uint64_t now_ms);
/* Senders whose buckets are not known to be full; at most those of the last three windows. */
uint32_t rate_senders(const struct rate *rate);
