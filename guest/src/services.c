#include "services.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "power.h"
#include "program.h"

enum { GRACE_MS = 2000 };

static const struct config *config;
static struct program programs[CONFIG_MAX_SERVICES];
static bool asked[CONFIG_MAX_SERVICES];

void services_prepare(const struct config *from)
{
	config = from;
	int nothing = config->service_count ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
	for (int i = 0; i < config->service_count; i++) {
		const struct service *service = &config->services[i];
		programs[i] = (struct program){.how = {.argv = service->argv,
						       .env = config->env,
						       .extra = service->env,
						       .cwd = service->cwd,
						       .user = service->user,
						       .in = nothing,
						       .out = STDOUT_FILENO,
						       .err = STDERR_FILENO},
					       .restart = service->once ? RESTART_NEVER : service->restart};
	}
}

static bool has_started(int number)
{
	const struct program *program = &programs[number];
	if (config->services[number].once)
		return program->state == PROGRAM_ENDED && program->wait_status == 0;
	return program->state != PROGRAM_NEW;
}

static bool may_start(const struct service *service)
{
	for (int i = 0; i < config->service_count; i++)
		for (int k = 0; k < service->after_count; k++)
			if (!strcmp(config->services[i].name, service->after[k]) && !has_started(i))
				return false;
	return true;
}

static void complain(const char *name, int status)
{
	if (WIFSIGNALED(status))
		say("service %s: ended by signal %d", name, WTERMSIG(status));
	else
		say("service %s: ended with status %d", name, WEXITSTATUS(status));
}

/* What comes after a `once` service relies on what it does, so the machine is not what it should be. */
void services_child_ended(pid_t pid, int status)
{
	for (int i = 0; config && i < config->service_count; i++) {
		bool ending = power_is_ending();
		if (!program_child_ended(&programs[i], pid, status, ending))
			continue;
		if (status && !ending)
			complain(config->services[i].name, status);
		if (status && !ending && config->services[i].once)
			power_end(SHUTDOWN_POWER_OFF, GRACE_MS);
	}
}

void services_poll(struct pollset *set)
{
	for (int i = 0; i < config->service_count && !power_is_ending(); i++)
		program_poll(&programs[i], set);
}

void services_step(void)
{
	for (int i = 0; i < config->service_count && !power_is_ending(); i++) {
		int number = config->order[i];
		program_step(&programs[number]);
		if (programs[number].state == PROGRAM_NEW && may_start(&config->services[number]))
			program_start(&programs[number]);
	}
}

bool services_have_started(void)
{
	for (int i = 0; i < config->service_count; i++)
		if (!has_started(i))
			return false;
	return true;
}

bool services_ask(void)
{
	for (int i = config->service_count; i-- > 0;) {
		int number = config->order[i];
		if (programs[number].state != PROGRAM_RUNNING)
			continue;
		if (!asked[number]) {
			kill(-programs[number].pid, SIGTERM);
			kill(-programs[number].pid, SIGCONT);
		}
		asked[number] = true;
		return false;
	}
	return true;
}
