// SPDX-License-Identifier: GPL-2.0
/*
 * Print the options of a device as reST, for the manual page of one program: they replace its
 * line ".. device-options: PROGRAM" (scripts/man-page). Used by the build; not installed.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

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

int main(int argc, char **argv)
{
	enum device_program program = 0;

	if (argc == 2 && !strcmp(argv[1], "qedd"))
		program = DEVICE_QEDD;
	else if (argc == 2 && !strcmp(argv[1], "qedctl"))
		program = DEVICE_QEDCTL;
	else if (argc == 2 && !strcmp(argv[1], "nbdkit-qed-plugin"))
		program = DEVICE_PLUGIN;
	if (!program) {
		fprintf(stderr, "usage: man-device-options qedd|qedctl|nbdkit-qed-plugin\n");
		return 1;
	}
	for (size_t i = 0; i < DEVICE_NR_OPTIONS; i++)
		if (device_option_table[i].programs & program)
			print_option(&device_option_table[i], program);
	return fflush(stdout) || ferror(stdout);
}
