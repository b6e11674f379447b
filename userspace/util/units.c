// SPDX-License-Identifier: GPL-2.0
/*
 * Sizes in bytes: parsing a user's input, and printing for users.
 */
#include "util/units.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Digits of a fraction that are used; further ones make less than a byte of difference. */
#define MAX_FRACTION_DIGITS 19

static const char unit_letters[] = "bkmgtpe";

/* A number being parsed: whole + numerator / denominator, where numerator < denominator. */
struct number {
	uint64_t whole, numerator, denominator;
	bool overflow; /* the whole part does not fit in 64 bits */
};

static unsigned int digit_value(char c)
{
	return isdigit((unsigned char)c) ? (unsigned int)(c - '0') :
					   (unsigned int)(tolower((unsigned char)c) - 'a' + 10);
}

static bool is_digit(char c, unsigned int base)
{
	return base == 16 ? isxdigit((unsigned char)c) : isdigit((unsigned char)c);
}

/* Parse digits; return the first character behind them, or NULL if there is no digit. */
static const char *parse_whole(const char *text, unsigned int base, struct number *number)
{
	const char *p = text;

	for (; is_digit(*p, base); p++) {
		if (__builtin_mul_overflow(number->whole, base, &number->whole) ||
		    __builtin_add_overflow(number->whole, digit_value(*p), &number->whole))
			number->overflow = true;
	}
	return p == text ? NULL : p;
}

/* Parse the digits behind a point, if any; return the first character behind them. */
static const char *parse_fraction(const char *text, struct number *number)
{
	const char *p = text;
	unsigned int used = 0;

	for (; is_digit(*p, 10); p++) {
		if (used++ >= MAX_FRACTION_DIGITS)
			continue;
		number->numerator = number->numerator * 10 + digit_value(*p);
		number->denominator *= 10;
	}
	return p;
}

/* Return the shift, in bits, of the unit in the rest of the text, or -EINVAL. */
static int parse_unit(const char *text)
{
	const char *letter;

	if (!*text)
		return 0;
	letter = strchr(unit_letters, tolower((unsigned char)*text));
	if (!letter || text[1])
		return -EINVAL;
	return 10 * (int)(letter - unit_letters);
}

static int scale(const struct number *number, unsigned int shift, uint64_t *bytes)
{
	unsigned __int128 part = (unsigned __int128)number->numerator << shift;
	unsigned __int128 sum;

	if (number->overflow)
		return -ERANGE;
	part = (part + number->denominator / 2) / number->denominator;
	sum = ((unsigned __int128)number->whole << shift) + part;
	if (sum > INT64_MAX)
		return -ERANGE;
	*bytes = (uint64_t)sum;
	return 0;
}

int parse_size(const char *text, uint64_t *bytes)
{
	struct number number = { .denominator = 1 };
	bool negative = *text == '-', hex;
	int shift, ret;

	text += negative || *text == '+';
	hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	text = parse_whole(hex ? text + 2 : text, hex ? 16 : 10, &number);
	if (text && !hex && *text == '.')
		text = parse_fraction(text + 1, &number);
	if (!text)
		return -EINVAL;
	shift = parse_unit(text);
	if (shift < 0)
		return shift;
	/* A size in bytes can't have a fraction. */
	if (!shift && number.numerator)
		return -EINVAL;
	ret = scale(&number, (unsigned int)shift, bytes);
	return negative && !ret ? -ERANGE : ret;
}

int parse_printed_size(const char *text, uint64_t *bytes)
{
	size_t len = strlen(text), unit;
	char plain[64];

	if (len >= sizeof(plain))
		return parse_size(text, bytes);
	memcpy(plain, text, len + 1);
	if (len > 3 && isalpha((unsigned char)plain[len - 3]) && !strcmp(plain + len - 2, "iB"))
		plain[len -= 2] = '\0';
	unit = len - 1;
	if (len > 2 && isalpha((unsigned char)plain[unit]) && plain[unit - 1] == ' ' &&
	    isdigit((unsigned char)plain[unit - 2]))
		memmove(plain + unit - 1, plain + unit, 2);
	return parse_size(plain, bytes);
}

char *format_size(char *buf, size_t len, uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes;
	unsigned int i = 0;

	/* From 1000 on, not 1024, so that the whole part has at most three digits. */
	for (; value >= 1000 && i + 1 < ARRAY_SIZE(units); i++)
		value /= 1024;
	snprintf(buf, len, "%.3g %s", value, units[i]);
	return buf;
}
