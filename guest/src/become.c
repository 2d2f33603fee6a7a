#include "become.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "etc.h"
#include "freeze.h"
#include "hostkeys.h"
#include "log.h"
#include "net.h"
#include "outq.h"
#include "power.h"
#include "program.h"
#include "proto.h"
#include "random.h"
#include "wall.h"

enum { KEY_MS = 60 * 1000, HOOK_MS = 10 * 1000, MOST_KEYS = 8, MOST_HOOKS = 32, MOST_NEWS = 8, NEWS_BYTES = 200 };

static const char hooks_folder[] = "/etc/weft/on-fork.d";

static enum { NOT, KEYS, HOOKS } phase;
static struct config config;
static struct program job; /* one key, or one hook */
static int64_t deadline_ms;
static char job_name[HOSTKEY_PATH];

static struct hostkey keys[MOST_KEYS];
static int key_count, keys_made;

static char hooks[MOST_HOOKS][HOSTKEY_PATH];
static int hook_count, hooks_run;

static char *const *environment;
static char name_variable[300], origin_variable[300];
static char *extra[3];

static char news[MOST_NEWS][NEWS_BYTES];
static int news_count;

/* On the console, and to the host when it listens again. */
static void tell(const char *format, ...)
{
	char text[NEWS_BYTES];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	say("%s", text);
	if (news_count < MOST_NEWS)
		memcpy(news[news_count++], text, sizeof text);
}

void become_send_news(void)
{
	for (int i = 0; i < news_count; i++) {
		uint8_t *payload = outq_payload();
		size_t length = (size_t)snprintf((char *)payload, NEWS_BYTES + 16, "on-fork%c%s", 0, news[i]) + 1;
		outq_commit(KIND_EVENT, 0, length);
	}
	news_count = 0;
}

void become_fresh(struct told *told)
{
	if (!random_renew(told->seed, BECOME_SEED))
		fatal("new random numbers: %s", strerror(errno)); /* they would be another machine's */
	explicit_bzero(told->seed, BECOME_SEED);
	wall_set(told->wall_ns);
}

static void start(char *const *argv, const char *name, int patience_ms, bool apart)
{
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	job = (struct program){.how = {.argv = argv,
				       .env = environment,
				       .extra = extra,
				       .in = nothing,
				       .out = STDOUT_FILENO,
				       .err = STDERR_FILENO,
				       .apart = apart},
			       .restart = RESTART_NEVER};
	snprintf(job_name, sizeof job_name, "%s", name);
	deadline_ms = now_ms() + patience_ms;
	program_start(&job);
	close(nothing);
}

static void remember_names(void)
{
	int count = 0;
	snprintf(name_variable, sizeof name_variable, "WEFT_NAME=%.255s", config.hostname ? config.hostname : "");
	extra[count++] = name_variable;
	snprintf(origin_variable, sizeof origin_variable, "WEFT_FORKED_FROM=%.255s", config.forked_from ? config.forked_from : "");
	if (config.forked_from)
		extra[count++] = origin_variable;
	extra[count] = NULL;
}

static void take_keys(void)
{
	for (key_count = keys_made = 0; key_count < MOST_KEYS && hostkey_take(&keys[key_count]);)
		key_count++;
}

static int compare(const void *one, const void *other)
{
	return strcmp(one, other);
}

static void find_hooks(void)
{
	DIR *entries = opendir(hooks_folder);
	hook_count = hooks_run = 0;
	for (struct dirent *entry; entries && hook_count < MOST_HOOKS && (entry = readdir(entries));) {
		struct stat what;
		char *path = hooks[hook_count];
		int length = snprintf(path, HOSTKEY_PATH, "%s/%s", hooks_folder, entry->d_name);
		if (length < HOSTKEY_PATH && stat(path, &what) == 0 && S_ISREG(what.st_mode) && access(path, X_OK) == 0)
			hook_count++;
	}
	if (entries)
		closedir(entries);
	qsort(hooks, (size_t)hook_count, sizeof *hooks, compare);
}

static void give_up_job(void)
{
	if (job.state != PROGRAM_RUNNING)
		return;
	kill(-job.pid, SIGKILL);
	close(job.report);
}

bool become_begin(struct told *told, char *const *env, const char **why)
{
	*why = config.error;
	if (!config_parse(&config, told->text, told->length))
		return false;
	if (phase != NOT)
		give_up_job();
	become_fresh(told);
	bool is_same = etc_has_machine_id(config.machine_id); /* it goes back, and is known by the keys that it had */
	set_host_name(&config);
	renew_etc(&config);
	renew_network(&config);
	environment = env;
	remember_names();
	key_count = keys_made = 0;
	if (!is_same)
		take_keys();
	news_count = 0;
	job.state = PROGRAM_NEW;
	phase = KEYS;
	return true;
}

bool become_is_going_on(void)
{
	return phase != NOT;
}

static void next_key(void)
{
	if (keys_made < key_count) {
		const struct hostkey *key = &keys[keys_made++];
		start(hostkey_maker(key), key->path, KEY_MS, true);
		return;
	}
	if (key_count)
		hostkeys_tell_servers();
	freeze_end();
	find_hooks();
	phase = HOOKS;
}

static void next_hook(void)
{
	static char *argv[2];
	if (hooks_run == hook_count) {
		phase = NOT;
		return;
	}
	argv[0] = hooks[hooks_run++];
	start(argv, argv[0], HOOK_MS, false);
}

static void step_job(void)
{
	if (now_ms() < deadline_ms)
		return;
	tell("%s: it took too long", job_name);
	kill(-job.pid, SIGKILL);
	deadline_ms = INT64_MAX;
}

void become_step(void)
{
	for (enum program_state state = job.state; phase != NOT && !power_is_ending(); state = job.state) {
		if (state == PROGRAM_RUNNING) {
			step_job();
			return;
		}
		if (phase == KEYS)
			next_key();
		else
			next_hook();
	}
}

void become_child_ended(pid_t pid, int wait_status)
{
	if (phase == NOT || !program_child_ended(&job, pid, wait_status, true))
		return;
	if (job.reason[0])
		tell("%s: %s", job_name, job.reason);
	else if (WIFSIGNALED(wait_status) && deadline_ms != INT64_MAX)
		tell("%s: ended by signal %d", job_name, WTERMSIG(wait_status));
	else if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status))
		tell("%s: ended with status %d", job_name, WEXITSTATUS(wait_status));
}

void become_poll(struct pollset *set)
{
	if (phase != NOT && job.state == PROGRAM_RUNNING && deadline_ms != INT64_MAX)
		pollset_wake_at(set, deadline_ms);
	else if (phase != NOT && job.state != PROGRAM_RUNNING)
		pollset_wake_at(set, 0);
}
