/* The virtio-serial port the agent speaks on, and whether somebody is at its other end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "pollset.h"

enum port_state {
	PORT_ABSENT,  /* no such device yet */
	PORT_ALONE,   /* nobody is connected to QEMU's end */
	PORT_CONNECTED,
};

void port_start(void);

/* Looks for changes; never waits. */
enum port_state port_step(void);

/* As it was at the last look. */
enum port_state port_state(void);
void port_poll(struct pollset *set, short events);

/* Up to `room` bytes; 0: nothing now. The other end going away shows in the next port_step(). */
size_t port_read(void *out, size_t room);
int port_fd(void);
