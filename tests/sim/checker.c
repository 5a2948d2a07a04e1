#include "checker.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <uthash.h>

#include "base/mem.h"

enum { CHECKER_NODES = 16 };

struct command {
    uint64_t id, sequence;
    unsigned client;
    uint64_t floor; /* the greatest number that was acknowledged when it was first sent */
    uint64_t number;
    bool is_acknowledged, is_refused, is_changed;
    bool is_present; /* in R */
    UT_hash_handle hh;
};

enum seen_kind { SEEN_ACKNOWLEDGED, SEEN_MOUNT, SEEN_LEVEL, SEEN_VIEW };

struct seen { /* in the order of time: what has to be held against R */
    enum seen_kind kind;
    bool is_behind;
    unsigned page, client, room;
    uint64_t number, id;
    struct checker_line *lines;
    size_t lines_count;
};

struct final {
    bool is_told, is_readable;
    struct checker_line *lines;
    size_t count;
};

struct page {
    unsigned number, client, room;
    bool is_mounted, is_behind;
    uint64_t last, shown; /* numbers: the last one now, the highest ever */
    UT_hash_handle hh;
};

struct text {
    uint64_t hash, id;
    UT_hash_handle hh;
};

struct own { /* the highest acknowledged number of a client in a room */
    uint64_t key, number;
    UT_hash_handle hh;
};

struct checker {
    struct command *commands;
    uint64_t acknowledged; /* the greatest number so far */
    struct seen *seen;
    size_t seen_count, seen_size;
    struct final finals[CHECKER_NODES];
    struct page *pages;
    struct own *own;
    struct text *texts;
    uint64_t no_recovery, waited_ms; /* how often, and the first time, */
    unsigned waiting;                /* and of which client */
    const struct final *reference;
    uint64_t *previous; /* by number: the number of the message before it in its room */
    struct checker_report *report;
};

static const char *const names[] = {
#define CHECKER_NAME(name) #name,
    CHECKER_TABLE(CHECKER_NAME)
#undef CHECKER_NAME
};

const char *checker_name(enum checker_error error)
{
    return error < CHECKER_ERRORS ? names[error] : "none";
}

/* ---- being told ---- */

struct checker *checker_new(void)
{
    return mem_new(sizeof(struct checker));
}

static struct command *find(struct checker *checker, uint64_t id)
{
    struct command *command;
    HASH_FIND(hh, checker->commands, &id, sizeof id, command);
    return command;
}

void checker_sent(struct checker *checker, uint64_t id, unsigned client, uint64_t sequence)
{
    if (find(checker, id) != NULL) return;
    struct command *command = mem_new(sizeof *command);
    *command = (struct command){
        .id = id, .client = client, .sequence = sequence, .floor = checker->acknowledged};
    HASH_ADD(hh, checker->commands, id, sizeof id, command);
}

static struct seen *see(struct checker *checker, enum seen_kind kind)
{
    if (checker->seen_count == checker->seen_size) {
        checker->seen_size = checker->seen_size == 0 ? 256 : 2 * checker->seen_size;
        checker->seen = mem_grow(checker->seen, checker->seen_size * sizeof *checker->seen);
    }
    struct seen *seen = &checker->seen[checker->seen_count++];
    *seen = (struct seen){.kind = kind};
    return seen;
}

void checker_acknowledged(struct checker *checker, uint64_t id, uint64_t number)
{
    struct command *command = find(checker, id);
    if (command == NULL) return;
    if (command->is_acknowledged && command->number != number) command->is_changed = true;
    command->is_acknowledged = true;
    command->number = number;
    if (number > checker->acknowledged) checker->acknowledged = number;
    struct seen *seen = see(checker, SEEN_ACKNOWLEDGED);
    seen->client = command->client;
    seen->number = number;
}

void checker_refused(struct checker *checker, uint64_t id)
{
    struct command *command = find(checker, id);
    if (command != NULL) command->is_refused = true;
}

void checker_no_recovery(struct checker *checker, unsigned client, uint64_t waited_ms)
{
    if (checker->no_recovery++ > 0) return;
    checker->waiting = client;
    checker->waited_ms = waited_ms;
}

void checker_mount(struct checker *checker, unsigned page, unsigned client, unsigned room,
                   bool is_behind, const struct checker_line *lines, size_t lines_count)
{
    struct seen *seen = see(checker, SEEN_MOUNT);
    seen->page = page;
    seen->client = client;
    seen->room = room;
    seen->is_behind = is_behind;
    seen->lines_count = lines_count;
    if (lines_count > 0) seen->lines = mem_copy(lines, lines_count * sizeof *lines);
}

void checker_level(struct checker *checker, unsigned page)
{
    see(checker, SEEN_LEVEL)->page = page;
}

void checker_view(struct checker *checker, unsigned page, uint64_t number, uint64_t id)
{
    struct seen *seen = see(checker, SEEN_VIEW);
    seen->page = page;
    seen->number = number;
    seen->id = id;
}

void checker_final(struct checker *checker, unsigned node, const struct checker_line *lines,
                   size_t lines_count)
{
    struct final *final = &checker->finals[node];
    final->is_told = true;
    final->is_readable = lines != NULL;
    final->count = lines_count;
    if (lines != NULL && lines_count > 0)
        final->lines = mem_copy(lines, lines_count * sizeof *lines);
}

void checker_free(struct checker *checker)
{
    struct command *command, *next_command;
    struct page *page, *next_page;
    struct own *own, *next_own;
    struct text *text, *next_text;
    HASH_ITER(hh, checker->commands, command, next_command) {
        HASH_DEL(checker->commands, command);
        mem_free(command);
    }
    HASH_ITER(hh, checker->pages, page, next_page) {
        HASH_DEL(checker->pages, page);
        mem_free(page);
    }
    HASH_ITER(hh, checker->own, own, next_own) {
        HASH_DEL(checker->own, own);
        mem_free(own);
    }
    HASH_ITER(hh, checker->texts, text, next_text) {
        HASH_DEL(checker->texts, text);
        mem_free(text);
    }
    for (size_t i = 0; i < checker->seen_count; i++)
        mem_free(checker->seen[i].lines);
    for (unsigned i = 0; i < CHECKER_NODES; i++)
        mem_free(checker->finals[i].lines);
    mem_free(checker->seen);
    mem_free(checker->previous);
    mem_free(checker);
}

/* ---- finding ---- */

__attribute__((format(printf, 3, 4))) static void found(struct checker *checker,
                                                        enum checker_error error,
                                                        const char *format, ...)
{
    struct checker_report *report = checker->report;
    va_list arguments;
    if (report->counts[error]++ > 0 || report->first != CHECKER_ERRORS) return;
    report->first = error;
    va_start(arguments, format);
    vsnprintf(report->words, sizeof report->words, format, arguments);
    va_end(arguments);
}

/* ---- the logs ---- */

static void choose_reference(struct checker *checker)
{
    static const struct final none;
    checker->reference = &none;
    for (unsigned i = 0; i < CHECKER_NODES; i++) {
        if (checker->finals[i].count > checker->reference->count)
            checker->reference = &checker->finals[i];
    }
    checker->report->length = checker->reference->count;
}

static bool is_same(const struct checker_line *a, const struct checker_line *b)
{
    return a->number == b->number && a->id == b->id && a->digest == b->digest && a->room == b->room;
}

static void compare_logs(struct checker *checker)
{
    const struct final *reference = checker->reference;
    for (unsigned i = 0; i < CHECKER_NODES; i++) {
        const struct final *final = &checker->finals[i];
        if (!final->is_told) continue;
        if (!final->is_readable) {
            found(checker, CHECKER_NO_FINAL, "node %u", i);
            continue;
        }
        size_t place = 0;
        while (place < final->count && is_same(&final->lines[place], &reference->lines[place]))
            place++;
        if (place < final->count) {
            found(checker, CHECKER_DIVERGED, "node %u at place %zu: number %" PRIu64, i, place + 1,
                  final->lines[place].number);
        } else if (place < reference->count) {
            found(checker, CHECKER_NOT_CONVERGED, "node %u has %zu of %zu", i, place,
                  reference->count);
        }
    }
}

static void check_command(struct checker *checker, struct command *command,
                          const struct checker_line *line)
{
    if (command->is_present)
        found(checker, CHECKER_DUPLICATE, "id %" PRIx64 " again at %" PRIu64, line->id,
              line->number);
    command->is_present = true;
    if (command->is_refused)
        found(checker, CHECKER_FAIL_APPEARED, "id %" PRIx64 " at %" PRIu64, line->id, line->number);
    if (line->number <= command->floor)
        found(checker, CHECKER_REALTIME_ORDER,
              "id %" PRIx64 " at %" PRIu64 ", but %" PRIu64 " was acknowledged before it was sent",
              line->id, line->number, command->floor);
}

/* Per client the sequence rises. A command that stands twice is told once, above. */
static void check_sender(struct checker *checker, const struct command *command, uint64_t **last,
                         unsigned *clients)
{
    if (command->client >= *clients) {
        unsigned count = command->client + 64;
        *last = mem_grow(*last, count * sizeof **last);
        for (unsigned i = *clients; i < count; i++)
            (*last)[i] = 0;
        *clients = count;
    }
    uint64_t *before = &(*last)[command->client];
    if (command->sequence < *before)
        found(checker, CHECKER_SENDER_ORDER, "client %u: %" PRIu64 " behind %" PRIu64,
              command->client, command->sequence, *before);
    *before = command->sequence;
}

/* Somebody gave the same message another id. */
static void check_text(struct checker *checker, const struct checker_line *line)
{
    struct text *text;
    if (line->text == 0) return;
    HASH_FIND(hh, checker->texts, &line->text, sizeof line->text, text);
    if (text != NULL && text->id != line->id)
        found(checker, CHECKER_DUPLICATE, "the text of id %" PRIx64 " again as %" PRIx64, text->id,
              line->id);
    if (text != NULL) return;
    text = mem_new(sizeof *text);
    text->hash = line->text;
    text->id = line->id;
    HASH_ADD(hh, checker->texts, hash, sizeof text->hash, text);
}

static void scan_reference(struct checker *checker)
{
    const struct final *reference = checker->reference;
    uint64_t *last = NULL, number = 0;
    unsigned clients = 0;
    for (size_t i = 0; i < reference->count; i++) {
        const struct checker_line *line = &reference->lines[i];
        if (line->number != number + 1)
            found(checker, CHECKER_LOG_ORDER, "number %" PRIu64 " behind %" PRIu64, line->number,
                  number);
        number = line->number;
        check_text(checker, line);
        struct command *command = find(checker, line->id);
        if (command == NULL) {
            found(checker, CHECKER_GHOST, "id %" PRIx64 " at %" PRIu64, line->id, line->number);
            continue;
        }
        bool is_again = command->is_present;
        check_command(checker, command, line);
        if (!is_again) check_sender(checker, command, &last, &clients);
    }
    mem_free(last);
}

static const struct checker_line *line_at(const struct checker *checker, uint64_t number)
{
    const struct final *reference = checker->reference;
    if (number == 0 || number > reference->count) return NULL;
    const struct checker_line *line = &reference->lines[number - 1];
    return line->number == number ? line : NULL;
}

/* ---- answers ---- */

static void check_answers(struct checker *checker)
{
    struct command *command, *next;
    struct checker_report *report = checker->report;
    HASH_ITER(hh, checker->commands, command, next) {
        report->commands++;
        if (!command->is_acknowledged) {
            report->refused += command->is_refused;
            report->unknown += !command->is_refused;
            report->unknown_present += !command->is_refused && command->is_present;
            continue;
        }
        report->acknowledged++;
        if (command->is_changed) found(checker, CHECKER_ACK_CHANGED, "id %" PRIx64, command->id);
        const struct checker_line *line = line_at(checker, command->number);
        if (!command->is_present)
            found(checker, CHECKER_LOST, "id %" PRIx64 ", acknowledged as %" PRIu64, command->id,
                  command->number);
        else if (line == NULL || line->id != command->id)
            found(checker, CHECKER_ACK_NUMBER, "id %" PRIx64 ", acknowledged as %" PRIu64,
                  command->id, command->number);
    }
}

/* ---- pages ---- */

/* By number: the one before it in its room. */
static void link_rooms(struct checker *checker)
{
    const struct final *reference = checker->reference;
    enum { ROOMS = 64 };
    uint64_t last[ROOMS] = {0};
    checker->previous = mem_new_array(reference->count + 1, sizeof *checker->previous);
    for (size_t i = 0; i < reference->count; i++) {
        unsigned room = reference->lines[i].room % ROOMS;
        checker->previous[i + 1] = last[room];
        last[room] = i + 1;
    }
}

static uint64_t last_of_room(const struct checker *checker, unsigned room)
{
    for (size_t i = checker->reference->count; i > 0; i--)
        if (checker->reference->lines[i - 1].room == room) return i;
    return 0;
}

static struct page *page_of(struct checker *checker, unsigned number)
{
    struct page *page;
    HASH_FIND(hh, checker->pages, &number, sizeof number, page);
    if (page != NULL) return page;
    page = mem_new(sizeof *page);
    page->number = number;
    HASH_ADD(hh, checker->pages, number, sizeof number, page);
    return page;
}

static struct own *own_of(struct checker *checker, unsigned client, unsigned room)
{
    uint64_t key = (uint64_t)client << 32 | room;
    struct own *own;
    HASH_FIND(hh, checker->own, &key, sizeof key, own);
    if (own != NULL) return own;
    own = mem_new(sizeof *own);
    own->key = key;
    HASH_ADD(hh, checker->own, key, sizeof key, own);
    return own;
}

/* One message as it is shown: is it of R? */
static bool is_real(struct checker *checker, const struct page *page, uint64_t number, uint64_t id)
{
    const struct checker_line *line = line_at(checker, number);
    if (line == NULL) {
        found(checker, CHECKER_VIEW_PHANTOM, "page %u shows %" PRIu64, page->number, number);
        return false;
    }
    if (line->id != id || line->room != page->room) {
        found(checker, CHECKER_VIEW_MISMATCH, "page %u shows %" PRIx64 " as %" PRIu64, page->number,
              id, number);
        return false;
    }
    return true;
}

static void check_reach(struct checker *checker, struct page *page)
{
    uint64_t own = own_of(checker, page->client, page->room)->number;
    if (page->is_behind) return;
    if (page->last < page->shown)
        found(checker, CHECKER_STALE_MOUNT, "page %u ends at %" PRIu64 " and had shown %" PRIu64,
              page->number, page->last, page->shown);
    if (page->client != UINT_MAX && page->last < own)
        found(checker, CHECKER_NOT_YOUR_WRITES,
              "page %u ends at %" PRIu64 ", its %" PRIu64 " lacks", page->number, page->last, own);
}

static void on_mount(struct checker *checker, const struct seen *seen)
{
    struct page *page = page_of(checker, seen->page);
    checker->report->mounts++;
    page->is_mounted = true;
    page->is_behind = seen->is_behind;
    page->client = seen->client;
    page->room = seen->room;
    page->last = 0;
    for (size_t i = 0; i < seen->lines_count; i++) {
        const struct checker_line *line = &seen->lines[i];
        if (is_real(checker, page, line->number, line->id) && i > 0 &&
            checker->previous[line->number] != seen->lines[i - 1].number)
            found(checker, CHECKER_MOUNT_GAP, "page %u before %" PRIu64, page->number,
                  line->number);
        page->last = line->number;
    }
    check_reach(checker, page);
    if (page->last > page->shown) page->shown = page->last;
}

static void on_view(struct checker *checker, const struct seen *seen)
{
    struct page *page = page_of(checker, seen->page);
    uint64_t number = seen->number, last = page->last;
    checker->report->views++;
    if (!is_real(checker, page, number, seen->id)) return;
    if (number == last) {
        found(checker, CHECKER_VIEW_DUPLICATE, "page %u: %" PRIu64, page->number, number);
    } else if (number < last) {
        found(checker, CHECKER_VIEW_REORDER, "page %u: %" PRIu64 " behind %" PRIu64, page->number,
              number, last);
    } else if (checker->previous[number] != last) {
        found(checker, CHECKER_VIEW_GAP, "page %u: %" PRIu64 " behind %" PRIu64, page->number,
              number, last);
    }
    page->last = number;
    if (number > page->shown) page->shown = number;
}

static void check_seen(struct checker *checker)
{
    for (size_t i = 0; i < checker->seen_count; i++) {
        const struct seen *seen = &checker->seen[i];
        switch (seen->kind) {
        case SEEN_ACKNOWLEDGED: {
            const struct checker_line *line = line_at(checker, seen->number);
            if (line == NULL) break;
            struct own *own = own_of(checker, seen->client, line->room);
            if (seen->number > own->number) own->number = seen->number;
            break;
        }
        case SEEN_MOUNT: on_mount(checker, seen); break;
        case SEEN_LEVEL: {
            struct page *page = page_of(checker, seen->page);
            page->is_behind = false;
            check_reach(checker, page);
            break;
        }
        case SEEN_VIEW: on_view(checker, seen); break;
        }
    }
}

static void check_ends(struct checker *checker)
{
    struct page *page, *next;
    HASH_ITER(hh, checker->pages, page, next) {
        uint64_t end = last_of_room(checker, page->room);
        if (page->is_mounted && page->last != end)
            found(checker, CHECKER_VIEW_STALLED, "page %u ends at %" PRIu64 " of %" PRIu64,
                  page->number, page->last, end);
    }
}

bool checker_run(struct checker *checker, struct checker_report *report)
{
    *report = (struct checker_report){.first = CHECKER_ERRORS};
    checker->report = report;
    choose_reference(checker);
    compare_logs(checker);
    scan_reference(checker);
    check_answers(checker);
    link_rooms(checker);
    check_seen(checker);
    check_ends(checker);
    if (checker->no_recovery > 0)
        found(checker, CHECKER_NO_RECOVERY,
              "client %u waits for %" PRIu64 " ms, and %" PRIu64 " more", checker->waiting,
              checker->waited_ms, checker->no_recovery - 1);
    return report->first == CHECKER_ERRORS;
}
