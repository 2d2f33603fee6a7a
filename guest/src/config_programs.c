/* Keys of programs: the entry point, and services beside it. */
#include <string.h>

#include "config_keys.h"

bool key_arg(struct config *config, struct line *line)
{
	return config_append(config, config->argv, &config->argc, CONFIG_MAX_ARGS, take_field(line));
}

bool key_env(struct config *config, struct line *line)
{
	char *value = take_word(line);
	if (value && (!strchr(value, '=') || *value == '='))
		return config_fail(config, "not NAME=VALUE", value);
	return config_append(config, config->env, &config->env_count, CONFIG_MAX_ENV, value);
}

bool key_cwd(struct config *config, struct line *line)
{
	return config_set_once(config, &config->cwd, line);
}

bool key_user(struct config *config, struct line *line)
{
	return config_set_once(config, &config->user, line);
}

static bool parse_restart(const char *text, enum restart *out)
{
	static const char *const names[] = {"never", "on-failure", "always"};
	for (int i = 0; i < 3; i++)
		if (!strcmp(text, names[i])) {
			*out = (enum restart)i;
			return true;
		}
	return false;
}

bool key_restart(struct config *config, struct line *line)
{
	char *value = take_word(line);
	return (value && parse_restart(value, &config->restart)) ||
	       config_fail(config, "not never, on-failure or always", value);
}

bool key_restarts(struct config *config, struct line *line)
{
	char *value = take_word(line);
	config->restarts_bounded = true;
	return (value && parse_number(value, UINT32_MAX, &config->most_restarts)) ||
	       config_fail(config, "not a number", value);
}

bool key_stop(struct config *config, struct line *line)
{
	uint32_t number;
	char *value = take_word(line);
	if (!value || !parse_number(value, 64, &number) || number == 0)
		return config_fail(config, "not a signal", value);
	config->stop_signal = (int)number;
	return true;
}

static bool is_service_name(const char *text)
{
	size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
	return length && length <= 31 && !text[length];
}

static bool service_option(struct config *config, struct service *service, char *field)
{
	if (!strcmp(field, "once"))
		return service->once = true;
	char *value = split_option(field);
	if (value && !strcmp(field, "restart") && parse_restart(value, &service->restart))
		return true;
	if (value && *value && !strcmp(field, "user"))
		return (service->user = value);
	if (value && *value && !strcmp(field, "cwd"))
		return (service->cwd = value);
	if (value && !strcmp(field, "after"))
		return config_append(config, service->after, &service->after_count, CONFIG_MAX_AFTER, value);
	return config_fail(config, "unknown option, or a wrong value", field);
}

/* Each service's arguments end with a NULL: the lists of the one before are closed by leaving a place free. */
static void begin_service(struct config *config, struct service *service)
{
	struct service *last = config->service_count ? service - 1 : NULL;
	service->argv = last ? last->argv + last->argc + 1 : config->service_argv;
	service->env = last ? last->env + last->env_count + 1 : config->service_env;
	service->restart = RESTART_ALWAYS;
	config->service_count++;
}

bool key_service(struct config *config, struct line *line)
{
	if (config->service_count >= CONFIG_MAX_SERVICES)
		return config_fail(config, "too many of these", NULL);
	struct service *service = &config->services[config->service_count];
	service->name = take_word(line);
	if (!service->name || !is_service_name(service->name))
		return config_fail(config, "not a service's name", service->name);
	begin_service(config, service);
	while (line->rest) {
		char *field = take_word(line);
		if (!field)
			return config_fail(config, "an option is empty or badly encoded", NULL);
		if (!service_option(config, service, field))
			return false;
	}
	return true;
}

static struct service *last_service(struct config *config)
{
	if (!config->service_count)
		config_fail(config, "no service before this line", NULL);
	return config->service_count ? &config->services[config->service_count - 1] : NULL;
}

bool key_sarg(struct config *config, struct line *line)
{
	struct service *service = last_service(config);
	if (!service)
		return false;
	int left = CONFIG_MAX_ARGS - (int)(service->argv - config->service_argv);
	return config_append(config, service->argv, &service->argc, left, take_field(line));
}

bool key_senv(struct config *config, struct line *line)
{
	struct service *service = last_service(config);
	char *value = take_word(line);
	if (!service)
		return false;
	if (value && (!strchr(value, '=') || *value == '='))
		return config_fail(config, "not NAME=VALUE", value);
	int left = CONFIG_MAX_ENV - (int)(service->env - config->service_env);
	return config_append(config, service->env, &service->env_count, left, value);
}

static int find_service(const struct config *config, const char *name)
{
	for (int i = 0; i < config->service_count; i++)
		if (!strcmp(config->services[i].name, name))
			return i;
	return -1;
}

static bool is_ordered(const struct config *config, const struct service *service)
{
	for (int i = 0; i < service->after_count; i++)
		if (!config->services[find_service(config, service->after[i])].ordered)
			return false;
	return true;
}

/* Again and again, whoever waits only for services that are in order already. What is left waits for itself. */
static bool order_services(struct config *config)
{
	for (int left = config->service_count, before = left + 1; left < before;) {
		before = left;
		for (int i = 0; i < config->service_count; i++) {
			struct service *service = &config->services[i];
			if (service->ordered || !is_ordered(config, service))
				continue;
			service->ordered = true;
			config->order[config->service_count - left--] = i;
		}
		if (!left)
			return true;
	}
	return !config->service_count || config_fail(config, "services wait for each other in a circle", NULL);
}

bool services_are_whole(struct config *config)
{
	for (int i = 0; i < config->service_count; i++) {
		const struct service *service = &config->services[i];
		if (find_service(config, service->name) != i)
			return config_fail(config, "two services have one name", service->name);
		if (!service->argc || !*service->argv[0])
			return config_fail(config, "a service without a program", service->name);
		for (int k = 0; k < service->after_count; k++)
			if (find_service(config, service->after[k]) < 0)
				return config_fail(config, "after= names no service", service->after[k]);
	}
	return order_services(config);
}
