/* CRC-32C (Castagnoli): finds accidental damage, at some gigabytes a second. No protection against
 * anybody who changes bytes on purpose; that is what crypto_hmac is for.
 */
#pragma once
#include "base/slice.h"

uint32_t crc32c(struct slice bytes);

/* Goes on where another one ended: crc32c(ab) == crc32c_more(crc32c(a), b). */
uint32_t crc32c_more(uint32_t checksum, struct slice bytes);

/* The same without the processor's instruction; for machines that have none, and for the tests. */
uint32_t crc32c_tables(uint32_t checksum, struct slice bytes);
