// SPDX-License-Identifier: GPL-2.0
/* Guessing which word was meant by a mistyped one. */
#include <string.h>

#include "cmdline/guess.h"

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/* Return how many of the @len letters of @a differ from @b: inserted, left out or replaced. */
static unsigned int distance(const char *a, size_t len, const char *b)
{
	unsigned int row[GUESS_MAX + 1], nr = strlen(b);

	for (unsigned int i = 0; i <= nr; i++)
		row[i] = i;
	for (unsigned int n = 1; n <= len; a++, n++) {
		unsigned int diagonal = row[0];

		row[0] = n;
		for (unsigned int i = 1; i <= nr; i++) {
			unsigned int replaced = diagonal + (*a != b[i - 1]);

			diagonal = row[i];
			row[i] = least(replaced, 1 + least(row[i], row[i - 1]));
		}
	}
	return row[nr];
}

void guess_begin(struct guess *guess, const char *typed, size_t len)
{
	*guess = (struct guess){ .typed = typed, .len = len, .nearest = 3 };
}

void guess_try(struct guess *guess, const char *word)
{
	unsigned int d;

	if (guess->len < 2 || guess->len > GUESS_MAX || strlen(word) > GUESS_MAX)
		return;
	d = distance(guess->typed, guess->len, word);
	if (d < guess->nearest && d < guess->len) {
		guess->nearest = d;
		guess->best = word;
	}
}
