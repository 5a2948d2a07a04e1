#include "app/commands.h"

#include "app/rooms.h"
#include "app/viewers.h"
#include "base/clock.h"
#include "base/mem.h"

/* How long, and how often, a command that must be looked up again is looked up again. The store is far
 * behind then; each time costs an entry of the log that makes no event. */
enum { RETRY_MAX_MS = FORWARD_DEADLINE_MS, RETRY_EVERY_MS = 100 };

struct command_mail *command_mail_new(struct web_thread *thread, const struct send_message *command)
{
    struct command_mail *mail = mem_new(sizeof *mail + command_texts_len(command));
    mail->thread = thread;
    mail->started_ns = clock_ns();
    mail->deadline_ms = clock_ms() + RETRY_MAX_MS;
    command_copy(&mail->request.command, command, mail->text);
    return mail;
}

static void deliver(struct web_thread *thread, struct command_mail *mail)
{
    if (!mail->is_check)
        histogram_add(&web_thread_counters(thread)->command_duration,
                      (clock_ns() - mail->started_ns) / 1000);
    if (mail->viewer != 0)
        viewers_answered(web_thread_viewers(thread), mail);
    else
        mail->on_answer(mail->owner, mail);
    mem_free(mail);
}

static void deliver_later(void *owner)
{
    struct command_mail *mail = owner;
    deliver(mail->thread, mail);
}

/* Is the id in the store? Fills the answer and returns true; else remembers how far was looked. Of what
 * cannot be read nothing is claimed: apply decides alone, or says "retry". */
static bool look_in_store(struct web_thread *thread, struct command_mail *mail)
{
    struct send_message *command = &mail->request.command;
    struct event_reader *reader = web_thread_reader(thread);
    struct event_meta meta;
    struct message_sent event;
    uint64_t number;

    command->unseen_up_to = 0;
    if (event_reader_begin(reader, &meta) != 0) return false;
    int rv = event_reader_command(reader, &command->id, &number);
#ifdef LIVETEA_MISTAKE_DEDUP
    rv = ERR_NOT_FOUND;
#endif
    if (rv == ERR_NOT_FOUND) command->unseen_up_to = meta.number;
    bool is_known = rv == 0 && event_reader_get(reader, number, &event, NULL) == 0;
    if (is_known) {
        bool is_same = command_content(&event.sender_id, event.room, event.text) ==
                       command_content(&command->sender_id, command->room, command->text);
        mail->check = is_same ? CHECK_KNOWN : CHECK_USED;
        mail->answer = (struct answer){.kind = is_same ? ANSWER_ACCEPTED : ANSWER_REFUSED,
                                       .refusal = is_same ? CHAT_ACCEPTED : CHAT_ID_USED,
                                       .number = event.number,
                                       .index = event.index,
                                       .at_ms = event.at_ms};
    }
    event_reader_end(reader);
    return is_known;
}

static void send_command(struct web_thread *thread, struct command_mail *mail)
{
    /* What the store has was sent to this thread before, but may not have come yet. */
    if (look_in_store(thread, mail)) {
        web_thread_mail_answer(thread, &mail->mail);
        return;
    }
    mail->mail.kind = mail->is_check ? MAIL_CHECK : MAIL_COMMAND;
    web_thread_mail_domain(thread, &mail->mail);
}

void commands_send(struct web_thread *thread, struct command_mail *mail)
{
    mail->is_check = false;
    send_command(thread, mail);
}

void commands_check(struct web_thread *thread, struct command_mail *mail)
{
    mail->is_check = true;
    send_command(thread, mail);
}

void commands_refuse(struct web_thread *thread, struct command_mail *mail,
                     enum chat_refusal refusal, uint32_t wait_ms)
{
    mail->answer = (struct answer){.kind = ANSWER_REFUSED, .refusal = refusal, .wait_ms = wait_ms};
    chores_later(web_thread_chores(thread), 0, deliver_later, mail);
}

void commands_check_none(struct web_thread *thread, struct command_mail *mail)
{
    mail->is_check = true;
    mail->check = CHECK_NOBODY;
    chores_later(web_thread_chores(thread), 0, deliver_later, mail);
}

static void send_again(void *owner)
{
    struct command_mail *mail = owner;
    send_command(mail->thread, mail);
}

static void tell(struct web_thread *thread, struct command_mail *mail)
{
    bool again = mail->is_check ? mail->check == CHECK_RETRY : mail->answer.kind == ANSWER_RETRY;
    if (!again) {
        deliver(thread, mail);
        return;
    }
    if (clock_ms() < mail->deadline_ms) {
        /* Another copy may still be on its way: only the log can refuse it from now on. */
        mail->request.command.retried = true;
        chores_later(web_thread_chores(thread), RETRY_EVERY_MS, send_again, mail);
        return;
    }
    mail->check = CHECK_NOBODY;
    mail->answer.kind = ANSWER_UNKNOWN;
    deliver(thread, mail);
}

void answers_add(struct answers *answers, struct command_mail *mail)
{
    mail->mail.next = NULL;
    if (answers->first == NULL)
        answers->first = &mail->mail;
    else
        answers->last->next = &mail->mail;
    answers->last = &mail->mail;
}

static bool has_to_wait(struct web_thread *thread, const struct command_mail *mail)
{
    return mail->viewer != 0 &&
           rooms_is_resting(web_thread_rooms(thread), mail->request.command.room);
}

size_t answers_tell(struct web_thread *thread, struct answers *answers, bool all)
{
    struct mail *next = answers->first;
    size_t count = 0;
    *answers = (struct answers){.first = NULL};
    while (next != NULL) {
        struct command_mail *mail = (struct command_mail *)next;
        next = next->next;
        if (!all && has_to_wait(thread, mail)) {
            answers_add(answers, mail);
            continue;
        }
        tell(thread, mail);
        count++;
    }
    return count;
}
