/* Questions about membership (ask.h), both sides, and what a node makes of the answers.
 *
 *   asks      while JOINING, and as a member that has heard no leader for some time, every ASK_EVERY_MS:
 *             all addresses of cluster.join, all members that it was told of, all that it has links to
 *   answers   whoever asks, from the committed list; and remembers new nodes that do, for `members add`
 *   let in    takes the cluster's id: binds the store, marks the directory FORMED, begins raft
 *   removed   marks the directory REMOVED, and tells
 *
 * One connection is one question and one answer. Each has ASK_DEADLINE_MS; at most ASK_SERVED_MAX are
 * answered at once. Both fit into an empty socket, so nothing waits to be written.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cluster/node_state.h"
#include "cluster/wire.h"

enum {
    ASK_DEADLINE_MS = 2 * LINK_DEADLINE_MS,
    ASK_SERVED_MAX = 8,
    ASKED_MAX = PEERS_MAX + 3 * MEMBERS_MAX, /* addresses of one round */
    ASKER_FRESH_MS = 5 * ASK_EVERY_MS,
    LOST_MS = 2000, /* without a leader, a member asks; at least LOST_ELECTIONS of its timeouts */
    LOST_ELECTIONS = 5,
    READ_SIZE = 4096
};

struct exchange { /* one question and its answer, on either side */
    struct asking *asking;
    struct exchange *next, *prev;
    bool is_ours; /* we ask */
    struct dial dial;
    uv_stream_t *stream; /* NULL: being dialed */
    struct buf buf;
    uint64_t until_ms;
    char where[ADDRESS_MAX + 1];
};

struct asker { /* a new node that wants to be let in */
    uint64_t id;
    uint64_t heard_ms; /* 0: a free place */
    char self[SELF_SIZE];
};

struct asking {
    struct node *node;
    struct exchange *exchanges;
    size_t served; /* those that are not ours */
    struct asker askers[ASKERS_MAX];
    uint64_t asked_ms;
    struct ask_answer admission; /* index 0: none */
    char note[sizeof((struct ask_answer *)NULL)->sentence];
};

static const char *address_of(const char *self)
{
    const char *equals = strchr(self, '=');
    return equals == NULL ? self : equals + 1;
}

static void end(struct exchange *exchange)
{
    struct asking *asking = exchange->asking;
    transport_hang_up(&exchange->dial);
    if (exchange->stream != NULL) transport_close_stream(exchange->stream);
    if (!exchange->is_ours) asking->served--;
    DL_DELETE(asking->exchanges, exchange);
    buf_close(&exchange->buf);
    mem_free(exchange);
}

static struct exchange *begin(struct asking *asking, bool is_ours)
{
    struct exchange *exchange = mem_new(sizeof *exchange);
    exchange->asking = asking;
    exchange->is_ours = is_ours;
    exchange->until_ms = clock_ms() + ASK_DEADLINE_MS;
    buf_init(&exchange->buf, 4 + ASK_BYTES_MAX + READ_SIZE);
    if (!is_ours) asking->served++;
    DL_APPEND(asking->exchanges, exchange);
    return exchange;
}

/* ---- the frame: a length and so many bytes ---- */

static bool put_frame(struct exchange *exchange, struct buf *frame)
{
    little_store(frame->at, frame->len - 4, 4);
    uv_buf_t part = uv_buf_init(frame->at, (unsigned)frame->len);
    return !frame->overflowed && uv_try_write(exchange->stream, &part, 1) == (int)frame->len;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct exchange *exchange = handle->data;
    (void)suggested;
    size_t before = exchange->buf.len;
    char *at = buf_extend(&exchange->buf, READ_SIZE);
    buf_truncate(&exchange->buf, before);
    *out = uv_buf_init(at, at == NULL ? 0 : READ_SIZE);
}

static int take_frame(struct exchange *exchange, struct slice frame);

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *bytes)
{
    struct exchange *exchange = stream->data;
    (void)bytes;
    if (count == 0) return;
    if (count < 0) {
        end(exchange);
        return;
    }
    exchange->buf.len += (size_t)count;
    if (exchange->buf.len < 4) return;
    uint64_t len = little_load(exchange->buf.at, 4);
    if (len > ASK_BYTES_MAX) {
        log_warn("cluster question closed", "reason=\"a length of %" PRIu64 "\"", len);
        end(exchange);
        return;
    }
    if (exchange->buf.len < 4 + len) return;
    if (take_frame(exchange, slice_make(exchange->buf.at + 4, len)) != 0) {
        log_warn("cluster question closed", "reason=\"it is damaged\"");
    }
    end(exchange);
}

/* ---- asking ---- */

static void on_dialed(struct dial *dial, uv_stream_t *stream, int status)
{
    struct exchange *exchange = dial->owner;
    const struct node *node = exchange->asking->node;
    if (status != 0) {
        log_debug("nobody to ask", "where=%s reason=\"%s\"", exchange->where, uv_strerror(status));
        end(exchange);
        return;
    }
    exchange->stream = stream;
    stream->data = exchange;
    struct ask_question question = {.id = node->id, .joined = node_joined(node)};
    memcpy(question.cluster, node->options.dir->cluster, sizeof question.cluster);
    snprintf(question.self, sizeof question.self, "%s", node->self);
    struct buf frame;
    buf_init(&frame, 4 + ASK_BYTES_MAX);
    wire_put_u32(&frame, 0);
    ask_question_encode(&frame, &question);
    bool is_asked = put_frame(exchange, &frame) && uv_read_start(stream, on_alloc, on_read) == 0;
    buf_close(&frame);
    if (!is_asked) end(exchange);
}

struct addresses {
    size_t count;
    const char *list[ASKED_MAX]; /* host:port */
};

static void add_address(const struct node *node, struct addresses *addresses, const char *address)
{
    if (strcmp(address, node->options.advertise) == 0 || addresses->count == ASKED_MAX) return;
    for (size_t i = 0; i < addresses->count; i++) {
        if (strcmp(addresses->list[i], address) == 0) return;
    }
    addresses->list[addresses->count++] = address;
}

static void ask_one(struct asking *asking, const char *address)
{
    struct exchange *other;
    DL_FOREACH(asking->exchanges, other) {
        if (other->is_ours && strcmp(other->where, address) == 0) return;
    }
    struct exchange *exchange = begin(asking, true);
    snprintf(exchange->where, sizeof exchange->where, "%s", address);
    exchange->dial = (struct dial){.owner = exchange, .on_dialed = on_dialed};
    transport_dial(asking->node->transport, &exchange->dial, LINK_ASK, 0, exchange->where);
}

static void ask_all(struct node *node, uint64_t now_ms)
{
    struct asking *asking = node->asking;
    struct addresses addresses = {.count = 0};
    struct peer members[PEERS_MAX];
    size_t members_count = 0;
    if (now_ms - asking->asked_ms < ASK_EVERY_MS) return;
    asking->asked_ms = now_ms;
    if (node->options.join != NULL) { /* checked when it was read */
        peers_parse(members, &members_count, slice_from(node->options.join), NULL);
    }
    for (size_t i = 0; i < members_count; i++)
        add_address(node, &addresses, members[i].address);
    for (size_t i = 0; i < node->told_count; i++)
        add_address(node, &addresses, address_of(node->told[i].self));
    for (size_t i = 0; i < node->beats.count; i++)
        add_address(node, &addresses, node->beats.neighbours[i].address);
    for (size_t i = 0; i < addresses.count; i++)
        ask_one(asking, addresses.list[i]);
}

/* ---- what became of it ---- */

static void take_told(struct node *node, const struct ask_answer *answer)
{
    memcpy(node->told, answer->members, sizeof node->told);
    node->told_count = answer->members_count;
}

static void note(struct asking *asking, const char *where, const struct ask_answer *answer)
{
    char text[sizeof asking->note];
    if (answer->sentence[0] == '\0') return;
    snprintf(text, sizeof text, "%s", answer->sentence);
    if (strcmp(text, asking->note) == 0) return;
    memcpy(asking->note, text, sizeof text);
    log_info("asking to be let in", "at=%s answer=\"%s\"", where, text);
    asking->node->options.handler.on_change(asking->node->options.handler.owner);
}

static void on_answer_joining(struct node *node, const char *where, const struct ask_answer *answer)
{
    struct asking *asking = node->asking;
    const char *name = node->options.cluster_name;
    if (answer->index > 0 && strcmp(answer->cluster_name, name) != 0) {
        char sentence[512];
        snprintf(sentence, sizeof sentence,
                 "the cluster at %s is called \"%s\", and cluster.name is \"%s\" here", where,
                 answer->cluster_name, name);
        node_fatal(node, 2, sentence);
        return;
    }
    if (answer->members_count > 0) take_told(node, answer);
    if (answer->verdict == ASK_ADMITTED) asking->admission = *answer;
    /* Of a member's words those of one that is none itself tell nothing new. */
    if (answer->index > 0 || asking->note[0] == '\0') note(asking, where, answer);
}

static void on_answer_member(struct node *node, const char *where, const struct ask_answer *answer)
{
    const struct data_dir *dir = node->options.dir;
    bool is_ours = memcmp(answer->cluster, dir->cluster, sizeof dir->cluster) == 0;
    if (answer->verdict == ASK_FOREIGN) {
        log_warn("another cluster answers", "at=%s name=%s", where, answer->cluster_name);
    }
    if (!is_ours) return;
    /* Let in, and ended before anything of the log came. */
    bool is_lost = node->raft_is_open && node->raft.configuration.n == 0;
    if (answer->verdict == ASK_ADMITTED && is_lost) take_told(node, answer);
    if (answer->verdict == ASK_REMOVED && answer->index > node_joined(node)) node_was_removed(node);
}

static int on_answer(struct exchange *exchange, struct slice frame)
{
    struct node *node = exchange->asking->node;
    struct ask_answer answer;
    int rv = ask_answer_decode(&answer, frame);
    if (rv != 0) return rv;
    if (node->phase == NODE_JOINING) on_answer_joining(node, exchange->where, &answer);
    if (node->phase == NODE_RUNNING) on_answer_member(node, exchange->where, &answer);
    return 0;
}

/* ---- answering ---- */

static void remember(struct asking *asking, const struct ask_question *question, uint64_t now_ms)
{
    struct asker *place = &asking->askers[0];
    struct slice rest = slice_from(question->self);
    struct slice name = slice_cut(&rest, '=');
    for (size_t i = 0; i < ASKERS_MAX; i++) {
        struct asker *asker = &asking->askers[i];
        struct slice other = slice_from(asker->self);
        /* One of the same name has been started anew, with another id. */
        if (asker->heard_ms != 0 && slice_equal(slice_cut(&other, '='), name)) {
            place = asker;
            break;
        }
        if (asker->heard_ms < place->heard_ms) place = asker; /* free, or the oldest */
    }
    if (place->id != question->id) log_info("a node asks to be let in", "peer=%s", question->self);
    *place = (struct asker){.id = question->id, .heard_ms = now_ms};
    snprintf(place->self, sizeof place->self, "%s", question->self);
}

static void fill_answer(const struct node *node, struct ask_answer *answer)
{
    const struct raft *raft = &node->raft;
    *answer = (struct ask_answer){.index = 0};
    snprintf(answer->cluster_name, sizeof answer->cluster_name, "%s", node->options.cluster_name);
    memcpy(answer->cluster, node->options.dir->cluster, sizeof answer->cluster);
    if (!node->raft_is_open) return;
    answer->index = raft->configuration_committed_index;
    const struct raft_configuration *list = &raft->configuration_committed;
    for (unsigned i = 0; i < list->n && i < MEMBERS_MAX; i++) {
        struct ask_member *member = &answer->members[answer->members_count++];
        *member =
            (struct ask_member){.id = list->servers[i].id, .role = (uint8_t)list->servers[i].role};
        snprintf(member->self, sizeof member->self, "%s", list->servers[i].address);
    }
}

static int on_question(struct exchange *exchange, struct slice bytes)
{
    static const uint8_t none[16];
    struct node *node = exchange->asking->node;
    struct ask_question question;
    struct ask_answer answer;
    struct buf frame;
    int rv = ask_question_decode(&question, bytes);
    if (rv != 0) return rv;
    fill_answer(node, &answer);
    ask_judge(&answer, &question);
    bool is_new = memcmp(question.cluster, none, sizeof none) == 0;
    if (is_new && answer.verdict == ASK_WAIT && answer.index > 0) {
        remember(exchange->asking, &question, clock_ms());
    }
    if (answer.verdict == ASK_REMOVED || answer.verdict == ASK_FOREIGN) {
        log_info("a node asked whether it is a member", "peer=%s answer=%s", question.self,
                 answer.verdict == ASK_REMOVED ? "removed" : "of_another_cluster");
    }
    buf_init(&frame, 4 + ASK_BYTES_MAX);
    wire_put_u32(&frame, 0);
    ask_answer_encode(&frame, &answer);
    put_frame(exchange, &frame); /* else it asks again */
    buf_close(&frame);
    return 0;
}

static int take_frame(struct exchange *exchange, struct slice frame)
{
    return exchange->is_ours ? on_answer(exchange, frame) : on_question(exchange, frame);
}

void node_on_ask(void *owner, uv_stream_t *stream)
{
    struct node *node = owner;
    struct asking *asking = node->asking;
    if (asking == NULL || asking->served >= ASK_SERVED_MAX) {
        transport_close_stream(stream);
        return;
    }
    struct exchange *exchange = begin(asking, false);
    exchange->stream = stream;
    stream->data = exchange;
    if (uv_read_start(stream, on_alloc, on_read) != 0) end(exchange);
}

const char *node_asker(const struct node *node, const char *name, uint64_t *id)
{
    uint64_t now_ms = clock_ms();
    for (size_t i = 0; i < ASKERS_MAX; i++) {
        const struct asker *asker = &node->asking->askers[i];
        struct slice rest = slice_from(asker->self);
        bool is_fresh = asker->heard_ms != 0 && now_ms - asker->heard_ms < ASKER_FRESH_MS;
        if (!is_fresh || !slice_is(slice_cut(&rest, '='), name)) continue;
        *id = asker->id;
        return rest.at;
    }
    return NULL;
}

/* ---- let in, and removed ---- */

static void let_in(struct node *node)
{
    const struct ask_answer *admission = &node->asking->admission;
    struct data_dir *dir = node->options.dir;
    struct errmsg errmsg;
    memcpy(dir->cluster, admission->cluster, sizeof dir->cluster);
    dir->joined = admission->index;
    if (node->options.store != NULL) { /* first: the mark says that all is done */
        int rv = event_store_bind(node->options.store, dir->cluster, &errmsg);
        if (rv != 0) node_fatal(node, rv == ERR_DATA ? 3 : 1, errmsg.text);
    }
    if (data_dir_mark(dir, DATA_DIR_FORMED, &errmsg) != 0) node_fatal(node, 1, errmsg.text);
    transport_set_cluster(node->transport, dir->cluster);
    log_info("let in", "cluster=%s members=%zu index=%" PRIu64, admission->cluster_name,
             admission->members_count, admission->index);
    node_raft_start(node, false);
}

void node_was_removed(struct node *node)
{
    struct errmsg errmsg;
    if (node->is_removed) return;
    node->is_removed = true;
    log_warn("this node is no member any more", "data=%s", node->options.dir->path);
    if (data_dir_mark(node->options.dir, DATA_DIR_REMOVED, &errmsg) != 0) {
        node_fatal(node, 1, errmsg.text);
    }
    if (node->options.handler.on_removed != NULL) {
        node->options.handler.on_removed(node->options.handler.owner);
    }
}

/* ---- time ---- */

/* How long nobody has led this node. */
static bool has_lost_its_leader(const struct node *node)
{
    const struct guard *guard = &node->guard;
    uint64_t patience_ms = (uint64_t)LOST_ELECTIONS * node->options.election_timeout_ms;
    if (patience_ms < LOST_MS) patience_ms = LOST_MS;
    if (!node->raft_is_open || node->is_leading) return false;
    if (node->raft.configuration.n == 0) return true;
    return guard->real.time(node->raft.io) - guard->heard > patience_ms;
}

void node_asking_tick(struct node *node, uint64_t now_ms)
{
    struct exchange *exchange, *next;
    DL_FOREACH_SAFE(node->asking->exchanges, exchange, next) {
        if (now_ms >= exchange->until_ms) end(exchange);
    }
    bool is_lost = node->phase == NODE_RUNNING && !node->is_removed && has_lost_its_leader(node);
    if (node->phase == NODE_JOINING || is_lost) ask_all(node, now_ms);
}

void node_join_tick(struct node *node, uint64_t now_ms)
{
    forward_tick(node->forward, now_ms);
    barrier_tick(node->barrier, false, now_ms);
    if (node->asking->admission.index > 0) let_in(node);
}

const char *node_join_note(const struct node *node)
{
    return node->asking->note;
}

void node_asking_start(struct node *node)
{
    node->asking = mem_new(sizeof *node->asking);
    node->asking->node = node;
}

void node_asking_close(struct node *node)
{
    struct exchange *exchange, *next;
    DL_FOREACH_SAFE(node->asking->exchanges, exchange, next) {
        end(exchange);
    }
    mem_free(node->asking);
    node->asking = NULL;
}
