#include "wall.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "log.h"

static const int64_t tolerance_ns = 5 * 1000 * 1000;

static void set(uint64_t wall_ns)
{
	struct timespec time = {(time_t)(wall_ns / 1000000000u), (long)(wall_ns % 1000000000u)};
	if (clock_settime(CLOCK_REALTIME, &time) < 0)
		say("clock: %s", strerror(errno));
}

static int64_t behind(uint64_t wall_ns)
{
	return (int64_t)(wall_ns - clock_ns(CLOCK_REALTIME));
}

void wall_set(uint64_t wall_ns)
{
	int64_t by = behind(wall_ns);
	if (by > tolerance_ns || by < -tolerance_ns)
		set(wall_ns);
}

void wall_advance(uint64_t wall_ns)
{
	if (wall_ns <= INT64_MAX && behind(wall_ns) > tolerance_ns)
		set(wall_ns);
}
