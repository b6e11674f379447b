// SPDX-License-Identifier: GPL-2.0
/*
 * Zero detection: each implementation that this CPU supports, and the dispatcher, over every
 * length, offset and position of a nonzero byte.
 *
 * All combinations take 565 million calls per implementation, spread over the CPUs; `make
 * check-long` makes them.  Otherwise there are fewer, fewest in a sanitizer build, and the test
 * prints that; struct cover has the choices, and QEDBLK_ZERO_TEST=full|quick|glance selects one by
 * hand.
 */
#include "block/zero.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_LEN 4200u
#define OFFSETS 64u
#define CANARY	64u
#define ARENA	(CANARY + OFFSETS + MAX_LEN + CANARY)

typedef bool (*is_zero_fn)(const void *buf, size_t len);

/*
 * Up to @all_to bytes, test every (offset, length, position); for longer buffers, one in @step
 * lengths for each offset and position, so that with a step of OFFSETS every (length, position) is
 * tested at one offset, in rotation.
 */
struct cover {
	const char *name;
	size_t all_to;
	size_t step;
};

static const struct cover covers[] = {
	{ "full", MAX_LEN, OFFSETS },
	{ "quick", 1100, OFFSETS },
	{ "glance", 200, OFFSETS * 61 },
};

#if defined(__SANITIZE_THREAD__)
#define DEFAULT_COVER 2
#elif defined(__SANITIZE_ADDRESS__)
#define DEFAULT_COVER 1
#else
#define DEFAULT_COVER (getenv("QEDBLK_LONG") ? 0 : 1)
#endif

struct subject {
	const char *name;
	is_zero_fn is_zero;
};

/* The reference implementation. Not instrumented by sanitizers, to save time. */
__attribute__((no_sanitize("address", "thread", "undefined"))) static bool
byte_loop(const void *buf, size_t len)
{
	const unsigned char *p = buf;

	for (size_t i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

static size_t impl_count(void)
{
	size_t count = 0;

	while (zero_impl_get(count))
		count++;
	return count;
}

static size_t subject_count(void)
{
	return 1 + impl_count();
}

static struct subject subject_get(size_t index)
{
	const struct zero_impl *impl;

	if (index == 0)
		return (struct subject){ "buffer_is_zero", buffer_is_zero };
	impl = zero_impl_get(index - 1);
	assert_non_null(impl);
	return (struct subject){ impl->name, impl->is_zero };
}

/* Return the CPU time that this thread has used, in seconds. */
static double cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec + ts.tv_nsec * 1e-9;
}

/* Return an arena whose byte at CANARY is aligned to 64 bytes. */
static unsigned char *new_arena(int fill)
{
	unsigned char *arena = aligned_alloc(64, (ARENA + 63) / 64 * 64);

	assert_non_null(arena);
	memset(arena, fill, ARENA);
	return arena;
}

/* Threads that make the very first call concurrently: the selection is a benign race. */
#define RACERS 8

static pthread_barrier_t start_line;

static void *race(void *buf)
{
	bool ok = true;

	pthread_barrier_wait(&start_line);
	for (size_t i = 0; i < 1000; i++)
		ok &= buffer_is_zero(buf, MAX_LEN);
	return ok ? buf : NULL;
}

static void test_first_call_from_many_threads(void **state)
{
	unsigned char *arena = new_arena(0);
	pthread_t thread[RACERS];

	(void)state;
	assert_int_equal(pthread_barrier_init(&start_line, NULL, RACERS), 0);
	for (size_t i = 0; i < RACERS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, race, arena), 0);
	for (size_t i = 0; i < RACERS; i++) {
		void *ok;

		assert_int_equal(pthread_join(thread[i], &ok), 0);
		assert_non_null(ok);
	}
	pthread_barrier_destroy(&start_line);
	free(arena);
}

/* Return whether /proc/cpuinfo, a source independent of our code, has @flag as a word. */
static bool cpuinfo_has(const char *flag)
{
	FILE *file = fopen("/proc/cpuinfo", "r");
	char *line = NULL, *rest, *word;
	size_t size = 0;
	bool found = false;

	assert_non_null(file);
	while (!found && getline(&line, &size, file) >= 0) {
		if (strncmp(line, "flags", 5) && strncmp(line, "Features", 8))
			continue;
		for (word = strtok_r(line, " \t\n", &rest); word && !found;
		     word = strtok_r(NULL, " \t\n", &rest))
			found = !strcmp(word, flag);
	}
	free(line);
	fclose(file);
	return found;
}

static bool listed(const char *name)
{
	for (size_t i = 0; i < impl_count(); i++)
		if (!strcmp(zero_impl_get(i)->name, name))
			return true;
	return false;
}

static void test_list_agrees_with_the_cpu(void **state)
{
	size_t count = impl_count();

	(void)state;
	assert_true(count >= 1);
	assert_null(zero_impl_get(count));
	assert_null(zero_impl_get(SIZE_MAX));
	assert_string_equal(zero_impl_get(count - 1)->name, "portable");
	assert_true(listed(zero_impl_chosen()->name));
	assert_int_equal(listed("sse2"), cpuinfo_has("sse2"));
	assert_int_equal(listed("avx2"), cpuinfo_has("avx2"));
	assert_int_equal(listed("avx512"), cpuinfo_has("avx512f"));
	assert_int_equal(listed("neon"), cpuinfo_has("asimd"));
	print_message("implementations:");
	for (size_t i = 0; i < count; i++)
		print_message(" %s%s", zero_impl_get(i)->name,
			      zero_impl_get(i) == zero_impl_chosen() ? " (chosen)" : "");
	print_message("\n");
}

static void test_no_bytes_are_zero(void **state)
{
	(void)state;
	for (size_t i = 0; i < subject_count(); i++) {
		assert_true(subject_get(i).is_zero("\377", 0));
		assert_true(subject_get(i).is_zero(NULL, 0));
	}
}

/* Zeroes with 0xff directly before and after: every length at every offset. */
static void test_zeroes_between_canaries(void **state)
{
	(void)state;
	for (size_t i = 0; i < subject_count(); i++) {
		struct subject s = subject_get(i);

		for (size_t offset = 0; offset < OFFSETS; offset++) {
			unsigned char *arena = new_arena(0xff);
			unsigned char *buf = arena + CANARY + offset;

			for (size_t len = 0; len <= MAX_LEN; len++) {
				if (len)
					buf[len - 1] = 0;
				if (!s.is_zero(buf, len) || !byte_loop(buf, len))
					fail_msg("%s: false for %zu zeroes at offset %zu", s.name,
						 len, offset);
			}
			free(arena);
		}
	}
}

/* Shared by the workers: a work item is one offset of one subject. */
#define MAX_WORKERS 8

struct sweep {
	const struct cover *cover;
	atomic_size_t next; /* item: subject * OFFSETS + offset */
	pthread_mutex_t lock; /* guards the rest */
	uint64_t *calls; /* by subject */
	double *seconds; /* CPU time, by subject */
	char failure[160]; /* the first failure; empty: none */
};

/*
 * The byte at @place is the only nonzero one: no length from @len on, in steps of @step, may be
 * called zero.  Return the first that is, 0 if there is none.
 */
static size_t wrong_length(const struct subject *s, const unsigned char *buf, size_t len,
			   size_t max_len, size_t step, uint64_t *calls)
{
	for (; len <= max_len; len += step, ++*calls)
		if (s->is_zero(buf, len))
			return len;
	return 0;
}

/* Test all positions of the nonzero byte for one offset; return false after a failure. */
static bool sweep_offset(struct sweep *sweep, size_t subject, unsigned char *buf, size_t offset)
{
	struct subject s = subject_get(subject);
	const struct cover *cover = sweep->cover;
	double start = cpu_seconds();
	uint64_t calls = 0;
	size_t place, wrong = 0;

	for (place = 0; place < MAX_LEN && !wrong; place++) {
		size_t len = place + 1;

		/* A single bit; each position has all eight over the offsets. */
		buf[place] = 1u << ((place + offset) & 7);
		wrong = byte_loop(buf, len) ? len : 0;
		if (!wrong)
			wrong = wrong_length(&s, buf, len, cover->all_to, 1, &calls);

		/* For longer buffers the length and the position together select the offset. */
		len = len > cover->all_to ? len : cover->all_to + 1;
		len += (offset - len - place) % OFFSETS;
		len += OFFSETS * (place % (cover->step / OFFSETS));
		if (!wrong)
			wrong = wrong_length(&s, buf, len, MAX_LEN, cover->step, &calls);
		buf[place] = 0;
	}

	pthread_mutex_lock(&sweep->lock);
	sweep->calls[subject] += calls;
	sweep->seconds[subject] += cpu_seconds() - start;
	if (wrong && !sweep->failure[0])
		snprintf(sweep->failure, sizeof(sweep->failure),
			 "%s: true for %zu bytes at offset %zu with byte %zu nonzero", s.name,
			 wrong, offset, place - 1);
	pthread_mutex_unlock(&sweep->lock);
	return !wrong;
}

static void *sweep_worker(void *arg)
{
	struct sweep *sweep = arg;
	unsigned char *arena = new_arena(0);
	size_t item, items = subject_count() * OFFSETS;
	bool ok = true;

	while (ok && (item = atomic_fetch_add(&sweep->next, 1)) < items)
		ok = sweep_offset(sweep, item / OFFSETS, arena + CANARY + item % OFFSETS,
				  item % OFFSETS);
	free(arena);
	return NULL;
}

static void run_sweep(struct sweep *sweep)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t workers = cpus < 1 ? 1 : cpus > MAX_WORKERS ? MAX_WORKERS : cpus;
	pthread_t thread[MAX_WORKERS];

	for (size_t i = 0; i < workers; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, sweep_worker, sweep), 0);
	for (size_t i = 0; i < workers; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
}

static const struct cover *wanted_cover(void)
{
	const char *wish = getenv("QEDBLK_ZERO_TEST");

	for (size_t i = 0; wish && i < sizeof(covers) / sizeof(covers[0]); i++)
		if (!strcmp(wish, covers[i].name))
			return &covers[i];
	return &covers[DEFAULT_COVER];
}

static void test_one_nonzero_byte_in_every_place(void **state)
{
	const uint64_t product = (uint64_t)OFFSETS * MAX_LEN * (MAX_LEN + 1) / 2;
	const struct cover *cover = wanted_cover();
	struct sweep sweep = {
		.cover = cover,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.calls = calloc(subject_count(), sizeof(*sweep.calls)),
		.seconds = calloc(subject_count(), sizeof(*sweep.seconds)),
	};

	(void)state;
	assert_non_null(sweep.calls);
	assert_non_null(sweep.seconds);
	run_sweep(&sweep);
	if (sweep.failure[0])
		fail_msg("%s", sweep.failure);
	print_message("cover \"%s\": all up to %zu of %u bytes", cover->name, cover->all_to,
		      MAX_LEN);
	if (cover->all_to < MAX_LEN)
		print_message(", REDUCED to one in %zu beyond", cover->step);
	print_message("\n");
	for (size_t i = 0; i < subject_count(); i++) {
		print_message("%-15s %9llu of %llu (offset, length, place), %.1f s of CPU\n",
			      subject_get(i).name, (unsigned long long)sweep.calls[i],
			      (unsigned long long)product, sweep.seconds[i]);
		if (cover->all_to == MAX_LEN)
			assert_int_equal(sweep.calls[i], product);
	}
	free(sweep.calls);
	free(sweep.seconds);
}

/*
 * Buffers that begin and end at inaccessible pages.  Both are all zero, so that no early exit hides
 * a read out of bounds.
 */
static void test_guard_pages(void **state)
{
	size_t page = sysconf(_SC_PAGESIZE);
	size_t room = (MAX_LEN + page - 1) / page * page;
	unsigned char *map =
		mmap(NULL, room + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char *first = map + page, *end = first + room;

	(void)state;
	assert_true(map != MAP_FAILED);
	assert_int_equal(mprotect(first, room, PROT_READ | PROT_WRITE), 0);
	for (size_t i = 0; i < subject_count(); i++) {
		struct subject s = subject_get(i);

		for (size_t len = 0; len <= MAX_LEN; len++) {
			assert_true(s.is_zero(first, len));
			assert_true(s.is_zero(end - len, len));
		}
	}
	assert_int_equal(munmap(map, room + 2 * page), 0);
}

#define EXACT_LEN 1100

/* Allocations of the exact size: AddressSanitizer detects any access out of bounds. */
static void test_exact_allocations(void **state)
{
	(void)state;
	for (size_t len = 1; len <= EXACT_LEN; len++) {
		unsigned char *buf = calloc(1, len);

		assert_non_null(buf);
		for (size_t i = 0; i < subject_count(); i++)
			assert_true(subject_get(i).is_zero(buf, len));
		free(buf);
	}
}

static uint64_t random_next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* A few nonzero bytes near a random window, inside it or not, compared with the byte loop. */
static void random_case(const struct subject *s, unsigned char *arena, size_t size, uint64_t *seed)
{
	size_t start = random_next(seed) % size;
	size_t len = random_next(seed) % (size - start + 1);
	size_t count = random_next(seed) % 4;
	size_t place[4];

	for (size_t i = 0; i < count; i++) {
		size_t near = random_next(seed) % 4 ? random_next(seed) % size :
						      start + len * (random_next(seed) & 1) -
							      (random_next(seed) & 1);

		place[i] = near % size;
		arena[place[i]] = 1 + random_next(seed) % 255;
	}
	if (s->is_zero(arena + start, len) != byte_loop(arena + start, len))
		fail_msg("%s: wrong for %zu bytes at %zu", s->name, len, start);
	for (size_t i = 0; i < count; i++)
		arena[place[i]] = 0;
}

static void test_random_windows(void **state)
{
	const char *given = getenv("SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) << 20 | getpid();
	size_t size = 300000;
	unsigned char *arena = calloc(1, size);

	(void)state;
	assert_non_null(arena);
	seed = seed ? seed : 1;
	print_message("SEED=%llu\n", (unsigned long long)seed);
	for (size_t i = 0; i < subject_count(); i++) {
		struct subject s = subject_get(i);

		for (size_t n = 0; n < 2000; n++)
			random_case(&s, arena, size, &seed);
	}
	free(arena);
}

static void expect_run(const unsigned char *buf, uint64_t offset, uint64_t len, uint64_t run,
		       bool zero)
{
	bool is_zero = !zero;

	assert_int_equal(buffer_zero_run(buf, offset, len, 4096, &is_zero), run);
	assert_int_equal(is_zero, zero);
}

static void test_runs(void **state)
{
	unsigned char *buf = calloc(5, 4096);

	(void)state;
	assert_non_null(buf);
	expect_run(buf, 0, 5 * 4096, 5 * 4096, true);
	buf[2 * 4096 + 17] = 1;
	expect_run(buf, 0, 5 * 4096, 2 * 4096, true);
	expect_run(buf + 2 * 4096, 8192, 3 * 4096, 4096, false);
	expect_run(buf + 3 * 4096, 3 * 4096, 2 * 4096 - 1, 2 * 4096 - 1, true);
	/* Units are aligned to the offset, not to the buffer. */
	expect_run(buf, 512, 5 * 4096, 2 * 4096 - 512, true);
	expect_run(buf + 2 * 4096 - 512, 2 * 4096, 4096, 4096, false);
	expect_run(buf, 4095, 1, 1, true);
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: the implementation must not have been selected yet. */
		cmocka_unit_test(test_first_call_from_many_threads),
		cmocka_unit_test(test_list_agrees_with_the_cpu),
		cmocka_unit_test(test_no_bytes_are_zero),
		cmocka_unit_test(test_zeroes_between_canaries),
		cmocka_unit_test(test_one_nonzero_byte_in_every_place),
		cmocka_unit_test(test_guard_pages),
		cmocka_unit_test(test_exact_allocations),
		cmocka_unit_test(test_random_windows),
		cmocka_unit_test(test_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
