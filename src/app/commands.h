/* Commands on their way from a browser or a program to the domain thread, and their answers.
 *
 * First the id is looked for in this node's store: found, the answer is known at once. Else the
 * command goes to the domain thread with the number up to which was looked. An answer "retry" (the
 * look was too long ago) is not told: it is looked again, and sent again, with the same id.
 */
#pragma once
#include "app/web_thread.h"

/* A mail with copies of the command's texts; set viewer and ref, or on_answer and owner, then send
 * it with commands_send. */
struct command_mail *command_mail_new(struct web_thread *thread,
                                      const struct send_message *command);

/* Takes the mail. The answer comes later (never from inside) through on_answer or to the viewer. */
void commands_send(struct web_thread *thread, struct command_mail *mail);
/* The same for "is it in the log?": mail->check and answer.number. */
void commands_check(struct web_thread *thread, struct command_mail *mail);

/* Takes the mail; it is answered as refused, without having gone anywhere. */
void commands_refuse(struct web_thread *thread, struct command_mail *mail,
                     enum chat_refusal refusal, uint32_t wait_ms);

/* The same for a check: answered as "nobody could be asked". */
void commands_check_none(struct web_thread *thread, struct command_mail *mail);

/* ---- for web_thread ---- */

struct answers { /* that came and are not told yet, in order; zeroes are none */
    struct mail *first, *last;
};

void answers_add(struct answers *answers, struct command_mail *mail);
/* At the end of a turn, when the rooms have gone out. A page's answer stays while its room rests after a
 * flood, for a page is told of its message behind the message; `all`: it does not. Frees what was told, and
 * returns how many. */
size_t answers_tell(struct web_thread *thread, struct answers *answers, bool all);
