#include "freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "clock.h"
#include "outq.h"

/* cgroup.events can be polled, but the kernel tells of changes every 10 ms at most: looking is faster. */
enum { PATIENCE_MS = 2000, LOOK_MS = 1 };

static const char path[] = "/sys/fs/cgroup/machine";

static int group = -1;
static bool on, asked;
static uint16_t asker;
static int64_t deadline_ms;

void freeze_prepare(void)
{
	if (mkdir(path, 0755) == 0 || errno == EEXIST)
		group = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int freeze_group(void)
{
	return group;
}

static bool set(const char *value)
{
	int fd = openat(group, "cgroup.freeze", O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, value, 1) == 1;
	if (fd >= 0)
		close(fd);
	return done;
}

static bool stands_still(void)
{
	char text[128];
	int fd = openat(group, "cgroup.events", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	text[got < 0 ? 0 : got] = 0;
	return strstr(text, "frozen 1");
}

static void answer(uint32_t error)
{
	uint8_t payload[4];
	put_u32(payload, error);
	outq_send(KIND_FREEZE, asker, payload, sizeof payload);
	asked = false;
}

void freeze_begin(uint16_t stream)
{
	asker = stream;
	asked = true;
	deadline_ms = now_ms() + PATIENCE_MS;
	on = on || set("1");
	if (!on)
		answer(ENOTSUP);
}

void freeze_end(void)
{
	if (on)
		set("0");
	on = asked = false;
}

bool freeze_is_on(void)
{
	return on;
}

/* A process that waits for a disk, say, cannot be stopped: then nobody is. */
void freeze_step(void)
{
	if (!asked || !outq_has_room(OUTQ_EVENT_ROOM))
		return;
	if (stands_still()) {
		answer(0);
	} else if (now_ms() >= deadline_ms) {
		answer(ETIMEDOUT);
		freeze_end();
	}
}

void freeze_poll(struct pollset *set)
{
	if (asked)
		pollset_wake_at(set, now_ms() + LOOK_MS);
}
