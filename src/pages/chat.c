/* A room: its log, who is here, and the box to write in.
 *
 * The log is the shared model (chat_shared.h): lines rendered once for all readers. The page is one
 * reader's: the box and what became of what was sent. It is one file, model, update and view, as every
 * page is.
 *
 * A message is on its way under the id that the form carried (`pending`), until its fate is known:
 *
 *   Enter --> SENDING --accepted-----------------------------------------> box empty, new id
 *               |  \--refused, and no copy can be on its way-------------> text stays, same id, a hint
 *               |   \-id used (for another text)-------------------------> text stays, new id, a hint
 *            unknown; or refused, while an earlier copy may be on its way
 *               v
 *            CHECKING, each second, at most CHECKS_MAX times --known, used, applied--> SETTLING
 *               | nobody has it, or nobody knows: a hint
 *               v
 *            WATCHING --applied----------------------------------------------------> SETTLING
 *               ^
 *               | nobody has it, or nobody knows: text back, same id
 *   rejoin -> RECOVERING --known--> box empty, SETTLING, for a box with the focus has kept its text
 *                  \------used, or known and the text is another by now--> text back, new id, a hint
 *
 *   SETTLING: the message is in the log, and while nobody waited for that, another text may have come to
 *   stand in the box; what was typed last is told up to a second late. So the page is asked (`settle`): a
 *   button sends the form, as Enter does, which locks the box until the answer. The same text: box empty.
 *   Another one stays, under a new id and with a hint. So no word is lost that nobody was told of.
 *
 * Enter again under an id whose fate is open: SENDING once more, marked as retried (`is_resent`). Nobody
 * refuses such a command who cannot know where its first copy is, and whoever does all the same (a
 * limit of this node's) has only said something about the second one. Answers can cross: of what comes for
 * an id, only the answer to the last text that was sent counts, and a check's only while it is awaited
 * (`is_asked`); that a message is in the log, counts always.
 *
 * The form is a struct of its own in the diffs, and the client writes it anew, text included, as soon
 * as anything in it changes. So whatever must stay in the box has to be rendered into it when the id
 * changes (`draft`), and whatever changes without the box (hints, typing) stands outside of the form.
 */
#include <stdio.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "base/text.h"
#include "pages/chat_shared.h"
#include "pages/visitor.h"
#include "pages/when.h"

enum {
    MOVED_SHOWN_MS = 8000,
    CHECK_EVERY_MS = 1000,
    CHECKS_MAX = 4,
    QUIET_MS = 1000,
    SOON_MS = 20,            /* a wake that comes so much early is in time */
    WAIT_MAX_MS = 10 * 1000, /* no time is set further ahead */
    STYLE_MAX = 64 * 1024,
    HINT_MAX = 200
};

/* ---- model ---- */

enum fate { FATE_NONE, FATE_SENDING, FATE_CHECKING, FATE_RECOVERING, FATE_WATCHING, FATE_SETTLING };

enum hint {
    HINT_NONE,
    HINT_REFUSED,  /* page->refusal says why */
    HINT_NOT_SENT, /* nobody to ask */
    HINT_CHECKING,
    HINT_UNKNOWN, /* nobody knew, all the time that was asked */
    HINT_EARLIER,
    HINT_POSTED,     /* a form without JavaScript: nobody knew */
    HINT_POSTED_USED /* and: its id was another message's */
};

struct chat_model {
    struct visitor visitor;
    struct command_id id;      /* that the form carries */
    struct command_id pending; /* whose fate is open; FATE_NONE: none */
    uint64_t line_from;        /* number of the newest message that was seen */
    uint64_t line_at;          /* and the first one after it: "New"; 0 = none */
    uint64_t awaited;          /* the page showed it elsewhere, and this node had it not yet */
    int64_t moved_until_ms, check_at_ms, loud_at_ms; /* wall clock; 0 = never */
    char *text;                  /* sent last under the pending id; RECOVERING: what the box has;
                                 * SETTLING: what the log has, if that is known */
    char *draft;                 /* what the form has in its box; NULL = nothing */
    char *typing;                /* who is typing, in words */
    struct chat_shared *history; /* the page of older messages that is being sent */
    uint32_t text_len, draft_len, jumps, asks, wait_ms, excess;
    uint16_t typing_len;
    uint16_t older_asked,
        older_stale; /* pages of older messages on their way; of those, to be dropped */
    uint8_t fate, hint, refusal, checks;
    bool is_resent; /* SENDING: an earlier copy may be on its way */
    bool is_asked;  /* the answer to a check is to come */
    bool at_start, quiet;
};

static const struct chat_shared *shared_of(const struct live *live)
{
    return live->topic->shared;
}

static void keep_text(char **at, uint32_t *len, struct slice text)
{
    mem_free(*at);
    *at = text.len == 0 ? NULL : mem_string(text.at, text.len);
    *len = (uint32_t)text.len;
}

static struct slice kept(const char *at, uint32_t len)
{
    return slice_make(at, at == NULL ? 0 : len);
}

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* What is sent: without white space at the end, nor empty lines at the beginning. */
static struct slice trimmed(struct slice text)
{
    while (text.len > 0 && is_white(text.at[text.len - 1]))
        text.len--;
    while (text.len > 0 && (text.at[0] == '\n' || text.at[0] == '\r'))
        text = slice_skip(text, 1);
    return text;
}

static bool is_same(struct slice a, struct slice b)
{
    return slice_equal(trimmed(a), trimmed(b));
}

/* Asks to be woken at the nearest of what is to come. */
static void wake_at_next(struct chat_model *model)
{
    struct live *live = model->visitor.live;
    int64_t times[] = {model->moved_until_ms, model->check_at_ms, model->loud_at_ms};
    int64_t next = 0;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        if (times[i] != 0 && (next == 0 || times[i] < next)) next = times[i];
    }
    if (next == 0) return;
    int64_t wait = next - live_wall_ms(live);
    if (wait > WAIT_MAX_MS) wait = WAIT_MAX_MS;
    live_wake(live, wait > 0 ? (uint32_t)wait : 1);
}

/* A time beyond all that is ever set: the clock was put back since. */
static bool is_due(int64_t *time, int64_t now_ms)
{
    bool is_ahead = *time > now_ms + SOON_MS && *time <= now_ms + WAIT_MAX_MS;
    if (*time == 0 || is_ahead) return false;
    *time = 0;
    return true;
}

static void seen_all(struct chat_model *model)
{
    const struct chat_shared *shared = shared_of(model->visitor.live);
    if (shared->newest > model->line_from) model->line_from = shared->newest;
    model->line_at = 0;
}

static void drop_pending(struct chat_model *model)
{
    model->fate = FATE_NONE;
    model->check_at_ms = 0;
    model->is_resent = false;
    model->is_asked = false;
    keep_text(&model->text, &model->text_len, slice_of(""));
}

static void set_pending(struct chat_model *model, const struct command_id *id, struct slice text,
                        enum fate fate)
{
    drop_pending(model);
    model->pending = *id;
    model->fate = (uint8_t)fate;
    keep_text(&model->text, &model->text_len, text);
}

static bool is_pending(const struct chat_model *model, const struct command_id *id)
{
    return model->fate != FATE_NONE && command_id_equal(id, &model->pending);
}

/* The message is in the log: an empty box and a new id. */
static void empty_box(struct chat_model *model)
{
    drop_pending(model);
    keep_text(&model->draft, &model->draft_len, slice_of(""));
    live_new_id(model->visitor.live, &model->id);
    model->hint = HINT_NONE;
}

/* The id is spent, but not for what stands in the box now: that stays, under a new one. */
static void keep_box(struct chat_model *model, struct slice text)
{
    keep_text(&model->draft, &model->draft_len, text);
    drop_pending(model);
    live_new_id(model->visitor.live, &model->id);
    model->hint = HINT_EARLIER;
}

/* The id is spent, for `text` if it is known: what stands in the box? */
static void ask_page(struct chat_model *model, struct slice text)
{
    struct command_id id = model->pending;
    set_pending(model, &id, text, FATE_SETTLING);
    model->hint = HINT_NONE;
    model->asks++;
}

/* The page has said what stands in its box, which is locked until the answer. */
static void settle(struct chat_model *model, struct slice box)
{
    if (model->fate != FATE_SETTLING) return; /* that happened meanwhile */
    if (text_blank(box) || is_same(box, kept(model->text, model->text_len)))
        empty_box(model);
    else
        keep_box(model, box);
}

/* The form on the page carries another id than we would render into it. */
static void take_id(struct chat_model *model, const struct command_id *id, struct slice text)
{
    if (command_id_equal(&model->id, id)) return;
    model->id = *id;
    keep_text(&model->draft, &model->draft_len, text);
}

/* ---- mount ---- */

/* Is the room's first message among those that a join shows? */
static bool is_at_start(const struct chat_shared *shared)
{
    return shared->seq == shared->messages_count;
}

/* The node that served the page before, or that it was loaded from. */
static struct slice served_by(const struct live *live)
{
    if (live->from[0] != '\0') return slice_from(live->from);
    return slice_make(live->identity->node, live->identity->node_len);
}

/* Of a form that was sent without JavaScript: its text has gone from the page, whatever became of it. */
static void show_posted(struct chat_model *model, int hint)
{
    if (hint == LIVE_HINT_UNKNOWN) model->hint = HINT_POSTED;
    if (hint <= CHAT_ACCEPTED) return;
    model->hint = hint == CHAT_ID_USED ? HINT_POSTED_USED : HINT_REFUSED;
    model->refusal = (uint8_t)hint;
}

static void chat_mount(struct live *live, void *page)
{
    struct chat_model *model = page;
    const struct chat_shared *shared = shared_of(live);

    visitor_mount(&model->visitor, live, &shared->side);
    live_new_id(live, &model->id);
    model->at_start = is_at_start(shared);
    seen_all(model);
    show_posted(model, live_hint(live));
    if (live->state == LIVE_DEAD) return;

    int64_t now = live_wall_ms(live);
    if (live->is_rejoin && !live->is_patch && !slice_is(served_by(live), live->host->node))
        model->moved_until_ms = now + MOVED_SHOWN_MS;
    if (live->behind) model->awaited = live->seen;
    wake_at_next(model);
}

static void chat_unmount(struct live *live, void *page)
{
    struct chat_model *model = page;
    const struct chat_shared *shared = shared_of(live);
    reader_leave(&live->reader, shared->room, shared->seq);
    visitor_unmount(&model->visitor);
    mem_free(model->text);
    mem_free(model->draft);
    mem_free(model->typing);
    chat_shared_free(model->history);
}

/* ---- update: events ---- */

static enum live_reply send_message(struct live *live, struct chat_model *model,
                                    const struct params *params)
{
    struct slice box = params_get(params, "message"), text = trimmed(box);
    struct command_id id;
    if (live->identity->name_len == 0) return LIVE_REPLY;
    if (params_get(params, "settle").len > 0) {
        settle(model, box);
        return LIVE_REPLY;
    }
    if (!command_id_from(&id, params_get(params, "nonce"))) id = model->id;
    if (text_blank(text)) {
        empty_box(model);
        return LIVE_REPLY;
    }
    bool is_resent = is_pending(model, &id);
    set_pending(model, &id, text, FATE_SENDING);
    model->is_resent = is_resent;
    live_dispatch(live, text, &id, is_resent);
    return LIVE_LATER;
}

static void check(struct chat_model *model)
{
    model->is_asked = true;
    live_check(model->visitor.live, kept(model->text, model->text_len), &model->pending);
}

static enum live_reply recover(struct live *live, struct chat_model *model,
                               const struct params *params)
{
    struct slice text = trimmed(params_get(params, "message"));
    struct command_id id;
    if (live->identity->name_len == 0 || text_blank(text) ||
        !command_id_from(&id, params_get(params, "nonce"))) {
        return LIVE_REPLY;
    }
    set_pending(model, &id, text, FATE_RECOVERING);
    take_id(model, &id, text); /* whatever is answered first, the form has both */
    check(model);
    return LIVE_LATER;
}

static void typing(struct live *live, struct chat_model *model, const struct params *params)
{
    struct slice text = params_get(params, "message");
    if (live->identity->name_len == 0) return;
    if (model->fate == FATE_RECOVERING) keep_text(&model->text, &model->text_len, text);
    if (!text_blank(text)) live_typing(live);
}

/* "m-36" */
static enum live_reply older(struct live *live, struct chat_model *model,
                             const struct params *params)
{
    struct slice id = params_get(params, "id");
    uint64_t number;
    if (!slice_starts(id, slice_of("m-")) || !slice_to_u64(slice_skip(id, 2), &number) ||
        number <= 1) {
        return LIVE_REPLY;
    }
    seen_all(model);
    if (model->older_asked < UINT16_MAX) model->older_asked++;
    live_history(live, number);
    return LIVE_LATER;
}

static enum live_reply chat_handle_event(struct live *live, void *page, struct slice event,
                                         const struct params *params)
{
    struct chat_model *model = page;
    if (slice_is(event, "send_message")) return send_message(live, model, params);
    if (slice_is(event, "recover")) return recover(live, model, params);
    if (slice_is(event, "older")) return older(live, model, params);
    if (slice_is(event, "typing")) typing(live, model, params);
    if (slice_is(event, "set_name")) visitor_set_name(&model->visitor, params);
    return LIVE_REPLY;
}

/* ---- update: what came back ---- */

static void on_refused(struct chat_model *model, const struct live_info *info)
{
    struct slice text = kept(model->text, model->text_len);
    if (info->refusal == CHAT_ID_USED) {
        keep_box(model, text);
        return;
    }
    take_id(model, &model->pending, text);
    model->hint = info->refusal == CHAT_NO_LEADER ? HINT_NOT_SENT : HINT_REFUSED;
    model->refusal = (uint8_t)info->refusal;
    model->wait_ms = info->wait_ms;
    model->excess = (uint32_t)text_code_points(text);
    drop_pending(model);
}

/* Nobody can say what became of it: asked again until somebody can. */
static void begin_checking(struct chat_model *model)
{
    struct live *live = model->visitor.live;
    take_id(model, &model->pending, kept(model->text, model->text_len));
    model->fate = FATE_CHECKING;
    model->hint = HINT_CHECKING;
    model->checks = 0;
    model->check_at_ms = live_wall_ms(live) + CHECK_EVERY_MS;
    live_watch(live, &model->pending);
    wake_at_next(model);
}

static void on_answered(struct chat_model *model, const struct live_info *info)
{
    bool is_awaited = model->fate == FATE_SENDING && is_pending(model, &info->id) &&
                      slice_equal(info->text, kept(model->text, model->text_len));
    if (!is_awaited) return;
    bool is_refused = info->outcome == LIVE_REFUSED;
    if (info->outcome == LIVE_ACCEPTED || (is_refused && info->refusal == CHAT_DUPLICATE)) {
        empty_box(model);
        model->jumps++;
        seen_all(model);
        if (info->number > model->line_from) model->line_from = info->number;
    } else if (is_refused && (!model->is_resent || info->refusal == CHAT_ID_USED)) {
        on_refused(model, info);
    } else {
        begin_checking(model);
    }
}

/* What a page that came back has in its box turns out to be sent. */
static void on_recovered(struct chat_model *model, const struct live_info *info)
{
    struct slice text = kept(model->text, model->text_len);
    if (info->outcome == LIVE_USED || !is_same(text, info->text)) {
        keep_box(model, text);
        return;
    }
    keep_text(&model->draft, &model->draft_len, slice_of(""));
    ask_page(model, info->text);
}

static void on_checked(struct live *live, struct chat_model *model, const struct live_info *info)
{
    if (!model->is_asked || !is_pending(model, &info->id)) return;
    bool is_recovering = model->fate == FATE_RECOVERING;
    bool is_spent = info->outcome == LIVE_ACCEPTED || info->outcome == LIVE_USED;
    model->is_asked = false;
    if (is_spent && is_recovering) {
        on_recovered(model, info);
    } else if (is_spent) {
        ask_page(model, info->outcome == LIVE_USED ? slice_of("") : info->text);
    } else if (is_recovering) {
        keep_text(&model->draft, &model->draft_len, kept(model->text, model->text_len));
        model->fate = FATE_WATCHING;
        live_watch(live, &model->pending);
    } else if (info->outcome == LIVE_UNKNOWN && model->checks < CHECKS_MAX) {
        model->check_at_ms = live_wall_ms(live) + CHECK_EVERY_MS;
        wake_at_next(model);
    } else {
        model->fate = FATE_WATCHING;
        model->hint = info->outcome == LIVE_NOT_FOUND ? HINT_NOT_SENT : HINT_UNKNOWN;
    }
}

static void on_history(struct live *live, struct chat_model *model, const struct live_info *info)
{
    const struct chat_shared *shared = shared_of(live);
    if (model->older_asked > 0) model->older_asked--;
    if (model->older_stale > 0) { /* of a place that is not on the page any more */
        model->older_stale--;
        return;
    }
    if (info->reached_start) model->at_start = true;
    if (info->messages_count == 0) return;

    int64_t now = live_wall_ms(live);
    chat_shared_free(model->history);
    model->history = chat_shared_history(shared, info->messages, info->messages_count, now);
    live_stream(live, model->history, 0);
    model->quiet = true;
    model->loud_at_ms = now + QUIET_MS;
    wake_at_next(model);
}

/* "Maja is typing", for others than this reader. */
static void make_typing(struct chat_model *model, const struct side *side)
{
    const struct sender_id *self = &model->visitor.live->identity->sender_id;
    struct slice names[TYPISTS_MAX];
    size_t count = 0;
    struct buf words;

    for (size_t i = 0; i < side->typists_count; i++) {
        if (memcmp(&side->typists[i].sender_id, self, sizeof *self) == 0) continue;
        names[count++] = side->typists[i].name;
    }
    buf_init(&words, 2 * NAME_MAX_BYTES + 64);
    if (count > 2) buf_add(&words, slice_of("Several people are typing"));
    if (count == 1 || count == 2) buf_add(&words, names[0]);
    if (count == 2) {
        buf_add(&words, slice_of(" and "));
        buf_add(&words, names[1]);
        buf_add(&words, slice_of(" are typing"));
    }
    if (count == 1) buf_add(&words, slice_of(" is typing"));
    mem_free(model->typing);
    model->typing = words.len == 0 ? NULL : mem_string(words.at, words.len);
    model->typing_len = (uint16_t)words.len;
    buf_close(&words);
}

static void on_lists(struct live *live, struct chat_model *model)
{
    const struct chat_shared *shared = shared_of(live);
    reader_board(&live->reader, &shared->side);
    make_typing(model, &shared->side);
    for (size_t i = 0; i < shared->lines_count && model->line_at == 0; i++) {
        if (shared->lines[i].number > model->line_from) model->line_at = shared->lines[i].number;
    }
}

static void on_woken(struct live *live, struct chat_model *model)
{
    int64_t now = live_wall_ms(live);
    (void)is_due(&model->moved_until_ms, now);
    if (is_due(&model->loud_at_ms, now)) {
        model->quiet = false;
        chat_shared_free(model->history);
        model->history = NULL;
    }
    bool checks = is_due(&model->check_at_ms, now) && model->fate == FATE_CHECKING;
    wake_at_next(model);
    if (!checks) return;
    model->checks++;
    check(model);
}

static void chat_handle_info(struct live *live, void *page, const struct live_info *info)
{
    struct chat_model *model = page;
    switch (info->kind) {
    case LIVE_ANSWERED: on_answered(model, info); break;
    case LIVE_CHECKED: on_checked(live, model, info); break;
    case LIVE_APPLIED:
        if ((model->fate == FATE_CHECKING || model->fate == FATE_WATCHING) &&
            is_pending(model, &info->id)) {
            ask_page(model, info->text);
        }
        break;
    case LIVE_HISTORY: on_history(live, model, info); break;
    case LIVE_STREAM_RESET:
        model->at_start = is_at_start(shared_of(live));
        model->older_stale = model->older_asked;
        break;
    case LIVE_LISTS: on_lists(live, model); break;
    case LIVE_WOKEN: on_woken(live, model); break;
    default: break;
    }
}

/* ---- view ---- */

struct chat_page { /* what the template has holes for; lives as long as one render */
    struct html style;
    struct slice room, path, placeholder, nonce, draft, on_blur, enter_hint;
    struct slice jump, ask, hint, hint_class, typing, aria_live, strip, strip_class;
    struct visitor_view v;
    bool has_keys, at_start;
    char nonce_text[COMMAND_ID_TEXT], jump_text[16], ask_text[16], placeholder_text[ROOM_MAX + 16];
    char strip_text[2 * NODE_NAME_MAX + 96];
    struct buf hint_text, style_text;
};

#include "chat.heex.h"

static void fill_hint(struct chat_page *view, const struct chat_model *model)
{
    struct buf *out = &view->hint_text;
    switch ((enum hint)model->hint) {
    case HINT_NONE: break;
    case HINT_CHECKING:
        buf_add(out, slice_of("Not known yet whether this was sent. Checking\xe2\x80\xa6"));
        break;
    case HINT_UNKNOWN:
        buf_add(out, slice_of("Not known whether this was sent. Your text is still here; if it "
                              "was, the box empties by itself."));
        break;
    case HINT_NOT_SENT:
        buf_add(out, slice_of("Not sent: no leader. Your text is still here."));
        break;
    case HINT_EARLIER:
        buf_add(out, slice_of("Your earlier message was sent, this one not yet."));
        break;
    case HINT_POSTED:
        buf_add(out, slice_of("Not known whether your message was sent. If it was, it shows here "
                              "in a moment."));
        break;
    case HINT_POSTED_USED:
        buf_add(out, slice_of("Your earlier message was sent, this one not."));
        break;
    case HINT_REFUSED:
        if (model->refusal == CHAT_TOO_FAST && model->wait_ms > 0) {
            buf_printf(out, "Slow down a little: try again in %u s.",
                       (unsigned)((model->wait_ms + 999) / 1000));
        } else if (model->refusal == CHAT_TEXT_TOO_LONG &&
                   model->excess > CHAT_TEXT_CODE_POINTS_MAX) {
            buf_add(out, slice_of("That message is too long: "));
            when_add_count(out, model->excess);
            buf_add(out, slice_of(" of "));
            when_add_count(out, CHAT_TEXT_CODE_POINTS_MAX);
            buf_add_char(out, '.');
        } else {
            buf_add(out, slice_from(chat_refusal_sentence((enum chat_refusal)model->refusal)));
        }
        break;
    default: break;
    }
    view->hint = buf_slice(out);
    view->hint_class = model->hint == HINT_CHECKING ? slice_of("wait") : slice_of("err");
    if (view->hint.len == 0) view->typing = kept(model->typing, model->typing_len);
}

static bool is_away(const struct board *board, struct slice node)
{
    if (board == NULL) return false;
    for (size_t i = 0; i < board->nodes_count; i++) {
        if (slice_is(node, board->nodes[i].name)) return board->nodes[i].role == BOARD_AWAY;
    }
    return false;
}

static void fill_strip(struct chat_page *view, const struct chat_model *model)
{
    const struct live *live = model->visitor.live;
    struct slice before = served_by(live);
    /* Until the room has what the page had shown: nobody is to take it for lost. */
    bool is_behind = model->awaited > shared_of(live)->newest;
    /* Only then: a page may come to another node for no other reason than a gap in its connection. */
    if (model->moved_until_ms != 0 && is_away(shared_of(live)->side.board, before)) {
        int len = snprintf(view->strip_text, sizeof view->strip_text,
                           "%.*s went away. %s serves you now%s.", (int)before.len, before.at,
                           live->host->node,
                           is_behind ? " and is catching up: the newest messages follow" : "");
        view->strip = slice_first(slice_make(view->strip_text, (size_t)(len < 0 ? 0 : len)),
                                  sizeof view->strip_text - 1);
        view->strip_class = is_behind ? slice_of("strip on warn") : slice_of("strip on ok");
    } else if (is_behind) {
        view->strip = slice_of("This node is catching up: the newest messages follow.");
        view->strip_class = slice_of("strip on warn");
    }
}

static void fill_keys(struct chat_page *view, const struct live *live)
{
    view->has_keys = !live->touch;
    view->enter_hint = live->touch ? slice_of("enter") : slice_of("send");
    if (live->touch) return;
    /* Whoever leaves with Shift held lets it go elsewhere: here Enter sends again. */
    view->on_blur =
        slice_of("[[\"set_attr\",{\"attr\":[\"phx-key\",\"Enter\"],\"to\":\"#k-enter\"}]]");
}

static void fill_style(struct chat_page *view, const struct chat_model *model,
                       const struct side *side)
{
    char more[320];
    int len = 0;
    if (model->line_at != 0) {
        len = snprintf(more, sizeof more,
                       "#m-%llu::before{content:\"New\";grid-column:1/-1;text-align:right;"
                       "color:var(--new);font-size:.74rem;line-height:18px;font-weight:700;"
                       "border-top:2px solid var(--new);margin:10px 0 -12px}",
                       (unsigned long long)model->line_at);
    }
    visitor_add_style(&view->style_text, &model->visitor, side,
                      slice_make(more, (size_t)(len < 0 ? 0 : len)));
    view->style.text = buf_slice(&view->style_text);
}

/* `shared` may be a page of history: only its room is looked at. */
static void fill(struct chat_page *view, const struct chat_model *model,
                 const struct chat_shared *shared)
{
    const struct chat_shared *topic = shared_of(model->visitor.live);
    *view = (struct chat_page){
        .room = shared->room,
        .path = shared->side.path,
        .draft = kept(model->draft, model->draft_len),
        .aria_live = model->quiet ? slice_of("off") : slice_of("polite"),
        .at_start = model->at_start,
    };
    buf_init(&view->hint_text, HINT_MAX);
    buf_init(&view->style_text, STYLE_MAX);
    command_id_text(view->nonce_text, &model->id);
    view->nonce = slice_make(view->nonce_text, COMMAND_ID_TEXT);
    int len = snprintf(view->placeholder_text, sizeof view->placeholder_text, "Message #%.*s",
                       (int)shared->room.len, shared->room.at);
    view->placeholder = slice_make(view->placeholder_text, (size_t)(len < 0 ? 0 : len));
    if (model->jumps > 0) {
        len = snprintf(view->jump_text, sizeof view->jump_text, "j-%u", model->jumps);
        view->jump = slice_make(view->jump_text, (size_t)(len < 0 ? 0 : len));
    }
    if (model->fate == FATE_SETTLING) {
        len = snprintf(view->ask_text, sizeof view->ask_text, "ask-%u", model->asks);
        view->ask = slice_make(view->ask_text, (size_t)(len < 0 ? 0 : len));
    }
    visitor_fill(&view->v, &model->visitor);
    fill_keys(view, model->visitor.live);
    fill_hint(view, model);
    fill_strip(view, model);
    fill_style(view, model, &topic->side);
}

static void chat_view_render(struct render *r, const void *page, const void *shared)
{
    if (page == NULL) {
        chat_render(r, NULL, shared);
        return;
    }
    struct chat_page view;
    fill(&view, page, shared);
    chat_render(r, &view, shared);
    buf_close(&view.hint_text);
    buf_close(&view.style_text);
}

/* "(3) #lobby": what is unread in other rooms. */
static void chat_title(struct buf *out, const void *page, const void *at)
{
    const struct chat_model *model = page;
    const struct chat_shared *shared = at;
    pages_add_unread(out, reader_unread_total(model->visitor.live->reader, &shared->side));
    buf_add_char(out, '#');
    buf_add(out, shared->room);
}

const struct view chat_view = {
    .name = "chat",
    .template = &chat_template,
    .page_size = sizeof(struct chat_model),
    .mount = chat_mount,
    .unmount = chat_unmount,
    .handle_event = chat_handle_event,
    .handle_info = chat_handle_info,
    .render = chat_view_render,
    .title = chat_title,
};
