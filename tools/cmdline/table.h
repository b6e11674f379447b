/* SPDX-License-Identifier: GPL-2.0 */
/* Printing text in columns, as wide as their widest cell. */
#ifndef QEDBLK_CMDLINE_TABLE_H
#define QEDBLK_CMDLINE_TABLE_H

#include <stddef.h>

#define TABLE_MAX_COLUMNS 8

struct table {
	int columns;
	char **cells; /* row after row */
	size_t count; /* cells */
};

/* A table of @columns columns, at most TABLE_MAX_COLUMNS. */
#define TABLE_INIT(columns) ((struct table){ (columns), NULL, 0 })

/*
 * Add the next cell (printf style), left to right, row after row. Control characters,
 * as in file names, become \xNN. Returns 0 or -ENOMEM.
 */
int table_add(struct table *table, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Print all rows on standard output, with two spaces between columns, and free the cells. */
void table_print(struct table *table);

#endif
