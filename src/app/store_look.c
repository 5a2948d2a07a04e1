#include "app/store_look.h"

int store_look(struct store_look *look, uint64_t now_ms, uint64_t *number)
{
    struct event_meta meta;
    if (!look->has_looked || now_ms - look->looked_ms >= STORE_LOOK_MS) {
        int rv = event_reader_begin(look->reader, &meta);
        if (rv != 0) return rv;
        event_reader_end(look->reader);
        look->number = meta.number;
        look->looked_ms = now_ms;
        look->has_looked = true;
    }
    *number = look->number;
    return 0;
}
