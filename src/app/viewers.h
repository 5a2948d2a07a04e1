/* What the LiveView engine asks of its thread (struct live_host), and how it is answered.
 *
 * Each mounted or opening live view has a viewer: its place in a room, its number for mail that may
 * come back after it has gone, its timer, the command id that it watches. At most JOINS_PER_TURN_MAX
 * views are opened in one turn of the loop; the others wait in the order in which they came.
 */
#pragma once
#include "app/web_thread.h"
#include "live/channel.h"

struct viewers;

struct viewers *viewers_new(struct web_thread *thread, const struct token_keys *keys);
/* Closes its handle; viewers_free once the loop has run out. */
void viewers_stop(struct viewers *viewers);
void viewers_free(struct viewers *viewers);
const struct live_host *viewers_host(const struct viewers *viewers);

/* Joins that wait for their turn, in ms of work ahead (as measured lately). */
uint32_t viewers_backlog_ms(const struct viewers *viewers);

size_t viewers_count(const struct viewers *viewers);

/* ---- for web_thread, rooms and commands ---- */
void viewers_answered(struct viewers *viewers, struct command_mail *mail); /* does not free it */
void viewers_reached(struct viewers *viewers, struct reach_mail *mail);    /* does not free it */
/* A command was applied: tells who watches it. */
void viewers_applied(struct viewers *viewers, const struct message_sent *event);
/* Rooms, people or nodes changed. */
void viewers_lists(struct viewers *viewers);
