#include "live/pubsub.h"

#include <assert.h>

#include "base/mem.h"
#include "live/channel.h"

void topic_init(struct topic *topic, const struct view *view, void *shared)
{
    *topic = (struct topic){.view = view, .shared = shared};
    topic->hashes = mem_new_array(view->template->shared_slots + 1u, sizeof *topic->hashes);
}

void topic_close(struct topic *topic)
{
    assert(topic->readers == NULL);
    mem_free(topic->hashes);
    shared_unref(topic->stream_json);
    *topic = (struct topic){.view = topic->view};
}

void topic_stream_changed(struct topic *topic)
{
    shared_unref(topic->stream_json);
    topic->stream_json = NULL;
}

void topic_add(struct topic *topic, struct live *live)
{
    live->prev_reader = NULL;
    live->next_reader = topic->readers;
    if (topic->readers != NULL) topic->readers->prev_reader = live;
    topic->readers = live;
    topic->readers_count++;
}

void topic_remove(struct topic *topic, struct live *live)
{
    if (live->prev_reader != NULL)
        live->prev_reader->next_reader = live->next_reader;
    else
        topic->readers = live->next_reader;
    if (live->next_reader != NULL) live->next_reader->prev_reader = live->prev_reader;
    live->prev_reader = live->next_reader = NULL;
    topic->readers_count--;
}

/* What was to be told is lost, and the hashes say it was told: all must join anew. */
static void lose_readers(struct topic *topic)
{
    while (topic->readers != NULL)
        channel_crash(topic->readers->channel);
}

static bool broadcast(struct topic *topic, const struct live_host *host, struct buf *scratch,
                      const struct render *like)
{
    if (topic->readers == NULL) return false;
    struct render r;
    buf_reset(scratch);
    buf_add(scratch, slice_of("[null,null,\""));
    buf_add(scratch, channel_topic);
    buf_add(scratch, slice_of("\",\"diff\","));
    render_init(&r, RENDER_DIFF, like->scopes, scratch);
    r.stream_reset = like->stream_reset;
    r.shared_hashes = topic->hashes;
    topic->view->render(&r, NULL, topic->shared);
    if (!r.changed && !scratch->overflowed) return false;
    buf_add_char(scratch, ']');
    if (scratch->overflowed) {
        lose_readers(topic);
        return false;
    }

    struct shared *frame = host->frame(host->owner, buf_slice(scratch));
    for (struct live *live = topic->readers; live != NULL; live = live->next_reader) {
#ifdef LIVETEA_MISTAKE_SUBSCRIBE
        bool misses = live->misses_next;
        live->misses_next = false;
        if (misses) continue;
#endif
        host->send_frame(host->owner, live->channel->connection, frame);
    }
    shared_unref(frame);
    return true;
}

bool topic_broadcast(struct topic *topic, const struct live_host *host, struct buf *scratch)
{
    return broadcast(topic, host, scratch,
                     &(struct render){.scopes = RENDER_SHARED | RENDER_STREAM});
}

bool topic_broadcast_stream(struct topic *topic, const struct live_host *host, struct buf *scratch)
{
    return broadcast(topic, host, scratch, &(struct render){.scopes = RENDER_STREAM});
}

bool topic_broadcast_reset(struct topic *topic, const struct live_host *host, struct buf *scratch)
{
    const struct live_info info = {.kind = LIVE_STREAM_RESET};
    if (!broadcast(topic, host, scratch,
                   &(struct render){.scopes = RENDER_STREAM, .stream_reset = true})) {
        return false;
    }
    for (struct live *live = topic->readers, *next; live != NULL; live = next) {
        next = live->next_reader; /* this one may be gone afterwards, and no other */
        live_inform(live, NULL, &info);
    }
    return true;
}
