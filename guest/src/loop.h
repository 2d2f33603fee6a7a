/* Files that are block devices to the kernel. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Makes the file a device, read-only, for as long as the machine runs, and says which. False: errno says why. */
bool loop_attach(const char *file, char *device, size_t room);
