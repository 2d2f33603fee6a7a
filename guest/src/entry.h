/* The image's entry point: started, watched, started again as the configuration says. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "config.h"
#include "pollset.h"
#include "proto.h"

void entry_start(const struct config *config);
void entry_child_ended(pid_t pid, int status);
void entry_poll(struct pollset *set);
void entry_step(void);

const struct entry_status *entry_status(void);

/* The entry point's terminal, which is the console, and the entry point with its group. */
void entry_resize(uint16_t rows, uint16_t cols);
void entry_signal(int number);

/* True once after each change: the agent then tells the host. */
bool entry_take_change(void);
