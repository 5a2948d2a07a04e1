#include "app/backup_api.h"

#include <inttypes.h>
#include <stdio.h>

#include "app/api.h"
#include "base/clock.h"
#include "base/little_endian.h"
#include "base/mem.h"
#include "store/backup.h"

int backup_portion_parse(struct backup_portion *portion, struct slice query, struct errmsg *errmsg)
{
    *portion = (struct backup_portion){0};
    bool is_good = true;
    if (query.len == 0) return 0;
    while (is_good && query.len > 0) {
        struct slice value = slice_cut(&query, '&');
        struct slice name = slice_cut(&value, '=');
        uint64_t *place = slice_is(name, "from") ? &portion->from
                          : slice_is(name, "to") ? &portion->to
                                                 : NULL;
        is_good = place != NULL && *place == 0 && slice_to_u64(value, place) && *place > 0;
    }
    if (is_good && portion->from > 0 && portion->to >= portion->from) return 0;
    errmsg_set(errmsg, "The parameters here are 'from' and 'to', the numbers of the first and the "
                       "last event; without both comes the head.");
    return ERR_FORMAT;
}

struct copy { /* one request for a part of a backup, under way */
    struct exchange *exchange;
    struct backup_portion portion;
    struct backup_head head;
    struct buf body;
    uint64_t last; /* number of this node's last event */
    int status;
};

/* Who it is and who else, as the node knows it now. */
static void describe(struct backup_head *head, const struct snapshot *snapshot)
{
    size_t len = 0;
    snprintf(head->node, sizeof head->node, "%s", snapshot->name);
    snprintf(head->cluster_name, sizeof head->cluster_name, "%s", snapshot->cluster_name);
    for (size_t i = 0; i < snapshot->cluster.members_count; i++) {
        const struct member_status *member = &snapshot->cluster.members[i];
        int added = snprintf(head->members + len, sizeof head->members - len, "%s%s=%s",
                             len == 0 ? "" : ", ", member->name, member->address);
        if (added < 0 || (size_t)added >= sizeof head->members - len) break;
        len += (size_t)added;
    }
    head->members[len] = '\0';
}

static bool on_copied(void *owner, const struct message_sent *event, struct slice bytes)
{
    struct copy *copy = owner;
    uint8_t length[4];
    (void)event;
    little_store(length, bytes.len, sizeof length);
    buf_append(&copy->body, length, sizeof length);
    buf_add(&copy->body, bytes);
    return copy->body.len < BACKUP_ANSWER_BYTES;
}

/* On the pool. The head's number and digest are of one picture of the store: this one. */
static void read_copy(void *owner, struct event_reader *reader, int status)
{
    struct copy *copy = owner;
    const struct backup_portion *portion = &copy->portion;
    struct event_meta meta;
    copy->status = status;
    if (status != 0) return;
    event_reader_end(reader);
    copy->status = event_reader_begin(reader, &meta);
    if (copy->status != 0) return;
    copy->last = meta.number;
    if (portion->from == 0) {
        memcpy(copy->head.cluster, meta.cluster, sizeof copy->head.cluster);
        copy->head.number = meta.number;
        copy->head.digest = meta.digest;
        backup_head_encode(&copy->body, &copy->head);
    } else if (portion->to <= meta.number) {
        uint64_t count = portion->to - portion->from + 1;
        copy->status = event_reader_from(reader, portion->from, (size_t)count, on_copied, copy);
    }
}

static void finish_copy(void *owner)
{
    struct copy *copy = owner;
    struct exchange *exchange = copy->exchange;
    if (copy->status != 0) {
        exchange_error(exchange, 500, "unreadable", "The history could not be read.");
    } else if (copy->portion.to > copy->last) {
        struct errmsg sentence;
        errmsg_set(&sentence, "The history of this node ends at %" PRIu64 ".", copy->last);
        exchange_error(exchange, 404, "no_such_number", sentence.text);
    } else {
        api_respond(exchange, 200, "application/octet-stream", buf_slice(&copy->body));
    }
    buf_close(&copy->body);
    mem_free(copy);
}

void backup_api_handle(struct exchange *exchange, const struct http_request *request)
{
    const struct snapshot *snapshot = web_thread_snapshot(exchange->thread);
    struct backup_portion portion;
    struct errmsg errmsg;
    if (backup_portion_parse(&portion, request->query, &errmsg) != 0) {
        exchange_error(exchange, 400, "bad_parameter", errmsg.text);
        return;
    }
    /* What it has would be whole, but old: another node has it all. */
    if (snapshot == NULL || (portion.from == 0 && snapshot->cluster.has_gap)) {
        api_retry_after(exchange, 503, snapshot == NULL ? "starting" : "catching_up",
                        "This node is catching up. Copy the history of another one.", 1000);
        return;
    }
    struct copy *copy = mem_new(sizeof *copy);
    copy->exchange = exchange;
    copy->portion = portion;
    copy->head.at_ms = clock_wall_ms();
    describe(&copy->head, snapshot);
    buf_init(&copy->body, RESPONSE_MAX);
    if (chores_read(web_thread_chores(exchange->thread), exchange_address(exchange), read_copy,
                    finish_copy, copy) == 0)
        return;
    api_retry_after(exchange, 503, "busy", "Too much is being read. Try again in a moment.", 1000);
    buf_close(&copy->body);
    mem_free(copy);
}
