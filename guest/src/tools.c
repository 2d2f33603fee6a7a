#include "tools.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} tools[] = {
	{"commit", tool_commit}, {"cpus", tool_cpus}, {"event", tool_event}, {"hostname", tool_hostname},
	{"kernel-log", tool_kernel_log}, {"probe", tool_probe}, {"processes", tool_processes}, {"stat", tool_stat},
	{"tar-create", tool_tar_create}, {"tar-extract", tool_tar_extract},
};

static const char *running = "weft-init";

static int find(const char *name)
{
	for (size_t i = 0; i < sizeof tools / sizeof *tools; i++)
		if (!strcmp(name, tools[i].name))
			return (int)i;
	return -1;
}

bool tool_exists(const char *name)
{
	return find(name) >= 0;
}

int tool_run(int argc, char **argv)
{
	int found = argc > 0 ? find(argv[0]) : -1;
	if (found < 0) {
		fprintf(stderr, "weft-init: this is the first process of a machine; as a command it is given one of:");
		for (size_t i = 0; i < sizeof tools / sizeof *tools; i++)
			fprintf(stderr, " %s", tools[i].name);
		fprintf(stderr, "\n");
		return TOOL_FAILED;
	}
	running = tools[found].name;
	return tools[found].run(argc, argv);
}

void tool_complain_why(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s: %s\n", running, what, why);
}

void tool_complain(const char *what)
{
	tool_complain_why(what, strerror(errno));
}
