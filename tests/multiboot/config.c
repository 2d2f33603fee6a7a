/* Settings, as 9front's kernels read them: lines NAME=VALUE, # at the start of a line is a comment, a later line wins. */
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

const char *config_find(const char *name)
{
	static char value[1024];
	bool found = false;
	size_t length = length_of(name);

	for (char *line = text; *line;) {
		char *end = line;
		while (*end && *end != '\n')
			end++;
		if (memcmp(line, name, length) == 0 && line[length] == '=') {
			size_t count = (size_t)(end - line) - length - 1;
			if (count >= sizeof value)
				count = sizeof value - 1;
			memcpy(value, line + length + 1, count);
			value[count] = 0;
			found = true;
		}
		line = *end ? end + 1 : end;
	}
	return found ? value : NULL;
}
