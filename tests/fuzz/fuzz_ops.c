// SPDX-License-Identifier: GPL-2.0
/*
 * Operations on a QED image that lies, over a backing file that lies, with the rescue area of a
 * killed server: the search for leaks, repair, replay, copy-on-read, streaming, resizing, commit,
 * rebase, backing files named by headers.
 *
 * An input is a head (struct head), the image, changes to the rescue area, and the backing file.
 * Only a backing file that the head selects is ever written to; one that the image names is opened
 * for reading.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aio/sys.h"
#include "block/io.h"
#include "file/options.h"
#include "populate/populate.h"
#include "fuzz.h"
#include "job/commit.h"
#include "job/rebase.h"
#include "job/stream.h"
#include "util/units.h"

#define MAX_OPS	  13
#define MAX_BYTES (64 * KiB)
/* Operations that walk the whole image run only if it is no larger. */
#define MAX_WHOLE (16 * MiB)
#define MAX_GROWN (64 * MiB)
/* Iterations of one millisecond that streaming gets. */
#define MAX_TURNS 50
/* Size of a seed's raw backing file, which ends inside a cluster. */
#define RAW_BYTES (5 * FUZZ_QED_CLUSTER / 2)

/* Descriptors that names in seeds and in options refer to. */
#define TOP_FD	900
#define BASE_FD 901
#define TOP	"/proc/self/fd/900"
#define BASE	"/proc/self/fd/901"

enum head_flags {
	WITH_CHECK = 1 << 0, /* BLK_O_CHECK: without repair or search for leaks */
	BASE_BY_OPTION = 1 << 1, /* writable as well; otherwise by the name in the image */
	BASE_IS_QED = 1 << 2,
	KEEP_READS = 1 << 3,
	WITH_RESCUE = 1 << 4,
	READ_ONLY = 1 << 5,
};

enum op_kind {
	OP_READ,
	OP_WRITE,
	OP_ZERO,
	OP_DISCARD,
	OP_FLUSH,
	OP_RESIZE,
	OP_CHECK,
	OP_MAP,
	OP_STREAM,
	OP_COMMIT,
	OP_REBASE,
	OP_EMPTY,
	OP_REOPEN,
	OP_KILL,
	NR_OPS,
};

struct op {
	uint8_t kind, arg;
	uint8_t place[2]; /* in units of 512 bytes, little endian */
};

struct head {
	uint8_t flags, nr_ops;
	uint8_t top[2], patches[2]; /* lengths in units of 64 bytes, little endian */
	uint8_t reserved[6];
	struct op op[MAX_OPS];
};

_Static_assert(sizeof(struct head) == 64, "the head is not what seeds have");

/* A change to the rescue area. */
struct patch {
	uint32_t offset;
	uint64_t value;
} __attribute__((packed));

struct run {
	struct head head;
	const uint8_t *patches;
	size_t patches_size;
	struct blk_node *node;
	int rescue_fd;
	uint8_t buf[MAX_BYTES];
};

static uint32_t get16(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8;
}

/* ---- Opening ---- */

static struct blk_options *base_options(const struct run *r)
{
	struct blk_options *options;

	fuzz_require(!blk_options_new(&options, NULL) &&
			     !blk_options_set(options, "backing.driver",
					      r->head.flags & BASE_IS_QED ? "qed" : "raw") &&
			     !blk_options_set(options, "backing.file.filename", BASE),
		     "no options");
	return options;
}

static void co_open(struct run *r, bool replay)
{
	unsigned int flags = r->head.flags;
	struct blk_rescue rescue = { .fd = r->rescue_fd, .replay = replay };
	struct blk_open_opts opts = {
		.format = "qed",
		.flags = BLK_O_NO_LOCK | (flags & WITH_CHECK ? BLK_O_CHECK : 0) |
			 (flags & READ_ONLY ? 0 : BLK_O_RDWR),
		.l2_cache_size = 64 * KiB,
		.rescue = flags & WITH_RESCUE ? &rescue : NULL,
		.options = flags & BASE_BY_OPTION ? base_options(r) : NULL,
		.writable_depth = flags & BASE_BY_OPTION && !(flags & READ_ONLY) ? 1 : 0,
	};
	struct error err = ERROR_INIT;

	if (blk_co_open(&r->node, TOP, &opts, &err)) {
		r->node = NULL;
		fuzz_require(error_text(&err)[0], "an error without a line");
	} else if (populate_co_attach(r->node, flags & KEEP_READS, &err)) {
		fuzz_require(error_text(&err)[0], "an error without a line");
		(void)blk_co_close(r->node);
		r->node = NULL;
	}
	error_free(&err);
	blk_options_free(opts.options);
}

static void co_close(struct run *r)
{
	if (r->node)
		(void)blk_co_close(r->node);
	r->node = NULL;
}

/* ---- Killing the server ---- */

/* Return the contents of file @fd; the caller frees them. */
static uint8_t *copy_of(int fd, size_t *size)
{
	struct stat st;
	uint8_t *copy;

	fuzz_require(!fstat(fd, &st), "no file");
	*size = (size_t)st.st_size;
	copy = malloc(*size + 1);
	fuzz_require(copy && pread(fd, copy, *size, 0) == st.st_size, "no copy");
	return copy;
}

static void put_back(int fd, uint8_t *copy, size_t size)
{
	fuzz_require(!ftruncate(fd, (off_t)size) && pwrite(fd, copy, size, 0) == (ssize_t)size,
		     "cannot put a file back");
	free(copy);
}

/* Apply the input's changes to the rescue area, mostly before its slices' entries. */
static void damage(const struct run *r, uint8_t *area, size_t size)
{
	for (size_t i = 0; i + sizeof(struct patch) <= r->patches_size; i += sizeof(struct patch)) {
		struct patch patch;

		memcpy(&patch, r->patches + i, sizeof(patch));
		if (size > sizeof(patch.value))
			memcpy(area + patch.offset % (size - sizeof(patch.value)), &patch.value,
			       sizeof(patch.value));
	}
}

/*
 * Copy the files as they are now, close the image, restore them: the effect of a process that ends
 * here.  No other code of the process runs in between.
 */
static void co_kill(struct run *r)
{
	size_t image_size, area_size;
	uint8_t *image, *area;

	if (!(r->head.flags & WITH_RESCUE) || r->head.flags & READ_ONLY)
		return;
	image = copy_of(TOP_FD, &image_size);
	area = copy_of(r->rescue_fd, &area_size);
	co_close(r);
	damage(r, area, area_size);
	put_back(TOP_FD, image, image_size);
	put_back(r->rescue_fd, area, area_size);
	co_open(r, true);
}

/* ---- Operations ---- */

static void co_map(struct blk_node *node)
{
	uint64_t size = atomic_load(&node->size), pos = 0;
	struct blk_status status;

	for (int i = 0; i < 200 && pos < size; i++) {
		if (blk_co_status(node, pos, size - pos, &status)) {
			pos += min_u64(size - pos, FUZZ_QED_CLUSTER);
			continue;
		}
		fuzz_require(status.bytes && status.bytes <= size - pos,
			     "a run has a wrong length");
		pos += status.bytes;
	}
}

/*
 * Return a trace's ranges: parts of the disk in any order, and beyond its end.  The caller frees
 * them.
 */
static struct stream_range *hints(const struct blk_node *node, size_t *nr)
{
	const struct stream_range ranges[] = {
		{ 2ULL * node->cluster_size, 1 },
		{ 1, node->cluster_size },
		{ atomic_load(&node->size), UINT64_MAX / 2 },
		{ UINT64_MAX - 1, 1 },
	};
	struct stream_range *copy = malloc(sizeof(ranges));

	fuzz_require(copy, "no memory");
	memcpy(copy, ranges, sizeof(ranges));
	*nr = ARRAY_SIZE(ranges);
	return copy;
}

static void co_stream(struct blk_node *node, unsigned int arg)
{
	struct stream_opts opts = { .only_first = arg & 1 };
	struct stream_status status;
	struct stream *stream;

	if (arg & 1)
		opts.first = hints(node, &opts.nr_first);
	if (stream_co_start(&stream, node, &opts, NULL))
		return;
	for (int i = 0; i < MAX_TURNS; i++) {
		stream_get_status(stream, &status);
		if (job_state_is_last(status.state))
			break;
		aio_co_sleep(1000000);
	}
	job_cancel(&stream->job);
	job_co_wait_end(&stream->job);
	stream_co_free(stream);
}

static void co_commit(struct blk_node *node, unsigned int arg)
{
	struct commit_opts opts = {
		.top = node,
		.base = node->backing,
		.empty = arg & 1,
		.fua = arg & 2,
	};

	if (opts.base && atomic_load(&opts.base->size) <= MAX_WHOLE)
		(void)commit_co_run(&opts, NULL);
}

static void co_rebase(struct blk_node *node)
{
	if (!rebase_co_copy(node, NULL, false, NULL, NULL))
		(void)blk_co_change_backing(node, NULL, NULL, NULL);
}

/* Do an operation that walks the whole image, or needs it exclusively. */
static void co_run_whole(struct run *r, const struct op *op)
{
	struct blk_node *node = r->node;
	struct blk_check_result result;
	struct error err = ERROR_INIT;

	populate_co_drain(node);
	if (op->kind % NR_OPS == OP_CHECK)
		(void)blk_co_check(node, op->arg & (BLK_FIX_LEAKS | BLK_FIX_ERRORS), NULL, NULL,
				   &result, &err);
	error_free(&err);
	if (atomic_load(&node->size) > MAX_WHOLE || !(node->flags & BLK_O_RDWR))
		return;
	switch (op->kind % NR_OPS) {
	case OP_STREAM:
		co_stream(node, op->arg);
		break;
	case OP_COMMIT:
		if (r->head.flags & BASE_BY_OPTION)
			co_commit(node, op->arg);
		break;
	case OP_REBASE:
		co_rebase(node);
		break;
	case OP_EMPTY:
		(void)blk_co_make_empty(node, NULL);
		break;
	}
}

static void co_run_op(struct run *r, const struct op *op)
{
	uint64_t size = atomic_load(&r->node->size), place = get16(op->place) * SECTOR_SIZE;
	uint64_t offset, bytes;

	/* Near the end of large images, too. */
	offset = op->arg & 0x80 && place < size ? size - place : place;
	bytes = offset < size ? min_u64(size - offset, (op->arg & 0x7f) * SECTOR_SIZE + 1) : 0;
	switch (op->kind % NR_OPS) {
	case OP_READ:
		(void)blk_co_pread(r->node, offset, bytes, r->buf, 0);
		break;
	case OP_WRITE:
		memset(r->buf, 0x80 | op->arg, bytes);
		(void)blk_co_pwrite(r->node, offset, bytes, r->buf, op->arg & 1 ? BLK_REQ_FUA : 0);
		break;
	case OP_ZERO:
		(void)blk_co_pwrite_zeroes(r->node, offset, bytes,
					   op->arg & 1 ? BLK_REQ_MAY_UNMAP : 0);
		break;
	case OP_DISCARD:
		(void)blk_co_pdiscard(r->node, offset, bytes);
		break;
	case OP_FLUSH:
		(void)blk_co_flush(r->node);
		break;
	case OP_RESIZE:
		populate_co_drain(r->node);
		if (place <= MAX_GROWN && r->node->flags & BLK_O_RDWR)
			(void)blk_co_truncate(r->node, place, NULL);
		break;
	case OP_MAP:
		co_map(r->node);
		break;
	case OP_REOPEN:
		co_close(r);
		co_open(r, false);
		break;
	case OP_KILL:
		co_kill(r);
		break;
	default:
		co_run_whole(r, op);
	}
}

static void co_run(void *arg)
{
	struct run *r = arg;
	struct blk_info info;

	co_open(r, false);
	if (r->node)
		(void)blk_co_info(r->node, &info);
	for (unsigned int i = 0; r->node && i < r->head.nr_ops % (MAX_OPS + 1); i++)
		co_run_op(r, &r->head.op[i]);
	co_close(r);
}

/* ---- Inputs ---- */

/* Make a file of the next @bytes of the input, or as many as there are, at descriptor @as. */
static void take_file(const uint8_t **data, size_t *size, size_t bytes, int as)
{
	size_t len = bytes < *size ? bytes : *size;
	int fd = fuzz_memfd("image", *data, len);

	*data += len;
	*size -= len;
	fuzz_require(dup2(fd, as) == as, "no descriptor");
	close(fd);
}

static struct run run;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run *r = &run;

	if (size < sizeof(r->head))
		return 0;
	memcpy(&r->head, data, sizeof(r->head));
	data += sizeof(r->head);
	size -= sizeof(r->head);
	take_file(&data, &size, get16(r->head.top) * 64, TOP_FD);
	r->patches = data;
	r->patches_size = min_u64(get16(r->head.patches) * 64, size);
	data += r->patches_size;
	size -= r->patches_size;
	r->rescue_fd = fuzz_memfd("rescue", "", 0);
	take_file(&data, &size, size, BASE_FD);
	fuzz_run_co(co_run, r);
	close(r->rescue_fd);
	close(TOP_FD);
	close(BASE_FD);
	return 0;
}

/* ---- Seeds ---- */

static void set16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
}

/* The operations that seeds begin with: each kind, in different orders. */
static void put_ops(struct head *head, unsigned int n)
{
	head->nr_ops = MAX_OPS;
	for (unsigned int i = 0; i < MAX_OPS; i++)
		head->op[i] = (struct op){
			.kind = (uint8_t)((i * (n % 3 + 1) + n) % NR_OPS),
			.arg = (uint8_t)(7 * i + n),
			.place = { (uint8_t)(i * 9), (uint8_t)(i % 3) },
		};
}

/* Append image @n of fuzz_qed_seed() to @buf. Return the new length of its contents. */
static size_t append_image(unsigned int n, uint8_t *buf, size_t used)
{
	static uint8_t content[FUZZ_MAX_BYTES];
	size_t len = fuzz_qed_seed(n, content);

	fuzz_require(used + len <= FUZZ_MAX_BYTES, "no room for an image");
	memcpy(buf + used, content, len);
	return used + len;
}

size_t fuzz_seed(unsigned int n, uint8_t *buf)
{
	static const struct {
		uint8_t flags, image, base; /* base: number for fuzz_qed_seed(), 255: raw */
		uint8_t patches;
	} kinds[] = {
		{ BASE_BY_OPTION, 0, 255, 0 },
		{ BASE_BY_OPTION | BASE_IS_QED, 1, 0, 0 },
		{ BASE_BY_OPTION | KEEP_READS, 4, 255, 0 },
		{ KEEP_READS, 4, 255, 0 },
		{ 0, 3, 255, 0 },
		{ WITH_CHECK | BASE_BY_OPTION, 3, 255, 0 },
		{ READ_ONLY, 2, 255, 0 },
		{ WITH_RESCUE, 0, 255, 0 },
		{ WITH_RESCUE | BASE_BY_OPTION, 1, 255, 1 },
		{ WITH_RESCUE | KEEP_READS, 4, 255, 4 },
		{ WITH_RESCUE | WITH_CHECK, 0, 255, 0 },
	};
	struct head head = { 0 };
	size_t used = sizeof(head);

	if (n >= ARRAY_SIZE(kinds))
		return 0;
	memset(buf, 0, FUZZ_MAX_BYTES);
	used = append_image(kinds[n].image, buf, used);
	set16(head.top, (uint16_t)((used - sizeof(head)) / 64));
	set16(head.patches, kinds[n].patches);
	for (unsigned int i = 0; i < kinds[n].patches * 64u; i++)
		buf[used++] = (uint8_t)(i * 37);
	head.flags = kinds[n].flags;
	put_ops(&head, n);
	memcpy(buf, &head, sizeof(head));
	if (kinds[n].base != 255)
		return append_image(kinds[n].base, buf, used);
	fuzz_require(used + RAW_BYTES <= FUZZ_MAX_BYTES, "no room for a backing file");
	memset(buf + used, 0x77, RAW_BYTES);
	return used + RAW_BYTES;
}
