/* What the machine knows about itself: load, memory, pressure, addresses. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Writes text lines `KEY VALUE...` and returns their length; what does not fit is left out. */
size_t facts_write(char *out, size_t room);
