/* Which files have been met before under another name: hard links. */
#pragma once

#include <sys/stat.h>

/* The name under which this file was met first; NULL when it is met for the first time, or has no other name, or memory is
 * short (it is then a file of its own). */
const char *links_meet(const struct stat *file, const char *name);
