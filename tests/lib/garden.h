/* The models of garden.heex. */
#pragma once
#include "live/render.h"

enum { GARDEN_WORDS = 4, GARDEN_GROUPS = 4, GARDEN_MESSAGES = 64 };

struct garden_page {
    struct slice class, text;
    const char *deep;
    bool flag, second;
    int number;
    const struct slice *words;
    size_t words_count;
    struct html markup;
};

struct garden_group {
    struct slice name;
    const struct slice *tags;
    size_t tags_count;
    bool hot;
    unsigned count;
};

struct garden_message {
    struct slice id;
    struct html body;
    bool flag;
};

struct garden_shared {
    const struct garden_group *groups;
    size_t groups_count;
    const struct garden_message *messages;
    size_t messages_count;
    bool open;
    uint64_t count;
    struct slice name;
};
