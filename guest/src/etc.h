/* What a machine is called: host name, hosts, resolver, machine id. And files of its configuration. */
#pragma once

#include <stdbool.h>

#include "config.h"

void set_host_name(const struct config *config);

/* Has the files ready to be written, before it is known what is to be in them. The overlay is the root. */
void prepare_etc(void);

/* Writes hostname, hosts, resolv.conf and machine-id into this directory. `apart`: as files of their own in /run, mounted over those of
 * the directory, so that they can be written to when the root no longer can. */
void write_etc(const struct config *config, const char *etc, bool apart);

/* Whether the machine has this id already. */
bool etc_has_machine_id(const char *id);

/* Writes those four again, wherever they are by now. */
void renew_etc(const struct config *config);

/* The configuration's own files; ends the machine when one cannot be written. */
void write_files(const struct config *config);
