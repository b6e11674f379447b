// SPDX-License-Identifier: GPL-2.0
/*
 * Print options as reST, for manual pages: those of a device that one program takes, or those of
 * a new image. scripts/man-page puts them in the place of a line. Used by the build; not installed.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "block/node.h"
#include "device/options.h"

/* Print @text, a help text, with its plain "--NAME" words as literals. */
static void print_literals(const char *text)
{
	while (*text) {
		size_t len = strncmp(text, "--", 2) ?
				     0 :
				     2 + strspn(text + 2, "abcdefghijklmnopqrstuvwxyz-");

		if (len > 2)
			printf("``%.*s``", (int)len, text);
		else
			len = 1, putchar(*text);
		text += len;
	}
}

static void print_option(const struct device_option *option, enum device_program program)
{
	const char *value = option->value;

	if (program == DEVICE_PLUGIN)
		printf("``%s=%s``\n    ", option->name, value ? value : "BOOL");
	else
		printf("``--%s%s%s``\n    ", option->name, value ? " " : "", value ? value : "");
	putchar(toupper((unsigned char)option->help[0]));
	print_literals(option->help + 1);
	if (option->preset)
		printf(" (%s)", option->preset);
	putchar('.');
	if (option->manual)
		printf(" %s", option->manual);
	if (option->changes && program != DEVICE_PLUGIN)
		printf(" **qedctl %s** changes it on a live device.", option->changes);
	printf("\n\n");
}

/* Print a paragraph for each format of which images can be made, for a definition list. */
static void print_create_options(void)
{
	const struct blk_option_row *row;

	for (size_t f = 0; blk_drivers[f]; f++) {
		const struct blk_driver *driver = blk_drivers[f];

		if (!driver->co_create)
			continue;
		printf("    %s:", driver->name);
		for (size_t i = 0; (row = blk_create_option(driver, false, i)); i++) {
			printf("%s *%s*", i ? "," : "", row->name);
			if (row->title)
				printf(" (%" PRIu64 " to %" PRIu64 ", a power of 2; %" PRIu64 ")",
				       row->min, row->max, row->preset);
		}
		printf(".\n\n");
	}
}

int main(int argc, char **argv)
{
	enum device_program program = 0;
	bool create = argc == 2 && !strcmp(argv[1], "create");

	if (argc == 2 && !strcmp(argv[1], "qedd"))
		program = DEVICE_QEDD;
	else if (argc == 2 && !strcmp(argv[1], "qedctl"))
		program = DEVICE_QEDCTL;
	else if (argc == 2 && !strcmp(argv[1], "nbdkit-qed-plugin"))
		program = DEVICE_PLUGIN;
	if (!program && !create) {
		fprintf(stderr, "usage: man-options qedd|qedctl|nbdkit-qed-plugin|create\n");
		return 1;
	}
	if (create)
		print_create_options();
	for (size_t i = 0; i < DEVICE_NR_OPTIONS; i++)
		if (device_option_table[i].programs & program)
			print_option(&device_option_table[i], program);
	return fflush(stdout) || ferror(stdout);
}
