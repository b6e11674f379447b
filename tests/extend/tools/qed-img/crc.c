// SPDX-License-Identifier: GPL-2.0
/* qed-img crc, the example of a verb: print the CRC-32 of a disk's bytes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "block/io.h"
#include "cmdline/report.h"
#include "qed-img/img.h"
#include "qed-img/options.h"
#include "util/units.h"

#define PIECE (64 * KiB)

struct crc {
	const char *format;
	unsigned int source_flags; /* BLK_O_NO_LOCK, IMG_O_IMAGE_OPTS */
	bool decimal;
};

static const struct verb_option options[] = {
	IMG_OBJECT,
	IMG_IMAGE_OPTS(struct crc, source_flags),
	IMG_FORCE_SHARE(struct crc, source_flags),
	OPT_TEXT('f', NULL, struct crc, format),
	OPT_SWITCH('d', "decimal", struct crc, decimal),
	IMG_OPTIONS_END,
};

static int co_compute(struct blk_node *node, uint32_t *crc)
{
	uint64_t size = node->size, offset, bytes;
	uint8_t *buf = malloc(PIECE);
	int ret = buf ? 0 : -ENOMEM;

	*crc = 0;
	for (offset = 0; !ret && offset < size; offset += bytes) {
		bytes = min_u64(size - offset, PIECE);
		ret = blk_co_pread(node, offset, bytes, buf, 0);
		if (!ret)
			*crc = (uint32_t)crc32(*crc, buf, (uInt)bytes);
	}
	free(buf);
	return ret;
}

static int run(int argc, char **argv)
{
	struct crc c = { 0 };
	const char *filename;
	struct blk_node *node;
	uint32_t crc;
	int ret;

	if (img_parse_options(argc, argv, options, &c))
		return 1;
	filename = img_one_filename(argc, argv);
	node = filename ? img_co_open(filename, c.format, c.source_flags) : NULL;
	if (!node)
		return 1;
	ret = co_compute(node, &crc);
	blk_co_close(node);
	if (ret)
		return report_error("%s: %s", filename, strerror(-ret));
	printf(c.decimal ? "%" PRIu32 "\n" : "%08" PRIx32 "\n", crc);
	return 0;
}

const struct verb img_crc_verb = {
	.name = "crc",
	.synopsis = "[--object OBJECT] [--image-opts] [-U] [-f FMT] [-d] FILE",
	.summary = "print a checksum of the disk's bytes",
	.options = "  --object OBJECT, --image-opts\n"
		   "                     as qed-img(1) says under IMAGES BY OPTIONS\n"
		   "  -U, --force-share  also when another process writes to the image\n"
		   "  -f FMT             format of the image; probed otherwise\n"
		   "  -d, --decimal      in decimal\n",
	.example = "qed-img crc vm1.qed",
	.run = run,
};
