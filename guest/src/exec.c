#include "exec.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "bytes.h"
#include "ends.h"
#include "outq.h"
#include "spawn.h"
#include "stdinq.h"
#include "tools.h"

enum state { FREE, STARTING, RUNNING };

struct exec {
	enum state state;
	uint16_t stream;
	bool tty, detached, ended;
	int wait_status;
	pid_t pid;
	struct ends ours;
	uint32_t credit;  /* bytes the host still lets us send */
	struct stdinq input;
};

static struct exec execs[PROTO_MAX_STREAMS];
static char *const *environment;
static unsigned first_turn;

void exec_set_environment(char *const *env)
{
	environment = env;
}

static struct exec *find(uint16_t stream)
{
	for (int i = 0; i < PROTO_MAX_STREAMS; i++)
		if (execs[i].state != FREE && execs[i].stream == stream)
			return &execs[i];
	return NULL;
}

static struct exec *find_free(void)
{
	for (int i = 0; i < PROTO_MAX_STREAMS; i++)
		if (execs[i].state == FREE)
			return &execs[i];
	return NULL;
}

static void release(struct exec *exec)
{
	ends_close(&exec->ours);
	stdinq_close(&exec->input);
	exec->state = FREE;
}

static int start_process(struct exec *exec, struct ends *far, const struct exec_request *request)
{
	bool want_stdin = !exec->detached && (exec->tty || (request->flags & EXEC_STDIN));
	bool opened = exec->detached ? ends_open_nothing(&exec->ours, far)
		      : exec->tty ? ends_open_terminal(&exec->ours, far, request->rows, request->cols)
				: ends_open_pipes(&exec->ours, far, want_stdin);
	if (!opened || (want_stdin && !stdinq_open(&exec->input)))
		return errno;
	struct spawn how = {.argv = request->argv,
			    .env = environment,
			    .extra = request->env,
			    .cwd = request->cwd,
			    .user = request->user,
			    .in = far->in,
			    .out = far->out,
			    .err = far->err,
			    .terminal = exec->tty,
			    .tool = request->flags & EXEC_BUILTIN,
			    .report = far->report};
	exec->pid = spawn(&how);
	return exec->pid < 0 ? errno : 0;
}

int exec_start(uint16_t stream, const struct exec_request *request)
{
	struct exec *exec = find_free();
	struct ends far = ENDS_CLOSED;
	if (!stream || find(stream))
		return EEXIST;
	if (!exec)
		return EBUSY;
	if ((request->flags & EXEC_BUILTIN) && !tool_exists(request->argv[0]))
		return ENOENT;
	*exec = (struct exec){.state = STARTING,
			      .stream = stream,
			      .tty = request->flags & EXEC_TTY,
			      .detached = request->flags & EXEC_DETACHED,
			      .ours = ENDS_CLOSED,
			      .credit = PROTO_WINDOW};
	int error = start_process(exec, &far, request);
	ends_close(&far);
	if (error)
		release(exec);
	return error;
}

/* Its group too; right after fork there is none yet, hence both. */
static void send_signal(struct exec *exec, int number)
{
	if (exec->ended)
		return;
	if (kill(-exec->pid, number) < 0)
		kill(exec->pid, number);
}

static void send_error(uint16_t stream, int error, const char *text)
{
	uint8_t payload[4 + sizeof((struct spawn_report *)0)->text];
	outq_send(KIND_ERROR, stream, payload, dump_error(payload, sizeof payload, (uint32_t)error, text));
}

void exec_stdin(uint16_t stream, const uint8_t *data, size_t length)
{
	struct exec *exec = find(stream);
	if (!exec || stdinq_push(&exec->input, data, length))
		return;
	send_signal(exec, SIGKILL);
	send_error(stream, EOVERFLOW, "more standard input than the window allows");
	release(exec);
}

void exec_eof(uint16_t stream)
{
	struct exec *exec = find(stream);
	if (exec)
		exec->input.ends = true;
}

void exec_window(uint16_t stream, uint32_t credit)
{
	struct exec *exec = find(stream);
	if (exec)
		exec->credit = credit > UINT32_MAX - exec->credit ? UINT32_MAX : exec->credit + credit;
}

void exec_resize(uint16_t stream, uint16_t rows, uint16_t cols)
{
	struct exec *exec = find(stream);
	if (exec && exec->tty)
		terminal_set_size(exec->ours.out, rows, cols);
}

void exec_signal(uint16_t stream, int number)
{
	struct exec *exec = find(stream);
	if (exec)
		send_signal(exec, number);
}

void exec_end_all(void)
{
	for (int i = 0; i < PROTO_MAX_STREAMS; i++) {
		if (execs[i].state == FREE)
			continue;
		send_signal(&execs[i], SIGKILL);
		release(&execs[i]);
	}
}

void exec_child_ended(pid_t pid, int status)
{
	for (int i = 0; i < PROTO_MAX_STREAMS; i++)
		if (execs[i].state != FREE && execs[i].pid == pid && !execs[i].ended) {
			execs[i].ended = true;
			execs[i].wait_status = status;
		}
}

static bool can_send_data(const struct exec *exec)
{
	return exec->credit && outq_has_room(OUTQ_DATA_ROOM);
}

void exec_poll(struct pollset *set)
{
	for (int i = 0; i < PROTO_MAX_STREAMS; i++) {
		struct exec *exec = &execs[i];
		if (exec->state == STARTING)
			pollset_add(set, exec->ours.report, POLLIN);
		if (exec->state != RUNNING)
			continue;
		if (can_send_data(exec)) {
			pollset_add(set, exec->ours.out, POLLIN);
			pollset_add(set, exec->ours.err, POLLIN);
		}
		if (exec->input.have)
			pollset_add(set, exec->ours.in, POLLOUT);
	}
}

/* The report closes by itself (O_CLOEXEC) in the moment the program replaces init's copy. */
static void step_starting(struct exec *exec)
{
	struct spawn_report report;
	ssize_t got = read(exec->ours.report, &report, sizeof report);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got == (ssize_t)sizeof report) {
		report.text[sizeof report.text - 1] = 0;
		send_error(exec->stream, report.error, report.text);
		release(exec);
		return;
	}
	uint8_t pid[4];
	put_u32(pid, (uint32_t)exec->pid);
	outq_send(KIND_STARTED, exec->stream, pid, sizeof pid);
	end_close(&exec->ours.report);
	exec->state = RUNNING;
	if (exec->detached)
		release(exec);
}

/* A terminal has no end of file but a character that means it, when it is first on a line. */
static void end_input(struct exec *exec)
{
	struct termios settings;
	if (exec->tty && tcgetattr(exec->ours.in, &settings) == 0)
		stdinq_push(&exec->input, &settings.c_cc[VEOF], 1);
	if (exec->tty && exec->input.bytes && !stdinq_pour(&exec->input, exec->ours.in))
		exec->input.have = 0;
	end_close(&exec->ours.in);
	stdinq_close(&exec->input);
}

static void step_input(struct exec *exec)
{
	if (exec->ours.in >= 0 && !stdinq_pour(&exec->input, exec->ours.in)) {
		end_close(&exec->ours.in);
		stdinq_close(&exec->input); /* nobody reads: from now on it is thrown away, and the host's writer goes on */
	}
	if (exec->ours.in >= 0 && exec->input.ends && !exec->input.have)
		end_input(exec);
	uint32_t credit = outq_has_room(OUTQ_EVENT_ROOM) ? stdinq_take_credit(&exec->input) : 0;
	if (credit) {
		uint8_t payload[4];
		put_u32(payload, credit);
		outq_send(KIND_WINDOW, exec->stream, payload, sizeof payload);
	}
}

/* Once the process has ended, what it wrote is all there: it is read to the end, and a grandchild that keeps the descriptor
 * open does not keep the stream open. */
static void step_output(struct exec *exec, int *fd, enum kind kind)
{
	ssize_t got = 1;
	while (*fd >= 0 && got > 0 && can_send_data(exec)) {
		size_t want = exec->credit < FRAME_MAX_PAYLOAD ? exec->credit : FRAME_MAX_PAYLOAD;
		got = read(*fd, outq_payload(), want);
		if (got > 0) {
			outq_commit(kind, exec->stream, (size_t)got);
			exec->credit -= (uint32_t)got;
		} else if (got == 0 || exec->ended || (errno != EAGAIN && errno != EINTR)) {
			end_close(fd);
		}
		if (!exec->ended)
			return; /* one frame a turn: the others want theirs */
	}
}

static void finish(struct exec *exec)
{
	if (!exec->ended || exec->ours.out >= 0 || exec->ours.err >= 0 || !outq_has_room(OUTQ_EVENT_ROOM))
		return;
	int status = exec->wait_status;
	uint8_t payload[8];
	size_t length = WIFSIGNALED(status) ? dump_exit(payload, ENDED_BY_SIGNAL, WTERMSIG(status))
					    : dump_exit(payload, ENDED_BY_CODE, WEXITSTATUS(status));
	outq_send(KIND_EXIT, exec->stream, payload, length);
	release(exec);
}

static void step(struct exec *exec)
{
	if (exec->state == STARTING && outq_has_room(OUTQ_EVENT_ROOM))
		step_starting(exec);
	if (exec->state != RUNNING)
		return;
	step_input(exec);
	step_output(exec, &exec->ours.out, KIND_STDOUT);
	step_output(exec, &exec->ours.err, KIND_STDERR);
	finish(exec);
}

void exec_step(void)
{
	first_turn++; /* who is first finds the most room: take turns */
	for (unsigned i = 0; i < PROTO_MAX_STREAMS; i++)
		step(&execs[(first_turn + i) % PROTO_MAX_STREAMS]);
}
