#include "oom.h"

#include <stdlib.h>
#include <string.h>

#include "files.h"

static uint32_t kills;
static bool changed;

void oom_look(void)
{
	static char text[16 * 1024];
	const char *found = read_file("/proc/vmstat", text, sizeof text) > 0 ? strstr(text, "\noom_kill ") : NULL;
	uint32_t now = found ? (uint32_t)strtoul(found + 10, NULL, 10) : kills;
	changed |= now != kills;
	kills = now;
}

uint32_t oom_kills(void)
{
	return kills;
}

bool oom_take_change(void)
{
	bool was = changed;
	changed = false;
	return was;
}

void oom_repeat_change(void)
{
	changed = kills;
}
