/* Texts that programs of the machine ask the host to keep: a socket for them, COMMIT and COMMITTED for the host. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "pollset.h"

#define COMMIT_SOCKET "/run/weft/agent.sock"

enum { COMMIT_MAX_BYTES = 64 * 1024 };

void commit_start(void);
void commit_poll(struct pollset *set);

/* `host_listens`: there is a session, with a host that knows of commits. */
void commit_step(bool host_listens);

/* The host's answer; ignored when nobody waits for it. */
void commit_answer(uint16_t stream, bool accepted, const char *why);
