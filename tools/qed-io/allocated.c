// SPDX-License-Identifier: GPL-2.0
/* Is a range allocated in the image itself, or only further down its chain? */
#include "block/io.h"
#include "qed-io/allocated.h"
#include "qed-io/io.h"

int io_co_is_allocated(struct blk_node *node, uint64_t offset, uint64_t bytes, bool *here,
		       uint64_t *run)
{
	struct blk_status st;
	int ret = blk_co_status(node, offset, bytes, &st);

	if (ret < 0)
		return ret;
	*here = st.depth == 0 && st.kind != BLK_MAP_BACKING;
	*run = st.bytes;
	return 0;
}
