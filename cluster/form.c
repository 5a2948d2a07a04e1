#include "cluster/form.h"

enum form_step form_decide(enum data_dir_state mine, const struct form_peer *others,
                           size_t others_count, const char **waits_for)
{
    *waits_for = NULL;
    for (size_t i = 0; i < others_count; i++) {
        if (mine == DATA_DIR_EMPTY && others[i].is_heard && others[i].state == DATA_DIR_FORMED) {
            *waits_for = others[i].name;
            return FORM_TOO_LATE;
        }
    }
    for (size_t i = 0; i < others_count; i++) {
        /* It has heard that all were marked, and we have not voted yet: the cluster has begun without us. */
        bool has_begun = mine == DATA_DIR_FORMING && others[i].state == DATA_DIR_FORMED;
        if (has_begun && others[i].is_heard) return FORM_BOOTSTRAP;
    }
    for (size_t i = 0; i < others_count; i++) {
        bool is_behind = mine == DATA_DIR_FORMING && others[i].state == DATA_DIR_EMPTY;
        if (!others[i].is_heard || is_behind) {
            *waits_for = others[i].name;
            return FORM_WAIT;
        }
    }
    return mine == DATA_DIR_EMPTY ? FORM_MARK : FORM_BOOTSTRAP;
}
