// SPDX-License-Identifier: GPL-2.0
/*
 * Decompressing clusters.  A library's state is kept for the next cluster: there
 * are as many states as ever ran at once.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "format/qcow2/inflate.h"
#include "util/units.h"

/*
 * A frame states its window size, which the library allocates.  8 MiB is what the
 * zstd format recommends that every decoder supports, and more than a cluster.
 */
#define ZSTD_MAX_WINDOW_BITS 23

/* The state of one run. */
struct inflate_state {
	struct inflate_state *next;
	z_stream zlib;
	ZSTD_DCtx *zstd;
};

struct inflater {
	enum qcow2_compression type;
	pthread_mutex_t lock; /* of the list; not held while inflating */
	struct inflate_state *idle;
};

struct inflater *inflater_new(enum qcow2_compression type)
{
	struct inflater *inflater = calloc(1, sizeof(*inflater));

	if (!inflater)
		return NULL;
	inflater->type = type;
	pthread_mutex_init(&inflater->lock, NULL);
	return inflater;
}

static void state_free(struct inflate_state *state)
{
	if (state->zstd)
		ZSTD_freeDCtx(state->zstd);
	else
		inflateEnd(&state->zlib);
	free(state);
}

void inflater_free(struct inflater *inflater)
{
	struct inflate_state *state;

	if (!inflater)
		return;
	while ((state = inflater->idle)) {
		inflater->idle = state->next;
		state_free(state);
	}
	pthread_mutex_destroy(&inflater->lock);
	free(inflater);
}

static bool init_zstd(struct inflate_state *state)
{
	state->zstd = ZSTD_createDCtx();
	if (!state->zstd)
		return false;
	if (ZSTD_isError(ZSTD_DCtx_setParameter(state->zstd, ZSTD_d_windowLogMax,
						ZSTD_MAX_WINDOW_BITS))) {
		ZSTD_freeDCtx(state->zstd);
		return false;
	}
	return true;
}

static struct inflate_state *state_new(enum qcow2_compression type)
{
	struct inflate_state *state = calloc(1, sizeof(*state));
	bool good;

	if (!state)
		return NULL;
	/* No zlib header; the largest window, since images do not state its size. */
	good = type == QCOW2_ZSTD ? init_zstd(state) :
				    inflateInit2(&state->zlib, -MAX_WBITS) == Z_OK;
	if (good)
		return state;
	free(state);
	return NULL;
}

static struct inflate_state *state_get(struct inflater *inflater)
{
	struct inflate_state *state;

	pthread_mutex_lock(&inflater->lock);
	state = inflater->idle;
	if (state)
		inflater->idle = state->next;
	pthread_mutex_unlock(&inflater->lock);
	return state ? state : state_new(inflater->type);
}

static void state_put(struct inflater *inflater, struct inflate_state *state)
{
	pthread_mutex_lock(&inflater->lock);
	state->next = inflater->idle;
	inflater->idle = state;
	pthread_mutex_unlock(&inflater->lock);
}

static int run_zlib(z_stream *z, const void *in, size_t in_bytes, void *out, size_t out_bytes)
{
	int ret;

	if (inflateReset(z) != Z_OK)
		return -EIO;
	z->next_in = (Bytef *)in;
	z->avail_in = in_bytes;
	z->next_out = out;
	z->avail_out = out_bytes;
	ret = inflate(z, Z_FINISH);
	if (ret == Z_MEM_ERROR)
		return -ENOMEM;
	/* A stream that goes on behind @out_bytes is valid, too. */
	return (ret == Z_STREAM_END || ret == Z_BUF_ERROR) && !z->avail_out ? 0 : -EIO;
}

static int run_zstd(ZSTD_DCtx *zstd, const void *in, size_t in_bytes, void *out, size_t out_bytes)
{
	ZSTD_inBuffer from = { in, in_bytes, 0 };
	ZSTD_outBuffer to = { out, out_bytes, 0 };

	ZSTD_DCtx_reset(zstd, ZSTD_reset_session_only);
	while (to.pos < to.size) {
		size_t in_before = from.pos, out_before = to.pos;
		size_t ret = ZSTD_decompressStream(zstd, &to, &from);

		if (ZSTD_isError(ret))
			return -EIO;
		/* No progress: the data ends too early. */
		if (from.pos == in_before && to.pos == out_before)
			return -EIO;
	}
	return 0;
}

int inflater_run(struct inflater *inflater, const void *in, size_t in_bytes, void *out,
		 size_t out_bytes)
{
	struct inflate_state *state = state_get(inflater);
	int ret;

	if (!state)
		return -ENOMEM;
	if (inflater->type == QCOW2_ZSTD)
		ret = run_zstd(state->zstd, in, in_bytes, out, out_bytes);
	else
		ret = run_zlib(&state->zlib, in, in_bytes, out, out_bytes);
	state_put(inflater, state);
	return ret;
}
