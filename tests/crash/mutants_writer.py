# SPDX-License-Identifier: GPL-2.0
"""Mutants of the request path: commits, clusters, copies, the cache of slices, FUA."""

from mutant import Crash, Mutant, Unit

COMMIT = (
    Mutant(
        "first-fdatasync-left-out",
        ("commit.c",
         "	ret = qed_co_flush_file(img);\n	if (ret || !(c->nr_batch",
         "	ret = c->nr_batch ? 0 : qed_co_flush_file(img);\n	if (ret || !(c->nr_batch"),
        Crash("copy-on-write", "R3", "6", "8"),
        Crash("discard-reuse", "R1", "16")),
    Mutant(
        "no-fdatasync-when-nothing-is-dirty",
        ("commit.c",
         "	ret = qed_co_flush_file(img);\n	if (ret || !(c->nr_batch",
         "	ret = c->nr_batch || c->batch_tables.nr ? qed_co_flush_file(img) : 0;\n"
         "	if (ret || !(c->nr_batch"),
        Crash("write-zeroes", "R5", "2", "5")),
    Mutant(
        "second-fdatasync-left-out",
        ("commit.c",
         "		ret = qed_co_l1_write(img, &c->batch_tables);\n	if (!ret)\n"
         "		ret = qed_co_flush_file(img);\n",
         "		ret = qed_co_l1_write(img, &c->batch_tables);\n"),
        Crash("allocating-writes", "R3", "R5", "14")),
    Mutant(
        "entries-written-before-data-is-flushed",
        ("commit.c",
         "	copy_batch(img);\n	ret = qed_co_flush_file(img);\n",
         "	copy_batch(img);\n	ret = write_slices(img);\n	if (!ret)\n"
         "		ret = qed_co_flush_file(img);\n"),
        Crash("copy-on-write", "R3", "1", "3")),
    Mutant(
        "entries-copied-after-the-flush",
        ("commit.c",
         "	copy_batch(img);\n	ret = qed_co_flush_file(img);\n",
         "	ret = qed_co_flush_file(img);\n	copy_batch(img);\n"),
        Crash("copy-on-write", "R3", "8")),
    Mutant(
        "l1-written-before-growth-is-durable",
        ("commit.c",
         "	copy_batch(img);\n	ret = qed_co_flush_file(img);\n",
         "	copy_batch(img);\n	ret = qed_co_l1_write(img, &c->batch_tables);\n	if (!ret)\n"
         "		ret = qed_co_flush_file(img);\n"),
        Unit("qed_order", "commit_has_two_phases", "R1", "R3", "7", "9"),
        Crash("allocating-writes", "R1", "R3", "7", "9")),
    Mutant(
        "l1-copied-after-the-flush",
        ("tables.c",
         "		ret = blk_file_co_pwrite(img->file, (uint8_t *)img->l1_disk + first, end - first,\n",
         "		for (uint64_t i = first / 8; i < end / 8; i++)\n"
         "			img->l1_disk[i] = htole64(atomic_load(&img->l1[i]));\n"
         "		ret = blk_file_co_pwrite(img->file, (uint8_t *)img->l1_disk + first, end - first,\n"),
        Unit("qed_order", "later_table_is_not_in_the_commit", "R3", "9")),
    Mutant(
        "flush-joins-the-commit-that-runs",
        ("commit.c",
         "	uint64_t want = c->started + 1;\n",
         "	uint64_t want = c->started + !c->running;\n"),
        Crash("allocating-writes", "R5")),
    Mutant(
        "second-phase-although-the-first-failed",
        ("commit.c",
         "	if (ret || !(c->nr_batch || c->batch_tables.nr))\n",
         "	if (!(c->nr_batch || c->batch_tables.nr))\n"),
        Unit("qed_failures", "no_entry_without_the_first_flush", "R6", "23")),
    Mutant(
        "failed-commit-frees-what-it-dropped",
        ("commit.c",
         "		qed_drops_not_durable(img);\n	} else",
         "		qed_drops_durable(img);\n	} else"),
        Unit("qed_failures", "failed_commit_frees_nothing", "R4", "R6", "11", "24")),
    Mutant(
        "failed-commit-keeps-what-it-dropped",
        ("free_list.c",
         "	from->nr = 0;\n	img->scan.leaked = true;\n",
         "	leaked = 0;\n"),
        Unit("qed_errors", "dropped_without_memory", "R4", "24")),
    Mutant(
        "failed-commit-reported-to-others",
        ("commit.c",
         "			c->owed_error = told ? 0 : ret;\n",
         "			told = true;\n"),
        Unit("qed_errors", "owed", "R6", "24"),
        Unit("qed_errors", "owed_by_others", "R6", "24")),
    Mutant(
        "failed-commit-reported-twice",
        ("commit.c",
         "			c->owed_error = told ? 0 : ret;\n",
         "			c->owed_error = ret;\n"),
        Unit("qed_errors", "reported_once", "R6", "24"),
        Unit("qed_errors", "shared_commit", "R6", "24")),
    Mutant(
        "failed-commit-leaves-slices-clean",
        ("commit.c",
         "			put_back(img, c->batch[b]);\n",
         "			continue;\n"),
        Unit("qed_failures", "failed_commit_is_made_good", "R6", "24")),
    Mutant(
        "failed-commit-forgets-tables",
        ("commit.c",
         "		(void)cluster_runs_move(&c->new_tables, &c->batch_tables);\n",
         "		c->batch_tables.nr = 0;\n"),
        Unit("qed_failures", "failed_commit_is_made_good", "R6", "10", "24")),
    Mutant(
        "commit-ends-before-its-last-tables",
        ("commit.c",
         "		more = cluster_runs_move(&c->batch_tables, &c->new_tables);\n",
         "		(void)cluster_runs_move(&c->batch_tables, &c->new_tables);\n"),
        Unit("qed_errors", "tables_without_memory", "R5", "R6", "14", "24")),
    Mutant(
        "lost-pages-are-forgotten",
        ("file/file_flush.c",
         "	ret = blk_file_lost(file);\n	if (!ret)\n		ret = f->result;\n",
         "	ret = f->result;\n"),
        Unit("block_flush", "reported_once", "R6", "23", "36")),
    Mutant(
        "lost-pages-are-forgotten-with-o-direct",
        ("file/file_flush.c",
         "	if (!file->direct || !file->is_device)\n",
         "	if (!file->direct)\n"),
        Unit("block_flush", "reported_once", "R6", "36"),
        Unit("qed_faults", "flush_error", "R6", "36")),
    Mutant(
        "failed-sync-of-a-durable-write-is-forgotten",
        ("file/file_align.c",
         "	blk_file_set_lost(file, error);\n",
         ""),
        Unit("block_flush", "taken_by_durable_write", "R6", "36")),
    Mutant(
        "failed-durable-sync-unknown-to-a-successor",
        ("io.c",
         "	if (ret)\n		qed_rescue_lost(img);\n",
         ""),
        Unit("qed_reopen", "no_entry_for_what_may_be_lost", "R6", "33")),
    Mutant(
        "flush-passes-a-durable-write-by",
        ("file/file_flush.c",
         "	while (atomic_load(&f->durable[epoch % 2]))\n",
         "	while (epoch == UINT64_MAX)\n"),
        Unit("block_flush", "taken_beside_a_flush", "R6", "36")),
)

CLUSTERS = (
    Mutant(
        "clusters-behind-the-file-are-taken",
        ("alloc.c",
         "	uint64_t n = room ? min_u64(want, room - 1) : 0;\n",
         "	uint64_t n = room < UINT64_MAX ? want : 0;\n"),
        Unit("qed_faults", "growth_error", "R1", "1")),
    Mutant(
        "space-for-a-slice-is-not-taken",
        ("entries.c",
         "		ret = blk_file_co_allocate(img->file, qed_slice_offset(img, index),\n"
         "					   QED_SLICE_BYTES);\n",
         "		ret = 0;\n"),
        Unit("qed_faults", "metadata_space", "25")),
    Mutant(
        "space-for-l1-is-not-taken",
        ("tables.c",
         "	ret = blk_file_co_allocate(img->file, img->header.l1_table_offset, bytes);\n",
         "	ret = 0;\n"),
        Unit("qed_failures", "space_for_l1", "25")),
    Mutant(
        "no-cluster-left-at-the-end",
        ("alloc.c",
         "	uint64_t n = room ? min_u64(want, room - 1) : 0;\n",
         "	uint64_t n = min_u64(want, room);\n"),
        Unit("qed_order", "open_file_ends_in_a_hole", "20")),
    Mutant(
        "no-hole-at-the-end-of-a-writer-that-frees",
        ("commit.c",
         "		(void)qed_co_extend(img, 0);\n", "		;\n"),
        Unit("qed_leaks", "leaks_of_discards", "20")),
    Mutant(
        "dropped-clusters-free-at-once",
        ("free_list.c",
         "	if (cluster_runs_add(&img->alloc.dropped, start, count)) {\n",
         "	if (cluster_set_add(&img->alloc.free, start, count)) {\n"),
        Crash("discard-reuse", "R4", "11")),
    Mutant(
        "dropped-clusters-reused-before-the-commit",
        (("free_list.c",
          "	qed_flusher_commit(img, img->alloc.dropping > max_dropping(img) / 2);\n",
          "	qed_flusher_recycle(img);\n"),
         ("free_list.c",
          "	if (!a->waiting.nr && a->durable.nr) {\n",
          "	(void)cluster_runs_move(&a->durable, &a->dropped);\n"
          "	if (!a->waiting.nr && a->durable.nr) {\n")),
        Crash("discard-reuse", "R4", "11", "12")),
    Mutant(
        "freed-clusters-reused-under-requests",
        ("free_list.c",
         "	if (!a->waiting.nr || !inflight_passed(&img->node->inflight, a->ticket))\n",
         "	if (!a->waiting.nr)\n"),
        Crash("discard-reuse", "R4", "15")),
    Mutant(
        "freed-clusters-not-punched",
        ("free_list.c",
         "			  blk_file_co_write_zeroes(img->file, offset, bytes, true);\n",
         "			  0;\n"),
        Crash("discard-reuse", "R1", "R4", "7"),
        Crash("close-compacts", "18")),
    Mutant(
        "freed-clusters-punched-too-late",
        ("free_list.c",
         "			  blk_file_co_write_zeroes(img->file, offset, bytes, true);\n\n"
         "	pthread_mutex_lock(&img->meta_lock);\n"
         "	if (!ret)\n"
         "		ret = make_free(img, start, count);\n"
         "	img->scan.leaked |= ret;\n"
         "	pthread_mutex_unlock(&img->meta_lock);\n",
         "			  0;\n\n"
         "	pthread_mutex_lock(&img->meta_lock);\n"
         "	ret = make_free(img, start, count);\n"
         "	pthread_mutex_unlock(&img->meta_lock);\n"
         "	if (!ret)\n"
         "		ret = blk_file_co_write_zeroes(img->file, offset, bytes, true);\n"),
        Crash("discard-reuse", "R4", "15")),
    Mutant(
        "punched-before-the-commit",
        ("commit.c",
         "	copy_batch(img);\n",
         "	copy_batch(img);\n	for (size_t i = 0; i < img->alloc.committing.nr; i++)\n"
         "		(void)blk_file_co_write_zeroes(\n"
         "			img->file, img->alloc.committing.runs[i].start << img->cluster_bits,\n"
         "			img->alloc.committing.runs[i].count << img->cluster_bits, true);\n"),
        Crash("close-compacts", "R4", "17")),
)

COPIES = (
    Mutant(
        "entry-set-before-the-copy-is-complete",
        ("copy.c",
         "	ret = fill_cluster(img, &fill, run.start << img->cluster_bits, &wrote);\n",
         "	ret = qed_co_set_unallocated(img, part->cluster, 1, run.start << img->cluster_bits,\n"
         "				     0, &set);\n"
         "	if (!ret)\n"
         "		ret = fill_cluster(img, &fill, run.start << img->cluster_bits, &wrote);\n"),
        Crash("copy-on-write", "R2", "3")),
    Mutant(
        "entry-set-although-it-has-changed",
        ("entries.c",
         "		    QED_L2_UNALLOCATED)\n			break;\n",
         "		    QED_L2_UNALLOCATED)\n			;\n"),
        Unit("qed_chain", "part_write", "R2"),
        Unit("qed_chain", "whole_write", "R2"),
        Unit("qed_chain", "populating", "R2")),
    Mutant(
        "populating-shows-before-it-is-written",
        ("io.c",
         "	if (cluster_start >= backing_end && (flags & BLK_REQ_POPULATE))\n",
         "	if (!bytes)\n"),
        Unit("qed_chain", "populating_late", "R2")),
    Mutant(
        "late-writer-of-a-copied-cluster-left-out",
        ("copy.c",
         "	if (!pos)\n		close_fill(img, fill);\n", ""),
        Crash("copy-on-write", "R2", "4")),
    Mutant(
        "zeroes-kept-although-a-writer-joined",
        ("copy.c",
         " && !part->next)\n", ")\n"),
        Unit("qed_failures", "writer_joins_populating_of_zeroes", "R2", "4")),
    Mutant(
        "part-of-a-failed-copy-not-punched",
        ("copy.c",
         "	if (!set)\n		give_back_written(img, &run);\n	answer_joined(",
         "	pthread_mutex_lock(&img->meta_lock);\n"
         "	if (!set)\n		qed_alloc_undo(img, run.start, run.count);\n"
         "	pthread_mutex_unlock(&img->meta_lock);\n	answer_joined("),
        Unit("qed_failures", "failed_copy_of_a_part", "R1", "7")),
    Mutant(
        "failed-write-of-whole-clusters-not-punched",
        ("copy.c",
         "	if (run.count)\n		give_back_written(img, &run);\n	return ret;\n",
         "	pthread_mutex_lock(&img->meta_lock);\n"
         "	if (run.count)\n		qed_alloc_undo(img, run.start, run.count);\n"
         "	pthread_mutex_unlock(&img->meta_lock);\n"
         "	return ret;\n"),
        Unit("qed_failures", "failed_copy_of_a_whole", "R1", "7")),
    Mutant(
        "populating-overwrites-newer-data",
        ("io.c",
         "			if (!(flags & BLK_REQ_POPULATE))\n",
         "			if (flags != UINT32_MAX)\n"),
        Crash("copy-on-read", "R2", "3")),
    Mutant(
        "discarding-shows-the-backing-file",
        ("zero.c",
         "		if (shows_backing(img))\n			return QED_L2_ZERO;\n", ""),
        Crash("copy-on-read", "13")),
)

SLICES = (
    Mutant(
        "slices-reused-without-a-grace-period",
        ("l2_cache.c",
         "		aio_rcu_defer(&slice->rcu, slice_reclaim);\n",
         "		slice->state = L2_SLICE_FREE;\n"
         "		slice->list_next = cache->free;\n"
         "		cache->free = slice;\n"
         "		cache->retired--;\n"),
        Unit("qed_slices", "evicted_slice_stays_for_readers", "R2")),
    Mutant(
        "slice-evicted-while-its-commit-runs",
        ("l2_cache.c",
         "		if (slice->state != L2_SLICE_READY || slice->dirty || slice->committing)\n",
         "		if (slice->state != L2_SLICE_READY || slice->dirty)\n"),
        Crash("small-l2-cache", "R3")),
)

FUA = (
    Mutant(
        "short-way-for-a-dirty-entry",
        ("io.c",
         "		if (!slice || slice->dirty || slice->committing)\n",
         "		if (!slice || slice->committing)\n"),
        Crash("fua", "R5", "32"),
        Unit("qed_fua", "what_is_on_disk", "32")),
    Mutant(
        "short-way-beside-the-commit-of-its-entry",
        ("io.c",
         "		if (!slice || slice->dirty || slice->committing)\n",
         "		if (!slice || slice->dirty)\n"),
        Unit("qed_fua", "beside_commits", "R5", "32")),
    Mutant(
        "short-way-before-the-table-is-on-disk",
        ("io.c",
         " || c->new_tables.nr || c->batch_tables.nr)\n", ")\n"),
        Unit("qed_fua", "what_is_on_disk", "R5", "32")),
    Mutant(
        "short-way-for-what-another-process-wrote",
        ("io.c",
         "	if (!c->succeeded || ", "	if ("),
        Unit("qed_fua", "what_is_on_disk", "21", "32")),
    Mutant(
        "durable-writes-believed-everywhere",
        ("file/file_align.c",
         "!file->keeps_dsync || ", ""),
        Unit("block_flush", "where_durable_writes_are_used", "R5", "32")),
)

MUTANTS = COMMIT + CLUSTERS + COPIES + SLICES + FUA
