/* The guest end of the agent's protocol. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "pollset.h"

/* `started_ns`: when init began, since boot. */
void agent_start(const struct config *config, uint64_t started_ns);
void agent_poll(struct pollset *set);
void agent_step(void);

/* Before the machine goes off: sends what is queued, as far as the host takes it within a moment. */
void agent_flush(void);

/* Whether the host has yet to be told of the entry point's end, and may be there to hear it. */
bool agent_has_news(void);
