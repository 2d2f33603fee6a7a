/* The file systems that the configuration adds to the root. */
#pragma once

#include "config.h"

/* Ends the machine when one is not there or cannot be mounted. */
void attach_mounts(const struct config *config);
void detach_mounts(const struct config *config);
