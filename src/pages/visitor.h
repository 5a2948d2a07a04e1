/* What every page knows of its own reader: the name, the form for one, the private style.
 *
 * All that differs for a reader in what is shown alike to everybody is in one <style>: the same bytes
 * go to all, and its rules say which of it is "me", "you", "my name" and unread. Part of each page's
 * model; made at mount.
 */
#pragma once
#include "live/live.h"
#include "pages/reader.h"

enum name_state { NAME_IDLE, NAME_INVALID, NAME_GIVEN /* the browser posts the form now */ };

struct visitor {
    struct live *live;
    char *csrf; /* the token for forms */
    char *name; /* what was given in the form; NULL until then */
    uint16_t csrf_len, name_len;
    enum name_state name_state;
    uint16_t words[2]; /* hashes of @mentions that mean this reader; 0 = none */
};

/* Fields that a template has for it. */
struct visitor_view {
    struct slice csrf, name, name_given, name_hint, trigger;
    bool has_name;
};

void visitor_mount(struct visitor *visitor, struct live *live, const struct side *side);
void visitor_unmount(struct visitor *visitor);
/* The event set_name. */
void visitor_set_name(struct visitor *visitor, const struct params *params);

void visitor_fill(struct visitor_view *view, const struct visitor *visitor);
/* The whole element; `more` are rules of the page's own. */
void visitor_add_style(struct buf *out, const struct visitor *visitor, const struct side *side,
                       struct slice more);
