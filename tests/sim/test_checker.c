/* The checker is tested first: a good history, and one hand-made history for each name of an error. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "checker.h"
#include "promise.h"

enum { ROOM = 0, CLIENT = 1, PAGE = 7 };

/* Message n has id 100 + n. */
static struct checker_line line(uint64_t number, uint64_t id)
{
    return (struct checker_line){.number = number, .id = id, .digest = id, .room = ROOM};
}

static const struct checker_line *logged(uint64_t from, uint64_t to)
{
    static struct checker_line lines[10];
    for (uint64_t number = from; number <= to; number++)
        lines[number - from] = line(number, 100 + number);
    return lines;
}

/* Commands 101..103 of one client, sent and acknowledged one after another. */
static struct checker *begin(void)
{
    struct checker *checker = checker_new();
    for (uint64_t n = 1; n <= 3; n++) {
        checker_sent(checker, 100 + n, CLIENT, n);
        checker_acknowledged(checker, 100 + n, n);
    }
    return checker;
}

static void all_have(struct checker *checker, uint64_t to)
{
    for (unsigned node = 0; node < 3; node++)
        checker_final(checker, node, logged(1, to), to);
}

static void expect(struct checker *checker, enum checker_error error)
{
    struct checker_report report;
    bool is_good = checker_run(checker, &report);
    assert_int_equal(is_good, error == CHECKER_ERRORS);
    assert_string_equal(checker_name(report.first), checker_name(error));
    checker_free(checker);
}

static void a_good_history_has_no_error(void **state)
{
    (void)state;
    struct checker *checker = begin();
    checker_mount(checker, PAGE, CLIENT, ROOM, false, logged(1, 3), 3);
    checker_sent(checker, 104, CLIENT, 4);
    checker_sent(checker, 104, CLIENT, 4);
    checker_acknowledged(checker, 104, 4);
    checker_acknowledged(checker, 104, 4);
    checker_view(checker, PAGE, 4, 104);
    checker_sent(checker, 105, CLIENT, 5); /* unknown: it may be there, */
    checker_view(checker, PAGE, 5, 105);
    checker_sent(checker, 106, 2, 1); /* or not */
    checker_mount(checker, PAGE, CLIENT, ROOM, true, logged(1, 2), 2);
    for (uint64_t number = 3; number <= 5; number++)
        checker_view(checker, PAGE, number, 100 + number);
    checker_level(checker, PAGE);
    all_have(checker, 5);
    expect(checker, CHECKER_ERRORS);
}

static void diverged(void **state)
{
    (void)state;
    struct checker *checker = begin();
    struct checker_line other[] = {line(1, 101), line(2, 103), line(3, 102)};
    all_have(checker, 3);
    checker_final(checker, 3, other, 3);
    expect(checker, CHECKER_DIVERGED);

    checker = begin();
    struct checker_line digest[] = {line(1, 101), line(2, 102), line(3, 103)};
    digest[2].digest++;
    all_have(checker, 3);
    checker_final(checker, 3, digest, 3);
    expect(checker, CHECKER_DIVERGED);
}

static void not_converged(void **state)
{
    (void)state;
    struct checker *checker = begin();
    all_have(checker, 3);
    checker_final(checker, 3, logged(1, 2), 2);
    expect(checker, CHECKER_NOT_CONVERGED);
}

static void no_final(void **state)
{
    (void)state;
    struct checker *checker = begin();
    all_have(checker, 3);
    checker_final(checker, 3, NULL, 0);
    expect(checker, CHECKER_NO_FINAL);
}

static void log_order(void **state)
{
    (void)state;
    struct checker *checker = begin();
    struct checker_line lines[] = {line(1, 101), line(2, 102), line(3, 103), line(5, 104)};
    checker_sent(checker, 104, CLIENT, 4);
    checker_final(checker, 0, lines, 4);
    expect(checker, CHECKER_LOG_ORDER);
}

static void duplicate(void **state)
{
    (void)state;
    struct checker *checker = begin();
    struct checker_line lines[] = {line(1, 101), line(2, 102), line(3, 103), line(4, 102)};
    checker_final(checker, 0, lines, 4);
    expect(checker, CHECKER_DUPLICATE);
}

static void ghost(void **state)
{
    (void)state;
    struct checker *checker = begin();
    all_have(checker, 4);
    expect(checker, CHECKER_GHOST);
}

static void fail_appeared(void **state)
{
    (void)state;
    struct checker *checker = begin();
    checker_sent(checker, 104, CLIENT, 4);
    checker_refused(checker, 104);
    all_have(checker, 4);
    expect(checker, CHECKER_FAIL_APPEARED);
}

static void sender_order(void **state)
{
    (void)state;
    struct checker *checker = begin();
    struct checker_line lines[] = {line(1, 101), line(2, 102), line(3, 103), line(4, 105),
                                   line(5, 104)};
    checker_sent(checker, 104, CLIENT, 4);
    checker_sent(checker, 105, CLIENT, 5);
    checker_final(checker, 0, lines, 5);
    expect(checker, CHECKER_SENDER_ORDER);
}

static void realtime_order(void **state)
{
    (void)state;
    struct checker *checker = checker_new();
    checker_sent(checker, 102, 1, 1);
    checker_acknowledged(checker, 102, 2);
    checker_sent(checker, 101, 2, 1); /* after 102 was acknowledged */
    all_have(checker, 2);
    expect(checker, CHECKER_REALTIME_ORDER);
}

static void lost(void **state)
{
    (void)state;
    struct checker *checker = begin();
    all_have(checker, 2);
    expect(checker, CHECKER_LOST);
}

static void ack_number(void **state)
{
    (void)state;
    struct checker *checker = begin();
    checker_sent(checker, 104, CLIENT, 4);
    checker_acknowledged(checker, 104, 3);
    all_have(checker, 4);
    expect(checker, CHECKER_ACK_NUMBER);
}

static void ack_changed(void **state)
{
    (void)state;
    struct checker *checker = begin();
    checker_acknowledged(checker, 102, 3);
    checker_acknowledged(checker, 102, 2);
    all_have(checker, 3);
    expect(checker, CHECKER_ACK_CHANGED);
}

static void mount_gap(void **state)
{
    (void)state;
    struct checker *checker = begin();
    struct checker_line lines[] = {line(1, 101), line(3, 103)};
    checker_mount(checker, PAGE, CLIENT, ROOM, false, lines, 2);
    all_have(checker, 3);
    expect(checker, CHECKER_MOUNT_GAP);
}

static void stale_mount(void **state)
{
    (void)state;
    struct checker *checker = begin();
    checker_mount(checker, PAGE, UINT_MAX, ROOM, false, logged(1, 3), 3);
    checker_mount(checker, PAGE, UINT_MAX, ROOM, false, logged(1, 2), 2);
    checker_view(checker, PAGE, 3, 103);
    all_have(checker, 3);
    expect(checker, CHECKER_STALE_MOUNT);

    checker = begin(); /* the same when it says that it is level, and is not */
    checker_mount(checker, PAGE, UINT_MAX, ROOM, false, logged(1, 3), 3);
    checker_mount(checker, PAGE, UINT_MAX, ROOM, true, logged(1, 2), 2);
    checker_level(checker, PAGE);
    checker_view(checker, PAGE, 3, 103);
    all_have(checker, 3);
    expect(checker, CHECKER_STALE_MOUNT);
}

static void not_your_writes(void **state)
{
    (void)state;
    struct checker *checker = begin();
    checker_mount(checker, PAGE, CLIENT, ROOM, false, logged(1, 2), 2);
    checker_view(checker, PAGE, 3, 103);
    all_have(checker, 3);
    expect(checker, CHECKER_NOT_YOUR_WRITES);
}

static void show(uint64_t shown_to, uint64_t number, uint64_t id, enum checker_error error)
{
    struct checker *checker = begin();
    checker_mount(checker, PAGE, UINT_MAX, ROOM, false, logged(1, shown_to), shown_to);
    checker_view(checker, PAGE, number, id);
    all_have(checker, 3);
    expect(checker, error);
}

/* Two ids are one message when the text is the same. */
static void texts(void **state)
{
    (void)state;
    for (unsigned same = 0; same < 2; same++) {
        struct checker *checker = begin();
        struct checker_line lines[3];
        memcpy(lines, logged(1, 3), sizeof lines);
        for (unsigned n = 0; n < 3; n++)
            lines[n].text = 200 + n;
        if (same == 1) lines[2].text = lines[0].text;
        checker_final(checker, 0, lines, 3);
        expect(checker, same == 1 ? CHECKER_DUPLICATE : CHECKER_ERRORS);
    }
}

static void no_recovery(void **state)
{
    (void)state;
    struct checker *checker = begin();
    all_have(checker, 3);
    checker_no_recovery(checker, CLIENT, 6000);
    expect(checker, CHECKER_NO_RECOVERY);
}

static void views(void **state)
{
    (void)state;
    show(2, 3, 103, CHECKER_ERRORS);
    show(3, 3, 103, CHECKER_VIEW_DUPLICATE);
    show(3, 2, 102, CHECKER_VIEW_REORDER);
    show(1, 3, 103, CHECKER_VIEW_GAP);
    show(3, 4, 104, CHECKER_VIEW_PHANTOM);
    show(2, 3, 102, CHECKER_VIEW_MISMATCH);
    show(1, 2, 102, CHECKER_VIEW_STALLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_history_has_no_error),
        PROMISE("P2", diverged),
        cmocka_unit_test(not_converged),
        cmocka_unit_test(no_final),
        PROMISE("P1", log_order),
        PROMISE("P3", duplicate),
        cmocka_unit_test(ghost),
        PROMISE("P6", fail_appeared),
        PROMISE("P4", sender_order),
        PROMISE("P5", realtime_order),
        PROMISE("P1", lost),
        PROMISE("P1", ack_number),
        cmocka_unit_test(ack_changed),
        PROMISE("P8", mount_gap),
        PROMISE("P9", stale_mount),
        PROMISE("P9", not_your_writes),
        cmocka_unit_test(views),
        PROMISE("P3", texts),
        PROMISE("P10", no_recovery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
