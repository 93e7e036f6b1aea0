/* Three ways, by what the processor has; all work on the register, which is the inverted checksum.
 *
 *   tables      a byte a step
 *   three way   SSE4.2's crc32, which takes 8 bytes and can begin one each cycle, but is ready after 3: three stretches that lie
 *               side by side at once. Their registers become one by multiplying with x^(8 · stretch) (PCLMULQDQ).
 *   folding     VPCLMULQDQ on AVX-512: 256 bytes are 16 polynomials of 128 bits, each multiplied by x^2048 mod P and added to
 *               what lies 256 bytes further on
 *
 * Bits are reflected: the lowest bit of the first byte is the highest power. A carry-less product of two reflected 32-bit values
 * lies one bit too low, and crc32 multiplies by x^32, so that a factor x^n is kept as x^(n - 33) mod P; for halves of 128 bits
 * as x^(n + 31) and x^(n - 33). The test computes all of these constants anew.
 * Sources: Gopal et al., "Fast CRC Computation for iSCSI Polynomial Using CRC32 Instruction" (Intel, 2011); Gopal et al., "Fast
 * CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction" (Intel, 2009). */
#include "base/crc32c.h"

#include <string.h>

/* --- tables ----------------------------------------------------------------------------------------------------------------- */

/* The register after one byte with one bit set; that of a byte is the sum over its bits. */
#define BIT(n, i, value) ((n) >> (i)&1 ? (value) : 0u)
#define ROW1(n)                                                                                                        \
    (BIT(n, 0, 0xF26B8303u) ^ BIT(n, 1, 0xE13B70F7u) ^ BIT(n, 2, 0xC79A971Fu) ^ BIT(n, 3, 0x8AD958CFu) ^               \
     BIT(n, 4, 0x105EC76Fu) ^ BIT(n, 5, 0x20BD8EDEu) ^ BIT(n, 6, 0x417B1DBCu) ^ BIT(n, 7, 0x82F63B78u))
#define ROW4(n) ROW1(n), ROW1((n) + 1), ROW1((n) + 2), ROW1((n) + 3)
#define ROW16(n) ROW4(n), ROW4((n) + 4), ROW4((n) + 8), ROW4((n) + 12)
#define ROW64(n) ROW16(n), ROW16((n) + 16), ROW16((n) + 32), ROW16((n) + 48)

static const uint32_t table[256] = {ROW64(0), ROW64(64), ROW64(128), ROW64(192)};

static uint32_t by_tables(uint32_t state, const uint8_t *at, size_t size)
{
    for (; size > 0; size--)
        state = table[(state ^ *at++) & 0xff] ^ state >> 8;
    return state;
}

#ifdef __x86_64__
#include <immintrin.h>

/* --- three way -------------------------------------------------------------------------------------------------------------- */

#define THREE_WAY __attribute__((target("sse4.2,pclmul")))

enum { LONG_BYTES = 1024, SHORT_BYTES = 128, FOLD_BYTES = 256, FOLD_FROM_BYTES = 256 };

/* x^(16 · bytes - 33) and x^(8 · bytes - 33). */
static const uint64_t long_shifts[2] = {0xA51B6135, 0x170076FA}, short_shifts[2] = {0xB9E02B86, 0x0D3B6092};

static uint64_t load64(const uint8_t *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

THREE_WAY static uint32_t one_way(uint32_t state, const uint8_t *at, size_t size)
{
    uint64_t wide = state;
    for (; size >= 8; size -= 8, at += 8)
        wide = _mm_crc32_u64(wide, load64(at));
    state = (uint32_t)wide;
    for (; size > 0; size--)
        state = _mm_crc32_u8(state, *at++);
    return state;
}

THREE_WAY static uint64_t product(uint64_t state, uint64_t shift)
{
    __m128i both = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)state), _mm_cvtsi64_si128((long long)shift), 0);
    return (uint64_t)_mm_cvtsi128_si64(both);
}

/* Three stretches of so many bytes each. */
THREE_WAY static inline uint32_t three_stretches(uint32_t state, const uint8_t *at, size_t bytes,
                                                 const uint64_t shifts[2])
{
    uint64_t first = state, second = 0, third = 0;
    for (size_t i = 0; i < bytes; i += 8) {
        first = _mm_crc32_u64(first, load64(at + i));
        second = _mm_crc32_u64(second, load64(at + bytes + i));
        third = _mm_crc32_u64(third, load64(at + 2 * bytes + i));
    }
    uint64_t shifted = product(first, shifts[0]) ^ product(second, shifts[1]);
    return (uint32_t)(_mm_crc32_u64(0, shifted) ^ third);
}

THREE_WAY static uint32_t by_three_way(uint32_t state, const uint8_t *at, size_t size)
{
    for (; size >= 3 * LONG_BYTES; size -= 3 * LONG_BYTES, at += 3 * LONG_BYTES)
        state = three_stretches(state, at, LONG_BYTES, long_shifts);
    for (; size >= 3 * SHORT_BYTES; size -= 3 * SHORT_BYTES, at += 3 * SHORT_BYTES)
        state = three_stretches(state, at, SHORT_BYTES, short_shifts);
    return one_way(state, at, size);
}

/* --- folding ---------------------------------------------------------------------------------------------------------------- */

#define FOLDING __attribute__((target("sse4.2,pclmul,avx512f,vpclmulqdq")))

/* What the low and the high half are multiplied with to stand so many bits further on. */
struct factors {
    uint64_t low, high;
};
static const struct factors by_128 = {0xF20C0DFE, 0x493C7D27}, by_256 = {0x3DA6D0CB, 0xBA4FC28E},
                            by_384 = {0x1C291D04, 0xDDC0152B}, by_512 = {0x740EEF02, 0x9E4ADDF8},
                            by_1024 = {0x6992CEA2, 0x0D3B6092}, by_1536 = {0xA87AB8A8, 0xAB7AFF2A},
                            by_2048 = {0xDCB17AA4, 0xB9E02B86};

FOLDING static inline __m512i fold(__m512i x, __m512i factors, __m512i next)
{
    __m512i low = _mm512_clmulepi64_epi128(x, factors, 0x00), high = _mm512_clmulepi64_epi128(x, factors, 0x11);
    return _mm512_ternarylogic_epi64(low, high, next, 0x96); /* the sum of all three */
}

FOLDING static inline __m128i pair(const struct factors *f)
{
    return _mm_set_epi64x((long long)f->high, (long long)f->low);
}

FOLDING static inline __m512i spread(const struct factors *f)
{
    return _mm512_broadcast_i32x4(pair(f));
}

/* 64 bytes, as four polynomials, to the register: the first three move on to where the last one stands. */
FOLDING static inline uint32_t reduce(__m512i x)
{
    __m512i factors = _mm512_inserti32x4(_mm512_zextsi128_si512(pair(&by_384)), pair(&by_256), 1);
    factors = _mm512_inserti32x4(factors, pair(&by_128), 2);
    __m512i moved = fold(x, factors, _mm512_maskz_mov_epi64(0xc0, x)); /* the last as it is: its factors are 0 */
    __m256i half = _mm256_xor_si256(_mm512_castsi512_si256(moved), _mm512_extracti64x4_epi64(moved, 1));
    __m128i sum = _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    uint64_t state = _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(sum));
    return (uint32_t)_mm_crc32_u64(state, (uint64_t)_mm_extract_epi64(sum, 1));
}

FOLDING static uint32_t by_folding(uint32_t state, const uint8_t *at, size_t size)
{
    if (size < FOLD_FROM_BYTES)
        return by_three_way(state, at, size);
    __m512i factors = spread(&by_2048), first = _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)state));
    __m512i a = _mm512_xor_si512(first, _mm512_loadu_si512(at)), b = _mm512_loadu_si512(at + 64),
            c = _mm512_loadu_si512(at + 128), d = _mm512_loadu_si512(at + 192);
    for (at += FOLD_BYTES, size -= FOLD_BYTES; size >= FOLD_BYTES; at += FOLD_BYTES, size -= FOLD_BYTES) {
        a = fold(a, factors, _mm512_loadu_si512(at));
        b = fold(b, factors, _mm512_loadu_si512(at + 64));
        c = fold(c, factors, _mm512_loadu_si512(at + 128));
        d = fold(d, factors, _mm512_loadu_si512(at + 192));
    }
    b = fold(b, spread(&by_1024), fold(a, spread(&by_1536), d));
    __m512i x = fold(c, spread(&by_512), b);
    for (; size >= 64; at += 64, size -= 64)
        x = fold(x, spread(&by_512), _mm512_loadu_si512(at));
    return one_way(reduce(x), at, size);
}

/* --- the choice ------------------------------------------------------------------------------------------------------------- */

static bool has(enum crc32c_way way)
{
    bool three_way = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
    switch (way) {
    case CRC32C_TABLES:
        return true;
    case CRC32C_THREE_WAY:
        return three_way;
    default:
        return three_way && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq");
    }
}

#else

enum { FOLD_FROM_BYTES = 0 };

static bool has(enum crc32c_way way)
{
    return way == CRC32C_TABLES;
}
#define by_three_way by_tables
#define by_folding by_tables

#endif

static uint32_t by(enum crc32c_way way, uint32_t state, const void *data, size_t size)
{
    switch (way) {
    case CRC32C_TABLES:
        return by_tables(state, data, size);
    case CRC32C_THREE_WAY:
        return by_three_way(state, data, size);
    default:
        return by_folding(state, data, size);
    }
}

bool crc32c_by(enum crc32c_way way, uint32_t crc, const void *data, size_t size, uint32_t *ret_crc)
{
    if (!has(way))
        return false;
    *ret_crc = ~by(way, ~crc, data, size);
    return true;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    enum crc32c_way way = has(CRC32C_FOLDING)     ? CRC32C_FOLDING
                          : has(CRC32C_THREE_WAY) ? CRC32C_THREE_WAY
                                                  : CRC32C_TABLES;
    return ~by(way, ~crc, data, size);
}
