/* Three requests each: a page without a name, the form of the name, and the page again. */
#include "bench/visitor.h"

#include "base/clock.h"
#include "base/mem.h"
#include "bench/call.h"

enum { DOORS = 32, COOKIE_MAX = 4096, PATIENCE_S = 60 };

enum step { STEP_PAGE, STEP_NAME, STEP_TOKENS };

struct hall { /* where they wait */
    struct visitor *visitors;
    size_t count, next, done;
};

struct door {
    struct call call;
    struct hall *hall;
    size_t number; /* of the visitor who stands in it */
    enum step step;
    struct buf cookie, csrf, form;
};

static void ask(struct door *door)
{
    struct buf *out = call_begin(&door->call);
    struct slice host = door->call.place->host;
    if (door->step == STEP_NAME) {
        buf_reset(&door->form);
        buf_printf(&door->form, "_csrf_token=%.*s&name=Visitor%05zu", (int)door->csrf.len,
                   door->csrf.at, door->number % 100000);
        buf_add(out, slice_of("POST /session HTTP/1.1\r\n"));
        buf_add(out, slice_of("Content-Type: application/x-www-form-urlencoded\r\n"));
        buf_printf(out, "Content-Length: %zu\r\n", door->form.len);
    } else {
        buf_add(out, slice_of("GET / HTTP/1.1\r\n"));
    }
    buf_printf(out, "Host: %.*s\r\n", (int)host.len, host.at);
    if (door->cookie.len > 0)
        buf_printf(out, "Cookie: %.*s\r\n", (int)door->cookie.len, door->cookie.at);
    buf_add(out, slice_of("\r\n"));
    if (door->step == STEP_NAME) buf_add(out, buf_slice(&door->form));
    call_send(&door->call);
}

static bool next_visitor(struct door *door)
{
    if (door->hall->next == door->hall->count) return false;
    door->number = door->hall->next++;
    door->step = STEP_PAGE;
    buf_reset(&door->cookie);
    ask(door);
    return true;
}

/* The text between `before` and the next quote; the page is ours, so a search is enough. */
static struct slice between(struct slice page, const char *before)
{
    const char *at = memmem(page.at, page.len, before, strlen(before));
    if (at == NULL) die("the page has no %s", before);
    struct slice rest = slice_skip(page, (size_t)(at - page.at) + strlen(before));
    return slice_cut(&rest, '"');
}

static struct slice csrf_of(struct slice page)
{
    return between(page, "<meta name=\"csrf-token\" content=\"");
}

static void take_cookies(struct door *door, const struct answer *answer)
{
    struct slice head = answer->head, value;
    bool first = true;
    while (answer_header(&head, "set-cookie", &value)) {
        if (first) buf_reset(&door->cookie);
        if (!first) buf_add(&door->cookie, slice_of("; "));
        buf_add(&door->cookie, slice_cut(&value, ';'));
        first = false;
    }
}

static void answered(struct call *call, const struct answer *answer)
{
    struct door *door = call->owner;
    int wanted = door->step == STEP_NAME ? 303 : 200;
    if (answer->status != wanted)
        die("a visitor at the door was answered %d instead of %d: %.*s", answer->status, wanted,
            (int)slice_first(answer->body, 200).len, answer->body.at);
    take_cookies(door, answer);
    if (door->step == STEP_PAGE) {
        buf_reset(&door->csrf);
        buf_add(&door->csrf, csrf_of(answer->body));
        door->step = STEP_NAME;
        ask(door);
    } else if (door->step == STEP_NAME) {
        door->step = STEP_TOKENS;
        ask(door);
    } else {
        struct slice csrf = csrf_of(answer->body);
        struct slice session = between(answer->body, "data-phx-session=\"");
        door->hall->visitors[door->number] = (struct visitor){
            .csrf = mem_string(csrf.at, csrf.len), .session = mem_string(session.at, session.len)};
        door->hall->done++;
        next_visitor(door);
    }
}

static void door_open(struct door *door, struct hall *hall, struct loop *loop,
                      const struct place *place)
{
    call_init(&door->call, loop, place);
    door->call.on_answer = answered;
    door->call.owner = door;
    door->hall = hall;
    buf_init(&door->cookie, COOKIE_MAX);
    buf_init(&door->csrf, COOKIE_MAX);
    buf_init(&door->form, 2 * COOKIE_MAX);
}

static void door_close(struct door *door)
{
    call_close(&door->call);
    buf_close(&door->cookie);
    buf_close(&door->csrf);
    buf_close(&door->form);
}

struct visitor *visitors_new(const struct place *place, size_t count)
{
    struct hall hall = {.visitors = mem_new_array(count, sizeof(struct visitor)), .count = count};
    struct door *doors = mem_new_array(DOORS, sizeof *doors);
    struct loop loop;
    uint64_t deadline = clock_ns() + PATIENCE_S * UINT64_C(1000000000);

    loop_open(&loop);
    for (size_t i = 0; i < DOORS; i++) {
        door_open(&doors[i], &hall, &loop, place);
        next_visitor(&doors[i]);
    }
    while (hall.done < count) {
        loop_turn(&loop, deadline);
        if (clock_ns() >= deadline)
            die("only %zu of %zu visitors came in within %d s", hall.done, count, PATIENCE_S);
    }
    for (size_t i = 0; i < DOORS; i++)
        door_close(&doors[i]);
    mem_free(doors);
    loop_close(&loop);
    return hall.visitors;
}

void visitors_free(struct visitor *visitors, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mem_free(visitors[i].csrf);
        mem_free(visitors[i].session);
    }
    mem_free(visitors);
}
