#include "loop.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int free_number(void)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (control < 0)
		return -1;
	int number = ioctl(control, LOOP_CTL_GET_FREE);
	close(control);
	return number;
}

bool loop_attach(const char *file, char *device, size_t room)
{
	int number = free_number();
	if (number < 0)
		return false;
	snprintf(device, room, "/dev/loop%d", number);
	int backing = open(file, O_RDONLY | O_CLOEXEC);
	int loop = open(device, O_RDONLY | O_CLOEXEC);
	bool attached = backing >= 0 && loop >= 0 && ioctl(loop, LOOP_SET_FD, backing) == 0;
	if (backing >= 0)
		close(backing);
	if (loop >= 0)
		close(loop); /* without LO_FLAGS_AUTOCLEAR the device stays as it is */
	return attached;
}
