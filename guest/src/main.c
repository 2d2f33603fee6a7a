/* Process 1 of a machine: boots it from /weft.conf, keeps it, and is the agent the host talks to.
 *
 * One thread and one poll loop. Signals are blocked except while it waits, so nothing here is ever interrupted. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"
#include "become.h"
#include "clock.h"
#include "config.h"
#include "entry.h"
#include "etc.h"
#include "exec.h"
#include "files.h"
#include "freeze.h"
#include "hold.h"
#include "log.h"
#include "mounts.h"
#include "net.h"
#include "oom.h"
#include "pollset.h"
#include "power.h"
#include "services.h"
#include "spawn.h"
#include "tools.h"

enum { GRACE_MS = 3000 };

static char config_text[CONFIG_MAX_BYTES + 1];
static struct config config;
static volatile sig_atomic_t end_signal;
static uint64_t started_ns;
static enum {
	HELD,	  /* the agent is there, and waits for who the machine is */
	STARTING, /* services are */
	SERVING,  /* the entry point and the agent are there */
} phase = STARTING;

static void on_signal(int number)
{
	if (number != SIGCHLD && number != SIGIO)
		end_signal = number;
}

/* The signals busybox's and systemd's `poweroff` and `reboot` send to process 1, and the kernel's for Ctrl-Alt-Del. */
static void catch_signals(void)
{
	static const int numbers[] = {SIGCHLD, SIGIO, SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGPWR};
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		sigaction(numbers[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	reboot(RB_DISABLE_CAD);
}

/* No output processing: what the entry point prints is what the host's log gets, with no carriage returns added. */
static void open_console(void)
{
	struct termios settings;
	int fd = open("/dev/console", O_RDWR | O_NOCTTY);
	if (fd < 0)
		fd = open("/dev/null", O_RDWR);
	for (int to = 0; to < 3; to++)
		dup2(fd, to);
	if (fd > 2)
		close(fd);
	if (tcgetattr(0, &settings) == 0) {
		settings.c_oflag &= ~(tcflag_t)OPOST;
		tcsetattr(0, TCSANOW, &settings);
	}
}

static void read_config(void)
{
	ssize_t length = read_file("/weft.conf", config_text, sizeof config_text);
	if (length < 0)
		fatal("/weft.conf: %s", strerror(errno));
	if (!config_parse(&config, config_text, (size_t)length))
		fatal("/weft.conf: %s", config.error);
}

static void apply_sysctls(void)
{
	for (int i = 0; i < config.sysctl_count; i++) {
		char path[256];
		snprintf(path, sizeof path, "/proc/sys/%s", config.sysctls[i].name);
		for (char *c = path; *c; c++)
			if (*c == '.')
				*c = '/';
		if (!write_file(path, config.sysctls[i].value))
			say("sysctl %s: %s", config.sysctls[i].name, strerror(errno));
	}
}

/* A program's directory that the image does not have is made, as container engines do. */
static void make_directories(void)
{
	if (config.cwd && !make_folders(config.cwd, 0755))
		say("%s: %s", config.cwd, strerror(errno)); /* the entry point's start says it again, and ends */
	for (int i = 0; i < config.service_count; i++)
		if (config.services[i].cwd && !make_folders(config.services[i].cwd, 0755))
			say("%s: %s", config.services[i].cwd, strerror(errno));
}

/* What is left of the boot when it is known who the machine is. */
static void set_up(void)
{
	bool in_overlay = config.root_serial && config.overlay_size && phase != HELD;
	mount_rest(&config);
	set_host_name(&config);
	if (!in_overlay || config.read_only)
		write_etc(&config, "/etc", config.read_only);
	write_files(&config);
	make_directories();
	if (config.read_only)
		make_root_read_only();
	if (phase != HELD)
		set_up_loopback();
	set_up_network(&config);
	apply_sysctls();
	services_prepare(&config);
}

/* What is the same for all copies is done here. */
static void hold(void)
{
	hold_prepare(&config);
	set_up_loopback();
	services_prepare(&config);
	agent_hold(&config, started_ns);
	phase = HELD;
}

/* Memory that is free goes back to the host. By itself the kernel gives back blocks of 4 MB, and those only while there
 * are 32 of them: a small machine would give back nothing. Now it is blocks of 128 KB. */
static void report_free_memory(void)
{
	write_file("/sys/module/page_reporting/parameters/page_reporting_order", "5");
}

static void boot(void)
{
	mount_kernel_filesystems();
	report_free_memory();
	spawn_prepare();
	open_console();
	read_config();
	mount_root(&config);
	mount_devices();
	freeze_prepare();
	if (config.template)
		hold();
	else
		set_up();
}

static void describe_root(char *out, size_t room)
{
	snprintf(out, room, "%s %s %s", config.root_serial ? config.root_serial : "", config.root_type ? config.root_type : "",
		 config.overlay_size ? config.overlay_size : "");
}

/* A held machine becomes somebody. Its root is what it was. */
static void wake(struct told *told)
{
	char before[160], now[160];
	describe_root(before, sizeof before);
	started_ns = clock_ns(CLOCK_BOOTTIME);
	become_fresh(told);
	memcpy(config_text, told->text, told->length);
	if (!config_parse(&config, config_text, told->length))
		fatal("what this machine is to be: %s", config.error);
	describe_root(now, sizeof now);
	if (config.template || strcmp(before, now) != 0)
		fatal("what this machine is to be: another root, '%s', than its template's, '%s'", now, before);
	set_up();
	phase = STARTING;
}

/* Returns whether any process is left. */
static bool reap(void)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			oom_look();
		services_child_ended(pid, status);
		entry_child_ended(pid, status);
		exec_child_ended(pid, status);
		become_child_ended(pid, status);
	}
	return pid == 0;
}

static void wait_for_work(void)
{
	static struct pollset set;
	sigset_t none;
	set.count = 0;
	set.deadline_ms = -1;
	if (phase != STARTING)
		agent_poll(&set);
	if (!freeze_is_on()) {
		services_poll(&set);
		entry_poll(&set);
	}
	become_poll(&set);
	power_poll(&set);
	int64_t wait_ms = set.deadline_ms - now_ms();
	wait_ms = wait_ms < 0 ? 0 : wait_ms;
	struct timespec timeout = {(time_t)(wait_ms / 1000), (long)(wait_ms % 1000) * 1000000};
	sigemptyset(&none);
	ppoll(set.fds, (nfds_t)set.count, set.deadline_ms < 0 ? NULL : &timeout, &none);
}

static void act_on_signal(void)
{
	int number = end_signal;
	end_signal = 0;
	if (number)
		power_end(number == SIGTERM || number == SIGINT ? SHUTDOWN_REBOOT : SHUTDOWN_POWER_OFF, GRACE_MS);
}

static void begin_to_serve(void)
{
	entry_start(&config);
	agent_start(&config, started_ns);
	phase = SERVING;
}

/* What is started while programs are frozen would be, too, before it has said that it runs. */
static void step_programs(void)
{
	if (freeze_is_on())
		return;
	services_step();
	if (phase == STARTING && services_have_started() && !power_is_ending())
		begin_to_serve();
	entry_step();
}

int main(int argc, char **argv)
{
	if (getpid() != 1)
		return tool_run(argc - 1, argv + 1);
	started_ns = clock_ns(CLOCK_BOOTTIME);
	catch_signals();
	umask(022);
	boot();
	for (struct told *told;;) {
		act_on_signal();
		bool children = reap();
		step_programs();
		become_step();
		if (phase != STARTING)
			agent_step();
		if (phase == HELD && (told = agent_take_told())) {
			wake(told);
			continue;
		}
		power_step(children);
		wait_for_work();
	}
}
