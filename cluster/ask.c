#include "cluster/ask.h"

#include <stdio.h>
#include <string.h>

#include "cluster/wire.h"

/* ---- coding ---- */

static void put_self(struct buf *out, const char *self)
{
    struct slice text = slice_from(self);
    wire_put_u8(out, (uint8_t)(text.len & 0xff));
    wire_put_u8(out, (uint8_t)(text.len >> 8));
    buf_add(out, text);
}

/* Copies what fits and is a line of text; else the record is no good: it goes to logs and /status. */
static void get_text(struct wire *wire, struct slice text, char *out, size_t size)
{
    bool is_good = text.len < size && wire_is_line(text);
    if (!is_good) wire->failed = true;
    if (wire->failed) text.len = 0;
    if (text.len > 0) memcpy(out, text.at, text.len);
    out[text.len] = '\0';
}

static void get_self(struct wire *wire, char out[SELF_SIZE])
{
    get_text(wire, wire_take(wire, (size_t)wire_get(wire, 2)), out, SELF_SIZE);
    if (strchr(out, '=') == NULL) wire->failed = true;
}

static void get_cluster(struct wire *wire, uint8_t cluster[16])
{
    struct slice bytes = wire_take(wire, 16);
    if (bytes.len == 16) memcpy(cluster, bytes.at, 16);
}

void ask_question_encode(struct buf *out, const struct ask_question *question)
{
    wire_put_u8(out, ASK_VERSION);
    wire_put_u64(out, question->id);
    buf_append(out, question->cluster, sizeof question->cluster);
    wire_put_u64(out, question->joined);
    put_self(out, question->self);
}

int ask_question_decode(struct ask_question *question, struct slice bytes)
{
    struct wire wire = wire_of(bytes);
    *question = (struct ask_question){.id = 0};
    uint8_t version = wire_get_u8(&wire);
    question->id = wire_get_u64(&wire);
    get_cluster(&wire, question->cluster);
    question->joined = wire_get_u64(&wire);
    get_self(&wire, question->self);
    return wire.failed || version != ASK_VERSION || question->id == 0 ? ERR_FORMAT : 0;
}

void ask_answer_encode(struct buf *out, const struct ask_answer *answer)
{
    wire_put_u8(out, ASK_VERSION);
    wire_put_u8(out, (uint8_t)answer->verdict);
    buf_append(out, answer->cluster, sizeof answer->cluster);
    wire_put_text(out, slice_from(answer->cluster_name));
    wire_put_u64(out, answer->index);
    wire_put_u8(out, (uint8_t)answer->members_count);
    for (size_t i = 0; i < answer->members_count; i++) {
        wire_put_u64(out, answer->members[i].id);
        wire_put_u8(out, answer->members[i].role);
        put_self(out, answer->members[i].self);
    }
    wire_put_text(out, slice_from(answer->sentence));
}

int ask_answer_decode(struct ask_answer *answer, struct slice bytes)
{
    struct wire wire = wire_of(bytes);
    *answer = (struct ask_answer){.index = 0};
    uint8_t version = wire_get_u8(&wire);
    uint8_t verdict = wire_get_u8(&wire);
    get_cluster(&wire, answer->cluster);
    get_text(&wire, wire_get_text(&wire), answer->cluster_name, sizeof answer->cluster_name);
    answer->index = wire_get_u64(&wire);
    uint8_t count = wire_get_u8(&wire);
    if (version != ASK_VERSION || verdict > ASK_FOREIGN || count > MEMBERS_MAX) return ERR_FORMAT;
    answer->verdict = (enum ask_verdict)verdict;
    answer->members_count = count;
    for (size_t i = 0; i < count && !wire.failed; i++) {
        answer->members[i].id = wire_get_u64(&wire);
        answer->members[i].role = wire_get_u8(&wire);
        get_self(&wire, answer->members[i].self);
    }
    get_text(&wire, wire_get_text(&wire), answer->sentence, sizeof answer->sentence);
    return wire.failed ? ERR_FORMAT : 0;
}

/* ---- judging ---- */

static bool is_none(const uint8_t cluster[16])
{
    static const uint8_t none[16];
    return memcmp(cluster, none, 16) == 0;
}

static struct slice name_of(const char *self)
{
    struct slice rest = slice_from(self);
    return slice_cut(&rest, '=');
}

/* Why a node that was never a member is none, and what to do. */
static void say_why_to_wait(struct ask_answer *answer, const struct ask_question *question)
{
    struct slice name = name_of(question->self);
    for (size_t i = 0; i < answer->members_count; i++) {
        if (!slice_equal(name_of(answer->members[i].self), name)) continue;
        snprintf(answer->sentence, sizeof answer->sentence,
                 "There is a member %.*s already, with other data. At a member: livetea members "
                 "remove %.*s, then add it",
                 (int)name.len, name.at, (int)name.len, name.at);
        return;
    }
    snprintf(answer->sentence, sizeof answer->sentence,
             "Not let in yet. At a member: livetea members add %.100s", question->self);
}

void ask_judge(struct ask_answer *answer, const struct ask_question *question)
{
    answer->verdict = ASK_WAIT;
    answer->sentence[0] = '\0';
    if (answer->index == 0) {
        snprintf(answer->sentence, sizeof answer->sentence, "That node is in no cluster yet");
        return;
    }
    bool is_new = is_none(question->cluster);
    if (!is_new && memcmp(question->cluster, answer->cluster, sizeof answer->cluster) != 0) {
        answer->verdict = ASK_FOREIGN;
        answer->members_count = 0; /* they are no business of another cluster's node */
        return;
    }
    for (size_t i = 0; i < answer->members_count; i++) {
        if (answer->members[i].id != question->id) continue;
        answer->verdict = ASK_ADMITTED;
        return;
    }
    if (is_new) {
        say_why_to_wait(answer, question);
    } else if (answer->index > question->joined) {
        answer->verdict = ASK_REMOVED;
    }
}
