/* What tenants do to each other, as one static program for processes and for machines alike.
 *
 *   neighbour dirty FILE MIB STOP    write all of FILE again and again, until the file STOP is there
 *   neighbour fork STOP              start a program and wait for it, again and again
 *   neighbour turns PROGRAM N        N times: forget what is cached of PROGRAM, run it; nanoseconds of each run
 *   neighbour code                   run through 4 MB of code, which has to be paged in
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MIB = 1 << 20, PAUSE_MS = 20 };

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int run_code(void)
{
	__asm__ volatile(".rept 1024\n\tjmp 1f\n\t.skip 4090, 0x90\n1:\n\t.endr");
	return 0;
}

static int is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

static void dirty(const char *path, long mib, const char *stop)
{
	static char block[MIB];
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	unsigned char mark = 0;

	if (fd < 0)
		fail(path);
	while (!is_there(stop)) {
		memset(block, ++mark, sizeof(block));
		for (long at = 0; at < mib && !is_there(stop); at++)
			if (pwrite(fd, block, sizeof(block), at * MIB) != MIB)
				fail(path);
	}
}

static void run(const char *program, const char *mode)
{
	int status;
	pid_t child = fork();

	if (child < 0)
		fail("fork");
	if (child == 0) {
		execl(program, program, mode, (char *)NULL);
		_exit(127);
	}
	if (waitpid(child, &status, 0) != child || status != 0)
		fail(program);
}

static long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void turns(const char *program, long count)
{
	const struct timespec pause = {0, PAUSE_MS * 1000000L};
	int fd = open(program, O_RDONLY);

	if (fd < 0)
		fail(program);
	if (fsync(fd) != 0)
		fail(program);
	while (count-- > 0) {
		if (posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
			fail("posix_fadvise");
		long long begin = now();
		run(program, "code");
		printf("%lld\n", now() - begin);
		nanosleep(&pause, NULL);
	}
}

int main(int count, char **words)
{
	const char *mode = count > 1 ? words[1] : "";

	if (strcmp(mode, "code") == 0)
		return run_code();
	if (strcmp(mode, "nothing") == 0)
		return 0;
	if (strcmp(mode, "dirty") == 0 && count == 5)
		dirty(words[2], atol(words[3]), words[4]);
	else if (strcmp(mode, "fork") == 0 && count == 3)
		while (!is_there(words[2]))
			run("/proc/self/exe", "nothing");
	else if (strcmp(mode, "turns") == 0 && count == 4)
		turns(words[2], atol(words[3]));
	else
		return 2;
	return 0;
}
