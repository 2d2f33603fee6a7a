/* How often the kernel has killed a process for want of memory. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Looks at the kernel's count. */
void oom_look(void);

uint32_t oom_kills(void);

/* True once after each change: the agent then tells the host. */
bool oom_take_change(void);
void oom_repeat_change(void);
