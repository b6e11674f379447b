// SPDX-License-Identifier: GPL-2.0
/* Traces of first reads, as prefetch reads them. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "populate/trace.h"
#include "fuzz.h"
#include "util/units.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = fuzz_memfd("trace", data, size);
	struct trace_range *ranges = NULL;
	struct error err = ERROR_INIT;
	char name[64];
	size_t nr = 0;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	if (trace_read(name, &ranges, &nr, &err))
		fuzz_require(error_text(&err)[0], "an error without a line");
	else
		for (size_t i = 0; i < nr; i++)
			fuzz_require(ranges[i].bytes &&
					     ranges[i].bytes <= UINT64_MAX - ranges[i].offset,
				     "a range that is none");
	error_free(&err);
	free(ranges);
	close(fd);
	return 0;
}

size_t fuzz_seed(unsigned int n, uint8_t *buf)
{
	static const char *const seeds[] = {
		"qedblk-trace 1\n0 65536\n131072 65536\n\n# a comment\n 4096\t4096 \r\n",
		"qedblk-trace 1\n18446744073709551615 1\n1 18446744073709551615\n0 0\n",
		"qedblk-trace 2\n0 65536\n",
		"qedblk-trace 1\n0 65536 7\n",
	};

	return fuzz_seed_text(seeds, ARRAY_SIZE(seeds), n, buf);
}
