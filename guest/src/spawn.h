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
	bool apart;    /* not in the group of programs that can be frozen */
	bool tool;     /* argv[0] is one of the programs inside the init */
	int report;    /* where the reason of a failure goes (spawn_report) */
};

struct spawn_report {
	int error;
	char text[120];
};

/* Once /proc is there: remembers where the init's own program is. */
void spawn_prepare(void);

/* The new process is the leader of its own session and process group. -1: errno says why. */
pid_t spawn(const struct spawn *spawn);
