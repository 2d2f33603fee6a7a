/* The guest end of the agent's protocol. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "gather.h"
#include "pollset.h"

/* A template's machine: it can be reached, and waits to be told who it is. `started_ns`: when init began, since boot. */
void agent_hold(const struct config *config, uint64_t started_ns);

/* What it was told, once; NULL: nothing yet. It lasts until agent_start(). */
struct told *agent_take_told(void);

/* The machine is whom it is to be. */
void agent_start(const struct config *config, uint64_t started_ns);
void agent_poll(struct pollset *set);
void agent_step(void);

/* Before the machine goes off: sends what is queued, as far as the host takes it within a moment. */
void agent_flush(void);

/* Says to the host that waits for the machine to become somebody that it cannot, and why. */
void agent_tell_failure(const char *text);

/* Whether the host has yet to be told of the entry point's end, and may be there to hear it. */
bool agent_has_news(void);
