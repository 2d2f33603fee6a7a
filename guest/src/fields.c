#include "fields.h"

#include <stdlib.h>
#include <string.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decoding only ever shrinks, so it is done in place. A decoded NUL would cut the string: refused. */
static bool percent_decode(char *text)
{
	char *to = text;
	for (char *from = text; *from; from++) {
		if (*from != '%') {
			*to++ = *from;
			continue;
		}
		int high = hex_digit(from[1]);
		int low = high < 0 ? -1 : hex_digit(from[2]);
		if (low < 0 || (high | low) == 0)
			return false;
		*to++ = (char)(high << 4 | low);
		from += 2;
	}
	*to = 0;
	return true;
}

char *take_field(struct line *line)
{
	char *field = line->rest;
	if (!field)
		return NULL;
	char *space = strchr(field, ' ');
	line->rest = space ? space + 1 : NULL;
	if (space)
		*space = 0;
	return percent_decode(field) ? field : NULL;
}

char *take_word(struct line *line)
{
	char *field = take_field(line);
	return field && *field ? field : NULL;
}

char *split_option(char *field)
{
	char *equals = strchr(field, '=');
	if (!equals || equals == field)
		return NULL;
	*equals = 0;
	return equals + 1;
}

bool parse_number(const char *text, uint32_t limit, uint32_t *out)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || value > limit)
		return false;
	*out = (uint32_t)value;
	return true;
}

bool parse_mac(const char *text, uint8_t mac[6])
{
	if (strlen(text) != 17)
		return false;
	for (int i = 0; i < 6; i++) {
		int high = hex_digit(text[i * 3]), low = hex_digit(text[i * 3 + 1]);
		if (high < 0 || low < 0 || (i < 5 && text[i * 3 + 2] != ':'))
			return false;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}
