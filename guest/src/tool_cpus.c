/* `cpus [N]`: brings processors on- or offline until N are online; then a line ONLINE PRESENT POSSIBLE. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "tools.h"

#define CPUS "/sys/devices/system/cpu"
#define EXPEDITED "/sys/kernel/rcu_expedited"
enum { MOST = 1024, LIST_BYTES = 4096 };

struct set {
	bool has[MOST];
	int count;
};

/* Like `0-3,6`. False: there is no such list. */
static bool read_set(const char *path, struct set *set)
{
	char text[LIST_BYTES];
	*set = (struct set){.count = 0};
	if (read_line(path, text, sizeof text) < 0)
		return false;
	for (char *part = strtok(text, ","); part; part = strtok(NULL, ",")) {
		unsigned first = MOST, last;
		if (sscanf(part, "%u-%u", &first, &last) < 2)
			last = first;
		for (unsigned cpu = first; cpu <= last && cpu < MOST; cpu++) {
			set->count += !set->has[cpu];
			set->has[cpu] = true;
		}
	}
	return true;
}

static void switch_file(char *path, size_t room, int cpu)
{
	snprintf(path, room, CPUS "/cpu%d/online", cpu);
}

/* One that can be switched says it itself. Others, like the first, have no such file. */
static bool is_online(int cpu)
{
	static struct set online;
	char path[64], text[16];
	switch_file(path, sizeof path, cpu);
	if (read_line(path, text, sizeof text) > 0)
		return *text == '1';
	return read_set(CPUS "/online", &online) && online.has[cpu];
}

static int count_online(const struct set *present)
{
	int count = 0;
	for (int cpu = 0; cpu < MOST; cpu++)
		count += present->has[cpu] && is_online(cpu);
	return count;
}

/* A kernel without hot-plug knows of processors, and has nothing to switch them by. */
static bool can_switch(const struct set *present)
{
	char path[64];
	for (int cpu = 1; cpu < MOST; cpu++) {
		switch_file(path, sizeof path, cpu);
		if (present->has[cpu] && access(path, F_OK) == 0)
			return true;
	}
	return present->count <= 1;
}

/* What it cannot switch it complains of, and goes on with another. */
static void switch_some(const struct set *present, int wanted)
{
	int have = count_online(present), step = have < wanted ? 1 : -1;
	for (int i = 1; i < MOST && have != wanted; i++) {
		char path[64], what[16];
		int cpu = step > 0 ? i : MOST - i;
		if (!present->has[cpu] || is_online(cpu) == (step > 0))
			continue;
		switch_file(path, sizeof path, cpu);
		if (write_file(path, step > 0 ? "1" : "0")) {
			have += step;
			continue;
		}
		snprintf(what, sizeof what, "cpu%d", cpu);
		tool_complain(what);
	}
}

/* To switch one, the kernel waits several times until all others have been seen idle: it can be told to hurry. */
static void approach(const struct set *present, int wanted)
{
	char before[16];
	bool hurry = read_line(EXPEDITED, before, sizeof before) > 0 && *before == '0' && write_file(EXPEDITED, "1");
	switch_some(present, wanted);
	if (hurry)
		write_file(EXPEDITED, "0");
}

static bool parse_wanted(const char *text, int *wanted)
{
	char *end;
	long number = strtol(text, &end, 10);
	*wanted = (int)number;
	return *text && !*end && number >= 1 && number <= MOST;
}

int tool_cpus(int argc, char **argv)
{
	static struct set present, possible;
	int wanted = 0;
	if (argc > 2 || (argc == 2 && !parse_wanted(argv[1], &wanted))) {
		tool_complain_why("usage", "cpus [N]");
		return TOOL_FAILED;
	}
	if (!read_set(CPUS "/present", &present) || !read_set(CPUS "/possible", &possible)) {
		tool_complain(CPUS);
		return TOOL_FAILED;
	}
	if (!can_switch(&present)) {
		tool_complain_why(CPUS, "the kernel has no hot-plug of processors");
		return TOOL_FAILED;
	}
	if (wanted)
		approach(&present, wanted);
	int online = count_online(&present);
	printf("%d %d %d\n", online, present.count, possible.count);
	if (fflush(stdout) != 0)
		return TOOL_FAILED;
	return !wanted || online == wanted ? TOOL_OK : TOOL_INCOMPLETE;
}
