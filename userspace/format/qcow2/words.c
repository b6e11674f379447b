// SPDX-License-Identifier: GPL-2.0
/*
 * Tables of 64-bit entries, read in pieces: a table may be large, and mostly a hole.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "file/file.h"
#include "format/qcow2/words.h"
#include "util/units.h"

#define PIECE_BYTES (64u << 10)

static int walk_piece(struct blk_file *file, uint64_t offset, uint64_t first, uint64_t *words,
		      unsigned int n, qcow2_words_fn *fn, void *arg)
{
	int ret = blk_file_co_pread(file, words, n * 8, offset);

	if (ret)
		return ret;
	for (unsigned int i = 0; i < n; i++)
		words[i] = be64toh(words[i]);
	return fn(arg, first, words, n);
}

/* Return how many bytes of [@pos, @end) of the table are a hole, in whole pieces. */
static int hole_at(struct blk_file *file, uint64_t offset, uint64_t pos, uint64_t end,
		   uint64_t *hole)
{
	uint64_t run;
	int ret;

	*hole = 0;
	/* Reading a piece costs no more than asking for it. */
	if (end - pos <= PIECE_BYTES)
		return 0;
	ret = blk_file_co_is_data(file, offset + pos, end - pos, &run);
	if (!ret)
		*hole = run >= end - pos ? end - pos : round_down(run, PIECE_BYTES);
	return ret < 0 ? ret : 0;
}

int qcow2_co_walk_words(struct blk_file *file, uint64_t offset, uint64_t count, qcow2_words_fn *fn,
			void *arg)
{
	uint64_t size = atomic_load_explicit(&file->size, memory_order_relaxed);
	uint64_t end = offset < size ? min_u64(count * 8, round_up(size - offset, 16)) : 0;
	uint64_t hole, n;
	uint64_t *words;
	int ret = 0;

	if (!end)
		return 0;
	words = malloc(min_u64(end, PIECE_BYTES));
	if (!words)
		return -ENOMEM;
	for (uint64_t pos = 0; !ret && pos < end;) {
		ret = hole_at(file, offset, pos, end, &hole);
		pos += hole;
		if (ret || hole)
			continue;
		n = min_u64(end - pos, PIECE_BYTES);
		ret = walk_piece(file, offset + pos, pos / 8, words, n / 8, fn, arg);
		pos += n;
	}
	free(words);
	return ret;
}
