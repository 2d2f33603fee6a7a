#include "power.h"

#include <signal.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "agent.h"
#include "clock.h"
#include "mounts.h"

enum { KILL_WAIT_MS = 1000 };

static enum { RUNNING, ASKED, KILLED } phase;
static enum shutdown_kind wanted;
static int64_t deadline_ms;

/* Without ACPI the kernel has no way to switch off: it would halt and leave QEMU running for ever. A reset ends QEMU too,
 * which runs with -no-reboot. */
static _Noreturn void switch_off(enum shutdown_kind kind)
{
	if (kind == SHUTDOWN_POWER_OFF && access("/sys/firmware/acpi", F_OK) == 0)
		reboot(RB_POWER_OFF);
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

_Noreturn void power_off_now(void)
{
	sync();
	switch_off(SHUTDOWN_POWER_OFF);
}

bool power_is_ending(void)
{
	return phase != RUNNING;
}

void power_end(enum shutdown_kind kind, unsigned grace_ms)
{
	if (phase != RUNNING)
		return;
	phase = ASKED;
	wanted = kind;
	deadline_ms = now_ms() + grace_ms;
	kill(-1, SIGTERM); /* for process 1, -1 is everybody else */
	kill(-1, SIGCONT); /* a stopped process cannot end itself */
}

void power_poll(struct pollset *set)
{
	if (phase != RUNNING)
		pollset_wake_at(set, deadline_ms);
}

void power_step(bool children)
{
	if (phase == RUNNING || (children && now_ms() < deadline_ms))
		return;
	if (phase == ASKED && children) {
		phase = KILLED;
		deadline_ms = now_ms() + KILL_WAIT_MS;
		kill(-1, SIGKILL);
		return;
	}
	agent_flush();
	unmount_all();
	switch_off(wanted);
}
