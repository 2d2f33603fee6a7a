#include "entry.h"

#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "ends.h"
#include "power.h"
#include "program.h"

enum { GRACE_MS = 2000, NO_TERMINAL = 0xffff };

static struct program program;
static struct entry_status status;
static int stop_signal = SIGTERM;
static bool changed;

/* What the host is told of the program. */
static void update(void)
{
	static const enum entry_state states[] = {[PROGRAM_NEW] = ENTRY_NONE,
						  [PROGRAM_RUNNING] = ENTRY_RUNNING,
						  [PROGRAM_WAITING] = ENTRY_WAITING,
						  [PROGRAM_ENDED] = ENTRY_EXITED};
	status.state = states[program.state];
	status.pid = program.state == PROGRAM_RUNNING ? (uint32_t)program.pid : 0;
	status.restarts = program.restarts;
	if (program.has_ended) {
		bool signalled = WIFSIGNALED(program.wait_status);
		status.ended_by = signalled ? ENDED_BY_SIGNAL : ENDED_BY_CODE;
		status.value = signalled ? WTERMSIG(program.wait_status) : WEXITSTATUS(program.wait_status);
	}
	changed = true;
}

void entry_start(const struct config *config)
{
	if (!config->argc)
		return;
	stop_signal = config->stop_signal ? config->stop_signal : SIGTERM;
	program = (struct program){.how = {.argv = config->argv,
					   .env = config->env,
					   .cwd = config->cwd,
					   .user = config->user,
					   .in = STDIN_FILENO,
					   .out = STDOUT_FILENO,
					   .err = STDERR_FILENO,
					   .terminal = true},
				   .restart = config->restart,
				   .bounded = config->restarts_bounded,
				   .most_restarts = config->most_restarts};
	program_start(&program);
	update();
}

void entry_child_ended(pid_t pid, int wait_status)
{
	if (!program_child_ended(&program, pid, wait_status, power_is_ending()))
		return;
	update();
	if (program.state == PROGRAM_ENDED)
		power_end(SHUTDOWN_POWER_OFF, GRACE_MS);
}

void entry_poll(struct pollset *set)
{
	if (!power_is_ending())
		program_poll(&program, set);
}

void entry_step(void)
{
	if (!power_is_ending() && program_step(&program))
		update();
}

/* It alone: what it has started is its to end, as in a container. */
void entry_ask(void)
{
	if (program.state != PROGRAM_RUNNING)
		return;
	kill(program.pid, stop_signal);
	kill(program.pid, SIGCONT); /* a stopped process cannot end itself */
}

/* Without anybody at a terminal there is nobody to see what is typed: it would only mix with the output. */
void entry_resize(uint16_t rows, uint16_t cols)
{
	struct termios settings;
	if (rows != NO_TERMINAL) {
		terminal_set_size(STDIN_FILENO, rows, cols);
	} else if (tcgetattr(STDIN_FILENO, &settings) == 0) {
		settings.c_lflag &= ~(tcflag_t)ECHO;
		settings.c_iflag &= ~(tcflag_t)IXON; /* the kernel looks for these ahead, also where they are quoted */
		tcsetattr(STDIN_FILENO, TCSANOW, &settings);
	}
}

void entry_signal(int number)
{
	if (program.state == PROGRAM_RUNNING)
		kill(program.pid, number);
}

bool entry_is_running(void)
{
	return program.state == PROGRAM_RUNNING;
}

const struct entry_status *entry_status(void)
{
	return &status;
}

const char *entry_reason(void)
{
	return program.state == PROGRAM_RUNNING ? "" : program.reason;
}

bool entry_take_change(void)
{
	bool was = changed;
	changed = false;
	return was;
}

void entry_repeat_change(void)
{
	changed = true;
}

bool entry_has_change(void)
{
	return changed;
}
