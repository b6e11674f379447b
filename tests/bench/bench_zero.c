// SPDX-License-Identifier: GPL-2.0
/*
 * Zero detection compared with memcmp with a shift, a plain byte loop, and the read bandwidth of
 * one thread; in cache and out of it.
 *
 *	bench_zero [--rounds N] [--json FILE]
 *
 * Everything runs once per round, in random order, and the medians over the rounds are compared:
 * other load on the machine affects all alike.  Out of cache, another buffer is read before each
 * measurement; otherwise the cache contents left by the previous one change the result (by up to 15
 * percent).  The buffer is all zero, so each contestant reads all of it.  It has been written to,
 * in huge pages where the system grants them: otherwise the kernel's single zero page, which stays
 * in the cache, would be read.
 */
#include "block/zero.h"

#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define BUFFER_SIZE	((size_t)64 << 20)
#define HUGE_PAGE	((size_t)2 << 20)
#define MAX_CONTESTANTS 24
#define MAX_ROUNDS	999

typedef bool (*scan_fn)(const void *buf, size_t len);

enum kind { SCAN, RIVAL, READ };

struct contestant {
	const char *name;
	enum kind kind;
	scan_fn run;
	double rate[MAX_ROUNDS]; /* GB/s, by round; sorted at the end */
};

struct bench {
	size_t rounds;
	size_t count;
	FILE *json;
	struct contestant contestant[MAX_CONTESTANTS];
};

/* Compiled as the task specifies, whatever the flags of the rest. */
#define PLAIN_O2 __attribute__((noinline, optimize("O2", "no-tree-vectorize")))

PLAIN_O2 static bool byte_loop(const void *buf, size_t len)
{
	const unsigned char *p = buf;

	for (size_t i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

PLAIN_O2 static bool memcmp_shift(const void *buf, size_t len)
{
	const unsigned char *p = buf;

	return !p[0] && !memcmp(p, p + 1, len - 1);
}

/*
 * Readers: sum all words in vectors of @bytes, in four chains, and prefetch @ahead bytes ahead if
 * that is not 0.  A prefetch past the buffer's end has no effect.  The sum is stored, so that the
 * reads are not optimised away.
 */
static volatile uint64_t kept_sum;

#define READER(name, attributes, bytes, ahead)                                             \
	attributes __attribute__((noinline)) static bool name(const void *buf, size_t len) \
	{                                                                                  \
		typedef uint64_t vec __attribute__((vector_size(bytes), may_alias));       \
		const vec *v = buf, *end = v + len / (bytes);                              \
		vec a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };                            \
                                                                                           \
		for (; v < end; v += 4) {                                                  \
			for (size_t at = 0; (ahead) && at < 4 * (bytes); at += 64)         \
				__builtin_prefetch((const char *)v + (ahead) + at);        \
			a += v[0];                                                         \
			b += v[1];                                                         \
			c += v[2];                                                         \
			d += v[3];                                                         \
		}                                                                          \
		a += b + c + d;                                                            \
		kept_sum = a[0] + a[1];                                                    \
		return true;                                                               \
	}

READER(read_128, , 16, 0)
READER(read_128_ahead, , 16, 4096)
#ifdef __x86_64__
READER(read_256, __attribute__((target("avx2"))), 32, 0)
READER(read_256_ahead, __attribute__((target("avx2"))), 32, 4096)
READER(read_512, __attribute__((target("avx512f"))), 64, 0)
READER(read_512_ahead, __attribute__((target("avx512f"))), 64, 4096)
#endif

static void enter(struct bench *bench, const char *name, enum kind kind, scan_fn run)
{
	struct contestant *c = &bench->contestant[bench->count];

	if (bench->count == MAX_CONTESTANTS)
		return;
	c->name = name;
	c->kind = kind;
	c->run = run;
	bench->count++;
}

static void enter_all(struct bench *bench)
{
	enter(bench, "buffer_is_zero", SCAN, buffer_is_zero);
	for (size_t i = 0; zero_impl_get(i); i++)
		enter(bench, zero_impl_get(i)->name, SCAN, zero_impl_get(i)->is_zero);
	enter(bench, "memcmp shift", RIVAL, memcmp_shift);
	enter(bench, "byte loop", RIVAL, byte_loop);
	enter(bench, "read 128", READ, read_128);
	enter(bench, "read 128 prefetch", READ, read_128_ahead);
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2")) {
		enter(bench, "read 256", READ, read_256);
		enter(bench, "read 256 prefetch", READ, read_256_ahead);
	}
	if (__builtin_cpu_supports("avx512f")) {
		enter(bench, "read 512", READ, read_512);
		enter(bench, "read 512 prefetch", READ, read_512_ahead);
	}
#endif
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec * 1e-9;
}

/* Read all of @buf, to evict everything else from the caches. */
static void evict(const unsigned char *buf)
{
	for (size_t i = 0; i < BUFFER_SIZE; i += 64)
		kept_sum += *(const volatile unsigned char *)(buf + i);
}

/* Return GB/s over @passes passes; 0 if the answer is wrong. @other: NULL in cache. */
static double measure(const struct contestant *c, const void *buf, size_t size, size_t passes,
		      const void *other)
{
	bool ok = true;
	double start;

	if (other)
		evict(other);
	else
		ok = c->run(buf, size);
	start = now();
	for (size_t i = 0; i < passes; i++)
		ok &= c->run(buf, size);
	return ok ? passes * size / (now() - start) / 1e9 : 0;
}

static int by_rate(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const struct bench *bench, const struct contestant *c)
{
	return c->rate[bench->rounds / 2];
}

static const struct contestant *find(const struct bench *bench, const char *name)
{
	for (size_t i = 0; i < bench->count; i++)
		if (!strcmp(bench->contestant[i].name, name))
			return &bench->contestant[i];
	return NULL;
}

static double best_read(const struct bench *bench)
{
	double best = 0;

	for (size_t i = 0; i < bench->count; i++) {
		const struct contestant *c = &bench->contestant[i];

		if (c->kind == READ && median(bench, c) > best)
			best = median(bench, c);
	}
	return best;
}

/* Fisher-Yates with a fixed seed: a different order in each round, the same in each run. */
static void shuffle(size_t *order, size_t count)
{
	static uint64_t seed = 0x9e3779b97f4a7c15;

	for (size_t i = count - 1; i > 0; i--) {
		size_t j, swap = order[i];

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		j = seed % (i + 1);
		order[i] = order[j];
		order[j] = swap;
	}
}

static void run_rounds(struct bench *bench, const void *buf, size_t size, size_t passes,
		       const void *other)
{
	size_t order[MAX_CONTESTANTS];

	for (size_t i = 0; i < bench->count; i++)
		order[i] = i;
	for (size_t round = 0; round < bench->rounds; round++) {
		shuffle(order, bench->count);
		for (size_t i = 0; i < bench->count; i++) {
			struct contestant *c = &bench->contestant[order[i]];

			c->rate[round] = measure(c, buf, size, passes, other);
		}
	}
	for (size_t i = 0; i < bench->count; i++)
		qsort(bench->contestant[i].rate, bench->rounds, sizeof(double), by_rate);
}

static void report(const struct bench *bench, size_t size)
{
	double loop = median(bench, find(bench, "byte loop"));
	double read = best_read(bench);

	printf("\n%zu KiB, %s cache, GB/s over %zu rounds\n", size >> 10,
	       size == BUFFER_SIZE ? "out of" : "in", bench->rounds);
	printf("%-20s %8s %8s %8s %12s %14s\n", "", "median", "min", "max", "x byte loop",
	       "% of best read");
	for (size_t i = 0; i < bench->count; i++) {
		const struct contestant *c = &bench->contestant[i];
		double mid = median(bench, c);

		printf("%-20s %8.2f %8.2f %8.2f %12.1f %14.1f\n", c->name, mid, c->rate[0],
		       c->rate[bench->rounds - 1], mid / loop, 100 * mid / read);
		if (bench->json)
			fprintf(bench->json,
				"{\"bench\": \"zero\", \"size\": %zu, \"name\": \"%s\", "
				"\"rounds\": %zu, \"gbps_median\": %.3f, \"gbps_min\": %.3f, "
				"\"gbps_max\": %.3f, \"x_byte_loop\": %.2f, "
				"\"of_best_read\": %.3f}\n",
				size, c->name, bench->rounds, mid, c->rate[0],
				c->rate[bench->rounds - 1], mid / loop, mid / read);
	}
}

static bool run_size(struct bench *bench, const void *buf, size_t size, size_t passes,
		     const void *other)
{
	run_rounds(bench, buf, size, passes, other);
	for (size_t i = 0; i < bench->count; i++)
		if (bench->contestant[i].rate[0] == 0) {
			fprintf(stderr, "bench_zero: %s: found a nonzero byte in zeroes\n",
				bench->contestant[i].name);
			return false;
		}
	report(bench, size);
	return true;
}

static void verdict(const char *what, double is, double aim, const char *unit)
{
	printf("%s: %.1f%s, aim %.0f%s: %s\n", what, is, unit, aim, unit,
	       is >= aim ? "met" : "NOT MET");
}

/* Return a buffer of zeroes with memory allocated; NULL if there is no memory. */
static unsigned char *new_buffer(void)
{
	unsigned char *buf = aligned_alloc(HUGE_PAGE, BUFFER_SIZE);

	if (!buf)
		return NULL;
	/* Without huge pages all figures are only slightly lower. */
	(void)madvise(buf, BUFFER_SIZE, MADV_HUGEPAGE);
	memset(buf, 1, BUFFER_SIZE);
	memset(buf, 0, BUFFER_SIZE);
	return buf;
}

static int run(struct bench *bench, const unsigned char *buf, const unsigned char *other)
{
	const struct contestant *ours;
	double in_cache, out_of_cache;

	enter_all(bench);
	ours = find(bench, "buffer_is_zero");
	printf("buffer_is_zero uses %s\n", zero_impl_chosen()->name);

	if (!run_size(bench, buf, 64 << 10, 500, NULL))
		return 1;
	in_cache = median(bench, ours) / median(bench, find(bench, "byte loop"));
	if (!run_size(bench, buf, BUFFER_SIZE, 1, other))
		return 1;
	out_of_cache = 100 * median(bench, ours) / best_read(bench);

	printf("\n");
	verdict("64 KiB in cache, times the byte loop", in_cache, 20, "x");
	verdict("64 MiB out of cache, of one thread's read bandwidth", out_of_cache, 90, "%");
	return 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: bench_zero [--rounds N (1..%d)] [--json FILE]\n", MAX_ROUNDS);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "rounds", required_argument, NULL, 'r' },
		{ "json", required_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	static struct bench bench = { .rounds = 31 };
	unsigned char *buf, *other;
	int opt, status = 1;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (opt == 'r') {
			bench.rounds = strtoul(optarg, NULL, 10);
			if (bench.rounds < 1 || bench.rounds > MAX_ROUNDS)
				return usage();
		} else if (opt == 'j' && !bench.json) {
			bench.json = fopen(optarg, "w");
			if (!bench.json) {
				fprintf(stderr, "bench_zero: %s: %m\n", optarg);
				return 1;
			}
		} else {
			return usage();
		}
	}
	if (optind != argc)
		return usage();

	buf = new_buffer();
	other = new_buffer();
	if (buf && other)
		status = run(&bench, buf, other);
	else
		fprintf(stderr, "bench_zero: no memory for the buffers\n");
	free(buf);
	free(other);
	if (bench.json && fclose(bench.json)) {
		perror("bench_zero: json");
		return 1;
	}
	return status;
}
