/* Where the names of an archive are in the file system: all of them below one folder, whatever they say. */
#pragma once

#include <stdbool.h>

/* The folder that is `/` for all names. False: errno says why. */
bool place_set_root(const char *folder);

/* The file of a clean name (clean_name.h), with links followed as if the folder were `/`. -1: errno says why. */
int place_open(const char *clean, int flags);

/* The folder a clean name is in, made when it is missing, and the last part of the name. The descriptor stays this
 * module's and is good until the next call. -1: errno says why. */
int place_parent(const char *clean, const char **leaf);
