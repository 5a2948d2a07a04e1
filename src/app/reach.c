#include "app/reach.h"

#include <utlist.h>

#include "base/mem.h"

enum { SIZE_FIRST = 64 };

static_assert(sizeof(struct reach_who) == sizeof(void *) + sizeof(uint64_t),
              "a key of a table has no holes");

static void put(struct reach *reach, size_t place, struct reach_mail *mail)
{
    reach->by_number[place] = mail;
    mail->place = place;
}

/* Those above with a greater number come down by one. */
static void rise(struct reach *reach, size_t place, struct reach_mail *mail)
{
    while (place > 0) {
        struct reach_mail *above = reach->by_number[(place - 1) / 2];
        if (above->number <= mail->number) break;
        put(reach, place, above);
        place = (place - 1) / 2;
    }
    put(reach, place, mail);
}

/* The smaller of the two below comes up as long as it has a smaller number. */
static void sink(struct reach *reach, size_t place, struct reach_mail *mail)
{
    for (;;) {
        size_t below = 2 * place + 1;
        if (below >= reach->count) break;
        if (below + 1 < reach->count &&
            reach->by_number[below + 1]->number < reach->by_number[below]->number)
            below++;
        if (reach->by_number[below]->number >= mail->number) break;
        put(reach, place, reach->by_number[below]);
        place = below;
    }
    put(reach, place, mail);
}

static struct reach_mail *take_out(struct reach *reach, struct reach_mail *mail, bool reached)
{
    size_t place = mail->place;
    struct reach_mail *last = reach->by_number[--reach->count];
    DL_DELETE2(reach->waiting, mail, prev_waiting, next_waiting);
    HASH_DEL(reach->by_who, mail);
    if (last != mail) {
        sink(reach, place, last);
        rise(reach, last->place, last);
    }
    mail->reached = reached;
    return mail;
}

void reach_add(struct reach *reach, struct reach_mail *mail, uint64_t now_ms)
{
    if (reach->count == reach->size) {
        reach->size = reach->size == 0 ? SIZE_FIRST : 2 * reach->size;
        reach->by_number = mem_grow(reach->by_number, reach->size * sizeof *reach->by_number);
    }
    /* One too many has waited long enough already: it is the next that reach_next gives. */
    bool is_one_too_many = reach->count >= REACH_WAITING_MAX;
    mail->deadline_ms = is_one_too_many ? 0 : now_ms + SEEN_HOLD_MS;
    if (is_one_too_many)
        DL_PREPEND2(reach->waiting, mail, prev_waiting, next_waiting);
    else
        DL_APPEND2(reach->waiting, mail, prev_waiting, next_waiting);
    HASH_ADD(hh, reach->by_who, who, sizeof mail->who, mail);
    rise(reach, reach->count++, mail);
}

void reach_drop(struct reach *reach, const struct reach_who *who)
{
    struct reach_mail *mail;
    HASH_FIND(hh, reach->by_who, who, sizeof *who, mail);
    if (mail != NULL) mem_free(take_out(reach, mail, false));
}

struct reach_mail *reach_next(struct reach *reach, uint64_t number, uint64_t now_ms)
{
    if (reach->count == 0) return NULL;
    struct reach_mail *least = reach->by_number[0], *oldest = reach->waiting;
    if (least->number <= number) return take_out(reach, least, true);
    if (oldest->deadline_ms <= now_ms) return take_out(reach, oldest, false);
    return NULL;
}

void reach_close(struct reach *reach)
{
    struct reach_mail *mail, *next;
    HASH_CLEAR(hh, reach->by_who);
    DL_FOREACH_SAFE2(reach->waiting, mail, next, next_waiting)
    mem_free(mail);
    mem_free(reach->by_number);
}
