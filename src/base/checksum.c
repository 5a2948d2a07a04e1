/* Each event is checked wherever it is read, so this is a tenth of what a message costs: processors that
 * have an instruction for it are asked to use it. For all others there are eight tables, eight bytes a
 * step. A constructor fills them and asks the processor before main, so all threads only read. */
#include "base/checksum.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

enum { POLYNOMIAL_STEPS = 8, TABLES = 8 };
static const uint32_t polynomial = 0x82f63b78; /* 0x1edc6f41 with its bits turned round */

static uint32_t tables[TABLES][256];

__attribute__((constructor)) static void tables_fill(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t sum = byte;
        for (int step = 0; step < POLYNOMIAL_STEPS; step++)
            sum = (sum >> 1) ^ ((sum & 1) != 0 ? polynomial : 0);
        tables[0][byte] = sum;
    }
    for (size_t table = 1; table < TABLES; table++) {
        for (size_t byte = 0; byte < 256; byte++) {
            uint32_t before = tables[table - 1][byte];
            tables[table][byte] = (before >> 8) ^ tables[0][before & 0xff];
        }
    }
}

static uint32_t read_u32(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

uint32_t crc32c_tables(uint32_t checksum, struct slice bytes)
{
    const unsigned char *at = (const unsigned char *)bytes.at;
    size_t left = bytes.len;
    uint32_t sum = ~checksum;

    for (; left >= 8; left -= 8, at += 8) {
        uint32_t low = sum ^ read_u32(at);
        uint32_t high = read_u32(at + 4);
        sum = tables[7][low & 0xff] ^ tables[6][(low >> 8) & 0xff] ^ tables[5][(low >> 16) & 0xff] ^
              tables[4][low >> 24] ^ tables[3][high & 0xff] ^ tables[2][(high >> 8) & 0xff] ^
              tables[1][(high >> 16) & 0xff] ^ tables[0][high >> 24];
    }
    for (; left > 0; left--, at++)
        sum = (sum >> 8) ^ tables[0][(sum ^ *at) & 0xff];
    return ~sum;
}

#if defined(__x86_64__)
static bool has_instruction;

__attribute__((constructor)) static void ask_processor(void)
{
    __builtin_cpu_init();
    has_instruction = __builtin_cpu_supports("sse4.2") != 0;
}

__attribute__((target("sse4.2"))) static uint32_t crc32c_instruction(uint32_t checksum,
                                                                     struct slice bytes)
{
    const char *at = bytes.at;
    size_t left = bytes.len;
    uint64_t sum = ~checksum;
    for (; left >= 8; left -= 8, at += 8) {
        unsigned long long some;
        memcpy(&some, at, sizeof some);
        sum = _mm_crc32_u64(sum, some);
    }
    for (; left > 0; left--, at++)
        sum = _mm_crc32_u8((uint32_t)sum, (unsigned char)*at);
    return ~(uint32_t)sum;
}

uint32_t crc32c_more(uint32_t checksum, struct slice bytes)
{
    return has_instruction ? crc32c_instruction(checksum, bytes) : crc32c_tables(checksum, bytes);
}
#else
uint32_t crc32c_more(uint32_t checksum, struct slice bytes)
{
    return crc32c_tables(checksum, bytes);
}
#endif

uint32_t crc32c(struct slice bytes)
{
    return crc32c_more(0, bytes);
}
