// SPDX-License-Identifier: GPL-2.0
/*
 * Streaming: it ends with all data in the image and no backing file; what it does not
 * read; speed, pause, cancellation and restart; a failing source; concurrent writers
 * win.
 *
 * threads: yes
 */
#include "job/stream.h"
#include "test_block_overlay.h"

static struct stream *start_stream(struct blk_node *node, const struct stream_opts *opts)
{
	struct error err = ERROR_INIT;
	struct stream *stream;

	if (stream_co_start(&stream, node, opts, &err)) {
		fprintf(stderr, "stream: %s\n", error_text(&err));
		abort();
	}
	return stream;
}

/* Wait for the end of the stream, and check its state. */
static void end_stream(struct stream *stream, enum job_state state, struct stream_status *status)
{
	struct stream_status last;

	job_co_wait_end(&stream->job);
	stream_get_status(stream, &last);
	if (last.state != state)
		fprintf(stderr, "stream is %s: %s\n", job_state_name(last.state), last.error);
	CHECK(last.state == state);
	stream_co_free(stream);
	if (status)
		*status = last;
}

static void stream_all(struct blk_node *node, struct stream_status *status)
{
	struct stream_opts opts = { 0 };

	end_stream(start_stream(node, &opts), JOB_DONE, status);
}

/* ---- to the end ---- */

static void to_the_end(void *arg)
{
	struct blk_node *node = open_over(9 * CLUSTER + 1000, 20 * CLUSTER, CLUSTER, 0);
	struct stream_status status;

	(void)arg;
	memset(golden + 3 * CLUSTER, 7, 100);
	CHECK(blk_co_pwrite(node, 3 * CLUSTER, 100, golden + 3 * CLUSTER, 0) == 0);
	memset(golden + 4 * CLUSTER, 0, CLUSTER);
	CHECK(blk_co_pwrite_zeroes(node, 4 * CLUSTER, CLUSTER, BLK_REQ_MAY_UNMAP) == 0);
	stream_all(node, &status);
	/* Beyond the backing file's end nothing is populated. */
	expect_states("#0##00#0#0----------");
	CHECK(status.total == 10 && status.left == 0);
	CHECK(status.zero == 5 && status.populated == 5);
	/* Clusters that a writer wrote are not read (a part of one was, by that writer). */
	CHECK(status.source_bytes == 8 * CLUSTER);
	CHECK(!node->backing && !node->backing_name && overlay.backing_changes == 1);
	CHECK(unlink(scratch("golden")) == 0);
	check_read(node, 0, 20 * CLUSTER, 0);
	close_over(node);
}

/* Clusters read by a guest or an earlier stream are not read again. */
static void taken_up(void *arg)
{
	uint64_t size = 512 * CLUSTER;
	struct blk_node *node = open_over(size, size, CLUSTER, OPEN_COPY_ON_READ);
	struct stream_opts opts = { .speed = 2 * MiB };
	struct stream_status first, second;
	struct stream *stream;

	(void)arg;
	check_kept(node, 100 * CLUSTER, 50 * CLUSTER, 0);
	stream = start_stream(node, &opts);
	do {
		aio_co_sleep(5 * MSEC);
		stream_get_status(stream, &first);
	} while (first.source_bytes < 200 * KiB);
	CHECK(first.total == 512 && first.left < 462 && first.left > 100);
	job_cancel(&stream->job);
	end_stream(stream, JOB_CANCELLED, &first);
	CHECK(node->backing && overlay.backing_changes == 0);
	check_read(node, 0, size, 0);
	populate_co_drain(node);
	stream_all(node, &second);
	CHECK(second.source_bytes == 0);
	CHECK(!node->backing);
	check_read(node, 0, size, 0);
	close_over(node);
}

/* ---- control ---- */

static void speed(void *arg)
{
	uint64_t size = 8 * MiB, begin, took;
	struct blk_node *node = open_over(size, size, CLUSTER, 0);
	struct stream_opts opts = { .speed = 4 * MiB };
	struct stream_status status;

	(void)arg;
	begin = aio_now();
	end_stream(start_stream(node, &opts), JOB_DONE, &status);
	took = aio_now() - begin;
	printf("# %llu bytes at %llu a second took %llu ms\n", (unsigned long long)size,
	       (unsigned long long)opts.speed, (unsigned long long)(took / MSEC));
	CHECK(status.source_bytes == size);
	/* Never faster; on a busy machine possibly slower. */
	CHECK(took >= 1900 * MSEC && took < (SANITIZED ? 8000 : 3000) * MSEC);
	close_over(node);
}

/* A first piece that used up the speed limit for hours does not delay a higher speed. */
static void speed_raised(void *arg)
{
	uint64_t size = 4 * MiB, end;
	struct blk_node *node = open_over(size, size, CLUSTER, 0);
	struct stream_opts opts = { .speed = 1 };
	struct stream_status status;
	struct stream *stream = start_stream(node, &opts);

	(void)arg;
	do {
		aio_co_sleep(MSEC);
		stream_get_status(stream, &status);
	} while (!status.source_bytes);
	/* By now another piece waits for the speed limit. */
	aio_co_sleep(100 * MSEC);
	stream_get_status(stream, &status);
	CHECK(status.source_bytes == CLUSTER);
	job_set_speed(&stream->job, 8 * MiB);
	end = aio_now() + (SANITIZED ? 20000 : 5000) * MSEC;
	do {
		aio_co_sleep(MSEC);
		stream_get_status(stream, &status);
		CHECK(aio_now() < end);
	} while (status.state == JOB_RUNNING);
	end_stream(stream, JOB_DONE, NULL);
	close_over(node);
}

static void control(void *arg)
{
	uint64_t size = 4 * MiB;
	struct blk_node *node = open_over(size, size, CLUSTER, 0);
	struct stream_opts opts = { .speed = MiB };
	struct stream_status status, later;
	struct stream *stream = start_stream(node, &opts), *none;

	(void)arg;
	job_pause(&stream->job);
	while (stream_get_status(stream, &status), status.state == JOB_RUNNING)
		aio_co_sleep(MSEC);
	aio_co_sleep(100 * MSEC);
	stream_get_status(stream, &status);
	CHECK(status.state == JOB_PAUSED && status.error[0] == '\0');
	aio_co_sleep(200 * MSEC);
	stream_get_status(stream, &later);
	CHECK(later.source_bytes == status.source_bytes && later.source_bytes < size);
	job_resume(&stream->job);
	job_set_speed(&stream->job, 0);
	end_stream(stream, JOB_DONE, NULL);
	CHECK(stream_co_start(&none, node, &opts, NULL) == -EINVAL);
	close_over(node);
}

/* ---- a failing source, a failing disk ---- */

static _Atomic int source_error;
static _Atomic unsigned int source_failures;

static ssize_t faulty_preadv(struct blk_file *file, const struct iovec *iov, int iovcnt,
			     uint64_t offset)
{
	if (source_error && offset >= 8 * CLUSTER) {
		source_failures++;
		return -source_error;
	}
	return blk_file_kernel_ops.co_preadv(file, iov, iovcnt, offset);
}

static void failing(void *arg)
{
	struct blk_node *node = open_over(64 * CLUSTER, 64 * CLUSTER, CLUSTER, 0);
	struct blk_file_ops ops = blk_file_kernel_ops;
	struct stream_opts opts = { .speed = 20 * 8 * CLUSTER, .back_off = MSEC / 10 };
	struct stream_status status;
	struct stream *stream;

	(void)arg;
	ops.co_preadv = faulty_preadv;
	node->backing->file->ops = &ops;
	source_failures = 0;
	source_error = EIO;
	stream = start_stream(node, &opts);
	/* It retries, then pauses with an error text. */
	do {
		aio_co_sleep(MSEC);
		stream_get_status(stream, &status);
	} while (status.state != JOB_PAUSED);
	CHECK(source_failures >= 10 && status.errors >= 10);
	CHECK(strstr(status.error, "Input/output error"));
	CHECK(node->backing && overlay.backing_changes == 0);
	/* Nothing wrong was written. */
	check_read(node, 0, 8 * CLUSTER, 0);
	source_error = 0;
	job_resume(&stream->job);
	end_stream(stream, JOB_DONE, &status);
	CHECK(status.error[0] == '\0' && !node->backing);
	check_read(node, 0, 64 * CLUSTER, 0);
	close_over(node);
}

/* The stream waits while the disk is full; then the header cannot be written for a while. */
static void full(void *arg)
{
	struct blk_node *node = open_over(64 * CLUSTER, 64 * CLUSTER, CLUSTER, 0);
	struct stream_opts opts = { .back_off = MSEC / 10 };
	struct stream_status status;
	struct stream *stream;

	(void)arg;
	overlay.fail_populate = ENOSPC;
	overlay.fail_change = EIO;
	stream = start_stream(node, &opts);
	/* Other errors would make it pause after ten. */
	do
		aio_co_sleep(MSEC);
	while (stream_get_status(stream, &status), status.errors < 40);
	CHECK(status.state == JOB_WAITING && job_full_since(&stream->job));
	overlay.fail_populate = EDQUOT;
	do
		aio_co_sleep(MSEC);
	while (stream_get_status(stream, &status), status.errors < 80);
	CHECK(status.state == JOB_WAITING && job_full_since(&stream->job));
	overlay.fail_populate = 0;
	do
		aio_co_sleep(MSEC);
	while (!strstr((stream_get_status(stream, &status), status.error), "backing file"));
	CHECK(status.left == 0 && node->backing && !job_full_since(&stream->job));
	overlay.fail_change = 0;
	job_resume(&stream->job);
	end_stream(stream, JOB_DONE, NULL);
	CHECK(!node->backing);
	check_read(node, 0, 64 * CLUSTER, 0);
	close_over(node);
}

/* For a while the image cannot be asked what comes after the clusters that it has. */
static void unknown_rest(void *arg)
{
	struct blk_node *node = open_over(64 * CLUSTER, 64 * CLUSTER, CLUSTER, 0);
	struct stream_opts opts = { .speed = 1, .back_off = MSEC };
	struct stream_status status;
	struct stream *stream;

	(void)arg;
	CHECK(blk_co_pwrite(node, 10 * CLUSTER, 3 * CLUSTER, golden + 10 * CLUSTER, 0) == 0);
	stream = start_stream(node, &opts);
	do
		aio_co_sleep(MSEC);
	while (stream_get_status(stream, &status), !status.source_bytes);
	overlay.fail_map = 13 * CLUSTER;
	job_set_speed(&stream->job, 0);
	do {
		aio_co_sleep(MSEC);
		stream_get_status(stream, &status);
	} while (!job_state_is_last(status.state) && (status.errors < 3 || status.left > 64 - 13));
	overlay.fail_map = 0;
	job_resume(&stream->job);
	end_stream(stream, JOB_DONE, &status);
	CHECK(!node->backing && status.source_bytes == 61 * CLUSTER);
	check_read(node, 0, 64 * CLUSTER, 0);
	close_over(node);
}

/* ---- with concurrent readers ---- */

static _Atomic bool source_holds, source_held;

/* Hold short reads, which are the guest's. */
static ssize_t holding_preadv(struct blk_file *file, const struct iovec *iov, int iovcnt,
			      uint64_t offset)
{
	if (iovcnt == 1 && iov[0].iov_len == 512) {
		source_held = true;
		while (source_holds)
			aio_co_sleep(MSEC);
	}
	return blk_file_kernel_ops.co_preadv(file, iov, iovcnt, offset);
}

struct late_reader {
	struct blk_node *node;
	struct group *group;
	unsigned int flags;
};

static void late_reader(void *arg)
{
	struct late_reader *r = arg;

	check_read(r->node, 5 * CLUSTER - 512, 512, r->flags);
	group_done(r->group);
}

/* The backing file stays open until a read that began with it completes. */
static void late(void *arg)
{
	struct blk_node *node = open_over(64 * CLUSTER, 64 * CLUSTER, CLUSTER, 0);
	struct blk_file_ops ops = blk_file_kernel_ops;
	struct stream_opts opts = { 0 };
	struct group group = { .left = 1 };
	struct late_reader r = { node, &group, 0 };
	struct stream_status status;
	struct stream *stream;

	(void)arg;
	ops.co_preadv = holding_preadv;
	node->backing->file->ops = &ops;
	source_holds = true;
	CHECK(co_start(late_reader, &r) == 0);
	CHECK(source_held);
	stream = start_stream(node, &opts);
	do {
		aio_co_sleep(MSEC);
		stream_get_status(stream, &status);
	} while (!status.total || status.left);
	aio_co_sleep(50 * MSEC);
	stream_get_status(stream, &status);
	CHECK(status.state == JOB_RUNNING && node->backing);
	/* New reads do not use it any more. */
	check_read(node, 6 * CLUSTER, 512, 0);
	source_holds = false;
	group_wait(&group);
	end_stream(stream, JOB_DONE, NULL);
	CHECK(!node->backing);
	close_over(node);
}

/*
 * A reader found that a cluster shows the backing file, and its thread was preempted
 * before it reads that file: the cluster is populated meanwhile, unknown to the
 * reader.
 */
static void late_look(void *arg)
{
	struct blk_node *node = open_over(64 * CLUSTER, 64 * CLUSTER, CLUSTER, 0);
	struct stream_opts opts = { 0 };
	struct group group = { .left = 1 };
	struct late_reader r = { node, &group, BLK_REQ_COPY_ON_READ };
	struct stream_status status;
	struct stream *stream;

	(void)arg;
	overlay.hold_map = true;
	CHECK(co_start(late_reader, &r) == 0);
	while (!overlay.map_held)
		aio_co_sleep(MSEC);
	stream = start_stream(node, &opts);
	do {
		aio_co_sleep(MSEC);
		stream_get_status(stream, &status);
	} while (!status.total || status.left);
	aio_co_sleep(50 * MSEC);
	overlay.map_held = false;
	group_wait(&group);
	end_stream(stream, JOB_DONE, NULL);
	CHECK(!node->backing);
	close_over(node);
}

/* ---- with concurrent writers ---- */

struct writer {
	struct blk_node *node;
	struct group *group;
	uint64_t seed, size;
	unsigned int number, of;
};

static void writer(void *arg)
{
	struct writer *w = arg;
	uint8_t *buf = malloc(CLUSTER);

	CHECK(buf);
	for (unsigned int i = 0; i < (SANITIZED ? 300 : 2000); i++) {
		uint64_t sector =
			test_random(&w->seed) % (w->size / 512 / w->of) * w->of + w->number;
		uint8_t *at = golden + sector * 512;

		if (test_random(&w->seed) % 3 == 0) {
			memset(at, (int)test_random(&w->seed), 512);
			CHECK(blk_co_pwrite(w->node, sector * 512, 512, at, 0) == 0);
		} else if (test_random(&w->seed) % 7 == 0) {
			memset(at, 0, 512);
			CHECK(blk_co_pwrite_zeroes(w->node, sector * 512, 512, 0) == 0);
		}
		CHECK(blk_co_pread(w->node, sector * 512, 512, buf, 0) == 0);
		CHECK(!memcmp(buf, at, 512));
	}
	free(buf);
	group_done(w->group);
}

static void beside_writers(void *arg)
{
	uint64_t size = 2048 * CLUSTER, seed = *(uint64_t *)arg;
	struct blk_node *node = open_over(size - 3000, size, CLUSTER, OPEN_COPY_ON_READ);
	struct stream_opts opts = { .speed = 0 };
	struct stream *stream;
	struct writer writers[8];
	struct group group = { .left = ARRAY_SIZE(writers) };

	overlay.slow = true;
	stream = start_stream(node, &opts);
	for (unsigned int i = 0; i < ARRAY_SIZE(writers); i++) {
		writers[i] =
			(struct writer){ node, &group, seed + 2 * i, size, i, ARRAY_SIZE(writers) };
		CHECK(co_start(writer, &writers[i]) == 0);
	}
	group_wait(&group);
	end_stream(stream, JOB_DONE, NULL);
	CHECK(!node->backing);
	check_read(node, 0, size, 0);
	close_over(node);
}

static void test_beside_writers(void **state)
{
	uint64_t seed = test_seed();

	(void)state;
	run_co(64, beside_writers, &seed);
}

/* ---- a base that stays ---- */

static void base(void *arg)
{
	struct fake_image middle = { .name = "middle",
				     .size = 6 * CLUSTER,
				     .cluster_size = CLUSTER,
				     .backing = "golden",
				     .backing_format = "raw" };
	struct blk_node *node = open_over(8 * CLUSTER, 8 * CLUSTER, CLUSTER, 0);
	struct stream_opts opts = { 0 };
	struct stream_status status;

	(void)arg;
	CHECK(blk_co_close(node) == 0);
	fake_add(&middle);
	overlay.backing = "middle";
	overlay.backing_format = "fake";
	middle.state[1] = FAKE_DATA;
	memset(middle.data + CLUSTER, 'm', CLUSTER);
	memset(golden + CLUSTER, 'm', CLUSTER);
	middle.state[2] = FAKE_ZERO;
	memset(golden + 2 * CLUSTER, 0, CLUSTER);
	/* Beyond the middle's end there are zeroes, though the base is longer. */
	memset(golden + 6 * CLUSTER, 0, 2 * CLUSTER);
	node = must_open("overlay", "fake", BLK_O_RDWR);
	check_read(node, 0, 8 * CLUSTER, 0);
	opts.base = node->backing->backing;
	end_stream(start_stream(node, &opts), JOB_DONE, &status);
	expect_states("-#0---00");
	CHECK(node->backing == opts.base && !node->backing->backing && middle.closes == 1);
	CHECK(status.source_bytes == CLUSTER);
	check_read(node, 0, 8 * CLUSTER, 0);
	close_over(node);
}

/* ---- in the order of a trace ---- */

static void prefetch(void *arg)
{
	struct blk_node *node = open_over(40 * CLUSTER, 40 * CLUSTER, CLUSTER, 0);
	struct stream_opts opts = { .nr_first = 4, .only_first = true };
	struct stream_status status;

	(void)arg;
	opts.first = calloc(4, sizeof(*opts.first));
	CHECK(opts.first);
	opts.first[0] = (struct stream_range){ 30 * CLUSTER + 5, 10 };
	opts.first[1] = (struct stream_range){ 2 * CLUSTER, 2 * CLUSTER + 1 };
	opts.first[2] = (struct stream_range){ 39 * CLUSTER, UINT64_MAX - 39 * CLUSTER };
	opts.first[3] = (struct stream_range){ 1000 * CLUSTER, CLUSTER };
	end_stream(start_stream(node, &opts), JOB_DONE, &status);
	expect_states("--#0#-------------------------#--------0");
	CHECK(node->backing && overlay.backing_changes == 0);
	CHECK(status.source_bytes == 5 * CLUSTER && status.left == 35);
	check_read(node, 0, 40 * CLUSTER, 0);
	close_over(node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CO_TEST(to_the_end),   CO_TEST(taken_up),     CO_TEST(speed),
		CO_TEST(speed_raised), CO_TEST(control),      CO_TEST(failing),
		CO_TEST(full),	       CO_TEST(unknown_rest), cmocka_unit_test(test_beside_writers),
		CO_TEST(base),	       CO_TEST(late),	      CO_TEST(late_look),
		CO_TEST(prefetch),
	};

	return cmocka_run_group_tests_name("job_stream", tests, NULL, NULL);
}
