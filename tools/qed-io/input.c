// SPDX-License-Identifier: GPL-2.0
/*
 * Reading lines from standard input while asynchronous requests run; on a terminal with
 * line editing, history and completion by libedit.
 */
#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#include "aio/sys.h"
#include "qed-io/command.h"
#include "qed-io/input.h"

/* Lines of history. */
#define HISTORY_LINES 1000

#define CTRL_D 4

/* ---- Plain lines ---- */

static struct {
	char *data; /* heap */
	size_t len, capacity;
	bool ended;
} input;

/* Remove the first @len bytes and the line's end from the buffer; return the line (heap). */
static char *take(size_t len)
{
	char *line = strndup(input.data ? input.data : "", len);
	size_t used = len < input.len ? len + 1 : len;

	input.len -= used;
	if (input.len)
		memmove(input.data, input.data + used, input.len);
	return line;
}

static bool make_room(void)
{
	size_t capacity = input.capacity ? 2 * input.capacity : 4096;
	char *data;

	if (input.len < input.capacity)
		return true;
	data = realloc(input.data, capacity);
	if (!data)
		return false;
	input.data = data;
	input.capacity = capacity;
	return true;
}

/* Read more without blocking the loop: poll first; a file is always readable. */
static void co_fill(void)
{
	ssize_t n = -ENOMEM;

	if (make_room()) {
		aio_co_poll(STDIN_FILENO, POLLIN);
		n = read(STDIN_FILENO, input.data + input.len, input.capacity - input.len);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			return;
	}
	if (n > 0)
		input.len += (size_t)n;
	else
		input.ended = true;
}

static char *co_read_plain_line(void)
{
	size_t seen = 0;
	char *newline;

	/* Even if a line is in the buffer: runnable coroutines run before the next command. */
	io_co_yield();
	for (;;) {
		newline = input.len > seen ? memchr(input.data + seen, '\n', input.len - seen) :
					     NULL;
		if (newline)
			return take((size_t)(newline - input.data));
		if (input.ended)
			return input.len ? take(input.len) : NULL;
		seen = input.len;
		co_fill();
	}
}

/* ---- The prompt ---- */

static struct {
	EditLine *el; /* NULL: no terminal, or libedit failed */
	History *history;
	bool begun; /* else it is not known whether there is a terminal */
	struct termios found; /* the terminal's original settings, once @found_valid */
	/* Stored with release order after @found, which then never changes. */
	_Atomic bool found_valid;
} prompt;

static char *prompt_text(EditLine *el)
{
	static char text[260];

	(void)el;
	snprintf(text, sizeof(text), "%s> ", program_invocation_short_name);
	return text;
}

/* Read a character; only this coroutine waits for it. Returns 1, 0 at the end, or -1. */
static int co_get_character(EditLine *el, wchar_t *character)
{
	mbstate_t state = { 0 };
	ssize_t n;
	size_t len;
	char byte;

	(void)el;
	for (;;) {
		aio_co_poll(STDIN_FILENO, POLLIN);
		n = read(STDIN_FILENO, &byte, 1);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return (int)n;
		len = mbrtowc(character, &byte, 1, &state);
		if (len == (size_t)-2)
			continue; /* an incomplete character */
		if (len == (size_t)-1)
			*character = L'?';
		/* A Ctrl-D typed ahead, before the terminal was in raw mode, arrives as 0. */
		if (!*character)
			*character = CTRL_D;
		return 1;
	}
}

/* Return the number of commands that begin with @word, and the length of their common prefix. */
static size_t find_commands(const char *word, size_t len, const char **first, size_t *common)
{
	const struct io_command *command;
	size_t i, same, count = 0;

	for (i = 0; (command = io_command_get(i)); i++) {
		if (strncmp(command->name, word, len))
			continue;
		if (!count++) {
			*first = command->name;
			*common = strlen(command->name);
			continue;
		}
		for (same = len; same < *common && command->name[same] == (*first)[same];)
			same++;
		*common = same;
	}
	return count;
}

static void list_commands(const char *word, size_t len)
{
	const struct io_command *command;
	size_t i;

	putchar('\n');
	for (i = 0; (command = io_command_get(i)); i++)
		if (!strncmp(command->name, word, len))
			printf("%s  ", command->name);
	putchar('\n');
	fflush(stdout);
}

static unsigned char complete(EditLine *el, int character)
{
	const LineInfo *line = el_line(el);
	const char *word = line->buffer, *first;
	size_t len = (size_t)(line->cursor - line->buffer), common, count;
	char rest[64];

	(void)character;
	if (memchr(word, ' ', len))
		return CC_ERROR; /* only the first word is a command */
	count = find_commands(word, len, &first, &common);
	if (!count)
		return CC_ERROR;
	snprintf(rest, sizeof(rest), "%.*s%s", (int)(common - len), first + len,
		 count == 1 ? " " : "");
	if (*rest)
		return el_insertstr(el, rest) ? CC_ERROR : CC_REFRESH;
	list_commands(word, len);
	return CC_REDISPLAY;
}

static void begin(void)
{
	HistEvent event;

	prompt.begun = true;
	if (tcgetattr(STDIN_FILENO, &prompt.found))
		return;
	setlocale(LC_CTYPE, ""); /* for multibyte input */
	prompt.el = el_init(program_invocation_short_name, stdin, stdout, stderr);
	if (!prompt.el)
		return;
	atomic_store_explicit(&prompt.found_valid, true, memory_order_release);
	prompt.history = history_init();
	if (prompt.history) {
		history(prompt.history, &event, H_SETSIZE, HISTORY_LINES);
		history(prompt.history, &event, H_SETUNIQUE, 1);
		el_set(prompt.el, EL_HIST, history, prompt.history);
	}
	el_set(prompt.el, EL_PROMPT, prompt_text);
	el_set(prompt.el, EL_EDITOR, "emacs");
	el_set(prompt.el, EL_SIGNAL, 1); /* so that Ctrl-Z restores the terminal */
	el_set(prompt.el, EL_GETCFN, co_get_character);
	el_set(prompt.el, EL_ADDFN, "complete-command", "Complete a command", complete);
	el_set(prompt.el, EL_BIND, "\t", "complete-command", NULL);
	el_set(prompt.el, EL_BIND, "^R", "em-inc-search-prev", NULL);
	el_source(prompt.el, NULL);
}

char *io_co_read_line(void)
{
	HistEvent event;
	const char *line;
	char *copy;
	int len;

	if (!prompt.begun)
		begin();
	if (!prompt.el) {
		printf("%s", prompt_text(NULL));
		fflush(stdout);
		return co_read_plain_line();
	}
	/* Before the prompt is printed, since a user that waits for it may type at once. */
	el_set(prompt.el, EL_PREP_TERM, 1);
	line = el_gets(prompt.el, &len);
	if (!line || len <= 0) {
		putchar('\n');
		return NULL;
	}
	copy = strdup(line);
	if (!copy)
		return NULL;
	copy[strcspn(copy, "\n")] = '\0';
	if (prompt.history && copy[strspn(copy, " \t")])
		history(prompt.history, &event, H_ENTER, copy);
	return copy;
}

/* Also called by the thread that waits for signals, while the loop's thread runs. */
void io_input_restore(void)
{
	if (atomic_load_explicit(&prompt.found_valid, memory_order_acquire))
		tcsetattr(STDIN_FILENO, TCSADRAIN, &prompt.found);
}

void io_input_free(void)
{
	free(input.data);
	if (prompt.history)
		history_end(prompt.history);
	if (prompt.el)
		el_end(prompt.el);
}
