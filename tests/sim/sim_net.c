/* The simulated network, and copies of what raft sends over it. */
#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "sim_io.h"

/* ---- what raft owns ---- */

void *sim_raft_copy(const void *at, size_t len)
{
    void *copy = raft_malloc(len == 0 ? 1 : len);
    assert(copy != NULL);
    if (len > 0) memcpy(copy, at, len);
    return copy;
}

void sim_copy_configuration(struct raft_configuration *to, const struct raft_configuration *from)
{
    raft_configuration_init(to);
    for (unsigned i = 0; i < from->n; i++) {
        const struct raft_server *server = &from->servers[i];
        int rv = raft_configuration_add(to, server->id, server->address, server->role);
        assert(rv == 0);
        (void)rv;
    }
}

/* Entries as raft wants to own them: an array, and one batch with all their bytes. */
struct raft_entry *sim_raft_entries(const struct disk_entry *from, size_t count)
{
    size_t bytes = 0;
    if (count == 0) return NULL;
    for (size_t i = 0; i < count; i++)
        bytes += from[i].len;
    struct raft_entry *entries = raft_calloc(count, sizeof *entries);
    char *batch = raft_malloc(bytes == 0 ? 1 : bytes);
    assert(entries != NULL && batch != NULL);
    char *at = batch;
    for (size_t i = 0; i < count; i++) {
        entries[i].term = from[i].term;
        entries[i].type = from[i].type;
        entries[i].buf = (struct raft_buffer){.base = at, .len = from[i].len};
        entries[i].batch = batch;
        memcpy(at, from[i].bytes, from[i].len);
        at += from[i].len;
    }
    return entries;
}

/* ---- the network ---- */

struct net_message {
    struct host_event event;
    struct net *net;
    unsigned from;
    struct raft_message message;
};

void net_init(struct net *net, struct sim *sim)
{
    *net = (struct net){.sim = sim};
}

void net_add(struct net *net, struct sim_io *io)
{
    assert(net->count < SIM_HOSTS);
    net->ios[net->count++] = io;
}

bool net_takes(struct net *net, unsigned from, unsigned to, uint64_t *in_ms)
{
    struct net_link *link = &net->links[from][to];
    struct sim *sim = net->sim;
    net->sent++;
    if (link->is_cut || sim_chance(sim, link->loss_percent)) {
        net->lost++;
        return false;
    }
    uint64_t at_ms = sim->now_ms + link->latency_ms + sim_draw(sim, link->jitter_ms + 1);
    if (!net->reorders && at_ms < link->last_ms) at_ms = link->last_ms;
    if (at_ms > link->last_ms) link->last_ms = at_ms;
    *in_ms = at_ms - sim->now_ms;
    return true;
}

bool net_delivers(const struct net *net, unsigned from, unsigned to)
{
    return !net->links[from][to].is_cut;
}

void net_free_message(struct raft_message *message)
{
    if (message->type == RAFT_APPEND_ENTRIES && message->append_entries.n_entries > 0) {
        raft_free(message->append_entries.entries[0].batch);
        raft_free(message->append_entries.entries);
    }
    if (message->type == RAFT_INSTALL_SNAPSHOT) {
        raft_configuration_close(&message->install_snapshot.conf);
        raft_free(message->install_snapshot.data.base);
    }
}

void net_copy_message(struct raft_message *to, const struct raft_message *from)
{
    *to = *from;
    if (from->type == RAFT_APPEND_ENTRIES) {
        const struct raft_append_entries *entries = &from->append_entries;
        struct disk_entry *views = mem_new_array(entries->n_entries + 1, sizeof *views);
        for (unsigned i = 0; i < entries->n_entries; i++) {
            const struct raft_entry *entry = &entries->entries[i];
            views[i] = (struct disk_entry){.term = entry->term,
                                           .type = (unsigned short)entry->type,
                                           .len = entry->buf.len,
                                           .bytes = entry->buf.base};
        }
        to->append_entries.entries = sim_raft_entries(views, entries->n_entries);
        mem_free(views);
    }
    if (from->type == RAFT_INSTALL_SNAPSHOT) {
        const struct raft_install_snapshot *install = &from->install_snapshot;
        sim_copy_configuration(&to->install_snapshot.conf, &install->conf);
        to->install_snapshot.data.base = sim_raft_copy(install->data.base, install->data.len);
    }
}

static void on_message(struct host_event *event, bool is_dropped)
{
    struct net_message *message = (struct net_message *)event;
    struct net *net = message->net;
    unsigned to = event->host->index;
    struct sim_io *sim_io = net->ios[to];
    if (is_dropped || sim_io->on_recv == NULL || !net_delivers(net, message->from, to)) {
        net_free_message(&message->message);
    } else {
        message->message.server_id = net->ios[message->from]->id;
        message->message.server_address = net->ios[message->from]->address;
        sim_io->on_recv(sim_io->io, &message->message);
    }
    mem_free(message);
}

bool net_connects(const struct sim_io *sim_io, raft_id id)
{
    const struct net *net = sim_io->net;
    unsigned from = sim_io->host->index;
    for (unsigned to = 0; to < net->count; to++) {
        if (net->ios[to]->id != id) continue;
        bool is_cut = net->links[from][to].is_cut || net->links[to][from].is_cut;
        return net->ios[to]->host->is_up && !is_cut;
    }
    return true; /* to nobody: lost */
}

void net_send(struct sim_io *sim_io, const struct raft_message *message)
{
    struct net *net = sim_io->net;
    unsigned from = sim_io->host->index;
    uint64_t in_ms = 0;
    for (unsigned to = 0; to < net->count; to++) {
        if (net->ios[to]->id != message->server_id || to == from) continue;
        if (!net->ios[to]->host->is_up || !net_takes(net, from, to, &in_ms)) break;
        struct net_message *copy = mem_new(sizeof *copy);
        copy->net = net;
        copy->from = from;
        copy->event.on_due = on_message;
        net_copy_message(&copy->message, message);
        host_later(net->ios[to]->host, in_ms, &copy->event);
        break;
    }
}
