#include "web/wheel.h"

#include <stddef.h>

void wheel_init(struct wheel *wheel, uint64_t now_ms)
{
    wheel->tick = now_ms / WHEEL_TICK_MS;
    for (size_t i = 0; i < WHEEL_SLOTS; i++) {
        struct wheel_node *head = &wheel->slots[i];
        *head = (struct wheel_node){.prev = head, .next = head};
    }
}

void wheel_remove(struct wheel_node *node)
{
    if (node->next == NULL) return;
    node->prev->next = node->next;
    node->next->prev = node->prev;
    *node = (struct wheel_node){.tick = 0};
}

void wheel_set(struct wheel *wheel, struct wheel_node *node, uint64_t at_ms)
{
    uint64_t tick = at_ms / WHEEL_TICK_MS;

    if (tick <= wheel->tick) tick = wheel->tick + 1;
    if (tick >= wheel->tick + WHEEL_SLOTS) tick = wheel->tick + WHEEL_SLOTS - 1;
    wheel_remove(node);
    struct wheel_node *head = &wheel->slots[tick % WHEEL_SLOTS];
    *node = (struct wheel_node){.prev = head->prev, .next = head, .tick = tick};
    head->prev->next = node;
    head->prev = node;
}

void wheel_set_sooner(struct wheel *wheel, struct wheel_node *node, uint64_t at_ms)
{
    if (node->next != NULL && node->tick <= at_ms / WHEEL_TICK_MS) return;
    wheel_set(wheel, node, at_ms);
}

struct wheel_node *wheel_pop(struct wheel *wheel, uint64_t now_ms)
{
    for (;;) {
        struct wheel_node *head = &wheel->slots[wheel->tick % WHEEL_SLOTS];
        if (head->next != head) {
            struct wheel_node *node = head->next;
            wheel_remove(node);
            return node;
        }
        if (wheel->tick >= now_ms / WHEEL_TICK_MS) return NULL;
        wheel->tick++;
    }
}
