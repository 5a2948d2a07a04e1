/* Longer than 500 lines because a client and its page share what they have seen; each half is short. */
#include "crowd.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum {
    TRIES_MAX = 8,
    TAIL = 20,
    HOLD_MS = 2000,
    OTHER_PERCENT = 3,
    HALVES_MS = 40, /* a mistake's, between the two steps of a mount */
    QUEUE_MAX = 64,
    SLOW_MAX = 8, /* events that wait for a slow page */
    SLOW_PERCENT = 10,
    SLOW_MS = 4000,
    SLACK_MS =
        700, /* of an answer: a tick, the way, a look into the store when there is little to do */
    BY_HAND = 1000,
    OTHERS = 2000 /* names of clients that use the ids of others */
};

struct attempt {
    uint64_t id;
    int client; /* -1: nobody waits for it */
    bool is_answered, is_late;
    uint64_t number;
    unsigned node;
    uint64_t asked_ms;
};

struct client {
    struct crowd *crowd;
    unsigned index, name, room, node;
    uint64_t sequence, id;
    unsigned tries, unsettled; /* of this id: made, and not refused */
    uint64_t attempt;          /* the one that is waited for; 0 = none */
    bool is_waiting, needs_proof;
};

struct page {
    struct crowd *crowd;
    unsigned index, room;
    int client; /* its own */
    struct world_node *node;
    bool is_mounted, is_behind, is_subscribed, is_trying, is_slow;
    uint64_t seen; /* shown, or its own and acknowledged */
    uint64_t held_since_ms;
    unsigned misses;
    uint64_t epoch;
    struct checker_line queue[QUEUE_MAX];
    size_t queued;
};

struct crowd {
    struct world *world;
    struct crowd_options options;
    struct attempt *attempts;
    size_t attempts_count, attempts_size, attempts_settled; /* settled: all below are answered */
    struct client *clients;
    struct page *pages;
    unsigned left, names;
    bool is_finishing;
};

struct crowd *crowd_new(struct world *world, const struct crowd_options *options)
{
    struct crowd *crowd = mem_new(sizeof *crowd);
    *crowd = (struct crowd){.world = world, .options = *options, .left = options->commands};
    crowd->clients = mem_new_array(options->clients + 1, sizeof *crowd->clients);
    crowd->pages = mem_new_array(options->pages + 1, sizeof *crowd->pages);
    world->crowd = crowd;
    return crowd;
}

void crowd_free(struct crowd *crowd)
{
    mem_free(crowd->attempts);
    mem_free(crowd->clients);
    mem_free(crowd->pages);
    mem_free(crowd);
}

/* ---- what arrives, and when ---- */

struct soon {
    struct sim_event event;
    struct crowd *crowd;
    void (*what)(struct crowd *crowd, const struct soon *soon);
    uint64_t a, b;
    struct answer answer;
};

static void on_soon(struct sim_event *event, bool is_over)
{
    struct soon *soon = (struct soon *)event;
    if (!is_over) soon->what(soon->crowd, soon);
    mem_free(soon);
}

static struct soon *later(struct crowd *crowd, uint64_t in_ms,
                          void (*what)(struct crowd *, const struct soon *), uint64_t a, uint64_t b)
{
    struct soon *soon = mem_new(sizeof *soon);
    *soon = (struct soon){.event.on_due = on_soon, .crowd = crowd, .what = what, .a = a, .b = b};
    sim_later(&crowd->world->sim, in_ms, &soon->event);
    return soon;
}

/* ---- commands ---- */

static uint64_t id_of(unsigned name, uint64_t sequence)
{
    return (uint64_t)name << 20 | sequence;
}

static unsigned name_of(uint64_t id)
{
    return (unsigned)((id & ~(WORLD_OTHER | WORLD_AGAIN)) >> 20);
}

/* Whoever uses an id for another message is another client. */
static unsigned client_of(uint64_t id)
{
    return name_of(id) + ((id & WORLD_OTHER) != 0 ? OTHERS : 0);
}

struct arriving {
    struct host_event event;
    struct crowd *crowd;
    struct world_node *node;
    uint64_t id, attempt;
    unsigned room;
};

static void on_arrived(struct host_event *event, bool is_dropped)
{
    struct arriving *arriving = (struct arriving *)event;
    struct world_node *node = arriving->node;
    char room[8], sender[16], text[32];
    struct send_message command = {.room = {NULL, 0}};
    if (is_dropped) {
        crowd_answered(arriving->crowd, arriving->attempt,
                       &(struct answer){.kind = ANSWER_UNKNOWN});
        mem_free(arriving);
        return;
    }
    uint64_t id = arriving->id & ~WORLD_OTHER;
    unsigned name = name_of(id), sequence = (unsigned)(id & 0xfffff);
    const char *mark = id == arriving->id ? "" : "!";
    snprintf(room, sizeof room, "tea%u", arriving->room);
    snprintf(sender, sizeof sender, "c%u", name);
    snprintf(text, sizeof text, "c%u-%u%s", name, sequence, mark);
    command.room = slice_make(room, strlen(room));
    command.sender = slice_make(sender, strlen(sender));
    command.text = slice_make(text, strlen(text));
    memcpy(command.sender_id.bytes, &name, sizeof name);
    memcpy(command.id.bytes, &id, sizeof id);
    world_take(node, &command, arriving->attempt);
    mem_free(arriving);
}

/* One try, at a node. */
static uint64_t send_try(struct crowd *crowd, int client, uint64_t id, unsigned room, unsigned node)
{
    struct world *world = crowd->world;
    if (crowd->attempts_count == crowd->attempts_size) {
        crowd->attempts_size = crowd->attempts_size == 0 ? 256 : 2 * crowd->attempts_size;
        crowd->attempts =
            mem_grow(crowd->attempts, crowd->attempts_size * sizeof(*crowd->attempts));
    }
    crowd->attempts[crowd->attempts_count++] =
        (struct attempt){.id = id, .client = client, .node = node, .asked_ms = world->sim.now_ms};
    uint64_t attempt = crowd->attempts_count;
    /* Who uses the ids of others waits for no answer: no order is promised to him. */
    uint64_t sequence = (id & WORLD_OTHER) != 0 ? 0 : id & 0xfffff;
    checker_sent(world->checker, id, client_of(id), sequence);
    sim_trace(&world->sim, "c%u-%u to tea-%u (try %u)", client_of(id), (unsigned)(id & 0xfffff),
              node + 1, (unsigned)attempt);
    if (!world->nodes[node].host.is_up) {
        crowd_answered(crowd, attempt, &(struct answer){.kind = ANSWER_UNKNOWN});
        return attempt;
    }
    struct arriving *arriving = mem_new(sizeof *arriving);
    arriving->event.on_due = on_arrived;
    arriving->crowd = crowd;
    arriving->node = &world->nodes[node];
    arriving->id = id;
    arriving->room = room;
    arriving->attempt = attempt;
    host_later(&world->nodes[node].host, sim_between(&world->sim, 1, 4), &arriving->event);
    return attempt;
}

static unsigned another_node(struct crowd *crowd, unsigned node)
{
    struct world *world = crowd->world;
    if (world->count == 1) return node;
    for (;;) {
        node = (node + 1 + (unsigned)sim_draw(&world->sim, world->count - 1)) % world->count;
        if (world->nodes[node].is_member) return node;
    }
}

/* ---- clients ---- */

static void next_command(struct crowd *crowd, const struct soon *soon);
static void try_again(struct crowd *crowd, const struct soon *soon);
static void on_late(struct crowd *crowd, const struct soon *soon);

static void new_name(struct client *client)
{
    client->name = ++client->crowd->names;
    client->sequence = 0;
}

static void pause_then_next(struct client *client)
{
    struct crowd *crowd = client->crowd;
    uint64_t pause_ms = sim_between(&crowd->world->sim, 1, crowd->options.pause_ms);
    client->is_waiting = false;
    client->attempt = 0;
    later(crowd, pause_ms, next_command, client->index, 0);
}

static void on_impatience(struct crowd *crowd, const struct soon *soon)
{
    struct client *client = &crowd->clients[soon->a];
    if (!client->is_waiting || client->attempt != soon->b) return;
    client->attempt = 0;
    try_again(crowd, soon);
}

static void make_try(struct client *client)
{
    struct crowd *crowd = client->crowd;
    client->tries++;
    client->unsettled++;
    client->attempt = send_try(crowd, (int)client->index, client->id, client->room, client->node);
    uint64_t patience_ms = sim_between(&crowd->world->sim, 800, FORWARD_DEADLINE_MS + 1000);
    later(crowd, patience_ms, on_impatience, client->index, client->attempt);
}

static void next_command(struct crowd *crowd, const struct soon *soon)
{
    struct client *client = &crowd->clients[soon->a];
    bool is_over = crowd->left == 0 || crowd->is_finishing;
    if (client->is_waiting || (is_over && !client->needs_proof)) return;
    if (!is_over) crowd->left--;
    client->is_waiting = true;
    client->id = id_of(client->name, ++client->sequence);
    client->tries = client->unsettled = 0;
    if (!crowd->world->nodes[client->node].is_member) client->node = another_node(crowd, 0);
    make_try(client);
    if (sim_chance(&crowd->world->sim, OTHER_PERCENT)) {
        uint64_t in_ms = sim_draw(&crowd->world->sim, 2000);
        later(crowd, in_ms, on_late, client->id | WORLD_OTHER, client->room);
    }
}

static void on_try_again(struct crowd *crowd, const struct soon *soon)
{
    struct client *client = &crowd->clients[soon->a];
    if (client->is_waiting && client->attempt == 0) make_try(client);
}

/* Nothing is known of the last try. */
static void try_again(struct crowd *crowd, const struct soon *soon)
{
    struct client *client = &crowd->clients[soon->a];
    struct sim *sim = &crowd->world->sim;
    client->node = another_node(crowd, client->node);
    client->attempt = 0;
    if (crowd->world->mistake == GOES_ON_AFTER_UNKNOWN) {
        pause_then_next(client);
        return;
    }
    if (client->tries >= TRIES_MAX && !crowd->is_finishing) {
        new_name(client);
        pause_then_next(client);
        return;
    }
    uint64_t most_ms = UINT64_C(50) << (client->tries < 5 ? client->tries : 5);
    later(crowd, sim_between(sim, 1, most_ms), on_try_again, client->index, 0);
}

/* What is known by now goes once more to some node, long after. */
static void on_late(struct crowd *crowd, const struct soon *soon)
{
    struct world *world = crowd->world;
    if (crowd->is_finishing) return;
    unsigned node = (unsigned)sim_draw(&world->sim, world->count);
    send_try(crowd, -1, soon->a, (unsigned)soon->b, another_node(crowd, node));
}

static void on_accepted(struct crowd *crowd, struct client *client)
{
    struct world *world = crowd->world;
    client->needs_proof = false;
    if (sim_chance(&world->sim, 15))
        later(crowd, sim_between(&world->sim, 10, 6000), on_late, client->id, client->room);
    pause_then_next(client);
}

static void trace_answer(const struct crowd *crowd, const struct soon *soon)
{
    const struct attempt *attempt = &crowd->attempts[soon->a - 1];
    const struct answer *answer = &soon->answer;
    const char *words = "unknown";
    if (answer->kind == ANSWER_ACCEPTED) words = "accepted";
    if (answer->kind == ANSWER_REFUSED) words = chat_refusal_word(answer->refusal);
    sim_trace(&crowd->world->sim, "c%u-%u try %u: %s %llu", client_of(attempt->id),
              (unsigned)(attempt->id & 0xfffff), (unsigned)soon->a, words,
              (unsigned long long)answer->number);
}

/* A client's own page knows what was accepted. */
static void tell_page(struct crowd *crowd, const struct attempt *attempt)
{
    for (unsigned i = 0; i < crowd->options.pages && attempt->client >= 0; i++) {
        struct page *page = &crowd->pages[i];
        bool is_own =
            page->client == attempt->client && page->room == crowd->clients[page->client].room;
        if (is_own && attempt->number > page->seen) page->seen = attempt->number;
    }
}

static void answer_arrives(struct crowd *crowd, const struct soon *soon)
{
    struct attempt *attempt = &crowd->attempts[soon->a - 1];
    bool is_accepted = soon->answer.kind == ANSWER_ACCEPTED;
    bool is_refused = soon->answer.kind == ANSWER_REFUSED;
    trace_answer(crowd, soon);
    if (is_accepted) {
        attempt->number = soon->answer.number;
        checker_acknowledged(crowd->world->checker, attempt->id, attempt->number);
        tell_page(crowd, attempt);
    }
    /* The id may belong to another message for ever: it is not tried again. */
    bool is_final = is_refused && soon->answer.refusal == CHAT_ID_USED;
    bool is_only_try = (attempt->id & WORLD_OTHER) != 0;
    if (is_refused && is_only_try) checker_refused(crowd->world->checker, attempt->id);
    if (attempt->client < 0) return;
    struct client *client = &crowd->clients[attempt->client];
    if (client->id != attempt->id || !client->is_waiting) return;
    client->unsettled -= is_refused;
    if (crowd->world->mistake == NEW_ID_WHEN_REFUSED && is_refused && !is_final) {
        client->id += WORLD_AGAIN & -WORLD_AGAIN;
        client->tries = client->unsettled = 0;
        try_again(crowd, &(struct soon){.a = client->index});
    } else if (is_accepted) {
        on_accepted(crowd, client);
    } else if (is_refused && client->unsettled == 0) {
        checker_refused(crowd->world->checker, client->id);
        pause_then_next(client);
    } else if (is_final) {
        new_name(client);
        pause_then_next(client);
    } else if (client->attempt == soon->a) {
        try_again(crowd, &(struct soon){.a = client->index});
    }
}

/* An answer that does not come is as bad as a wrong one. A node that was stopped could not give any. */
static void check_wait(struct crowd *crowd, struct attempt *attempt)
{
    struct world *world = crowd->world;
    const struct world_node *node = &world->nodes[attempt->node];
    uint64_t now_ms = world->sim.now_ms, since_ms = node->leaderless_ms;
    uint64_t waited_ms = now_ms - attempt->asked_ms, slack_ms = SLACK_MS + world->lookup_ms;
    if (node->host.is_paused || node->stood_ms >= attempt->asked_ms || attempt->is_late) return;
    if (waited_ms > world->wait_max_ms) world->wait_max_ms = waited_ms;
    bool is_leaderless = since_ms > 0 && now_ms - since_ms > slack_ms;
    uint64_t most_ms = is_leaderless ? NO_LEADER_WAIT_MAX_MS : FORWARD_DEADLINE_MS;
    if (waited_ms <= most_ms + slack_ms) return;
    attempt->is_late = true;
    checker_no_recovery(world->checker, client_of(attempt->id), waited_ms);
}

static void check_waits(struct crowd *crowd)
{
    size_t *settled = &crowd->attempts_settled;
    while (*settled < crowd->attempts_count && crowd->attempts[*settled].is_answered)
        (*settled)++;
    for (size_t i = *settled; i < crowd->attempts_count; i++)
        if (!crowd->attempts[i].is_answered) check_wait(crowd, &crowd->attempts[i]);
}

void crowd_asks_again(struct crowd *crowd, uint64_t attempt)
{
    crowd->attempts[attempt - 1].asked_ms = crowd->world->sim.now_ms;
}

void crowd_answered(struct crowd *crowd, uint64_t attempt, const struct answer *answer)
{
    check_wait(crowd, &crowd->attempts[attempt - 1]);
    crowd->attempts[attempt - 1].is_answered = true;
    uint64_t in_ms = sim_between(&crowd->world->sim, 1, 4);
    later(crowd, in_ms, answer_arrives, attempt, 0)->answer = *answer;
}

/* ---- pages ---- */

static void page_try(struct page *page, struct world_node *node, uint64_t in_ms);
static void page_moves(struct crowd *crowd, const struct soon *soon);

static void page_elsewhere(struct page *page, uint64_t in_ms)
{
    struct crowd *crowd = page->crowd;
    unsigned from = (unsigned)sim_draw(&crowd->world->sim, crowd->world->count);
    page->held_since_ms = 0;
    page_try(page, &crowd->world->nodes[another_node(crowd, from)], in_ms);
}

static void show(struct page *page, const struct checker_line *line)
{
    if (line->number > page->seen) page->seen = line->number;
    checker_view(page->crowd->world->checker, page->index, line->number, line->id);
}

static void become_level(struct page *page)
{
    bool is_level = page->is_behind && !page->is_slow && page->node->chat.number >= page->seen;
    if (!is_level) return;
    page->is_behind = false;
    checker_level(page->crowd->world->checker, page->index);
}

/* The picture and the subscription, in one step. */
static void mount(struct page *page, bool is_behind)
{
    const struct store *store = &page->node->store;
    struct checker_line lines[TAIL];
    size_t count = 0;
    for (uint64_t number = store->told; number > 0 && count < TAIL; number--) {
        if (store->lines[number - 1].room != page->room) continue;
        lines[TAIL - ++count] = store->lines[number - 1];
    }
    checker_mount(page->crowd->world->checker, page->index, page->crowd->clients[page->client].name,
                  page->room, is_behind, lines + TAIL - count, count);
    if (count > 0 && lines[TAIL - 1].number > page->seen) page->seen = lines[TAIL - 1].number;
    page->is_mounted = true;
    page->is_behind = is_behind;
    page->misses = 0;
}

static void reads_again(struct crowd *crowd, const struct soon *soon)
{
    struct page *page = &crowd->pages[soon->a];
    if (page->epoch != soon->b || !page->is_slow) return;
    page->is_slow = false;
    for (size_t i = 0; i < page->queued; i++)
        show(page, &page->queue[i]);
    page->queued = 0;
    become_level(page);
}

static void reads_slowly(struct page *page)
{
    struct crowd *crowd = page->crowd;
    page->is_slow = true;
    page->queued = 0;
    later(crowd, sim_between(&crowd->world->sim, 100, SLOW_MS), reads_again, page->index,
          page->epoch);
}

static void other_half(struct crowd *crowd, const struct soon *soon)
{
    struct page *page = &crowd->pages[soon->a];
    if (page->node == NULL || page->epoch != soon->b) return;
    if (crowd->world->mistake == SUBSCRIBE_THEN_RENDER) {
        mount(page, false);
        for (size_t i = 0; i < page->queued; i++)
            show(page, &page->queue[i]);
        page->queued = 0;
    }
    page->is_subscribed = true;
}

struct joining {
    struct host_event event;
    struct page *page;
    struct world_node *node;
};

static void join(struct page *page, struct world_node *node)
{
    struct world *world = page->crowd->world;
    enum mistake mistake = world->mistake;
    bool serves_gap = mistake == BACKFILL_STOPS && node->machine.has_gap;
    if (node->machine.has_gap && !serves_gap) { /* 503 */
        page_elsewhere(page, 100);
        return;
    }
    bool is_behind = node->chat.number < page->seen && mistake != STALE_RECONNECT && !serves_gap;
    if (is_behind && page->held_since_ms == 0) page->held_since_ms = world->sim.now_ms;
    if (is_behind && world->sim.now_ms - page->held_since_ms < HOLD_MS) {
        page_try(page, node, 50);
        return;
    }
    page->node = node;
    page->epoch++;
    page->queued = 0;
    page->is_subscribed = mistake != RENDER_THEN_SUBSCRIBE && mistake != SUBSCRIBE_THEN_RENDER;
    if (mistake != SUBSCRIBE_THEN_RENDER) mount(page, is_behind);
    if (!page->is_subscribed) later(page->crowd, HALVES_MS, other_half, page->index, page->epoch);
}

static void on_joining(struct host_event *event, bool is_dropped)
{
    struct joining *joining = (struct joining *)event;
    struct page *page = joining->page;
    page->is_trying = false;
    if (is_dropped) {
        later(page->crowd, 200, page_moves, page->index, 0);
    } else {
        join(page, joining->node);
    }
    mem_free(joining);
}

static void page_try(struct page *page, struct world_node *node, uint64_t in_ms)
{
    if (page->is_trying) return;
    if (!node->host.is_up) {
        later(page->crowd, 100, page_moves, page->index, 0);
        return;
    }
    struct joining *joining = mem_new(sizeof *joining);
    joining->event.on_due = on_joining;
    joining->page = page;
    joining->node = node;
    page->is_trying = true;
    host_later(&node->host, in_ms, &joining->event);
}

static void leave(struct page *page)
{
    page->node = NULL;
    page->is_subscribed = page->is_mounted = page->is_slow = false;
    page->epoch++;
}

static void page_moves(struct crowd *crowd, const struct soon *soon)
{
    struct page *page = &crowd->pages[soon->a];
    if (page->node == NULL) page_elsewhere(page, 1);
}

/* Once a second: is its node still there? */
static void page_ticks(struct crowd *crowd, const struct soon *soon)
{
    struct page *page = &crowd->pages[soon->a];
    struct sim *sim = &crowd->world->sim;
    later(crowd, 1000, page_ticks, page->index, 0);
    if (page->index == 0) check_waits(crowd);
    if (page->node == NULL) {
        if (!page->is_trying) page_elsewhere(page, 1);
        return;
    }
    page->misses = page->node->host.is_paused ? page->misses + 1 : 0;
    bool is_gone = page->misses >= 3 || !page->node->is_member;
    bool is_slow = page->is_slow || !page->is_subscribed || crowd->is_finishing;
    if (!is_slow && sim_chance(sim, SLOW_PERCENT)) reads_slowly(page);
    if (!is_gone && (crowd->is_finishing || !sim_chance(sim, 5))) return;
    leave(page);
    page_elsewhere(page, sim_between(sim, 1, 100));
}

static void deliver(struct page *page, const struct checker_line *line)
{
    if (!page->is_slow) {
        show(page, line);
    } else if (page->queued < SLOW_MAX) {
        page->queue[page->queued++] = *line;
    } else if (page->crowd->world->mistake != SLOW_PAGE_LOSES) {
        leave(page);
        page_elsewhere(page, 100);
    }
}

void crowd_event(struct crowd *crowd, struct world_node *node, const struct checker_line *line)
{
    for (unsigned i = 0; i < crowd->options.pages; i++) {
        struct page *page = &crowd->pages[i];
        if (page->node != node || page->room != line->room) continue;
        bool queues = crowd->world->mistake == SUBSCRIBE_THEN_RENDER && !page->is_subscribed;
        if (queues && page->queued < QUEUE_MAX) page->queue[page->queued++] = *line;
        if (page->is_subscribed) deliver(page, line);
    }
}

void crowd_entry(struct crowd *crowd, struct world_node *node)
{
    for (unsigned i = 0; i < crowd->options.pages; i++) {
        struct page *page = &crowd->pages[i];
        if (page->node == node) become_level(page);
    }
}

void crowd_node_gone(struct crowd *crowd, struct world_node *node)
{
    for (unsigned i = 0; crowd != NULL && i < crowd->options.pages; i++) {
        struct page *page = &crowd->pages[i];
        if (page->node != node) continue;
        leave(page);
        later(crowd, sim_between(&crowd->world->sim, 1, 300), page_moves, i, 0);
    }
}

/* ---- all of them ---- */

void crowd_start(struct crowd *crowd)
{
    struct sim *sim = &crowd->world->sim;
    for (unsigned i = 0; i < crowd->options.clients; i++) {
        struct client *client = &crowd->clients[i];
        *client = (struct client){.crowd = crowd, .index = i, .room = i % WORLD_ROOMS};
        new_name(client);
        client->node = i % crowd->world->count;
        later(crowd, sim_between(sim, 1, crowd->options.pause_ms), next_command, i, 0);
    }
    for (unsigned i = 0; i < crowd->options.pages; i++) {
        struct page *page = &crowd->pages[i];
        *page = (struct page){.crowd = crowd, .index = i};
        page->client = (int)(i % crowd->options.clients);
        page->room = (unsigned)page->client % WORLD_ROOMS;
        later(crowd, sim_between(sim, 1, 1000), page_ticks, i, 0);
    }
}

void crowd_finish(struct crowd *crowd)
{
    crowd->is_finishing = true;
}

void crowd_prove(struct crowd *crowd)
{
    for (unsigned i = 0; i < crowd->options.clients; i++) {
        crowd->clients[i].needs_proof = true;
        if (!crowd->clients[i].is_waiting) later(crowd, 1, next_command, i, 0);
    }
}

bool crowd_is_proved(const struct crowd *crowd)
{
    for (unsigned i = 0; i < crowd->options.clients; i++)
        if (crowd->clients[i].needs_proof) return false;
    return true;
}

void crowd_end_proof(struct crowd *crowd)
{
    for (unsigned i = 0; i < crowd->options.clients; i++) {
        struct client *client = &crowd->clients[i];
        if (client->needs_proof)
            checker_no_recovery(crowd->world->checker, client->name, crowd->world->proof_max_ms);
        client->needs_proof = false;
    }
}

bool crowd_is_done(const struct crowd *crowd)
{
    for (unsigned i = 0; i < crowd->options.clients; i++)
        if (crowd->clients[i].is_waiting) return false;
    for (unsigned i = 0; i < crowd->options.pages; i++) {
        const struct page *page = &crowd->pages[i];
        if (!page->is_mounted || page->is_behind || page->is_slow) return false;
    }
    return true;
}

/* ---- by hand ---- */

void crowd_send(struct crowd *crowd, unsigned who, unsigned n, unsigned node)
{
    send_try(crowd, -1, id_of(BY_HAND + who, n), who % WORLD_ROOMS, node);
}

uint64_t crowd_number(const struct crowd *crowd, unsigned who, unsigned n)
{
    for (size_t i = 0; i < crowd->attempts_count; i++) {
        const struct attempt *attempt = &crowd->attempts[i];
        if (attempt->id == id_of(BY_HAND + who, n) && attempt->number > 0) return attempt->number;
    }
    return 0;
}
