# SPDX-License-Identifier: GPL-2.0
"""Mutants of operations on whole images: opening, closing, repairing, chains, populating."""

from mutant import Crash, Mutant, Unit

OPENING = (
    Mutant(
        "leak-scan-forgets-dropped-clusters",
        ("free_list.c",
         "	if (!scan->running || start >= scan->end)\n",
         "	if (scan->end || start >= scan->end)\n"),
        Crash("leak-search", "20", "21")),
    Mutant(
        "leak-scan-forgets-tables",
        # A run with a table is not freed, whatever the search has found.
        (("leak_scan.c",
          "		ret = note_used(img, table >> img->cluster_bits, img->header.table_size);\n",
          "		ret = 0;\n"),
         ("free_list.c",
          "		if (table && table < offset + bytes && offset < table + img->table_bytes)\n",
          "		if (table == offset && !bytes)\n")),
        Crash("allocating-writes", "10", "20", "21")),
    Mutant(
        "replay-without-its-first-fdatasync",
        ("rescue.c",
         "	ret = qed_co_flush_file(img);\n	if (!ret)\n		ret = replay_tables(img);\n",
         "	ret = replay_tables(img);\n"),
        Unit("qed_order", "replay_is_a_commit", "R3", "33")),
    Mutant(
        "replay-without-an-fdatasync-before-it",
        (("rescue.c",
          "	ret = qed_co_flush_file(img);\n	if (!ret)\n		ret = replay_tables(img);\n",
          "	ret = replay_tables(img);\n"),
         ("block/node.c",
          "	int ret = blk_file_co_settle(node->file);\n",
          "	int ret = 0;\n")),
        Unit("qed_reopen", "killed_with_rescue", "R7", "33"),
        Crash("rescued", "R3", "33")),
    Mutant(
        "replay-without-its-last-fdatasync",
        ("rescue.c",
         "		ret = replay_slices(img, &slices);\n	if (!ret)\n"
         "		ret = qed_co_flush_file(img);\n",
         "		ret = replay_slices(img, &slices);\n"),
        Unit("qed_order", "replay_is_a_commit", "R3", "33")),
    Mutant(
        "failed-replay-forgets-tables",
        ("rescue.c",
         "	if (img->rescue.started)\n		atomic_store_explicit(&img->rescue.area->table_tail,",
         "	if (img->rescue.area)\n		atomic_store_explicit(&img->rescue.area->table_tail,"),
        Unit("qed_order", "replay_fails_and_is_repeated", "R6", "33")),
    Mutant(
        "replay-after-a-failed-flush",
        ("rescue.c",
         "	if (!area->lost)\n		return 0;\n",
         "	if (area)\n		return 0;\n"),
        Unit("qed_order", "replay_without_a_flush_is_refused", "R6", "33"),
        Unit("qed_reopen", "no_entry_for_what_may_be_lost", "R6", "33")),
    Mutant(
        "opened-without-a-flush",
        ("block/node.c",
         "	int ret = blk_file_co_settle(node->file);\n",
         "	int ret = 0;\n"),
        Unit("qed_reopen", "killed_in_commit", "R7", "20", "35"),
        Unit("qed_reopen", "error_for_the_opener", "R7"),
        Crash("killed", "R7", "20", "35")),
    Mutant(
        "pages-kept-when-opened",
        ("file/file_flush.c",
         "	return file->ops->co_drop_cache(file);\n",
         "	return 0;\n"),
        Unit("qed_reopen", "lost_pages", "R7", "37")),
)

LIVE_CHECK = (
    Mutant(
        "live-check-waits-for-no-request",
        ("check_live.c",
         "	while (!inflight_passed(inflight, ticket)) {\n",
         "	while (live->taken && !inflight_passed(inflight, ticket)) {\n"),
        Unit("qed_check_live", "writer_before", "38")),
    Mutant(
        "live-check-forgets-dropped-clusters",
        ("free_list.c",
         "	tell_leak_scan(img, start, count);\n	qed_spare(img, start, count);\n",
         "	tell_leak_scan(img, start, count);\n"),
        Unit("qed_check_live", "writer_before", "38"),
        Unit("qed_check_live", "under_load", "38")),
    Mutant(
        "live-check-forgets-clusters-given-back",
        ("alloc.c",
         "	qed_spare(img, start, count);\n", ""),
        Unit("qed_check_live", "given_back", "38")),
    Mutant(
        "live-check-takes-free-clusters-for-leaks",
        ("free_list.c",
         "	int ret = cluster_set_merge(&spared->clusters, &a->free);\n",
         "	int ret = 0;\n"),
        Unit("qed_check_live", "under_load", "38")),
    Mutant(
        "commit-overwrites-what-a-live-check-has-not-seen",
        ("commit.c",
         "		if (c->watching)\n			c->watching->co_overwrites(",
         "		if (!c->batch)\n			c->watching->co_overwrites("),
        Unit("qed_check_live", "one_commit", "38")),
)

REPAIR = (
    Mutant(
        "mark-goes-before-the-repair-is-durable",
        (("check.c",
          "	if (check->fix) {\n		ret = qed_co_flush_file(img);\n",
          "	if (check->fix) {\n		ret = 0;\n"),
         ("check.c",
          "	return ret ? ret : qed_co_flush_file(check->img);\n",
          "	return ret;\n")),
        Unit("qed_order", "mark_goes_after_the_repair", "34"),
        Unit("qed_order", "table_goes_before_the_mark", "34"),
        Crash("checked", "34")),
    Mutant(
        "entry-before-its-separated-copy-is-durable",
        ("check.c",
         "	if (!ret)\n		ret = qed_co_flush_file(img);\n	if (!ret)\n"
         "		ret = cluster_set_add(&check->used, to, 1);\n",
         "	if (!ret)\n		ret = cluster_set_add(&check->used, to, 1);\n"),
        Unit("qed_order", "copy_is_durable_before_its_entry", "34"),
        Crash("checked", "34")),
    Mutant(
        "copies-beside-entries-behind-the-end",
        ("check.c",
         "		ret = mend_offsets(check);\n",
         "		ret = 0;\n"),
        Crash("checked", "34")),
)

CLOSING = (
    Mutant(
        "file-cut-before-leaks-are-noted",
        ("qed.c",
         "		ret = note_leaks(img);\n	if (!ret)\n		ret = cut_file(img);\n",
         "		ret = cut_file(img);\n	if (!ret)\n		ret = note_leaks(img);\n"),
        Unit("qed_order", "leaks_are_noted_before_the_cut", "20")),
    Mutant(
        "closed-without-a-last-fdatasync",
        ("qed.c",
         "		ret = cut_file(img);\n	if (!ret)\n"
         "		ret = qed_co_flush_file(img);\n",
         "		ret = cut_file(img);\n"),
        Unit("qed_order", "leaks_are_noted_before_the_cut", "19")),
    Mutant(
        "file-cut-before-its-clusters-have-moved",
        ("compact.c",
         "	ret = move_all(c);\n",
         "	ret = move_all(c);\n"
         "	(void)blk_file_co_truncate(img->file, c->tail << img->cluster_bits);\n"),
        Crash("close-compacts", "17", "19")),
)

CHAINS = (
    Mutant(
        "backing-file-dropped-before-the-flush",
        ("backing.c",
         "	ret = qed_co_commit(img);\n",
         "	ret = 0;\n"),
        Crash("streaming", "26"),
        Crash("rebased", "26")),
    Mutant(
        "backing-name-written-after-the-header",
        ("backing.c",
         "	ret = blk_file_co_pwrite(img->file, name, len, h->backing_filename_offset);\n"
         "	if (!ret)\n		ret = qed_co_flush_file(img);\n",
         "	ret = blk_file_co_pwrite(img->file, name, len, h->backing_filename_offset);\n"),
        Unit("qed_order", "name_is_durable_before_the_header", "26")),
    Mutant(
        "emptied-before-the-base-is-flushed",
        ("job/commit.c",
         "	ret = blk_co_sync(c->opts.base);\n",
         "	ret = 0;\n"),
        Crash("committed", "27"),
        Unit("job_live_commit_order", "base_is_durable_first", "39")),
    Mutant(
        "clusters-move-under-a-reader",
        ("qed.c",
         "		if (img->node->flags & BLK_O_LEAVE)\n",
         "		if (false)\n"),
        Unit("job_live_commit_order", "clusters_stay", "39")),
    Mutant(
        "cut-before-l1-is-empty",
        ("empty.c",
         "	return ret ? ret : qed_co_flush_file(img);\n",
         "	return ret;\n"),
        Crash("committed", "28")),
    Mutant(
        "emptied-while-the-search-for-leaks-runs",
        ("empty.c",
         "	qed_co_leak_scan_stop(img);\n", ""),
        Unit("qed_leaks", "emptied_while_searched", "20", "28")),
    Mutant(
        "emptied-image-takes-no-space-for-l1",
        ("empty.c",
         "		atomic_store_explicit(&img->alloc.l1_space, 0, memory_order_relaxed);\n", ""),
        Unit("qed_failures", "space_for_l1", "25")),
    Mutant(
        "longer-before-the-backing-file-is-hidden",
        ("resize.c",
         "	return ret ? ret : qed_co_commit(img);\n",
         "	return ret;\n"),
        Crash("committed", "22")),
)

SNAPSHOT = (
    Mutant(
        "rescue-area-keeps-the-old-image",
        ("block/overlay.c",
         "	if (node->driver->rescue)\n		node->driver->rescue(node, false);\n"
         "	set_writable(node, false);\n",
         "	set_writable(node, false);\n"),
        Unit("block_overlay", "killed", "41")),
    Mutant(
        "requests-go-on-before-the-new-image-records",
        ("block/overlay.c",
         "void blk_begin_rescue(struct blk_node *node)\n{\n	node->driver->rescue(node, true);\n",
         "void blk_begin_rescue(struct blk_node *node)\n{\n	(void)node;\n"),
        Unit("block_overlay", "killed", "41")),
)

RESIZING = (
    Mutant(
        "shorter-before-the-cut-is-durable",
        ("resize.c",
         "	int ret = qed_co_cut(img, size, round_up(old, qed_cluster_size(img)));\n\n"
         "	if (!ret)\n		ret = qed_co_commit(img);\n",
         "	int ret = qed_co_cut(img, size, round_up(old, qed_cluster_size(img)));\n\n"),
        Unit("qed_resize", "cut_is_durable_before_the_header", "22", "40"),
        Crash("resized", "40")),
    Mutant(
        "bytes-stay-in-the-last-cluster",
        ("zero.c",
         "	int ret = zero_in_place(img, from, offset - from);\n",
         "	int ret = 0;\n"),
        Unit("qed_resize", "cut_is_durable_before_the_header", "40"),
        Crash("resized", "40")),
    Mutant(
        "shorter-while-requests-are-in-flight",
        ("block/io.c",
         "	atomic_store(&node->size, size);\n	blk_co_wait_requests(node);\n",
         "	atomic_store(&node->size, size);\n"),
        Unit("qed_resize", "requests_in_flight", "40")),
    Mutant(
        "longer-than-the-header-may-say",
        ("block/io.c",
         "	if (ret && shrinks && !unsure)\n",
         "	if (ret && shrinks)\n"),
        Unit("qed_resize", "failures_at_each_step", "40")),
)

FILLING = (
    Mutant(
        "made-without-the-mark",
        ("create.c",
         "		h->features |= QED_F_INCOMPLETE;\n",
         "		h->features |= 0;\n"),
        Crash("converted", "29")),
    Mutant(
        "mark-gone-before-the-flush",
        ("header_io.c",
         "	int ret = qed_co_commit(img);\n",
         "	int ret = 0;\n"),
        Crash("converted", "30")),
    Mutant(
        "mark-gone-without-a-flush",
        ("header_io.c",
         "	return ret ? ret : qed_co_flush_file(img);\n",
         "	return ret;\n"),
        Crash("converted", "31"),
        Unit("qed_opening", "unknown_bits_go_first", "22"),
        Unit("qed_opening", "repaired_when_opened", "34")),
    Mutant(
        "old-image-not-cut-before-the-new-header",
        ("create.c",
         "	ret = blk_file_co_truncate(file, size);\n	if (!ret)\n"
         "		ret = blk_file_co_flush(file);\n",
         "	ret = blk_file_co_truncate(file, size);\n"),
        Unit("qed_opening", "old_image_is_gone_before_the_new_header", "29")),
    Mutant(
        "made-without-a-last-flush",
        ("create.c",
         "	return ret ? ret : blk_file_co_flush(file);\n", "	return ret;\n"),
        Unit("qed_opening", "old_image_is_gone_before_the_new_header", "29")),
)

MUTANTS = OPENING + LIVE_CHECK + REPAIR + CLOSING + CHAINS + SNAPSHOT + RESIZING + FILLING
