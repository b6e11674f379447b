// SPDX-License-Identifier: GPL-2.0
/* qedd: the server of one disk image as one block device. */
#include <errno.h>
#include <stdio.h>

#include "server/daemon.h"
#include "server/options.h"
#include "server/server.h"
#include "util/log.h"
#include "util/version.h"

int main(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	struct device_options options;
	struct starter starter;
	int status;

	if (options_parse(&options, argc, argv, &err) < 0) {
		status = err.code == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
		fprintf(stderr, "qedd: %s\n", error_text(&err));
		error_free(&err);
		return status;
	}
	if (options.help || options.version) {
		if (options.help)
			options_print_help(stdout);
		else
			puts("qedd " QEDBLK_VERSION);
		if (!fflush(stdout) && !ferror(stdout))
			return 0;
		perror("qedd: standard output");
		return EXIT_FAILED;
	}
	status = daemon_start(&options, &starter);
	if (status >= 0)
		return status;
	log_init("qedd", !options.foreground, LOG_LEVEL_INFO);
	daemon_harden();
	return server_run(&options, &starter);
}
