/* The file systems that the configuration adds to the root. */
#pragma once

#include <stdbool.h>

#include "config.h"

/* Ends the machine when one is not there or cannot be mounted. */
void attach_mounts(const struct config *config);
void detach_mounts(const struct config *config);

/* Memory at a folder, which keeps its mode, and with `copy` its content; of `size`, or half the machine's when NULL. False:
 * errno says why. */
bool cover_with_memory(const char *at, unsigned long flags, const char *size, bool copy);
