#include "ends.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

void end_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void ends_close(struct ends *ends)
{
	end_close(&ends->in);
	end_close(&ends->out);
	end_close(&ends->err);
	end_close(&ends->report);
}

static bool make_pipe(int *reader, int *writer, int *ours)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return false;
	*reader = fds[0];
	*writer = fds[1];
	return fcntl(*ours, F_SETFL, O_NONBLOCK) == 0;
}

static bool make_report(struct ends *ours, struct ends *far)
{
	return make_pipe(&ours->report, &far->report, &ours->report);
}

bool ends_open_pipes(struct ends *ours, struct ends *far, bool want_stdin)
{
	if (!make_report(ours, far))
		return false;
	if (!make_pipe(&ours->out, &far->out, &ours->out) || !make_pipe(&ours->err, &far->err, &ours->err))
		return false;
	if (want_stdin)
		return make_pipe(&far->in, &ours->in, &ours->in);
	far->in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return far->in >= 0;
}

/* For a process that outlives its stream. */
bool ends_open_nothing(struct ends *ours, struct ends *far)
{
	if (!make_report(ours, far))
		return false;
	far->in = open("/dev/null", O_RDWR | O_CLOEXEC);
	far->out = fcntl(far->in, F_DUPFD_CLOEXEC, 0);
	far->err = fcntl(far->in, F_DUPFD_CLOEXEC, 0);
	return far->in >= 0 && far->out >= 0 && far->err >= 0;
}

void terminal_set_size(int fd, uint16_t rows, uint16_t cols)
{
	struct winsize size = {.ws_row = rows, .ws_col = cols};
	ioctl(fd, TIOCSWINSZ, &size);
}

/* The far end comes by ioctl, so that it does not matter what the image has at /dev/pts. */
bool ends_open_terminal(struct ends *ours, struct ends *far, uint16_t rows, uint16_t cols)
{
	int unlock = 0;
	if (!make_report(ours, far))
		return false;
	ours->out = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (ours->out < 0 || ioctl(ours->out, TIOCSPTLCK, &unlock) < 0)
		return false;
	terminal_set_size(ours->out, rows, cols);
	far->in = ioctl(ours->out, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (far->in < 0)
		return false;
	ours->in = fcntl(ours->out, F_DUPFD_CLOEXEC, 0);
	far->out = fcntl(far->in, F_DUPFD_CLOEXEC, 0);
	far->err = fcntl(far->in, F_DUPFD_CLOEXEC, 0);
	return ours->in >= 0 && far->out >= 0 && far->err >= 0;
}
