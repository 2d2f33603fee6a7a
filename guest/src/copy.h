/* Copying what is in a folder, with everything that belongs to it: owners, modes, times, links, holes, devices, attributes. */
#pragma once

#include <stdbool.h>

/* Files whose names begin so show that a copy is being made, and are not content. */
#define COPY_MARK ".weft-copying"

/* Whether nothing but `lost+found` is in it. */
bool folder_is_empty(int folder);

/* Into a folder that is empty, which also gets the owner and mode of the other. Runs in a process of its own and waits for
 * it. False: why is on the console. */
bool copy_content(int from, int to);

/* Takes away everything but `lost+found`. */
bool remove_content(int folder);
