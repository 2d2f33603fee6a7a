/* The configuration's parser: a refusal has a reason, and what is accepted is whole. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

static void require(bool good)
{
	if (!good)
		abort();
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
		require(config->mounts[i].serial && config->mounts[i].at[0] == '/' && config->mounts[i].type);
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
