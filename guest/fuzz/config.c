/* The configuration's parser: a refusal has a reason, and what is accepted is whole. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

static void require(bool good)
{
	if (!good)
		abort();
}

/* Each has its own lists, ended by NULL, and stands in the order behind whom it waits for. */
static void check_services(const struct config *config)
{
	bool started[CONFIG_MAX_SERVICES] = {false};
	for (int i = 0; i < config->service_count; i++) {
		const struct service *service = &config->services[config->order[i]];
		require(service->argc && !service->argv[service->argc] && !service->env[service->env_count]);
		for (int k = 0; k < service->after_count; k++)
			for (int j = 0; j < config->service_count; j++)
				require(strcmp(config->services[j].name, service->after[k]) != 0 || started[j]);
		require(!started[config->order[i]]);
		started[config->order[i]] = true;
	}
}

static void check(const struct config *config)
{
	require(config->argc <= CONFIG_MAX_ARGS && !config->argv[config->argc]);
	require(config->env_count <= CONFIG_MAX_ENV && !config->env[config->env_count]);
	require(!config->root_serial == !config->root_type);
	for (int i = 0; i < config->nic_count; i++)
		require(config->nics[i].name && strlen(config->nics[i].name) < 16);
	for (int i = 0; i < config->wire_count; i++)
		require(strcmp(config->wires[i].a, config->wires[i].b) != 0);
	for (int i = 0; i < config->mount_count; i++)
		require(config->mounts[i].at[0] == '/' && config->mounts[i].type &&
			!(config->mounts[i].serial && config->mounts[i].tag));
	for (int i = 0; i < config->file_count; i++)
		require(config->files[i].path[0] == '/' && config->files[i].content && config->files[i].mode <= 07777);
	check_services(config);
	for (int i = 0; i < config->sysctl_count; i++)
		require(!strstr(config->sysctls[i].name, "..") && config->sysctls[i].value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config config;
	char *text = malloc(size + 1);
	memcpy(text, data, size);
	if (config_parse(&config, text, size))
		check(&config);
	else
		require(config.error[0] != 0 && strlen(config.error) < CONFIG_ERROR_BYTES);
	free(text);
	return 0;
}
