// SPDX-License-Identifier: GPL-2.0
/*
 * QED images: header and tables, for reading and for writing.
 */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_read_image("qed", data, size);
	/* Writers work on the size in the header; large sizes take long. */
	if (size >= 12 && data[6] == 0 && data[7] == 0 && data[10] == 0 && data[11] == 0)
		fuzz_write_image("qed", data, size);
	return 0;
}

size_t fuzz_seed(unsigned int n, uint8_t *buf)
{
	return fuzz_qed_seed(n, buf);
}
