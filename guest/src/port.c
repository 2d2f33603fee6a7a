#include "port.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "files.h"
#include "log.h"

static const char port_name[] = "weft.agent";

static int fd = -1, events_fd = -1;
static enum port_state state = PORT_ABSENT;

/* A port gets its name by a message from QEMU some time after its driver has started; the kernel tells with an event. */
void port_start(void)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK, .nl_groups = 1};
	events_fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	if (events_fd < 0 || bind(events_fd, (struct sockaddr *)&kernel, sizeof kernel) < 0)
		say("device events: the agent only sees a port that is there already");
}

static void drain_events(void)
{
	char event[2048];
	while (recv(events_fd, event, sizeof event, 0) > 0)
		continue;
}

static void find_port(void)
{
	char name[64], path[80];
	drain_events();
	if (!find_by_attribute("/sys/class/virtio-ports", "name", port_name, name, sizeof name))
		return;
	snprintf(path, sizeof path, "/dev/%s", name);
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return;
	close(events_fd);
	events_fd = -1;
	state = PORT_CONNECTED; /* if not, the first read says so */
}

/* While nobody is connected poll() reports a hang-up all the time, so the port is left out of it, and the driver is asked
 * for SIGIO, which it sends when somebody comes. */
static void set_alone(bool alone)
{
	state = alone ? PORT_ALONE : PORT_CONNECTED;
	fcntl(fd, F_SETOWN, getpid());
	fcntl(fd, F_SETFL, O_NONBLOCK | (alone ? O_ASYNC : 0));
}

static bool is_hung_up(void)
{
	struct pollfd look = {.fd = fd, .events = POLLIN};
	return poll(&look, 1, 0) > 0 && (look.revents & POLLHUP);
}

enum port_state port_step(void)
{
	if (state == PORT_ABSENT)
		find_port();
	else if (state == PORT_ALONE && !is_hung_up())
		set_alone(false);
	return state;
}

enum port_state port_state(void)
{
	return state;
}

void port_poll(struct pollset *set, short events)
{
	if (state == PORT_ABSENT)
		pollset_add(set, events_fd, POLLIN);
	else if (state == PORT_CONNECTED)
		pollset_add(set, fd, events);
}

size_t port_read(void *out, size_t room)
{
	ssize_t got = read(fd, out, room);
	if (got > 0)
		return (size_t)got;
	/* The driver returns 0 when all is read and nobody is connected. */
	if (got == 0 || (errno != EAGAIN && errno != EINTR))
		set_alone(true);
	return 0;
}

int port_fd(void)
{
	return fd;
}
