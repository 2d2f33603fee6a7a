#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

enum { FIRST_PAUSE_MS = 100, LONGEST_PAUSE_MS = 10 * 1000, START_MS = 2000 };

static void wait_before_restart(struct program *program)
{
	if (!program->pause_ms || now_ms() - program->started_ms > LONGEST_PAUSE_MS)
		program->pause_ms = FIRST_PAUSE_MS;
	program->again_ms = now_ms() + program->pause_ms;
	program->pause_ms = program->pause_ms * 2 < LONGEST_PAUSE_MS ? program->pause_ms * 2 : LONGEST_PAUSE_MS;
	program->state = PROGRAM_WAITING;
}

static void await_start(pid_t pid, int report)
{
	struct pollfd told = {.fd = report, .events = POLLIN};
	siginfo_t end;
	if (poll(&told, 1, START_MS) > 0 && told.revents & POLLIN)
		waitid(P_PID, (id_t)pid, &end, WEXITED | WNOWAIT);
}

/* The report closes by itself in the moment the program replaces init's copy. That is waited for, some milliseconds, so
 * that a machine which says that it is ready knows of a program that could not be started: what has said why is about
 * to end, and has ended when this returns. */
static pid_t start_with_report(struct program *program)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	program->report = fds[0];
	program->how.report = fds[1];
	pid_t pid = spawn(&program->how);
	int error = errno;
	close(fds[1]);
	if (pid < 0)
		close(fds[0]);
	else
		await_start(pid, fds[0]);
	errno = error;
	return pid;
}

void program_start(struct program *program)
{
	program->started_ms = now_ms();
	program->pid = start_with_report(program);
	program->state = PROGRAM_RUNNING;
	if (program->pid >= 0)
		return;
	say("%s: %s", program->how.argv[0], strerror(errno));
	wait_before_restart(program);
}

static void read_report(struct program *program)
{
	struct spawn_report report;
	program->reason[0] = 0;
	if (read(program->report, &report, sizeof report) == (ssize_t)sizeof report) {
		memcpy(program->reason, report.text, sizeof report.text);
		program->reason[sizeof report.text - 1] = 0;
		say("%s", program->reason);
	}
	close(program->report);
}

static bool want_restart(const struct program *program)
{
	bool left = !program->bounded || program->restarts < program->most_restarts;
	return program->restart == RESTART_ALWAYS ||
	       (program->restart == RESTART_ON_FAILURE && program->wait_status != 0 && left);
}

bool program_child_ended(struct program *program, pid_t pid, int wait_status, bool final)
{
	if (program->state != PROGRAM_RUNNING || pid != program->pid)
		return false;
	program->has_ended = true;
	program->wait_status = wait_status;
	program->pid = 0;
	read_report(program);
	if (!final && want_restart(program))
		wait_before_restart(program);
	else
		program->state = PROGRAM_ENDED;
	return true;
}

void program_poll(const struct program *program, struct pollset *set)
{
	if (program->state == PROGRAM_WAITING)
		pollset_wake_at(set, program->again_ms);
}

bool program_step(struct program *program)
{
	if (program->state != PROGRAM_WAITING || now_ms() < program->again_ms)
		return false;
	program->restarts++;
	program_start(program);
	return true;
}
