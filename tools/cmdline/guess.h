/* SPDX-License-Identifier: GPL-2.0 */
/* Guessing which word was meant by a mistyped one. */
#ifndef QEDBLK_TOOLS_GUESS_H
#define QEDBLK_TOOLS_GUESS_H

#include <stddef.h>

/* Letters; no guess is made of, nor for, a longer word. */
#define GUESS_MAX 20

struct guess {
	const char *typed; /* @len letters */
	size_t len;
	const char *best; /* the word that may have been meant, or NULL */
	unsigned int nearest; /* how many letters differ; a word has to be nearer than that */
};

void guess_begin(struct guess *guess, const char *typed, size_t len);
/* @word is one that could have been meant; it is kept as long as @guess is used. */
void guess_try(struct guess *guess, const char *word);

#endif
