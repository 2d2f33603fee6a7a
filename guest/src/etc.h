/* Host name, hosts and resolver files. */
#pragma once

#include <stdbool.h>

#include "config.h"

void set_host_name(const struct config *config);

/* Writes hostname, hosts and resolv.conf into this directory. `apart`: as files of their own in /run, mounted over those of
 * the directory, so that they can be written to when the root no longer can. */
void write_etc(const struct config *config, const char *etc, bool apart);

/* The configuration's own files; ends the machine when one cannot be written. */
void write_files(const struct config *config);
