/* A linked list under a mutex, and a doorbell. Only the mail that finds the queue empty rings: the
 * receiver takes the whole queue at once, so whoever comes after that finds it empty and rings
 * again. What was taken hangs on `taken` until its turn: on_mail may close the mailbox, and then the
 * rest is delivered in order before mailbox_close returns.
 */
#include "base/mailbox.h"

#include <assert.h>

static void take_all(struct mailbox *box)
{
    assert(box->taken == NULL);
    uv_mutex_lock(&box->mutex);
    box->taken = box->first;
    box->first = NULL;
    box->last = &box->first;
    uv_mutex_unlock(&box->mutex);
}

static void deliver_taken(struct mailbox *box)
{
    while (box->taken != NULL) {
        struct mail *mail = box->taken;
        box->taken = mail->next;
        mail->next = NULL;
        box->on_mail(box->owner, mail);
    }
}

static void on_doorbell(uv_async_t *doorbell)
{
    struct mailbox *box = doorbell->data;
    take_all(box);
    deliver_taken(box);
}

void mailbox_init(struct mailbox *box, uv_loop_t *loop, mail_fn on_mail, void *owner)
{
    *box = (struct mailbox){.owner = owner, .on_mail = on_mail};
    box->last = &box->first;
    int rv = uv_mutex_init(&box->mutex);
    assert(rv == 0);
    rv = uv_async_init(loop, &box->doorbell, on_doorbell);
    assert(rv == 0);
    box->doorbell.data = box;
}

void mailbox_send(struct mailbox *box, struct mail *mail)
{
    mail->next = NULL;
    uv_mutex_lock(&box->mutex);
    bool was_empty = box->first == NULL;
    *box->last = mail;
    box->last = &mail->next;
    uv_mutex_unlock(&box->mutex);
    if (was_empty) uv_async_send(&box->doorbell);
}

bool mailbox_has_more(struct mailbox *box)
{
    if (box->taken != NULL) return true;
    uv_mutex_lock(&box->mutex);
    bool has_more = box->first != NULL;
    uv_mutex_unlock(&box->mutex);
    return has_more;
}

void mailbox_close(struct mailbox *box)
{
    deliver_taken(box);
    while (box->first != NULL) { /* a mail may have been sent from within on_mail */
        take_all(box);
        deliver_taken(box);
    }
    uv_mutex_destroy(&box->mutex);
    uv_close((uv_handle_t *)&box->doorbell, NULL);
}
