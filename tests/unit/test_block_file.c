// SPDX-License-Identifier: GPL-2.0
/*
 * Image files: any offset, length and address, whatever O_DIRECT requires,
 * sequentially and concurrently.
 *
 * threads: yes
 */
#include <linux/loop.h>
#include <sys/ioctl.h>

#include "test_block_file.h"

/* ---- one request after another, against a model ---- */

#define MODEL_MAX (1280 * 1024)

struct model {
	struct blk_file *file;
	uint8_t *bytes;
	uint64_t size;
	uint64_t seed;
	uint8_t *buf; /* for one request */
};

static uint64_t some(struct model *m, uint64_t below)
{
	return test_random(&m->seed) % below;
}

/* Choose a small or large range, around block boundaries, rarely larger than a bounce buffer. */
static void some_range(struct model *m, uint64_t *offset, uint64_t *len)
{
	static const uint64_t most[] = { 20, 600, 5000, 20000, 700000 };
	uint64_t unit = some(m, 2) ? 512 : 1;

	*offset = some(m, MODEL_MAX) / unit * unit;
	*len = 1 + some(m, most[some(m, ARRAY_SIZE(most))]);
	if (some(m, 2))
		*len = round_up(*len, 512);
	*len = min_u64(*len, MODEL_MAX - *offset);
}

static void check_read(struct model *m, uint64_t offset, uint64_t len)
{
	uint8_t *buf = m->buf + some(m, 2) * some(m, 5000);

	memset(buf, 0xee, len);
	CHECK(blk_file_co_pread(m->file, buf, len, offset) == 0);
	CHECK(!memcmp(buf, m->bytes + offset, len));
}

static void do_write(struct model *m, uint64_t offset, uint64_t len)
{
	uint8_t *buf = m->buf + some(m, 2) * some(m, 5000);

	for (uint64_t i = 0; i < len; i += 7)
		buf[i] = (uint8_t)test_random(&m->seed);
	CHECK(blk_file_co_pwrite(m->file, buf, len, offset) == 0);
	memcpy(m->bytes + offset, buf, len);
	m->size = max_u64(m->size, offset + len);
}

static void do_zero(struct model *m, uint64_t offset, uint64_t len)
{
	if (some(m, 3) == 0) {
		int ret = blk_file_co_punch_hole(m->file, offset, len);

		if (!ret)
			memset(m->bytes + offset, 0, len);
		CHECK(!ret || ret == -ENOTSUP);
		return;
	}
	CHECK(blk_file_co_write_zeroes(m->file, offset, len, some(m, 2)) == 0);
	memset(m->bytes + offset, 0, len);
	m->size = max_u64(m->size, offset + len);
}

static void do_truncate(struct model *m)
{
	uint64_t size = some(m, 2) ? some(m, MODEL_MAX) : round_up(some(m, MODEL_MAX), 512);

	CHECK(blk_file_co_truncate(m->file, size) == 0);
	if (size < m->size)
		memset(m->bytes + size, 0, MODEL_MAX - size);
	m->size = size;
}

static void check_size(struct model *m, const struct mode *mode, const char *path)
{
	uint64_t size = atomic_load(&m->file->size);
	uint64_t slack = mode->exact_end ? 512 : max_u64(m->file->align, 1);

	CHECK(file_bytes(path) == size);
	CHECK(size >= m->size && size <= round_up(m->size, slack));
	m->size = size;
}

static void one_operation(struct model *m)
{
	uint64_t offset, len;

	some_range(m, &offset, &len);
	switch (some(m, 12)) {
	case 0 ... 4:
		do_write(m, offset, len);
		break;
	case 5:
		do_zero(m, offset, len);
		break;
	case 6:
		if (some(m, 4) == 0)
			do_truncate(m);
		break;
	default:
		check_read(m, offset, len);
	}
}

static void compare_with_disk(struct model *m, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *all = calloc(1, MODEL_MAX);

	CHECK(fd >= 0 && all);
	CHECK(pread(fd, all, MODEL_MAX, 0) >= 0);
	CHECK(!memcmp(all, m->bytes, MODEL_MAX));
	close(fd);
	free(all);
}

static void model_run(const struct mode *mode, uint64_t seed, bool no_fallocate)
{
	const char *path = scratch("model");
	struct model m = { .seed = seed };
	unsigned int count = SANITIZED ? 250 : 700;

	unlink(path);
	m.file = open_mode(path, mode);
	atomic_store(&m.file->no_zero_range, no_fallocate);
	atomic_store(&m.file->no_punch_hole, no_fallocate);
	m.bytes = calloc(1, MODEL_MAX);
	m.buf = malloc(MODEL_MAX + 8192);
	CHECK(m.bytes && m.buf);
	for (unsigned int i = 0; i < count; i++) {
		one_operation(&m);
		check_size(&m, mode, path);
	}
	CHECK(blk_file_co_flush(m.file) == 0);
	compare_with_disk(&m, path);
	blk_file_co_close(m.file);
	free(m.bytes);
	free(m.buf);
}

static void model_runs(void *arg)
{
	uint64_t seed = *(uint64_t *)arg;

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		model_run(&modes[i], seed, false);
		model_run(&modes[i], seed + 2, true);
	}
}

static void test_against_model(void **state)
{
	uint64_t seed = test_seed();

	(void)state;
	run_co(64, model_runs, &seed);
}

/* ---- many at once, each with bytes of its own in shared blocks ---- */

#define SHARED_BYTES  (96 * 1024)
#define STRIPE	      97 /* bytes; a block has stripes of all */
#define SHARERS	      8 /* coroutines of a thread */
#define SHARE_THREADS 2

struct share_thread {
	struct blk_file *file;
	unsigned int first; /* sharer's number */
	uint64_t seed;
};

struct sharer {
	struct blk_file *file;
	struct group *group;
	unsigned int number;
	uint64_t seed;
	uint8_t mine[SHARED_BYTES];
};

static bool owns(const struct sharer *s, uint64_t offset)
{
	return offset / STRIPE % (SHARERS * SHARE_THREADS) == s->number;
}

/* Choose a range in one of the sharer's own stripes. */
static void own_range(struct sharer *s, uint64_t *offset, uint64_t *len)
{
	uint64_t stripe, at;

	do {
		stripe = test_random(&s->seed) % (SHARED_BYTES / STRIPE);
	} while (!owns(s, stripe * STRIPE));
	at = test_random(&s->seed) % STRIPE;
	*offset = stripe * STRIPE + at;
	*len = 1 + test_random(&s->seed) % (STRIPE - at);
}

static void sharer(void *arg)
{
	struct sharer *s = arg;
	uint8_t buf[3 * STRIPE];
	unsigned int count = SANITIZED ? 60 : 200;

	for (unsigned int i = 0; i < count; i++) {
		uint64_t offset, len;

		own_range(s, &offset, &len);
		if (test_random(&s->seed) % 8) {
			memset(buf, (int)test_random(&s->seed), len);
			CHECK(blk_file_co_pwrite(s->file, buf, len, offset) == 0);
			memcpy(s->mine + offset, buf, len);
		} else {
			CHECK(blk_file_co_write_zeroes(s->file, offset, len, i & 1) == 0);
			memset(s->mine + offset, 0, len);
		}
		own_range(s, &offset, &len);
		CHECK(blk_file_co_pread(s->file, buf, len, offset) == 0);
		CHECK(!memcmp(buf, s->mine + offset, len));
	}
	group_done(s->group);
}

/* Check that no sharer's bytes were lost. */
static void check_own(const struct sharer *s, const uint8_t *all)
{
	for (uint64_t i = 0; i < SHARED_BYTES / STRIPE * STRIPE; i++)
		CHECK(!owns(s, i) || all[i] == s->mine[i]);
}

static void share_thread(void *arg)
{
	struct share_thread *self = arg;
	struct group group = { .left = SHARERS };
	struct sharer *sharers = calloc(SHARERS, sizeof(*sharers));
	uint8_t *all = malloc(SHARED_BYTES);

	CHECK(sharers && all);
	for (unsigned int i = 0; i < SHARERS; i++) {
		sharers[i].file = self->file;
		sharers[i].group = &group;
		sharers[i].number = self->first + i;
		sharers[i].seed = self->seed + 2 * i;
		CHECK(co_start(sharer, &sharers[i]) == 0);
	}
	group_wait(&group);
	CHECK(blk_file_co_pread(self->file, all, SHARED_BYTES, 0) == 0);
	for (unsigned int i = 0; i < SHARERS; i++)
		check_own(&sharers[i], all);
	free(sharers);
	free(all);
}

static struct blk_file *shared_file;
static const struct mode *shared_mode;

static void open_shared(void *arg)
{
	const char *path = scratch("shared");

	(void)arg;
	unlink(path);
	shared_file = open_mode(path, shared_mode);
}

static void close_shared(void *arg)
{
	(void)arg;
	blk_file_co_close(shared_file);
}

static void test_neighbours(void **state)
{
	uint64_t seed = test_seed();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct share_thread threads[SHARE_THREADS];

		shared_mode = &modes[i];
		run_co(32, open_shared, NULL);
		for (unsigned int t = 0; t < SHARE_THREADS; t++) {
			threads[t].file = shared_file;
			threads[t].first = t * SHARERS;
			threads[t].seed = seed + 1000 * t;
		}
		run_on_loops(SHARE_THREADS, share_thread, threads, sizeof(threads[0]));
		assert_true(cds_list_empty(&shared_file->ranges.holds));
		run_co(32, close_shared, NULL);
	}
}

/* A write of part of a block must not undo a concurrent write of the whole block. */

struct beside {
	struct blk_file *file;
	struct group *group;
	const char *buf;
	uint64_t offset, len;
};

static void write_beside(void *arg)
{
	struct beside *b = arg;

	CHECK(blk_file_co_pwrite(b->file, b->buf, b->len, b->offset) == 0);
	group_done(b->group);
}

static void part_beside_whole(void *arg)
{
	static const struct mode mode = { "", true, 4096, false };
	struct blk_file *file = open_mode(scratch("beside"), &mode);
	char *buf = aligned_alloc(4096, 4096), *now = malloc(4096);

	(void)arg;
	CHECK(buf && now);
	CHECK(blk_file_co_truncate(file, 8192) == 0);
	for (int i = 1; i <= 50; i++) {
		struct group group = { .left = 2 };
		struct beside part = { file, &group, buf, 1000, 100 };
		struct beside whole = { file, &group, buf, 0, 4096 };

		memset(buf, i, 4096);
		CHECK(co_start(write_beside, i & 1 ? &part : &whole) == 0);
		CHECK(co_start(write_beside, i & 1 ? &whole : &part) == 0);
		group_wait(&group);
		CHECK(blk_file_co_pread(file, now, 4096, 0) == 0);
		CHECK(!memcmp(now, buf, 4096));
	}
	blk_file_co_close(file);
	free(buf);
	free(now);
}

/* ---- the end of a file ---- */

static void odd_ends(void *arg)
{
	static const struct mode exact = { "", true, 4096, true };
	static const struct mode padded = { "", true, 4096, false };
	const char *path = scratch("odd");
	struct blk_file *file;
	char buf[1024];

	(void)arg;
	/* A raw image of 19 sectors on a disk with blocks of 8 keeps its size. */
	memset(buf, 'z', sizeof(buf));
	make_file(path, "", 0, 19 * 512);
	file = open_mode(path, &exact);
	CHECK(blk_file_co_pwrite(file, buf, 512, 18 * 512) == 0);
	CHECK(file_bytes(path) == 19 * 512);
	/* Growing it by a sector takes a sector. */
	CHECK(blk_file_co_pwrite(file, buf, 512, 19 * 512) == 0);
	CHECK(file_bytes(path) == 20 * 512 && atomic_load(&file->size) == 20 * 512);
	CHECK(blk_file_co_pread(file, buf, 1024, 18 * 512) == 0);
	CHECK(buf[0] == 'z' && buf[1023] == 'z');
	CHECK(blk_file_co_pread(file, buf, 1024, 19 * 512) == 0);
	CHECK(buf[511] == 'z' && buf[512] == 0 && buf[1023] == 0);
	blk_file_co_close(file);

	/* A file of a format that knows its own size may be padded. */
	make_file(path, "", 0, 19 * 512);
	file = open_mode(path, &padded);
	CHECK(file->tail_fd < 0);
	CHECK(blk_file_co_pwrite(file, buf, 512, 18 * 512) == 0);
	CHECK(file_bytes(path) == 24 * 512 && atomic_load(&file->size) == 24 * 512);
	blk_file_co_close(file);
}

/* ---- block devices ---- */

/* Open a loop device over @path with sectors of @sector bytes; -1 without loop devices. */
static int open_loop(const char *path, uint32_t sector, char *name, size_t len)
{
	struct loop_config config = {
		.block_size = sector,
		.info.lo_flags = LO_FLAGS_AUTOCLEAR, /* removed at its last close */
	};
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int fd = -1;

	config.fd = (uint32_t)open(path, O_RDWR | O_CLOEXEC);
	/* Another process may take the free number first. */
	for (int tries = 0; control >= 0 && fd < 0 && tries < 10; tries++) {
		snprintf(name, len, "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
		fd = open(name, O_RDWR | O_CLOEXEC);
		if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config) < 0) {
			close(fd);
			fd = -1;
		}
	}
	close((int)config.fd);
	if (control >= 0)
		close(control);
	return fd;
}

static void device_run(const char *name, bool direct, uint64_t seed)
{
	struct mode mode = { "", direct, 0, false };
	struct model m = { .seed = seed, .file = open_mode(name, &mode), .size = MODEL_MAX };

	CHECK(m.file->is_device && atomic_load(&m.file->size) == MODEL_MAX);
	m.bytes = calloc(1, MODEL_MAX);
	m.buf = malloc(MODEL_MAX + 8192);
	CHECK(m.bytes && m.buf);
	CHECK(blk_file_co_write_zeroes(m.file, 0, MODEL_MAX, true) == 0);
	for (unsigned int i = 0; i < 150; i++) {
		uint64_t offset, len;

		some_range(&m, &offset, &len);
		if (i % 3 == 0)
			do_zero(&m, offset, len);
		else
			do_write(&m, offset, len);
		some_range(&m, &offset, &len);
		check_read(&m, offset, len);
	}
	CHECK(blk_file_co_flush(m.file) == 0);
	check_read(&m, 0, MODEL_MAX);
	/* A device cannot be resized. */
	CHECK(blk_file_co_truncate(m.file, MODEL_MAX) == 0);
	CHECK(blk_file_co_truncate(m.file, MODEL_MAX / 2) == -ENOTSUP);
	CHECK(blk_file_co_pwrite(m.file, m.buf, 8192, MODEL_MAX - 4096) == -ENOSPC);
	CHECK(atomic_load(&m.file->size) == MODEL_MAX);
	blk_file_co_close(m.file);
	free(m.bytes);
	free(m.buf);
}

struct device_test {
	const char *name;
	uint64_t seed;
};

static void device_runs(void *arg)
{
	struct device_test *test = arg;

	device_run(test->name, true, test->seed);
	device_run(test->name, false, test->seed);
}

static void test_devices(void **state)
{
	static const uint32_t sectors[] = { 512, 4096 };
	char name[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sectors); i++) {
		struct device_test test = { name, test_seed() };
		int fd;

		make_file(scratch("disk"), "", 0, MODEL_MAX);
		fd = open_loop(scratch("disk"), sectors[i], name, sizeof(name));
		if (fd < 0) {
			printf("skipped: no loop devices here\n");
			skip();
		}
		run_co(64, device_runs, &test);
		close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_model), cmocka_unit_test(test_neighbours),
		CO_TEST(part_beside_whole),	      CO_TEST(odd_ends),
		cmocka_unit_test(test_devices),
	};

	return cmocka_run_group_tests_name("block_file", tests, NULL, NULL);
}
