// SPDX-License-Identifier: GPL-2.0
/*
 * Progress in qemu-img's form.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "qed-img/progress.h"

/* Minimum progress, in percent, before the line is printed again. */
#define MIN_STEP 1.0

static bool shown;
static double last;
static volatile sig_atomic_t asked;

static void on_signal(int sig)
{
	(void)sig;
	asked = 1;
}

void progress_start(bool show)
{
	struct sigaction action;

	shown = show;
	last = 0;
	memset(&action, 0, sizeof(action));
	action.sa_handler = on_signal;
	action.sa_flags = SA_RESTART;
	sigemptyset(&action.sa_mask);
	sigaction(SIGUSR1, &action, NULL);
	progress_update(0, 1);
}

void progress_update(uint64_t done, uint64_t total)
{
	double percent = total ? 100.0 * (double)done / (double)total : 100.0;

	if (shown) {
		if (percent <= 0 || percent >= 100 || percent >= last + MIN_STEP || asked) {
			printf("    (%3.2f/100%%)\r", percent);
			fflush(stdout);
			last = percent;
		}
	} else if (asked) {
		fprintf(stderr, "    (%3.2f/100%%)\n", percent);
	}
	asked = 0;
}

void progress_end(void)
{
	if (shown)
		printf("\n");
}
