#include "rehearse.h"

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "files.h"
#include "gather.h"
#include "net.h"
#include "nic.h"
#include "program.h"
#include "random.h"
#include "wire.h"

/* The copy gets a seed of its own before anybody is given a random number; until then these zeros do no harm. */
static void rehearse_kernel(void)
{
	static const uint8_t nothing[BECOME_SEED];
	struct timespec now;
	random_renew(nothing, sizeof nothing);
	if (clock_gettime(CLOCK_REALTIME, &now) == 0)
		clock_settime(CLOCK_REALTIME, &now);
}

static void rehearse_file(void)
{
	static const char path[] = "/run/weft/rehearsal";
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	if (write(fd, path, sizeof path) < 0 || ftruncate(fd, 0) < 0 || write(fd, path, sizeof path) < 0)
		unlink(path);
	close(fd);
	unlink(path);
}

/* Without IPv6 an interface says nothing when it comes up. The address is one of those meant for examples. */
static void rehearse_nic(const struct nic *known, int index)
{
	struct nic nic = *known;
	char path[80], before[8];
	snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%.16s/disable_ipv6", nic.name);
	bool had = read_line(path, before, sizeof before) > 0 && write_file(path, "1");
	nic.addresses[0] = "192.0.2.1/24";
	nic.address_count = 1;
	nic.gateways[0] = "192.0.2.2";
	nic.gateway_count = 1;
	nic_set_mac(index, &nic);
	nic_bring_up(index, &nic);
	nic_address(index, &nic);
	nic_undo(index, &nic);
	if (had)
		write_file(path, before);
}

static void rehearse_program(void)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC), status;
	struct program program = {
		.how = {.argv = (char *[]){"stat", "/", NULL}, .in = nothing, .out = nothing, .err = nothing, .tool = true},
		.restart = RESTART_NEVER,
	};
	program_start(&program);
	if (program.pid > 0 && waitpid(program.pid, &status, 0) == program.pid)
		close(program.report);
	close(nothing);
}

void rehearse(void)
{
	struct nic nic;
	rehearse_kernel();
	rehearse_file();
	for (int i = 0, index; (index = nics_known(i, &nic)); i++)
		rehearse_nic(&nic, index);
	rehearse_wire();
	rehearse_program();
}
