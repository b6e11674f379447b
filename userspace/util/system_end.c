// SPDX-License-Identifier: GPL-2.0
/* Whether the init process, systemd or another, shuts the system down. */
#include <stdio.h>
#include <string.h>
#include <utmpx.h>

#include "util/system_end.h"
#include "util/systemd.h"

/* systemd's last program, which ends all processes, runs as process 1; cut at 15 bytes. */
#define SYSTEMD_LAST "systemd-shutdow\n"

static bool runs_systemd_shutdown(void)
{
	FILE *file = fopen("/proc/1/comm", "re");
	char name[32];
	bool runs = file && fgets(name, sizeof(name), file) && !strcmp(name, SYSTEMD_LAST);

	if (file)
		fclose(file);
	return runs;
}

/* Return true in the runlevels of System V that halt and reboot. */
static bool runlevel_ends(void)
{
	struct utmpx wanted = { .ut_type = RUN_LVL };
	const struct utmpx *entry;
	bool ends;

	setutxent();
	entry = getutxid(&wanted);
	ends = entry && (entry->ut_pid % 256 == '0' || entry->ut_pid % 256 == '6');
	endutxent();
	return ends;
}

bool system_ends(pid_t sender)
{
	if (systemd_runs())
		return runs_systemd_shutdown() || systemd_is_stopping();
	/* Small init programs send SIGTERM themselves, and only then. */
	return sender == 1 || runlevel_ends();
}
