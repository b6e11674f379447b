// SPDX-License-Identifier: GPL-2.0
/*
 * Flushing image files. The kernel reports a write-back error once, to the next
 * fdatasync. After that, or concurrently, no flush may succeed.
 *
 * threads: yes
 */
#include <limits.h>

#include "test_block_file.h"

/* A small model of the kernel's page cache and a disk. */
static struct {
	bool lost; /* pages were dropped; the next fdatasync to complete reports it */
	int write_error; /* error of writes, also of durable ones */
	unsigned int begun, running, most_running;
	bool hold; /* hold fdatasync */
	bool hold_writes; /* hold writes, except durable ones */
	/* Number of durable writes that may complete. */
	unsigned int durable_done, durable_released;
} disk;

static int disk_flush(struct blk_file *file)
{
	int ret;

	(void)file;
	disk.begun++;
	disk.running++;
	disk.most_running = max_u64(disk.most_running, disk.running);
	do
		co_yield_turn();
	while (disk.hold);
	disk.running--;
	ret = disk.lost ? -EIO : 0;
	disk.lost = false;
	return ret;
}

static ssize_t disk_write(struct blk_file *file, const struct iovec *iov, int iovcnt,
			  uint64_t offset)
{
	if (disk.write_error)
		return disk.write_error;
	return blk_file_kernel_ops.co_pwritev(file, iov, iovcnt, offset);
}

static ssize_t disk_pwritev(struct blk_file *file, const struct iovec *iov, int iovcnt,
			    uint64_t offset)
{
	while (disk.hold_writes)
		co_yield_turn();
	return disk_write(file, iov, iovcnt, offset);
}

/* As in the kernel: a write and, if it succeeds, a sync of the file. */
static ssize_t disk_pwritev_durable(struct blk_file *file, const struct iovec *iov, int iovcnt,
				    uint64_t offset)
{
	ssize_t done = disk_write(file, iov, iovcnt, offset);
	int ret = done < 0 ? (int)done : disk_flush(file);
	unsigned int number = disk.durable_done++;

	while (number >= disk.durable_released)
		co_yield_turn();
	return ret ? ret : done;
}

/* Works even if the test's directory has no ZERO_RANGE. */
static int disk_fallocate(struct blk_file *file, int mode, uint64_t offset, uint64_t len)
{
	(void)file;
	(void)mode;
	(void)offset;
	(void)len;
	return 0;
}

static struct blk_file_ops disk_ops;

static struct blk_file *open_disk(bool direct)
{
	struct mode mode = { "", direct, 0, false };
	struct blk_file *file = open_mode(scratch("image"), &mode);

	memset(&disk, 0, sizeof(disk));
	disk.durable_released = UINT_MAX;
	disk_ops = blk_file_kernel_ops;
	disk_ops.co_flush = disk_flush;
	disk_ops.co_pwritev = disk_pwritev;
	disk_ops.co_pwritev_durable = disk_pwritev_durable;
	file->ops = &disk_ops;
	return file;
}

struct flusher {
	struct blk_file *file;
	struct group *group;
	int ret;
};

static void flush_one(void *arg)
{
	struct flusher *f = arg;

	f->ret = blk_file_co_flush(f->file);
	group_done(f->group);
}

static void reported_once(void *arg)
{
	struct blk_file *file;

	(void)arg;
	/* O_DIRECT: the edges of zeroed blocks and the file system's own pages can be lost. */
	for (int direct = 0; direct < 2; direct++) {
		file = open_disk(direct);
		CHECK(blk_file_co_flush(file) == 0);
		disk.lost = true;
		CHECK(blk_file_co_flush(file) == -EIO);
		CHECK(blk_file_co_flush(file) == -EIO);
		CHECK(blk_file_lost(file) == -EIO);
		blk_file_co_close(file);
	}
	/* A device with O_DIRECT has no dirty pages here. */
	file = open_disk(true);
	if (file->direct) {
		file->is_device = true;
		disk.lost = true;
		CHECK(blk_file_co_flush(file) == -EIO);
		CHECK(blk_file_co_flush(file) == 0);
	}
	blk_file_co_close(file);
}

/* A durable write whose sync fails has consumed the error that the flush should report. */
static void taken_by_durable_write(void *arg)
{
	static uint8_t block[4096] __attribute__((aligned(4096)));
	struct blk_file *file = open_disk(true);

	(void)arg;
	if (!file->direct) {
		blk_file_co_close(file);
		return;
	}
	file->keeps_dsync = true;
	CHECK(blk_file_co_pwrite(file, block, sizeof(block), 0) == 0);
	CHECK(blk_file_co_pwrite_durable(file, block, sizeof(block), 0) == 0);
	/* A bad sector is the write's own error, and does not fail flushes of other writes. */
	disk.write_error = -EIO;
	CHECK(blk_file_co_pwrite_durable(file, block, sizeof(block), 0) == -EIO);
	disk.write_error = 0;
	CHECK(blk_file_co_flush(file) == 0);
	disk.lost = true;
	CHECK(blk_file_co_pwrite_durable(file, block, sizeof(block), 0) == -EIO);
	CHECK(!disk.lost);
	CHECK(blk_file_co_pwrite_durable(file, block, sizeof(block), 0) == -ENOTSUP);
	CHECK(blk_file_co_flush(file) == -EIO);
	blk_file_co_close(file);
}

/*
 * The same with a disk that then also fails the write, while the edges of zeroes wait
 * for a flush.
 */
static void taken_by_write_to_failing_disk(void *arg)
{
	static uint8_t block[4096] __attribute__((aligned(4096)));
	struct blk_file *file = open_disk(true);

	(void)arg;
	if (file->direct) {
		file->keeps_dsync = true;
		disk_ops.co_fallocate = disk_fallocate;
		CHECK(blk_file_co_pwrite(file, block, sizeof(block), 0) == 0);
		CHECK(blk_file_co_write_zeroes(file, 512, 512, false) == 0);
		disk.write_error = -EIO;
		CHECK(blk_file_co_pwrite_durable(file, block, sizeof(block), 0) == -EIO);
		disk.write_error = 0;
		CHECK(blk_file_co_flush(file) == -EIO);
	}
	blk_file_co_close(file);
}

static void write_one_durably(void *arg)
{
	static uint8_t block[4096] __attribute__((aligned(4096)));
	struct flusher *f = arg;

	f->ret = blk_file_co_pwrite_durable(f->file, block, sizeof(block), 0);
	group_done(f->group);
}

static void take_turns(void)
{
	for (unsigned int i = 0; i < 100; i++)
		co_yield_turn();
}

/* Open a file with a block on the disk, part of which is zeroed in the page cache. */
static struct blk_file *open_disk_with_edge(void)
{
	static uint8_t block[4096] __attribute__((aligned(4096)));
	struct blk_file *file = open_disk(true);

	file->keeps_dsync = true;
	disk_ops.co_fallocate = disk_fallocate;
	CHECK(blk_file_co_pwrite(file, block, sizeof(block), 0) == 0);
	CHECK(blk_file_co_write_zeroes(file, 512, 512, false) == 0);
	return file;
}

enum beside {
	NOT_ANSWERED, /* the durable write has not completed */
	BEING_JUDGED,
	DISK_FAILS, /* not completed, and the disk fails all later writes */
	NR_BESIDE
};

/* A flush comes when a durable write has consumed the error of the edge, but has not completed. */
static void check_beside(enum beside where)
{
	struct group group = { .left = 2 };
	struct blk_file *file = open_disk_with_edge();
	struct flusher writer = { file, &group, 1 }, flusher = { file, &group, 1 };

	if (file->direct) {
		disk.lost = true;
		disk.hold_writes = where == BEING_JUDGED;
		disk.durable_released = where == BEING_JUDGED ? UINT_MAX : 0;
		CHECK(co_start(write_one_durably, &writer) == 0);
		while (disk.lost)
			co_yield_turn();
		take_turns();
		CHECK(co_start(flush_one, &flusher) == 0);
		take_turns();
		disk.write_error = where == DISK_FAILS ? -EIO : 0;
		disk.hold_writes = false;
		disk.durable_released = UINT_MAX;
		group_wait(&group);
		CHECK(writer.ret == -EIO);
		CHECK(flusher.ret == -EIO);
		disk.write_error = 0;
		CHECK(blk_file_co_flush(file) == -EIO);
	}
	blk_file_co_close(file);
}

static void taken_beside_a_flush(void *arg)
{
	(void)arg;
	for (enum beside where = 0; where < NR_BESIDE; where++)
		check_beside(where);
}

/* A flush waits for the durable writes that began before its fdatasync ended, and no others. */
static void waits_for_earlier_durable_writes(void *arg)
{
	struct group group = { .left = 4 };
	struct blk_file *file = open_disk_with_edge();
	struct flusher writers[2] = { { file, &group, 1 }, { file, &group, 1 } };
	struct flusher flushers[2] = { { file, &group, 1 }, { file, &group, 1 } };

	(void)arg;
	if (!file->direct) {
		blk_file_co_close(file);
		return;
	}
	disk.durable_released = 0;
	for (unsigned int i = 0; i < 2; i++) {
		CHECK(co_start(write_one_durably, &writers[i]) == 0);
		while (disk.durable_done <= i)
			co_yield_turn();
		CHECK(co_start(flush_one, &flushers[i]) == 0);
		take_turns();
		CHECK(flushers[i].ret == 1);
	}
	for (unsigned int i = 0; i < 2; i++) {
		disk.durable_released++;
		take_turns();
		CHECK(writers[i].ret == 0 && flushers[i].ret == 0);
		CHECK(i || (writers[1].ret == 1 && flushers[1].ret == 1));
	}
	group_wait(&group);
	blk_file_co_close(file);
}

/* RWF_DSYNC is used only where it is known to be reliable. */
static void where_durable_writes_are_used(void *arg)
{
	static uint8_t block[4096] __attribute__((aligned(4096)));
	struct blk_file *file = open_disk(true);

	(void)arg;
	CHECK(blk_file_co_pwrite(file, block, sizeof(block), 0) == 0);
	file->keeps_dsync = false;
	CHECK(blk_file_co_pwrite_durable(file, block, sizeof(block), 0) == -ENOTSUP);
	CHECK(disk.begun == 0);
	blk_file_co_close(file);
}

/* Several flushes at once: each gets an fdatasync that started after it, and every error. */
static void several(void *arg)
{
	struct flusher f[8];
	struct group group = { .left = ARRAY_SIZE(f) };
	struct blk_file *file = open_disk(false);

	(void)arg;
	disk.hold = true;
	for (unsigned int i = 0; i < ARRAY_SIZE(f); i++) {
		f[i] = (struct flusher){ file, &group, 1 };
		CHECK(co_start(flush_one, &f[i]) == 0);
	}
	co_yield_turn();
	CHECK(disk.most_running == 1 && disk.begun == 1);
	disk.hold = false;
	group_wait(&group);
	/* The first one has its own fdatasync; the seven that came meanwhile share the next. */
	CHECK(disk.most_running == 1 && disk.begun == 2);
	for (unsigned int i = 0; i < ARRAY_SIZE(f); i++)
		CHECK(f[i].ret == 0);
	blk_file_co_close(file);
}

static void several_fail(void *arg)
{
	struct flusher f[4];
	struct group group = { .left = ARRAY_SIZE(f) };
	struct blk_file *file = open_disk(false);

	(void)arg;
	disk.lost = true;
	for (unsigned int i = 0; i < ARRAY_SIZE(f); i++) {
		f[i] = (struct flusher){ file, &group, 1 };
		CHECK(co_start(flush_one, &f[i]) == 0);
	}
	group_wait(&group);
	for (unsigned int i = 0; i < ARRAY_SIZE(f); i++)
		CHECK(f[i].ret == -EIO);
	blk_file_co_close(file);
}

/* Many threads: no waiting flush is lost. */
static void flush_often(void *arg)
{
	struct blk_file *file = *(struct blk_file **)arg;

	for (unsigned int i = 0; i < 200; i++)
		CHECK(blk_file_co_flush(file) == 0);
}

static struct blk_file *shared[4];

static void open_shared(void *arg)
{
	struct mode mode = { "", false, 0, false };

	(void)arg;
	shared[0] = open_mode(scratch("image"), &mode);
	for (unsigned int i = 1; i < ARRAY_SIZE(shared); i++)
		shared[i] = shared[0];
}

static void close_shared(void *arg)
{
	(void)arg;
	blk_file_co_close(shared[0]);
}

/*
 * The same on several threads: durable writes and a flush race for the single error
 * report, many times.
 */
static struct {
	struct blk_file *file;
	struct blk_file_ops ops;
	pthread_barrier_t barrier;
	_Atomic bool lost;
	_Atomic unsigned int turn;
} race;

static int race_flush(struct blk_file *file)
{
	(void)file;
	co_yield_turn();
	return atomic_exchange(&race.lost, false) ? -EIO : 0;
}

static ssize_t race_pwritev(struct blk_file *file, const struct iovec *iov, int iovcnt,
			    uint64_t offset)
{
	(void)file;
	(void)iovcnt;
	(void)offset;
	for (unsigned int i = atomic_fetch_add(&race.turn, 1) % 8; i; i--)
		co_yield_turn();
	return (ssize_t)iov->iov_len;
}

static ssize_t race_pwritev_durable(struct blk_file *file, const struct iovec *iov, int iovcnt,
				    uint64_t offset)
{
	int ret = race_flush(file);

	/* It completes some time after it consumed the report. */
	return race_pwritev(file, iov, iovcnt, offset) < 0 || ret ? -EIO : (ssize_t)iov->iov_len;
}

static void race_open(void *arg)
{
	(void)arg;
	race.file = open_disk_with_edge();
	race.ops = disk_ops;
	race.ops.co_flush = race_flush;
	race.ops.co_pwritev = race_pwritev;
	race.ops.co_pwritev_durable = race_pwritev_durable;
	race.file->ops = &race.ops;
}

static void race_close(void *arg)
{
	(void)arg;
	blk_file_co_close(race.file);
}

static void race_once(bool flushes)
{
	static uint8_t block[4096] __attribute__((aligned(4096)));
	int ret = 0;

	if (flushes) {
		for (unsigned int i = 0; i < 4; i++)
			CHECK(blk_file_co_flush(race.file) == 0);
		atomic_store(&race.lost, true);
		CHECK(blk_file_co_flush(race.file) == -EIO);
		return;
	}
	while (!ret)
		ret = blk_file_co_pwrite_durable(race.file, block, sizeof(block), 0);
	CHECK(ret == -EIO || ret == -ENOTSUP);
}

static void race_often(void *arg)
{
	bool flushes = *(bool *)arg;

	for (unsigned int i = 0; i < 300; i++) {
		pthread_barrier_wait(&race.barrier);
		race_once(flushes);
		pthread_barrier_wait(&race.barrier);
		if (flushes)
			atomic_store(&race.file->flushes.lost, 0);
	}
}

static void test_race(void **state)
{
	bool flushes[3] = { true };

	(void)state;
	run_co(32, race_open, NULL);
	CHECK(!pthread_barrier_init(&race.barrier, NULL, ARRAY_SIZE(flushes)));
	if (race.file->direct)
		run_on_loops(ARRAY_SIZE(flushes), race_often, flushes, sizeof(flushes[0]));
	pthread_barrier_destroy(&race.barrier);
	run_co(32, race_close, NULL);
}

static void test_several(void **state)
{
	(void)state;
	run_co(32, several, NULL);
	run_co(32, several_fail, NULL);
}

static void test_threads(void **state)
{
	(void)state;
	run_co(32, open_shared, NULL);
	run_on_loops(ARRAY_SIZE(shared), flush_often, shared, sizeof(shared[0]));
	run_co(32, close_shared, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CO_TEST(reported_once),
		CO_TEST(taken_by_durable_write),
		CO_TEST(taken_by_write_to_failing_disk),
		CO_TEST(taken_beside_a_flush),
		CO_TEST(waits_for_earlier_durable_writes),
		CO_TEST(where_durable_writes_are_used),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_race),
	};

	return cmocka_run_group_tests_name("block_flush", tests, NULL, NULL);
}
