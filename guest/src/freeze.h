/* The control group of everything that init starts, which can be stopped as a whole. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pollset.h"

/* Once control groups are mounted. */
void freeze_prepare(void);

/* The group's descriptor, for clone3(); -1: this kernel has none. */
int freeze_group(void);

/* Stops the group; who asked is answered, by FREEZE on this stream, when it stands still or will not. */
void freeze_begin(uint16_t stream);
void freeze_end(void);

/* Whether it stands still, or is about to: nothing can be started then. */
bool freeze_is_on(void);

void freeze_step(void);
void freeze_poll(struct pollset *set);
