// SPDX-License-Identifier: GPL-2.0
/*
 * Image files: any offset, length and address, whatever O_DIRECT asks for;
 * refusals at opening; failing disks.
 */
#include <signal.h>
#include <sys/resource.h>

#include "test_block_common.h"

#include "block/file.h"

/* ---- opening a file in one of the ways that matter ---- */

struct mode {
	const char *name;
	bool direct;
	uint32_t align; /* to play a disk with these blocks; 0: as it is */
	bool exact_end;
};

static const struct mode modes[] = {
	{ "buffered", false, 0, false },	  { "direct", true, 0, false },
	{ "direct, 4096", true, 4096, false },	  { "direct, 4096, exact end", true, 4096, true },
	{ "buffered, 4096", false, 4096, false },
};

/* The kernel's operations, with a look at what they are asked. */

static _Atomic unsigned long operations;
static int inject_read, inject_write; /* errno of the next ones */
static int inject_fallocate;
static ssize_t inject_short = -1; /* bytes that the next write does */

static void check_aligned(struct blk_file *file, const struct iovec *iov, int iovcnt,
			  uint64_t offset)
{
	atomic_fetch_add(&operations, 1);
	CHECK(!(offset & (file->align - 1)));
	for (int i = 0; i < iovcnt; i++) {
		CHECK(!(iov[i].iov_len & (file->align - 1)));
		CHECK(!((uintptr_t)iov[i].iov_base & (file->mem_align - 1)));
	}
}

static ssize_t watched_preadv(struct blk_file *file, const struct iovec *iov, int iovcnt,
			      uint64_t offset)
{
	check_aligned(file, iov, iovcnt, offset);
	if (inject_read)
		return -inject_read;
	return blk_file_kernel_ops.co_preadv(file, iov, iovcnt, offset);
}

static ssize_t watched_pwritev(struct blk_file *file, const struct iovec *iov, int iovcnt,
			       uint64_t offset)
{
	check_aligned(file, iov, iovcnt, offset);
	if (inject_write)
		return -inject_write;
	if (inject_short >= 0)
		return inject_short;
	return blk_file_kernel_ops.co_pwritev(file, iov, iovcnt, offset);
}

static int watched_flush(struct blk_file *file)
{
	return blk_file_kernel_ops.co_flush(file);
}

static int watched_fallocate(struct blk_file *file, int how, uint64_t offset, uint64_t len)
{
	atomic_fetch_add(&operations, 1);
	if (inject_fallocate)
		return -inject_fallocate;
	return blk_file_kernel_ops.co_fallocate(file, how, offset, len);
}

static int watched_truncate(struct blk_file *file, uint64_t size)
{
	return blk_file_kernel_ops.co_truncate(file, size);
}

static ssize_t watched_tail(struct blk_file *file, const void *buf, size_t len, uint64_t offset)
{
	CHECK(file->exact_end && file->tail_fd >= 0);
	return blk_file_kernel_ops.co_pwrite_tail(file, buf, len, offset);
}

static const struct blk_file_ops watched_ops = {
	.co_preadv = watched_preadv,
	.co_pwritev = watched_pwritev,
	.co_flush = watched_flush,
	.co_fallocate = watched_fallocate,
	.co_truncate = watched_truncate,
	.co_pwrite_tail = watched_tail,
};

static struct blk_file *open_mode(const char *path, const struct mode *mode)
{
	unsigned int flags = BLK_FILE_RDWR | BLK_FILE_CREATE | (mode->direct ? BLK_FILE_DIRECT : 0);
	struct error err = ERROR_INIT;
	struct blk_file *file;

	CHECK(blk_file_co_open(&file, path, flags, 0, 0, &err) == 0);
	if (mode->direct && !file->direct)
		printf("no O_DIRECT on %s: buffered instead\n", path);
	if (mode->align)
		CHECK(blk_file_set_align(file, mode->align, mode->align) == 0);
	if (mode->exact_end)
		CHECK(blk_file_co_keep_exact_end(file, &err) == 0);
	file->ops = &watched_ops;
	return file;
}

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

/* Small and large, around block boundaries, and rarely larger than a bounce buffer. */
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

/* A range inside one of the sharer's own stripes. */
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

/* Afterwards: nobody's bytes were lost. */
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
		assert_null(shared_file->ranges.head);
		run_co(32, close_shared, NULL);
	}
}

/* A write of part of a block must not undo one of the whole block that runs beside it. */

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

static void test_part_beside_whole(void **state)
{
	(void)state;
	run_co(32, part_beside_whole, NULL);
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

static void test_odd_ends(void **state)
{
	(void)state;
	run_co(32, odd_ends, NULL);
}

/* ---- opening ---- */

static void expect_refusal(const char *path, unsigned int flags, int code, const char *reason)
{
	struct error err = ERROR_INIT;
	struct blk_file *file;
	char line[600];

	CHECK(blk_file_co_open(&file, path, flags, 0, 0, &err) == code);
	snprintf(line, sizeof(line), "%s: %s", path, reason);
	if (strcmp(error_text(&err), line))
		printf("got \"%s\", not \"%s\"\n", error_text(&err), line);
	CHECK(!strcmp(error_text(&err), line));
	error_free(&err);
}

static void refusals(void *arg)
{
	const char *odd = "Not a regular file or block device";

	(void)arg;
	expect_refusal(scratch("missing"), BLK_FILE_RDWR, -ENOENT, "No such file or directory");
	expect_refusal(scratch("missing/x"), 0, -ENOENT, "No such file or directory");
	expect_refusal("/", 0, -EISDIR, "Is a directory");
	expect_refusal("/dev/null", BLK_FILE_RDWR, -EINVAL, odd);
	CHECK(mkfifo(scratch("fifo"), 0600) == 0);
	expect_refusal(scratch("fifo"), 0, -EINVAL, odd);
	expect_refusal(scratch("fifo"), BLK_FILE_RDWR | BLK_FILE_CREATE, -EINVAL, odd);
	make_file(scratch("there"), "", 0, 0);
	expect_refusal(scratch("there"), BLK_FILE_RDWR | BLK_FILE_CREATE | BLK_FILE_EXCL, -EEXIST,
		       "File exists");
	expect_refusal(scratch("there/x"), 0, -ENOTDIR, "Not a directory");
	CHECK(symlink("self", scratch("self")) == 0);
	expect_refusal(scratch("self"), 0, -ELOOP, "Too many levels of symbolic links");
}

static void test_refusals(void **state)
{
	(void)state;
	run_co(32, refusals, NULL);
}

static void creation(void *arg)
{
	unsigned int flags = BLK_FILE_RDWR | BLK_FILE_CREATE | BLK_FILE_EXCL | BLK_FILE_DIRECT;
	const char *path = scratch("created");
	struct error err = ERROR_INIT;
	struct blk_file *file;

	(void)arg;
	CHECK(blk_file_co_open(&file, path, flags, 0, 0, &err) == 0);
	CHECK(atomic_load(&file->size) == 0);
	CHECK(!(fcntl(file->fd, F_GETFL) & O_NONBLOCK));
	CHECK(!!(fcntl(file->fd, F_GETFL) & O_DIRECT) == file->direct);
	CHECK(file->direct ? file->align >= 512 : file->align == 1);
	blk_file_co_close(file);
	/* Read-only: writing fails, flushing has nothing to do. */
	CHECK(blk_file_co_open(&file, path, 0, 0, 0, &err) == 0);
	CHECK(blk_file_co_pwrite(file, "x", 1, 0) == -EBADF);
	CHECK(blk_file_co_write_zeroes(file, 0, 1, false) == -EBADF);
	CHECK(blk_file_co_flush(file) == 0);
	blk_file_co_close(file);
}

static void test_creation(void **state)
{
	(void)state;
	run_co(32, creation, NULL);
}

/* ---- a disk that fails ---- */

static void failures(void *arg)
{
	static const struct mode mode = { "", true, 4096, false };
	const char *path = scratch("failing");
	struct blk_file *file;
	char buf[100], *big = malloc(MiB);

	(void)arg;
	memset(big, 'o', MiB);
	make_file(path, big, MiB, MiB);
	file = open_mode(path, &mode);
	memset(buf, 'n', sizeof(buf));

	/* A part of a block cannot be written when the rest of it cannot be read. */
	inject_read = EIO;
	CHECK(blk_file_co_pread(file, buf, 1, 5) == -EIO);
	CHECK(blk_file_co_pwrite(file, buf, 100, 5000) == -EIO);
	inject_read = 0;
	inject_write = ENOSPC;
	CHECK(blk_file_co_pwrite(file, buf, 100, 5000) == -ENOSPC);
	CHECK(blk_file_co_pwrite(file, big, MiB, MiB) == -ENOSPC);
	inject_write = 0;
	inject_short = 4096;
	CHECK(blk_file_co_pwrite(file, big, 8192, 4096) == -EIO);
	inject_short = -1;
	CHECK(atomic_load(&file->size) == MiB);
	CHECK(!file->ranges.head);

	/* Where fallocate is refused zeroes are written, and it is not asked again. */
	inject_fallocate = EOPNOTSUPP;
	CHECK(blk_file_co_punch_hole(file, 0, 8192) == -ENOTSUP);
	CHECK(file->no_punch_hole);
	CHECK(blk_file_co_write_zeroes(file, 100, 10000, true) == 0);
	CHECK(file->no_zero_range);
	inject_fallocate = EIO;
	CHECK(blk_file_co_write_zeroes(file, 20000, 10000, true) == 0);
	CHECK(blk_file_co_pread(file, big, 40000, 0) == 0);
	CHECK(big[99] == 'o' && buffer_is_zero(big + 100, 10000) && big[10100] == 'o');
	CHECK(big[19999] == 'o' && buffer_is_zero(big + 20000, 10000) && big[30000] == 'o');
	/* But a failure is a failure. */
	atomic_store(&file->no_zero_range, false);
	CHECK(blk_file_co_write_zeroes(file, 40000, 10000, false) == -EIO);
	inject_fallocate = 0;
	blk_file_co_close(file);
	free(big);
}

static void test_failures(void **state)
{
	(void)state;
	run_co(32, failures, NULL);
}

/* A write that the kernel does in part is continued, to the end or the error. */
static void partly_written(void *arg)
{
	struct rlimit old, limit = { 300000, 300000 };
	static const struct mode mode = { "", false, 0, false };
	struct blk_file *file = open_mode(scratch("limited"), &mode);
	char *big = calloc(1, MiB);

	(void)arg;
	CHECK(getrlimit(RLIMIT_FSIZE, &old) == 0);
	limit.rlim_max = old.rlim_max;
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	CHECK(blk_file_co_pwrite(file, big, 200000, 0) == 0);
	CHECK(blk_file_co_pwrite(file, big, 200000, 200000) == -EFBIG);
	CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
	blk_file_co_close(file);
	free(big);
}

static void test_partly_written(void **state)
{
	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	run_co(32, partly_written, NULL);
}

/* ---- data and holes ---- */

static void holes(void *arg)
{
	static const struct mode mode = { "", false, 0, false };
	struct blk_file *file = open_mode(scratch("holes"), &mode);
	uint64_t run, bytes;
	char *buf = malloc(MiB);

	(void)arg;
	memset(buf, 1, MiB);
	CHECK(blk_file_co_pwrite(file, buf, MiB, MiB) == 0);
	CHECK(blk_file_co_truncate(file, 3 * MiB) == 0);
	CHECK(blk_file_co_is_data(file, 0, 3 * MiB, &run) == 0 && run == MiB);
	CHECK(blk_file_co_is_data(file, 5, 100, &run) == 0 && run == 100);
	CHECK(blk_file_co_is_data(file, MiB + 1, 3 * MiB, &run) == 1 && run == MiB - 1);
	CHECK(blk_file_co_is_data(file, 2 * MiB, 9 * MiB, &run) == 0 && run == 9 * MiB);
	CHECK(blk_file_co_is_data(file, 4 * MiB, MiB, &run) == 0 && run == MiB);
	CHECK(blk_file_co_flush(file) == 0);
	CHECK(blk_file_co_allocated(file, &bytes) == 0 && bytes >= MiB && bytes < 2 * MiB);

	if (blk_file_co_punch_hole(file, MiB, MiB / 2) == 0) {
		CHECK(blk_file_co_is_data(file, MiB, MiB, &run) == 0 && run == MiB / 2);
		CHECK(atomic_load(&file->size) == 3 * MiB);
	}
	/* Punching past the end makes the file longer, as writing zeroes would. */
	CHECK(blk_file_co_write_zeroes(file, 2 * MiB, 2 * MiB, true) == 0);
	CHECK(file_bytes(scratch("holes")) == 4 * MiB);
	CHECK(blk_file_co_allocated(file, &bytes) == 0 && bytes <= MiB);
	blk_file_co_close(file);
	free(buf);
}

static void test_holes(void **state)
{
	(void)state;
	run_co(32, holes, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_part_beside_whole),
		cmocka_unit_test(test_odd_ends),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_creation),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_partly_written),
		cmocka_unit_test(test_holes),
	};

	return cmocka_run_group_tests_name("block_file", tests, NULL, NULL);
}
