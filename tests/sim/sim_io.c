#include "sim_io.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "base/little_endian.h"
#include "base/mem.h"

static struct sim_io *sim_io_of(struct raft_io *io)
{
    return io->impl;
}

static struct disk_entry disk_entry_of(const struct raft_entry *entry)
{
    return (struct disk_entry){.term = entry->term,
                               .type = (unsigned short)entry->type,
                               .len = entry->buf.len,
                               .bytes = mem_copy(entry->buf.base, entry->buf.len)};
}

/* ---- the disk ---- */

static raft_index disk_last(const struct disk *disk)
{
    return disk->first + disk->count - 1;
}

static void disk_cut(struct disk *disk, raft_index index)
{
    while (disk->count > 0 && disk_last(disk) >= index)
        mem_free(disk->entries[--disk->count].bytes);
    if (disk->flushed >= index) disk->flushed = index - 1;
}

static void disk_drop_front(struct disk *disk, raft_index index)
{
    size_t gone = 0;
    while (gone < disk->count && disk->first + gone <= index)
        mem_free(disk->entries[gone++].bytes);
    if (gone == 0) return;
    memmove(disk->entries, disk->entries + gone, (disk->count - gone) * sizeof *disk->entries);
    disk->count -= gone;
    disk->first += gone;
}

static void disk_add(struct disk *disk, raft_index index, struct disk_entry entry)
{
    if (disk->count == disk->size) {
        disk->size = disk->size == 0 ? 64 : 2 * disk->size;
        disk->entries = mem_grow(disk->entries, disk->size * sizeof(*disk->entries));
    }
    if (disk->count == 0) disk->first = index;
    if (index != disk->first + disk->count) {
        fprintf(stderr, "simulation: an entry is written at %llu behind %llu\n", index,
                disk_last(disk));
        abort();
    }
    disk->entries[disk->count++] = entry;
}

static void snapshot_clear(struct disk_snapshot *snapshot)
{
    if (snapshot->index == 0) return;
    raft_configuration_close(&snapshot->configuration);
    mem_free(snapshot->bytes);
    *snapshot = (struct disk_snapshot){.index = 0};
}

/* ---- what is queued for it ---- */

enum op_kind { OP_APPEND, OP_TRUNCATE, OP_PUT, OP_GET };

struct disk_op {
    struct sim_io *sim_io;
    struct disk_op *next, *prev;
    enum op_kind kind;
    raft_index index;           /* of the first entry; from where to cut */
    struct disk_entry *entries; /* copies: what is written is what it was when it was given */
    unsigned n;
    struct raft_io_append *append;
    struct raft_io_snapshot_put *put;
    struct raft_io_snapshot_get *get;
    const struct raft_snapshot *snapshot;
    unsigned trailing;
};

static void write_entries(struct disk_op *op, unsigned n)
{
    struct disk *disk = &op->sim_io->disk;
    for (unsigned i = 0; i < n; i++) {
        disk_add(disk, op->index + i, op->entries[i]);
        op->entries[i].bytes = NULL;
    }
    if (disk->flush_ms == 0) disk->flushed = disk->count == 0 ? 0 : disk_last(disk);
}

static void write_snapshot(struct disk_op *op)
{
    struct disk *disk = &op->sim_io->disk;
    const struct raft_snapshot *from = op->snapshot;
    snapshot_clear(&disk->snapshot);
    assert(from->n_bufs == 1);
    disk->snapshot =
        (struct disk_snapshot){.index = from->index,
                               .term = from->term,
                               .configuration_index = from->configuration_index,
                               .len = from->bufs[0].len,
                               .bytes = mem_copy(from->bufs[0].base, from->bufs[0].len)};
    sim_copy_configuration(&disk->snapshot.configuration, &from->configuration);
    if (op->trailing == 0) {
        disk_cut(disk, 1);
        disk->first = from->index + 1;
    } else if (from->index > op->trailing) {
        disk_drop_front(disk, from->index - op->trailing);
    }
}

static struct raft_snapshot *read_snapshot(const struct disk *disk)
{
    if (disk->snapshot.index == 0) return NULL;
    struct raft_snapshot *snapshot = raft_calloc(1, sizeof *snapshot);
    snapshot->index = disk->snapshot.index;
    snapshot->term = disk->snapshot.term;
    snapshot->configuration_index = disk->snapshot.configuration_index;
    sim_copy_configuration(&snapshot->configuration, &disk->snapshot.configuration);
    snapshot->bufs = raft_calloc(1, sizeof *snapshot->bufs);
    snapshot->n_bufs = 1;
    snapshot->bufs[0].len = disk->snapshot.len;
    snapshot->bufs[0].base = sim_raft_copy(disk->snapshot.bytes, disk->snapshot.len);
    return snapshot;
}

static void do_op(struct disk_op *op)
{
    if (op->kind == OP_APPEND) write_entries(op, op->n);
    if (op->kind == OP_TRUNCATE) disk_cut(&op->sim_io->disk, op->index);
    if (op->kind == OP_PUT) write_snapshot(op);
}

static void trace(const struct disk_op *op, const char *message)
{
    op->sim_io->on_trace(op->sim_io, message);
}

/* What raft_uv says of it, and all that it says: test_cut.c. */
static void trace_cut(const struct disk_op *op, bool is_done)
{
    trace(op, "set truncate work");
    trace(op, "uv truncate work cb");
    if (is_done) trace(op, "uv truncate work cb ok");
    trace(op, "clear truncate work");
}

static void tell_done(struct disk_op *op, int status)
{
    if (op->kind == OP_APPEND) op->append->cb(op->append, status);
    if (op->kind == OP_PUT) op->put->cb(op->put, status);
    if (op->kind == OP_GET)
        op->get->cb(op->get, status == 0 ? read_snapshot(&op->sim_io->disk) : NULL, status);
}

static void op_free(struct disk_op *op)
{
    for (unsigned i = 0; i < op->n; i++)
        mem_free(op->entries[i].bytes);
    mem_free(op->entries);
    mem_free(op);
}

/* Tells it as raft_uv would, and does not expect to come back. The operation is still queued: what of it
 * has reached the disk is decided as for one that the end of the node comes before. */
static void fail_op(struct disk_op *op)
{
    struct sim_io *sim_io = op->sim_io;
    sim_io->is_failing = true;
    if (setjmp(sim_io->ending) == 0) {
        if (op->kind == OP_TRUNCATE) {
            trace_cut(op, false);
        } else if (op->kind == OP_APPEND && sim_chance(sim_io->host->sim, 50)) {
            trace(op, "retry failed write (write failed: -5)");
        } else {
            tell_done(op, RAFT_IOERR);
        }
        fprintf(stderr, "simulation: a node goes on when its disk has failed\n");
        abort();
    }
    sim_io->is_failing = false;
    sim_io->on_ended(sim_io);
}

/* One write at a time: what is appended meanwhile is the next one, all of it together. */
struct disk_work {
    struct host_event event;
    struct sim_io *sim_io;
    unsigned count; /* of the first operations */
};

static void start_work(struct sim_io *sim_io);

static void on_worked(struct host_event *event, bool is_dropped)
{
    struct disk_work *work = (struct disk_work *)event;
    struct sim_io *sim_io = work->sim_io;
    unsigned count = is_dropped ? 0 : work->count;
    mem_free(work);
    for (unsigned i = 0; i < count && sim_io->ops != NULL; i++) {
        struct disk_op *op = sim_io->ops;
        if (sim_io->disk.fails_writing) {
            sim_io->disk.fails_writing = false;
            fail_op(op);
            return;
        }
        DL_DELETE(sim_io->ops, op);
        do_op(op);
        if (op->kind == OP_TRUNCATE) trace_cut(op, true);
        tell_done(op, 0);
        op_free(op);
    }
    if (is_dropped) return;
    sim_io->is_working = false;
    start_work(sim_io);
}

static bool is_log(const struct disk_op *op)
{
    return op->kind == OP_APPEND || op->kind == OP_TRUNCATE;
}

static uint64_t latency_of(struct sim_io *sim_io)
{
    uint64_t latency_ms = sim_io->disk.latency_ms;
    if (latency_ms <= 1) return latency_ms;
    return sim_between(sim_io->host->sim, latency_ms / 2, latency_ms);
}

static void start_work(struct sim_io *sim_io)
{
    const struct disk_op *op = sim_io->ops;
    if (op == NULL || sim_io->is_working || sim_io->is_stuck) return;
    struct disk_work *work = mem_new(sizeof *work);
    *work = (struct disk_work){.event.on_due = on_worked, .sim_io = sim_io, .count = 1};
    for (bool is_more = is_log(op); is_more && op->next != NULL && is_log(op->next); op = op->next)
        work->count++;
    sim_io->is_working = true;
    host_later(sim_io->host, latency_of(sim_io), &work->event);
}

/* A read is nobody's turn: the library gives each to a thread of its own. */
struct disk_read {
    struct host_event event;
    struct sim_io *sim_io;
    struct disk_op *op;
};

static void on_read(struct host_event *event, bool is_dropped)
{
    struct disk_read *reading = (struct disk_read *)event;
    struct disk_op *op = reading->op;
    struct sim_io *sim_io = reading->sim_io;
    mem_free(reading);
    if (is_dropped) return; /* the operation was called off */
    if (sim_io->disk.fails_reading) {
        sim_io->disk.fails_reading = false;
        fail_op(op);
        return;
    }
    DL_DELETE(sim_io->reads, op);
    tell_done(op, 0);
    op_free(op);
}

static void start_read(struct disk_op *op)
{
    struct sim_io *sim_io = op->sim_io;
    struct disk_read *reading = mem_new(sizeof *reading);
    *reading = (struct disk_read){.event.on_due = on_read, .sim_io = sim_io, .op = op};
    DL_APPEND(sim_io->reads, op);
    host_later(sim_io->host, latency_of(sim_io), &reading->event);
}

static struct disk_op *op_new(struct sim_io *sim_io, enum op_kind kind)
{
    struct disk_op *op = mem_new(sizeof *op);
    op->sim_io = sim_io;
    op->kind = kind;
    return op;
}

static void op_queue(struct disk_op *op)
{
    struct sim_io *sim_io = op->sim_io;
    DL_APPEND(sim_io->ops, op);
    start_work(sim_io);
}

void sim_io_stick(struct sim_io *sim_io, bool is_stuck)
{
    sim_io->is_stuck = is_stuck;
    start_work(sim_io);
}

/* Some of what was on its way has reached the disk, the rest has not. */
void sim_io_lose(struct sim_io *sim_io)
{
    struct sim *sim = sim_io->host->sim;
    struct disk *disk = &sim_io->disk;
    struct disk_op *op;
    unsigned done = 0, count = 0;
    DL_COUNT(sim_io->ops, op, count);
    if (count > 0) done = (unsigned)sim_draw(sim, count + 1);
    DL_FOREACH(sim_io->ops, op) {
        if (done == 0) {
            if (op->kind == OP_APPEND) write_entries(op, (unsigned)sim_draw(sim, op->n + 1));
            break;
        }
        do_op(op);
        done--;
    }
    if (disk->flush_ms > 0) disk_cut(disk, disk->flushed + 1);
    if (disk->forgets > 0 && disk->count > disk->forgets + 1) {
        disk_cut(disk, disk_last(disk) + 1 - disk->forgets);
    }
}

unsigned sim_io_waiting(const struct sim_io *sim_io)
{
    unsigned count = 0;
    const struct disk_op *op;
    DL_COUNT(sim_io->ops, op, count);
    return count;
}

void sim_io_free(struct sim_io *sim_io)
{
    disk_cut(&sim_io->disk, 1);
    snapshot_clear(&sim_io->disk.snapshot);
    mem_free(sim_io->disk.entries);
}

/* ---- messages ---- */

struct kept_message {
    struct kept_message *next, *prev;
    struct raft_io_send *request;
    struct raft_message message;
};

static void let_go(struct sim_io *sim_io, struct kept_message *kept, int status)
{
    struct raft_io_send *request = kept->request;
    DL_DELETE(sim_io->kept, kept);
    net_free_message(&kept->message);
    mem_free(kept);
    request->cb(request, status);
}

/* What waits for a connection that is there now is sent. Of what waits for the others the latest stay. */
static void flush_kept(struct sim_io *sim_io)
{
    struct kept_message *kept, *next;
    DL_FOREACH_SAFE(sim_io->kept, kept, next) {
        const struct kept_message *later;
        unsigned behind = 0;
        if (net_connects(sim_io, kept->message.server_id)) {
            net_send(sim_io, &kept->message);
            sim_io->net->kept++;
            let_go(sim_io, kept, 0);
            continue;
        }
        DL_FOREACH(next, later)
            behind += later->message.server_id == kept->message.server_id;
        if (behind >= NET_KEPT_MAX) let_go(sim_io, kept, RAFT_NOCONNECTION);
    }
}

static int do_send(struct raft_io *io, struct raft_io_send *request,
                   const struct raft_message *message, raft_io_send_cb done)
{
    struct sim_io *sim_io = sim_io_of(io);
    if (sim_io->net->keeps && !net_connects(sim_io, message->server_id)) {
        struct kept_message *kept = mem_new(sizeof *kept);
        net_copy_message(&kept->message, message);
        kept->request = request;
        request->cb = done;
        DL_APPEND(sim_io->kept, kept);
        return 0;
    }
    net_send(sim_io, message);
    done(request, 0);
    return 0;
}

/* ---- the rest of struct raft_io ---- */

struct tick {
    struct host_event event;
    struct sim_io *sim_io;
};

static void tick_or_end(struct sim_io *sim_io)
{
    sim_io->is_failing = true;
    if (setjmp(sim_io->ending) != 0) {
        sim_io->is_failing = false;
        sim_io->on_ended(sim_io);
        return;
    }
    sim_io->on_tick(sim_io->io);
    sim_io->is_failing = false;
}

static void on_tick(struct host_event *event, bool is_dropped)
{
    struct tick *tick = (struct tick *)event;
    struct sim_io *sim_io = tick->sim_io;
    if (is_dropped) {
        mem_free(tick);
        return;
    }
    host_later(sim_io->host, sim_io->tick_ms, &tick->event);
    flush_kept(sim_io);
    if (sim_io->may_end) {
        tick_or_end(sim_io);
    } else {
        sim_io->on_tick(sim_io->io);
    }
}

static int do_init(struct raft_io *io, raft_id id, const char *address)
{
    (void)address; /* raft's, and it ends before its messages have arrived */
    sim_io_of(io)->id = id;
    return 0;
}

static int do_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick_cb,
                    raft_io_recv_cb recv_cb)
{
    struct sim_io *sim_io = sim_io_of(io);
    struct tick *tick = mem_new(sizeof *tick);
    sim_io->on_tick = tick_cb;
    sim_io->on_recv = recv_cb;
    sim_io->tick_ms = msecs;
    tick->sim_io = sim_io;
    tick->event.on_due = on_tick;
    host_later(sim_io->host, sim_between(sim_io->host->sim, 1, msecs), &tick->event);
    return 0;
}

static int do_load(struct raft_io *io, raft_term *term, raft_id *vote,
                   struct raft_snapshot **snapshot, raft_index *start_index,
                   struct raft_entry *entries[], size_t *n_entries)
{
    struct sim_io *sim_io = sim_io_of(io);
    struct disk *disk = &sim_io->disk;
    *term = disk->term;
    *vote = disk->vote;
    *snapshot = read_snapshot(disk);
    if (disk->count == 0) disk->first = disk->snapshot.index + 1;
    /* Entries that end below the snapshot: it was on the disk before they were. */
    if (disk_last(disk) < disk->snapshot.index) {
        disk_cut(disk, 1);
        disk->first = disk->snapshot.index + 1;
    }
    *start_index = disk->first;
    *entries = sim_raft_entries(disk->entries, disk->count);
    *n_entries = disk->count;
    sim_io->next_index = disk_last(disk) + 1;
    return 0;
}

/* A configuration as raft keeps it in its log. */
static struct disk_entry configuration_entry(const struct raft_configuration *configuration)
{
    size_t len = 1 + 8;
    for (unsigned i = 0; i < configuration->n; i++)
        len += 8 + strlen(configuration->servers[i].address) + 1 + 1;
    len = (len + 7) / 8 * 8;
    char *bytes = mem_new(len), *at = bytes;
    *at++ = 1;
    little_store(at, configuration->n, 8);
    at += 8;
    for (unsigned i = 0; i < configuration->n; i++) {
        const struct raft_server *server = &configuration->servers[i];
        little_store(at, server->id, 8);
        at += 8;
        memcpy(at, server->address, strlen(server->address) + 1);
        at += strlen(server->address) + 1;
        *at++ = (char)server->role;
    }
    return (struct disk_entry){.term = 1, .type = RAFT_CHANGE, .len = len, .bytes = bytes};
}

static int do_bootstrap(struct raft_io *io, const struct raft_configuration *configuration)
{
    struct disk *disk = &sim_io_of(io)->disk;
    if (disk->term != 0) return RAFT_CANTBOOTSTRAP;
    disk->term = 1;
    disk_add(disk, 1, configuration_entry(configuration));
    disk->flushed = 1;
    return 0;
}

static int do_recover(struct raft_io *io, const struct raft_configuration *configuration)
{
    (void)io;
    (void)configuration;
    return RAFT_IOERR;
}

static int do_set_term(struct raft_io *io, raft_term term)
{
    struct disk *disk = &sim_io_of(io)->disk;
    disk->term = term;
    disk->vote = 0;
    return 0;
}

static int do_set_vote(struct raft_io *io, raft_id id)
{
    sim_io_of(io)->disk.vote = id;
    return 0;
}

struct flush {
    struct host_event event;
    struct disk *disk;
    raft_index up_to;
};

static void on_flush(struct host_event *event, bool is_dropped)
{
    struct flush *flush = (struct flush *)event;
    struct disk *disk = flush->disk;
    if (!is_dropped && flush->up_to > disk->flushed) disk->flushed = flush->up_to;
    mem_free(flush);
}

static int do_append(struct raft_io *io, struct raft_io_append *request,
                     const struct raft_entry entries[], unsigned n, raft_io_append_cb done)
{
    struct sim_io *sim_io = sim_io_of(io);
    struct disk_op *op = op_new(sim_io, OP_APPEND);
    op->append = request;
    request->cb = done;
    op->index = sim_io->next_index;
    sim_io->next_index += n;
    op->entries = mem_new_array(n, sizeof *op->entries);
    op->n = n;
    for (unsigned i = 0; i < n; i++)
        op->entries[i] = disk_entry_of(&entries[i]);
    op_queue(op);
    if (sim_io->disk.flush_ms > 0) {
        struct flush *flush = mem_new(sizeof *flush);
        *flush = (struct flush){
            .event.on_due = on_flush, .disk = &sim_io->disk, .up_to = sim_io->next_index - 1};
        host_later(sim_io->host, sim_io->disk.flush_ms, &flush->event);
    }
    return 0;
}

static int do_truncate(struct raft_io *io, raft_index index)
{
    struct sim_io *sim_io = sim_io_of(io);
    if (index >= sim_io->next_index) return 0;
    sim_io->next_index = index;
    struct disk_op *op = op_new(sim_io, OP_TRUNCATE);
    op->index = index;
    op_queue(op);
    return 0;
}

static int do_snapshot_put(struct raft_io *io, unsigned trailing,
                           struct raft_io_snapshot_put *request,
                           const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb done)
{
    struct sim_io *sim_io = sim_io_of(io);
    struct disk_op *op = op_new(sim_io, OP_PUT);
    op->put = request;
    request->cb = done;
    op->snapshot = snapshot;
    op->trailing = trailing;
    if (trailing == 0) sim_io->next_index = snapshot->index + 1;
    op_queue(op);
    return 0;
}

static int do_snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *request,
                           raft_io_snapshot_get_cb done)
{
    struct disk_op *op = op_new(sim_io_of(io), OP_GET);
    op->get = request;
    request->cb = done;
    start_read(op);
    return 0;
}

static raft_time do_time(struct raft_io *io)
{
    return sim_io_of(io)->host->sim->now_ms;
}

static int do_random(struct raft_io *io, int min, int max)
{
    uint64_t range = (uint64_t)((int64_t)max - min);
    return min + (int)sim_draw(sim_io_of(io)->host->sim, range);
}

static void call_off(struct disk_op **ops)
{
    while (*ops != NULL) {
        struct disk_op *op = *ops;
        DL_DELETE(*ops, op);
        tell_done(op, RAFT_CANCELED);
        op_free(op);
    }
}

/* What raft waits for is called off; the events come due and find nothing to do. */
static void do_close(struct raft_io *io, raft_io_close_cb on_closed)
{
    struct sim_io *sim_io = sim_io_of(io);
    sim_io->on_recv = NULL;
    call_off(&sim_io->ops);
    call_off(&sim_io->reads);
    while (sim_io->kept != NULL)
        let_go(sim_io, sim_io->kept, RAFT_CANCELED);
    on_closed(io);
}

void sim_io_open(struct sim_io *sim_io, struct raft_io *io, struct host *host, struct net *net)
{
    sim_io->io = io;
    sim_io->host = host;
    sim_io->net = net;
    sim_io->is_working = sim_io->is_failing = false;
    sim_io->is_stuck = sim_io->may_end = false;
    *io = (struct raft_io){.version = 2,
                           .capacity = 60000,
                           .impl = sim_io,
                           .init = do_init,
                           .close = do_close,
                           .load = do_load,
                           .start = do_start,
                           .bootstrap = do_bootstrap,
                           .recover = do_recover,
                           .set_term = do_set_term,
                           .set_vote = do_set_vote,
                           .send = do_send,
                           .append = do_append,
                           .truncate = do_truncate,
                           .snapshot_put = do_snapshot_put,
                           .snapshot_get = do_snapshot_get,
                           .time = do_time,
                           .random = do_random};
}
