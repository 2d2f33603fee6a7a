#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "freeze.h"
#include "proto.h"

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* Everything below `spawn` runs in the child. */

/* What shells say by their status: 127 there is no such program, 126 it cannot be run. */
enum { STATUS_ABSENT = 127, STATUS_UNUSABLE = 126 };

static _Noreturn void say_why(const struct spawn *spawn, int status, int error, const char *what, const char *why)
{
	struct spawn_report report = {.error = error};
	snprintf(report.text, sizeof report.text, "%.80s: %s", what, why);
	if (write(spawn->report, &report, sizeof report) < 0)
		_exit(STATUS_UNUSABLE);
	_exit(status);
}

static _Noreturn void give_up(const struct spawn *spawn, const char *what, int error)
{
	say_why(spawn, STATUS_UNUSABLE, error, what, strerror(error));
}

static bool parse_id(const char *text, unsigned *id)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);
	*id = (unsigned)value;
	return *text >= '0' && *text <= '9' && !*end && value < 0xffffffffu;
}

static gid_t find_group(const struct spawn *spawn, const char *name)
{
	unsigned id;
	if (parse_id(name, &id))
		return id;
	struct group *group = getgrnam(name);
	if (!group && strcmp(name, "root") != 0)
		say_why(spawn, STATUS_UNUSABLE, ENOENT, name, "the machine has no such group");
	return group ? group->gr_gid : 0;
}

enum { MOST_GROUPS = 64 };

/* As initgroups() does, which would ask a name service first that no machine has. */
static int take_groups(const char *user, gid_t gid)
{
	gid_t groups[MOST_GROUPS] = {gid};
	size_t count = 1;
	setgrent();
	for (struct group *group; count < MOST_GROUPS && (group = getgrent());)
		for (char **member = group->gr_mem; *member && count < MOST_GROUPS; member++)
			if (!strcmp(*member, user) && group->gr_gid != gid)
				groups[count++] = group->gr_gid;
	endgrent();
	return setgroups(count, groups);
}

/* A number need not be in /etc/passwd, and then has group 0 unless one is given; root is 0 even where no file says so. */
static void become(const struct spawn *spawn)
{
	char name[128];
	unsigned uid = 0;
	snprintf(name, sizeof name, "%s", spawn->user && *spawn->user ? spawn->user : "0");
	char *group_name = strchr(name, ':');
	if (group_name)
		*group_name++ = 0;
	struct passwd *user = parse_id(name, &uid) ? getpwuid(uid) : getpwnam(name);
	if (!user && !parse_id(name, &uid) && strcmp(name, "root") != 0)
		say_why(spawn, STATUS_UNUSABLE, ENOENT, name, "the machine has no such user");
	uid = user ? user->pw_uid : uid;
	gid_t gid = group_name ? find_group(spawn, group_name) : user ? user->pw_gid : 0;
	int groups = user && !group_name ? take_groups(user->pw_name, gid) : setgroups(1, &gid);
	if (groups < 0 || setgid(gid) < 0 || setuid(uid) < 0)
		give_up(spawn, name, errno);
	setenv("HOME", user && *user->pw_dir ? user->pw_dir : "/", 0);
}

static void set_environment(const struct spawn *spawn)
{
	clearenv();
	setenv("PATH", default_path, 1);
	if (spawn->terminal)
		setenv("TERM", "linux", 1);
	for (char *const *one = spawn->env; one && *one; one++)
		putenv(*one);
	for (char *const *one = spawn->extra; one && *one; one++)
		putenv(*one);
}

/* The three may be the same descriptor, or among 0 to 2 already (the console's are). */
static void set_streams(const struct spawn *spawn)
{
	int fds[3] = {spawn->in, spawn->out, spawn->err};
	for (int i = 0; i < 3; i++)
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
	for (int i = 0; i < 3; i++)
		if (fds[i] < 0 || dup2(fds[i], i) < 0)
			give_up(spawn, "standard streams", errno);
}

static void reset_signals(void)
{
	for (int number = 1; number < 32; number++)
		signal(number, SIG_DFL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int own_program = -1;

void spawn_prepare(void)
{
	own_program = open("/proc/self/exe", O_PATH | O_CLOEXEC);
}

static void run_tool(const struct spawn *spawn)
{
	char *argv[PROTO_MAX_STRINGS + 2] = {"weft-init"};
	for (int i = 0; spawn->argv[i] && i < PROTO_MAX_STRINGS; i++)
		argv[i + 1] = spawn->argv[i];
	syscall(SYS_execveat, own_program, "", argv, environ, AT_EMPTY_PATH);
}

/* The kernel says of a script or a program that there is no such file when what is missing is its interpreter. */
static _Noreturn void explain_exec(const struct spawn *spawn, int error)
{
	const char *name = spawn->argv[0];
	bool absent = error == ENOENT || error == ENOTDIR;
	if (error == ENOENT && strchr(name, '/') && access(name, F_OK) == 0)
		say_why(spawn, STATUS_ABSENT, error, name, "the interpreter or loader it asks for is not in the image");
	say_why(spawn, absent ? STATUS_ABSENT : STATUS_UNUSABLE, error, name, strerror(error));
}

static _Noreturn void run(const struct spawn *spawn)
{
	reset_signals();
	setsid();
	set_streams(spawn);
	if (spawn->terminal)
		ioctl(STDIN_FILENO, TIOCSCTTY, 0); /* without a terminal behind it, job control is all that is missed */
	set_environment(spawn);
	become(spawn);
	const char *cwd = spawn->cwd && *spawn->cwd ? spawn->cwd : "/";
	if (chdir(cwd) < 0)
		give_up(spawn, cwd, errno);
	if (spawn->tool)
		run_tool(spawn);
	else
		execvp(spawn->argv[0], spawn->argv);
	explain_exec(spawn, errno);
}

/* Into the group from the first moment: to be moved there later would wait for every processor. */
static pid_t fork_into(int group)
{
	struct clone_args how = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)group};
	return (pid_t)syscall(SYS_clone3, &how, sizeof how);
}

pid_t spawn(const struct spawn *spawn)
{
	int group = spawn->apart ? -1 : freeze_group();
	pid_t pid = group < 0 ? fork() : fork_into(group);
	if (pid == 0)
		run(spawn);
	return pid;
}
