/* Starting a process: its streams, session, user, directory, environment. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct spawn {
	char *const *argv;
	char *const *env;   /* the machine's, then ... */
	char *const *extra; /* ... these over it; may be NULL */
	const char *cwd;    /* NULL or empty: / */
	const char *user;   /* NULL or empty: root. USER[:GROUP], names or numbers */
	int in, out, err;
	bool terminal; /* `in` becomes the controlling terminal */
	int report;    /* where the reason of a failure goes (spawn_report); -1: the console */
};

struct spawn_report {
	int error;
	char text[120];
};

/* The new process is the leader of its own session and process group. -1: errno says why. */
pid_t spawn(const struct spawn *spawn);
