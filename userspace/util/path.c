// SPDX-License-Identifier: GPL-2.0
/* Names of files for a process with another working directory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/path.h"

char *path_absolute(const char *path)
{
	char *here, *full;

	if (path[0] == '/')
		return strdup(path);
	here = getcwd(NULL, 0);
	if (!here)
		return NULL;
	if (asprintf(&full, "%s/%s", strcmp(here, "/") ? here : "", path) < 0)
		full = NULL;
	free(here);
	return full;
}
