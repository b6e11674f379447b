/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A format for tests, with images in memory. A file of the image's name must exist;
 * its content does not matter.
 */
#ifndef QEDBLK_TEST_BLOCK_FAKE_H
#define QEDBLK_TEST_BLOCK_FAKE_H

#include "test_block_common.h"

enum fake_state { FAKE_UNALLOCATED, FAKE_ZERO, FAKE_DATA };

struct fake_image {
	const char *name; /* basename of the file */
	uint64_t size;
	uint32_t cluster_size;
	const char *backing; /* or NULL */
	const char *backing_format; /* or NULL */

	/* Protects @data, @state and the counters: the background thread sends requests, too. */
	pthread_mutex_t lock;
	uint8_t *data;
	uint8_t *state; /* of each cluster */

	bool slow; /* yield in the middle of requests */
	_Atomic bool hold; /* populating waits */
	_Atomic unsigned int held; /* populates that wait */
	_Atomic bool hold_map; /* hold the next co_map() in a coroutine before it returns */
	_Atomic bool map_held; /* one is held */
	_Atomic uint64_t fail_map; /* co_map() of this offset fails with EIO; 0: none does */
	int fail_read; /* errno for reads */
	int fail_write; /* errno for plain writes */
	_Atomic int fail_populate; /* errno for populating */
	int zeroes_refused; /* errno for write-zeroes */
	int fail_flush;
	_Atomic int fail_change; /* errno for changing the backing file */
	int fail_close;

	/* Counters of requests. */
	unsigned int backing_changes;
	unsigned int reads, writes, zeroes, discards, flushes, populates, closes, starts;
	uint64_t longest; /* bytes */
	uint64_t covered; /* bytes of zeroes and discards, summed */
	unsigned int last_flags;
};

static struct fake_image *fake_images[256];

static inline uint64_t fake_clusters(const struct fake_image *img)
{
	return div_round_up(img->size, img->cluster_size);
}

/* Register @img, and create a file of its name. */
static inline void fake_add(struct fake_image *img)
{
	unsigned int i = 0;

	while (fake_images[i])
		CHECK(++i < ARRAY_SIZE(fake_images));
	fake_images[i] = img;
	/* Huge images only count requests. */
	if (img->size <= 64 * MiB) {
		img->data = calloc(1, img->size + 1);
		img->state = calloc(1, fake_clusters(img) + 1);
	}
	make_file(scratch(img->name), "x", 1, 1);
}

static inline void fake_clear(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(fake_images); i++) {
		if (!fake_images[i])
			continue;
		free(fake_images[i]->data);
		free(fake_images[i]->state);
		fake_images[i] = NULL;
	}
}

static inline struct fake_image *fake_of(struct blk_node *node)
{
	return node->opaque;
}

static inline void fake_note(struct fake_image *img, unsigned int *counter, uint64_t bytes)
{
	pthread_mutex_lock(&img->lock);
	(*counter)++;
	img->longest = max_u64(img->longest, bytes);
	pthread_mutex_unlock(&img->lock);
	if (img->slow)
		co_yield_turn();
}

static inline int fake_co_open(struct blk_node *node, const struct blk_open_opts *opts,
			       struct error *err)
{
	const char *slash = strrchr(node->filename, '/');
	const char *base = slash ? slash + 1 : node->filename;

	(void)opts;
	for (unsigned int i = 0; i < ARRAY_SIZE(fake_images) && fake_images[i]; i++) {
		struct fake_image *img = fake_images[i];

		if (strcmp(img->name, base))
			continue;
		node->opaque = img;
		node->cluster_size = img->cluster_size;
		atomic_store(&node->size, img->size);
		node->backing_name = img->backing ? strdup(img->backing) : NULL;
		node->backing_format = img->backing_format ? strdup(img->backing_format) : NULL;
		return 0;
	}
	return error_set(err, -EINVAL, "no such fake");
}

static inline int fake_co_start(struct blk_node *node, struct error *err)
{
	(void)err;
	/* The chain below must be started already. */
	if (node->backing && node->backing->driver->co_start == fake_co_start)
		CHECK(fake_of(node->backing)->starts > 0);
	fake_of(node)->starts++;
	return 0;
}

static inline int fake_co_close(struct blk_node *node)
{
	fake_of(node)->closes++;
	return -fake_of(node)->fail_close;
}

/* The caller has the lock. */
static inline void fake_look(struct fake_image *img, uint64_t offset, uint64_t bytes,
			     struct blk_map *map)
{
	static const enum blk_map_kind kinds[] = { BLK_MAP_BACKING, BLK_MAP_ZERO, BLK_MAP_DATA };
	uint64_t first = offset / img->cluster_size;
	uint64_t i = first;

	while (i < fake_clusters(img) && img->state[i] == img->state[first])
		i++;
	*map = (struct blk_map){
		.kind = kinds[img->state[first]],
		.bytes = min_u64(bytes, i * img->cluster_size - offset),
	};
}

static inline int fake_map(struct blk_node *node, uint64_t offset, uint64_t bytes,
			   struct blk_map *map)
{
	struct fake_image *img = fake_of(node);

	pthread_mutex_lock(&img->lock);
	fake_look(img, offset, bytes, map);
	pthread_mutex_unlock(&img->lock);
	return 0;
}

static inline int fake_co_map(struct blk_node *node, uint64_t offset, uint64_t bytes,
			      struct blk_map *map)
{
	struct fake_image *img = fake_of(node);
	int ret;

	if (img->slow)
		co_yield_turn();
	if (img->fail_map && offset == img->fail_map)
		return -EIO;
	ret = fake_map(node, offset, bytes, map);
	if (atomic_exchange(&img->hold_map, false)) {
		img->map_held = true;
		while (img->map_held)
			aio_co_sleep(MSEC / 10);
	}
	return ret;
}

static inline int fake_co_pread(struct blk_node *node, uint64_t offset, uint64_t bytes, void *buf)
{
	struct fake_image *img = fake_of(node);
	int ret = 0;

	fake_note(img, &img->reads, bytes);
	if (img->fail_read)
		return -img->fail_read;
	while (bytes && !ret) {
		struct blk_map map;

		pthread_mutex_lock(&img->lock);
		fake_look(img, offset, bytes, &map);
		if (map.kind == BLK_MAP_DATA)
			memcpy(buf, img->data + offset, map.bytes);
		pthread_mutex_unlock(&img->lock);
		if (map.kind == BLK_MAP_DATA)
			; /* done */
		else if (map.kind == BLK_MAP_ZERO)
			memset(buf, 0, map.bytes);
		else
			ret = blk_co_pread_backing(node, offset, map.bytes, buf);
		offset += map.bytes;
		bytes -= map.bytes;
		buf = (char *)buf + map.bytes;
	}
	return ret;
}

/* The caller has the lock; @old is what the backing file has in the whole cluster. */
static inline void fake_set_cluster(struct fake_image *img, uint64_t offset, uint64_t bytes,
				    const void *buf, unsigned int flags, const uint8_t *old)
{
	uint64_t c = offset / img->cluster_size;
	uint64_t start = c * img->cluster_size;
	uint64_t len = min_u64(img->cluster_size, img->size - start);
	bool populate = flags & BLK_REQ_POPULATE;

	if (populate && img->state[c] != FAKE_UNALLOCATED)
		return;
	if (img->state[c] == FAKE_UNALLOCATED)
		memcpy(img->data + start, old, len);
	else if (img->state[c] == FAKE_ZERO)
		memset(img->data + start, 0, len);
	if (buf)
		memcpy(img->data + offset, buf, bytes);
	else
		memset(img->data + offset, 0, bytes);
	/* Like a real driver: populating a partial cluster detects zeroes itself. */
	if ((!buf || (populate && bytes != len)) && buffer_is_zero(img->data + start, len))
		img->state[c] = FAKE_ZERO;
	else
		img->state[c] = FAKE_DATA;
}

/* Write a part of one cluster; @buf NULL: zeroes. */
static inline int fake_write_cluster(struct blk_node *node, uint64_t offset, uint64_t bytes,
				     const void *buf, unsigned int flags)
{
	struct fake_image *img = fake_of(node);
	uint64_t start = round_down(offset, img->cluster_size);
	uint64_t len = min_u64(img->cluster_size, img->size - start);
	uint8_t *old = calloc(1, len);
	int ret = 0;

	CHECK(old);
	if (bytes != len)
		ret = blk_co_pread_backing(node, start, len, old);
	if (!ret) {
		pthread_mutex_lock(&img->lock);
		fake_set_cluster(img, offset, bytes, buf, flags, old);
		pthread_mutex_unlock(&img->lock);
	}
	free(old);
	return ret;
}

/* Wait until a populate is held. */
static inline void fake_wait_held(struct fake_image *img)
{
	img->held++;
	while (img->hold)
		aio_co_sleep(MSEC / 10);
	img->held--;
}

static inline int fake_write(struct blk_node *node, uint64_t offset, uint64_t bytes,
			     const void *buf, unsigned int flags)
{
	struct fake_image *img = fake_of(node);
	int ret = 0;

	while (bytes && !ret) {
		uint64_t n = min_u64(bytes, img->cluster_size - offset % img->cluster_size);

		ret = fake_write_cluster(node, offset, n, buf, flags);
		offset += n;
		bytes -= n;
		if (buf)
			buf = (const char *)buf + n;
	}
	return ret;
}

static inline int fake_co_pwrite(struct blk_node *node, uint64_t offset, uint64_t bytes,
				 const void *buf, unsigned int flags)
{
	struct fake_image *img = fake_of(node);
	bool populate = flags & BLK_REQ_POPULATE;

	fake_note(img, populate ? &img->populates : &img->writes, bytes);
	if (populate)
		fake_wait_held(img);
	else
		img->last_flags = flags;
	if (populate && img->fail_populate)
		return -img->fail_populate;
	if (!populate && img->fail_write)
		return -img->fail_write;
	return img->data ? fake_write(node, offset, bytes, buf, flags) : 0;
}

static inline int fake_co_pwrite_zeroes(struct blk_node *node, uint64_t offset, uint64_t bytes,
					unsigned int flags)
{
	struct fake_image *img = fake_of(node);
	bool populate = flags & BLK_REQ_POPULATE;

	fake_note(img, populate ? &img->populates : &img->zeroes, bytes);
	if (populate) {
		fake_wait_held(img);
	} else {
		img->last_flags = flags;
		img->covered += bytes;
	}
	if (img->zeroes_refused)
		return -img->zeroes_refused;
	if (populate && img->fail_populate)
		return -img->fail_populate;
	return img->data ? fake_write(node, offset, bytes, NULL, flags) : 0;
}

static inline int fake_co_pdiscard(struct blk_node *node, uint64_t offset, uint64_t bytes)
{
	struct fake_image *img = fake_of(node);

	(void)offset;
	fake_note(img, &img->discards, bytes);
	img->covered += bytes;
	return 0;
}

static inline int fake_co_flush(struct blk_node *node)
{
	fake_of(node)->flushes++;
	return -fake_of(node)->fail_flush;
}

static inline int fake_co_truncate(struct blk_node *node, uint64_t size, bool *unsure,
				   struct error *err)
{
	struct fake_image *img = fake_of(node);

	(void)unsure;
	(void)err;
	img->data = realloc(img->data, size + 1);
	img->state = realloc(img->state, size / img->cluster_size + 2);
	CHECK(img->data && img->state);
	for (uint64_t c = fake_clusters(img); c * img->cluster_size < size; c++)
		img->state[c] = FAKE_UNALLOCATED;
	if (size > img->size)
		memset(img->data + img->size, 0, size - img->size);
	img->size = size;
	atomic_store(&node->size, size);
	return 0;
}

static inline int fake_co_change_backing(struct blk_node *node, const char *name,
					 const char *format, struct error *err)
{
	struct fake_image *img = fake_of(node);

	if (img->fail_change)
		return error_set_errno(err, -img->fail_change, "backing file");
	free(node->backing_name);
	free(node->backing_format);
	node->backing_name = name ? strdup(name) : NULL;
	node->backing_format = name && format ? strdup(format) : NULL;
	img->backing_changes++;
	return 0;
}

static const struct blk_driver fake_driver = {
	.name = "fake",
	.co_open = fake_co_open,
	.co_start = fake_co_start,
	.co_close = fake_co_close,
	.map = fake_map,
	.co_map = fake_co_map,
	.co_pread = fake_co_pread,
	.co_pwrite = fake_co_pwrite,
	.co_pwrite_zeroes = fake_co_pwrite_zeroes,
	.co_pdiscard = fake_co_pdiscard,
	.co_flush = fake_co_flush,
	.co_truncate = fake_co_truncate,
	.co_change_backing = fake_co_change_backing,
};

/* A driver without optional operations. */
static const struct blk_driver poor_driver = {
	.name = "poor",
	.co_open = fake_co_open,
	.co_close = fake_co_close,
	.map = fake_map,
	.co_map = fake_co_map,
	.co_pread = fake_co_pread,
	.co_pwrite = fake_co_pwrite,
	.co_flush = fake_co_flush,
};

/* A read-only driver. */
static const struct blk_driver fixed_driver = {
	.name = "fixed",
	.co_open = fake_co_open,
	.co_close = fake_co_close,
	.map = fake_map,
	.co_map = fake_co_map,
	.co_pread = fake_co_pread,
};

/* The formats of these tests, instead of the programs' table. */
const struct blk_driver *const blk_drivers[] = {
	&fake_driver, &poor_driver, &fixed_driver, &blk_driver_raw, NULL,
};

/* Open an image of the scratch directory, which must succeed. */
static inline struct blk_node *must_open(const char *name, const char *format, unsigned int flags)
{
	struct blk_open_opts opts = { .format = format, .flags = flags & ~OPEN_COPY_ON_READ };
	struct error err = ERROR_INIT;
	struct blk_node *node;

	if (blk_co_open(&node, scratch(name), &opts, &err)) {
		fprintf(stderr, "%s: %s\n", name, error_text(&err));
		abort();
	}
	CHECK(populate_co_attach(node, flags & OPEN_COPY_ON_READ, NULL) == 0);
	return node;
}

static inline uint64_t stat_of(const struct blk_node *node, enum blk_stat stat)
{
	return blk_stats_get(&node->stats, stat);
}

#endif
