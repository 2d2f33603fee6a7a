/* Programs beside the entry point, started in their order. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "config.h"
#include "pollset.h"

void services_prepare(const struct config *config);
void services_child_ended(pid_t pid, int status);
void services_poll(struct pollset *set);
void services_step(void);

/* Whether all have started. */
bool services_have_started(void);

/* Asks them to end, the last started first, each when the one before has ended. True: none is left. */
bool services_ask(void);
