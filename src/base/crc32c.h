/* CRC32C (Castagnoli; RFC 3720, appendix B.4): the checksum of record batches and of all that the journal writes.
 *
 *   crc = crc32c(0, header, n);
 *   crc = crc32c(crc, body, m);          as of both together
 *
 * Uses the processor's own instructions where it has them, the fastest way that it has; else tables. Thread: any. */
#ifndef PRISM_BASE_CRC32C_H
#define PRISM_BASE_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *data, size_t size);

/* The ways that crc32c chooses from, for tests and measurements. false: not on this processor, nothing done. */
enum crc32c_way { CRC32C_TABLES, CRC32C_THREE_WAY, CRC32C_FOLDING, CRC32C_WAY_COUNT };
bool crc32c_by(enum crc32c_way, uint32_t crc, const void *data, size_t size, uint32_t *ret_crc);

#endif
