/* Uses memory in a machine, for tests of elastic ones; says what it has done in a line, and then keeps it.
 *   hold MIB         writes to so much and keeps it
 *   grow MIB MS      the same, a MiB every so many milliseconds
 *   pin MIB          writes to so much and gives it back, but for a page of every 2 MiB, which a pipe keeps where it is
 *   peak MIB         writes to so much, gives it back, and stays */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MIB = 1 << 20, PAGE = 4096, STRIDE = 2 * MIB, SLOTS = 256 };

static char *take(size_t size)
{
	char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return at;
}

static void grow(size_t size, unsigned ms)
{
	char *at = take(size);
	for (size_t done = 0; done < size; done += MIB) {
		memset(at + done, 1, MIB);
		if (ms)
			usleep(ms * 1000);
	}
}

/* A page in a pipe is referred to by it, and cannot be moved. */
static void pin(size_t size)
{
	int ends[2];
	char *at = take(size);
	memset(at, 1, size);
	for (size_t i = 0; i < size / STRIDE; i++) {
		struct iovec page = {at + i * STRIDE, PAGE};
		if (i % SLOTS == 0 && (pipe(ends) < 0 || fcntl(ends[1], F_SETPIPE_SZ, SLOTS * PAGE) < 0)) {
			perror("pipe");
			exit(1);
		}
		if (vmsplice(ends[1], &page, 1, 0) < 0) {
			perror("vmsplice");
			exit(1);
		}
	}
	munmap(at, size);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	size_t size = strtoul(argv[2], NULL, 10) * MIB;
	if (!strcmp(argv[1], "hold") || !strcmp(argv[1], "grow"))
		grow(size, argc > 3 ? (unsigned)atoi(argv[3]) : 0);
	else if (!strcmp(argv[1], "pin"))
		pin(size);
	else if (!strcmp(argv[1], "peak")) {
		char *at = take(size);
		memset(at, 1, size);
		munmap(at, size);
	} else
		return 2;
	printf("%s %s\n", argv[1], argv[2]);
	fflush(stdout);
	for (;;)
		pause();
}
