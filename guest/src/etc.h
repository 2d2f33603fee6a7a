/* Host name, hosts and resolver files. */
#pragma once

#include "config.h"

void write_etc(const struct config *config);
