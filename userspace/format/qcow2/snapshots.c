// SPDX-License-Identifier: GPL-2.0
/*
 * The table of internal snapshots: entries of variable length, read one at a time.  Limits and
 * error lines are QEMU's.
 */
#include <errno.h>
#include <stdlib.h>

#include "format/qcow2/bytes.h"
#include "format/qcow2/qcow2.h"
#include "format/qcow2/snapshots.h"
#include "util/units.h"

#define ENTRY_BYTES 40u

static int check_place(const struct qcow2_header *h, struct error *err)
{
	if (h->nb_snapshots > QCOW2_MAX_SNAPSHOTS)
		return error_set(err, -EFBIG, "snapshot table too large");
	if (h->snapshots_offset & ((1u << h->cluster_bits) - 1) ||
	    h->snapshots_offset > INT64_MAX - (uint64_t)h->nb_snapshots * ENTRY_BYTES)
		return error_set(err, -EINVAL, "snapshot table offset invalid");
	return 0;
}

/* Read the entry at *@pos, and move *@pos to its end. */
static int read_entry(struct qcow2_image *img, uint64_t *pos, struct qcow2_snapshot *snapshot)
{
	uint8_t entry[ENTRY_BYTES];
	int ret = blk_file_co_pread(img->file, entry, sizeof(entry), *pos);

	if (ret)
		return ret;
	*snapshot = (struct qcow2_snapshot){
		.l1_offset = get_be64(entry),
		.l1_size = get_be32(entry + 8),
		.extra_bytes = get_be32(entry + 36),
		.id_bytes = (uint16_t)(get_be32(entry + 12) >> 16),
		.name_bytes = (uint16_t)get_be32(entry + 12),
	};
	snapshot->id_offset = *pos + ENTRY_BYTES + snapshot->extra_bytes;
	*pos = snapshot->id_offset + snapshot->id_bytes + snapshot->name_bytes;
	return 0;
}

int qcow2_co_walk_snapshots(struct qcow2_image *img, qcow2_snapshot_fn *fn, void *arg,
			    uint64_t *bytes, struct error *err)
{
	const struct qcow2_header *h = &img->header;
	uint64_t pos = h->snapshots_offset;
	struct qcow2_snapshot snapshot;
	int ret = check_place(h, err);

	*bytes = 0;
	for (unsigned int i = 0; !ret && i < h->nb_snapshots; i++) {
		pos = round_up(pos, 8);
		ret = read_entry(img, &pos, &snapshot);
		if (ret)
			return ret;
		if (snapshot.extra_bytes > QCOW2_MAX_SNAPSHOT_EXTRA)
			return error_set(err, -EFBIG,
					 "Too much extra metadata in snapshot table entry %u", i);
		*bytes = pos - h->snapshots_offset;
		if (*bytes > QCOW2_MAX_SNAPSHOT_TABLE_BYTES)
			return error_set(err, -EFBIG, "Snapshot table is too big");
		ret = fn ? fn(arg, i, &snapshot) : 0;
	}
	return ret;
}

int qcow2_co_snapshot_text(struct qcow2_image *img, const struct qcow2_snapshot *snapshot,
			   char **id, char **name)
{
	int ret;

	*id = calloc(1, snapshot->id_bytes + 1);
	*name = calloc(1, snapshot->name_bytes + 1);
	ret = *id && *name ?
		      blk_file_co_pread(img->file, *id, snapshot->id_bytes, snapshot->id_offset) :
		      -ENOMEM;
	if (!ret)
		ret = blk_file_co_pread(img->file, *name, snapshot->name_bytes,
					snapshot->id_offset + snapshot->id_bytes);
	if (ret) {
		free(*id);
		free(*name);
	}
	return ret;
}
