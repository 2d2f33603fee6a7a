/* The end of the machine: ask processes, make them, write back, switch off. */
#pragma once

#include <stdbool.h>

#include "pollset.h"
#include "proto.h"

/* Begins the end: everybody is asked, the entry point first, and killed after `grace_ms`. A second call changes nothing. */
void power_end(enum shutdown_kind kind, unsigned grace_ms);
bool power_is_ending(void);

void power_poll(struct pollset *set);

/* `children`: whether any process is left. Does not return once the end is reached. */
void power_step(bool children);

/* At once, for when the machine never came up. */
_Noreturn void power_off_now(void);
