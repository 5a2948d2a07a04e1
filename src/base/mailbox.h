/* Mailboxes: the only way from one thread to another.
 *
 * Each thread owns one loop and one mailbox. Whoever sends a mail gives it away: after mailbox_send
 * the sender must not look at it again. The receiver gets the mails of one sender in the order in
 * which they were sent, one call of on_mail for each, in its own loop, and frees them. There is no
 * reply but another mail.
 */
#pragma once
#include <stdbool.h>

#include <uv.h>

struct mail { /* first member of everything that is sent */
    struct mail *next;
    int kind; /* one of enum mail_kind, app/mails.h */
};

typedef void (*mail_fn)(void *owner, struct mail *mail);

struct mailbox {
    uv_async_t doorbell;
    uv_mutex_t mutex; /* guards first and last, nothing else */
    struct mail *first, **last;
    struct mail *taken; /* the receiver's: out of the queue, not delivered yet */
    void *owner;
    mail_fn on_mail;
};

/* Call from the thread that runs the loop. The mailbox must not move in memory. */
void mailbox_init(struct mailbox *box, uv_loop_t *loop, mail_fn on_mail, void *owner);

/* Any thread. Never waits longer than it takes to link one pointer. Takes the mail. */
void mailbox_send(struct mailbox *box, struct mail *mail);

/* For its receiver: does another mail wait behind the one that is being delivered? */
bool mailbox_has_more(struct mailbox *box);

/* Call from the loop's thread once no thread sends any more (join them first). Mails still inside
 * are delivered; the memory may go when the loop has run out. */
void mailbox_close(struct mailbox *box);
