/*
 * Settings, as 9front's kernels read them: lines NAME=VALUE, names whatever their case, # at the start of a line is a
 * comment, a later line wins.
 */
#include "kernel.h"

enum { ROOM = 24000 };	/* what those kernels have for it */

static char text[ROOM];
static size_t used;

static void add_byte(char c)
{
	if (used < ROOM - 1 && c != '\r')
		text[used++] = c == '\t' ? ' ' : c;
}

void config_add(const char *lines, size_t length)
{
	for (size_t at = 0; at < length && lines[at]; at++)
		add_byte(lines[at]);
	add_byte('\n');
}

void config_add_words(const char *words)
{
	for (; *words; words++)
		add_byte(*words == ' ' ? '\n' : *words);
	add_byte('\n');
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

/* The value on a line with that name, or NULL. */
static const char *value_on(const char *line, const char *name)
{
	while (*name && lower(*line) == lower(*name))
		line++, name++;
	return *name || *line != '=' ? NULL : line + 1;
}

const char *config_find(const char *name)
{
	static char value[1024];
	bool found = false;

	for (const char *line = text; *line;) {
		const char *end = line, *start = value_on(line, name);
		while (*end && *end != '\n')
			end++;
		if (start) {
			size_t count = (size_t)(end - start);
			if (count >= sizeof value)
				count = sizeof value - 1;
			memcpy(value, start, count);
			value[count] = 0;
			found = true;
		}
		line = *end ? end + 1 : end;
	}
	return found ? value : NULL;
}
