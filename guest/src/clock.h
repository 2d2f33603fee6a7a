/* Clocks. Monotonic time includes suspension, so that it is the time since boot. */
#pragma once

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(clockid_t id)
{
	struct timespec now;
	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline int64_t now_ms(void)
{
	return (int64_t)(clock_ns(CLOCK_BOOTTIME) / 1000000u);
}
