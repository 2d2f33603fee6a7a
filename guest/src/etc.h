/* Host name, hosts and resolver files. */
#pragma once

#include "config.h"

void set_host_name(const struct config *config);

/* Writes hostname, hosts and resolv.conf into this directory. */
void write_etc(const struct config *config, const char *etc);
