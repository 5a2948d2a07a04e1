/* Numbers in bytes that are written down or sent: little-endian, whatever the machine is. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* The lowest `size` bytes (1 to 8) of the value. */
static inline void little_store(void *at, uint64_t value, size_t size)
{
    uint8_t *bytes = at;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

static inline uint64_t little_load(const void *at, size_t size)
{
    const uint8_t *bytes = at;
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static inline uint32_t little_load_u32(const void *at)
{
    return (uint32_t)little_load(at, 4);
}
