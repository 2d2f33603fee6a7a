/* What a template's machine does before it waits to be told who it is. */
#pragma once

#include "config.h"

/* Reads the root's files into memory, and forgets what other block devices have on them. */
void hold_prepare(const struct config *config);
