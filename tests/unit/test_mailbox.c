#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mailbox.h"

enum { SENDERS = 4, MAILS_EACH = 5000 };

struct note {
    struct mail mail;
    int sender, place;
};

struct office {
    uv_loop_t loop;
    struct mailbox box;
    int next[SENDERS]; /* the place that must come next from each sender */
    int count;
    int close_at;    /* close the mailbox when so many have come; 0 = not by itself */
    int answer_once; /* send one more from within on_mail */
};

static void send_note(struct mailbox *box, int sender, int place)
{
    struct note *note = malloc(sizeof *note);
    assert_non_null(note);
    *note = (struct note){.mail.kind = 7, .sender = sender, .place = place};
    mailbox_send(box, &note->mail);
}

static void on_mail(void *owner, struct mail *mail)
{
    struct office *office = owner;
    struct note *note = (struct note *)mail;
    assert_int_equal(mail->kind, 7);
    assert_int_equal(note->place, office->next[note->sender]);
    office->next[note->sender]++;
    office->count++;
    free(note);
    if (office->answer_once) {
        office->answer_once = 0;
        send_note(&office->box, 1, 0);
    }
    if (office->count == office->close_at) mailbox_close(&office->box);
}

static void open_office(struct office *office, int close_at)
{
    *office = (struct office){.close_at = close_at};
    assert_int_equal(uv_loop_init(&office->loop), 0);
    mailbox_init(&office->box, &office->loop, on_mail, office);
}

static void close_office(struct office *office)
{
    uv_run(&office->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&office->loop), 0);
}

struct sender {
    uv_thread_t thread;
    struct mailbox *box;
    int name;
};

static void send_all(void *owner)
{
    struct sender *sender = owner;
    for (int place = 0; place < MAILS_EACH; place++)
        send_note(sender->box, sender->name, place);
}

static void mails_of_many_threads_come_once_and_in_order(void **state)
{
    (void)state;
    struct office office;
    struct sender senders[SENDERS];
    open_office(&office, 0);
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.box = &office.box, .name = i};
        assert_int_equal(uv_thread_create(&senders[i].thread, send_all, &senders[i]), 0);
    }
    while (office.count < SENDERS * MAILS_EACH)
        uv_run(&office.loop, UV_RUN_ONCE);
    for (int i = 0; i < SENDERS; i++)
        uv_thread_join(&senders[i].thread);
    mailbox_close(&office.box);
    close_office(&office);
    for (int i = 0; i < SENDERS; i++)
        assert_int_equal(office.next[i], MAILS_EACH);
}

static void closing_delivers_what_is_inside(void **state)
{
    (void)state;
    struct office office;
    open_office(&office, 0);
    office.answer_once = 1;
    for (int place = 0; place < 3; place++)
        send_note(&office.box, 0, place);
    mailbox_close(&office.box);
    assert_int_equal(office.count, 4);
    close_office(&office);
}

static void closing_from_within_a_mail_keeps_the_order(void **state)
{
    (void)state;
    struct office office;
    open_office(&office, 2);
    for (int place = 0; place < 5; place++)
        send_note(&office.box, 0, place);
    close_office(&office);
    assert_int_equal(office.count, 5);
}

static void a_mail_sent_from_within_a_mail_comes_too(void **state)
{
    (void)state;
    struct office office;
    open_office(&office, 2);
    office.answer_once = 1;
    send_note(&office.box, 0, 0);
    close_office(&office);
    assert_int_equal(office.count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mails_of_many_threads_come_once_and_in_order),
        cmocka_unit_test(closing_delivers_what_is_inside),
        cmocka_unit_test(closing_from_within_a_mail_keeps_the_order),
        cmocka_unit_test(a_mail_sent_from_within_a_mail_comes_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
