/* A room's messages for programs: GET /api/rooms/:room/messages.
 *
 *   newest      the last `limit` of them          after=N          those behind number N
 *   before=N    the last ones before it           after=N&wait=T   the same, but waits for one
 *
 * In the order of the history. What the room's tail in RAM does not reach comes from the store, read on
 * the pool; the store lags a little behind what is committed, so the tail's messages follow on it. That
 * nothing is missing between the two is seen from the seq, which is dense in a room. An answer may hold
 * less than `limit` when it would become too large: its reader goes on behind it.
 *
 * One web thread.
 */
#pragma once
#include "app/api.h"

/* Answers now or later. `room` is a room's lawful name; copied. */
void messages_answer(struct exchange *exchange, struct slice room, const struct api_query *query);

/* {"number":...,"index":...,"room":...,"seq":...,"id":...,"sender_id":...,"sender":...,"text":...,
 * "at":...} and, in a line of the history, "digest". Pure. */
void message_write(struct buf *out, const struct message_sent *event, bool with_digest);
