/* `processes`: a line for each process that is not the kernel's own. */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "tools.h"

enum { KERNEL_THREADS = 2, COMMAND_BYTES = 1024 };

struct process {
	int pid, parent, threads;
	char state;
	unsigned uid;
	unsigned long long cpu_ticks, start_ticks;
	long long resident_pages;
};

/* proc(5): the name is in brackets and may hold anything, so the fields are counted from its end. */
static bool read_stat(int pid, struct process *process)
{
	char path[64], text[1024];
	unsigned long long user, system;
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	char *rest = read_file(path, text, sizeof text) > 0 ? strrchr(text, ')') : NULL;
	process->pid = pid;
	if (!rest || sscanf(rest + 1,
			    " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %d %*d %llu %*u %lld",
			    &process->state, &process->parent, &user, &system, &process->threads, &process->start_ticks,
			    &process->resident_pages) != 7)
		return false;
	process->cpu_ticks = user + system;
	return true;
}

static bool read_owner(int pid, unsigned *uid)
{
	char path[64];
	struct stat what;
	snprintf(path, sizeof path, "/proc/%d", pid);
	if (stat(path, &what) < 0)
		return false;
	*uid = what.st_uid;
	return true;
}

static void print_command(int pid)
{
	char path[64], text[COMMAND_BYTES];
	snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
	ssize_t length = read_file(path, text, sizeof text);
	if (length <= 0) { /* one that has ended, or has wiped it */
		snprintf(path, sizeof path, "/proc/%d/comm", pid);
		length = read_line(path, text, sizeof text);
	}
	while (length > 0 && !text[length - 1])
		length--;
	for (ssize_t i = 0; i < length; i++)
		printf(!text[i] || strchr("% \n\r", text[i]) ? "%%%02X" : "%c", text[i] ? (unsigned char)text[i] : ' ');
}

static void print_process(int pid, long tick_ms)
{
	struct process process = {0};
	if (!read_stat(pid, &process) || process.parent == KERNEL_THREADS || pid == KERNEL_THREADS ||
	    !read_owner(pid, &process.uid))
		return;
	printf("%d %d %u %c %d %lld %llu %llu ", process.pid, process.parent, process.uid, process.state, process.threads,
	       process.resident_pages * sysconf(_SC_PAGESIZE), process.cpu_ticks * (unsigned long long)tick_ms,
	       process.start_ticks * (unsigned long long)tick_ms);
	print_command(pid);
	printf("\n");
}

int tool_processes(int argc, char **argv)
{
	DIR *entries = opendir("/proc");
	if (argc != 1 || !entries) {
		tool_complain(argc != 1 ? argv[1] : "/proc");
		return TOOL_FAILED;
	}
	for (struct dirent *entry; (entry = readdir(entries));)
		if (isdigit((unsigned char)entry->d_name[0]))
			print_process(atoi(entry->d_name), 1000 / sysconf(_SC_CLK_TCK));
	closedir(entries);
	return fflush(stdout) == 0 ? TOOL_OK : TOOL_FAILED;
}
