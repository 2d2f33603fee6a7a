#include "entry.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "clock.h"
#include "ends.h"
#include "log.h"
#include "power.h"
#include "spawn.h"

enum { FIRST_PAUSE_MS = 100, LONGEST_PAUSE_MS = 10 * 1000, GRACE_MS = 2000, NO_TERMINAL = 0xffff };

static const struct config *config;
static struct entry_status status;
static bool changed;
static int64_t pause_ms = FIRST_PAUSE_MS, started_ms, again_ms;

static void set_state(enum entry_state state)
{
	status.state = state;
	changed = true;
}

static void wait_before_restart(void)
{
	again_ms = now_ms() + pause_ms;
	pause_ms = pause_ms * 2 < LONGEST_PAUSE_MS ? pause_ms * 2 : LONGEST_PAUSE_MS;
	set_state(ENTRY_WAITING);
}

static void start(void)
{
	struct spawn how = {.argv = config->argv,
			    .env = config->env,
			    .cwd = config->cwd,
			    .user = config->user,
			    .in = STDIN_FILENO,
			    .out = STDOUT_FILENO,
			    .err = STDERR_FILENO,
			    .terminal = true,
			    .report = -1};
	started_ms = now_ms();
	pid_t pid = spawn(&how);
	if (pid < 0) {
		say("%s: %s", config->argv[0], strerror(errno));
		wait_before_restart();
		return;
	}
	status.pid = (uint32_t)pid;
	set_state(ENTRY_RUNNING);
}

void entry_start(const struct config *from)
{
	config = from;
	if (config->argc)
		start();
}

static bool want_restart(bool failed)
{
	return config->restart == RESTART_ALWAYS || (config->restart == RESTART_ON_FAILURE && failed);
}

void entry_child_ended(pid_t pid, int wait_status)
{
	if (status.state != ENTRY_RUNNING || (uint32_t)pid != status.pid)
		return;
	bool signalled = WIFSIGNALED(wait_status);
	status.ended_by = signalled ? ENDED_BY_SIGNAL : ENDED_BY_CODE;
	status.value = signalled ? WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
	status.pid = 0;
	if (now_ms() - started_ms > LONGEST_PAUSE_MS)
		pause_ms = FIRST_PAUSE_MS;
	if (!power_is_ending() && want_restart(wait_status != 0)) {
		wait_before_restart();
		return;
	}
	set_state(ENTRY_EXITED);
	power_end(SHUTDOWN_POWER_OFF, GRACE_MS);
}

void entry_poll(struct pollset *set)
{
	if (status.state == ENTRY_WAITING)
		pollset_wake_at(set, again_ms);
}

void entry_step(void)
{
	if (status.state != ENTRY_WAITING || now_ms() < again_ms || power_is_ending())
		return;
	status.restarts++;
	start();
}

/* Without anybody at a terminal there is nobody to see what is typed: it would only mix with the output. */
void entry_resize(uint16_t rows, uint16_t cols)
{
	struct termios settings;
	if (rows != NO_TERMINAL) {
		terminal_set_size(STDIN_FILENO, rows, cols);
	} else if (tcgetattr(STDIN_FILENO, &settings) == 0) {
		settings.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSANOW, &settings);
	}
}

void entry_signal(int number)
{
	if (status.state == ENTRY_RUNNING && kill(-(pid_t)status.pid, number) < 0)
		kill((pid_t)status.pid, number); /* right after fork it has no group yet */
}

const struct entry_status *entry_status(void)
{
	return &status;
}

bool entry_take_change(void)
{
	bool was = changed;
	changed = false;
	return was;
}
