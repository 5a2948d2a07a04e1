/* A bucket is one number: the time at which it will be full again. A token moves it on by the time
 * that one token takes to grow; when that would lead further ahead than the whole bucket, there is
 * no token. The reserve is as much further ahead. A bucket whose time has come is full, that is, as good
 * as none.
 */
#include "chat/rate.h"

#include "base/hash_table.h"
#include "base/mem.h"

struct rate_bucket {
    struct sender_id who;
    uint64_t full_us;
    UT_hash_handle hh;
};

void rate_init(struct rate *rate, uint32_t burst, uint32_t window_ms)
{
    *rate = (struct rate){.burst = burst, .window_ms = window_ms};
}

static void drop(struct rate *rate, struct rate_bucket *bucket)
{
    HASH_DEL(rate->buckets, bucket);
    mem_free(bucket);
}

void rate_close(struct rate *rate)
{
    struct rate_bucket *bucket;
    struct rate_bucket *next;
    HASH_ITER(hh, rate->buckets, bucket, next)
        drop(rate, bucket);
    rate->buckets = NULL;
}

static void sweep(struct rate *rate, uint64_t now_ms)
{
    struct rate_bucket *bucket;
    struct rate_bucket *next;
    HASH_ITER(hh, rate->buckets, bucket, next)
        if (bucket->full_us <= now_ms * 1000) drop(rate, bucket);
    rate->swept_ms = now_ms;
}

/* 0, or how many ms until the bucket is at most `buckets_max` times its size from full with it. */
static uint32_t take(struct rate *rate, const struct sender_id *who, uint64_t now_ms,
                     uint64_t buckets_max)
{
    if (rate->burst == 0 || rate->window_ms == 0) return 0;
    if (now_ms - rate->swept_ms >= rate->window_ms) sweep(rate, now_ms);

    uint64_t now_us = now_ms * 1000;
    uint64_t token_us = (uint64_t)rate->window_ms * 1000 / rate->burst;
    uint64_t ahead_us_max = token_us * rate->burst * buckets_max;
    struct rate_bucket *bucket = NULL;
    HASH_FIND(hh, rate->buckets, who, sizeof *who, bucket);
    if (bucket == NULL) {
        bucket = mem_new(sizeof *bucket);
        bucket->who = *who;
        HASH_ADD(hh, rate->buckets, who, sizeof bucket->who, bucket);
    }
    if (bucket->full_us < now_us) bucket->full_us = now_us;
    uint64_t ahead_us = bucket->full_us - now_us + token_us;
    if (ahead_us > ahead_us_max) return (uint32_t)((ahead_us - ahead_us_max + 999) / 1000);
    bucket->full_us += token_us;
    return 0;
}

uint32_t rate_take(struct rate *rate, const struct sender_id *who, uint64_t now_ms)
{
    return take(rate, who, now_ms, 1);
}

uint32_t rate_take_again(struct rate *rate, const struct sender_id *who, uint64_t now_ms)
{
    return take(rate, who, now_ms, 2);
}

uint32_t rate_senders(const struct rate *rate)
{
    return HASH_COUNT(rate->buckets);
}
