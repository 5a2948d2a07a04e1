/* A data directory that is being made: the history of a new cluster of one node (restore, import).
 *
 *   DIR/history.partial   filled, in large transactions
 *   DIR/history           the same, whole, durable and renamed
 *   DIR/VERSION           last: state alone, a cluster id of its own
 *
 * The directory must be empty, or absent. Until the end it is no data directory: `serve` refuses it, and
 * another fresh_dir_begin clears away what a killed one left. The chat says where the history
 * stands; the caller applies (or takes) each event to it first, then hands its bytes over. One thread.
 */
#pragma once
#include "chat/chat.h"

struct fresh_dir;

/* Locks it. 0; ERR_BUSY (another process has it); ERR_DENIED for what is not empty or can be reached by
 * others; ERR_CONFIG for an impossible path; ERR_IO. */
int fresh_dir_begin(struct fresh_dir **out, const char *path, const char *node,
                    struct errmsg *errmsg);
struct chat *fresh_dir_chat(struct fresh_dir *dir);
/* The chat's last event; keeps a reference. 0; ERR_DATA (an id that an old event has); ERR_FULL; ERR_IO. */
int fresh_dir_add(struct fresh_dir *dir, struct shared *bytes, struct errmsg *errmsg);
/* All is durable when it returns 0; ERR_ codes as above. Frees it either way; after an error nothing is
 * left of it on disk. */
int fresh_dir_finish(struct fresh_dir *dir, struct errmsg *errmsg);
/* Takes everything back. NULL is fine. */
void fresh_dir_abandon(struct fresh_dir *dir);
