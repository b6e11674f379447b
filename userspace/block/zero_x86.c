// SPDX-License-Identifier: GPL-2.0
/* Zero detection: SSE2, AVX2 and AVX-512 versions; nothing on other CPUs. */
#include "block/zero.h"

#ifdef __x86_64__

#include <immintrin.h>

/*
 * All three work the same way.  The first and the last vector are read unaligned,
 * the aligned vectors between them eight at a time with one test per iteration, so
 * that the loads, not the branches, are the limit; then the remaining vectors one
 * by one.  The two unaligned reads cover the ragged ends, overlapping the aligned
 * part, so there is no loop over single bytes.
 */

/* The first address beyond @p that is a multiple of @size, a power of two. */
static inline const unsigned char *next_aligned(const unsigned char *p, size_t size)
{
	return p + (size - ((uintptr_t)p & (size - 1)));
}

/* The last address not beyond @p that is a multiple of @size, a power of two. */
static inline const unsigned char *last_aligned(const unsigned char *p, size_t size)
{
	return p - ((uintptr_t)p & (size - 1));
}

static inline bool sse2_any(__m128i v)
{
	return _mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_setzero_si128())) != 0xffff;
}

static bool is_zero_sse2(const void *buf, size_t len)
{
	const unsigned char *p = buf, *end;
	const __m128i *v, *stop;
	__m128i acc;

	if (len < sizeof(*v))
		return zero_is_zero_short(p, len);

	end = p + len;
	acc = _mm_or_si128(_mm_loadu_si128((const __m128i *)p),
			   _mm_loadu_si128((const __m128i *)(end - sizeof(*v))));
	if (sse2_any(acc))
		return false;

	v = (const __m128i *)next_aligned(p, sizeof(*v));
	stop = (const __m128i *)last_aligned(end, sizeof(*v));
	for (; stop - v >= 8; v += 8) {
		__m128i a = _mm_or_si128(v[0], v[1]);
		__m128i b = _mm_or_si128(v[2], v[3]);
		__m128i c = _mm_or_si128(v[4], v[5]);
		__m128i d = _mm_or_si128(v[6], v[7]);

		if (sse2_any(_mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d))))
			return false;
	}
	for (; v < stop; v++)
		acc = _mm_or_si128(acc, *v);
	return !sse2_any(acc);
}

__attribute__((target("avx2"))) static bool is_zero_avx2(const void *buf, size_t len)
{
	const unsigned char *p = buf, *end;
	const __m256i *v, *stop;
	__m256i acc;

	if (len < sizeof(*v))
		return zero_is_zero_short(p, len);

	end = p + len;
	acc = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)p),
			      _mm256_loadu_si256((const __m256i *)(end - sizeof(*v))));
	if (!_mm256_testz_si256(acc, acc))
		return false;

	v = (const __m256i *)next_aligned(p, sizeof(*v));
	stop = (const __m256i *)last_aligned(end, sizeof(*v));
	for (; stop - v >= 8; v += 8) {
		__m256i a = _mm256_or_si256(v[0], v[1]);
		__m256i b = _mm256_or_si256(v[2], v[3]);
		__m256i c = _mm256_or_si256(v[4], v[5]);
		__m256i d = _mm256_or_si256(v[6], v[7]);
		__m256i all = _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d));

		if (!_mm256_testz_si256(all, all))
			return false;
	}
	for (; v < stop; v++)
		acc = _mm256_or_si256(acc, *v);
	return _mm256_testz_si256(acc, acc);
}

__attribute__((target("avx512f"))) static bool is_zero_avx512(const void *buf, size_t len)
{
	const unsigned char *p = buf, *end;
	const __m512i *v, *stop;
	__m512i acc;

	if (len < sizeof(*v))
		return zero_is_zero_short(p, len);

	end = p + len;
	acc = _mm512_or_si512(_mm512_loadu_si512(p), _mm512_loadu_si512(end - sizeof(*v)));
	if (_mm512_test_epi64_mask(acc, acc))
		return false;

	v = (const __m512i *)next_aligned(p, sizeof(*v));
	stop = (const __m512i *)last_aligned(end, sizeof(*v));
	for (; stop - v >= 8; v += 8) {
		__m512i a = _mm512_or_si512(v[0], v[1]);
		__m512i b = _mm512_or_si512(v[2], v[3]);
		__m512i c = _mm512_or_si512(v[4], v[5]);
		__m512i d = _mm512_or_si512(v[6], v[7]);
		__m512i all = _mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d));

		if (_mm512_test_epi64_mask(all, all))
			return false;
	}
	for (; v < stop; v++)
		acc = _mm512_or_si512(acc, *v);
	return !_mm512_test_epi64_mask(acc, acc);
}

static bool always(void)
{
	return true;
}

static bool have_avx2(void)
{
	return __builtin_cpu_supports("avx2");
}

static bool have_avx512(void)
{
	return __builtin_cpu_supports("avx512f");
}

/*
 * Not on the first CPUs with AVX-512, which lower the clock of the whole core
 * for a while after 512-bit code; those that came with VBMI2 and later do not.
 * Nor on AMD's family 19h (Zen 4), which halves every 512-bit load: in cache it
 * was measured as fast as AVX2, out of cache 6 to 8 percent slower.
 */
static bool avx512_is_worth_it(void)
{
	return __builtin_cpu_supports("avx512vbmi2") && !__builtin_cpu_is("amdfam19h");
}

const struct zero_impl zero_arch_impls[] = {
	{ "avx512", is_zero_avx512, have_avx512, avx512_is_worth_it },
	{ "avx2", is_zero_avx2, have_avx2, always },
	{ "sse2", is_zero_sse2, always, always },
	{ .name = NULL },
};

#endif
