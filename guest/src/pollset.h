/* What one turn of the main loop waits for: descriptors and the nearest deadline. */
#pragma once

#include <poll.h>
#include <stdint.h>

enum { POLLSET_MAX = 4 * 128 + 8 };

struct pollset {
	struct pollfd fds[POLLSET_MAX];
	int count;
	int64_t deadline_ms; /* on the clock of now_ms(); -1: none */
};

static inline void pollset_add(struct pollset *set, int fd, short events)
{
	if (fd >= 0 && set->count < POLLSET_MAX)
		set->fds[set->count++] = (struct pollfd){.fd = fd, .events = events};
}

static inline void pollset_wake_at(struct pollset *set, int64_t when_ms)
{
	if (set->deadline_ms < 0 || when_ms < set->deadline_ms)
		set->deadline_ms = when_ms;
}
