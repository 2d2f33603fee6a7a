#include "power.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <termios.h>
#include <unistd.h>

#include "agent.h"
#include "clock.h"
#include "entry.h"
#include "files.h"
#include "freeze.h"
#include "mounts.h"
#include "services.h"

enum { KILL_WAIT_MS = 1000, TELL_MS = 3000 };

enum { DRAIN_MS = 1000 };

static enum { RUNNING, ENTRY_ASKED, SERVICES_ASKED, ALL_ASKED, KILLED, TELLING } phase;
static enum shutdown_kind wanted;
static int64_t deadline_ms;

/* What was written last still waits for the serial line, and a reset would lose it. Whoever reads the line may be slow, and
 * must not keep the machine: a second, and it is lost after all. Then the kernel's own last line stays away from it. */
static void drain_console(void)
{
	int waiting = 1, line = 0;
	for (int64_t until = now_ms() + DRAIN_MS; now_ms() < until; usleep(1000)) {
		if (ioctl(STDOUT_FILENO, TIOCOUTQ, &waiting) < 0)
			break;
		if (!waiting && (ioctl(STDOUT_FILENO, TIOCSERGETLSR, &line) < 0 || (line & TIOCSER_TEMT)))
			break;
	}
	write_file("/proc/sys/kernel/printk", "0");
}

/* Without ACPI the kernel has no way to switch off: it would halt and leave QEMU running for ever. A reset ends QEMU too,
 * which runs with -no-reboot. */
static _Noreturn void switch_off(enum shutdown_kind kind)
{
	drain_console();
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
	phase = ENTRY_ASKED;
	wanted = kind;
	deadline_ms = now_ms() + grace_ms;
	freeze_end();
	entry_ask();
}

void power_poll(struct pollset *set)
{
	if (phase != RUNNING)
		pollset_wake_at(set, deadline_ms);
}

/* First the entry point, then the services, then whatever else there is. For process 1, -1 is everybody else. */
static void ask_next(void)
{
	if (phase == ENTRY_ASKED && !entry_is_running())
		phase = SERVICES_ASKED;
	if (phase == SERVICES_ASKED && services_ask()) {
		phase = ALL_ASKED;
		kill(-1, SIGTERM);
		kill(-1, SIGCONT); /* a stopped process cannot end itself */
	}
}

static void kill_all(void)
{
	phase = KILLED;
	deadline_ms = now_ms() + KILL_WAIT_MS;
	kill(-1, SIGKILL);
}

/* How the entry point ended is what a user of the machine waits for: the host is given a moment to take it. */
static bool is_told(void)
{
	if (phase != TELLING) {
		phase = TELLING;
		deadline_ms = now_ms() + TELL_MS;
	}
	return !agent_has_news() || now_ms() >= deadline_ms;
}

void power_step(bool children)
{
	bool late = now_ms() >= deadline_ms;
	if (phase == RUNNING)
		return;
	if (phase < KILLED && children && late) {
		kill_all();
		return;
	}
	if (phase < KILLED)
		ask_next();
	bool are_gone = !children || (phase == KILLED && late);
	if (phase != TELLING && !are_gone)
		return;
	if (!is_told())
		return;
	agent_flush();
	unmount_all();
	switch_off(wanted);
}
