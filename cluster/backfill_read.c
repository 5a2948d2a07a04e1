#include "cluster/backfill_read.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/little_endian.h"
#include "base/log.h"
#include "base/mem.h"

enum { BODY_MAX = BACKFILL_HEAD_SIZE + BACKFILL_CHUNK_BYTES + 4 + EVENT_BYTES_MAX };

static_assert(BODY_MAX < RPC_FRAME_MAX - 16, "an answer fits a frame");

struct read { /* one of the places; on the pool, the pool's */
    uv_work_t work;
    struct backfill_read *reads;
    bool is_busy;
    uint64_t peer, request;
    uint64_t from, up_to;
    uint32_t bytes;
    struct buf body;
    struct backfill_head head;
    int status;
};

struct backfill_read {
    uv_loop_t *loop;
    struct event_store *store;
    struct backfill_read_handler handler;
    struct read places[BACKFILL_READS_MAX];
    size_t busy;
    uint64_t events;
    bool is_stopping;
    void (*on_stopped)(void *owner);
    void *stopped_owner;
};

/* ---- on the pool ---- */

/* At least one event, whatever its size, so that whoever asks for little comes on too. */
static bool keep(void *owner, const struct message_sent *event, struct slice bytes)
{
    struct read *read = owner;
    char len[4];
    bool is_full = read->body.len - BACKFILL_HEAD_SIZE + sizeof len + bytes.len > read->bytes;
    (void)event;
    if (is_full && read->head.count > 0) return false;
    little_store(len, bytes.len, sizeof len);
    buf_append(&read->body, len, sizeof len);
    buf_add(&read->body, bytes);
    read->head.count++;
    return true;
}

static int read_events(struct read *read, struct event_reader *reader)
{
    struct event_meta meta;
    int rv = event_reader_begin(reader, &meta);
    if (rv != 0) return rv;
    uint64_t up_to = read->up_to < meta.number ? read->up_to : meta.number;
    read->head.last = meta.number;
    if (read->from <= up_to) {
        rv = event_reader_from(reader, read->from, up_to - read->from + 1, keep, read);
        /* It has that many, so the next one must be there. */
        if (rv == 0 && read->head.count == 0) rv = ERR_DATA;
    }
    event_reader_end(reader);
    return rv;
}

static void on_pool(uv_work_t *work)
{
    struct read *read = work->data;
    struct event_reader *reader = NULL;
    buf_reset(&read->body);
    buf_extend(&read->body, BACKFILL_HEAD_SIZE);
    read->status = event_reader_open(&reader, read->reads->store, NULL);
    if (read->status == 0) read->status = read_events(read, reader);
    event_reader_close(reader);
    assert(!read->body.overflowed);
}

/* ---- in the loop ---- */

static void maybe_stopped(struct backfill_read *reads)
{
    if (!reads->is_stopping || reads->busy > 0) return;
    void (*on_stopped)(void *) = reads->on_stopped;
    void *owner = reads->stopped_owner;
    for (size_t i = 0; i < BACKFILL_READS_MAX; i++)
        buf_close(&reads->places[i].body);
    mem_free(reads);
    on_stopped(owner);
}

static void reply(struct backfill_read *reads, uint64_t peer, uint64_t request, struct slice body)
{
    reads->handler.reply(reads->handler.owner, peer, request, body);
}

static void reply_without_events(struct backfill_read *reads, uint64_t peer, uint64_t request,
                                 const struct backfill_head *head)
{
    char body[BACKFILL_HEAD_SIZE];
    struct backfill_head bare = {.status = head->status, .from = head->from, .last = head->last};
    backfill_head_encode(body, &bare);
    reply(reads, peer, request, slice_make(body, sizeof body));
}

static void answer(struct backfill_read *reads, struct read *read)
{
    struct backfill_head *head = &read->head;
    if (read->status == 0 && head->count > 0) {
        backfill_head_encode(read->body.at, head);
        reads->events += head->count;
        reply(reads, read->peer, read->request, buf_slice(&read->body));
        return;
    }
    uint64_t damaged_at = head->from + head->count;
    if (read->status == 0) {
        head->status = BACKFILL_NONE;
    } else {
        head->status = read->status == ERR_DATA ? BACKFILL_DAMAGED : BACKFILL_BUSY;
        log_error("events cannot be read for another node", "number=%" PRIu64 " reason=\"%s\"",
                  damaged_at, err_words(read->status));
    }
    reply_without_events(reads, read->peer, read->request, head);
    if (head->status != BACKFILL_DAMAGED) return;
    reads->handler.on_damaged(reads->handler.owner, damaged_at);
}

static void on_read(uv_work_t *work, int status)
{
    struct read *read = work->data;
    struct backfill_read *reads = read->reads;
    if (status == 0 && !reads->is_stopping) answer(reads, read);
    read->is_busy = false; /* not before: what was read is still in it */
    reads->busy--;
    maybe_stopped(reads);
}

static struct read *find_place(struct backfill_read *reads, uint64_t peer)
{
    struct read *free_place = NULL;
    for (size_t i = 0; i < BACKFILL_READS_MAX; i++) {
        struct read *place = &reads->places[i];
        if (place->is_busy && place->peer == peer) return NULL;
        if (!place->is_busy) free_place = place;
    }
    return free_place;
}

int backfill_read_ask(struct backfill_read *reads, uint64_t peer, uint64_t request,
                      struct slice body)
{
    uint64_t from, up_to;
    uint32_t bytes;
    if (backfill_ask_decode(body, &from, &up_to, &bytes) != 0) return ERR_FORMAT;
    if (reads->is_stopping) return 0;
    struct read *read = find_place(reads, peer);
    if (read == NULL) {
        struct backfill_head busy = {.status = BACKFILL_BUSY, .from = from};
        reply_without_events(reads, peer, request, &busy);
        return 0;
    }
    read->is_busy = true;
    read->peer = peer;
    read->request = request;
    read->from = from;
    read->up_to = up_to;
    read->bytes = bytes < BACKFILL_CHUNK_BYTES ? bytes : BACKFILL_CHUNK_BYTES;
    read->head = (struct backfill_head){.from = from};
    reads->busy++;
    int rv = uv_queue_work(reads->loop, &read->work, on_pool, on_read);
    assert(rv == 0);
    return 0;
}

struct backfill_read *backfill_read_new(uv_loop_t *loop, struct event_store *store,
                                        const struct backfill_read_handler *handler)
{
    struct backfill_read *reads = mem_new(sizeof *reads);
    *reads = (struct backfill_read){.loop = loop, .store = store, .handler = *handler};
    for (size_t i = 0; i < BACKFILL_READS_MAX; i++) {
        struct read *place = &reads->places[i];
        place->reads = reads;
        place->work.data = place;
        buf_init(&place->body, BODY_MAX);
    }
    return reads;
}

uint64_t backfill_read_events(const struct backfill_read *reads)
{
    return reads->events;
}

void backfill_read_stop(struct backfill_read *reads, void (*on_stopped)(void *owner), void *owner)
{
    assert(!reads->is_stopping);
    reads->is_stopping = true;
    reads->on_stopped = on_stopped;
    reads->stopped_owner = owner;
    maybe_stopped(reads);
}
