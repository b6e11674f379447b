// SPDX-License-Identifier: GPL-2.0
/* Printing text in columns, as wide as their widest cell. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmdline/table.h"
#include "util/text.h"

/* Return the number of UTF-8 characters. */
static size_t width_of(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

int table_add(struct table *table, const char *fmt, ...)
{
	char **cells, *text;
	va_list ap;

	va_start(ap, fmt);
	text = text_format("", fmt, ap);
	va_end(ap);
	if (!text)
		return -ENOMEM;
	cells = reallocarray(table->cells, table->count + 1, sizeof(*cells));
	if (!cells) {
		free(text);
		return -ENOMEM;
	}
	cells[table->count] = text;
	table->cells = cells;
	table->count++;
	return 0;
}

void table_print(struct table *table)
{
	size_t width[TABLE_MAX_COLUMNS] = { 0 };
	size_t i, len;
	int column;

	for (i = 0; i < table->count; i++) {
		len = width_of(table->cells[i]);
		column = i % table->columns;
		if (len > width[column])
			width[column] = len;
	}
	for (i = 0; i < table->count; i++) {
		column = i % table->columns;
		/* The last cell of a row is not padded: no trailing blanks. */
		if (column == table->columns - 1 || i == table->count - 1)
			printf("%s\n", table->cells[i]);
		else
			printf("%s%*s", table->cells[i],
			       (int)(width[column] - width_of(table->cells[i]) + 2), "");
		free(table->cells[i]);
	}
	free(table->cells);
	table->cells = NULL;
	table->count = 0;
}
