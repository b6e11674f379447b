// SPDX-License-Identifier: GPL-2.0
/* Facts about other processes, from /proc. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/process.h"

/* Open a file of the process's folder in /proc; NULL: errno. */
static FILE *open_file(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return fopen(path, "re");
}

char *process_name(pid_t pid, char name[PROCESS_NAME_LEN])
{
	FILE *file = open_file(pid, "comm");

	if (!file || !fgets(name, PROCESS_NAME_LEN, file))
		name[0] = '\0';
	name[strcspn(name, "\n")] = '\0';
	if (file)
		fclose(file);
	return name;
}

pid_t process_parent(pid_t pid)
{
	FILE *file = open_file(pid, "stat");
	char line[256] = "";
	const char *rest;
	int parent = 0;

	/* The name, in brackets, may have any bytes. */
	if (file && fread(line, 1, sizeof(line) - 1, file)) {
		rest = strrchr(line, ')');
		if (!rest || sscanf(rest, ") %*c %d", &parent) != 1)
			parent = 0;
	}
	if (file)
		fclose(file);
	return parent;
}

char *process_option(pid_t pid, const char *option)
{
	FILE *file = open_file(pid, "cmdline");
	char *word = NULL, *value = NULL;
	size_t room = 0, len = strlen(option);
	bool next = false;

	while (file && !value && getdelim(&word, &room, '\0', file) > 0) {
		if (next)
			value = strdup(word);
		else if (!strncmp(word, "--", 2) && !strncmp(word + 2, option, len) &&
			 word[2 + len] == '=')
			value = strdup(word + 2 + len + 1);
		next = !strncmp(word, "--", 2) && !strcmp(word + 2, option);
	}
	free(word);
	if (file)
		fclose(file);
	return value;
}

char *process_variable(pid_t pid, const char *name)
{
	FILE *file = open_file(pid, "environ");
	char *word = NULL, *value = NULL;
	size_t room = 0, len = strlen(name);

	while (file && !value && getdelim(&word, &room, '\0', file) > 0)
		if (!strncmp(word, name, len) && word[len] == '=')
			value = strdup(word + len + 1);
	free(word);
	if (file)
		fclose(file);
	return value;
}

bool process_find(bool (*fn)(void *arg, pid_t pid), void *arg)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir)))
		found = entry->d_name[strspn(entry->d_name, "0123456789")] == '\0' &&
			fn(arg, atoi(entry->d_name));
	if (dir)
		closedir(dir);
	return found;
}
