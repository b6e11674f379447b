// SPDX-License-Identifier: GPL-2.0
/*
 * Opening an image whose last writer was killed, or whose page cache has lost writes. The linker
 * redirects blk_file_co_open() to the function below (--wrap), so that the image has a simulated
 * disk: a second file, which is what a loss of power leaves. It is judged before each flush, the
 * worst moment.
 */
#include "test_qed_common.h"

#include <errno.h>
#include <sys/mman.h>

#include "file/file.h"
#include "format/qed/image.h"

#define CLUSTER	   (64 * KiB)
#define IMAGE_SIZE (256 * MiB)
#define CLUSTERS   64 /* clusters that are written */
#define ELSEWHERE  (40 * MiB) /* an offset in another slice */

enum disk_mode {
	DISK_LATE, /* writes reach the disk with a flush, as late as possible */
	DISK_AT_ONCE, /* writes reach the disk at once, those of earlier processes with a flush */
	DISK_DATA_AT_ONCE, /* metadata reaches the disk with a flush, data at once */
	DISK_GONE, /* the process was killed: its operations have no effect */
};

static struct test {
	struct scratch scratch;
	char *disk, *killed, *rescue, *spare; /* paths */
	struct blk_node *node;
	uint8_t *buf;
	bool play; /* simulate the disk */
	enum disk_mode mode;
	int disk_fd;
	unsigned int flushes, kill_at; /* kill the process at the start of this flush; 0: do not */
	bool fail_flush; /* fail the next flush */
	bool fail_sync; /* fail the next sync of a durable write */
	bool cache_loses; /* pages are not written back, but marked clean */
	uint64_t metadata_start, metadata_end; /* file range of L1 and the only table */
	/* The versions that each cluster may have after a loss of power. */
	uint32_t old[CLUSTERS], new[CLUSTERS];
} test;

static void copy_file(const char *from, const char *to)
{
	char command[3 * PATH_MAX];

	snprintf(command, sizeof(command), "cp --sparse=always '%s' '%s'", from, to);
	CHECK(system(command) == 0);
}

static void expect(struct blk_node *node, uint64_t cluster, uint32_t one, uint32_t other)
{
	uint8_t *want = aligned_alloc(BLOCK, BLOCK);
	bool found = false;

	CHECK(want);
	CHECK(blk_co_pread(node, cluster * CLUSTER, BLOCK, test.buf, 0) == 0);
	for (int i = 0; i < 2; i++) {
		fill_block(want, cluster, i ? other : one);
		found |= !memcmp(want, test.buf, BLOCK);
	}
	if (!found)
		printf("cluster %" PRIu64 " has neither version %u nor %u\n", cluster, one, other);
	CHECK(found);
	free(want);
}

/* Judge the disk, as if power were lost now. */
static void judge(struct test *t)
{
	struct blk_open_opts opts = { .format = "qed" };
	struct blk_check_result result;
	struct blk_node *node;

	if (!t->play || t->mode == DISK_GONE)
		return;
	copy_file(t->disk, t->spare);
	CHECK(blk_co_open(&node, t->spare, &opts, NULL) == 0);
	CHECK(blk_co_check(node, 0, NULL, NULL, &result, NULL) == 0);
	CHECK(!result.corruptions && !result.check_errors);
	for (unsigned int c = 0; c < CLUSTERS; c++)
		expect(node, c, t->old[c], t->new[c]);
	CHECK(blk_co_close(node) == 0);
	CHECK(unlink(t->spare) == 0);
}

static bool reaches_disk(const struct test *t, uint64_t offset)
{
	bool metadata = !offset || (offset >= t->metadata_start && offset < t->metadata_end);

	return t->mode == DISK_AT_ONCE || (t->mode == DISK_DATA_AT_ONCE && !metadata);
}

static ssize_t disk_pwritev(struct blk_file *file, const struct iovec *iov, int iovcnt,
			    uint64_t offset)
{
	ssize_t done = blk_file_kernel_ops.co_pwritev(file, iov, iovcnt, offset);

	if (done > 0 && reaches_disk(&test, offset))
		CHECK(pwritev(test.disk_fd, iov, iovcnt, (off_t)offset) == done);
	return done;
}

static ssize_t disk_pwritev_durable(struct blk_file *file, const struct iovec *iov, int iovcnt,
				    uint64_t offset)
{
	ssize_t done = disk_pwritev(file, iov, iovcnt, offset);
	bool fail = test.fail_sync;

	test.fail_sync = false;
	return fail ? -EIO : done;
}

static int disk_fallocate(struct blk_file *file, int mode, uint64_t offset, uint64_t len)
{
	int ret = blk_file_kernel_ops.co_fallocate(file, mode, offset, len);

	if (!ret && reaches_disk(&test, offset))
		CHECK(fallocate(test.disk_fd, mode, (off_t)offset, (off_t)len) == 0);
	return ret;
}

static int disk_truncate(struct blk_file *file, uint64_t size)
{
	int ret = blk_file_kernel_ops.co_truncate(file, size);

	if (!ret && reaches_disk(&test, UINT64_MAX))
		CHECK(ftruncate(test.disk_fd, (off_t)size) == 0);
	return ret;
}

static int disk_flush(struct blk_file *file)
{
	struct test *t = &test;

	judge(t);
	if (t->fail_flush) {
		/* The kernel reports it once. */
		t->fail_flush = false;
		return -EIO;
	}
	if (++t->flushes == t->kill_at) {
		copy_file(file->name, t->killed);
		t->mode = DISK_GONE;
	}
	if (t->mode != DISK_GONE && !t->cache_loses)
		copy_file(file->name, t->disk);
	return 0;
}

/* From now on reads come from the disk. */
static int disk_drop_cache(struct blk_file *file)
{
	copy_file(test.disk, file->name);
	return 0;
}

static const struct blk_file_ops disk_ops = {
	.co_pwritev = disk_pwritev,
	.co_pwritev_durable = disk_pwritev_durable,
	.co_flush = disk_flush,
	.co_fallocate = disk_fallocate,
	.co_truncate = disk_truncate,
	.co_drop_cache = disk_drop_cache,
};

int __real_blk_file_co_open(struct blk_file **file, const char *name, unsigned int flags,
			    unsigned int perm, unsigned int shared, struct error *err);
int __wrap_blk_file_co_open(struct blk_file **file, const char *name, unsigned int flags,
			    unsigned int perm, unsigned int shared, struct error *err);

int __wrap_blk_file_co_open(struct blk_file **file, const char *name, unsigned int flags,
			    unsigned int perm, unsigned int shared, struct error *err)
{
	static struct blk_file_ops ops;
	int ret = __real_blk_file_co_open(file, name, flags, perm, shared, err);

	if (ret || !test.play || strcmp(name, test.scratch.image))
		return ret;
	ops = disk_ops;
	ops.co_preadv = blk_file_kernel_ops.co_preadv;
	(*file)->ops = &ops;
	return 0;
}

static int open_image(struct test *t, unsigned int flags, bool rescue, bool replay,
		      struct error *err)
{
	struct blk_rescue left = { .replay = replay };
	struct blk_open_opts opts = { .format = "qed",
				      .flags = flags,
				      .rescue = rescue ? &left : NULL };
	int ret;

	left.fd = rescue ? open(t->rescue, O_RDWR | O_CREAT, 0600) : -1;
	CHECK(!rescue || left.fd >= 0);
	ret = blk_co_open(&t->node, t->scratch.image, &opts, err);
	if (rescue)
		close(left.fd);
	return ret;
}

static void write_cluster(struct test *t, uint64_t cluster, uint32_t version)
{
	memset(t->buf, 0, CLUSTER);
	fill_block(t->buf, cluster, version);
	t->new[cluster] = version;
	CHECK(blk_co_pwrite(t->node, cluster * CLUSTER, CLUSTER, t->buf, 0) == 0);
}

static void discard_cluster(struct test *t, uint64_t cluster)
{
	t->new[cluster] = 0;
	CHECK(blk_co_pdiscard(t->node, cluster * CLUSTER, CLUSTER) == 0);
}

static void flush(struct test *t)
{
	CHECK(blk_co_flush(t->node) == 0);
	memcpy(t->old, t->new, sizeof(t->old));
}

static void make_backing(struct test *t)
{
	int fd = open(t->scratch.backing, O_RDWR | O_CREAT, 0600);

	CHECK(fd >= 0 && ftruncate(fd, CLUSTERS * CLUSTER) == 0);
	for (unsigned int c = 0; c < CLUSTERS; c++) {
		fill_block(t->buf, c, 1);
		CHECK(pwrite(fd, t->buf, BLOCK, c * CLUSTER) == BLOCK);
		t->old[c] = t->new[c] = 1;
	}
	close(fd);
}

/* Create an image with its first 16 clusters durable, and open it in process A. */
static void start(struct test *t, unsigned int flags, bool rescue)
{
	struct blk_create_opts opts = { .filename = t->scratch.image,
					.format = "qed",
					.size = IMAGE_SIZE,
					.cluster_size = CLUSTER,
					.table_size = 1,
					.backing_file = "backing.raw",
					.backing_format = "raw" };
	struct qed_image *img;

	CHECK(blk_co_create(&opts, NULL) == 0);
	copy_file(t->scratch.image, t->disk);
	t->play = true;
	t->mode = DISK_LATE;
	t->flushes = t->kill_at = 0;
	make_backing(t);
	CHECK(open_image(t, flags, rescue, false, NULL) == 0);
	for (unsigned int c = 0; c < 16; c++)
		write_cluster(t, c, 2);
	flush(t);
	img = t->node->opaque;
	t->metadata_start = img->header.l1_table_offset;
	t->metadata_end = img->l1[0] + img->table_bytes;
	CHECK(t->metadata_end - t->metadata_start == 2 * CLUSTER);
}

/* End process A; process B opens what it left. */
static void next_process(struct test *t, enum disk_mode mode)
{
	bool rescue = !access(t->rescue, F_OK);

	if (t->mode != DISK_GONE)
		copy_file(t->scratch.image, t->killed);
	t->mode = DISK_GONE;
	if (rescue)
		copy_file(t->rescue, t->spare);
	CHECK(blk_co_close(t->node) == 0);
	if (rescue)
		copy_file(t->spare, t->rescue);
	copy_file(t->killed, t->scratch.image);
	t->mode = mode;
	t->kill_at = 0;
	t->disk_fd = open(t->disk, O_RDWR);
	CHECK(t->disk_fd >= 0);
}

static void end(struct test *t)
{
	t->mode = DISK_GONE;
	CHECK(blk_co_close(t->node) == 0);
	t->play = false;
	close(t->disk_fd);
	CHECK(unlink(t->scratch.image) == 0);
	CHECK(unlink(t->disk) == 0);
	(void)unlink(t->killed);
	(void)unlink(t->spare);
	(void)unlink(t->rescue);
}

static void wait_for_scan(struct test *t)
{
	struct qed_image *img = t->node->opaque;
	bool running = true;

	while (running) {
		aio_co_sleep(MSEC);
		pthread_mutex_lock(&img->meta_lock);
		running = img->scan.running;
		pthread_mutex_unlock(&img->meta_lock);
	}
}

/* Reuse leaked clusters. */
static void use_what_is_free(struct test *t)
{
	wait_for_scan(t);
	for (unsigned int c = 16; c < CLUSTERS; c++)
		write_cluster(t, c, 5);
	CHECK(blk_stats_get(&t->node->stats, BLK_STAT_reused_clusters) > 0);
	judge(t);
	flush(t);
	judge(t);
}

static const enum disk_mode disk_modes[] = { DISK_AT_ONCE, DISK_DATA_AT_ONCE };
static const unsigned int cache_modes[] = { BLK_O_RDWR, BLK_O_RDWR | BLK_O_DIRECT };

/*
 * A was killed between phase 2 and its fdatasync: entries on the disk still reference
 * the clusters it freed.
 */
static void killed_in_phase_2(struct test *t, enum disk_mode mode, unsigned int flags, bool check)
{
	struct blk_check_result result;

	start(t, flags, false);
	for (unsigned int c = 0; c < 8; c++)
		discard_cluster(t, c);
	t->kill_at = t->flushes + 2;
	CHECK(blk_co_flush(t->node) == 0);
	next_process(t, mode);
	CHECK(open_image(t, flags | (check ? BLK_O_CHECK : 0), false, false, NULL) == 0);
	if (check) {
		CHECK(blk_co_check(t->node, BLK_FIX_ERRORS | BLK_FIX_LEAKS, NULL, NULL, &result,
				   NULL) == 0);
		CHECK(result.leaks_fixed >= 8);
		judge(t);
	} else {
		use_what_is_free(t);
	}
	end(t);
}

static void killed_in_commit(void *arg)
{
	for (unsigned int m = 0; m < ARRAY_SIZE(disk_modes); m++)
		for (unsigned int f = 0; f < ARRAY_SIZE(cache_modes); f++) {
			killed_in_phase_2(arg, disk_modes[m], cache_modes[f], false);
			killed_in_phase_2(arg, disk_modes[m], cache_modes[f], true);
		}
}

/*
 * A was killed with changes that only the rescue area has: B's replay is a commit.
 * Data is durable before the entries that point to it, and the entries are durable
 * before clusters that they no longer reference are reused.
 */
static void killed_with_rescue(void *arg)
{
	struct test *t = arg;

	for (unsigned int m = 0; m < ARRAY_SIZE(disk_modes); m++)
		for (unsigned int f = 0; f < ARRAY_SIZE(cache_modes); f++) {
			start(t, cache_modes[f], true);
			for (unsigned int c = 0; c < 8; c++)
				discard_cluster(t, c);
			for (unsigned int c = 16; c < 48; c++)
				write_cluster(t, c, 3);
			next_process(t, disk_modes[m]);
			CHECK(open_image(t, cache_modes[f], true, true, NULL) == 0);
			/* A's completed requests are not undone. */
			for (unsigned int c = 0; c < 48; c++)
				expect(t->node, c, t->new[c], t->new[c]);
			use_what_is_free(t);
			end(t);
		}
}

/* The kernel has an unreported write-back error: the opener gets it, once. */
static void error_for_the_opener(void *arg)
{
	struct test *t = arg;
	struct error err = ERROR_INIT;

	for (unsigned int f = 0; f < ARRAY_SIZE(cache_modes); f++) {
		start(t, cache_modes[f], false);
		next_process(t, DISK_AT_ONCE);
		t->fail_flush = true;
		CHECK(open_image(t, cache_modes[f], false, false, &err) == -EIO);
		CHECK(strstr(error_text(&err), t->scratch.image));
		CHECK(strstr(error_text(&err), "could not be made durable"));
		error_free(&err);
		CHECK(open_image(t, cache_modes[f], false, false, NULL) == 0);
		for (unsigned int c = 0; c < 16; c++)
			expect(t->node, c, 2, 2);
		end(t);
	}
}

/* Fail the sync of a FUA write to a cluster whose entry is durable. */
static void fail_durable_write(struct test *t)
{
	t->node->file->keeps_dsync = true;
	t->fail_sync = true;
	fill_block(t->buf, 0, 1);
	CHECK(blk_co_pwrite(t->node, ELSEWHERE, BLOCK, t->buf, BLK_REQ_FUA) == -EIO);
	CHECK(!t->fail_sync);
}

enum told { TOLD_NOTHING, TOLD_BY_FLUSH, TOLD_BY_DURABLE_WRITE, NR_TOLD };

/* A successor replays nothing if it or the dead server got a write-back error from the kernel. */
static void no_entry_for_what_may_be_lost(void *arg)
{
	struct test *t = arg;
	struct error err = ERROR_INIT;

	for (enum told told = TOLD_NOTHING; told < NR_TOLD; told++) {
		start(t, BLK_O_RDWR | (told == TOLD_BY_DURABLE_WRITE ? BLK_O_DIRECT : 0), true);
		if (told == TOLD_BY_DURABLE_WRITE && !t->node->file->direct) {
			t->disk_fd = -1;
			end(t);
			continue;
		}
		fill_block(t->buf, 0, 1);
		CHECK(blk_co_pwrite(t->node, ELSEWHERE, BLOCK, t->buf, 0) == 0);
		flush(t);
		write_cluster(t, 20, 3);
		if (told == TOLD_BY_FLUSH) {
			t->fail_flush = true;
			CHECK(blk_co_flush(t->node) == -EIO);
			t->fail_flush = false;
		} else if (told == TOLD_BY_DURABLE_WRITE) {
			fail_durable_write(t);
		}
		copy_file(t->scratch.image, t->killed);
		t->mode = DISK_GONE;
		copy_file(t->rescue, t->spare);
		(void)blk_co_close(t->node);
		copy_file(t->spare, t->rescue);
		copy_file(t->killed, t->scratch.image);
		copy_file(t->scratch.image, t->disk);
		t->fail_flush = !told;
		for (int attempt = 0; attempt < 2; attempt++) {
			CHECK(open_image(t, BLK_O_RDWR, true, true, &err) == -EIO);
			CHECK(strstr(error_text(&err), "a flush had failed"));
			error_free(&err);
		}
		/* Without the rescue area the image is as the last flush left it. */
		t->disk_fd = open(t->disk, O_RDWR);
		CHECK(open_image(t, BLK_O_RDWR, false, false, NULL) == 0);
		expect(t->node, 0, 2, 2);
		expect(t->node, 20, 1, 1);
		end(t);
	}
}

/* An emptied or truncated area is refused: it had A's completed requests. */
static void area_of_another_size(void *arg)
{
	static const off_t sizes[] = { 4096, 0 };
	struct test *t = arg;
	struct error err = ERROR_INIT;
	char command[3 * PATH_MAX];

	start(t, BLK_O_RDWR, true);
	write_cluster(t, 20, 3);
	next_process(t, DISK_AT_ONCE);
	snprintf(command, sizeof(command), "cmp '%s' '%s'", t->killed, t->scratch.image);
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		CHECK(truncate(t->rescue, sizes[i]) == 0);
		CHECK(open_image(t, BLK_O_RDWR, true, true, &err) == -EINVAL);
		CHECK(strstr(error_text(&err), i ? "has 0 bytes" : "has 4096 bytes"));
		error_free(&err);
		CHECK(system(command) == 0);
	}
	CHECK(open_image(t, BLK_O_RDWR, false, false, NULL) == 0);
	expect(t->node, 20, 1, 1);
	end(t);
}

/* Pages that could not be written back are marked clean: after opening reads come from the disk. */
static void lost_pages(void *arg)
{
	struct test *t = arg;

	start(t, BLK_O_RDWR, false);
	t->cache_loses = true;
	write_cluster(t, 0, 3);
	t->fail_flush = true;
	CHECK(blk_co_flush(t->node) == -EIO);
	expect(t->node, 0, 3, 3);
	CHECK(blk_co_close(t->node) == -EIO);
	t->mode = DISK_LATE;
	CHECK(open_image(t, BLK_O_RDWR, false, false, NULL) == 0);
	expect(t->node, 0, 2, 2);
	t->cache_loses = false;
	t->old[0] = t->new[0] = 2;
	flush(t);
	judge(t);
	t->disk_fd = -1;
	end(t);
}

static size_t resident_pages(const char *name)
{
	size_t bytes = 1 * MiB, pages = bytes / (size_t)sysconf(_SC_PAGESIZE), n = 0;
	unsigned char *in = malloc(pages);
	int fd = open(name, O_RDONLY);
	void *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);

	CHECK(in && map != MAP_FAILED);
	CHECK(mincore(map, bytes, in) == 0);
	for (size_t i = 0; i < pages; i++)
		n += in[i] & 1;
	munmap(map, bytes);
	close(fd);
	free(in);
	return n;
}

/* The same with the real kernel: no page of the file is cached after opening. */
static void pages_are_dropped(void *arg)
{
	struct test *t = arg;
	struct blk_open_opts opts = { .format = "raw", .flags = BLK_O_RDWR };
	uint8_t *data = calloc(1, 1 * MiB);
	int fd = open(t->scratch.backing, O_RDWR | O_CREAT, 0600);

	/* Write back dirty pages first: only clean ones can be dropped. */
	CHECK(data && fd >= 0 && write(fd, data, 1 * MiB) == 1 * MiB);
	CHECK(resident_pages(t->scratch.backing) > 0);
	CHECK(blk_co_open(&t->node, t->scratch.backing, &opts, NULL) == 0);
	CHECK(t->node->file->in_memory || resident_pages(t->scratch.backing) == 0);
	CHECK(blk_co_close(t->node) == 0);
	close(fd);
	free(data);
}

static void run(void **state)
{
	co_fn **fn = *state;
	struct test *t = &test;

	memset(t, 0, sizeof(*t));
	scratch_make(&t->scratch);
	CHECK(asprintf(&t->disk, "%s/disk", t->scratch.dir) > 0);
	CHECK(asprintf(&t->killed, "%s/killed", t->scratch.dir) > 0);
	CHECK(asprintf(&t->rescue, "%s/rescue", t->scratch.dir) > 0);
	CHECK(asprintf(&t->spare, "%s/spare", t->scratch.dir) > 0);
	t->buf = aligned_alloc(BLOCK, CLUSTER);
	CHECK(t->buf);
	run_co(64, *fn, t);
	free(t->buf);
	free(t->disk);
	free(t->killed);
	free(t->rescue);
	free(t->spare);
	scratch_remove(&t->scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CO_TEST_BY(run, killed_in_commit),
		CO_TEST_BY(run, killed_with_rescue),
		CO_TEST_BY(run, error_for_the_opener),
		CO_TEST_BY(run, no_entry_for_what_may_be_lost),
		CO_TEST_BY(run, area_of_another_size),
		CO_TEST_BY(run, lost_pages),
		CO_TEST_BY(run, pages_are_dropped),
	};

	return cmocka_run_group_tests_name("qed_reopen", tests, NULL, NULL);
}
