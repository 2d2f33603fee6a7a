/* The image's entry point: started, watched, started again as the configuration says. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "config.h"
#include "pollset.h"
#include "proto.h"

void entry_start(const struct config *config);
void entry_child_ended(pid_t pid, int status);
void entry_poll(struct pollset *set);
void entry_step(void);

/* Its terminal, which is the console, and a signal to it alone. */
void entry_resize(uint16_t rows, uint16_t cols);
void entry_signal(int number);

/* Asks it to end, by its stop signal. */
void entry_ask(void);
bool entry_is_running(void);

const struct entry_status *entry_status(void);

/* Why it could not be started; empty when it could. */
const char *entry_reason(void);

/* True once after each change: the agent then tells the host. */
bool entry_take_change(void);
void entry_repeat_change(void);
bool entry_has_change(void);
