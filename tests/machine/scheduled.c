/* `deadline`: two tasks that the kernel has promised 60 % of a processor each, so that it has to keep two for them.
 * `fifo`: one that lets nobody else run on the second processor, as long as the kernel lets it. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static int say(const char *what, int failed)
{
	if (failed)
		perror(what);
	else
		puts(what);
	fflush(stdout);
	return failed;
}

static int ask_for_share(void)
{
	struct attributes wanted = {.size = sizeof wanted, .policy = 6};
	wanted.runtime = 6000000;
	wanted.deadline = wanted.period = 10000000;
	return say("promised", syscall(SYS_sched_setattr, 0, &wanted, 0) < 0) || pause();
}

static int take_second(void)
{
	/* musl's own call says that it is not there. */
	struct sched_param most = {.sched_priority = 99};
	unsigned long second = 2;
	int failed = syscall(SYS_sched_setaffinity, 0, sizeof second, &second) < 0 ||
		     syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &most) < 0;
	for (failed = say("taken", failed); !failed;)
		;
	return failed;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "fifo"))
		return take_second();
	for (int i = 0; i < 2; i++)
		if (fork() == 0)
			return ask_for_share();
	wait(NULL);
	return 1;
}
