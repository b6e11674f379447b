// SPDX-License-Identifier: GPL-2.0
/*
 * A driver for fuzz targets that needs only the compiler: it mutates seeds where images are
 * fragile, without coverage feedback.  With clang, `make fuzz` uses libFuzzer instead.
 *
 * Usage: fuzz_NAME [SECONDS] [FILE...], or fuzz_NAME --seeds DIR
 *
 * Iteration I of seed S is always the same image: SEED=S FUZZ_ITERATION=I runs only that one.  When
 * a target crashes or hangs, the driver prints the iteration.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"
#include "shared/random.h"

#define DEFAULT_SECONDS 2
/* Time limit of one image, in seconds; sanitizers are slow. */
#define HANG_SECONDS 60
/* All prefixes of a seed that are shorter than this are inputs, too. */
#define SHORT_BYTES 16
/* Shorter inputs are texts or scripts, of which parts may be omitted or duplicated. */
#define TEXT_BYTES 4096

static uint64_t seed, iteration;
static const char *program;

/* ---- Reporting the iteration ---- */

static void print_iteration(void)
{
	char line[160];
	int n = snprintf(line, sizeof(line),
			 "\nnot ok %s: crashed or hung; run it again with SEED=%" PRIu64
			 " FUZZ_ITERATION=%" PRIu64 "\n",
			 program, seed, iteration);

	(void)!write(STDOUT_FILENO, line, (size_t)n);
}

static void on_signal(int signal)
{
	print_iteration();
	/* SA_RESETHAND: this time the signal has its default action. */
	raise(signal);
}

/* Sanitizers end a program without a signal; this is defined where one is linked. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void catch_signals(void)
{
	static const int signals[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(print_iteration);
}

/* ---- Mutating images ---- */

/* Return a number at the limits of tables and headers. */
static uint64_t odd_number(uint64_t *rng, size_t size)
{
	uint64_t r = next_random(rng);

	switch (r % 8) {
	case 0:
		return r >> 8 & 3;
	case 1:
		return 1ULL << (r >> 8 & 63);
	case 2:
		return (1ULL << (r >> 8 & 63)) - 1;
	case 3:
		return size - (r >> 8 & 1023);
	case 4:
		return (r >> 8) % size & ~511ULL;
	case 5:
		return (r >> 8) % size & ~4095ULL;
	case 6:
		return -(r >> 8 & 0xffff);
	default:
		return r;
	}
}

/* Return an offset: in the header half of the time, else of a nonzero byte if one is found. */
static size_t place(uint64_t *rng, const uint8_t *image, size_t size)
{
	uint64_t r = next_random(rng);
	size_t at = (r >> 8) % size;

	if (r & 1)
		return at % (size < 160 ? size : 160);
	for (int i = 0; i < 64 && !image[at]; i++)
		at = next_random(rng) % size;
	return at;
}

static void put(uint8_t *at, uint64_t value, unsigned int bytes, bool big_endian)
{
	for (unsigned int i = 0; i < bytes; i++)
		at[i] = value >> 8 * (big_endian ? bytes - 1 - i : i);
}

static void change_once(uint64_t *rng, uint8_t *image, size_t size)
{
	uint64_t r = next_random(rng);
	size_t at = place(rng, image, size), aligned = at & ~7UL;

	switch (r % 6) {
	case 0:
		image[at] ^= 1 << (r >> 8 & 7);
		break;
	case 1:
		image[at] = r >> 8;
		break;
	case 2:
		at &= ~3UL;
		if (at + 4 <= size)
			put(image + at, odd_number(rng, size), 4, r >> 8 & 1);
		break;
	case 3:
		/* Flags in the other bytes stay, and an offset changes. */
		if (aligned + 8 <= size)
			image[aligned + (r >> 16 & 7)] ^= r >> 24;
		break;
	case 4:
		if (aligned + 8 <= size)
			put(image + aligned, odd_number(rng, size), 8, r >> 8 & 1);
		break;
	default:
		/* Copy from elsewhere in the image. */
		r = (r >> 8) % size & ~7UL;
		if (aligned + 8 <= size && r + 8 <= size)
			memmove(image + aligned, image + r, 8);
		break;
	}
}

/* Omit a part, or duplicate one elsewhere. Return the new length. */
static size_t change_text(uint64_t *rng, uint8_t *text, size_t size)
{
	size_t len = 1 + next_random(rng) % 16, from = next_random(rng) % size;
	size_t to = next_random(rng) % size;
	uint8_t part[16];

	if (len > size - from)
		len = size - from;
	memcpy(part, text + from, len);
	if (next_random(rng) & 1) {
		memmove(text + from, text + from + len, size - from - len);
		return size - len;
	}
	memmove(text + to + len, text + to, size - to);
	memcpy(text + to, part, len);
	return size + len;
}

static size_t make_image(uint64_t *rng, unsigned int seeds, uint8_t *image)
{
	size_t size = fuzz_seed(next_random(rng) % seeds, image);
	unsigned int changes = 1 + next_random(rng) % 6;

	for (unsigned int i = 0; i < changes && size; i++)
		if (size < TEXT_BYTES && next_random(rng) & 1)
			size = change_text(rng, image, size);
		else
			change_once(rng, image, size);
	if (size && next_random(rng) % 8 == 0)
		size = next_random(rng) % size;
	return size;
}

/* ---- Running ---- */

static uint8_t image[FUZZ_MAX_BYTES];

static unsigned int count_seeds(void)
{
	unsigned int n = 0;

	while (fuzz_seed(n, image))
		n++;
	return n;
}

/* Run the target on a copy of exactly @size bytes: a sanitizer detects a read past its end. */
static void run_input(size_t size)
{
	uint8_t *copy = malloc(size);

	if (!copy && size)
		abort();
	memcpy(copy, image, size);
	alarm(HANG_SECONDS);
	LLVMFuzzerTestOneInput(copy, size);
	alarm(0);
	free(copy);
}

static void run_one(uint64_t number, unsigned int seeds)
{
	uint64_t rng = mix64(seed) ^ mix64(number + 1);

	iteration = number;
	run_input(make_image(&rng, seeds, image));
}

/*
 * Run each seed, and its short prefixes: an input may end before the fields that the target reads.
 */
static void run_seeds(unsigned int seeds)
{
	iteration = UINT64_MAX;
	for (unsigned int n = 0; n < seeds; n++) {
		size_t size = fuzz_seed(n, image);

		for (size_t len = 0; len < SHORT_BYTES && len < size; len++)
			run_input(len);
		run_input(size);
	}
}

static void run_for(double seconds, unsigned int seeds)
{
	struct timespec start, now;
	uint64_t number = 0;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		run_one(number++, seeds);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9 <
		 seconds);
	printf("# %" PRIu64 " images\n", number);
}

static int run_file(const char *name)
{
	FILE *file = fopen(name, "rb");
	size_t size;

	if (!file) {
		perror(name);
		return 1;
	}
	size = fread(image, 1, sizeof(image), file);
	fclose(file);
	run_input(size);
	return 0;
}

/* Write the seeds to files, for other fuzzers. */
static int write_seeds(const char *dir)
{
	char name[4096];
	size_t size;

	for (unsigned int n = 0; (size = fuzz_seed(n, image)); n++) {
		FILE *file;

		snprintf(name, sizeof(name), "%s/seed-%u", dir, n);
		file = fopen(name, "wb");
		if (!file || fwrite(image, 1, size, file) != size || fclose(file)) {
			perror(name);
			return 1;
		}
	}
	return 0;
}

static uint64_t number_from(const char *variable, uint64_t fallback)
{
	const char *text = getenv(variable);

	return text && *text ? strtoull(text, NULL, 0) : fallback;
}

int main(int argc, char **argv)
{
	unsigned int seeds = count_seeds();
	double seconds = DEFAULT_SECONDS;

	program = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	if (argc == 3 && !strcmp(argv[1], "--seeds"))
		return write_seeds(argv[2]);
	catch_signals();
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = (uint64_t)time(NULL);
	seed = number_from("SEED", seed >> 32);
	printf("# seed %" PRIu64 "\n", seed);
	fflush(stdout);
	if (argc > 1)
		seconds = strtod(argv[1], NULL);
	for (int i = 2; i < argc; i++)
		if (run_file(argv[i]))
			return 1;
	run_seeds(seeds);
	if (getenv("FUZZ_ITERATION"))
		run_one(number_from("FUZZ_ITERATION", 0), seeds);
	else if (argc <= 2)
		run_for(seconds, seeds);
	printf("ok %s\n", program);
	return 0;
}
