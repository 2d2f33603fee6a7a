/* `hostname NAME`: now, and in the files of /etc that say it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "tools.h"

enum { HOSTS_BYTES = 256 * 1024 };

static bool is_host_name(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
	size_t length = strlen(name);
	return length && length <= 63 && !name[strspn(name, letters)] && *name != '-' && *name != '.';
}

/* In place: with a read-only root the file is a mount of its own, which cannot be replaced. */
static bool rewrite(const char *path, const char *text)
{
	FILE *out = fopen(path, "we");
	bool done = out && fputs(text, out) >= 0;
	done = out && fclose(out) == 0 && done;
	if (!done)
		tool_complain(path);
	return done;
}

/* The host's own line is the one with 127.0.1.1; all others stay. */
static bool rewrite_hosts(const char *name)
{
	static char old[HOSTS_BYTES], new[HOSTS_BYTES + 128];
	size_t used = 0;
	bool found = false;
	if (read_file("/etc/hosts", old, sizeof old) < 0)
		old[0] = 0;
	for (char *line = strtok(old, "\n"); line; line = strtok(NULL, "\n")) {
		bool own = !strncmp(line, "127.0.1.1", 9) && strchr(" \t", line[9]);
		if (own && found)
			continue;
		found |= own;
		used += (size_t)snprintf(new + used, sizeof new - used, own ? "127.0.1.1 %s\n" : "%s\n", own ? name : line);
	}
	if (!found)
		snprintf(new + used, sizeof new - used, "127.0.1.1 %s\n", name);
	return rewrite("/etc/hosts", new);
}

int tool_hostname(int argc, char **argv)
{
	char line[80];
	if (argc != 2 || !is_host_name(argv[1])) {
		tool_complain_why(argc == 2 ? argv[1] : "usage", argc == 2 ? "not a host name" : "hostname NAME");
		return TOOL_FAILED;
	}
	if (sethostname(argv[1], strlen(argv[1])) < 0) {
		tool_complain(argv[1]);
		return TOOL_FAILED;
	}
	snprintf(line, sizeof line, "%s\n", argv[1]);
	bool kept = rewrite("/etc/hostname", line);
	return rewrite_hosts(argv[1]) && kept ? TOOL_OK : TOOL_INCOMPLETE;
}
