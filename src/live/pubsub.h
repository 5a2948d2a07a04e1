/* Topics and who listens, within one web thread.
 *
 * A topic is what its readers see alike: a view, a shared model, and the hashes of what was last
 * broadcast of it. topic_broadcast renders the shared holes (and the stream) once, encodes one frame,
 * and gives the same bytes to every reader:
 *
 *     [null,null,"lv:lt","diff",{...}]
 *
 * A reader is subscribed in the same step in which its join is rendered from the shared model as it
 * was last broadcast, so nothing falls between and nothing comes twice. Therefore: whoever changes
 * the shared model broadcasts in the same step. The stream's list of the shared model holds what a
 * join shows; for a broadcast its owner puts what is new there instead, and back again.
 */
#pragma once
#include "live/view.h"

struct live;
struct live_host;

struct topic {
    const struct view *view;
    void *shared;         /* the maker's */
    uint64_t *hashes;     /* view->template->shared_slots of them; of use while there are readers */
    struct live *readers; /* a list, through live->next_reader */
    size_t readers_count;
    struct shared *stream_json; /* the encoded stream of a join; NULL = make it when one comes */
};

/* The shared model must live as long as the topic. */
void topic_init(struct topic *topic, const struct view *view, void *shared);
/* No readers any more. */
void topic_close(struct topic *topic);

/* Renders and sends what changed in the shared model and what its stream list holds; true if anything
 * was sent. `scratch` is the thread's, reset here. Without readers it does nothing: the next one
 * starts afresh. */
bool topic_broadcast(struct topic *topic, const struct live_host *host, struct buf *scratch);
/* Only what the stream's list holds, without a look at the other holes: for when nothing else can have
 * changed. A message costs so much and no more, however long the lists beside it are. */
bool topic_broadcast_stream(struct topic *topic, const struct live_host *host, struct buf *scratch);

/* All that the readers have of the stream is replaced by its list, which is to be the one that a join shows;
 * then each of them is told (LIVE_STREAM_RESET). For when more has come than is worth sending. */
bool topic_broadcast_reset(struct topic *topic, const struct live_host *host, struct buf *scratch);

/* The stream's list for joins is another one now: later joins encode it anew. */
void topic_stream_changed(struct topic *topic);

/* ---- for the engine ---- */

void topic_add(struct topic *topic, struct live *live);
void topic_remove(struct topic *topic, struct live *live);
