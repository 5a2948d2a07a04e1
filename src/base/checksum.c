/* Eight tables, eight bytes a step: as fast as a disk or a network needs, without asking which
 * instructions the machine has. A constructor fills them before main, so all threads only read. */
#include "base/checksum.h"

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

uint32_t crc32c_more(uint32_t checksum, struct slice bytes)
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

uint32_t crc32c(struct slice bytes)
{
    return crc32c_more(0, bytes);
}
