/* `kernel-log SECONDS WORD...`: what the kernel has said lately about something. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "tools.h"

enum { RECORD_ROOM = 8192 }; /* a shorter buffer is an error to the kernel, not a shorter record */

/* `6,339,5140900,-;text`, the third number microseconds since boot; more lines, of devices, follow. */
static void show(char *record, unsigned long long since_us, char **words)
{
	char *text = strchr(record, ';');
	unsigned long long at_us;
	if (!text || sscanf(record, "%*u,%*u,%llu", &at_us) != 1 || at_us < since_us)
		return;
	text++;
	text[strcspn(text, "\n")] = 0;
	for (char **word = words; *word; word++)
		if (strstr(text, *word)) {
			puts(text);
			return;
		}
}

int tool_kernel_log(int argc, char **argv)
{
	static char record[RECORD_ROOM];
	char *end = NULL;
	double seconds = argc > 2 ? strtod(argv[1], &end) : -1;
	if (seconds < 0 || end == argv[1] || *end) {
		tool_complain_why("usage", "kernel-log SECONDS WORD...");
		return TOOL_FAILED;
	}
	unsigned long long now_us = (unsigned long long)clock_ns(CLOCK_MONOTONIC) / 1000, ago_us = (unsigned long long)(seconds * 1e6);
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		tool_complain("/dev/kmsg");
		return TOOL_FAILED;
	}
	for (;;) {
		ssize_t got = read(fd, record, sizeof record - 1);
		if (got < 0 && errno == EPIPE) /* it was overwritten as we came to it */
			continue;
		if (got <= 0)
			break;
		record[got] = 0;
		show(record, now_us > ago_us ? now_us - ago_us : 0, argv + 2);
	}
	close(fd);
	return TOOL_OK;
}
